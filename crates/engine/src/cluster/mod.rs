//! A server as it says itself: the session, its facts, its archiver, its control file.
//!
//! Whatever is done with a server begins here: a backup, a check, a status.

pub mod archiving;
pub mod backup_session;
pub mod control;
pub mod facts;
pub mod session;
