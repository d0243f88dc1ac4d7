//! The names of WAL files: what `archive_command` and `restore_command` may be handed.
//!
//! Names follow PostgreSQL's manual ("WAL Internals", "Backup History File"): a segment is eight
//! digits each of timeline, log and segment within the log, in hexadecimal. A name says nothing
//! about the file's content; [`check_segment`](crate::wal::segment::check_segment) does that.
//! Text in either case is read; upper case is written, as PostgreSQL does.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::postgres::SegmentSize;
use crate::wal::lsn::Lsn;
use crate::wal::timeline::TimelineId;

/// The name of one WAL segment. `Ord` is the order of the text: by timeline, then by position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentName {
    timeline: TimelineId,
    /// The upper 32 bits of the segment's first LSN.
    log: u32,
    /// Which segment within the log; below `segments_per_log` unless the name was made up.
    segment: u32,
}

/// The name of any file that PostgreSQL archives. `Ord` is the order of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WalName {
    /// A complete segment.
    Segment(SegmentName),
    /// `<segment>.partial`: the last, incomplete segment of a timeline that was left.
    Partial(SegmentName),
    /// `<segment>.<offset>.backup`: the label of a backup that began at this place.
    BackupLabel {
        /// The segment in which the backup began.
        segment: SegmentName,
        /// Where in the segment, in bytes.
        offset: u32,
    },
    /// `<timeline>.history`: see [`TimelineHistory`](crate::wal::timeline::TimelineHistory).
    History(TimelineId),
}

/// Text that is not the name of a WAL file.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{text:?} is not the name of a WAL file")]
pub struct BadWalName {
    /// What was offered.
    pub text: String,
}

impl SegmentName {
    /// The segment that holds the byte at `lsn`.
    pub fn from_lsn(timeline: TimelineId, lsn: Lsn, size: SegmentSize) -> SegmentName {
        SegmentName::from_number(timeline, lsn.segment_number(size), size)
    }

    /// The segment with so many of this size before it; numbers beyond all positions wrap around.
    pub(super) fn from_number(timeline: TimelineId, number: u64, size: SegmentSize) -> SegmentName {
        let log = number / size.segments_per_log() % (1 << 32);
        let log = u32::try_from(log).expect("a remainder of 2^32 fits 32 bits");
        let within = number % size.segments_per_log();
        let segment = u32::try_from(within).expect("a log has at most 4096 segments");
        SegmentName {
            timeline,
            log,
            segment,
        }
    }

    /// The timeline the file was written on.
    pub fn timeline(&self) -> TimelineId {
        self.timeline
    }

    /// How many segments of this size lie before it, on any timeline.
    pub fn number(&self, size: SegmentSize) -> u64 {
        u64::from(self.log) * size.segments_per_log() + u64::from(self.segment)
    }

    /// The position of the file's first byte. Means something only if the name [fits](Self::fits).
    pub fn first_lsn(&self, size: SegmentSize) -> Lsn {
        Lsn::new(self.number(size).saturating_mul(size.bytes()))
    }

    /// Whether a cluster with segments of this size can have a segment of this name.
    pub fn fits(&self, size: SegmentSize) -> bool {
        u64::from(self.segment) < size.segments_per_log()
    }

    /// The segment after this one on the same timeline; `None` at the end of all positions.
    pub fn next(&self, size: SegmentSize) -> Option<SegmentName> {
        let SegmentName {
            timeline,
            log,
            segment,
        } = *self;
        if u64::from(segment) + 1 < size.segments_per_log() {
            return Some(SegmentName {
                timeline,
                log,
                segment: segment + 1,
            });
        }
        Some(SegmentName {
            timeline,
            log: log.checked_add(1)?,
            segment: 0,
        })
    }

    /// The first 16 digits: the directory that archives keep the file in.
    pub fn directory(&self) -> String {
        format!("{}{:08X}", self.timeline, self.log)
    }
}

impl fmt::Display for SegmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:08X}{:08X}", self.timeline, self.log, self.segment)
    }
}

impl FromStr for SegmentName {
    type Err = BadWalName;

    fn from_str(text: &str) -> Result<SegmentName, BadWalName> {
        parse_segment(text).ok_or_else(|| BadWalName {
            text: text.to_owned(),
        })
    }
}

