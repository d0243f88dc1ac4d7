//! `barman-cloud-backup-delete`: its command line is known, its work is not built yet.

use clap::{ArgMatches, Parser};

use super::CloudCommand;
use super::flags::Common;
use super::later::{AZURE, CUSTOMER_KEY};
use crate::failure::Failure;
use crate::later::{Later, Takes};
use crate::log::Log;

/// Delete backups from an object store. Not there yet: it ends with exit status 3.
#[derive(Debug, Parser)]
pub struct Args {
    /// Where backups live: s3://BUCKET/PATH or file:///DIRECTORY
    source_url: Option<String>,
    /// Name of the server
    server_name: Option<String>,
    #[command(flatten)]
    common: Common,
}

const DELETION: &[Later] = &[
    Later::option("backup-id", Takes::Value("ID"), "Delete this backup").short('b'),
    Later::option(
        "retention-policy",
        Takes::Value("POLICY"),
        "Delete what the policy does not need",
    )
    .short('r'),
    Later::option(
        "minimum-redundancy",
        Takes::Value("N"),
        "Keep at least this many",
    )
    .short('m'),
    Later::option("dry-run", Takes::Nothing, "Only say what would be deleted"),
    Later::option(
        "batch-size",
        Takes::Value("N"),
        "Objects deleted by one request",
    ),
    Later::option(
        "check-object-lock",
        Takes::Nothing,
        "Look for locks of objects first",
    ),
];

impl CloudCommand for Args {
    const LATER: &'static [&'static [Later]] = &[DELETION, CUSTOMER_KEY, AZURE];

    fn refuse_later(_matches: &ArgMatches) -> Result<(), Failure> {
        // The command itself is refused, whatever its options.
        Ok(())
    }

    fn common(&self) -> &Common {
        &self.common
    }

    fn run(self, _log: &Log) -> Result<(), Failure> {
        let Args {
            source_url: _,
            server_name: _,
            common: _,
        } = self;
        Err(Failure::not_built("barman-cloud-backup-delete"))
    }
}
