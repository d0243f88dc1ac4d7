//! Runs of WAL segments, told by their ends.
//!
//! A record names a first and a last segment, and between two names there may be four thousand
//! million: a run is compared with a listing, never counted out. Which WAL a backup needs is
//! decided here, too; asking the store is left to the engine. Always true: both ends of a
//! [`SegmentSpan`] are on one timeline, the first is not behind the last, and both are names that a
//! cluster with segments of this size can have.

use std::collections::BTreeSet;
use std::fmt;

use crate::backup::BackupInfo;
use crate::postgres::SegmentSize;
use crate::wal::name::SegmentName;
use crate::wal::timeline::{TimelineHistory, TimelineId};

/// Segments of one timeline, first and last included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentSpan {
    timeline: TimelineId,
    first: u64,
    last: u64,
    size: SegmentSize,
}

/// The WAL of a backup, by its record: from one segment to another, perhaps of a later timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WalRange {
    pub first: SegmentName,
    pub last: SegmentName,
    pub segment_size: SegmentSize,
}

/// WAL that was looked for and is not there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MissingWal {
    /// Segments, in the order in which recovery would ask for them.
    pub spans: Vec<SegmentSpan>,
    /// The history without which nobody knows where a timeline was left for another.
    pub history: Option<TimelineId>,
}

impl SegmentSpan {
    /// A span, if there is one between these two.
    pub fn new(first: SegmentName, last: SegmentName, size: SegmentSize) -> Option<SegmentSpan> {
        let is_one = first.timeline() == last.timeline() && first.fits(size) && last.fits(size);
        let (from, to) = (first.number(size), last.number(size));
        (is_one && from <= to).then_some(SegmentSpan {
            timeline: first.timeline(),
            first: from,
            last: to,
            size,
        })
    }

    fn of(timeline: TimelineId, first: u64, last: u64, size: SegmentSize) -> Option<SegmentSpan> {
        (first <= last).then_some(SegmentSpan {
            timeline,
            first,
            last,
            size,
        })
    }

    /// The first segment.
    pub fn first(&self) -> SegmentName {
        SegmentName::from_number(self.timeline, self.first, self.size)
    }

    /// The last segment.
    pub fn last(&self) -> SegmentName {
        SegmentName::from_number(self.timeline, self.last, self.size)
    }

    /// How many segments there are; never 0.
    pub fn count(&self) -> u64 {
        self.last - self.first + 1
    }

    /// Whether the segment is one of them.
    pub fn contains(&self, segment: &SegmentName) -> bool {
        segment.timeline() == self.timeline
            && segment.fits(self.size)
            && (self.first..=self.last).contains(&segment.number(self.size))
    }

    /// The directories of an archive that hold them: the first 16 digits of their names; `None`
    /// where they are more than so many.
    pub fn directories(&self, most: usize) -> Option<Vec<SegmentName>> {
        let per_log = self.size.segments_per_log();
        let logs = self.first / per_log..=self.last / per_log;
        let count = usize::try_from(logs.end() - logs.start() + 1).ok()?;
        let name = |log| SegmentName::from_number(self.timeline, log * per_log, self.size);
        (count <= most).then(|| logs.map(name).collect())
    }

    /// What is left of them without those that were seen; others among the seen do not matter.
    pub fn without(&self, seen: &BTreeSet<SegmentName>) -> Vec<SegmentSpan> {
        let mut left = Vec::new();
        let mut from = self.first;
        for segment in seen.range(self.first()..=self.last()) {
            if !segment.fits(self.size) {
                continue;
            }
            let number = segment.number(self.size);
            let before = number.checked_sub(1);
            left.extend(before.and_then(|to| Self::of(self.timeline, from, to, self.size)));
            from = number + 1;
        }
        left.extend(Self::of(self.timeline, from, self.last, self.size));
        left
    }
}

/// A single name, or the first and the last.
impl fmt::Display for SegmentSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.count() {
            1 => self.first().fmt(f),
            _ => write!(f, "{} to {}", self.first(), self.last()),
        }
    }
}

