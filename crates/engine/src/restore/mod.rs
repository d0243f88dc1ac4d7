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
mod jobs;
mod places;
mod read_ahead;
mod verify;
mod write_behind;
mod written;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::backup::BackupInfo;
use model::backup::agreement::contradictions;
use model::cloud::Layout;
use model::control_file::ControlFile;
use model::format::backup_label;
use model::restore::effort::Effort;
use model::restore::plan::{
    CannotRestore, RestorePlan, RestoreRequest, StoredObject, plan_restore, target_directories,
};
use model::wal::lsn::Lsn;
use tokio::sync::watch;
use tokio::task::spawn_blocking;

pub use configuration::{Configuration, Lacking};
pub use extract::{ExtractError, LinkPolicy};
pub use verify::{Verified, VerifyError};

use crate::causes;
use crate::durable::{sync_directory, write_durably};
use crate::progress::{Event, Progress};
use crate::stages::Stages;
use crate::store::{Bucket, StoreError};
use claim::Claim;
use extract::HeldControl;
use jobs::{Extracted, extract_all};
use places::place_facts;

/// What a restore works with.
#[derive(Clone)]
pub struct World {
    pub bucket: Bucket,
    pub layout: Layout,
    pub links: LinkPolicy,
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
        let file = object.location.as_ref().strip_prefix(&prefix)?.to_owned();
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
    let plan = plan_restore(request, info, &objects, &places)?;
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
    let locations = plan.links.iter().map(|link| &link.location);
    let claim = Claim::take(std::iter::once(&plan.destination).chain(locations))?;
    let extracted = extract_all(&plan, world).await?;
    let world = world.clone();
    let finished = spawn_blocking(move || finish(plan, extracted, &world)).await;
    drop(claim);
    finished.map_err(|error| RestoreError::Worker(causes::of_worker(&error)))?
}

/// Makes a directory that no archive held, with the data directory's owner and mode: the server
/// must be able to write into it although root restored it.
fn make_inner_directory(destination: &Path, name: &str) -> Result<(), RestoreError> {
    let path = destination.join(name);
    let failed = |source| failed("make the directory", &path)(source);
    if path.is_dir() {
        return Ok(());
    }
    let top = fs::metadata(destination).map_err(failed)?;
    fs::DirBuilder::new()
        .mode(top.mode())
        .create(&path)
        .map_err(failed)?;
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&path, Some(top.uid()), Some(top.gid())).map_err(failed)?;
    }
    Ok(())
}

/// Everything after extraction, in the order that makes it safe.
fn finish(
    plan: RestorePlan,
    extracted: Extracted,
    world: &World,
) -> Result<Restored, RestoreError> {
    let Extracted { control, written } = extracted;
    let control = control.ok_or_else(|| RestoreError::Control("it is missing".to_owned()))?;
    let parsed = ControlFile::parse(&control.content);
    parsed.map_err(|error| RestoreError::Control(error.to_string()))?;
    let file_count = written.count();
    world.progress.event(Event::Step {
        text: "comparing with the backup manifest",
    });
    let begins = begins_of(&plan)?;
    let verified = verify::compare(&plan.destination, &begins, &written)?;
    if let Verified::ForeignManifest { begin } = verified {
        tell_foreign_manifest(begin, &*world.progress);
    }
    let configuration = configuration::complete(&plan.destination, &plan.configuration.path)?;
    link_tablespaces(&plan)?;
    for directory in ["pg_wal", "pg_wal/archive_status"] {
        make_inner_directory(&plan.destination, directory)?;
    }
    world.progress.event(Event::Step {
        text: "flushing to disk",
    });
    for target in std::iter::once(&plan.destination).chain(plan.links.iter().map(|l| &l.location)) {
        sync_tree(target)?;
    }
    place_control(&plan.destination, &control)?;
    Ok(Restored {
        plan,
        file_count,
        verified,
        configuration,
    })
}

/// Where the restored backup begins: by the label in its archives, which PostgreSQL goes by, or
/// where there is none, by its record.
///
/// # Errors
/// When the label is not this backup's.
fn begins_of(plan: &RestorePlan) -> Result<Vec<Lsn>, RestoreError> {
    let label = fs::read(plan.destination.join("backup_label")).ok();
    let label = label.and_then(|text| backup_label::parse(&String::from_utf8_lossy(&text)).ok());
    let Some(label) = label.map(|label| label.start_lsn) else {
        return Ok(plan.begins.clone());
    };
    match plan.begins.first() {
        Some(record) if !plan.begins.contains(&label) => {
            let record = *record;
            Err(RestoreError::OtherBackup { label, record })
        }
        _ => Ok(vec![label]),
    }
}

/// A standby has the manifest of the pg_basebackup that made it, and Barman archives that.
fn tell_foreign_manifest(begin: Option<Lsn>, progress: &dyn Progress) {
    let begin = begin.map_or_else(String::new, |begin| format!(": it begins at {begin}"));
    let text = format!(
        "the backup_manifest in the archives is another backup's{begin}; it was removed, and the \
         files were compared with nothing"
    );
    progress.event(Event::Warning { text: &text });
}

/// Links come from the backup's record, never from an archive.
fn link_tablespaces(plan: &RestorePlan) -> Result<(), RestoreError> {
    for link in &plan.links {
        let directory = plan.destination.join("pg_tblspc");
        make_inner_directory(&plan.destination, "pg_tblspc")?;
        let path = directory.join(link.oid.to_string());
        let made = std::os::unix::fs::symlink(&link.location, &path);
        made.map_err(failed("link the tablespace", &path))?;
    }
    Ok(())
}

/// One call flushes the whole file system: a million files need no million calls.
fn sync_tree(path: &Path) -> Result<(), RestoreError> {
    let directory = fs::File::open(path).map_err(failed("flush", path))?;
    rustix::fs::syncfs(&directory).map_err(|errno| failed("flush", path)(errno.into()))?;
    match path.parent() {
        Some(parent) => sync_directory(parent).map_err(failed("flush", parent)),
        None => Ok(()),
    }
}

fn place_control(destination: &Path, control: &HeldControl) -> Result<(), RestoreError> {
    make_inner_directory(destination, "global")?;
    let path = destination.join("global/pg_control");
    let failed = |source| failed("write", &path)(source);
    write_durably(&path, &control.content).map_err(failed)?;
    let file = fs::File::open(&path).map_err(failed)?;
    let mode = rustix::fs::Mode::from_raw_mode(control.mode);
    rustix::fs::fchmod(&file, mode).map_err(|errno| failed(errno.into()))?;
    if rustix::process::geteuid().is_root() {
        let owner = fs::metadata(destination).map_err(failed)?;
        std::os::unix::fs::chown(&path, Some(owner.uid()), Some(owner.gid())).map_err(failed)?;
    }
    file.sync_all().map_err(failed)
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> RestoreError {
    let path = path.to_path_buf();
    move |source| RestoreError::Directory {
        action,
        path,
        source,
    }
}
