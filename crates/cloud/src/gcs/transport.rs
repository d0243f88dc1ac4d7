//! What `object_store` cannot say to Google itself: the KMS key of a new object, and the creation
//! of a bucket. Emulators get no credentials.

use async_trait::async_trait;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use http::{Method, Uri};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};

use crate::transport::Connector;

/// Google Cloud, "HTTP headers for XML API".
const KMS_KEY_NAME: HeaderName = HeaderName::from_static("x-goog-encryption-kms-key-name");
const PROJECT: HeaderName = HeaderName::from_static("x-goog-project-id");

/// What a request is to be besides what it is; travels in its extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Intent {
    /// "PUT Bucket" instead of "PUT Object" on the bucket's own address.
    CreateBucket { project: String },
}

/// Makes clients that know the dialect.
#[derive(Clone, Debug)]
pub(super) struct Dialect {
    pub(super) connector: Connector,
    pub(super) kms_key_name: Option<HeaderValue>,
    pub(super) is_anonymous: bool,
}

impl HttpConnector for Dialect {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Speaker {
            dialect: self.clone(),
            client: self.connector.connect(options)?,
        }))
    }
}

#[derive(Debug)]
struct Speaker {
    dialect: Dialect,
    client: HttpClient,
}

#[async_trait]
impl HttpService for Speaker {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        self.dialect.adapt(&mut request)?;
        self.client.execute(request).await
    }
}

impl Dialect {
    fn adapt(&self, request: &mut HttpRequest) -> Result<(), HttpError> {
        if self.is_anonymous {
            request.headers_mut().remove(AUTHORIZATION);
        }
        let intent = request.extensions().get::<Intent>().cloned();
        if let Some(Intent::CreateBucket { project }) = intent {
            let project = HeaderValue::try_from(project);
            let project = project.map_err(|e| HttpError::new(HttpErrorKind::Unknown, e))?;
            request.headers_mut().insert(PROJECT, project);
            *request.uri_mut() = of_bucket(request.uri());
        } else if let Some(name) = &self.kms_key_name
            && makes_an_object(request)
        {
            request.headers_mut().insert(KMS_KEY_NAME, name.clone());
        }
        Ok(())
    }
}

/// A whole object, or the beginning of a multipart upload; its parts follow that.
fn makes_an_object(request: &HttpRequest) -> bool {
    let query = request.uri().query().unwrap_or_default();
    match *request.method() {
        Method::PUT => !query.contains("uploadId="),
        Method::POST => query.split('&').any(|word| word.starts_with("uploads")),
        _ => false,
    }
}

/// The address of a bucket as a resource of its own.
fn of_bucket(uri: &Uri) -> Uri {
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = uri.path().trim_end_matches('/').parse().ok();
    Uri::from_parts(parts).unwrap_or_else(|_| uri.clone())
}
