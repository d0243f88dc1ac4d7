//! The tables of options that more than one cloud command still refuses.

use crate::later::{Later, Takes};

/// Credentials of Azure: every command.
pub const AZURE: &[Later] = &[Later::option(
    "azure-credential",
    Takes::Value("KIND"),
    "Credential for Azure: azure-cli, managed-identity or default",
)
.aliases(&["credential", "default"])];

/// Encryption at providers other than S3: the commands that write.
pub const ENCRYPTION: &[Later] = &[
    Later::option(
        "kms-key-name",
        Takes::Value("NAME"),
        "KMS key of Google Cloud Storage",
    ),
    Later::option(
        "encryption-scope",
        Takes::Value("SCOPE"),
        "Encryption scope of Azure",
    ),
];
