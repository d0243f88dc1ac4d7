//! Who we are for Azure: the first source that has credentials.
//!
//! The default chain is that of Microsoft's `DefaultAzureCredential` as far as servers go:
//! environment (client secret), workload identity, managed identity, Azure CLI. What is set up only
//! in part, or for a kind that is not built yet, is refused by name: a silent fall through would
//! act with another identity.

use object_store::azure::{AzureAccessKey, split_sas};

use super::settings_error::AzureSettingsError;
use crate::environment::Environment;
use crate::options::AzureCredentialKind;
use crate::secret::{Secret, for_address, for_header, for_signing};

/// Where credentials come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AzureCredentialSource {
    /// The account's key, which signs every request.
    AccountKey(Secret),
    /// A shared access signature, which goes into every request's address.
    SharedAccessSignature(Secret),
    /// An application's secret exchanged for a token.
    ClientSecret {
        application: Application,
        secret: Secret,
    },
    /// A token file exchanged for a token.
    WorkloadIdentity {
        application: Application,
        token_file: String,
    },
    /// The machine's or the app service's own identity.
    ManagedIdentity(ManagedIdentity),
    /// The account that is logged in with `az`.
    AzureCli,
    /// The end of the default chain: the machine's identity, else the Azure CLI.
    ManagedIdentityOrCli(ManagedIdentity),
}

/// An application in a tenant, and who gives tokens for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Application {
    pub(super) tenant: String,
    pub(super) client_id: String,
    pub(super) authority: Option<String>,
}

/// Which of the machine's identities, and who gives tokens for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManagedIdentity {
    /// `None`: the one that the system assigned.
    pub(super) client_id: Option<String>,
    pub(super) endpoint: String,
    /// Not of an App Service.
    is_of_machine: bool,
}

pub(crate) fn of_kind(
    kind: AzureCredentialKind,
    environment: &Environment,
) -> Result<AzureCredentialSource, AzureSettingsError> {
    match kind {
        AzureCredentialKind::AzureCli => Ok(AzureCredentialSource::AzureCli),
        AzureCredentialKind::ManagedIdentity => {
            let identity = managed_identity(environment)?;
            if identity.is_of_machine && FEDERATION.iter().all(is_set(environment)) {
                workload_identity(environment)
            } else {
                Ok(AzureCredentialSource::ManagedIdentity(identity))
            }
        }
        AzureCredentialKind::Default => default_chain(environment),
    }
}

/// What AKS sets for a workload identity: then it is the managed identity, too (Microsoft,
/// "ManagedIdentityCredential").
const FEDERATION: [&str; 3] = [
    "AZURE_AUTHORITY_HOST",
    "AZURE_TENANT_ID",
    "AZURE_FEDERATED_TOKEN_FILE",
];

fn is_set(environment: &Environment) -> impl Fn(&&str) -> bool {
    |name| environment.get(name).is_some()
}

/// What the environment has: a signature, a key, else the default chain.
pub(crate) fn find(environment: &Environment) -> Result<AzureCredentialSource, AzureSettingsError> {
    if let Some(token) = environment.get("AZURE_STORAGE_SAS_TOKEN") {
        return sas("AZURE_STORAGE_SAS_TOKEN", token.into());
    }
    if let Some(text) = environment.get("AZURE_STORAGE_KEY") {
        return key("AZURE_STORAGE_KEY", text.into());
    }
    default_chain(environment)
}

pub(crate) fn sas(name: &str, token: Secret) -> Result<AzureCredentialSource, AzureSettingsError> {
    let bad = |cause| AzureSettingsError::BadValue {
        name: format!("shared access signature of {name}"),
        cause,
    };
    let pairs = split_sas(token.reveal().trim()).map_err(|_| bad("it is not key=value&..."))?;
    if pairs.iter().any(|(key, _)| key == "sig") {
        Ok(AzureCredentialSource::SharedAccessSignature(token))
    } else {
        Err(bad("it has no signature (sig=)"))
    }
}

pub(crate) fn key(name: &str, key: Secret) -> Result<AzureCredentialSource, AzureSettingsError> {
    // The cause would show a letter of the key.
    let bad = |_| AzureSettingsError::BadValue {
        name: format!("account key of {name}"),
        cause: "it is not in base64",
    };
    AzureAccessKey::try_new(key.reveal().trim()).map_err(bad)?;
    Ok(AzureCredentialSource::AccountKey(key))
}

