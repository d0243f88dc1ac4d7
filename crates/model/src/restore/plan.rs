//! What a restore of one backup will do, decided before anything is touched.
//!
//! Facts: the backup's record, the objects stored under it, what is at the destination. Always
//! true: a plan exists only if every archive the record asks for is there, without a gap, and
//! every directory it would write into is empty.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::backup::agreement::begins;
use crate::backup::id::BackupId;
use crate::backup::{BackupInfo, Tablespace};
use crate::layout::{ArchiveName, ArchiveSet};
use crate::restore::configuration_file::ConfigurationFile;
use crate::restore::effort::{Effort, Work, fit};
use crate::restore::extraction::{Extraction, TablespaceLink};
use crate::restore::places::Places;
use crate::restore::refusal::CannotRestore;
use crate::restore::request::{RestoreFacts, RestoreRequest, StoredObject};
use crate::restore::space::{SpacePolicy, check_space};
use crate::restore::tablespaces::relocate;
use crate::wal::lsn::Lsn;

/// Everything a restore does, in order: make the directories, extract, link, then `pg_control`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestorePlan {
    pub backup: BackupId,
    /// The address of the backup's folder, for people.
    pub source: String,
    /// Where the backup began, by each field of its record: a manifest or a label of another
    /// backup begins elsewhere.
    pub begins: Vec<Lsn>,
    /// Pages older than this have checksums, by the record.
    pub check_from: Option<Lsn>,
    pub destination: PathBuf,
    pub configuration: ConfigurationFile,
    pub extractions: Vec<Extraction>,
    pub effort: Effort,
    pub links: Vec<TablespaceLink>,
    /// Those of the tablespaces that lie inside the destination, with their paths there.
    pub inside: BTreeMap<u32, PathBuf>,
    /// The sum of the objects' sizes.
    pub download_bytes: u64,
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

