//! A directory that a restore writes into, held open from beginning to end.
//!
//! Other accounts may write to the directories above it, and to itself once it is theirs: a path
//! that was looked at can lead elsewhere when it is used. So each place is reached once, name by
//! name, and everything happens through its descriptor. Which places there are is the plan's
//! decision. Always true: below a place no link is followed, and root follows a link of another
//! account only to what is that account's too.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, Stat, Uid, fchmod, fchown, fstat, mkdirat,
    openat, readlinkat, statat, symlinkat, unlinkat,
};
use rustix::io::Errno;

/// An open directory, and how it was named.
#[derive(Debug)]
pub struct Place {
    path: PathBuf,
    directory: OwnedFd,
}

const ABOVE: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const DIRECTORY: OFlags = OFlags::DIRECTORY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);
/// Anything but a regular file could make us wait.
const FILE: OFlags = OFlags::NOFOLLOW
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);

/// As the kernel counts them (path_resolution(7)).
const MOST_LINKS: usize = 40;

/// For a directory that is a place itself, and for those above it: the server's account must
/// reach its data.
const OWN_MODE: u32 = 0o700;
const MODE_ABOVE: u32 = 0o777;

impl Place {
    /// Opens the directory, making what is missing of it.
    ///
    /// # Errors
    /// When it cannot be made or opened, or when the way leads over somebody's link to what is not
    /// theirs.
    pub fn make(path: &Path) -> io::Result<Place> {
        let reached = PathWay::to(path).walk()?;
        Ok(Place {
            path: path.to_path_buf(),
            directory: openat(reached, ".", DIRECTORY, Mode::empty())?,
        })
    }

