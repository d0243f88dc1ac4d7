//! Writing one archive on a blocking thread: files → page check and digest → tar → codec → parts.
//!
//! The last archive of a backup stays open after its files: it waits for the tail, which is
//! `pg_control`, the configuration files, `backup_label` and the manifest. Always true: an archive
//! that did not get all its members is never finished, so its object never appears.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use model::backup::contents::EntryKind;
use model::backup::plan::PlannedArchive;
use model::codec::Codec;
use model::damage::DamagedPage;
use model::format::backup_manifest::FileEntry;
use model::layout::ArchiveSet;
use model::page::{PAGES_PER_FILE, relation_segment};
use model::wal::lsn::Lsn;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::manifest::{ManifestFile, ManifestSpool};
use crate::backup::error::{ArchiveError, BackupError, spool_failed};
use crate::codec::Encoder;
use crate::progress::{Event, Progress, Warning};
use crate::source::entries::{Entries, SourceEntry};
use crate::source::file::{PageCheck, READ_BYTES, SourceFile};
use crate::source::walk::{Root, absolute};
use crate::stages::{Stage, Stages, Timed};
use crate::stop::StopFlag;
use crate::tarball::write::{MemberHeader, TarWriter};
use crate::upload::PartWriter;

/// One directory tree that is being archived.
pub struct SourceSet {
    pub set: ArchiveSet,
    pub root: Root,
    pub entries: Entries,
}

/// What all archives of a backup share.
pub struct Shared {
    pub sets: Vec<SourceSet>,
    pub codec: Codec,
    /// User and group of the data directory.
    pub owner: (u32, u32),
    /// Pages older than this LSN are checked; `None` when the cluster has no checksums.
    pub check_from: Option<Lsn>,
    pub manifest: ManifestSpool,
    pub damaged: Mutex<Vec<DamagedPage>>,
    pub stop: StopFlag,
    pub progress: Arc<dyn Progress>,
    pub stages: Arc<Stages>,
}

impl Shared {
    /// Where the files of an archive lie.
    pub fn set_of(&self, archive: &PlannedArchive) -> &SourceSet {
        let set = self.sets.iter().find(|set| set.set == archive.name.set);
        set.expect("the plan was made from these sets")
    }
}

/// A small member that is added after all files.
pub struct TailMember {
    pub path: String,
    pub mode: u32,
    /// Seconds since 1970.
    pub mtime: u64,
    pub content: Vec<u8>,
}

/// What the last archive waits for.
pub struct Tail {
    pub members: Vec<TailMember>,
    pub manifest: ManifestFile,
    pub label: TailMember,
}

/// Where the last archive says that its files are done, and gets the tail from.
pub struct TailSlot {
    pub files_done: oneshot::Sender<()>,
    pub tail: oneshot::Receiver<Tail>,
}

type Sink = TarWriter<Timed<Encoder<PartWriter>>>;

/// Blocks of compressed output are handed on in pieces of the codec's choice; the reader's block
/// is allocated once per archive.
struct Writer<'a> {
    shared: &'a Shared,
    set: &'a SourceSet,
    tar: Sink,
    block: Vec<u8>,
    /// See [`PartWriter::cut_flag`].
    cut: StopFlag,
}

/// Writes the archive; returns when its last part has been handed over.
///
/// # Errors
/// When a file cannot be read, the upload is gone, the backup was stopped, or the lists of files
/// cannot be read or kept: they lie where temporary files do, not where the cluster does.
pub fn write_archive(
    shared: &Shared,
    plan: &PlannedArchive,
    sink: PartWriter,
    tail: Option<TailSlot>,
) -> Result<(), BackupError> {
    let name = || plan.name.to_string();
    let whole = |source| ArchiveError {
        path: name(),
        source,
    };
    let set = shared.set_of(plan);
    let cut = sink.cut_flag();
    let encoder = match (shared.codec, plan.threads) {
        (Codec::Zstd, 2..) => Encoder::create_on_threads(None, plan.threads, sink),
        (codec, _) => Encoder::create(codec, None, sink),
    };
    let encoder = encoder.map_err(whole)?;
    let tar = TarWriter::naming_owners(Timed::new(encoder, Stage::Pack, &shared.stages));
    let mut writer = Writer {
        shared,
        set,
        tar,
        block: vec![0; READ_BYTES],
        cut,
    };
    let mut entries = set
        .entries
        .read_from(plan.files.start)
        .map_err(spool_failed)?;
    for _ in plan.files.clone() {
        let entry = entries.next_entry().map_err(spool_failed)?;
        let noted = writer.entry(entry.expect("the plan was made from this list"))?;
        if let Some(noted) = noted {
            shared.manifest.add(&noted).map_err(spool_failed)?;
        }
    }
    if let Some(slot) = tail {
        writer.tail(slot)?;
    }
    let packing = writer.tar.finish().map_err(whole)?;
    let finish = |encoder: Encoder<PartWriter>| encoder.finish().and_then(PartWriter::finish);
    Ok(packing.end(finish).map_err(whole)?)
}

