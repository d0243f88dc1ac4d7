//! Reading a manifest, ours or PostgreSQL's, for a verifier.
//!
//! A manifest can have a million files, so they are shown one by one and not kept. Whoever looks at
//! them must believe nothing before [`Unchecked::check`]: only then was the manifest's own checksum
//! found right.

mod digest;

use std::fmt;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use thiserror::Error;

use super::WalRange;
use crate::postgres::SystemId;
use crate::wal::timeline::TimelineId;
pub use digest::ManifestDigest;

/// A manifest whose own checksum was right, less its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// 1 or 2.
    pub version: u32,
    /// Present exactly in version 2.
    pub system_id: Option<SystemId>,
    /// How many files it lists.
    pub file_count: usize,
    /// In the order of the manifest.
    pub wal_ranges: Vec<WalRange>,
}

/// One file of a backup, as any PostgreSQL may have written it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestFile {
    /// Relative to the data directory, separated by `/`.
    pub path: Vec<u8>,
    /// The length in bytes.
    pub size: u64,
    /// When the file was last changed, to the second.
    pub modified: Timestamp,
    /// The checksum of the content.
    pub checksum: FileChecksum,
}

/// The checksum of a file; `pg_basebackup --manifest-checksums` chooses the algorithm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileChecksum {
    /// Not taken.
    None,
    /// CRC32C (Castagnoli), the default.
    Crc32c(u32),
    /// SHA224, 28 bytes.
    Sha224(Vec<u8>),
    /// SHA256, 32 bytes.
    Sha256(Vec<u8>),
    /// SHA384, 48 bytes.
    Sha384(Vec<u8>),
    /// SHA512, 64 bytes.
    Sha512(Vec<u8>),
}

/// Bytes that are not a sound manifest.
#[derive(Debug, Error)]
pub enum BadManifest {
    /// The last line is not where a manifest has its checksum.
    #[error("backup manifest does not end with its checksum: it may be cut short")]
    Cut,
    /// Changed or damaged after it was written.
    #[error("backup manifest has the checksum {found} instead of {expected}")]
    Checksum {
        /// The SHA-256 of the bytes, in hexadecimal.
        expected: String,
        /// The checksum in the manifest.
        found: String,
    },
    /// Not the JSON that a manifest is made of.
    #[error("backup manifest cannot be read: {0}")]
    Json(#[source] serde_json::Error),
    /// Written by a PostgreSQL that is newer than we are.
    #[error("backup manifest has the unknown version {version}")]
    Version {
        /// `PostgreSQL-Backup-Manifest-Version`.
        version: u32,
    },
    /// Version 2 must have a system identifier, version 1 must not.
    #[error("backup manifest of version {version} has a system identifier too many or too few")]
    SystemIdentifier {
        /// `PostgreSQL-Backup-Manifest-Version`.
        version: u32,
    },
    /// An entry of the list of files has a value that cannot be read.
    #[error("backup manifest, file {number}: {field} cannot be read")]
    File {
        /// Counted from 1.
        number: usize,
        /// The key in the manifest.
        field: &'static str,
    },
    /// A stretch of WAL has a position that cannot be read.
    #[error("backup manifest, WAL range {number}: not two LSNs")]
    WalRange {
        /// Counted from 1.
        number: usize,
    },
}

/// A manifest that was read to its end, but not compared with its checksum.
pub struct Unchecked {
    raw: RawManifest,
    file_count: usize,
    problem: Option<BadManifest>,
}

/// Reads a manifest and shows each of its files, in its order.
///
/// # Errors
/// When the text is not the JSON that a manifest is made of.
pub fn read<'de, D: Deserializer<'de>>(
    json: D,
    mut show: impl FnMut(ManifestFile),
) -> Result<Unchecked, D::Error> {
    let (mut file_count, mut problem) = (0, None);
    let files = |raw: RawFile| {
        file_count += 1;
        match read_file(file_count, raw) {
            Ok(file) => show(file),
            Err(bad) => {
                problem.get_or_insert(bad);
            }
        }
    };
    let raw = json.deserialize_map(ManifestVisitor { files })?;
    Ok(Unchecked {
        raw,
        file_count,
        problem,
    })
}

impl Unchecked {
    /// Compares the manifest with what a [`ManifestDigest`] made of the same bytes.
    ///
    /// # Errors
    /// When it was damaged or cut short, is of an unknown version, or has a value that cannot be
    /// read; what was shown then means nothing.
    pub fn check(self, digest: ManifestDigest) -> Result<Manifest, BadManifest> {
        let raw = self.raw;
        let expected = digest.finish().ok_or(BadManifest::Cut)?;
        if raw.checksum != expected {
            return Err(BadManifest::Checksum {
                expected,
                found: raw.checksum,
            });
        }
        let version = raw.version;
        if !(1..=2).contains(&version) {
            return Err(BadManifest::Version { version });
        }
        if raw.system_id.is_some() != (version == 2) {
            return Err(BadManifest::SystemIdentifier { version });
        }
        if let Some(bad) = self.problem {
            return Err(bad);
        }
        let ranges = raw.wal_ranges.into_iter().enumerate();
        let ranges = ranges.map(|(index, range)| read_range(index + 1, range));
        Ok(Manifest {
            version,
            system_id: raw.system_id.map(SystemId::new),
            file_count: self.file_count,
            wal_ranges: ranges.collect::<Result<_, _>>()?,
        })
    }
}

impl From<serde_json::Error> for BadManifest {
    fn from(error: serde_json::Error) -> BadManifest {
        if error.is_eof() {
            BadManifest::Cut
        } else {
            BadManifest::Json(error)
        }
    }
}

/// What stands in a manifest beside the files.
struct RawManifest {
    version: u32,
    system_id: Option<u64>,
    wal_ranges: Vec<RawRange>,
    checksum: String,
}

/// The keys of a manifest.
#[derive(Deserialize)]
enum Key {
    #[serde(rename = "PostgreSQL-Backup-Manifest-Version")]
    Version,
    #[serde(rename = "System-Identifier")]
    SystemId,
    #[serde(rename = "Files")]
    Files,
    #[serde(rename = "WAL-Ranges")]
    WalRanges,
    #[serde(rename = "Manifest-Checksum")]
    Checksum,
}

/// Takes a manifest apart while it is read.
struct ManifestVisitor<F> {
    files: F,
}

impl<'de, F: FnMut(RawFile)> Visitor<'de> for ManifestVisitor<F> {
    type Value = RawManifest;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a backup manifest")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<RawManifest, A::Error> {
        let (mut version, mut system_id, mut wal_ranges, mut checksum) = (None, None, None, None);
        let mut has_files = false;
        while let Some(key) = map.next_key()? {
            match key {
                Key::Version => version = Some(map.next_value()?),
                Key::SystemId => system_id = Some(map.next_value()?),
                Key::Files => {
                    has_files = true;
                    map.next_value_seed(FileList(&mut self.files))?;
                }
                Key::WalRanges => wal_ranges = Some(map.next_value()?),
                Key::Checksum => checksum = Some(map.next_value()?),
            }
        }
        let missing = |name| A::Error::missing_field(name);
        if !has_files {
            return Err(missing("Files"));
        }
        Ok(RawManifest {
            version: version.ok_or_else(|| missing("PostgreSQL-Backup-Manifest-Version"))?,
            system_id,
            wal_ranges: wal_ranges.ok_or_else(|| missing("WAL-Ranges"))?,
            checksum: checksum.ok_or_else(|| missing("Manifest-Checksum"))?,
        })
    }
}

