//! The options about encryption in S3: which commands have which, and what they come to.
//!
//! Commands that write have [`EncryptionFlags`]; those that only read or delete have
//! [`CustomerKeyFlag`], for without the key nothing can be read.

use clap::Args;
use clap::builder::PossibleValuesParser;
use cloud::{CustomerKey, StoreEncryption};

use crate::failure::{Failure, Kind};

/// The key of objects that S3 encrypts and cannot read by itself.
#[derive(Debug, Args)]
pub struct CustomerKeyFlag {
    /// File with the customer's key (SSE-C) as file:///PATH: 256 bits in base64
    #[arg(long, value_name = "URI", help_heading = "Encryption in S3")]
    sse_customer_key: Option<String>,
}

/// How S3 encrypts what is written.
#[derive(Debug, Args)]
#[command(next_help_heading = "Encryption in S3")]
pub struct EncryptionFlags {
    /// AES256: with S3's own keys (SSE-S3); aws:kms: with a key of the Key Management Service
    #[arg(short, long, value_name = "ALGORITHM")]
    #[arg(value_parser = PossibleValuesParser::new(["AES256", "aws:kms"]))]
    encryption: Option<String>,
    /// The key for --encryption aws:kms; without it, the account's default key
    #[arg(long, value_name = "ID")]
    sse_kms_key_id: Option<String>,
    #[command(flatten)]
    customer_key: CustomerKeyFlag,
}

impl CustomerKeyFlag {
    /// The option as it was typed.
    pub fn words(&self) -> Vec<String> {
        let uri = self.sse_customer_key.clone();
        let words = uri.map(|uri| ["--sse-customer-key".to_owned(), uri]);
        words.into_iter().flatten().collect()
    }

    /// Reads the key's file, if one is named.
    pub fn read(&self) -> Result<StoreEncryption, Failure> {
        let Some(uri) = &self.sse_customer_key else {
            return Ok(StoreEncryption::OfBucket);
        };
        Ok(StoreEncryption::Customer(CustomerKey::read(uri)?))
    }
}

impl EncryptionFlags {
    /// What is asked for. As with Barman, what does not go together is status 4.
    pub fn read(&self) -> Result<StoreEncryption, Failure> {
        let refuse = |what: &str| Failure::new(Kind::Other, what);
        let algorithm = self.encryption.as_deref();
        if self.sse_kms_key_id.is_some() && algorithm != Some("aws:kms") {
            return Err(refuse(
                "--sse-kms-key-id goes with --encryption aws:kms only",
            ));
        }
        match (self.customer_key.read()?, algorithm) {
            (StoreEncryption::Customer(_), Some(_)) => Err(refuse(
                "--sse-customer-key and --encryption exclude each other",
            )),
            (_, Some("AES256")) => Ok(StoreEncryption::Managed),
            (_, Some(_)) => Ok(StoreEncryption::Kms {
                key_id: self.sse_kms_key_id.clone(),
            }),
            (given, None) => Ok(given),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, FromArgMatches};

    use super::*;

    fn read(words: &[&str]) -> Result<StoreEncryption, Kind> {
        let command = EncryptionFlags::augment_args(clap::Command::new("x").no_binary_name(true));
        let matches = command
            .try_get_matches_from(words)
            .expect("words are right");
        let flags = EncryptionFlags::from_arg_matches(&matches).expect("and complete");
        flags.read().map_err(|failure| failure.kind)
    }

    #[test]
    fn options_that_do_not_go_together_are_status_4() {
        let kms = |id: Option<&str>| StoreEncryption::Kms {
            key_id: id.map(str::to_owned),
        };
        assert_eq!(read(&[]), Ok(StoreEncryption::OfBucket));
        assert_eq!(read(&["-e", "AES256"]), Ok(StoreEncryption::Managed));
        assert_eq!(read(&["-e", "aws:kms"]), Ok(kms(None)));
        let with_id = ["-e", "aws:kms", "--sse-kms-key-id", "k"];
        assert_eq!(read(&with_id), Ok(kms(Some("k"))));
        assert_eq!(read(&["--sse-kms-key-id", "k"]), Err(Kind::Other));
        assert_eq!(
            read(&["-e", "AES256", "--sse-kms-key-id", "k"]),
            Err(Kind::Other)
        );
        assert_eq!(read(&["--sse-customer-key", "/k"]), Err(Kind::Other));
    }
}
