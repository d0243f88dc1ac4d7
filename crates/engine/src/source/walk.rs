//! Which files there are: walks of the data directory and of the tablespaces.
//!
//! Which of them belong into a backup is `model::backup::contents`' decision. The server goes on
//! while the walk runs: an entry that vanishes is simply not there any more. Always true: paths
//! are relative to the walk's root and written with `/`; directories come before what is in them.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use model::backup::contents::{
    EntryKind, INIT_FORK, Verdict, is_server_socket, is_unlogged_fork, judge_data_entry,
    judge_tablespace_entry,
};
use rustix::process::geteuid;

use super::entries::{Entries, EntryWriter, SourceEntry};
use super::names::Names;
use crate::progress::NotArchived;

/// Is told what is passed over, and why.
pub type LeftOut<'a> = dyn FnMut(&Path, NotArchived) + 'a;

/// Where a walk starts and which rules hold there.
#[derive(Debug, Clone)]
pub enum Root {
    /// The data directory; entries with these absolute paths are left out, and directories that
    /// are one of these whatever path leads to them.
    Data {
        directory: PathBuf,
        leave_out: Vec<PathBuf>,
    },
    /// A tablespace's location, and the name of the server's directory in it.
    Tablespace {
        location: PathBuf,
        version_directory: String,
    },
}

impl Root {
    /// The directory the walk starts in.
    pub fn directory(&self) -> &Path {
        match self {
            Root::Data { directory, .. } => directory,
            Root::Tablespace { location, .. } => location,
        }
    }

    fn leave_out(&self) -> &[PathBuf] {
        match self {
            Root::Data { leave_out, .. } => leave_out,
            Root::Tablespace { .. } => &[],
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
            Root::Tablespace {
                version_directory, ..
            } => judge_tablespace_entry(&text, kind, version_directory),
        }
    }
}

/// A directory or file that could not be looked at, or may not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot {verb} {path}{}", and_others(*.others))]
pub struct WalkError {
    pub verb: &'static str,
    pub path: String,
    /// How many more there are.
    pub others: usize,
    #[source]
    pub source: io::Error,
}

fn and_others(count: usize) -> String {
    match count {
        0 => String::new(),
        count => format!(" and {count} more"),
    }
}

