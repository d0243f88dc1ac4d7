//! Which WAL goes with the backups that go.
//!
//! A backup that stays needs the WAL from its beginning on, on its timeline and on those that
//! branched off it, which have greater numbers; a standalone one only the WAL up to its end. On
//! top of that everything stays that Barman would leave, as seen by running it:
//!
//! - Nothing goes while a restorable backup stays that is older than those that go; a policy looks
//!   past standalone ones.
//! - What goes stands by its name before the oldest restorable backup that stays and is newer.
//! - It is on that backup's timeline, or on one that no backup is on, not even the one whose
//!   deletion lets the WAL go.
//!
//! Always true: a timeline history never goes, and of what is unclear nothing goes.

use std::collections::BTreeMap;
use std::fmt;

use super::begin::{Start, end_of, start_of};
use super::order::Happened;
use super::request::{Choice, Facts};
use crate::backup::catalogue::Entry;
use crate::backup::id::BackupId;
use crate::backup::mark::is_being_deleted;
use crate::backup::{BackupInfo, BackupStatus};
use crate::codec::Codec;
use crate::keep::KeepTarget;
use crate::postgres::SegmentSize;
use crate::wal::name::WalName;
use crate::wal::timeline::TimelineId;

/// WAL files in the order of their names that share a fate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalRun {
    /// The first one.
    pub first: WalName,
    /// The last one; may be the first.
    pub last: WalName,
    /// How many.
    pub count: usize,
    /// What becomes of them, and why.
    pub fate: WalFate,
    /// The files themselves, oldest first, if they go.
    pub goes: Vec<(WalName, Codec)>,
}

/// Whether a WAL file goes, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WalFate {
    /// It goes: it is older than this backup, the oldest that stays.
    OlderThan(BackupId),
    /// It goes: no backup stays, and it is older than this one, which goes.
    OlderThanLast(BackupId),
    /// It stays: this backup needs it.
    NeededBy(BackupId),
    /// It stays: this standalone backup needs it.
    PartOf(BackupId),
    /// It stays: it is on another branch than this backup, but not older.
    NotOlderThan(BackupId),
    /// It stays: this backup, which stays too, is older than those that go.
    NotTheOldest(BackupId),
    /// It stays: this backup, which stays too, is on its timeline.
    TimelineOf(BackupId),
    /// It stays this time: this backup, which goes, is on its timeline.
    TimelineOfGoing(BackupId),
    /// It stays: this backup says STARTED and may be going on, though a later one is DONE.
    HeldBy(BackupId),
    /// It stays: histories are small, and any timeline may be asked for.
    History,
    /// It stays: this backup's record does not say where it begins.
    UnknownBegin(BackupId),
    /// It stays: the backups have segments of different sizes.
    MixedSizes,
    /// It stays: no segment of the cluster has such a name.
    Misfit,
    /// It stays: no backup tells what is old.
    NoBackup,
}

/// The WAL that the remaining backups need.
#[derive(Debug)]
pub(super) struct Needs {
    from: Vec<Start>,
    ranges: Vec<Range>,
    /// Backups that say STARTED though a later one is DONE, and where they begin if they say so.
    unfinished: Vec<(BackupId, Option<Start>)>,
    bound: Bound,
    /// A backup of each timeline, and the reason for which it spares the timeline's WAL.
    timelines: BTreeMap<TimelineId, WalFate>,
    size: Option<SegmentSize>,
    /// Why all WAL must stay.
    unclear: Option<WalFate>,
}

/// Up to where WAL may be old.
#[derive(Debug, Clone, Copy)]
enum Bound {
    /// To the beginning of this backup, which stays.
    Staying(Start),
    /// No backup stays: to the beginning of this one, which goes.
    Going(Start),
    /// Nothing is old.
    Nothing(WalFate),
}

/// What was decided about the backups, and in which order they happened.
pub(super) struct Decided<'a> {
    pub(super) choice: &'a Choice,
    pub(super) order: &'a Happened,
    pub(super) staying: &'a [BackupId],
    pub(super) going: &'a [BackupId],
}

/// WAL between two segments, both included.
#[derive(Debug)]
struct Range {
    id: BackupId,
    timelines: (TimelineId, TimelineId),
    numbers: (u64, u64),
}

