//! From options, environment and AWS files to settled settings: a pure function.
//!
//! The order is botocore's, which Barman's users know: option, environment, profile, default.
//! Differences: `AWS_REGION` is read too (before `AWS_DEFAULT_REGION`, as other AWS SDKs do), and
//! what is not built yet is refused by name instead of ignored.

use std::path::PathBuf;
use std::time::Duration;

use super::aws_file::BadAwsFile;
use super::credentials::{ChosenBy, CredentialSource, Search};
use super::endpoint::{AddressingStyle, Endpoint, HostVariant};
use super::profile::{AwsFiles, Profile};
use crate::encryption::Encryption;
use crate::environment::Environment;
use crate::failure::ErrorKind;
use crate::options::StoreOptions;
use crate::secret::for_header;

/// What the S3 client needs to know, apart from the bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Settings {
    /// The region that signatures name.
    pub region: String,
    /// The address, and how buckets go into it.
    pub endpoint: Endpoint,
    /// Where credentials come from.
    pub credentials: CredentialSource,
    /// A PEM file whose certificates are trusted instead of the system's.
    pub ca_bundle: Option<PathBuf>,
    /// How long a connection may be silent.
    pub read_timeout: Duration,
    /// How the store encrypts what is uploaded.
    pub encryption: Encryption,
    /// Where the Security Token Service is.
    pub sts_endpoint: String,
    /// Where the portal of IAM Identity Center is, if not where AWS has it.
    pub sso_endpoint: Option<String>,
}

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
    /// What kind of failure this is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            SettingsError::Partial { .. } | SettingsError::NoCredentials { .. } => {
                ErrorKind::Denied
            }
            _ => ErrorKind::Other,
        }
    }

    /// What the user can do.
    pub fn hint(&self) -> Option<&'static str> {
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

impl S3Settings {
    /// Settles every setting. No I/O: the files are already read.
    pub fn resolve(
        options: &StoreOptions,
        environment: &Environment,
        files: &AwsFiles,
    ) -> Result<Self, SettingsError> {
        let (profile, chosen_by) = choose_profile(options, environment, files)?;
        let profile = profile.as_ref();
        let value = |key: &str| profile.and_then(|profile| profile.value(key));
        let region = region(environment, profile)?;
        let style = addressing_style(options, profile)?;
        let of_option = options.endpoint_url.clone();
        let of_option = of_option.map(|url| (url, "--endpoint-url".to_owned()));
        let configured = match of_option {
            Some(named) => Some(named),
            None => settings_of("s3").endpoint(environment, files, profile)?,
        };
        let endpoint = match configured {
            Some((text, name)) => Endpoint::parse(&text, &name, style)?,
            None => {
                let flag = |variable, key| {
                    let in_profile =
                        || value(key).is_some_and(|it| it.eq_ignore_ascii_case("true"));
                    environment
                        .get(variable)
                        .map_or_else(in_profile, |_| environment.is_true(variable))
                };
                let variant = HostVariant {
                    fips: flag("AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint"),
                    dual_stack: flag("AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint"),
                };
                Endpoint::of_region(&region, variant, style)?
            }
        };
        let search = Search {
            environment,
            files,
            chosen_by,
        };
        let of_service = |service| {
            let found = settings_of(service).endpoint(environment, files, profile);
            let found = found.ok().flatten();
            found.map(|(url, _)| url.trim_end_matches('/').to_owned())
        };
        Ok(S3Settings {
            sts_endpoint: of_service("sts").unwrap_or_else(|| sts_of_region(&region)),
            sso_endpoint: of_service("sso"),
            region,
            credentials: search.find(profile)?,
            ca_bundle: ca_bundle(environment, profile),
            read_timeout: options.read_timeout,
            encryption: encryption(options, &endpoint)?,
            endpoint,
        })
    }
}

/// The region, which every signature names.
fn region(environment: &Environment, profile: Option<&Profile>) -> Result<String, SettingsError> {
    let in_environment = environment.first(&["AWS_REGION", "AWS_DEFAULT_REGION"]);
    let in_profile = || {
        let setting = profile?.get("region")?;
        (!setting.value().is_empty()).then(|| (setting.place.as_str(), setting.value()))
    };
    let Some((name, region)) = in_environment.or_else(in_profile) else {
        return Ok("us-east-1".into());
    };
    let bad = |cause| SettingsError::BadValue {
        name: format!("region ({name})"),
        cause,
    };
    let region = for_header(region).map_err(bad)?;
    // botocore takes nothing else, whatever the endpoint.
    let is_label = region.len() <= 63
        && region
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '-')
        && !region.starts_with('-')
        && !region.ends_with('-')
        && !region.chars().all(|c| c.is_ascii_digit());
    if is_label {
        Ok(region.to_owned())
    } else {
        Err(bad("it must be a name such as eu-west-1"))
    }
}

