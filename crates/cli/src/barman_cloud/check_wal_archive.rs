//! `barman-cloud-check-wal-archive`: may a new server archive its WAL here?

use clap::Parser;
use cloud::Creation;
use engine::wal::check::find_wal;
use model::wal::timeline::TimelineId;

use super::CloudCommand;
use crate::failure::{Failure, Kind};
use crate::options::every_command::Common;
use crate::options::place::Patience;
use crate::output::cloud_log::{Level, Log};
use crate::runtime;
use crate::unsupported::Unsupported;

/// Check that a new server may archive its WAL here: that no other server's WAL is there.
#[derive(Debug, Parser)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Where the WAL goes: s3://BUCKET/PATH, file:///DIRECTORY, or see --cloud-provider
    destination_url: String,
    /// Name of the server
    server_name: String,
    /// Accept WAL of timelines before this one
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    timeline: Option<u32>,
    #[command(flatten)]
    common: Common,
}

const AFTER_HELP: &str = "\
A bucket or directory that does not exist is created.

Example, before archiving is switched on for a server that was promoted to timeline 3:
  barman-cloud-check-wal-archive --timeline 3 s3://backups/pg main

Exit status:
  0  no WAL is in the way            3  the command line is wrong
  1  there is WAL already            4  something else, such as a refused access
  2  the object store is unreachable";

impl CloudCommand for Args {
    const UNSUPPORTED: &'static [&'static [Unsupported]] = &[];

    fn common(&self) -> &Common {
        &self.common
    }

    fn run(self, log: &Log) -> Result<(), Failure> {
        let place = self
            .common
            .place(&self.destination_url, &self.server_name)?
            .awaited(Patience::People, log)?;
        if self.common.test {
            return place.test_connection(log);
        }
        let from = self.timeline.map(TimelineId::new);
        let (found, address) = runtime::run_or_drop(async {
            let (shelf, created) = place.open_or_create().await?;
            if created == Creation::Created {
                log.line(Level::Info, &format!("created {}", shelf.bucket.url));
            }
            let found = find_wal(&shelf, from).await?;
            Ok((found, shelf.bucket.address(&shelf.layout.wals())))
        })?;
        match found {
            None => Ok(()),
            Some(name) => Err(in_the_way(&name.to_string(), &address)),
        }
    }
}

fn in_the_way(name: &str, address: &str) -> Failure {
    let what = format!("{address} is not empty: it holds {name}");
    Failure::new(Kind::Failed, what).with_hint(
        "Another server archives or archived there. Give this one a SERVER_NAME of its own, or, \
         if it was promoted from that one, its new timeline with --timeline.",
    )
}