impl Needs {
    /// What the backups that stay need; `staying` and `going` are in the order of what happened.
    pub(super) fn gather(facts: &Facts, chosen: &Decided<'_>) -> Needs {
        let (order, staying, going) = (chosen.order, chosen.staying, chosen.going);
        let last = last_that_frees(facts, chosen);
        let mut needs = Needs {
            from: Vec::new(),
            ranges: Vec::new(),
            unfinished: Vec::new(),
            bound: bound_of(facts, chosen, last),
            timelines: BTreeMap::new(),
            size: None,
            unclear: None,
        };
        if let Some(info) = last.ok().and_then(|last| record(facts, &last)) {
            needs.note_size(info.xlog_segment_size);
        }
        // Those that went before the last one are on no timeline any longer.
        for id in going
            .iter()
            .filter(|id| last.is_ok_and(|last| !order.is_before(id, &last)))
        {
            needs.note_timelines(facts, id, WalFate::TimelineOfGoing(*id));
        }
        for id in staying {
            needs.note_timelines(facts, id, WalFate::TimelineOf(*id));
            if let Some(info) = record(facts, id) {
                needs.add(facts, order, (id, info));
            }
        }
        needs
    }

    fn note_timelines(&mut self, facts: &Facts, id: &BackupId, fate: WalFate) {
        let Some(info) = record(facts, id) else {
            return;
        };
        let named = start_of(id, info).map(|start| start.timeline);
        for timeline in info.timeline.into_iter().chain(named) {
            self.timelines.insert(timeline, fate);
        }
    }

    fn add(&mut self, facts: &Facts, order: &Happened, (id, info): (&BackupId, &BackupInfo)) {
        let start = start_of(id, info);
        match (info.status, start) {
            // What failed cannot be restored: it needs nothing; but a deletion that is going on may
            // still give way to a keep, and the record would say DONE again. What was started may
            // be going on.
            (BackupStatus::Failed, _) if !is_being_deleted(info) => return,
            (BackupStatus::Started, _) if has_done_after(facts, order, id) => {
                self.unfinished.push((*id, start));
            }
            (_, None) => {
                self.unclear = Some(WalFate::UnknownBegin(*id));
                return;
            }
            (_, Some(start)) => match standalone_end(facts, id, info) {
                Some(end) => self.ranges.push(Range {
                    id: *id,
                    timelines: (start.timeline, end.timeline.max(start.timeline)),
                    numbers: (start.number, end.number),
                }),
                None => self.from.push(start),
            },
        }
        self.note_size(info.xlog_segment_size);
    }

    fn note_size(&mut self, size: SegmentSize) {
        if *self.size.get_or_insert(size) != size {
            self.unclear = Some(WalFate::MixedSizes);
        }
    }

    /// The fate of all files.
    pub(super) fn judge_all(&self, files: &[(WalName, Codec)]) -> Vec<WalRun> {
        let mut files = files.to_vec();
        files.sort_unstable_by_key(|(name, _)| *name);
        let mut runs: Vec<WalRun> = Vec::new();
        for (name, codec) in files {
            let fate = self.judge(&name);
            match runs.last_mut() {
                Some(run) if run.fate == fate => {
                    run.last = name;
                    run.count += 1;
                }
                _ => runs.push(WalRun {
                    first: name,
                    last: name,
                    count: 1,
                    fate,
                    goes: Vec::new(),
                }),
            }
            if let Some(run) = runs.last_mut().filter(|_| fate.goes()) {
                run.goes.push((name, codec));
            }
        }
        runs
    }

    fn judge(&self, name: &WalName) -> WalFate {
        let Some(segment) = name.segment() else {
            return WalFate::History;
        };
        let size = match (self.unclear, self.size) {
            (Some(unclear), _) => return unclear,
            (None, None) => return WalFate::NoBackup,
            (None, Some(size)) => size,
        };
        if !segment.fits(size) {
            return WalFate::Misfit;
        }
        let (timeline, number) = (segment.timeline(), segment.number(size));
        if let Some(range) = self.ranges.iter().find(|range| range.has(timeline, number)) {
            return WalFate::PartOf(range.id);
        }
        let needs = |start: &&Start| timeline >= start.timeline && number >= start.number;
        if let Some(start) = self.from.iter().find(needs) {
            return WalFate::NeededBy(start.id);
        }
        self.judge_unneeded(timeline, number)
    }

    fn judge_unneeded(&self, timeline: TimelineId, number: u64) -> WalFate {
        let (bound, goes) = match self.bound {
            Bound::Nothing(fate) => return fate,
            Bound::Staying(start) => (start, WalFate::OlderThan(start.id)),
            Bound::Going(start) => (start, WalFate::OlderThanLast(start.id)),
        };
        if let Some(fate) = self.timelines.get(&timeline).copied()
            && timeline != bound.timeline
        {
            return fate;
        }
        // Branches of the history have greater names and older positions.
        let mut starts = self.from.iter().chain([&bound]);
        if let Some(start) = starts.find(|start| number >= start.number) {
            return WalFate::NotOlderThan(start.id);
        }
        if timeline > bound.timeline {
            return WalFate::NotOlderThan(bound.id);
        }
        let holds = |start: &Option<Start>| start.is_none_or(|start| number >= start.number);
        match self.unfinished.iter().find(|(_, start)| holds(start)) {
            Some((id, _)) => WalFate::HeldBy(*id),
            None => goes,
        }
    }
}