/// Decides what a restore does, by what is at the places and by the account that restores.
///
/// # Errors
/// See [`CannotRestore`]; nothing was touched.
pub fn plan_restore(
    request: &RestoreRequest,
    info: &BackupInfo,
    known: &RestoreFacts,
) -> Result<RestorePlan, CannotRestore> {
    if info.snapshots_info.is_some() {
        return Err(CannotRestore::Snapshot(request.backup));
    }
    if !info.status.is_copied() {
        let (id, status) = (request.backup, info.status);
        return Err(CannotRestore::NotDone { id, status });
    }
    let links = tablespace_links(request, info)?;
    let to_check = Places {
        destination: &request.destination,
        links: &links,
        mappings: &request.tablespaces,
        facts: &known.places,
        account: known.account,
    };
    let inside = to_check.check()?;
    let mut extractions = Vec::new();
    for link in &links {
        let set = ArchiveSet::Tablespace(link.oid);
        extractions.extend(archives_of(request, set, &known.objects, &link.location)?);
    }
    extractions.extend(archives_of(
        request,
        ArchiveSet::Data,
        &known.objects,
        &request.destination,
    )?);
    let download_bytes = extractions
        .iter()
        .map(|extraction| extraction.size_bytes)
        .sum();
    let limit = request.max_memory_bytes;
    let effort = fit(request.jobs.get(), work(&extractions), limit)?;
    if request.space == SpacePolicy::Check {
        let places = known.places.iter();
        let places = places.filter_map(|(path, facts)| Some((path.clone(), facts.file_system?)));
        check_space(&extractions, info.cluster_size, &places.collect())?;
    }
    Ok(RestorePlan {
        backup: request.backup,
        source: known.source.clone(),
        begins: begins(info).into_iter().map(|begin| begin.lsn).collect(),
        check_from: info
            .begin_xlog
            .filter(|_| info.data_checksums.as_deref() == Some("on")),
        destination: request.destination.clone(),
        configuration: ConfigurationFile::of(info),
        extractions,
        effort,
        links,
        inside,
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
        name: tablespace.name,
        location: PathBuf::from(tablespace.location),
    };
    Ok(relocated.into_iter().map(link).collect())
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
    use std::num::NonZeroUsize;

    use super::*;
    use crate::backup::BackupStatus;
    use crate::restore::request::{DirectoryFact, PlaceFacts};
    use crate::restore::space::FileSystem;

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
            space: SpacePolicy::Check,
        }
    }

    fn objects(files: &[&str]) -> Vec<StoredObject> {
        let object = |file: &&str| StoredObject {
            file: (*file).to_owned(),
            size_bytes: 10,
        };
        files.iter().map(object).collect()
    }

    /// The locations are the restoring account's own.
    fn own(facts: PlaceFacts) -> PlaceFacts {
        PlaceFacts {
            owner: Some(26),
            ..facts
        }
    }

    fn all_missing() -> BTreeMap<PathBuf, PlaceFacts> {
        let fact = |path: &str| (PathBuf::from(path), own(DirectoryFact::Missing.into()));
        ["/new/data", "/srv/ts1", "/other", "/new/data/base/ts1"]
            .map(fact)
            .into()
    }

    fn known(objects: &[StoredObject], places: BTreeMap<PathBuf, PlaceFacts>) -> RestoreFacts {
        RestoreFacts {
            source: "s3://b/p/main/base/20261121T081044".to_owned(),
            objects: objects.to_vec(),
            places,
            account: 26,
        }
    }

    fn plan(files: &[&str]) -> Result<RestorePlan, CannotRestore> {
        plan_restore(&request(), &info(), &known(&objects(files), all_missing()))
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
            let plan = plan_restore(&request, &info(), &known(&files, all_missing()));
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
            let outcome = plan_restore(&request(), &info, &known(&[], all_missing()));
            assert!(matches!(outcome, Err(CannotRestore::NotDone { .. })));
        }
    }

    #[test]
    fn a_directory_with_something_in_it_is_refused() {
        for path in ["/new/data", "/srv/ts1"] {
            let outcome = plan_with(path, DirectoryFact::NotEmpty.into());
            assert_eq!(outcome, Err(CannotRestore::NotEmpty(PathBuf::from(path))));
        }
    }

    fn plan_with(path: &str, facts: PlaceFacts) -> Result<RestorePlan, CannotRestore> {
        let mut all = all_missing();
        all.insert(PathBuf::from(path), own(facts));
        let files = objects(&["16384.tar", "data.tar"]);
        plan_restore(&request(), &info(), &known(&files, all.clone()))
    }

    #[test]
    fn what_an_interrupted_restore_left_is_told_from_anything_else() {
        let outcome = plan_with("/new/data", DirectoryFact::Interrupted.into());
        let told = "/new/data is what a restore left that did not end: it has no global/pg_control";
        assert_eq!(outcome.unwrap_err().to_string(), told);
    }

    #[test]
    fn nothing_is_restored_into_a_data_directory() {
        let facts = PlaceFacts {
            inside: Some(PathBuf::from("/new")),
            ..DirectoryFact::Missing.into()
        };
        let told = "/new/data lies inside /new, which is a data directory of PostgreSQL";
        assert_eq!(plan_with("/new/data", facts).unwrap_err().to_string(), told);
    }

    #[test]
    fn a_disk_that_is_too_small_is_refused_before_anything_is_fetched() {
        let full = FileSystem {
            device: 1,
            free_bytes: 7,
            storage: crate::restore::space::Storage::Plain,
        };
        let facts = PlaceFacts {
            file_system: Some(full),
            ..DirectoryFact::Missing.into()
        };
        let mut all = all_missing();
        all.insert(PathBuf::from("/new/data"), own(facts));
        let files = objects(&["16384.tar", "data.tar.zst"]);
        let outcome = |space| {
            let request = RestoreRequest { space, ..request() };
            plan_restore(&request, &info(), &known(&files, all.clone()))
        };
        let refused = outcome(SpacePolicy::Check);
        assert!(matches!(refused, Err(CannotRestore::NoRoom(_))));
        assert!(outcome(SpacePolicy::Ignore).is_ok());
    }

    #[test]
    fn a_tablespace_is_moved_only_if_the_backup_has_it() {
        let mut request = request();
        request.tablespaces = vec!["ts1:/other".parse().unwrap()];
        let files = objects(&["16384.tar", "data.tar"]);
        let plan = plan_restore(&request, &info(), &known(&files, all_missing())).unwrap();
        assert_eq!(plan.links[0].location, PathBuf::from("/other"));
        request.tablespaces = vec!["nope:/other".parse().unwrap()];
        let outcome = plan_restore(&request, &info(), &known(&files, all_missing()));
        assert!(matches!(outcome, Err(CannotRestore::Tablespaces(_))));
    }

    #[test]
    fn a_tablespace_among_the_files_of_the_new_data_directory_is_refused() {
        let mut request = request();
        request.tablespaces = vec!["ts1:/new/data/base/ts1".parse().unwrap()];
        let files = objects(&["16384.tar", "data.tar"]);
        let outcome = plan_restore(&request, &info(), &known(&files, all_missing()));
        assert!(matches!(outcome, Err(CannotRestore::Nested { .. })));
    }

    #[test]
    fn a_plan_in_words_has_a_line_for_each_step_in_order() {
        let files = ["16384.tar.gz", "data.tar.gz", "data_0001.tar.gz"];
        let from = "s3://b/p/main/base/20261121T081044";
        let expected = format!(
            "backup 20261121T081044 is restored into /new/data: 3 objects of 30 B, up to 3 at a \
             time\n\
             fetch {from}/16384.tar.gz (10 B) and unpack it into /srv/ts1\n\
             fetch {from}/data.tar.gz (10 B) and unpack it into /new/data\n\
             fetch {from}/data_0001.tar.gz (10 B) and unpack it into /new/data\n\
             compare every file with the backup's manifest, if it has one\n\
             link tablespace ts1 (OID 16384) to /srv/ts1\n\
             flush all to disk, then put global/pg_control in its place\n"
        );
        assert_eq!(plan(&files).unwrap().to_string(), expected);
    }
}
