//! Taking a base backup of a local cluster into an object store.
//!
//! The order makes any crash safe: a record with status STARTED first, then the archives, and the
//! record with status DONE last, once the WAL has arrived, too (else WAITING_FOR_WALS); whatever
//! fails, the record says FAILED and why. A process that is killed leaves STARTED, which no reader
//! takes for a backup. PostgreSQL ends the backup by itself
//! when the session is gone.

mod archive;
mod archiving;
mod confirm;
mod control;
mod copy;
mod earlier;
mod entries;
mod gather;
mod job;
mod jobs;
mod manifest;
mod names;
mod places;
mod record;
mod request;
mod sample;
mod session;
mod source;
mod tail;
mod taken;
mod wal_arrival;
mod wal_wait;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use model::backup::effort::TooLittleMemory;
use model::layout::Layout;
use model::postgres::SystemId;
use model::wal::name::SegmentName;
use tokio::sync::watch;

pub use archive::ArchiveError;
pub use archiving::Archiving;
pub use control::ControlError;
pub use gather::WalkError;
pub use places::PlaceError;
pub use request::{BackupOutcome, BackupRequest, CheckpointMode, OnDamage, Rules};
pub use session::{Grants, SessionError};
pub use taken::{TakenBackup, send_taken};
pub use wal_wait::{MissingCause, WalFate};

use crate::progress::{Event, Progress};
use crate::stages::Stages;
use crate::store::{Bucket, StoreError, TagSet};
use record::{Copied, Record, note_damage};
use session::{ServerFacts, Session};

