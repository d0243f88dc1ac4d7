//! `AZURE_STORAGE_CONNECTION_STRING`: an account's address and key in one line.
//!
//! Microsoft, "Configure Azure Storage connection strings". Errors never repeat a value.

use crate::identity::azure::AzureSettingsError;
use crate::location::AccountUrl;
use crate::secret::Secret;

/// The variable that holds one.
pub(super) const VARIABLE: &str = "AZURE_STORAGE_CONNECTION_STRING";

/// The account and key that every emulator knows (Microsoft, "Connect to Azurite").
const EMULATOR: [(&str, &str); 3] = [
    ("AccountName", "devstoreaccount1"),
    (
        "AccountKey",
        "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
    ),
    ("BlobEndpoint", "http://127.0.0.1:10000/devstoreaccount1"),
];

/// What a connection string says about blobs.
#[derive(Debug)]
pub(super) struct ConnectionString {
    pub(super) account: AccountUrl,
    pub(super) key: Option<Secret>,
    pub(super) sas: Option<Secret>,
}

impl ConnectionString {
    pub(super) fn parse(text: &str) -> Result<Self, AzureSettingsError> {
        let bad = |cause| AzureSettingsError::BadValue {
            name: VARIABLE.into(),
            cause,
        };
        let mut pairs = Vec::new();
        for part in text
            .split(';')
            .map(str::trim)
            .filter(|part| !part.is_empty())
        {
            pairs.push(
                part.split_once('=')
                    .ok_or(bad("a part of it is not key=value"))?,
            );
        }
        let in_text = |name: &str| find(&pairs, name);
        if in_text("UseDevelopmentStorage").is_some_and(|it| it.eq_ignore_ascii_case("true")) {
            pairs = EMULATOR.to_vec();
        }
        let value = |name: &str| find(&pairs, name);
        let name = value("AccountName");
        let account = match (value("BlobEndpoint"), name) {
            (Some(endpoint), name) => AccountUrl::parse_service(endpoint, name).map_err(bad)?,
            (None, Some(name)) => {
                if value("DefaultEndpointsProtocol").is_some_and(|it| it != "https") {
                    return Err(bad(
                        "its protocol must be https unless it has a BlobEndpoint",
                    ));
                }
                let suffix = value("EndpointSuffix").unwrap_or("core.windows.net");
                AccountUrl::in_azure(name, suffix).map_err(bad)?
            }
            (None, None) => return Err(bad("it has neither AccountName nor BlobEndpoint")),
        };
        Ok(ConnectionString {
            account,
            key: value("AccountKey").map(Secret::from),
            sas: value("SharedAccessSignature").map(Secret::from),
        })
    }
}

fn find<'a>(pairs: &[(&'a str, &'a str)], name: &str) -> Option<&'a str> {
    let found = pairs.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
    found
        .map(|(_, value)| *value)
        .filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_in_azure_and_an_emulator_are_read() {
        for (text, account, service) in [
            (
                "DefaultEndpointsProtocol=https;AccountName=acc;AccountKey=a2V5==;\
                 EndpointSuffix=core.windows.net",
                "acc",
                "https://acc.blob.core.windows.net",
            ),
            (
                "accountname=acc;accountkey=a2V5==;blobendpoint=http://127.0.0.1:1/acc/;",
                "acc",
                "http://127.0.0.1:1/acc",
            ),
            (
                "BlobEndpoint=https://acc.blob.core.windows.net/;SharedAccessSignature=sv=1&sig=x",
                "acc",
                "https://acc.blob.core.windows.net",
            ),
            (
                "AccountName=acc;AccountKey=a2V5;BlobEndpoint=https://blobs.example.org",
                "acc",
                "https://blobs.example.org",
            ),
            (
                "UseDevelopmentStorage=true",
                "devstoreaccount1",
                "http://127.0.0.1:10000/devstoreaccount1",
            ),
        ] {
            let read = ConnectionString::parse(text).unwrap();
            assert_eq!(read.account.account(), account, "{text}");
            assert_eq!(read.account.to_string(), service, "{text}");
            assert!(read.key.is_some() || read.sas.is_some());
        }
    }

    #[test]
    fn a_bad_one_is_refused_without_its_values() {
        for (text, cause) in [
            ("hunter2", "key=value"),
            ("AccountKey=hunter2", "AccountName"),
            (
                "DefaultEndpointsProtocol=http;AccountName=acc;AccountKey=hunter2",
                "https",
            ),
            ("AccountName=Bad Name;AccountKey=hunter2", "URL"),
            ("BlobEndpoint=ftp://x;AccountKey=hunter2", "http"),
        ] {
            let error = ConnectionString::parse(text).unwrap_err().to_string();
            assert!(
                error.contains(cause) && error.contains(VARIABLE),
                "{text}: {error}"
            );
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
