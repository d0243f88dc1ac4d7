//! At which address Google Cloud Storage, or its emulator, answers.

use crate::secret::for_address;

/// The address of the service, without a slash at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GoogleEndpoint {
    /// Google's own.
    Google { url: String },
    /// `STORAGE_EMULATOR_HOST`: takes requests without credentials, so none go there.
    Emulator { url: String },
}

impl GoogleEndpoint {
    /// Google's address in a universe (Google Cloud, "Universe domain"); `googleapis.com` is the
    /// public one.
    pub(super) fn of_universe(domain: &str) -> Result<Self, &'static str> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
        if domain.is_empty() || domain.len() > 253 || !domain.chars().all(allowed) {
            return Err("it must be a domain such as googleapis.com");
        }
        Ok(GoogleEndpoint::Google {
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
        Ok(GoogleEndpoint::Emulator {
            url: url.as_str().trim_end_matches('/').to_owned(),
        })
    }

    pub(crate) fn url(&self) -> &str {
        match self {
            GoogleEndpoint::Google { url } | GoogleEndpoint::Emulator { url } => url,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn an_emulator_may_be_given_without_a_scheme() {
        for (text, url) in [
            ("127.0.0.1:4443", "http://127.0.0.1:4443"),
            ("http://gcs:4443/", "http://gcs:4443"),
            ("https://gcs", "https://gcs"),
        ] {
            assert_eq!(GoogleEndpoint::emulator(text).unwrap().url(), url);
        }
        assert!(GoogleEndpoint::emulator("ftp://gcs").is_err());
    }
}
