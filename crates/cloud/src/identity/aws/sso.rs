//! IAM Identity Center: the token that `aws sso login` left, exchanged for a role's keys.
//!
//! The token is used as it is; when it has expired the user must log in again. (AWS, "IAM Identity
//! Center Portal API Reference", `GetRoleCredentials`; the cache is the AWS command line's.)

use async_trait::async_trait;
use jiff::Timestamp;
use object_store::client::{HttpClient, HttpRequest, HttpRequestBody};
use object_store::signer::{HeaderName, HeaderValue};
use serde_json::Value;
use sha1::{Digest, Sha1};
use url::form_urlencoded::Serializer;

use super::answer::{FieldNames, address, exchange, of_json};
use super::error::AwsIdentityError;
use super::source::SsoLogin;
use super::temporary::{Issuer, Temporary};
use crate::secret::for_header;

const SERVICE: &str = "IAM Identity Center";
const NAMES: FieldNames = FieldNames {
    key_id: "accessKeyId",
    secret: "secretAccessKey",
    token: "sessionToken",
    expires: "expiration",
};

/// The portal of one region, for one login.
#[derive(Debug)]
pub(super) struct Portal {
    pub(super) http: HttpClient,
    pub(super) endpoint: Option<String>,
    pub(super) login: SsoLogin,
}

#[async_trait]
impl Issuer for Portal {
    async fn issue(&self) -> Result<Temporary, AwsIdentityError> {
        let token = self.cached_token()?;
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        *request.uri_mut() = address(SERVICE, &self.url())?;
        let bad = |cause| self.not_logged_in(&format!("the token cannot be sent: {cause}"));
        let token = HeaderValue::from_str(for_header(&token).map_err(bad)?);
        let token = token.map_err(|_| bad("it is no header"))?;
        let name = HeaderName::from_static("x-amz-sso_bearer_token");
        request.headers_mut().insert(name, token);
        let text = exchange(&self.http, SERVICE, &request).await?;
        let json: Value = serde_json::from_str(&text).unwrap_or_default();
        of_json(SERVICE, &json["roleCredentials"], &NAMES)
    }
}

impl Portal {
    fn url(&self) -> String {
        let region = &self.login.region;
        let aws = || format!("https://portal.sso.{region}.amazonaws.com");
        let endpoint = self.endpoint.clone().unwrap_or_else(aws);
        let mut query = Serializer::new(String::new());
        query
            .append_pair("role_name", &self.login.role_name)
            .append_pair("account_id", &self.login.account_id);
        format!("{endpoint}/federation/credentials?{}", query.finish())
    }

    fn cached_token(&self) -> Result<String, AwsIdentityError> {
        let digest = Sha1::digest(self.login.cache_name.as_bytes());
        let name: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let path = self.login.cache.join(format!("{name}.json"));
        let text = std::fs::read_to_string(&path);
        let text = text.map_err(|error| {
            self.not_logged_in(&format!("cannot read {}: {error}", path.display()))
        })?;
        let json: Value = serde_json::from_str(&text).unwrap_or_default();
        let value = |name: &str| json.get(name).and_then(Value::as_str);
        let expires = value("expiresAt").and_then(|time| time.parse::<Timestamp>().ok());
        match (value("accessToken"), expires) {
            (Some(token), Some(expires)) if expires > Timestamp::now() => Ok(token.to_owned()),
            (Some(_), Some(expires)) => {
                Err(self.not_logged_in(&format!("the login ended at {expires}")))
            }
            _ => Err(self.not_logged_in(&format!("{} holds no token", path.display()))),
        }
    }

    fn not_logged_in(&self, cause: &str) -> AwsIdentityError {
        AwsIdentityError::Login {
            profile: self.login.profile.clone(),
            cause: cause.into(),
        }
    }
}
