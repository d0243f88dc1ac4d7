//! Why a bucket could not be opened.

use crate::directory::MissingDirectory;
use crate::failure::{ErrorKind, Explained, Explains, Explanation};

/// A bucket that could not be opened. Of a cloud nothing was asked yet.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("cannot open {url}: {source}")]
    Settings { url: String, source: Explained },
    #[error(transparent)]
    Directory(#[from] MissingDirectory),
    #[error("cannot open {url}: the encryption that was asked for is that of S3")]
    NoEncryption { url: String },
}

impl OpenError {
    /// For what was wrong with the settings for a bucket.
    pub(crate) fn of(url: &str) -> impl Fn(Explained) -> OpenError {
        move |source| OpenError::Settings {
            url: url.to_owned(),
            source,
        }
    }

    /// What callers branch on.
    pub fn kind(&self) -> ErrorKind {
        match self {
            OpenError::Settings { source, .. } => source.kind(),
            OpenError::Directory(error) => error.kind(),
            OpenError::NoEncryption { .. } => ErrorKind::Other,
        }
    }

    /// What the user can do, when we know it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            OpenError::Settings { source, .. } => source.hint(),
            OpenError::Directory(error) => Some(error.hint()),
            OpenError::NoEncryption { .. } => {
                Some("Leave --encryption and --sse-customer-key out, or use s3://BUCKET/PATH.")
            }
        }
    }
}

/// A client that could not be made; no request was sent.
#[derive(Debug, thiserror::Error)]
#[error("cannot make a client for {bucket}: {source}")]
pub(crate) struct NoClient {
    /// What is to be opened, as its store calls it: `bucket NAME`, `container NAME`.
    pub(crate) bucket: String,
    pub(crate) source: object_store::Error,
}

impl Explains for NoClient {
    fn explain(&self) -> Explanation {
        Explanation::Cause {
            kind: ErrorKind::Other,
            text: self.to_string(),
            hint: None,
        }
    }
}
