//! AWS's identities, in botocore's order and words.
//!
//! From the ground up: the two files ([`AwsFiles`]), where credentials come from
//! ([`AwsCredentialSource`]) and the search for it, what else options, environment and profile
//! settle for every service ([`AwsAccount`]), and the services that give credentials out
//! ([`provider`]). Whose signature it is, is a request's own: `AwsAuthorizer` takes the service's
//! name.

mod account;
mod answer;
mod aws_file;
mod container;
mod error;
mod machine;
mod metadata_service;
mod process;
mod profile;
mod provider;
mod search;
mod settings_error;
mod shell_words;
mod source;
mod sso;
mod sts;
mod temporary;

pub use account::AwsIdentity;
pub(crate) use account::{AwsAccount, AwsService};
#[cfg(test)]
pub(crate) use machine::Machine;
pub use profile::AwsFiles;
pub(crate) use provider::provider;
pub use settings_error::AwsSettingsError;
pub use source::AwsCredentialSource;
#[cfg(test)]
pub(crate) use source::{Authorization, Role, SsoLogin};
