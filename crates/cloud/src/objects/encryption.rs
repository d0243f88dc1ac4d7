//! Encryption that S3 does with what it stores, and the key a customer keeps to himself.
//!
//! Always true: the key is in no error, log or debug output.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// How a store is to encrypt what is uploaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum StoreEncryption {
    /// As the bucket is set up.
    #[default]
    OfBucket,
    /// With keys that S3 manages: `AES256` (SSE-S3).
    Managed,
    /// With a key in the Key Management Service: `aws:kms`; `None` is the account's default key.
    Kms { key_id: Option<String> },
    /// With a key that comes along with every request and is not kept (SSE-C).
    Customer(CustomerKey),
}

/// The key of SSE-C: 32 bytes. Reads and writes need it.
#[derive(Clone, PartialEq, Eq)]
pub struct CustomerKey {
    base64: String,
}

/// A customer's key that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadCustomerKey {
    // What was given may be the key itself.
    #[error("the customer key must be given as file:///absolute/path")]
    Uri,
    #[error("cannot read the customer key {}", path.display())]
    Unreadable {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} is not a customer key: {cause}", path.display())]
    Content { path: PathBuf, cause: String },
}

impl BadCustomerKey {
    /// What the user can do.
    pub fn hint(&self) -> &'static str {
        "Make one with: openssl rand -base64 32 > FILE; and keep a copy, \
         for without it nothing can be read."
    }
}

/// A key with much space around it; no more of the file is read, in bytes.
const LONGEST: u64 = 4096;

impl CustomerKey {
    /// Reads the file that `--sse-customer-key` names: 256 bits in base64.
    ///
    /// # Errors
    /// When the URI is not `file:///...`, or the file does not hold such a key.
    pub fn read(uri: &str) -> Result<CustomerKey, BadCustomerKey> {
        let path = uri.strip_prefix("file://");
        let path = path.map(PathBuf::from).filter(|path| path.is_absolute());
        let path = path.ok_or(BadCustomerKey::Uri)?;
        let mut text = Vec::new();
        let file = File::open(&path).and_then(|file| file.take(LONGEST).read_to_end(&mut text));
        if let Err(source) = file {
            return Err(BadCustomerKey::Unreadable { path, source });
        }
        match CustomerKey::parse(&text) {
            Ok(key) => Ok(key),
            Err(cause) => Err(BadCustomerKey::Content { path, cause }),
        }
    }

    fn parse(text: &[u8]) -> Result<CustomerKey, String> {
        let key = BASE64_STANDARD.decode(text.trim_ascii());
        let key = key.map_err(|_| "it is not base64".to_owned())?;
        if key.len() != 32 {
            return Err(format!("it holds {} bits instead of 256", key.len() * 8));
        }
        Ok(CustomerKey {
            base64: BASE64_STANDARD.encode(key),
        })
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.base64
    }
}

impl fmt::Debug for CustomerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=";

    #[test]
    fn a_key_is_256_bits_in_base64() {
        let key = CustomerKey::parse(format!("{KEY}\n").as_bytes()).unwrap();
        assert_eq!(key.reveal(), KEY);
        for (text, cause) in [
            ("aGFsbG8=", "40 bits"),
            ("", "0 bits"),
            ("hunter2!", "base64"),
            ("kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk", "192 bits"),
        ] {
            let error = CustomerKey::parse(text.as_bytes()).unwrap_err();
            assert!(error.contains(cause), "{text}: {error}");
        }
    }

    #[test]
    fn neither_a_key_nor_what_was_no_key_is_shown() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key.b64");
        std::fs::write(&path, KEY).unwrap();
        let key = CustomerKey::read(&format!("file://{}", path.display())).unwrap();
        let shown = format!("{:?}", StoreEncryption::Customer(key));
        assert_eq!(shown, "Customer(***)");
        std::fs::write(&path, "hunter2").unwrap();
        let error = CustomerKey::read(&format!("file://{}", path.display())).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
        let error = CustomerKey::read(KEY).unwrap_err();
        assert!(!format!("{error} {error:?}").contains(KEY));
    }

    #[test]
    fn only_absolute_paths_of_files_that_are_there_are_taken() {
        for uri in ["/tmp/key", "file://tmp/key", "https://x/key", ""] {
            let error = CustomerKey::read(uri).unwrap_err();
            assert!(matches!(error, BadCustomerKey::Uri), "{uri}");
        }
        let error = CustomerKey::read("file:///nonexistent/key").unwrap_err();
        assert!(matches!(error, BadCustomerKey::Unreadable { .. }));
    }
}
