//! What `object_store` cannot say to Google itself: the KMS key of a new object, and the creation
//! of a bucket. Emulators get no credentials.

use async_trait::async_trait;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use http::{Method, Uri};
use object_store::client::{HttpError, HttpErrorKind, HttpRequest, HttpResponse};

use crate::http::answer::Asked;
use crate::http::dialect::{Again, Dialect, Judgement};
use crate::objects::s3_like::{self, rewritten_token, spelled_as_stored};

/// Google Cloud, "HTTP headers for XML API".
const KMS_KEY_NAME: HeaderName = HeaderName::from_static("x-goog-encryption-kms-key-name");
const PROJECT: HeaderName = HeaderName::from_static("x-goog-project-id");

/// What a request is to be besides what it is; travels in its extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum GoogleIntent {
    /// "PUT Bucket" instead of "PUT Object" on the bucket's own address.
    CreateBucket { project: String },
}

/// What Google's XML interface wants and says.
#[derive(Clone, Debug)]
pub(super) struct GoogleDialect {
    pub(super) kms_key_name: Option<HeaderValue>,
    pub(super) is_anonymous: bool,
}

#[async_trait]
impl Dialect for GoogleDialect {
    async fn prepare(&self, request: &mut HttpRequest, _: Again) -> Result<(), HttpError> {
        rewritten_token(request);
        spelled_as_stored(request);
        self.adapt(request)
    }

    async fn judge(&self, asked: &Asked, answer: HttpResponse) -> Result<Judgement, HttpError> {
        s3_like::judge(asked, answer).await
    }
}

impl GoogleDialect {
    fn adapt(&self, request: &mut HttpRequest) -> Result<(), HttpError> {
        if self.is_anonymous {
            request.headers_mut().remove(AUTHORIZATION);
        }
        let intent = request.extensions().get::<GoogleIntent>().cloned();
        if let Some(GoogleIntent::CreateBucket { project }) = intent {
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