/// The newest backup that goes and that no older one, which stays, forbids to take WAL along; else
/// the reason why none does.
fn last_that_frees(facts: &Facts, chosen: &Decided<'_>) -> Result<BackupId, WalFate> {
    let forbids = |id: &&BackupId| {
        let is_standalone = facts.kept.get(id) == Some(&KeepTarget::Standalone);
        let is_looked_past = matches!(chosen.choice, Choice::Policy(_)) && is_standalone;
        is_restorable(facts, id) && !is_looked_past
    };
    let first = chosen.staying.iter().find(forbids);
    let free = |id: &&BackupId| first.is_none_or(|first| chosen.order.is_before(id, first));
    match (chosen.going.iter().rfind(free), first) {
        (Some(last), _) => Ok(*last),
        (None, Some(first)) => Err(WalFate::NotTheOldest(*first)),
        (None, None) => Err(WalFate::NoBackup),
    }
}

fn bound_of(facts: &Facts, chosen: &Decided<'_>, last: Result<BackupId, WalFate>) -> Bound {
    let last = match last {
        Ok(last) => last,
        Err(fate) => return Bound::Nothing(fate),
    };
    let is_newer = |id: &&BackupId| chosen.order.is_before(&last, id);
    let mut newer = chosen.staying.iter().filter(is_newer);
    let next = newer.find(|id| is_restorable(facts, id));
    let id = next.unwrap_or(&last);
    let start = record(facts, id).and_then(|info| start_of(id, info));
    match (start, next) {
        (Some(start), Some(_)) => Bound::Staying(start),
        (Some(start), None) => Bound::Going(start),
        (None, _) => Bound::Nothing(WalFate::UnknownBegin(*id)),
    }
}

fn record<'a>(facts: &'a Facts, id: &BackupId) -> Option<&'a BackupInfo> {
    match facts.backups.get(id) {
        Some(Entry::Readable(info)) => Some(info),
        _ => None,
    }
}

fn is_restorable(facts: &Facts, id: &BackupId) -> bool {
    record(facts, id).is_some_and(|info| info.status.is_copied())
}

fn has_done_after(facts: &Facts, order: &Happened, id: &BackupId) -> bool {
    let mut backups = facts.backups.readable();
    backups.any(|(other, info)| order.is_before(id, other) && info.status == BackupStatus::Done)
}

/// Where a standalone backup ends.
fn standalone_end(facts: &Facts, id: &BackupId, info: &BackupInfo) -> Option<Start> {
    let is_standalone = facts.kept.get(id) == Some(&KeepTarget::Standalone);
    let is_one = is_standalone && info.status == BackupStatus::Done;
    is_one.then(|| end_of(id, info))?
}

impl Range {
    fn has(&self, timeline: TimelineId, number: u64) -> bool {
        let (first, last) = self.numbers;
        let (lowest, highest) = self.timelines;
        (first..=last).contains(&number) && (lowest..=highest).contains(&timeline)
    }
}

impl WalFate {
    /// Whether the file goes.
    pub const fn goes(self) -> bool {
        matches!(self, WalFate::OlderThan(_) | WalFate::OlderThanLast(_))
    }
}

impl fmt::Display for WalFate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WalFate::OlderThan(id) => {
                write!(f, "older than backup {id}, where the oldest need begins")
            }
            WalFate::OlderThanLast(id) => {
                write!(
                    f,
                    "older than backup {id}, and no backup stays that needs it"
                )
            }
            WalFate::NeededBy(id) => write!(f, "backup {id} needs it"),
            WalFate::PartOf(id) => write!(f, "standalone backup {id} needs it"),
            WalFate::NotOlderThan(id) => write!(f, "it is not older than backup {id}"),
            WalFate::NotTheOldest(id) => {
                write!(f, "backup {id}, which stays, is older than what goes")
            }
            WalFate::TimelineOf(id) => {
                write!(f, "backup {id}, which stays, is on this timeline")
            }
            WalFate::TimelineOfGoing(id) => write!(
                f,
                "backup {id}, which goes, is on this timeline; a later deletion takes it"
            ),
            WalFate::HeldBy(id) => {
                write!(f, "backup {id} is STARTED and may still be going on")
            }
            WalFate::History => f.write_str("timeline histories are never deleted"),
            WalFate::UnknownBegin(id) => {
                write!(f, "the record of backup {id} does not say where it begins")
            }
            WalFate::MixedSizes => f.write_str("the backups have segments of different sizes"),
            WalFate::Misfit => f.write_str("no segment of this cluster has such a name"),
            WalFate::NoBackup => f.write_str("no backup tells what is old"),
        }
    }
}
