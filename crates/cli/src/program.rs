//! One of the names this program answers to, and a call of it.
//!
//! The table of them is in `main.rs`; a command that speaks of all of them, as `barman` does when
//! it installs them, is handed the table with its call.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Command;

/// A name with what is done under it.
pub struct Program {
    /// The name that it is started by.
    pub name: &'static str,
    /// Runs it.
    pub run: fn(Call) -> ExitCode,
    /// The status of a mistake in the program itself, when it has these words.
    pub broken_status: fn(&[OsString]) -> u8,
    /// Its command line, for manual pages and completions.
    pub command_line: fn(&'static str) -> Command,
}

/// How a program was started.
pub struct Call {
    /// The name of the program.
    pub name: &'static str,
    /// The words that follow the name.
    pub words: Vec<OsString>,
    /// All names.
    pub programs: &'static [Program],
}
