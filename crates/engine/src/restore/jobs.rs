//! The archives of a backup, fetched and unpacked side by side.
//!
//! Each job takes one archive after another, the largest first. What becomes of their members is
//! [`super::extract`]'s. Always true: when [`extract_all`] has returned, no job writes any more,
//! and after the first failure none begins another archive.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use model::codec::Codec;
use model::layout::ArchiveSet;
use model::restore::effort::Effort;
use model::restore::extraction::{Extraction, TablespaceLink};
use model::restore::members::MemberRules;
use model::restore::plan::RestorePlan;
use tokio::task::{JoinSet, spawn_blocking};

use super::claim::Claim;
use super::error::{RestoreError, failed};
use super::extract::{ExtractTarget, Noted, extract};
use super::member_error::ExtractError;
use super::pages::Pages;
use super::read_ahead::ReadAhead;
use super::second_names::HeldControl;
use super::second_names::SecondNames;
use super::world::RestoreWorld;
use super::written::WrittenList;
use crate::causes;
use crate::codec::decoder;
use crate::download::{Download, Object, Watch, open_in_ranges};
use crate::progress::{Event, Progress};
use crate::stages::{Stage, Stages, Timed};
use crate::stop::StopFlag;

/// What came out of the archives, besides the files that are in their places.
pub struct Extracted {
    /// Of the data directory, if an archive held it.
    pub control: Option<HeldControl>,
    pub noted: Arc<Noted>,
}

/// Extracts every archive, several at a time.
///
/// # Errors
/// The first failure, when every job has stopped.
pub async fn extract_all(
    plan: &RestorePlan,
    claim: &Arc<Claim>,
    world: &RestoreWorld,
) -> Result<Extracted, RestoreError> {
    let written = WrittenList::create_in(claim.destination());
    let noted = Arc::new(Noted {
        written: written.map_err(failed("write into", &plan.destination))?,
        second_names: SecondNames::default(),
        pages: Pages::older_than(plan.check_from),
    });
    let inside = |link: &TablespaceLink| (link.oid, plan.inside.get(&link.oid).cloned());
    // Large archives first, so that none is begun when the others are done.
    let mut extractions = plan.extractions.clone();
    extractions.sort_by_key(|extraction| std::cmp::Reverse(extraction.size_bytes));
    let job = UnpackJob {
        world: world.clone(),
        base: world.repository.bases.layout.base(&plan.backup),
        effort: plan.effort,
        unpacking: if plan.extractions.len() < plan.effort.jobs {
            Unpacking::Ahead
        } else {
            Unpacking::Beside
        },
        queue: Arc::new(Mutex::new(VecDeque::from(extractions))),
        claim: Arc::clone(claim),
        tablespaces: plan.links.iter().map(inside).collect(),
        noted: Arc::clone(&noted),
        watch: Watch {
            stop: StopFlag::default(),
            stages: Arc::clone(&world.stages),
            ..Watch::default()
        },
    };
    let mut workers = JoinSet::new();
    for _ in 0..plan.effort.jobs.min(plan.extractions.len()) {
        workers.spawn(job.clone().run());
    }
    let control = collect(workers, world, &job.watch.stop).await?;
    Ok(Extracted { control, noted })
}

/// Waits until every job has ended; after the first failure, and when the restore is to be given
/// up, they are told to stop.
async fn collect(
    mut workers: JoinSet<Result<Option<HeldControl>, RestoreError>>,
    world: &RestoreWorld,
    stop: &StopFlag,
) -> Result<Option<HeldControl>, RestoreError> {
    let mut control = Ok(None);
    loop {
        tokio::select! {
            worker = workers.join_next() => {
                let Some(worker) = worker else { return control };
                let failed = |error| RestoreError::Worker(causes::of_worker(&error));
                let worker = worker.map_err(failed);
                match (worker.flatten(), &mut control) {
                    (Ok(Some(_)), Ok(Some(_))) => {
                        stop.raise();
                        control = Err(RestoreError::Control("two archives have it".to_owned()));
                    }
                    (Ok(one), Ok(control)) => *control = one.or(control.take()),
                    (Err(error), Ok(_)) => {
                        stop.raise();
                        control = Err(error);
                    }
                    (_, Err(_)) => {}
                }
            }
            () = world.stop.raised(), if control.is_ok() => {
                stop.raise();
                control = Err(RestoreError::Cancelled);
            }
        }
    }
}

