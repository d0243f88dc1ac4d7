//! The list of what a backup archives, spooled to a nameless temporary file.
//!
//! A cluster can have a million files; their paths do not belong into memory. The walk writes the
//! list once, front to back; then every archive reads its own range of it, several at the same
//! time. Always true: readers share no position, what stays in memory is one number for every
//! thousand entries, and the file vanishes with the process.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::FileExt;

use model::backup::contents::EntryKind;
use model::backup::plan::Total;

/// One entry to archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceEntry<'a> {
    /// Relative to the walk's root, as bytes.
    pub path: &'a [u8],
    /// Bytes when it was listed; 0 for a directory.
    pub size_bytes: u64,
    pub kind: EntryKind,
}

/// In the file, an entry is its size, the length of its path, and its path.
const HEAD_BYTES: usize = 12;
/// Stands for the size of a directory: no file has it.
const DIRECTORY: u64 = u64::MAX;
/// A reader can start at every so-manieth entry; what is before its first one it skips.
const ENTRIES_PER_MARK: usize = 1024;
/// What a reader takes from the file at a time.
const READ_BYTES: usize = 64 * 1024;

/// A list that is being written.
pub struct EntryWriter {
    file: BufWriter<File>,
    written_bytes: u64,
    /// Where every [`ENTRIES_PER_MARK`]th entry begins.
    marks: Vec<u64>,
    total: Total,
    file_count: usize,
    largest_bytes: u64,
}

impl EntryWriter {
    /// # Errors
    /// When no temporary file can be made (see `TMPDIR`).
    pub fn create() -> io::Result<EntryWriter> {
        Ok(EntryWriter {
            file: BufWriter::new(tempfile::tempfile()?),
            written_bytes: 0,
            marks: Vec::new(),
            total: Total::default(),
            file_count: 0,
            largest_bytes: 0,
        })
    }

    /// Adds an entry.
    ///
    /// # Errors
    /// When the temporary file cannot take it.
    pub fn push(&mut self, entry: SourceEntry<'_>) -> io::Result<()> {
        if self.total.entry_count.is_multiple_of(ENTRIES_PER_MARK) {
            self.marks.push(self.written_bytes);
        }
        let size = match entry.kind {
            EntryKind::Directory => DIRECTORY,
            EntryKind::File => entry.size_bytes,
        };
        let length = u32::try_from(entry.path.len()).map_err(io::Error::other)?;
        self.file.write_all(&size.to_le_bytes())?;
        self.file.write_all(&length.to_le_bytes())?;
        self.file.write_all(entry.path)?;
        self.written_bytes += (HEAD_BYTES + entry.path.len()) as u64;
        self.total.add(entry.size_bytes);
        self.file_count += usize::from(entry.kind == EntryKind::File);
        self.largest_bytes = self.largest_bytes.max(entry.size_bytes);
        Ok(())
    }

    /// The whole list, to be read.
    ///
    /// # Errors
    /// When the temporary file cannot take the rest.
    pub fn finish(self) -> io::Result<Entries> {
        let file = self.file.into_inner();
        Ok(Entries {
            file: file.map_err(io::IntoInnerError::into_error)?,
            marks: self.marks,
            total: self.total,
            file_count: self.file_count,
            largest_bytes: self.largest_bytes,
        })
    }
}

/// Entries in the order of the walk.
#[derive(Debug)]
pub struct Entries {
    file: File,
    marks: Vec<u64>,
    /// How many entries there are, and the sum of their sizes.
    pub total: Total,
    /// How many of them are files.
    pub file_count: usize,
    /// The size of the largest file.
    pub largest_bytes: u64,
}

