//! Where a receiver of WAL goes on: what its directory says.
//!
//! As pg_receivewal leaves it, a directory has complete segments under their names and the one
//! that is being written as `<segment>.partial`; what archives them takes the complete ones away.
//! Source: PostgreSQL manual, "pg_receivewal".

use crate::postgres::SegmentSize;
use crate::wal::lsn::Lsn;
use crate::wal::name::{SegmentName, WalName};
use crate::wal::timeline::TimelineId;

/// Where a receiver goes on: always the beginning of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResumePoint {
    pub timeline: TimelineId,
    pub position: Lsn,
}

/// What a receiver's directory says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReceivedWal {
    /// Nothing where there is no WAL yet.
    pub resume: Option<ResumePoint>,
    /// Complete by name, but not by size: they count for nothing.
    pub misfits: Vec<SegmentName>,
}

/// Reads names and sizes of the files in a receiver's directory.
pub fn received_wal<'a>(
    files: impl Iterator<Item = (&'a str, u64)>,
    size: SegmentSize,
) -> ReceivedWal {
    let mut received = ReceivedWal::default();
    // The latest position counts, on the latest timeline; a complete segment before its part.
    let mut newest: Option<(u64, TimelineId, bool, SegmentName)> = None;
    for (name, bytes) in files {
        let (segment, is_complete) = match name.parse() {
            Ok(WalName::Segment(segment)) if bytes == size.bytes() => (segment, true),
            Ok(WalName::Segment(segment)) => {
                received.misfits.push(segment);
                continue;
            }
            Ok(WalName::Partial(segment)) => (segment, false),
            _ => continue,
        };
        let number = segment.number(size);
        let found = (number, segment.timeline(), is_complete, segment);
        newest = newest.max(Some(found));
    }
    received.misfits.sort();
    received.resume = newest.and_then(|(_, timeline, is_complete, segment)| {
        let first = if is_complete {
            segment.next(size)?
        } else {
            segment
        };
        let position = first.first_lsn(size);
        Some(ResumePoint { timeline, position })
    });
    received
}

#[cfg(test)]
mod tests {
    use super::*;

    type Files = &'static [(&'static str, u64)];

    fn resume(files: &[(&str, u64)]) -> (Option<String>, usize) {
        let size = SegmentSize::default();
        let received = received_wal(files.iter().copied(), size);
        let shown = received
            .resume
            .map(|point| format!("{} {}", point.timeline.number(), point.position));
        (shown, received.misfits.len())
    }

    #[test]
    fn a_receiver_goes_on_where_its_files_end() {
        const FULL: u64 = 16 << 20;
        let table: [(Files, Option<&str>, usize); 8] = [
            (&[], None, 0),
            (&[("00000001.history", 9), ("x", 1)], None, 0),
            (
                &[("000000010000000000000003", FULL)],
                Some("1 0/4000000"),
                0,
            ),
            (&[("0000000100000000000000FF", FULL)], Some("1 1/0"), 0),
            (
                &[
                    ("000000010000000000000003", FULL),
                    ("000000010000000000000004.partial", 7),
                ],
                Some("1 0/4000000"),
                0,
            ),
            // The rename came before the new part.
            (
                &[
                    ("000000010000000000000004", FULL),
                    ("000000010000000000000004.partial", FULL),
                ],
                Some("1 0/5000000"),
                0,
            ),
            // A timeline was left in the middle of a segment.
            (
                &[
                    ("000000010000000000000004.partial", FULL),
                    ("000000020000000000000004.partial", 0),
                ],
                Some("2 0/4000000"),
                0,
            ),
            (
                &[
                    ("000000010000000000000004", 5),
                    ("000000010000000000000003", FULL),
                ],
                Some("1 0/4000000"),
                1,
            ),
        ];
        for (files, expected, misfits) in table {
            let (found, count) = resume(files);
            assert_eq!((found.as_deref(), count), (expected, misfits), "{files:?}");
        }
    }
}
