//! `barman-cloud-backup-delete`: backups that are not needed any longer, and their WAL.

use std::num::NonZeroUsize;

use clap::{ArgGroup, Parser};
use engine::deletion::{DeletionError, Manner, check_locks, execute, gather_settled};
use engine::repository::Repository;
use engine::settling::Settle;
use engine::store::{Bucket, StoreError};
use jiff::Timestamp;
use model::backup::BackupStatus;
use model::backup::catalogue::ResolveError;
use model::backup::reference::BackupRef;
use model::deletion::{CannotDelete, Choice, DeletionPlan, DeletionRequest, Facts, plan_delete};
use model::retention::Policy;

use super::CloudCommand;
use crate::failure::Failure;
use crate::options::every_command::Common;
use crate::options::place::Patience;
use crate::options::source::SourceFlags;
use crate::output::cloud_log::{Level, Log};
use crate::output::{self, catalogue_notes};
use crate::runtime;
use crate::unsupported::Unsupported;

/// What the record of a backup says whose deletion was begun.
const FINISHING: &str = "barman-cloud-backup-delete finishes it when it is run again";

/// Delete backups from an object store, and the WAL that no remaining backup needs.
#[derive(Debug, Parser)]
#[command(after_help = AFTER_HELP)]
#[command(group(
    ArgGroup::new("what").required(true).args(["backup_id", "retention_policy"])
))]
pub struct Args {
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
    source: SourceFlags,
}

const AFTER_HELP: &str = "\
A POLICY is REDUNDANCY n, or RECOVERY WINDOW OF n DAYS (or WEEKS, or MONTHS of 31 days). Kept \
backups never go; see barman-cloud-backup-keep. A policy also sweeps what nobody can restore once \
a newer backup is complete: FAILED ones, those that wait for WAL for a day, and those that say \
STARTED for a week. A deletion that was interrupted is finished by running the command again.

Examples:
  barman-cloud-backup-delete -r 'RECOVERY WINDOW OF 7 DAYS' --dry-run s3://backups/pg main
  barman-cloud-backup-delete -b 20261121T081044 s3://backups/pg main

Exit status:
  0  deleted, or nothing to delete   3  the command line is wrong
  1  what was asked for is refused   4  something else, such as a name that no backup has
  2  the object store is unreachable";

impl CloudCommand for Args {
    const UNSUPPORTED: &'static [&'static [Unsupported]] = &[];

    fn common(&self) -> &Common {
        &self.source.common
    }

    fn run(self, log: &Log) -> Result<(), Failure> {
        let place = self.source.place(Patience::People, log)?;
        let wish = self.wish()?;
        if self.source.is_test() {
            return place.test(log);
        }
        let plan = runtime::run_or_drop(async {
            let repository = Repository::on_one(place.open_to_write().await?);
            for left in (0..TRIES).rev() {
                match self.attempt(&wish, &repository, log).await {
                    Err(NotDeleted::Deletion(
                        DeletionError::ChangedMeanwhile(id) | DeletionError::KeptMeanwhile(id),
                    )) if left > 0 => {
                        let text = format!("backup {id} has changed meanwhile: planning again");
                        log.line(Level::Info, &text);
                    }
                    ended => return Ok(ended?),
                }
            }
            Ok(None)
        })?;
        match plan {
            Some(plan) if self.dry_run => output::print(&plan.to_string()),
            _ => Ok(()),
        }
    }
}

/// How often a plan is made anew that others have overtaken.
const TRIES: usize = 4;

/// Why an attempt was not finished.
enum NotDeleted {
    Deletion(DeletionError),
    Otherwise(Failure),
}

impl From<DeletionError> for NotDeleted {
    fn from(error: DeletionError) -> NotDeleted {
        NotDeleted::Deletion(error)
    }
}

impl From<StoreError> for NotDeleted {
    fn from(error: StoreError) -> NotDeleted {
        NotDeleted::Otherwise(error.into())
    }
}

impl From<Failure> for NotDeleted {
    fn from(failure: Failure) -> NotDeleted {
        NotDeleted::Otherwise(failure)
    }
}

