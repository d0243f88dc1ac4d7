//! The kinds of failure, and how an error says which one it is.
//!
//! An error that knows what it means to the user implements [`Explains`] where it happens, and goes
//! into a chain of sources as [`Explained`], by which `diagnose` finds it without knowing its type.

use std::error::Error as StdError;
use std::fmt;

/// The kinds of failure that a caller branches on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// No answer: DNS, connection, TLS handshake or a time limit. Barman's exit code 2.
    Unreachable,
    /// The bucket, or the directory that stands for it, does not exist.
    MissingBucket,
    /// The store answered and refused: credentials, signature, clock or permissions.
    Denied,
    /// The bucket is there, the object is not.
    NotFound,
    /// Anything else.
    Other,
}

/// An error that says by itself what it is.
pub(crate) trait Explains: StdError + Send + Sync + 'static {
    /// What it is.
    fn explain(&self) -> Explanation;
}

/// What an error says about itself.
pub(crate) enum Explanation {
    /// This is the failure, whatever is below it.
    Cause {
        kind: ErrorKind,
        /// One line for people.
        text: String,
        /// What the user can do, when the error knows it.
        hint: Option<&'static str>,
    },
    /// No answer came; the innermost error says why.
    Unanswered,
    /// How often and how long it was tried; what it was is below.
    Effort,
}

/// An error in a chain of sources that can be asked what it is; its text is the error's own.
#[derive(Debug)]
pub struct Explained(Box<dyn Explains>);

impl Explained {
    /// What callers branch on.
    pub fn kind(&self) -> ErrorKind {
        match self.0.explain() {
            Explanation::Cause { kind, .. } => kind,
            Explanation::Unanswered => ErrorKind::Unreachable,
            Explanation::Effort => ErrorKind::Other,
        }
    }

    /// What the user can do, when the error knows it.
    pub fn hint(&self) -> Option<&'static str> {
        match self.0.explain() {
            Explanation::Cause { hint, .. } => hint,
            Explanation::Unanswered | Explanation::Effort => None,
        }
    }

    pub(crate) fn explain(&self) -> Explanation {
        self.0.explain()
    }

    /// Whether it is an error of this type.
    pub(crate) fn is<E: Explains>(&self) -> bool {
        let error: &(dyn StdError + 'static) = &*self.0;
        error.is::<E>()
    }
}

impl<E: Explains> From<E> for Explained {
    fn from(error: E) -> Explained {
        Explained(Box::new(error))
    }
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StdError for Explained {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source()
    }
}
