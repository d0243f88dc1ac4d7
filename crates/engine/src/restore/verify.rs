//! Comparing what was written with the manifest that came in the backup.
//!
//! Only backups with a manifest in PostgreSQL's format can be compared: ours, and those that
//! Barman took with `pg_basebackup`. Always true: a file that the manifest lists and that was not
//! written whole is an error, and one that it does not list is at least named.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::iter;
use std::path::Path;

use model::format::backup_manifest::{
    self, BadManifest, FileChecksum, Manifest, ManifestDigest, ManifestFile,
};
use model::restore::plan::RestorePlan;
use model::wal::lsn::Lsn;

use super::claim::Claim;
use super::error::VerifyError;
use super::written::{WrittenList, WrittenTable};
use crate::progress::{Event, Progress, Warning};

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

/// What becomes of files that a backup's manifest does not list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnlistedPolicy {
    /// The restore ends there: `pg_verifybackup` would refuse its result.
    Refuse,
    /// They stay.
    Keep,
}

/// What is compared, and with whose word.
pub struct Comparison<'a> {
    pub claim: &'a Claim,
    /// Where the backup begins: a manifest that begins elsewhere is another's.
    pub begins: &'a [Lsn],
    pub unlisted: UnlistedPolicy,
    pub progress: &'a dyn Progress,
}

impl Comparison<'_> {
    /// Compares the written files with `backup_manifest` in the restored directory, if there is
    /// one.
    ///
    /// # Errors
    /// When the manifest is damaged, a file of it is missing or differs, or one is not in it.
    pub fn compare(
        &self,
        plan: &RestorePlan,
        written: &WrittenList,
    ) -> Result<Verified, VerifyError> {
        let destination = self.claim.destination();
        let path = destination.path().join("backup_manifest");
        let file = match destination.file(b"backup_manifest") {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Verified::NoManifest);
            }
            file => file.map_err(|source| unreadable(&path, source))?,
        };
        let written = written.finish();
        let mut found = FoundFile {
            written: written.map_err(|source| unreadable(destination.path(), source))?,
            count: 0,
            first: None,
        };
        let manifest = read_manifest(file, |file| found.look_at(&file));
        let manifest = manifest.map_err(|error| VerifyError::Manifest {
            path: path.clone(),
            cause: error.to_string(),
        })?;
        let mut ranges = manifest.wal_ranges.iter();
        if !ranges.any(|range| self.begins.contains(&range.start)) {
            // pg_basebackup leaves its manifest in the data directory of a new standby, and Barman
            // archives it as any other file: it says nothing about this backup.
            let removed = destination.remove("backup_manifest");
            removed.map_err(|source| unreadable(&path, source))?;
            let begin = manifest.wal_ranges.first().map(|range| range.start);
            return Ok(Verified::ForeignManifest { begin });
        }
        if let Some((first, cause)) = found.first {
            return Err(VerifyError::Differs {
                count: found.count,
                first,
                cause,
            });
        }
        self.look_for_unlisted(plan, &mut found.written)?;
        Ok(Verified::EveryFile {
            count: manifest.file_count,
        })
    }

    fn look_for_unlisted(
        &self,
        plan: &RestorePlan,
        written: &mut WrittenTable,
    ) -> Result<(), VerifyError> {
        for name in NEVER_LISTED {
            written.find(name.as_bytes());
        }
        if written.unasked_count() == 0 {
            return Ok(());
        }
        let mut unlisted = Vec::new();
        let links = plan.links.iter();
        let tablespaces = links.map(|link| (&link.location, format!("pg_tblspc/{}/", link.oid)));
        for (path, prefix) in iter::once((&plan.destination, String::new())).chain(tablespaces) {
            let place = self.claim.place(path);
            let listed = place.each_file(&mut |file| {
                let path = [prefix.as_bytes(), file].concat();
                if !path.starts_with(b"pg_wal/") && written.is_unasked(&path) {
                    unlisted.push(String::from_utf8_lossy(&path).into_owned());
                }
            });
            listed.map_err(|source| unreadable(path, source))?;
        }
        unlisted.sort_unstable();
        for path in unlisted.iter().take(MOST_NAMED) {
            self.progress
                .event(Event::Warning(Warning::Unlisted { path }));
        }
        match unlisted.first() {
            Some(first) if self.unlisted == UnlistedPolicy::Refuse => Err(VerifyError::Unlisted {
                count: unlisted.len(),
                first: first.clone(),
            }),
            _ => Ok(()),
        }
    }
}

/// What `pg_verifybackup` does not look for in a manifest.
const NEVER_LISTED: [&str; 4] = [
    "backup_manifest",
    "postgresql.auto.conf",
    "recovery.signal",
    "standby.signal",
];

/// More of them are only counted.
const MOST_NAMED: usize = 100;

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
struct FoundFile {
    written: WrittenTable,
    count: usize,
    first: Option<(String, &'static str)>,
}

impl FoundFile {
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
