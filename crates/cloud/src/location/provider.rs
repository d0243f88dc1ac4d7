//! The clouds by the names that the command line has for them.

use std::fmt;

/// The value of `--cloud-provider`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Provider {
    /// `aws-s3`: AWS, and every store that speaks its protocol.
    #[default]
    AwsS3,
    /// `azure-blob-storage`.
    AzureBlobStorage,
    /// `google-cloud-storage`.
    GoogleCloudStorage,
}

impl Provider {
    /// Every provider the option accepts, in the order of Barman's help.
    pub const ALL: [Provider; 3] = [
        Provider::AwsS3,
        Provider::AzureBlobStorage,
        Provider::GoogleCloudStorage,
    ];

    /// The provider's name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Provider::AwsS3 => "aws-s3",
            Provider::AzureBlobStorage => "azure-blob-storage",
            Provider::GoogleCloudStorage => "google-cloud-storage",
        }
    }

    /// What its URLs look like.
    pub(super) fn takes(self) -> &'static str {
        match self {
            Provider::AwsS3 => "s3://bucket/path",
            Provider::AzureBlobStorage => "https://account.blob.core.windows.net/container/path",
            Provider::GoogleCloudStorage => "gs://bucket/path",
        }
    }

    /// The provider of an open bucket, by the URL that [`Location::bucket_url`] made for it.
    pub(crate) fn of_bucket_url(url: &str) -> Option<Provider> {
        match url.split("://").next()? {
            "s3" => Some(Provider::AwsS3),
            "gs" => Some(Provider::GoogleCloudStorage),
            "http" | "https" => Some(Provider::AzureBlobStorage),
            _ => None,
        }
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
