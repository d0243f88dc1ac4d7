//! The command line's options about stores, before environment and files are asked.

use std::num::NonZeroU64;
use std::str::FromStr;
use std::time::Duration;

use crate::http::persistence::Persistence;
use crate::objects::encryption::StoreEncryption;

/// boto3's default, which Barman's `--read-timeout` changes.
pub const DEFAULT_READ_TIMEOUT: Duration = Duration::from_secs(60);

/// What the user typed, and how patient the command is.
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
    /// What only Azure knows.
    pub azure: AzureOptions,
    /// `--kms-key-name` of Google Cloud Storage.
    pub kms_key_name: Option<String>,
    /// `--encryption`, `--sse-kms-key-id`, `--sse-customer-key`.
    pub encryption: StoreEncryption,
    /// `--min-chunk-size`: no part is smaller, in bytes, but the last one.
    pub min_part_size: u64,
    /// `--max-bandwidth`: bytes uploaded in a second, over all uploads together.
    pub max_bandwidth: Option<NonZeroU64>,
    /// How long requests are tried again, and who is told.
    pub persistence: Persistence,
}

/// The options that only Azure knows. The sizes are those of Barman's `barman-cloud-wal-archive`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AzureOptions {
    /// `--azure-credential`; `None` lets the environment decide.
    pub credential: Option<AzureCredentialKind>,
    /// `--encryption-scope`.
    pub encryption_scope: Option<String>,
    /// `--max-block-size`, in bytes.
    pub max_block_size: u64,
    /// `--max-concurrency`: how many blocks of one object are on their way at a time.
    pub max_concurrency: usize,
    /// `--max-single-put-size`, in bytes: what is larger is written in blocks.
    pub max_single_put_size: u64,
}

impl Default for AzureOptions {
    fn default() -> Self {
        AzureOptions {
            credential: None,
            encryption_scope: None,
            max_block_size: 4 << 20,
            max_concurrency: 1,
            max_single_put_size: 64 << 20,
        }
    }
}

impl Default for StoreOptions {
    fn default() -> Self {
        StoreOptions {
            endpoint_url: None,
            profile: None,
            read_timeout: DEFAULT_READ_TIMEOUT,
            addressing_style: None,
            azure: AzureOptions::default(),
            kms_key_name: None,
            encryption: StoreEncryption::OfBucket,
            min_part_size: 0,
            max_bandwidth: None,
            persistence: Persistence::default(),
        }
    }
}

/// The value of `--addressing-style`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AddressingStyle {
    /// Virtual for AWS, path for other endpoints.
    #[default]
    Auto,
    /// `https://bucket.host/key`.
    Virtual,
    /// `https://host/bucket/key`.
    Path,
}

impl FromStr for AddressingStyle {
    type Err = BadWord;

    fn from_str(word: &str) -> Result<Self, BadWord> {
        match word {
            "auto" => Ok(AddressingStyle::Auto),
            "virtual" => Ok(AddressingStyle::Virtual),
            "path" => Ok(AddressingStyle::Path),
            _ => Err(BadWord {
                name: "addressing style",
                cause: "it must be auto, virtual or path",
            }),
        }
    }
}

/// The value of `--azure-credential`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AzureCredentialKind {
    AzureCli,
    ManagedIdentity,
    Default,
}

impl AzureCredentialKind {
    /// The words the option accepts.
    pub const NAMES: [&str; 3] = ["azure-cli", "managed-identity", "default"];
}

impl FromStr for AzureCredentialKind {
    type Err = BadWord;

    fn from_str(word: &str) -> Result<Self, BadWord> {
        match word {
            "azure-cli" => Ok(AzureCredentialKind::AzureCli),
            "managed-identity" => Ok(AzureCredentialKind::ManagedIdentity),
            "default" => Ok(AzureCredentialKind::Default),
            _ => Err(BadWord {
                name: "kind of credential",
                cause: "it must be azure-cli, managed-identity or default",
            }),
        }
    }
}

/// A word of an option, or of a profile, that means nothing.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("invalid {name}: {cause}")]
pub struct BadWord {
    pub(crate) name: &'static str,
    pub(crate) cause: &'static str,
}
