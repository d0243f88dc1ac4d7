//! `barman-cloud-backup-list`: which backups a bucket holds.

use clap::Parser;
use engine::catalogue::{read_settled, servers_beside};
use engine::repository::Repository;
use jiff::tz::TimeZone;

use super::CloudCommand;
use crate::failure::Failure;
use crate::options::every_command::{Common, Format};
use crate::options::place::Patience;
use crate::options::source::SourceFlags;
use crate::output;
use crate::output::cloud_log::{Level, Log};
use crate::render::terminal::{self, Terminal};
use crate::render::{console, json};
use crate::runtime;
use crate::unsupported::Unsupported;

/// List the backups of a server in an object store, oldest first.
#[derive(Debug, Parser)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// console for people; json (or anything else) for programs
    #[arg(long, default_value = "console")]
    format: String,
    #[command(flatten)]
    source: SourceFlags,
}

const AFTER_HELP: &str = "\
A backup without a word in the column Archival Status is complete and can be restored. KEEP:FULL \
and KEEP:STANDALONE mean that retention never deletes it; FAILED and STARTED that it cannot be used.

Example:
  barman-cloud-backup-list --format json s3://backups/pg main

Exit status:
  0  listed, even if there are none  3  the command line is wrong
  2  the object store is unreachable 4  something else, such as a bucket that does not exist";

impl Args {
    /// A server's name is easily mistyped, and an empty list looks like one that is right.
    fn none_there(&self, (place, servers): &(String, Vec<String>)) -> String {
        let place = place.trim_end_matches('/');
        let others = match servers.as_slice() {
            [] => String::new(),
            names => format!("; servers there: {}", names.join(", ")),
        };
        format!(
            "no backups of {} in {place}{others}",
            self.source.server_name
        )
    }
}

impl CloudCommand for Args {
    const UNSUPPORTED: &'static [&'static [Unsupported]] = &[];

    fn common(&self) -> &Common {
        &self.source.common
    }

    fn run(self, log: &Log) -> Result<(), Failure> {
        let place = self.source.place(Patience::People, log)?;
        if self.source.is_test() {
            return place.test(log);
        }
        let (found, servers) = runtime::run_or_drop(async {
            let shelf = place.open().await?;
            let found = read_settled(&Repository::on_one(shelf.clone())).await?;
            let servers = if found.backups.is_empty() {
                // Only a help: that nothing is there is known.
                servers_beside(&shelf).await.unwrap_or_default()
            } else {
                Vec::new()
            };
            Ok((found, (shelf.bucket.address(shelf.layout.path()), servers)))
        })?;
        if found.backups.is_empty() {
            log.line(Level::Warning, &self.none_there(&servers));
        }
        for (id, reason) in found.backups.unreadable() {
            log.line(
                Level::Warning,
                &format!("the record of backup {id} is left out: {reason}"),
            );
        }
        let backups = found.backups.readable();
        output::print(&match Format::from_word(&self.format) {
            Format::Console => match terminal_columns() {
                Some(columns) => {
                    let zone = TimeZone::system();
                    terminal::render_list(backups, &found.kept, &Terminal { columns, zone })
                }
                None => console::render_list(backups, &found.kept),
            },
            Format::Json => json::render_list(backups),
        })
    }
}

/// How wide the terminal is that standard output goes to, if it goes to one.
fn terminal_columns() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    // A terminal that does not know its width, as of a serial line, has the usual one.
    Some(match size.ws_col {
        0 => 80,
        columns => columns.into(),
    })
}
