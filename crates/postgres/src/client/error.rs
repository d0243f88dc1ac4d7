//! What can go wrong between us and a server, in words that name the place, the cause and a fix.
//!
//! No error holds a password. What the server says is quoted as it came; what to do about it is in
//! `hint`, which is a sentence for people.

use std::fmt;
use std::io;
use std::time::Duration;

/// How bad the server says something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Ends the statement.
    Error,
    /// Ends the session.
    Fatal,
    /// Ends every session.
    Panic,
    /// Does not end anything: warning, notice, debug, info and log.
    Notice,
}

/// An error or a notice of the server, with the fields that people need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerError {
    /// How bad it is.
    pub severity: Severity,
    /// The severity in the server's language, such as `WARNING`.
    pub severity_text: String,
    /// The five characters of SQLSTATE.
    pub sqlstate: String,
    /// What happened.
    pub message: String,
    /// More about it.
    pub detail: Option<String>,
    /// The server's advice.
    pub hint: Option<String>,
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (SQLSTATE {})", self.message, self.sqlstate)?;
        match &self.detail {
            Some(detail) => write!(f, ": {detail}"),
            None => Ok(()),
        }
    }
}

/// Why a request to a connected server failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no session yet.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The server refused a statement.
    #[error("PostgreSQL: {0}")]
    Server(Box<ServerError>),
    /// The session ended underneath us.
    #[error("lost the connection to PostgreSQL: {0}")]
    Lost(#[source] io::Error),
    /// The server has not said anything for so long.
    #[error("PostgreSQL said nothing for {} seconds", .0.as_secs())]
    Silent(Duration),
    /// The session ended before this request, by an error or by `close`.
    #[error("the connection to PostgreSQL is closed")]
    Closed,
    /// The server said something that the protocol does not allow here.
    #[error("unexpected answer from PostgreSQL: {0}")]
    Protocol(String),
    /// A value is not UTF-8; a database in SQL_ASCII may hold such text.
    #[error("column \"{0}\" of the answer is not valid UTF-8")]
    NotUtf8(String),
    /// The rows of one answer are too many to hold.
    #[error("the answer of PostgreSQL is larger than {0} bytes")]
    TooLarge(usize),
    /// A statement holds a zero byte.
    #[error("the statement cannot be sent: {0}")]
    Statement(#[source] io::Error),
}

impl Error {
    /// For what `postgres-protocol` cannot read or write.
    pub(crate) fn protocol(error: io::Error) -> Error {
        Error::Protocol(error.to_string())
    }

    /// What the server said, if it was the server who refused.
    pub fn server(&self) -> Option<&ServerError> {
        match self {
            Error::Server(error) => Some(error),
            Error::Connect(error) => error.failures.iter().rev().find_map(|f| f.cause.server()),
            _ => None,
        }
    }

    /// SQLSTATE of the server's refusal.
    pub fn sqlstate(&self) -> Option<&str> {
        self.server().map(|error| error.sqlstate.as_str())
    }

    /// What a person can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::Connect(error) => error.hint(),
            Error::Server(error) => error.hint.clone(),
            Error::NotUtf8(column) => Some(format!("Encode {column} in SQL, as with encode().")),
            _ => None,
        }
    }
}

/// No server of the list gave a session: every attempt with its cause.
#[derive(Debug)]
pub struct ConnectError {
    /// The role that the session was for.
    pub role: String,
    /// The attempts, in order; never empty.
    pub failures: Vec<Failure>,
}

/// One failed attempt.
#[derive(Debug)]
pub struct Failure {
    /// What was tried: host, address and port, or the socket.
    pub place: String,
    /// Why it failed.
    pub cause: Cause,
}

