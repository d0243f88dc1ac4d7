//! From "backup started" to "everything is in the bucket".
//!
//! List the files, let the jobs archive them, stop the backup in PostgreSQL, send the tail, and
//! wait for the WAL. Always true: whatever fails, no archive is being written any more when the
//! error is returned.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use model::backup::contents::version_directory;
use model::codec::Codec;
use model::control_file::ControlFile;
use model::damage::DamagedPage;
use model::layout::ArchiveSet;
use model::page::{PAGE_SIZE, PAGES_PER_FILE};
use model::wal::lsn::Lsn;
use model::wal::span::WalRange;
use tokio::task::spawn_blocking;

use crate::archives::jobs::{Heartbeat, give_up, start_jobs, wait_for_all, wait_for_files};
use crate::archives::manifest::ManifestSpool;
use crate::archives::write::{Shared, SourceSet};
use crate::backup::error::BackupError;
use crate::backup::error::spool_failed;
use crate::backup::places::check_places;
use crate::backup::record::{Copied, Record};
use crate::backup::request::{BackupRequest, OnDamage};
use crate::backup::tail::{external_files, file_name, stop};
use crate::backup::wal_wait::WalWait;
use crate::backup::world::{BackupWorld, cancellable, step};
use crate::causes;
use crate::cluster::backup_session::StartedOn;
use crate::cluster::facts::ServerFacts;
use crate::cluster::session::Session;
use crate::progress::{Event, NotArchived, Step, Unverifiable, Warning};
use crate::source::walk::{GatherError, Root, gather_entries};
use crate::stop::StopFlag;

/// A backup that has started.
pub struct StartedBackup<'a> {
    pub request: &'a BackupRequest,
    pub world: &'a BackupWorld,
    pub cluster: Cluster,
    pub record: &'a mut Record,
}

/// The server's own words and its control file.
pub struct Cluster {
    pub facts: ServerFacts,
    pub control: ControlFile,
}

/// Whether pages can be checked; a server built with other sizes lays them out differently.
pub fn has_checksums(control: &ControlFile) -> bool {
    control.data_checksum_version > 0
        && control.page_size as usize == PAGE_SIZE
        && control.pages_per_file == PAGES_PER_FILE
}

/// Why no page is verified, if none is.
fn why_unverified(control: &ControlFile) -> Option<Unverifiable> {
    match (control.data_checksum_version, has_checksums(control)) {
        (_, true) => None,
        (0, _) => Some(Unverifiable::ChecksumsOff),
        _ => Some(Unverifiable::OtherPageSize),
    }
}

/// Copies everything, stops the backup in PostgreSQL and waits for its WAL.
///
/// # Errors
/// See [`BackupError`]; by then no archive is being written any more.
pub async fn copy_and_stop(
    work: &StartedBackup<'_>,
    session: &mut Session,
) -> Result<Copied, BackupError> {
    let StartedBackup {
        request,
        world,
        cluster,
        record,
    } = work;
    let began = Instant::now();
    let facts = &cluster.facts;
    let shared = Arc::new(gather(contents(work), request.codec, world).await?);
    let mut jobs = start_jobs(&request.rules, world, &shared, record.id).await?;
    let heartbeat = Heartbeat {
        session: &mut *session,
        period: request.keepalive,
        begun_on: if facts.in_recovery {
            StartedOn::Standby
        } else {
            StartedOn::Primary
        },
    };
    let files = wait_for_files(world, &mut jobs, Some(heartbeat)).await;
    // What was unmounted meanwhile looks like files that PostgreSQL has deleted.
    let there = files.and_then(|()| Ok(check_places(facts, &cluster.control)?));
    let stopped = match there {
        Ok(()) => cancellable(world, stop(facts, session, record, &shared))
            .await
            .flatten(),
        Err(error) => Err(error),
    };
    let ended = match stopped {
        Ok(ended) => ended,
        Err(error) => return Err(give_up(jobs, error).await),
    };
    jobs.send(ended.tail);
    wait_for_all(world, &mut jobs).await?;
    let copy_seconds = began.elapsed().as_secs_f64();
    let damaged = std::mem::take(&mut *shared.damaged.lock().expect("no thread panicked"));
    judge_damage(request, &damaged)?;
    let end_wal = ended.span.end_wal(facts.segment_size);
    step(world, Step::WaitingForWal { last: end_wal });
    let wait = WalWait {
        world,
        facts,
        range: WalRange {
            first: ended.label.start_wal,
            last: end_wal,
            segment_size: facts.segment_size,
        },
        patience: request.wal_patience,
    };
    let wal = wait.run(session).await;
    let seconds = jobs.seconds.lock().expect("no thread panicked").clone();
    Ok(Copied {
        stopped: ended.stopped,
        label: ended.label,
        end_wal,
        damaged,
        wal,
        seconds_per_set: seconds.into_iter().collect(),
        copy_seconds,
        sent: jobs.sent.clone(),
    })
}