fn ca_bundle(environment: &Environment, profile: Option<&Profile>) -> Option<PathBuf> {
    let in_profile = || Some(environment.expand_home(profile?.value("ca_bundle")?));
    environment
        .path("AWS_CA_BUNDLE")
        .or_else(in_profile)
        .or_else(|| environment.path("REQUESTS_CA_BUNDLE"))
}

/// The encryption that was asked for; a customer's key leaves this machine only through TLS.
fn encryption(options: &StoreOptions, endpoint: &Endpoint) -> Result<Encryption, SettingsError> {
    let is_key = matches!(options.encryption, Encryption::Customer(_));
    if is_key && !endpoint.is_tls() && !endpoint.is_this_machine() {
        return Err(SettingsError::BadValue {
            name: "endpoint".into(),
            cause: "a customer key is sent through TLS only, so it must begin with https://",
        });
    }
    if let Encryption::Kms { key_id: Some(id) } = &options.encryption {
        for_header(id).map_err(|cause| SettingsError::BadValue {
            name: "key of --sse-kms-key-id".into(),
            cause,
        })?;
    }
    Ok(options.encryption.clone())
}

/// The chosen profile; `None` when the default one is in no file.
fn choose_profile(
    options: &StoreOptions,
    environment: &Environment,
    files: &AwsFiles,
) -> Result<(Option<Profile>, ChosenBy), SettingsError> {
    let chosen_by = match options.profile {
        Some(_) => ChosenBy::Option,
        None => ChosenBy::EnvironmentOrDefault,
    };
    // When both variables are set botocore takes AWS_DEFAULT_PROFILE.
    let named = || {
        environment
            .first(&["AWS_DEFAULT_PROFILE", "AWS_PROFILE"])
            .map(|(_, it)| it)
    };
    let Some(name) = options.profile.as_deref().or_else(named) else {
        return Ok((files.profile("default"), chosen_by));
    };
    let profile = files.profile(name);
    let profile = profile.ok_or_else(|| no_such_profile(name, files))?;
    Ok((Some(profile), chosen_by))
}

pub(super) fn no_such_profile(name: &str, files: &AwsFiles) -> SettingsError {
    SettingsError::NoSuchProfile {
        name: name.into(),
        places: files.places(),
    }
}

/// The Security Token Service of a region (AWS, "AWS STS Regions and endpoints").
fn sts_of_region(region: &str) -> String {
    let suffix = if region.starts_with("cn-") {
        "amazonaws.com.cn"
    } else {
        "amazonaws.com"
    };
    format!("https://sts.{region}.{suffix}")
}

/// A service's name in `[services ...]` sections and in environment variables.
struct Service {
    key: &'static str,
    variable: &'static str,
}

fn settings_of(key: &'static str) -> Service {
    let variable = match key {
        "s3" => "AWS_ENDPOINT_URL_S3",
        "sts" => "AWS_ENDPOINT_URL_STS",
        _ => "AWS_ENDPOINT_URL_SSO",
    };
    Service { key, variable }
}

impl Service {
    /// The endpoint and the name of its setting; `None` is AWS's own.
    ///
    /// AWS, "AWS SDKs and Tools Reference Guide", "Service-specific endpoints".
    fn endpoint(
        &self,
        environment: &Environment,
        files: &AwsFiles,
        profile: Option<&Profile>,
    ) -> Result<Option<(String, String)>, SettingsError> {
        let value = |key: &str| profile.and_then(|profile| profile.value(key));
        let ignored = value("ignore_configured_endpoint_urls");
        if environment.is_true("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")
            || ignored.is_some_and(|it| it.eq_ignore_ascii_case("true"))
        {
            return Ok(None);
        }
        let variable = environment.first(&[self.variable, "AWS_ENDPOINT_URL"]);
        if let Some((name, url)) = variable {
            return Ok(Some((url.into(), name.into())));
        }
        let Some(profile) = profile else {
            return Ok(None);
        };
        let of_service = match value("services") {
            Some(name) if !files.has_services(name) => {
                return Err(SettingsError::BadValue {
                    name: format!("services of profile {}", profile.name),
                    cause: "the config file has no [services ...] section of that name",
                });
            }
            Some(name) => files.service(name, self.key, "endpoint_url"),
            None => None,
        };
        let url = of_service.or_else(|| value("endpoint_url").map(str::to_owned));
        Ok(url.map(|url| (url, format!("profile {}", profile.name))))
    }
}

fn addressing_style(
    options: &StoreOptions,
    profile: Option<&Profile>,
) -> Result<AddressingStyle, SettingsError> {
    match (options.addressing_style, profile) {
        (Some(style), _) => Ok(style),
        (None, Some(profile)) => profile
            .nested("s3", "addressing_style")
            .map_or(Ok(AddressingStyle::Auto), str::parse),
        (None, None) => Ok(AddressingStyle::Auto),
    }
}
