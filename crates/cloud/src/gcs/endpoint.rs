//! Which bucket a URL means, and at which address Google Cloud Storage answers.

use crate::location::{Location, Problem, parse_prefix, refuse_query};
use crate::secret::for_address;

/// What the console's addresses have between `https://` and the bucket.
pub(crate) const CONSOLE: &str = "console.cloud.google.com/storage/browser/";

/// The address of the service, without a slash at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// Google's own.
    Google { url: String },
    /// `STORAGE_EMULATOR_HOST`: takes requests without credentials, so none go there.
    Emulator { url: String },
}

impl Endpoint {
    /// Google's address in a universe (Google Cloud, "Universe domain"); `googleapis.com` is the
    /// public one.
    pub(super) fn of_universe(domain: &str) -> Result<Self, &'static str> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
        if domain.is_empty() || domain.len() > 253 || !domain.chars().all(allowed) {
            return Err("it must be a domain such as googleapis.com");
        }
        Ok(Endpoint::Google {
            url: format!("https://storage.{domain}"),
        })
    }

    /// An emulator's address; without a scheme it is plain HTTP, as Google's clients have it.
    pub(super) fn emulator(text: &str) -> Result<Self, &'static str> {
        let with_scheme = if text.contains("://") {
            text.to_owned()
        } else {
            format!("http://{text}")
        };
        let url = for_address(&with_scheme)?;
        Ok(Endpoint::Emulator {
            url: url.as_str().trim_end_matches('/').to_owned(),
        })
    }

    pub(crate) fn url(&self) -> &str {
        match self {
            Endpoint::Google { url } | Endpoint::Emulator { url } => url,
        }
    }
}

/// Reads `bucket/path`: what follows `gs://` or the console's address.
pub(crate) fn parse_path(rest: &str) -> Result<Location, Problem> {
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
    Ok(Location::Google {
        bucket: bucket.into(),
        prefix: parse_prefix(path)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Provider;

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

    #[test]
    fn an_emulator_may_be_given_without_a_scheme() {
        for (text, url) in [
            ("127.0.0.1:4443", "http://127.0.0.1:4443"),
            ("http://gcs:4443/", "http://gcs:4443"),
            ("https://gcs", "https://gcs"),
        ] {
            assert_eq!(Endpoint::emulator(text).unwrap().url(), url);
        }
        assert!(Endpoint::emulator("ftp://gcs").is_err());
    }
}