/// What a backup works with.
#[derive(Clone)]
pub struct World {
    pub bucket: Bucket,
    pub layout: Layout,
    /// What every object of the backup is tagged with.
    pub tags: TagSet,
    pub progress: Arc<dyn Progress>,
    /// Where the time goes.
    pub stages: Arc<Stages>,
    /// Becomes true when the backup is to be given up.
    pub cancel: watch::Receiver<bool>,
}

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error(transparent)]
    Session(#[from] SessionError),
    #[error(transparent)]
    Control(#[from] ControlError),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An archive's upload failed, in the middle of the backup.
    #[error(transparent)]
    Upload(StoreError),
    #[error(transparent)]
    Walk(#[from] WalkError),
    #[error(transparent)]
    Place(#[from] PlaceError),
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error("cannot keep the list of files in {directory}")]
    Spool {
        directory: String,
        #[source]
        source: std::io::Error,
    },
    #[error("the backup label that PostgreSQL returned is not usable: {0}")]
    Label(String),
    #[error(
        "archive_mode is off and nothing receives the server's WAL: a backup could never be \
         restored"
    )]
    NotArchived,
    #[error(
        "{archive} has segment {segment} of another system (system identifier {found}), so the \
         WAL of this server (system identifier {expected}) cannot be archived there"
    )]
    ForeignArchive {
        archive: String,
        segment: SegmentName,
        found: SystemId,
        expected: SystemId,
    },
    #[error(
        "tablespace {name} (OID {oid}) was being made when the backup began, and is in none of \
         its archives"
    )]
    LostTablespace { name: String, oid: u32 },
    #[error("cannot read {path}, the history of the timeline that the standby is on now")]
    History {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{path} does not lead back to where the backup began: {cause}")]
    OtherHistory { path: PathBuf, cause: String },
    #[error("cannot read the configuration file {path}")]
    Configuration {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{0} cannot be backed up: another configuration file has the same name")]
    SameName(PathBuf),
    #[error("{count} damaged pages in the cluster; the first is block {block} of {file}")]
    Damaged {
        count: usize,
        file: String,
        block: u32,
    },
    #[error("cannot send the backup in {directory}: {cause}")]
    Taken { directory: PathBuf, cause: String },
    #[error("the object store has confirmed {object}, and it is not there")]
    Forgotten { object: String },
    #[error("{object} was sent with {sent} bytes and has {found}")]
    OtherSize {
        object: String,
        sent: u64,
        found: u64,
    },
    /// Nothing of this backup may be called complete any more.
    #[error("somebody has deleted the backup while it ran: {record} is gone")]
    Deleted { record: String },
    #[error("somebody has changed the backup while it ran: {record} is not as it was written")]
    Changed { record: String },
    #[error(transparent)]
    Memory(#[from] TooLittleMemory),
    #[error("the backup was stopped by a signal")]
    Cancelled,
    #[error("a worker ended unexpectedly: {0}")]
    Worker(String),
}

/// Takes a base backup of the server that is reached so.
///
/// # Errors
/// See [`BackupError`]. Once the backup had started, the catalogue has its record as FAILED; when
/// not even that could be written, a warning event says so.
pub async fn take_backup(
    request: BackupRequest,
    server: &postgres::Config,
    world: &World,
) -> Result<BackupOutcome, BackupError> {
    // What cannot fit any cluster is told before anything is begun.
    request.rules.effort(request.codec, 0, &world.bucket)?;
    let mut session = Session::open(server).await?;
    let facts = session.gather_facts().await?;
    let control = control::check_same_cluster(&facts)?;
    places::check_places(&facts, &control)?;
    if let Some(store) = &request.store_directory {
        places::check_apart(&facts, store)?;
    }
    tail::check_external_files(&facts)?;
    earlier::check_place(&request, &facts, &mut session, world).await?;
    warn_of_places(&facts, world);
    let mut record = Record::reserve(&request, &facts, control.redo_lsn, world).await?;
    let mut work = copy::Work {
        request: &request,
        world,
        cluster: copy::Cluster { facts, control },
        record: &mut record,
    };
    match run(&mut work, &mut session).await {
        Ok(copied) => {
            wal_arrival::settle_others(world, &work.record.id).await;
            let archiving = work.cluster.facts.archiving;
            Ok(BackupOutcome {
                id: record.id,
                info: record.info,
                damaged: copied.damaged,
                wal: copied.wal,
                archiving,
            })
        }
        Err(error) => {
            note_failure(&mut record, &error, world).await;
            Err(error)
        }
    }
}

/// Leaves a record that says why; of a backup that somebody has deleted, nothing is left.
async fn note_failure(record: &mut Record, error: &BackupError, world: &World) {
    record.fail(error);
    let unsaved = match record.save(world).await {
        Ok(()) => return,
        // Its record goes last: what is still there came later, and no later deletion finds it.
        Err(BackupError::Deleted { .. }) => match record.sweep(world).await {
            Ok(()) => return,
            Err(error) => format!(
                "parts of the deleted backup {} are left: {error}",
                record.id
            ),
        },
        Err(BackupError::Changed { .. }) => return,
        Err(unsaved) => format!("the record of {} still says STARTED: {unsaved}", record.id),
    };
    world.progress.event(Event::Warning { text: &unsaved });
}

/// From the reserved record to the finished one.
async fn run(work: &mut copy::Work<'_>, session: &mut Session) -> Result<Copied, BackupError> {
    let world = work.world;
    let label = format!("Barman backup cloud {}", work.record.id);
    step(world, &format!("starting backup {}", work.record.id));
    let checkpoint = work.request.checkpoint;
    let usual =
        (checkpoint == CheckpointMode::Spread).then_some(work.cluster.facts.spread_checkpoint);
    let starting = telling_of_checkpoint(world, usual, session.start(&label, checkpoint));
    let started = cancellable(world, starting).await??;
    control::check_same_server(&work.cluster.facts, started.lsn)?;
    // The checkpoint may have taken long. Whatever came until now is in PostgreSQL's own list.
    work.cluster.facts.tablespaces = session.gather_tablespaces().await?;
    work.record.begin(&started);
    work.record.note_tablespaces(&work.cluster.facts);
    work.record.save(world).await?;
    let copied = copy::copy_and_stop(work, session).await?;
    note_damage(world, &work.record.id, &copied.damaged).await?;
    // A deleted backup has lost its archives too, and no store is to blame.
    work.record.check(world).await?;
    confirm::confirm_archives(world, &work.record.id, &copied.sent).await?;
    work.record.finish(&copied);
    work.record.save(world).await?;
    Ok(copied)
}

/// Tells every second how long the server has been at its checkpoint.
async fn telling_of_checkpoint<T>(
    world: &World,
    usual: Option<Duration>,
    work: impl Future<Output = T>,
) -> T {
    let began = Instant::now();
    tokio::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            () = tokio::time::sleep(Duration::from_secs(1)) => {
                let waited = began.elapsed();
                world.progress.event(Event::Checkpoint { waited, usual });
            }
        }
    }
}

/// What is archived, and yet makes a restore harder than it looks.
fn warn_of_places(facts: &ServerFacts, world: &World) {
    for tablespace in places::tablespaces_inside(facts) {
        let text = format!(
            "tablespace {} lies inside the data directory, at {}: PostgreSQL advises against it, \
             and a restore to another place must give it another place too",
            tablespace.name, tablespace.location
        );
        world.progress.event(Event::Warning { text: &text });
    }
    let left_out: Vec<_> = tail::left_out_files(facts).collect();
    if !left_out.is_empty() {
        let text = format!(
            "the configuration includes files outside the data directory, which are not in the \
             backup; keep copies of them: {}",
            left_out.join(", ")
        );
        world.progress.event(Event::Warning { text: &text });
    }
}

fn step(world: &World, text: &str) {
    world.progress.event(Event::Step { text });
}

/// Waits for `work` or for the signal to give up.
async fn cancellable<T>(world: &World, work: impl Future<Output = T>) -> Result<T, BackupError> {
    let mut cancel = world.cancel.clone();
    tokio::select! {
        done = work => Ok(done),
        _ = cancel.wait_for(|stop| *stop) => Err(BackupError::Cancelled),
    }
}
