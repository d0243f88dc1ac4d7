//! Where a catalogue lives, as the user writes it: `s3://bucket/prefix`, `file:///directory`, and
//! the URLs of the other clouds, each read in a file of its own.
//!
//! Only words are judged here; whether the place exists is for [`crate::open`] and
//! [`crate::check_connectivity`]. Barman never infers the provider from the URL; we do it for
//! `file://` alone, which Barman does not have.

mod azure_url;
mod google_url;
mod prefix;
mod provider;
mod s3_url;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

pub use azure_url::AccountUrl;
use azure_url::InContainer;
use prefix::{InBucket, Problem};
pub use provider::Provider;

impl FromStr for Provider {
    type Err = BadLocation;

    fn from_str(name: &str) -> Result<Self, BadLocation> {
        let found = Provider::ALL
            .into_iter()
            .find(|provider| provider.name() == name);
        found.ok_or_else(|| BadLocation::UnknownProvider { name: name.into() })
    }
}

/// A place for objects: which store, and below which key prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// `s3://bucket[/prefix]`.
    S3 {
        /// The bucket's name.
        bucket: String,
        /// The keys' prefix: no slash at its beginning; empty for the whole bucket.
        prefix: String,
    },
    /// `https://account.blob.core.windows.net/container[/prefix]`, or an emulator's
    /// `http://host:port/account/container[/prefix]`.
    Azure {
        /// The account and its address.
        account: AccountUrl,
        /// The container's name.
        container: String,
        /// As for S3.
        prefix: String,
    },
    /// `gs://bucket[/prefix]`, or the address that the console shows for it.
    Google {
        /// The bucket's name.
        bucket: String,
        /// As for S3.
        prefix: String,
    },
    /// `file:///directory`: the directory is the bucket, so the prefix is empty.
    Directory {
        /// An absolute path.
        path: PathBuf,
    },
}

/// A URL or provider name that cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadLocation {
    #[error("invalid URL {url}: {cause}")]
    Invalid { url: String, cause: &'static str },
    #[error("invalid URL {url}: provider {provider} takes {takes}")]
    WrongScheme {
        url: String,
        provider: Provider,
        takes: &'static str,
        /// Whose URL it seems to be.
        looks_like: Option<Provider>,
    },
    #[error("{what} is not supported yet")]
    NotYet { what: String },
    #[error("unknown cloud provider {name}")]
    UnknownProvider { name: String },
}

impl BadLocation {
    /// What the user can do.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            BadLocation::NotYet { .. } => Some("Use s3://bucket/path or file:///directory."),
            BadLocation::WrongScheme {
                looks_like: Some(provider),
                ..
            } => Some(match provider {
                Provider::AwsS3 => "Give --cloud-provider aws-s3, or leave the option out.",
                Provider::AzureBlobStorage => "Give --cloud-provider azure-blob-storage.",
                Provider::GoogleCloudStorage => "Give --cloud-provider google-cloud-storage.",
            }),
            BadLocation::UnknownProvider { .. } => {
                Some("Choose aws-s3, azure-blob-storage or google-cloud-storage.")
            }
            BadLocation::Invalid { .. } | BadLocation::WrongScheme { .. } => {
                Some("A location looks like s3://bucket/path or file:///absolute/directory.")
            }
        }
    }
}

impl Location {
    /// Reads a URL as Barman does: see [`prefix`].
    pub fn parse(url: &str, provider: Provider) -> Result<Self, BadLocation> {
        let invalid = |cause| BadLocation::Invalid {
            url: without_userinfo(url),
            cause,
        };
        let (scheme, rest) = url.split_once("://").ok_or(invalid("it has no scheme"))?;
        let scheme = scheme.to_ascii_lowercase();
        if scheme == "file" {
            return parse_directory(url).map_err(invalid);
        }
        let parsed = match (provider, scheme.as_str()) {
            (Provider::AwsS3, "s3") => s3_url::parse(rest).map(Location::of_s3),
            (Provider::AzureBlobStorage, "https" | "http") if !is_console(rest) => {
                azure_url::parse(url).map(Location::of_azure)
            }
            (Provider::GoogleCloudStorage, "gs") => {
                google_url::parse(rest).map(Location::of_google)
            }
            (Provider::GoogleCloudStorage, "https") if is_console(rest) => {
                let path = rest.strip_prefix(google_url::CONSOLE).unwrap_or_default();
                google_url::parse(path).map(Location::of_google)
            }
            _ => Err(Problem::WrongScheme),
        };
        parsed.map_err(|problem| match problem {
            Problem::Invalid(cause) => invalid(cause),
            Problem::NotYet(what) => BadLocation::NotYet { what: what.into() },
            Problem::WrongScheme => BadLocation::WrongScheme {
                url: without_userinfo(url),
                provider,
                takes: provider.takes(),
                looks_like: looks_like(&scheme, rest),
            },
        })
    }

