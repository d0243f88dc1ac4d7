//! Google's identities: files of credentials, the machine's own, and the tokens they lead to.

mod key_file;
mod settings_error;
mod source;
mod tokens;

pub(crate) use key_file::KeyFile;
pub use settings_error::SettingsError;
pub use source::CredentialSource;
pub(crate) use source::find;
#[cfg(test)]
pub(crate) use tokens::Provider;
pub(crate) use tokens::{STORE, provider};