/// How often a small file that is just being written anew is looked at again.
const REREADS: u32 = 10;
const REREAD_PAUSE: Duration = Duration::from_millis(50);

/// The greatest time that the field of a tar header holds (POSIX.1-2001, "ustar Interchange
/// Format"), in the year 2242: a disk can claim any.
const LATEST_MTIME: i64 = 0o777_7777_7777;

/// What became of a file when it was to be archived.
enum Seen {
    /// It is archived; the manifest is to say this of it.
    Archived(FileEntry),
    /// There is nothing for the manifest: it is a directory, or gone.
    Nothing,
    /// Somebody is just writing it anew.
    Unsettled,
}

impl Writer<'_> {
    /// What the manifest is to say of it: nothing of a directory, or of a file that is gone.
    fn entry(&mut self, entry: SourceEntry<'_>) -> Result<Option<FileEntry>, ArchiveError> {
        let path = absolute(&self.set.root, entry);
        let failed = |source| ArchiveError {
            path: path.display().to_string(),
            source,
        };
        for rereads_left in (0..=REREADS).rev() {
            self.shared.stop.check().map_err(failed)?;
            let seen = self.look(entry, &path, rereads_left > 0);
            match seen.map_err(failed)? {
                Seen::Archived(noted) => return Ok(Some(noted)),
                Seen::Nothing => return Ok(None),
                Seen::Unsettled => std::thread::sleep(REREAD_PAUSE),
            }
        }
        Ok(None)
    }

    /// Archives an entry, unless it may look better a moment later and `may_wait`.
    fn look(&mut self, entry: SourceEntry<'_>, path: &Path, may_wait: bool) -> io::Result<Seen> {
        let began = Instant::now();
        let is_relation = relation_of(entry.path).is_some();
        let file = match File::open(path) {
            // Configuration is often replaced by taking the old file away first.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let is_top = entry.kind == EntryKind::File && !entry.path.contains(&b'/');
                let unsettled = may_wait && is_top && !is_relation;
                // Dropped while the backup runs: WAL replay drops it again.
                return Ok(if unsettled {
                    Seen::Unsettled
                } else {
                    Seen::Nothing
                });
            }
            file => file?,
        };
        let metadata = file.metadata()?;
        self.shared.stages.worked(Stage::Read, began);
        let mut header = MemberHeader {
            path: entry.path,
            mode: metadata.mode() & 0o7777,
            uid: metadata.uid(),
            gid: metadata.gid(),
            mtime: metadata.mtime().clamp(0, LATEST_MTIME) as u64,
            size_bytes: 0,
        };
        if entry.kind == EntryKind::Directory {
            self.tar.directory(&header)?;
            return Ok(Seen::Nothing);
        }
        header.size_bytes = metadata.len();
        // Python Barman's archives have top-level files as `./PG_VERSION`.
        let dotted = [b"./", entry.path].concat();
        if entry.path.len() <= 100 && !entry.path.contains(&b'/') {
            header.path = &dotted;
        }
        if is_relation || header.size_bytes > READ_BYTES as u64 {
            return self.file(entry, &file, &header).map(Seen::Archived);
        }
        let was_emptied = header.size_bytes == 0 && entry.size_bytes > 0;
        if may_wait && was_emptied {
            return Ok(Seen::Unsettled);
        }
        self.small_file(entry, &file, header, may_wait)
    }

    /// A small file that is no relation, so that no WAL mends it: its header says what was read.
    fn small_file(
        &mut self,
        entry: SourceEntry<'_>,
        file: &File,
        mut header: MemberHeader<'_>,
        may_wait: bool,
    ) -> io::Result<Seen> {
        let size = header.size_bytes as usize;
        let stages = &self.shared.stages;
        let mut source = SourceFile::new((file, header.size_bytes), PageCheck::Off, stages);
        let count = source.read_block(&mut self.block[..size])?;
        if count < size && may_wait {
            return Ok(Seen::Unsettled);
        }
        header.size_bytes = count as u64;
        self.tar.begin_file(&header)?;
        self.tar.write_all(&self.block[..count])?;
        self.tar.end_file()?;
        self.shared.progress.event(Event::Advance {
            bytes: header.size_bytes,
        });
        let path = self.manifest_path(entry.path);
        note_of(path, &header, source.finish().crc32c).map(Seen::Archived)
    }

    fn file(
        &mut self,
        entry: SourceEntry<'_>,
        file: &File,
        header: &MemberHeader<'_>,
    ) -> io::Result<FileEntry> {
        let path = self.manifest_path(entry.path);
        let stages = &self.shared.stages;
        let check = self.page_check(entry.path);
        let mut source = SourceFile::new((file, header.size_bytes), check, stages);
        self.tar.begin_file(header)?;
        let mut left = header.size_bytes;
        while left > 0 {
            self.shared.stop.check()?;
            self.cut.check()?;
            let wanted = left.min(READ_BYTES as u64) as usize;
            let count = source.read_block(&mut self.block[..wanted])?;
            if count == 0 {
                source.pad(left);
                self.report_shrunken(entry.path, &path, left);
                break;
            }
            self.tar.write_all(&self.block[..count])?;
            self.shared.progress.event(Event::Advance {
                bytes: count as u64,
            });
            left -= count as u64;
        }
        self.tar.end_file()?;
        let summary = source.finish();
        self.report_damage(&path, &summary.damaged);
        note_of(path, header, summary.crc32c)
    }

    /// WAL replay truncates a relation again; nothing mends another file.
    fn report_shrunken(&self, path: &[u8], shown: &[u8], missing_bytes: u64) {
        if relation_of(path).is_none() {
            let path = &String::from_utf8_lossy(shown);
            let warning = Warning::Shrank {
                path,
                missing_bytes,
            };
            self.shared.progress.event(Event::Warning(warning));
        }
    }

    fn page_check(&self, path: &[u8]) -> PageCheck {
        match (self.shared.check_from, relation_of(path)) {
            (Some(backup_start), Some(segment)) => PageCheck::From {
                first_block: segment * PAGES_PER_FILE,
                backup_start,
            },
            _ => PageCheck::Off,
        }
    }

    fn report_damage(&self, path: &[u8], pages: &[(u32, Lsn, u16, u16)]) {
        let file = String::from_utf8_lossy(path).into_owned();
        for &(block, lsn, expected, found) in pages {
            let page = DamagedPage {
                file: file.clone(),
                block,
                lsn,
                expected,
                found,
            };
            let warning = Warning::DamagedPage(&page);
            self.shared.progress.event(Event::Warning(warning));
            self.shared
                .damaged
                .lock()
                .expect("no thread panics holding it")
                .push(page);
        }
    }

    /// The path as the restored data directory will have it.
    fn manifest_path(&self, path: &[u8]) -> Vec<u8> {
        match self.set.set {
            ArchiveSet::Data => path.to_vec(),
            ArchiveSet::Tablespace(oid) => [format!("pg_tblspc/{oid}/").as_bytes(), path].concat(),
        }
    }

    fn tail(&mut self, slot: TailSlot) -> Result<(), ArchiveError> {
        let stopped = || ArchiveError {
            path: "the end of the backup".to_owned(),
            source: io::Error::other("stopped"),
        };
        slot.files_done.send(()).map_err(|()| stopped())?;
        let tail = async {
            tokio::select! {
                biased;
                () = self.cut.raised() => None,
                tail = slot.tail => tail.ok(),
            }
        };
        let tail = Handle::current().block_on(tail).ok_or_else(stopped)?;
        for member in &tail.members {
            self.tail_member(member)?;
        }
        self.manifest(tail.manifest)?;
        // Barman's readers expect the label to be the last member.
        self.tail_member(&tail.label)
    }

    fn tail_member(&mut self, member: &TailMember) -> Result<(), ArchiveError> {
        let header = MemberHeader {
            path: member.path.as_bytes(),
            mode: member.mode,
            uid: self.shared.owner.0,
            gid: self.shared.owner.1,
            mtime: member.mtime,
            size_bytes: member.content.len() as u64,
        };
        self.small(&header, member.content.as_slice())
    }

    fn manifest(&mut self, manifest: ManifestFile) -> Result<(), ArchiveError> {
        let header = MemberHeader {
            path: b"backup_manifest",
            mode: 0o600,
            uid: self.shared.owner.0,
            gid: self.shared.owner.1,
            mtime: 0,
            size_bytes: manifest.size_bytes,
        };
        self.small(&header, manifest.content)
    }

    fn small(&mut self, header: &MemberHeader<'_>, content: impl Read) -> Result<(), ArchiveError> {
        let path = String::from_utf8_lossy(header.path).into_owned();
        self.write_member(header, content)
            .map_err(|source| ArchiveError { path, source })
    }

    fn write_member(
        &mut self,
        header: &MemberHeader<'_>,
        mut content: impl Read,
    ) -> io::Result<()> {
        self.tar.begin_file(header)?;
        io::copy(&mut content, &mut self.tar)?;
        self.tar.end_file()
    }
}

/// The number of a relation's file, if it is one.
fn relation_of(path: &[u8]) -> Option<u32> {
    std::str::from_utf8(path).ok().and_then(relation_segment)
}

fn note_of(path: Vec<u8>, header: &MemberHeader<'_>, crc32c: u32) -> io::Result<FileEntry> {
    Ok(FileEntry {
        path,
        size: header.size_bytes,
        modified: Timestamp::from_second(header.mtime as i64).map_err(io::Error::other)?,
        crc32c,
    })
}
