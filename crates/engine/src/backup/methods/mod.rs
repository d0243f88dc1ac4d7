//! The ways in which a backup comes about: a file a method.
//!
//! `local` copies a cluster of this host; `existing` sends a backup that a server has taken before.

pub mod existing;
pub mod local;
