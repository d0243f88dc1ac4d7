//! Access tokens of Google: fetched when one is needed, kept until shortly before they end.
//!
//! Each kind of source is one request, or two or three in a row; what comes back is a bearer token.
//! Always true: neither what is exchanged nor what comes back is in an error.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::TryStreamExt;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, StatusCode};
use object_store::client::{
    HttpClient, HttpConnector, HttpErrorKind, HttpRequest, HttpRequestBody,
    StaticCredentialProvider,
};
use object_store::gcp::GcpCredential;
use object_store::{ClientOptions, CredentialProvider};
use serde::Deserialize;
use tokio::sync::Mutex;
use url::form_urlencoded;

use super::source::{ExternalAccount, GoogleCredentialSource, Subject};
use crate::failure::{ErrorKind, Explained, Explains, Explanation};
use crate::http::transport::Connector;
use crate::secret::for_header;

/// What `object_store` calls Google's store in its errors.
pub(crate) const STORE: &str = "GCS";

/// The credentials of a store, asked before every request.
pub(crate) type GoogleCredentialProvider = Arc<dyn CredentialProvider<Credential = GcpCredential>>;

/// Google Cloud, "OAuth 2.0 scopes for Google APIs".
const PLATFORM_SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// A token that ends sooner than this is fetched anew.
const MARGIN: Duration = Duration::from_secs(300);
/// A passing trouble is waited for this many times, each time twice as long.
const ATTEMPTS: u32 = 4;
const FIRST_WAIT: Duration = Duration::from_millis(300);
/// Answers that may be different a moment later.
const PASSING: [StatusCode; 4] = [
    StatusCode::TOO_MANY_REQUESTS,
    StatusCode::INTERNAL_SERVER_ERROR,
    StatusCode::BAD_GATEWAY,
    StatusCode::SERVICE_UNAVAILABLE,
];

/// Makes the provider of tokens for `scope`; `options` are for the requests that fetch them. The
/// metadata server gives what the machine may do, and a user's consent what it was given for.
pub(crate) fn provider(
    source: &GoogleCredentialSource,
    scope: &'static str,
    options: &ClientOptions,
    connector: &Connector,
) -> object_store::Result<GoogleCredentialProvider> {
    let metadata_host = match source {
        GoogleCredentialSource::MetadataServer { host } => Some(host.clone()),
        GoogleCredentialSource::Anonymous => {
            let bearer = String::new();
            return Ok(Arc::new(StaticCredentialProvider::new(GcpCredential {
                bearer,
            })));
        }
        _ => None,
    };
    let connector = Connector {
        metadata_host,
        ..connector.clone()
    };
    Ok(Arc::new(GoogleTokens {
        source: source.clone(),
        scope,
        client: connector.connect(&options.clone().with_allow_http(true))?,
        kept: Mutex::default(),
    }))
}

#[derive(Debug)]
struct GoogleTokens {
    source: GoogleCredentialSource,
    /// What a token is to be good for.
    scope: &'static str,
    client: HttpClient,
    kept: Mutex<Option<Token>>,
}

/// A token and when it ends.
struct Token {
    credential: Arc<GcpCredential>,
    end: Instant,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// What a token endpoint answers (RFC 6749, "Successful Response").
#[derive(Deserialize)]
struct Granted {
    access_token: String,
    #[serde(default)]
    expires_in: u64,
}

/// What the impersonation endpoint answers (Google, `generateAccessToken`).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Impersonated {
    access_token: String,
}

/// An endpoint that gave no token.
#[derive(Debug, thiserror::Error)]
#[error("no credentials: {endpoint} answered {status}: {cause}")]
struct TokenRefused {
    endpoint: String,
    status: StatusCode,
    cause: String,
}

impl Explains for TokenRefused {
    fn explain(&self) -> Explanation {
        Explanation::Cause {
            kind: ErrorKind::Denied,
            text: self.to_string(),
            hint: None,
        }
    }
}

