//! Passwords in texts that are shown: the values of `password=` and of a URI's user.

const SHOWN: &str = "*REDACTED*";

/// The text without the passwords in it.
pub fn redact(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((start, end)) = next_secret(rest) {
        out.push_str(&rest[..start]);
        out.push_str(SHOWN);
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}

/// Where the next password begins and ends.
fn next_secret(text: &str) -> Option<(usize, usize)> {
    let keyword = after_keyword(text);
    let uri = in_uri(text);
    match (keyword, uri) {
        (Some(first), Some(second)) => Some(first.min(second)),
        (found, None) | (None, found) => found,
    }
}

/// `password = 'it is'`, as libpq reads it.
fn after_keyword(text: &str) -> Option<(usize, usize)> {
    const KEYWORD: &str = "password";
    let mut from = 0;
    loop {
        let at = from + text[from..].find(KEYWORD)? + KEYWORD.len();
        let after = text[at..].trim_start();
        let Some(value) = after.strip_prefix('=') else {
            from = at;
            continue;
        };
        let value = value.trim_start();
        let start = text.len() - value.len();
        if !value.starts_with(SHOWN) && !value.is_empty() {
            return Some((start, start + length(value)));
        }
        from = start;
    }
}

fn length(value: &str) -> usize {
    let is_quoted = value.starts_with('\'');
    let mut is_escaped = false;
    for (place, letter) in value.char_indices().skip(usize::from(is_quoted)) {
        match letter {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '\'' if is_quoted => return place + 1,
            '&' | '"' if !is_quoted => return place,
            letter if !is_quoted && letter.is_whitespace() => return place,
            _ => {}
        }
    }
    value.len()
}

/// `postgresql://user:password@host`.
fn in_uri(text: &str) -> Option<(usize, usize)> {
    let mut from = 0;
    loop {
        let at = from + text[from..].find("://")? + 3;
        let authority = text[at..].split(['/', '?', ' ', '\n']).next()?;
        let secret = authority.rsplit_once('@').and_then(|(user, _)| {
            let (name, secret) = user.split_once(':')?;
            (secret != SHOWN && !secret.is_empty()).then_some((name.len() + 1, secret.len()))
        });
        if let Some((start, length)) = secret {
            return Some((at + start, at + start + length));
        }
        from = at;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_left_in_any_form() {
        for (text, expected) in [
            (
                "host=a password=hush user=b",
                "host=a password=*REDACTED* user=b",
            ),
            (
                "password = 'hu sh\\' x' user=b",
                "password = *REDACTED* user=b",
            ),
            ("password=hush", "password=*REDACTED*"),
            ("password=hu\\ sh x", "password=*REDACTED* x"),
            (
                "sslpassword=a password=b",
                "sslpassword=*REDACTED* password=*REDACTED*",
            ),
            (
                "postgresql://u:hu:sh@h:1/d?x",
                "postgresql://u:*REDACTED*@h:1/d?x",
            ),
            ("a://h/d b://u:p@h", "a://h/d b://u:*REDACTED*@h"),
            ("b://h?password=x&y=z", "b://h?password=*REDACTED*&y=z"),
            ("no password is set", "no password is set"),
            ("password=", "password="),
            ("passwörd password=ü x", "passwörd password=*REDACTED* x"),
        ] {
            assert_eq!(redact(text), expected, "{text}");
            assert_eq!(redact(&redact(text)), expected, "{text}");
        }
    }
}
