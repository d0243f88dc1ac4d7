//! `barman-cloud-backup-keep`: a backup that retention leaves alone, and the way back.

use clap::{ArgGroup, Parser};
use engine::catalogue::read_catalogue;
use engine::keep;
use engine::repository::Repository;
use engine::settling::{Settle, settle};
use model::backup::catalogue::{Catalogue, ResolveError};
use model::backup::id::BackupId;
use model::backup::reference::BackupRef;
use model::keep::KeepTarget;

use super::CloudCommand;
use crate::failure::{Failure, Kind};
use crate::options::every_command::Common;
use crate::options::place::Patience;
use crate::options::source::SourceFlags;
use crate::output::cloud_log::{Level, Log};
use crate::output::{self, catalogue_notes};
use crate::runtime;
use crate::unsupported::Unsupported;

/// Keep a backup whatever the retention policy says, or let it go again.
#[derive(Debug, Parser)]
#[command(after_help = AFTER_HELP)]
#[command(group(ArgGroup::new("what").required(true).args(["release", "status", "target"])))]
pub struct Args {
    /// Id or name of the backup, or latest, oldest, last-failed
    #[arg(index = 3)]
    backup_id: String,
    /// Hand it back to the retention policy
    #[arg(short, long)]
    release: bool,
    /// Say whether it is kept: Keep: full, standalone or nokeep
    #[arg(short, long)]
    status: bool,
    /// Keep it with all WAL since (full) or with what it needs itself (standalone)
    #[arg(long, value_name = "TARGET", value_parser = ["full", "standalone"])]
    target: Option<String>,
    #[command(flatten)]
    source: SourceFlags,
}

const AFTER_HELP: &str = "\
full: the backup and all WAL from its beginning stay, every later moment can be restored.
standalone: the backup and its own WAL stay; only the moment of its end can be restored. Once the
server is on another timeline, all WAL of the backup's timeline stays with it: that is not cheap.

Examples:
  barman-cloud-backup-keep --target standalone s3://backups/pg main 20261121T081044
  barman-cloud-backup-keep --status s3://backups/pg main before-upgrade

Exit status:
  0  done                            3  the command line is wrong
  1  the backup is not DONE          4  something else, such as a backup that is not there
  2  the object store is unreachable";

/// What is asked for.
enum KeepWish {
    Keep(KeepTarget),
    Release,
    Status,
}

impl Args {
    fn wish(&self) -> KeepWish {
        match self.target.as_deref().map(KeepTarget::parse) {
            Some(Ok(target)) => KeepWish::Keep(target),
            _ if self.release => KeepWish::Release,
            _ => KeepWish::Status,
        }
    }
}

/// The backup that is meant. As in Barman one that is not there can be asked about and released,
/// but not kept, and its id is then as wrong as a name that no backup has.
fn find(
    backups: &Catalogue,
    wanted: &BackupRef,
    wish: &KeepWish,
    log: &Log,
) -> Result<BackupId, Failure> {
    match (backups.resolve(wanted), wish) {
        (Ok((id, _)), _) => Ok(*id),
        (Err(error @ ResolveError::UnknownId { .. }), KeepWish::Keep(_)) => Err(Failure {
            kind: Kind::UnknownName,
            ..error.into()
        }),
        (Err(error @ ResolveError::UnknownId { id }), _) => {
            log.line(Level::Warning, &error.to_string());
            Ok(id)
        }
        // An annotation can be read beside any record.
        (Err(ResolveError::Unreadable { id, .. }), KeepWish::Release | KeepWish::Status) => Ok(id),
        (Err(error), _) => Err(error.into()),
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
        let Ok(wanted) = self.backup_id.parse::<BackupRef>();
        let said = runtime::run_or_drop(async {
            let repository = Repository::on_one(place.open_to_write().await?);
            let records = &repository.records;
            let mut found = read_catalogue(records).await?;
            if matches!(self.wish(), KeepWish::Keep(_)) {
                // Only what is DONE can be kept, and it may be so by now.
                let settled = settle(&repository, &mut found.backups, Settle::Write).await?;
                catalogue_notes::report_settled(&settled, log);
            }
            catalogue_notes::warn_of_unreadable(&found.backups, &wanted, log);
            let wish = self.wish();
            let id = &find(&found.backups, &wanted, &wish, log)?;
            match wish {
                KeepWish::Keep(target) => {
                    keep::keep(records, id, target).await?;
                    let word = target.render();
                    log.done(&format!("backup {id} is kept: {word}"));
                }
                KeepWish::Release => {
                    keep::release(records, id).await?;
                    log.done(&format!("backup {id} is kept no longer"));
                }
                KeepWish::Status => return Ok(Some(keep::kept(records, id).await?)),
            }
            Ok(None)
        })?;
        match said {
            Some(kept) => {
                let word = kept.map_or("nokeep", KeepTarget::render);
                output::print(&format!("Keep: {word}\n"))
            }
            None => Ok(()),
        }
    }
}