/// Why there is no list.
#[derive(Debug, thiserror::Error)]
pub enum GatherError {
    #[error(transparent)]
    Walk(#[from] WalkError),
    #[error("cannot keep the list of files")]
    Spool(#[from] io::Error),
}

/// Lists what is to be archived under `root`, in a stable order, and tells `note` of what is passed
/// over although it may be missed.
///
/// Symbolic links to files and directories are followed, so that every path that works in the
/// source works in the copy, except where a link leads round in a circle. Special files and links
/// to nothing are left out. Whether a file may be read shows here, not hours later.
///
/// # Errors
/// When a directory or file cannot be read for another reason than having vanished, or the list
/// cannot be written.
pub fn gather_entries(root: &Root, note: &mut LeftOut<'_>) -> Result<Entries, GatherError> {
    let top = root.directory();
    let directory = |path: &PathBuf| fs::metadata(path).ok().filter(fs::Metadata::is_dir);
    let mut walk = TreeWalk {
        root,
        entries: EntryWriter::create()?,
        above: Vec::new(),
        elsewhere: root
            .leave_out()
            .iter()
            .filter_map(directory)
            .map(|it| inode(&it))
            .collect(),
        account: geteuid().as_raw(),
        unreadable: None,
        note,
    };
    match fs::metadata(top) {
        Ok(metadata) => walk.directory(Path::new(""), inode(&metadata))?,
        // The location of a tablespace that was dropped meanwhile; `check_places` knows.
        Err(error) if leads_nowhere(&error) && matches!(root, Root::Tablespace { .. }) => {
            walk.push(Path::new(""), 0, EntryKind::Directory)?;
        }
        Err(error) => walk.refused("list", top, error)?,
    }
    match walk.unreadable {
        Some(error) => Err(error.into()),
        None => Ok(walk.entries.finish()?),
    }
}

struct TreeWalk<'a> {
    root: &'a Root,
    entries: EntryWriter,
    /// The directories from the root to where the walk is: a link to one of them is a circle.
    /// Others may be met twice, and are then taken twice: a directory must never be missing under
    /// its own name because a link to it was met first.
    above: Vec<Inode>,
    /// Directories that are archived elsewhere: what they are, since their paths may differ.
    elsewhere: HashSet<Inode>,
    /// The user that reads.
    account: u32,
    /// What may not be read, so that all of it is told at once.
    unreadable: Option<WalkError>,
    note: &'a mut dyn FnMut(&Path, NotArchived),
}

/// Device and inode number.
type Inode = (u64, u64);

fn inode(metadata: &fs::Metadata) -> Inode {
    (metadata.dev(), metadata.ino())
}

impl TreeWalk<'_> {
    fn directory(&mut self, relative: &Path, itself: Inode) -> Result<(), GatherError> {
        let absolute = self.root.directory().join(relative);
        let is_root = relative.as_os_str().is_empty();
        let names = match Names::list(&absolute) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && !is_root => return Ok(()),
            Err(error) => return self.refused("list", &absolute, error),
            Ok(names) => names,
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
            Err(error) if leads_nowhere(&error) => {
                self.note_link_to_nothing(relative, &absolute);
                return Ok(());
            }
            Err(error) => return self.refused("look at", &absolute, error),
            Ok(metadata) => metadata,
        };
        if metadata.is_dir() {
            return self.subdirectory(relative, inode(&metadata));
        }
        if self.root.judge(relative, EntryKind::File) != Verdict::Take
            || is_unlogged(relative, init_forks)
        {
            return Ok(());
        }
        if !metadata.is_file() {
            if !is_server_socket(&relative.to_string_lossy()) {
                (self.note)(&absolute, NotArchived::NoRegularFile);
            }
            return Ok(());
        }
        match self.check_readable(&absolute, &metadata) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => self.refused("read", &absolute, error),
            Ok(()) => Ok(self.push(relative, metadata.len(), EntryKind::File)?),
        }
    }

    fn subdirectory(&mut self, relative: &Path, itself: Inode) -> Result<(), GatherError> {
        let verdict = self.root.judge(relative, EntryKind::Directory);
        if verdict == Verdict::Leave || self.elsewhere.contains(&itself) {
            return Ok(());
        }
        if verdict == Verdict::TakeEmpty {
            return Ok(self.push(relative, 0, EntryKind::Directory)?);
        }
        if self.above.contains(&itself) {
            let path = self.root.directory().join(relative);
            (self.note)(&path, NotArchived::LeadsBack);
            return Ok(());
        }
        self.directory(relative, itself)
    }

    /// A link whose target is gone. What has vanished is simply not there any more.
    fn note_link_to_nothing(&mut self, relative: &Path, absolute: &Path) {
        let is_link = fs::symlink_metadata(absolute).is_ok_and(|there| there.is_symlink());
        let kinds = [EntryKind::File, EntryKind::Directory];
        let mut judged = kinds
            .map(|kind| self.root.judge(relative, kind))
            .into_iter();
        if is_link && judged.all(|verdict| verdict == Verdict::Take) {
            (self.note)(absolute, NotArchived::LinkToNothing);
        }
    }

    /// What is not our own is opened: a data directory is mostly read as its owner. No mode says
    /// what capabilities allow, and what network file systems refuse even to root.
    fn check_readable(&self, path: &Path, metadata: &fs::Metadata) -> io::Result<()> {
        if metadata.uid() == self.account && metadata.mode() & 0o400 != 0 {
            return Ok(());
        }
        File::open(path).map(drop)
    }

    /// Goes on where permission is all that is missing, to name what else is.
    fn refused(
        &mut self,
        verb: &'static str,
        path: &Path,
        source: io::Error,
    ) -> Result<(), GatherError> {
        let denied = source.kind() == io::ErrorKind::PermissionDenied;
        if let Some(first) = self.unreadable.as_mut().filter(|_| denied) {
            first.others += 1;
            return Ok(());
        }
        let error = WalkError {
            verb,
            path: path.display().to_string(),
            others: 0,
            source,
        };
        if !denied {
            return Err(error.into());
        }
        self.unreadable = Some(error);
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
    use std::os::unix::fs::symlink;

    use super::*;

    fn paths(root: &Root) -> Vec<String> {
        noted(root).0
    }

    /// What is listed, and what is said.
    fn noted(root: &Root) -> (Vec<String>, Vec<(PathBuf, NotArchived)>) {
        let mut notes = Vec::new();
        let entries =
            gather_entries(root, &mut |path, why| notes.push((path.to_owned(), why))).unwrap();
        let mut reader = entries.read_from(0).unwrap();
        let mut paths = Vec::new();
        while let Some(entry) = reader.next_entry().unwrap() {
            paths.push(String::from_utf8_lossy(entry.path).into_owned());
        }
        (paths, notes)
    }

    fn data(directory: &Path) -> Root {
        Root::Data {
            directory: directory.to_path_buf(),
            leave_out: vec![],
        }
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

    #[test]
    fn a_tablespace_inside_is_left_out_whatever_path_leads_to_it() {
        let directory = tempfile::tempdir().unwrap();
        let real = directory.path().join("real");
        fs::create_dir_all(real.join("ts/PG_15_202209061")).unwrap();
        fs::create_dir(real.join("base")).unwrap();
        let reached = directory.path().join("reached");
        symlink("real", &reached).unwrap();
        // A second way into the tablespace, as an administrator may leave one.
        symlink(real.join("ts"), real.join("also")).unwrap();
        for (way, location) in [(&reached, &real), (&real, &reached)] {
            let root = Root::Data {
                directory: way.clone(),
                leave_out: vec![location.join("ts")],
            };
            assert_eq!(paths(&root), [".", "base"]);
        }
    }

    #[test]
    fn what_belongs_to_the_volume_is_not_the_servers() {
        let directory = tempfile::tempdir().unwrap();
        for path in ["lost+found/#1", "base/1/lost+found", ".snapshot/hourly"] {
            fs::create_dir_all(directory.path().join(path)).unwrap();
        }
        let (paths, notes) = noted(&data(directory.path()));
        assert_eq!((paths.join(" "), notes.len()), (". base base/1".into(), 0));
    }

    #[test]
    fn what_is_passed_over_is_told_unless_it_is_the_servers_socket() {
        let directory = tempfile::tempdir().unwrap();
        let top = directory.path();
        let socket = |name: &str| std::os::unix::net::UnixListener::bind(top.join(name)).unwrap();
        let _listening = (socket(".s.PGSQL.5432"), socket("other"));
        symlink("/nowhere", top.join("gone")).unwrap();
        symlink("/nowhere", top.join("postmaster.pid")).unwrap();
        symlink(".", top.join("round")).unwrap();
        let (paths, notes) = noted(&data(top));
        assert_eq!(paths, ["."]);
        let told: Vec<_> = notes
            .iter()
            .map(|(path, why)| (path.strip_prefix(top).unwrap().to_str().unwrap(), *why))
            .collect();
        let expected = [
            ("gone", NotArchived::LinkToNothing),
            ("other", NotArchived::NoRegularFile),
            ("round", NotArchived::LeadsBack),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn names_of_any_bytes_are_listed() {
        let directory = tempfile::tempdir().unwrap();
        let names: [&[u8]; 4] = [b"a\nb", b"\xff\xfe", b" ", &[b'n'; 255]];
        for name in names {
            fs::write(directory.path().join(OsStr::from_bytes(name)), b"x").unwrap();
        }
        let entries = gather_entries(&data(directory.path()), &mut |_, _| {}).unwrap();
        let mut reader = entries.read_from(1).unwrap();
        let mut found = Vec::new();
        while let Some(entry) = reader.next_entry().unwrap() {
            found.push(entry.path.to_vec());
        }
        let mut expected = names.map(<[u8]>::to_vec);
        expected.sort();
        assert_eq!(found, expected);
    }
}
