//! The header of a WAL segment: is this file what its name says, and from our cluster?
//!
//! A segment is acknowledged to PostgreSQL only after it passed here, because the server deletes
//! its own copy then. Only the first page's header is judged; the records are
//! [`RecordCheck`](crate::wal::records::RecordCheck)'s. Reading the bytes is left to the caller.
//!
//! The layout is `XLogLongPageHeaderData` of PostgreSQL's `access/xlog_internal.h`, little endian,
//! unchanged from 9.6 to 18:
//!
//! ```text
//!  0 u16 magic, one per major version    16 u32 bytes continued from the previous page
//!  2 u16 flags                           20     (padding)
//!  4 u32 timeline                        24 u64 system identifier
//!  8 u64 LSN of the page                 32 u32 segment size    36 u32 WAL page size
//! ```

use thiserror::Error;

use crate::postgres::{SegmentSize, SystemId};
use crate::wal::lsn::Lsn;
use crate::wal::name::SegmentName;
use crate::wal::timeline::TimelineId;

/// How many bytes of a segment [`check_segment`] reads.
pub const HEADER_LENGTH: usize = 40;

/// The magic of each major version. 13 to 18 were read from real segments (see `fixtures/`), the
/// older ones are the figures of the published headers.
const MAGICS: [(u16, u32); 10] = [
    (0xD093, 9),
    (0xD097, 10),
    (0xD098, 11),
    (0xD101, 12),
    (0xD106, 13),
    (0xD10D, 14),
    (0xD110, 15),
    (0xD113, 16),
    (0xD116, 17),
    (0xD118, 18),
];

/// Above the newest known magic, up to here, a magic is taken for a PostgreSQL newer than we are.
const LAST_OF_FAMILY: u16 = 0xD1FF;

const LONG_HEADER: u16 = 0x0002;
/// Continued record, long header, removable backup blocks, overwritten continuation.
const KNOWN_FLAGS: u16 = 0x000F;

/// What the header of an accepted segment says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentFacts {
    /// `xlp_magic`, which differs between major versions; see [`SegmentFacts::major`].
    pub version_magic: u16,
    /// The cluster that wrote the segment.
    pub system_id: SystemId,
    /// The cluster's segment size, equal to the file's length.
    pub segment_size: SegmentSize,
    /// The timeline on which the first page was written. Older than the name's when a promotion
    /// copied the beginning of the parent's segment.
    pub page_timeline: TimelineId,
    /// The position of the first byte, equal to the name's.
    pub page_lsn: Lsn,
    /// The size of the cluster's WAL pages.
    pub page_bytes: u32,
}

impl SegmentFacts {
    /// The major version that wrote the segment (9 for 9.6); `None` if it is newer than we know.
    pub fn major(&self) -> Option<u32> {
        major_of(self.version_magic)
    }
}

/// A file that must not be acknowledged as the segment it is named for.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{name} is not a sound WAL segment: {cause}")]
pub struct BadSegment {
    /// The name the file came under.
    pub name: SegmentName,
    /// What is wrong with it.
    pub cause: BadSegmentCause,
}

