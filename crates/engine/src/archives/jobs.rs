//! The archives of a backup, written and uploaded side by side.
//!
//! Each job ([`super::job`]) takes one planned archive after another. The last archive of the data
//! directory stays open after its files, until it gets the tail. Always true: when a function here
//! has returned an error, no job writes any more.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use model::backup::effort::{Effort, archive_bytes};
use model::backup::id::BackupId;
use model::backup::plan::{CuttingRules, PlannedArchive, SetToCut, plan_archives};
use tokio::sync::oneshot;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::Instant;

use super::confirm::Sent;
use super::job::{Job, Seconds};
use super::order::slowest_first;
use super::write::{Shared, SourceSet, Tail, TailSlot};
use crate::backup::error::BackupError;
use crate::backup::error::spool_failed;
use crate::backup::request::Rules;
use crate::backup::world::{BackupWorld, cancellable};
use crate::causes;
use crate::cluster::backup_session::StartedOn;
use crate::cluster::session::{Session, SessionError};
use crate::store::Bucket;

/// The archives being written, and what steers them.
pub struct Jobs {
    workers: JoinSet<Result<(), BackupError>>,
    shared: Arc<Shared>,
    pub seconds: Seconds,
    pub sent: Sent,
    files_done: oneshot::Receiver<()>,
    tail: Option<oneshot::Sender<Tail>>,
}

impl Jobs {
    /// Hands the tail to the last archive. Its job was waiting for it a moment ago; should it have
    /// failed since, its own result says why.
    pub fn send(&mut self, tail: Tail) {
        if let Some(sender) = self.tail.take() {
            drop(sender.send(tail));
        }
    }
}

/// Starts as many jobs as were asked for on the planned archives.
///
/// # Errors
/// When not even one job fits into the memory that is allowed, or the list of files cannot be read.
pub async fn start_jobs(
    rules: &Rules,
    world: &BackupWorld,
    shared: &Arc<Shared>,
    id: BackupId,
) -> Result<Jobs, BackupError> {
    let (effort, plan) = planned(rules, world, shared).await?;
    let (files_done_sender, files_done) = oneshot::channel();
    let (tail, tail_receiver) = oneshot::channel();
    let slot = TailSlot {
        files_done: files_done_sender,
        tail: tail_receiver,
    };
    let mut queue: VecDeque<_> = plan.into_iter().map(|archive| (archive, None)).collect();
    if let Some((_, last)) = queue.back_mut() {
        *last = Some(slot);
    }
    let queue = Arc::new(Mutex::new(queue));
    let (seconds, sent) = (Seconds::default(), Sent::default());
    let mut workers = JoinSet::new();
    for _ in 0..effort.jobs {
        let job = Job {
            world: world.clone(),
            shared: Arc::clone(shared),
            id,
            effort,
            queue: Arc::clone(&queue),
            seconds: Arc::clone(&seconds),
            sent: sent.clone(),
        };
        workers.spawn(job.run());
    }
    Ok(Jobs {
        workers,
        shared: Arc::clone(shared),
        seconds,
        sent,
        files_done,
        tail: Some(tail),
    })
}

/// Plans on a thread of its own: samples are read and packed.
async fn planned(
    rules: &Rules,
    world: &BackupWorld,
    shared: &Arc<Shared>,
) -> Result<(Effort, Vec<PlannedArchive>), BackupError> {
    let (rules, bucket) = (*rules, world.repository.bases.bucket.clone());
    let shared = Arc::clone(shared);
    let planning = spawn_blocking(move || {
        let (effort, mut plan) = plan(&rules, &shared, &bucket)?;
        if effort.jobs > 1 {
            slowest_first(&shared, &mut plan).map_err(spool_failed)?;
        }
        Ok((effort, plan))
    });
    let planned = cancellable(world, planning).await?;
    planned.map_err(|error| BackupError::Worker(causes::of_worker(&error)))?
}

