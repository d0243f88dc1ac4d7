//! Writing the files of a data directory, large ones past the page cache.
//!
//! A restored cluster is written once and read later, by a server that has its own cache: filling
//! the kernel's with it costs more processor time than writing it. So whole blocks of large files
//! go to the disk directly (open(2), `O_DIRECT`), everything else the usual way. Always true: a
//! file system that cannot do it gets the same bytes through its cache.

use std::fs::File;
use std::io::{self, Read, Write};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

/// Files smaller than this are written through the cache.
const SMALLEST_DIRECT_BYTES: u64 = 1024 * 1024;

/// What direct writes are aligned to, in memory and in the file: at least the logical block of
/// every disk in use.
const ALIGNMENT: usize = 4096;

/// A buffer that direct writes can be made from, filled and written as a whole.
pub struct AlignedBuffer {
    bytes: Vec<u8>,
    start: usize,
    filled: usize,
}

impl AlignedBuffer {
    /// Bytes that it holds: a multiple of the alignment.
    pub const BYTES: usize = 1024 * 1024;

    pub fn new() -> AlignedBuffer {
        let bytes = vec![0; AlignedBuffer::BYTES + ALIGNMENT];
        let start = bytes.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        AlignedBuffer {
            bytes,
            start,
            filled: 0,
        }
    }

    /// What it was filled with.
    pub fn content(&self) -> &[u8] {
        &self.bytes[self.start..][..self.filled]
    }

    /// Reads until it is full or the source ends; what was in it is gone.
    ///
    /// # Errors
    /// When the source fails.
    pub fn fill(&mut self, source: &mut impl Read) -> io::Result<&[u8]> {
        let space = &mut self.bytes[self.start..][..AlignedBuffer::BYTES];
        self.filled = 0;
        while self.filled < space.len() {
            match source.read(&mut space[self.filled..]) {
                Ok(0) => break,
                Ok(count) => self.filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(self.content())
    }
}

/// A new file that is written front to back from an [`AlignedBuffer`].
pub struct NewFile {
    file: File,
    is_direct: bool,
}

impl NewFile {
    /// Takes an empty file over; its size decides how it is written.
    pub fn new(file: File, size_bytes: u64) -> NewFile {
        let is_direct = size_bytes >= SMALLEST_DIRECT_BYTES && turn_direct(&file);
        NewFile { file, is_direct }
    }

    /// Whether a write waits for the disk.
    pub fn is_direct(&self) -> bool {
        self.is_direct
    }

    /// Writes what the buffer was filled with; only the last piece may be less than a full buffer.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&mut self, content: &[u8]) -> io::Result<()> {
        let mut rest = content;
        while self.is_direct && rest.len() >= ALIGNMENT {
            let whole = rest.len() - rest.len() % ALIGNMENT;
            match self.file.write(&rest[..whole]) {
                // As `write_all` has it, and no endless loop.
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                // An uneven count leaves the file's position where nothing direct can follow.
                Ok(count) if count % ALIGNMENT != 0 => {
                    rest = &rest[count..];
                    self.turn_cached()?;
                }
                Ok(count) => rest = &rest[count..],
                // The file system took the flag but wants another alignment, or cannot do it.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => self.turn_cached()?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if rest.is_empty() {
            return Ok(());
        }
        if self.is_direct {
            self.turn_cached()?;
        }
        self.file.write_all(rest)
    }

    fn turn_cached(&mut self) -> io::Result<()> {
        let flags = fcntl_getfl(&self.file)?;
        fcntl_setfl(&self.file, flags.difference(OFlags::DIRECT))?;
        self.is_direct = false;
        Ok(())
    }
}

/// Whether the file system takes the flag.
fn turn_direct(file: &File) -> bool {
    let set = fcntl_getfl(file).and_then(|flags| fcntl_setfl(file, flags.union(OFlags::DIRECT)));
    set.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(size: usize) -> (Vec<u8>, Vec<u8>) {
        let content: Vec<u8> = (0..size).map(|n| (n / 5 % 251) as u8).collect();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        let mut file = NewFile::new(File::create(&path).unwrap(), size as u64);
        let mut buffer = AlignedBuffer::new();
        let mut source = content.as_slice();
        loop {
            let piece = buffer.fill(&mut source).unwrap();
            if piece.is_empty() {
                break;
            }
            file.write(piece).unwrap();
        }
        (std::fs::read(&path).unwrap(), content)
    }

    #[test]
    fn files_of_every_size_arrive_whole() {
        let full = AlignedBuffer::BYTES;
        for size in [
            0,
            1,
            511,
            full - 1,
            full,
            full + 1,
            3 * full + 8192,
            3 * full + 77,
        ] {
            let (found, content) = written(size);
            assert!(found == content, "{size} bytes");
        }
    }

    #[test]
    fn a_file_where_nothing_can_be_direct_arrives_too() {
        let content = vec![7; 16 * ALIGNMENT];
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        let mut file = NewFile::new(File::create(&path).unwrap(), u64::MAX);
        // Not aligned in memory: the kernel refuses it, the cache takes it.
        let mut shifted = AlignedBuffer::new();
        shifted.start = (shifted.start + 1) % ALIGNMENT;
        let mut source = content.as_slice();
        file.write(shifted.fill(&mut source).unwrap()).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), content);
    }
}
