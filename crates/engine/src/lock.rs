//! Lock files as Barman has them: `flock` on a file that names the process that holds it.
//!
//! The file stays when the lock is given back, as Barman's does, and its text is what
//! `list-processes` reads. Always true: who holds a [`JobLock`] holds it on the file that has the
//! name now, even if somebody cleared lock files away meanwhile.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub struct JobLock {
    _file: File,
}

/// Why a lock is not held.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds it.
    #[error("{} is locked{}", path.display(), by(*process))]
    Busy { path: PathBuf, process: Option<u32> },
    /// The file cannot be made, locked or written.
    #[error("cannot lock {}: {cause}", path.display())]
    Failed {
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
}

fn by(process: Option<u32>) -> String {
    process.map_or_else(String::new, |process| format!(" by process {process}"))
}

/// The lock file of a server's job, such as `receive-wal`.
pub fn path(directory: &Path, server: &str, job: &str) -> PathBuf {
    directory.join(format!(".{server}-{job}.lock"))
}

impl JobLock {
    /// Takes the lock, or says who has it.
    ///
    /// # Errors
    /// When another process has it, or the file cannot be used.
    pub fn take(path: &Path) -> Result<JobLock, LockError> {
        let failed = |cause| LockError::Failed {
            path: path.to_owned(),
            cause,
        };
        loop {
            let mut file = open(path).map_err(failed)?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(rustix::io::Errno::WOULDBLOCK) => {
                    let process = read_process(&mut file);
                    let path = path.to_owned();
                    return Err(LockError::Busy { path, process });
                }
                Err(error) => return Err(failed(error.into())),
            }
            if is_still_there(&file, path) {
                write_process(&mut file).map_err(failed)?;
                return Ok(JobLock { _file: file });
            }
        }
    }
}

/// Which process holds the lock, if one does.
pub fn holder(path: &Path) -> Option<u32> {
    let mut file = File::open(path).ok()?;
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => None,
        Err(_) => read_process(&mut file),
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    // What it says is another's until it is locked.
    let options = options.read(true).write(true).create(true).truncate(false);
    options.mode(0o600).open(path)
}

/// Cleaning up may have removed the file between its opening and its locking.
fn is_still_there(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(ours), Ok(there)) => (ours.dev(), ours.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

fn write_process(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

fn read_process(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(64).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_held_by_one_and_says_by_whom() {
        let directory = tempfile::tempdir().unwrap();
        let file = path(directory.path(), "main", "receive-wal");
        assert!(file.ends_with(".main-receive-wal.lock"));
        assert_eq!(holder(&file), None);
        let lock = JobLock::take(&file).unwrap();
        let us = std::process::id();
        assert_eq!(fs::read_to_string(&file).unwrap(), format!("{us}\n"));
        assert_eq!(holder(&file), Some(us));
        let busy = JobLock::take(&file).unwrap_err().to_string();
        assert!(
            busy.ends_with(&format!("is locked by process {us}")),
            "{busy}"
        );
        drop(lock);
        assert_eq!(holder(&file), None);
        fs::write(&file, "123456789\n").unwrap();
        let _lock = JobLock::take(&file).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), format!("{us}\n"));
    }

    #[test]
    fn a_lock_file_that_was_cleared_away_is_no_lock() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("lock");
        let first = open(&file).unwrap();
        fs::remove_file(&file).unwrap();
        assert!(!is_still_there(&first, &file));
        let _lock = JobLock::take(&file).unwrap();
        assert!(!is_still_there(&first, &file));
    }
}
