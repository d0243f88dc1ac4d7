//! What one must know about a refused file operation: whose the file is, its mode, and who we are.

use std::error::Error as StdError;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A file operation that the system did not permit.
#[derive(Debug, thiserror::Error)]
#[error("cannot {verb} {}: permission denied: {access}", path.display())]
pub(crate) struct NotPermitted {
    pub(super) verb: &'static str,
    pub(super) path: PathBuf,
    pub(super) access: String,
}

impl NotPermitted {
    /// What the user can do.
    pub(crate) const HINT: &'static str =
        "Run it as the owner, or see chown and chmod: a directory needs all of rwx, a file r.";

    pub(super) fn new(verb: &'static str, path: &Path) -> NotPermitted {
        NotPermitted {
            verb,
            path: path.into(),
            access: describe(path),
        }
    }
}

/// Whether a file operation failed for lack of permission.
pub(super) fn is_refusal(error: &(dyn StdError + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        let io = error.downcast_ref::<io::Error>();
        if io.is_some_and(|io| io.kind() == io::ErrorKind::PermissionDenied) {
            return true;
        }
        let inside = io.and_then(io::Error::get_ref);
        next = match inside {
            Some(inside) => Some(inside),
            None => error.source(),
        };
    }
    false
}

/// The file and its directory, or the nearest one that can be looked at.
pub(crate) fn describe(path: &Path) -> String {
    let mut seen = path.ancestors().filter_map(|path| {
        let metadata = fs::metadata(path).ok()?;
        Some(of_file(path, &metadata))
    });
    let mut parts: Vec<String> = seen.by_ref().take(2).collect();
    parts.push(format!(
        "this is {}",
        name_of(postgres::effective_user_id())
    ));
    parts.join("; ")
}

fn of_file(path: &Path, metadata: &Metadata) -> String {
    let (owner, mode) = (name_of(metadata.uid()), metadata.mode() & 0o7777);
    format!("{} is of {owner}, mode {mode:04o}", path.display())
}

fn name_of(user_id: u32) -> String {
    let name = postgres::user_name(user_id);
    name.unwrap_or_else(|| format!("user {user_id}"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_refusal_tells_owner_mode_and_who_we_are() {
        let directory = tempfile::tempdir().unwrap();
        let closed = directory.path().join("closed");
        fs::create_dir(&closed).unwrap();
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o500)).unwrap();
        let me = name_of(postgres::effective_user_id());
        let said = NotPermitted::new("write", &closed.join("a/b")).to_string();
        let owner = format!("{} is of {me}, mode 0500", closed.display());
        assert!(said.contains(&owner), "{said}");
        assert!(said.ends_with(&format!("this is {me}")), "{said}");
    }

    #[test]
    fn a_refusal_is_seen_inside_other_errors() {
        let refused = || io::Error::from(io::ErrorKind::PermissionDenied);
        assert!(is_refusal(&refused()));
        assert!(is_refusal(&io::Error::other(refused())));
        assert!(!is_refusal(&io::Error::from(io::ErrorKind::NotFound)));
    }
}
