//! What answers mean that all clouds give alike: errors that pass, proofs of absence, odd headers.
//!
//! Always true: "not there" is believed only with the store's own word for it. A proxy, a captive
//! portal or a load balancer without a store behind it answers 404, too.

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH,
    CONTENT_TYPE, HeaderName, HeaderValue, LAST_MODIFIED, LOCATION,
};
use http::response::Parts;
use http::{HeaderMap, Method, StatusCode};
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use object_store::client::{HttpError, HttpResponse};

use super::answer::{
    Asked, LONGEST_DOCUMENT, StoreAnswer, is_page_for_people, read_whole, with_body,
};
use super::dialect::Judgement;

/// What passes, with whatever status it comes (AWS, "Amazon S3 API Reference", "Error responses";
/// "AWS STS API Reference"; Microsoft, "Blob Storage error codes").
const PASSING: [&str; 13] = [
    "ConditionalRequestConflict",
    "ContainerBeingDeleted",
    "IDPCommunicationError",
    "InternalError",
    "OperationAborted",
    "OperationTimedOut",
    "RequestLimitExceeded",
    "RequestTimeout",
    "ServerBusy",
    "ServiceUnavailable",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
];
/// What a fresh signature, or fresh credentials, may mend; and what was garbled on the way.
const STALE: [&str; 8] = [
    "BadDigest",
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteBody",
    "RequestExpired",
    "RequestTimeTooSkewed",
    "TokenRefreshRequired",
    "XAmzContentSHA256Mismatch",
];
/// The stores' words for an object, or an upload, that is not there.
const ABSENT: [&str; 4] = ["BlobNotFound", "NoSuchKey", "NoSuchUpload", "NoSuchVersion"];

/// Judges an error by its status and the store's code.
pub(crate) fn of_error(asked: &Asked, answer: StoreAnswer, parts: Parts, body: Bytes) -> Judgement {
    if is_passing(&answer) {
        return Judgement::Passing(answer);
    }
    if answer.is(&STALE) {
        return Judgement::Corrected(answer);
    }
    let has_room_for_words = !matches!(asked.method, Method::HEAD | Method::DELETE);
    match parts.status {
        StatusCode::NOT_FOUND if answer.is(&ABSENT) => Judgement::Answer(with_body(parts, body)),
        StatusCode::NOT_FOUND if answer.code.is_some() => Judgement::Final(answer),
        StatusCode::NOT_FOUND if has_room_for_words => Judgement::Passing(StoreAnswer::unfit(
            parts.status,
            "without a word about what is not there",
        )),
        StatusCode::NOT_FOUND => Judgement::Unproven(with_body(parts, body)),
        // The storage clients know what these mean.
        StatusCode::UNAUTHORIZED
        | StatusCode::FORBIDDEN
        | StatusCode::CONFLICT
        | StatusCode::PRECONDITION_FAILED => Judgement::Answer(with_body(parts, body)),
        status if status.is_redirection() => Judgement::Final(elsewhere(answer, &parts.headers)),
        _ => Judgement::Final(answer),
    }
}

/// An error in an answer whose status says that all is well.
pub(crate) fn of_error_inside(answer: StoreAnswer) -> Judgement {
    if is_passing(&answer) || answer.code.is_none() {
        Judgement::Passing(answer)
    } else {
        Judgement::Final(answer)
    }
}

/// Whether it will probably be answered otherwise in a while.
pub(crate) fn is_passing(answer: &StoreAnswer) -> bool {
    let lacks = [
        StatusCode::NOT_IMPLEMENTED,
        StatusCode::HTTP_VERSION_NOT_SUPPORTED,
        StatusCode::INSUFFICIENT_STORAGE,
    ];
    let status = answer.status;
    (status.is_server_error() && !lacks.contains(&status))
        || matches!(status.as_u16(), 408 | 425 | 429)
        || answer.is(&PASSING)
}

/// Where a redirect leads: nothing that the request carries goes there.
fn elsewhere(mut answer: StoreAnswer, headers: &HeaderMap) -> StoreAnswer {
    let location = headers.get(LOCATION).and_then(|it| it.to_str().ok());
    let url = location.and_then(|it| url::Url::parse(it).ok());
    if answer.code.is_none()
        && let Some(url) = url
    {
        let origin = url.origin().ascii_serialization();
        answer.message = format!("a redirect to {origin}");
    }
    answer
}

