//! Notes about files that the store has though nobody asked for them yet.
//!
//! One small file, a line for each: name, length, times of modification and of change in
//! nanoseconds, device, inode, CRC32C of the content, when it was noted in seconds, and the
//! object's key. Always true: a note that is older than [`LONGEST_MEMORY`], of a file that is not
//! exactly the same any more, or that cannot be read, is as good as none.
//!
//! A file whose time of change is the same was not written to since: nobody can set that time. It
//! tells nothing of a file that had been changed just before it was looked at, for a second change
//! could have the same time; then, or where the time differs, the content is read and compared.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use model::wal::name::WalName;

use super::archive::SentWal;
use super::inspect::wal_name;
use super::private_folder::{FolderError, open_private};
use crate::durable::{Durability, PendingFile};

/// What the store confirmed longer ago is asked for again.
pub const LONGEST_MEMORY: Duration = Duration::from_secs(600);
const BUFFER_BYTES: usize = 256 * 1024;
/// Many times what the kernel's clock for files advances by, which is 10 ms at most.
const SETTLED_AFTER: Duration = Duration::from_millis(200);
/// The same where a file system keeps times in seconds, or pairs of them, or milliseconds.
const SETTLED_AFTER_WHERE_COARSE: Duration = Duration::from_secs(3);

/// The notes of one server and one store.
#[derive(Debug, Clone)]
pub struct ArchivedNotes {
    file: PathBuf,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct ArchivedNote {
    name: WalName,
    state: FileState,
    crc32c: u32,
    noted_at: u64,
    key: String,
}

/// What a file has as long as nobody changes or replaces it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct SameFile {
    length: u64,
    modified_nanoseconds: i128,
    device: u64,
    inode: u64,
}

/// A file as it was at some moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileState {
    file: SameFile,
    /// In nanoseconds; `None` if it was too recent to tell anything.
    changed: Option<i128>,
}

impl FileState {
    /// The state that the metadata show, which were read after `seen_at`.
    pub(super) fn of(metadata: &Metadata, seen_at: SystemTime) -> FileState {
        let changed = changed_nanoseconds(metadata);
        let seen = seen_at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let wait = match changed % 1_000_000 {
            0 => SETTLED_AFTER_WHERE_COARSE,
            _ => SETTLED_AFTER,
        };
        let is_settled = changed + wait.as_nanos() as i128 <= seen.as_nanos() as i128;
        FileState {
            file: metadata.into(),
            changed: is_settled.then_some(changed),
        }
    }
}

fn changed_nanoseconds(metadata: &Metadata) -> i128 {
    i128::from(metadata.ctime()) * 1_000_000_000 + i128::from(metadata.ctime_nsec())
}

impl From<&Metadata> for SameFile {
    fn from(metadata: &Metadata) -> SameFile {
        let seconds = i128::from(metadata.mtime());
        SameFile {
            length: metadata.len(),
            modified_nanoseconds: seconds * 1_000_000_000 + i128::from(metadata.mtime_nsec()),
            device: metadata.dev(),
            inode: metadata.ino(),
        }
    }
}

impl ArchivedNotes {
    /// Opens the notes in this folder, making it if it is missing. `owner` tells the store and the
    /// server that they are about from all others that use the same folder.
    ///
    /// # Errors
    /// When the folder cannot be made, or others could have put something there.
    pub fn open(folder: &Path, owner: &str) -> Result<ArchivedNotes, FolderError> {
        open_private(folder)?;
        Ok(ArchivedNotes {
            file: folder.join(format!("wal-archived-ahead-{owner}")),
        })
    }

