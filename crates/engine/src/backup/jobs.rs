//! The archives of a backup, written and uploaded side by side.
//!
//! Each job takes the next planned archive, writes it on a blocking thread and uploads it. The
//! last archive of the data directory stays open after its files, until it gets the tail. Always
//! true: when a function here has returned an error, no job writes any more.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use model::backup::effort::{Effort, PartRules, part_bytes};
use model::backup::id::BackupId;
use model::backup::plan::{CuttingRules, PlannedArchive, SetToCut, plan_archives};
use model::cloud::ArchiveSet;
use tokio::sync::oneshot;
use tokio::task::{JoinSet, spawn_blocking};

use super::archive::{Shared, SourceSet, Tail, TailSlot, write_archive};
use super::request::Rules;
use super::session::Session;
use super::tail::spool_failed;
use super::{BackupError, World, cancellable};
use crate::part_buffers::PartBuffers;
use crate::store::Bucket;
use crate::upload::{Destination, Parts, Uploaded, part_channel, upload};

/// Seconds spent per item, added up over its archives.
type Seconds = Arc<Mutex<BTreeMap<String, f64>>>;

/// The archives being written, and what steers them.
pub struct Jobs {
    workers: JoinSet<Result<(), BackupError>>,
    shared: Arc<Shared>,
    pub seconds: Seconds,
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
pub fn start_jobs(
    rules: &Rules,
    world: &World,
    shared: &Arc<Shared>,
    id: BackupId,
) -> Result<Jobs, BackupError> {
    let (effort, plan) = plan(rules, shared, &world.bucket)?;
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
    let seconds = Seconds::default();
    let mut workers = JoinSet::new();
    for _ in 0..effort.jobs {
        let world = world.clone();
        let (queue, shared) = (Arc::clone(&queue), Arc::clone(shared));
        let seconds = Arc::clone(&seconds);
        workers.spawn(async move {
            let buffers = PartBuffers::default();
            while let Some((archive, slot)) = { queue.lock().expect("no panic").pop_front() } {
                let began = Instant::now();
                let key = world.layout.archive(&id, &archive.name, shared.codec);
                let item = item_name(archive.name.set);
                let work = Work {
                    parts: parts(effort, archive.size_bytes, &world.bucket),
                    archive,
                    slot,
                    buffers: &buffers,
                };
                let destination = Destination {
                    key: &key,
                    tags: &world.tags,
                };
                run_archive(&world, &shared, destination, work).await?;
                let spent = began.elapsed().as_secs_f64();
                *seconds.lock().expect("no panic").entry(item).or_default() += spent;
            }
            Ok(())
        });
    }
    Ok(Jobs {
        workers,
        shared: Arc::clone(shared),
        seconds,
        files_done,
        tail: Some(tail),
    })
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
    let store = part_rules(bucket);
    // More would need larger parts.
    let most = effort.part_bytes.saturating_mul(store.max_count) / 9 * 8;
    let cutting = CuttingRules {
        jobs: effort.jobs,
        max_archive_bytes: rules.max_archive_bytes.min(most),
    };
    let to_cut = |set: &'a SourceSet| SetToCut {
        set: set.set,
        total: set.entries.total,
        sizes: set.entries.sizes(),
    };
    let plan = plan_archives(sets.map(to_cut).collect(), cutting);
    Ok((effort, plan.map_err(spool_failed)?))
}

pub(super) fn part_rules(bucket: &Bucket) -> PartRules {
    PartRules {
        min_bytes: bucket.min_part_size,
        max_count: bucket.max_parts,
    }
}

fn parts(effort: Effort, archive_bytes: u64, bucket: &Bucket) -> Parts {
    let bytes = part_bytes(effort.part_bytes, archive_bytes, part_rules(bucket));
    Parts {
        bytes: usize::try_from(bytes).unwrap_or(usize::MAX),
        in_flight: effort.parts_in_flight,
    }
}

fn item_name(set: ArchiveSet) -> String {
    match set {
        ArchiveSet::Data => "data".to_owned(),
        ArchiveSet::Tablespace(oid) => oid.to_string(),
    }
}

/// What goes into one archive.
struct Work<'a> {
    archive: PlannedArchive,
    slot: Option<TailSlot>,
    buffers: &'a PartBuffers,
    parts: Parts,
}

/// Writes and uploads one archive.
async fn run_archive(
    world: &World,
    shared: &Arc<Shared>,
    destination: Destination<'_>,
    Work {
        archive,
        slot,
        buffers,
        parts,
    }: Work<'_>,
) -> Result<(), BackupError> {
    let key = destination.key;
    let (writer, queue) = part_channel(parts, buffers, &shared.stages);
    let everything = Arc::clone(shared);
    let write = spawn_blocking(move || write_archive(&everything, &archive, writer, slot));
    let uploading = upload(&world.bucket, destination, queue, &shared.stop);
    let (uploaded, written) = tokio::join!(uploading, write);
    // A refused part makes the writer fail too: the store's words are the cause.
    let uploaded = uploaded.map_err(BackupError::Upload)?;
    written.map_err(|error| BackupError::Worker(error.to_string()))??;
    match uploaded {
        Uploaded::Complete { .. } => Ok(()),
        Uploaded::Abandoned => Err(BackupError::Worker(format!("{key} was not finished"))),
    }
}

/// A session to say something on, and how often.
pub struct Heartbeat<'a> {
    pub session: &'a mut Session,
    pub period: Duration,
}

/// Waits until every archive but the last is uploaded and the last has all its files.
pub async fn wait_for_files(
    world: &World,
    jobs: &mut Jobs,
    mut heartbeat: Option<Heartbeat<'_>>,
) -> Result<(), BackupError> {
    let mut cancel = world.cancel.clone();
    let mut files_done = false;
    let period = heartbeat
        .as_ref()
        .map_or(Duration::MAX / 4, |beat| beat.period);
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
            () = tokio::time::sleep(period) => {
                if let Some(beat) = &mut heartbeat {
                    cancellable(world, beat.session.keep_alive()).await??;
                }
            }
            _ = cancel.wait_for(|stop| *stop) => return Err(BackupError::Cancelled),
        }
    }
    Ok(())
}

/// Waits until every archive is uploaded; after the first failure, until all have stopped.
pub async fn wait_for_all(world: &World, jobs: &mut Jobs) -> Result<(), BackupError> {
    let mut cancel = world.cancel.clone();
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
            _ = cancel.wait_for(|stop| *stop), if outcome.is_ok() => {
                jobs.shared.stop.raise();
                outcome = Err(BackupError::Cancelled);
            }
        }
    }
}

fn joined(
    worker: Result<Result<(), BackupError>, tokio::task::JoinError>,
) -> Result<(), BackupError> {
    worker.map_err(|error| BackupError::Worker(error.to_string()))?
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
