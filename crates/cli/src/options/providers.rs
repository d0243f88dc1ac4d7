//! The options that only Azure or only Google Cloud Storage knows.
//!
//! How blocks are cut means nothing elsewhere and is ignored there, as in Barman. Encryption is
//! refused where it would mean nothing: who asks for it must get it.

use std::num::NonZeroUsize;

use clap::Args;
use clap::builder::PossibleValuesParser;
use cloud::AzureCredentialKind;
use cloud::{Location, Provider, StoreOptions};
use model::size::parse_size;

use crate::failure::{Failure, Kind};

/// Who to be for Azure.
#[derive(Debug, Args)]
#[command(next_help_heading = "Reaching Azure")]
pub struct AzureFlags {
    /// Kind of credential to use instead of what the environment has
    #[arg(long, visible_aliases = ["credential", "default"], value_name = "KIND")]
    #[arg(value_parser = PossibleValuesParser::new(AzureCredentialKind::NAMES))]
    azure_credential: Option<String>,
}

/// How the provider is to encrypt what it stores.
#[derive(Debug, Args)]
#[command(next_help_heading = "Encryption at Azure and Google")]
pub struct AtRestFlags {
    /// Encryption scope of the Azure account
    #[arg(long, value_name = "SCOPE")]
    encryption_scope: Option<String>,
    /// Cloud KMS key for Google Cloud Storage: projects/P/locations/L/keyRings/R/cryptoKeys/K
    #[arg(long, value_name = "NAME")]
    kms_key_name: Option<String>,
}

/// How Azure gets what is large.
#[derive(Debug, Args)]
#[command(next_help_heading = "Uploading to Azure")]
pub struct BlockFlags {
    /// Size of a block
    #[arg(long, value_name = "SIZE", default_value = "4MB")]
    max_block_size: String,
    /// Blocks sent at the same time
    #[arg(long, value_name = "N", default_value = "1")]
    max_concurrency: NonZeroUsize,
    /// What is larger is uploaded in blocks
    #[arg(long, value_name = "SIZE", default_value = "64MB")]
    max_single_put_size: String,
}

/// The largest block, and the largest single upload, that Azure takes (Microsoft, "Scalability
/// targets for Blob storage"), in bytes.
const LARGEST_BLOCK: u64 = 4000 << 20;
const LARGEST_PUT: u64 = 5000 << 20;

impl AzureFlags {
    /// The kind as it was typed.
    pub fn word(&self) -> Option<&str> {
        self.azure_credential.as_deref()
    }

    /// The kind that was asked for, if any.
    pub fn kind(&self) -> Result<Option<AzureCredentialKind>, Failure> {
        Ok(self
            .azure_credential
            .as_deref()
            .map(str::parse)
            .transpose()?)
    }
}

impl AtRestFlags {
    /// Sets the options, unless they are for another provider than the location's.
    pub fn apply(&self, location: &Location, options: &mut StoreOptions) -> Result<(), Failure> {
        let azure = Provider::AzureBlobStorage;
        refuse_elsewhere(
            "--encryption-scope",
            &self.encryption_scope,
            location,
            azure,
        )?;
        let google = Provider::GoogleCloudStorage;
        refuse_elsewhere("--kms-key-name", &self.kms_key_name, location, google)?;
        options.azure.encryption_scope = self.encryption_scope.clone();
        options.kms_key_name = self.kms_key_name.clone();
        Ok(())
    }
}

fn refuse_elsewhere(
    option: &str,
    value: &Option<String>,
    location: &Location,
    provider: Provider,
) -> Result<(), Failure> {
    if value.is_none() || location.provider() == Some(provider) {
        return Ok(());
    }
    let what = format!("{option} is for {provider} only: nothing would be encrypted with it");
    Err(Failure::new(Kind::Usage, what))
}

impl BlockFlags {
    /// Sets the options.
    pub fn apply(&self, options: &mut StoreOptions) -> Result<(), Failure> {
        let azure = &mut options.azure;
        azure.max_block_size = parse_size(&self.max_block_size)?.clamp(1, LARGEST_BLOCK);
        azure.max_concurrency = self.max_concurrency.get();
        azure.max_single_put_size = parse_size(&self.max_single_put_size)?.min(LARGEST_PUT);
        Ok(())
    }
}
