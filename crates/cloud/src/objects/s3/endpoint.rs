//! Which address stands for a bucket: AWS's own by region, or a custom endpoint; and the style.
//!
//! `auto` is virtual-hosted for AWS (which wants it) and path for any other endpoint: SeaweedFS and
//! MinIO, among others, serve virtual hosts only when told their domain. botocore's `auto` is
//! virtual for other host names too; `--addressing-style virtual` is for those who need that.

use std::fmt;

use url::{Host, Url};

use crate::identity::aws::AwsSettingsError;
use crate::options::AddressingStyle;
use crate::secret::for_address;

/// Variants of AWS's own host names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct HostVariant {
    pub(super) fips: bool,
    pub(super) dual_stack: bool,
}

/// An endpoint for all buckets, and how a bucket is put into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Endpoint {
    url: Url,
    style: AddressingStyle,
}

impl S3Endpoint {
    /// AWS's endpoint of a region (AWS, "Amazon S3 endpoints and quotas").
    pub(super) fn of_region(
        region: &str,
        variant: HostVariant,
        style: AddressingStyle,
    ) -> Result<Self, AwsSettingsError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if region.is_empty() || !region.chars().all(allowed) {
            let cause = "it must be a name such as eu-west-1";
            return Err(AwsSettingsError::BadValue {
                name: "region".into(),
                cause,
            });
        }
        let service = if variant.fips { "s3-fips" } else { "s3" };
        let dual_stack = if variant.dual_stack { ".dualstack" } else { "" };
        let suffix = if region.starts_with("cn-") {
            "amazonaws.com.cn"
        } else {
            "amazonaws.com"
        };
        S3Endpoint::parse(
            &format!("https://{service}{dual_stack}.{region}.{suffix}"),
            "",
            style,
        )
    }

    /// A custom endpoint; `name` says where it was set.
    pub(super) fn parse(
        text: &str,
        name: &str,
        style: AddressingStyle,
    ) -> Result<Self, AwsSettingsError> {
        let bad = |cause| AwsSettingsError::BadValue {
            name: format!("endpoint URL of {name}"),
            cause,
        };
        let url = for_address(text).map_err(bad)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(bad("credentials do not belong into it"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(bad("a query or a fragment has no meaning here"));
        }
        Ok(S3Endpoint { url, style })
    }

    /// Whether TLS protects the requests.
    pub fn is_tls(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// Whether requests stay on this machine.
    pub fn is_this_machine(&self) -> bool {
        match self.url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }

    /// Whether a bucket goes into the host name.
    pub fn is_virtual_hosted(&self, bucket: &str) -> bool {
        match self.style {
            AddressingStyle::Virtual => true,
            AddressingStyle::Path => false,
            AddressingStyle::Auto => self.is_aws() && fits_host_name(bucket),
        }
    }

    /// The URL in the form the S3 client wants: with the bucket only if virtual-hosted.
    pub(crate) fn url_for(&self, bucket: &str) -> Result<String, AwsSettingsError> {
        let mut url = self.url.clone();
        if self.is_virtual_hosted(bucket) {
            let cause = "virtual addressing needs a host name, not an IP address";
            let bad = || AwsSettingsError::BadValue {
                name: "addressing style".into(),
                cause,
            };
            let Some(Host::Domain(host)) = self.url.host() else {
                return Err(bad());
            };
            url.set_host(Some(&format!("{bucket}.{host}")))
                .map_err(|_| bad())?;
        }
        Ok(url.as_str().trim_end_matches('/').to_owned())
    }

    /// The same endpoint in another region; `None` where the address has no region of AWS's in it.
    pub(super) fn in_region(&self, region: &str) -> Option<S3Endpoint> {
        let host = self.url.host_str().filter(|_| self.is_aws())?;
        let moved = match region_of_host(host) {
            Some(old) => host.replacen(&old, region, 1),
            None => host.replacen("s3.", &format!("s3.{region}."), 1),
        };
        let mut url = self.url.clone();
        url.set_host(Some(&moved)).ok()?;
        let style = self.style;
        Some(S3Endpoint { url, style })
    }

    fn is_aws(&self) -> bool {
        let host = self.url.host_str().unwrap_or_default();
        host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn")
    }
}

impl fmt::Display for S3Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.url.as_str().trim_end_matches('/'))
    }
}

/// The region in a host name of AWS's: the label before the domain, unless that is the service.
pub(super) fn region_of_host(host: &str) -> Option<String> {
    let host = host
        .trim_end_matches(".cn")
        .strip_suffix(".amazonaws.com")?;
    let label = host.rsplit('.').next()?;
    // The oldest form has service and region in one label.
    let region = label.strip_prefix("s3-").unwrap_or(label);
    let is_region = region.bytes().filter(|byte| *byte == b'-').count() >= 2
        && region.ends_with(|c: char| c.is_ascii_digit());
    is_region.then(|| region.to_owned())
}

