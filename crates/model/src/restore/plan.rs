//! What a restore of one backup will do, decided before anything is touched.
//!
//! Facts: the backup's record, the objects stored under it, what is at the destination. Always
//! true: a plan exists only if every archive the record asks for is there, without a gap, and
//! every directory it would write into is empty.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use crate::backup::effort::TooLittleMemory;
use crate::backup::id::BackupId;
use crate::backup::{BackupInfo, BackupStatus, Tablespace};
use crate::cloud::{ArchiveName, ArchiveSet};
use crate::codec::Codec;
use crate::restore::effort::{Effort, Work, fit};
use crate::restore::tablespaces::{BadTablespaceMapping, TablespaceMapping, relocate};
use crate::wal::lsn::Lsn;

/// What was asked for.
#[derive(Debug, Clone)]
pub struct RestoreRequest {
    pub backup: BackupId,
    /// The new data directory, absolute.
    pub destination: PathBuf,
    /// Tablespaces that go elsewhere than where they were.
    pub tablespaces: Vec<TablespaceMapping>,
    /// How many archives to fetch and unpack at the same time, at most.
    pub jobs: NonZeroUsize,
    /// The most memory that may be used, in bytes.
    pub max_memory_bytes: Option<u64>,
}

/// An object under the backup's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredObject {
    /// The last segment of the key.
    pub file: String,
    pub size_bytes: u64,
}

/// What is at a path that a restore would write to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DirectoryFact {
    Missing,
    Empty,
    NotEmpty,
    NotADirectory,
}

/// One archive to extract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extraction {
    pub archive: ArchiveName,
    pub codec: Codec,
    /// The last segment of the object's key.
    pub file: String,
    pub size_bytes: u64,
    pub target: PathBuf,
}

/// A tablespace and where its link points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TablespaceLink {
    pub oid: u32,
    pub location: PathBuf,
}

/// Everything a restore does, in order: make the directories, extract, link, then `pg_control`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestorePlan {
    pub backup: BackupId,
    /// Where the backup began, by its record: a manifest of another backup begins elsewhere.
    pub begin_lsn: Option<Lsn>,
    pub destination: PathBuf,
    pub extractions: Vec<Extraction>,
    pub effort: Effort,
    pub links: Vec<TablespaceLink>,
    /// The sum of the objects' sizes.
    pub download_bytes: u64,
}