/// The list of files, let go one by one.
struct FileList<'f, F>(&'f mut F);

impl<'de, F: FnMut(RawFile)> DeserializeSeed<'de> for FileList<'_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de, F: FnMut(RawFile)> Visitor<'de> for FileList<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of files")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(file) = list.next_element()? {
            (self.0)(file);
        }
        Ok(())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    #[serde(rename = "Path")]
    path: Option<String>,
    #[serde(rename = "Encoded-Path")]
    encoded_path: Option<String>,
    #[serde(rename = "Size")]
    size: u64,
    #[serde(rename = "Last-Modified")]
    modified: String,
    #[serde(rename = "Checksum-Algorithm")]
    algorithm: Option<String>,
    #[serde(rename = "Checksum")]
    checksum: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRange {
    #[serde(rename = "Timeline")]
    timeline: u32,
    #[serde(rename = "Start-LSN")]
    start: String,
    #[serde(rename = "End-LSN")]
    end: String,
}

fn read_file(number: usize, raw: RawFile) -> Result<ManifestFile, BadManifest> {
    let bad = |field| BadManifest::File { number, field };
    let path = match (raw.path, raw.encoded_path) {
        (Some(path), None) => path.into_bytes(),
        (None, Some(encoded)) => unhex(&encoded).ok_or_else(|| bad("Encoded-Path"))?,
        _ => return Err(bad("Path")),
    };
    Ok(ManifestFile {
        path,
        size: raw.size,
        modified: read_time(&raw.modified).ok_or_else(|| bad("Last-Modified"))?,
        checksum: read_checksum(raw.algorithm.as_deref(), raw.checksum.as_deref())
            .ok_or_else(|| bad("Checksum"))?,
    })
}

fn read_range(number: usize, raw: RawRange) -> Result<WalRange, BadManifest> {
    let lsn = |text: &str| text.parse().map_err(|_| BadManifest::WalRange { number });
    let timeline = TimelineId::new(raw.timeline);
    Ok(WalRange {
        timeline,
        start: lsn(&raw.start)?,
        end: lsn(&raw.end)?,
    })
}

/// `2026-11-21 10:36:44 GMT`; PostgreSQL writes no other zone.
fn read_time(text: &str) -> Option<Timestamp> {
    let civil = DateTime::strptime("%Y-%m-%d %H:%M:%S", text.strip_suffix(" GMT")?).ok()?;
    civil
        .to_zoned(TimeZone::UTC)
        .ok()
        .map(|zoned| zoned.timestamp())
}

fn read_checksum(algorithm: Option<&str>, digits: Option<&str>) -> Option<FileChecksum> {
    let (Some(algorithm), Some(digits)) = (algorithm, digits) else {
        return (algorithm.is_none() && digits.is_none()).then_some(FileChecksum::None);
    };
    let bytes = unhex(digits)?;
    Some(match (algorithm, bytes.len()) {
        ("CRC32C", 4) => FileChecksum::Crc32c(u32::from_le_bytes(*bytes.first_chunk()?)),
        ("SHA224", 28) => FileChecksum::Sha224(bytes),
        ("SHA256", 32) => FileChecksum::Sha256(bytes),
        ("SHA384", 48) => FileChecksum::Sha384(bytes),
        ("SHA512", 64) => FileChecksum::Sha512(bytes),
        _ => return None,
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let byte = |pair: &[u8; 2]| u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok();
    if rest.is_empty() {
        pairs.iter().map(byte).collect()
    } else {
        None
    }
}
