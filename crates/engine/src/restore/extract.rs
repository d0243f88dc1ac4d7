//! Putting the members of an archive into a directory, whoever wrote the archive.
//!
//! Whoever can write to a bucket must not be able to write elsewhere on the host that restores
//! from it. So every directory on the way is opened without following links, and members that are
//! links or devices are refused. Always true: nothing is created outside the directory given, and
//! `global/pg_control` is not put in place but handed back.

use std::collections::hash_map::DefaultHasher;
use std::ffi::OsStr;
use std::fs::File;
use std::hash::{Hash, Hasher};
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use rustix::fs::{CWD, Gid, Mode, OFlags, Uid, fchmod, fchown, fstat, mkdirat, openat};
use rustix::io::Errno;

use super::direct::NewFile;
use super::write_behind::{Output, WriteBehind};
use super::written::{WrittenFile, WrittenList};
use crate::stages::{Stage, Stages};
use crate::tarball::read::{Member, MemberKind, TarReader};
use crate::upload::StopFlag;

/// Why an archive's content was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum ExtractError {
    #[error("cannot read the archive")]
    Archive(#[source] io::Error),
    #[error("the archive's member {path} is refused: {cause}")]
    Refused { path: String, cause: &'static str },
    #[error("cannot write {path}")]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the restore was stopped by a signal")]
    Stopped,
}

/// `global/pg_control`, held back until everything else is safe on disk.
#[derive(Debug, Clone)]
pub struct HeldControl {
    pub content: Vec<u8>,
    pub mode: u32,
}

/// Where an archive is extracted to.
pub struct Target<'a> {
    pub directory: &'a Path,
    /// How the directory is reached from the data directory: empty, or `pg_tblspc/<oid>/`.
    pub prefix: String,
    pub links: LinkPolicy,
    pub stop: &'a StopFlag,
    pub stages: &'a Arc<Stages>,
    pub written: &'a WrittenList,
}

/// What a link in an archive means, beside those whose place is known. It is never made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkPolicy {
    /// The archive is refused.
    Refuse,
    /// Everything else is restored.
    Skip,
}

/// A stable short form of a path: millions of them must fit into memory.
pub fn path_hash(path: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    hasher.finish()
}

/// Extracts a whole archive; returns the control file if it is in there.
///
/// # Errors
/// See [`ExtractError`]; what was written so far stays, without `pg_control` it cannot be started.
pub fn extract(
    source: impl Read,
    target: &Target<'_>,
) -> Result<Option<HeldControl>, ExtractError> {
    // The administrator's own path may be a link; nothing below it may.
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = openat(CWD, target.directory, flags, Mode::empty());
    let root = root.map_err(|errno| write_failed(target.directory, errno.into()))?;
    thread::scope(|scope| {
        let behind = WriteBehind::start(scope, target.stages);
        let mut extractor = Extractor {
            target,
            root,
            current: None,
            as_root: rustix::process::geteuid().is_root(),
            behind: behind.map_err(|source| write_failed(target.directory, source))?,
            control: None,
        };
        let unpacked = extractor.unpack(source);
        // A failed write ends the unpacking soon: it is the cause.
        extractor.behind.end().and(unpacked)?;
        Ok(extractor.control)
    })
}

const DIRECTORY: OFlags = OFlags::DIRECTORY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);
const NEW_FILE: OFlags = OFlags::WRONLY
    .union(OFlags::CREATE)
    // What is there already may still be written by another thread.
    .union(OFlags::EXCL)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

struct Extractor<'a> {
    target: &'a Target<'a>,
    root: OwnedFd,
    /// The directory used last: members come in the order of a walk.
    current: Option<(Vec<u8>, OwnedFd)>,
    as_root: bool,
    behind: WriteBehind<'a>,
    control: Option<HeldControl>,
}

