//! Settings of AWS that cannot be used, and what the user can do about them.

use super::aws_file::BadAwsFile;
use crate::failure::{ErrorKind, Explains, Explanation};
use crate::options::BadWord;

/// Settings that cannot be used; never with a secret in its text.
#[derive(Debug, thiserror::Error)]
pub enum AwsSettingsError {
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

impl AwsSettingsError {
    fn kind(&self) -> ErrorKind {
        match self {
            AwsSettingsError::Partial { .. } | AwsSettingsError::NoCredentials { .. } => {
                ErrorKind::Denied
            }
            _ => ErrorKind::Other,
        }
    }

    fn hint(&self) -> Option<&'static str> {
        match self {
            AwsSettingsError::NoSuchProfile { .. } => {
                Some("Check --aws-profile, AWS_PROFILE and the [profile ...] sections.")
            }
            AwsSettingsError::Partial { .. } | AwsSettingsError::NoCredentials { .. } => {
                Some("Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or choose a profile.")
            }
            AwsSettingsError::NotYet { .. } => Some(
                "Nobody is there to ask: use keys, a role, SSO, web identity or a program; \
                 `aws configure export-credentials` turns other sources into keys.",
            ),
            AwsSettingsError::BadValue { .. } | AwsSettingsError::File(_) => None,
        }
    }
}

impl Explains for AwsSettingsError {
    fn explain(&self) -> Explanation {
        Explanation::Cause {
            kind: self.kind(),
            text: self.to_string(),
            hint: self.hint(),
        }
    }
}

impl From<BadWord> for AwsSettingsError {
    fn from(BadWord { name, cause }: BadWord) -> AwsSettingsError {
        AwsSettingsError::BadValue {
            name: name.into(),
            cause,
        }
    }
}