impl From<NotDeleted> for Failure {
    fn from(stopped: NotDeleted) -> Failure {
        match stopped {
            NotDeleted::Deletion(error) => error.into(),
            NotDeleted::Otherwise(failure) => failure,
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

/// What went, and what is left, in one line.
fn sum(plan: &DeletionPlan, facts: &Facts) -> String {
    let backups = plan.going().count();
    let wal: usize = plan.wal.iter().map(|run| run.goes.len()).sum();
    if backups == 0 {
        return "nothing to delete".to_owned();
    }
    let goes: Vec<_> = plan.going().map(|(id, _)| id).collect();
    let mut stays = facts.backups.by_end().into_iter();
    let first = stays.find(|(id, info)| info.status == BackupStatus::Done && !goes.contains(id));
    let left = match first.and_then(|(_, info)| info.end_time) {
        Some(end) => format!("restorable from {:.0} on", end.timestamp()),
        None => "no complete backup is left".to_owned(),
    };
    let plural = |count: usize, noun: &str| match count {
        1 => format!("1 {noun}"),
        _ => format!("{count} {noun}s"),
    };
    format!(
        "deleted: {} and {}; {left}",
        plural(backups, "backup"),
        plural(wal, "WAL file")
    )
}

fn warn_without_locks(bucket: &Bucket, log: &Log) {
    if bucket.locks.is_none() {
        let text = "--check-object-lock means nothing: this store cannot lock objects";
        log.line(Level::Warning, text);
    }
}

/// What is to be deleted, as it was typed.
enum DeletionWish {
    Backup(BackupRef),
    Policy(Policy),
}

impl Args {
    fn wish(&self) -> Result<DeletionWish, Failure> {
        match (&self.backup_id, &self.retention_policy) {
            (None, Some(policy)) => Ok(DeletionWish::Policy(policy.parse()?)),
            (text, _) => {
                let Ok(reference) = text.as_deref().unwrap_or_default().parse();
                Ok(DeletionWish::Backup(reference))
            }
        }
    }

    /// The plan; none, and a warning, for an id that no backup has.
    fn plan(
        &self,
        wish: &DeletionWish,
        facts: &Facts,
        log: &Log,
    ) -> Result<Option<DeletionPlan>, Failure> {
        if let Some((id, reason)) = facts.backups.unreadable().next() {
            let (id, reason) = (*id, reason.to_owned());
            return Err(CannotDelete::UnreadableRecord { id, reason }.into());
        }
        let choice = match wish {
            DeletionWish::Policy(policy) => Choice::Policy(*policy),
            DeletionWish::Backup(reference) => match facts.backups.resolve(reference) {
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
        for note in &plan.notes {
            log.line(Level::Warning, &note.to_string());
        }
        warn_of_held(&plan, log);
        Ok(Some(plan))
    }

    /// From a look at the bucket to the end; the plan, if there is one.
    async fn attempt(
        &self,
        wish: &DeletionWish,
        repository: &Repository,
        log: &Log,
    ) -> Result<Option<DeletionPlan>, NotDeleted> {
        let how = if self.dry_run {
            Settle::Show
        } else {
            Settle::Write
        };
        let (facts, settled) = gather_settled(repository, how).await?;
        catalogue_notes::report_settled(&settled, log);
        let Some(plan) = self.plan(wish, &facts, log)? else {
            return Ok(None);
        };
        if self.check_object_lock {
            warn_without_locks(&repository.bases.bucket, log);
            check_locks(&plan, repository).await?;
        }
        if !self.dry_run {
            self.carry_out(&plan, repository, log).await?;
            log.done(&sum(&plan, &facts));
        }
        Ok(Some(plan))
    }

    async fn carry_out(
        &self,
        plan: &DeletionPlan,
        repository: &Repository,
        log: &Log,
    ) -> Result<(), DeletionError> {
        for line in plan.to_string().lines() {
            log.line(Level::Info, line);
        }
        let how = Manner {
            batch: self.batch_size,
            words: FINISHING.to_owned(),
        };
        execute(plan, repository, &how).await?;
        Ok(())
    }
}
