//! How much a restore does at a time, and the memory that this takes.
//!
//! Each job has what a request or two brought and nobody took yet, the codec's tables, and blocks
//! to write. That is all that grows while archives are unpacked: the sum is a promise, which
//! `scripts/memory` measures. Afterwards, when that is free again, the files are compared with the
//! backup's manifest, and [`comparison_bytes`] counts. Always true: what [`fit`] returns takes no
//! more than it was allowed.

use crate::backup::effort::TooLittleMemory;
use crate::codec::Codec;

/// What a restore does at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effort {
    /// Archives that are fetched and unpacked at the same time.
    pub jobs: usize,
    /// Requests that bring each of them at the same time, if it is large.
    pub requests: usize,
}

/// What there is to unpack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work {
    /// How many archives: no more jobs than that have something to do.
    pub archives: usize,
    /// The codec of the archives, of several the one that takes the most.
    pub codec: Codec,
}

const MIB: u64 = 1024 * 1024;
/// The program itself, what came of listings, and what the allocator does not give back.
const BASE_BYTES: u64 = 22 * MIB;
/// What a job has besides requests and codec: the blocks that it writes, those that a thread of its
/// own decompresses ahead, and the allocator's gaps between them.
const JOB_BYTES: u64 = 5 * MIB;
/// What waits of a request's answer, ten chunks of at most 400 KiB, and its connection's buffer.
const REQUEST_BYTES: u64 = 5 * MIB;
/// What a file costs in the comparison with the manifest.
const FILE_BYTES: u64 = 20;
const USUAL_REQUESTS: usize = 2;

impl Effort {
    /// What a restore of so many jobs does where nothing limits it.
    pub const fn usual(jobs: usize) -> Effort {
        Effort {
            jobs,
            requests: USUAL_REQUESTS,
        }
    }

    /// The most memory that it takes until everything is unpacked, in bytes.
    pub fn peak_bytes(&self, work: Work) -> u64 {
        let requests = self.requests as u64 * REQUEST_BYTES;
        let jobs = self.jobs.min(work.archives) as u64;
        BASE_BYTES + jobs * (requests + codec_bytes(work.codec) + JOB_BYTES)
    }
}

impl Work {
    /// Nothing to unpack yet.
    const NOTHING: Work = Work {
        archives: 0,
        codec: Codec::None,
    };

    /// What archives of these codecs make of it.
    pub fn of(codecs: impl Iterator<Item = Codec>) -> Work {
        codecs.fold(Work::NOTHING, |work, codec| Work {
            archives: work.archives + 1,
            codec: std::cmp::max_by_key(work.codec, codec, |codec| codec_bytes(*codec)),
        })
    }
}

/// The most memory that the comparison of so many files with the manifest takes, in bytes.
pub fn comparison_bytes(files: u64) -> u64 {
    BASE_BYTES + files * FILE_BYTES
}

/// What a codec needs to decompress what its usual tools make at their usual levels.
fn codec_bytes(codec: Codec) -> u64 {
    match codec {
        Codec::None => 0,
        Codec::Gzip | Codec::Lz4 | Codec::Snappy => MIB,
        Codec::Zstd => 3 * MIB,
        Codec::Bzip2 => 4 * MIB,
        Codec::Xz => 66 * MIB,
    }
}

/// The greatest effort with at most so many jobs that a limit allows: fewer jobs come first, then
/// a single request for the last one. No limit allows the usual effort.
///
/// # Errors
/// When not even the least effort fits.
pub fn fit(jobs: usize, work: Work, limit_bytes: Option<u64>) -> Result<Effort, TooLittleMemory> {
    let usual = Effort::usual(jobs);
    let Some(limit_bytes) = limit_bytes else {
        return Ok(usual);
    };
    let fewer = (1..jobs.min(work.archives)).rev().map(Effort::usual);
    let least = Effort {
        jobs: 1,
        requests: 1,
    };
    let mut efforts = std::iter::once(usual).chain(fewer).chain([least]);
    let fitting = efforts.find(|effort| effort.peak_bytes(work) <= limit_bytes);
    fitting.ok_or(TooLittleMemory {
        limit_bytes,
        least_bytes: least.peak_bytes(work),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Codecs that backups are made with.
    const OF_ARCHIVES: [Codec; 6] = [
        Codec::None,
        Codec::Gzip,
        Codec::Lz4,
        Codec::Snappy,
        Codec::Zstd,
        Codec::Bzip2,
    ];

    fn work(codec: Codec) -> Work {
        Work {
            archives: 100,
            codec,
        }
    }

    #[test]
    fn without_a_limit_two_jobs_stay_far_below_96_mib() {
        for codec in OF_ARCHIVES {
            let peak = Effort::usual(2).peak_bytes(work(codec));
            assert!(peak <= 60 * MIB, "{codec:?}");
        }
    }

    #[test]
    fn without_a_limit_as_many_jobs_work_as_were_asked_for() {
        assert_eq!(fit(8, work(Codec::Xz), None), Ok(Effort::usual(8)));
    }

    #[test]
    fn sixty_four_mib_are_enough_for_two_jobs_of_every_codec() {
        for codec in OF_ARCHIVES {
            let effort = fit(8, work(codec), Some(64 * MIB)).unwrap();
            assert!(effort.jobs >= 2 && effort.requests == 2, "{effort:?}");
        }
    }

    #[test]
    fn jobs_without_an_archive_take_nothing() {
        let one = Work {
            archives: 1,
            codec: Codec::Zstd,
        };
        assert_eq!(fit(8, one, Some(64 * MIB)), Ok(Effort::usual(8)));
    }

    #[test]
    fn the_last_job_does_with_one_request() {
        let effort = fit(8, work(Codec::Zstd), Some(36 * MIB)).unwrap();
        assert_eq!((effort.jobs, effort.requests), (1, 1));
    }

    #[test]
    fn what_is_too_little_names_what_is_enough() {
        let error = fit(4, work(Codec::Zstd), Some(8 * MIB)).unwrap_err();
        assert!(fit(4, work(Codec::Zstd), Some(error.least_bytes)).is_ok());
        assert!(fit(4, work(Codec::Zstd), Some(error.least_bytes - 1)).is_err());
        assert!(error.to_string().contains("35 MiB"), "{error}");
    }

    #[test]
    fn of_several_codecs_the_one_that_takes_the_most_counts() {
        let work = Work::of([Codec::Gzip, Codec::Zstd, Codec::None].into_iter());
        assert_eq!((work.archives, work.codec), (3, Codec::Zstd));
    }

    proptest! {
        #[test]
        fn what_fits_keeps_to_its_limit_and_one_job_more_would_not(
            jobs in 1usize..40,
            archives in 1usize..40,
            limit_mib in 1u64..1000,
        ) {
            let limit = limit_mib * MIB;
            for codec in Codec::ALL {
                let work = Work { archives, codec };
                let Ok(effort) = fit(jobs, work, Some(limit)) else { continue };
                prop_assert!(effort.peak_bytes(work) <= limit);
                prop_assert!((1..=jobs).contains(&effort.jobs));
                if effort.jobs < jobs {
                    prop_assert!(Effort::usual(effort.jobs + 1).peak_bytes(work) > limit);
                }
            }
        }
    }
}
