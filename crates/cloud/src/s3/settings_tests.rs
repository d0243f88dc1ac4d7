//! The rules of [`super::settings`] as a table. What botocore does was seen in botocore itself.

use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::environment::Environment;
use crate::options::StoreOptions;

const KEYS: [(&str, &str); 2] = [
    ("AWS_ACCESS_KEY_ID", "ENVKEY"),
    ("AWS_SECRET_ACCESS_KEY", "hunter2"),
];

fn environment(extra: &[(&str, &str)]) -> Environment {
    extra.iter().map(|(name, value)| (*name, *value)).collect()
}

fn with_keys(extra: &[(&str, &str)]) -> Environment {
    KEYS.iter()
        .chain(extra)
        .map(|(name, value)| (*name, *value))
        .collect()
}

fn profile_option(name: &str) -> StoreOptions {
    StoreOptions {
        profile: Some(name.into()),
        ..StoreOptions::default()
    }
}

fn resolve(
    options: &StoreOptions,
    environment: &Environment,
    config: &str,
    credentials: &str,
) -> Result<S3Settings, SettingsError> {
    S3Settings::resolve(
        options,
        environment,
        &AwsFiles::from_texts(config, credentials).unwrap(),
    )
}

fn key_of(settings: &S3Settings) -> &str {
    match &settings.credentials {
        CredentialSource::Static { access_key_id, .. } => access_key_id,
        other => panic!("not static keys: {other:?}"),
    }
}

#[test]
fn without_any_setting_it_is_aws_in_us_east_1() {
    let settings = resolve(&StoreOptions::default(), &with_keys(&[]), "", "").unwrap();
    assert_eq!(
        settings.endpoint.to_string(),
        "https://s3.us-east-1.amazonaws.com"
    );
    assert_eq!(
        (settings.region.as_str(), settings.ca_bundle.clone()),
        ("us-east-1", None)
    );
    assert_eq!(settings.read_timeout, Duration::from_secs(60));
    assert!(!format!("{settings:?}").contains("hunter2"));
}

#[test]
fn keys_of_the_environment_come_before_a_profile_of_the_environment() {
    let credentials = "[other]\naws_access_key_id=PROFILE\naws_secret_access_key=x\n";
    let both = with_keys(&[("AWS_PROFILE", "other")]);
    let settings = resolve(&StoreOptions::default(), &both, "", credentials).unwrap();
    assert_eq!(key_of(&settings), "ENVKEY");
}

#[test]
fn a_profile_chosen_by_option_comes_before_keys_of_the_environment() {
    let credentials =
        "[other]\naws_access_key_id=PROFILE\naws_secret_access_key=x\naws_session_token=t\n";
    let settings = resolve(&profile_option("other"), &with_keys(&[]), "", credentials).unwrap();
    assert_eq!(
        settings.credentials,
        CredentialSource::Static {
            access_key_id: "PROFILE".into(),
            secret_access_key: "x".into(),
            session_token: Some("t".into()),
        }
    );
}

#[test]
fn the_credentials_file_comes_before_the_config_file() {
    let config = "[profile p]\nregion=eu-west-1\naws_access_key_id=C\naws_secret_access_key=c\n";
    let credentials = "[p]\naws_access_key_id=K\naws_secret_access_key=k\n";
    for (credentials, key) in [(credentials, "K"), ("", "C")] {
        let settings = resolve(
            &StoreOptions::default(),
            &environment(&[("AWS_PROFILE", "p")]),
            config,
            credentials,
        )
        .unwrap();
        assert_eq!(
            (key_of(&settings), settings.region.as_str()),
            (key, "eu-west-1")
        );
    }
}

#[test]
fn the_region_comes_from_the_environment_then_the_profile() {
    let config = "[default]\nregion = eu-west-1\n";
    for (extra, region) in [
        (vec![], "eu-west-1"),
        (vec![("AWS_DEFAULT_REGION", "eu-west-2")], "eu-west-2"),
        (
            vec![
                ("AWS_DEFAULT_REGION", "eu-west-2"),
                ("AWS_REGION", "eu-west-3"),
            ],
            "eu-west-3",
        ),
    ] {
        let settings = resolve(&StoreOptions::default(), &with_keys(&extra), config, "").unwrap();
        assert_eq!(settings.region, region);
    }
}

#[test]
fn the_endpoint_is_the_most_specific_one_that_is_set() {
    let services = "[default]\nservices = mine\nendpoint_url = http://profile\n\
                    [services mine]\ns3 =\n  endpoint_url = http://service\n";
    let profile = "[default]\nendpoint_url = http://profile\n";
    let general = ("AWS_ENDPOINT_URL", "http://general");
    let special = ("AWS_ENDPOINT_URL_S3", "http://special");
    let ignore = ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true");
    let aws = "https://s3.us-east-1.amazonaws.com";
    for (config, extra, expected) in [
        ("", vec![], aws),
        (profile, vec![], "http://profile"),
        (services, vec![], "http://service"),
        (services, vec![general], "http://general"),
        (services, vec![general, special], "http://special"),
        (services, vec![general, special, ignore], aws),
    ] {
        let environment = with_keys(&extra);
        let settings = resolve(&StoreOptions::default(), &environment, config, "").unwrap();
        assert_eq!(settings.endpoint.to_string(), expected, "{extra:?}");
        let options = StoreOptions {
            endpoint_url: Some("http://o:1".into()),
            ..StoreOptions::default()
        };
        let settings = resolve(&options, &environment, config, "").unwrap();
        assert_eq!(settings.endpoint.to_string(), "http://o:1");
    }
}

