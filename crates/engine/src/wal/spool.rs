//! Segments that were fetched before they are asked for: one folder for one recovery.
//!
//! Each file is named for its segment and the CRC32C of its content, and appears whole. Whoever
//! holds the lock writes here; whoever asks for a segment takes it away. Two small files beside
//! them: `position`, where recovery is, and `trouble`, why fetching ahead ended. Always true: what
//! is handed out has the header, the length and the checksum it was stored with, comes from the
//! cluster that asks, and is not older than [`LONGEST_STAY`]; everything else is removed and
//! fetched anew.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use model::postgres::{SegmentSize, SystemId};
use model::wal::name::{SegmentName, WalName};
use rustix::fs::{FlockOperation, flock};

use super::inspect::neighbouring_clusters;
use super::private_folder::{FolderError, open_private};
use super::receive::{Gate, Received};
use crate::durable::{self, Durability, PendingFile, move_into_place};

/// Older files were not meant for the recovery that asks now.
pub const LONGEST_STAY: Duration = Duration::from_secs(3600);
/// A file that has not grown for this long is not waited for.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
const LOOK_AGAIN: Duration = Duration::from_millis(5);
const BUFFER_BYTES: usize = 256 * 1024;

/// The spool of one recovery.
#[derive(Debug, Clone)]
pub struct Spool {
    folder: PathBuf,
}

/// What a spool had of a segment.
#[derive(Debug)]
pub enum Taken {
    /// It is where it was wanted.
    Placed(SegmentSize),
    Absent,
    /// What was there could not be believed, and was removed.
    Refused(String),
}

/// A segment that lies in the spool and cannot be put where it is wanted.
#[derive(Debug, thiserror::Error)]
#[error("cannot move {from} to {to}")]
pub struct CannotPlace {
    from: PathBuf,
    to: PathBuf,
    #[source]
    source: io::Error,
}

/// The right to write into a spool; ends with the value, or with the last copy of the file.
#[derive(Debug)]
pub struct SpoolLock(pub File);

impl SpoolLock {
    /// Lets nobody begin anew for a while.
    pub fn rest_for(&self, time: Duration) {
        // Works on a full disk too. If not, the next attempt comes a little early.
        let _ = self.0.set_modified(SystemTime::now() + time);
    }
}