/// Judges a good answer to a read, or to a question for an object's head.
///
/// # Errors
/// When an answer that does not say how long it is cannot be read to its end.
pub(crate) async fn of_object(
    asked: &Asked,
    mut answer: HttpResponse,
) -> Result<Judgement, HttpError> {
    let status = answer.status();
    let is_fit = match status {
        StatusCode::OK => true,
        StatusCode::PARTIAL_CONTENT => asked.is_range,
        _ => false,
    };
    if !is_fit {
        let unfit = StoreAnswer::unfit(status, "to a read of an object");
        return Ok(Judgement::Passing(unfit));
    }
    if let Some(unfit) = from_between(&answer) {
        return Ok(Judgement::Passing(unfit));
    }
    mend_head(answer.headers_mut());
    // The storage clients ask for a length, which a server that sends in chunks does not say.
    if asked.method == Method::GET && !answer.headers().contains_key(CONTENT_LENGTH) {
        let (parts, body) = read_whole(answer, LONGEST_DOCUMENT).await?;
        answer = with_body(parts, body);
    }
    Ok(Judgement::Answer(answer))
}

/// A good status that does not come from the store. An answer without content is no page, whatever
/// its type: some stores call every answer HTML.
pub(crate) fn from_between(answer: &HttpResponse) -> Option<StoreAnswer> {
    if answer.status() == StatusCode::NO_CONTENT {
        return None;
    }
    let cause = "with a page for people, as proxies and portals do";
    is_page_for_people(answer.headers()).then(|| StoreAnswer::unfit(answer.status(), cause))
}

/// Takes out of an object's head what the engine does not use and the storage clients stumble over.
fn mend_head(headers: &mut HeaderMap) {
    let modified = headers.get(LAST_MODIFIED).and_then(|it| it.to_str().ok());
    let modified = modified
        .and_then(read_date)
        .unwrap_or(Timestamp::UNIX_EPOCH);
    if let Ok(value) = HeaderValue::try_from(http_date(modified)) {
        headers.insert(LAST_MODIFIED, value);
    }
    let unused: [HeaderName; 5] = [
        CACHE_CONTROL,
        CONTENT_DISPOSITION,
        CONTENT_ENCODING,
        CONTENT_LANGUAGE,
        CONTENT_TYPE,
    ];
    for name in unused {
        headers.remove(name);
    }
    let own = |name: &&HeaderName| {
        let prefixes = ["x-amz-meta-", "x-goog-meta-", "x-ms-meta-"];
        prefixes
            .iter()
            .any(|prefix| name.as_str().starts_with(prefix))
    };
    let own: Vec<HeaderName> = headers.keys().filter(own).cloned().collect();
    for name in own {
        if headers
            .get(&name)
            .is_some_and(|value| value.to_str().is_err())
        {
            headers.remove(name);
        }
    }
}

/// A date in any of the forms that stores write.
pub(crate) fn read_date(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let local = || text.parse::<jiff::civil::DateTime>().ok();
    let at_utc = |local: jiff::civil::DateTime| local.to_zoned(jiff::tz::TimeZone::UTC).ok();
    let with_zone = text.parse::<Timestamp>().ok();
    with_zone
        .or_else(|| rfc2822::parse(text).ok().map(|it| it.timestamp()))
        .or_else(|| local().and_then(at_utc).map(|it| it.timestamp()))
}

/// The form that HTTP's headers have.
pub(crate) fn http_date(date: Timestamp) -> String {
    let date = date.to_zoned(jiff::tz::TimeZone::UTC);
    date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_in_the_forms_that_stores_write() {
        for text in [
            "2014-03-05T14:17:56.000Z",
            "2014-03-05T15:17:56+01:00",
            "2014-03-05T14:17:56",
            "2014-03-05 14:17:56",
            "Wed, 05 Mar 2014 14:17:56 GMT",
        ] {
            let date = read_date(text).map(http_date);
            assert_eq!(
                date.as_deref(),
                Some("Wed, 05 Mar 2014 14:17:56 GMT"),
                "{text}"
            );
        }
        for text in ["", "yesterday", "1394029076"] {
            assert_eq!(read_date(text), None, "{text}");
        }
    }
}