/// Why the backup cannot be restored there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CannotRestore {
    #[error("backup {id} has status {status}: it is not complete")]
    NotDone { id: BackupId, status: BackupStatus },
    #[error("backup {0} is a disk snapshot, which cannot be restored from the bucket yet")]
    Snapshot(BackupId),
    #[error("backup {id} is incomplete: {file} is missing from the bucket")]
    Missing { id: BackupId, file: String },
    #[error(transparent)]
    Tablespaces(#[from] BadTablespaceMapping),
    #[error("{0} is not empty")]
    NotEmpty(PathBuf),
    #[error("{0} is not a directory")]
    NotADirectory(PathBuf),
    #[error("{0} is not an absolute path")]
    NotAbsolute(PathBuf),
    #[error("{inner} lies inside {outer}: each tablespace needs a place of its own")]
    Nested { inner: PathBuf, outer: PathBuf },
    #[error(transparent)]
    Memory(#[from] TooLittleMemory),
}

impl RestorePlan {
    /// What there is to unpack.
    pub fn work(&self) -> Work {
        work(&self.extractions)
    }
}

fn work(extractions: &[Extraction]) -> Work {
    Work::of(extractions.iter().map(|extraction| extraction.codec))
}

/// The directories a restore would write into: the destination first, then the tablespaces.
///
/// # Errors
/// When a mapping names an unknown tablespace or maps one twice.
pub fn target_directories(
    request: &RestoreRequest,
    info: &BackupInfo,
) -> Result<Vec<PathBuf>, CannotRestore> {
    let links = tablespace_links(request, info)?;
    let locations = links.into_iter().map(|link| link.location);
    Ok(std::iter::once(request.destination.clone())
        .chain(locations)
        .collect())
}

/// Decides what a restore does.
///
/// # Errors
/// See [`CannotRestore`]; nothing was touched.
pub fn plan_restore(
    request: &RestoreRequest,
    info: &BackupInfo,
    objects: &[StoredObject],
    directories: &BTreeMap<PathBuf, DirectoryFact>,
) -> Result<RestorePlan, CannotRestore> {
    if info.snapshots_info.is_some() {
        return Err(CannotRestore::Snapshot(request.backup));
    }
    if !info.status.is_copied() {
        let (id, status) = (request.backup, info.status);
        return Err(CannotRestore::NotDone { id, status });
    }
    let links = tablespace_links(request, info)?;
    let targets = target_directories(request, info)?;
    check_targets(&targets, directories)?;
    let mut extractions = Vec::new();
    for link in &links {
        let set = ArchiveSet::Tablespace(link.oid);
        extractions.extend(archives_of(request, set, objects, &link.location)?);
    }
    extractions.extend(archives_of(
        request,
        ArchiveSet::Data,
        objects,
        &request.destination,
    )?);
    let download_bytes = extractions
        .iter()
        .map(|extraction| extraction.size_bytes)
        .sum();
    let limit = request.max_memory_bytes;
    let effort = fit(request.jobs.get(), work(&extractions), limit)?;
    Ok(RestorePlan {
        backup: request.backup,
        begin_lsn: info.begin_xlog,
        destination: request.destination.clone(),
        extractions,
        effort,
        links,
        download_bytes,
    })
}

fn tablespace_links(
    request: &RestoreRequest,
    info: &BackupInfo,
) -> Result<Vec<TablespaceLink>, CannotRestore> {
    let tablespaces = info.tablespaces.as_deref().unwrap_or_default();
    let relocated = relocate(tablespaces, &request.tablespaces)?;
    let link = |tablespace: Tablespace| TablespaceLink {
        oid: tablespace.oid,
        location: PathBuf::from(tablespace.location),
    };
    Ok(relocated.into_iter().map(link).collect())
}

fn check_targets(
    targets: &[PathBuf],
    directories: &BTreeMap<PathBuf, DirectoryFact>,
) -> Result<(), CannotRestore> {
    for (index, target) in targets.iter().enumerate() {
        if !target.is_absolute() {
            return Err(CannotRestore::NotAbsolute(target.clone()));
        }
        match directories
            .get(target)
            .copied()
            .unwrap_or(DirectoryFact::Missing)
        {
            DirectoryFact::Missing | DirectoryFact::Empty => {}
            DirectoryFact::NotEmpty => return Err(CannotRestore::NotEmpty(target.clone())),
            DirectoryFact::NotADirectory => {
                return Err(CannotRestore::NotADirectory(target.clone()));
            }
        }
        let mut others = targets
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != index);
        if let Some((_, outer)) = others.find(|(_, outer)| target.starts_with(outer)) {
            let (inner, outer) = (target.clone(), outer.clone());
            return Err(CannotRestore::Nested { inner, outer });
        }
    }
    Ok(())
}

