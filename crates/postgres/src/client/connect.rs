//! Which server of the list gets the session, and with which protection.
//!
//! Each address is tried in order, each under the connection timeout. As in libpq, a server that
//! answers and refuses ends the search; one that cannot be reached, or is not the kind that is
//! looked for, does not. Source: PostgreSQL manual, "Specifying Multiple Hosts" and "SSL Support".

use std::sync::Arc;

use tokio::time::timeout;

use super::authenticate::{Channel, open_session};
use super::error::{Cause, ConnectError, Error, Failure};
use super::route::{Encryption, Endpoint, Route, resolve};
use super::session::Client;
use super::wire::Wire;
use crate::config::hosts::HostTarget;
use crate::config::values::{SslMode, TargetSession};
use crate::config::{Config, Password};

impl Client {
    /// Connects to the first server of the list that gives a session.
    ///
    /// # Errors
    /// With what each server of the list answered.
    pub async fn connect(config: &Config) -> Result<Client, ConnectError> {
        connect(config).await
    }
}

/// Tries the servers in order; with `prefer-standby` a second time for any.
async fn connect(config: &Config) -> Result<Client, ConnectError> {
    let config = Arc::new(config.clone());
    let mut search = Search {
        config: &config,
        failures: Vec::new(),
        ended: false,
    };
    let rounds: &[TargetSession] = match config.target_session {
        TargetSession::PreferStandby => &[TargetSession::Standby, TargetSession::Any],
        ref other => std::slice::from_ref(other),
    };
    for wanted in rounds {
        for (target, password) in &config.hosts {
            if let Some(client) = search.try_target(target, password.as_ref(), *wanted).await {
                return Ok(client);
            }
            if search.ended {
                return Err(ConnectError {
                    role: config.user.clone(),
                    failures: search.failures,
                });
            }
        }
    }
    Err(ConnectError {
        role: config.user.clone(),
        failures: search.failures,
    })
}

struct Search<'a> {
    config: &'a Arc<Config>,
    failures: Vec<Failure>,
    /// A server answered and refused: nobody else is asked.
    ended: bool,
}

impl Search<'_> {
    async fn try_target(
        &mut self,
        target: &HostTarget,
        password: Option<&Password>,
        wanted: TargetSession,
    ) -> Option<Client> {
        let endpoints = match self.limited(resolve(target)).await {
            Ok(endpoints) => endpoints,
            Err(cause) => {
                self.failures.push(Failure {
                    place: target.to_string(),
                    cause,
                });
                return None;
            }
        };
        for endpoint in endpoints {
            for encryption in encryptions(self.config.tls.mode, &endpoint) {
                let route = Route {
                    config: Arc::clone(self.config),
                    target: target.clone(),
                    endpoint: endpoint.clone(),
                    encryption: *encryption,
                };
                match self.limited(open(&route, password, wanted)).await {
                    Ok(client) => return Some(client),
                    Err(cause) => {
                        self.ended = !cause.allows_next_host();
                        // What another mode cannot mend is not tried again in one.
                        let mendable = matches!(cause, Cause::Tls(_) | Cause::Server(_));
                        let place = place(&route, &cause);
                        self.failures.push(Failure { place, cause });
                        if !mendable {
                            break;
                        }
                    }
                }
            }
            if self.ended {
                return None;
            }
        }
        None
    }

    /// Runs one attempt under the connection timeout.
    async fn limited<T>(
        &self,
        attempt: impl Future<Output = Result<T, Cause>>,
    ) -> Result<T, Cause> {
        match self.config.connect_timeout {
            Some(limit) => timeout(limit, attempt)
                .await
                .unwrap_or(Err(Cause::TimedOut(limit))),
            None => attempt.await,
        }
    }
}

/// Where it failed; two attempts that differ in TLS alone are told apart.
fn place(route: &Route, cause: &Cause) -> String {
    match (route.encryption, cause) {
        (Encryption::Plain, _) | (_, Cause::Socket(_) | Cause::Tls(_)) => route.place(),
        _ => format!("{} with TLS", route.place()),
    }
}

/// The protections to try, in order. Unix sockets never have TLS.
fn encryptions(mode: SslMode, endpoint: &Endpoint) -> &'static [Encryption] {
    match (endpoint, mode) {
        (Endpoint::Unix(_), _) | (_, SslMode::Disable) => &[Encryption::Plain],
        (_, SslMode::Allow) => &[Encryption::Plain, Encryption::Needed],
        (_, SslMode::Prefer) => &[Encryption::IfOffered, Encryption::Plain],
        (_, SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull) => &[Encryption::Needed],
    }
}

async fn open(
    route: &Route,
    password: Option<&Password>,
    wanted: TargetSession,
) -> Result<Client, Cause> {
    let (transport, channel) = route.open().await?;
    let mut wire = Wire::new(transport);
    let facts = open_session(&mut wire, &route.config, password, &channel).await?;
    let encrypted = matches!(channel, Channel::Tls { .. });
    let mut client = Client::new(wire, facts, route.clone(), encrypted);
    check_session(&mut client, wanted).await?;
    Ok(client)
}

/// Whether the session is the kind that is looked for. PostgreSQL 14 and later report it by
/// themselves; older ones are asked.
async fn check_session(client: &mut Client, wanted: TargetSession) -> Result<(), Cause> {
    let fits = match wanted {
        TargetSession::Any | TargetSession::PreferStandby => true,
        TargetSession::Primary => !in_recovery(client).await?,
        TargetSession::Standby => in_recovery(client).await?,
        TargetSession::ReadWrite => !read_only(client).await?,
        TargetSession::ReadOnly => read_only(client).await?,
    };
    if fits {
        Ok(())
    } else {
        Err(Cause::WrongSession(wanted.word()))
    }
}

async fn in_recovery(client: &mut Client) -> Result<bool, Cause> {
    match client.parameter("in_hot_standby") {
        Some(value) => Ok(value == "on"),
        None => Ok(ask(client, "SELECT pg_catalog.pg_is_in_recovery()").await? == "t"),
    }
}

async fn read_only(client: &mut Client) -> Result<bool, Cause> {
    let reported = client
        .parameter("default_transaction_read_only")
        .map(|value| value == "on");
    match reported {
        Some(by_default) => Ok(by_default || in_recovery(client).await?),
        None => Ok(ask(client, "SHOW transaction_read_only").await? == "on"),
    }
}

async fn ask(client: &mut Client, sql: &str) -> Result<String, Cause> {
    match client.query(sql).await {
        Ok(rows) => {
            let value = rows.first().and_then(|row| row.get(0)).map(str::to_owned);
            value.ok_or_else(|| Cause::Protocol("no row about the kind of session".to_owned()))
        }
        Err(Error::Server(error)) => Err(Cause::Server(error)),
        Err(error) => Err(Cause::Protocol(error.to_string())),
    }
}
