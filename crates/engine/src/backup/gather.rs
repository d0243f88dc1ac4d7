//! Which files there are: walks of the data directory and of the tablespaces.
//!
//! Which of them belong into a backup is `model::backup::contents`' decision. The server goes on
//! while the walk runs: an entry that vanishes is simply not there any more. Always true: paths
//! are relative to the walk's root and written with `/`; directories come before what is in them.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use model::backup::contents::{
    EntryKind, Verdict, is_unlogged_fork, judge_data_entry, judge_tablespace_entry,
    unlogged_relations,
};

use super::entries::{Entries, SourceEntry};

/// Where a walk starts and which rules hold there.
#[derive(Debug, Clone)]
pub enum Root {
    /// The data directory; entries with these absolute paths are left out.
    Data {
        directory: PathBuf,
        leave_out: Vec<PathBuf>,
    },
    /// A tablespace's location.
    Tablespace { location: PathBuf, major: u32 },
}

impl Root {
    /// The directory the walk starts in.
    pub fn directory(&self) -> &Path {
        match self {
            Root::Data { directory, .. } => directory,
            Root::Tablespace { location, .. } => location,
        }
    }

    fn judge(&self, path: &Path, kind: EntryKind) -> Verdict {
        let text = path.to_string_lossy();
        match self {
            Root::Data {
                directory,
                leave_out,
            } => {
                if leave_out
                    .iter()
                    .any(|absolute| *absolute == directory.join(path))
                {
                    return Verdict::Leave;
                }
                judge_data_entry(&text, kind)
            }
            Root::Tablespace { major, .. } => judge_tablespace_entry(&text, *major),
        }
    }
}

/// A directory or file that could not be listed.
#[derive(Debug, thiserror::Error)]
#[error("cannot list {path}")]
pub struct WalkError {
    pub path: String,
    #[source]
    pub source: io::Error,
}

/// Lists what is to be archived under `root`, in a stable order.
///
/// Symbolic links to files and directories are followed, so that every path that works in the
/// source works in the copy, except where a link leads round in a circle. Special files and links
/// to nothing are left out.
///
/// # Errors
/// When a directory cannot be read for another reason than having vanished.
pub fn gather_entries(root: &Root) -> Result<Entries, WalkError> {
    let mut walk = Walk {
        root,
        entries: Entries::default(),
        above: Vec::new(),
    };
    let top = root.directory();
    let metadata = fs::metadata(top).map_err(|source| WalkError {
        path: top.display().to_string(),
        source,
    })?;
    walk.directory(Path::new(""), inode(&metadata))?;
    walk.entries.shrink();
    Ok(walk.entries)
}

struct Walk<'a> {
    root: &'a Root,
    entries: Entries,
    /// The directories from the root to where the walk is: a link to one of them is a circle.
    /// Others may be met twice, and are then taken twice: a directory must never be missing under
    /// its own name because a link to it was met first.
    above: Vec<Inode>,
}

/// Device and inode number.
type Inode = (u64, u64);

fn inode(metadata: &fs::Metadata) -> Inode {
    (metadata.dev(), metadata.ino())
}

impl Walk<'_> {
    fn directory(&mut self, relative: &Path, itself: Inode) -> Result<(), WalkError> {
        let absolute = self.root.directory().join(relative);
        let is_root = relative.as_os_str().is_empty();
        let failed = |source| WalkError {
            path: absolute.display().to_string(),
            source,
        };
        let names = match listed(&absolute) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && !is_root => return Ok(()),
            names => names.map_err(failed)?,
        };
        self.push(relative, 0, EntryKind::Directory);
        let texts: Vec<_> = names.iter().map(|name| name.to_string_lossy()).collect();
        let unlogged = unlogged_relations(texts.iter().map(|text| text.as_ref()));
        self.above.push(itself);
        for (name, text) in names.iter().zip(&texts) {
            self.entry(&relative.join(name), text, &unlogged)?;
        }
        self.above.pop();
        Ok(())
    }

    fn entry(
        &mut self,
        relative: &Path,
        name: &str,
        unlogged: &BTreeSet<&str>,
    ) -> Result<(), WalkError> {
        let absolute = self.root.directory().join(relative);
        let metadata = match fs::metadata(&absolute) {
            Err(error) if leads_nowhere(&error) => return Ok(()),
            Err(source) => {
                return Err(WalkError {
                    path: absolute.display().to_string(),
                    source,
                });
            }
            Ok(metadata) => metadata,
        };
        if metadata.is_dir() {
            match self.root.judge(relative, EntryKind::Directory) {
                Verdict::Leave => {}
                Verdict::TakeEmpty => self.push(relative, 0, EntryKind::Directory),
                Verdict::Take if self.above.contains(&inode(&metadata)) => {}
                Verdict::Take => self.directory(relative, inode(&metadata))?,
            }
        } else if metadata.is_file()
            && self.root.judge(relative, EntryKind::File) == Verdict::Take
            && !is_unlogged_fork(name, unlogged)
        {
            self.push(relative, metadata.len(), EntryKind::File);
        }
        Ok(())
    }

    fn push(&mut self, relative: &Path, size_bytes: u64, kind: EntryKind) {
        let path = match relative.as_os_str().as_bytes() {
            b"" => b".",
            bytes => bytes,
        };
        self.entries.push(SourceEntry {
            path,
            size_bytes,
            kind,
        });
    }
}

