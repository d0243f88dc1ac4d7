//! The rules of [`super::settings`] as a table. What botocore does was seen in botocore itself.

use std::path::PathBuf;
use std::time::Duration;

use super::settings::S3Settings;
use crate::environment::Environment;
use crate::identity::aws::{
    Authorization, AwsCredentialSource, AwsFiles, AwsSettingsError, Machine, Role, SsoLogin,
};
use crate::options::{AddressingStyle, StoreOptions};
use crate::{CustomerKey, StoreEncryption};

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
) -> Result<S3Settings, AwsSettingsError> {
    S3Settings::resolve(
        options,
        environment,
        &AwsFiles::from_texts(config, credentials).unwrap(),
    )
}

fn machine() -> Machine {
    Machine::usual()
}

fn key_of(settings: &S3Settings) -> &str {
    match &settings.identity.credentials {
        AwsCredentialSource::Static { access_key_id, .. } => access_key_id,
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
        (
            settings.identity.region.as_str(),
            settings.identity.ca_bundle.clone()
        ),
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
        settings.identity.credentials,
        AwsCredentialSource::Static {
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
            (key_of(&settings), settings.identity.region.as_str()),
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
        assert_eq!(settings.identity.region, region);
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
        assert_eq!(settings.identity.ca_bundle, Some(PathBuf::from(expected)));
    }
}

/// The source that a profile of these files comes to, with nothing in the environment.
fn source(config: &str, credentials: &str) -> Result<AwsCredentialSource, AwsSettingsError> {
    let options = profile_option("p");
    let home = environment(&[("HOME", "/home/me")]);
    resolve(&options, &home, config, credentials).map(|settings| settings.identity.credentials)
}

fn keys(id: &str) -> AwsCredentialSource {
    AwsCredentialSource::Static {
        access_key_id: id.into(),
        secret_access_key: "s".into(),
        session_token: None,
    }
}

fn role(source: AwsCredentialSource, arn: &str) -> AwsCredentialSource {
    AwsCredentialSource::AssumedRole {
        source: Box::new(source),
        role: Role {
            arn: arn.into(),
            session_name: None,
            external_id: None,
            duration_seconds: None,
        },
    }
}

const K: &str = "aws_access_key_id = K\naws_secret_access_key = s\n";

#[test]
fn a_role_is_assumed_with_the_credentials_of_its_source() {
    let chain = format!(
        "[profile p]\nrole_arn = a\nsource_profile = q\n\
         [profile q]\nrole_arn = b\nsource_profile = r\n[profile r]\n{K}"
    );
    assert_eq!(source(&chain, "").unwrap(), role(role(keys("K"), "b"), "a"));
    let own = format!("[profile p]\nrole_arn = a\nsource_profile = p\n{K}");
    assert_eq!(source(&own, "").unwrap(), role(keys("K"), "a"));
    // A role comes before keys of the same profile, as botocore has it.
    let both = "[profile p]\nrole_arn = a\nsource_profile = q\n";
    let credentials = format!("[q]\n{K}[p]\n{K}");
    assert_eq!(source(both, &credentials).unwrap(), role(keys("K"), "a"));
    let details = format!(
        "[profile p]\nrole_arn = a\nsource_profile = p\nrole_session_name = n\n\
         external_id = x\nduration_seconds = 900\n{K}"
    );
    let AwsCredentialSource::AssumedRole { role, .. } = source(&details, "").unwrap() else {
        panic!("it is a role");
    };
    assert_eq!(role.session_name.as_deref(), Some("n"));
    assert_eq!(role.external_id, Some("x".into()));
    assert_eq!(role.duration_seconds, Some(900));
}

#[test]
fn a_role_may_take_the_credentials_of_its_surroundings() {
    let config = |name| format!("[profile p]\nrole_arn = a\ncredential_source = {name}\n");
    let with = |name, extra: &[(&str, &str)]| {
        let found = resolve(&profile_option("p"), &with_keys(extra), &config(name), "");
        found.map(|settings| settings.identity.credentials)
    };
    let machine = AwsCredentialSource::InstanceMetadata(machine());
    assert_eq!(
        with("Ec2InstanceMetadata", &[]).unwrap(),
        role(machine, "a")
    );
    let AwsCredentialSource::AssumedRole { source, .. } = with("Environment", &[]).unwrap() else {
        panic!("it is a role");
    };
    assert!(matches!(*source, AwsCredentialSource::Static { .. }));
    let task = ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/x");
    assert!(with("EcsContainer", &[task]).is_ok());
    assert!(matches!(
        with("EcsContainer", &[]),
        Err(AwsSettingsError::Partial { .. })
    ));
    assert!(matches!(
        with("Elsewhere", &[]),
        Err(AwsSettingsError::BadValue { .. })
    ));
}

#[test]
fn a_role_without_a_usable_source_is_refused() {
    for (config, named) in [
        (
            "[profile p]\nrole_arn = a\n",
            "role_arn of profile p without source_profile",
        ),
        (
            "[profile p]\nrole_arn = a\nsource_profile = q\n",
            "profile q is in neither",
        ),
        (
            "[profile p]\nrole_arn = a\nsource_profile = q\n[profile q]\n",
            "source_profile q without credentials",
        ),
        (
            "[profile p]\nrole_arn = a\nsource_profile = q\n\
             [profile q]\nrole_arn = b\nsource_profile = p\n",
            "lead back",
        ),
        (
            "[profile p]\nrole_arn = a\nsource_profile = q\ncredential_source = Environment\n",
            "exclude each other",
        ),
        (
            "[profile p]\nrole_arn = a\nsource_profile = q\nmfa_serial = m\n",
            "mfa_serial of profile p (config:4) is not supported",
        ),
        (
            "[profile p]\nlogin_session = x\n",
            "login_session of profile p (config:2)",
        ),
    ] {
        let error = source(config, "").unwrap_err().to_string();
        assert!(error.contains(named), "{config}: {error}");
    }
}

#[test]
fn single_sign_on_comes_from_a_session_or_from_the_profile_itself() {
    let session = "[profile p]\nsso_session = s\nsso_account_id = 1\nsso_role_name = R\n\
                   [sso-session s]\nsso_region = eu-west-1\nsso_start_url = https://u\n";
    let old = "[profile p]\nsso_start_url = https://u\nsso_region = eu-west-1\n\
               sso_account_id = 1\nsso_role_name = R\n";
    for (config, cache_name) in [(session, "s"), (old, "https://u")] {
        let expected = SsoLogin {
            profile: "p".into(),
            cache_name: cache_name.into(),
            cache: "/home/me/.aws/sso/cache".into(),
            region: "eu-west-1".into(),
            account_id: "1".into(),
            role_name: "R".into(),
        };
        let found = source(config, &format!("[p]\n{K}")).unwrap();
        assert_eq!(found, AwsCredentialSource::Sso(expected));
    }
    let half = "[profile p]\nsso_session = s\nsso_account_id = 1\n[sso-session s]\n";
    let error = source(half, "").unwrap_err().to_string();
    assert!(
        error.contains("sso_session of profile p without sso_region"),
        "{error}"
    );
}

#[test]
fn a_program_comes_after_keys_of_the_credentials_file() {
    let config = format!("[profile p]\ncredential_process = /bin/x --key hunter2\n{K}");
    let found = source(&config, "").unwrap();
    assert!(matches!(&found, AwsCredentialSource::Process { place, .. } if place == "config:2"));
    assert!(!format!("{found:?}").contains("hunter2"));
    assert_eq!(source(&config, &format!("[p]\n{K}")).unwrap(), keys("K"));
}

#[test]
fn the_token_service_is_the_regions_or_the_one_that_is_set() {
    for (extra, expected) in [
        (vec![], "https://sts.us-east-1.amazonaws.com"),
        (
            vec![("AWS_REGION", "cn-north-1")],
            "https://sts.cn-north-1.amazonaws.com.cn",
        ),
        (
            vec![("AWS_ENDPOINT_URL_S3", "http://s3")],
            "https://sts.us-east-1.amazonaws.com",
        ),
        (vec![("AWS_ENDPOINT_URL", "http://all/")], "http://all"),
        (
            vec![
                ("AWS_ENDPOINT_URL", "http://all"),
                ("AWS_ENDPOINT_URL_STS", "http://sts"),
            ],
            "http://sts",
        ),
    ] {
        let settings = resolve(&StoreOptions::default(), &with_keys(&extra), "", "").unwrap();
        assert_eq!(settings.identity.sts_endpoint, expected, "{extra:?}");
    }
}

#[test]
fn a_customers_key_goes_through_tls_or_stays_on_this_machine() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    std::fs::write(&path, "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=").unwrap();
    let key = CustomerKey::read(&format!("file://{}", path.display())).unwrap();
    for (endpoint, fine) in [
        ("https://s3.example.org", true),
        ("http://127.0.0.1:8333", true),
        ("http://localhost:8333", true),
        ("http://s3.example.org", false),
        ("http://10.0.0.1", false),
    ] {
        let options = StoreOptions {
            endpoint_url: Some(endpoint.into()),
            encryption: StoreEncryption::Customer(key.clone()),
            ..StoreOptions::default()
        };
        let settings = resolve(&options, &with_keys(&[]), "", "");
        assert_eq!(settings.is_ok(), fine, "{endpoint}");
    }
}

