//! A restore in words: what a dry run prints, a line for each step in the order of the steps.

use std::fmt;

use super::extraction::{Extraction, TablespaceLink};
use super::plan::RestorePlan;
use crate::size::pretty_size;

impl fmt::Display for RestorePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.extractions.len();
        writeln!(
            f,
            "backup {} is restored into {}: {count} object{} of {}, up to {} at a time",
            self.backup,
            self.destination.display(),
            if count == 1 { "" } else { "s" },
            pretty_size(self.download_bytes),
            self.effort.jobs.min(count),
        )?;
        for Extraction {
            file,
            size_bytes,
            target,
            ..
        } in &self.extractions
        {
            let (from, size, to) = (&self.source, pretty_size(*size_bytes), target.display());
            writeln!(f, "fetch {from}/{file} ({size}) and unpack it into {to}")?;
        }
        writeln!(
            f,
            "compare every file with the backup's manifest, if it has one"
        )?;
        for TablespaceLink {
            oid,
            name,
            location,
        } in &self.links
        {
            let to = location.display();
            writeln!(f, "link tablespace {name} (OID {oid}) to {to}")?;
        }
        writeln!(
            f,
            "flush all to disk, then put global/pg_control in its place"
        )
    }
}
