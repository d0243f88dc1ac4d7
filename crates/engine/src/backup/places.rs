//! The places that a backup reads, the data directory and the tablespaces' locations, looked at as
//! what they are.
//!
//! A disk that is not mounted is an empty directory, and archives as one: so what PostgreSQL always
//! has there is looked for, before the backup and again when all files are archived. Paths are
//! compared by the directories they lead to, since one directory can have several. Always true:
//! nothing here changes anything.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Component, Path};

use model::backup::Tablespace;
use model::backup::contents::{NEVER_EMPTY, version_directory};
use model::control_file::ControlFile;

use crate::cluster::facts::ServerFacts;

/// A place that cannot be what the server works with.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    #[error("{place} does not hold {missing}, without which no server runs")]
    Empty { place: String, missing: String },
    #[error(
        "the backup would be written into {place}, which it is a backup of: {store} lies there"
    )]
    StoreInside { store: String, place: String },
    #[error("cannot look into {place}")]
    Unreadable {
        place: String,
        #[source]
        source: io::Error,
    },
}

/// Makes sure that the data directory and every tablespace hold what a running server always has.
/// A tablespace whose link is gone was dropped meanwhile: WAL replay drops it again.
///
/// # Errors
/// When something is missing, which is what a disk that is not mounted looks like.
pub fn check_places(facts: &ServerFacts, control: &ControlFile) -> Result<(), PlaceError> {
    let data = Path::new(&facts.data_directory);
    check_data_directory(data)?;
    let version = version_directory(facts.version.major(), control.catalog_version);
    for tablespace in &facts.tablespaces {
        let link = data.join("pg_tblspc").join(tablespace.oid.to_string());
        let found = check_tablespace(&tablespace.name, Path::new(&tablespace.location), &version);
        if found.is_err() && fs::symlink_metadata(&link).is_ok() {
            return found;
        }
    }
    Ok(())
}

/// Makes sure that a store on this host lies apart: each backup would hold all those before it.
///
/// # Errors
/// When it lies in the data directory or in a tablespace.
pub fn check_apart(facts: &ServerFacts, store: &Path) -> Result<(), PlaceError> {
    let Ok(place) = fs::canonicalize(store) else {
        // Whoever opened it knows better.
        return Ok(());
    };
    let locations = facts.tablespaces.iter().map(|one| &one.location);
    for holder in locations.chain([&facts.data_directory]) {
        if fs::canonicalize(holder).is_ok_and(|holder| place.starts_with(holder)) {
            return Err(PlaceError::StoreInside {
                store: store.display().to_string(),
                place: holder.clone(),
            });
        }
    }
    Ok(())
}

fn check_data_directory(data: &Path) -> Result<(), PlaceError> {
    for name in NEVER_EMPTY {
        let directory = data.join(name);
        if is_empty(&directory)? {
            return Err(PlaceError::Empty {
                place: format!("the data directory {}", data.display()),
                missing: format!("anything in {name}"),
            });
        }
    }
    Ok(())
}

/// Makes sure that a tablespace's location holds the server's directory.
///
/// # Errors
/// When it does not, or cannot be looked into.
pub fn check_tablespace(
    name: &str,
    location: &Path,
    version_directory: &str,
) -> Result<(), PlaceError> {
    let place = format!("{}, the location of tablespace {name},", location.display());
    match fs::metadata(location.join(version_directory)) {
        Ok(metadata) if metadata.is_dir() => Ok(()),
        Err(source) if !is_absent(&source) => Err(PlaceError::Unreadable { place, source }),
        _ => Err(PlaceError::Empty {
            place,
            missing: format!("the directory {version_directory}"),
        }),
    }
}

fn is_empty(directory: &Path) -> Result<bool, PlaceError> {
    let first = fs::read_dir(directory).and_then(|mut entries| entries.next().transpose());
    match first {
        Ok(first) => Ok(first.is_none()),
        Err(error) if is_absent(&error) => Ok(true),
        Err(source) => Err(PlaceError::Unreadable {
            place: directory.display().to_string(),
            source,
        }),
    }
}

fn is_absent(error: &io::Error) -> bool {
    use io::ErrorKind::{NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory)
}

