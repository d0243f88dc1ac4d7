//! The credential service of a container: an ECS task's, or an EKS pod's.
//!
//! AWS, "AWS SDKs and Tools Reference Guide", "Container credential provider".

use std::path::PathBuf;

use async_trait::async_trait;
use object_store::client::{HttpClient, HttpRequest, HttpRequestBody};
use object_store::signer::{HeaderName, HeaderValue};

use super::answer::{FieldNames, address, exchange, of_json};
use super::error::AwsIdentityError;
use super::source::Authorization;
use super::temporary::{Issuer, Temporary};
use crate::secret::for_header;

const SERVICE: &str = "the container's credential service";
const NAMES: FieldNames = FieldNames {
    key_id: "AccessKeyId",
    secret: "SecretAccessKey",
    token: "Token",
    expires: "Expiration",
};

/// The service at a URL from the environment.
#[derive(Debug)]
pub(super) struct Container {
    pub(super) http: HttpClient,
    pub(super) url: String,
    pub(super) authorization: Authorization,
}

#[async_trait]
impl Issuer for Container {
    async fn issue(&self) -> Result<Temporary, AwsIdentityError> {
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        *request.uri_mut() = address(SERVICE, &self.url)?;
        if let Some(token) = self.token()? {
            let bad = |cause: &str| AwsIdentityError::Answer {
                service: SERVICE,
                cause: format!("its authorization token cannot be sent: {cause}"),
            };
            let token = for_header(&token).map_err(bad)?;
            let value = HeaderValue::from_str(token).map_err(|_| bad("it is no header"))?;
            let name = HeaderName::from_static("authorization");
            request.headers_mut().insert(name, value);
        }
        let text = exchange(&self.http, SERVICE, &request).await?;
        let json = serde_json::from_str(&text).unwrap_or_default();
        of_json(SERVICE, &json, &NAMES)
    }
}

impl Container {
    fn token(&self) -> Result<Option<String>, AwsIdentityError> {
        match &self.authorization {
            Authorization::None => Ok(None),
            Authorization::Token(token) => Ok(Some(token.reveal().to_owned())),
            // It is written anew from time to time.
            Authorization::File(path) => match std::fs::read_to_string(path) {
                Ok(token) => Ok(Some(token.trim().to_owned())),
                Err(source) => Err(AwsIdentityError::TokenFile {
                    path: PathBuf::from(path),
                    source,
                }),
            },
        }
    }
}