#[test]
fn web_identity_container_and_machine_follow_in_order() {
    let web = ("AWS_WEB_IDENTITY_TOKEN_FILE", "/token");
    let role = ("AWS_ROLE_ARN", "arn:role");
    let task = ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/x");
    let find = |extra: &[(&str, &str)]| {
        let settings = resolve(&StoreOptions::default(), &environment(extra), "", "");
        settings.map(|settings| settings.identity.credentials)
    };
    assert_eq!(
        find(&[web, role, task]).unwrap(),
        AwsCredentialSource::WebIdentity {
            token_file: "/token".into(),
            role_arn: "arn:role".into(),
            session_name: None,
        }
    );
    assert!(matches!(
        find(&[web]),
        Err(AwsSettingsError::Partial { .. })
    ));
    assert_eq!(
        find(&[task]).unwrap(),
        AwsCredentialSource::Container {
            url: "http://169.254.170.2/v2/x".into(),
            authorization: Authorization::None,
        }
    );
    assert_eq!(
        find(&[]).unwrap(),
        AwsCredentialSource::InstanceMetadata(machine())
    );
    let disabled = find(&[("AWS_EC2_METADATA_DISABLED", "true")]);
    assert!(matches!(
        disabled,
        Err(AwsSettingsError::NoCredentials { .. })
    ));
    let at = |url| ("AWS_CONTAINER_CREDENTIALS_FULL_URI", url);
    let pod = at("http://169.254.170.23/v1/credentials");
    let token = ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "hunter2");
    let file = ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/token");
    for (extra, expected) in [
        (vec![pod], Authorization::None),
        (vec![pod, token], Authorization::Token("hunter2".into())),
        (vec![pod, token, file], Authorization::File("/token".into())),
    ] {
        let Ok(AwsCredentialSource::Container { authorization, .. }) = find(&extra) else {
            panic!("{extra:?}");
        };
        assert_eq!(authorization, expected);
    }
    for (url, fine) in [
        ("https://example.org/x", true),
        ("http://localhost:1/x", true),
        ("http://[::1]/x", true),
        ("http://example.org/x", false),
        ("http://169.254.169.254/x", false),
        ("x", false),
    ] {
        assert_eq!(find(&[at(url)]).is_ok(), fine, "{url}");
    }
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
        assert_eq!(
            error.to_string(),
            "profile absent is in neither config nor credentials"
        );
    }
}

#[test]
fn half_a_pair_of_keys_is_refused() {
    let half = environment(&[("AWS_ACCESS_KEY_ID", "K")]);
    let error = resolve(&StoreOptions::default(), &half, "", "").unwrap_err();
    assert!(matches!(error, AwsSettingsError::Partial { .. }), "{error}");
    let file = "[default]\naws_access_key_id = K\n";
    let error = resolve(&StoreOptions::default(), &environment(&[]), "", file).unwrap_err();
    assert!(error.to_string().contains("profile default"), "{error}");
}
