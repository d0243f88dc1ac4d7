//! Everything that is read from outside, filled with what nobody should put there: never a panic,
//! never a secret in what is said, and the name of what is wrong.
//!
//! A row is a variable or an option beside whatever else makes it count. A panic would be worse
//! than it looks: PostgreSQL takes its status for the end of the archive.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::time::Duration;

use cloud::AzureCredentialKind;
use cloud::{AddressingStyle, Environment, Location, Provider, StoreEncryption, StoreOptions};
use cloud::{check_connectivity, diagnose, open};

use super::fake_endpoint::{Answer, serve};

/// A word that no message may have.
const SECRET: &str = "hunter2";

/// Who is asked, and with what beside the row's own variable; `HERE` is a server that refuses all.
struct Row {
    provider: Provider,
    name: &'static str,
    beside: &'static [(&'static str, &'static str)],
}

const fn s3(name: &'static str, beside: &'static [(&'static str, &'static str)]) -> Row {
    Row {
        provider: Provider::AwsS3,
        name,
        beside,
    }
}

const fn azure(name: &'static str, beside: &'static [(&'static str, &'static str)]) -> Row {
    Row {
        provider: Provider::AzureBlobStorage,
        name,
        beside,
    }
}

const fn google(name: &'static str, beside: &'static [(&'static str, &'static str)]) -> Row {
    Row {
        provider: Provider::GoogleCloudStorage,
        name,
        beside,
    }
}

const KEYS: &[(&str, &str)] = &[
    ("AWS_ACCESS_KEY_ID", "k"),
    ("AWS_SECRET_ACCESS_KEY", SECRET),
];
const WEB: &[(&str, &str)] = &[
    ("AWS_WEB_IDENTITY_TOKEN_FILE", "/etc/hostname"),
    ("AWS_ROLE_ARN", "arn"),
    ("AWS_ENDPOINT_URL_STS", "HERE"),
];
const AGENT: &[(&str, &str)] = &[("AWS_CONTAINER_CREDENTIALS_FULL_URI", "HERE/x")];
const MACHINE: &[(&str, &str)] = &[("AWS_EC2_METADATA_SERVICE_ENDPOINT", "HERE")];
const APPLICATION: &[(&str, &str)] = &[
    ("AZURE_AUTHORITY_HOST", "HERE"),
    ("AZURE_TENANT_ID", "t"),
    ("AZURE_CLIENT_ID", "c"),
    ("AZURE_CLIENT_SECRET", SECRET),
];
const FEDERATED: &[(&str, &str)] = &[
    ("AZURE_AUTHORITY_HOST", "HERE"),
    ("AZURE_TENANT_ID", "t"),
    ("AZURE_CLIENT_ID", "c"),
    ("AZURE_FEDERATED_TOKEN_FILE", "/etc/hostname"),
];
const SERVICE: &[(&str, &str)] = &[("IDENTITY_ENDPOINT", "HERE"), ("IDENTITY_HEADER", SECRET)];

