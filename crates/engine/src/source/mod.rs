//! What there is to copy, and reading it while the server writes to it.
//!
//! `walk` lists a directory tree into `entries`, with the help of `names`; `file` reads one file.

pub mod entries;
pub mod file;
mod names;
pub mod walk;
