//! `barman-cloud-wal-restore`: PostgreSQL asks for a WAL file back.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Parser;
use engine::wal::fetch::{FetchRequest, Fetched, PartialPolicy, fetch_wal};
use model::postgres::SegmentSize;
use model::wal::hole::LONGEST_PATIENCE;
use model::wal::name::WalName;

use super::CloudCommand;
use super::status::Statuses;
use crate::failure::Failure;
use crate::options::encryption::CustomerKeyFlag;
use crate::options::every_command::Common;
use crate::options::place::{Patience, StorePlace};
use crate::output::cloud_log::{Level, Log};
use crate::runtime::{self, Threads};
use crate::unsupported::Unsupported;
use crate::wal_prefetch::{self, PrefetchChoice, Prefetcher};

/// Get one WAL file from an object store; made to be PostgreSQL's restore_command.
#[derive(Debug, Parser)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Where the WAL lives: s3://BUCKET/PATH, file:///DIRECTORY, or see --cloud-provider
    source_url: String,
    /// Name of the server
    server_name: String,
    /// Name of the file: %f in restore_command
    wal_name: String,
    /// Where to put it: %p in restore_command
    wal_dest: PathBuf,
    /// Keep the next N segments in a spool, fetched in the background while recovery goes on
    #[arg(short, long, value_name = "N", default_value_t = 0)]
    #[arg(value_parser = clap::value_parser!(u16).range(0..=256))]
    parallel: u16,
    /// Where --parallel keeps them: room for N segments is needed there
    #[arg(long, value_name = "DIR", default_value = "/var/tmp/walrestore")]
    spool_dir: PathBuf,
    /// Do not accept a .partial segment where the complete one is missing
    #[arg(long)]
    no_partial: bool,
    /// Stop recovery (exit 200) on every failure; the end of the log stays 1 [barman-rs only]
    #[arg(long)]
    stop_recovery_on_failure: bool,
    /// How the command starts its own background process [barman-rs only]
    #[arg(long = wal_prefetch::WORKER_OPTION, value_name = "BYTES", hide = true)]
    prefetch_worker: Option<u64>,
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    customer_key: CustomerKeyFlag,
}

const AFTER_HELP: &str = "\
What happens: the file is looked for under every compression suffix, fetched, decompressed, \
checked (header, records, cluster) and put in place whole or not at all. Where it is not there but \
a later segment of its timeline is, the log does not end: that is an error.

Example, in postgresql.conf or postgresql.auto.conf:
  restore_command = 'barman-cloud-wal-restore -p 8 --stop-recovery-on-failure s3://b/pg main %f %p'
With -p 8 the next eight segments are already on disk, checked, when PostgreSQL asks for them. The \
background process ends by itself a minute after the last request, and what it kept goes with it.

Exit status:
  0  the file is at WAL_DEST         3  the command line is wrong, or this is no WAL file name
  1  there is no such file           4  something else, such as a bucket that does not exist
  2  the object store is unreachable, or a segment cannot be moved out of the spool
  130, 143  stopped by SIGINT or SIGTERM
PostgreSQL takes every status from 1 to 125 for the end of the archive: it ends recovery and opens \
the database with what it has. --stop-recovery-on-failure keeps 1 for that and turns everything \
else, a segment that is missing before a later one too, into 200: PostgreSQL stops then, and can \
be started again when the cause is gone.";

/// The option as it is typed: even a command line with a mistake in it must not end recovery.
const SAFE_MODE: &str = "--stop-recovery-on-failure";

impl Args {
    fn request(&self) -> Result<FetchRequest, Failure> {
        Ok(FetchRequest {
            name: self.wal_name.parse()?,
            destination: self.wal_dest.clone(),
            partial: if self.no_partial {
                PartialPolicy::Refuse
            } else {
                PartialPolicy::Accept
            },
            longest_wait: LONGEST_PATIENCE,
        })
    }

    fn fetch(self, log: &Log) -> Result<(), Failure> {
        let place = self.common.place(&self.source_url, &self.server_name)?;
        let place = place.awaited(Patience::Servers, log)?;
        let place = place.encrypted(self.customer_key.read()?);
        let request = self.request()?;
        if self.common.test {
            return place.test(log);
        }
        let prefetcher = match request.name {
            WalName::Segment(_) => self.prefetcher(&place, log),
            _ => None,
        };
        if let (Some(bytes), Some(prefetcher)) = (self.prefetch_worker, &prefetcher) {
            return prefetcher.work(SegmentSize::new(bytes)?);
        }
        if let Some(prefetcher) = &prefetcher
            && prefetcher.take(&request)?
        {
            return Ok(());
        }
        let name = request.name;
        let fetched = fetch_directly(&place, request, log)?;
        log.line(
            Level::Info,
            &format!("{name} is fetched from {}", fetched.key),
        );
        if let (Some(prefetcher), WalName::Segment(segment), Some(size)) =
            (&prefetcher, &name, fetched.segment_size)
        {
            prefetcher.follow(segment, size);
        }
        Ok(())
    }

    fn prefetcher<'a>(&self, place: &'a StorePlace, log: &'a Log) -> Option<Prefetcher<'a>> {
        let choice = PrefetchChoice {
            segment_count: usize::from(self.parallel),
            spool_dir: &self.spool_dir,
            destination: &self.wal_dest,
        };
        Prefetcher::open(place, &choice, log)
    }
}

fn fetch_directly(
    place: &StorePlace,
    request: FetchRequest,
    log: &Log,
) -> Result<Fetched, Failure> {
    runtime::run_until_done(Threads::One, log, |stop| async move {
        let shelf = place.open().await?;
        Ok(fetch_wal(&shelf, request, &stop).await?)
    })
}

impl CloudCommand for Args {
    const UNSUPPORTED: &'static [&'static [Unsupported]] = &[];

    fn statuses_by_words(words: &[OsString]) -> Statuses {
        if is_safe_mode(words) {
            Statuses::StoppingRecovery
        } else {
            Statuses::Barmans
        }
    }

    fn statuses(&self) -> Statuses {
        if self.stop_recovery_on_failure {
            Statuses::StoppingRecovery
        } else {
            Statuses::Barmans
        }
    }

    fn common(&self) -> &Common {
        &self.common
    }

    fn run(self, log: &Log) -> Result<(), Failure> {
        self.fetch(log)
    }
}

fn is_safe_mode(words: &[OsString]) -> bool {
    let is_asked = |word: &OsString| {
        word.to_str()
            .is_some_and(|word| word.len() > 3 && SAFE_MODE.starts_with(word))
    };
    words.iter().any(is_asked)
}
