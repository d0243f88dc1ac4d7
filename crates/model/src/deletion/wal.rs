//! Which WAL goes with the backups that go.
//!
//! A backup that stays needs the WAL from its beginning on, on its timeline and on those that
//! branched off it, which have greater numbers; a standalone one only the WAL up to its end. A
//! file goes only if it lies before the beginning of every backup that stays, on no newer timeline
//! than theirs. Always true: a timeline history never goes, and of what is unclear nothing goes.

use std::fmt;

use super::Facts;
use crate::backup::catalogue::Entry;
use crate::backup::id::BackupId;
use crate::backup::{BackupInfo, BackupStatus};
use crate::codec::Codec;
use crate::keep::KeepTarget;
use crate::postgres::SegmentSize;
use crate::wal::name::{SegmentName, WalName};
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
    /// It stays: one backup is deleted by hand, and this one, which stays, is older.
    NotTheOldest(BackupId),
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
#[derive(Debug, Default)]
pub(super) struct Needs {
    from: Vec<Start>,
    ranges: Vec<Range>,
    /// Where the newest backup begins that goes; counts if `from` is empty.
    last: Option<Start>,
    /// A backup that stays and is older than the one that was named.
    older: Option<BackupId>,
    size: Option<SegmentSize>,
    /// Why all WAL must stay.
    unclear: Option<WalFate>,
}

/// A place from which on WAL is needed.
#[derive(Debug, Clone, Copy)]
struct Start {
    id: BackupId,
    timeline: TimelineId,
    number: u64,
}

/// WAL between two segments, both included.
#[derive(Debug)]
struct Range {
    id: BackupId,
    timelines: (TimelineId, TimelineId),
    numbers: (u64, u64),
}

impl Needs {
    /// What the backups that stay need.
    pub(super) fn gather(facts: &Facts, staying: &[BackupId], going: &[BackupId]) -> Needs {
        let mut needs = Needs::default();
        for id in staying {
            if let Some(Entry::Readable(info)) = facts.backups.get(id) {
                needs.add(id, info, facts.kept.get(id).copied());
            }
        }
        let mut starts = going.iter().filter_map(|id| match facts.backups.get(id) {
            Some(Entry::Readable(info)) => Some((start_of(id, info)?, info.xlog_segment_size)),
            _ => None,
        });
        if let Some((start, size)) = starts.next_back() {
            needs.last = Some(start);
            needs.note_size(size);
        }
        needs
    }

    fn add(&mut self, id: &BackupId, info: &BackupInfo, kept: Option<KeepTarget>) {
        // What failed cannot be restored: it needs nothing. What was started may be going on.
        if info.status == BackupStatus::Failed {
            return;
        }
        let Some(start) = start_of(id, info) else {
            self.unclear = Some(WalFate::UnknownBegin(*id));
            return;
        };
        self.note_size(info.xlog_segment_size);
        let is_standalone = kept == Some(KeepTarget::Standalone);
        match end_of(info) {
            Some(end) if is_standalone && info.status == BackupStatus::Done => {
                let (timeline, number) = (end.timeline(), end.number(info.xlog_segment_size));
                self.ranges.push(Range {
                    id: *id,
                    timelines: (start.timeline, timeline.max(start.timeline)),
                    numbers: (start.number, number),
                });
            }
            _ => self.from.push(start),
        }
    }

    /// As Barman does it, naming a backup leaves WAL alone unless it is the oldest; retention does
    /// not mind.
    pub(super) fn stay_beside_older(mut self, named: &BackupId, facts: &Facts) -> Needs {
        let older = |(id, info): &(&BackupId, &BackupInfo)| {
            *id < named && info.status != BackupStatus::Failed
        };
        let first = facts.backups.readable().find(older);
        self.older = first.map(|(id, _)| *id);
        self
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
        if let Some(older) = self.older {
            return WalFate::NotTheOldest(older);
        }
        let oldest = self.from.iter().min_by_key(|start| start.number);
        let newest_timeline = self.from.iter().map(|start| start.timeline).max();
        match (oldest, newest_timeline, self.last) {
            (Some(oldest), Some(newest), _) => match number < oldest.number && timeline <= newest {
                true => WalFate::OlderThan(oldest.id),
                false => WalFate::NotOlderThan(oldest.id),
            },
            (_, _, Some(last)) => match number < last.number && timeline <= last.timeline {
                true => WalFate::OlderThanLast(last.id),
                false => WalFate::NotOlderThan(last.id),
            },
            _ => WalFate::NoBackup,
        }
    }
}

impl Range {
    fn has(&self, timeline: TimelineId, number: u64) -> bool {
        let (first, last) = self.numbers;
        let (lowest, highest) = self.timelines;
        (first..=last).contains(&number) && (lowest..=highest).contains(&timeline)
    }
}

/// Where a backup begins: its first segment, or for one that is still going on, its first LSN.
fn start_of(id: &BackupId, info: &BackupInfo) -> Option<Start> {
    let size = info.xlog_segment_size;
    let named = info.begin_wal.as_deref().map(str::parse::<SegmentName>);
    let (timeline, number) = match named {
        Some(segment) => {
            let segment = segment.ok().filter(|segment| segment.fits(size))?;
            (segment.timeline(), segment.number(size))
        }
        // Without a timeline it may be any.
        None => (
            info.timeline.unwrap_or(TimelineId::new(0)),
            info.begin_xlog?.segment_number(size),
        ),
    };
    Some(Start {
        id: *id,
        timeline,
        number,
    })
}

fn end_of(info: &BackupInfo) -> Option<SegmentName> {
    let end: SegmentName = info.end_wal.as_deref()?.parse().ok()?;
    end.fits(info.xlog_segment_size).then_some(end)
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
                write!(
                    f,
                    "backup {id}, which stays, is older than the one to delete"
                )
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