impl WalRange {
    /// What a backup needs by its record; `None` if that does not say it, as one that was never
    /// finished.
    pub fn of(info: &BackupInfo) -> Option<WalRange> {
        let segment = |text: &Option<String>| text.as_deref()?.parse().ok();
        Some(WalRange {
            first: segment(&info.begin_wal)?,
            last: segment(&info.end_wal)?,
            segment_size: info.xlog_segment_size,
        })
    }

    /// The timeline whose history says where the first one was left, if they are two.
    pub fn history(&self) -> Option<TimelineId> {
        let (first, last) = (self.first.timeline(), self.last.timeline());
        (first != last).then_some(last)
    }

    /// The runs of segments that recovery replays from the first to the last. The segment in which
    /// a timeline was left is wanted of the new one only: PostgreSQL copies its beginning there.
    /// Of two timelines without a history that joins them, only the ends are known.
    pub fn spans(&self, history: Option<&TimelineHistory>) -> Vec<SegmentSpan> {
        let (first, last, size) = (self.first, self.last, self.segment_size);
        let single = |name| SegmentSpan::new(name, name, size);
        if self.history().is_none() {
            return SegmentSpan::new(first, last, size).into_iter().collect();
        }
        let joined = history.filter(|history| {
            history.timeline() == last.timeline()
                && history.switch_point(first.timeline()).is_some()
        });
        let Some(history) = joined else {
            return [single(first), single(last)]
                .into_iter()
                .flatten()
                .collect();
        };
        let mut spans = Vec::new();
        let mut from = first.number(size);
        let passed = history.switches().iter();
        for switch in passed.skip_while(|switch| switch.parent != first.timeline()) {
            let fork = switch.at.segment_number(size);
            let before = fork.checked_sub(1);
            spans.extend(before.and_then(|to| SegmentSpan::of(switch.parent, from, to, size)));
            from = from.max(fork);
        }
        spans.extend(SegmentSpan::of(
            last.timeline(),
            from,
            last.number(size),
            size,
        ));
        spans
    }
}

impl MissingWal {
    /// Whether nothing is missing.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty() && self.history.is_none()
    }

    /// How many segments are missing.
    pub fn count(&self) -> u64 {
        self.spans.iter().map(SegmentSpan::count).sum()
    }

    /// The first segment that is missing.
    pub fn first(&self) -> Option<SegmentName> {
        self.spans.first().map(SegmentSpan::first)
    }
}

