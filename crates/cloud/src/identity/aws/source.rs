//! Where credentials of AWS can come from, in words: what was found, before any service is asked.

use std::path::PathBuf;

use super::machine::Machine;
use crate::http::transport::Scheme;
use crate::secret::Secret;

/// Where credentials come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AwsCredentialSource {
    /// Keys as they are.
    Static {
        access_key_id: String,
        secret_access_key: Secret,
        session_token: Option<Secret>,
    },
    /// A token file exchanged at STS for a role's keys.
    WebIdentity {
        token_file: String,
        role_arn: String,
        session_name: Option<String>,
    },
    /// The credential service of a container (ECS, EKS).
    Container {
        url: String,
        authorization: Authorization,
    },
    /// What a program of the user's prints.
    Process { command: Secret, place: String },
    /// A role's keys for the token of a login with `aws sso login`.
    Sso(SsoLogin),
    /// A role that the holder of other credentials takes on.
    AssumedRole {
        source: Box<AwsCredentialSource>,
        role: Role,
    },
    /// The metadata service of the machine.
    InstanceMetadata(Machine),
}

impl AwsCredentialSource {
    /// Whether the service that gives them is asked over TLS, so that certificates matter.
    pub(super) fn scheme(&self) -> Scheme {
        let is_plain = match self {
            AwsCredentialSource::Static { .. } | AwsCredentialSource::Process { .. } => true,
            AwsCredentialSource::Container { url, .. } => url.starts_with("http:"),
            AwsCredentialSource::InstanceMetadata(machine) => machine.endpoint.starts_with("http:"),
            _ => false,
        };
        if is_plain {
            Scheme::Http
        } else {
            Scheme::Https
        }
    }
}

/// What the credential service of a container wants to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authorization {
    /// Nothing.
    None,
    /// This token.
    Token(Secret),
    /// The token in this file, which changes from time to time.
    File(String),
}

/// A login through IAM Identity Center, and the role to ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SsoLogin {
    /// The profile, for `aws sso login --profile`.
    pub profile: String,
    /// What names the cached token: the session, or the start URL where there is none.
    pub cache_name: String,
    /// The directory of the cached tokens.
    pub cache: PathBuf,
    pub region: String,
    pub account_id: String,
    pub role_name: String,
}

/// A role to assume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    pub arn: String,
    pub session_name: Option<String>,
    pub external_id: Option<Secret>,
    pub duration_seconds: Option<u32>,
}