impl Extractor<'_> {
    fn unpack(&mut self, source: impl Read) -> Result<(), ExtractError> {
        let mut tar = TarReader::new(source);
        while let Some(member) = tar.next_member().map_err(ExtractError::Archive)? {
            if self.target.stop.is_raised() || self.behind.has_ended() {
                return Err(ExtractError::Stopped);
            }
            self.member(&member, &mut tar)?;
        }
        tar.finish().map_err(ExtractError::Archive)
    }

    fn member<R: Read>(
        &mut self,
        member: &Member,
        tar: &mut TarReader<R>,
    ) -> Result<(), ExtractError> {
        let path = normal_path(&member.path)?;
        let is_data = self.target.prefix.is_empty();
        match member.kind {
            MemberKind::Directory => self.directory(&path, member),
            MemberKind::File if is_data && path == b"global/pg_control" => {
                self.hold_control(member, tar)
            }
            MemberKind::File => self.file(&path, member, tar),
            MemberKind::Other(_) if is_data && is_known_link(&path) => {
                self.open_directory(&path).map(drop)
            }
            MemberKind::Other(_) if is_data && path.starts_with(b"pg_tblspc/") => Ok(()),
            MemberKind::Other(b'1' | b'2') if self.target.links == LinkPolicy::Skip => Ok(()),
            MemberKind::Other(kind) => Err(refused(
                &member.path,
                match kind {
                    b'1' | b'2' => "it is a link, and a link can lead out of the target directory",
                    _ => "it is neither a file nor a directory",
                },
            )),
        }
    }

    fn directory(&mut self, path: &[u8], member: &Member) -> Result<(), ExtractError> {
        let is_data_root = path.is_empty() && self.target.prefix.is_empty();
        // PostgreSQL starts only on a data directory with one of these modes.
        let mode = match member.mode & 0o777 {
            0o750 if is_data_root => 0o750,
            _ if is_data_root => 0o700,
            mode => mode | 0o700,
        };
        let owner = self.owner(member);
        let full = self.full(path);
        let directory = self.open_directory(path)?;
        let set = fchmod(directory, Mode::from_raw_mode(mode)).and_then(|()| match owner {
            Some((uid, gid)) => fchown(directory, Some(uid), Some(gid)),
            None => Ok(()),
        });
        set.map_err(|errno| write_failed(&full, errno.into()))
    }

    fn file<R: Read>(
        &mut self,
        path: &[u8],
        member: &Member,
        tar: &mut TarReader<R>,
    ) -> Result<(), ExtractError> {
        let full = self.full(path);
        let failed = |source| write_failed(&full, source);
        let (parent, name) = split(path);
        if name.is_empty() {
            return Err(refused(&member.path, "it has no file name"));
        }
        let began = Instant::now();
        let owner = self.owner(member);
        let directory = self.open_directory(parent)?;
        let wanted = Mode::from_raw_mode(member.mode & 0o777);
        let file = match openat(directory, OsStr::from_bytes(name), NEW_FILE, wanted) {
            Err(Errno::EXIST) => {
                return Err(refused(&member.path, "another member has the same path"));
            }
            file => File::from(file.map_err(|errno| failed(errno.into()))?),
        };
        // The umask may have made it another: to set it always would cost the file system as much
        // as a small file does.
        let found = fstat(&file).map_err(|errno| failed(errno.into()))?.st_mode;
        if Mode::from_raw_mode(found) != wanted {
            fchmod(&file, wanted).map_err(|errno| failed(errno.into()))?;
        }
        if let Some((uid, gid)) = owner {
            fchown(&file, Some(uid), Some(gid)).map_err(|errno| failed(errno.into()))?;
        }
        self.target.stages.worked(Stage::Write, began);
        let file = NewFile::new(file, member.size_bytes);
        let crc32c = self.copy(tar, Output { file, path: full })?;
        self.note(path, member.size_bytes, crc32c)
    }

    fn copy<R: Read>(
        &mut self,
        tar: &mut TarReader<R>,
        output: Output,
    ) -> Result<u32, ExtractError> {
        // The cache takes a block in less time than another thread takes to hear of it.
        let mut here = if output.file.is_direct() {
            self.behind.begin(output);
            None
        } else {
            Some(output)
        };
        let stages = self.target.stages;
        let mut crc32c = 0;
        loop {
            let mut block = self.behind.block().ok_or(ExtractError::Stopped)?;
            let content = block.fill(tar).map_err(ExtractError::Archive)?;
            if content.is_empty() {
                self.behind.put_back(block);
                return Ok(crc32c);
            }
            if self.target.stop.is_raised() {
                return Err(ExtractError::Stopped);
            }
            let began = Instant::now();
            crc32c = crc32c::crc32c_append(crc32c, content);
            stages.worked(Stage::Check, began);
            stages.moved(Stage::Check, content.len());
            match &mut here {
                Some(output) => {
                    output.write(content, stages)?;
                    self.behind.put_back(block);
                }
                None => self.behind.write(block),
            }
        }
    }

    fn hold_control<R: Read>(
        &mut self,
        member: &Member,
        tar: &mut TarReader<R>,
    ) -> Result<(), ExtractError> {
        const LARGEST: u64 = 64 * 1024;
        if member.size_bytes > LARGEST {
            return Err(refused(&member.path, "it is too large for a control file"));
        }
        let mut content = Vec::new();
        tar.read_to_end(&mut content)
            .map_err(ExtractError::Archive)?;
        self.note(
            b"global/pg_control",
            content.len() as u64,
            crc32c::crc32c(&content),
        )?;
        self.control = Some(HeldControl {
            content,
            mode: member.mode & 0o777,
        });
        Ok(())
    }

    fn note(&self, path: &[u8], size_bytes: u64, crc32c: u32) -> Result<(), ExtractError> {
        let path = [self.target.prefix.as_bytes(), path].concat();
        let file = WrittenFile { size_bytes, crc32c };
        self.target.written.add(&path, file)
    }

    /// Only root can and must give files to their owner, as `tar` does.
    fn owner(&self, member: &Member) -> Option<(Uid, Gid)> {
        let ids = (
            Uid::from_raw(member.uid as u32),
            Gid::from_raw(member.gid as u32),
        );
        self.as_root.then_some(ids)
    }

    /// Opens a directory below the target, making what is missing, following no link.
    fn open_directory(&mut self, path: &[u8]) -> Result<&OwnedFd, ExtractError> {
        if path.is_empty() {
            return Ok(&self.root);
        }
        let cached = self
            .current
            .as_ref()
            .is_some_and(|(known, _)| known == path);
        if !cached {
            let directory = self.walk_down(path)?;
            self.current = Some((path.to_vec(), directory));
        }
        let (_, directory) = self.current.as_ref().expect("it was set just now");
        Ok(directory)
    }

    fn walk_down(&self, path: &[u8]) -> Result<OwnedFd, ExtractError> {
        let full = self.full(path);
        let failed = |errno: Errno| write_failed(&full, errno.into());
        let mut directory: Option<OwnedFd> = None;
        for name in path.split(|byte| *byte == b'/') {
            let above = directory.as_ref().map_or(self.root.as_fd(), OwnedFd::as_fd);
            let name = OsStr::from_bytes(name);
            match mkdirat(above, name, Mode::from_raw_mode(0o700)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(failed(errno)),
            }
            directory = Some(openat(above, name, DIRECTORY, Mode::empty()).map_err(failed)?);
        }
        Ok(directory.expect("a path that is not empty has a first name"))
    }

    fn full(&self, path: &[u8]) -> PathBuf {
        self.target.directory.join(OsStr::from_bytes(path))
    }
}

/// `./a//b/` as `a/b`; anything that could leave the directory is refused.
fn normal_path(raw: &[u8]) -> Result<Vec<u8>, ExtractError> {
    if raw.first() == Some(&b'/') {
        return Err(refused(raw, "its path is absolute"));
    }
    let mut names = Vec::new();
    for name in raw.split(|byte| *byte == b'/') {
        match name {
            b"" | b"." => {}
            b".." => return Err(refused(raw, "its path leads out of the target directory")),
            name if name.contains(&0) => return Err(refused(raw, "its path has a zero byte")),
            name => names.push(name),
        }
    }
    Ok(names.join(&b'/'))
}

fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (&[], path),
    }
}

/// Directories that administrators put elsewhere with a link, and whose content is not restored.
fn is_known_link(path: &[u8]) -> bool {
    matches!(path, b"pg_wal" | b"pg_xlog" | b"log" | b"pg_log")
}

fn refused(path: &[u8], cause: &'static str) -> ExtractError {
    ExtractError::Refused {
        path: String::from_utf8_lossy(path).into_owned(),
        cause,
    }
}

fn write_failed(path: &Path, source: io::Error) -> ExtractError {
    ExtractError::Write {
        path: path.to_path_buf(),
        source,
    }
}