/// `1 WAL file, NAME`, `3 WAL files, from NAME on`, and a history by its name.
impl fmt::Display for MissingWal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(timeline) = self.history {
            let and = if self.spans.is_empty() { "" } else { " and " };
            write!(f, "{timeline}.history{and}")?;
        }
        match (self.first(), self.count()) {
            (None, _) => Ok(()),
            (Some(first), 1) => write!(f, "1 WAL file, {first}"),
            (Some(first), count) => write!(f, "{count} WAL files, from {first} on"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: SegmentSize = SegmentSize::DEFAULT;

    fn name(text: &str) -> SegmentName {
        text.parse().unwrap()
    }

    fn span(first: &str, last: &str) -> SegmentSpan {
        SegmentSpan::new(name(first), name(last), SIZE).unwrap()
    }

    fn range(first: &str, last: &str) -> WalRange {
        WalRange {
            first: name(first),
            last: name(last),
            segment_size: SIZE,
        }
    }

    fn texts(spans: &[SegmentSpan]) -> Vec<String> {
        spans.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_was_seen_leaves_the_runs_between() {
        let all = span("0000000100000000000000FD", "000000010000000100000003");
        assert_eq!(all.count(), 7);
        let seen = |names: &[&str]| names.iter().map(|text| name(text)).collect();
        assert_eq!(all.without(&seen(&[])), [all]);
        let seen = seen(&[
            "0000000100000000000000FC",
            "0000000100000000000000FD",
            "000000010000000000000100",
            "000000010000000100000000",
            "000000020000000100000001",
            "000000010000000100000003",
            "000000010000000100000004",
        ]);
        let expected = [
            "0000000100000000000000FE to 0000000100000000000000FF",
            "000000010000000100000001 to 000000010000000100000002",
        ];
        assert_eq!(texts(&all.without(&seen)), expected);
    }

    #[test]
    fn a_span_over_all_positions_costs_nothing() {
        let all = span("000000010000000000000000", "00000001FFFFFFFF000000FF");
        assert_eq!(all.count(), 1 << 40);
        assert_eq!(all.directories(16), None);
        let seen = BTreeSet::from([name("000000010000000000000000")]);
        let expected = ["000000010000000000000001 to 00000001FFFFFFFF000000FF"];
        assert_eq!(texts(&all.without(&seen)), expected);
    }

    #[test]
    fn the_directories_of_a_span_are_those_of_its_logs() {
        let all = span("0000000100000000000000FD", "000000010000000200000003");
        let directories = all.directories(3).unwrap();
        let directories: Vec<_> = directories.iter().map(SegmentName::directory).collect();
        let expected = ["0000000100000000", "0000000100000001", "0000000100000002"];
        assert_eq!(directories, expected);
        assert_eq!(all.directories(2), None);
    }

    #[test]
    fn names_that_no_cluster_has_make_no_span() {
        for (first, last) in [
            ("000000010000000000000002", "000000010000000000000001"),
            ("000000010000000000000001", "000000020000000000000002"),
            ("000000010000000000000100", "000000010000000100000002"),
            ("000000010000000000000001", "000000010000000000000100"),
        ] {
            assert_eq!(SegmentSpan::new(name(first), name(last), SIZE), None);
        }
    }

    /// What Barman records of a standby whose primary failed over while it was backed up.
    #[test]
    fn a_backup_over_two_timelines_needs_the_first_until_it_was_left() {
        let range = range("000000010000000000000003", "000000020000000000000007");
        assert_eq!(range.history(), Some(TimelineId::new(2)));
        let history = |text| TimelineHistory::parse(TimelineId::new(2), text).unwrap();
        let needed = |text| texts(&range.spans(Some(&history(text))));
        let both = [
            "000000010000000000000003 to 000000010000000000000004",
            "000000020000000000000005 to 000000020000000000000007",
        ];
        assert_eq!(needed("1\t0/5000098\tno recovery target specified"), both);
        let second = ["000000020000000000000003 to 000000020000000000000007"];
        assert_eq!(needed("1\t0/3000098\tx"), second);
        assert_eq!(needed("1\t0/1000098\tx"), second);
        assert_eq!(needed("1\t0/0\tx"), second);
    }

    #[test]
    fn each_timeline_between_two_has_its_part() {
        let range = range("000000010000000000000003", "000000040000000000000009");
        let text = "1\t0/5000098\tx\n\n2\t0/6000098\tx\n\n3\t0/60000A8\tx\n";
        let history = TimelineHistory::parse(TimelineId::new(4), text).unwrap();
        let expected = [
            "000000010000000000000003 to 000000010000000000000004",
            "000000020000000000000005",
            "000000040000000000000006 to 000000040000000000000009",
        ];
        assert_eq!(texts(&range.spans(Some(&history))), expected);
    }

    #[test]
    fn without_a_history_only_the_ends_are_known() {
        let range = range("000000010000000000000003", "000000020000000000000007");
        let ends = ["000000010000000000000003", "000000020000000000000007"];
        assert_eq!(texts(&range.spans(None)), ends);
        let stranger = TimelineHistory::parse(TimelineId::new(2), "").unwrap();
        assert_eq!(texts(&range.spans(Some(&stranger))), ends);
        let back = self::range("000000020000000000000007", "000000010000000000000003");
        assert_eq!(texts(&back.spans(None)), [ends[1], ends[0]]);
    }

    #[test]
    fn what_is_missing_is_told_in_the_singular_and_the_plural() {
        let (first, last) = ("000000010000000000000003", "000000010000000000000004");
        let missing = |spans: &[SegmentSpan], history| MissingWal {
            spans: spans.to_vec(),
            history,
        };
        let two = Some(TimelineId::new(2));
        for (missing, text) in [
            (
                missing(&[span(first, first)], None),
                format!("1 WAL file, {first}"),
            ),
            (
                missing(&[span(first, last)], None),
                format!("2 WAL files, from {first} on"),
            ),
            (missing(&[], two), "00000002.history".to_owned()),
            (
                missing(&[span(first, first)], two),
                format!("00000002.history and 1 WAL file, {first}"),
            ),
        ] {
            assert_eq!(missing.to_string(), text);
            assert!(!missing.is_empty());
        }
        assert!(MissingWal::default().is_empty());
    }
}
