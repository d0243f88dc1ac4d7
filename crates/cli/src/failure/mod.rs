//! Why a program does not succeed: what sort of failure it is, what is said, and what can be done.
//!
//! Commands return [`Failure`]; errors of the other crates become one in `from/`. What a front end
//! makes of it is in its `status.rs` and `advice.rs`: which number a kind ends in, and how advice
//! is worded.

mod advice;
mod from;
pub mod panic;

pub use advice::Advice;

use crate::output::cloud_log::{Level, Log};

/// What sort of failure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The command line, or a name, a pattern or a setting in it, is wrong.
    Usage,
    /// The work failed, or what was asked for is refused, as its caller can expect.
    Failed,
    /// No backup has that name.
    UnknownName,
    /// A WAL file is not there, and the log ends before it; nothing is wrong.
    Absent,
    /// A WAL file is not there, but later ones are.
    Hole,
    /// A WAL file is not there, nor is anything else of its server.
    NothingThere,
    /// The object store cannot be reached.
    Unreachable,
    /// A segment that was fetched ahead cannot be moved to where it is wanted.
    SpoolStuck,
    /// A hook was called for a backup that is not DONE: to call it again changes nothing.
    NotDone,
    /// What Barman has under that name is not built yet.
    NotBuilt,
    /// The signal of that number stopped the command.
    Signal(u8),
    /// A mistake in the program itself.
    Broken,
    /// Anything else, such as a bucket that does not exist.
    Other,
}

/// The status of a program that a signal stopped, as a shell would report it.
pub fn status_of_signal(number: u8) -> u8 {
    128 + number
}

/// A command that did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What sort of failure it is.
    pub kind: Kind,
    /// The object and the cause; lower case, no full stop.
    pub what: String,
    /// What to do, where a user can do something.
    pub advice: Option<Advice>,
}

impl Failure {
    /// A failure without advice.
    pub fn new(kind: Kind, what: impl Into<String>) -> Failure {
        Failure {
            kind,
            what: what.into(),
            advice: None,
        }
    }

    /// The same failure with advice that every front end gives in its own words.
    pub fn with_advice(self, advice: Advice) -> Failure {
        Failure {
            advice: Some(advice),
            ..self
        }
    }

    /// The same failure with a sentence of advice.
    pub fn with_hint(self, hint: impl Into<String>) -> Failure {
        self.with_advice(Advice::Sentence(hint.into()))
    }

    /// Writes the lines of the failure; `words` are the front end's for advice.
    pub fn tell(&self, log: &Log, words: impl Fn(&Advice) -> Option<String>) {
        let level = match self.kind {
            Kind::Absent => Level::Note,
            _ => Level::Error,
        };
        log.line(level, &self.what);
        if let Some(hint) = self.advice.as_ref().and_then(words) {
            log.line(Level::Hint, &hint);
        }
    }
}