/// Why one attempt failed.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// The name has no address.
    #[error("cannot resolve the host name: {0}")]
    Resolve(#[source] io::Error),
    /// No socket to the server.
    #[error("{0}")]
    Socket(#[source] io::Error),
    /// The attempt took too long.
    #[error("no answer within {} seconds", .0.as_secs())]
    TimedOut(Duration),
    /// The server went away while we were greeting it.
    #[error("the connection broke during the greeting: {0}")]
    Broken(#[source] io::Error),
    /// TLS failed: certificates, versions, or the server has none.
    #[error("TLS: {0}")]
    Tls(String),
    /// The server refused.
    #[error("{0}")]
    Server(Box<ServerError>),
    /// The server asks for a password and none is known.
    #[error("the server asks for a password and none is set")]
    NoPassword {
        /// Why the passfile was not used.
        passfile_problem: Option<String>,
    },
    /// The server asks for what we cannot, or must not, give.
    #[error("authentication: {0}")]
    Authentication(String),
    /// The server is not the kind that `target_session_attrs` asks for.
    #[error("the session is not {0}")]
    WrongSession(&'static str),
    /// The server's process does not run as the user that `requirepeer` names.
    #[error("requirepeer is \"{expected}\", but the server runs as {found}")]
    WrongPeer {
        /// The user asked for.
        expected: String,
        /// The user found.
        found: String,
    },
    /// The server does not speak the protocol.
    #[error("unexpected answer: {0}")]
    Protocol(String),
}

impl Cause {
    /// The server's own words, if it answered.
    pub fn server(&self) -> Option<&ServerError> {
        match self {
            Cause::Server(error) => Some(error),
            _ => None,
        }
    }

    /// Whether the next server of the list is tried after this. As in libpq, one that answers and
    /// refuses is not passed over, unless it is just starting up or shutting down (57P03).
    pub(crate) fn allows_next_host(&self) -> bool {
        match self {
            Cause::Server(error) => error.sqlstate == "57P03",
            Cause::Tls(_) | Cause::NoPassword { .. } | Cause::Authentication(_) => false,
            Cause::WrongPeer { .. } => false,
            _ => true,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Cause::Resolve(_) => "Check the host name and the name service.".to_owned(),
            Cause::Socket(error) if error.kind() == io::ErrorKind::NotFound => {
                "Is the server running, and does it use this socket directory? Set the host to \
                 the directory or the name that it listens on."
                    .to_owned()
            }
            Cause::Socket(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                "This user may not use the server's socket; check its directory's permissions."
                    .to_owned()
            }
            Cause::Socket(_) | Cause::TimedOut(_) => {
                "Is the server running on that host and accepting connections on that port?"
                    .to_owned()
            }
            Cause::NoPassword {
                passfile_problem: Some(problem),
            } => format!("Note: {problem}."),
            Cause::NoPassword {
                passfile_problem: None,
            } => "Put the password into ~/.pgpass (mode 0600), or set PGPASSWORD.".to_owned(),
            Cause::Server(error) => return error.hint.clone().or_else(|| sqlstate_hint(error)),
            _ => return None,
        };
        Some(hint)
    }
}

/// SQLSTATE: there is no such role, or `pg_hba.conf` does not let it in from here.
const INVALID_AUTHORIZATION: &str = "28000";

/// libpq's default for the role is the operating system's user, which `peer` insists on.
fn authorization_hint(role: &str) -> String {
    match role {
        "root" => "Nobody named a role, so it is that of the operating system. Run this as the \
                   server's own user, as with sudo -u postgres, or name a role (-U)."
            .to_owned(),
        role => format!(
            "Check that the role \"{role}\" exists and what the server's pg_hba.conf asks of it; \
             its method peer lets in only the operating system's user of that name, as with sudo \
             -u {role}."
        ),
    }
}

fn sqlstate_hint(error: &ServerError) -> Option<String> {
    let hint = match error.sqlstate.as_str() {
        "28P01" => "Check the password: the connection string, PGPASSWORD, or ~/.pgpass.",
        "3D000" => "Choose an existing database, such as postgres.",
        "53300" => "Raise max_connections, or close other sessions.",
        "57P03" => "Wait until the server has started.",
        _ => return None,
    };
    Some(hint.to_owned())
}

impl ConnectError {
    /// What a person can do about the last attempt.
    pub fn hint(&self) -> Option<String> {
        let cause = &self.failures.last()?.cause;
        match cause.server() {
            Some(error) if error.sqlstate == INVALID_AUTHORIZATION && error.hint.is_none() => {
                Some(authorization_hint(&self.role))
            }
            _ => cause.hint(),
        }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cannot connect to PostgreSQL")?;
        for (index, failure) in self.failures.iter().enumerate() {
            let glue = if index == 0 { " at " } else { "; at " };
            write!(f, "{glue}{}: {}", failure.place, failure.cause)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConnectError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.failures.last().map(|failure| &failure.cause as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(role: &str, sqlstate: &str) -> Option<String> {
        let refusal = ServerError {
            severity: Severity::Fatal,
            severity_text: "FATAL".to_owned(),
            sqlstate: sqlstate.to_owned(),
            message: format!("role \"{role}\" does not exist"),
            detail: None,
            hint: None,
        };
        let failure = Failure {
            place: "socket".to_owned(),
            cause: Cause::Server(Box::new(refusal)),
        };
        let error = ConnectError {
            role: role.to_owned(),
            failures: vec![failure],
        };
        error.hint()
    }

    #[test]
    fn who_runs_this_as_root_by_habit_is_told_as_whom_to_run_it() {
        let hint = refused("root", "28000").unwrap();
        assert!(
            hint.contains("sudo -u postgres") && hint.contains("-U"),
            "{hint}"
        );
        let hint = refused("anna", "28000").unwrap();
        assert!(
            hint.contains("\"anna\"") && hint.contains("pg_hba.conf"),
            "{hint}"
        );
        assert!(refused("root", "28P01").unwrap().contains("password"));
    }
}
