//! `barman-cloud-backup-keep`: its command line is known, its work is not built yet.

use clap::{ArgMatches, Parser};

use super::CloudCommand;
use super::flags::Common;
use super::later::{AZURE, CUSTOMER_KEY};
use crate::failure::Failure;
use crate::later::{Later, Takes};
use crate::log::Log;

/// Keep a backup whatever the retention policy says. Not there yet: it ends with exit status 3.
#[derive(Debug, Parser)]
pub struct Args {
    /// Where backups live: s3://BUCKET/PATH or file:///DIRECTORY
    source_url: Option<String>,
    /// Name of the server
    server_name: Option<String>,
    /// Id or name of the backup
    backup_id: Option<String>,
    #[command(flatten)]
    common: Common,
}

const KEEPING: &[Later] = &[
    Later::option("release", Takes::Nothing, "Do not keep it any longer").short('r'),
    Later::option("status", Takes::Nothing, "Say whether it is kept").short('s'),
    Later::option(
        "target",
        Takes::Value("TARGET"),
        "Keep it with its WAL (full) or standalone",
    ),
];

impl CloudCommand for Args {
    const LATER: &'static [&'static [Later]] = &[KEEPING, CUSTOMER_KEY, AZURE];

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
            backup_id: _,
            common: _,
        } = self;
        Err(Failure::not_built("barman-cloud-backup-keep"))
    }
}
