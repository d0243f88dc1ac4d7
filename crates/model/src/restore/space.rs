//! Whether a restore fits where it shall go.
//!
//! How large the archives become is not recorded. Sure is: compressed files do not shrink when they
//! are unpacked. Likely is: the cluster's size when the backup began, of which only unlogged tables
//! and temporary files are left out. Asking a file system is the engine's part. Always true: where
//! a file system may compress what is written, only what is sure counts.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::codec::Codec;
use crate::restore::extraction::Extraction;
use crate::size::pretty_size;

/// Whether the room is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SpacePolicy {
    #[default]
    Check,
    Ignore,
}

/// The file system that a directory is on, or will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileSystem {
    /// What tells it from others on this machine.
    pub device: u64,
    /// What this user may still write there.
    pub free_bytes: u64,
    /// Whether each byte written takes a byte, as far as the kind of file system tells.
    pub storage: Storage,
}

/// What a file system does with what is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// It keeps each byte.
    Plain,
    /// It may compress, or nobody knows.
    Unknown,
}

/// A restore that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} {} free, and the backup takes {}{}",
    list(places),
    pretty_size(*free_bytes),
    if *is_least { "at least " } else { "about " },
    pretty_size(*needed_bytes)
)]
pub struct NoRoom {
    /// The directories on the file systems that are too small.
    pub places: Vec<PathBuf>,
    pub free_bytes: u64,
    pub needed_bytes: u64,
    /// Whether it is more for sure.
    pub is_least: bool,
}

fn list(places: &[PathBuf]) -> String {
    let has = if places.len() == 1 {
        "has"
    } else {
        "together have"
    };
    let names: Vec<_> = places
        .iter()
        .map(|place| place.display().to_string())
        .collect();
    format!("{} {has}", names.join(" and "))
}

/// Archives of many empty files shrink when they are unpacked: a header takes 512 bytes.
const PERCENT_OF_PLAIN: u64 = 80;
/// Temporary files were counted, and tables may have been dropped while the backup ran.
const PERCENT_OF_CLUSTER: u64 = 95;

/// Compares what the archives will take with what is free.
///
/// # Errors
/// When a file system is too small.
pub fn check_space(
    extractions: &[Extraction],
    cluster_bytes: Option<u64>,
    file_systems: &BTreeMap<PathBuf, FileSystem>,
) -> Result<(), NoRoom> {
    let mut devices: BTreeMap<u64, (FileSystem, Vec<PathBuf>)> = BTreeMap::new();
    for (place, file_system) in file_systems {
        let known = devices.entry(file_system.device);
        let (_, places) = known.or_insert((*file_system, Vec::new()));
        places.push(place.clone());
    }
    for (file_system, places) in devices.values() {
        let on_it = extractions
            .iter()
            .filter(|archive| places.contains(&archive.target));
        let needed_bytes = on_it
            .map(|archive| least_bytes(archive, file_system.storage))
            .sum();
        if needed_bytes > file_system.free_bytes {
            return Err(NoRoom {
                places: places.clone(),
                free_bytes: file_system.free_bytes,
                needed_bytes,
                is_least: true,
            });
        }
    }
    let all_known = extractions
        .iter()
        .all(|archive| file_systems.contains_key(&archive.target));
    let plain = |(file_system, _): &(FileSystem, _)| file_system.storage == Storage::Plain;
    if !all_known || !devices.values().all(plain) {
        return Ok(());
    }
    let free = devices
        .values()
        .map(|(file_system, _)| file_system.free_bytes);
    let free_bytes = free.fold(0, u64::saturating_add);
    match cluster_bytes {
        Some(needed_bytes) if percent(needed_bytes, PERCENT_OF_CLUSTER) > free_bytes => {
            Err(NoRoom {
                places: devices
                    .into_values()
                    .filter_map(|(_, places)| places.first().cloned())
                    .collect(),
                free_bytes,
                needed_bytes,
                is_least: false,
            })
        }
        _ => Ok(()),
    }
}

