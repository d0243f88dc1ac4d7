//! `barman-cloud-wal-restore`: PostgreSQL asks for a WAL file back.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Parser;
use engine::wal::fetch::{FetchRequest, PartialPolicy, fetch_wal};

use super::CloudCommand;
use super::encryption::CustomerKeyFlag;
use super::flags::Common;
use crate::failure::{Exit, Failure};
use crate::later::{Later, Takes};
use crate::log::Log;
use crate::runtime;

/// Get one WAL file from an object store; made to be PostgreSQL's restore_command.
#[derive(Debug, Parser)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Where the WAL lives: s3://BUCKET/PATH or file:///DIRECTORY
    source_url: String,
    /// Name of the server
    server_name: String,
    /// Name of the file: %f in restore_command
    wal_name: String,
    /// Where to put it: %p in restore_command
    wal_dest: PathBuf,
    /// Do not accept a .partial segment where the complete one is missing
    #[arg(long)]
    no_partial: bool,
    /// Stop PostgreSQL's recovery (exit 200) on every failure but "no such file" [barman-rs only]
    #[arg(long)]
    stop_recovery_on_failure: bool,
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    customer_key: CustomerKeyFlag,
}

const AFTER_HELP: &str = "\
What happens: the file is looked for under every compression suffix, fetched, decompressed and \
put in place whole or not at all.

Example, in postgresql.conf or postgresql.auto.conf:
  restore_command = 'barman-cloud-wal-restore --stop-recovery-on-failure s3://backups/pg main %f %p'

Exit status:
  0  the file is at WAL_DEST         3  the command line is wrong, or this is no WAL file name
  1  there is no such file           4  something else, such as a bucket that does not exist
  2  the object store is unreachable 130, 143  stopped by SIGINT or SIGTERM
PostgreSQL takes every status from 1 to 125 for the end of the archive: it ends recovery and opens \
the database with what it has. --stop-recovery-on-failure keeps 1 for that and turns 2, 3 and 4 \
into 200, at which PostgreSQL stops, and can be started again when the object store is back.";

/// The option as it is typed: even a command line with a mistake in it must not end recovery.
const SAFE_MODE: &str = "--stop-recovery-on-failure";

const PARALLEL: &[Later] = &[
    Later::option(
        "parallel",
        Takes::Value("N"),
        "Fetch the files that will be asked for next",
    )
    .short('p'),
    Later::option(
        "spool-dir",
        Takes::Value("DIR"),
        "Where --parallel keeps them",
    ),
];

impl Args {
    fn into_request(self) -> Result<FetchRequest, Failure> {
        Ok(FetchRequest {
            name: self.wal_name.parse()?,
            destination: self.wal_dest,
            partial: match self.no_partial {
                true => PartialPolicy::Refuse,
                false => PartialPolicy::Accept,
            },
        })
    }

    fn fetch(self) -> Result<(), Failure> {
        let place = self.common.place(&self.source_url, &self.server_name)?;
        let place = place.encrypted(self.customer_key.read()?);
        if self.common.test {
            return place.test();
        }
        let request = self.into_request()?;
        runtime::run_or_drop(async {
            let bucket = place.open().await?;
            fetch_wal(&bucket, place.layout(), request).await?;
            Ok(())
        })
    }
}

impl CloudCommand for Args {
    const LATER: &'static [&'static [Later]] = &[PARALLEL];

    fn usage_exit(words: &[OsString]) -> Exit {
        let is_asked = |word: &OsString| {
            word.to_str()
                .is_some_and(|word| word.len() > 3 && SAFE_MODE.starts_with(word))
        };
        if words.iter().any(is_asked) {
            Exit::StopsRecovery
        } else {
            Exit::Usage
        }
    }

    fn common(&self) -> &Common {
        &self.common
    }

    fn run(self, _log: &Log) -> Result<(), Failure> {
        let safe_mode = self.stop_recovery_on_failure;
        self.fetch().map_err(|failure| match failure.exit {
            Exit::NothingThere | Exit::Unreachable | Exit::Usage | Exit::Other if safe_mode => {
                Failure {
                    exit: Exit::StopsRecovery,
                    ..failure
                }
            }
            _ => failure,
        })
    }
}
