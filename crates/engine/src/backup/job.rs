//! One job of a backup: it writes and uploads archive after archive.
//!
//! The last parts of an archive are on their way while the next one is begun, so that the processor
//! never waits for the store to confirm. Always true: when a job has ended, nothing of it is
//! written or uploaded any more, however it ended.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use model::backup::effort::{Effort, part_bytes};
use model::backup::id::BackupId;
use model::backup::plan::PlannedArchive;
use model::cloud::ArchiveSet;
use tokio::task::{JoinError, JoinHandle, spawn_blocking};

use super::archive::{Shared, TailSlot, write_archive};
use super::jobs::part_rules;
use super::{BackupError, World};
use crate::upload::{Destination, PartQueue, Uploaded, Wire, upload};

/// Archives to write; the last has a slot for the tail.
pub type Queue = Arc<Mutex<VecDeque<(PlannedArchive, Option<TailSlot>)>>>;

/// Seconds spent per item, added up over its archives.
pub type Seconds = Arc<Mutex<BTreeMap<String, f64>>>;

/// What a job works with.
pub struct Job {
    pub world: World,
    pub shared: Arc<Shared>,
    pub id: BackupId,
    pub effort: Effort,
    pub queue: Queue,
    pub seconds: Seconds,
}

type Writing = JoinHandle<Result<(), BackupError>>;
type Uploading = JoinHandle<Result<Uploaded, BackupError>>;

impl Job {
    /// Works until the queue is empty or something fails.
    ///
    /// # Errors
    /// The first failure; the store's, where a refused part made the writer fail as well.
    pub async fn run(self) -> Result<(), BackupError> {
        let wire = Wire::new(self.effort.parts_in_flight, &self.shared.stages);
        let mut outcome = Ok(());
        let mut last: Option<Uploading> = None;
        while outcome.is_ok()
            && let Some((archive, slot)) = self.next()
        {
            let (writing, uploading) = self.begin(&wire, archive, slot);
            if let Some(before) = last.replace(uploading) {
                outcome = complete(before).await;
            }
            if outcome.is_err() {
                wire.cut();
            }
            outcome = outcome.and(writing.await.map_err(worker).flatten());
        }
        let Some(last) = last else { return outcome };
        match (complete(last).await, outcome) {
            (_, Err(first @ BackupError::Upload(_))) => Err(first),
            (Err(refused @ BackupError::Upload(_)), _) => Err(refused),
            (completed, outcome) => outcome.and(completed),
        }
    }

    fn next(&self) -> Option<(PlannedArchive, Option<TailSlot>)> {
        let mut queue = self.queue.lock().expect("no thread panics holding it");
        queue.pop_front()
    }

    fn begin(
        &self,
        wire: &Wire,
        archive: PlannedArchive,
        slot: Option<TailSlot>,
    ) -> (Writing, Uploading) {
        let rules = part_rules(&self.world.bucket);
        let bytes = part_bytes(self.effort.part_bytes, archive.size_bytes, rules);
        let (writer, parts) = wire.open(usize::try_from(bytes).unwrap_or(usize::MAX));
        let uploading = tokio::spawn(self.upload(&archive, parts));
        let shared = Arc::clone(&self.shared);
        let writing = spawn_blocking(move || Ok(write_archive(&shared, &archive, writer, slot)?));
        (writing, uploading)
    }

    fn upload(
        &self,
        archive: &PlannedArchive,
        parts: PartQueue,
    ) -> impl Future<Output = Result<Uploaded, BackupError>> + use<> {
        let key = self
            .world
            .layout
            .archive(&self.id, &archive.name, self.shared.codec);
        let item = item_name(archive.name.set);
        let (world, shared) = (self.world.clone(), Arc::clone(&self.shared));
        let seconds = Arc::clone(&self.seconds);
        async move {
            let began = Instant::now();
            let destination = Destination {
                key: &key,
                tags: &world.tags,
            };
            let uploaded = upload(&world.bucket, destination, parts, &shared.stop).await;
            let spent = began.elapsed().as_secs_f64();
            let mut seconds = seconds.lock().expect("no thread panics holding it");
            *seconds.entry(item).or_default() += spent;
            uploaded.map_err(BackupError::Upload)
        }
    }
}

async fn complete(uploading: Uploading) -> Result<(), BackupError> {
    match uploading.await.map_err(worker).flatten()? {
        Uploaded::Complete { .. } => Ok(()),
        Uploaded::Abandoned => Err(BackupError::Worker(
            "an archive was not finished".to_owned(),
        )),
    }
}

fn worker(error: JoinError) -> BackupError {
    BackupError::Worker(error.to_string())
}

fn item_name(set: ArchiveSet) -> String {
    match set {
        ArchiveSet::Data => "data".to_owned(),
        ArchiveSet::Tablespace(oid) => oid.to_string(),
    }
}
