//! One job of a backup: it writes and uploads archive after archive.
//!
//! The last parts of an archive are on their way while the next one is written, so that the
//! processor need not wait for the store to confirm it. Always true: when a job has ended, nothing
//! of it is written or uploaded any more, however it ended.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use model::backup::effort::{Effort, part_bytes};
use model::backup::id::BackupId;
use model::backup::plan::PlannedArchive;
use model::layout::ArchiveSet;
use tokio::task::{JoinError, JoinHandle, spawn_blocking};

use super::confirm::Sent;
use super::write::{Shared, TailSlot, write_archive};
use crate::backup::error::BackupError;
use crate::backup::world::BackupWorld;
use crate::causes;
use crate::upload::{Destination, PartQueue, PartWire, Uploaded, upload};

/// Archives to write; the last has a slot for the tail.
pub type Queue = Arc<Mutex<VecDeque<(PlannedArchive, Option<TailSlot>)>>>;

/// Seconds spent per item, added up over its archives.
pub type Seconds = Arc<Mutex<BTreeMap<String, f64>>>;

/// What a job works with.
pub struct Job {
    pub world: BackupWorld,
    pub shared: Arc<Shared>,
    pub id: BackupId,
    pub effort: Effort,
    pub queue: Queue,
    pub seconds: Seconds,
    pub sent: Sent,
}

type Writing = JoinHandle<Result<(), BackupError>>;
type Uploading = JoinHandle<Result<Uploaded, BackupError>>;

impl Job {
    /// Works until the queue is empty or something fails.
    ///
    /// # Errors
    /// The first failure; the store's, where a refused part made the writer fail as well.
    pub async fn run(self) -> Result<(), BackupError> {
        let wire = PartWire::new(self.effort.parts_in_flight, &self.shared.stages);
        let mut before = None;
        while let Some((archive, slot)) = self.next() {
            let (writing, uploading) = self.begin(&wire, archive, slot);
            let mut uploads = Uploads {
                before,
                current: Some(uploading),
            };
            let written = uploads.go_on_beside(writing, &wire).await;
            // No more than one is left to itself.
            let outcome = written.and(ended(&mut uploads.before).await);
            if let Err(error) = outcome {
                // The first error is the cause; whatever this one says follows from it.
                let _ = ended(&mut uploads.current).await;
                return Err(error);
            }
            before = uploads.current;
        }
        ended(&mut before).await
    }

    fn next(&self) -> Option<(PlannedArchive, Option<TailSlot>)> {
        let mut queue = self.queue.lock().expect("no thread panics holding it");
        queue.pop_front()
    }

    fn begin(
        &self,
        wire: &PartWire,
        archive: PlannedArchive,
        slot: Option<TailSlot>,
    ) -> (Writing, Uploading) {
        let rules = self.world.repository.bases.bucket.part_rules();
        let bytes = part_bytes(self.effort.part_bytes, archive.size_bytes, rules);
        let (writer, parts) = wire.open(usize::try_from(bytes).unwrap_or(usize::MAX));
        let uploading = tokio::spawn(self.upload(&archive, parts));
        let shared = Arc::clone(&self.shared);
        let writing = spawn_blocking(move || write_archive(&shared, &archive, writer, slot));
        (writing, uploading)
    }

    fn upload(
        &self,
        archive: &PlannedArchive,
        parts: PartQueue,
    ) -> impl Future<Output = Result<Uploaded, BackupError>> + use<> {
        let key =
            self.world
                .repository
                .bases
                .layout
                .archive(&self.id, &archive.name, self.shared.codec);
        let item = item_name(archive.name.set);
        let (world, shared) = (self.world.clone(), Arc::clone(&self.shared));
        let (seconds, sent) = (Arc::clone(&self.seconds), self.sent.clone());
        async move {
            let began = Instant::now();
            let destination = Destination {
                key: &key,
                tags: &world.tags,
            };
            let uploaded = upload(
                &world.repository.bases.bucket,
                destination,
                parts,
                &shared.stop,
            )
            .await;
            let spent = began.elapsed().as_secs_f64();
            let mut seconds = seconds.lock().expect("no thread panics holding it");
            *seconds.entry(item).or_default() += spent;
            if let Ok(Uploaded::Complete { bytes }) = uploaded {
                sent.add(key, bytes);
            }
            uploaded.map_err(BackupError::Upload)
        }
    }
}

/// The uploads of a job while an archive is written: that archive's, and the one before.
struct Uploads {
    before: Option<Uploading>,
    current: Option<Uploading>,
}

impl Uploads {
    /// Waits until the archive is written; whichever upload fails meanwhile ends the writing.
    async fn go_on_beside(
        &mut self,
        mut writing: Writing,
        wire: &PartWire,
    ) -> Result<(), BackupError> {
        let mut refused = Ok(());
        let mut abandoned = Ok(());
        let written = loop {
            let uploaded = tokio::select! {
                biased;
                uploaded = completed(&mut self.before) => uploaded,
                uploaded = completed(&mut self.current) => uploaded,
                written = &mut writing => break written.map_err(worker).flatten(),
            };
            match uploaded {
                Ok(Uploaded::Complete { .. }) => {}
                Ok(Uploaded::Abandoned) => abandoned = Err(not_finished()),
                Err(error) => {
                    wire.cut();
                    refused = refused.and(Err(error));
                }
            }
        };
        if written.is_err() && self.current.is_some() {
            // A refused part makes the writer fail too: the store's words are the cause.
            if let Err(error) = completed(&mut self.current).await {
                refused = refused.and(Err(error));
            }
        }
        refused.and(written).and(abandoned)
    }
}

/// What became of an upload; never ends where there is none.
async fn completed(uploading: &mut Option<Uploading>) -> Result<Uploaded, BackupError> {
    let Some(handle) = uploading else {
        return std::future::pending().await;
    };
    let uploaded = handle.await;
    *uploading = None;
    uploaded.map_err(worker).flatten()
}

/// Waits for an upload whose archive is written, if there is one.
async fn ended(uploading: &mut Option<Uploading>) -> Result<(), BackupError> {
    if uploading.is_none() {
        return Ok(());
    }
    match completed(uploading).await? {
        Uploaded::Complete { .. } => Ok(()),
        Uploaded::Abandoned => Err(not_finished()),
    }
}

fn not_finished() -> BackupError {
    BackupError::Worker("an archive was not finished".to_owned())
}

fn worker(error: JoinError) -> BackupError {
    BackupError::Worker(causes::of_worker(&error))
}

fn item_name(set: ArchiveSet) -> String {
    match set {
        ArchiveSet::Data => "data".to_owned(),
        ArchiveSet::Tablespace(oid) => oid.to_string(),
    }
}
