//! Taking a base backup of a local cluster into an object store.
//!
//! The order makes any crash safe: a record with status STARTED first, then the archives, and the
//! record with status DONE last, once the WAL has arrived, too (else WAITING_FOR_WALS); whatever
//! fails, the record says FAILED and why. A process that is killed leaves STARTED, which no reader
//! takes for a backup. PostgreSQL ends the backup by itself
//! when the session is gone.

mod earlier;
pub(crate) mod error;
mod methods;
mod places;
mod record;
pub(crate) mod request;
mod tail;
mod wal_arrival;
mod wal_wait;
pub(crate) mod world;

use std::time::{Duration, Instant};

pub use crate::source::walk::WalkError;
pub use error::{ArchiveError, BackupError};
pub use methods::existing::{TakenBackup, send_taken};
pub use places::PlaceError;
pub use request::{BackupOutcome, BackupRequest, OnDamage, Rules};
pub use wal_wait::{MissingCause, WalFate};
pub use world::BackupWorld;

use crate::archives::confirm::confirm_archives;
use crate::cluster::backup_session::CheckpointMode;
use crate::cluster::control;
use crate::cluster::facts::ServerFacts;
use crate::cluster::session::Session;
use crate::progress::{Event, Step, Warning};
use methods::local;
use record::{Copied, Record, note_damage};
use world::{cancellable, step};

/// Takes a base backup of the server that is reached so.
///
/// # Errors
/// See [`BackupError`]. Once the backup had started, the catalogue has its record as FAILED; when
/// not even that could be written, a warning event says so.
pub async fn take_backup(
    request: BackupRequest,
    server: &postgres::Config,
    world: &BackupWorld,
) -> Result<BackupOutcome, BackupError> {
    // What cannot fit any cluster is told before anything is begun.
    request
        .rules
        .effort(request.codec, 0, &world.repository.bases.bucket)?;
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
    let mut work = local::StartedBackup {
        request: &request,
        world,
        cluster: local::Cluster { facts, control },
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
async fn note_failure(record: &mut Record, error: &BackupError, world: &BackupWorld) {
    record.fail(error);
    let backup = record.id;
    let warning = match record.save(world).await {
        Ok(()) => return,
        // Its record goes last: what is still there came later, and no later deletion finds it.
        Err(BackupError::Deleted { .. }) => match record.sweep(world).await {
            Ok(()) => return,
            Err(error) => Warning::PartsLeft {
                backup,
                cause: &error.to_string(),
            },
        },
        Err(BackupError::Changed { .. }) => return,
        Err(unsaved) => Warning::RecordUnsaved {
            backup,
            cause: &unsaved.to_string(),
        },
    };
    world.progress.event(Event::Warning(warning));
}

/// From the reserved record to the finished one.
async fn run(
    work: &mut local::StartedBackup<'_>,
    session: &mut Session,
) -> Result<Copied, BackupError> {
    let world = work.world;
    let label = format!("{} {}", work.request.label, work.record.id);
    step(world, Step::StartingBackup(work.record.id));
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
    let copied = local::copy_and_stop(work, session).await?;
    note_damage(world, &work.record.id, &copied.damaged).await?;
    // A deleted backup has lost its archives too, and no store is to blame.
    work.record.check(world).await?;
    confirm_archives(world, &work.record.id, &copied.sent).await?;
    work.record.finish(&copied);
    work.record.save(world).await?;
    Ok(copied)
}

/// Tells every second how long the server has been at its checkpoint.
async fn telling_of_checkpoint<T>(
    world: &BackupWorld,
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
fn warn_of_places(facts: &ServerFacts, world: &BackupWorld) {
    for tablespace in places::tablespaces_inside(facts) {
        let warning = Warning::TablespaceInside(tablespace);
        world.progress.event(Event::Warning(warning));
    }
    let left_out: Vec<_> = tail::left_out_files(facts).collect();
    if !left_out.is_empty() {
        let warning = Warning::ConfigurationNotArchived { files: &left_out };
        world.progress.event(Event::Warning(warning));
    }
}
