//! What `object_store` cannot say to Azure itself: the encryption scope, a condition on the last
//! step of an upload in blocks, the creation of a container, the deletion of one blob, and the
//! prefix of a listing; and what Azure's answers mean.
//!
//! Each is a header or a word in the address of a request that exists anyway, added on its way
//! out. A request that is signed with the account's key covers both, so it is signed again.

use std::sync::Arc;

use async_trait::async_trait;
use http::header::{AUTHORIZATION, ETAG, HeaderName, HeaderValue, IF_NONE_MATCH};
use http::{Method, Uri};
use object_store::azure::{AzureAuthorizer, AzureCredential};
use object_store::client::{HttpError, HttpErrorKind, HttpRequest, HttpResponse};
use url::form_urlencoded;

use super::listing;
use crate::http::answer::{
    Asked, LONGEST_DOCUMENT, StoreAnswer, read_error, read_whole, with_body,
};
use crate::http::dialect::{Again, Dialect, Judgement};
use crate::http::judgement;

/// Microsoft, "Put Blob", "Request headers".
const ENCRYPTION_SCOPE: HeaderName = HeaderName::from_static("x-ms-encryption-scope");

/// What a request is to be besides what it is; travels in its extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum AzureIntent {
    /// Fail when there is a blob of that name.
    CreateOnly,
    /// "Delete Blob" instead of "Put Blob".
    Delete,
    /// "Create Container" instead of "Put Blob" on the container's own address.
    CreateContainer,
    /// List what begins with this, whatever prefix the request names.
    ListPrefix(String),
}

/// What blob storage wants and says.
#[derive(Clone, Debug)]
pub(super) struct AzureDialect {
    pub(super) encryption_scope: Option<HeaderValue>,
    /// The account and its key, where requests are signed with it.
    pub(super) key: Option<(String, Arc<AzureCredential>)>,
}

#[async_trait]
impl Dialect for AzureDialect {
    async fn prepare(&self, request: &mut HttpRequest, again: Again) -> Result<(), HttpError> {
        if self.adapt(request) || again == Again::Anew {
            self.sign_again(request)
        } else {
            Ok(())
        }
    }

    async fn judge(&self, asked: &Asked, answer: HttpResponse) -> Result<Judgement, HttpError> {
        let status = answer.status();
        if !status.is_success() {
            let (parts, body) = read_error(answer).await;
            let said = StoreAnswer::parse(status, &parts.headers, &body);
            return Ok(judgement::of_error(asked, said, parts, body));
        }
        if matches!(asked.method, Method::GET | Method::HEAD) && !asked.has("comp") {
            return judgement::of_object(asked, answer).await;
        }
        if let Some(unfit) = judgement::from_between(&answer) {
            return Ok(Judgement::Passing(unfit));
        }
        if asked.method != Method::GET || !asked.has("restype") {
            return Ok(Judgement::Answer(with_tag(answer)));
        }
        let (parts, body) = read_whole(answer, LONGEST_DOCUMENT).await?;
        Ok(match listing::rewrite(&body) {
            Ok(page) => Judgement::Answer(with_body(parts, page.into())),
            Err(cause) => {
                let mut said = StoreAnswer::parse(status, &parts.headers, &body);
                said.message = format!("to a listing, but {cause}");
                Judgement::Passing(said)
            }
        })
    }
}

impl AzureDialect {
    /// Whether anything that a signature covers was changed.
    fn adapt(&self, request: &mut HttpRequest) -> bool {
        let intent = request.extensions().get::<AzureIntent>().cloned();
        let headers = request.headers_mut();
        match intent {
            Some(AzureIntent::CreateContainer) => {
                headers.remove("x-ms-blob-type");
                headers.remove("x-ms-blob-content-type");
                *request.uri_mut() = of_container(request.uri());
                true
            }
            Some(AzureIntent::Delete) => {
                headers.remove("x-ms-blob-type");
                *request.method_mut() = Method::DELETE;
                true
            }
            Some(AzureIntent::CreateOnly) => {
                headers.insert(IF_NONE_MATCH, HeaderValue::from_static("*"));
                self.add_scope(request);
                true
            }
            Some(AzureIntent::ListPrefix(prefix)) => {
                *request.uri_mut() = with_prefix(request.uri(), &prefix);
                true
            }
            None => self.add_scope(request),
        }
    }

    /// Microsoft names the header for Put Blob, Put Block and Put Block List: every PUT that we
    /// send, but the one that makes a container.
    fn add_scope(&self, request: &mut HttpRequest) -> bool {
        let Some(scope) = &self.encryption_scope else {
            return false;
        };
        let is_write = *request.method() == Method::PUT;
        if is_write {
            request
                .headers_mut()
                .insert(ENCRYPTION_SCOPE, scope.clone());
        }
        is_write
    }

    fn sign_again(&self, request: &mut HttpRequest) -> Result<(), HttpError> {
        let Some((account, key)) = &self.key else {
            return Ok(());
        };
        request.headers_mut().remove(AUTHORIZATION);
        let authorizer = AzureAuthorizer::new(key, account);
        let signed = authorizer.try_authorize(request);
        signed.map_err(|error| HttpError::new(HttpErrorKind::Unknown, error))
    }
}

/// The storage client wants a tag to everything that it has put; a deletion has none to give.
fn with_tag(mut answer: HttpResponse) -> HttpResponse {
    let tag = answer.headers_mut().entry(ETAG);
    tag.or_insert(HeaderValue::from_static("\"none\""));
    answer
}

/// The address of a listing with another prefix.
fn with_prefix(uri: &Uri, prefix: &str) -> Uri {
    let query = uri.query().unwrap_or_default();
    let others = query.split('&').filter(|pair| !pair.starts_with("prefix="));
    let mut words: Vec<_> = others.filter(|pair| !pair.is_empty()).collect();
    let prefix: String = form_urlencoded::byte_serialize(prefix.as_bytes()).collect();
    let prefix = format!("prefix={prefix}");
    words.push(&prefix);
    let mut parts = uri.clone().into_parts();
    let path_and_query = format!("{}?{}", uri.path(), words.join("&"));
    parts.path_and_query = path_and_query.parse().ok();
    Uri::from_parts(parts).unwrap_or_else(|_| uri.clone())
}

/// The address of a container as a resource of its own.
fn of_container(uri: &Uri) -> Uri {
    let path = uri.path().trim_end_matches('/');
    let query = match uri.query() {
        Some(query) => format!("restype=container&{query}"),
        None => "restype=container".into(),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = format!("{path}?{query}").parse().ok();
    Uri::from_parts(parts).unwrap_or_else(|_| uri.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_of_a_listing_is_replaced() {
        for (query, expected) in [
            ("comp=list&prefix=a%2Fb", "comp=list&prefix=x+%C3%BC%2Fy"),
            ("comp=list&sig=x", "comp=list&sig=x&prefix=x+%C3%BC%2Fy"),
        ] {
            let uri: Uri = format!("http://h/acc/c?{query}").parse().unwrap();
            assert_eq!(with_prefix(&uri, "x ü/y").query(), Some(expected));
        }
    }

    #[test]
    fn the_address_of_a_container_keeps_its_signature() {
        for (uri, expected) in [
            ("http://h:1/acc/c/", "http://h:1/acc/c?restype=container"),
            (
                "http://h:1/acc/c?sv=1&sig=x",
                "http://h:1/acc/c?restype=container&sv=1&sig=x",
            ),
        ] {
            assert_eq!(of_container(&uri.parse().unwrap()).to_string(), expected);
        }
    }
}
