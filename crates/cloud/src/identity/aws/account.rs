//! What options, environment and files settle for every service of AWS: profile, region, addresses,
//! trust and credentials.

use std::path::PathBuf;

use super::profile::{AwsFiles, Profile};
use super::search::{ChosenBy, CredentialSearch, no_such_profile};
use super::settings_error::AwsSettingsError;
use super::source::AwsCredentialSource;
use crate::environment::Environment;
use crate::secret::for_header;

/// Who we are for AWS, settled: no request was sent yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsIdentity {
    /// The region that signatures name.
    pub region: String,
    /// Where credentials come from.
    pub credentials: AwsCredentialSource,
    /// A PEM file whose certificates are trusted instead of the system's.
    pub ca_bundle: Option<PathBuf>,
    /// Where the Security Token Service is.
    pub sts_endpoint: String,
    /// Where the portal of IAM Identity Center is, if not where AWS has it.
    pub sso_endpoint: Option<String>,
}

/// The chosen profile in its surroundings: what is not settled yet is asked of it.
pub(crate) struct AwsAccount<'a> {
    environment: &'a Environment,
    files: &'a AwsFiles,
    profile: Option<Profile>,
    chosen_by: ChosenBy,
}

/// A service whose address can be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AwsService {
    S3,
    Sts,
    Sso,
}

impl AwsService {
    /// Its name in `[services ...]` sections.
    fn key(self) -> &'static str {
        match self {
            AwsService::S3 => "s3",
            AwsService::Sts => "sts",
            AwsService::Sso => "sso",
        }
    }

    fn variable(self) -> &'static str {
        match self {
            AwsService::S3 => "AWS_ENDPOINT_URL_S3",
            AwsService::Sts => "AWS_ENDPOINT_URL_STS",
            AwsService::Sso => "AWS_ENDPOINT_URL_SSO",
        }
    }
}

impl<'a> AwsAccount<'a> {
    /// The profile of an option, else of the environment, else the default one, which may be in no
    /// file.
    pub(crate) fn choose(
        of_option: Option<&str>,
        environment: &'a Environment,
        files: &'a AwsFiles,
    ) -> Result<Self, AwsSettingsError> {
        let chosen_by = match of_option {
            Some(_) => ChosenBy::Option,
            None => ChosenBy::EnvironmentOrDefault,
        };
        // When both variables are set botocore takes AWS_DEFAULT_PROFILE.
        let named = || {
            environment
                .first(&["AWS_DEFAULT_PROFILE", "AWS_PROFILE"])
                .map(|(_, it)| it)
        };
        let profile = match of_option.or_else(named) {
            None => files.profile("default"),
            Some(name) => {
                let profile = files.profile(name);
                Some(profile.ok_or_else(|| no_such_profile(name, files))?)
            }
        };
        Ok(AwsAccount {
            environment,
            files,
            profile,
            chosen_by,
        })
    }

    /// A key of the profile, such as `addressing_style` below `s3 =`.
    pub(crate) fn nested(&self, block: &str, key: &str) -> Option<&str> {
        self.profile.as_ref()?.nested(block, key)
    }

    /// A flag of the environment, else of the profile.
    pub(crate) fn flag(&self, variable: &str, key: &str) -> bool {
        let in_profile = || {
            self.value(key)
                .is_some_and(|it| it.eq_ignore_ascii_case("true"))
        };
        self.environment
            .get(variable)
            .map_or_else(in_profile, |_| self.environment.is_true(variable))
    }

    fn value(&self, key: &str) -> Option<&str> {
        self.profile.as_ref()?.value(key)
    }

    /// The region, which every signature names.
    pub(crate) fn region(&self) -> Result<String, AwsSettingsError> {
        let in_environment = self
            .environment
            .first(&["AWS_REGION", "AWS_DEFAULT_REGION"]);
        let in_profile = || {
            let setting = self.profile.as_ref()?.get("region")?;
            (!setting.value().is_empty()).then(|| (setting.place.as_str(), setting.value()))
        };
        let Some((name, region)) = in_environment.or_else(in_profile) else {
            return Ok("us-east-1".into());
        };
        let bad = |cause| AwsSettingsError::BadValue {
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

    /// The endpoint of a service and the name of its setting; `None` is AWS's own.
    ///
    /// AWS, "AWS SDKs and Tools Reference Guide", "Service-specific endpoints".
    pub(crate) fn endpoint(
        &self,
        service: AwsService,
    ) -> Result<Option<(String, String)>, AwsSettingsError> {
        let ignored = self.value("ignore_configured_endpoint_urls");
        if self
            .environment
            .is_true("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")
            || ignored.is_some_and(|it| it.eq_ignore_ascii_case("true"))
        {
            return Ok(None);
        }
        let variable = self
            .environment
            .first(&[service.variable(), "AWS_ENDPOINT_URL"]);
        if let Some((name, url)) = variable {
            return Ok(Some((url.into(), name.into())));
        }
        let Some(profile) = &self.profile else {
            return Ok(None);
        };
        let of_service = match self.value("services") {
            Some(name) if !self.files.has_services(name) => {
                return Err(AwsSettingsError::BadValue {
                    name: format!("services of profile {}", profile.name),
                    cause: "the config file has no [services ...] section of that name",
                });
            }
            Some(name) => self.files.service(name, service.key(), "endpoint_url"),
            None => None,
        };
        let url = of_service.or_else(|| self.value("endpoint_url").map(str::to_owned));
        Ok(url.map(|url| (url, format!("profile {}", profile.name))))
    }

    /// Who we are, for requests to services in this region.
    pub(crate) fn identity(&self, region: &str) -> Result<AwsIdentity, AwsSettingsError> {
        let of_service = |service| {
            let found = self.endpoint(service).ok().flatten();
            found.map(|(url, _)| url.trim_end_matches('/').to_owned())
        };
        let search = CredentialSearch {
            environment: self.environment,
            files: self.files,
            chosen_by: self.chosen_by,
        };
        Ok(AwsIdentity {
            sts_endpoint: of_service(AwsService::Sts).unwrap_or_else(|| sts_of_region(region)),
            sso_endpoint: of_service(AwsService::Sso),
            region: region.to_owned(),
            credentials: search.find(self.profile.as_ref())?,
            ca_bundle: self.ca_bundle(),
        })
    }

    fn ca_bundle(&self) -> Option<PathBuf> {
        let in_profile = || Some(self.environment.expand_home(self.value("ca_bundle")?));
        self.environment
            .path("AWS_CA_BUNDLE")
            .or_else(in_profile)
            .or_else(|| self.environment.path("REQUESTS_CA_BUNDLE"))
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
