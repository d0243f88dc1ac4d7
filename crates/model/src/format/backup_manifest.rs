//! `backup_manifest`: every file of a backup with its length and checksum, and the WAL it needs.
//!
//! The format is PostgreSQL's (manual, "Backup Manifest Format"): JSON, laid out in lines, whose
//! last line holds the SHA-256 of everything before it. `pg_verifybackup` reads what we write.
//!
//! A backup may have a million files, so writing is a stream that holds no list: [`render_entry`]
//! makes a file's line anywhere, at any time; a [`ManifestStream`] then digests them and makes
//! header and footer. The caller writes all of it, in order, and nothing else.

use std::fmt::Write;

use jiff::Timestamp;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::postgres::{PgVersion, SystemId};
use crate::wal::lsn::Lsn;
use crate::wal::timeline::TimelineId;

mod parse;

pub use parse::{
    BadManifest, FileChecksum, Manifest, ManifestDigest, ManifestFile, Unchecked, read,
};

/// One file of a backup, as we write it: always with a CRC32C.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEntry {
    /// Relative to the data directory, separated by `/`; tablespaces as `pg_tblspc/<oid>/…`.
    /// Names of files are bytes: they need not be UTF-8.
    pub path: Vec<u8>,
    /// The length in bytes.
    pub size: u64,
    /// When the file was last changed; written to the second.
    pub modified: Timestamp,
    /// The CRC32C (Castagnoli) of the content.
    pub crc32c: u32,
}

/// A stretch of WAL that must be replayed to make the backup consistent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WalRange {
    /// The timeline the stretch is on.
    pub timeline: TimelineId,
    /// Its first position.
    pub start: Lsn,
    /// The position after its last.
    pub end: Lsn,
}

/// What follows the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestTrailer {
    /// One for each timeline the backup saw; the newest first, as PostgreSQL writes them.
    pub wal_ranges: Vec<WalRange>,
}

/// The beginning of a manifest for a backup of a server of this version.
///
/// Version 2, with the system identifier, for 17 and later; `pg_verifybackup` of older ones knows
/// only version 1, and refuses an identifier in it.
pub fn header(version: PgVersion, system_id: SystemId) -> String {
    if version.major() >= 17 {
        let identifier = format!("\"System-Identifier\": {system_id},\n");
        format!("{{ \"PostgreSQL-Backup-Manifest-Version\": 2,\n{identifier}\"Files\": [")
    } else {
        "{ \"PostgreSQL-Backup-Manifest-Version\": 1,\n\"Files\": [".to_owned()
    }
}

/// The line of one file, without the comma and the line breaks around it.
pub fn render_entry(entry: &FileEntry) -> String {
    let mut line = render_path(&entry.path);
    let modified = entry.modified.strftime("%Y-%m-%d %H:%M:%S GMT");
    write!(
        line,
        ", \"Size\": {}, \"Last-Modified\": \"{modified}\", \
         \"Checksum-Algorithm\": \"CRC32C\", \"Checksum\": \"{}\" }}",
        entry.size,
        // PostgreSQL shows the number's bytes as they lie in memory: little endian.
        hex(&entry.crc32c.to_le_bytes()),
    )
    .expect("writing to a string succeeds");
    line
}

/// What stands before the line of the first entry.
pub const FIRST_SEPARATOR: &str = "\n";
/// What stands before the line of every other entry.
pub const SEPARATOR: &str = ",\n";

/// A manifest being written: it remembers only the digest of what it has returned.
#[derive(Debug, Clone)]
pub struct ManifestStream {
    digest: Sha256,
}

impl ManifestStream {
    /// Begins a manifest. Write the returned [`header`] first.
    pub fn begin(version: PgVersion, system_id: SystemId) -> (ManifestStream, String) {
        let header = header(version, system_id);
        let digest = Sha256::new_with_prefix(&header);
        (ManifestStream { digest }, header)
    }

    /// Adds what stands between header and trailer, in pieces of any size: the entries, each with
    /// its separator before it. Write it as it is.
    pub fn add(&mut self, text: &[u8]) {
        self.digest.update(text);
    }

    /// Ends the manifest. Write what is returned last.
    pub fn finish(mut self, trailer: &ManifestTrailer) -> String {
        let ranges: Vec<String> = trailer.wal_ranges.iter().map(render_range).collect();
        let mut text = format!("\n],\n\"WAL-Ranges\": [\n{}\n],\n", ranges.join(",\n"));
        self.digest.update(&text);
        let checksum = hex(&self.digest.finalize());
        writeln!(text, "\"Manifest-Checksum\": \"{checksum}\"}}")
            .expect("writing to a string succeeds");
        text
    }
}

fn render_path(path: &[u8]) -> String {
    match std::str::from_utf8(path) {
        Ok(text) => format!("{{ \"Path\": {}", quote(text)),
        Err(_) => format!("{{ \"Encoded-Path\": \"{}\"", hex(path)),
    }
}

fn render_range(range: &WalRange) -> String {
    format!(
        "{{ \"Timeline\": {}, \"Start-LSN\": \"{}\", \"End-LSN\": \"{}\" }}",
        range.timeline.number(),
        range.start,
        range.end,
    )
}

/// A JSON string; serde_json escapes exactly the characters that PostgreSQL escapes.
fn quote(text: impl Serialize) -> String {
    serde_json::to_string(&text).expect("a string can always be written as JSON")
}

fn hex(bytes: &[u8]) -> String {
    let digits =
        |byte: &u8| [byte >> 4, byte & 15].map(|digit| b"0123456789abcdef"[digit as usize]);
    bytes.iter().flat_map(digits).map(char::from).collect()
}

#[cfg(test)]
mod tests;
