//! The tables of options that more than one cloud command still refuses.

use crate::later::{Later, Takes};

/// A customer's own encryption key: every command but barman-cloud-check-wal-archive.
pub const CUSTOMER_KEY: &[Later] = &[Later::option(
    "sse-customer-key",
    Takes::Value("URI"),
    "Key that S3 encrypts with and does not keep, as file:///path",
)];

/// Encryption at the provider: the commands that write.
pub const ENCRYPTION: &[Later] = &[
    Later::option(
        "encryption",
        Takes::Value("ALGORITHM"),
        "Encryption in S3: AES256 or aws:kms",
    )
    .short('e'),
    Later::option(
        "sse-kms-key-id",
        Takes::Value("ID"),
        "KMS key for --encryption aws:kms",
    ),
];

/// Tags on what is uploaded: the commands that write.
pub const TAGS: &[Later] = &[
    Later::option(
        "tag",
        Takes::Value("KEY,VALUE"),
        "Tag on every uploaded object; repeatable",
    ),
    Later::option("tags", Takes::Values("KEY,VALUE"), "Older form of --tag"),
];
