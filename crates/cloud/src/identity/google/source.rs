//! Who we are for Google: nothing for an emulator, the credentials file, or the machine itself.
//!
//! The order is that of Google's clients (AIP-4110). What is not built yet is refused by name: a
//! silent fall through would act with another identity.

use std::collections::BTreeMap;
use std::time::Duration;

use super::key_file::{KeyFile, KeyFileContent, SubjectSource};
use super::settings_error::GoogleSettingsError;
use crate::environment::Environment;
use crate::secret::{Secret, for_address};

/// Google, "Refreshing an access token".
const TOKEN_URI: &str = "https://oauth2.googleapis.com/token";
/// Google, "View and query VM metadata".
const METADATA_HOST: &str = "metadata.google.internal";
/// How long an impersonated account's token lives unless the file says otherwise (AIP-4117).
const TOKEN_LIFETIME: Duration = Duration::from_secs(3600);

/// Where credentials come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GoogleCredentialSource {
    /// No credentials, for an emulator.
    Anonymous,
    /// A service account's key: the whole JSON document.
    ServiceAccount(Secret),
    /// A person's consent, exchanged for tokens.
    AuthorizedUser {
        client_id: String,
        client_secret: Secret,
        refresh_token: Secret,
        token_uri: String,
    },
    /// Workload identity federation: another system's token, exchanged at Google's STS.
    ExternalAccount(Box<ExternalAccount>),
    /// The machine's metadata server, by its host and port.
    MetadataServer { host: String },
}

/// A federation, as its configuration file describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalAccount {
    pub(super) audience: String,
    pub(super) subject_token_type: String,
    pub(super) token_url: String,
    pub(super) subject: Subject,
    /// JSON key under which the subject's document has the token; `None` for plain text.
    pub(super) subject_field: Option<String>,
    /// The address that gives a service account's token for the federated one.
    pub(super) impersonation_url: Option<String>,
    pub(super) token_lifetime: Duration,
}

/// Where another system leaves its token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    File(String),
    Url {
        url: String,
        headers: BTreeMap<String, Secret>,
    },
}

/// The first source that has credentials.
pub(crate) fn find(
    file: Option<KeyFile>,
    environment: &Environment,
) -> Result<GoogleCredentialSource, GoogleSettingsError> {
    match file {
        Some(file) => of_file(file),
        None => {
            let host = environment.get("GCE_METADATA_HOST");
            let host = host.unwrap_or(METADATA_HOST).trim();
            let is_host = for_address(&format!("http://{host}/"))
                .is_ok_and(|url| url.path() == "/" && url.username().is_empty());
            if is_host && host.parse::<http::uri::Authority>().is_ok() {
                Ok(GoogleCredentialSource::MetadataServer { host: host.into() })
            } else {
                Err(GoogleSettingsError::BadValue {
                    name: "GCE_METADATA_HOST".into(),
                    cause: "it must be HOST or HOST:PORT",
                })
            }
        }
    }
}

fn of_file(file: KeyFile) -> Result<GoogleCredentialSource, GoogleSettingsError> {
    let content = file.content.clone();
    let need = |value: Option<String>, field: &str| value.ok_or_else(|| file.lacks(field));
    let need_secret = |value: Option<String>, field: &str| {
        need(value, field).map(|value| Secret::from(value.as_str()))
    };
    match content.kind.as_str() {
        "service_account" => Ok(GoogleCredentialSource::ServiceAccount(
            file.text.as_str().into(),
        )),
        "authorized_user" => Ok(GoogleCredentialSource::AuthorizedUser {
            client_id: need(content.client_id, "client_id")?,
            client_secret: need_secret(content.client_secret, "client_secret")?,
            refresh_token: need_secret(content.refresh_token, "refresh_token")?,
            token_uri: content.token_uri.unwrap_or_else(|| TOKEN_URI.into()),
        }),
        "external_account" => external(&file, content),
        other => Err(GoogleSettingsError::NotYet {
            what: format!("type {other} of {}", file.path.display()),
        }),
    }
}

fn external(
    file: &KeyFile,
    content: KeyFileContent,
) -> Result<GoogleCredentialSource, GoogleSettingsError> {
    let need = |value: Option<String>, field: &str| value.ok_or_else(|| file.lacks(field));
    let not_yet = |what: &str| GoogleSettingsError::NotYet {
        what: format!("{what} of {}", file.path.display()),
    };
    if content.client_id.is_some() || content.workforce_pool_user_project.is_some() {
        return Err(not_yet("a workforce pool, or client_id,"));
    }
    let source = content.credential_source;
    let source = source.ok_or_else(|| file.lacks("credential_source"))?;
    let subject_field = match &source.format {
        Some(format) if format.kind.as_deref() == Some("json") => {
            let field = format.subject_token_field_name.clone();
            Some(need(field, "subject_token_field_name")?)
        }
        _ => None,
    };
    let lifetime = content.service_account_impersonation;
    let lifetime = lifetime.and_then(|it| it.token_lifetime_seconds);
    Ok(GoogleCredentialSource::ExternalAccount(Box::new(
        ExternalAccount {
            audience: need(content.audience, "audience")?,
            subject_token_type: need(content.subject_token_type, "subject_token_type")?,
            token_url: need(content.token_url, "token_url")?,
            subject: subject(source).map_err(not_yet)?,
            subject_field,
            impersonation_url: content.service_account_impersonation_url,
            token_lifetime: lifetime.map_or(TOKEN_LIFETIME, Duration::from_secs),
        },
    )))
}

