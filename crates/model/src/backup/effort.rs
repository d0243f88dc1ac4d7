//! How much a backup does at a time, and the memory that this takes.
//!
//! Each job collects one part of its archive while others are on the wire; the codec has its
//! tables, and threads that share an archive have some each. That is all that grows: the sum is a
//! promise, which `scripts/memory` measures. Always true: what [`fit`] returns takes no more than
//! it was allowed.

use crate::codec::Codec;

/// What a backup does at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effort {
    /// Archives that are made and uploaded at the same time.
    pub jobs: usize,
    /// Bytes of a part of an upload.
    pub part_bytes: u64,
    /// Parts of each upload that are on the wire at the same time.
    pub parts_in_flight: usize,
    /// Threads that compress an archive too large for one job.
    pub threads: usize,
}

/// What the store wants of parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartRules {
    pub min_bytes: u64,
    pub max_count: u64,
}

/// A limit that nothing fits into, of a backup or a restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} MiB of memory are too little: the least that is needed here is {} MiB",
    limit_bytes / MIB,
    least_bytes.div_ceil(MIB)
)]
pub struct TooLittleMemory {
    pub limit_bytes: u64,
    pub least_bytes: u64,
}

const MIB: u64 = 1024 * 1024;
/// The program itself, its connections, the list of some ten thousand files, and what the allocator
/// keeps of what was given back.
const BASE_BYTES: u64 = 20 * MIB;
/// What a job has besides parts and codec: the block that it reads, and its connections' buffers.
const JOB_BYTES: u64 = 2 * MIB;
/// What each of several threads has at hand of one archive: its tables, a piece to compress, and
/// pieces that wait for it or for the upload.
const THREAD_BYTES: u64 = 9 * MIB;
/// Parts of an upload beside those on the wire: one is being filled.
const PARTS_AT_HAND: u64 = 1;
/// This part of an archive's size comes on top, for headers, for content that a codec makes larger,
/// and for files that grow between being listed and being opened.
const MARGIN: u64 = 16;
/// Sent as fast as parts of 8 MiB, which those of 6 MiB are not (SeaweedFS, loopback, no codec).
const USUAL_PART_BYTES: u64 = 7 * MIB;
/// What several threads have at hand leaves less for parts, and there is less to send.
const SHARED_PART_BYTES: u64 = 6 * MIB;
const USUAL_PARTS_IN_FLIGHT: usize = 2;

impl Effort {
    /// The most memory that it takes, in bytes.
    pub fn peak_bytes(&self, codec: Codec) -> u64 {
        let parts = (self.parts_in_flight as u64 + PARTS_AT_HAND) * self.part_bytes;
        let threads = match self.threads {
            1 => 0,
            threads => threads as u64 * THREAD_BYTES,
        };
        BASE_BYTES + threads + self.jobs as u64 * (parts + codec_bytes(codec) + JOB_BYTES)
    }
}

/// How many threads can compress an archive: no other codec makes one stream of what several do.
fn threads(jobs: usize, codec: Codec) -> usize {
    if codec == Codec::Zstd { jobs } else { 1 }
}

/// What the tables of a codec take at the level that archives are made with.
fn codec_bytes(codec: Codec) -> u64 {
    match codec {
        Codec::None => 0,
        Codec::Gzip | Codec::Lz4 | Codec::Snappy => MIB,
        Codec::Zstd => 5 * MIB,
        Codec::Bzip2 => 8 * MIB,
        Codec::Xz => 100 * MIB,
    }
}

/// The bytes of a part with which an archive of this size has no more parts than it may.
pub fn part_bytes(usual_bytes: u64, archive_bytes: u64, rules: PartRules) -> u64 {
    let needed = (archive_bytes + archive_bytes / MARGIN).div_ceil(rules.max_count.max(1));
    needed
        .max(rules.min_bytes)
        .max(usual_bytes)
        .next_multiple_of(MIB)
}

/// The bytes of files up to which an archive does with parts of this size.
pub fn archive_bytes(part_bytes: u64, rules: PartRules) -> u64 {
    part_bytes.saturating_mul(rules.max_count) / (MARGIN + 1) * MARGIN
}

