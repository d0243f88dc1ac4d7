//! What a command says: lines and progress on standard error, and its result on standard output.

pub mod backup_report;
pub mod catalogue_notes;
pub mod cloud_log;
pub mod damaged_pages;
mod events;
pub mod progress;

use std::io;

use crate::arguments;
use crate::failure::{Failure, Kind};

/// Writes a result to standard output.
pub fn print(text: &str) -> Result<(), Failure> {
    let failed = |error: io::Error| {
        Failure::new(
            Kind::Other,
            format!("cannot write to standard output: {error}"),
        )
    };
    arguments::print(text).map_err(failed)
}
