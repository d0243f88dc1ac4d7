//! The backup manifest while it grows: spooled to a nameless temporary file.
//!
//! A base backup can have a million files; their lines do not belong into memory. The text is
//! `model::format::backup_manifest`'s. Always true: the file vanishes with the process.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Seek, Write};
use std::sync::Mutex;

use model::format::backup_manifest::{FileEntry, ManifestStream, ManifestTrailer, render_entry};
use model::postgres::{PgVersion, SystemId};

/// Entries of a manifest, added from several threads.
pub struct ManifestSpool {
    entries: Mutex<BufWriter<File>>,
}

/// A finished manifest, ready to be read once.
pub struct ManifestFile {
    pub content: BufReader<File>,
    pub size_bytes: u64,
}

impl ManifestSpool {
    /// # Errors
    /// When no temporary file can be made (see `TMPDIR`).
    pub fn create() -> io::Result<ManifestSpool> {
        Ok(ManifestSpool {
            entries: Mutex::new(BufWriter::new(tempfile::tempfile()?)),
        })
    }

    /// Adds one file.
    ///
    /// # Errors
    /// When the temporary file cannot take it.
    pub fn add(&self, entry: &FileEntry) -> io::Result<()> {
        writeln!(self.lock(), "{}", render_entry(entry))
    }

    /// Puts header, entries and trailer together and seals them with their checksum.
    ///
    /// # Errors
    /// When the temporary files cannot be written or read.
    pub fn finish(
        &self,
        version: PgVersion,
        system_id: SystemId,
        trailer: &ManifestTrailer,
    ) -> io::Result<ManifestFile> {
        let mut entries = self.lock();
        entries.flush()?;
        entries.get_mut().rewind()?;
        let (mut stream, header) = ManifestStream::begin(version, system_id);
        let mut whole = BufWriter::new(tempfile::tempfile()?);
        whole.write_all(header.as_bytes())?;
        for line in BufReader::new(entries.get_ref()).lines() {
            whole.write_all(stream.entry(&line?).as_bytes())?;
        }
        whole.write_all(stream.finish(trailer).as_bytes())?;
        let mut file = whole.into_inner().map_err(io::IntoInnerError::into_error)?;
        let size_bytes = file.stream_position()?;
        file.rewind()?;
        Ok(ManifestFile {
            content: BufReader::new(file),
            size_bytes,
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BufWriter<File>> {
        self.entries
            .lock()
            .expect("no thread panics while it holds the spool")
    }
}
