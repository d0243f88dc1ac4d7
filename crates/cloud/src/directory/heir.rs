//! Whose the files are that root makes in somebody else's store.
//!
//! Who runs a command as root by habit must not lock the server's account out of its own archive:
//! what root makes goes to the owner of the directory that it is made in. Where root owns that
//! directory, everything stays root's. Always true: nothing changes hands but what root has, lies
//! beneath that directory, and is reached without a link; all of it through open files, since the
//! owner may move things while we look.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Gid, Mode, OFlags, ResolveFlags, Uid, fchown, openat2};
use rustix::process::geteuid;

/// Who gets what is made below a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Heir {
    /// The lowest directory that was there before.
    directory: PathBuf,
    user: u32,
    group: u32,
}

impl Heir {
    /// Whom a new file at this path goes to, and the directories made for it; `None` when both
    /// are the caller's to keep. Asked for before they are made.
    pub(super) fn of(root: &Path, file: &Path) -> Option<Heir> {
        if !geteuid().is_root() {
            return None;
        }
        let within = file
            .ancestors()
            .skip(1)
            .take_while(|above| above.starts_with(root));
        let directory = within.into_iter().find(|above| above.is_dir())?;
        let owner = fs::metadata(directory).ok()?;
        (owner.uid() != 0).then(|| Heir {
            directory: directory.to_path_buf(),
            user: owner.uid(),
            group: owner.gid(),
        })
    }

    /// Gives away the file, then the directories made for it, the lowest first.
    pub(super) fn inherit(&self, file: &Path) -> io::Result<()> {
        let top = File::open(&self.directory)?;
        let made = file
            .strip_prefix(&self.directory)
            .map_err(io::Error::other)?;
        let is_named = |path: &&Path| !path.as_os_str().is_empty();
        made.ancestors()
            .take_while(is_named)
            .try_for_each(|path| self.give(&top, path))
    }

    fn give(&self, top: &File, path: &Path) -> io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let opened = match openat2(top, path, flags, Mode::empty(), resolve) {
            Ok(opened) => File::from(opened),
            Err(error) => return unless_unsafe(error.into()),
        };
        let found = opened.metadata()?;
        // A file of another name might be any of the host's.
        let is_alone = found.is_dir() || (found.is_file() && found.nlink() == 1);
        if found.uid() == 0 && is_alone {
            let (user, group) = (Uid::from_raw(self.user), Gid::from_raw(self.group));
            fchown(&opened, Some(user), Some(group))?;
        }
        Ok(())
    }
}

/// What has gone already, what only a link leads to, and systems that cannot tell: it stays root's.
fn unless_unsafe(error: io::Error) -> io::Result<()> {
    use rustix::io::Errno;
    let harmless = [
        Errno::NOENT,
        Errno::LOOP,
        Errno::XDEV,
        Errno::NOSYS,
        Errno::AGAIN,
    ];
    let is_harmless = |errno: Errno| error.raw_os_error() == Some(errno.raw_os_error());
    if harmless.into_iter().any(is_harmless) {
        Ok(())
    } else {
        Err(error)
    }
}
