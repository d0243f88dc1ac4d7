//! The connection options of a command line: host, port, user and a database that may be more.

use super::{Config, ConfigError};
use crate::Environment;
use crate::conninfo::{self, Settings};

/// What a command was told about its server, before anything is looked up.
///
/// An empty string counts as not given. When `dbname` is a connection string (it contains `=` or
/// is a URI), it replaces host, port and user: Barman's documented rule for `--dbname`.
#[derive(Debug, Clone, Default)]
pub struct ConnectOptions {
    /// Host name, address, or socket directory; a comma-separated list is possible.
    pub host: Option<String>,
    /// Port, or a list as long as the list of hosts.
    pub port: Option<String>,
    /// The user to connect as.
    pub user: Option<String>,
    /// A database name or a whole connection string.
    pub dbname: Option<DatabaseName>,
    /// The name to show in `pg_stat_activity`, unless PGAPPNAME or the connection string has one.
    pub application_name: Option<String>,
}

/// A database name that may be a whole connection string with a password in it.
#[derive(Clone)]
pub struct DatabaseName(String);

impl DatabaseName {
    /// Whether this is a connection string rather than a name.
    pub fn is_conninfo(&self) -> bool {
        conninfo::is_conninfo(&self.0)
    }
}

impl From<&str> for DatabaseName {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for DatabaseName {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl std::fmt::Debug for DatabaseName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.is_conninfo() {
            "(a connection string)"
        } else {
            &self.0
        })
    }
}

impl ConnectOptions {
    /// Adds service file, environment, passfile and defaults.
    pub fn resolve(&self, environment: &Environment) -> Result<Config, ConfigError> {
        Config::resolve(self.settings()?, environment)
    }

    fn settings(&self) -> Result<Settings, ConfigError> {
        let mut settings = match &self.dbname {
            Some(dbname) if dbname.is_conninfo() => conninfo::parse(&dbname.0)?,
            dbname => {
                let mut settings = Settings::default();
                let dbname = dbname.as_ref().map(|dbname| &dbname.0);
                let given = [
                    ("host", self.host.as_ref()),
                    ("port", self.port.as_ref()),
                    ("user", self.user.as_ref()),
                    ("dbname", dbname),
                ];
                for (name, value) in given {
                    if let Some(value) = value.filter(|value| !value.is_empty()) {
                        settings.set(name, value)?;
                    }
                }
                settings
            }
        };
        if let Some(name) = &self.application_name
            && settings.get("fallback_application_name").is_none()
        {
            settings.set("fallback_application_name", name)?;
        }
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(dbname: &str) -> ConnectOptions {
        ConnectOptions {
            host: Some("db".into()),
            port: Some("6000".into()),
            user: Some("anna".into()),
            dbname: Some(dbname.into()),
            application_name: Some("barman_cloud_backup".into()),
        }
    }

    #[test]
    fn plain_options_are_taken_together() {
        let config = options("app").resolve(&Environment::empty()).unwrap();
        assert_eq!(config.to_string(), "host=db port=6000 user=anna dbname=app");
        assert_eq!(config.application_name(), Some("barman_cloud_backup"));
    }

    #[test]
    fn a_dbname_that_is_a_connection_string_replaces_the_rest() {
        let environment = Environment::empty().with_user("osuser");
        let config = options("host=other").resolve(&environment).unwrap();
        assert_eq!(
            config.to_string(),
            "host=other port=5432 user=osuser dbname=osuser"
        );
        let config = options("postgres://bert@third/x")
            .resolve(&environment)
            .unwrap();
        assert_eq!(
            config.to_string(),
            "host=third port=5432 user=bert dbname=x"
        );
        assert_eq!(config.application_name(), Some("barman_cloud_backup"));
    }

    #[test]
    fn an_application_name_of_the_user_wins() {
        let environment = Environment::empty().with_variable("PGAPPNAME", "mine");
        let config = options("app").resolve(&environment).unwrap();
        assert_eq!(config.application_name(), Some("mine"));
    }

    #[test]
    fn options_are_shown_without_the_password_of_a_connection_string() {
        let shown = format!("{:?}", options("host=db password=hush"));
        assert!(!shown.contains("hush"), "{shown}");
    }
}