impl WalName {
    /// The timeline the name begins with.
    pub fn timeline(&self) -> TimelineId {
        match self {
            WalName::Segment(segment) | WalName::Partial(segment) => segment.timeline,
            WalName::BackupLabel { segment, .. } => segment.timeline,
            WalName::History(timeline) => *timeline,
        }
    }

    /// The segment the name begins with; `None` for a history file.
    pub fn segment(&self) -> Option<SegmentName> {
        match self {
            WalName::Segment(segment) | WalName::Partial(segment) => Some(*segment),
            WalName::BackupLabel { segment, .. } => Some(*segment),
            WalName::History(_) => None,
        }
    }

    /// The first 16 digits: the directory that archives keep the file in; `None` for history.
    pub fn directory(&self) -> Option<String> {
        self.segment().map(|segment| segment.directory())
    }

    /// Sorts as the text does: `.` comes before the digits, and digits before `p`.
    fn sort_key(&self) -> (TimelineId, Option<SegmentName>, u8, u32) {
        let (rank, offset) = match self {
            WalName::Segment(_) | WalName::History(_) => (0, 0),
            WalName::BackupLabel { offset, .. } => (1, *offset),
            WalName::Partial(_) => (2, 0),
        };
        (self.timeline(), self.segment(), rank, offset)
    }
}

impl Ord for WalName {
    fn cmp(&self, other: &WalName) -> Ordering {
        self.sort_key().cmp(&other.sort_key())
    }
}

impl PartialOrd for WalName {
    fn partial_cmp(&self, other: &WalName) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for WalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WalName::Segment(segment) => write!(f, "{segment}"),
            WalName::Partial(segment) => write!(f, "{segment}.partial"),
            WalName::BackupLabel { segment, offset } => write!(f, "{segment}.{offset:08X}.backup"),
            WalName::History(timeline) => write!(f, "{timeline}.history"),
        }
    }
}

impl FromStr for WalName {
    type Err = BadWalName;

    fn from_str(text: &str) -> Result<WalName, BadWalName> {
        parse_name(text).ok_or_else(|| BadWalName {
            text: text.to_owned(),
        })
    }
}

fn parse_name(text: &str) -> Option<WalName> {
    let Some((stem, suffix)) = text.split_once('.') else {
        return parse_segment(text).map(WalName::Segment);
    };
    match suffix {
        "history" => stem.parse().ok().map(WalName::History),
        "partial" => parse_segment(stem).map(WalName::Partial),
        _ => Some(WalName::BackupLabel {
            segment: parse_segment(stem)?,
            offset: parse_digits(suffix.strip_suffix(".backup")?)?,
        }),
    }
}

fn parse_segment(text: &str) -> Option<SegmentName> {
    if text.len() != 24 {
        return None;
    }
    Some(SegmentName {
        timeline: TimelineId::new(parse_digits(text.get(..8)?)?),
        log: parse_digits(text.get(8..16)?)?,
        segment: parse_digits(text.get(16..)?)?,
    })
}

