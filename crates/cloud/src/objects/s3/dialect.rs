//! What S3 needs between the storage trait's client and the network.
//!
//! The client sends its encryption headers with the end of an upload that is given up, too; there
//! S3 takes none, so they are taken out. What an object's head says about locks is passed on, which
//! the client would drop. And a bucket may be in another region than the settings say: S3 names it,
//! and from then on requests are made for that one. Always true: what was changed is signed again,
//! for a host that the settings' endpoint leads to; an address that an answer names is not used.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderValue, Uri};
use http_body::Body;
use md5::{Digest, Md5};
use object_store::aws::{AwsAuthorizer, AwsCredentialProvider};
use object_store::client::{HttpError, HttpErrorKind, HttpRequest, HttpResponse};
use object_store::signer::Method;

use super::endpoint::{S3Endpoint, region_of_host};
use super::locks;
use crate::http::answer::{Asked, StoreAnswer, read_error};
use crate::http::dialect::{Again, Dialect, Judgement};
use crate::http::judgement;
use crate::http::transport::authority_of;
use crate::objects::s3_like::{self, rewritten_token, spelled_as_stored};

/// What a request has instead of its body's digest when the body is not signed.
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
/// The codes of answers that are about the region (AWS, "Error responses").
const ELSEWHERE: [&str; 4] = [
    "AuthorizationHeaderMalformed",
    "IllegalLocationConstraintException",
    "PermanentRedirect",
    "TemporaryRedirect",
];

#[derive(Debug)]
pub(super) struct S3Dialect {
    pub(super) credentials: AwsCredentialProvider,
    pub(super) bucket: String,
    /// As the settings have it.
    pub(super) region: String,
    pub(super) endpoint: S3Endpoint,
    /// The region that the bucket turned out to be in.
    pub(super) moved: Mutex<Option<String>>,
    /// Whether the bucket takes nothing without a digest of it.
    pub(super) wants_digests: AtomicBool,
}

#[async_trait]
impl Dialect for S3Dialect {
    async fn prepare(&self, request: &mut HttpRequest, again: Again) -> Result<(), HttpError> {
        let mut is_changed = again == Again::Anew;
        if request.method() == Method::DELETE {
            is_changed |= take_out_encryption(request);
        }
        is_changed |= rewritten_token(request);
        is_changed |= spelled_as_stored(request);
        if request.method() == Method::PUT && self.wants_digests.load(Ordering::Relaxed) {
            add_digest(request)?;
            is_changed = true;
        }
        let moved = self.moved();
        if let Some(region) = &moved {
            is_changed |= self.redirect(request, region);
        }
        let region = moved.as_ref().unwrap_or(&self.region);
        if is_changed || *region != self.region {
            self.sign_again(request, region).await
        } else {
            Ok(())
        }
    }

    async fn judge(&self, asked: &Asked, answer: HttpResponse) -> Result<Judgement, HttpError> {
        let status = answer.status();
        if !status.is_success() {
            let (parts, body) = read_error(answer).await;
            let mut said = StoreAnswer::parse(status, &parts.headers, &body);
            said.region = said.region.take().or_else(|| region_in(&body));
            if self.is_elsewhere(&said) {
                return Ok(self.follow(said));
            }
            if self.may_want_digests(asked, &said) {
                return Ok(Judgement::Corrected(said));
            }
            return Ok(judgement::of_error(asked, said, parts, body));
        }
        let lock = if asked.method == Method::HEAD {
            locks::read_headers(answer.headers())
        } else {
            None
        };
        let mut verdict = s3_like::judge(asked, answer).await?;
        if let (Judgement::Answer(answer), Some(lock)) = (&mut verdict, lock) {
            answer.extensions_mut().insert(lock);
        }
        Ok(verdict)
    }
}

