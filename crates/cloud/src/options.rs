//! The command line's options about stores, before environment and files are asked.

use std::num::NonZeroU64;
use std::time::Duration;

use crate::encryption::Encryption;
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
    /// `--encryption`, `--sse-kms-key-id`, `--sse-customer-key`.
    pub encryption: Encryption,
    /// `--min-chunk-size`: no part is smaller, in bytes, but the last one.
    pub min_part_size: u64,
    /// `--max-bandwidth`: bytes uploaded in a second, over all uploads together.
    pub max_bandwidth: Option<NonZeroU64>,
}

impl Default for StoreOptions {
    fn default() -> Self {
        StoreOptions {
            endpoint_url: None,
            profile: None,
            read_timeout: DEFAULT_READ_TIMEOUT,
            addressing_style: None,
            encryption: Encryption::OfBucket,
            min_part_size: 0,
            max_bandwidth: None,
        }
    }
}
