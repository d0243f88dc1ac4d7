//! Getting credentials from where [`AwsCredentialSource`] says, and getting new ones in time.
//!
//! Each is a few small requests.
//! Nothing is asked for before the first request to S3 needs it. Always true: what is about to
//! expire is replaced before it does, and one that still holds is used when that fails.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use object_store::aws::{AwsCredential, AwsCredentialProvider};
use object_store::client::{HttpClient, HttpConnector};
use object_store::{ClientOptions, CredentialProvider, StaticCredentialProvider};
use tokio::sync::Mutex;

use super::account::AwsIdentity;
use super::answer::AwsAnswers;
use super::source::AwsCredentialSource;
use super::temporary::{Issuer, Temporary};
use super::{container, metadata_service, process, sso, sts};
use crate::failure::Explained;
use crate::http::lazy_client::{ClientManner, LazyClient};
use crate::http::persistence::{Persistence, Persistent};
use crate::http::transport::{BadCaBundle, Connector, Scheme, client_options};

/// Credentials are replaced when they hold no longer than this.
const RENEW_BEFORE: SignedDuration = SignedDuration::from_mins(5);
/// How long one request for credentials may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// AWS, "Signature Version 4": a request to STS is good for five minutes.
const LONGEST_PATIENCE: Duration = Duration::from_secs(240);

/// What is needed to ask for credentials.
#[derive(Clone, Debug)]
struct AwsServices {
    region: String,
    sts_endpoint: String,
    sso_endpoint: Option<String>,
    /// Certificates and the like, as for the service itself.
    client: ClientOptions,
    /// Certificates that are trusted instead of the system's.
    ca_bundle: Option<PathBuf>,
    persistence: Persistence,
}

/// The provider of an identity. No request is sent yet.
pub(crate) fn provider(
    identity: &AwsIdentity,
    persistence: &Persistence,
) -> Result<object_store::Result<AwsCredentialProvider>, BadCaBundle> {
    let scheme = identity.credentials.scheme();
    let services = AwsServices {
        region: identity.region.clone(),
        sts_endpoint: identity.sts_endpoint.clone(),
        sso_endpoint: identity.sso_endpoint.clone(),
        client: client_options(scheme, identity.ca_bundle.as_deref())?,
        ca_bundle: identity
            .ca_bundle
            .clone()
            .filter(|_| scheme == Scheme::Https),
        persistence: persistence.clone(),
    };
    Ok(of_source(&identity.credentials, &services))
}

fn of_source(
    source: &AwsCredentialSource,
    services: &AwsServices,
) -> object_store::Result<AwsCredentialProvider> {
    let issuer: Box<dyn Issuer> = match source {
        AwsCredentialSource::Static {
            access_key_id,
            secret_access_key,
            session_token,
        } => {
            return Ok(Arc::new(StaticCredentialProvider::new(AwsCredential {
                key_id: access_key_id.clone(),
                secret_key: secret_access_key.reveal().to_owned(),
                token: session_token
                    .as_ref()
                    .map(|token| token.reveal().to_owned()),
            })));
        }
        AwsCredentialSource::InstanceMetadata(machine) => Box::new(metadata_service::Metadata {
            http: quick_client(services),
            machine: machine.clone(),
        }),
        AwsCredentialSource::WebIdentity {
            token_file,
            role_arn,
            session_name,
        } => Box::new(sts::WebIdentity {
            http: client(services)?,
            endpoint: services.sts_endpoint.clone(),
            token_file: token_file.into(),
            role_arn: role_arn.clone(),
            session_name: session_name.clone(),
        }),
        AwsCredentialSource::Container { url, authorization } => Box::new(container::Container {
            http: client(services)?,
            url: url.clone(),
            authorization: authorization.clone(),
        }),
        AwsCredentialSource::Process { command, place } => Box::new(process::Process {
            command: command.clone(),
            place: place.clone(),
        }),
        AwsCredentialSource::Sso(login) => Box::new(sso::Portal {
            http: client(services)?,
            endpoint: services.sso_endpoint.clone(),
            login: login.clone(),
        }),
        AwsCredentialSource::AssumedRole { source, role } => Box::new(sts::AssumedRole {
            http: client(services)?,
            endpoint: services.sts_endpoint.clone(),
            region: services.region.clone(),
            source: of_source(source, services)?,
            role: role.clone(),
        }),
    };
    let held = Mutex::new(None);
    Ok(Arc::new(Renewing { issuer, held }))
}