/// The archives of one set in order; numbers must run from 0 without a gap.
fn archives_of(
    request: &RestoreRequest,
    set: ArchiveSet,
    objects: &[StoredObject],
    target: &Path,
) -> Result<Vec<Extraction>, CannotRestore> {
    let mut found = BTreeMap::new();
    for object in objects {
        if let Some((archive, codec)) = ArchiveName::parse(&object.file)
            && archive.set == set
        {
            found.entry(archive.number).or_insert(Extraction {
                archive,
                codec,
                file: object.file.clone(),
                size_bytes: object.size_bytes,
                target: target.to_path_buf(),
            });
        }
    }
    let numbers: BTreeSet<u32> = found.keys().copied().collect();
    let last = numbers.last().copied().unwrap_or(0);
    match (0..=last).find(|number| !numbers.contains(number)) {
        None => Ok(found.into_values().collect()),
        Some(number) => Err(CannotRestore::Missing {
            id: request.backup,
            file: ArchiveName { set, number }.to_string(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info() -> BackupInfo {
        let location = "/srv/ts1".to_owned();
        let tablespace = Tablespace {
            name: "ts1".to_owned(),
            oid: 16384,
            location,
        };
        BackupInfo {
            status: BackupStatus::Done,
            tablespaces: Some(vec![tablespace]),
            ..BackupInfo::default()
        }
    }

    fn request() -> RestoreRequest {
        RestoreRequest {
            backup: "20261121T081044".parse().unwrap(),
            destination: PathBuf::from("/new/data"),
            tablespaces: Vec::new(),
            jobs: NonZeroUsize::new(8).unwrap(),
            max_memory_bytes: None,
        }
    }

    fn objects(files: &[&str]) -> Vec<StoredObject> {
        let object = |file: &&str| StoredObject {
            file: (*file).to_owned(),
            size_bytes: 10,
        };
        files.iter().map(object).collect()
    }

    fn plan(files: &[&str]) -> Result<RestorePlan, CannotRestore> {
        plan_restore(&request(), &info(), &objects(files), &BTreeMap::new())
    }

    #[test]
    fn every_archive_goes_to_its_directory() {
        let files = [
            "16384.tar.gz",
            "backup.info",
            "data.tar.gz",
            "data_0001.tar.gz",
        ];
        let plan = plan(&files).unwrap();
        let targets: Vec<_> = plan
            .extractions
            .iter()
            .map(|extraction| {
                (
                    extraction.file.as_str(),
                    extraction.target.to_str().unwrap(),
                )
            })
            .collect();
        let expected = [
            ("16384.tar.gz", "/srv/ts1"),
            ("data.tar.gz", "/new/data"),
            ("data_0001.tar.gz", "/new/data"),
        ];
        assert_eq!(targets, expected);
        assert_eq!(plan.download_bytes, 30);
    }

    #[test]
    fn a_gap_in_the_archives_is_found_before_anything_is_touched() {
        for files in [
            vec!["16384.tar", "data_0001.tar"],
            vec!["16384.tar", "data.tar", "data_0002.tar"],
            vec!["data.tar"],
            vec!["16384.tar"],
        ] {
            assert!(
                matches!(plan(&files), Err(CannotRestore::Missing { .. })),
                "{files:?}"
            );
        }
    }

    #[test]
    fn a_limit_of_memory_makes_jobs_fewer_or_refuses_the_restore() {
        let many: Vec<_> = (1..20).map(|n| format!("data_{n:04}.tar.zst")).collect();
        let mut files = objects(&["16384.tar", "data.tar.zst"]);
        files.extend(objects(
            &many.iter().map(String::as_str).collect::<Vec<_>>(),
        ));
        let jobs = |limit_mib: Option<u64>| {
            let request = RestoreRequest {
                max_memory_bytes: limit_mib.map(|mib| mib << 20),
                ..request()
            };
            let plan = plan_restore(&request, &info(), &files, &BTreeMap::new());
            plan.map(|plan| plan.effort.jobs)
        };
        assert_eq!((jobs(None), jobs(Some(1000))), (Ok(8), Ok(8)));
        assert_eq!(jobs(Some(64)), Ok(2));
        assert!(matches!(jobs(Some(16)), Err(CannotRestore::Memory(_))));
    }

    #[test]
    fn only_a_done_backup_is_restored() {
        for status in [
            BackupStatus::Started,
            BackupStatus::Failed,
            BackupStatus::Empty,
        ] {
            let info = BackupInfo { status, ..info() };
            let outcome = plan_restore(&request(), &info, &[], &BTreeMap::new());
            assert!(matches!(outcome, Err(CannotRestore::NotDone { .. })));
        }
    }

    #[test]
    fn a_directory_with_something_in_it_is_refused() {
        for path in ["/new/data", "/srv/ts1"] {
            let facts = BTreeMap::from([(PathBuf::from(path), DirectoryFact::NotEmpty)]);
            let files = objects(&["16384.tar", "data.tar"]);
            let outcome = plan_restore(&request(), &info(), &files, &facts);
            assert_eq!(outcome, Err(CannotRestore::NotEmpty(PathBuf::from(path))));
        }
    }

    #[test]
    fn a_tablespace_is_moved_only_if_the_backup_has_it() {
        let mut request = request();
        request.tablespaces = vec!["ts1:/other".parse().unwrap()];
        let files = objects(&["16384.tar", "data.tar"]);
        let plan = plan_restore(&request, &info(), &files, &BTreeMap::new()).unwrap();
        assert_eq!(plan.links[0].location, PathBuf::from("/other"));
        request.tablespaces = vec!["nope:/other".parse().unwrap()];
        let outcome = plan_restore(&request, &info(), &files, &BTreeMap::new());
        assert!(matches!(outcome, Err(CannotRestore::Tablespaces(_))));
    }

    #[test]
    fn a_tablespace_inside_the_new_data_directory_is_refused() {
        let mut request = request();
        request.tablespaces = vec!["ts1:/new/data/ts1".parse().unwrap()];
        let files = objects(&["16384.tar", "data.tar"]);
        let outcome = plan_restore(&request, &info(), &files, &BTreeMap::new());
        assert!(matches!(outcome, Err(CannotRestore::Nested { .. })));
    }
}