fn parse_digits(text: &str) -> Option<u32> {
    let well_formed = text.len() == 8 && text.bytes().all(|b| b.is_ascii_hexdigit());
    if well_formed {
        u32::from_str_radix(text, 16).ok()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn segment(text: &str) -> SegmentName {
        text.parse().unwrap()
    }

    fn any_segment() -> impl Strategy<Value = SegmentName> {
        (any::<u32>(), any::<u32>(), any::<u32>()).prop_map(|(timeline, log, segment)| {
            SegmentName {
                timeline: TimelineId::new(timeline),
                log,
                segment,
            }
        })
    }

    fn any_name() -> impl Strategy<Value = WalName> {
        prop_oneof![
            any_segment().prop_map(WalName::Segment),
            any_segment().prop_map(WalName::Partial),
            (any_segment(), any::<u32>())
                .prop_map(|(segment, offset)| WalName::BackupLabel { segment, offset }),
            any::<u32>().prop_map(|number| WalName::History(TimelineId::new(number))),
        ]
    }

    fn any_size() -> impl Strategy<Value = SegmentSize> {
        (20u32..=30).prop_map(|shift| SegmentSize::new(1 << shift).unwrap())
    }

    #[test]
    fn the_four_kinds_of_names_are_read() {
        let seven = segment("00000001000000020000002A");
        for (text, name) in [
            ("00000001000000020000002A", WalName::Segment(seven)),
            ("00000001000000020000002A.partial", WalName::Partial(seven)),
            (
                "00000001000000020000002A.000000D8.backup",
                WalName::BackupLabel {
                    segment: seven,
                    offset: 0xD8,
                },
            ),
            ("0000001A.history", WalName::History(TimelineId::new(26))),
        ] {
            assert_eq!(text.parse(), Ok(name));
            assert_eq!(name.to_string(), text);
        }
    }

    #[test]
    fn digits_of_either_case_are_read_and_upper_case_is_written() {
        let name: WalName = "0000000a000000020000002a.000000d8.backup".parse().unwrap();
        assert_eq!(name.to_string(), "0000000A000000020000002A.000000D8.backup");
    }

    #[test]
    fn other_names_are_refused() {
        for text in [
            "",
            "000000010000000000000001.gz",
            "000000010000000000000001.tmp",
            "000000010000000000000001.PARTIAL",
            "00000001000000000000000",
            "0000000100000000000000012",
            "00000001000000000000000g",
            "+00000010000000000000001",
            "000000010000000000000001.28.backup",
            "000000010000000000000001.00000028.backup.partial",
            "000000010000000000000001.00000028",
            "1.history",
            "00000001.history.gz",
            "wals/000000010000000000000001",
            "éééééééééééé",
        ] {
            assert_eq!(
                text.parse::<WalName>(),
                Err(BadWalName {
                    text: text.to_owned()
                })
            );
        }
    }

    #[test]
    fn the_directory_is_the_first_sixteen_digits() {
        let partial: WalName = "00000001000000020000002A.partial".parse().unwrap();
        assert_eq!(partial.directory().as_deref(), Some("0000000100000002"));
        assert_eq!(WalName::History(TimelineId::new(2)).directory(), None);
    }

    #[test]
    fn positions_and_names_agree() {
        // PostgreSQL: SELECT pg_walfile_name('2/2A0000D8') -> 00000001000000020000002A
        let name = segment("00000001000000020000002A");
        let lsn = Lsn::new(0x2_2A00_00D8);
        assert_eq!(
            SegmentName::from_lsn(TimelineId::new(1), lsn, SegmentSize::DEFAULT),
            name
        );
        assert_eq!(
            name.first_lsn(SegmentSize::DEFAULT),
            Lsn::new(0x2_2A00_0000)
        );
        assert_eq!(name.number(SegmentSize::DEFAULT), 0x22A);
    }

    #[test]
    fn the_next_segment_carries_into_the_log() {
        let last = segment("0000000100000002000000FF");
        let next = last.next(SegmentSize::DEFAULT).unwrap();
        assert_eq!(next.to_string(), "000000010000000300000000");
        let one_gib = SegmentSize::new(1 << 30).unwrap();
        let next = segment("000000010000000200000003").next(one_gib).unwrap();
        assert_eq!(next.to_string(), "000000010000000300000000");
        assert_eq!(
            segment("00000001FFFFFFFF000000FF").next(SegmentSize::DEFAULT),
            None
        );
    }

    #[test]
    fn a_name_may_not_fit_a_segment_size() {
        let high = segment("000000010000000000000040");
        assert!(high.fits(SegmentSize::DEFAULT));
        assert!(!high.fits(SegmentSize::new(64 << 20).unwrap()));
    }

    proptest! {
        #[test]
        fn every_name_round_trips(name in any_name()) {
            prop_assert_eq!(name.to_string().parse(), Ok(name));
            prop_assert_eq!(name.to_string().to_lowercase().parse(), Ok(name));
        }

        #[test]
        fn names_sort_as_their_text(a in any_name(), b in any_name()) {
            prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
        }

        #[test]
        fn a_segment_holds_the_position_it_was_named_for(
            lsn: u64, timeline: u32, size in any_size(),
        ) {
            let name = SegmentName::from_lsn(TimelineId::new(timeline), Lsn::new(lsn), size);
            prop_assert!(name.fits(size));
            let first = name.first_lsn(size).value();
            prop_assert_eq!(first, lsn - Lsn::new(lsn).offset(size));
            if let Some(next) = name.next(size) {
                prop_assert_eq!(next.first_lsn(size).value(), first + size.bytes());
            }
        }

        #[test]
        fn any_text_is_answered(text: String, size in any_size(), name in any_segment()) {
            let _ = text.parse::<WalName>();
            let _ = (name.number(size), name.first_lsn(size), name.next(size));
        }
    }
}
