//! What goes wrong on the way to credentials, and what the user can do about it.

use std::io;
use std::path::PathBuf;

use object_store::client::HttpError;

use crate::failure::{ErrorKind, Explains, Explanation, innermost};

/// Credentials that could not be had. Never with a secret in its text.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AwsIdentityError {
    #[error("no credentials: no answer from {service} at {endpoint}")]
    NoAnswer {
        service: &'static str,
        endpoint: String,
        #[source]
        source: HttpError,
    },
    #[error("no credentials: {service} refuses: {code}: {message}")]
    Refused {
        service: &'static str,
        code: String,
        message: String,
    },
    #[error("no credentials: {service} gives an answer without them: {cause}")]
    Answer {
        service: &'static str,
        cause: String,
    },
    #[error("no credentials: cannot read the token file {}", path.display())]
    TokenFile {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("no credentials: credential_process ({place}) {cause}")]
    Process { place: String, cause: String },
    #[error("no credentials: nobody is logged in for profile {profile}: {cause}")]
    Login { profile: String, cause: String },
    #[error(
        "no credentials: none are configured{unread}, and the metadata service {endpoint} {cause}"
    )]
    Machine {
        endpoint: String,
        cause: String,
        unread: String,
    },
    #[error("invalid address of {service}: {cause}")]
    Address {
        service: &'static str,
        cause: &'static str,
    },
}

impl AwsIdentityError {
    fn hint(&self) -> &'static str {
        match self {
            AwsIdentityError::NoAnswer { .. } => {
                "Check the network, the proxy variables, the region and AWS_ENDPOINT_URL_STS."
            }
            AwsIdentityError::Refused { code, .. } => match code.as_str() {
                "AccessDenied" => {
                    "The role's trust policy must allow these credentials (or this token) to \
                     assume it."
                }
                "ExpiredTokenException" | "ExpiredToken" => {
                    "The token has expired: whoever writes it must write a new one."
                }
                "InvalidIdentityToken" => {
                    "The token's issuer must be an identity provider of the AWS account."
                }
                "UnauthorizedException" => "The login has ended: run aws sso login.",
                "ForbiddenException" | "ResourceNotFoundException" => {
                    "Check sso_account_id and sso_role_name."
                }
                _ => "Check the keys, the role and the region of the profile.",
            },
            AwsIdentityError::Answer { .. } => {
                "Check the address: something else may listen there."
            }
            AwsIdentityError::TokenFile { .. } => {
                "Check AWS_WEB_IDENTITY_TOKEN_FILE or AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE."
            }
            AwsIdentityError::Process { .. } => {
                "Run the program by hand: it must print JSON with Version 1 and the keys."
            }
            AwsIdentityError::Login { .. } => "Run aws sso login --profile NAME.",
            AwsIdentityError::Machine { .. } => {
                "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or choose a profile. A machine \
                 in AWS needs a role, a container in it a hop limit of 2, a proxy none of this: \
                 name the service in NO_PROXY."
            }
            AwsIdentityError::Address { .. } => "Write it as https://HOST.",
        }
    }
}

impl Explains for AwsIdentityError {
    fn explain(&self) -> Explanation {
        let kind = match self {
            AwsIdentityError::NoAnswer { .. } => ErrorKind::Unreachable,
            _ => ErrorKind::Denied,
        };
        let (own, inner) = (self.to_string(), innermost(self));
        let text = if own == inner {
            own
        } else {
            format!("{own}: {inner}")
        };
        Explanation::Cause {
            kind,
            text,
            hint: Some(self.hint()),
        }
    }
}
