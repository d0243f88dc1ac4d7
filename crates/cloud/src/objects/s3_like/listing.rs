//! A page of a listing in S3's form, which Google speaks, too: read whole before it is believed.
//!
//! Always true: what goes on to the storage client is a whole listing with the few fields that are
//! used; what is no listing is an error, never an empty one.

use engine::object_key;
use jiff::Timestamp;

use crate::http::judgement::read_date;
use crate::http::xml::{Element, push};

/// Before the last key of a page whose store gave no token for the next one.
pub(crate) const AFTER: &str = "barman-rs:start-after:";

/// Writes a page anew.
///
/// # Errors
/// In words, when it is no listing.
pub(crate) fn rewrite(page: &[u8]) -> Result<String, String> {
    let root = Element::parse(page)?;
    if root.name != "ListBucketResult" {
        return Err(format!("it is a document of {}", root.name));
    }
    let mut again = "<ListBucketResult>".to_owned();
    let mut last = String::new();
    for entry in root.all("Contents") {
        let key = entry.text_of("Key").ok_or("an entry has no key")?;
        let key = &spelled_out(&root, key)?;
        last = last.max(key.clone());
        let size = entry.text_of("Size").map(str::trim);
        let size = size.and_then(|it| it.parse::<u64>().ok());
        let size = size.ok_or_else(|| format!("the entry of {key} has no size"))?;
        let modified = entry.text_of("LastModified").and_then(read_date);
        let modified = modified.unwrap_or(Timestamp::UNIX_EPOCH).to_string();
        again.push_str("<Contents>");
        push(&mut again, "Key", &object_key::for_listing(key));
        push(&mut again, "Size", &size.to_string());
        push(&mut again, "LastModified", &modified);
        if let Some(tag) = entry.text_of("ETag") {
            push(&mut again, "ETag", tag);
        }
        again.push_str("</Contents>");
    }
    for entry in root.all("CommonPrefixes") {
        let prefix = entry.text_of("Prefix").ok_or("a common prefix is empty")?;
        let prefix = &spelled_out(&root, prefix)?;
        last = last.max(prefix.clone());
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        again.push_str("<CommonPrefixes>");
        push(&mut again, "Prefix", &object_key::for_listing(prefix));
        again.push_str("</CommonPrefixes>");
    }
    if let Some(token) = next_token(&root, &last)? {
        push(&mut again, "NextContinuationToken", &token);
    }
    again.push_str("</ListBucketResult>");
    Ok(again)
}

fn next_token(root: &Element, last: &str) -> Result<Option<String>, String> {
    let token = root.text_of("NextContinuationToken");
    let is_truncated = match root.text_of("IsTruncated").map(str::trim) {
        Some(word) if word.eq_ignore_ascii_case("true") => true,
        Some(word) if word.eq_ignore_ascii_case("false") => false,
        None => token.is_some(),
        Some(word) => return Err(format!("whether it goes on is said with {word}")),
    };
    if !is_truncated {
        return Ok(None);
    }
    if let Some(token) = token {
        return Ok(Some(token.to_owned()));
    }
    let marker = root.text_of("NextMarker");
    let marker = marker.map(|marker| spelled_out(root, marker)).transpose()?;
    match marker.as_deref().unwrap_or(last) {
        "" => Err("it goes on, and does not say where".into()),
        last => Ok(Some(format!("{AFTER}{last}"))),
    }
}

