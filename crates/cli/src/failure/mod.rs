//! The only place that turns an error into words, a hint and an exit status.
//!
//! Commands return [`Failure`]; errors of the other crates become one here and nowhere else. The
//! statuses are those of Barman's cloud commands; see `docs/compatibility.md`.

mod from;
pub mod panic;

use std::process::ExitCode;

use crate::output::cloud_log::{Level, Log};

/// Why a program ends with a status other than 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 1: the operation failed in a way its caller can expect, such as a WAL file not found.
    Failed,
    /// 1 as well: a WAL file is not there, and the log ends before it; nothing is wrong.
    Absent,
    /// 1 as well: a WAL file is not there, but later ones are.
    Hole,
    /// 1 as well: a WAL file is not there, nor is anything else of its server.
    NothingThere,
    /// 2: the object store cannot be reached.
    Unreachable,
    /// 2 as well: a segment that was fetched ahead cannot be moved to where it is wanted.
    Spool,
    /// 2 as well: the command line of `barman` itself is wrong.
    ServerUsage,
    /// 3: the command line, or a name or pattern in it, is wrong.
    Usage,
    /// 4: anything else, such as a bucket that does not exist.
    Other,
    /// 63: a Barman server must not run this retry hook again (Barman's manual, "Hook Scripts").
    StopsHook,
    /// 200: PostgreSQL must stop recovery, for it would take a status up to 125 for the end of the
    /// archive (PostgreSQL manual, "restore_command").
    StopsRecovery,
    /// 128 + the number of the signal that stopped the command, as a shell would report it.
    Signal(u8),
}

impl Exit {
    /// The status as the operating system gets it.
    pub fn status(self) -> u8 {
        match self {
            Exit::Failed | Exit::Absent | Exit::Hole | Exit::NothingThere => 1,
            Exit::Unreachable | Exit::Spool | Exit::ServerUsage => 2,
            Exit::Usage => 3,
            Exit::Other => 4,
            Exit::StopsHook => 63,
            Exit::StopsRecovery => 200,
            Exit::Signal(number) => 128 + number,
        }
    }
}

/// A command that did not succeed: what is said about it and which status it ends with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Which status the program ends with.
    pub exit: Exit,
    /// The object and the cause; lower case, no full stop.
    pub what: String,
    /// A sentence about what to do, where a user can do something.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure without a hint.
    pub fn new(exit: Exit, what: impl Into<String>) -> Failure {
        Failure {
            exit,
            what: what.into(),
            hint: None,
        }
    }

    /// The same failure with a hint.
    pub fn with_hint(self, hint: impl Into<String>) -> Failure {
        Failure {
            hint: Some(hint.into()),
            ..self
        }
    }

    /// Writes the lines of the failure and gives its status.
    pub fn report(&self, log: &Log) -> ExitCode {
        let level = match self.exit {
            Exit::Absent => Level::Note,
            _ => Level::Error,
        };
        log.line(level, &self.what);
        if let Some(hint) = &self.hint {
            log.line(Level::Hint, hint);
        }
        ExitCode::from(self.exit.status())
    }
}