fn contents(work: &StartedBackup<'_>) -> Contents {
    let cluster = &work.cluster;
    if let Some(why) = why_unverified(&cluster.control) {
        step(work.world, Step::PagesUnverified(why));
    }
    Contents {
        roots: roots(cluster),
        data: PathBuf::from(&cluster.facts.data_directory),
        check_from: has_checksums(&cluster.control)
            .then_some(work.record.info.begin_xlog)
            .flatten(),
    }
}

/// What is to be archived.
pub struct Contents {
    pub roots: Vec<(ArchiveSet, Root)>,
    /// The data directory, whose owner the members without a file get.
    pub data: PathBuf,
    /// See [`Shared::check_from`].
    pub check_from: Option<Lsn>,
}

/// Lists all files.
///
/// # Errors
/// When a directory cannot be read, or no temporary file can be made.
pub async fn gather(
    contents: Contents,
    codec: Codec,
    world: &BackupWorld,
) -> Result<Shared, BackupError> {
    let roots = contents.roots;
    let progress = Arc::clone(&world.progress);
    let gathered = spawn_blocking(move || {
        let mut note = |path: &Path, why: NotArchived| {
            progress.event(Event::Warning(Warning::NotArchived { path, why }));
        };
        let set = |(set, root): (ArchiveSet, Root)| {
            let entries = gather_entries(&root, &mut note);
            entries.map(|entries| SourceSet { set, root, entries })
        };
        roots.into_iter().map(set).collect::<Result<Vec<_>, _>>()
    });
    let sets = gathered
        .await
        .map_err(|error| BackupError::Worker(causes::of_worker(&error)))?
        .map_err(|error| match error {
            GatherError::Walk(error) => BackupError::Walk(error),
            GatherError::Spool(error) => spool_failed(error),
        })?;
    let bytes = sets.iter().map(|set| set.entries.total.bytes).sum();
    world.progress.event(Event::Total { bytes });
    let count: usize = sets.iter().map(|set| set.entries.file_count).sum();
    step(
        world,
        Step::Copying {
            file_count: count,
            bytes,
        },
    );
    Ok(Shared {
        sets,
        codec,
        owner: owner(&contents.data),
        check_from: contents.check_from,
        manifest: ManifestSpool::create().map_err(spool_failed)?,
        damaged: Mutex::default(),
        stop: StopFlag::default(),
        progress: Arc::clone(&world.progress),
        stages: Arc::clone(&world.stages),
    })
}

/// Who owns the data directory: the members that no file stands behind get the same owner.
fn owner(data: &Path) -> (u32, u32) {
    let metadata = std::fs::metadata(data);
    metadata.map_or((0, 0), |metadata| (metadata.uid(), metadata.gid()))
}

fn roots(cluster: &Cluster) -> Vec<(ArchiveSet, Root)> {
    let Cluster { facts, control } = cluster;
    let version_directory = version_directory(facts.version.major(), control.catalog_version);
    let data = PathBuf::from(&facts.data_directory);
    let locations = facts
        .tablespaces
        .iter()
        .map(|tablespace| PathBuf::from(&tablespace.location));
    let shadowed = external_files(facts)
        .into_iter()
        .map(|path| data.join(file_name(&path)));
    let leave_out = locations.chain(shadowed).collect();
    let tablespace = |tablespace: &model::backup::Tablespace| {
        let location = PathBuf::from(&tablespace.location);
        let root = Root::Tablespace {
            location,
            version_directory: version_directory.clone(),
        };
        (ArchiveSet::Tablespace(tablespace.oid), root)
    };
    let mut roots: Vec<_> = facts.tablespaces.iter().map(tablespace).collect();
    roots.push((
        ArchiveSet::Data,
        Root::Data {
            directory: data,
            leave_out,
        },
    ));
    roots
}

fn judge_damage(request: &BackupRequest, damaged: &[DamagedPage]) -> Result<(), BackupError> {
    match damaged.first() {
        Some(page) if request.on_damage == OnDamage::Fail => Err(BackupError::Damaged {
            count: damaged.len(),
            file: page.file.clone(),
            block: page.block,
        }),
        _ => Ok(()),
    }
}
