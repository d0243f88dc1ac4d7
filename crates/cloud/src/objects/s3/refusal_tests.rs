//! What is read from outside and can be no header: refused where it is read.

use super::settings::S3Settings;
use crate::identity::aws::{AwsFiles, AwsSettingsError};
use crate::{Environment, StoreEncryption, StoreOptions};

fn environment(pairs: &[(&str, &str)]) -> Environment {
    pairs.iter().copied().collect()
}

fn with_keys(extra: &[(&str, &str)]) -> Environment {
    let keys = [("AWS_ACCESS_KEY_ID", "k"), ("AWS_SECRET_ACCESS_KEY", "s")];
    keys.iter().chain(extra).copied().collect()
}

fn resolve(
    options: &StoreOptions,
    environment: &Environment,
    config: &str,
    credentials: &str,
) -> Result<S3Settings, AwsSettingsError> {
    let files = AwsFiles::from_texts(config, credentials).unwrap();
    S3Settings::resolve(options, environment, &files)
}

#[test]
fn what_cannot_go_into_a_request_is_refused_by_its_name_and_without_its_text() {
    let keys = |id: &str, secret: &str, token: &str| {
        environment(&[
            ("AWS_ACCESS_KEY_ID", id),
            ("AWS_SECRET_ACCESS_KEY", secret),
            ("AWS_SESSION_TOKEN", token),
        ])
    };
    let bad = "hunter2\nx";
    let in_file = "[default]\naws_access_key_id = hunter2\n  x\naws_secret_access_key = s\n";
    let region = with_keys(&[("AWS_REGION", bad)]);
    for (environment, credentials, name) in [
        (keys(bad, "s", "t"), "", "AWS_ACCESS_KEY_ID"),
        (keys("k", bad, "t"), "", "AWS_SECRET_ACCESS_KEY"),
        (keys("k", "s", bad), "", "AWS_SESSION_TOKEN"),
        (
            Environment::default(),
            in_file,
            "aws_access_key_id (credentials:2)",
        ),
        (region, "", "region (AWS_REGION)"),
    ] {
        let error = resolve(&StoreOptions::default(), &environment, "", credentials);
        let error = error.unwrap_err().to_string();
        assert!(
            error.contains(name) && error.contains("line break"),
            "{error}"
        );
        assert!(!error.contains("hunter2"), "{error}");
    }
    let options = StoreOptions {
        encryption: StoreEncryption::Kms {
            key_id: Some(bad.into()),
        },
        ..StoreOptions::default()
    };
    let error = resolve(&options, &with_keys(&[]), "", "").unwrap_err();
    assert!(error.to_string().contains("--sse-kms-key-id"), "{error}");
}
