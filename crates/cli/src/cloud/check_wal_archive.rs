//! `barman-cloud-check-wal-archive`: its command line is known, its work is not built yet.

use clap::{ArgMatches, Parser};

use super::CloudCommand;
use super::flags::Common;
use super::later::AZURE;
use crate::failure::Failure;
use crate::later::{Later, Takes};
use crate::log::Log;

/// Check that a new server may archive its WAL here. Not there yet: it ends with exit status 3.
#[derive(Debug, Parser)]
pub struct Args {
    /// Where the WAL goes: s3://BUCKET/PATH or file:///DIRECTORY
    destination_url: Option<String>,
    /// Name of the server
    server_name: Option<String>,
    #[command(flatten)]
    common: Common,
}

const TIMELINE: &[Later] = &[Later::option(
    "timeline",
    Takes::Value("N"),
    "Accept WAL of timelines before this one",
)];

impl CloudCommand for Args {
    const LATER: &'static [&'static [Later]] = &[TIMELINE, AZURE];

    fn refuse_later(_matches: &ArgMatches) -> Result<(), Failure> {
        // The command itself is refused, whatever its options.
        Ok(())
    }

    fn common(&self) -> &Common {
        &self.common
    }

    fn run(self, _log: &Log) -> Result<(), Failure> {
        let Args {
            destination_url: _,
            server_name: _,
            common: _,
        } = self;
        Err(Failure::not_built("barman-cloud-check-wal-archive"))
    }
}
