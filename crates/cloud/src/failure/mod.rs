//! What went wrong with a store: errors say what they are, and a whole chain of them is read.
//!
//! [`kind`] is on the ground: every error that knows its kind and its hint implements
//! [`Explains`]. [`diagnose`] walks a chain of sources and knows no provider; [`hint`] helps where
//! only words are left. Words and exit codes are the command line's.

mod connectivity;
mod diagnose;
mod hint;
mod kind;

pub use connectivity::{ConnectivityError, check_connectivity};
pub(crate) use diagnose::innermost;
pub use diagnose::{Diagnosis, classify, diagnose};
pub use kind::{ErrorKind, Explained};
pub(crate) use kind::{Explains, Explanation};
