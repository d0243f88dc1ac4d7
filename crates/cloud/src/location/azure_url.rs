//! Which address stands for a storage account, and how a container goes into a URL.
//!
//! In Azure the account is in the host name; an emulator, and any other host, has it as the first
//! segment of the path (Microsoft, "Connect to Azurite", "Emulator URLs").

use std::fmt;

use url::Url;

use super::prefix::{Problem, parse_prefix, refuse_query};
use crate::secret::for_address;

/// The endings of Azure's own host names: public, China, US government, and DNS zones.
const AZURE_DOMAINS: [&str; 4] = [
    ".core.windows.net",
    ".core.chinacloudapi.cn",
    ".core.usgovcloudapi.net",
    ".storage.azure.net",
];

/// A storage account and the address of its blob service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountUrl {
    /// With the account where it belongs, without a slash at the end.
    service: String,
    account: String,
}

impl AccountUrl {
    /// The account's name, as requests are signed with it.
    pub fn account(&self) -> &str {
        &self.account
    }

    /// Whether TLS protects the requests.
    pub(crate) fn is_tls(&self) -> bool {
        self.service.starts_with("https:")
    }

    /// The account's address in Azure.
    pub(crate) fn in_azure(account: &str, suffix: &str) -> Result<Self, &'static str> {
        AccountUrl::parse_service(&format!("https://{account}.blob.{suffix}"), Some(account))
    }

    /// The address of a blob service: `https://host`, or with the account as its path.
    pub(crate) fn parse_service(text: &str, account: Option<&str>) -> Result<Self, &'static str> {
        let url = parse_http(text)?;
        let host = url.host_str().unwrap_or_default();
        let path = url.path().trim_matches('/');
        let named = if is_account_host(host) {
            host.split('.').next().unwrap_or_default()
        } else {
            path
        };
        let account = match (account, named) {
            // A domain of one's own says nothing about the account.
            (Some(account), _) => account,
            (None, named) => named,
        };
        check_account(account)?;
        Ok(AccountUrl {
            service: url.as_str().trim_end_matches('/').to_owned(),
            account: account.to_owned(),
        })
    }
}

impl fmt::Display for AccountUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.service)
    }
}

/// Whether what follows `https://` begins with the host name of an account in Azure.
pub(super) fn is_account_host(rest: &str) -> bool {
    let authority = rest.split('/').next().unwrap_or_default();
    let host = authority.to_ascii_lowercase();
    host.contains(".blob.") && AZURE_DOMAINS.iter().any(|domain| host.ends_with(domain))
}

/// A container and the prefix of names in it.
pub(super) struct InContainer {
    pub(super) account: AccountUrl,
    pub(super) container: String,
    pub(super) prefix: String,
}

/// Reads a location's URL, with either place for the account.
pub(super) fn parse(text: &str) -> Result<InContainer, Problem> {
    refuse_query(text)?;
    let url = parse_http(text).map_err(Problem::Invalid)?;
    let (_, rest) = text.split_once("://").unwrap_or_default();
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let root = format!("{}://{}", url.scheme(), authority.to_ascii_lowercase());
    let (service, path) = if is_account_host(authority) {
        if url.scheme() == "http" {
            return Err(Problem::Invalid("Azure wants https"));
        }
        (root, path)
    } else {
        let (account, path) = path.split_once('/').ok_or(Problem::Invalid(
            "the container is missing: a host that is not Azure's own is followed by \
             /account/container",
        ))?;
        (format!("{root}/{account}"), path)
    };
    let account = AccountUrl::parse_service(&service, None).map_err(Problem::Invalid)?;
    let (container, path) = path.split_once('/').unwrap_or((path, ""));
    check_container(container)?;
    Ok(InContainer {
        account,
        container: container.into(),
        prefix: parse_prefix(path)?,
    })
}

fn parse_http(text: &str) -> Result<Url, &'static str> {
    let url = for_address(text)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("credentials do not belong into it");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("a query or a fragment has no meaning here");
    }
    Ok(url)
}

