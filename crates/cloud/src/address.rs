//! Where the requests for a location go: what tells two stores apart that have one URL.

use crate::failure::MissingDirectory;
use crate::{Environment, Location, OpenError, StoreOptions, azure, gcs, read_s3_settings, s3};

/// The effective address of a location's bucket, its prefix left out: for S3 with the endpoint that
/// options, environment and profile lead to. No secret is part of it, and no request is sent.
///
/// # Errors
/// As [`crate::open`] when the settings make no sense.
pub fn address(
    location: &Location,
    options: &StoreOptions,
    environment: &Environment,
) -> Result<String, OpenError> {
    match location {
        Location::S3 { bucket, .. } => {
            let failed = |source| OpenError::S3 {
                url: location.bucket_url(),
                source,
            };
            let settings = read_s3_settings(options, environment).map_err(failed)?;
            let endpoint = settings.endpoint.url_for(bucket);
            let endpoint = endpoint.map_err(|error| failed(s3::S3OpenError::from(error)))?;
            Ok(format!("{endpoint} {bucket}"))
        }
        Location::Azure {
            account, container, ..
        } => {
            let settings = azure::AzureSettings::resolve(account, options, environment);
            let settings = settings.map_err(|error| OpenError::Azure {
                url: location.bucket_url(),
                source: error.into(),
            })?;
            Ok(format!("{} {container}", settings.account))
        }
        Location::Google { bucket, .. } => {
            let settings = gcs::GcsSettings::gather(options, environment);
            let settings = settings.map_err(|error| OpenError::Google {
                url: location.bucket_url(),
                source: error.into(),
            })?;
            Ok(format!("{} {bucket}", settings.endpoint.url()))
        }
        Location::Directory { path } => {
            let real = path.canonicalize();
            let real = real.map_err(|error| MissingDirectory::of(path, &error))?;
            Ok(real.display().to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Provider;

    #[test]
    fn one_url_at_two_endpoints_is_two_addresses() {
        let location = Location::parse("s3://b/p", Provider::AwsS3).unwrap();
        let with = |variables: &[(&'static str, &'static str)]| {
            let environment: Environment = variables.iter().copied().collect();
            address(&location, &StoreOptions::default(), &environment).unwrap()
        };
        let region = ("AWS_DEFAULT_REGION", "eu-west-1");
        let aws = with(&[region]);
        let own = with(&[region, ("AWS_ENDPOINT_URL", "https://store.example.org")]);
        assert_ne!(aws, own);
        assert!(own.contains("store.example.org"), "{own}");
    }
}
