//! Waiting for the WAL of a backup, and what to make of it when it does not come.
//!
//! Always true: [`WalFate::Arrived`] is said only after each segment was seen in the bucket and
//! the first and the last were found to be this system's.

use std::time::{Duration, Instant};

use model::postgres::SystemId;
use model::wal::span::{MissingWal, SegmentSpan, WalRange};

use super::world::BackupWorld;
use crate::cluster::archiving::ArchiverState;
use crate::cluster::facts::ServerFacts;
use crate::cluster::session::Session;
use crate::progress::{Event, Warning};
use crate::store::StoreError;
use crate::wal::presence::{Header, read_header, still_missing};

/// Where the WAL of a backup is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WalFate {
    /// In the bucket, all of it.
    Arrived,
    /// Somewhere else: the bucket never had any WAL of this server.
    Elsewhere,
    /// Not in the bucket yet: what, and why.
    Missing(MissingWal, MissingCause),
}

/// Why WAL is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MissingCause {
    /// The server has not written the last segment to its end; nobody can have archived it.
    Unfinished,
    /// WAL of another system has its names.
    Foreign(SystemId),
    /// What has the name is no sound segment.
    Damaged(String),
    /// `archive_mode` is off.
    Off,
    /// There is no `archive_command` and no `archive_library`.
    NoCommand,
    /// The archiver fails on this file.
    Failing(String),
    /// The archiver did its part, with another place than the bucket.
    Sent,
    /// The archiver has come up to this file, if any.
    Behind(Option<String>),
    /// Another server archives, or the store could not be asked.
    Unknown,
}

/// Looks come quickly at first, for a WAL file often takes just a moment.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const PAUSE: Duration = Duration::from_millis(500);

/// However steadily an archiver works: longer than this nobody waits.
const LONGEST: Duration = Duration::from_secs(3600);

/// A wait for some segments.
pub struct WalWait<'a> {
    pub world: &'a BackupWorld,
    pub facts: &'a ServerFacts,
    pub range: WalRange,
    /// How long to wait after the last progress that was seen.
    pub patience: Duration,
}

