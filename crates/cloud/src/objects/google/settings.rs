//! From options, environment and the credentials file to settled settings.

use std::path::PathBuf;
use std::time::Duration;

use super::endpoint::GoogleEndpoint;
use crate::environment::Environment;
use crate::identity::google::{
    self as identity, GoogleCredentialSource, GoogleSettingsError, KeyFile,
};
use crate::options::StoreOptions;

/// The universe of settings that name none.
const PUBLIC_UNIVERSE: &str = "googleapis.com";

/// What the client needs to know, apart from the bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoogleSettings {
    /// Where requests go.
    pub endpoint: GoogleEndpoint,
    /// Where credentials come from.
    pub credentials: GoogleCredentialSource,
    /// A PEM file whose certificates are trusted instead of the system's.
    pub ca_bundle: Option<PathBuf>,
    /// How long a connection may be silent.
    pub read_timeout: Duration,
    /// The key that new objects are encrypted with.
    pub kms_key_name: Option<String>,
}

impl GoogleSettings {
    /// Reads the credentials file, if there is one, and settles every setting.
    pub fn gather(
        options: &StoreOptions,
        environment: &Environment,
    ) -> Result<Self, GoogleSettingsError> {
        let bad = |name: &str| {
            let name = name.to_owned();
            |cause| GoogleSettingsError::BadValue { name, cause }
        };
        let emulator = environment.get("STORAGE_EMULATOR_HOST");
        let (endpoint, credentials) = match emulator {
            Some(text) => {
                let endpoint =
                    GoogleEndpoint::emulator(text).map_err(bad("STORAGE_EMULATOR_HOST"))?;
                (endpoint, GoogleCredentialSource::Anonymous)
            }
            None => {
                let file = KeyFile::gather(environment)?;
                let in_file = file.as_ref().and_then(KeyFile::universe_domain);
                let universe = environment.get("GOOGLE_CLOUD_UNIVERSE_DOMAIN").or(in_file);
                let endpoint = GoogleEndpoint::of_universe(universe.unwrap_or(PUBLIC_UNIVERSE))
                    .map_err(bad("GOOGLE_CLOUD_UNIVERSE_DOMAIN"))?;
                (endpoint, identity::find(file, environment)?)
            }
        };
        Ok(GoogleSettings {
            endpoint,
            credentials,
            ca_bundle: environment.path("REQUESTS_CA_BUNDLE"),
            read_timeout: options.read_timeout,
            kms_key_name: options.kms_key_name.clone(),
        })
    }
}

/// The project that a new bucket would belong to, in the order of Google's clients.
pub(crate) fn project(environment: &Environment) -> Result<String, GoogleSettingsError> {
    let named = environment.first(&["GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT"]);
    if let Some((_, project)) = named {
        return Ok(project.into());
    }
    if environment.get("STORAGE_EMULATOR_HOST").is_some() {
        return Ok("emulator".into());
    }
    let file = KeyFile::gather(environment)?;
    let project = file.as_ref().and_then(KeyFile::project);
    project
        .map(str::to_owned)
        .ok_or(GoogleSettingsError::NoProject)
}
