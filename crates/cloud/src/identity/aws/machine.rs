//! The metadata service of the machine, as the environment and the profile describe it.
//!
//! The settings are botocore's. Two of them differ in what they are when they are not set: two
//! attempts of two seconds each instead of one of one, for a busy machine must not lose its
//! credentials. Asking is [`super::metadata_service`]'s part.

use std::time::Duration;

use super::profile::Profile;
use super::settings_error::AwsSettingsError;
use crate::environment::Environment;
use crate::secret::for_address;

/// AWS, "Use the Instance Metadata Service to access instance metadata".
const ENDPOINT: &str = "http://169.254.169.254";
const ENDPOINT_IPV6: &str = "http://[fd00:ec2::254]";
const PATIENCE: Duration = Duration::from_secs(2);
const ATTEMPTS: u32 = 2;

/// The service, and how it is to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Without a slash at the end.
    pub(super) endpoint: String,
    /// How long each request may take.
    pub(super) patience: Duration,
    /// How often each request is tried.
    pub(super) attempts: u32,
    /// What to do when the service gives no token (IMDSv2).
    pub(super) without_token: WithoutToken,
    /// Files that could not be read, for the words of an error; empty if none.
    pub(super) unread: String,
}

/// Whether credentials may be asked for without a token, as with IMDSv1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithoutToken {
    Ask,
    GiveUp,
}

impl Machine {
    /// The service as it is without settings.
    #[cfg(test)]
    pub(crate) fn usual() -> Machine {
        let found = Machine::find(&Environment::default(), None, "");
        found.unwrap().unwrap()
    }

    /// `None` if the service is not to be asked.
    pub(super) fn find(
        environment: &Environment,
        profile: Option<&Profile>,
        unread: &str,
    ) -> Result<Option<Machine>, AwsSettingsError> {
        if environment.is_true("AWS_EC2_METADATA_DISABLED") {
            return Ok(None);
        }
        let setting = |variable: &'static str, key: &str| {
            let in_profile = || Some((key.to_owned(), profile?.value(key)?));
            let in_environment = environment.get(variable);
            in_environment
                .map(|value| (variable.to_owned(), value))
                .or_else(in_profile)
        };
        let whole = |variable, key, default: u32| match setting(variable, key) {
            None => Ok(default),
            Some((name, text)) => {
                let number = text.trim().parse().ok().filter(|number| *number > 0);
                number.ok_or(bad(name, "it must be a whole number of at least 1"))
            }
        };
        let patience = whole(
            "AWS_METADATA_SERVICE_TIMEOUT",
            "metadata_service_timeout",
            PATIENCE.as_secs() as u32,
        )?;
        let attempts = whole(
            "AWS_METADATA_SERVICE_NUM_ATTEMPTS",
            "metadata_service_num_attempts",
            ATTEMPTS,
        )?;
        let version_1 = setting("AWS_EC2_METADATA_V1_DISABLED", "ec2_metadata_v1_disabled");
        let is_refused = version_1.is_some_and(|(_, value)| value.eq_ignore_ascii_case("true"));
        let without_token = if is_refused {
            WithoutToken::GiveUp
        } else {
            WithoutToken::Ask
        };
        let address = setting(
            "AWS_EC2_METADATA_SERVICE_ENDPOINT",
            "ec2_metadata_service_endpoint",
        );
        let mode = setting(
            "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE",
            "ec2_metadata_service_endpoint_mode",
        );
        Ok(Some(Machine {
            endpoint: endpoint(address, mode)?,
            patience: Duration::from_secs(patience.into()),
            attempts,
            without_token,
            unread: unread.into(),
        }))
    }
}

type Named<'a> = Option<(String, &'a str)>;

fn endpoint(address: Named<'_>, mode: Named<'_>) -> Result<String, AwsSettingsError> {
    if let Some((name, text)) = address {
        let url = for_address(text).map_err(|cause| bad(name.clone(), cause))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(bad(name, "credentials do not belong into it"));
        }
        return Ok(url.as_str().trim_end_matches('/').to_owned());
    }
    match mode {
        None => Ok(ENDPOINT.into()),
        Some((_, mode)) if mode.eq_ignore_ascii_case("ipv4") => Ok(ENDPOINT.into()),
        Some((_, mode)) if mode.eq_ignore_ascii_case("ipv6") => Ok(ENDPOINT_IPV6.into()),
        Some((name, _)) => Err(bad(name, "it must be ipv4 or ipv6")),
    }
}

fn bad(name: String, cause: &'static str) -> AwsSettingsError {
    AwsSettingsError::BadValue { name, cause }
}

#[cfg(test)]
mod tests {
    use super::super::profile::AwsFiles;
    use super::*;

    #[test]
    fn the_metadata_service_is_asked_as_environment_and_profile_say() {
        let find = |variables: &[(&str, &str)], config: &str| {
            let environment = variables.iter().copied().collect();
            let profile = AwsFiles::from_texts(config, "").unwrap().profile("default");
            Machine::find(&environment, profile.as_ref(), "").map(Option::unwrap)
        };
        let usual = find(&[], "").unwrap();
        assert_eq!(usual.endpoint, "http://169.254.169.254");
        let config = "[default]\nmetadata_service_timeout = 7\nmetadata_service_num_attempts = 3\n\
                      ec2_metadata_service_endpoint_mode = IPv6\nec2_metadata_v1_disabled = true\n";
        let set = find(&[("AWS_METADATA_SERVICE_TIMEOUT", "9")], config).unwrap();
        assert_eq!(set.endpoint, "http://[fd00:ec2::254]");
        assert_eq!((set.patience, set.attempts), (Duration::from_secs(9), 3));
        assert_eq!(set.without_token, WithoutToken::GiveUp);
        let own = ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://agent:1/");
        assert_eq!(find(&[own], config).unwrap().endpoint, "http://agent:1");
        for (name, value) in [
            ("AWS_METADATA_SERVICE_TIMEOUT", "soon"),
            ("AWS_METADATA_SERVICE_NUM_ATTEMPTS", "0"),
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "agent"),
            (
                "AWS_EC2_METADATA_SERVICE_ENDPOINT",
                "http://u:hunter2@agent",
            ),
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "ipv5"),
        ] {
            let error = find(&[(name, value)], "").unwrap_err().to_string();
            assert!(
                error.contains(name) && !error.contains("hunter2"),
                "{error}"
            );
        }
    }
}