/// A DNS label of AWS's rules for buckets; a dot would break the certificate's wildcard.
fn fits_host_name(bucket: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (3..=63).contains(&bucket.len())
        && bucket.chars().all(allowed)
        && !bucket.starts_with('-')
        && !bucket.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(endpoint: &str, style: AddressingStyle, bucket: &str) -> String {
        S3Endpoint::parse(endpoint, "a test", style)
            .unwrap()
            .url_for(bucket)
            .unwrap()
    }

    #[test]
    fn automatic_style_is_virtual_for_aws_and_path_elsewhere() {
        use AddressingStyle::{Auto, Path, Virtual};
        let aws = "https://s3.eu-west-1.amazonaws.com";
        let own = "http://minio.example:9000/";
        for (endpoint, style, bucket, expected) in [
            (
                aws,
                Auto,
                "backups",
                "https://backups.s3.eu-west-1.amazonaws.com",
            ),
            (aws, Auto, "my.backups", aws),
            (aws, Auto, "Backups", aws),
            (aws, Path, "backups", aws),
            (own, Auto, "backups", "http://minio.example:9000"),
            (own, Virtual, "backups", "http://backups.minio.example:9000"),
            (
                "http://127.0.0.1:8333",
                Auto,
                "backups",
                "http://127.0.0.1:8333",
            ),
            (
                "https://gw.example/s3/",
                Path,
                "backups",
                "https://gw.example/s3",
            ),
        ] {
            assert_eq!(url(endpoint, style, bucket), expected);
        }
        let ip = S3Endpoint::parse("http://127.0.0.1:8333", "a test", Virtual).unwrap();
        assert!(ip.url_for("backups").is_err());
    }

    #[test]
    fn a_region_gives_its_partition_and_variant() {
        let host = |region, fips, dual_stack| {
            let variant = HostVariant { fips, dual_stack };
            S3Endpoint::of_region(region, variant, AddressingStyle::Path)
                .unwrap()
                .to_string()
        };
        assert_eq!(
            host("us-east-1", false, false),
            "https://s3.us-east-1.amazonaws.com"
        );
        assert_eq!(
            host("cn-north-1", false, false),
            "https://s3.cn-north-1.amazonaws.com.cn"
        );
        assert_eq!(
            host("us-west-2", true, true),
            "https://s3-fips.dualstack.us-west-2.amazonaws.com"
        );
        let bad = S3Endpoint::of_region(
            "evil.example/",
            HostVariant::default(),
            AddressingStyle::Auto,
        );
        assert!(bad.is_err());
    }

    #[test]
    fn only_an_endpoint_of_aws_moves_with_the_region() {
        for (endpoint, expected) in [
            (
                "https://s3.us-east-1.amazonaws.com",
                Some("https://s3.eu-west-1.amazonaws.com"),
            ),
            (
                "https://s3.amazonaws.com",
                Some("https://s3.eu-west-1.amazonaws.com"),
            ),
            (
                "https://s3-fips.dualstack.us-west-2.amazonaws.com",
                Some("https://s3-fips.dualstack.eu-west-1.amazonaws.com"),
            ),
            ("http://minio.example:9000", None),
            ("https://s3.us-east-1.amazonaws.com.evil.example", None),
        ] {
            let endpoint = S3Endpoint::parse(endpoint, "a test", AddressingStyle::Auto).unwrap();
            let moved = endpoint.in_region("eu-west-1").map(|it| it.to_string());
            assert_eq!(moved.as_deref(), expected);
        }
        for (host, expected) in [
            ("bucket.s3-us-west-2.amazonaws.com", Some("us-west-2")),
            ("bucket.s3.cn-north-1.amazonaws.com.cn", Some("cn-north-1")),
            ("bucket.s3.amazonaws.com", None),
            ("us-west-2.example", None),
        ] {
            assert_eq!(region_of_host(host).as_deref(), expected, "{host}");
        }
    }

    #[test]
    fn a_bad_endpoint_is_refused() {
        for text in [
            "minio:9000",
            "ftp://x",
            "http://me:hunter2@x",
            "https://x?y",
            "minio",
        ] {
            let error =
                S3Endpoint::parse(text, "--endpoint-url", AddressingStyle::Auto).unwrap_err();
            assert!(!error.to_string().contains("hunter2"), "{error}");
            assert!(error.to_string().contains("--endpoint-url"), "{error}");
        }
    }
}
