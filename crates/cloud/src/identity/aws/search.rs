//! Who we are for S3: the first source that has credentials, in botocore's order.
//!
//! Environment variables, unless a profile was chosen by option; a role to assume; web identity;
//! SSO; keys in the credentials file; `credential_process`; keys in the config file; the
//! container's service; the machine's metadata service (IMDSv2). Only words are judged here:
//! [`super::provider`] goes and asks. What is not built is refused by name, for a silent fall
//! through would act with another identity. (Order: as botocore's resolver has it.)

use url::Host;

use super::machine::Machine;
use super::profile::{AwsFiles, Profile, ProfileSettings};
use super::settings_error::AwsSettingsError;
use super::source::{Authorization, AwsCredentialSource, Role, SsoLogin};
use crate::environment::Environment;
use crate::secret::{Secret, for_address, for_header, for_signing};

/// How a profile came to be the chosen one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChosenBy {
    Option,
    EnvironmentOrDefault,
}

/// What the search looks at.
#[derive(Clone, Copy)]
pub(super) struct CredentialSearch<'a> {
    pub(super) environment: &'a Environment,
    pub(super) files: &'a AwsFiles,
    pub(super) chosen_by: ChosenBy,
}

impl CredentialSearch<'_> {
    /// The first source that has credentials.
    pub(super) fn find(
        &self,
        profile: Option<&Profile>,
    ) -> Result<AwsCredentialSource, AwsSettingsError> {
        let no_environment = Environment::default();
        let of_user = match self.chosen_by {
            ChosenBy::Option => &no_environment,
            ChosenBy::EnvironmentOrDefault => self.environment,
        };
        if let Some(found) = from_environment(of_user)? {
            return Ok(found);
        }
        if let Some(profile) = profile
            && let Some(found) = self.assumed_role(profile, &mut Vec::new())?
        {
            return Ok(found);
        }
        if let Some(found) = from_web_identity(of_user, profile)? {
            return Ok(found);
        }
        if let Some(profile) = profile
            && let Some(found) = self.of_profile(profile)?
        {
            return Ok(found);
        }
        self.surroundings(profile)
    }

    /// The role of a profile that names one and whose credentials are to be used for that.
    fn assumed_role(
        &self,
        profile: &Profile,
        seen: &mut Vec<String>,
    ) -> Result<Option<AwsCredentialSource>, AwsSettingsError> {
        let Some(arn) = profile.value("role_arn") else {
            return Ok(None);
        };
        if profile.get("web_identity_token_file").is_some() {
            return Ok(None);
        }
        refuse(profile, &["mfa_serial"])?;
        let role = read_role(arn, profile)?;
        seen.push(profile.name.clone());
        let source = match (
            profile.value("source_profile"),
            profile.value("credential_source"),
        ) {
            (Some(name), None) => self.source_profile(name, seen)?,
            (None, Some(name)) => self.credential_source(name, profile)?,
            (Some(_), Some(_)) => {
                return Err(AwsSettingsError::BadValue {
                    name: format!("profile {}", profile.name),
                    cause: "source_profile and credential_source exclude each other",
                });
            }
            (None, None) => {
                return Err(AwsSettingsError::Partial {
                    has: format!("role_arn of profile {}", profile.name),
                    lacks: "source_profile or credential_source",
                });
            }
        };
        let source = Box::new(source);
        Ok(Some(AwsCredentialSource::AssumedRole { source, role }))
    }

    fn source_profile(
        &self,
        name: &str,
        seen: &mut Vec<String>,
    ) -> Result<AwsCredentialSource, AwsSettingsError> {
        let profile = self.files.profile(name);
        let profile = profile.ok_or_else(|| no_such_profile(name, self.files))?;
        // A profile may be its own source: then its keys assume its role.
        let is_itself = seen.last().is_some_and(|last| last == name);
        if !is_itself {
            if seen.iter().any(|other| other == name) {
                return Err(AwsSettingsError::BadValue {
                    name: format!("source_profile {name}"),
                    cause: "the profiles lead back to this one",
                });
            }
            if let Some(role) = self.assumed_role(&profile, seen)? {
                return Ok(role);
            }
        }
        let found = match from_web_identity(&Environment::default(), Some(&profile)) {
            Ok(Some(found)) if !is_itself => Some(found),
            _ => self.of_profile(&profile)?,
        };
        found.ok_or_else(|| AwsSettingsError::Partial {
            has: format!("source_profile {name}"),
            lacks: "credentials in that profile",
        })
    }

    fn credential_source(
        &self,
        name: &str,
        profile: &Profile,
    ) -> Result<AwsCredentialSource, AwsSettingsError> {
        let partial = || AwsSettingsError::Partial {
            has: format!("credential_source {name}"),
            lacks: "what it would read",
        };
        match name {
            "Environment" => from_environment(self.environment)?.ok_or_else(partial),
            "EcsContainer" => from_container(self.environment)?.ok_or_else(partial),
            "Ec2InstanceMetadata" => self.machine(Some(profile)),
            _ => Err(AwsSettingsError::BadValue {
                name: "credential_source".into(),
                cause: "it must be Environment, EcsContainer or Ec2InstanceMetadata",
            }),
        }
    }

    fn surroundings(
        &self,
        profile: Option<&Profile>,
    ) -> Result<AwsCredentialSource, AwsSettingsError> {
        match from_container(self.environment)? {
            Some(found) => Ok(found),
            None => self.machine(profile),
        }
    }

    fn machine(&self, profile: Option<&Profile>) -> Result<AwsCredentialSource, AwsSettingsError> {
        let unread = self.files.unread_too();
        match Machine::find(self.environment, profile, &unread)? {
            Some(machine) => Ok(AwsCredentialSource::InstanceMetadata(machine)),
            None => Err(AwsSettingsError::NoCredentials { unread }),
        }
    }

    fn of_profile(
        &self,
        profile: &Profile,
    ) -> Result<Option<AwsCredentialSource>, AwsSettingsError> {
        if let Some(login) = self.sso(profile)? {
            return Ok(Some(AwsCredentialSource::Sso(login)));
        }
        if let Some(found) = static_keys(profile, &profile.credentials)? {
            return Ok(Some(found));
        }
        refuse(profile, &["login_session"])?;
        if let Some(setting) = profile.get("credential_process") {
            return Ok(Some(AwsCredentialSource::Process {
                command: setting.value().into(),
                place: setting.place.clone(),
            }));
        }
        static_keys(profile, &profile.config)
    }

    fn sso(&self, profile: &Profile) -> Result<Option<SsoLogin>, AwsSettingsError> {
        let keys = [
            "sso_session",
            "sso_account_id",
            "sso_role_name",
            "sso_start_url",
        ];
        let Some(has) = keys.into_iter().find(|key| profile.value(key).is_some()) else {
            return Ok(None);
        };
        let partial = |lacks| AwsSettingsError::Partial {
            has: format!("{has} of profile {}", profile.name),
            lacks,
        };
        let session = profile.value("sso_session");
        let region = match session {
            Some(name) => self.files.sso_session(name, "sso_region"),
            None => profile.value("sso_region").map(str::to_owned),
        };
        let start_url = profile.value("sso_start_url");
        let cache_name = session
            .or(start_url)
            .ok_or_else(|| partial("sso_session"))?;
        let value = |key| profile.value(key).ok_or_else(|| partial(key));
        Ok(Some(SsoLogin {
            profile: profile.name.clone(),
            cache_name: cache_name.into(),
            cache: self.environment.expand_home("~/.aws/sso/cache"),
            region: region.ok_or_else(|| partial("sso_region"))?,
            account_id: value("sso_account_id")?.into(),
            role_name: value("sso_role_name")?.into(),
        }))
    }
}

