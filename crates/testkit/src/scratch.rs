//! A folder for one test: everybody may enter it, so that servers under another account can work
//! in it. It goes with its owner unless `KEEP_TEST_FILES` is set in the environment.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::user::give_to_server_user;

/// A folder below the system's temporary folder.
#[derive(Debug)]
pub struct Scratch {
    folder: TempDir,
}

impl Scratch {
    /// A new empty folder whose name begins with `barman-test-` and `purpose`.
    pub fn new(purpose: &str) -> Scratch {
        let mut folder = tempfile::Builder::new()
            .prefix(&format!("barman-test-{purpose}-"))
            .tempdir()
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

fn allow_everybody(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .unwrap_or_else(|error| panic!("cannot open {} to everybody: {error}", path.display()));
}
