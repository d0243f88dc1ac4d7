//! How the files of a backup are cut into archives.
//!
//! Barman reads any number of archives per data directory (`data.tar`, `data_0001.tar`, …), so the
//! work is spread over several of them, each an ordinary single stream. Always true: every file is
//! in exactly one archive, beside its neighbours of the walk; the last archive of the data
//! directory is the last of the plan, since it stays open for `pg_control`, `backup_label` and
//! `backup_manifest`.

use std::cmp::Reverse;
use std::ops::Range;

use crate::layout::{ArchiveName, ArchiveSet};

/// One archive to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedArchive {
    pub name: ArchiveName,
    /// Places in the caller's list: a plan of a million files holds no list of its own.
    pub files: Range<usize>,
    /// The sum of the files' sizes.
    pub size_bytes: u64,
    /// Threads that compress it.
    pub threads: usize,
}

/// What the cutting depends on.
#[derive(Debug, Clone, Copy)]
pub struct CuttingRules {
    /// How many archives are written at the same time.
    pub jobs: usize,
    /// No archive grows beyond this, unless a single file does.
    pub max_archive_bytes: u64,
    /// How many threads can compress one archive.
    pub max_threads: usize,
}

/// Archives smaller than this cost more in requests than they gain in parallelism.
const MIN_ARCHIVE_BYTES: u64 = 64 * 1024 * 1024;
/// A new archive gets so small a part of each job's share of what is left: archives become smaller
/// towards the end, and all jobs end at about the same time.
const PARTS_OF_A_SHARE: u64 = 4;
/// An archive may be larger than a job's share by this part of it before it gets more threads.
const TOLERATED_PART: u64 = 8;
/// A tar member costs a header and padding besides its bytes.
const MEMBER_OVERHEAD_BYTES: u64 = 1024;

/// The sums over entries to archive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Total {
    pub entry_count: usize,
    /// The sum of the entries' sizes.
    pub bytes: u64,
}

impl Total {
    /// Counts one entry more.
    pub fn add(&mut self, size_bytes: u64) {
        self.entry_count += 1;
        self.bytes += size_bytes;
    }

    /// What the entries cost together: see [`cost`].
    fn cost(self) -> u64 {
        self.bytes + self.entry_count as u64 * MEMBER_OVERHEAD_BYTES
    }
}

/// One set of files (a tablespace or the data directory) before it is cut.
#[derive(Debug, Clone)]
pub struct SetToCut<S> {
    pub set: ArchiveSet,
    /// The sums over `sizes`.
    pub total: Total,
    /// The sizes of its entries in the order of the walk, each looked at once.
    pub sizes: S,
}

/// Cuts the files of every set into archives; the data directory must be among the sets.
///
/// The plan lists large archives first, so that jobs which take one after another end at about the
/// same time.
///
/// # Errors
/// The first that the sizes have.
pub fn plan_archives<S, E>(
    sets: Vec<SetToCut<S>>,
    rules: CuttingRules,
) -> Result<Vec<PlannedArchive>, E>
where
    S: IntoIterator<Item = Result<u64, E>>,
{
    let mut cutter = Cutter {
        rules,
        left_bytes: sets.iter().map(|set| set.total.cost()).sum(),
    };
    let whole_bytes = cutter.left_bytes;
    let is_data = |set: &SetToCut<S>| matches!(set.set, ArchiveSet::Data);
    let (data, tablespaces): (Vec<_>, Vec<_>) = sets.into_iter().partition(is_data);
    let mut archives = Vec::new();
    for set in tablespaces.into_iter().chain(data) {
        archives.extend(cutter.cut(set)?);
    }
    longest_first(&mut archives, |archive| archive.size_bytes);
    if let Some(largest) = archives.iter_mut().max_by_key(|archive| archive.size_bytes) {
        largest.threads = threads(largest.size_bytes, whole_bytes, rules);
    }
    Ok(archives)
}

/// How many threads the largest archive gets: one, unless it is so large that all other jobs would
/// wait for it. A file is in one archive, however large it is.
fn threads(archive_bytes: u64, whole_bytes: u64, rules: CuttingRules) -> usize {
    let share = whole_bytes / rules.jobs.max(1) as u64;
    if archive_bytes <= share + share / TOLERATED_PART {
        return 1;
    }
    let shares = archive_bytes.div_ceil(share.max(1));
    usize::try_from(shares).map_or(rules.max_threads, |shares| shares.min(rules.max_threads))
}

