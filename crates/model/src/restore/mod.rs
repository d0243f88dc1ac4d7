//! Restoring: which backup serves a target, and what a restore will do.

pub mod plan;
pub mod tablespaces;
