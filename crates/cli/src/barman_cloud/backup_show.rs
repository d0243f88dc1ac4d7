//! `barman-cloud-backup-show`: everything that is recorded about one backup.

use clap::Parser;
use engine::catalogue::{Stored, read_settled, stored};
use engine::repository::Repository;
use model::backup::reference::BackupRef;
use model::size::pretty_size;

use super::CloudCommand;
use crate::failure::Failure;
use crate::options::every_command::{Common, Format};
use crate::options::place::Patience;
use crate::options::source::SourceFlags;
use crate::output::cloud_log::{Level, Log};
use crate::output::{self, catalogue_notes};
use crate::render::{console, json};
use crate::runtime;
use crate::unsupported::Unsupported;

/// Show everything that is recorded about one backup in an object store.
#[derive(Debug, Parser)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Id or name of the backup, or latest, oldest, last-failed
    #[arg(index = 3)]
    backup_id: String,
    /// console for people; json (or anything else) for programs
    #[arg(long, default_value = "console")]
    format: String,
    #[command(flatten)]
    source: SourceFlags,
}

const AFTER_HELP: &str = "\
Example:
  barman-cloud-backup-show s3://backups/pg main latest

Exit status:
  0  shown                           3  the command line is wrong
  1  no backup has this id           4  something else, such as a name that no backup has
  2  the object store is unreachable";

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
        let Ok(wanted) = self.backup_id.parse::<BackupRef>();
        let (found, stored) = runtime::run_or_drop(async {
            let repository = Repository::on_one(place.open().await?);
            let found = read_settled(&repository).await?;
            let stored = match found.backups.resolve(&wanted) {
                Ok((id, _)) => stored(&repository, id).await?,
                Err(_) => Stored::default(),
            };
            Ok((found, stored))
        })?;
        catalogue_notes::warn_of_unreadable(&found.backups, &wanted, log);
        let (id, info) = found.backups.resolve(&wanted)?;
        catalogue_notes::warn_of_waiting(&wanted, id, info, log);
        // Not in the sheet: its form is Barman's.
        for page in found.damaged.get(id).into_iter().flatten() {
            log.line(Level::Warning, &page.to_string());
        }
        log.done(&in_the_store(&stored));
        output::print(&match Format::from_word(&self.format) {
            Format::Console => console::render_backup(id, info),
            Format::Json => json::render_backup(id, info),
        })
    }
}

/// What the record does not know; beside the sheet, whose form is Barman's.
fn in_the_store(stored: &Stored) -> String {
    let codecs = stored.codecs.iter().map(|codec| codec.name());
    let codecs: Vec<_> = codecs.collect();
    let codecs = if codecs.is_empty() {
        "no archive".to_owned()
    } else {
        format!("compression {}", codecs.join(", "))
    };
    let objects = match stored.object_count {
        1 => "object",
        _ => "objects",
    };
    format!(
        "in the store: {} {objects}, {}, {codecs}",
        stored.object_count,
        pretty_size(stored.size_bytes),
    )
}