#[test]
fn the_addressing_style_of_the_option_comes_before_the_profile() {
    let config = "[default]\ns3 =\n  addressing_style = path\n";
    let mut options = StoreOptions::default();
    let settings = resolve(&options, &with_keys(&[]), config, "").unwrap();
    assert!(!settings.endpoint.is_virtual_hosted("backups"));
    options.addressing_style = Some(AddressingStyle::Virtual);
    let settings = resolve(&options, &with_keys(&[]), config, "").unwrap();
    assert!(settings.endpoint.is_virtual_hosted("backups"));
    let odd = "[default]\ns3 =\n  addressing_style = sideways\n";
    assert!(resolve(&StoreOptions::default(), &with_keys(&[]), odd, "").is_err());
}

#[test]
fn a_private_authority_comes_from_the_environment_or_the_profile() {
    let config = "[default]\nca_bundle = ~/ca.pem\n";
    let home = ("HOME", "/home/me");
    for (extra, expected) in [
        (vec![home], "/home/me/ca.pem"),
        (vec![home, ("AWS_CA_BUNDLE", "/env.pem")], "/env.pem"),
        (
            vec![home, ("REQUESTS_CA_BUNDLE", "/requests.pem")],
            "/home/me/ca.pem",
        ),
    ] {
        let settings = resolve(&StoreOptions::default(), &with_keys(&extra), config, "").unwrap();
        assert_eq!(settings.ca_bundle, Some(PathBuf::from(expected)));
    }
}

#[test]
fn a_source_that_is_not_built_yet_is_refused_by_key_and_place() {
    let keys = "[default]\naws_access_key_id=K\naws_secret_access_key=k\n";
    for (config, credentials, named) in [
        (
            "[default]\nsource_profile=b\nrole_arn=arn:x\n",
            keys,
            "role_arn of profile default",
        ),
        ("[default]\nrole_arn=arn:x\n", "", "(config:2)"),
        ("[default]\nregion=x\nsso_session=s\n", keys, "(config:3)"),
        (
            "[default]\ncredential_process=/bin/x\n",
            "",
            "credential_process",
        ),
        (
            "",
            "[default]\ncredential_process=/bin/x\n",
            "(credentials:2)",
        ),
    ] {
        let refused = resolve(
            &StoreOptions::default(),
            &environment(&[]),
            config,
            credentials,
        );
        let error = refused.unwrap_err();
        assert!(matches!(error, SettingsError::NotYet { .. }), "{error}");
        assert!(error.to_string().contains(named), "{error}");
        // Keys in the environment come first, so there the profile's source is not needed.
        let settings = resolve(
            &StoreOptions::default(),
            &with_keys(&[]),
            config,
            credentials,
        )
        .unwrap();
        assert_eq!(key_of(&settings), "ENVKEY");
    }
    // Keys in the credentials file come before credential_process.
    let settings = resolve(
        &StoreOptions::default(),
        &environment(&[]),
        "[default]\ncredential_process=/bin/x\n",
        keys,
    );
    assert_eq!(key_of(&settings.unwrap()), "K");
}

#[test]
fn web_identity_container_and_machine_follow_in_order() {
    let web = ("AWS_WEB_IDENTITY_TOKEN_FILE", "/token");
    let role = ("AWS_ROLE_ARN", "arn:role");
    let task = ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/x");
    let find = |extra: &[(&str, &str)]| {
        let settings = resolve(&StoreOptions::default(), &environment(extra), "", "");
        settings.map(|settings| settings.credentials)
    };
    assert_eq!(
        find(&[web, role, task]).unwrap(),
        CredentialSource::WebIdentity {
            token_file: "/token".into(),
            role_arn: "arn:role".into(),
            session_name: None,
        }
    );
    assert!(matches!(find(&[web]), Err(SettingsError::Partial { .. })));
    assert_eq!(
        find(&[task]).unwrap(),
        CredentialSource::EcsTask {
            relative_uri: "/v2/x".into()
        }
    );
    assert_eq!(
        find(&[]).unwrap(),
        CredentialSource::InstanceMetadata { endpoint: None }
    );
    let disabled = find(&[("AWS_EC2_METADATA_DISABLED", "true")]);
    assert!(matches!(disabled, Err(SettingsError::NoCredentials)));
    let pod = (
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "http://169.254.170.23/v1/credentials",
    );
    assert!(matches!(find(&[pod]), Err(SettingsError::NotYet { .. })));
}

#[test]
fn a_profile_that_was_named_must_exist() {
    for (options, extra) in [
        (profile_option("absent"), vec![]),
        (StoreOptions::default(), vec![("AWS_PROFILE", "absent")]),
        (
            StoreOptions::default(),
            vec![("AWS_DEFAULT_PROFILE", "absent"), ("AWS_PROFILE", "p")],
        ),
    ] {
        let error = resolve(&options, &with_keys(&extra), "[profile p]\n", "").unwrap_err();
        assert_eq!(error.to_string(), "profile absent is in neither AWS file");
    }
}

#[test]
fn half_a_pair_of_keys_is_refused() {
    let half = environment(&[("AWS_ACCESS_KEY_ID", "K")]);
    let error = resolve(&StoreOptions::default(), &half, "", "").unwrap_err();
    assert!(matches!(error, SettingsError::Partial { .. }), "{error}");
    let file = "[default]\naws_access_key_id = K\n";
    let error = resolve(&StoreOptions::default(), &environment(&[]), "", file).unwrap_err();
    assert!(error.to_string().contains("profile default"), "{error}");
}