    /// The key under which the store has this very file, as far as the notes know.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn key_of(&self, path: &Path) -> io::Result<Option<String>> {
        let Ok(name) = wal_name(path) else {
            return Ok(None);
        };
        let Some(note) = self.read().into_iter().find(|note| note.name == name) else {
            return Ok(None);
        };
        let metadata = fs::metadata(path)?;
        if !metadata.is_file() || SameFile::from(&metadata) != note.state.file {
            return Ok(None);
        }
        let is_untouched = note.state.changed == Some(changed_nanoseconds(&metadata));
        Ok((is_untouched || checksum(path)? == note.crc32c).then_some(note.key))
    }

    /// Whether there is a note of this name.
    pub(super) fn has(&self, name: &WalName) -> bool {
        self.read().iter().any(|note| note.name == *name)
    }

    /// Notes a file that the store has confirmed.
    pub(super) fn add(&self, name: &WalName, state: FileState, sent: &SentWal) -> io::Result<()> {
        let mut notes = self.read();
        notes.retain(|note| note.name != *name);
        notes.push(ArchivedNote {
            name: *name,
            state,
            crc32c: sent.crc32c,
            noted_at: now(),
            key: sent.archived.key().to_owned(),
        });
        self.write(&notes)
    }

    /// Removes the note of a file.
    pub fn forget(&self, name: &WalName) {
        let mut notes = self.read();
        let before = notes.len();
        notes.retain(|note| note.name != *name);
        if notes.len() < before {
            // A note too many ages away.
            let _ = self.write(&notes);
        }
    }

    /// The notes that are young enough; none where the file is missing or spoilt.
    fn read(&self) -> Vec<ArchivedNote> {
        let text = fs::read_to_string(&self.file).unwrap_or_default();
        let now = now();
        let is_young = |note: &ArchivedNote| {
            note.noted_at <= now && now - note.noted_at <= LONGEST_MEMORY.as_secs()
        };
        text.lines().filter_map(parse).filter(is_young).collect()
    }

    fn write(&self, notes: &[ArchivedNote]) -> io::Result<()> {
        let text: String = notes.iter().map(render).collect();
        let mut file = PendingFile::create(&self.file)?;
        io::Write::write_all(&mut file, text.as_bytes())?;
        file.finish(Durability::Atomic)
    }
}

fn render(note: &ArchivedNote) -> String {
    let ArchivedNote { name, state, .. } = note;
    let SameFile {
        length,
        modified_nanoseconds: modified,
        device,
        inode,
    } = state.file;
    let changed = state
        .changed
        .map_or("-".to_owned(), |time| time.to_string());
    let (crc32c, noted_at, key) = (note.crc32c, note.noted_at, &note.key);
    let file = format!("{length} {modified} {changed} {device} {inode}");
    format!("{name} {file} {crc32c:08X} {noted_at} {key}\n")
}

fn parse(line: &str) -> Option<ArchivedNote> {
    // The key comes last, for it may have spaces.
    let mut words = line.splitn(9, ' ');
    let name = words.next()?.parse().ok()?;
    let length = words.next()?.parse().ok()?;
    let modified_nanoseconds = words.next()?.parse().ok()?;
    let changed = match words.next()? {
        "-" => None,
        time => Some(time.parse().ok()?),
    };
    let file = SameFile {
        length,
        modified_nanoseconds,
        device: words.next()?.parse().ok()?,
        inode: words.next()?.parse().ok()?,
    };
    Some(ArchivedNote {
        name,
        state: FileState { file, changed },
        crc32c: u32::from_str_radix(words.next()?, 16).ok()?,
        noted_at: words.next()?.parse().ok()?,
        key: words.next().filter(|key| !key.is_empty())?.to_owned(),
    })
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |since| since.as_secs())
}

