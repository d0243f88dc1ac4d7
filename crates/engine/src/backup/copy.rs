//! From "backup started" to "everything is in the bucket": the archives, side by side.
//!
//! Each job takes the next planned archive, writes it on a blocking thread and uploads it. The
//! last archive of the data directory stays open until all the others are uploaded; then
//! `pg_control` is read, PostgreSQL is told to stop, and the tail closes the archive.

use std::collections::{BTreeMap, VecDeque};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use jiff::Timestamp;
use model::backup::contents::EntryKind;
use model::backup::plan::{CuttingRules, PlannedArchive, plan_archives};
use model::cloud::ArchiveSet;
use model::control_file::ControlFile;
use model::format::backup_label::{self, BackupLabel};
use model::format::backup_manifest::{FileEntry, ManifestTrailer, WalRange as ManifestRange};
use model::page::{PAGE_SIZE, PAGES_PER_FILE};
use model::wal::lsn::Lsn;
use model::wal::name::SegmentName;
use tokio::sync::oneshot;
use tokio::task::{JoinSet, spawn_blocking};

use super::archive::{Shared, SourceSet, Tail, TailMember, TailSlot, write_archive};
use super::control::read_control;
use super::gather::{Root, gather_entries};
use super::manifest::ManifestSpool;
use super::record::Record;
use super::request::{BackupRequest, OnDamage};
use super::session::{ServerFacts, Session, Stopped};
use super::source::DamagedPage;
use super::wal_arrival::{WalRange, wait_for_wal};
use super::{BackupError, World, step};
use crate::progress::Event;
use crate::upload::{StopFlag, Uploaded, part_channel, part_size, upload};

/// What is known after the copy.
pub struct Copied {
    pub stopped: Stopped,
    pub label: BackupLabel,
    /// The last segment the backup needs.
    pub end_wal: SegmentName,
    pub damaged: Vec<DamagedPage>,
    pub missing_wal: Vec<SegmentName>,
    /// Item name (`data` or a tablespace's OID) and the seconds spent on its archives.
    pub seconds_per_set: Vec<(String, f64)>,
    pub copy_seconds: f64,
}

/// The server's own words and its control file.
pub struct Cluster {
    pub facts: ServerFacts,
    pub control: ControlFile,
}

impl Cluster {
    /// Whether pages can be checked; a server built with other sizes lays them out differently.
    fn has_checksums(&self) -> bool {
        self.control.data_checksum_version > 0
            && self.control.page_size as usize == PAGE_SIZE
            && self.control.pages_per_file == PAGES_PER_FILE
    }
}

type Seconds = Arc<Mutex<BTreeMap<String, f64>>>;

/// The archives being written, and what steers them.
struct Jobs {
    workers: JoinSet<Result<(), BackupError>>,
    shared: Arc<Shared>,
    seconds: Seconds,
    files_done: oneshot::Receiver<()>,
    tail: oneshot::Sender<Tail>,
}

/// Copies everything, stops the backup in PostgreSQL and waits for its WAL.
///
/// # Errors
/// See [`BackupError`]; by then no archive is being written any more.
pub async fn copy_and_stop(
    request: &BackupRequest,
    world: &World,
    cluster: &Cluster,
    session: &mut Session,
    record: &Record,
) -> Result<Copied, BackupError> {
    let began = Instant::now();
    let facts = &cluster.facts;
    let check_from = cluster
        .has_checksums()
        .then_some(record.info.begin_xlog)
        .flatten();
    let shared = Arc::new(gather(request, world, facts, check_from).await?);
    let mut jobs = start_jobs(request, world, &shared, record);
    let files = wait_for_files(request, world, session, &mut jobs).await;
    let stopped = match files {
        Ok(()) => stop(facts, session, record, &shared).await,
        Err(error) => Err(error),
    };
    let (stopped, label, tail) = match stopped {
        Ok(stopped) => stopped,
        Err(error) => return Err(give_up(jobs, error).await),
    };
    // The last archive's worker is alive: it was waiting for the tail a moment ago. Should it have
    // failed since, its own result says why.
    drop(jobs.tail.send(tail));
    wait_for_all(world, &mut jobs.workers, &shared.stop).await?;
    let copy_seconds = began.elapsed().as_secs_f64();
    let damaged = std::mem::take(&mut *shared.damaged.lock().expect("no thread panicked"));
    judge_damage(request, &damaged)?;
    let end_wal = last_segment(facts, &label, stopped.lsn);
    let missing_wal = wait_for_segments(request, world, facts, &label, end_wal).await?;
    let seconds = jobs.seconds.lock().expect("no thread panicked").clone();
    Ok(Copied {
        stopped,
        label,
        end_wal,
        damaged,
        missing_wal,
        seconds_per_set: seconds.into_iter().collect(),
        copy_seconds,
    })
}