pub(super) fn no_such_profile(name: &str, files: &AwsFiles) -> AwsSettingsError {
    AwsSettingsError::NoSuchProfile {
        name: name.into(),
        places: files.places(),
    }
}

fn read_role(arn: &str, profile: &Profile) -> Result<Role, AwsSettingsError> {
    let duration = profile.value("duration_seconds").map(str::parse);
    let duration_seconds = duration
        .transpose()
        .map_err(|_| AwsSettingsError::BadValue {
            name: format!("duration_seconds of profile {}", profile.name),
            cause: "it must be a whole number",
        })?;
    Ok(Role {
        arn: arn.into(),
        session_name: profile.value("role_session_name").map(str::to_owned),
        external_id: profile.value("external_id").map(Secret::from),
        duration_seconds,
    })
}

fn from_environment(
    environment: &Environment,
) -> Result<Option<AwsCredentialSource>, AwsSettingsError> {
    let Some(access_key_id) = environment.get("AWS_ACCESS_KEY_ID") else {
        return Ok(None);
    };
    let secret = environment
        .get("AWS_SECRET_ACCESS_KEY")
        .ok_or(AwsSettingsError::Partial {
            has: "AWS_ACCESS_KEY_ID".into(),
            lacks: "AWS_SECRET_ACCESS_KEY",
        })?;
    let token = environment.first(&["AWS_SECURITY_TOKEN", "AWS_SESSION_TOKEN"]);
    keys(
        ("AWS_ACCESS_KEY_ID", access_key_id),
        ("AWS_SECRET_ACCESS_KEY", secret),
        token,
    )
    .map(Some)
}

