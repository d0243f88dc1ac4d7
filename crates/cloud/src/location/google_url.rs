//! Which bucket of Google Cloud Storage a URL means.

use super::prefix::{InBucket, Problem, parse_prefix, refuse_query};

/// What the console's addresses have between `https://` and the bucket.
pub(super) const CONSOLE: &str = "console.cloud.google.com/storage/browser/";

/// Reads `bucket/path`: what follows `gs://` or the console's address.
pub(super) fn parse(rest: &str) -> Result<InBucket, Problem> {
    refuse_query(rest)?;
    let (bucket, path) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.is_empty() {
        return Err(Problem::Invalid("the bucket is missing"));
    }
    // Google Cloud, "About Cloud Storage buckets", "Bucket names".
    let allowed =
        |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.');
    if bucket.len() > 222 || !bucket.chars().all(allowed) {
        return Err(Problem::Invalid(
            "the bucket's name has characters that no bucket can have",
        ));
    }
    Ok(InBucket {
        bucket: bucket.into(),
        prefix: parse_prefix(path)?,
    })
}

#[cfg(test)]
mod tests {
    use crate::{Location, Provider};

    fn parse(url: &str) -> Result<Location, String> {
        Location::parse(url, Provider::GoogleCloudStorage).map_err(|error| error.to_string())
    }

    #[test]
    fn both_forms_of_a_url_name_the_same_bucket() {
        let expected = Location::Google {
            bucket: "my_backups.eu".into(),
            prefix: "pg/main".into(),
        };
        for url in [
            "gs://my_backups.eu/pg/main",
            "GS://my_backups.eu//pg/main/",
            "https://console.cloud.google.com/storage/browser/my_backups.eu/pg/main",
        ] {
            assert_eq!(parse(url).unwrap(), expected);
        }
        assert_eq!(expected.bucket_url(), "gs://my_backups.eu");
    }

    #[test]
    fn a_bad_url_is_refused_with_its_cause() {
        for (url, cause) in [
            ("gs://", "bucket is missing"),
            ("gs:///path", "bucket is missing"),
            ("gs://Backups", "characters"),
            ("gs://b/a/../b", "segment"),
            ("gs://b/a?x=1", "query"),
            ("https://storage.googleapis.com/b", "takes gs://"),
            (
                "https://console.cloud.google.com/storage/browser/",
                "bucket is missing",
            ),
            (
                "http://console.cloud.google.com/storage/browser/b",
                "takes gs://",
            ),
        ] {
            let text = parse(url).unwrap_err();
            assert!(text.contains(cause), "{url}: {text}");
        }
    }
}