/// Microsoft, "Storage account overview", "Storage account name"; emulators take the same.
fn check_account(account: &str) -> Result<(), &'static str> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !account.is_empty() && account.len() <= 64 && account.chars().all(allowed) {
        Ok(())
    } else {
        Err("the account's name is missing, or has characters that no account can have")
    }
}

/// Microsoft, "Naming and Referencing Containers, Blobs, and Metadata".
fn check_container(container: &str) -> Result<(), Problem> {
    if container.is_empty() {
        return Err(Problem::Invalid("the container is missing"));
    }
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let special = ["$root", "$web", "$logs"].contains(&container);
    if special || (container.len() <= 63 && container.chars().all(allowed)) {
        return Ok(());
    }
    Err(Problem::Invalid(
        "a container's name has lower-case letters, digits and '-' only",
    ))
}

#[cfg(test)]
mod tests {
    use crate::{Location, Provider};

    fn parse(url: &str) -> Result<Location, String> {
        Location::parse(url, Provider::AzureBlobStorage).map_err(|error| error.to_string())
    }

    #[test]
    fn the_account_is_in_the_host_or_in_the_path() {
        for (url, account, container, prefix, shown) in [
            (
                "https://acc.blob.core.windows.net/backups/pg/main/",
                "acc",
                "backups",
                "pg/main",
                "https://acc.blob.core.windows.net/backups",
            ),
            (
                "https://acc.blob.core.usgovcloudapi.net/backups",
                "acc",
                "backups",
                "",
                "https://acc.blob.core.usgovcloudapi.net/backups",
            ),
            (
                "https://acc.z01.blob.storage.azure.net/b-1/x",
                "acc",
                "b-1",
                "x",
                "https://acc.z01.blob.storage.azure.net/b-1",
            ),
            (
                "http://127.0.0.1:10000/devstoreaccount1/backups/pg//",
                "devstoreaccount1",
                "backups",
                "pg//",
                "http://127.0.0.1:10000/devstoreaccount1/backups",
            ),
            (
                "https://Azurite:443/acc/c/größe %20",
                "acc",
                "c",
                "größe %20",
                "https://azurite/acc/c",
            ),
        ] {
            let location = parse(url).unwrap();
            assert_eq!(location.bucket_url(), shown);
            let Location::Azure {
                account: found,
                container: in_container,
                prefix: below,
            } = location
            else {
                panic!("{url} is not Azure's")
            };
            assert_eq!(found.account(), account);
            assert_eq!((in_container.as_str(), below.as_str()), (container, prefix));
        }
    }

    #[test]
    fn a_bad_url_is_refused_with_its_cause() {
        for (url, cause) in [
            ("https://acc.blob.core.windows.net", "container is missing"),
            ("https://acc.blob.core.windows.net/", "container is missing"),
            ("http://acc.blob.core.windows.net/c", "https"),
            ("https://acc.blob.core.windows.net/Backups", "lower-case"),
            ("https://acc.blob.core.windows.net/c/a/../b", "segment"),
            (
                "https://acc.blob.core.windows.net/c?sv=1&sig=hunter2",
                "query",
            ),
            ("http://127.0.0.1:10000", "container is missing"),
            ("http://127.0.0.1:10000/acc", "container is missing"),
            ("http://127.0.0.1:10000/Acc/c", "account's name"),
            ("http://me:hunter2@host/acc/c", "credentials"),
            ("gs://b", "takes https://account"),
        ] {
            let text = parse(url).unwrap_err();
            assert!(text.contains(cause), "{url}: {text}");
        }
    }

    #[test]
    fn a_secret_in_a_url_is_not_repeated() {
        for url in [
            "http://me:hunter2@host/acc/c",
            "https://acc.blob.core.windows.net/c?sv=1&sig=hunter2",
        ] {
            let text = parse(url).unwrap_err();
            assert!(!text.contains("hunter2"), "{text}");
        }
    }
}
