//! What a store says in an answer that is not the one that was hoped for.
//!
//! Always true: no more of such an answer is read than any store has to say.

use std::fmt;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, Method, StatusCode};
use object_store::client::{HttpError, HttpErrorKind, HttpRequest, HttpResponse};

use super::xml::{Element, between};

/// Of an error's document no more is looked at.
const LONGEST_ERROR: usize = 64 * 1024;
/// A page of 1000 keys of 1024 bytes, each byte written as an entity, with all that stores add.
pub(crate) const LONGEST_DOCUMENT: usize = 16 * 1024 * 1024;

/// An answer that is an error, or not what it should be.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) struct StoreAnswer {
    pub(crate) status: StatusCode,
    /// The store's word for it, such as `SlowDown`.
    pub(crate) code: Option<String>,
    pub(crate) message: String,
    /// The region that a bucket is in, where the store says so.
    pub(crate) region: Option<String>,
    /// When the store wants to be asked again.
    pub(crate) retry_after: Option<Duration>,
}

impl fmt::Display for StoreAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the store answered {}", self.status)?;
        if let Some(code) = &self.code {
            write!(f, ": {code}")?;
        }
        if self.message.is_empty() {
            Ok(())
        } else {
            write!(f, ": {}", self.message)
        }
    }
}

impl StoreAnswer {
    /// An answer of this status that is not what the request asks for.
    pub(crate) fn unfit(status: StatusCode, cause: impl Into<String>) -> StoreAnswer {
        StoreAnswer {
            status,
            code: None,
            message: cause.into(),
            region: None,
            retry_after: None,
        }
    }

    /// The words of an error's answer.
    pub(crate) fn parse(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> StoreAnswer {
        let text = |name: &str| headers.get(name)?.to_str().ok().map(str::to_owned);
        let mut answer = StoreAnswer::unfit(status, "");
        answer.code = text("x-ms-error-code");
        answer.region = text("x-amz-bucket-region");
        let seconds = text(RETRY_AFTER.as_str()).and_then(|it| it.trim().parse().ok());
        answer.retry_after = seconds.map(Duration::from_secs);
        answer.read_document(body);
        answer
    }

    fn read_document(&mut self, body: &[u8]) {
        let parsed = Element::parse(body).ok();
        let words = String::from_utf8_lossy(body);
        let (root, loose) = (parsed.as_ref(), |start, end| {
            between(&words, start, end).map(str::to_owned)
        });
        let text = |name| {
            root.and_then(|root| root.text_of(name))
                .map(|text| text.trim().to_owned())
        };
        let code = text("Code").or_else(|| loose("<Code>", "</Code>"));
        self.code = code.filter(|code| !code.is_empty()).or(self.code.take());
        self.region = self.region.take().or_else(|| text("Region"));
        let message = text("Message").or_else(|| loose("<Message>", "</Message>"));
        // Azure goes on with the request's id and time.
        let first_line = message.as_deref().and_then(|it| it.lines().next());
        self.message = first_line.unwrap_or_default().to_owned();
    }

    /// As an error that neither the storage client nor `persistence` tries again.
    pub(crate) fn into_error(self) -> HttpError {
        HttpError::new(HttpErrorKind::Unknown, self)
    }

    pub(crate) fn is(&self, codes: &[&str]) -> bool {
        self.code
            .as_deref()
            .is_some_and(|code| codes.contains(&code))
    }
}

/// What the store said, if an error comes from an answer of its.
pub(crate) fn said_in<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a StoreAnswer> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(said) = error.downcast_ref::<StoreAnswer>() {
            return Some(said);
        }
        next = error.source();
    }
    None
}

/// What a request asks for, as far as its answer is judged by it.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) authority: String,
    pub(crate) is_range: bool,
    query: String,
}

impl Asked {
    pub(crate) fn of(request: &HttpRequest) -> Asked {
        let uri = request.uri();
        Asked {
            method: request.method().clone(),
            authority: uri.authority().map(ToString::to_string).unwrap_or_default(),
            is_range: request.headers().contains_key(http::header::RANGE),
            query: uri.query().unwrap_or_default().to_owned(),
        }
    }

    /// Whether the query has such a word, with a value or without.
    pub(crate) fn has(&self, word: &str) -> bool {
        let words = self.query.split('&');
        words
            .map(|pair| pair.split('=').next().unwrap_or_default())
            .any(|name| name == word)
    }
}

/// The head of an answer and all of its body; one that is longer is not worth reading.
pub(crate) async fn read_whole(
    response: HttpResponse,
    longest: usize,
) -> Result<(http::response::Parts, Bytes), HttpError> {
    let (parts, body) = response.into_parts();
    let mut whole = BytesMut::new();
    let mut chunks = body.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk?;
        if whole.len() + chunk.len() > longest {
            let cause = format!("with more than {} MiB of a document", longest >> 20);
            return Err(StoreAnswer::unfit(parts.status, cause).into_error());
        }
        whole.extend_from_slice(&chunk);
    }
    Ok((parts, whole.freeze()))
}

/// The head of an error's answer and the beginning of its body. A body that breaks off is no
/// reason to forget the status.
pub(crate) async fn read_error(response: HttpResponse) -> (http::response::Parts, Bytes) {
    let (parts, body) = response.into_parts();
    let mut begin = BytesMut::new();
    let mut chunks = body.bytes_stream();
    while let Some(Ok(chunk)) = chunks.next().await {
        let room = LONGEST_ERROR - begin.len();
        begin.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if begin.len() == LONGEST_ERROR {
            break;
        }
    }
    (parts, begin.freeze())
}

/// An answer with another body than it came with.
pub(crate) fn with_body(mut parts: http::response::Parts, body: Bytes) -> HttpResponse {
    parts
        .headers
        .insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    HttpResponse::from_parts(parts, body.into())
}

/// Whether a good status comes from something between us and the store, such as the page of a
/// captive portal: no store answers a request of ours with a page for people.
pub(crate) fn is_page_for_people(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
    let is_html = kind.is_some_and(|kind| kind.to_ascii_lowercase().contains("html"));
    is_html && !headers.contains_key(ETAG)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_its_code_in_a_document_or_a_header() {
        let mut headers = HeaderMap::new();
        headers.insert("x-amz-bucket-region", HeaderValue::from_static("eu-west-1"));
        headers.insert("retry-after", HeaderValue::from_static("7"));
        let body = b"<Error><Code>SlowDown</Code><Message>Less.\nId: 1</Message></Error>";
        let answer = StoreAnswer::parse(StatusCode::SERVICE_UNAVAILABLE, &headers, body);
        assert!(answer.is(&["SlowDown"]));
        assert_eq!(answer.region.as_deref(), Some("eu-west-1"));
        assert_eq!(answer.retry_after, Some(Duration::from_secs(7)));
        let text = "the store answered 503 Service Unavailable: SlowDown: Less.";
        assert_eq!(answer.to_string(), text);
        headers.insert("x-ms-error-code", HeaderValue::from_static("BlobNotFound"));
        let answer = StoreAnswer::parse(StatusCode::NOT_FOUND, &headers, b"");
        assert!(answer.is(&["BlobNotFound"]));
    }

    #[test]
    fn a_page_for_people_is_known_by_its_kind_and_by_having_no_tag() {
        let mut headers = HeaderMap::new();
        assert!(!is_page_for_people(&headers));
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("Text/HTML; charset=utf-8"),
        );
        assert!(is_page_for_people(&headers));
        headers.insert(ETAG, HeaderValue::from_static("\"e\""));
        assert!(!is_page_for_people(&headers));
    }
}