fn least_bytes(archive: &Extraction, storage: Storage) -> u64 {
    match (archive.codec, storage) {
        (Codec::None, Storage::Plain) => percent(archive.size_bytes, PERCENT_OF_PLAIN),
        (Codec::None, Storage::Unknown) => 0,
        _ => archive.size_bytes,
    }
}

fn percent(bytes: u64, percent: u64) -> u64 {
    bytes / 100 * percent
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{ArchiveName, ArchiveSet};

    const MIB: u64 = 1 << 20;

    fn archive(target: &str, codec: Codec, mib: u64) -> Extraction {
        Extraction {
            archive: ArchiveName {
                set: ArchiveSet::Data,
                number: 0,
            },
            codec,
            file: "data.tar".to_owned(),
            size_bytes: mib * MIB,
            target: PathBuf::from(target),
        }
    }

    fn on(device: u64, free_mib: u64, storage: Storage) -> FileSystem {
        FileSystem {
            device,
            free_bytes: free_mib * MIB,
            storage,
        }
    }

    fn check(
        archives: &[Extraction],
        cluster_mib: u64,
        places: &[(&str, FileSystem)],
    ) -> Result<(), String> {
        let places = places.iter().map(|(path, on)| (PathBuf::from(path), *on));
        let checked = check_space(archives, Some(cluster_mib * MIB), &places.collect());
        checked.map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_recorded_as_larger_than_the_disk_is_refused() {
        let archives = [archive("/data", Codec::Zstd, 26)];
        let checked = |free, storage| check(&archives, 480, &[("/data", on(1, free, storage))]);
        let told = "/data has 60.0 MiB free, and the backup takes about 480.0 MiB";
        assert_eq!(checked(60, Storage::Plain), Err(told.to_owned()));
        assert_eq!(checked(500, Storage::Plain), Ok(()));
        assert_eq!(checked(60, Storage::Unknown), Ok(()));
        let told = "/data has 20.0 MiB free, and the backup takes at least 26.0 MiB";
        assert_eq!(checked(20, Storage::Unknown), Err(told.to_owned()));
    }

    #[test]
    fn each_file_system_must_hold_what_goes_there_and_all_together_the_cluster() {
        let archives = [
            archive("/data", Codec::Zstd, 50),
            archive("/ts1", Codec::Zstd, 80),
            archive("/ts2", Codec::Zstd, 80),
        ];
        let places = |free_of_tablespaces| {
            [
                ("/data", on(1, 500, Storage::Plain)),
                ("/ts1", on(2, free_of_tablespaces, Storage::Plain)),
                ("/ts2", on(2, free_of_tablespaces, Storage::Plain)),
            ]
        };
        assert_eq!(check(&archives, 700, &places(200)), Ok(()));
        let told = "/ts1 and /ts2 together have 100.0 MiB free, and the backup takes at least \
                    160.0 MiB";
        assert_eq!(check(&archives, 500, &places(100)), Err(told.to_owned()));
        let told = "/data and /ts1 together have 700.0 MiB free, and the backup takes about \
                    900.0 MiB";
        assert_eq!(check(&archives, 900, &places(200)), Err(told.to_owned()));
    }

    #[test]
    fn archives_without_a_codec_may_shrink_where_the_file_system_compresses() {
        let archives = [archive("/data", Codec::None, 100)];
        let checked = |free, storage| check(&archives, 10, &[("/data", on(1, free, storage))]);
        assert_eq!(checked(85, Storage::Plain), Ok(()));
        assert!(checked(70, Storage::Plain).is_err());
        assert_eq!(checked(70, Storage::Unknown), Ok(()));
    }

    #[test]
    fn where_a_file_system_cannot_be_asked_nothing_is_refused() {
        let archives = [archive("/data", Codec::Zstd, 26)];
        assert_eq!(check(&archives, 480, &[]), Ok(()));
    }
}