fn checksum(path: &Path) -> io::Result<u32> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut crc32c = 0;
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(crc32c),
            count => crc32c = crc32c::crc32c_append(crc32c, &buffer[..count]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wal::archive::Archived;

    const LATER: Duration = SETTLED_AFTER_WHERE_COARSE;
    const NAME: &str = "000000010000000000000003";

    /// A note of a new file, as if that had been looked at so much later.
    fn noted(place: &Path, content: &[u8], later: Duration) -> (ArchivedNotes, PathBuf) {
        let notes = ArchivedNotes::open(&place.join("notes"), "us").unwrap();
        let path = place.join(NAME);
        fs::write(&path, content).unwrap();
        let sent = SentWal {
            archived: Archived::Stored("some key".into()),
            crc32c: crc32c::crc32c(content),
        };
        let metadata = fs::metadata(&path).unwrap();
        let state = FileState::of(&metadata, SystemTime::now() + later);
        notes.add(&NAME.parse().unwrap(), state, &sent).unwrap();
        (notes, path)
    }

    #[test]
    fn a_note_answers_for_the_very_file_until_it_is_forgotten() {
        let place = tempfile::tempdir().unwrap();
        for later in [Duration::ZERO, LATER] {
            let (notes, path) = noted(place.path(), b"content", later);
            assert_eq!(notes.key_of(&path).unwrap().as_deref(), Some("some key"));
            notes.forget(&NAME.parse().unwrap());
            assert_eq!(notes.key_of(&path).unwrap(), None);
        }
    }

    #[test]
    fn a_note_does_not_answer_for_another_store_in_the_same_folder() {
        let place = tempfile::tempdir().unwrap();
        let (_, path) = noted(place.path(), b"content", LATER);
        let others = ArchivedNotes::open(&place.path().join("notes"), "others").unwrap();
        assert_eq!(others.key_of(&path).unwrap(), None);
        assert!(!others.has(&NAME.parse().unwrap()));
    }

    #[test]
    fn a_note_does_not_answer_for_another_file_of_that_name() {
        let place = tempfile::tempdir().unwrap();
        let (notes, path) = noted(place.path(), b"content", Duration::ZERO);
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        // In place, with the old time: only the content tells.
        fs::write(&path, b"CONTENT").unwrap();
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_modified(modified)
            .unwrap();
        assert_eq!(notes.key_of(&path).unwrap(), None);
        fs::write(&path, b"content").unwrap();
        let later = modified + Duration::from_secs(1);
        let file = File::options().write(true).open(&path).unwrap();
        file.set_modified(later).unwrap();
        assert_eq!(notes.key_of(&path).unwrap(), None);
    }

    #[test]
    fn what_was_changed_long_before_it_was_noted_is_not_read_again() {
        let place = tempfile::tempdir().unwrap();
        for (later, is_read) in [(Duration::ZERO, true), (LATER, false)] {
            let (notes, path) = noted(place.path(), b"content", later);
            let text = fs::read_to_string(&notes.file).unwrap();
            let crc32c = format!("{:08X}", crc32c::crc32c(b"content"));
            // Whoever reads the file finds that the note is about another one.
            fs::write(&notes.file, text.replace(&crc32c, "00000000")).unwrap();
            assert_eq!(notes.key_of(&path).unwrap().is_none(), is_read);
        }
    }

    #[test]
    fn a_file_that_was_touched_since_is_read_and_one_that_was_changed_is_another() {
        let place = tempfile::tempdir().unwrap();
        let (notes, path) = noted(place.path(), b"content", LATER);
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        // Longer than the kernel's clock for files needs to advance.
        std::thread::sleep(Duration::from_millis(30));
        fs::hard_link(&path, place.path().join("link")).unwrap();
        assert!(notes.key_of(&path).unwrap().is_some());
        let file = File::options().write(true).open(&path).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, b"C", 0).unwrap();
        file.set_modified(modified).unwrap();
        assert_eq!(notes.key_of(&path).unwrap(), None);
    }

    #[test]
    fn spoilt_and_old_notes_are_as_good_as_none() {
        let place = tempfile::tempdir().unwrap();
        let (notes, path) = noted(place.path(), b"content", LATER);
        let text = fs::read_to_string(&notes.file).unwrap();
        for cut in 0..text.trim_end().len() - "some key".len() {
            fs::write(&notes.file, &text[..cut]).unwrap();
            assert_eq!(notes.key_of(&path).unwrap(), None, "{cut}");
        }
        let noted_at = parse(text.trim_end()).unwrap().noted_at;
        for wrong in [noted_at - 601, noted_at + 3600] {
            let old = text.replace(&noted_at.to_string(), &wrong.to_string());
            fs::write(&notes.file, old).unwrap();
            assert_eq!(notes.key_of(&path).unwrap(), None);
        }
        fs::write(&notes.file, [0xFF, 0xFE]).unwrap();
        assert_eq!(notes.key_of(&path).unwrap(), None);
    }
}
