//! What the process was given from outside: environment variables, user name, home directory.
//!
//! Gathered once at the edge and passed down as a value, so that resolving a connection depends
//! on its arguments only. It holds every variable that starts with `PG`; PGPASSWORD is among
//! them, which is why `Debug` shows names and no values.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

/// The home directory of the effective user: HOME unless it is unset or empty, as it is in servers
/// that `pg_ctlcluster` starts, else what the password database says.
pub fn home_directory() -> Option<PathBuf> {
    let home = std::env::var_os("HOME").filter(|home| !home.is_empty());
    let of_database = || entry_of_user().map(|user| user.dir);
    home.map(PathBuf::from).or_else(of_database)
}

/// The number of the user that this process acts as.
pub fn effective_user_id() -> u32 {
    nix::unistd::geteuid().as_raw()
}

/// The name of a user, if the password database has one.
pub fn user_name(user_id: u32) -> Option<String> {
    let entry = nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(user_id));
    Some(entry.ok()??.name)
}

fn entry_of_user() -> Option<nix::unistd::User> {
    let entry = nix::unistd::User::from_uid(nix::unistd::geteuid());
    entry.ok().flatten()
}

/// The surroundings that libpq reads by itself.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    /// Variables that start with `PG` and whose value is not UTF-8.
    not_text: BTreeSet<String>,
    user: Option<String>,
    home: Option<PathBuf>,
}

impl Environment {
    /// An environment without variables, user and home directory.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Reads this process's environment: variables that start with `PG`, the name of the effective
    /// user, and its home directory (HOME, else the user database), as libpq does.
    ///
    /// Of a variable whose value is not UTF-8 only the name is kept, so that it can be refused.
    pub fn gather() -> Self {
        let (mut variables, mut not_text) = (BTreeMap::new(), BTreeSet::new());
        for (name, value) in std::env::vars_os() {
            let Ok(name) = name.into_string() else {
                continue;
            };
            if !name.starts_with("PG") {
                continue;
            }
            match value.into_string() {
                Ok(value) => drop(variables.insert(name, value)),
                Err(_) => drop(not_text.insert(name)),
            }
        }
        let entry = entry_of_user();
        let home = std::env::var_os("HOME")
            .filter(|home| !home.is_empty())
            .map(PathBuf::from);
        Self {
            variables,
            not_text,
            home: home.or_else(|| entry.as_ref().map(|user| user.dir.clone())),
            user: entry.map(|user| user.name),
        }
    }

    /// The same environment with this variable set.
    pub fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    /// The same environment with this operating system user.
    pub fn with_user(mut self, name: &str) -> Self {
        self.user = Some(name.to_owned());
        self
    }

    /// The same environment with this home directory.
    pub fn with_home(mut self, directory: &Path) -> Self {
        self.home = Some(directory.to_owned());
        self
    }

    /// The value of a variable, which may be empty.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// Whether a variable is set to something that is not UTF-8.
    pub fn is_not_text(&self, name: &str) -> bool {
        self.not_text.contains(name)
    }

    /// The same environment where this variable is set to something that is not UTF-8.
    pub fn with_bytes(mut self, name: &str) -> Self {
        self.not_text.insert(name.to_owned());
        self
    }

    /// The operating system's name of the user.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The user's home directory.
    pub fn home(&self) -> Option<&Path> {
        self.home.as_deref()
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment")
            .field("variables", &self.variables.keys().collect::<Vec<_>>())
            .field("user", &self.user)
            .field("home", &self.home)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_the_environment_is_not_shown() {
        let environment = Environment::empty().with_variable("PGPASSWORD", "hush");
        assert_eq!(environment.variable("PGPASSWORD"), Some("hush"));
        assert!(!format!("{environment:?}").contains("hush"));
    }

    #[test]
    fn the_gathered_user_has_a_name_and_a_home() {
        let environment = Environment::gather();
        assert!(environment.user().is_some());
        assert!(environment.home().is_some());
    }
}
