//! What every step of a backup works with, and how it is given up.

use std::sync::Arc;

use super::error::BackupError;
use crate::progress::{Event, Progress, Step};
use crate::repository::Repository;
use crate::stages::Stages;
use crate::stop::StopFlag;
use crate::store::TagSet;

/// What a backup works with.
#[derive(Clone)]
pub struct BackupWorld {
    /// Where the backup goes, and where its WAL arrives.
    pub repository: Repository,
    /// What every object of the backup is tagged with.
    pub tags: TagSet,
    pub progress: Arc<dyn Progress>,
    /// Where the time goes.
    pub stages: Arc<Stages>,
    /// Raised when the backup is to be given up.
    pub stop: StopFlag,
}

pub(crate) fn step(world: &BackupWorld, step: Step) {
    world.progress.event(Event::Step(step));
}

/// Waits for `work` or for the signal to give up.
pub(crate) async fn cancellable<T>(
    world: &BackupWorld,
    work: impl Future<Output = T>,
) -> Result<T, BackupError> {
    tokio::select! {
        done = work => Ok(done),
        () = world.stop.raised() => Err(BackupError::Cancelled),
    }
}
