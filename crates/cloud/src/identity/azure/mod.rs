//! Azure's identities: keys and signatures of a storage account, and those of its directory.
//!
//! Tokens are for storage: `object_store`, which fetches them, knows no other scope.

mod provider;
mod settings_error;
mod source;

pub(crate) use provider::provider;
pub use settings_error::AzureSettingsError;
pub use source::AzureCredentialSource;
pub(crate) use source::{default_chain, find, key, of_kind, sas};
