//! Files that an archive has once, under two names.
//!
//! Python's `tarfile` archives a file with several names as a file and hard links to it. Here each
//! name gets a file of its own: what PostgreSQL writes under one name is not meant for the other.
//! Always true: content is copied only when every archive is in place, from a file below the same
//! directory, and the list is bounded.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Mutex;

use rustix::fs::{Gid, Mode, OFlags, Uid, fchmod, fchown, openat};
use rustix::io::Errno;

use super::claim::Claim;
use super::member_error::{ExtractError, link_refused, refused, write_failed};
use super::place::Place;
use super::written::{WrittenFile, WrittenList};
use crate::progress::{Event, NotRestored, Progress, Warning};

/// `global/pg_control`, held back until everything else is safe on disk.
#[derive(Debug, Clone)]
pub struct HeldControl {
    pub content: Vec<u8>,
    pub mode: u32,
}

/// What a link in an archive means, beside those whose place is known. It is never made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkPolicy {
    /// The archive is refused.
    Refuse,
    /// Everything else is restored.
    Skip,
}

/// One more name of a file.
pub struct SecondName {
    /// The directory that both names are in.
    pub place: PathBuf,
    /// How that is reached from the data directory.
    pub prefix: String,
    pub path: Vec<u8>,
    pub first: Vec<u8>,
    pub mode: u32,
    pub owner: Option<(u32, u32)>,
    pub links: LinkPolicy,
}

/// The list, which several threads add to.
#[derive(Default)]
pub struct SecondNames(Mutex<List>);

#[derive(Default)]
struct List {
    names: Vec<SecondName>,
    bytes: usize,
}

/// Hard links in a data directory are rare.
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// What the copies are made with.
pub struct Copying<'a> {
    pub claim: &'a Claim,
    pub control: Option<&'a HeldControl>,
    pub written: &'a WrittenList,
    pub progress: &'a dyn Progress,
}

impl SecondNames {
    /// Adds a name.
    ///
    /// # Errors
    /// When there are too many.
    pub fn add(&self, name: SecondName) -> Result<(), &'static str> {
        let mut list = self.0.lock().expect("no thread panics while it holds it");
        list.bytes += size_of::<SecondName>() + name.path.len() + name.first.len();
        if list.bytes > MOST_BYTES {
            return Err("there are too many hard links");
        }
        list.names.push(name);
        Ok(())
    }

    /// Makes a file for each name, in the order of the archives; returns how many.
    ///
    /// # Errors
    /// When a first name is not there, or a copy cannot be made.
    pub fn copy_all(&self, copying: &Copying<'_>) -> Result<usize, ExtractError> {
        let list = std::mem::take(&mut *self.0.lock().expect("every thread has ended"));
        for name in &list.names {
            copying.copy(name)?;
        }
        Ok(list.names.len())
    }
}

impl Copying<'_> {
    fn copy(&self, name: &SecondName) -> Result<(), ExtractError> {
        let place = self.claim.place(&name.place);
        let source = match self.open(place, name) {
            Ok(source) => source,
            Err(_) if name.links == LinkPolicy::Skip => {
                let path = &name.place.join(OsStr::from_bytes(&name.path));
                let to = &String::from_utf8_lossy(&name.first);
                let why = NotRestored::LinkToNothing { to };
                self.progress
                    .event(Event::Warning(Warning::NotRestored { path, why }));
                return Ok(());
            }
            Err(_) => {
                return Err(link_refused(
                    &name.path,
                    "it is a hard link, and the file that it is a link to is not in the archive",
                ));
            }
        };
        let full = name.place.join(OsStr::from_bytes(&name.path));
        let written = match write(place, name, source) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(refused(&name.path, "another member has the same path"));
            }
            written => written.map_err(|source| write_failed(&full, source))?,
        };
        let path = [name.prefix.as_bytes(), &name.path].concat();
        self.written.add(&path, written)
    }

    fn open<'a>(&'a self, place: &Place, name: &SecondName) -> io::Result<Box<dyn Read + 'a>> {
        let is_control = name.prefix.is_empty() && name.first == b"global/pg_control";
        match self.control {
            Some(control) if is_control => Ok(Box::new(control.content.as_slice())),
            _ => Ok(Box::new(place.file(&name.first)?)),
        }
    }
}

fn write(place: &Place, name: &SecondName, mut source: impl Read) -> io::Result<WrittenFile> {
    let (directory, last) = match name.path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => {
            let directory = super::place::make_directories(place, &name.path[..slash], |made| {
                match name.owner {
                    Some((uid, gid)) => {
                        fchown(made, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
                    }
                    None => Ok(()),
                }
            });
            (directory?, &name.path[slash + 1..])
        }
        None => (place.try_clone()?, name.path.as_slice()),
    };
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mode = Mode::from_raw_mode(name.mode);
    let file = openat(&directory, OsStr::from_bytes(last), flags, mode);
    let mut file = File::from(file.map_err(|errno: Errno| io::Error::from(errno))?);
    if let Some((uid, gid)) = name.owner {
        fchown(&file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
    }
    fchmod(&file, mode)?;
    let mut written = WrittenFile {
        size_bytes: 0,
        crc32c: 0,
    };
    let mut block = vec![0; 256 * 1024];
    loop {
        let count = source.read(&mut block)?;
        if count == 0 {
            return Ok(written);
        }
        file.write_all(&block[..count])?;
        written.size_bytes += count as u64;
        written.crc32c = crc32c::crc32c_append(written.crc32c, &block[..count]);
    }
}
