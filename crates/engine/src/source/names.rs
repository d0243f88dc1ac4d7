//! The names in one directory, sorted, small enough for a million of them.
//!
//! They lie one behind the other in one buffer; a name costs its bytes and five more. Always true:
//! each name is there once, and in the order of its bytes.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The sorted names of a directory's entries.
pub struct Names {
    /// Each is followed by [`END`].
    bytes: Vec<u8>,
    /// Where names begin, in their order.
    begins: Vec<u32>,
}

/// No name has it, and it sorts before all that a name can have: two names in the buffer compare
/// without looking for their ends first.
const END: u8 = 0;

impl Names {
    /// Lists a directory.
    ///
    /// # Errors
    /// When it cannot be read, or its names take more than 4 GiB.
    pub fn list(directory: &Path) -> io::Result<Names> {
        let mut names = Names {
            bytes: Vec::new(),
            begins: Vec::new(),
        };
        for entry in fs::read_dir(directory)? {
            names.push(entry?.file_name().as_bytes())?;
        }
        names.sort();
        Ok(names)
    }

    fn push(&mut self, name: &[u8]) -> io::Result<()> {
        let begin = u32::try_from(self.bytes.len());
        let begin = begin.map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
        self.begins.push(begin);
        self.bytes.extend_from_slice(name);
        self.bytes.push(END);
        Ok(())
    }

    fn sort(&mut self) {
        let Names { bytes, begins } = self;
        let from = |begin: u32| &bytes[begin as usize..];
        begins.sort_unstable_by(|one, other| from(*one).cmp(from(*other)));
        // A directory that changes while it is read may show an entry twice.
        begins.dedup_by(|one, other| name_at(bytes, *one) == name_at(bytes, *other));
    }

    /// All names, in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.begins.iter().map(|begin| name_at(&self.bytes, *begin))
    }

    /// Whether this is one of them.
    pub fn contains(&self, name: &[u8]) -> bool {
        let compared = |begin: &u32| name_at(&self.bytes, *begin).cmp(name);
        self.begins.binary_search_by(compared).is_ok()
    }
}

fn name_at(bytes: &[u8], begin: u32) -> &[u8] {
    let rest = &bytes[begin as usize..];
    let end = rest.iter().position(|byte| *byte == END);
    &rest[..end.unwrap_or(rest.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names<T: AsRef<[u8]>>(all: impl IntoIterator<Item = T>) -> Names {
        let mut names = Names {
            bytes: vec![],
            begins: vec![],
        };
        for name in all {
            names.push(name.as_ref()).unwrap();
        }
        names.sort();
        names
    }

    #[test]
    fn names_are_sorted_by_their_bytes_and_found() {
        let all = [
            "16384",
            "1",
            "16384_init",
            "16384.1",
            "163840",
            "a",
            "ä",
            "1",
        ];
        let names = names(all);
        let mut expected = all.to_vec();
        expected.sort_unstable();
        expected.dedup();
        assert!(names.iter().eq(expected.iter().map(|name| name.as_bytes())));
        assert!(all.iter().all(|name| names.contains(name.as_bytes())));
        let others = ["", "16385", "1638", "16384_", "b", "0"];
        assert!(!others.iter().any(|name| names.contains(name.as_bytes())));
    }

    #[test]
    fn a_million_names_cost_their_bytes_and_five_more() {
        let names = names((0..1_000_000).map(|relation| relation.to_string()));
        let (bytes, begins) = (names.bytes.capacity(), 4 * names.begins.capacity());
        // Twice, since a vector doubles.
        let most = 2 * 11 * 1_000_000;
        assert!(bytes + begins <= most, "{} bytes", bytes + begins);
    }
}