/// Which archives are made, and how many at a time.
fn plan<'a>(
    rules: &Rules,
    shared: &'a Shared,
    bucket: &Bucket,
) -> Result<(Effort, Vec<PlannedArchive>), BackupError> {
    let sets = shared.sets.iter();
    let largest = sets.clone().map(|set| set.entries.largest_bytes).max();
    let effort = rules.effort(shared.codec, largest.unwrap_or(0), bucket)?;
    let store = bucket.part_rules();
    // More would need larger parts.
    let most = archive_bytes(effort.part_bytes, store);
    let cutting = CuttingRules {
        jobs: effort.jobs,
        max_archive_bytes: rules.max_archive_bytes.min(most),
        max_threads: effort.threads,
    };
    let to_cut = |set: &'a SourceSet| SetToCut {
        set: set.set,
        total: set.entries.total,
        sizes: set.entries.sizes(),
    };
    let plan = plan_archives(sets.map(to_cut).collect(), cutting);
    Ok((effort, plan.map_err(spool_failed)?))
}

/// Longer than any backup takes, and short enough to be added to the time of day.
const NEVER: Duration = Duration::from_secs(1 << 32);

/// A session that must not end, and how often something is said on it.
pub struct Heartbeat<'a> {
    pub session: &'a mut Session,
    /// `None` for never.
    pub period: Option<Duration>,
    pub begun_on: StartedOn,
}

impl Heartbeat<'_> {
    async fn lost(beat: &mut Option<Heartbeat<'_>>) -> SessionError {
        match beat {
            Some(beat) => beat.session.ended().await,
            None => std::future::pending().await,
        }
    }
}

/// Waits until every job but the last one has ended, and the last archive has all its files. With
/// the session the backup ends: that is told at once.
pub async fn wait_for_files(
    world: &BackupWorld,
    jobs: &mut Jobs,
    mut heartbeat: Option<Heartbeat<'_>>,
) -> Result<(), BackupError> {
    let mut files_done = false;
    let period = heartbeat
        .as_ref()
        .and_then(|beat| beat.period)
        .unwrap_or(NEVER);
    let mut next_beat = Instant::now() + period;
    while !files_done || jobs.workers.len() > 1 {
        tokio::select! {
            done = &mut jobs.files_done, if !files_done => {
                if done.is_err() {
                    // The last archive's worker failed: its result says why.
                    wait_for_all(world, jobs).await?;
                    return Err(BackupError::Worker("no archive was left open".to_owned()));
                }
                files_done = true;
            }
            Some(worker) = jobs.workers.join_next() => joined(worker)?,
            () = tokio::time::sleep_until(next_beat) => {
                if let Some(beat) = &mut heartbeat {
                    cancellable(world, beat.session.keep_alive(beat.begun_on)).await??;
                }
                next_beat = Instant::now() + period;
            }
            error = Heartbeat::lost(&mut heartbeat) => return Err(error.into()),
            () = world.stop.raised() => return Err(BackupError::Cancelled),
        }
    }
    Ok(())
}

/// Waits until every archive is uploaded; after the first failure, until all have stopped.
pub async fn wait_for_all(world: &BackupWorld, jobs: &mut Jobs) -> Result<(), BackupError> {
    let mut outcome = Ok(());
    loop {
        tokio::select! {
            worker = jobs.workers.join_next() => {
                let Some(worker) = worker else { return outcome };
                if let Err(error) = joined(worker) {
                    jobs.shared.stop.raise();
                    outcome = outcome.and(Err(error));
                }
            }
            () = world.stop.raised(), if outcome.is_ok() => {
                jobs.shared.stop.raise();
                outcome = Err(BackupError::Cancelled);
            }
        }
    }
}

fn joined(
    worker: Result<Result<(), BackupError>, tokio::task::JoinError>,
) -> Result<(), BackupError> {
    worker.map_err(|error| BackupError::Worker(causes::of_worker(&error)))?
}

/// Stops every worker and waits for it, so that nothing is uploaded after the failure is recorded.
pub async fn give_up(jobs: Jobs, error: BackupError) -> BackupError {
    let Jobs {
        mut workers,
        shared,
        tail,
        ..
    } = jobs;
    shared.stop.raise();
    drop(tail);
    while workers.join_next().await.is_some() {}
    error
}
