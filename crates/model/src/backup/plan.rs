//! How the files of a backup are cut into archives.
//!
//! Barman reads any number of archives per data directory (`data.tar`, `data_0001.tar`, …), so the
//! work is spread over several of them, each an ordinary single stream. Always true: every file is
//! in exactly one archive, beside its neighbours of the walk; the last archive of the data
//! directory is the last of the plan, since it stays open for `pg_control`, `backup_label` and
//! `backup_manifest`.

use std::ops::Range;

use crate::cloud::{ArchiveName, ArchiveSet};

/// One archive to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedArchive {
    pub name: ArchiveName,
    /// Places in the caller's list: a plan of a million files holds no list of its own.
    pub files: Range<usize>,
    /// The sum of the files' sizes.
    pub size_bytes: u64,
}

/// What the cutting depends on.
#[derive(Debug, Clone, Copy)]
pub struct CuttingRules {
    /// How many archives are written at the same time.
    pub jobs: usize,
    /// No archive grows beyond this, unless a single file does.
    pub max_archive_bytes: u64,
}

/// Archives smaller than this cost more in requests than they gain in parallelism.
const MIN_ARCHIVE_BYTES: u64 = 64 * 1024 * 1024;
/// How many archives each job gets, so that all of them end at about the same time.
const ARCHIVES_PER_JOB: u64 = 4;
/// A tar member costs a header and padding besides its bytes.
const MEMBER_OVERHEAD_BYTES: u64 = 1024;

/// Cuts the files of every set (tablespaces and the data directory) into archives.
///
/// `sets` holds, for each set, the sizes of its files in the order of the walk; the data directory
/// must be among them. The plan lists large archives first, so that jobs which take one after
/// another end at about the same time.
pub fn plan_archives(sets: &[(ArchiveSet, Vec<u64>)], rules: CuttingRules) -> Vec<PlannedArchive> {
    let total: u64 = sets
        .iter()
        .flat_map(|(_, sizes)| sizes)
        .map(|size| cost(*size))
        .sum();
    let share = total / (rules.jobs.max(1) as u64 * ARCHIVES_PER_JOB);
    let target = share.max(MIN_ARCHIVE_BYTES).min(rules.max_archive_bytes);
    let is_data = |set: &ArchiveSet| matches!(set, ArchiveSet::Data);
    let tablespaces = sets.iter().filter(|(set, _)| !is_data(set));
    let data = sets.iter().filter(|(set, _)| is_data(set));
    let mut archives: Vec<_> = tablespaces
        .chain(data)
        .flat_map(|(set, sizes)| cut(*set, sizes, target))
        .collect();
    if let Some((_, others)) = archives.split_last_mut() {
        others.sort_by_key(|archive| std::cmp::Reverse(archive.size_bytes));
    }
    archives
}

fn cost(size_bytes: u64) -> u64 {
    size_bytes + MEMBER_OVERHEAD_BYTES
}

fn cut(set: ArchiveSet, sizes: &[u64], target: u64) -> Vec<PlannedArchive> {
    let open = |number, first| PlannedArchive {
        name: ArchiveName { set, number },
        files: first..first,
        size_bytes: 0,
    };
    let mut archives = vec![open(0, 0)];
    let mut filled = 0;
    for (index, &size_bytes) in sizes.iter().enumerate() {
        if filled > 0 && filled + cost(size_bytes) > target {
            archives.push(open(archives.len() as u32, index));
            filled = 0;
        }
        filled += cost(size_bytes);
        let archive = archives.last_mut().expect("one archive is always open");
        archive.files.end = index + 1;
        archive.size_bytes += size_bytes;
    }
    archives
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MIB: u64 = 1024 * 1024;

    fn rules(jobs: usize) -> CuttingRules {
        CuttingRules {
            jobs,
            max_archive_bytes: 100 * 1024 * MIB,
        }
    }

    #[test]
    fn a_small_cluster_is_one_archive_per_set() {
        let sets = [
            (ArchiveSet::Data, vec![8192; 900]),
            (ArchiveSet::Tablespace(16384), vec![1]),
        ];
        let plan = plan_archives(&sets, rules(2));
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

    #[test]
    fn a_large_cluster_gives_every_job_a_few_archives() {
        let plan = plan_archives(&[(ArchiveSet::Data, vec![256 * MIB; 64])], rules(2));
        assert!((8..=12).contains(&plan.len()), "{} archives", plan.len());
    }

    #[test]
    fn large_archives_come_first_and_the_one_that_stays_open_last() {
        let sizes = vec![1, 100 * MIB, 300 * MIB, 200 * MIB, 70 * MIB];
        let plan = plan_archives(&[(ArchiveSet::Data, sizes)], rules(2));
        let sizes: Vec<_> = plan
            .iter()
            .map(|archive| archive.size_bytes / MIB)
            .collect();
        assert_eq!(sizes, [300, 200, 100, 0, 70]);
        assert_eq!(plan.last().map(|archive| archive.name.number), Some(4));
    }

    #[test]
    fn an_empty_tablespace_still_has_its_archive() {
        let sets = [
            (ArchiveSet::Tablespace(1), vec![]),
            (ArchiveSet::Data, vec![1]),
        ];
        assert_eq!(plan_archives(&sets, rules(1)).len(), 2);
    }

    proptest! {
        #[test]
        fn every_file_is_in_exactly_one_archive(
            sizes in prop::collection::vec(0u64..300 * MIB, 0..60),
            jobs in 1usize..9,
            max_mib in 10u64..2000,
        ) {
            let rules = CuttingRules { jobs, max_archive_bytes: max_mib * MIB };
            let plan = plan_archives(&[(ArchiveSet::Data, sizes.clone())], rules);
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
