//! Tables: what options and environment make of the settings.

use super::settings::AzureSettings;
use crate::failure::Explained;
use crate::identity::azure::{AzureCredentialSource, AzureSettingsError};
use crate::location::AccountUrl;
use crate::options::AzureCredentialKind;
use crate::{Environment, ErrorKind, Location, Provider, StoreOptions};

const URL: &str = "https://acc.blob.core.windows.net/backups";

fn account(url: &str) -> AccountUrl {
    match Location::parse(url, Provider::AzureBlobStorage).unwrap() {
        Location::Azure { account, .. } => account,
        other => panic!("{other} is not Azure's"),
    }
}

fn resolve(
    credential: Option<AzureCredentialKind>,
    variables: &[(&str, &str)],
) -> Result<AzureSettings, AzureSettingsError> {
    let mut options = StoreOptions::default();
    options.azure.credential = credential;
    let environment: Environment = variables.iter().copied().collect();
    AzureSettings::resolve(&account(URL), &options, &environment)
}

/// One word for each kind of source.
fn word(source: &AzureCredentialSource) -> &'static str {
    match source {
        AzureCredentialSource::AccountKey(_) => "key",
        AzureCredentialSource::SharedAccessSignature(_) => "sas",
        AzureCredentialSource::ClientSecret { .. } => "client secret",
        AzureCredentialSource::WorkloadIdentity { .. } => "workload",
        AzureCredentialSource::ManagedIdentity(_) => "managed",
        AzureCredentialSource::AzureCli => "cli",
        AzureCredentialSource::ManagedIdentityOrCli(_) => "managed or cli",
    }
}

const STRING: (&str, &str) = (
    "AZURE_STORAGE_CONNECTION_STRING",
    "AccountName=acc;AccountKey=a2V5",
);
const SAS: (&str, &str) = ("AZURE_STORAGE_SAS_TOKEN", "?sv=2023-11-03&sig=eA%3D%3D");
const KEY: (&str, &str) = ("AZURE_STORAGE_KEY", "a2V5");
const TENANT: (&str, &str) = ("AZURE_TENANT_ID", "t");
const CLIENT: (&str, &str) = ("AZURE_CLIENT_ID", "c");
const SECRET: (&str, &str) = ("AZURE_CLIENT_SECRET", "hunter2");
const TOKEN_FILE: (&str, &str) = ("AZURE_FEDERATED_TOKEN_FILE", "/token");
const AUTHORITY: (&str, &str) = ("AZURE_AUTHORITY_HOST", "https://login.example/");
const SERVICE: (&str, &str) = ("IDENTITY_ENDPOINT", "http://127.0.0.1:1/token");
const HEADER: (&str, &str) = ("IDENTITY_HEADER", "hunter2");

#[test]
fn the_first_source_in_barmans_order_counts() {
    use AzureCredentialKind::{AzureCli, Default, ManagedIdentity};
    for (kind, variables, expected) in [
        (None, &[STRING, SAS, KEY, SECRET][..], "key"),
        (None, &[SAS, KEY, TENANT, CLIENT, SECRET], "sas"),
        (None, &[KEY, TENANT, CLIENT, SECRET], "key"),
        (None, &[TENANT, CLIENT, SECRET, TOKEN_FILE], "client secret"),
        (None, &[TENANT, CLIENT, TOKEN_FILE], "workload"),
        (None, &[TENANT, CLIENT], "managed or cli"),
        (None, &[], "managed or cli"),
        (Some(Default), &[STRING, SAS, KEY], "managed or cli"),
        (
            Some(Default),
            &[KEY, TENANT, CLIENT, SECRET],
            "client secret",
        ),
        (Some(AzureCli), &[STRING, KEY], "cli"),
        (Some(ManagedIdentity), &[KEY, SECRET], "managed"),
        (
            Some(ManagedIdentity),
            &[AUTHORITY, TENANT, CLIENT, TOKEN_FILE],
            "workload",
        ),
        (
            Some(ManagedIdentity),
            &[TENANT, CLIENT, TOKEN_FILE],
            "managed",
        ),
        (
            Some(ManagedIdentity),
            &[AUTHORITY, TENANT, CLIENT, TOKEN_FILE, SERVICE, HEADER],
            "managed",
        ),
    ] {
        let settings = resolve(kind, variables).unwrap();
        assert_eq!(
            word(&settings.credentials),
            expected,
            "{kind:?} {variables:?}"
        );
    }
}

#[test]
fn a_connection_string_brings_its_address() {
    let variables = [(
        STRING.0,
        "AccountName=acc;AccountKey=a2V5;BlobEndpoint=http://127.0.0.1:10000/acc",
    )];
    let settings = resolve(None, &variables).unwrap();
    assert_eq!(settings.account.to_string(), "http://127.0.0.1:10000/acc");
}

#[test]
fn what_cannot_be_used_is_refused_by_name_and_without_values() {
    for (variables, kind, name) in [
        (
            &[(STRING.0, "AccountName=other;AccountKey=hunter2")][..],
            ErrorKind::Other,
            "account other",
        ),
        (
            &[(KEY.0, "hunter2!")],
            ErrorKind::Other,
            "AZURE_STORAGE_KEY",
        ),
        (
            &[(SAS.0, "hunter2")],
            ErrorKind::Other,
            "AZURE_STORAGE_SAS_TOKEN",
        ),
        (&[(SAS.0, "sv=hunter2")], ErrorKind::Other, "sig="),
        (&[SECRET, CLIENT], ErrorKind::Denied, "AZURE_TENANT_ID"),
        (&[TOKEN_FILE, TENANT], ErrorKind::Denied, "AZURE_CLIENT_ID"),
        (
            &[("AZURE_CLIENT_CERTIFICATE_PATH", "/hunter2")],
            ErrorKind::Other,
            "not supported yet",
        ),
        (
            &[("IDENTITY_ENDPOINT", "http://localhost/hunter2")],
            ErrorKind::Other,
            "Azure Arc",
        ),
        (
            &[("MSI_ENDPOINT", "http://localhost/hunter2")],
            ErrorKind::Other,
            "MSI_ENDPOINT",
        ),
        (
            &[SERVICE, ("IDENTITY_HEADER", "hunter2\nx")],
            ErrorKind::Other,
            "IDENTITY_HEADER",
        ),
        (
            &[CLIENT, SECRET, ("AZURE_TENANT_ID", "a/hunter2")],
            ErrorKind::Other,
            "AZURE_TENANT_ID",
        ),
        (
            &[TENANT, CLIENT, ("AZURE_CLIENT_SECRET", "hunter2\u{1}")],
            ErrorKind::Other,
            "AZURE_CLIENT_SECRET",
        ),
    ] {
        let error = resolve(None, variables).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(name), "{text}");
        assert_eq!(Explained::from(error).kind(), kind, "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn debug_output_shows_no_secret() {
    for variables in [&[KEY][..], &[SAS], &[TENANT, CLIENT, SECRET]] {
        let text = format!("{:?}", resolve(None, variables).unwrap());
        for secret in ["a2V5", "eA%3D", "hunter2"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}
