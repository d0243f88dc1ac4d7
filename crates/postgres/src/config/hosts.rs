//! The list of servers to try, out of `host`, `hostaddr` and `port`.
//!
//! Source: PostgreSQL manual, "Specifying Multiple Hosts" and "Parameter Key Words". Without a
//! host, libpq tries the one socket directory it was built with; we try Debian's and then the
//! upstream default, because one program serves both.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use super::ConfigError;
use crate::conninfo::Settings;

/// Socket directories that servers use by default: Debian's and Red Hat's, then upstream's.
pub const DEFAULT_SOCKET_DIRECTORIES: [&str; 2] = ["/var/run/postgresql", "/tmp"];

/// The port when none is set.
pub const DEFAULT_PORT: u16 = 5432;

/// Where one server may be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A Unix socket in this directory; `@` at the start stands for the abstract namespace.
    Socket(PathBuf),
    /// A name to resolve.
    Name(String),
    /// An address that needs no look-up, with the name the server's certificate should bear.
    Numeric {
        /// `hostaddr`.
        address: IpAddr,
        /// `host`, if that was given too.
        name: Option<String>,
    },
}

/// One server of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostTarget {
    /// How to reach it.
    pub address: Address,
    /// The TCP port, which is part of a socket's name as well.
    pub port: u16,
}

impl HostTarget {
    /// The path of the Unix socket, if it is one.
    pub fn socket_path(&self) -> Option<PathBuf> {
        match &self.address {
            Address::Socket(directory) => Some(directory.join(format!(".s.PGSQL.{}", self.port))),
            _ => None,
        }
    }

    /// The name that a certificate must bear for `verify-full`.
    pub fn tls_name(&self) -> Option<&str> {
        match &self.address {
            Address::Socket(_) => None,
            Address::Name(name) => Some(name),
            Address::Numeric { name, .. } => name.as_deref(),
        }
    }

    /// The host as a passfile line names it.
    pub(super) fn passfile_host(&self) -> String {
        match &self.address {
            Address::Socket(directory) => {
                let directory = directory.to_string_lossy();
                let default = DEFAULT_SOCKET_DIRECTORIES.contains(&&*directory);
                if default {
                    "localhost".to_owned()
                } else {
                    directory.into_owned()
                }
            }
            Address::Name(name) => name.clone(),
            Address::Numeric { address, name } => {
                name.clone().unwrap_or_else(|| address.to_string())
            }
        }
    }
}

impl fmt::Display for HostTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            Address::Socket(directory) => {
                write!(f, "socket {}/.s.PGSQL.{}", directory.display(), self.port)
            }
            Address::Name(name) => write!(f, "host \"{name}\", port {}", self.port),
            Address::Numeric {
                address,
                name: None,
            } => {
                write!(f, "host \"{address}\", port {}", self.port)
            }
            Address::Numeric {
                address,
                name: Some(name),
            } => {
                write!(f, "host \"{name}\" ({address}), port {}", self.port)
            }
        }
    }
}

/// Reads the three lists. Their lengths must agree, except that one port serves all hosts.
pub(super) fn read(settings: &Settings) -> Result<Vec<HostTarget>, ConfigError> {
    let list = |name| {
        settings
            .get(name)
            .filter(|text| !text.is_empty())
            .map(split_list)
    };
    let (hosts, addresses) = (list("host"), list("hostaddr"));
    let count = addresses.as_ref().or(hosts.as_ref()).map_or(1, Vec::len);
    if let (Some(hosts), Some(addresses)) = (&hosts, &addresses)
        && hosts.len() != addresses.len()
    {
        let (hosts, addresses) = (hosts.len(), addresses.len());
        return Err(ConfigError::HostCount { hosts, addresses });
    }
    let ports = list("port").unwrap_or_default();
    if ports.len() > 1 && ports.len() != count {
        return Err(ConfigError::PortCount {
            ports: ports.len(),
            hosts: count,
        });
    }
    let mut targets = Vec::new();
    for index in 0..count {
        let pick = |list: &Option<Vec<&str>>| {
            let item = list.as_ref().map(|list| list[index].to_owned());
            item.filter(|item| !item.is_empty())
        };
        let port = ports.get(if ports.len() > 1 { index } else { 0 }).copied();
        let port = parse_port(port.unwrap_or_default())?;
        add_targets(&mut targets, pick(&hosts), pick(&addresses), port)?;
    }
    Ok(targets)
}

fn add_targets(
    targets: &mut Vec<HostTarget>,
    host: Option<String>,
    hostaddr: Option<String>,
    port: u16,
) -> Result<(), ConfigError> {
    let mut add = |address| targets.push(HostTarget { address, port });
    match (host, hostaddr) {
        (name, Some(text)) => {
            let bad = || ConfigError::BadValue {
                keyword: "hostaddr",
                value: text.clone(),
                expected: "a numeric IPv4 or IPv6 address".to_owned(),
            };
            let address = text.parse().map_err(|_| bad())?;
            add(Address::Numeric { address, name });
        }
        (Some(host), None) if host.starts_with(['/', '@']) => add(Address::Socket(host.into())),
        (Some(host), None) => add(Address::Name(host)),
        (None, None) => {
            for directory in DEFAULT_SOCKET_DIRECTORIES {
                add(Address::Socket(directory.into()));
            }
        }
    }
    Ok(())
}

fn split_list(text: &str) -> Vec<&str> {
    text.split(',').map(str::trim).collect()
}

/// The value is not repeated: in a URI with an unescaped password it may be a part of it.
fn parse_port(text: &str) -> Result<u16, ConfigError> {
    match text {
        "" => Ok(DEFAULT_PORT),
        text => text
            .parse()
            .ok()
            .filter(|port| *port > 0)
            .ok_or(ConfigError::BadPort),
    }
}
