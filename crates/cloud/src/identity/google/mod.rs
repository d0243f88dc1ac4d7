//! Google's identities: files of credentials, the machine's own, and the tokens they lead to.

mod key_file;
mod settings_error;
mod source;
mod tokens;

pub(crate) use key_file::KeyFile;
pub use settings_error::GoogleSettingsError;
pub use source::GoogleCredentialSource;
pub(crate) use source::find;
#[cfg(test)]
pub(crate) use tokens::GoogleCredentialProvider;
pub(crate) use tokens::{STORE, provider};
