//! The command line's options about stores, before environment and files are asked.

use std::time::Duration;

use crate::s3::AddressingStyle;

/// boto3's default, which Barman's `--read-timeout` changes.
pub const DEFAULT_READ_TIMEOUT: Duration = Duration::from_secs(60);

/// What the user typed; every field has its option in Barman.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreOptions {
    /// `--endpoint-url`.
    pub endpoint_url: Option<String>,
    /// `-P`, `--aws-profile`, `--profile`.
    pub profile: Option<String>,
    /// `--read-timeout`, in seconds on the command line.
    pub read_timeout: Duration,
    /// `--addressing-style`; `None` lets the profile decide.
    pub addressing_style: Option<AddressingStyle>,
}

impl Default for StoreOptions {
    fn default() -> Self {
        StoreOptions {
            endpoint_url: None,
            profile: None,
            read_timeout: DEFAULT_READ_TIMEOUT,
            addressing_style: None,
        }
    }
}