fn subject(source: SubjectSource) -> Result<Subject, &'static str> {
    match source {
        SubjectSource {
            environment_id: Some(_),
            ..
        } => Err("a credential_source of AWS"),
        SubjectSource {
            file: Some(file), ..
        } => Ok(Subject::File(file)),
        SubjectSource {
            url: Some(url),
            headers,
            ..
        } => {
            let headers = headers.iter();
            let headers = headers.map(|(name, value)| (name.clone(), value.as_str().into()));
            Ok(Subject::Url {
                url,
                headers: headers.collect(),
            })
        }
        _ => Err("a credential_source that is neither file nor url"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<GoogleCredentialSource, GoogleSettingsError> {
        of_file(KeyFile::parse(text.into(), "/adc.json".into())?)
    }

    const FEDERATION: &str = r#""type": "external_account", "audience": "a",
        "subject_token_type": "t", "token_url": "https://sts.example/v1/token""#;

    #[test]
    fn every_type_of_file_is_told_apart() {
        let user = r#"{"type": "authorized_user", "client_id": "i", "client_secret": "hunter2",
            "refresh_token": "hunter3"}"#;
        let source = of(user).unwrap();
        assert!(
            matches!(&source, GoogleCredentialSource::AuthorizedUser { token_uri, .. }
            if token_uri == TOKEN_URI)
        );
        assert!(!format!("{source:?}").contains("hunter"), "{source:?}");
        let key = r#"{"type": "service_account", "private_key": "hunter2"}"#;
        let source = of(key).unwrap();
        assert!(matches!(source, GoogleCredentialSource::ServiceAccount(_)));
        assert!(!format!("{source:?}").contains("hunter"), "{source:?}");
    }

    #[test]
    fn a_federation_by_file_and_by_url_is_read() {
        let file = format!(r#"{{{FEDERATION}, "credential_source": {{"file": "/token"}}}}"#);
        let GoogleCredentialSource::ExternalAccount(account) = of(&file).unwrap() else {
            panic!("not a federation")
        };
        assert_eq!(account.subject, Subject::File("/token".into()));
        assert_eq!(account.subject_field, None);
        let url = format!(
            r#"{{{FEDERATION}, "credential_source": {{"url": "http://h/t", "headers":
            {{"Metadata": "hunter2"}}, "format": {{"type": "json",
            "subject_token_field_name": "access_token"}}}},
            "service_account_impersonation_url": "https://iam.example/x:generateAccessToken",
            "service_account_impersonation": {{"token_lifetime_seconds": 600}}}}"#
        );
        let source = of(&url).unwrap();
        assert!(!format!("{source:?}").contains("hunter"), "{source:?}");
        let GoogleCredentialSource::ExternalAccount(account) = source else {
            panic!("not a federation")
        };
        assert_eq!(account.subject_field.as_deref(), Some("access_token"));
        assert_eq!(account.token_lifetime, Duration::from_secs(600));
        assert!(account.impersonation_url.is_some());
    }

    #[test]
    fn what_cannot_be_used_is_refused_by_name() {
        let aws = format!(r#"{{{FEDERATION}, "credential_source": {{"environment_id": "aws1"}}}}"#);
        let program = format!(
            r#"{{{FEDERATION}, "credential_source": {{"executable": {{"command": "x"}}}}}}"#
        );
        for (text, word) in [
            (aws.as_str(), "AWS"),
            (&program, "neither file nor url"),
            (
                r#"{"type": "impersonated_service_account"}"#,
                "type impersonated_service_account",
            ),
            (
                r#"{"type": "authorized_user", "client_id": "hunter2"}"#,
                "client_secret is missing",
            ),
            (
                r#"{"private_key": "hunter2"}"#,
                "not a JSON document of credentials",
            ),
            ("hunter2", "line 1"),
        ] {
            let error = of(text).unwrap_err().to_string();
            assert!(
                error.contains(word) && error.contains("/adc.json"),
                "{error}"
            );
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn without_a_file_the_metadata_server_is_asked() {
        let at = |variables: &[(&str, &str)]| {
            let environment = variables.iter().copied().collect();
            find(None, &environment).unwrap()
        };
        let host = |host: &str| GoogleCredentialSource::MetadataServer { host: host.into() };
        assert_eq!(at(&[]), host("metadata.google.internal"));
        assert_eq!(at(&[("GCE_METADATA_HOST", "h:1")]), host("h:1"));
    }
}