/// Puts archives that take longer before others, except the last one, which stays the last.
pub fn longest_first<T: Ord>(
    archives: &mut [PlannedArchive],
    mut time: impl FnMut(&PlannedArchive) -> T,
) {
    if let Some((_, others)) = archives.split_last_mut() {
        others.sort_by_cached_key(|archive| Reverse(time(archive)));
    }
}

/// What a file adds to an archive.
fn cost(size_bytes: u64) -> u64 {
    size_bytes + MEMBER_OVERHEAD_BYTES
}

/// Cuts one set after another.
struct Cutter {
    rules: CuttingRules,
    /// What all files cost that are in no archive yet.
    left_bytes: u64,
}

impl Cutter {
    /// How large the next archive is to be.
    fn target(&self) -> u64 {
        let parts = self.rules.jobs.max(1) as u64 * PARTS_OF_A_SHARE;
        let share = (self.left_bytes / parts).max(MIN_ARCHIVE_BYTES);
        share.min(self.rules.max_archive_bytes)
    }

    fn cut<S, E>(&mut self, set: SetToCut<S>) -> Result<Vec<PlannedArchive>, E>
    where
        S: IntoIterator<Item = Result<u64, E>>,
    {
        let its = set.set;
        let open = |number, first| PlannedArchive {
            name: ArchiveName { set: its, number },
            files: first..first,
            size_bytes: 0,
            threads: 1,
        };
        let mut archives = vec![open(0, 0)];
        let (mut filled, mut target) = (0, self.target());
        for (index, size_bytes) in set.sizes.into_iter().enumerate() {
            let size_bytes = size_bytes?;
            if filled > 0 && filled + cost(size_bytes) > target {
                archives.push(open(archives.len() as u32, index));
                (filled, target) = (0, self.target());
            }
            filled += cost(size_bytes);
            self.left_bytes = self.left_bytes.saturating_sub(cost(size_bytes));
            let archive = archives.last_mut().expect("one archive is always open");
            archive.files.end = index + 1;
            archive.size_bytes += size_bytes;
        }
        Ok(archives)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use proptest::prelude::*;

    const MIB: u64 = 1024 * 1024;

    /// The plan for sets of these sizes.
    fn planned(sets: &[(ArchiveSet, Vec<u64>)], rules: CuttingRules) -> Vec<PlannedArchive> {
        let to_cut = |(set, sizes): &(ArchiveSet, Vec<u64>)| {
            let mut total = Total::default();
            sizes.iter().for_each(|size| total.add(*size));
            SetToCut {
                set: *set,
                total,
                sizes: sizes.clone().into_iter().map(Ok::<_, Infallible>),
            }
        };
        let Ok(plan) = plan_archives(sets.iter().map(to_cut).collect(), rules);
        plan
    }

    fn rules(jobs: usize) -> CuttingRules {
        CuttingRules {
            jobs,
            max_archive_bytes: 100 * 1024 * MIB,
            max_threads: jobs,
        }
    }

    #[test]
    fn a_small_cluster_is_one_archive_per_set() {
        let sets = [
            (ArchiveSet::Data, vec![8192; 900]),
            (ArchiveSet::Tablespace(16384), vec![1]),
        ];
        let plan = planned(&sets, rules(2));
        let names: Vec<_> = plan.iter().map(|archive| archive.name).collect();
        assert_eq!(
            names,
            [
                ArchiveName {
                    set: ArchiveSet::Tablespace(16384),
                    number: 0
                },
                ArchiveName {
                    set: ArchiveSet::Data,
                    number: 0
                },
            ]
        );
    }

    /// Bytes that each job has when it takes an archive as soon as it is free.
    fn loads(plan: &[PlannedArchive], jobs: usize) -> Vec<u64> {
        let mut loads = vec![0; jobs];
        for archive in plan {
            let idle = loads.iter_mut().min().unwrap();
            *idle += archive.size_bytes;
        }
        loads
    }

    #[test]
    fn archives_become_smaller_so_that_all_jobs_end_at_about_the_same_time() {
        for jobs in [1, 2, 3, 8] {
            for file_bytes in [MIB, 30 * MIB] {
                let files = 20_000 * MIB / file_bytes;
                let sizes = vec![file_bytes; files as usize];
                let plan = planned(&[(ArchiveSet::Data, sizes)], rules(jobs));
                let loads = loads(&plan, jobs);
                let apart = loads.iter().max().unwrap() - loads.iter().min().unwrap();
                assert!(apart <= 64 * MIB, "{jobs} jobs: {} MiB", apart / MIB);
                let share = 20_000 * MIB / jobs as u64;
                assert!(plan[0].size_bytes <= share / 4);
                assert!(plan.len() <= 32 * jobs, "{jobs} jobs: {}", plan.len());
            }
        }
    }

    #[test]
    fn large_archives_come_first_and_the_one_that_stays_open_last() {
        let sizes = vec![1, 100 * MIB, 300 * MIB, 200 * MIB, 70 * MIB];
        let plan = planned(&[(ArchiveSet::Data, sizes)], rules(2));
        let sizes: Vec<_> = plan
            .iter()
            .map(|archive| archive.size_bytes / MIB)
            .collect();
        assert_eq!(sizes, [300, 200, 100, 0, 70]);
        assert_eq!(plan.last().map(|archive| archive.name.number), Some(4));
    }

    #[test]
    fn an_archive_that_takes_longer_than_its_size_tells_can_be_put_first() {
        let sizes = vec![100 * MIB, 300 * MIB, 200 * MIB, 70 * MIB];
        let mut plan = planned(&[(ArchiveSet::Data, sizes)], rules(2));
        let slow = |archive: &PlannedArchive| match archive.name.number {
            0 => 4 * archive.size_bytes,
            3 => u64::MAX,
            _ => archive.size_bytes,
        };
        longest_first(&mut plan, slow);
        let numbers: Vec<_> = plan.iter().map(|archive| archive.name.number).collect();
        assert_eq!(numbers, [0, 1, 2, 3]);
    }

    #[test]
    fn a_file_larger_than_a_jobs_share_gets_as_many_threads_as_it_has_shares() {
        let threads_for = |largest: u64, rules: CuttingRules| {
            let sizes = vec![100 * MIB, largest * MIB, (900 - largest) * MIB];
            let plan = planned(&[(ArchiveSet::Data, sizes)], rules);
            let mut threads: Vec<_> = plan.iter().map(|archive| archive.threads).collect();
            threads.sort_unstable();
            let largest = threads.pop();
            assert!(threads.iter().all(|threads| *threads == 1), "{threads:?}");
            largest
        };
        for (largest, threads) in [(500, 1), (550, 1), (600, 2), (900, 2)] {
            assert_eq!(threads_for(largest, rules(2)), Some(threads), "{largest}");
        }
        assert_eq!(threads_for(600, rules(8)), Some(5));
        let alone = CuttingRules {
            max_threads: 1,
            ..rules(8)
        };
        assert_eq!(threads_for(600, alone), Some(1));
    }

    #[test]
    fn an_empty_tablespace_still_has_its_archive() {
        let sets = [
            (ArchiveSet::Tablespace(1), vec![]),
            (ArchiveSet::Data, vec![1]),
        ];
        assert_eq!(planned(&sets, rules(1)).len(), 2);
    }

    #[test]
    fn sizes_that_cannot_be_read_are_no_plan() {
        let set = SetToCut {
            set: ArchiveSet::Data,
            total: Total::default(),
            sizes: [Ok(1), Err("gone")],
        };
        assert_eq!(plan_archives(vec![set], rules(1)), Err("gone"));
    }

    proptest! {
        #[test]
        fn every_file_is_in_exactly_one_archive(
            sizes in prop::collection::vec(0u64..300 * MIB, 0..60),
            jobs in 1usize..9,
            max_mib in 10u64..2000,
        ) {
            let rules = CuttingRules { max_archive_bytes: max_mib * MIB, ..rules(jobs) };
            let plan = planned(&[(ArchiveSet::Data, sizes.clone())], rules);
            let mut indexes: Vec<_> =
                plan.iter().flat_map(|archive| archive.files.clone()).collect();
            indexes.sort_unstable();
            prop_assert_eq!(indexes, (0..sizes.len()).collect::<Vec<_>>());
            for archive in &plan {
                let fits = archive.size_bytes <= rules.max_archive_bytes;
                prop_assert!(fits || archive.files.len() == 1);
            }
        }
    }
}