    /// The same for a place inside this one, known by another path.
    ///
    /// # Errors
    /// When it cannot be made, or a link is in the way.
    pub fn make_inside(&self, inside: &Path, path: &Path) -> io::Result<Place> {
        Ok(Place {
            path: path.to_path_buf(),
            directory: make_directories(self, inside.as_os_str().as_bytes(), |_| Ok(()))?,
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The same directory, open once more.
    ///
    /// # Errors
    /// When there are too many open files.
    pub fn try_clone(&self) -> io::Result<OwnedFd> {
        self.directory.try_clone()
    }

    /// Whether nothing is in there; where a file system begins, it has a `lost+found`.
    ///
    /// # Errors
    /// When it cannot be listed.
    pub fn is_empty(&self) -> io::Result<bool> {
        is_empty(self)
    }

    /// # Errors
    /// When it cannot be asked.
    pub fn stat(&self) -> io::Result<Stat> {
        Ok(fstat(self)?)
    }

    /// Opens a directory below, not following any link.
    ///
    /// # Errors
    /// When it is missing, no directory, or behind a link.
    pub fn directory(&self, path: &str) -> io::Result<OwnedFd> {
        self.directory_of(path.as_bytes().split(|byte| *byte == b'/'))
    }

    fn directory_of<'a>(&self, names: impl Iterator<Item = &'a [u8]>) -> io::Result<OwnedFd> {
        let mut directory = self.directory.try_clone()?;
        for name in names {
            let name = OsStr::from_bytes(name);
            directory = openat(&directory, name, DIRECTORY, Mode::empty())?;
        }
        Ok(directory)
    }

    /// Opens a regular file below, not following any link.
    ///
    /// # Errors
    /// When it is missing, something else, or behind a link.
    pub fn file(&self, path: &[u8]) -> io::Result<File> {
        let mut names: Vec<_> = path.split(|byte| *byte == b'/').collect();
        let last = names.pop().unwrap_or_default();
        let directory = self.directory_of(names.into_iter())?;
        let file = openat(&directory, OsStr::from_bytes(last), FILE, Mode::empty())?;
        match FileType::from_raw_mode(fstat(&file)?.st_mode) {
            FileType::RegularFile => Ok(File::from(file)),
            _ => Err(io::Error::other("it is not a regular file")),
        }
    }

    /// Shows every regular file below, in no order, by its path in here. Links are not followed.
    ///
    /// # Errors
    /// When a directory cannot be listed.
    pub fn each_file(&self, show: &mut impl FnMut(&[u8])) -> io::Result<()> {
        let mut open = vec![Vec::new()];
        while let Some(path) = open.pop() {
            let directory = match path.as_slice() {
                b"" => self.directory.try_clone()?,
                path => self.directory_of(path.split(|byte| *byte == b'/'))?,
            };
            for entry in Dir::read_from(&directory)? {
                let entry = entry?;
                let name = entry.file_name().to_bytes();
                let below = match path.as_slice() {
                    b"" => name.to_vec(),
                    path => [path, b"/", name].concat(),
                };
                let kind = statat(&directory, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW)?;
                match FileType::from_raw_mode(kind.st_mode) {
                    FileType::RegularFile => show(&below),
                    FileType::Directory if !matches!(name, b"." | b"..") => open.push(below),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Removes a file of its top.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        Ok(unlinkat(self, name, AtFlags::empty())?)
    }

    /// Makes a directory below that no archive held, with the place's own owner and mode: the
    /// server must be able to write into it although root restored it.
    ///
    /// # Errors
    /// When it cannot be made, or something else is there.
    pub fn make_like_itself(&self, path: &str) -> io::Result<OwnedFd> {
        let top = self.stat()?;
        make_directories(self, path.as_bytes(), |made| set_looks(made, &top))
    }

    /// Gives it the owner and the mode of another, if it is ours to give.
    ///
    /// # Errors
    /// When it cannot be given away.
    pub fn look_like(&self, other: &Place) -> io::Result<()> {
        let (own, other) = (self.stat()?, other.stat()?);
        let account = rustix::process::geteuid();
        let is_ours = account.is_root() || own.st_uid == account.as_raw();
        if is_ours {
            Ok(set_looks(self.as_fd(), &other)?)
        } else {
            // Somebody has made it for us, and said who may do what.
            Ok(())
        }
    }

    /// # Errors
    /// When it cannot be given away.
    pub fn give_to(&self, owner: (u32, u32)) -> io::Result<()> {
        Ok(give(self.as_fd(), owner)?)
    }

    /// A file for notes that has no name, and vanishes with the process.
    ///
    /// # Errors
    /// When the directory takes no file.
    pub fn nameless_file(&self) -> io::Result<File> {
        let mode = Mode::from_raw_mode(0o600);
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        match openat(self, ".", flags, mode) {
            // Not every file system has nameless files.
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOENT) => {}
            file => return Ok(File::from(file?)),
        }
        let name = format!(".barman-notes.{}.tmp", std::process::id());
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC;
        let file = openat(self, &name, flags, mode)?;
        self.remove(&name)?;
        Ok(File::from(file))
    }
}

impl AsFd for Place {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

/// Makes a link in an open directory; what it says is not looked at.
///
/// # Errors
/// When something is there already, or no link can be made.
pub fn link_in(directory: &OwnedFd, name: &str, target: &Path) -> io::Result<()> {
    Ok(symlinkat(target, directory, name)?)
}

/// Opens a directory below another, making what is missing, following no link; each one that was
/// made is shown.
///
/// # Errors
/// When one cannot be made, or is none.
pub fn make_directories(
    below: impl AsFd,
    path: &[u8],
    mut made: impl FnMut(BorrowedFd<'_>) -> Result<(), Errno>,
) -> io::Result<OwnedFd> {
    let mut directory: Option<OwnedFd> = None;
    for name in path.split(|byte| *byte == b'/') {
        let above = directory.as_ref().map_or(below.as_fd(), OwnedFd::as_fd);
        let name = OsStr::from_bytes(name);
        let is_new = match mkdirat(above, name, Mode::from_raw_mode(OWN_MODE)) {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(errno) => return Err(errno.into()),
        };
        let opened = openat(above, name, DIRECTORY, Mode::empty())?;
        if is_new {
            made(opened.as_fd())?;
        }
        directory = Some(opened);
    }
    Ok(directory.expect("a split has a first part"))
}

/// Whether an open directory has nothing in it, or only what `mkfs` put there.
///
/// # Errors
/// When it cannot be listed.
pub fn is_empty(directory: impl AsFd) -> io::Result<bool> {
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        let is_made_with_it = name == b"lost+found" && entry.file_type() == FileType::Directory;
        if !matches!(name, b"." | b"..") && !is_made_with_it {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Gives an open directory the owner and the mode of another.
///
/// # Errors
/// When it cannot be given away.
pub fn look_like(directory: impl AsFd, other: &Stat) -> io::Result<()> {
    Ok(set_looks(directory.as_fd(), other)?)
}

fn set_looks(directory: BorrowedFd<'_>, other: &Stat) -> Result<(), Errno> {
    give(directory, (other.st_uid, other.st_gid))?;
    fchmod(directory, Mode::from_raw_mode(other.st_mode & 0o777))
}

/// Only root can and must give files to their owner, as `tar` does.
fn give(directory: BorrowedFd<'_>, (user, group): (u32, u32)) -> Result<(), Errno> {
    if is_root() {
        fchown(
            directory,
            Some(Uid::from_raw(user)),
            Some(Gid::from_raw(group)),
        )
    } else {
        Ok(())
    }
}

pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// What is left of a path, and whose word it was.
struct PathWay {
    names: VecDeque<OsString>,
    links: usize,
    /// The account whose link was followed.
    guide: Option<u32>,
}

impl PathWay {
    fn to(path: &Path) -> PathWay {
        let mut way = PathWay {
            names: VecDeque::new(),
            links: 0,
            guide: None,
        };
        way.put_before(path);
        way
    }

    fn put_before(&mut self, path: &Path) {
        for component in path.components().rev() {
            match component {
                Component::Normal(name) => self.names.push_front(name.to_owned()),
                Component::ParentDir => self.names.push_front("..".into()),
                Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
            }
        }
    }

    fn walk(mut self) -> io::Result<OwnedFd> {
        let root = || openat(CWD, "/", ABOVE, Mode::empty());
        let mut at = root()?;
        while let Some(name) = self.names.pop_front() {
            let next = match openat(&at, &name, ABOVE, Mode::empty()) {
                Err(Errno::NOENT) => self.make_in(&at, &name)?,
                next => next?,
            };
            let stat = fstat(&next)?;
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => at = next,
                FileType::Symlink => {
                    let target = self.follow(&next, &stat)?;
                    if target.is_absolute() {
                        at = root()?;
                    }
                    self.put_before(&target);
                }
                _ => return Err(Errno::NOTDIR.into()),
            }
        }
        self.check(fstat(&at)?.st_uid)?;
        Ok(at)
    }

    fn make_in(&mut self, at: &OwnedFd, name: &OsStr) -> io::Result<OwnedFd> {
        self.check(fstat(at)?.st_uid)?;
        let mode = if self.names.is_empty() {
            OWN_MODE
        } else {
            MODE_ABOVE
        };
        match mkdirat(at, name, Mode::from_raw_mode(mode)) {
            // It is ours: whoever showed the way has no part in it.
            Ok(()) => self.guide = None,
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
        Ok(openat(at, name, ABOVE, Mode::empty())?)
    }

    fn follow(&mut self, link: &OwnedFd, stat: &Stat) -> io::Result<PathBuf> {
        self.links += 1;
        if self.links > MOST_LINKS {
            return Err(Errno::LOOP.into());
        }
        if stat.st_uid != 0 {
            self.check(stat.st_uid)?;
            self.guide = Some(stat.st_uid);
        }
        let target = readlinkat(link, "", Vec::new())?;
        Ok(PathBuf::from(OsString::from_vec(target.into_bytes())))
    }

    /// Root goes where an account's link leads only if the account is at home there.
    fn check(&self, owner: u32) -> io::Result<()> {
        match self.guide {
            Some(guide) if is_root() && guide != owner => Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!("a link of account {guide} leads to what is account {owner}'s"),
            )),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn directories_above_are_made_by_the_umask_and_the_place_for_its_account_alone() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a/b/c");
        Place::make(&path).unwrap();
        let mode = |path: &str| {
            let metadata = fs::metadata(place.path().join(path)).unwrap();
            metadata.permissions().mode() & 0o777
        };
        // As a directory that anybody makes here.
        fs::create_dir(place.path().join("usual")).unwrap();
        assert_eq!((mode("a"), mode("a/b")), (mode("usual"), mode("usual")));
        assert_eq!(mode("a/b/c"), 0o700);
    }

    #[test]
    fn a_way_over_links_leads_where_the_kernel_would_go() {
        let place = tempfile::tempdir().unwrap();
        let at = |path: &str| place.path().join(path);
        fs::create_dir_all(at("real/deep")).unwrap();
        symlink("real", at("relative")).unwrap();
        symlink(at("relative/deep"), at("absolute")).unwrap();
        symlink("loop", at("loop")).unwrap();
        for path in ["absolute/x", "real/deep/../../relative/deep/y"] {
            Place::make(&at(path)).unwrap();
        }
        assert!(at("real/deep/x").is_dir() && at("real/deep/y").is_dir());
        assert!(Place::make(&at("loop/z")).is_err());
        fs::write(at("file"), "").unwrap();
        for path in ["file", "file/z"] {
            let error = Place::make(&at(path)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::NotADirectory);
        }
    }

    #[test]
    fn root_follows_somebodys_link_only_to_what_is_theirs() {
        if !is_root() {
            return;
        }
        let place = tempfile::tempdir().unwrap();
        let at = |path: &str| place.path().join(path);
        for directory in ["theirs", "roots"] {
            fs::create_dir(at(directory)).unwrap();
        }
        std::os::unix::fs::chown(at("theirs"), Some(4711), None).unwrap();
        for (link, target, owner) in [
            ("good", "theirs", 4711),
            ("bad", "roots", 4711),
            ("trusted", "roots", 0),
            ("other", "theirs", 4712),
        ] {
            symlink(at(target), at(link)).unwrap();
            std::os::unix::fs::lchown(at(link), Some(owner), None).unwrap();
        }
        for (path, is_followed) in [
            ("good", true),
            ("good/new/data", true),
            ("good/data", true),
            ("trusted/data", true),
            ("bad", false),
            ("bad/data", false),
            ("other", false),
            ("other/data", false),
        ] {
            assert_eq!(Place::make(&at(path)).is_ok(), is_followed, "{path}");
        }
        assert!(!at("roots/bad").exists());
    }

    #[test]
    fn a_new_file_system_is_empty_and_one_that_was_used_is_not() {
        let place = tempfile::tempdir().unwrap();
        let opened = Place::make(place.path()).unwrap();
        assert!(opened.is_empty().unwrap());
        fs::create_dir(place.path().join("lost+found")).unwrap();
        assert!(opened.is_empty().unwrap());
        fs::write(place.path().join("x"), "").unwrap();
        assert!(!opened.is_empty().unwrap());
    }

    #[test]
    fn notes_have_no_name_and_can_be_read_again() {
        use std::io::{Read, Seek, Write};
        let place = tempfile::tempdir().unwrap();
        let opened = Place::make(place.path()).unwrap();
        let mut file = opened.nameless_file().unwrap();
        file.write_all(b"note").unwrap();
        file.rewind().unwrap();
        let mut read = String::new();
        file.read_to_string(&mut read).unwrap();
        assert_eq!(read, "note");
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
    }
}
