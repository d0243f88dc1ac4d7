//! What to connect to, complete: every keyword read, every default applied.
//!
//! Precedence as in libpq: explicit settings, then the service file, then the environment, then
//! defaults. A setting that this crate cannot honour is an error here, before any connection is
//! made; the list is in [`crate::conninfo::keyword`]. Certificates are read later, when a
//! connection needs them.

mod files;
pub mod hosts;
pub mod options;
pub mod values;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::Environment;
use crate::conninfo::passfile::{Entry, find_password};
use crate::conninfo::service::BadServiceFile;
use crate::conninfo::{self, BadConninfo, Settings, Source, keyword};
use files::Passfile;
use hosts::HostTarget;
use values::{ChannelBinding, SslCertMode, SslMode, SslNegotiation, TargetSession};

/// The limit for one connection attempt when `connect_timeout` is not set. libpq would wait for
/// ever; a backup that hangs is worse than one that fails.
pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// Settings that cannot be turned into a connection.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The connection string itself is wrong.
    #[error(transparent)]
    Conninfo(#[from] BadConninfo),
    /// A value that its keyword does not take.
    #[error("invalid value \"{value}\" for {keyword}, expected {expected}")]
    BadValue {
        /// The connection keyword.
        keyword: &'static str,
        /// What was given.
        value: String,
        /// What would be right.
        expected: String,
    },
    /// A port that is no number in range.
    #[error("invalid port, expected a number from 1 to 65535")]
    BadPort,
    /// Lists of different lengths.
    #[error("{hosts} hosts do not match {addresses} host addresses")]
    HostCount {
        /// Items of `host`.
        hosts: usize,
        /// Items of `hostaddr`.
        addresses: usize,
    },
    /// Lists of different lengths.
    #[error("{ports} ports do not match {hosts} hosts")]
    PortCount {
        /// Items of `port`.
        ports: usize,
        /// Hosts to connect to.
        hosts: usize,
    },
    /// A setting that would change the connection and is not supported.
    #[error("{setting} (from {source_name}) is not supported")]
    Unsupported {
        /// `keyword` or `keyword=value`.
        setting: String,
        /// Where it was set.
        source_name: String,
    },
    /// The service is in no service file.
    #[error("service \"{0}\" is defined in no service file")]
    NoService(String),
    /// PGSERVICEFILE names a file that is not there.
    #[error("service file {} does not exist", .0.display())]
    NoServiceFile(PathBuf),
    /// The service's section is broken.
    #[error("service file {}: {cause}", path.display())]
    ServiceFile {
        /// The file.
        path: PathBuf,
        /// What is wrong in it.
        cause: BadServiceFile,
    },
    /// The file is there and cannot be read.
    #[error("cannot read {}: {cause}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The default user is the operating system's, and that has no name.
    #[error("no user to connect as: none is set and the operating system's user has no name")]
    NoUser,
    /// Settings that contradict each other.
    #[error("{0}")]
    Conflict(&'static str),
}

/// TLS settings of a connection; files are read when a connection is made.
#[derive(Debug, Clone)]
pub(crate) struct TlsSettings {
    pub mode: SslMode,
    pub negotiation: SslNegotiation,
    pub cert_mode: SslCertMode,
    pub root: RootCertificates,
    pub default_crl: Option<PathBuf>,
    pub cert: Option<PathBuf>,
    pub key: Option<PathBuf>,
    pub sni: bool,
    pub tls12: bool,
    pub tls13: bool,
}

/// Where trusted certificate authorities come from.
#[derive(Debug, Clone)]
pub(crate) enum RootCertificates {
    /// `sslrootcert=system`.
    System,
    /// A file, which verification needs and the weaker modes use if it exists.
    File(PathBuf),
    /// No file named and no home directory to look in.
    Nowhere,
}

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
    pub(crate) hosts: Vec<(HostTarget, Option<Secret>)>,
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
pub(crate) struct Secret(pub String);

impl fmt::Debug for Secret {
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
        files::add_service(&mut settings, environment)?;
        add_environment(&mut settings, environment);
        refuse_unsupported(&settings)?;
        let text = |name| settings.get(name).filter(|value| !value.is_empty());
        let user = text("user")
            .or(environment.user())
            .ok_or(ConfigError::NoUser)?
            .to_owned();
        let dbname = text("dbname").unwrap_or(&user).to_owned();
        let tls = read_tls(&settings, environment)?;
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

    /// Pins a run-time parameter for the session, such as `search_path` to nothing.
    ///
    /// It travels in the startup packet, where PostgreSQL applies it after `options`: it wins over
    /// the user's own options and over `ALTER ROLE`/`ALTER DATABASE ... SET`.
    pub fn pin_parameter(&mut self, name: &str, value: &str) {
        self.parameters
            .retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.parameters.push((name.to_owned(), value.to_owned()));
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

fn read_tls(settings: &Settings, environment: &Environment) -> Result<TlsSettings, ConfigError> {
    let path = |name| {
        settings
            .get(name)
            .filter(|path| !path.is_empty())
            .map(PathBuf::from)
    };
    let in_home = |file: &str| Some(environment.home()?.join(".postgresql").join(file));
    let named_root = settings.get("sslrootcert").filter(|name| !name.is_empty());
    let mut mode = SslMode::read(settings)?;
    let root = match named_root {
        Some("system") => RootCertificates::System,
        Some(path) => RootCertificates::File(path.into()),
        None => in_home("root.crt").map_or(RootCertificates::Nowhere, RootCertificates::File),
    };
    if matches!(root, RootCertificates::System) {
        match settings.get("sslmode") {
            None | Some("" | "verify-full") => mode = SslMode::VerifyFull,
            Some(_) => {
                let conflict = "sslrootcert=system needs sslmode=verify-full";
                return Err(ConfigError::Conflict(conflict));
            }
        }
    }
    let negotiation = SslNegotiation::read(settings)?;
    let weak = matches!(mode, SslMode::Disable | SslMode::Allow | SslMode::Prefer);
    if negotiation == SslNegotiation::Direct && weak {
        let conflict = "sslnegotiation=direct needs sslmode=require or stronger";
        return Err(ConfigError::Conflict(conflict));
    }
    let (tls12, tls13) = read_tls_versions(settings)?;
    Ok(TlsSettings {
        mode,
        negotiation,
        cert_mode: SslCertMode::read(settings)?,
        root,
        default_crl: in_home("root.crl"),
        cert: path("sslcert").or_else(|| in_home("postgresql.crt")),
        key: path("sslkey").or_else(|| in_home("postgresql.key")),
        sni: values::on_by_default(settings, "sslsni")?,
        tls12,
        tls13,
    })
}

/// Which of TLS 1.2 and 1.3 lie between minimum and maximum; older ones are never spoken.
fn read_tls_versions(settings: &Settings) -> Result<(bool, bool), ConfigError> {
    let version = |keyword, default| {
        let word = settings.get(keyword).unwrap_or("");
        match word.to_ascii_lowercase().as_str() {
            "" => Ok(default),
            "tlsv1" => Ok(10),
            "tlsv1.1" => Ok(11),
            "tlsv1.2" => Ok(12),
            "tlsv1.3" => Ok(13),
            _ => Err(ConfigError::BadValue {
                keyword,
                value: word.to_owned(),
                expected: "TLSv1, TLSv1.1, TLSv1.2, TLSv1.3".to_owned(),
            }),
        }
    };
    let lowest = version("ssl_min_protocol_version", 12)?;
    let highest = version("ssl_max_protocol_version", 13)?;
    let within = |version| (lowest..=highest).contains(&version);
    match (within(12), within(13)) {
        (false, false) => Err(ConfigError::Conflict(
            "ssl_max_protocol_version allows neither TLS 1.2 nor 1.3",
        )),
        versions => Ok(versions),
    }
}

type HostsWithPasswords = Vec<(HostTarget, Option<Secret>)>;

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
        let secret = Some(Secret(password.to_owned()));
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
        (target, password.map(Secret))
    });
    (with_password.collect(), problem)
}

#[cfg(test)]
mod tests;
