//! Which WAL a backup needs: everything from its beginning to its end, on whatever timelines.
//!
//! A standby follows its primary to another timeline, so a backup of one may begin on one timeline
//! and end on the next. Whether the WAL is in an archive is asked elsewhere, by the
//! record's names of the first and the last segment ([`crate::wal::span`]).

use crate::format::backup_manifest::WalRange;
use crate::postgres::SegmentSize;
use crate::wal::lsn::Lsn;
use crate::wal::name::SegmentName;
use crate::wal::timeline::{TimelineHistory, TimelineId};

/// Where a backup begins and ends.
#[derive(Debug, Clone)]
pub struct Span {
    /// The first position, from the backup's label.
    pub start: Lsn,
    /// The timeline of the first position.
    pub start_timeline: TimelineId,
    /// The position after the last.
    pub end: Lsn,
    /// How the timeline came to be that the server was on when the backup ended.
    pub history: TimelineHistory,
}

impl Span {
    /// A backup that began and ended on one timeline.
    pub fn on_one_timeline(timeline: TimelineId, start: Lsn, end: Lsn) -> Span {
        Span {
            start,
            start_timeline: timeline,
            end,
            history: TimelineHistory::without_ancestors(timeline),
        }
    }

    /// The stretches as a backup manifest lists them, the newest first; `None` if the beginning is
    /// not part of the history.
    pub fn ranges(&self) -> Option<Vec<WalRange>> {
        let last = self.history.timeline_at(self.last_byte());
        let timelines = self.timelines();
        let ended = timelines.iter().rev().skip_while(|(one, _)| *one != last);
        let mut ranges = Vec::new();
        let mut end = self.end;
        for (timeline, begin) in ended {
            let is_first = *timeline == self.start_timeline;
            let start = if is_first { self.start } else { *begin };
            ranges.push(WalRange {
                timeline: *timeline,
                start,
                end,
            });
            if is_first {
                return Some(ranges);
            }
            end = *begin;
        }
        None
    }

    /// The last file that is needed. Of a segment in which one timeline was left for another it is
    /// the newer one's, as in recovery: it begins with a copy of the older's records, and the
    /// older's own may never be completed.
    pub fn end_wal(&self, size: SegmentSize) -> SegmentName {
        let last = self.last_byte();
        let number = last.segment_number(size);
        let timelines = self.timelines();
        let reached = |(_, begin): &&(TimelineId, Lsn)| begin.segment_number(size) <= number;
        let newest = timelines.iter().rev().find(reached);
        let timeline = newest.map_or(self.start_timeline, |(timeline, _)| *timeline);
        SegmentName::from_lsn(timeline.max(self.start_timeline), last, size)
    }

    fn last_byte(&self) -> Lsn {
        Lsn::new(self.end.value().saturating_sub(1))
    }

    /// Each timeline of the history with its first position, the oldest first.
    fn timelines(&self) -> Vec<(TimelineId, Lsn)> {
        let mut begin = Lsn::new(0);
        let mut found = Vec::new();
        for switch in self.history.switches() {
            found.push((switch.parent, begin));
            begin = switch.at;
        }
        found.push((self.history.timeline(), begin));
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: SegmentSize = SegmentSize::DEFAULT;

    fn span(start: (u32, u64), end: u64, history: (u32, &str)) -> Span {
        let (timeline, text) = history;
        Span {
            start: Lsn::new(start.1),
            start_timeline: TimelineId::new(start.0),
            end: Lsn::new(end),
            history: TimelineHistory::parse(TimelineId::new(timeline), text).unwrap(),
        }
    }

    fn end(span: &Span) -> String {
        span.end_wal(SIZE).to_string()
    }

    fn ranges(span: &Span) -> Vec<(u32, u64, u64)> {
        let ranges = span.ranges().expect("it is part of the history");
        let plain = |range: &WalRange| {
            (
                range.timeline.number(),
                range.start.value(),
                range.end.value(),
            )
        };
        ranges.iter().map(plain).collect()
    }

    #[test]
    fn on_one_timeline_it_is_from_the_first_byte_to_the_last() {
        let timeline = TimelineId::new(3);
        let one = |end| Span::on_one_timeline(timeline, Lsn::new(0x0200_0028), Lsn::new(end));
        // An end at a segment's very beginning needs nothing of that segment.
        assert_eq!(end(&one(0x0300_0000)), "000000030000000000000002");
        let two = one(0x0300_0001);
        assert_eq!(end(&two), "000000030000000000000003");
        assert_eq!(ranges(&two), [(3, 0x0200_0028, 0x0300_0001)]);
    }

    #[test]
    fn a_standby_that_followed_its_primary_needs_both_timelines() {
        // Timeline 1 was left in segment 4, whose beginning is copied into timeline 2's.
        let both = span(
            (1, 0x0300_0028),
            0x0510_0000,
            (2, "1\t0/4800000\tfailover\n"),
        );
        assert_eq!(end(&both), "000000020000000000000005");
        let expected = [(2, 0x0480_0000, 0x0510_0000), (1, 0x0300_0028, 0x0480_0000)];
        assert_eq!(ranges(&both), expected);
    }

    #[test]
    fn an_end_before_the_switch_is_on_the_older_timeline() {
        let before = span(
            (1, 0x0300_0028),
            0x0400_0100,
            (2, "1\t0/6800000\tfailover\n"),
        );
        assert_eq!(end(&before), "000000010000000000000004");
        assert_eq!(ranges(&before), [(1, 0x0300_0028, 0x0400_0100)]);
        // In the very segment of the switch only the newer file is sure to come.
        let within = span(
            (1, 0x0300_0028),
            0x0400_0100,
            (2, "1\t0/4800000\tfailover\n"),
        );
        assert_eq!(end(&within), "000000020000000000000004");
        assert_eq!(ranges(&within), [(1, 0x0300_0028, 0x0400_0100)]);
    }

    #[test]
    fn timelines_from_before_the_beginning_and_strangers_are_told_apart() {
        let text = "1\t0/2000000\tx\n2\t0/4800000\tx\n3\t0/5800000\tx\n";
        let middle = span((2, 0x0300_0028), 0x0610_0000, (4, text));
        let timelines: Vec<_> = ranges(&middle).iter().map(|range| range.0).collect();
        assert_eq!(timelines, [4, 3, 2]);
        assert_eq!(end(&middle), "000000040000000000000006");
        let stranger = span((5, 0x0300_0028), 0x0610_0000, (7, text));
        assert_eq!(stranger.ranges(), None);
    }
}