impl Entries {
    /// Reads from an entry on; places count from 0.
    ///
    /// # Errors
    /// When the temporary file cannot be read.
    pub fn read_from(&self, first: usize) -> io::Result<EntryReader<'_>> {
        let mut reader = self.read_from_mark(first / ENTRIES_PER_MARK);
        for _ in 0..first % ENTRIES_PER_MARK {
            reader.next_entry()?;
        }
        Ok(reader)
    }

    /// The sizes of all entries, in order.
    pub fn sizes(&self) -> impl Iterator<Item = io::Result<u64>> {
        let mut reader = self.read_from_mark(0);
        std::iter::from_fn(move || {
            let entry = reader.next_entry().transpose()?;
            Some(entry.map(|entry| entry.size_bytes))
        })
    }

    fn read_from_mark(&self, index: usize) -> EntryReader<'_> {
        let cursor = EntryCursor {
            file: &self.file,
            offset: self.marks.get(index).copied().unwrap_or(0),
        };
        let before = index * ENTRIES_PER_MARK;
        EntryReader {
            file: BufReader::with_capacity(READ_BYTES, cursor),
            path: Vec::new(),
            left: self.total.entry_count.saturating_sub(before),
        }
    }
}

/// Reads entries one after another, into memory that the next one takes over.
pub struct EntryReader<'a> {
    file: BufReader<EntryCursor<'a>>,
    path: Vec<u8>,
    left: usize,
}

impl EntryReader<'_> {
    /// The next entry, if there is one.
    ///
    /// # Errors
    /// When the temporary file cannot be read.
    pub fn next_entry(&mut self) -> io::Result<Option<SourceEntry<'_>>> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let (mut size, mut length) = ([0; 8], [0; 4]);
        self.file.read_exact(&mut size)?;
        self.file.read_exact(&mut length)?;
        self.path.resize(u32::from_le_bytes(length) as usize, 0);
        self.file.read_exact(&mut self.path)?;
        let (kind, size_bytes) = match u64::from_le_bytes(size) {
            DIRECTORY => (EntryKind::Directory, 0),
            size_bytes => (EntryKind::File, size_bytes),
        };
        Ok(Some(SourceEntry {
            path: &self.path,
            size_bytes,
            kind,
        }))
    }
}

/// A position of its own in a file that others read too.
struct EntryCursor<'a> {
    file: &'a File,
    offset: u64,
}

impl Read for EntryCursor<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buffer, self.offset)?;
        self.offset += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Paths of every length up to 300 bytes, every tenth of them a directory.
    fn entry(index: usize, path: &mut Vec<u8>) -> SourceEntry<'_> {
        path.clear();
        path.extend(format!("{index}/").bytes().cycle().take(index % 300 + 1));
        let is_directory = index.is_multiple_of(10);
        SourceEntry {
            path,
            size_bytes: if is_directory { 0 } else { index as u64 % 7 },
            kind: if is_directory {
                EntryKind::Directory
            } else {
                EntryKind::File
            },
        }
    }

    fn list(count: usize) -> Entries {
        let mut writer = EntryWriter::create().unwrap();
        let mut path = Vec::new();
        for index in 0..count {
            writer.push(entry(index, &mut path)).unwrap();
        }
        writer.finish().unwrap()
    }

    #[test]
    fn every_reader_has_its_own_place_in_the_list() {
        let count = 3 * ENTRIES_PER_MARK + 77;
        let entries = list(count);
        let mut path = Vec::new();
        let firsts = [0, 1, 1023, 1024, 1025, 2048, 3000, count];
        let mut readers = firsts.map(|first| (first, entries.read_from(first).unwrap()));
        for step in 0..2000 {
            for (first, reader) in &mut readers {
                let expected = *first + step;
                let expected = (expected < count).then(|| entry(expected, &mut path));
                assert_eq!(reader.next_entry().unwrap(), expected);
            }
        }
    }

    #[test]
    fn a_list_knows_its_sums_and_its_sizes() {
        let entries = list(2500);
        let sizes: Vec<_> = entries.sizes().map(Result::unwrap).collect();
        assert_eq!(sizes.len(), 2500);
        assert_eq!(sizes.iter().sum::<u64>(), entries.total.bytes);
        assert_eq!(entries.total.entry_count, 2500);
        assert_eq!((entries.file_count, entries.largest_bytes), (2250, 6));
    }

    #[test]
    fn an_empty_list_can_be_read() {
        let entries = list(0);
        assert_eq!(entries.sizes().count(), 0);
        assert_eq!(entries.read_from(0).unwrap().next_entry().unwrap(), None);
    }
}
