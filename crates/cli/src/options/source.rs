//! Which backups a command is about: those of one server in one store.
//!
//! Flattened after the command's own options, for in the help the shared ones come last; its two
//! words are the first of the command line all the same.

use clap::Args;

use super::encryption::CustomerKeyFlag;
use super::every_command::Common;
use super::place::{Patience, StorePlace};
use crate::failure::Failure;
use crate::output::cloud_log::Log;

/// URL and server, and how to get there.
#[derive(Debug, Args)]
pub struct SourceFlags {
    /// Where backups live: s3://BUCKET/PATH, file:///DIRECTORY, or see --cloud-provider
    #[arg(index = 1)]
    pub source_url: String,
    /// Name of the server
    #[arg(index = 2)]
    pub server_name: String,
    #[command(flatten)]
    pub common: Common,
    #[command(flatten)]
    pub customer_key: CustomerKeyFlag,
}

impl SourceFlags {
    /// The place of the server's backups, waited for like that.
    pub fn place(&self, patience: Patience, log: &Log) -> Result<StorePlace, Failure> {
        let place = self.common.place(&self.source_url, &self.server_name)?;
        let place = place.awaited(patience, log)?;
        Ok(place.encrypted(self.customer_key.read()?))
    }

    /// Whether the place is only to be tested.
    pub fn is_test(&self) -> bool {
        self.common.test
    }
}