/// Lists all files.
async fn gather(
    request: &BackupRequest,
    world: &World,
    facts: &ServerFacts,
    check_from: Option<Lsn>,
) -> Result<Shared, BackupError> {
    let roots = roots(facts);
    let gathered = spawn_blocking(move || {
        let set = |(set, root): (ArchiveSet, Root)| {
            gather_entries(&root).map(|entries| SourceSet { set, root, entries })
        };
        roots.into_iter().map(set).collect::<Result<Vec<_>, _>>()
    });
    let sets = gathered
        .await
        .map_err(|error| BackupError::Worker(error.to_string()))??;
    let bytes = sets
        .iter()
        .flat_map(|set| &set.entries)
        .map(|entry| entry.size_bytes)
        .sum();
    world.progress.event(Event::Total { bytes });
    let files = |set: &SourceSet| {
        set.entries
            .iter()
            .filter(|entry| entry.kind == EntryKind::File)
            .count()
    };
    let count: usize = sets.iter().map(files).sum();
    step(
        world,
        &format!("copying {count} files, {}", model::size::pretty_size(bytes)),
    );
    Ok(Shared {
        sets,
        codec: request.codec,
        owner: owner(facts),
        check_from,
        manifest: ManifestSpool::create().map_err(spool_failed)?,
        damaged: Mutex::default(),
        stop: StopFlag::default(),
        progress: Arc::clone(&world.progress),
    })
}

/// Who owns the data directory: the members that no file stands behind get the same owner.
fn owner(facts: &ServerFacts) -> (u32, u32) {
    let metadata = std::fs::metadata(&facts.data_directory);
    metadata.map_or((0, 0), |metadata| (metadata.uid(), metadata.gid()))
}

