//! Which files there are: walks of the data directory and of the tablespaces.
//!
//! Which of them belong into a backup is `model::backup::contents`' decision. The server goes on
//! while the walk runs: an entry that vanishes is simply not there any more. Always true: paths
//! are relative to the walk's root and written with `/`; directories come before what is in them.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use model::backup::contents::{
    EntryKind, INIT_FORK, Verdict, is_unlogged_fork, judge_data_entry, judge_tablespace_entry,
};

use super::entries::{Entries, EntryWriter, SourceEntry};
use super::names::Names;

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

/// Why there is no list.
#[derive(Debug, thiserror::Error)]
pub enum GatherError {
    #[error(transparent)]
    Walk(#[from] WalkError),
    #[error("cannot keep the list of files")]
    Spool(#[from] io::Error),
}

/// Lists what is to be archived under `root`, in a stable order.
///
/// Symbolic links to files and directories are followed, so that every path that works in the
/// source works in the copy, except where a link leads round in a circle. Special files and links
/// to nothing are left out.
///
/// # Errors
/// When a directory cannot be read for another reason than having vanished, or the list cannot be
/// written.
pub fn gather_entries(root: &Root) -> Result<Entries, GatherError> {
    let mut walk = Walk {
        root,
        entries: EntryWriter::create()?,
        above: Vec::new(),
    };
    let top = root.directory();
    let metadata = fs::metadata(top).map_err(|source| WalkError {
        path: top.display().to_string(),
        source,
    })?;
    walk.directory(Path::new(""), inode(&metadata))?;
    Ok(walk.entries.finish()?)
}

struct Walk<'a> {
    root: &'a Root,
    entries: EntryWriter,
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
    fn directory(&mut self, relative: &Path, itself: Inode) -> Result<(), GatherError> {
        let absolute = self.root.directory().join(relative);
        let is_root = relative.as_os_str().is_empty();
        let failed = |source| WalkError {
            path: absolute.display().to_string(),
            source,
        };
        let names = match Names::list(&absolute) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && !is_root => return Ok(()),
            names => names.map_err(failed)?,
        };
        self.push(relative, 0, EntryKind::Directory)?;
        let is_init = |name: &[u8]| name.ends_with(INIT_FORK.as_bytes());
        // Few directories have any, and then no name needs to be looked for.
        let init_forks = names.iter().any(is_init).then_some(&names);
        self.above.push(itself);
        for name in names.iter() {
            self.entry(&relative.join(OsStr::from_bytes(name)), init_forks)?;
        }
        self.above.pop();
        Ok(())
    }

    fn entry(&mut self, relative: &Path, init_forks: Option<&Names>) -> Result<(), GatherError> {
        let absolute = self.root.directory().join(relative);
        let metadata = match fs::metadata(&absolute) {
            Err(error) if leads_nowhere(&error) => return Ok(()),
            metadata => metadata.map_err(|source| WalkError {
                path: absolute.display().to_string(),
                source,
            })?,
        };
        if metadata.is_dir() {
            match self.root.judge(relative, EntryKind::Directory) {
                Verdict::Leave => {}
                Verdict::TakeEmpty => self.push(relative, 0, EntryKind::Directory)?,
                Verdict::Take if self.above.contains(&inode(&metadata)) => {}
                Verdict::Take => self.directory(relative, inode(&metadata))?,
            }
        } else if metadata.is_file()
            && self.root.judge(relative, EntryKind::File) == Verdict::Take
            && !is_unlogged(relative, init_forks)
        {
            self.push(relative, metadata.len(), EntryKind::File)?;
        }
        Ok(())
    }

    fn push(&mut self, relative: &Path, size_bytes: u64, kind: EntryKind) -> io::Result<()> {
        let path = match relative.as_os_str().as_bytes() {
            b"" => b".",
            bytes => bytes,
        };
        self.entries.push(SourceEntry {
            path,
            size_bytes,
            kind,
        })
    }
}

fn is_unlogged(path: &Path, init_forks: Option<&Names>) -> bool {
    let name = path.file_name().and_then(OsStr::to_str);
    let (Some(name), Some(beside)) = (name, init_forks) else {
        return false;
    };
    is_unlogged_fork(name, |fork| beside.contains(fork.as_bytes()))
}

/// What has vanished, a link to nothing, and a link to itself.
fn leads_nowhere(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
        || error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error())
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
        let mut reader = entries.read_from(0).unwrap();
        let mut paths = Vec::new();
        while let Some(entry) = reader.next_entry().unwrap() {
            paths.push(String::from_utf8(entry.path.to_vec()).unwrap());
        }
        paths
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
