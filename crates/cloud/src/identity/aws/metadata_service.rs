//! The machine's metadata service (IMDS): a token, the name of the role, the role's keys.
//!
//! AWS, "Retrieve security credentials from instance metadata". As botocore has it, a service that
//! gives no token (403, 404, 405), or whose answer does not come through (the hop limit of a
//! container), is asked without one.

use async_trait::async_trait;
use object_store::client::{HttpClient, HttpRequest, HttpRequestBody};
use object_store::signer::{HeaderName, HeaderValue, Method};
use serde_json::Value;

use super::answer::{FieldNames, address, of_json};
use super::error::AwsIdentityError;
use super::machine::{Machine, WithoutToken};
use super::temporary::{Issuer, Temporary};
use crate::failure::innermost;
use crate::http::transport::authority_of;
use crate::secret::for_header;

const SERVICE: &str = "the metadata service";
const TOKEN_PATH: &str = "/latest/api/token";
const ROLES_PATH: &str = "/latest/meta-data/iam/security-credentials/";
const NAMES: FieldNames = FieldNames {
    key_id: "AccessKeyId",
    secret: "SecretAccessKey",
    token: "Token",
    expires: "Expiration",
};

/// The service, to be asked.
#[derive(Debug)]
pub(super) struct Metadata {
    pub(super) http: HttpClient,
    pub(super) machine: Machine,
}

/// What one request came to.
enum Outcome {
    Good(String),
    Status(u16),
    /// No answer, or not all of it.
    Lost(String),
}

#[async_trait]
impl Issuer for Metadata {
    async fn issue(&self) -> Result<Temporary, AwsIdentityError> {
        let token = self.token().await?;
        let roles = self.get(ROLES_PATH, token.as_deref()).await?;
        let role = roles.lines().next().unwrap_or_default().trim();
        let path = format!("{ROLES_PATH}{role}");
        let text = self.get(&path, token.as_deref()).await?;
        let json: Value = serde_json::from_str(&text).unwrap_or_default();
        // A role that the machine may not take on is told in a good answer.
        if let (Some(code), Some(message)) = (json["Code"].as_str(), json["Message"].as_str()) {
            return Err(self.failed(&format!("says {code}: {message}")));
        }
        of_json(SERVICE, &json, &NAMES)
    }
}

impl Metadata {
    /// `None` if the service gives none.
    async fn token(&self) -> Result<Option<String>, AwsIdentityError> {
        let mut request = self.request(TOKEN_PATH)?;
        *request.method_mut() = Method::PUT;
        request.headers_mut().insert(
            HeaderName::from_static("x-aws-ec2-metadata-token-ttl-seconds"),
            HeaderValue::from_static("21600"),
        );
        let cause = match self.ask(&request, 1).await {
            Outcome::Good(token) => match for_header(&token) {
                Ok(token) => return Ok(Some(token.to_owned())),
                Err(_) => "gives a token that cannot be sent".to_owned(),
            },
            Outcome::Status(400) => return Err(self.failed("answered 400")),
            Outcome::Status(status) => format!("answered {status}"),
            Outcome::Lost(cause) => cause,
        };
        match self.machine.without_token {
            WithoutToken::Ask => Ok(None),
            WithoutToken::GiveUp => Err(self.failed(&format!(
                "{cause} when a token was asked for, and must not be used without one"
            ))),
        }
    }

    async fn get(&self, path: &str, token: Option<&str>) -> Result<String, AwsIdentityError> {
        let mut request = self.request(path)?;
        if let Some(token) = token.and_then(|token| HeaderValue::from_str(token).ok()) {
            let name = HeaderName::from_static("x-aws-ec2-metadata-token");
            request.headers_mut().insert(name, token);
        }
        match self.ask(&request, self.machine.attempts).await {
            Outcome::Good(text) if text.is_empty() => Err(self.failed("answered with nothing")),
            Outcome::Good(text) => Ok(text),
            Outcome::Status(404) => Err(self.failed("answered 404: this machine has no role")),
            Outcome::Status(status) => Err(self.failed(&format!("answered {status}"))),
            Outcome::Lost(cause) => Err(self.failed(&cause)),
        }
    }

    fn request(&self, path: &str) -> Result<HttpRequest, AwsIdentityError> {
        let url = format!("{}{path}", self.machine.endpoint);
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        let uri = address(SERVICE, &url);
        *request.uri_mut() = uri.map_err(|_| self.failed("gives no name of a role"))?;
        Ok(request)
    }

    /// The first answer that another attempt would not change.
    async fn ask(&self, request: &HttpRequest, attempts: u32) -> Outcome {
        let mut outcome = self.ask_once(request).await;
        for _ in 1..attempts {
            let may_pass = match &outcome {
                Outcome::Good(_) => false,
                Outcome::Status(status) => *status >= 500 || *status == 429,
                Outcome::Lost(_) => true,
            };
            if !may_pass {
                break;
            }
            outcome = self.ask_once(request).await;
        }
        outcome
    }

    async fn ask_once(&self, request: &HttpRequest) -> Outcome {
        let exchange = async {
            let answer = self.http.execute(request.clone()).await?;
            let status = answer.status();
            let body = answer.into_body().bytes().await?;
            Ok((status, String::from_utf8_lossy(&body).into_owned()))
        };
        let patience = self.machine.patience;
        let answer: Result<_, object_store::client::HttpError> =
            match tokio::time::timeout(patience, exchange).await {
                Ok(answer) => answer,
                Err(_) => return Outcome::Lost(format!("did not answer within {patience:?}")),
            };
        match answer {
            Ok((status, body)) if status.is_success() => Outcome::Good(body),
            Ok((status, _)) => Outcome::Status(status.as_u16()),
            Err(error) => Outcome::Lost(format!("did not answer: {}", innermost(&error))),
        }
    }

    fn failed(&self, cause: &str) -> AwsIdentityError {
        let host = authority_of(&self.machine.endpoint);
        AwsIdentityError::Machine {
            endpoint: host.unwrap_or_default(),
            cause: cause.into(),
            unread: self.machine.unread.clone(),
        }
    }
}
