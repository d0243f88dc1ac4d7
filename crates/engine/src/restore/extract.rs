//! Putting the members of an archive into a directory, whoever wrote the archive.
//!
//! Whoever can write to a bucket must not be able to write elsewhere on the host that restores
//! from it, nor may another account of this host lead root astray. So everything happens below an
//! open directory, following no link; what becomes of a member is `model::restore::members`'
//! decision. Always true: nothing is created outside the directory given, and
//! `global/pg_control` is not put in place but handed back.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use model::restore::members::{Fate, MemberRules};
use rustix::fs::{Gid, Mode, OFlags, Uid, fchmod, fchown, fstat, openat};
use rustix::io::Errno;

use super::direct::NewFile;
use super::member_error::{ExtractError, link_refused, refused, write_failed};
use super::pages::{Pages, RestoredPages};
use super::place::{Place, is_root, make_directories};
use super::second_names::{HeldControl, LinkPolicy, SecondName, SecondNames};
use super::write_behind::{Output, WriteBehind};
use super::written::{WrittenFile, WrittenList};
use crate::accounts::Accounts;
use crate::progress::{Event, NotRestored, Progress, Warning};
use crate::stages::{Stage, Stages};
use crate::stop::StopFlag;
use crate::tarball::read::{Member, MemberKind, Owner, TarReader};

/// Where an archive is extracted to.
pub struct ExtractTarget<'a> {
    pub place: &'a Place,
    /// How the directory is reached from the data directory: empty, or `pg_tblspc/<oid>/`.
    pub prefix: String,
    pub rules: MemberRules,
    pub links: LinkPolicy,
    pub stop: &'a StopFlag,
    pub stages: &'a Arc<Stages>,
    pub progress: &'a dyn Progress,
    pub noted: &'a Noted,
}

/// What all archives of a backup note for the end.
pub struct Noted {
    pub written: WrittenList,
    pub second_names: SecondNames,
    pub pages: Pages,
}

/// Extracts a whole archive; returns the control file if it is in there.
///
/// # Errors
/// See [`ExtractError`]; what was written so far stays, without `pg_control` it cannot be started.
pub fn extract(
    source: impl Read,
    target: &ExtractTarget<'_>,
) -> Result<Option<HeldControl>, ExtractError> {
    thread::scope(|scope| {
        let behind = WriteBehind::start(scope, target.stages);
        let mut extractor = Extractor {
            target,
            current: None,
            accounts: Accounts::default(),
            as_root: is_root(),
            behind: behind.map_err(|source| write_failed(target.place.path(), source))?,
            control: None,
            told: Vec::new(),
        };
        let unpacked = extractor.unpack(source);
        // A failed write ends the unpacking soon: it is the cause.
        extractor.behind.end().and(unpacked)?;
        Ok(extractor.control)
    })
}

const NEW_FILE: OFlags = OFlags::WRONLY
    .union(OFlags::CREATE)
    // What is there already may still be written by another thread.
    .union(OFlags::EXCL)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

