//! Restoring a base backup into an empty directory.
//!
//! Gather, plan (`model::restore::plan`), execute. The order makes any crash safe: archives are
//! extracted side by side, compared with the backup's manifest, flushed to disk, and only then is
//! `global/pg_control` put in place; without it PostgreSQL does not start. Nothing is written
//! before the plan is known to be possible.

mod claim;
mod configuration;
mod direct;
mod extract;
mod finish;
mod jobs;
mod pages;
mod place;
mod places;
mod read_ahead;
mod second_names;
mod verify;
mod write_behind;
mod written;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::backup::BackupInfo;
use model::backup::agreement::contradictions;
use model::layout::Layout;
use model::restore::effort::Effort;
use model::restore::plan::{RestorePlan, plan_restore, target_directories};
use model::restore::refusal::CannotRestore;
use model::restore::request::{RestoreRequest, StoredObject};
use model::wal::lsn::Lsn;
use tokio::sync::watch;
use tokio::task::spawn_blocking;

pub use configuration::{Configuration, Lacking};
pub use extract::{ExtractError, LinkPolicy};
pub use pages::Damage;
pub use verify::{UnlistedPolicy, Verified, VerifyError};

use crate::causes;
use crate::progress::{Event, Progress};
use crate::stages::Stages;
use crate::store::{Bucket, StoreError, key_of};
use claim::Claim;
use finish::finish;
use jobs::extract_all;
use places::place_facts;

/// What a restore works with.
#[derive(Clone)]
pub struct World {
    pub bucket: Bucket,
    pub layout: Layout,
    pub links: LinkPolicy,
    pub unlisted: UnlistedPolicy,
    pub progress: Arc<dyn Progress>,
    /// Where the time goes.
    pub stages: Arc<Stages>,
    /// Becomes true when the restore is to be given up.
    pub cancel: watch::Receiver<bool>,
}

/// A finished restore.
#[derive(Debug)]
pub struct Restored {
    pub plan: RestorePlan,
    pub file_count: usize,
    pub verified: Verified,
    pub configuration: Configuration,
    /// Pages with wrong checksums, if only their checksums can tell.
    pub damage: Damage,
}

/// Why there is no restored data directory.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    #[error(transparent)]
    Cannot(#[from] CannotRestore),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("cannot extract {object}")]
    Extract {
        object: String,
        #[source]
        source: ExtractError,
    },
    #[error("the backup has no usable global/pg_control: {0}")]
    Control(String),
    #[error(
        "the archives are those of another backup: their backup_label begins at {label}, the \
         record at {record}"
    )]
    OtherBackup { label: Lsn, record: Lsn },
    #[error(transparent)]
    Verify(#[from] VerifyError),
    #[error("cannot {action} {path}")]
    Directory {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("another restore is writing into {0}")]
    Busy(PathBuf),
    #[error("the restore was stopped by a signal")]
    Cancelled,
    #[error("a worker ended unexpectedly: {0}")]
    Worker(String),
}

/// Gathers the facts and decides what a restore would do; touches nothing.
///
/// # Errors
/// When the backup cannot be restored there, or the store or the file system cannot be asked.
pub async fn plan(
    request: &RestoreRequest,
    info: &BackupInfo,
    world: &World,
) -> Result<RestorePlan, RestoreError> {
    let prefix = format!("{}/", world.layout.base(&request.backup));
    let listed = world.bucket.list(&prefix).await?;
    let stored = |object: object_store::ObjectMeta| {
        let file = key_of(&object).strip_prefix(&prefix)?.to_owned();
        Some(StoredObject {
            file,
            size_bytes: object.size,
        })
    };
    let objects: Vec<_> = listed.into_iter().filter_map(stored).collect();
    let mut places = BTreeMap::new();
    for path in target_directories(request, info)? {
        let facts = place_facts(&path)?;
        places.insert(path, facts);
    }
    let account = rustix::process::geteuid().as_raw();
    let plan = plan_restore(request, info, &objects, (&places, account))?;
    for contradiction in contradictions(info) {
        let id = request.backup;
        let text = format!("the record of backup {id} contradicts itself: {contradiction}");
        world.progress.event(Event::Warning { text: &text });
    }
    if request.max_memory_bytes.is_some() {
        tell_effort(&plan, &*world.progress);
    }
    Ok(plan)
}

fn tell_effort(plan: &RestorePlan, progress: &dyn Progress) {
    let work = plan.work();
    let Effort { jobs, requests } = plan.effort;
    let peak_mib = plan.effort.peak_bytes(work).div_ceil(1024 * 1024);
    let jobs = jobs.min(work.archives);
    let text = format!("jobs: {jobs}, requests of each: {requests}, memory: {peak_mib} MiB");
    progress.event(Event::Step { text: &text });
}

/// Carries a plan out.
///
/// # Errors
/// See [`RestoreError`]; what was written stays, but cannot be started.
pub async fn execute(plan: RestorePlan, world: &World) -> Result<Restored, RestoreError> {
    world.progress.event(Event::Total {
        bytes: plan.download_bytes,
    });
    let claim = Arc::new(Claim::take(&plan)?);
    let extracted = extract_all(&plan, &claim, world).await?;
    let world = world.clone();
    let finished = spawn_blocking(move || finish(plan, &extracted, &claim, &world)).await;
    finished.map_err(|error| RestoreError::Worker(causes::of_worker(&error)))?
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> RestoreError {
    let path = path.to_path_buf();
    move |source| RestoreError::Directory {
        action,
        path,
        source,
    }
}
