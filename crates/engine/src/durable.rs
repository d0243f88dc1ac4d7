//! The one durable write: temporary file, write, fsync, rename, fsync of the directory.
//!
//! Nobody else renames files into place. Always true: under the final name a reader sees either
//! what was there before or the whole new content, also after a power cut, and only a regular file
//! is ever replaced: what leads elsewhere (a link, a pipe, a device) is refused. A temporary file
//! is locked by the process that writes it, so that what a killed one left can be told and removed.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::os::fd::BorrowedFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, FlockOperation, Gid, Mode, OFlags, Uid, fchmod, fchown, flock, fsync, openat,
    renameat, unlinkat,
};
use tempfile::NamedTempFile;

/// How sure the new file must be before the caller goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// File and directory are flushed to the disk first.
    Durable,
    /// Only the name changes atomically: for files that can be fetched again.
    Atomic,
}

/// A file that appears under its name only when it is finished; dropped earlier, it vanishes.
pub struct PendingFile {
    writer: BufWriter<NamedTempFile>,
    destination: PathBuf,
}

const BUFFER_BYTES: usize = 256 * 1024;

impl PendingFile {
    /// Opens a temporary file in the destination's directory.
    ///
    /// # Errors
    /// When the directory is missing or cannot be written to.
    pub fn create(destination: &Path) -> io::Result<PendingFile> {
        check_replaceable(destination)?;
        let directory = parent(destination);
        let file = tempfile::Builder::new()
            .prefix(&temporary_prefix(destination))
            .suffix(TEMPORARY_SUFFIX)
            .tempfile_in(directory)
            .map_err(without_temporary_name)?;
        // Where files cannot be locked, what a killed process leaves is not cleared away.
        let _ = flock(file.as_file(), FlockOperation::NonBlockingLockExclusive);
        Ok(PendingFile {
            writer: BufWriter::with_capacity(BUFFER_BYTES, file),
            destination: destination.to_path_buf(),
        })
    }

    /// Puts the file in place, replacing what was there.
    ///
    /// # Errors
    /// When flushing or renaming fails; the destination is then as it was.
    pub fn finish(self, durability: Durability) -> io::Result<()> {
        let destination = self.destination.clone();
        self.finish_as(&destination, durability)
    }

    /// Puts the file in place under another name in the same directory.
    ///
    /// # Errors
    /// As [`PendingFile::finish`].
    pub fn finish_as(self, destination: &Path, durability: Durability) -> io::Result<()> {
        let file = self
            .writer
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        if durability == Durability::Durable {
            file.as_file().sync_all()?;
        }
        check_replaceable(destination)?;
        file.persist(destination).map_err(|error| error.error)?;
        if durability == Durability::Durable {
            sync_directory(parent(destination))?;
        }
        Ok(())
    }
}

