//! The files that a restore has written, for the comparison with the manifest.
//!
//! There can be millions of them, written by several jobs: they are noted in a nameless file in the
//! target directory, and come into memory only when the buffers of the jobs are gone. Always true:
//! a file costs twenty bytes, and the list vanishes with the process.

use std::collections::hash_map::DefaultHasher;
use std::fs::File;
use std::hash::{Hash, Hasher};
use std::io::{self, BufWriter, Read, Seek, Write};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard};

use super::member_error::ExtractError;
use super::place::Place;

/// A stable short form of a path: millions of them must fit into memory.
pub fn path_hash(path: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    hasher.finish()
}

/// A file as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrittenFile {
    pub size_bytes: u64,
    pub crc32c: u32,
}

/// The hash of a file's path, its size, and its CRC32C: in this order they sort by the path.
type WrittenRecord = [u8; 20];

/// Notes files from several threads.
pub struct WrittenList {
    directory: PathBuf,
    records: Mutex<WrittenRecords>,
}

struct WrittenRecords {
    file: BufWriter<File>,
    count: usize,
}

impl WrittenList {
    /// A list that lies in this directory, under no name.
    ///
    /// # Errors
    /// When the directory takes no file.
    pub fn create_in(place: &Place) -> io::Result<WrittenList> {
        let file = BufWriter::new(place.nameless_file()?);
        Ok(WrittenList {
            directory: place.path().to_path_buf(),
            records: Mutex::new(WrittenRecords { file, count: 0 }),
        })
    }

    /// Notes a file; its path is relative to the data directory.
    ///
    /// # Errors
    /// When the list cannot be written.
    pub fn add(&self, path: &[u8], file: WrittenFile) -> Result<(), ExtractError> {
        let mut records = self.lock();
        records.count += 1;
        let added = records.file.write_all(&record(path, file));
        added.map_err(|source| ExtractError::Write {
            path: self.directory.clone(),
            source,
        })
    }

    /// How many files were noted.
    pub fn count(&self) -> usize {
        self.lock().count
    }

    /// Everything that was noted, to be looked up.
    ///
    /// # Errors
    /// When the list cannot be written or read.
    pub fn finish(&self) -> io::Result<WrittenTable> {
        let mut records = self.lock();
        records.file.flush()?;
        let mut table = vec![WrittenRecord::default(); records.count];
        let file = records.file.get_mut();
        file.rewind()?;
        file.read_exact(table.as_flattened_mut())?;
        table.sort_unstable();
        let is_found = vec![0; table.len().div_ceil(8)];
        Ok(WrittenTable { table, is_found })
    }

    fn lock(&self) -> MutexGuard<'_, WrittenRecords> {
        self.records
            .lock()
            .expect("no thread panics while it holds the list")
    }
}

fn record(path: &[u8], file: WrittenFile) -> WrittenRecord {
    let mut record = WrittenRecord::default();
    record[..8].copy_from_slice(&path_hash(path).to_be_bytes());
    record[8..16].copy_from_slice(&file.size_bytes.to_be_bytes());
    record[16..].copy_from_slice(&file.crc32c.to_be_bytes());
    record
}

/// Written files by their paths.
pub struct WrittenTable {
    table: Vec<WrittenRecord>,
    /// A bit for each of them: whether somebody asked for it.
    is_found: Vec<u8>,
}

impl WrittenTable {
    /// What was written at a path relative to the data directory.
    pub fn find(&mut self, path: &[u8]) -> Option<WrittenFile> {
        let place = self.position(path_hash(path))?;
        self.is_found[place / 8] |= 1 << (place % 8);
        let (size, crc32c) = self.table[place][8..].split_first_chunk()?;
        Some(WrittenFile {
            size_bytes: u64::from_be_bytes(*size),
            crc32c: u32::from_be_bytes(crc32c.try_into().ok()?),
        })
    }

    /// How many nobody asked for.
    pub fn unasked_count(&self) -> usize {
        let asked = self.is_found.iter().map(|byte| byte.count_ones() as usize);
        self.table.len() - asked.sum::<usize>()
    }

    /// Whether this one was written and nobody asked for it.
    pub fn is_unasked(&self, path: &[u8]) -> bool {
        let place = self.position(path_hash(path));
        place.is_some_and(|place| self.is_found[place / 8] & (1 << (place % 8)) == 0)
    }

    fn position(&self, hash: u64) -> Option<usize> {
        let hash = hash.to_be_bytes();
        let found = self.table.binary_search_by(|record| record[..8].cmp(&hash));
        found.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(number: u32) -> WrittenFile {
        WrittenFile {
            size_bytes: u64::from(number) << 33,
            crc32c: number.wrapping_mul(0x9E37_79B9),
        }
    }

    #[test]
    fn what_several_threads_noted_is_found_by_its_path() {
        let place = tempfile::tempdir().unwrap();
        let list = WrittenList::create_in(&Place::make(place.path()).unwrap()).unwrap();
        let note = |number: u32| {
            let path = format!("base/5/{number}");
            list.add(path.as_bytes(), file(number)).unwrap();
        };
        std::thread::scope(|scope| {
            scope.spawn(|| (0..3000).for_each(note));
            scope.spawn(|| (3000..5000).for_each(note));
        });
        assert_eq!(list.count(), 5000);
        let mut table = list.finish().unwrap();
        for number in 0..5000 {
            let path = format!("base/5/{number}");
            assert_eq!(table.find(path.as_bytes()), Some(file(number)));
        }
        assert_eq!(table.find(b"base/5/5000"), None);
        assert_eq!(table.unasked_count(), 0);
    }

    #[test]
    fn what_nobody_asked_for_is_known() {
        let place = tempfile::tempdir().unwrap();
        let list = WrittenList::create_in(&Place::make(place.path()).unwrap()).unwrap();
        for number in 0..20 {
            list.add(format!("{number}").as_bytes(), file(number))
                .unwrap();
        }
        let mut table = list.finish().unwrap();
        for number in 3..20 {
            table.find(format!("{number}").as_bytes()).unwrap();
        }
        assert_eq!(table.unasked_count(), 3);
        let unasked = |path: &[u8]| table.is_unasked(path);
        assert!(unasked(b"0") && unasked(b"2"));
        assert!(!unasked(b"3") && !unasked(b"20"));
    }

    #[test]
    fn the_list_is_not_seen_in_the_directory() {
        let place = tempfile::tempdir().unwrap();
        let list = WrittenList::create_in(&Place::make(place.path()).unwrap()).unwrap();
        list.add(b"PG_VERSION", file(1)).unwrap();
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
    }
}
