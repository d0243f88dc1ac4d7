//! A directory that is not there, or not ours to use.

use std::io;
use std::path::{Path, PathBuf};

use super::access::{NotPermitted, describe};
use crate::failure::ErrorKind;

/// A directory that cannot be a bucket.
#[derive(Debug, thiserror::Error)]
#[error("cannot open directory {}: {cause}", path.display())]
pub struct MissingDirectory {
    path: PathBuf,
    cause: String,
    kind: ErrorKind,
}

impl MissingDirectory {
    pub(crate) fn new(path: &Path, cause: impl Into<String>) -> MissingDirectory {
        MissingDirectory {
            path: path.into(),
            cause: cause.into(),
            kind: ErrorKind::MissingBucket,
        }
    }

    /// One that the system would not let us use is not missing: whose it is matters then.
    pub(crate) fn of(path: &Path, error: &io::Error) -> MissingDirectory {
        match error.kind() {
            io::ErrorKind::PermissionDenied => MissingDirectory {
                path: path.into(),
                cause: format!("permission denied: {}", describe(path)),
                kind: ErrorKind::Denied,
            },
            _ => MissingDirectory::new(path, error.to_string()),
        }
    }

    pub(crate) fn kind(&self) -> ErrorKind {
        self.kind
    }

    pub(crate) fn hint(&self) -> &'static str {
        match self.kind {
            ErrorKind::Denied => NotPermitted::HINT,
            _ => "Create the directory first: mkdir -p.",
        }
    }
}