type Failed = Box<dyn std::error::Error + Send + Sync>;

#[async_trait]
impl CredentialProvider for GoogleTokens {
    type Credential = GcpCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<GcpCredential>> {
        let mut kept = self.kept.lock().await;
        let good = kept
            .as_ref()
            .filter(|token| token.end > Instant::now() + MARGIN);
        if let Some(token) = good {
            return Ok(token.credential.clone());
        }
        let granted = self.fetch().await;
        let granted = granted.map_err(|source| object_store::Error::Generic {
            store: STORE,
            source,
        })?;
        let bearer = for_header(&granted.access_token);
        let bearer = bearer.map_err(|cause| object_store::Error::Generic {
            store: STORE,
            source: format!("no credentials: the token that came cannot be sent: {cause}").into(),
        })?;
        let credential = Arc::new(GcpCredential {
            bearer: bearer.to_owned(),
        });
        *kept = Some(Token {
            credential: credential.clone(),
            end: Instant::now() + Duration::from_secs(granted.expires_in),
        });
        Ok(credential)
    }
}

impl GoogleTokens {
    async fn fetch(&self) -> Result<Granted, Failed> {
        match &self.source {
            GoogleCredentialSource::AuthorizedUser {
                client_id,
                client_secret,
                refresh_token,
                token_uri,
            } => {
                let form = [
                    ("grant_type", "refresh_token"),
                    ("client_id", client_id),
                    ("client_secret", client_secret.reveal()),
                    ("refresh_token", refresh_token.reveal()),
                ];
                self.post_form(token_uri, &form).await
            }
            GoogleCredentialSource::ExternalAccount(account) => self.federate(account).await,
            GoogleCredentialSource::MetadataServer { host } => {
                let path = "computeMetadata/v1/instance/service-accounts/default/token";
                let url = format!("http://{host}/{path}");
                let request = Request::get(&url).header("Metadata-Flavor", "Google");
                parse(&url, &self.send(request.body(empty())?).await?)
            }
            // These have providers of their own.
            GoogleCredentialSource::Anonymous | GoogleCredentialSource::ServiceAccount(_) => {
                Err("no token is needed".into())
            }
        }
    }

    /// Google, "Security Token Service API", `token`, then perhaps "IAM Service Account
    /// Credentials API", `generateAccessToken`.
    async fn federate(&self, account: &ExternalAccount) -> Result<Granted, Failed> {
        let subject = self.subject_token(account).await?;
        let scope = match account.impersonation_url {
            Some(_) => PLATFORM_SCOPE,
            None => self.scope,
        };
        let form = [
            (
                "grant_type",
                "urn:ietf:params:oauth:grant-type:token-exchange",
            ),
            (
                "requested_token_type",
                "urn:ietf:params:oauth:token-type:access_token",
            ),
            ("audience", &account.audience),
            ("scope", scope),
            ("subject_token_type", &account.subject_token_type),
            ("subject_token", &subject),
        ];
        let federated = self.post_form(&account.token_url, &form).await?;
        match &account.impersonation_url {
            None => Ok(federated),
            Some(url) => {
                self.impersonate(url, &federated, account.token_lifetime)
                    .await
            }
        }
    }

    async fn impersonate(
        &self,
        url: &str,
        federated: &Granted,
        lifetime: Duration,
    ) -> Result<Granted, Failed> {
        let seconds = lifetime.as_secs();
        let body = serde_json::json!({
            "scope": [self.scope], "lifetime": format!("{seconds}s"),
        });
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", federated.access_token))?;
        bearer.set_sensitive(true);
        let request = Request::post(url)
            .header(AUTHORIZATION, bearer)
            .header(CONTENT_TYPE, "application/json")
            .body(body.to_string().into())?;
        let answer: Impersonated = parse(url, &self.send(request).await?)?;
        Ok(Granted {
            access_token: answer.access_token,
            expires_in: seconds,
        })
    }