    fn of_s3(InBucket { bucket, prefix }: InBucket) -> Location {
        Location::S3 { bucket, prefix }
    }

    fn of_google(InBucket { bucket, prefix }: InBucket) -> Location {
        Location::Google { bucket, prefix }
    }

    fn of_azure(found: InContainer) -> Location {
        Location::Azure {
            account: found.account,
            container: found.container,
            prefix: found.prefix,
        }
    }

    /// The provider; a directory has none.
    pub fn provider(&self) -> Option<Provider> {
        match self {
            Location::S3 { .. } => Some(Provider::AwsS3),
            Location::Azure { .. } => Some(Provider::AzureBlobStorage),
            Location::Google { .. } => Some(Provider::GoogleCloudStorage),
            Location::Directory { .. } => None,
        }
    }

    /// The prefix of every key: no slash at its beginning, possibly empty.
    pub fn prefix(&self) -> &str {
        match self {
            Location::S3 { prefix, .. }
            | Location::Azure { prefix, .. }
            | Location::Google { prefix, .. } => prefix,
            Location::Directory { .. } => "",
        }
    }

    /// Whether the store has keys with nothing between two slashes, as far as this program can name
    /// them: directories have none, and in Azure they could not be deleted.
    pub fn has_empty_parts(&self) -> bool {
        matches!(self, Location::S3 { .. } | Location::Google { .. })
    }

    /// The directory of a `file://` location.
    pub fn directory(&self) -> Option<&Path> {
        match self {
            Location::Directory { path } => Some(path),
            Location::S3 { .. } | Location::Azure { .. } | Location::Google { .. } => None,
        }
    }

    /// The bucket alone, for messages: `s3://bucket` or `file:///directory`.
    pub fn bucket_url(&self) -> String {
        match self {
            Location::S3 { bucket, .. } => format!("s3://{bucket}"),
            Location::Azure {
                account, container, ..
            } => format!("{account}/{container}"),
            Location::Google { bucket, .. } => format!("gs://{bucket}"),
            Location::Directory { path } => format!("file://{}", path.display()),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.bucket_url())?;
        match self.prefix() {
            "" => Ok(()),
            prefix => write!(f, "/{prefix}"),
        }
    }
}

fn is_console(rest: &str) -> bool {
    rest.starts_with(google_url::CONSOLE)
}

/// Whose URL this looks like: only for hints.
fn looks_like(scheme: &str, rest: &str) -> Option<Provider> {
    match scheme {
        "s3" => Some(Provider::AwsS3),
        "gs" => Some(Provider::GoogleCloudStorage),
        "https" if is_console(rest) => Some(Provider::GoogleCloudStorage),
        "https" if azure_url::is_account_host(rest) => Some(Provider::AzureBlobStorage),
        _ => None,
    }
}

fn parse_directory(text: &str) -> Result<Location, &'static str> {
    let url = url::Url::parse(text).map_err(|_| "it is not a URL")?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err("a query or a fragment has no meaning here (write %3F and %23 in names)");
    }
    if !text[text.find("://").map_or(0, |at| at + 3)..].starts_with(['/', 'l', 'L']) {
        return Err("the directory must be absolute, with three slashes: file:///directory");
    }
    let path = url
        .to_file_path()
        .map_err(|()| "only directories of this machine can be used")?;
    match path.components().count() {
        0 | 1 => Err("the root directory cannot be a store"),
        _ => Ok(Location::Directory {
            path: path.components().collect(),
        }),
    }
}

