//! Which segments follow the one that was asked for, and what a spool of them should hold.
//!
//! Pure: the caller says where recovery is and what the spool has. Always true: names run on over
//! the end of a log in segments of any size, and a plan never asks for what is there already nor
//! keeps what recovery has passed.

use std::collections::BTreeSet;
use std::fmt::Write;

use sha2::{Digest, Sha256};

use crate::postgres::SegmentSize;
use crate::wal::name::SegmentName;

/// Where recovery is, and how far ahead of it a spool reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The segment that is handed out now, or was handed out last.
    pub segment: SegmentName,
    /// Of this cluster's segments.
    pub size: SegmentSize,
    /// How many segments after it are wanted.
    pub segment_count: usize,
}

/// What to do with a spool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SpoolPlan {
    /// Missing, the next one first.
    pub fetch: Vec<SegmentName>,
    /// Passed, or too far ahead.
    pub discard: Vec<SegmentName>,
}

impl Position {
    /// The segments that come next, in order; fewer only at the end of all positions.
    pub fn following(self) -> impl Iterator<Item = SegmentName> {
        let next = move |segment: &SegmentName| segment.next(self.size);
        std::iter::successors(next(&self.segment), next).take(self.segment_count)
    }

    /// Compares what should be in a spool with what is.
    pub fn plan_spool(self, held: &BTreeSet<SegmentName>) -> SpoolPlan {
        let wanted: Vec<SegmentName> = self.following().collect();
        let missing = wanted.iter().filter(|segment| !held.contains(segment));
        // The one that recovery is at may just be on its way out of the spool.
        let of_use = |segment: &SegmentName| *segment == self.segment || wanted.contains(segment);
        let passed = held.iter().filter(|segment| !of_use(segment));
        SpoolPlan {
            fetch: missing.copied().collect(),
            discard: passed.copied().collect(),
        }
    }
}

/// Sixteen digits that stand for a combination of texts, such as a store's address and a server.
pub fn fingerprint(texts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for text in texts {
        // Without the length, two texts could be cut in another place.
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    }
    hash.finalize()
        .iter()
        .take(8)
        .fold(String::new(), |mut digits, byte| {
            let _ = write!(digits, "{byte:02x}");
            digits
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wal::lsn::Lsn;
    use crate::wal::timeline::TimelineId;

    fn position(segment: &str, size_mib: u64, segment_count: usize) -> Position {
        Position {
            segment: segment.parse().unwrap(),
            size: SegmentSize::new(size_mib << 20).unwrap(),
            segment_count,
        }
    }

    #[test]
    fn the_next_names_run_on_over_the_end_of_a_log() {
        // The number of segments in a log: PostgreSQL manual, "WAL Internals" (4 GiB a log).
        for (segment, size_mib, expected) in [
            (
                "0000000100000002000000FE",
                16,
                [
                    "0000000100000002000000FF",
                    "000000010000000300000000",
                    "000000010000000300000001",
                ],
            ),
            (
                "000000020000000000000FFE",
                1,
                [
                    "000000020000000000000FFF",
                    "000000020000000100000000",
                    "000000020000000100000001",
                ],
            ),
            (
                "000000010000000000000002",
                1024,
                [
                    "000000010000000000000003",
                    "000000010000000100000000",
                    "000000010000000100000001",
                ],
            ),
        ] {
            let names: Vec<String> = position(segment, size_mib, 3)
                .following()
                .map(|name| name.to_string())
                .collect();
            assert_eq!(names, expected);
        }
        let last = position("00000001FFFFFFFF000000FE", 16, 3);
        assert_eq!(last.following().count(), 1);
    }

    #[test]
    fn fingerprints_tell_texts_apart() {
        let all = [
            fingerprint(&["s3://a", "main"]),
            fingerprint(&["s3://a", "other"]),
            fingerprint(&["s3://am", "ain"]),
            fingerprint(&["s3://a", "main", ""]),
        ];
        let distinct: BTreeSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
        assert!(all.iter().all(|digits| digits.len() == 16));
    }

    proptest! {
        #[test]
        fn a_plan_completes_the_spool_and_keeps_nothing_else(
            first in 0u64..1 << 40,
            shift in 20u32..=30,
            segment_count in 0usize..20,
            held in proptest::collection::btree_set(0u64..40, 0..20),
        ) {
            let size = SegmentSize::new(1 << shift).unwrap();
            let name = |offset: u64| {
                let lsn = Lsn::new(first + offset * size.bytes());
                SegmentName::from_lsn(TimelineId::new(1), lsn, size)
            };
            let position = Position { segment: name(10), size, segment_count };
            let held: BTreeSet<SegmentName> = held.into_iter().map(name).collect();
            let plan = position.plan_spool(&held);
            let mut after: BTreeSet<SegmentName> = held.clone();
            after.retain(|segment| !plan.discard.contains(segment));
            prop_assert!(plan.fetch.is_sorted());
            for segment in &plan.fetch {
                prop_assert!(after.insert(*segment), "fetched though it was there");
            }
            after.remove(&name(10));
            let wanted: BTreeSet<SegmentName> =
                (11..11 + segment_count as u64).map(name).collect();
            prop_assert_eq!(after, wanted);
        }
    }
}
