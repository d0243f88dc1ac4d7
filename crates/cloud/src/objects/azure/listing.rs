//! A page of a container's listing, read whole before it is believed.
//!
//! Always true: what goes on to the storage client is a whole listing with the few fields that are
//! used; what is no listing is an error, never an empty one.

use jiff::Timestamp;
use object_store::path::Path;

use crate::http::judgement::{http_date, read_date};
use crate::http::xml::{Element, push};

/// Writes a page anew (Microsoft, "List Blobs", "Response body").
///
/// # Errors
/// In words, when it is no listing.
pub(super) fn rewrite(page: &[u8]) -> Result<String, String> {
    let root = Element::parse(page)?;
    if root.name != "EnumerationResults" {
        return Err(format!("it is a document of {}", root.name));
    }
    let blobs = root.child("Blobs").ok_or("it has no list of blobs")?;
    let mut again = "<EnumerationResults><Blobs>".to_owned();
    for blob in blobs.all("Blob") {
        let name = blob.text_of("Name").ok_or("a blob has no name")?;
        // Names of others that no path can be: they lie beside ours.
        if Path::parse(name).is_err() {
            continue;
        }
        let nothing = Element::default();
        let properties = blob.child("Properties").unwrap_or(&nothing);
        let kind = properties.text_of("ResourceType");
        let size = properties.text_of("Content-Length").map(str::trim);
        let size = size.and_then(|it| it.parse::<u64>().ok());
        let size = match (size, kind) {
            (Some(size), _) => size,
            (None, Some("directory")) => 0,
            (None, _) => return Err(format!("the blob {name} has no size")),
        };
        let modified = properties.text_of("Last-Modified").and_then(read_date);
        again.push_str("<Blob>");
        push(&mut again, "Name", name);
        again.push_str("<Properties>");
        let modified = http_date(modified.unwrap_or(Timestamp::UNIX_EPOCH));
        push(&mut again, "Last-Modified", &modified);
        push(&mut again, "Content-Length", &size.to_string());
        push(&mut again, "Content-Type", "application/octet-stream");
        for word in ["Etag", "ResourceType"] {
            if let Some(text) = properties.text_of(word) {
                push(&mut again, word, text);
            }
        }
        again.push_str("</Properties></Blob>");
    }
    for prefix in blobs.all("BlobPrefix") {
        let name = prefix.text_of("Name").ok_or("a prefix has no name")?;
        if Path::parse(name).is_ok() {
            again.push_str("<BlobPrefix>");
            push(&mut again, "Name", name);
            again.push_str("</BlobPrefix>");
        }
    }
    again.push_str("</Blobs>");
    // Empty at the end; a page without it has lost its tail.
    let marker = root.child("NextMarker");
    let marker = marker.ok_or("it does not say whether it goes on")?;
    push(&mut again, "NextMarker", &marker.text);
    again.push_str("</EnumerationResults>");
    Ok(again)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(blobs: &str, rest: &str) -> Result<String, String> {
        let page = format!("<EnumerationResults><Blobs>{blobs}</Blobs>{rest}</EnumerationResults>");
        rewrite(page.as_bytes())
    }

    #[test]
    fn only_what_is_used_goes_on() {
        let blob = "<Blob><Name>a/b</Name><Properties><Content-Length>3</Content-Length>\
                    <Etag>0x1</Etag><AccessTier>Hot</AccessTier></Properties></Blob>";
        let whole = page(blob, "<NextMarker>m</NextMarker>").unwrap();
        assert!(
            whole.contains("<Content-Length>3</Content-Length>"),
            "{whole}"
        );
        assert!(whole.contains("<NextMarker>m</NextMarker>"), "{whole}");
        assert!(whole.contains("Thu, 01 Jan 1970"), "{whole}");
        assert!(!whole.contains("AccessTier"), "{whole}");
    }

    #[test]
    fn what_is_no_listing_is_refused() {
        for text in [
            "",
            "<Error><Code>ServerBusy</Code></Error>",
            "<html></html>",
            "<x>",
        ] {
            assert!(rewrite(text.as_bytes()).is_err(), "{text}");
        }
        assert!(page("", "").unwrap_err().contains("goes on"));
        assert!(page("<Blob><Name>a</Name></Blob>", "<NextMarker/>").is_err());
        assert!(rewrite(b"<EnumerationResults><NextMarker/></EnumerationResults>").is_err());
        assert!(page("", "<NextMarker/>").is_ok());
    }
}