fn options(services: &AwsServices) -> ClientOptions {
    let options = services.client.clone();
    // An agent on this machine speaks no TLS; who may is judged with the settings.
    options.with_allow_http(true).with_timeout(PATIENCE)
}

/// For a service that may not be there at all.
fn quick_client(services: &AwsServices) -> HttpClient {
    let options = options(services);
    let manner = ClientManner::new(&options, PATIENCE, services.ca_bundle.clone());
    HttpClient::new(LazyClient::new(manner))
}

/// For a service that is configured: it is waited for as the store is, but no longer than a
/// signature holds.
fn client(services: &AwsServices) -> object_store::Result<HttpClient> {
    let mut persistence = services.persistence.clone();
    persistence.passing = persistence.passing.min(LONGEST_PATIENCE);
    let connector = Connector {
        read_timeout: PATIENCE,
        metadata_host: None,
        ca_bundle: services.ca_bundle.clone(),
        persistence: persistence.clone(),
    };
    Ok(HttpClient::new(Persistent {
        client: connector.connect(&options(services))?,
        dialect: Arc::new(AwsAnswers),
        persistence,
        told: Default::default(),
        is_spent: Default::default(),
    }))
}

/// Credentials that are replaced before they expire.
#[derive(Debug)]
struct Renewing {
    issuer: Box<dyn Issuer>,
    held: Mutex<Option<Temporary>>,
}

#[async_trait]
impl CredentialProvider for Renewing {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let mut held = self.held.lock().await;
        let now = Timestamp::now();
        if let Some(held) = &*held
            && held.holds_for(RENEW_BEFORE, now)
        {
            return Ok(Arc::clone(&held.credential));
        }
        match (self.issuer.issue().await, &*held) {
            (Ok(new), _) => {
                let credential = Arc::clone(&new.credential);
                *held = Some(new);
                Ok(credential)
            }
            // It is tried again at the next request.
            (Err(_), Some(old)) if old.holds_for(SignedDuration::from_secs(10), now) => {
                Ok(Arc::clone(&old.credential))
            }
            (Err(error), _) => Err(object_store::Error::Generic {
                store: "S3",
                source: Box::new(Explained::from(error)),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::super::error::AwsIdentityError;
    use super::*;

    #[derive(Debug)]
    struct Counting {
        asked: Arc<AtomicUsize>,
        lifetime: SignedDuration,
        fails_after: usize,
    }

    #[async_trait]
    impl Issuer for Counting {
        async fn issue(&self) -> Result<Temporary, AwsIdentityError> {
            let number = self.asked.fetch_add(1, Ordering::SeqCst);
            if number >= self.fails_after {
                return Err(AwsIdentityError::Answer {
                    service: "test",
                    cause: "no more".into(),
                });
            }
            let credential = AwsCredential {
                key_id: format!("key{number}"),
                secret_key: "hunter2".into(),
                token: None,
            };
            Ok(Temporary {
                credential: Arc::new(credential),
                expires: Some(Timestamp::now() + self.lifetime),
            })
        }
    }

    async fn keys(lifetime_secs: i64, fails_after: usize) -> Vec<Option<String>> {
        let asked = Arc::default();
        let lifetime = SignedDuration::from_secs(lifetime_secs);
        let issuer = Box::new(Counting {
            asked: Arc::clone(&asked),
            lifetime,
            fails_after,
        });
        let held = Mutex::new(None);
        let provider = Renewing { issuer, held };
        let mut keys = Vec::new();
        for _ in 0..3 {
            let got = provider.get_credential().await;
            keys.push(got.ok().map(|credential| credential.key_id.clone()));
        }
        assert!(!format!("{provider:?}").contains("hunter2"));
        keys
    }

    #[tokio::test]
    async fn credentials_are_renewed_before_they_expire_and_not_sooner() {
        let some = |key: &str| Some(key.to_owned());
        assert_eq!(
            keys(3600, 9).await,
            [some("key0"), some("key0"), some("key0")]
        );
        assert_eq!(
            keys(200, 9).await,
            [some("key0"), some("key1"), some("key2")]
        );
        // A renewal that fails does no harm while the old ones hold.
        assert_eq!(
            keys(200, 1).await,
            [some("key0"), some("key0"), some("key0")]
        );
        assert_eq!(keys(5, 1).await, [some("key0"), None, None]);
        assert_eq!(keys(5, 0).await, [None, None, None]);
    }
}