    async fn subject_token(&self, account: &ExternalAccount) -> Result<String, Failed> {
        let (place, text) = match &account.subject {
            Subject::File(path) => {
                let text = tokio::fs::read_to_string(path).await;
                let text = text.map_err(|error| format!("cannot read {path}: {error}"))?;
                (path, text)
            }
            Subject::Url { url, headers } => {
                let mut request = Request::builder().method(Method::GET).uri(url);
                for (name, value) in headers {
                    request = request.header(name, value.reveal());
                }
                (url, self.send(request.body(empty())?).await?)
            }
        };
        let Some(field) = &account.subject_field else {
            return Ok(text.trim().to_owned());
        };
        let document: serde_json::Value = serde_json::from_str(&text)
            .map_err(|_| format!("what {place} gives is no JSON document"))?;
        let token = document[field].as_str().map(str::to_owned);
        token.ok_or_else(|| format!("what {place} gives has no {field}").into())
    }

    async fn post_form(&self, url: &str, form: &[(&str, &str)]) -> Result<Granted, Failed> {
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        let request = Request::post(url)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(HttpRequestBody::from(body))?;
        parse(url, &self.send(request).await?)
    }

    /// Sends a request, again while the trouble may pass, and gives the body of a good answer.
    async fn send(&self, request: HttpRequest) -> Result<String, Failed> {
        let endpoint = request.uri().to_string();
        let mut wait = FIRST_WAIT;
        for attempt in 1.. {
            let may_pass = match self.client.execute(request.clone()).await {
                Ok(response) => {
                    let status = response.status();
                    let body = response.into_body().bytes_stream().try_collect::<Vec<_>>();
                    let body = String::from_utf8_lossy(&body.await?.concat()).into_owned();
                    if status.is_success() {
                        return Ok(body);
                    }
                    let refused = Explained::from(TokenRefused {
                        endpoint: endpoint.clone(),
                        status,
                        cause: cause_in(&body),
                    });
                    (Failed::from(refused), PASSING.contains(&status))
                }
                Err(error) => {
                    use HttpErrorKind::{Connect, Interrupted, Request, Timeout};
                    let kind = error.kind();
                    let passing = matches!(kind, Connect | Interrupted | Request | Timeout);
                    (error.into(), passing)
                }
            };
            if !may_pass.1 || attempt == ATTEMPTS {
                return Err(may_pass.0);
            }
            tokio::time::sleep(wait).await;
            wait *= 2;
        }
        Err("no attempt was made".into())
    }
}

fn empty() -> HttpRequestBody {
    HttpRequestBody::empty()
}

fn parse<T: for<'a> Deserialize<'a>>(url: &str, text: &str) -> Result<T, Failed> {
    // The error's own words may repeat a value.
    let parsed = serde_json::from_str(text);
    parsed.map_err(|_| format!("what {url} answered is no token").into())
}

/// What a refusal says: RFC 6749's `error` and `error_description`, or Google's `error.message`.
fn cause_in(body: &str) -> String {
    let document: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    let error = &document["error"];
    let parts = [
        error.as_str(),
        document["error_description"].as_str(),
        error["message"].as_str(),
    ];
    let said: Vec<_> = parts.into_iter().flatten().collect();
    if said.is_empty() {
        "it gave no reason".into()
    } else {
        said.join(": ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_of_a_refusal_is_found_in_both_forms() {
        for (body, cause) in [
            (
                r#"{"error": "invalid_grant", "error_description": "Token has expired."}"#,
                "invalid_grant: Token has expired.",
            ),
            (
                r#"{"error": {"code": 403, "message": "Permission denied."}}"#,
                "Permission denied.",
            ),
            ("<html>", "it gave no reason"),
        ] {
            assert_eq!(cause_in(body), cause);
        }
    }
}