impl WalWait<'_> {
    /// Waits until every segment is there, as long as it takes while the archiver gets on, and
    /// at most `patience` while it does not. A store that cannot be asked has nothing, as far as
    /// anybody knows: the copy is complete, and a later look decides.
    pub async fn run(self, session: &mut Session) -> WalFate {
        let began = Instant::now();
        let mut progress = WaitProgress::at(began);
        let mut missing = MissingWal {
            spans: self.range.spans(None),
            history: self.range.history(),
        };
        let mut pause = FIRST_PAUSE;
        loop {
            // Asked before the bucket: what the archiver has done by then must be there.
            let state = session.archiver_state().await.ok();
            let seen = self.look(&mut missing, state.as_ref()).await;
            match seen {
                Ok(Some(fate)) => return fate,
                Ok(None) => {}
                Err(ref error) if self.is_over(began, &progress) => {
                    let cause = &error.to_string();
                    let warning = Warning::CannotSeeWal { cause };
                    self.world.progress.event(Event::Warning(warning));
                    return WalFate::Missing(missing, MissingCause::Unknown);
                }
                Err(_) => {}
            }
            progress.note(missing.count(), state.as_ref());
            if seen.is_ok() && (self.is_hopeless() || self.is_over(began, &progress)) {
                let cause = self.cause(&missing, state.as_ref());
                return WalFate::Missing(missing, cause);
            }
            self.tell(&missing, progress.last.elapsed(), state.as_ref());
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE);
        }
    }

    async fn look(
        &self,
        missing: &mut MissingWal,
        state: Option<&ArchiverState>,
    ) -> Result<Option<WalFate>, StoreError> {
        let wals = &self.world.repository.wals;
        *missing = still_missing(wals, (&self.range, missing)).await?;
        if missing.is_empty() {
            return self.judge_ends().await.map(Some);
        }
        if self.may_go_elsewhere(state)
            && !wals.bucket.any(&format!("{}/", wals.layout.wals())).await?
        {
            return Ok(Some(WalFate::Elsewhere));
        }
        Ok(None)
    }

    /// Names are claims: of the first and the last segment the headers are read.
    async fn judge_ends(&self) -> Result<WalFate, StoreError> {
        let WalRange { first, last, .. } = self.range;
        let mut ends = vec![first];
        ends.extend((last != first).then_some(last));
        for segment in ends {
            let header = read_header(&self.world.repository.wals, segment).await?;
            let cause = match header {
                Header::Of(system) if system == self.facts.system_id => continue,
                Header::Of(system) => MissingCause::Foreign(system),
                Header::Damaged(cause) => MissingCause::Damaged(cause),
                Header::Absent => MissingCause::Unknown,
            };
            let size = self.facts.segment_size;
            let missing = MissingWal {
                spans: SegmentSpan::new(segment, segment, size)
                    .into_iter()
                    .collect(),
                history: None,
            };
            return Ok(WalFate::Missing(missing, cause));
        }
        Ok(WalFate::Arrived)
    }

    /// Whether an empty bucket would mean that the WAL goes to another place. A primary whose
    /// archiver has not got so far may only just have begun to archive here; one that archives
    /// for a standby has begun long ago.
    fn may_go_elsewhere(&self, state: Option<&ArchiverState>) -> bool {
        let facts = self.facts;
        if facts.archives_itself() {
            state.is_some_and(|state| state.has_archived(self.range.last, facts.segment_size))
        } else {
            facts.in_recovery || facts.archiving.receivers > 0
        }
    }

    /// Whether nothing will come while we wait.
    fn is_hopeless(&self) -> bool {
        let facts = self.facts;
        !facts.in_recovery && !facts.archiving.has_archiver() && facts.archiving.receivers == 0
    }

    fn is_over(&self, began: Instant, progress: &WaitProgress) -> bool {
        let tired = progress.last.elapsed() >= self.patience || began.elapsed() >= LONGEST;
        tired || self.world.stop.is_raised()
    }

    fn cause(&self, missing: &MissingWal, state: Option<&ArchiverState>) -> MissingCause {
        let facts = self.facts;
        let last = self.range.last;
        let is_unfinished = missing.first() == Some(last)
            && state.is_some_and(|state| state.is_writing(last, facts.segment_size));
        let archives = facts.archives_itself();
        match state {
            _ if !facts.in_recovery && facts.archiving.is_off() => MissingCause::Off,
            _ if !facts.in_recovery && !archives => MissingCause::NoCommand,
            _ if is_unfinished => MissingCause::Unfinished,
            Some(state) if archives => match &state.failing {
                Some(file) => MissingCause::Failing(file.clone()),
                None if state.has_archived(last, facts.segment_size) => MissingCause::Sent,
                None => MissingCause::Behind(state.last_archived.clone()),
            },
            _ => MissingCause::Unknown,
        }
    }

    fn tell(&self, missing: &MissingWal, waited: Duration, state: Option<&ArchiverState>) {
        let Some(next) = missing.first() else {
            return;
        };
        let archives = self.facts.archives_itself();
        let last_archived = state.filter(|_| archives);
        self.world.progress.event(Event::WaitingForWal {
            next: &next.to_string(),
            waited,
            patience: self.patience,
            last_archived: last_archived.and_then(|state| state.last_archived.as_deref()),
        });
    }
}

/// When something was last seen to get on.
struct WaitProgress {
    last: Instant,
    missing: Option<u64>,
    archived: Option<u64>,
}

impl WaitProgress {
    fn at(began: Instant) -> WaitProgress {
        WaitProgress {
            last: began,
            missing: None,
            archived: None,
        }
    }

    fn note(&mut self, missing: u64, state: Option<&ArchiverState>) {
        let archived = state.map(|state| state.archived_count);
        let came = self.missing.is_some_and(|before| missing < before);
        let went = matches!((self.archived, archived), (Some(before), Some(now)) if now > before);
        if came || went {
            self.last = Instant::now();
        }
        self.missing = Some(missing);
        self.archived = archived.or(self.archived);
    }
}