/// One of the jobs; all work on the same queue.
#[derive(Clone)]
struct UnpackJob {
    world: RestoreWorld,
    /// Where the backup's archives are, without a slash at the end.
    base: String,
    effort: Effort,
    unpacking: Unpacking,
    queue: Arc<Mutex<VecDeque<Extraction>>>,
    claim: Arc<Claim>,
    /// Those inside the data directory with their places there.
    tablespaces: BTreeMap<u32, Option<PathBuf>>,
    noted: Arc<Noted>,
    watch: Watch,
}

/// Where an archive is decompressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unpacking {
    /// On the thread that makes its files.
    Beside,
    /// On a thread of its own.
    Ahead,
}

impl UnpackJob {
    /// Works until the queue is empty or something fails; returns the control file if it met it.
    async fn run(self) -> Result<Option<HeldControl>, RestoreError> {
        let mut control = None;
        while let Some(next) = self.next() {
            match (self.extract(next).await?, &control) {
                (Some(_), Some(_)) => {
                    return Err(RestoreError::Control("two archives have it".to_owned()));
                }
                (Some(one), None) => control = Some(one),
                (None, _) => {}
            }
        }
        Ok(control)
    }

    fn next(&self) -> Option<Extraction> {
        let mut queue = self.queue.lock().expect("no thread panics holding it");
        queue.pop_front()
    }

    async fn extract(&self, extraction: Extraction) -> Result<Option<HeldControl>, RestoreError> {
        let key = format!("{}/{}", self.base, extraction.file);
        let object = Object {
            key: &key,
            size_bytes: extraction.size_bytes,
            requests: self.effort.requests,
        };
        let bucket = &self.world.repository.bases.bucket;
        let download = tokio::select! {
            biased;
            () = self.watch.stop.raised() => return Err(RestoreError::Cancelled),
            opened = open_in_ranges(bucket, object, &self.watch) => opened?,
        };
        let source = Counted {
            download,
            progress: Arc::clone(&self.world.progress),
        };
        let job = self.clone();
        let done = spawn_blocking(move || job.unpack_into_place(&extraction, source)).await;
        let done = done.map_err(|error| RestoreError::Worker(causes::of_worker(&error)))?;
        done.map_err(|source| RestoreError::Extract {
            object: bucket.address(&key),
            source,
        })
    }

    fn unpack_into_place(
        &self,
        extraction: &Extraction,
        source: Counted,
    ) -> Result<Option<HeldControl>, ExtractError> {
        let prefix = match extraction.archive.set {
            ArchiveSet::Data => String::new(),
            ArchiveSet::Tablespace(oid) => format!("pg_tblspc/{oid}/"),
        };
        let target = ExtractTarget {
            place: self.claim.place(&extraction.target),
            prefix,
            rules: MemberRules::new(extraction.archive.set, self.tablespaces.clone()),
            links: self.world.links,
            stop: &self.watch.stop,
            stages: &self.watch.stages,
            progress: &*self.world.progress,
            noted: &self.noted,
        };
        let unpacked = self
            .unpacking
            .unpack(extraction.codec, source, &self.watch.stages);
        extract(unpacked.map_err(ExtractError::Archive)?, &target)
    }
}

impl Unpacking {
    fn unpack(
        self,
        codec: Codec,
        source: Counted,
        stages: &Arc<Stages>,
    ) -> io::Result<Box<dyn io::Read>> {
        let its_stages = Arc::clone(stages);
        let open = move || {
            let decoded = decoder(codec, source)?;
            Ok(Timed::new(decoded, Stage::Unpack, &its_stages))
        };
        Ok(match self {
            Unpacking::Beside => Box::new(open()?),
            Unpacking::Ahead => Box::new(ReadAhead::start(open, stages)?),
        })
    }
}

/// Reports what is read as progress.
struct Counted {
    download: Download,
    progress: Arc<dyn Progress>,
}

impl io::Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.download.read(buffer)?;
        self.progress.event(Event::Advance {
            bytes: count as u64,
        });
        Ok(count)
    }
}
