//! The options that several commands share, each group in a file of its own.

pub mod compression;
pub mod encryption;
pub mod every_command;
pub mod hook;
pub mod place;
pub mod providers;
pub mod source;
pub mod stats;
pub mod tags;
