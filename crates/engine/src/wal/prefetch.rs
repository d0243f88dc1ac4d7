//! Keeping the next segments in a spool while recovery replays: the work of a background process.
//!
//! Follows the position that each hand-out notes, fetches what comes next, several at a time, and
//! removes what recovery has passed. Always true: it ends by itself, when the store has no more,
//! when nobody asked for anything for a while, after [`LONGEST_LIFE`] and [`MOST_SEGMENTS`], and
//! at the first failure; recovery never depends on it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use model::codec::Codec;
use model::postgres::SegmentSize;
use model::wal::ahead::Position;
use model::wal::name::{SegmentName, WalName};
use tokio::task::spawn_blocking;

use super::error::FetchError;
use super::lookup::{list, prefix};
use super::receive::{Expected, open_decoded, receive};
use super::spool::Spool;
use crate::causes;
use crate::repository::Shelf;
use crate::stop::StopFlag;
use crate::store::{Bucket, StoreError};

/// Recovery that asks for nothing for so long has ended, or is too slow to need us.
pub const LONGEST_IDLE: Duration = Duration::from_secs(60);
/// The next hand-out starts another process.
pub const LONGEST_LIFE: Duration = Duration::from_secs(3600);
/// As [`LONGEST_LIFE`], counted in segments.
pub const MOST_SEGMENTS: usize = 20_000;
/// More than this at the same time brings nothing but memory.
const MOST_AT_A_TIME: usize = 8;
/// How often the position is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// What a listing did not have is not asked for again before this.
const LIST_AGAIN: Duration = Duration::from_secs(2);

/// What to keep in a spool.
#[derive(Debug, Clone)]
pub struct PrefetchRequest {
    /// Of the cluster that recovers.
    pub segment_size: SegmentSize,
    /// How many segments ahead.
    pub segment_count: usize,
}

/// Why a prefetch ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The store has nothing that comes next.
    NothingMore,
    /// Nobody asked for anything.
    Idle,
    /// Long enough, or far enough.
    Limit,
    /// By the stop flag.
    Stopped,
}

/// Keeps a spool filled until there is a reason to end. The caller holds the spool's lock.
///
/// # Errors
/// When a segment that the store has cannot be fetched or kept.
pub async fn prefetch(
    shelf: &Shelf,
    (spool, request): (&Spool, &PrefetchRequest),
    stop: &StopFlag,
) -> Result<Ended, FetchError> {
    spool.clear_abandoned();
    let halt = StopFlag::default();
    let mut work = Prefetch {
        shelf,
        spool,
        halt: &halt,
        archive: Archive::default(),
        coming: BTreeSet::new(),
        arrivals: FuturesUnordered::new(),
    };
    let ended = tokio::select! {
        biased;
        () = stop.raised() => Ok(Ended::Stopped),
        ended = work.follow(request) => ended,
    };
    // Whatever still comes must have let go of its temporary file before the process ends.
    halt.raise();
    while work.arrivals.next().await.is_some() {}
    if matches!(ended, Ok(Ended::Idle)) {
        // Nobody is left to take them, or to remove them later.
        for segment in spool.held().unwrap_or_default() {
            spool.discard(&segment);
        }
    }
    ended
}

type Arrival<'a> = BoxFuture<'a, (SegmentName, Result<(), FetchError>)>;

struct Prefetch<'a> {
    shelf: &'a Shelf,
    spool: &'a Spool,
    halt: &'a StopFlag,
    archive: Archive,
    coming: BTreeSet<SegmentName>,
    arrivals: FuturesUnordered<Arrival<'a>>,
}

