//! The one durable write: temporary file, write, fsync, rename, fsync of the directory.
//!
//! Nobody else renames files into place. Always true: under the final name a reader sees either
//! what was there before or the whole new content, also after a power cut.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// How sure the new file must be before the caller goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// File and directory are flushed to the disk first.
    Durable,
    /// Only the name changes atomically: for files that can be fetched again.
    Atomic,
}

/// A file that appears under its name only when it is finished; dropped earlier, it vanishes.
pub struct PendingFile {
    writer: BufWriter<NamedTempFile>,
    destination: PathBuf,
}

const BUFFER_BYTES: usize = 256 * 1024;

impl PendingFile {
    /// Opens a temporary file in the destination's directory.
    ///
    /// # Errors
    /// When the directory is missing or cannot be written to.
    pub fn create(destination: &Path) -> io::Result<PendingFile> {
        let directory = parent(destination);
        let file = tempfile::Builder::new()
            .prefix(".barman-")
            .suffix(".tmp")
            .tempfile_in(directory)?;
        Ok(PendingFile {
            writer: BufWriter::with_capacity(BUFFER_BYTES, file),
            destination: destination.to_path_buf(),
        })
    }

    /// Puts the file in place, replacing what was there.
    ///
    /// # Errors
    /// When flushing or renaming fails; the destination is then as it was.
    pub fn finish(self, durability: Durability) -> io::Result<()> {
        let file = self
            .writer
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        if durability == Durability::Durable {
            file.as_file().sync_all()?;
        }
        file.persist(&self.destination)
            .map_err(|error| error.error)?;
        if durability == Durability::Durable {
            sync_directory(parent(&self.destination))?;
        }
        Ok(())
    }
}

impl Write for PendingFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// Writes a whole small file durably.
///
/// # Errors
/// As [`PendingFile::create`] and [`PendingFile::finish`].
pub fn write_durably(destination: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = PendingFile::create(destination)?;
    file.write_all(content)?;
    file.finish(Durability::Durable)
}

/// Flushes a directory's entries, so that a rename in it survives a power cut.
///
/// # Errors
/// When the directory cannot be opened or flushed.
pub fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unfinished_file_leaves_the_old_one_and_no_trace() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        write_durably(&path, b"old").unwrap();
        let mut pending = PendingFile::create(&path).unwrap();
        pending.write_all(b"new").unwrap();
        drop(pending);
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_finished_file_replaces_the_old_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        write_durably(&path, b"old").unwrap();
        write_durably(&path, b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
    }
}