/// What is wrong with a segment.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadSegmentCause {
    /// Not even a header.
    #[error("it has only {length} bytes")]
    TooShort {
        /// The file's length in bytes.
        length: u64,
    },
    /// The file was allocated, but nothing was ever written.
    #[error("its header is all zeros: it was allocated, but never written")]
    NeverWritten,
    /// No PostgreSQL that we know or expect wrote this.
    #[error("its magic number {found:04X} belongs to no known version of PostgreSQL")]
    Magic {
        /// `xlp_magic`.
        found: u16,
    },
    /// The flags are not those of a segment's first page.
    #[error("the flags {found:04X} of its first page are not those of a segment")]
    Flags {
        /// `xlp_info`.
        found: u16,
    },
    /// The sizes in the header are none that PostgreSQL can be built with.
    #[error("its header gives impossible sizes: segment {segment}, page {page} bytes")]
    Sizes {
        /// `xlp_seg_size`, in bytes.
        segment: u32,
        /// `xlp_xlog_blcksz`, in bytes.
        page: u32,
    },
    /// Truncated, or longer than it may be.
    #[error("it has {found} bytes instead of {expected}")]
    Length {
        /// The segment size in the header, in bytes.
        expected: u64,
        /// The file's length in bytes.
        found: u64,
    },
    /// Written by another cluster.
    #[error("it comes from the cluster with system identifier {found}, not from {expected}")]
    ForeignCluster {
        /// Our cluster.
        expected: SystemId,
        /// The cluster in the header.
        found: SystemId,
    },
    /// The name has a number that no segment of this size can have.
    #[error("no segment of {size} bytes can have this name")]
    Name {
        /// The segment size in the header.
        size: SegmentSize,
    },
    /// An old segment under a new name, waiting to be overwritten.
    #[error("it still holds WAL from {found} instead of {expected}: recycled, but never written")]
    Recycled {
        /// The name's first LSN.
        expected: Lsn,
        /// The LSN of the first page.
        found: Lsn,
    },
    /// A segment from later in the log under this name.
    #[error("it holds WAL from {found} instead of {expected}")]
    Position {
        /// The name's first LSN.
        expected: Lsn,
        /// The LSN of the first page.
        found: Lsn,
    },
    /// A record or a page header is wrong, and a sound record comes after it.
    #[error("its log is broken at {at}, and goes on at {next}")]
    Damaged {
        /// The first place that is wrong.
        at: Lsn,
        /// A sound record.
        next: Lsn,
    },
    /// The first page was written on a timeline that is newer than the name's.
    #[error("its first page is of timeline {}, which is newer", found.number())]
    Timeline {
        /// The timeline in the header.
        found: TimelineId,
    },
}

/// Judges a segment (complete or partial) by its name, the first [`HEADER_LENGTH`] bytes or more,
/// and its length in bytes.
///
/// `expected` is the cluster it must come from, if known. A magic between the newest known one and
/// `D1FF` is accepted, so that a new PostgreSQL can be archived on its first day; everything else
/// in the header must be right all the same.
pub fn check_segment(
    name: &SegmentName,
    head: &[u8],
    length: u64,
    expected: Option<SystemId>,
) -> Result<SegmentFacts, BadSegment> {
    judge(name, head, length, expected).map_err(|cause| BadSegment { name: *name, cause })
}

/// Judges the first [`HEADER_LENGTH`] bytes or more of a segment whose end has not come yet: all
/// that [`check_segment`] looks at but the length and the cluster.
pub fn check_segment_head(name: &SegmentName, head: &[u8]) -> Result<SegmentFacts, BadSegment> {
    let length = head.len() as u64;
    let header = head
        .first_chunk::<HEADER_LENGTH>()
        .ok_or(BadSegmentCause::TooShort { length });
    let facts = header.and_then(read_header);
    let facts = facts.and_then(|facts| check_place(name, &facts).map(|()| facts));
    facts.map_err(|cause| BadSegment { name: *name, cause })
}

fn judge(
    name: &SegmentName,
    head: &[u8],
    length: u64,
    expected: Option<SystemId>,
) -> Result<SegmentFacts, BadSegmentCause> {
    let header = head.first_chunk::<HEADER_LENGTH>();
    let header = header.ok_or(BadSegmentCause::TooShort { length })?;
    let facts = read_header(header)?;
    if length != facts.segment_size.bytes() {
        let expected = facts.segment_size.bytes();
        return Err(BadSegmentCause::Length {
            expected,
            found: length,
        });
    }
    if let Some(expected) = expected
        && expected != facts.system_id
    {
        return Err(BadSegmentCause::ForeignCluster {
            expected,
            found: facts.system_id,
        });
    }
    check_place(name, &facts)?;
    Ok(facts)
}

fn read_header(header: &[u8; HEADER_LENGTH]) -> Result<SegmentFacts, BadSegmentCause> {
    if header.iter().all(|byte| *byte == 0) {
        return Err(BadSegmentCause::NeverWritten);
    }
    let version_magic = u16_at(header, 0);
    let newest = MAGICS[MAGICS.len() - 1].0;
    let newer = newest < version_magic && version_magic <= LAST_OF_FAMILY;
    if major_of(version_magic).is_none() && !newer {
        return Err(BadSegmentCause::Magic {
            found: version_magic,
        });
    }
    let flags = u16_at(header, 2);
    // A newer version may have a flag that we do not know yet.
    if flags & LONG_HEADER == 0 || (flags & !KNOWN_FLAGS != 0 && !newer) {
        return Err(BadSegmentCause::Flags { found: flags });
    }
    let (segment, page) = (u32_at(header, 32), u32_at(header, 36));
    let impossible = BadSegmentCause::Sizes { segment, page };
    // `configure --with-wal-blocksize` offers 1 to 64 kB.
    if !page.is_power_of_two() || !(1 << 10..=1 << 16).contains(&page) {
        return Err(impossible);
    }
    Ok(SegmentFacts {
        version_magic,
        system_id: SystemId::new(u64_at(header, 24)),
        segment_size: SegmentSize::new(u64::from(segment)).map_err(|_| impossible)?,
        page_timeline: TimelineId::new(u32_at(header, 4)),
        page_lsn: Lsn::new(u64_at(header, 8)),
        page_bytes: page,
    })
}

