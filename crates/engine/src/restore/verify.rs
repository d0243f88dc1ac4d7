//! Comparing what was written with the manifest that came in the backup.
//!
//! Only backups with a manifest in PostgreSQL's format can be compared: ours, and those that
//! Barman took with `pg_basebackup`. Always true: a file that the manifest lists and that was not
//! written whole is an error.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use model::format::backup_manifest::{self, FileChecksum};
use model::wal::lsn::Lsn;

use super::extract::{WrittenFile, path_hash};

/// What the comparison could say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verified {
    /// Every file of the manifest is there with its size and CRC32C.
    EveryFile { count: usize },
    /// The backup has no manifest.
    NoManifest,
}

/// What the comparison found.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    #[error("cannot read {path}")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{path} is damaged: {cause}")]
    Manifest { path: PathBuf, cause: String },
    #[error("{count} files differ from the backup manifest; the first is {first}: {cause}")]
    Differs {
        count: usize,
        first: String,
        cause: &'static str,
    },
}

/// Compares the written files with `backup_manifest` in the restored directory, if there is one.
///
/// # Errors
/// When the manifest is damaged or a file of it is missing or differs.
pub fn compare(
    destination: &Path,
    begin_lsn: Option<Lsn>,
    written: Vec<WrittenFile>,
) -> Result<Verified, VerifyError> {
    let path = destination.join("backup_manifest");
    let content = match std::fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Verified::NoManifest),
        content => content.map_err(|source| VerifyError::Read {
            path: path.clone(),
            source,
        })?,
    };
    let manifest = backup_manifest::parse(&content).map_err(|error| VerifyError::Manifest {
        path: path.clone(),
        cause: error.to_string(),
    })?;
    let mut ranges = manifest.wal_ranges.iter();
    if !ranges.any(|range| Some(range.start) == begin_lsn) {
        // pg_basebackup leaves its manifest in the data directory of a new standby, and Barman
        // archives it as any other file: it says nothing about this backup.
        std::fs::remove_file(&path).map_err(|source| VerifyError::Read { path, source })?;
        return Ok(Verified::NoManifest);
    }
    let by_path: HashMap<u64, WrittenFile> = written
        .into_iter()
        .map(|file| (file.path_hash, file))
        .collect();
    let mut count = 0;
    let mut first = None;
    for file in &manifest.files {
        let found = by_path.get(&path_hash(&file.path));
        let cause = match found {
            None => "it is missing",
            Some(found) if found.size_bytes != file.size => "its size differs",
            Some(found) if differs(&file.checksum, found.crc32c) => "its checksum differs",
            Some(_) => continue,
        };
        count += 1;
        first.get_or_insert((String::from_utf8_lossy(&file.path).into_owned(), cause));
    }
    match first {
        None => Ok(Verified::EveryFile {
            count: manifest.files.len(),
        }),
        Some((first, cause)) => Err(VerifyError::Differs {
            count,
            first,
            cause,
        }),
    }
}

/// Only CRC32C is computed while files are written; other algorithms are `pg_verifybackup`'s.
fn differs(recorded: &FileChecksum, crc32c: u32) -> bool {
    matches!(recorded, FileChecksum::Crc32c(expected) if *expected != crc32c)
}
