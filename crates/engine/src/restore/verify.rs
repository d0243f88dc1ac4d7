//! Comparing what was written with the manifest that came in the backup.
//!
//! Only backups with a manifest in PostgreSQL's format can be compared: ours, and those that
//! Barman took with `pg_basebackup`. Always true: a file that the manifest lists and that was not
//! written whole is an error.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use model::format::backup_manifest::{
    self, BadManifest, FileChecksum, Manifest, ManifestDigest, ManifestFile,
};
use model::wal::lsn::Lsn;

use super::written::{WrittenList, WrittenTable};

/// What the comparison could say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verified {
    /// Every file of the manifest is there with its size and CRC32C.
    EveryFile { count: usize },
    /// The backup has no manifest.
    NoManifest,
    /// The manifest was another backup's, and was removed.
    ForeignManifest { begin: Option<Lsn> },
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

/// Compares the written files with `backup_manifest` in the restored directory, if there is one. It
/// is this backup's if it begins where one of `begins` is.
///
/// # Errors
/// When the manifest is damaged or a file of it is missing or differs.
pub fn compare(
    destination: &Path,
    begins: &[Lsn],
    written: &WrittenList,
) -> Result<Verified, VerifyError> {
    let path = destination.join("backup_manifest");
    let file = match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Verified::NoManifest),
        file => file.map_err(|source| unreadable(&path, source))?,
    };
    let written = written.finish();
    let mut comparison = Comparison {
        written: written.map_err(|source| unreadable(destination, source))?,
        count: 0,
        first: None,
    };
    let manifest = read_manifest(file, |file| comparison.look_at(&file));
    let manifest = manifest.map_err(|error| VerifyError::Manifest {
        path: path.clone(),
        cause: error.to_string(),
    })?;
    let mut ranges = manifest.wal_ranges.iter();
    if !ranges.any(|range| begins.contains(&range.start)) {
        // pg_basebackup leaves its manifest in the data directory of a new standby, and Barman
        // archives it as any other file: it says nothing about this backup.
        std::fs::remove_file(&path).map_err(|source| unreadable(&path, source))?;
        let begin = manifest.wal_ranges.first().map(|range| range.start);
        return Ok(Verified::ForeignManifest { begin });
    }
    match comparison.first {
        None => Ok(Verified::EveryFile {
            count: manifest.file_count,
        }),
        Some((first, cause)) => Err(VerifyError::Differs {
            count: comparison.count,
            first,
            cause,
        }),
    }
}

fn unreadable(path: &Path, source: io::Error) -> VerifyError {
    VerifyError::Read {
        path: path.to_path_buf(),
        source,
    }
}

/// Reads a manifest once; a million files need not be in memory for it.
fn read_manifest(file: File, show: impl FnMut(ManifestFile)) -> Result<Manifest, BadManifest> {
    let mut digested = Digested {
        file,
        digest: ManifestDigest::default(),
    };
    let reader = BufReader::with_capacity(READ_BYTES, &mut digested);
    let mut json = serde_json::Deserializer::from_reader(reader);
    let unchecked = backup_manifest::read(&mut json, show)?;
    json.end()?;
    unchecked.check(digested.digest)
}

const READ_BYTES: usize = 64 * 1024;

/// Digests what is read through it.
struct Digested {
    file: File,
    digest: ManifestDigest,
}

impl Read for Digested {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.digest.update(&buffer[..count]);
        Ok(count)
    }
}

/// Files as they were written, and what was found to differ.
struct Comparison {
    written: WrittenTable,
    count: usize,
    first: Option<(String, &'static str)>,
}

impl Comparison {
    fn look_at(&mut self, file: &ManifestFile) {
        let cause = match self.written.find(&file.path) {
            None => "it is missing",
            Some(found) if found.size_bytes != file.size => "its size differs",
            Some(found) if differs(&file.checksum, found.crc32c) => "its checksum differs",
            Some(_) => return,
        };
        self.count += 1;
        let path = || String::from_utf8_lossy(&file.path).into_owned();
        self.first.get_or_insert_with(|| (path(), cause));
    }
}

/// Only CRC32C is computed while files are written; other algorithms are `pg_verifybackup`'s.
fn differs(recorded: &FileChecksum, crc32c: u32) -> bool {
    matches!(recorded, FileChecksum::Crc32c(expected) if *expected != crc32c)
}