/// What has vanished, a link to nothing, and a link to itself.
fn leads_nowhere(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
        || error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error())
}

fn listed(directory: &Path) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        names.push(entry?.file_name());
    }
    names.sort();
    Ok(names)
}

/// An entry's path in the file system.
pub fn absolute(root: &Root, entry: SourceEntry<'_>) -> PathBuf {
    root.directory().join(OsStr::from_bytes(entry.path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(root: &Root) -> Vec<String> {
        let entries = gather_entries(root).unwrap();
        let path = |entry: SourceEntry<'_>| String::from_utf8(entry.path.to_vec()).unwrap();
        entries.iter().map(path).collect()
    }

    #[test]
    fn a_data_directory_is_listed_without_what_must_stay() {
        let directory = tempfile::tempdir().unwrap();
        let top = directory.path();
        for path in ["base/5", "pg_wal", "global", "pg_tblspc"] {
            fs::create_dir_all(top.join(path)).unwrap();
        }
        let files = [
            "PG_VERSION",
            "base/5/1",
            "pg_wal/00",
            "global/pg_control",
            "postmaster.pid",
        ];
        for path in files.into_iter().chain(["base/5/2", "base/5/2_init"]) {
            fs::write(top.join(path), b"x").unwrap();
        }
        std::os::unix::fs::symlink("/nowhere", top.join("pg_tblspc/16384")).unwrap();
        let root = Root::Data {
            directory: top.to_path_buf(),
            leave_out: vec![],
        };
        let expected = [
            ".",
            "PG_VERSION",
            "base",
            "base/5",
            "base/5/1",
            "base/5/2_init",
            "global",
        ];
        let mut all: Vec<_> = expected.into_iter().collect();
        all.extend(["pg_tblspc", "pg_wal"]);
        assert_eq!(paths(&root), all);
    }

    #[test]
    fn links_in_a_circle_are_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("d")).unwrap();
        std::os::unix::fs::symlink("../d", directory.path().join("d/loop")).unwrap();
        std::os::unix::fs::symlink(".", directory.path().join("self")).unwrap();
        std::os::unix::fs::symlink("e", directory.path().join("e")).unwrap();
        let root = Root::Data {
            directory: directory.path().to_path_buf(),
            leave_out: vec![],
        };
        assert_eq!(paths(&root), [".", "d"]);
    }

    #[test]
    fn a_directory_is_there_under_its_own_name_although_a_link_to_it_comes_first() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("base")).unwrap();
        fs::write(directory.path().join("base/1"), b"x").unwrap();
        std::os::unix::fs::symlink("base", directory.path().join("a")).unwrap();
        let root = Root::Data {
            directory: directory.path().to_path_buf(),
            leave_out: vec![],
        };
        assert_eq!(paths(&root), [".", "a", "a/1", "base", "base/1"]);
    }

    #[test]
    fn a_tablespace_inside_the_data_directory_is_left_out() {
        let directory = tempfile::tempdir().unwrap();
        let inner = directory.path().join("ts");
        fs::create_dir(&inner).unwrap();
        let root = Root::Data {
            directory: directory.path().to_path_buf(),
            leave_out: vec![inner],
        };
        assert_eq!(paths(&root), ["."]);
    }
}
