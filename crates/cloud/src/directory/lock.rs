//! The lock of a folder: it keeps apart those who replace and delete files in it at the same time.
//!
//! The kernel keeps it, on the folder itself, so that no file is left behind, and lets go of it
//! when a process ends. Always true: nobody waits long for a process that was stopped.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::{Duration, Instant};

/// Whoever holds the lock needs it for one small file.
const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(5);

/// Waits for the lock of the folder that a file lies in, and holds it until it is dropped. `None`
/// where there is no such folder, on file systems that cannot lock one, and after a while.
pub(super) fn of_folder(file: &Path) -> Option<File> {
    let folder = File::open(file.parent()?).ok()?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        match folder.try_lock() {
            Ok(()) => return Some(folder),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                std::thread::sleep(PAUSE);
            }
            Err(_) => return None,
        }
    }
}
