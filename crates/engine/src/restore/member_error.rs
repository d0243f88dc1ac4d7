//! Why an archive's content was not accepted.

use std::io;
use std::path::{Path, PathBuf};

/// Why an archive's content was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum ExtractError {
    #[error("cannot read the archive")]
    Archive(#[source] io::Error),
    #[error("the archive's member {path} is refused: {cause}")]
    Refused { path: String, cause: &'static str },
    /// A link that is not followed, whatever it leads to.
    #[error("the archive's member {path} is refused: {cause}")]
    Link { path: String, cause: &'static str },
    #[error("cannot write {path}")]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the restore was stopped by a signal")]
    Stopped,
}

pub fn refused(path: &[u8], cause: &'static str) -> ExtractError {
    ExtractError::Refused {
        path: String::from_utf8_lossy(path).into_owned(),
        cause,
    }
}

pub fn link_refused(path: &[u8], cause: &'static str) -> ExtractError {
    ExtractError::Link {
        path: String::from_utf8_lossy(path).into_owned(),
        cause,
    }
}

pub fn write_failed(path: &Path, source: io::Error) -> ExtractError {
    ExtractError::Write {
        path: path.to_path_buf(),
        source,
    }
}