/// Keys that can go into requests; each comes with its name.
fn keys(
    (id_name, id): (&str, &str),
    (secret_name, secret): (&str, &str),
    token: Option<(&str, &str)>,
) -> Result<AwsCredentialSource, AwsSettingsError> {
    let bad = |name: &str| {
        let name = name.to_owned();
        |cause| AwsSettingsError::BadValue { name, cause }
    };
    let token = token.map(|(name, token)| for_header(token).map_err(bad(name)));
    Ok(AwsCredentialSource::Static {
        access_key_id: for_header(id).map_err(bad(id_name))?.to_owned(),
        secret_access_key: for_signing(secret).map_err(bad(secret_name))?.into(),
        session_token: token.transpose()?.map(Secret::from),
    })
}

fn from_web_identity(
    environment: &Environment,
    profile: Option<&Profile>,
) -> Result<Option<AwsCredentialSource>, AwsSettingsError> {
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
    let role_arn = setting("AWS_ROLE_ARN", "role_arn").ok_or(AwsSettingsError::Partial {
        has: "AWS_WEB_IDENTITY_TOKEN_FILE (or web_identity_token_file)".into(),
        lacks: "AWS_ROLE_ARN (or role_arn)",
    })?;
    let session_name = setting("AWS_ROLE_SESSION_NAME", "role_session_name");
    Ok(Some(AwsCredentialSource::WebIdentity {
        token_file,
        role_arn,
        session_name,
    }))
}

fn static_keys(
    profile: &Profile,
    settings: &ProfileSettings,
) -> Result<Option<AwsCredentialSource>, AwsSettingsError> {
    let value = |key: &str| {
        let setting = settings.get(key)?;
        Some((format!("{key} ({})", setting.place), setting.value()))
    };
    let Some((id_name, id)) = value("aws_access_key_id") else {
        return Ok(None);
    };
    let secret = value("aws_secret_access_key").ok_or_else(|| AwsSettingsError::Partial {
        has: format!("aws_access_key_id of profile {}", profile.name),
        lacks: "aws_secret_access_key in the same file",
    })?;
    let token = value("aws_security_token").or_else(|| value("aws_session_token"));
    let token = token.as_ref().filter(|(_, token)| !token.is_empty());
    keys(
        (&id_name, id),
        (&secret.0, secret.1),
        token.map(|(name, token)| (name.as_str(), *token)),
    )
    .map(Some)
}

fn refuse(profile: &Profile, keys: &[&str]) -> Result<(), AwsSettingsError> {
    let found = keys.iter().find_map(|key| Some((key, profile.get(key)?)));
    match found {
        Some((key, setting)) => Err(AwsSettingsError::NotYet {
            what: format!("{key} of profile {} ({})", profile.name, setting.place),
        }),
        None => Ok(()),
    }
}

/// AWS, "AWS SDKs and Tools Reference Guide", "Container credential provider".
fn from_container(
    environment: &Environment,
) -> Result<Option<AwsCredentialSource>, AwsSettingsError> {
    const OF_ECS: &str = "http://169.254.170.2";
    let relative = environment.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    let full = environment.get("AWS_CONTAINER_CREDENTIALS_FULL_URI");
    let url = match (relative, full) {
        (Some(path), _) => format!("{OF_ECS}{path}"),
        (None, Some(url)) => {
            check_container_url(url)?;
            url.to_owned()
        }
        (None, None) => return Ok(None),
    };
    let file = environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    let token = environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN");
    let authorization = match (file, token) {
        (Some(path), _) => Authorization::File(path.into()),
        (None, Some(token)) => Authorization::Token(token.into()),
        (None, None) => Authorization::None,
    };
    Ok(Some(AwsCredentialSource::Container { url, authorization }))
}

/// Keys may come without TLS only from this machine or from the agents of ECS and EKS.
fn check_container_url(text: &str) -> Result<(), AwsSettingsError> {
    const AGENTS: [&str; 3] = ["169.254.170.2", "169.254.170.23", "[fd00:ec2::23]"];
    let bad = |cause| AwsSettingsError::BadValue {
        name: "AWS_CONTAINER_CREDENTIALS_FULL_URI".into(),
        cause,
    };
    let url = for_address(text).map_err(bad)?;
    let is_loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    let is_agent = url.host_str().is_some_and(|host| AGENTS.contains(&host));
    match url.scheme() {
        "https" => Ok(()),
        "http" if is_loopback || is_agent => Ok(()),
        _ => Err(bad(
            "without https:// it must be a loopback address or an agent's",
        )),
    }
}
