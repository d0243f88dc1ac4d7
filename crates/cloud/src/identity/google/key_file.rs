//! Google's credentials in JSON: a service account's key, a user's, or a federation's description.
//!
//! Found as Google's clients find them: `GOOGLE_APPLICATION_CREDENTIALS`, else what `gcloud auth
//! application-default login` left (Google, AIP-4110, "Application Default Credentials"). Errors
//! name the file and never what is in it.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde::Deserialize;

use crate::environment::Environment;

/// A file of credentials that cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("cannot use the credentials file {}: {cause}", path.display())]
pub struct BadKeyFile {
    pub(super) path: PathBuf,
    pub(super) cause: String,
}

/// A file of credentials, read.
pub(crate) struct KeyFile {
    pub(super) path: PathBuf,
    /// The file as it is: a service account's key is handed on whole.
    pub(super) text: String,
    pub(super) content: KeyFileContent,
}

/// The fields that any kind of file may have (Google, AIP-4112, AIP-4113, AIP-4117).
#[derive(Clone, Deserialize)]
pub(super) struct KeyFileContent {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) project_id: Option<String>,
    pub(super) quota_project_id: Option<String>,
    pub(super) universe_domain: Option<String>,
    pub(super) client_id: Option<String>,
    pub(super) client_secret: Option<String>,
    pub(super) refresh_token: Option<String>,
    pub(super) token_uri: Option<String>,
    pub(super) audience: Option<String>,
    pub(super) subject_token_type: Option<String>,
    pub(super) token_url: Option<String>,
    pub(super) workforce_pool_user_project: Option<String>,
    pub(super) credential_source: Option<SubjectSource>,
    pub(super) service_account_impersonation_url: Option<String>,
    pub(super) service_account_impersonation: Option<Impersonation>,
}

/// How long an impersonated service account's token is to live.
#[derive(Clone, Deserialize)]
pub(super) struct Impersonation {
    pub(super) token_lifetime_seconds: Option<u64>,
}

/// Where a federation's own token comes from (Google, AIP-4117).
#[derive(Clone, Deserialize)]
pub(super) struct SubjectSource {
    pub(super) file: Option<String>,
    pub(super) url: Option<String>,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    pub(super) format: Option<SubjectFormat>,
    pub(super) environment_id: Option<String>,
}

/// What is around the token.
#[derive(Clone, Deserialize)]
pub(super) struct SubjectFormat {
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) subject_token_field_name: Option<String>,
}

impl KeyFile {
    /// Reads the file if there is one; only a file that was asked for must exist.
    pub(crate) fn gather(environment: &Environment) -> Result<Option<Self>, BadKeyFile> {
        if let Some(path) = environment.path("GOOGLE_APPLICATION_CREDENTIALS") {
            return KeyFile::read(path).map(Some);
        }
        let of_gcloud = environment.path("CLOUDSDK_CONFIG");
        let of_home = || Some(environment.home()?.join(".config/gcloud"));
        match of_gcloud.or_else(of_home) {
            Some(folder) => {
                let path = folder.join("application_default_credentials.json");
                path.exists().then(|| KeyFile::read(path)).transpose()
            }
            None => Ok(None),
        }
    }

    fn read(path: PathBuf) -> Result<Self, BadKeyFile> {
        match fs::read(&path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()) {
            Ok(text) => KeyFile::parse(text, path),
            Err(error) => Err(BadKeyFile {
                path,
                cause: error.to_string(),
            }),
        }
    }

    pub(super) fn parse(text: String, path: PathBuf) -> Result<Self, BadKeyFile> {
        let text = text.trim_start_matches('\u{feff}').to_owned();
        match serde_json::from_str(&text) {
            Ok(content) => Ok(KeyFile {
                path,
                text,
                content,
            }),
            // The error's own words may repeat a value.
            Err(error) => {
                let cause = format!("not a JSON document of credentials, line {}", error.line());
                Err(BadKeyFile { path, cause })
            }
        }
    }

    pub(crate) fn universe_domain(&self) -> Option<&str> {
        self.content.universe_domain.as_deref()
    }

    pub(crate) fn project(&self) -> Option<&str> {
        let content = &self.content;
        content
            .project_id
            .as_deref()
            .or(content.quota_project_id.as_deref())
    }

    pub(super) fn lacks(&self, field: &str) -> BadKeyFile {
        BadKeyFile {
            path: self.path.clone(),
            cause: format!("{field} is missing, which type {} needs", self.content.kind),
        }
    }
}
