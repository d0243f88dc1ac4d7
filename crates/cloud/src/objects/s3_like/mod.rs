//! What answers mean in the protocol of S3, which Google's XML interface speaks, too.
//!
//! Always true: an answer counts as done only when it is the document that the request asks for;
//! entity tags and dates that the engine does not use are not asked for.

mod listing;

use engine::object_key;
use http::header::{ETAG, HeaderValue};
use http::response::Parts;
use http::{Method, StatusCode, Uri};
use object_store::client::{HttpError, HttpRequest, HttpResponse};
use url::form_urlencoded;

use crate::http::answer::{
    Asked, LONGEST_DOCUMENT, StoreAnswer, read_error, read_whole, with_body,
};
use crate::http::dialect::Judgement;
use crate::http::judgement;
use crate::http::xml::{self, Element};

/// The entity tag of an object that a store took without giving it one.
pub(crate) const UNCONFIRMED: &str = "\"unconfirmed\"";

/// Judges an answer.
///
/// # Errors
/// When it cannot be read to its end.
pub(crate) async fn judge(asked: &Asked, answer: HttpResponse) -> Result<Judgement, HttpError> {
    let status = answer.status();
    if !status.is_success() {
        let (parts, body) = read_error(answer).await;
        let said = StoreAnswer::parse(status, &parts.headers, &body);
        return Ok(judgement::of_error(asked, said, parts, body));
    }
    let is_listing = asked.has("list-type");
    if matches!(asked.method, Method::GET | Method::HEAD) && !is_listing {
        return judgement::of_object(asked, answer).await;
    }
    if let Some(unfit) = judgement::from_between(&answer) {
        return Ok(Judgement::Passing(unfit));
    }
    if asked.method == Method::DELETE {
        return Ok(Judgement::Answer(answer));
    }
    let (parts, body) = read_whole(answer, LONGEST_DOCUMENT).await?;
    Ok(match asked.method {
        Method::GET => of_listing(parts, &body),
        Method::POST if asked.has("delete") => of_deletion(parts, &body),
        Method::POST if asked.has("uploads") => of_beginning(parts, body),
        Method::POST => of_completion(parts, &body),
        _ => of_put(asked, parts, body),
    })
}

fn of_listing(parts: Parts, body: &[u8]) -> Judgement {
    match listing::rewrite(body) {
        Ok(page) => Judgement::Answer(with_body(parts, page.into())),
        Err(cause) => {
            Judgement::Passing(unlike(&parts, body, &format!("to a listing, but {cause}")))
        }
    }
}

/// What became of each object is not believed one by one: what is not all deleted is deleted
/// again, singly.
fn of_deletion(parts: Parts, body: &[u8]) -> Judgement {
    let root = match Element::parse(body) {
        Ok(root) => root,
        Err(_) if body.trim_ascii().is_empty() => {
            let cause = "to a deletion of several objects, without a word about them";
            return Judgement::Final(StoreAnswer::unfit(parts.status, cause));
        }
        Err(cause) => return Judgement::Passing(unlike(&parts, body, &format!("but {cause}"))),
    };
    let failed = match root.name.as_str() {
        "DeleteResult" => root.child("Error"),
        _ => Some(&root),
    };
    let Some(failed) = failed else {
        let done = "<DeleteResult><Deleted><Key>all</Key></Deleted></DeleteResult>";
        return Judgement::Answer(with_body(parts, done.into()));
    };
    let mut said = StoreAnswer::unfit(parts.status, "to a deletion of several objects");
    said.code = failed.text_of("Code").map(str::to_owned);
    if let Some(message) = failed.text_of("Message") {
        said.message = message.to_owned();
    }
    judgement::of_error_inside(said)
}

fn of_beginning(parts: Parts, body: bytes::Bytes) -> Judgement {
    let has_id = Element::parse(&body).is_ok_and(|root| root.text_of("UploadId").is_some());
    if has_id {
        Judgement::Answer(with_body(parts, body))
    } else {
        Judgement::Passing(unlike(&parts, &body, "to the beginning of an upload"))
    }
}

