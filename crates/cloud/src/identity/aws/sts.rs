//! The Security Token Service: a role for the holder of other credentials, or of a token.
//!
//! AWS, "AWS STS API Reference", `AssumeRole` and `AssumeRoleWithWebIdentity`.

use std::path::PathBuf;

use async_trait::async_trait;
use jiff::Timestamp;
use object_store::aws::{AwsAuthorizer, AwsCredentialProvider};
use object_store::client::{HttpClient, HttpRequest};
use object_store::signer::{HeaderName, HeaderValue, Method};
use url::form_urlencoded::Serializer;

use super::answer;
use super::error::AwsIdentityError;
use super::source::Role;
use super::temporary::{Issuer, Temporary};
use crate::failure::diagnose;

const SERVICE: &str = "STS";

/// A role that the holder of other credentials takes on.
#[derive(Debug)]
pub(super) struct AssumedRole {
    pub(super) http: HttpClient,
    pub(super) endpoint: String,
    pub(super) region: String,
    pub(super) source: AwsCredentialProvider,
    pub(super) role: Role,
}

/// A role for the holder of a token in a file.
#[derive(Debug)]
pub(super) struct WebIdentity {
    pub(super) http: HttpClient,
    pub(super) endpoint: String,
    pub(super) token_file: PathBuf,
    pub(super) role_arn: String,
    pub(super) session_name: Option<String>,
}

#[async_trait]
impl Issuer for AssumedRole {
    async fn issue(&self) -> Result<Temporary, AwsIdentityError> {
        let role = &self.role;
        let duration = role.duration_seconds.unwrap_or(3600).to_string();
        let mut form = vec![
            ("Action", "AssumeRole"),
            ("Version", "2011-06-15"),
            ("RoleArn", &role.arn),
            ("DurationSeconds", &duration),
        ];
        if let Some(id) = &role.external_id {
            form.push(("ExternalId", id.reveal()));
        }
        let source = self.source.get_credential().await;
        let source = source.map_err(|error| AwsIdentityError::Refused {
            service: "the role's source",
            code: "unusable".into(),
            message: diagnose(&error).cause,
        })?;
        let mut request = post(&self.endpoint, &form, role.session_name.as_deref())?;
        let signed = AwsAuthorizer::new(&source, "sts", &self.region);
        let signed = signed.try_authorize(&mut request, None);
        signed.map_err(|error| AwsIdentityError::Answer {
            service: SERVICE,
            cause: error.to_string(),
        })?;
        let text = answer::exchange(&self.http, SERVICE, &request).await?;
        answer::of_xml(SERVICE, &text)
    }
}

#[async_trait]
impl Issuer for WebIdentity {
    async fn issue(&self) -> Result<Temporary, AwsIdentityError> {
        let token = std::fs::read_to_string(&self.token_file);
        let token = token.map_err(|source| AwsIdentityError::TokenFile {
            path: self.token_file.clone(),
            source,
        })?;
        let form = [
            ("Action", "AssumeRoleWithWebIdentity"),
            ("Version", "2011-06-15"),
            ("RoleArn", &self.role_arn),
            ("DurationSeconds", "3600"),
            ("WebIdentityToken", token.trim()),
        ];
        let request = post(&self.endpoint, &form, self.session_name.as_deref())?;
        let text = answer::exchange(&self.http, SERVICE, &request).await?;
        answer::of_xml(SERVICE, &text)
    }
}

/// A form in the body, where no proxy's log has it.
fn post(
    endpoint: &str,
    form: &[(&str, &str)],
    session_name: Option<&str>,
) -> Result<HttpRequest, AwsIdentityError> {
    let made_up = || format!("barman-{}", Timestamp::now().as_second());
    let session_name = session_name.map_or_else(made_up, str::to_owned);
    let mut body = Serializer::new(String::new());
    body.extend_pairs(form)
        .append_pair("RoleSessionName", &session_name);
    let mut request = HttpRequest::new(body.finish().into());
    *request.method_mut() = Method::POST;
    let endpoint = format!("{}/", endpoint.trim_end_matches('/'));
    *request.uri_mut() = answer::address(SERVICE, &endpoint)?;
    request.headers_mut().insert(
        HeaderName::from_static("content-type"),
        HeaderValue::from_static("application/x-www-form-urlencoded"),
    );
    Ok(request)
}
