//! Settings of Azure that cannot be used, and what the user can do about them.

use crate::failure::{ErrorKind, Explains, Explanation};

/// Settings that cannot be used; never with a secret in its text.
#[derive(Debug, thiserror::Error)]
pub enum AzureSettingsError {
    #[error("incomplete credentials: {has} without {lacks}")]
    Partial {
        has: &'static str,
        lacks: &'static str,
    },
    #[error("the URL is of account {url}, but {variable} is of account {other}")]
    OtherAccount {
        url: String,
        variable: &'static str,
        other: String,
    },
    #[error("{what} is not supported yet")]
    NotYet { what: String },
    #[error("invalid {name}: {cause}")]
    BadValue { name: String, cause: &'static str },
}

impl AzureSettingsError {
    fn kind(&self) -> ErrorKind {
        match self {
            AzureSettingsError::Partial { .. } => ErrorKind::Denied,
            _ => ErrorKind::Other,
        }
    }

    fn hint(&self) -> Option<&'static str> {
        match self {
            AzureSettingsError::Partial { .. } => {
                Some("Set both, or give the account's key or a shared access signature.")
            }
            AzureSettingsError::OtherAccount { .. } => {
                Some("Write the URL of that account, or set the variable for this one.")
            }
            AzureSettingsError::NotYet { .. } => Some(
                "Use an account key, a shared access signature, a client secret, workload \
                 identity, a managed identity or the Azure CLI.",
            ),
            AzureSettingsError::BadValue { .. } => None,
        }
    }
}

impl Explains for AzureSettingsError {
    fn explain(&self) -> Explanation {
        Explanation::Cause {
            kind: self.kind(),
            text: self.to_string(),
            hint: self.hint(),
        }
    }
}
