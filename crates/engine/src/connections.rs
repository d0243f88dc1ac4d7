//! Which connection of a server is for what: its options, turned into settings of a connection.

use model::config::server::BarmanServer;
use postgres::config::ConfigError;
use postgres::{Config, ConnectOptions, Environment, replication};

/// A connection that a server's options do not give.
#[derive(Debug, thiserror::Error)]
pub enum NoConnection {
    #[error("{0} is not set")]
    NotSet(&'static str),
    #[error("{option}: {cause}")]
    Bad {
        option: &'static str,
        #[source]
        cause: ConfigError,
    },
}

/// The name that the server shows for our ordinary sessions.
const NAME: &str = "barman";

/// An ordinary connection to the server.
///
/// # Errors
/// When `conninfo` is missing or wrong.
pub fn ordinary(server: &BarmanServer, environment: &Environment) -> Result<Config, NoConnection> {
    ordinary_of(server, &["conninfo"], environment)
}

/// An ordinary connection to the host that WAL comes from.
///
/// # Errors
/// When it is missing or wrong.
pub fn wal_host(server: &BarmanServer, environment: &Environment) -> Result<Config, NoConnection> {
    let options = ["wal_conninfo", "wal_streaming_conninfo", "conninfo"];
    ordinary_of(server, &options, environment)
}

/// The replication connection for backups and for questions.
///
/// # Errors
/// When `streaming_conninfo` is missing or wrong.
pub fn streaming(server: &BarmanServer, environment: &Environment) -> Result<Config, NoConnection> {
    let name = server.settings.text("streaming_backup_name");
    streaming_of(server, &["streaming_conninfo"], name, environment)
}

/// The replication connection that WAL is received over.
///
/// # Errors
/// When it is missing or wrong.
pub fn wal_streaming(
    server: &BarmanServer,
    environment: &Environment,
) -> Result<Config, NoConnection> {
    let options = ["wal_streaming_conninfo", "streaming_conninfo"];
    let name = server.settings.text("streaming_archiver_name");
    streaming_of(server, &options, name, environment)
}

/// The first of these options that is set, else the last one's absence.
fn first<'a>(
    server: &'a BarmanServer,
    options: &[&'static str],
) -> Result<(&'static str, &'a str), NoConnection> {
    let given = options
        .iter()
        .find_map(|option| Some((*option, server.settings.text(option)?)));
    given.ok_or(NoConnection::NotSet(options[options.len() - 1]))
}

fn ordinary_of(
    server: &BarmanServer,
    options: &[&'static str],
    environment: &Environment,
) -> Result<Config, NoConnection> {
    let (option, text) = first(server, options)?;
    let options = ConnectOptions {
        dbname: Some(text.into()),
        application_name: Some(NAME.to_owned()),
        ..ConnectOptions::default()
    };
    let config = options.resolve(environment);
    config.map_err(|cause| NoConnection::Bad { option, cause })
}

fn streaming_of(
    server: &BarmanServer,
    options: &[&'static str],
    name: Option<&str>,
    environment: &Environment,
) -> Result<Config, NoConnection> {
    let (option, text) = first(server, options)?;
    let config = replication::config(text, name.unwrap_or(NAME), environment);
    config.map_err(|cause| NoConnection::Bad { option, cause })
}
