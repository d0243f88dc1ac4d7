//! A plan in words: what a dry run prints, one line for each backup and each run of WAL files.

use std::fmt;

use super::choose::Why;
use super::plan::{BackupFate, DeletionPlan};
use super::wal::WalRun;

impl fmt::Display for DeletionPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for fate in &self.backups {
            writeln!(f, "{fate}")?;
        }
        for run in &self.wal {
            writeln!(f, "{run}")?;
        }
        Ok(())
    }
}

impl fmt::Display for BackupFate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BackupFate { id, reason, goes } = self;
        match goes {
            Some(going) => {
                // The record itself is one of them.
                let objects = going.data.len() + going.annotations.len() + 1;
                write!(
                    f,
                    "backup {id} goes ({}): {reason}",
                    count(objects, "object")
                )
            }
            None => write!(f, "backup {id} stays: {reason}"),
        }
    }
}

impl fmt::Display for WalRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = if self.fate.goes() { "goes" } else { "stays" };
        write!(f, "WAL {}", self.first)?;
        if self.last != self.first {
            write!(f, " to {}", self.last)?;
        }
        write!(f, " {verb} ({}): {}", count(self.count, "file"), self.fate)
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::AskedFor => f.write_str("it is the one to delete"),
            Why::NotAskedFor => f.write_str("another one is to be deleted"),
            Why::Policy(reason) => reason.fmt(f),
            Why::NeededBy(child) => write!(f, "backup {child} builds on it"),
        }
    }
}

fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}
