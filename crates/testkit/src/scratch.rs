//! A folder for one test: everybody may enter it, so that servers under another account can work
//! in it. It goes with its owner unless `KEEP_TEST_FILES` is set in the environment.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};
use tempfile::TempDir;

use crate::user::give_to_server_user;

/// A folder below the system's temporary folder.
#[derive(Debug)]
pub struct Scratch {
    folder: TempDir,
}

impl Scratch {
    /// A new empty folder whose name begins with `purpose`.
    pub fn new(purpose: &str) -> Scratch {
        let mut folder = tempfile::Builder::new()
            .prefix(&format!("{purpose}-"))
            .tempdir_in(parent())
            .unwrap_or_else(|error| panic!("cannot create a temporary folder: {error}"));
        folder.disable_cleanup(keep_files());
        allow_everybody(folder.path(), 0o755);
        Scratch { folder }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Gives up the folder: from now on it is another's to remove.
    pub(crate) fn into_path(self) -> PathBuf {
        self.folder.keep()
    }

    /// A path in it; nothing is created.
    pub fn join(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A new folder in it that belongs to the servers' account.
    pub fn server_folder(&self, name: &str) -> PathBuf {
        let path = self.join(name);
        fs::create_dir_all(&path)
            .unwrap_or_else(|error| panic!("cannot create {}: {error}", path.display()));
        give_to_server_user(&path);
        path
    }

    /// A new folder in it that every account may write to.
    pub fn shared_folder(&self, name: &str) -> PathBuf {
        let path = self.server_folder(name);
        allow_everybody(&path, 0o777);
        path
    }

    /// Writes a file that everybody may read.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.join(name);
        fs::write(&path, text)
            .unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
        allow_everybody(&path, 0o644);
        path
    }
}

/// Whether `KEEP_TEST_FILES` asks to leave files and logs for a look.
pub fn keep_files() -> bool {
    std::env::var_os("KEEP_TEST_FILES").is_some()
}

/// The folder of all folders, `barman-tests-` and the account's number; it stays.
fn parent() -> &'static Path {
    static PARENT: OnceLock<PathBuf> = OnceLock::new();
    PARENT.get_or_init(|| {
        let account = rustix::process::geteuid().as_raw();
        let parent = std::env::temp_dir().join(format!("barman-tests-{account}"));
        fs::create_dir_all(&parent)
            .unwrap_or_else(|error| panic!("cannot create {}: {error}", parent.display()));
        allow_everybody(&parent, 0o755);
        spread(&parent);
        parent
    })
}

/// Asks for each folder below this one to be put elsewhere on the disk. An ext4 without a journal
/// looks at every inode that was given back in the last minutes before it takes one; tests
/// delete so many files that servers and restores spent a third of their time on that.
fn spread(parent: &Path) {
    // Other file systems have no such wish, and need none.
    let Ok(folder) = fs::File::open(parent) else {
        return;
    };
    if let Ok(flags) = ioctl_getflags(&folder) {
        let _ = ioctl_setflags(&folder, flags | IFlags::TOPDIR);
    }
}

fn allow_everybody(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .unwrap_or_else(|error| panic!("cannot open {} to everybody: {error}", path.display()));
}