const ROWS: &[Row] = &[
    s3("AWS_ACCESS_KEY_ID", KEYS),
    s3("AWS_SECRET_ACCESS_KEY", KEYS),
    s3("AWS_SESSION_TOKEN", KEYS),
    s3("AWS_SECURITY_TOKEN", KEYS),
    s3("AWS_REGION", KEYS),
    s3("AWS_DEFAULT_REGION", KEYS),
    s3("AWS_PROFILE", KEYS),
    s3("AWS_DEFAULT_PROFILE", KEYS),
    s3("AWS_CONFIG_FILE", KEYS),
    s3("AWS_SHARED_CREDENTIALS_FILE", KEYS),
    s3("AWS_CA_BUNDLE", KEYS),
    s3("REQUESTS_CA_BUNDLE", KEYS),
    s3("HOME", KEYS),
    s3("AWS_USE_FIPS_ENDPOINT", KEYS),
    s3("AWS_WEB_IDENTITY_TOKEN_FILE", WEB),
    s3("AWS_ROLE_ARN", WEB),
    s3("AWS_ROLE_SESSION_NAME", WEB),
    s3("AWS_ENDPOINT_URL_STS", WEB),
    s3("AWS_CONTAINER_CREDENTIALS_FULL_URI", &[]),
    s3("AWS_CONTAINER_AUTHORIZATION_TOKEN", AGENT),
    s3("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", AGENT),
    s3("AWS_EC2_METADATA_SERVICE_ENDPOINT", &[]),
    s3("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", &[]),
    s3("AWS_EC2_METADATA_V1_DISABLED", MACHINE),
    s3("AWS_METADATA_SERVICE_TIMEOUT", MACHINE),
    s3("AWS_METADATA_SERVICE_NUM_ATTEMPTS", MACHINE),
    azure("AZURE_STORAGE_CONNECTION_STRING", &[]),
    azure("AZURE_STORAGE_SAS_TOKEN", &[]),
    azure("AZURE_STORAGE_KEY", &[]),
    azure("AZURE_AUTHORITY_HOST", APPLICATION),
    azure("AZURE_TENANT_ID", APPLICATION),
    azure("AZURE_CLIENT_ID", APPLICATION),
    azure("AZURE_CLIENT_SECRET", APPLICATION),
    azure("AZURE_FEDERATED_TOKEN_FILE", FEDERATED),
    azure("AZURE_CLIENT_ID", SERVICE),
    azure("IDENTITY_ENDPOINT", SERVICE),
    azure("IDENTITY_HEADER", SERVICE),
    azure("AZURE_POD_IDENTITY_AUTHORITY_HOST", &[]),
    google("STORAGE_EMULATOR_HOST", &[]),
    google("GOOGLE_APPLICATION_CREDENTIALS", &[]),
    google("CLOUDSDK_CONFIG", &[("GCE_METADATA_HOST", "HOST")]),
    google(
        "GOOGLE_CLOUD_UNIVERSE_DOMAIN",
        &[("GCE_METADATA_HOST", "HOST")],
    ),
    google("GCE_METADATA_HOST", &[]),
];

/// Those whose value is not passed over when it is wrong: the error must have the name.
const NAMED: &[&str] = &[
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_METADATA_SERVICE_TIMEOUT",
    "AWS_METADATA_SERVICE_NUM_ATTEMPTS",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AZURE_STORAGE_CONNECTION_STRING",
    "AZURE_STORAGE_SAS_TOKEN",
    "AZURE_STORAGE_KEY",
    "AZURE_TENANT_ID",
    "AZURE_CLIENT_SECRET",
    "IDENTITY_ENDPOINT",
    "IDENTITY_HEADER",
    "GOOGLE_CLOUD_UNIVERSE_DOMAIN",
];

/// Names of places, hosts and profiles, which an error may show.
const NO_SECRETS: &[&str] = &[
    "_FILE",
    "CONFIG",
    "BUNDLE",
    "PROFILE",
    "HOME",
    "APPLICATION_CREDENTIALS",
    "EMULATOR_HOST",
];

fn values() -> Vec<OsString> {
    let long = format!("{SECRET}{}", "x".repeat(1 << 20));
    vec![
        format!("{SECRET}\n{SECRET}").into(),
        format!("{SECRET}\u{1}\r\u{7f}").into(),
        format!("http://{SECRET}:{SECRET}@[::1/\t{SECRET}").into(),
        format!("http://127.0.0.1:1/{long}").into(),
        long.into(),
        "\n".into(),
        "".into(),
        " ".into(),
        "é".into(),
        "999.999.999.999".into(),
        "http://999.1.1.1/".into(),
        OsString::from_vec([SECRET.as_bytes(), b"\xff\xfe"].concat()),
    ]
}

const FELL_OVER: &str = "IT FELL OVER";

/// What is said about it; `None` when nothing is wrong, or nothing that was noticed.
async fn said(
    provider: Provider,
    options: StoreOptions,
    environment: Environment,
    here: &str,
) -> Option<String> {
    let url = match provider {
        Provider::AwsS3 => "s3://bucket/p".to_owned(),
        Provider::AzureBlobStorage => format!("{here}/account/container/p"),
        Provider::GoogleCloudStorage => "gs://bucket/p".to_owned(),
    };
    // On a task of its own, where a panic is seen and told.
    let task = tokio::spawn(async move {
        let location = Location::parse(&url, provider).unwrap();
        match open(&location, &options, &environment).await {
            Err(error) => Some(format!("{error} {:?} {:?}", error.hint(), diagnose(&error))),
            Ok(bucket) => match check_connectivity(&bucket).await {
                Err(error) => Some(format!("{error} {:?}", error.diagnosis)),
                Ok(()) => None,
            },
        }
    });
    let limit = Duration::from_secs(120);
    match tokio::time::timeout(limit, task).await {
        Ok(Ok(said)) => said,
        Ok(Err(panic)) => Some(format!("{FELL_OVER}: {panic}")),
        Err(_) => Some(format!("{FELL_OVER}: no end")),
    }
}

