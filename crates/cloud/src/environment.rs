//! The process environment as a value, gathered once at the edge and passed down.
//!
//! Settings are resolved from this value and never from `std::env`, so that every rule has a table
//! test. Debug output shows names only: values may be secrets. A value that is not UTF-8 is not
//! passed over as if it were not set: as a path it is used as it is, and as text it has U+FFFD in
//! it, which [`crate::secret`] refuses by the variable's name.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

/// Environment variables, as they were when the program started, and whose home directory it is.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, VariableValue>,
    /// What the password database says; HOME goes before it.
    home: Option<PathBuf>,
}

#[derive(Clone)]
struct VariableValue {
    raw: OsString,
    text: String,
}

impl Environment {
    /// Reads the environment of this process; without HOME also the user's entry in the password
    /// database, as Python's `expanduser` does.
    pub fn gather() -> Self {
        let pairs = std::env::vars_os();
        let mut environment: Environment = pairs
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
            .collect();
        if environment.get("HOME").is_none() {
            environment.home = postgres::home_directory();
        }
        environment
    }

    /// The same environment for a user whose home directory this is unless HOME is set.
    pub fn with_home(mut self, home: &Path) -> Self {
        self.home = Some(home.into());
        self
    }

    /// The value of `name`; an empty value counts as not set, as AWS's tools have it.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables
            .get(name)
            .map(|value| value.text.as_str())
            .filter(|value| !value.is_empty())
    }

    /// The value of `name` as a path, byte by byte, `~/` being the home directory.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        let value = self.variables.get(name)?;
        let is_text = value.raw.to_str().is_some();
        if is_text {
            self.get(name).map(|path| self.expand_home(path))
        } else {
            Some(PathBuf::from(&value.raw))
        }
    }

    /// The first of `names` that is set, with its name.
    pub fn first<'a>(&'a self, names: &[&'static str]) -> Option<(&'static str, &'a str)> {
        names.iter().find_map(|name| Some((*name, self.get(name)?)))
    }

    /// Whether `name` is set to `true` in any case.
    pub fn is_true(&self, name: &str) -> bool {
        self.get(name)
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// The user's home directory.
    pub fn home(&self) -> Option<PathBuf> {
        let set = self.variables.get("HOME").map(|value| &value.raw);
        let set = set.filter(|home| !home.is_empty()).map(PathBuf::from);
        set.or_else(|| self.home.clone())
    }

    /// `path` with a leading `~/` replaced by the home directory.
    pub fn expand_home(&self, path: &str) -> PathBuf {
        match (path.strip_prefix("~/"), self.home()) {
            (Some(rest), Some(home)) => home.join(rest),
            _ => PathBuf::from(path),
        }
    }

    /// `path` with `$NAME` and `${NAME}` replaced by what is set, then `~/` by the home directory:
    /// as botocore reads the places of its files.
    pub fn expand(&self, path: &str) -> PathBuf {
        let mut expanded = String::new();
        let mut rest = path;
        while let Some((before, after)) = rest.split_once('$') {
            expanded.push_str(before);
            let (name, behind) = variable_name(after);
            match self.variables.get(name).filter(|_| !name.is_empty()) {
                Some(value) => {
                    expanded.push_str(&value.text);
                    rest = behind;
                }
                None => {
                    expanded.push('$');
                    rest = after;
                }
            }
        }
        expanded.push_str(rest);
        self.expand_home(&expanded)
    }
}

/// The name after a `$`, in braces or not, and what comes behind it.
fn variable_name(text: &str) -> (&str, &str) {
    if let Some((name, behind)) = text.strip_prefix('{').and_then(|it| it.split_once('}')) {
        return (name, behind);
    }
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.split_at(text.find(|c| !is_part(c)).unwrap_or(text.len()))
}

impl<K: Into<String>, V: Into<OsString>> FromIterator<(K, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let variables = pairs.into_iter().map(|(name, value)| {
            let raw = value.into();
            let text = raw.to_string_lossy().into_owned();
            (name.into(), VariableValue { raw, text })
        });
        Environment {
            variables: variables.collect(),
            home: None,
        }
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    #[test]
    fn an_empty_variable_counts_as_not_set() {
        let environment: Environment = [("A", ""), ("B", "b")].into_iter().collect();
        assert_eq!(environment.first(&["A", "B"]), Some(("B", "b")));
    }

    #[test]
    fn debug_output_shows_no_values() {
        let environment: Environment = [("AWS_SECRET_ACCESS_KEY", "hunter2")].into_iter().collect();
        assert_eq!(format!("{environment:?}"), r#"{"AWS_SECRET_ACCESS_KEY"}"#);
    }

    #[test]
    fn a_home_that_is_unset_or_empty_is_the_one_of_the_password_database() {
        let from_database = Path::new("/var/lib/postgresql");
        for (variables, home) in [
            (vec![], "/var/lib/postgresql"),
            (vec![("HOME", "")], "/var/lib/postgresql"),
            (vec![("HOME", "/home/me")], "/home/me"),
        ] {
            let environment = variables.into_iter().collect::<Environment>();
            let environment = environment.with_home(from_database);
            assert_eq!(environment.home().unwrap(), Path::new(home));
            let file = environment.expand_home("~/.aws/config");
            assert_eq!(file, Path::new(home).join(".aws/config"));
        }
        let nobody = Environment::default();
        assert_eq!(nobody.home(), None);
    }

    #[test]
    fn what_is_not_utf_8_is_a_path_as_it_is_and_as_text_it_shows() {
        let bytes = OsString::from_vec(b"/ca\xff.pem".to_vec());
        let environment: Environment = [("CA", bytes.clone())].into_iter().collect();
        assert_eq!(environment.path("CA"), Some(PathBuf::from(bytes)));
        assert_eq!(environment.get("CA"), Some("/ca\u{fffd}.pem"));
    }

    #[test]
    fn variables_in_a_path_are_replaced_where_they_are_set() {
        let environment: Environment = [("HOME", "/h"), ("X_1", "x")].into_iter().collect();
        for (path, expected) in [
            ("~/.aws/config", "/h/.aws/config"),
            ("$HOME/${X_1}y/$X_1", "/h/xy/x"),
            ("/a/$NOT/${NOT}/$", "/a/$NOT/${NOT}/$"),
            ("${X_1", "${X_1"),
            ("$X_1é", "xé"),
        ] {
            assert_eq!(environment.expand(path), Path::new(expected), "{path}");
        }
    }
}
