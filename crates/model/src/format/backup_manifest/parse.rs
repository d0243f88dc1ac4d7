//! Reading a manifest, ours or PostgreSQL's, for a verifier. Nothing is believed before the
//! manifest's own checksum was found right.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::{WalRange, hex};
use crate::postgres::SystemId;
use crate::wal::timeline::TimelineId;

/// A manifest whose own checksum was right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// 1 or 2.
    pub version: u32,
    /// Present exactly in version 2.
    pub system_id: Option<SystemId>,
    /// In the order of the manifest.
    pub files: Vec<ManifestFile>,
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
    Json(#[from] serde_json::Error),
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

/// Reads a whole manifest, after its own checksum has been found right.
pub fn parse(bytes: &[u8]) -> Result<Manifest, BadManifest> {
    let expected = digest(bytes).ok_or(BadManifest::Cut)?;
    let raw: RawManifest = serde_json::from_slice(bytes)?;
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
    Ok(Manifest {
        version,
        system_id: raw.system_id.map(SystemId::new),
        files: read_all(raw.files, read_file)?,
        wal_ranges: read_all(raw.wal_ranges, read_range)?,
    })
}

/// The SHA-256 of everything before the last line; `None` if that line has no checksum.
fn digest(bytes: &[u8]) -> Option<String> {
    let without_end = bytes.strip_suffix(b"\n")?;
    let last_line = without_end.iter().rposition(|byte| *byte == b'\n')? + 1;
    if !bytes[last_line..]
        .trim_ascii_start()
        .starts_with(b"\"Manifest-Checksum\"")
    {
        return None;
    }
    Some(hex(&Sha256::digest(&bytes[..last_line])))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawManifest {
    #[serde(rename = "PostgreSQL-Backup-Manifest-Version")]
    version: u32,
    #[serde(rename = "System-Identifier")]
    system_id: Option<u64>,
    #[serde(rename = "Files")]
    files: Vec<RawFile>,
    #[serde(rename = "WAL-Ranges")]
    wal_ranges: Vec<RawRange>,
    #[serde(rename = "Manifest-Checksum")]
    checksum: String,
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

/// Reads each item with its number, counted from 1; the raw ones are let go one by one.
fn read_all<R, T>(
    raw: Vec<R>,
    read: impl Fn(usize, R) -> Result<T, BadManifest>,
) -> Result<Vec<T>, BadManifest> {
    raw.into_iter()
        .enumerate()
        .map(|(index, item)| read(index + 1, item))
        .collect()
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