fn roots(facts: &ServerFacts) -> Vec<(ArchiveSet, Root)> {
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
            major: facts.version.major(),
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

/// Configuration files outside the data directory: they are put into it by their names.
fn external_files(facts: &ServerFacts) -> Vec<PathBuf> {
    let files = [&facts.config_file, &facts.hba_file, &facts.ident_file];
    let paths = files.into_iter().flatten().map(PathBuf::from);
    paths
        .filter(|path| !path.starts_with(&facts.data_directory))
        .collect()
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

fn start_jobs(
    request: &BackupRequest,
    world: &World,
    shared: &Arc<Shared>,
    record: &Record,
) -> Jobs {
    let sizes = |set: &SourceSet| {
        (
            set.set,
            set.entries
                .iter()
                .map(|entry| entry.size_bytes)
                .collect::<Vec<_>>(),
        )
    };
    let sets: Vec<_> = shared.sets.iter().map(sizes).collect();
    let rules = CuttingRules {
        jobs: request.jobs.get(),
        max_archive_bytes: request.max_archive_bytes,
    };
    let plan = plan_archives(&sets, rules);
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
    for _ in 0..request.jobs.get() {
        let world = world.clone();
        let (queue, shared) = (Arc::clone(&queue), Arc::clone(shared));
        let (id, seconds) = (record.id, Arc::clone(&seconds));
        workers.spawn(async move {
            while let Some((archive, slot)) = { queue.lock().expect("no panic").pop_front() } {
                let began = Instant::now();
                let key = world.layout.archive(&id, &archive.name, shared.codec);
                let item = item_name(archive.name.set);
                run_archive(&world, &shared, &key, archive, slot).await?;
                let spent = began.elapsed().as_secs_f64();
                *seconds.lock().expect("no panic").entry(item).or_default() += spent;
            }
            Ok(())
        });
    }
    Jobs {
        workers,
        shared: Arc::clone(shared),
        seconds,
        files_done,
        tail,
    }
}

fn item_name(set: ArchiveSet) -> String {
    match set {
        ArchiveSet::Data => "data".to_owned(),
        ArchiveSet::Tablespace(oid) => oid.to_string(),
    }
}

/// Writes and uploads one archive.
async fn run_archive(
    world: &World,
    shared: &Arc<Shared>,
    key: &str,
    archive: PlannedArchive,
    slot: Option<TailSlot>,
) -> Result<(), BackupError> {
    let (writer, queue) = part_channel(part_size(&world.bucket, archive.size_bytes));
    let work = Arc::clone(shared);
    let write = spawn_blocking(move || write_archive(&work, &archive, writer, slot));
    let (uploaded, written) = tokio::join!(upload(&world.bucket, key, queue), write);
    // A refused part makes the writer fail too: the store's words are the cause.
    let uploaded = uploaded?;
    written.map_err(|error| BackupError::Worker(error.to_string()))??;
    match uploaded {
        Uploaded::Complete { .. } => Ok(()),
        Uploaded::Abandoned => Err(BackupError::Worker(format!("{key} was not finished"))),
    }
}

/// Waits until every archive but the last is uploaded and the last has all its files.
async fn wait_for_files(
    request: &BackupRequest,
    world: &World,
    session: &mut Session,
    jobs: &mut Jobs,
) -> Result<(), BackupError> {
    let mut cancel = world.cancel.clone();
    let mut files_done = false;
    let period = request.keepalive.unwrap_or(std::time::Duration::MAX / 4);
    while !files_done || jobs.workers.len() > 1 {
        tokio::select! {
            done = &mut jobs.files_done, if !files_done => {
                if done.is_err() {
                    // The last archive's worker failed: its result says why.
                    wait_for_all(world, &mut jobs.workers, &jobs.shared.stop).await?;
                    return Err(BackupError::Worker("no archive was left open".to_owned()));
                }
                files_done = true;
            }
            Some(worker) = jobs.workers.join_next() => joined(worker)?,
            () = tokio::time::sleep(period), if request.keepalive.is_some() => {
                session.keep_alive().await?;
            }
            _ = cancel.wait_for(|stop| *stop) => return Err(BackupError::Cancelled),
        }
    }
    Ok(())
}

async fn wait_for_all(
    world: &World,
    workers: &mut JoinSet<Result<(), BackupError>>,
    stop: &StopFlag,
) -> Result<(), BackupError> {
    let mut cancel = world.cancel.clone();
    let mut outcome = Ok(());
    loop {
        tokio::select! {
            worker = workers.join_next() => {
                let Some(worker) = worker else { return outcome };
                if let Err(error) = joined(worker) {
                    stop.raise();
                    outcome = outcome.and(Err(error));
                }
            }
            _ = cancel.wait_for(|stop| *stop), if outcome.is_ok() => {
                stop.raise();
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
async fn give_up(jobs: Jobs, error: BackupError) -> BackupError {
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

/// Reads `pg_control`, stops the backup, and puts the tail together.
async fn stop(
    facts: &ServerFacts,
    session: &mut Session,
    record: &Record,
    shared: &Shared,
) -> Result<(Stopped, BackupLabel, Tail), BackupError> {
    let mut members = vec![control_member(facts)?];
    for path in external_files(facts) {
        members.extend(configuration_member(&path)?);
    }
    let stopped = session
        .stop(facts, &format!("barman_{}", record.id))
        .await?;
    let label = backup_label::parse(&stopped.label);
    let label = label.map_err(|error| BackupError::Label(error.to_string()))?;
    let label_member = TailMember {
        path: "backup_label".to_owned(),
        mode: 0o644,
        mtime: 0,
        content: stopped.label.clone().into_bytes(),
    };
    for member in members.iter().chain([&label_member]) {
        let entry = FileEntry {
            path: member.path.clone().into_bytes(),
            size: member.content.len() as u64,
            modified: Timestamp::from_second(member.mtime as i64).unwrap_or_default(),
            crc32c: crc32c::crc32c(&member.content),
        };
        shared.manifest.add(&entry).map_err(spool_failed)?;
    }
    let range = ManifestRange {
        timeline: label.start_timeline,
        start: label.start_lsn,
        end: stopped.lsn,
    };
    let trailer = ManifestTrailer {
        wal_ranges: vec![range],
    };
    let manifest = shared
        .manifest
        .finish(facts.version, facts.system_id, &trailer);
    let manifest = manifest.map_err(spool_failed)?;
    Ok((
        stopped,
        label,
        Tail {
            members,
            manifest,
            label: label_member,
        },
    ))
}

fn control_member(facts: &ServerFacts) -> Result<TailMember, BackupError> {
    let (content, _) = read_control(facts)?;
    let mtime = Timestamp::now().as_second().max(0) as u64;
    Ok(TailMember {
        path: "global/pg_control".to_owned(),
        mode: 0o600,
        mtime,
        content,
    })
}

/// A configuration file from outside; a missing `pg_ident.conf` is no reason to fail.
fn configuration_member(path: &Path) -> Result<Option<TailMember>, BackupError> {
    let content = match std::fs::read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        content => content.map_err(|source| BackupError::Configuration {
            path: path.to_path_buf(),
            source,
        })?,
    };
    let mtime = Timestamp::now().as_second().max(0) as u64;
    Ok(Some(TailMember {
        path: file_name(path),
        mode: 0o600,
        mtime,
        content,
    }))
}

fn spool_failed(source: std::io::Error) -> BackupError {
    BackupError::Spool {
        directory: std::env::temp_dir().display().to_string(),
        source,
    }
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

/// The segment that holds the byte before the backup's end.
fn last_segment(facts: &ServerFacts, label: &BackupLabel, end: Lsn) -> SegmentName {
    let last_byte = Lsn::new(end.value().saturating_sub(1));
    SegmentName::from_lsn(label.start_timeline, last_byte, facts.segment_size)
}

async fn wait_for_segments(
    request: &BackupRequest,
    world: &World,
    facts: &ServerFacts,
    label: &BackupLabel,
    last: SegmentName,
) -> Result<Vec<SegmentName>, BackupError> {
    let range = WalRange {
        first: label.start_wal,
        last,
        segment_size: facts.segment_size,
    };
    // A server that archives nothing will not begin to while we wait.
    let archives = facts.archive_mode != "off";
    let patience = if archives {
        request.wal_patience
    } else {
        std::time::Duration::ZERO
    };
    step(world, &format!("waiting for WAL up to {last}"));
    Ok(wait_for_wal(world, &range, patience).await?)
}
