//! `barman-cloud-backup-delete`: backups that are not needed any longer, and their WAL.

use std::num::NonZeroUsize;

use clap::{ArgGroup, Parser};
use engine::deletion::{check_locks, execute, gather};
use engine::store::Bucket;
use jiff::Timestamp;
use model::backup::catalogue::ResolveError;
use model::backup::reference::BackupRef;
use model::cloud::Layout;
use model::deletion::{CannotDelete, Choice, DeletionPlan, DeletionRequest, Facts, plan_delete};
use model::retention::Policy;

use super::CloudCommand;
use super::encryption::CustomerKeyFlag;
use super::flags::{self, Common, Patience};
use crate::failure::Failure;
use crate::later::Later;
use crate::log::{Level, Log};
use crate::runtime;

/// Delete backups from an object store, and the WAL that no remaining backup needs.
#[derive(Debug, Parser)]
#[command(after_help = AFTER_HELP)]
#[command(group(
    ArgGroup::new("what").required(true).args(["backup_id", "retention_policy"])
))]
pub struct Args {
    /// Where backups live: s3://BUCKET/PATH, file:///DIRECTORY, or see --cloud-provider
    source_url: String,
    /// Name of the server
    server_name: String,
    /// Delete this backup: its id or name, or latest, oldest, last-failed
    #[arg(short, long, value_name = "ID")]
    backup_id: Option<String>,
    /// Delete what the policy does not need
    #[arg(short, long, value_name = "POLICY")]
    retention_policy: Option<String>,
    /// Leave at least this many complete backups
    #[arg(short, long, value_name = "N", default_value_t = 0)]
    minimum_redundancy: u32,
    /// Only say what would go, what would stay, and why
    #[arg(long)]
    dry_run: bool,
    /// Objects deleted by one request
    #[arg(long, value_name = "N", default_value = "1000")]
    batch_size: NonZeroUsize,
    /// Delete nothing while an object of a backup is locked (S3 Object Lock, legal hold)
    #[arg(long)]
    check_object_lock: bool,
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    customer_key: CustomerKeyFlag,
}

const AFTER_HELP: &str = "\
A POLICY is REDUNDANCY n, or RECOVERY WINDOW OF n DAYS (or WEEKS, or MONTHS of 31 days). Kept \
backups never go; see barman-cloud-backup-keep. A deletion that was interrupted is finished by \
running the command again.

Examples:
  barman-cloud-backup-delete -r 'RECOVERY WINDOW OF 7 DAYS' --dry-run s3://backups/pg main
  barman-cloud-backup-delete -b 20261121T081044 s3://backups/pg main

Exit status:
  0  deleted, or nothing to delete   3  the command line is wrong
  1  what was asked for is refused   4  something else, such as a name that no backup has
  2  the object store is unreachable";

impl CloudCommand for Args {
    const LATER: &'static [&'static [Later]] = &[];

    fn common(&self) -> &Common {
        &self.common
    }

    fn run(self, log: &Log) -> Result<(), Failure> {
        let place = self.common.place(&self.source_url, &self.server_name)?;
        let place = place.awaited(Patience::OfPeople, log)?;
        let place = place.encrypted(self.customer_key.read()?);
        let wish = self.wish()?;
        if self.common.test {
            return place.test();
        }
        let plan = runtime::run_or_drop(async {
            let (bucket, layout) = (place.open().await?, place.layout());
            let facts = gather(&bucket, layout).await?;
            let Some(plan) = self.plan(&wish, &facts, log)? else {
                return Ok(None);
            };
            if self.check_object_lock {
                warn_without_locks(&bucket, log);
                check_locks(&plan, &bucket, layout).await?;
            }
            if !self.dry_run {
                self.carry_out(&plan, &bucket, layout, log).await?;
            }
            Ok(Some(plan))
        })?;
        match plan {
            Some(plan) if self.dry_run => flags::print(&plan.to_string()),
            _ => Ok(()),
        }
    }
}

/// A backup that was killed says STARTED for ever: nobody else would tell.
fn warn_of_held(plan: &DeletionPlan, log: &Log) {
    let held = plan.held();
    for (id, count) in &held {
        let text = format!(
            "{count} WAL file(s) stay only because backup {id} is STARTED, though a later one is \
             DONE"
        );
        log.line(Level::Warning, &text);
    }
    if let Some(id) = held.keys().next().filter(|_| log.shows(Level::Warning)) {
        let text = format!(
            "If no backup is being taken, delete what is left of it with -b {id}; the next \
             deletion takes the WAL along."
        );
        log.line(Level::Hint, &text);
    }
}

fn warn_without_locks(bucket: &Bucket, log: &Log) {
    if bucket.locks.is_none() {
        let text = "--check-object-lock means nothing: this store cannot lock objects";
        log.line(Level::Warning, text);
    }
}

/// What is to be deleted, as it was typed.
enum Wish {
    Backup(BackupRef),
    Policy(Policy),
}

impl Args {
    fn wish(&self) -> Result<Wish, Failure> {
        match (&self.backup_id, &self.retention_policy) {
            (None, Some(policy)) => Ok(Wish::Policy(policy.parse()?)),
            (text, _) => {
                let Ok(reference) = text.as_deref().unwrap_or_default().parse();
                Ok(Wish::Backup(reference))
            }
        }
    }

    /// The plan; none, and a warning, for an id that no backup has.
    fn plan(&self, wish: &Wish, facts: &Facts, log: &Log) -> Result<Option<DeletionPlan>, Failure> {
        if let Some((id, reason)) = facts.backups.unreadable().next() {
            let (id, reason) = (*id, reason.to_owned());
            return Err(CannotDelete::UnreadableRecord { id, reason }.into());
        }
        let choice = match wish {
            Wish::Policy(policy) => Choice::Policy(*policy),
            Wish::Backup(reference) => match facts.backups.resolve(reference) {
                Ok((id, _)) => Choice::Backup(*id),
                Err(error @ ResolveError::UnknownId { .. }) => {
                    log.line(Level::Warning, &format!("nothing is deleted: {error}"));
                    return Ok(None);
                }
                Err(error) => return Err(error.into()),
            },
        };
        let request = DeletionRequest {
            choice,
            minimum_redundancy: self.minimum_redundancy,
            now: Timestamp::now(),
        };
        let plan = plan_delete(&request, facts)?;
        warn_of_held(&plan, log);
        Ok(Some(plan))
    }

    async fn carry_out(
        &self,
        plan: &DeletionPlan,
        bucket: &Bucket,
        layout: &Layout,
        log: &Log,
    ) -> Result<(), Failure> {
        for line in plan.to_string().lines() {
            log.line(Level::Info, line);
        }
        let deleted = execute(plan, bucket, layout, self.batch_size).await?;
        let (backups, wal) = (deleted.backup_count, deleted.wal_file_count);
        let text = format!("deleted: {backups} backup(s), {wal} WAL file(s)");
        log.line(Level::Info, &text);
        Ok(())
    }
}
