//! The directories of a restore, for it alone.
//!
//! Two restores into one place would mix their files. A lock on each directory keeps the second
//! one out, whenever it comes; it goes with the process, however that ends. Always true: a claimed
//! directory was empty when its lock was had.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use model::restore::plan::CannotRestore;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::places::is_empty;
use super::{RestoreError, failed};

/// Locked directories; dropped, they are free again.
pub struct Claim {
    _locked: Vec<fs::File>,
}

impl Claim {
    /// Makes the directories where they are missing, and locks them.
    ///
    /// # Errors
    /// When one cannot be made, is another restore's, or is not empty.
    pub fn take<'a>(
        directories: impl IntoIterator<Item = &'a PathBuf>,
    ) -> Result<Claim, RestoreError> {
        let locked = directories.into_iter().map(|path| claim(path));
        Ok(Claim {
            _locked: locked.collect::<Result<_, _>>()?,
        })
    }
}

fn claim(path: &Path) -> Result<fs::File, RestoreError> {
    let mut builder = fs::DirBuilder::new();
    let made = builder.recursive(true).mode(0o700).create(path);
    made.map_err(failed("make the directory", path))?;
    let directory = fs::File::open(path).map_err(failed("open", path))?;
    match flock(&directory, FlockOperation::NonBlockingLockExclusive) {
        // Some network file systems have no locks.
        Ok(()) | Err(Errno::NOTSUP | Errno::NOLCK | Errno::INVAL) => {}
        Err(Errno::WOULDBLOCK) => return Err(RestoreError::Busy(path.to_path_buf())),
        Err(errno) => return Err(failed("lock", path)(io::Error::from(errno))),
    }
    match is_empty(path).map_err(failed("look into", path))? {
        true => Ok(directory),
        false => Err(CannotRestore::NotEmpty(path.to_path_buf()).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_claimed_once_and_only_while_it_is_empty() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("a/b");
        let first = Claim::take([&target]).unwrap();
        let second = Claim::take([&target]).err().unwrap();
        assert!(matches!(second, RestoreError::Busy(path) if path == target));
        drop(first);
        let again = Claim::take([&target]).unwrap();
        fs::write(target.join("file"), "content").unwrap();
        drop(again);
        let third = Claim::take([&target]).err().unwrap();
        assert!(matches!(
            third,
            RestoreError::Cannot(CannotRestore::NotEmpty(_))
        ));
    }
}