/// A key as it is: some stores encode keys for addresses without having been asked to.
fn spelled_out(root: &Element, key: &str) -> Result<String, String> {
    if root.text_of("EncodingType") != Some("url") {
        return Ok(key.to_owned());
    }
    // A lone word of a form: both "+" and "%20" are a space there.
    let decoded = key.replace('=', "%3D").replace('&', "%26");
    let mut pairs = url::form_urlencoded::parse(decoded.as_bytes());
    let (key, _) = pairs.next().ok_or("a key is empty")?;
    if key.contains(char::REPLACEMENT_CHARACTER) {
        Err("a key is not UTF-8".into())
    } else {
        Ok(key.into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(inside: &str) -> String {
        let page = format!("<ListBucketResult xmlns='x'>{inside}</ListBucketResult>");
        rewrite(page.as_bytes()).unwrap_or_else(|cause| format!("no listing: {cause}"))
    }

    #[test]
    fn only_what_is_used_goes_on() {
        let entry = "<Contents><Key>a &amp; b</Key><Size>3</Size><ETag>&quot;e&quot;</ETag>\
                     <Owner><ID/></Owner><LastModified>odd</LastModified></Contents>";
        let expected = "<Contents><Key>a &amp; b</Key><Size>3</Size><LastModified>\
                        1970-01-01T00:00:00Z</LastModified><ETag>&quot;e&quot;</ETag></Contents>";
        let whole = page(&format!(
            "<Name>b</Name><IsTruncated>false</IsTruncated>{entry}"
        ));
        assert_eq!(whole, page(entry));
        assert!(whole.contains(expected), "{whole}");
    }

    #[test]
    fn a_page_that_goes_on_says_where_or_goes_on_after_its_last_key() {
        let key = "<Contents><Key>k1</Key><Size>0</Size></Contents>";
        let prefix = "<CommonPrefixes><Prefix>k2/</Prefix></CommonPrefixes>";
        let (more, token) = (
            "<IsTruncated>true</IsTruncated>",
            "<NextContinuationToken>t</NextContinuationToken>",
        );
        assert!(page(&format!("{more}{token}{key}")).contains(token));
        assert!(page(&format!("{token}{key}")).contains(token));
        let ended = page(&format!("<IsTruncated>false</IsTruncated>{token}"));
        assert!(!ended.contains("Token"), "{ended}");
        assert!(page(&format!("{more}{key}")).contains(&format!("{AFTER}k1<")));
        assert!(page(&format!("{more}{key}{prefix}")).contains(&format!("{AFTER}k2/<")));
        let marker = format!("{more}<NextMarker>m</NextMarker>{key}");
        assert!(page(&marker).contains(&format!("{AFTER}m<")));
        assert!(page(more).contains("no listing"));
    }

    #[test]
    fn keys_that_no_path_can_be_are_told_so_that_a_path_can_hold_them() {
        let entry = |key| format!("<Contents><Key>{key}</Key><Size>1</Size></Contents>");
        let all = page(&format!(
            "{}{}{}{}",
            entry("aaa//other"),
            entry("pg/"),
            entry("a/../b"),
            entry("pg/x")
        ));
        for key in ["aaa//other", "pg/", "a/../b", "pg/x"] {
            let told = format!("<Key>{}</Key>", object_key::for_listing(key));
            assert!(all.contains(&told), "{key}: {all}");
        }
    }

    #[test]
    fn keys_that_were_encoded_are_spelled_out() {
        let entry = "<Contents><Key>a%2Fb+c%25=d&amp;e</Key><Size>1</Size></Contents>";
        let encoded = page(&format!("<EncodingType>url</EncodingType>{entry}"));
        assert!(encoded.contains("<Key>a/b c%=d&amp;e</Key>"), "{encoded}");
        assert!(page(entry).contains("<Key>a%2Fb+c%25=d&amp;e</Key>"));
    }

    #[test]
    fn what_is_no_listing_is_refused() {
        for text in [
            "",
            "<Error><Code>InternalError</Code></Error>",
            "<!DOCTYPE html><html><body>Log in</body></html>",
            "<ListBucketResult><Contents><Key>k</Key>",
            "<ListAllMyBucketsResult/>",
            "{}",
        ] {
            assert!(rewrite(text.as_bytes()).is_err(), "{text}");
        }
        assert!(page("<Contents><Size>1</Size></Contents>").contains("no key"));
        assert!(page("<Contents><Key>k</Key></Contents>").contains("no size"));
    }
}
