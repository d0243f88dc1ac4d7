//! From options, environment and AWS files to settled settings: a pure function.
//!
//! The order is botocore's, which Barman's users know: option, environment, profile, default.
//! Differences: `AWS_REGION` is read too (before `AWS_DEFAULT_REGION`, as other AWS SDKs do), and
//! what is not built yet is refused by name instead of ignored.

use std::time::Duration;

use super::endpoint::{HostVariant, S3Endpoint};
use crate::environment::Environment;
use crate::identity::aws::{AwsAccount, AwsFiles, AwsIdentity, AwsService, AwsSettingsError};
use crate::objects::encryption::StoreEncryption;
use crate::options::{AddressingStyle, StoreOptions};
use crate::secret::for_header;

/// What the S3 client needs to know, apart from the bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Settings {
    /// Who we are, and in which region.
    pub identity: AwsIdentity,
    /// The address, and how buckets go into it.
    pub endpoint: S3Endpoint,
    /// How long a connection may be silent.
    pub read_timeout: Duration,
    /// How the store encrypts what is uploaded.
    pub encryption: StoreEncryption,
}

impl S3Settings {
    /// Settles every setting. No I/O: the files are already read.
    ///
    /// # Errors
    /// When a setting makes no sense, or there are no credentials.
    pub fn resolve(
        options: &StoreOptions,
        environment: &Environment,
        files: &AwsFiles,
    ) -> Result<Self, AwsSettingsError> {
        let account = AwsAccount::choose(options.profile.as_deref(), environment, files)?;
        let region = account.region()?;
        let style = addressing_style(options, &account)?;
        let of_option = options.endpoint_url.clone();
        let of_option = of_option.map(|url| (url, "--endpoint-url".to_owned()));
        let configured = match of_option {
            Some(named) => Some(named),
            None => account.endpoint(AwsService::S3)?,
        };
        let endpoint = match configured {
            Some((text, name)) => S3Endpoint::parse(&text, &name, style)?,
            None => {
                let variant = HostVariant {
                    fips: account.flag("AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint"),
                    dual_stack: account
                        .flag("AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint"),
                };
                S3Endpoint::of_region(&region, variant, style)?
            }
        };
        Ok(S3Settings {
            identity: account.identity(&region)?,
            read_timeout: options.read_timeout,
            encryption: encryption(options, &endpoint)?,
            endpoint,
        })
    }
}

/// The encryption that was asked for; a customer's key leaves this machine only through TLS.
fn encryption(
    options: &StoreOptions,
    endpoint: &S3Endpoint,
) -> Result<StoreEncryption, AwsSettingsError> {
    let is_key = matches!(options.encryption, StoreEncryption::Customer(_));
    if is_key && !endpoint.is_tls() && !endpoint.is_this_machine() {
        return Err(AwsSettingsError::BadValue {
            name: "endpoint".into(),
            cause: "a customer key is sent through TLS only, so it must begin with https://",
        });
    }
    if let StoreEncryption::Kms { key_id: Some(id) } = &options.encryption {
        for_header(id).map_err(|cause| AwsSettingsError::BadValue {
            name: "key of --sse-kms-key-id".into(),
            cause,
        })?;
    }
    Ok(options.encryption.clone())
}

fn addressing_style(
    options: &StoreOptions,
    account: &AwsAccount<'_>,
) -> Result<AddressingStyle, AwsSettingsError> {
    if let Some(style) = options.addressing_style {
        return Ok(style);
    }
    let in_profile = account.nested("s3", "addressing_style");
    Ok(in_profile.map_or(Ok(AddressingStyle::Auto), str::parse)?)
}