fn of_completion(parts: Parts, body: &[u8]) -> Judgement {
    let root = Element::parse(body).ok();
    match root {
        Some(root) if root.name == "CompleteMultipartUploadResult" => {
            let tag = root.text_of("ETag").unwrap_or(UNCONFIRMED);
            let mut again = "<CompleteMultipartUploadResult>".to_owned();
            xml::push(&mut again, "ETag", tag);
            again.push_str("</CompleteMultipartUploadResult>");
            Judgement::Answer(with_body(parts, again.into()))
        }
        Some(root) if root.name == "Error" => {
            judgement::of_error_inside(unlike(&parts, body, "to the end of an upload"))
        }
        // The engine's upload looks whether the object is there.
        None if body.trim_ascii().is_empty() => {
            let cause = "to the end of an upload, without a word about it";
            Judgement::Final(StoreAnswer::unfit(parts.status, cause))
        }
        _ => Judgement::Passing(unlike(&parts, body, "to the end of an upload")),
    }
}

fn of_put(asked: &Asked, mut parts: Parts, body: bytes::Bytes) -> Judgement {
    if Element::parse(&body).is_ok_and(|root| root.name == "Error") {
        return judgement::of_error_inside(unlike(&parts, &body, "to a write"));
    }
    if !parts.headers.contains_key(ETAG) && !asked.has("partNumber") {
        parts
            .headers
            .insert(ETAG, HeaderValue::from_static(UNCONFIRMED));
    }
    if !parts.headers.contains_key(ETAG) {
        let cause = "to a part of an upload, without the tag that it is called by";
        return Judgement::Passing(StoreAnswer::unfit(parts.status, cause));
    }
    Judgement::Answer(with_body(parts, body))
}

/// An answer with a good status that is not the one that was asked for: its own words if it is an
/// error, else ours.
fn unlike(parts: &Parts, body: &[u8], ours: &str) -> StoreAnswer {
    let mut said = StoreAnswer::parse(parts.status, &parts.headers, body);
    if said.message.is_empty() {
        said.message = ours.to_owned();
    }
    said
}

/// Whether a continuation token was one of ours: then the key is put in its place.
pub(crate) fn rewritten_token(request: &mut HttpRequest) -> bool {
    let query = request.uri().query().unwrap_or_default().to_owned();
    let pairs: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
    let ours = pairs.iter().find_map(|(name, value)| {
        let key = value.strip_prefix(listing::AFTER)?;
        (name == "continuation-token").then(|| key.to_owned())
    });
    let Some(key) = ours else {
        return false;
    };
    let key: String = form_urlencoded::byte_serialize(key.as_bytes()).collect();
    // Signatures want a space as %20. The oldest kind of listing calls the same a marker.
    let key = key.replace('+', "%20");
    let others = query
        .split('&')
        .filter(|pair| !pair.starts_with("continuation-token="));
    let others = others.collect::<Vec<_>>().join("&");
    let query = format!("{others}&marker={key}&start-after={key}");
    let mut parts = request.uri().clone().into_parts();
    parts.path_and_query = format!("{}?{query}", request.uri().path()).parse().ok();
    match Uri::from_parts(parts) {
        Ok(uri) => *request.uri_mut() = uri,
        Err(_) => return false,
    }
    true
}

/// Whether the key in the address was told in the way of paths: then it is now as the store has it.
pub(crate) fn spelled_as_stored(request: &mut HttpRequest) -> bool {
    let Some(path) = object_key::in_address(request.uri().path()) else {
        return false;
    };
    let whole = match request.uri().query() {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    let mut parts = request.uri().clone().into_parts();
    parts.path_and_query = whole.parse().ok();
    match Uri::from_parts(parts) {
        Ok(uri) => *request.uri_mut() = uri,
        Err(_) => return false,
    }
    true
}

/// Whether an answer's status is that of a store that lacks what was asked of it.
pub(crate) fn is_refusal(answer: &StoreAnswer) -> bool {
    let lacking = [
        StatusCode::BAD_REQUEST,
        StatusCode::METHOD_NOT_ALLOWED,
        StatusCode::NOT_ACCEPTABLE,
        StatusCode::NOT_IMPLEMENTED,
    ];
    lacking.contains(&answer.status) || answer.is(&["NotImplemented"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_of_ours_becomes_a_key() {
        let token = "continuation-token=barman-rs%3Astart-after%3Aa%20b%2Fc";
        let uri = format!("http://h/b?list-type=2&{token}&prefix=a");
        let mut request = HttpRequest::new(bytes::Bytes::new().into());
        *request.uri_mut() = uri.parse().unwrap();
        assert!(rewritten_token(&mut request));
        let query = "list-type=2&prefix=a&marker=a%20b%2Fc&start-after=a%20b%2Fc";
        assert_eq!(request.uri().query(), Some(query));
        assert!(!rewritten_token(&mut request));
    }
}
