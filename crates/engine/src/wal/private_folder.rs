//! A folder that only its owner can have written to: what lies in it is believed.
//!
//! The usual places for such folders, below `/tmp` and `/var/tmp`, are open to everybody, so a
//! name that is taken proves nothing. Always true: what [`open_private`] accepts is a real
//! directory of this process's user that no other user may write to, in a place from which no
//! other user can take it away.

use std::fs::{self, DirBuilder, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

/// A folder that must not be believed, or cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    #[error("cannot use directory {path}")]
    Unusable {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("directory {path} is not safe to use: {cause}")]
    Unsafe { path: PathBuf, cause: &'static str },
}

const WRITABLE_BY_OTHERS: u32 = 0o022;
/// Only an entry's owner may rename or remove it.
const STICKY: u32 = 0o1000;

/// Makes the folder if it is missing, with its parents, and checks it.
///
/// # Errors
/// See [`FolderError`].
pub fn open_private(path: &Path) -> Result<(), FolderError> {
    let unusable = |source| FolderError::Unusable {
        path: path.to_path_buf(),
        source,
    };
    let refused = |path: &Path, cause| FolderError::Unsafe {
        path: path.to_path_buf(),
        cause,
    };
    let parent = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(parent).map_err(unusable)?;
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(unusable(error)),
        _ => {}
    }
    let own = fs::symlink_metadata(path).map_err(unusable)?;
    if !own.is_dir() {
        return Err(refused(path, "it is no directory"));
    }
    if !is_ours(&own) {
        return Err(refused(path, "it belongs to another user"));
    }
    if own.mode() & WRITABLE_BY_OTHERS != 0 {
        return Err(refused(path, "others may write to it"));
    }
    let around = fs::metadata(parent).map_err(unusable)?;
    if !is_ours(&around) && around.uid() != 0 {
        return Err(refused(parent, "it belongs to another user"));
    }
    if around.mode() & WRITABLE_BY_OTHERS != 0 && around.mode() & STICKY == 0 {
        return Err(refused(parent, "others may rename what is in it"));
    }
    Ok(())
}

fn is_ours(metadata: &Metadata) -> bool {
    metadata.uid() == geteuid().as_raw()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_new_folder_is_private_and_can_be_opened_again() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("spool/own");
        open_private(&path).unwrap();
        open_private(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_folder_that_others_can_change_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let set = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        let path = place.path().join("own");
        open_private(&path).unwrap();
        set(&path, 0o770);
        let open = open_private(&path).unwrap_err().to_string();
        assert!(open.contains("others may write"), "{open}");
        set(&path, 0o700);
        set(place.path(), 0o777);
        let around = open_private(&path).unwrap_err().to_string();
        assert!(around.contains("rename"), "{around}");
        set(place.path(), 0o1777);
        open_private(&path).unwrap();
        let link = place.path().join("link");
        symlink(&path, &link).unwrap();
        let refused = open_private(&link).unwrap_err().to_string();
        assert!(refused.contains("no directory"), "{refused}");
    }
}
