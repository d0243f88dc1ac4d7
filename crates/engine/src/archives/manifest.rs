//! The backup manifest while it grows: spooled to a nameless temporary file.
//!
//! A base backup can have a million files; their lines do not belong into memory. They are spooled
//! as the manifest will have them, so that nothing is written when the backup ends: a full disk
//! must not show only then. The text is `model::format::backup_manifest`'s. Always true: the file
//! vanishes with the process.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Cursor, Read, Seek, Write};
use std::sync::{Mutex, MutexGuard};

use model::format::backup_manifest::{
    FIRST_SEPARATOR, FileEntry, ManifestStream, ManifestTrailer, SEPARATOR, render_entry,
};
use model::postgres::{PgVersion, SystemId};

/// Entries of a manifest, added from several threads.
pub struct ManifestSpool {
    entries: Mutex<ManifestEntries>,
}

struct ManifestEntries {
    file: BufWriter<File>,
    is_empty: bool,
}

/// A finished manifest, ready to be read once.
pub struct ManifestFile {
    pub content: Box<dyn Read + Send>,
    pub size_bytes: u64,
}

impl ManifestSpool {
    /// # Errors
    /// When no temporary file can be made (see `TMPDIR`).
    pub fn create() -> io::Result<ManifestSpool> {
        let file = BufWriter::new(tempfile::tempfile()?);
        Ok(ManifestSpool {
            entries: Mutex::new(ManifestEntries {
                file,
                is_empty: true,
            }),
        })
    }

    /// Adds one file.
    ///
    /// # Errors
    /// When the temporary file cannot take it.
    pub fn add(&self, entry: &FileEntry) -> io::Result<()> {
        let line = render_entry(entry);
        let mut entries = self.lock();
        let separator = if std::mem::take(&mut entries.is_empty) {
            FIRST_SEPARATOR
        } else {
            SEPARATOR
        };
        entries.file.write_all(separator.as_bytes())?;
        entries.file.write_all(line.as_bytes())
    }

    /// Puts header, entries and trailer together and seals them with their checksum. Nothing may
    /// be added afterwards.
    ///
    /// # Errors
    /// When the temporary file cannot take the last entries, or be read.
    pub fn finish(
        &self,
        version: PgVersion,
        system_id: SystemId,
        trailer: &ManifestTrailer,
    ) -> io::Result<ManifestFile> {
        let mut entries = self.lock();
        entries.file.flush()?;
        let mut file = entries.file.get_ref().try_clone()?;
        let (mut stream, header) = ManifestStream::begin(version, system_id);
        file.rewind()?;
        let entries_bytes = digest(&mut BufReader::new(&file), &mut stream)?;
        file.rewind()?;
        let trailer = stream.finish(trailer);
        let size_bytes = header.len() as u64 + entries_bytes + trailer.len() as u64;
        let content = Cursor::new(header)
            .chain(BufReader::new(file))
            .chain(Cursor::new(trailer));
        Ok(ManifestFile {
            content: Box::new(content),
            size_bytes,
        })
    }

    fn lock(&self) -> MutexGuard<'_, ManifestEntries> {
        self.entries
            .lock()
            .expect("no thread panics while it holds the spool")
    }
}

/// Adds everything that is read; returns how much it was.
fn digest(source: &mut impl BufRead, stream: &mut ManifestStream) -> io::Result<u64> {
    let mut total = 0;
    loop {
        let piece = source.fill_buf()?;
        if piece.is_empty() {
            return Ok(total);
        }
        stream.add(piece);
        let count = piece.len();
        total += count as u64;
        source.consume(count);
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use model::format::backup_manifest::{ManifestDigest, WalRange, read};
    use model::wal::lsn::Lsn;
    use model::wal::timeline::TimelineId;

    use super::*;

    #[test]
    fn a_spooled_manifest_is_whole_and_sealed() {
        for count in [0, 1, 2, 3000] {
            let spool = ManifestSpool::create().unwrap();
            for number in 0..count {
                let entry = FileEntry {
                    path: format!("base/5/{number}").into_bytes(),
                    size: number,
                    modified: Timestamp::from_second(1_700_000_000).unwrap(),
                    crc32c: number as u32,
                };
                spool.add(&entry).unwrap();
            }
            let range = WalRange {
                timeline: TimelineId::new(1),
                start: Lsn::new(0x0200_0028),
                end: Lsn::new(0x0200_0100),
            };
            let trailer = ManifestTrailer {
                wal_ranges: vec![range],
            };
            let (version, system) = (PgVersion::new(170_000), SystemId::new(7));
            let mut finished = spool.finish(version, system, &trailer).unwrap();
            let mut text = Vec::new();
            finished.content.read_to_end(&mut text).unwrap();
            assert_eq!(text.len() as u64, finished.size_bytes);
            let mut digest = ManifestDigest::default();
            digest.update(&text);
            let mut sizes = Vec::new();
            let mut json = serde_json::Deserializer::from_slice(&text);
            let unchecked = read(&mut json, |file| sizes.push(file.size)).unwrap();
            let manifest = unchecked.check(digest).unwrap();
            assert_eq!(manifest.file_count as u64, count);
            assert!(sizes.into_iter().eq(0..count));
        }
    }
}
