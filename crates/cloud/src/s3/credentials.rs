//! Who we are for S3: the first source that has credentials, in botocore's order.
//!
//! Environment variables, unless a profile was chosen by option; roles to assume; web identity;
//! SSO; keys in the credentials file; `credential_process`; keys in the config file; the
//! container's service; the machine's metadata service (IMDSv2). Roles, SSO and
//! `credential_process` are not built yet: a profile that needs one is refused by name, for a
//! silent fall through would act as somebody else. (Order: as botocore's resolver has it.)

use super::profile::{Profile, Settings};
use super::settings::SettingsError;
use crate::environment::Environment;
pub use crate::secret::Secret;

/// Where credentials come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialSource {
    /// Keys as they are.
    Static {
        access_key_id: String,
        secret_access_key: Secret,
        session_token: Option<Secret>,
    },
    /// A token file exchanged at STS for a role's keys.
    WebIdentity {
        token_file: String,
        role_arn: String,
        session_name: Option<String>,
    },
    /// The credential service of an ECS task: a path on its fixed address.
    EcsTask { relative_uri: String },
    /// The credential service of an EKS pod.
    EksPod {
        full_uri: String,
        token_file: String,
    },
    /// The metadata service of the machine (IMDSv2); `None` is its fixed address.
    InstanceMetadata { endpoint: Option<String> },
}

/// How a profile came to be the chosen one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChosenBy {
    Option,
    EnvironmentOrDefault,
}

/// The first source that has credentials.
pub(super) fn find(
    environment: &Environment,
    profile: Option<&Profile>,
    chosen_by: ChosenBy,
) -> Result<CredentialSource, SettingsError> {
    let no_environment = Environment::default();
    let of_user = match chosen_by {
        ChosenBy::Option => &no_environment,
        ChosenBy::EnvironmentOrDefault => environment,
    };
    if let Some(found) = from_environment(of_user)? {
        return Ok(found);
    }
    if let Some(profile) = profile {
        refuse_unless(
            profile.get("web_identity_token_file").is_some(),
            profile,
            &["role_arn"],
        )?;
    }
    if let Some(found) = from_web_identity(of_user, profile)? {
        return Ok(found);
    }
    if let Some(profile) = profile
        && let Some(found) = from_profile(profile)?
    {
        return Ok(found);
    }
    from_surroundings(environment)
}

fn from_environment(environment: &Environment) -> Result<Option<CredentialSource>, SettingsError> {
    let Some(access_key_id) = environment.get("AWS_ACCESS_KEY_ID") else {
        return Ok(None);
    };
    let secret = environment
        .get("AWS_SECRET_ACCESS_KEY")
        .ok_or(SettingsError::Partial {
            has: "AWS_ACCESS_KEY_ID".into(),
            lacks: "AWS_SECRET_ACCESS_KEY",
        })?;
    let token = environment.first(&["AWS_SECURITY_TOKEN", "AWS_SESSION_TOKEN"]);
    Ok(Some(CredentialSource::Static {
        access_key_id: access_key_id.into(),
        secret_access_key: secret.into(),
        session_token: token.map(|(_, token)| token.into()),
    }))
}

fn from_web_identity(
    environment: &Environment,
    profile: Option<&Profile>,
) -> Result<Option<CredentialSource>, SettingsError> {
    let setting = |variable: &str, key: &str| {
        let in_profile = || profile.and_then(|profile| profile.value(key));
        environment
            .get(variable)
            .or_else(in_profile)
            .map(str::to_owned)
    };
    let token_file = setting("AWS_WEB_IDENTITY_TOKEN_FILE", "web_identity_token_file");
    let Some(token_file) = token_file else {
        return Ok(None);
    };
    let role_arn = setting("AWS_ROLE_ARN", "role_arn").ok_or(SettingsError::Partial {
        has: "AWS_WEB_IDENTITY_TOKEN_FILE (or web_identity_token_file)".into(),
        lacks: "AWS_ROLE_ARN (or role_arn)",
    })?;
    let session_name = setting("AWS_ROLE_SESSION_NAME", "role_session_name");
    Ok(Some(CredentialSource::WebIdentity {
        token_file,
        role_arn,
        session_name,
    }))
}

fn from_profile(profile: &Profile) -> Result<Option<CredentialSource>, SettingsError> {
    refuse_unless(
        false,
        profile,
        &["sso_session", "sso_account_id", "sso_role_name"],
    )?;
    if let Some(found) = static_keys(profile, &profile.credentials)? {
        return Ok(Some(found));
    }
    refuse_unless(false, profile, &["login_session", "credential_process"])?;
    static_keys(profile, &profile.config)
}

fn static_keys(
    profile: &Profile,
    settings: &Settings,
) -> Result<Option<CredentialSource>, SettingsError> {
    let value = |key: &str| settings.get(key).map(|setting| setting.value());
    let Some(access_key_id) = value("aws_access_key_id") else {
        return Ok(None);
    };
    let secret = value("aws_secret_access_key").ok_or_else(|| SettingsError::Partial {
        has: format!("aws_access_key_id of profile {}", profile.name),
        lacks: "aws_secret_access_key in the same file",
    })?;
    let token = value("aws_security_token").or_else(|| value("aws_session_token"));
    Ok(Some(CredentialSource::Static {
        access_key_id: access_key_id.into(),
        secret_access_key: secret.into(),
        session_token: token.map(Secret::from),
    }))
}

fn refuse_unless(fine: bool, profile: &Profile, keys: &[&str]) -> Result<(), SettingsError> {
    let found = keys.iter().find_map(|key| Some((key, profile.get(key)?)));
    match found {
        Some((key, setting)) if !fine => Err(SettingsError::NotYet {
            what: format!("{key} of profile {} ({})", profile.name, setting.place),
        }),
        _ => Ok(()),
    }
}

fn from_surroundings(environment: &Environment) -> Result<CredentialSource, SettingsError> {
    if let Some(uri) = environment.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") {
        return Ok(CredentialSource::EcsTask {
            relative_uri: uri.into(),
        });
    }
    if let Some(uri) = environment.get("AWS_CONTAINER_CREDENTIALS_FULL_URI") {
        let token_file = environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
        let token_file = token_file.ok_or_else(|| SettingsError::NotYet {
            what: "AWS_CONTAINER_CREDENTIALS_FULL_URI without \
                   AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"
                .into(),
        })?;
        return Ok(CredentialSource::EksPod {
            full_uri: uri.into(),
            token_file: token_file.into(),
        });
    }
    if environment.is_true("AWS_EC2_METADATA_DISABLED") {
        return Err(SettingsError::NoCredentials);
    }
    let endpoint = environment
        .get("AWS_EC2_METADATA_SERVICE_ENDPOINT")
        .map(str::to_owned);
    Ok(CredentialSource::InstanceMetadata { endpoint })
}
