//! The segment that is being received: `<segment>.partial`, of its full size from the beginning,
//! and its own name when it is complete.
//!
//! Order of effects: zeros over the whole length, flushed with the directory; WAL over them; flush;
//! the name; the directory again. Always true: what is flushed, and said to be, survives a power
//! cut, and under a segment's own name there is a complete segment.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use model::postgres::SegmentSize;
use model::wal::lsn::Lsn;
use model::wal::name::SegmentName;
use rustix::fs::OFlags;

use super::error::ReceiveError;
use crate::durable;

/// `O_NOFOLLOW` in the form that the standard library takes.
pub(super) const NO_LINK: i32 = OFlags::NOFOLLOW.bits() as i32;
const ZEROS_BYTES: usize = 1024 * 1024;

/// Writes WAL into segments, one after another.
pub(super) struct SegmentWriter {
    folder: PathBuf,
    size: SegmentSize,
    open: Option<Open>,
}

struct Open {
    name: SegmentName,
    file: File,
    path: PathBuf,
    has_unflushed: bool,
}

impl SegmentWriter {
    pub(super) fn new(folder: &Path, size: SegmentSize) -> SegmentWriter {
        SegmentWriter {
            folder: folder.to_owned(),
            size,
            open: None,
        }
    }

    /// Writes WAL that belongs to one segment. Gives the segment when this was its last piece: it
    /// is then flushed under its own name.
    pub(super) fn write(
        &mut self,
        name: SegmentName,
        position: Lsn,
        bytes: &[u8],
    ) -> Result<Option<SegmentName>, ReceiveError> {
        if self.open.as_ref().is_none_or(|open| open.name != name) {
            self.flush()?;
            self.open = Some(self.open(name)?);
        }
        let open = self.open.as_mut().expect("it was opened above");
        let offset = position.offset(self.size);
        let written = open.file.write_all_at(bytes, offset);
        written.map_err(|cause| ReceiveError::file("write", &open.path, cause))?;
        open.has_unflushed = true;
        if offset + (bytes.len() as u64) < self.size.bytes() {
            return Ok(None);
        }
        self.finish()?;
        Ok(Some(name))
    }

    /// Whether a power cut could take something that was written.
    pub(super) fn has_unflushed(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.has_unflushed)
    }

    /// Flushes what was written.
    pub(super) fn flush(&mut self) -> Result<(), ReceiveError> {
        let Some(open) = self.open.as_mut().filter(|open| open.has_unflushed) else {
            return Ok(());
        };
        let flushed = open.file.sync_data();
        // Never again after an error: the system may have dropped what it could not write.
        flushed.map_err(|cause| ReceiveError::file("flush", &open.path, cause))?;
        open.has_unflushed = false;
        Ok(())
    }

    fn finish(&mut self) -> Result<(), ReceiveError> {
        self.flush()?;
        let Some(open) = self.open.take() else {
            return Ok(());
        };
        let path = self.folder.join(open.name.to_string());
        let named = durable::move_into_place(&open.path, &path)
            .and_then(|()| durable::sync_directory(&self.folder));
        named.map_err(|cause| ReceiveError::file("name", &path, cause))
    }

    fn open(&self, name: SegmentName) -> Result<Open, ReceiveError> {
        let path = self.folder.join(format!("{name}.partial"));
        let failed = |cause| ReceiveError::file("create", &path, cause);
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false);
        // Whoever may put a link there must not choose what is written over.
        let options = options.mode(0o600).custom_flags(NO_LINK);
        let file = options.open(&path).map_err(failed)?;
        // What was received before is the same WAL: it is written over and not thrown away.
        if file.metadata().map_err(failed)?.len() != self.size.bytes()
            && let Err(cause) = self.fill(&file)
        {
            // A part that is too short holds nothing, but would hold the space.
            let _ = fs::remove_file(&path);
            return Err(failed(cause));
        }
        Ok(Open {
            name,
            file,
            path,
            has_unflushed: false,
        })
    }

    /// The space is taken before there is anything to lose for want of it.
    fn fill(&self, file: &File) -> io::Result<()> {
        file.set_len(0)?;
        let zeros = vec![0; ZEROS_BYTES];
        let mut offset = 0;
        while offset < self.size.bytes() {
            let left = usize::try_from(self.size.bytes() - offset).unwrap_or(ZEROS_BYTES);
            let count = left.min(ZEROS_BYTES);
            file.write_all_at(&zeros[..count], offset)?;
            offset += count as u64;
        }
        file.sync_all()?;
        durable::sync_directory(&self.folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::wal::timeline::TimelineId;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name();
        let mut names: Vec<_> = entries.map(|it| name(it).into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_segment_has_its_size_at_once_and_its_name_when_it_is_complete() {
        let folder = tempfile::tempdir().unwrap();
        let size = SegmentSize::new(1 << 20).unwrap();
        let mut writer = SegmentWriter::new(folder.path(), size);
        let name = |lsn| SegmentName::from_lsn(TimelineId::new(1), Lsn::new(lsn), size);
        let first = name(0x10_0000);
        let half = vec![7; 512 * 1024];
        let ended = writer.write(first, Lsn::new(0x10_0000), &half).unwrap();
        assert_eq!(ended, None);
        assert!(writer.has_unflushed());
        writer.flush().unwrap();
        assert!(!writer.has_unflushed());
        let partial = format!("{first}.partial");
        assert_eq!(names(folder.path()), std::slice::from_ref(&partial));
        let content = fs::read(folder.path().join(&partial)).unwrap();
        assert_eq!(content.len(), 1 << 20);
        assert!(content[..half.len()] == half && content[half.len()..].iter().all(|b| *b == 0));
        let ended = writer.write(first, Lsn::new(0x18_0000), &half).unwrap();
        assert_eq!(ended, Some(first));
        assert_eq!(names(folder.path()), [first.to_string()]);
        // A part of another size is begun anew; one of the right size is kept.
        let second = name(0x20_0000);
        let partial = folder.path().join(format!("{second}.partial"));
        fs::write(&partial, b"xyz").unwrap();
        writer.write(second, Lsn::new(0x20_0000), b"abc").unwrap();
        let content = fs::read(&partial).unwrap();
        assert_eq!((content.len(), &content[..4]), (1 << 20, &b"abc\0"[..]));
        let mut again = SegmentWriter::new(folder.path(), size);
        again.write(second, Lsn::new(0x20_0000), b"xy").unwrap();
        assert_eq!(&fs::read(&partial).unwrap()[..4], b"xyc\0");
    }
}
