//! The list of what a backup archives, small enough for a million files.
//!
//! All paths lie in one buffer, so an entry costs its path and sixteen bytes.

use model::backup::contents::EntryKind;

/// One entry to archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceEntry<'a> {
    /// Relative to the walk's root, as bytes.
    pub path: &'a [u8],
    /// Bytes when it was listed; 0 for a directory.
    pub size_bytes: u64,
    pub kind: EntryKind,
}

/// Entries in the order of the walk.
#[derive(Debug, Default)]
pub struct Entries {
    paths: Vec<u8>,
    items: Vec<Item>,
}

#[derive(Debug, Clone, Copy)]
struct Item {
    path_begin: usize,
    /// `None` for a directory would double the size of this.
    size_bytes: u64,
}

/// No file has this size.
const DIRECTORY: u64 = u64::MAX;

impl Entries {
    /// Adds an entry.
    pub fn push(&mut self, entry: SourceEntry<'_>) {
        self.items.push(Item {
            path_begin: self.paths.len(),
            size_bytes: match entry.kind {
                EntryKind::Directory => DIRECTORY,
                EntryKind::File => entry.size_bytes,
            },
        });
        self.paths.extend_from_slice(entry.path);
    }

    /// The entry at a place; places count from 0.
    pub fn get(&self, index: usize) -> SourceEntry<'_> {
        let item = self.items[index];
        let next = self.items.get(index + 1);
        let path_end = next.map_or(self.paths.len(), |next| next.path_begin);
        let (kind, size_bytes) = match item.size_bytes {
            DIRECTORY => (EntryKind::Directory, 0),
            size_bytes => (EntryKind::File, size_bytes),
        };
        SourceEntry {
            path: &self.paths[item.path_begin..path_end],
            size_bytes,
            kind,
        }
    }

    /// All entries, in order.
    pub fn iter(&self) -> impl Iterator<Item = SourceEntry<'_>> {
        (0..self.items.len()).map(|index| self.get(index))
    }

    /// Gives back memory that was only for growing.
    pub fn shrink(&mut self) {
        self.paths.shrink_to_fit();
        self.items.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_kept_as_they_are_and_cost_little() {
        let entry = |path, size_bytes, kind| SourceEntry {
            path,
            size_bytes,
            kind,
        };
        let all = [
            entry(b".".as_slice(), 0, EntryKind::Directory),
            entry(b"PG_VERSION", 3, EntryKind::File),
            entry(b"empty", 0, EntryKind::File),
        ];
        let mut entries = Entries::default();
        all.into_iter().for_each(|entry| entries.push(entry));
        entries.shrink();
        assert!(entries.iter().eq(all));
        assert_eq!(size_of::<Item>(), 16);
    }
}
