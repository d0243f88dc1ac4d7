//! What S3 needs between the storage trait's client and the network.
//!
//! The client sends its encryption headers with the end of an upload that is given up, too; there
//! S3 takes none, so they are taken out and the request is signed again. And what an object's head
//! says about locks is passed on, which the client would drop.

use async_trait::async_trait;
use object_store::ClientOptions;
use object_store::aws::{AwsAuthorizer, AwsCredentialProvider};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use object_store::signer::Method;

use super::locks;
use super::transport::Connector;

/// Makes clients that do so, over those of `plain`.
#[derive(Clone, Debug)]
pub(super) struct WireConnector {
    pub(super) plain: Connector,
    pub(super) credentials: AwsCredentialProvider,
    pub(super) region: String,
}

#[derive(Debug)]
struct Wire {
    client: HttpClient,
    connector: WireConnector,
}

impl HttpConnector for WireConnector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Wire {
            client: self.plain.connect(options)?,
            connector: self.clone(),
        }))
    }
}

#[async_trait]
impl HttpService for Wire {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        if request.method() == Method::DELETE && take_out_encryption(&mut request) {
            self.sign_again(&mut request).await?;
        }
        let is_head = request.method() == Method::HEAD;
        let mut response = self.client.execute(request).await?;
        if is_head && let Some(lock) = locks::read_headers(response.headers()) {
            response.extensions_mut().insert(lock);
        }
        Ok(response)
    }
}

impl Wire {
    async fn sign_again(&self, request: &mut HttpRequest) -> Result<(), HttpError> {
        let failed = |error| HttpError::new::<object_store::Error>(HttpErrorKind::Unknown, error);
        let credentials = self.connector.credentials.get_credential().await;
        let credentials = credentials.map_err(failed)?;
        let authorizer = AwsAuthorizer::new(&credentials, "s3", &self.connector.region);
        request.headers_mut().remove("authorization");
        authorizer.try_authorize(request, None).map_err(failed)
    }
}

/// Whether there was something to take out.
fn take_out_encryption(request: &mut HttpRequest) -> bool {
    let headers = request.headers_mut();
    let is_about_it = |name: &&str| name.starts_with("x-amz-server-side-encryption");
    let names = headers.keys().map(|name| name.as_str());
    let found: Vec<String> = names.filter(is_about_it).map(str::to_owned).collect();
    for name in &found {
        headers.remove(name.as_str());
    }
    !found.is_empty()
}
