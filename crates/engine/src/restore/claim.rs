//! The directories of a restore, for it alone.
//!
//! Two restores into one place would mix their files. A lock on each directory keeps the second
//! one out, whenever it comes; it goes with the process, however that ends. Always true: a claimed
//! directory was empty when its lock was had, and stays open until the restore has ended.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use model::restore::plan::RestorePlan;
use model::restore::refusal::CannotRestore;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::error::{RestoreError, failed};
use super::place::Place;

/// Locked directories; dropped, they are free again.
#[derive(Debug)]
pub struct Claim {
    places: BTreeMap<PathBuf, Place>,
    destination: PathBuf,
}

impl Claim {
    /// Makes the directories of a plan where they are missing, and locks them.
    ///
    /// # Errors
    /// When one cannot be made, is another restore's, or is not empty.
    pub fn take(plan: &RestorePlan) -> Result<Claim, RestoreError> {
        let mut claim = Claim {
            places: BTreeMap::new(),
            destination: plan.destination.clone(),
        };
        let made = Place::make(&plan.destination);
        claim.add(made.map_err(failed("make the directory", &plan.destination))?)?;
        for link in &plan.links {
            let location = &link.location;
            let made = match plan.inside.get(&link.oid) {
                Some(inside) => claim.destination().make_inside(inside, location),
                None => Place::make(location),
            };
            claim.add(made.map_err(failed("make the directory", location))?)?;
        }
        Ok(claim)
    }

    /// The open directory of a path that the plan has.
    pub fn place(&self, path: &Path) -> &Place {
        let place = self.places.get(path);
        place.expect("every directory of the plan was claimed")
    }

    /// The new data directory.
    pub fn destination(&self) -> &Place {
        self.place(&self.destination)
    }

    fn add(&mut self, place: Place) -> Result<(), RestoreError> {
        lock(&place)?;
        self.places.insert(place.path().to_path_buf(), place);
        Ok(())
    }
}

fn lock(place: &Place) -> Result<(), RestoreError> {
    let path = place.path();
    match flock(place, FlockOperation::NonBlockingLockExclusive) {
        // Some network file systems have no locks.
        Ok(()) | Err(Errno::NOTSUP | Errno::NOLCK | Errno::INVAL) => {}
        Err(Errno::WOULDBLOCK) => return Err(RestoreError::Busy(path.to_path_buf())),
        Err(errno) => return Err(failed("lock", path)(io::Error::from(errno))),
    }
    if place.is_empty().map_err(failed("look into", path))? {
        Ok(())
    } else {
        Err(CannotRestore::NotEmpty(path.to_path_buf()).into())
    }
}

/// Makes a directory below the data directory, with its owner and mode.
///
/// # Errors
/// When it cannot be made.
pub fn make_directory(
    destination: &Place,
    name: &str,
) -> Result<std::os::fd::OwnedFd, RestoreError> {
    let made = destination.make_like_itself(name);
    made.map_err(failed("make the directory", &destination.path().join(name)))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use model::backup::BackupInfo;
    use model::restore::configuration_file::ConfigurationFile;
    use model::restore::effort::Effort;

    use super::*;

    fn plan(destination: &Path) -> RestorePlan {
        RestorePlan {
            backup: "20261121T081044".parse().unwrap(),
            source: String::new(),
            begins: Vec::new(),
            check_from: None,
            configuration: ConfigurationFile::of(&BackupInfo::default()),
            destination: destination.to_path_buf(),
            extractions: Vec::new(),
            effort: Effort::usual(1),
            links: Vec::new(),
            inside: BTreeMap::new(),
            download_bytes: 0,
        }
    }

    #[test]
    fn a_directory_is_claimed_once_and_only_while_it_is_empty() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("a/b");
        let plan = plan(&target);
        let first = Claim::take(&plan).unwrap();
        let second = Claim::take(&plan).err().unwrap();
        assert!(matches!(second, RestoreError::Busy(path) if path == target));
        drop(first);
        let again = Claim::take(&plan).unwrap();
        fs::write(target.join("file"), "content").unwrap();
        drop(again);
        let third = Claim::take(&plan).err().unwrap();
        assert!(matches!(
            third,
            RestoreError::Cannot(CannotRestore::NotEmpty(_))
        ));
    }
}