/// The URL as it may be shown: a user might have put a password or a signature where none belongs.
fn without_userinfo(url: &str) -> String {
    let url = match url.split_once('?') {
        Some((address, _)) => format!("{address}?***"),
        None => url.to_owned(),
    };
    match (url.find("://"), url.rfind('@')) {
        (Some(start), Some(end)) if start < end => {
            format!("{}://***{}", &url[..start], &url[end..])
        }
        _ => url,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s3(bucket: &str, prefix: &str) -> Location {
        Location::S3 {
            bucket: bucket.into(),
            prefix: prefix.into(),
        }
    }

    #[test]
    fn a_bucket_and_a_prefix_are_read_as_barman_reads_them() {
        for (url, expected) in [
            ("s3://backups", s3("backups", "")),
            ("s3://backups/", s3("backups", "")),
            ("s3://backups/pg/main", s3("backups", "pg/main")),
            ("s3://backups/pg/main/", s3("backups", "pg/main")),
            ("s3://backups/pg/main///", s3("backups", "pg/main///")),
            ("s3://backups/pg//main", s3("backups", "pg//main")),
            ("S3://Old_Bucket.eu//pg", s3("Old_Bucket.eu", "pg")),
            ("s3://backups/größe %20", s3("backups", "größe %20")),
        ] {
            assert_eq!(
                Location::parse(url, Provider::AwsS3).unwrap(),
                expected,
                "{url}"
            );
        }
    }

    #[test]
    fn a_directory_is_inferred_whatever_the_provider() {
        for (url, path) in [
            ("file:///srv/backups", "/srv/backups"),
            ("file:///srv/backups/", "/srv/backups"),
            ("file://localhost/srv/backups", "/srv/backups"),
            ("file:///srv/my%20backups", "/srv/my backups"),
        ] {
            for provider in Provider::ALL {
                let location = Location::parse(url, provider).unwrap();
                assert_eq!(location.directory(), Some(Path::new(path)), "{url}");
            }
        }
    }

    #[test]
    fn a_bad_url_is_refused_with_its_cause() {
        for (url, cause) in [
            ("backups", "no scheme"),
            ("s3://", "bucket is missing"),
            ("s3:///path", "bucket is missing"),
            ("s3://back ups", "characters"),
            ("s3://b/../c", "segment"),
            ("s3://b/a?x=1", "query"),
            ("https://example.org/b", "takes s3://"),
            ("file://srv/backups", "absolute"),
            ("file:///", "root directory"),
            ("file:///a?b", "query"),
        ] {
            let text = Location::parse(url, Provider::AwsS3)
                .unwrap_err()
                .to_string();
            assert!(text.contains(cause), "{url}: {text}");
        }
    }

    #[test]
    fn an_access_point_is_not_yet() {
        let url = "s3://arn:aws:s3:eu-west-1:123456789012:accesspoint/mine/pg";
        let error = Location::parse(url, Provider::AwsS3).unwrap_err();
        assert!(matches!(error, BadLocation::NotYet { .. }), "{error}");
    }

    #[test]
    fn a_url_of_another_provider_is_refused_with_the_option_to_give() {
        use Provider::{AwsS3, AzureBlobStorage, GoogleCloudStorage};
        let azure = "https://acc.blob.core.windows.net/c";
        let console = "https://console.cloud.google.com/storage/browser/b";
        for (url, provider, option) in [
            ("s3://b", AzureBlobStorage, "aws-s3"),
            ("s3://b", GoogleCloudStorage, "aws-s3"),
            ("gs://b", AwsS3, "google-cloud-storage"),
            ("gs://b", AzureBlobStorage, "google-cloud-storage"),
            (console, AwsS3, "google-cloud-storage"),
            (console, AzureBlobStorage, "google-cloud-storage"),
            (azure, AwsS3, "azure-blob-storage"),
            (azure, GoogleCloudStorage, "azure-blob-storage"),
        ] {
            let error = Location::parse(url, provider).unwrap_err();
            let hint = error.hint().unwrap();
            assert!(hint.contains(option), "{url} with {provider}: {hint}");
            assert!(error.to_string().contains(provider.takes()), "{error}");
        }
    }

    #[test]
    fn a_password_in_a_url_is_not_repeated() {
        let error = Location::parse("http://me:hunter2@host/b", Provider::AwsS3).unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }

    #[test]
    fn provider_names_round_trip() {
        for provider in Provider::ALL {
            assert_eq!(provider.name().parse(), Ok(provider));
        }
    }
}
