//! Fetching ahead for `barman-cloud-wal-restore`: the spool, and the process that fills it.
//!
//! That process is this program again, in a session of its own: recovery waits neither for it nor
//! for what it holds open. Always true: it ends with status 0 whatever happens, for where
//! PostgreSQL is the first process of a container it becomes PostgreSQL's child, which takes any
//! other end for the crash of a session.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use engine::process;
use engine::wal::fetch::FetchRequest;
use engine::wal::prefetch::{Ended, PrefetchRequest, prefetch};
use engine::wal::spool::{Spool, Taken};
use model::postgres::SegmentSize;
use model::wal::ahead::fingerprint;
use model::wal::name::{SegmentName, WalName};

use crate::failure::{Failure, Kind};
use crate::options::place::StorePlace;
use crate::output::cloud_log::{Level, Log};
use crate::runtime::{self, Threads};

/// The option that makes this program the process that fetches ahead.
pub const WORKER_OPTION: &str = "prefetch-worker";

/// How long nobody tries again after a failure, and at the end of the archive.
const REST_AFTER_TROUBLE: Duration = Duration::from_secs(30);
const REST_AT_THE_END: Duration = Duration::from_secs(2);

/// What is fetched ahead, and where it is kept.
pub struct Prefetcher<'a> {
    place: &'a StorePlace,
    spool: Spool,
    segment_count: usize,
    log: &'a Log,
}

/// The options that say so.
pub struct PrefetchChoice<'a> {
    pub segment_count: usize,
    pub spool_dir: &'a Path,
    /// Where recovery wants its files: a spool serves one recovery.
    pub destination: &'a Path,
}

impl<'a> Prefetcher<'a> {
    /// Opens the spool of this recovery. Without one recovery goes on all the same.
    pub fn open(
        place: &'a StorePlace,
        choice: &PrefetchChoice<'_>,
        log: &'a Log,
    ) -> Option<Prefetcher<'a>> {
        // Like Barman's: one file at a time means none ahead.
        if choice.segment_count < 2 {
            return None;
        }
        match open_spool(place, choice) {
            Ok(spool) => Some(Prefetcher {
                place,
                spool,
                segment_count: choice.segment_count,
                log,
            }),
            Err(failure) => {
                let text = format!("nothing is fetched ahead: {}", failure.what);
                log.line(Level::Warning, &text);
                None
            }
        }
    }

    /// Hands a segment out if the spool has it.
    pub fn take(&self, request: &FetchRequest) -> Result<bool, Failure> {
        let WalName::Segment(segment) = &request.name else {
            return Ok(false);
        };
        let taken = self.spool.take(segment, &request.destination)?;
        match taken {
            Taken::Placed(size) => {
                let text = format!("{segment} is taken from the spool");
                self.log.line(Level::Info, &text);
                self.start(size);
                Ok(true)
            }
            Taken::Absent => Ok(false),
            Taken::Refused(cause) => {
                let text = format!("{segment} in the spool is of no use: {cause}");
                self.log.line(Level::Warning, &text);
                Ok(false)
            }
        }
    }

    /// Goes on after a segment that was fetched directly.
    pub fn follow(&self, segment: &SegmentName, size: SegmentSize) {
        match self.spool.note_position(segment) {
            Ok(()) => self.start(size),
            Err(error) => {
                let folder = self.spool.folder().display();
                let text = format!("nothing is fetched ahead: cannot write to {folder}: {error}");
                self.log.line(Level::Warning, &text);
            }
        }
    }

    /// Starts the process that fetches ahead, unless one runs or rests.
    fn start(&self, size: SegmentSize) {
        let Some(lock) = self.spool.lock() else {
            if let Some(trouble) = self.spool.trouble() {
                let text = format!("nothing is fetched ahead for a while: {trouble}");
                self.log.line(Level::Warning, &text);
            }
            return;
        };
        let word = format!("--{WORKER_OPTION}={}", size.bytes());
        if let Err(error) = process::start_again(&word, lock.0) {
            let text = format!("nothing is fetched ahead: cannot start: {error}");
            self.log.line(Level::Warning, &text);
        }
    }

    /// The work of the process that fetches ahead; returns when there is nothing left to do.
    pub fn work(&self, size: SegmentSize) -> Result<(), Failure> {
        // Before anything of our own is open.
        process::detach();
        let Some(lock) = self.spool.adopt(&std::io::stdin()) else {
            let text = format!("--{WORKER_OPTION} is for this program's own use");
            return Err(Failure::new(Kind::Usage, text));
        };
        self.spool.clear_trouble();
        let request = &PrefetchRequest {
            segment_size: size,
            segment_count: self.segment_count,
        };
        let run = || {
            runtime::run_until_done(Threads::One, self.log, |stop| async move {
                let shelf = self.place.open().await?;
                // Nothing that was mounted here shall have to wait for us.
                let _ = std::env::set_current_dir("/");
                Ok(prefetch(&shelf, (&self.spool, request), &stop).await?)
            })
        };
        // A mistake of ours is no crash of PostgreSQL either.
        let ended = catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| {
            let what = "a mistake in the program stopped it";
            Err(Failure::new(Kind::Other, what))
        });
        match ended {
            Ok(Ended::NothingMore) => lock.rest_for(REST_AT_THE_END),
            Ok(Ended::Idle | Ended::Limit | Ended::Stopped) => {}
            Err(failure) => {
                self.spool.note_trouble(&failure.what);
                lock.rest_for(REST_AFTER_TROUBLE);
            }
        }
        Ok(())
    }
}

fn open_spool(place: &StorePlace, choice: &PrefetchChoice<'_>) -> Result<Spool, Failure> {
    let failed = |path: &Path, error| {
        Failure::new(
            Kind::Other,
            format!("cannot use {}: {error}", path.display()),
        )
    };
    let wal_directory = match choice.destination.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let wal_directory = wal_directory
        .canonicalize()
        .map_err(|error| failed(wal_directory, error))?;
    let own = fingerprint(&[
        &place.address()?,
        place.layout().server_root(),
        &wal_directory.to_string_lossy(),
    ]);
    let spool_dir = std::path::absolute(choice.spool_dir);
    let spool_dir: PathBuf = spool_dir.map_err(|error| failed(choice.spool_dir, error))?;
    Ok(Spool::open(spool_dir.join(format!("barman-rs-{own}")))?)
}
