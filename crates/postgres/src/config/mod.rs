//! What to connect to, complete: every keyword read, every default applied.
//!
//! Precedence as in libpq: explicit settings, then the service file, then the environment, then
//! defaults. A setting that this crate cannot honour is an error here, before any connection is
//! made; the list is in [`crate::conninfo::keyword`]. Certificates are read later, when a
//! connection needs them.

pub mod error;
mod files;
pub mod hosts;
pub mod options;
mod tls;
pub mod values;

use std::fmt;
use std::time::Duration;

use crate::Environment;
use crate::conninfo::passfile::{Entry, find_password};
use crate::conninfo::{self, Settings, Source, keyword};
pub use error::ConfigError;
use files::Passfile;
use hosts::HostTarget;
pub(crate) use tls::{RootCertificates, TlsSettings};
use values::{ChannelBinding, TargetSession};

/// The limit for one connection attempt when `connect_timeout` is not set. libpq would wait for
/// ever; a backup that hangs is worse than one that fails.
pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// TCP keepalive; `None` leaves a figure to the operating system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Keepalive {
    pub enabled: bool,
    pub idle: Option<Duration>,
    pub interval: Option<Duration>,
    pub count: Option<u32>,
    pub user_timeout: Option<Duration>,
}

/// Everything needed to connect. Cheap to clone; `Debug` and `Display` show no password.
#[derive(Clone)]
pub struct Config {
    pub(crate) hosts: Vec<(HostTarget, Option<Password>)>,
    pub(crate) user: String,
    pub(crate) dbname: String,
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) tls: TlsSettings,
    pub(crate) channel_binding: ChannelBinding,
    pub(crate) target_session: TargetSession,
    pub(crate) keepalive: Keepalive,
    pub(crate) require_peer: Option<String>,
    pub(crate) passfile_problem: Option<String>,
    /// Startup parameters besides user and database, in order.
    parameters: Vec<(String, String)>,
}

/// A value that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Password(pub String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

impl Config {
    /// Parses a connection string and completes it; see [`conninfo::parse`] for its forms.
    pub fn from_conninfo(text: &str, environment: &Environment) -> Result<Self, ConfigError> {
        Self::resolve(conninfo::parse(text)?, environment)
    }

    /// Completes explicit settings from service file, environment, passfile and defaults.
    ///
    /// Reads the service file if a service is named, and the passfile if no password is set.
    pub fn resolve(mut settings: Settings, environment: &Environment) -> Result<Self, ConfigError> {
        refuse_bytes(&settings, environment)?;
        files::add_service(&mut settings, environment)?;
        add_environment(&mut settings, environment);
        refuse_unsupported(&settings)?;
        let text = |name| settings.get(name).filter(|value| !value.is_empty());
        let user = text("user")
            .or(environment.user())
            .ok_or(ConfigError::NoUser)?
            .to_owned();
        let dbname = text("dbname").unwrap_or(&user).to_owned();
        let tls = tls::read(&settings, environment)?;
        let (hosts, passfile_problem) = {
            let targets = hosts::read(&settings)?;
            let who = (user.as_str(), dbname.as_str());
            add_passwords(targets, who, &settings, environment)
        };
        Ok(Self {
            hosts,
            connect_timeout: read_connect_timeout(&settings)?,
            channel_binding: ChannelBinding::read(&settings)?,
            target_session: TargetSession::read(&settings)?,
            keepalive: read_keepalive(&settings)?,
            require_peer: text("requirepeer").map(str::to_owned),
            parameters: read_parameters(&settings, environment),
            passfile_problem,
            user,
            dbname,
            tls,
        })
    }

    /// The servers to try, in order.
    pub fn hosts(&self) -> impl Iterator<Item = &HostTarget> {
        self.hosts.iter().map(|(host, _)| host)
    }

    /// The user to connect as.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The database to connect to.
    pub fn dbname(&self) -> &str {
        &self.dbname
    }

    /// The name the session shows in `pg_stat_activity`.
    pub fn application_name(&self) -> Option<&str> {
        let found = self
            .parameters
            .iter()
            .find(|(name, _)| name == "application_name");
        found.map(|(_, value)| value.as_str())
    }

    /// The startup packet's parameters. Text comes as UTF-8 because nothing else can be asked for.
    pub(crate) fn startup_parameters(&self) -> impl Iterator<Item = (&str, &str)> {
        let fixed = [
            ("user", self.user()),
            ("database", self.dbname()),
            CLIENT_ENCODING,
        ];
        let more = self
            .parameters
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        fixed.into_iter().chain(more)
    }
}

const CLIENT_ENCODING: (&str, &str) = ("client_encoding", "UTF8");

impl fmt::Display for Config {
    /// Hosts, ports, user and database as in a connection string, for messages.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = |target: &HostTarget| match &target.address {
            hosts::Address::Socket(directory) => directory.display().to_string(),
            hosts::Address::Name(name) => name.clone(),
            hosts::Address::Numeric { address, name } => {
                name.clone().unwrap_or_else(|| address.to_string())
            }
        };
        let names: Vec<_> = self.hosts().map(host).collect();
        let ports: Vec<_> = self.hosts().map(|target| target.port.to_string()).collect();
        let (names, ports) = (names.join(","), ports.join(","));
        write!(
            f,
            "host={names} port={ports} user={} dbname={}",
            self.user, self.dbname
        )
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("hosts", &self.hosts)
            .field("user", &self.user)
            .field("dbname", &self.dbname)
            .field("tls", &self.tls)
            .field("parameters", &self.parameters)
            .finish_non_exhaustive()
    }
}