fn options(here: &str) -> StoreOptions {
    StoreOptions {
        endpoint_url: Some(here.to_owned()),
        ..StoreOptions::default()
    }
}

async fn refusing() -> String {
    let answer = Answer {
        delay: Duration::ZERO,
        status: "403 Forbidden",
        body: "{}",
    };
    serve(vec![answer]).await.url
}

#[tokio::test(flavor = "multi_thread")]
async fn no_variable_makes_a_command_fall_over_or_tell_a_secret() {
    let here = refusing().await;
    let mut wrong = Vec::new();
    for row in ROWS {
        for value in values() {
            let mut variables: Vec<(String, OsString)> = vec![("HOME".into(), "/nowhere".into())];
            for (name, value) in row.beside {
                let host = here.strip_prefix("http://").unwrap();
                let value = value.replace("HERE", &here).replace("HOST", host);
                variables.push(((*name).into(), value.into()));
            }
            variables.push((row.name.into(), value.clone()));
            let environment = variables.into_iter().collect();
            let mut options = options(&here);
            if row.provider == Provider::AzureBlobStorage && !row.name.contains("STORAGE") {
                let is_application = row.beside.iter().any(|(name, _)| name.contains("TENANT"));
                options.azure.credential = Some(if is_application {
                    AzureCredentialKind::Default
                } else {
                    AzureCredentialKind::ManagedIdentity
                });
            }
            let shown = format!("{}={:.40}", row.name, value.to_string_lossy());
            let said = said(row.provider, options, environment, &here).await;
            let said = said.unwrap_or_default();
            let is_secret = !NO_SECRETS.iter().any(|word| row.name.contains(word));
            let is_bad = value.to_string_lossy().contains(SECRET) && value.len() < 1000;
            let is_wrong = said.contains(FELL_OVER)
                || (is_secret && said.contains(SECRET))
                || (is_bad && NAMED.contains(&row.name) && !said.contains(row.name));
            if is_wrong {
                wrong.push(format!("{shown}: {said:.300}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Options of S3 with this text in one of them.
fn s3_options(text: &str, here: &str) -> [StoreOptions; 4] {
    [
        StoreOptions {
            endpoint_url: Some(text.to_owned()),
            ..StoreOptions::default()
        },
        StoreOptions {
            endpoint_url: Some(text.to_owned()),
            addressing_style: Some(AddressingStyle::Virtual),
            ..StoreOptions::default()
        },
        StoreOptions {
            profile: Some(text.to_owned()),
            ..options(here)
        },
        StoreOptions {
            encryption: StoreEncryption::Kms {
                key_id: Some(text.to_owned()),
            },
            ..options(here)
        },
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn no_option_makes_a_command_fall_over() {
    let here = refusing().await;
    let mut wrong = Vec::new();
    let mut note = |option: &str, text: &str, said: Option<String>| {
        if let Some(said) = said.filter(|said| said.contains(FELL_OVER)) {
            wrong.push(format!("{option} {text:.40}: {said:.300}"));
        }
    };
    for value in values() {
        let Ok(text) = value.into_string() else {
            continue;
        };
        let keys = || {
            let pairs = KEYS.iter().map(|(name, value)| (*name, *value));
            pairs.collect::<Environment>()
        };
        let s3 = s3_options(&text, &here);
        for options in s3 {
            note(
                "S3",
                &text,
                said(Provider::AwsS3, options, keys(), &here).await,
            );
        }
        let mut azure = options(&here);
        azure.azure.encryption_scope = Some(text.clone());
        let key = [("AZURE_STORAGE_KEY", "a2V5")].into_iter().collect();
        let answer = said(Provider::AzureBlobStorage, azure, key, &here).await;
        note("encryption scope", &text, answer);
        let google = StoreOptions {
            kms_key_name: Some(text.clone()),
            ..options(&here)
        };
        let emulator = [("STORAGE_EMULATOR_HOST", here.as_str())]
            .into_iter()
            .collect();
        let answer = said(Provider::GoogleCloudStorage, google, emulator, &here).await;
        note("KMS key name", &text, answer);
        for provider in Provider::ALL {
            for url in [
                format!("s3://{text}"),
                format!("s3://b/{text}"),
                text.clone(),
                format!("gs://{text}/x"),
            ] {
                drop(Location::parse(&url, provider));
            }
        }
        drop(cloud::Tag::parse(&text));
        drop(cloud::Tag::parse_row(&text));
        drop(cloud::CustomerKey::read(&text));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