impl Spool {
    /// Opens the spool in this folder, making it if it is missing.
    ///
    /// # Errors
    /// When the folder cannot be made, or others could have put something there.
    pub fn open(folder: PathBuf) -> Result<Spool, FolderError> {
        open_private(&folder)?;
        Ok(Spool { folder })
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The segments it has, whatever their state.
    ///
    /// # Errors
    /// When the folder cannot be read; it may have been removed.
    pub fn held(&self) -> io::Result<BTreeSet<SegmentName>> {
        let files = self.files()?;
        Ok(files.into_iter().map(|(segment, ..)| segment).collect())
    }

    fn files(&self) -> io::Result<Vec<(SegmentName, u32, PathBuf)>> {
        let entries = fs::read_dir(&self.folder)?;
        let parsed = entries.flatten().filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let (segment, crc32c) = parse_entry(&name)?;
            Some((segment, crc32c, entry.path()))
        });
        Ok(parsed.collect())
    }

    /// Moves a segment to where it is wanted, if it is one of the cluster there. One that is coming
    /// is waited for while it grows.
    ///
    /// # Errors
    /// When a good segment cannot be moved there.
    pub fn take(&self, wanted: &SegmentName, destination: &Path) -> Result<Taken, CannotPlace> {
        self.wait_while_it_grows(wanted);
        let files = self.files().unwrap_or_default();
        let system_id = neighbouring_clusters(destination).first().copied();
        let mut refused = Taken::Absent;
        for (_, crc32c, path) in files.into_iter().filter(|(found, ..)| found == wanted) {
            // First, so that the next one is begun with early; it is no more than a note.
            let _ = self.note_position(wanted);
            match judge(&path, (wanted, crc32c), system_id) {
                Ok(size) => match move_into_place(&path, destination) {
                    Ok(()) => return Ok(Taken::Placed(size)),
                    // Another process took it.
                    Err(_) if !path.exists() => {}
                    Err(source) => {
                        let (from, to) = (path, destination.to_path_buf());
                        return Err(CannotPlace { from, to, source });
                    }
                },
                Err(cause) => {
                    let _ = fs::remove_file(&path);
                    refused = Taken::Refused(cause);
                }
            }
        }
        Ok(refused)
    }

    fn wait_while_it_grows(&self, wanted: &SegmentName) {
        let mut last = (0, std::time::Instant::now());
        while let Some(length) = self.coming(wanted) {
            if length > last.0 {
                last = (length, std::time::Instant::now());
            } else if last.1.elapsed() > LONGEST_PAUSE {
                return;
            }
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    /// The bytes so far of a segment that a live process is fetching.
    fn coming(&self, wanted: &SegmentName) -> Option<u64> {
        let begin = format!(".barman-{wanted}.");
        let entries = fs::read_dir(&self.folder).ok()?;
        let mut entries = entries.flatten();
        let found =
            entries.find(|entry| entry.file_name().to_string_lossy().starts_with(&begin))?;
        let file = File::open(found.path()).ok()?;
        let is_locked = flock(&file, FlockOperation::NonBlockingLockShared).is_err();
        is_locked.then(|| file.metadata().map_or(0, |metadata| metadata.len()))
    }

    /// Where a segment lies while it comes.
    pub fn landing(&self, segment: &SegmentName) -> PathBuf {
        self.folder.join(segment.to_string())
    }

    /// Keeps a segment that has come whole.
    ///
    /// # Errors
    /// When the disk does not take it; nothing is left behind then.
    pub fn keep(&self, segment: &SegmentName, received: Received) -> io::Result<()> {
        let name = format!("{segment}.{:08X}", received.crc32c);
        let file = received.file;
        file.finish_as(&self.folder.join(name), Durability::Durable)
    }

    /// Removes every file of a segment.
    pub fn discard(&self, segment: &SegmentName) {
        for (found, _, path) in self.files().unwrap_or_default() {
            if found == *segment {
                // Taken meanwhile, or else the next one to hold the lock tries again.
                let _ = fs::remove_file(path);
            }
        }
    }

    /// Says where recovery is, for whoever fetches ahead of it.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn note_position(&self, segment: &SegmentName) -> io::Result<()> {
        let mut file = PendingFile::create(&self.folder.join("position"))?;
        io::Write::write_all(&mut file, format!("{segment}\n").as_bytes())?;
        file.finish(Durability::Atomic)
    }

    /// The segment that was handed out last; `None` when nobody said so, or the spool is gone.
    pub fn position(&self) -> Option<SegmentName> {
        let text = fs::read_to_string(self.folder.join("position")).ok()?;
        text.trim_end().parse().ok()
    }

    /// Notes why fetching ahead ended, for people.
    pub fn note_trouble(&self, text: &str) {
        // It is no more than a note: on a full disk there is none.
        let _ = fs::write(self.folder.join("trouble"), text);
    }

    /// Forgets an earlier note.
    pub fn clear_trouble(&self) {
        let _ = fs::remove_file(self.folder.join("trouble"));
    }

    /// Why fetching ahead ended, if it rests now.
    pub fn trouble(&self) -> Option<String> {
        let rests_until = fs::metadata(self.folder.join("lock")).and_then(|lock| lock.modified());
        if rests_until.ok()? <= SystemTime::now() {
            return None;
        }
        let text = fs::read_to_string(self.folder.join("trouble")).ok();
        // A full disk has no room even for this.
        text.map(|text| {
            if text.is_empty() {
                "the last attempt failed".to_owned()
            } else {
                text
            }
        })
    }

    /// The right to write here, unless another process has it or fetching ahead rests.
    pub fn lock(&self) -> Option<SpoolLock> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(self.folder.join("lock"))
            .ok()?;
        let rests_until = file
            .metadata()
            .and_then(|metadata| metadata.modified())
            .ok()?;
        if rests_until > SystemTime::now() {
            return None;
        }
        flock(&file, FlockOperation::NonBlockingLockExclusive).ok()?;
        Some(SpoolLock(file))
    }

    /// Whether this is the spool's lock, taken by the process that started us.
    pub fn adopt(&self, inherited: &impl AsFd) -> Option<SpoolLock> {
        use std::os::unix::fs::MetadataExt;
        let file = File::from(inherited.as_fd().try_clone_to_owned().ok()?);
        let (own, real) = (
            file.metadata().ok()?,
            fs::metadata(self.folder.join("lock")).ok()?,
        );
        let is_the_lock = own.dev() == real.dev() && own.ino() == real.ino();
        // Succeeds at once on the very lock that was inherited.
        flock(&file, FlockOperation::NonBlockingLockExclusive).ok()?;
        is_the_lock.then_some(SpoolLock(file))
    }

    /// Removes what killed processes left. Only for whoever holds the lock.
    pub fn clear_abandoned(&self) {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        for entry in entries {
            let name = entry.file_name().to_string_lossy().into_owned();
            let stem = name.strip_prefix(".barman-");
            if let Some((stem, _)) = stem.and_then(|stem| stem.split_once('.')) {
                durable::remove_abandoned(&self.folder.join(stem));
            }
        }
    }
}

/// `<segment>.<CRC32C>`, both in upper case.
fn parse_entry(name: &str) -> Option<(SegmentName, u32)> {
    let (segment, digits) = name.split_once('.')?;
    let crc32c = u32::from_str_radix(digits, 16).ok()?;
    let segment = segment.parse().ok()?;
    (name == format!("{segment}.{crc32c:08X}")).then_some((segment, crc32c))
}

/// Whether a file is what it was when it was stored.
fn judge(
    path: &Path,
    (segment, crc32c): (&SegmentName, u32),
    system_id: Option<SystemId>,
) -> Result<SegmentSize, String> {
    let failed = |error: io::Error| format!("{}: {error}", path.display());
    let refused = |cause: &str| format!("{}: {cause}", path.display());
    let metadata = fs::symlink_metadata(path).map_err(failed)?;
    if !metadata.is_file() {
        return Err(refused("it is not a regular file"));
    }
    let age = metadata.modified().map_err(failed)?.elapsed();
    if age.is_err() || age.is_ok_and(|age| age > LONGEST_STAY) {
        return Err(refused("it has been there for too long"));
    }
    let mut file = File::open(path).map_err(failed)?;
    let mut gate = Gate::before_what_was_checked(&WalName::Segment(*segment)).only_from(system_id);
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut found = 0;
    loop {
        let count = file.read(&mut buffer).map_err(failed)?;
        if count == 0 {
            break;
        }
        found = crc32c::crc32c_append(found, &buffer[..count]);
        gate.pass(&buffer[..count])
            .map_err(|refusal| refused(&refusal.to_string()))?;
    }
    let size = gate.close();
    let size = size.map_err(|refusal| refused(&refusal.to_string()))?;
    match size {
        Some(size) if found == crc32c => Ok(size),
        _ => Err(refused("its checksum is wrong")),
    }
}
