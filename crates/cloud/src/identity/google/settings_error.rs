//! Settings of Google that cannot be used, and what the user can do about them.

use super::key_file::BadKeyFile;
use crate::failure::{ErrorKind, Explains, Explanation};

/// Settings that cannot be used; never with a secret in its text.
#[derive(Debug, thiserror::Error)]
pub enum GoogleSettingsError {
    #[error(transparent)]
    KeyFile(#[from] BadKeyFile),
    #[error("{what} is not supported yet")]
    NotYet { what: String },
    #[error("invalid {name}: {cause}")]
    BadValue { name: String, cause: &'static str },
    #[error("a new bucket needs a project, and none is configured")]
    NoProject,
}

impl GoogleSettingsError {
    fn kind(&self) -> ErrorKind {
        match self {
            GoogleSettingsError::KeyFile(_) => ErrorKind::Denied,
            _ => ErrorKind::Other,
        }
    }

    fn hint(&self) -> Option<&'static str> {
        match self {
            GoogleSettingsError::KeyFile(_) => {
                Some("Set GOOGLE_APPLICATION_CREDENTIALS to a file of credentials in JSON.")
            }
            GoogleSettingsError::NotYet { .. } => Some(
                "Use a service account's key, a user's credentials, workload identity federation \
                 by file or URL, or the metadata server.",
            ),
            GoogleSettingsError::NoProject => {
                Some("Set GOOGLE_CLOUD_PROJECT, or create the bucket yourself.")
            }
            GoogleSettingsError::BadValue { .. } => None,
        }
    }
}

impl Explains for GoogleSettingsError {
    fn explain(&self) -> Explanation {
        Explanation::Cause {
            kind: self.kind(),
            text: self.to_string(),
            hint: self.hint(),
        }
    }
}