/// Microsoft, "DefaultAzureCredential overview", and the variables of `EnvironmentCredential`.
pub(crate) fn default_chain(
    environment: &Environment,
) -> Result<AzureCredentialSource, AzureSettingsError> {
    let secret = environment.get("AZURE_CLIENT_SECRET");
    if let Some(secret) = secret {
        let secret = for_signing(secret).map_err(bad("AZURE_CLIENT_SECRET"))?;
        return Ok(AzureCredentialSource::ClientSecret {
            application: application("AZURE_CLIENT_SECRET", environment)?,
            secret: secret.into(),
        });
    }
    for name in ["AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_USERNAME"] {
        if environment.get(name).is_some() {
            let what = format!("the credential that {name} is for");
            return Err(AzureSettingsError::NotYet { what });
        }
    }
    if environment.get("AZURE_FEDERATED_TOKEN_FILE").is_some() {
        return workload_identity(environment);
    }
    managed_identity(environment).map(AzureCredentialSource::ManagedIdentityOrCli)
}

fn workload_identity(
    environment: &Environment,
) -> Result<AzureCredentialSource, AzureSettingsError> {
    const VARIABLE: &str = "AZURE_FEDERATED_TOKEN_FILE";
    let file = environment.get(VARIABLE).unwrap_or_default();
    Ok(AzureCredentialSource::WorkloadIdentity {
        application: application(VARIABLE, environment)?,
        token_file: for_signing(file).map_err(bad(VARIABLE))?.to_owned(),
    })
}

fn bad(name: &str) -> impl Fn(&'static str) -> AzureSettingsError {
    move |cause| AzureSettingsError::BadValue {
        name: name.to_owned(),
        cause,
    }
}

/// Addresses and what goes into them are judged here: `object_store` panics at what is none.
fn check_address(name: &str, text: &str) -> Result<(), AzureSettingsError> {
    for_address(text).map_err(bad(name))?;
    match text.parse::<http::Uri>() {
        Ok(_) => Ok(()),
        Err(_) => Err(bad(name)("it is not an address")),
    }
}

fn application(
    has: &'static str,
    environment: &Environment,
) -> Result<Application, AzureSettingsError> {
    let value = |lacks| {
        let value = environment.get(lacks).map(str::trim);
        let value = value.ok_or(AzureSettingsError::Partial { has, lacks })?;
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        if (1..=253).contains(&value.len()) && value.chars().all(allowed) {
            Ok(value.to_owned())
        } else {
            Err(bad(lacks)("it must be an identifier"))
        }
    };
    let authority = environment.get("AZURE_AUTHORITY_HOST");
    let authority = authority.map(|host| {
        if host.contains("://") {
            host.trim_end_matches('/').to_owned()
        } else {
            format!("https://{}", host.trim_end_matches('/'))
        }
    });
    if let Some(authority) = &authority {
        check_address("AZURE_AUTHORITY_HOST", authority)?;
    }
    Ok(Application {
        tenant: value("AZURE_TENANT_ID")?,
        client_id: value("AZURE_CLIENT_ID")?,
        authority,
    })
}

/// Microsoft, "How to use managed identities to acquire an access token" (virtual machines), and
/// "REST endpoint reference" of App Service, which announces itself by `IDENTITY_ENDPOINT`.
fn managed_identity(environment: &Environment) -> Result<ManagedIdentity, AzureSettingsError> {
    let client_id = environment.get("AZURE_CLIENT_ID");
    let client_id = client_id.map(|id| for_header(id).map_err(bad("AZURE_CLIENT_ID")));
    let client_id = client_id.transpose()?.map(str::to_owned);
    let of_service = environment.get("IDENTITY_ENDPOINT");
    let others = ["MSI_ENDPOINT", "IDENTITY_SERVER_THUMBPRINT"];
    let other = others
        .into_iter()
        .find(|name| environment.get(name).is_some());
    if let Some(other) = other.filter(|it| (*it == others[0]) == of_service.is_none()) {
        let what = format!("the managed identity that {other} stands for");
        return Err(AzureSettingsError::NotYet { what });
    }
    if of_service.is_some() && environment.get("IDENTITY_HEADER").is_none() {
        let what = "a managed identity by IDENTITY_ENDPOINT without IDENTITY_HEADER (Azure Arc)";
        return Err(AzureSettingsError::NotYet { what: what.into() });
    }
    if let Some(header) = environment.get("IDENTITY_HEADER") {
        for_header(header).map_err(bad("IDENTITY_HEADER"))?;
    }
    let host = environment
        .get("AZURE_POD_IDENTITY_AUTHORITY_HOST")
        .unwrap_or("http://169.254.169.254");
    let of_machine = || {
        format!(
            "{}/metadata/identity/oauth2/token",
            host.trim_end_matches('/')
        )
    };
    let endpoint = of_service.map_or_else(of_machine, str::to_owned);
    let name = match of_service {
        Some(_) => "IDENTITY_ENDPOINT",
        None => "AZURE_POD_IDENTITY_AUTHORITY_HOST",
    };
    check_address(name, &endpoint)?;
    Ok(ManagedIdentity {
        client_id,
        endpoint,
        is_of_machine: of_service.is_none(),
    })
}
