//! What is at the paths that a restore would write to, before anything is written.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use model::restore::request::{DirectoryFact, PlaceFacts};
use model::restore::space::{FileSystem, Storage};

use super::error::{RestoreError, failed};
use super::place::is_empty;

/// Looks at a path; what is not there yet is judged by the directory that it would be made in.
///
/// # Errors
/// When a directory that is there cannot be looked into.
pub fn place_facts(path: &Path) -> Result<PlaceFacts, RestoreError> {
    let (real, owner) = whereabouts(path).map_err(failed("look into", path))?;
    Ok(PlaceFacts {
        real: Some(real),
        owner: Some(owner),
        directory: directory_fact(path)?,
        file_system: file_system(path),
        inside: data_directory_around(path),
    })
}

fn directory_fact(path: &Path) -> Result<DirectoryFact, RestoreError> {
    // Opening what is no directory could take for ever.
    let opened = fs::metadata(path).and_then(|metadata| {
        if metadata.is_dir() {
            fs::File::open(path)
        } else {
            Err(io::ErrorKind::NotADirectory.into())
        }
    });
    match opened.and_then(is_empty) {
        Ok(true) => Ok(DirectoryFact::Empty),
        Ok(false) if was_interrupted(path) => Ok(DirectoryFact::Interrupted),
        Ok(false) => Ok(DirectoryFact::NotEmpty),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(DirectoryFact::Missing),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            Ok(DirectoryFact::NotADirectory)
        }
        Err(error) => Err(failed("look into", path)(error)),
    }
}

/// The path without links, and whose it is; of what is missing, as the nearest directory above
/// has it.
fn whereabouts(path: &Path) -> io::Result<(PathBuf, u32)> {
    let mut missing = Vec::new();
    let mut above = path;
    loop {
        match fs::canonicalize(above) {
            Ok(mut real) => {
                let owner = fs::metadata(&real)?.uid();
                real.extend(missing.iter().rev());
                return Ok((real, owner));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            // A file is in the way, which is told as that.
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {}
            Err(error) => return Err(error),
        }
        let (Some(name), Some(next)) = (above.file_name(), above.parent()) else {
            return Err(io::ErrorKind::InvalidFilename.into());
        };
        missing.push(name);
        above = next;
    }
}

/// Archives of the data directory begin with other things than `global/pg_control`, which a restore
/// puts in place last.
fn was_interrupted(path: &Path) -> bool {
    let is_there = |name: &str| path.join(name).symlink_metadata().is_ok();
    let parts = ["PG_VERSION", "base", "global", "backup_label"];
    parts.into_iter().any(is_there) && !is_there("global/pg_control")
}

fn data_directory_around(path: &Path) -> Option<PathBuf> {
    let is_one = |outer: &&Path| {
        let is_there = |name: &str| outer.join(name).is_file();
        is_there("PG_VERSION") && is_there("global/pg_control")
    };
    path.ancestors().skip(1).find(is_one).map(Path::to_path_buf)
}

/// Kinds of file systems that keep each byte that is written, by their numbers in `statfs(2)`.
const PLAIN: [u64; 4] = [
    0xEF53,      // ext2, ext3, ext4
    0x5846_5342, // XFS
    0x0102_1994, // tmpfs
    0x8584_58F6, // ramfs
];

fn file_system(path: &Path) -> Option<FileSystem> {
    let there = path.ancestors().find(|above| above.exists())?;
    let asked = rustix::fs::statfs(there).ok()?;
    let free = rustix::fs::statvfs(there).ok()?;
    let is_root = rustix::process::geteuid().is_root();
    let blocks = if is_root { free.f_bfree } else { free.f_bavail };
    // Numbers of 32 bits come with their sign on some machines.
    let kind = u64::from(asked.f_type as u32);
    Some(FileSystem {
        device: fs::metadata(there).ok()?.dev(),
        free_bytes: blocks.saturating_mul(free.f_frsize),
        storage: if PLAIN.contains(&kind) {
            Storage::Plain
        } else {
            Storage::Unknown
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fact(path: &Path) -> DirectoryFact {
        place_facts(path).unwrap().directory
    }

    #[test]
    fn a_new_volume_is_empty_and_half_a_restore_is_known_as_one() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("data");
        assert_eq!(fact(&target), DirectoryFact::Missing);
        fs::create_dir(&target).unwrap();
        assert_eq!(fact(&target), DirectoryFact::Empty);
        fs::create_dir(target.join("lost+found")).unwrap();
        assert_eq!(fact(&target), DirectoryFact::Empty);
        fs::write(target.join("notes"), "").unwrap();
        assert_eq!(fact(&target), DirectoryFact::NotEmpty);
        fs::write(target.join("PG_VERSION"), "15\n").unwrap();
        assert_eq!(fact(&target), DirectoryFact::Interrupted);
        fs::create_dir(target.join("global")).unwrap();
        fs::write(target.join("global/pg_control"), "").unwrap();
        assert_eq!(fact(&target), DirectoryFact::NotEmpty);
        assert_eq!(
            fact(&target.join("PG_VERSION")),
            DirectoryFact::NotADirectory
        );

        let inside = place_facts(&target.join("a/b")).unwrap().inside;
        assert_eq!(inside.as_deref(), Some(target.as_path()));
        assert_eq!(place_facts(&target).unwrap().inside, None);
    }

    #[test]
    fn the_room_of_a_directory_is_that_of_the_one_it_will_be_made_in() {
        let place = tempfile::tempdir().unwrap();
        let there = file_system(place.path()).unwrap();
        let missing = file_system(&place.path().join("a/b")).unwrap();
        assert_eq!(
            (there.device, there.storage),
            (missing.device, missing.storage)
        );
    }
}