fn add_environment(settings: &mut Settings, environment: &Environment) {
    for keyword in keyword::KEYWORDS {
        if let Some(variable) = keyword.variable
            && let Some(value) = environment.variable(variable)
        {
            settings.add(keyword, value, Source::Variable(variable));
        }
    }
    // Documented as deprecated, still read by libpq.
    if let Some(sslmode) = keyword::find("sslmode")
        && environment
            .variable("PGREQUIRESSL")
            .is_some_and(|value| value.starts_with('1'))
    {
        settings.add(sslmode, "require", Source::Variable("PGREQUIRESSL"));
    }
}

/// A variable that would be passed over for its bytes is refused instead, unless something stronger
/// is set.
fn refuse_bytes(settings: &Settings, environment: &Environment) -> Result<(), ConfigError> {
    const OTHERS: [&str; 4] = ["PGSYSCONFDIR", "PGDATESTYLE", "PGTZ", "PGGEQO"];
    let unset = keyword::KEYWORDS
        .iter()
        .filter(|keyword| settings.get(keyword.name).is_none());
    let mut read = unset.filter_map(|keyword| keyword.variable).chain(OTHERS);
    match read.find(|name| environment.is_not_text(name)) {
        Some(name) => Err(ConfigError::NotText(name)),
        None => Ok(()),
    }
}

fn refuse_unsupported(settings: &Settings) -> Result<(), ConfigError> {
    let Some((name, value, source)) = settings.unsupported() else {
        return Ok(());
    };
    let setting = value.map_or_else(|| name.to_owned(), |value| format!("{name}={value}"));
    Err(ConfigError::Unsupported {
        setting,
        source_name: source.to_string(),
    })
}

fn read_connect_timeout(settings: &Settings) -> Result<Option<Duration>, ConfigError> {
    Ok(match values::number(settings, "connect_timeout")? {
        None => Some(DEFAULT_CONNECT_TIMEOUT),
        // libpq: zero and negative values mean to wait indefinitely, and one second means two.
        Some(seconds) if seconds <= 0 => None,
        Some(seconds) => Some(Duration::from_secs(seconds.max(2).unsigned_abs().into())),
    })
}

fn read_keepalive(settings: &Settings) -> Result<Keepalive, ConfigError> {
    let positive = |name| -> Result<Option<u32>, ConfigError> {
        let number = values::number(settings, name)?;
        Ok(number.filter(|number| *number > 0).map(i32::unsigned_abs))
    };
    let seconds = |name| -> Result<Option<Duration>, ConfigError> {
        Ok(positive(name)?.map(|seconds| Duration::from_secs(seconds.into())))
    };
    Ok(Keepalive {
        enabled: values::on_by_default(settings, "keepalives")?,
        idle: seconds("keepalives_idle")?,
        interval: seconds("keepalives_interval")?,
        count: positive("keepalives_count")?,
        user_timeout: positive("tcp_user_timeout")?
            .map(|milliseconds| Duration::from_millis(milliseconds.into())),
    })
}

/// Startup parameters in the order libpq sends them.
fn read_parameters(settings: &Settings, environment: &Environment) -> Vec<(String, String)> {
    let text = |name| settings.get(name).filter(|value| !value.is_empty());
    let session = |name| {
        environment
            .variable(name)
            .filter(|value| *value != "default")
    };
    let found = [
        ("replication", text("replication")),
        ("options", text("options")),
        (
            "application_name",
            text("application_name").or(text("fallback_application_name")),
        ),
        ("datestyle", session("PGDATESTYLE")),
        ("timezone", session("PGTZ")),
        ("geqo", session("PGGEQO")),
    ];
    let given = found
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)));
    given
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

type HostsWithPasswords = Vec<(HostTarget, Option<Password>)>;

/// Gives each host its password: the one that is set, else the passfile's for this host.
fn add_passwords(
    targets: Vec<HostTarget>,
    (user, dbname): (&str, &str),
    settings: &Settings,
    environment: &Environment,
) -> (HostsWithPasswords, Option<String>) {
    if let Some(password) = settings
        .get("password")
        .filter(|password| !password.is_empty())
    {
        let secret = Some(Password(password.to_owned()));
        return (
            targets
                .into_iter()
                .map(|target| (target, secret.clone()))
                .collect(),
            None,
        );
    }
    let (text, problem) = match files::read_passfile(settings, environment) {
        Passfile::Absent => (String::new(), None),
        Passfile::Ignored(reason) => (String::new(), Some(reason)),
        Passfile::Text(text) => (text, None),
    };
    let with_password = targets.into_iter().map(|target| {
        let (host, port) = (target.passfile_host(), target.port.to_string());
        let entry = Entry {
            host: &host,
            port: &port,
            dbname,
            user,
        };
        let password = find_password(&text, entry).filter(|password| !password.is_empty());
        (target, password.map(Password))
    });
    (with_password.collect(), problem)
}

#[cfg(test)]
mod tests;
