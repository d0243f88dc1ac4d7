//! The passfile (`~/.pgpass`): lines of `host:port:database:user:password`.
//!
//! Parsing only; finding the file and refusing one that others can read is [`crate::config`]'s
//! part. The first line that fits wins. `*` alone fits anything; a backslash takes the next
//! character as it is. Source: PostgreSQL manual, "The Password File".

/// What a line must fit.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// The host name, address or socket directory; `localhost` for the default socket directory.
    pub host: &'a str,
    /// The port, in decimal.
    pub port: &'a str,
    /// The database.
    pub dbname: &'a str,
    /// The user.
    pub user: &'a str,
}

/// The password of the first line that fits.
pub fn find_password(text: &str, entry: Entry<'_>) -> Option<String> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .find_map(|line| {
            let mut rest = line.trim_end_matches('\r');
            for wanted in [entry.host, entry.port, entry.dbname, entry.user] {
                rest = strip_field(rest, wanted)?;
            }
            Some(take_password(rest))
        })
}

/// What follows the first field and its colon, if that field fits.
fn strip_field<'a>(line: &'a str, wanted: &str) -> Option<&'a str> {
    if let Some(rest) = line.strip_prefix("*:") {
        return Some(rest);
    }
    let mut wanted = wanted.chars();
    let mut field = line.char_indices();
    while let Some((position, character)) = field.next() {
        let literal = match character {
            ':' => return wanted.next().is_none().then(|| &line[position + 1..]),
            '\\' => field.next()?.1,
            other => other,
        };
        if wanted.next() != Some(literal) {
            return None;
        }
    }
    None
}

/// The password ends at the line's end or at a colon without backslash.
fn take_password(field: &str) -> String {
    let mut password = String::new();
    let mut characters = field.chars();
    while let Some(character) = characters.next() {
        match character {
            ':' => break,
            '\\' => password.push(characters.next().unwrap_or('\\')),
            other => password.push(other),
        }
    }
    password
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: Entry<'_> = Entry {
        host: "db",
        port: "5432",
        dbname: "app",
        user: "anna",
    };

    #[test]
    fn the_first_line_that_fits_wins() {
        let table = [
            ("db:5432:app:anna:one\n*:*:*:*:two\n", Some("one")),
            ("*:*:*:*:two\ndb:5432:app:anna:one\n", Some("two")),
            (
                "# db:5432:app:anna:no\n\ndb:*:*:anna:three\r\n",
                Some("three"),
            ),
            ("db:5432:app:bert:one", None),
            ("db:5432:app:ann:one", None),
            ("db:5432:app:annabel:one", None),
            ("db:5433:app:anna:one", None),
            ("db:5432:app", None),
            ("d*:*:*:*:no", None),
            ("db:5432:app:anna:a\\:b\\\\c:ignored", Some("a:b\\c")),
            ("\\db:5432:app:anna:escaped", Some("escaped")),
            ("db:5432:app:anna:", Some("")),
        ];
        for (text, expected) in table {
            assert_eq!(find_password(text, ENTRY).as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn an_ipv6_host_is_written_with_backslashes() {
        let entry = Entry {
            host: "::1",
            ..ENTRY
        };
        let text = "\\:\\:1:5432:app:anna:six";
        assert_eq!(find_password(text, entry).as_deref(), Some("six"));
    }
}