impl S3Dialect {
    fn moved(&self) -> Option<String> {
        let moved = self.moved.lock();
        moved.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn is_elsewhere(&self, said: &StoreAnswer) -> bool {
        said.is(&ELSEWHERE) || (said.status.is_redirection() && said.region.is_some())
    }

    /// A bucket with a default retention takes no write without `Content-MD5` (AWS, "Managing
    /// Object Lock"), and calls one without it invalid. Whether that was it shows with a digest.
    fn may_want_digests(&self, asked: &Asked, said: &StoreAnswer) -> bool {
        asked.method == Method::PUT
            && said.status == 400
            && said.is(&["InvalidRequest", "MissingContentMD5"])
            && !self.wants_digests.swap(true, Ordering::Relaxed)
    }

    /// Remembers the region that the store names, for this request and all later ones.
    fn follow(&self, said: StoreAnswer) -> Judgement {
        let is_name = |region: &&String| {
            let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-';
            !region.is_empty() && region.len() < 64 && region.chars().all(allowed)
        };
        let Some(region) = said.region.clone().filter(|region| is_name(&region)) else {
            return Judgement::Final(said);
        };
        let mut moved = self.moved.lock().unwrap_or_else(PoisonError::into_inner);
        if moved.as_ref().unwrap_or(&self.region) == &region {
            // A new bucket's name is not known everywhere yet; or another request was quicker.
            return if said.status.as_u16() == 307 {
                Judgement::Passing(said)
            } else {
                Judgement::Corrected(said)
            };
        }
        *moved = Some(region);
        Judgement::Corrected(said)
    }

    /// Puts the host of that region into the address, where the endpoint is AWS's own.
    fn redirect(&self, request: &mut HttpRequest, region: &str) -> bool {
        let endpoint = self.endpoint.in_region(region);
        let url = endpoint.and_then(|endpoint| endpoint.url_for(&self.bucket).ok());
        let authority = url.as_deref().and_then(authority_of);
        let Some(authority) = authority.and_then(|it| it.parse().ok()) else {
            return false;
        };
        let mut parts = request.uri().clone().into_parts();
        parts.authority = Some(authority);
        match Uri::from_parts(parts) {
            Ok(uri) => *request.uri_mut() = uri,
            Err(_) => return false,
        }
        true
    }

    async fn sign_again(&self, request: &mut HttpRequest, region: &str) -> Result<(), HttpError> {
        let failed = |error| HttpError::new::<object_store::Error>(HttpErrorKind::Unknown, error);
        let credentials = self.credentials.get_credential().await;
        let credentials = credentials.map_err(failed)?;
        let headers = request.headers_mut();
        headers.remove("authorization");
        headers.remove("x-amz-security-token");
        let digest = headers.get("x-amz-content-sha256");
        let digest = digest.and_then(|it| it.to_str().ok()).map(str::to_owned);
        let is_signed = digest.as_deref() != Some(UNSIGNED);
        let digest = digest.and_then(|it| from_hex(&it));
        let authorizer = AwsAuthorizer::new(&credentials, "s3", region);
        let authorizer = authorizer.with_sign_payload(is_signed);
        let signed = authorizer.try_authorize(request, digest.as_deref());
        signed.map_err(failed)
    }
}

/// The digest of a request's body, in the form of RFC 1864.
fn add_digest(request: &mut HttpRequest) -> Result<(), HttpError> {
    let mut digest = Md5::new();
    let mut body = request.body().clone();
    // What is in memory is there at once.
    let mut context = Context::from_waker(Waker::noop());
    while let Poll::Ready(Some(frame)) = Pin::new(&mut body).poll_frame(&mut context) {
        if let Some(bytes) = frame?.data_ref() {
            digest.update(bytes);
        }
    }
    let value = HeaderValue::try_from(BASE64_STANDARD.encode(digest.finalize()));
    let value = value.map_err(|error| HttpError::new(HttpErrorKind::Unknown, error))?;
    request.headers_mut().insert("content-md5", value);
    Ok(())
}

/// The region in the endpoint that an error's document names.
fn region_in(body: &[u8]) -> Option<String> {
    let root = crate::http::xml::Element::parse(body).ok()?;
    region_of_host(root.text_of("Endpoint")?)
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let byte = |at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    let is_even = text.len().is_multiple_of(2);
    (0..text.len())
        .step_by(2)
        .map(byte)
        .collect::<Option<_>>()
        .filter(|_| is_even)
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