struct Extractor<'a> {
    target: &'a ExtractTarget<'a>,
    /// The directory used last: members come in the order of a walk.
    current: Option<(Vec<u8>, OwnedFd)>,
    accounts: Accounts,
    as_root: bool,
    behind: WriteBehind<'a>,
    control: Option<HeldControl>,
    /// The top of what was last left out aloud: one line for a directory is enough.
    told: Vec<u8>,
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
        match self.target.rules.fate(&path, member.kind) {
            Fate::Place => match member.kind {
                MemberKind::Directory => self.directory(&path, member),
                MemberKind::HardLink => self.second_name(path, member),
                _ => self.file(&path, member, tar),
            },
            Fate::Hold => self.hold_control(member, tar),
            Fate::MakeDirectory => self.open_directory(&path, &member.owner).map(drop),
            Fate::LeaveOut => self.leave_out(&path, member, tar),
            Fate::LeaveOutAloud(cause) => {
                self.tell_left_out(&path, NotRestored::Rule(cause));
                self.leave_out(&path, member, tar)
            }
            Fate::Link if self.target.links == LinkPolicy::Skip => {
                let to = &String::from_utf8_lossy(&member.link);
                self.tell(&path, NotRestored::Link { to });
                Ok(())
            }
            Fate::Link => Err(link_refused(
                &member.path,
                "it is a link, and a link can lead out of the target directory",
            )),
            Fate::Refuse(cause) => Err(refused(&member.path, cause)),
        }
    }

    /// Its content is read, so that it can be compared, but goes nowhere.
    fn leave_out<R: Read>(
        &mut self,
        path: &[u8],
        member: &Member,
        tar: &mut TarReader<R>,
    ) -> Result<(), ExtractError> {
        if member.kind != MemberKind::File {
            return Ok(());
        }
        let check = RestoredPages::off();
        let crc32c = self.copy(tar, &mut MemberSink::Nowhere, check)?;
        self.note(path, member.size_bytes, crc32c)
    }

    fn tell_left_out(&mut self, path: &[u8], why: NotRestored<'_>) {
        let top = path.split(|byte| *byte == b'/').next().unwrap_or_default();
        // Of what is below `pg_tblspc` each one is another tablespace.
        let top = if top == b"pg_tblspc" { path } else { top };
        if self.told != top {
            self.told = top.to_vec();
            self.tell(top, why);
        }
    }

    fn tell(&self, path: &[u8], why: NotRestored<'_>) {
        let path = &self.full(path);
        let warning = Warning::NotRestored { path, why };
        self.target.progress.event(Event::Warning(warning));
    }

    /// Its content is in place when all archives are: then it is copied.
    fn second_name(&mut self, path: Vec<u8>, member: &Member) -> Result<(), ExtractError> {
        let Ok(first) = normal_path(&member.link) else {
            if self.target.links == LinkPolicy::Skip {
                self.tell(&path, NotRestored::LeadsOut);
                return Ok(());
            }
            return Err(link_refused(
                &member.path,
                "it is a hard link that leads out of the target directory",
            ));
        };
        let kept = self.target.noted.second_names.add(SecondName {
            place: self.target.place.path().to_path_buf(),
            prefix: self.target.prefix.clone(),
            path,
            first,
            mode: member.mode & 0o777,
            owner: self.owner(&member.owner)?,
            links: self.target.links,
        });
        kept.map_err(|cause| refused(&member.path, cause))
    }

    fn directory(&mut self, path: &[u8], member: &Member) -> Result<(), ExtractError> {
        let is_data_root = path.is_empty() && self.target.prefix.is_empty();
        // PostgreSQL starts only on a data directory with one of these modes.
        let mode = match member.mode & 0o777 {
            0o750 if is_data_root => 0o750,
            _ if is_data_root => 0o700,
            mode => mode | 0o700,
        };
        let owner = self.owner(&member.owner)?;
        let full = self.full(path);
        let directory = self.open_directory(path, &member.owner)?;
        let set = fchmod(directory, Mode::from_raw_mode(mode)).and_then(|()| match owner {
            Some((uid, gid)) => give(directory, uid, gid),
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
        let began = Instant::now();
        let owner = self.owner(&member.owner)?;
        let directory = self.open_directory(parent, &member.owner)?;
        let wanted = Mode::from_raw_mode(member.mode & 0o777);
        let file = match openat(directory, OsStr::from_bytes(name), NEW_FILE, wanted) {
            Err(Errno::EXIST) => {
                return Err(refused(&member.path, SAME_PATH));
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
            give(file.as_fd(), uid, gid).map_err(|errno| failed(errno.into()))?;
        }
        self.target.stages.worked(Stage::Write, began);
        let file = NewFile::new(file, member.size_bytes);
        let check = if member.is_finely_timed {
            self.target.noted.pages.check_of(&self.target.prefix, path)
        } else {
            RestoredPages::off()
        };
        let mut sink = self.sink(Output { file, path: full });
        let crc32c = self.copy(tar, &mut sink, check)?;
        self.note(path, member.size_bytes, crc32c)
    }

    /// The cache takes a block in less time than another thread takes to hear of it.
    fn sink(&mut self, output: Output) -> MemberSink {
        if output.file.is_direct() {
            self.behind.begin(output);
            MemberSink::Behind
        } else {
            MemberSink::Here(output)
        }
    }

    fn copy<R: Read>(
        &mut self,
        tar: &mut TarReader<R>,
        sink: &mut MemberSink,
        mut check: RestoredPages<'_>,
    ) -> Result<u32, ExtractError> {
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
            check.look_at(content);
            stages.worked(Stage::Check, began);
            stages.moved(Stage::Check, content.len());
            match sink {
                MemberSink::Here(output) => {
                    output.write(content, stages)?;
                    self.behind.put_back(block);
                }
                MemberSink::Behind => self.behind.write(block),
                MemberSink::Nowhere => self.behind.put_back(block),
            }
        }
    }

    fn hold_control<R: Read>(
        &mut self,
        member: &Member,
        tar: &mut TarReader<R>,
    ) -> Result<(), ExtractError> {
        const LARGEST: u64 = 64 * 1024;
        if self.control.is_some() {
            return Err(refused(&member.path, SAME_PATH));
        }
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
        self.target.noted.written.add(&path, file)
    }

    /// Only root can and must give files to their owner, as `tar` does: by name, since the same
    /// account has other numbers elsewhere, and by number if this host does not know the name.
    fn owner(&mut self, of: &Owner) -> Result<Option<(u32, u32)>, ExtractError> {
        if !self.as_root {
            return Ok(None);
        }
        let number = |number: u64| {
            // The greatest one means nobody to fchown(2), and a longer one would be cut short.
            let number = u32::try_from(number)
                .ok()
                .filter(|number| *number < u32::MAX);
            number.ok_or_else(|| refused(&of.user, "its owner's number is none"))
        };
        let uid = match of.user.as_slice() {
            b"" => None,
            name => self.accounts.user(name),
        };
        let gid = match of.group.as_slice() {
            b"" => None,
            name => self.accounts.group(name),
        };
        Ok(Some((
            uid.map_or_else(|| number(of.uid), Ok)?,
            gid.map_or_else(|| number(of.gid), Ok)?,
        )))
    }

    /// Opens a directory below the target, making what is missing, following no link. What no
    /// member described goes to the owner of what is in it.
    fn open_directory(
        &mut self,
        path: &[u8],
        owner: &Owner,
    ) -> Result<BorrowedFd<'_>, ExtractError> {
        if path.is_empty() {
            return Ok(self.target.place.as_fd());
        }
        let cached = self
            .current
            .as_ref()
            .is_some_and(|(known, _)| known == path);
        if !cached {
            let owner = self.owner(owner)?;
            let made = |directory: BorrowedFd<'_>| match owner {
                Some((uid, gid)) => give(directory, uid, gid),
                None => Ok(()),
            };
            let directory = make_directories(self.target.place, path, made);
            let directory = directory.map_err(|source| write_failed(&self.full(path), source))?;
            self.current = Some((path.to_vec(), directory));
        }
        let (_, directory) = self.current.as_ref().expect("it was set just now");
        Ok(directory.as_fd())
    }

    fn full(&self, path: &[u8]) -> PathBuf {
        self.target.place.path().join(OsStr::from_bytes(path))
    }
}

/// Where the content of a member goes.
enum MemberSink {
    Here(Output),
    /// To the other thread, which has been told of the file.
    Behind,
    Nowhere,
}

const SAME_PATH: &str = "another member has the same path";

fn give(what: BorrowedFd<'_>, uid: u32, gid: u32) -> Result<(), Errno> {
    fchown(what, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
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