/// Whether a file may take this place: nothing is there, or a regular file.
fn check_replaceable(destination: &Path) -> io::Result<()> {
    let kind = match fs::symlink_metadata(destination) {
        Ok(metadata) => metadata.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if kind.is_file() {
        return Ok(());
    }
    let what = match kind {
        kind if kind.is_dir() => "a directory",
        kind if kind.is_symlink() => "a link",
        kind if kind.is_fifo() => "a pipe",
        kind if kind.is_socket() => "a socket",
        _ => "a device",
    };
    Err(io::Error::other(format!(
        "it is {what}, and only a regular file is replaced"
    )))
}

/// The library names its temporary file, which is nothing to whoever asked for another one.
fn without_temporary_name(error: io::Error) -> io::Error {
    let text = error.to_string();
    match text.rsplit_once(" at path ") {
        Some((cause, _)) => io::Error::new(error.kind(), cause.to_owned()),
        None => error,
    }
}

const TEMPORARY_SUFFIX: &str = ".tmp";

/// How the name of every temporary file for this destination begins.
fn temporary_prefix(destination: &Path) -> OsString {
    let mut prefix = OsString::from(".barman-");
    prefix.push(destination.file_name().unwrap_or(OsStr::new("file")));
    prefix.push(".");
    prefix
}

/// Removes the temporary files that killed processes left for this destination. One that a live
/// process writes is locked and stays; what cannot be looked at stays too.
pub fn remove_abandoned(destination: &Path) {
    let prefix = temporary_prefix(destination);
    let is_ours = |name: &OsStr| {
        let name = name.as_encoded_bytes();
        name.starts_with(prefix.as_encoded_bytes()) && name.ends_with(TEMPORARY_SUFFIX.as_bytes())
    };
    let entries = fs::read_dir(parent(destination)).into_iter().flatten();
    for entry in entries
        .flatten()
        .filter(|entry| is_ours(&entry.file_name()))
    {
        // A regular file only: opening anything else could block.
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        let Some(file) = is_file.then(|| File::open(entry.path()).ok()).flatten() else {
            continue;
        };
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
            // Somebody else may have removed it meanwhile.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Moves a file to where it is wanted: whole or not at all, and gone from where it was. Across
/// file systems it is copied.
///
/// # Errors
/// When it can be neither renamed nor copied; it is then still where it was.
pub fn move_into_place(from: &Path, destination: &Path) -> io::Result<()> {
    check_replaceable(destination)?;
    match fs::rename(from, destination) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {}
        moved => return moved,
    }
    let mut source = File::open(from)?;
    let mut file = PendingFile::create(destination)?;
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match source.read(&mut buffer)? {
            0 => break,
            count => file.write_all(&buffer[..count])?,
        }
    }
    file.finish(Durability::Atomic)?;
    // It is where it was wanted; a copy that stays behind harms nobody.
    let _ = fs::remove_file(from);
    Ok(())
}

impl Write for PendingFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// Writes a whole small file durably that every user may read; others are their writer's alone.
///
/// # Errors
/// As [`PendingFile::create`] and [`PendingFile::finish`].
pub fn write_for_all(destination: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = PendingFile::create(destination)?;
    file.write_all(content)?;
    let mode = fs::Permissions::from_mode(0o644);
    file.writer.get_ref().as_file().set_permissions(mode)?;
    file.finish(Durability::Durable)
}

/// Writes a whole small file durably.
///
/// # Errors
/// As [`PendingFile::create`] and [`PendingFile::finish`].
pub fn write_durably(destination: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = PendingFile::create(destination)?;
    file.write_all(content)?;
    file.finish(Durability::Durable)
}

/// What a new file is like, whoever may write to its directory meanwhile.
#[derive(Debug, Clone, Copy)]
pub struct Looks {
    /// Permission bits.
    pub mode: u32,
    /// User and group, if it is given away.
    pub owner: Option<(u32, u32)>,
}

/// Writes a whole small file durably into a directory that is open: no path leads elsewhere, and
/// the file has its looks before it has its name.
///
/// # Errors
/// When it cannot be made, written or renamed; what was there is then as it was.
pub fn write_durably_in(
    directory: BorrowedFd<'_>,
    name: &str,
    content: &[u8],
    looks: Looks,
) -> io::Result<()> {
    let temporary = format!(".barman-{name}.{}{TEMPORARY_SUFFIX}", std::process::id());
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = openat(directory, &temporary, flags, Mode::from_raw_mode(0o600))?;
    let written = fill(File::from(file), content, looks)
        .and_then(|()| Ok(renameat(directory, &temporary, directory, name)?));
    if written.is_err() {
        // The error that came first is the one to tell.
        let _ = unlinkat(directory, &temporary, AtFlags::empty());
    }
    written?;
    Ok(fsync(directory)?)
}

fn fill(mut file: File, content: &[u8], looks: Looks) -> io::Result<()> {
    file.write_all(content)?;
    if let Some((user, group)) = looks.owner {
        fchown(&file, Some(Uid::from_raw(user)), Some(Gid::from_raw(group)))?;
    }
    fchmod(&file, Mode::from_raw_mode(looks.mode & 0o777))?;
    file.sync_all()
}

/// Flushes a directory's entries, so that a rename in it survives a power cut.
///
/// # Errors
/// When the directory cannot be opened or flushed.
pub fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unfinished_file_leaves_the_old_one_and_no_trace() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        write_durably(&path, b"old").unwrap();
        let mut pending = PendingFile::create(&path).unwrap();
        pending.write_all(b"new").unwrap();
        drop(pending);
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_finished_file_replaces_the_old_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        write_durably(&path, b"old").unwrap();
        write_durably(&path, b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
    }

    #[test]
    fn what_a_killed_process_left_goes_and_what_a_live_one_writes_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        let live = PendingFile::create(&path).unwrap();
        let left = [".barman-f.x1.tmp", ".barman-g.x1.tmp", ".barman-f.tm", "f"];
        for name in left {
            std::fs::write(directory.path().join(name), name).unwrap();
        }
        remove_abandoned(&path);
        let mut there: Vec<_> = std::fs::read_dir(directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        there.sort();
        assert_eq!(there.len(), 4, "{there:?}");
        assert!(!there.contains(&left[0].to_owned()));
        live.finish(Durability::Atomic).unwrap();
    }

    #[test]
    fn a_link_a_pipe_and_a_directory_are_never_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let place = |name: &str| directory.path().join(name);
        std::fs::write(place("target"), "old").unwrap();
        std::os::unix::fs::symlink("target", place("link")).unwrap();
        std::os::unix::fs::symlink("nowhere", place("dangling")).unwrap();
        std::fs::create_dir(place("directory")).unwrap();
        let kind = rustix::fs::FileType::Fifo;
        let mode = rustix::fs::Mode::RUSR;
        rustix::fs::mknodat(rustix::fs::CWD, place("pipe"), kind, mode, 0).unwrap();
        for (name, what) in [
            ("link", "a link"),
            ("dangling", "a link"),
            ("directory", "a directory"),
            ("pipe", "a pipe"),
        ] {
            let before = std::fs::symlink_metadata(place(name)).unwrap();
            std::fs::write(place("from"), "new").unwrap();
            let pending = PendingFile::create(&place("other")).unwrap();
            for refused in [
                write_durably(&place(name), b"new"),
                pending.finish_as(&place(name), Durability::Atomic),
                move_into_place(&place("from"), &place(name)),
            ] {
                let refused = refused.unwrap_err().to_string();
                assert!(refused.contains(what), "{name}: {refused}");
            }
            let after = std::fs::symlink_metadata(place(name)).unwrap();
            assert_eq!(before.file_type(), after.file_type(), "{name}");
        }
        assert_eq!(std::fs::read(place("target")).unwrap(), b"old");
    }

    #[test]
    fn an_error_does_not_name_the_temporary_file() {
        let missing = Path::new("/nowhere/at/all/f");
        let error = write_durably(missing, b"new").unwrap_err().to_string();
        assert!(!error.contains(".barman-"), "{error}");
    }

    #[test]
    fn a_moved_file_is_in_one_place_only() {
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (directory.path().join("a"), directory.path().join("b"));
        std::fs::write(&from, "new").unwrap();
        std::fs::write(&to, "old").unwrap();
        move_into_place(&from, &to).unwrap();
        assert_eq!(std::fs::read(&to).unwrap(), b"new");
        assert!(!from.exists());
    }

    #[test]
    fn a_file_is_its_writers_alone_unless_it_is_for_all() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        let mode = || std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        write_durably(&path, b"x").unwrap();
        assert_eq!(mode(), 0o600);
        write_for_all(&path, b"x").unwrap();
        assert_eq!(mode(), 0o644);
    }
}