impl Prefetch<'_> {
    async fn follow(&mut self, request: &PrefetchRequest) -> Result<Ended, FetchError> {
        let began = Instant::now();
        let mut last: Option<(SegmentName, Instant)> = None;
        let mut fetched = 0;
        loop {
            let Some(segment) = self.spool.position() else {
                return Ok(Ended::Idle);
            };
            match last {
                Some((before, since)) if before == segment => {
                    if since.elapsed() > LONGEST_IDLE {
                        return Ok(Ended::Idle);
                    }
                }
                _ => last = Some((segment, Instant::now())),
            }
            if began.elapsed() > LONGEST_LIFE || fetched >= MOST_SEGMENTS {
                return Ok(Ended::Limit);
            }
            let position = Position {
                segment,
                size: request.segment_size,
                segment_count: request.segment_count,
            };
            if self.is_at_the_end(position).await? {
                return Ok(Ended::NothingMore);
            }
            tokio::select! {
                Some((segment, arrived)) = self.arrivals.next() => {
                    self.coming.remove(&segment);
                    arrived?;
                    fetched += 1;
                }
                () = tokio::time::sleep(LOOK_AGAIN) => {}
            }
        }
    }

    /// Begins to fetch what is missing; says whether there is nothing to do now or later.
    async fn is_at_the_end(&mut self, position: Position) -> Result<bool, FetchError> {
        // A folder that cannot be read is gone; the position says so next.
        let held = self.spool.held().unwrap_or_default();
        let plan = position.plan_spool(&held);
        for segment in &plan.discard {
            self.spool.discard(segment);
        }
        for segment in plan.fetch {
            if self.coming.contains(&segment) {
                continue;
            }
            if self.coming.len() >= MOST_AT_A_TIME {
                break;
            }
            let found = self.archive.find(self.shelf, segment).await?;
            let Some((key, codec)) = found else {
                // What lies behind a gap is of no use.
                let ahead = held.iter().any(|segment| *segment > position.segment);
                return Ok(self.coming.is_empty() && !ahead);
            };
            self.coming.insert(segment);
            let fetching = fetch_one(
                &self.shelf.bucket,
                (key, codec),
                (self.spool, segment),
                self.halt,
            );
            self.arrivals
                .push(Box::pin(async move { (segment, fetching.await) }));
        }
        Ok(false)
    }
}

async fn fetch_one(
    bucket: &Bucket,
    (key, codec): (String, Codec),
    (spool, segment): (&Spool, SegmentName),
    halt: &StopFlag,
) -> Result<(), FetchError> {
    let decoded = tokio::select! {
        biased;
        () = halt.raised() => return Err(FetchError::Stopped),
        decoded = open_decoded(bucket, (&key, codec), halt) => decoded?,
    };
    let object = bucket.address(&key);
    let (spool, halt) = (spool.clone(), halt.clone());
    let kept = spawn_blocking(move || {
        let destination = spool.landing(&segment);
        let expected = Expected {
            name: &WalName::Segment(segment),
            object: &object,
            destination: &destination,
            // Whoever takes it out of the spool knows the cluster.
            system_id: None,
        };
        let received = receive(decoded, &expected, &halt)?;
        let kept = spool.keep(&segment, received);
        kept.map_err(|source| FetchError::Write {
            path: destination,
            source,
        })
    });
    kept.await
        .map_err(|error| FetchError::Worker(causes::of_worker(&error)))?
}

/// What is known of the archive, learnt sixteen segments a request.
#[derive(Default)]
struct Archive {
    known: BTreeMap<SegmentName, (String, Codec)>,
    listed: BTreeMap<String, Instant>,
}

impl Archive {
    async fn find(
        &mut self,
        shelf: &Shelf,
        segment: SegmentName,
    ) -> Result<Option<(String, Codec)>, StoreError> {
        if let Some(found) = self.known.get(&segment) {
            return Ok(Some(found.clone()));
        }
        let prefix = prefix(&shelf.layout, &WalName::Segment(segment));
        let is_fresh = |at: &Instant| at.elapsed() < LIST_AGAIN;
        if self.listed.get(&prefix).is_some_and(is_fresh) {
            return Ok(None);
        }
        self.forget_before(segment);
        for (name, found) in list(shelf, &prefix).await? {
            let found = found.into_iter().next();
            if let (WalName::Segment(name), Some(found)) = (name, found) {
                self.known.entry(name).or_insert(found);
            }
        }
        self.listed.insert(prefix, Instant::now());
        Ok(self.known.get(&segment).cloned())
    }

    /// Recovery goes forward: what it has passed need not be remembered.
    fn forget_before(&mut self, segment: SegmentName) {
        self.known = self.known.split_off(&segment);
        self.listed.retain(|_, at| at.elapsed() < LIST_AGAIN);
    }
}
