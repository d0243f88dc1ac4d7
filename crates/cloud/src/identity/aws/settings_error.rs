//! Settings of AWS that cannot be used, and what the user can do about them.

use super::aws_file::BadAwsFile;
use crate::failure::{ErrorKind, Explains, Explanation};
use crate::options::BadWord;

/// Settings that cannot be used; never with a secret in its text.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("profile {name} is in neither {places}")]
    NoSuchProfile { name: String, places: String },
    #[error("incomplete credentials: {has} without {lacks}")]
    Partial { has: String, lacks: &'static str },
    #[error("no credentials: none are configured{unread}")]
    NoCredentials { unread: String },
    #[error("{what} is not supported yet")]
    NotYet { what: String },
    #[error("invalid {name}: {cause}")]
    BadValue { name: String, cause: &'static str },
    #[error(transparent)]
    File(#[from] BadAwsFile),
}

impl SettingsError {
    fn kind(&self) -> ErrorKind {
        match self {
            SettingsError::Partial { .. } | SettingsError::NoCredentials { .. } => {
                ErrorKind::Denied
            }
            _ => ErrorKind::Other,
        }
    }

    fn hint(&self) -> Option<&'static str> {
        match self {
            SettingsError::NoSuchProfile { .. } => {
                Some("Check --aws-profile, AWS_PROFILE and the [profile ...] sections.")
            }
            SettingsError::Partial { .. } | SettingsError::NoCredentials { .. } => {
                Some("Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or choose a profile.")
            }
            SettingsError::NotYet { .. } => Some(
                "Nobody is there to ask: use keys, a role, SSO, web identity or a program; \
                 `aws configure export-credentials` turns other sources into keys.",
            ),
            SettingsError::BadValue { .. } | SettingsError::File(_) => None,
        }
    }
}

impl Explains for SettingsError {
    fn explain(&self) -> Explanation {
        Explanation::Cause {
            kind: self.kind(),
            text: self.to_string(),
            hint: self.hint(),
        }
    }
}

impl From<BadWord> for SettingsError {
    fn from(BadWord { name, cause }: BadWord) -> SettingsError {
        SettingsError::BadValue {
            name: name.into(),
            cause,
        }
    }
}