/// The tablespaces that lie inside the data directory, whatever their paths say.
pub fn tablespaces_inside(facts: &ServerFacts) -> impl Iterator<Item = &Tablespace> {
    let data = fs::canonicalize(&facts.data_directory);
    facts.tablespaces.iter().filter(move |tablespace| {
        let location = fs::canonicalize(&tablespace.location);
        data.as_ref()
            .is_ok_and(|data| location.is_ok_and(|location| location.starts_with(data)))
    })
}

/// Whether a walk through the data directory meets this file: by its path, or by the directory
/// that it lies in.
pub fn lies_inside(data: &Path, file: &Path) -> bool {
    let goes_up = file.components().any(|part| part == Component::ParentDir);
    if !goes_up && file.starts_with(data) {
        return true;
    }
    let Some(parent) = file
        .parent()
        .filter(|parent| parent.as_os_str() != OsStr::new(""))
    else {
        return false;
    };
    match (fs::canonicalize(parent), fs::canonicalize(data)) {
        (Ok(parent), Ok(data)) => parent.starts_with(data),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use std::path::PathBuf;

    use super::*;
    use crate::cluster::facts::absolute_location;

    const VERSION: &str = "PG_15_202209061";

    #[test]
    fn an_empty_location_is_no_tablespace() {
        let place = tempfile::tempdir().unwrap();
        let check = |location: &Path| check_tablespace("ts", location, VERSION);
        let missing = place.path().join("missing");
        let dangling = place.path().join("dangling");
        symlink(&missing, &dangling).unwrap();
        fs::create_dir(place.path().join("PG_14_202107181")).unwrap();
        for location in [place.path(), &missing, &dangling] {
            let error = check(location).unwrap_err().to_string();
            assert!(error.contains("tablespace ts,"), "{error}");
            assert!(error.contains(VERSION), "{error}");
            assert!(error.contains(&*location.to_string_lossy()), "{error}");
        }
        fs::create_dir(place.path().join(VERSION)).unwrap();
        check(place.path()).unwrap();
    }

    #[test]
    fn a_data_directory_without_its_contents_is_none() {
        let place = tempfile::tempdir().unwrap();
        for name in NEVER_EMPTY {
            let error = check_data_directory(place.path()).unwrap_err().to_string();
            assert!(error.contains(&format!("anything in {name},")), "{error}");
            fs::create_dir(place.path().join(name)).unwrap();
            check_data_directory(place.path()).unwrap_err();
            fs::write(place.path().join(name).join("1"), "").unwrap();
        }
        check_data_directory(place.path()).unwrap();
    }

    #[test]
    fn a_relative_link_leads_from_the_folder_of_links() {
        let place = tempfile::tempdir().unwrap();
        let place = place.path().canonicalize().unwrap();
        let data = place.join("data");
        let [there, gone] = ["there", "gone"].map(|name| place.join(name));
        fs::create_dir_all(data.join("pg_tblspc")).unwrap();
        fs::create_dir(&there).unwrap();
        let resolved = |location: &str| PathBuf::from(absolute_location(&data, location));
        assert_eq!(resolved("../../there"), there);
        assert_eq!(resolved("../../gone"), gone);
        assert_eq!(resolved("/mnt/../ts"), Path::new("/mnt/../ts"));
    }

    #[test]
    fn a_file_is_inside_by_the_directory_it_lies_in() {
        let place = tempfile::tempdir().unwrap();
        let (data, other) = (place.path().join("data"), place.path().join("etc"));
        let way = place.path().join("way");
        fs::create_dir_all(data.join("conf.d")).unwrap();
        fs::create_dir(&other).unwrap();
        symlink("data", &way).unwrap();
        symlink(&other, data.join("linked")).unwrap();
        let inside = |file: PathBuf| lies_inside(&data, &file);
        assert!(inside(data.join("conf.d/a.conf")));
        assert!(inside(way.join("conf.d/a.conf")));
        assert!(inside(other.join("../data/a.conf")));
        // The walk follows the link.
        assert!(inside(data.join("linked/a.conf")));
        assert!(!inside(other.join("a.conf")));
        assert!(!inside(data.join("../etc/a.conf")));
        assert!(!inside(PathBuf::from("a.conf")));
    }
}