fn check_place(name: &SegmentName, facts: &SegmentFacts) -> Result<(), BadSegmentCause> {
    let size = facts.segment_size;
    if !name.fits(size) {
        return Err(BadSegmentCause::Name { size });
    }
    let (expected, found) = (name.first_lsn(size), facts.page_lsn);
    if found < expected {
        return Err(BadSegmentCause::Recycled { expected, found });
    }
    if found > expected {
        return Err(BadSegmentCause::Position { expected, found });
    }
    if facts.page_timeline > name.timeline() {
        return Err(BadSegmentCause::Timeline {
            found: facts.page_timeline,
        });
    }
    Ok(())
}

fn major_of(magic: u16) -> Option<u32> {
    MAGICS
        .iter()
        .find(|(known, _)| *known == magic)
        .map(|(_, major)| *major)
}

fn u16_at(header: &[u8; HEADER_LENGTH], offset: usize) -> u16 {
    u16::from_le_bytes([header[offset], header[offset + 1]])
}

fn u32_at(header: &[u8; HEADER_LENGTH], offset: usize) -> u32 {
    u32::from(u16_at(header, offset)) | u32::from(u16_at(header, offset + 2)) << 16
}

fn u64_at(header: &[u8; HEADER_LENGTH], offset: usize) -> u64 {
    u64::from(u32_at(header, offset)) | u64::from(u32_at(header, offset + 4)) << 32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LENGTH: u64 = 16 << 20;
    const SEGMENT_15: &[u8] = include_bytes!("../../fixtures/segment-15");

    fn check(name: &str, head: &[u8]) -> Result<SegmentFacts, BadSegmentCause> {
        check_segment(&name.parse().unwrap(), head, LENGTH, None).map_err(|bad| bad.cause)
    }

    /// The first segment of a PostgreSQL 15 cluster with `bytes` written over it at `offset`.
    fn check_changed(offset: usize, bytes: &[u8]) -> Result<SegmentFacts, BadSegmentCause> {
        let mut head = SEGMENT_15.to_vec();
        head[offset..offset + bytes.len()].copy_from_slice(bytes);
        check("000000010000000000000001", &head)
    }

    #[test]
    fn segments_of_every_supported_version_are_accepted() {
        // The system identifiers are those that pg_controldata showed for the same clusters.
        for (major, head, system_id) in [
            (
                13,
                &include_bytes!("../../fixtures/segment-13")[..],
                7710568153885348120,
            ),
            (
                14,
                &include_bytes!("../../fixtures/segment-14")[..],
                7710568156678512960,
            ),
            (15, SEGMENT_15, 7710568160307925355),
            (
                16,
                &include_bytes!("../../fixtures/segment-16")[..],
                7710568163482247573,
            ),
            (
                17,
                &include_bytes!("../../fixtures/segment-17")[..],
                7710568166486311336,
            ),
            (
                18,
                &include_bytes!("../../fixtures/segment-18")[..],
                7710568169053749692,
            ),
        ] {
            let facts = check("000000010000000000000001", head).unwrap();
            assert_eq!(facts.major(), Some(major));
            assert_eq!(facts.system_id, SystemId::new(system_id));
            assert_eq!(facts.segment_size, SegmentSize::DEFAULT);
            assert_eq!(facts.page_timeline, TimelineId::new(1));
            assert_eq!(facts.page_lsn, Lsn::new(0x100_0000));
        }
    }

    #[test]
    fn the_first_page_after_a_promotion_may_be_of_the_parent() {
        let head = include_bytes!("../../fixtures/segment-15-switched");
        let facts = check("000000020000000000000004", head).unwrap();
        assert_eq!(facts.page_timeline, TimelineId::new(1));
    }

    #[test]
    fn a_page_of_a_newer_timeline_is_refused() {
        let found = TimelineId::new(2);
        assert_eq!(
            check_changed(4, &[2]),
            Err(BadSegmentCause::Timeline { found })
        );
    }

    #[test]
    fn a_recycled_segment_is_refused() {
        let head = include_bytes!("../../fixtures/segment-15-recycled");
        let name = "000000010000000000000006".parse().unwrap();
        let refused = check_segment(&name, head, LENGTH, None).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "000000010000000000000006 is not a sound WAL segment: it still holds WAL from \
             0/3000000 instead of 0/6000000: recycled, but never written"
        );
    }

    #[test]
    fn a_segment_under_an_earlier_name_is_refused() {
        let (expected, found) = (Lsn::new(0), Lsn::new(0x100_0000));
        let refused = check("000000010000000000000000", SEGMENT_15);
        assert_eq!(refused, Err(BadSegmentCause::Position { expected, found }));
    }

    #[test]
    fn a_preallocated_segment_is_refused() {
        let refused = check("000000010000000000000001", &[0; 8192]);
        assert_eq!(refused, Err(BadSegmentCause::NeverWritten));
    }

    #[test]
    fn a_truncated_segment_is_refused() {
        let name = "000000010000000000000001".parse().unwrap();
        for length in [40, LENGTH - 1, LENGTH + 1] {
            let refused = check_segment(&name, SEGMENT_15, length, None).unwrap_err();
            let expected = BadSegmentCause::Length {
                expected: LENGTH,
                found: length,
            };
            assert_eq!(refused.cause, expected);
        }
        let refused = check_segment(&name, &SEGMENT_15[..39], 39, None).unwrap_err();
        assert_eq!(refused.cause, BadSegmentCause::TooShort { length: 39 });
    }

    #[test]
    fn a_foreign_segment_is_refused() {
        let name = "000000010000000000000001".parse().unwrap();
        let found = SystemId::new(7710568160307925355);
        assert!(check_segment(&name, SEGMENT_15, LENGTH, Some(found)).is_ok());
        let expected = SystemId::new(7);
        let refused = check_segment(&name, SEGMENT_15, LENGTH, Some(expected)).unwrap_err();
        assert_eq!(
            refused.cause,
            BadSegmentCause::ForeignCluster { expected, found }
        );
    }

    #[test]
    fn a_newer_magic_is_accepted_and_a_strange_one_is_not() {
        for magic in [0xD119u16, 0xD11A, 0xD1FF] {
            let facts = check_changed(0, &magic.to_le_bytes()).unwrap();
            assert_eq!((facts.version_magic, facts.major()), (magic, None));
        }
        for magic in [0u16, 0x10D1, 0xD07E, 0xD092, 0xD111, 0xD200, 0x8B1F] {
            let refused = check_changed(0, &magic.to_le_bytes());
            assert_eq!(refused, Err(BadSegmentCause::Magic { found: magic }));
        }
    }

    #[test]
    fn a_page_from_the_middle_of_a_segment_is_refused() {
        assert_eq!(
            check_changed(2, &[1]),
            Err(BadSegmentCause::Flags { found: 1 })
        );
        assert_eq!(
            check_changed(2, &[0x12]),
            Err(BadSegmentCause::Flags { found: 0x12 })
        );
    }

    #[test]
    fn impossible_sizes_are_refused() {
        for (offset, bytes) in [(32, [1, 0, 0, 1]), (32, [0; 4]), (36, [0; 4]), (36, [1; 4])] {
            let refused = check_changed(offset, &bytes);
            assert!(
                matches!(refused, Err(BadSegmentCause::Sizes { .. })),
                "{refused:?}"
            );
        }
    }

    #[test]
    fn a_name_beyond_the_log_is_refused() {
        let refused = check("000000010000000000000100", SEGMENT_15);
        assert_eq!(
            refused,
            Err(BadSegmentCause::Name {
                size: SegmentSize::DEFAULT
            })
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(head: Vec<u8>, length: u64, changed: [u8; 40], keep: u64) {
            let name = "0000000100000000FFFFFFFF".parse().unwrap();
            let _ = check_segment(&name, &head, length, None);
            // Mostly a real header, so that the later checks are reached, too.
            let mut mixed = SEGMENT_15.to_vec();
            for (place, byte) in changed.iter().enumerate() {
                if keep >> place & 1 == 0 {
                    mixed[place] = *byte;
                }
            }
            let _ = check_segment(&name, &mixed, LENGTH, None);
        }
    }
}