/// The greatest effort with at most so many jobs that a limit allows: a single thread an archive
/// comes first, then smaller parts, then fewer of them, then fewer jobs. No limit allows the usual
/// effort.
///
/// # Errors
/// When not even the least effort fits.
pub fn fit(
    jobs: usize,
    codec: Codec,
    (largest_archive_bytes, rules): (u64, PartRules),
    limit_bytes: Option<u64>,
) -> Result<Effort, TooLittleMemory> {
    let effort = |jobs, parts_in_flight, usual_bytes| {
        let part_bytes = part_bytes(usual_bytes, largest_archive_bytes, rules);
        // Parts so large that a file of some hundred gigabytes needs them go one at a time.
        let is_enlarged = part_bytes > self::part_bytes(usual_bytes, 0, rules);
        Effort {
            jobs,
            parts_in_flight: if is_enlarged { 1 } else { parts_in_flight },
            part_bytes,
            threads: 1,
        }
    };
    let usual = match threads(jobs, codec) {
        1 => effort(jobs, USUAL_PARTS_IN_FLIGHT, USUAL_PART_BYTES),
        threads => Effort {
            threads,
            ..effort(jobs, USUAL_PARTS_IN_FLIGHT, SHARED_PART_BYTES)
        },
    };
    let Some(limit_bytes) = limit_bytes else {
        return Ok(usual);
    };
    let efforts = (1..=jobs).rev().flat_map(|jobs| {
        let parts = (1..=USUAL_PARTS_IN_FLIGHT).rev();
        parts.flat_map(move |parts| {
            let sizes = [7, 6, 5].into_iter();
            sizes.map(move |size| effort(jobs, parts, size * MIB))
        })
    });
    let mut least = usual;
    for effort in std::iter::once(usual).chain(efforts) {
        if effort.peak_bytes(codec) <= limit_bytes {
            return Ok(effort);
        }
        least = effort;
    }
    Err(TooLittleMemory {
        limit_bytes,
        least_bytes: least.peak_bytes(codec),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const S3: PartRules = PartRules {
        min_bytes: 5 * MIB,
        max_count: 10_000,
    };

    #[test]
    fn without_a_limit_two_jobs_stay_below_96_mib() {
        let codecs = [
            Codec::None,
            Codec::Gzip,
            Codec::Lz4,
            Codec::Snappy,
            Codec::Zstd,
        ];
        for codec in codecs {
            let effort = fit(2, codec, (0, S3), None).unwrap();
            assert!(effort.peak_bytes(codec) <= 96 * MIB, "{codec:?}");
        }
    }

    #[test]
    fn a_file_of_100_gib_does_not_take_more_than_96_mib() {
        for largest in [100_000_000_000, 100 << 30] {
            let effort = fit(2, Codec::Zstd, (largest, S3), None).unwrap();
            assert!(effort.peak_bytes(Codec::Zstd) <= 96 * MIB, "{largest}");
        }
    }

    #[test]
    fn sixty_four_mib_are_enough_for_every_codec_and_for_a_file_of_100_gb() {
        for codec in Codec::ALL.into_iter().filter(|codec| *codec != Codec::Xz) {
            for largest in [0, 100_000 * MIB] {
                let effort = fit(2, codec, (largest, S3), Some(64 * MIB)).unwrap();
                assert!(effort.peak_bytes(codec) <= 64 * MIB, "{codec:?}");
            }
        }
        let effort = fit(2, Codec::Gzip, (0, S3), Some(64 * MIB)).unwrap();
        assert_eq!((effort.jobs, effort.parts_in_flight), (2, 2));
    }

    #[test]
    fn what_is_too_little_names_what_is_enough() {
        let error = fit(4, Codec::Zstd, (0, S3), Some(32 * MIB)).unwrap_err();
        assert!(fit(4, Codec::Zstd, (0, S3), Some(error.least_bytes)).is_ok());
        assert!(error.to_string().contains("37 MiB"), "{error}");
    }

    #[test]
    fn parts_grow_with_archives_that_would_have_too_many() {
        assert_eq!(part_bytes(8 * MIB, 50_000 * MIB, S3), 8 * MIB);
        assert_eq!(part_bytes(8 * MIB, 100_000 * MIB, S3), 11 * MIB);
    }

    #[test]
    fn an_archive_of_the_size_that_parts_are_good_for_needs_no_larger_ones() {
        for part in [5 * MIB, 8 * MIB, 64 * MIB] {
            let archive = archive_bytes(part, S3);
            assert_eq!(part_bytes(part, archive, S3), part);
            assert!(part_bytes(part, archive + 2 * MIB, S3) > part);
        }
    }

    proptest! {
        #[test]
        fn what_fits_keeps_to_its_limit(
            jobs in 1usize..40,
            largest_gib in 0u64..200,
            limit_mib in 30u64..2000,
        ) {
            let limit = limit_mib * MIB;
            for codec in [Codec::None, Codec::Zstd] {
                let largest = largest_gib * 1024 * MIB;
                if let Ok(effort) = fit(jobs, codec, (largest, S3), Some(limit)) {
                    prop_assert!(effort.peak_bytes(codec) <= limit);
                    prop_assert!((1..=jobs).contains(&effort.jobs));
                }
            }
        }
    }
}
