//! Reading one data file while the server writes to it: blocks, page checks, digest.
//!
//! A page whose checksum is wrong may only have been caught half written. It is read again a few
//! times; if it stays wrong it is reported and archived as it is, since a damaged page is better
//! than a missing file. Always true: the digest covers exactly the bytes handed on.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use model::page::{PAGE_SIZE, PageState, check_page};
use model::wal::lsn::Lsn;
use rustix::fs::{Advice, fadvise};

use crate::stages::{Stage, Stages};

/// Whether and how a file's pages are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageCheck {
    /// Not a relation file, or the cluster has no checksums.
    Off,
    /// A segment of a relation: its first page has this block number.
    From { first_block: u32, backup_start: Lsn },
}

/// Blocks read at a time: a whole number of pages.
pub const READ_BYTES: usize = 32 * PAGE_SIZE;

/// Smaller files are read ahead whole by the first read or two.
const SMALLEST_HINTED_BYTES: u64 = 1024 * 1024;

const REREADS: u32 = 5;
const REREAD_PAUSE: Duration = Duration::from_millis(20);

/// Reads an open file front to back.
pub struct SourceFile<'a> {
    file: &'a File,
    stages: &'a Stages,
    check: PageCheck,
    offset: u64,
    crc32c: u32,
    damaged: Vec<(u32, Lsn, u16, u16)>,
}

/// What reading a file showed.
pub struct SourceSummary {
    pub crc32c: u32,
    /// Block number, LSN, expected and found checksum of every damaged page.
    pub damaged: Vec<(u32, Lsn, u16, u16)>,
}

impl<'a> SourceFile<'a> {
    /// Takes an open file of about that size.
    pub fn new(
        (file, size_bytes): (&'a File, u64),
        check: PageCheck,
        stages: &'a Stages,
    ) -> SourceFile<'a> {
        if size_bytes >= SMALLEST_HINTED_BYTES {
            // Twice the usual readahead (posix_fadvise(2)); where there is no such hint, the usual.
            let _ = fadvise(file, 0, None, Advice::Sequential);
        }
        SourceFile {
            file,
            stages,
            check,
            offset: 0,
            crc32c: 0,
            damaged: Vec::new(),
        }
    }

    /// Fills `buffer` as far as the file goes, checks its pages and adds it to the digest.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read_block(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let began = Instant::now();
        let count = read_at_most(self.file, buffer, self.offset)?;
        self.stages.worked(Stage::Read, began);
        self.stages.moved(Stage::Read, count);
        let began = Instant::now();
        let content = &mut buffer[..count];
        if let PageCheck::From {
            first_block,
            backup_start,
        } = self.check
        {
            self.check_pages(content, first_block, backup_start)?;
        }
        self.crc32c = crc32c::crc32c_append(self.crc32c, content);
        self.stages.worked(Stage::Check, began);
        self.stages.moved(Stage::Check, count);
        self.offset += count as u64;
        Ok(count)
    }

    /// Adds zeros that fill up a file that shrank.
    pub fn pad(&mut self, bytes: u64) {
        let zeros = [0; 4096];
        let mut left = bytes;
        while left > 0 {
            let count = left.min(zeros.len() as u64);
            self.crc32c = crc32c::crc32c_append(self.crc32c, &zeros[..count as usize]);
            left -= count;
        }
    }

    pub fn finish(self) -> SourceSummary {
        SourceSummary {
            crc32c: self.crc32c,
            damaged: self.damaged,
        }
    }

    fn check_pages(
        &mut self,
        content: &mut [u8],
        first_block: u32,
        backup_start: Lsn,
    ) -> io::Result<()> {
        let before = (self.offset / PAGE_SIZE as u64) as u32;
        for (index, page) in content.chunks_exact_mut(PAGE_SIZE).enumerate() {
            let block = first_block + before + index as u32;
            let offset = self.offset + (index * PAGE_SIZE) as u64;
            for attempt in 0..=REREADS {
                let PageState::Damaged {
                    expected,
                    found,
                    lsn,
                } = check_page(page, block, backup_start)
                else {
                    break;
                };
                if attempt == REREADS {
                    self.damaged.push((block, lsn, expected, found));
                    break;
                }
                std::thread::sleep(REREAD_PAUSE);
                // A file cut short meanwhile keeps what was read first.
                read_at_most(self.file, page, offset)?;
            }
        }
        Ok(())
    }
}

/// Reads until `buffer` is full or the file ends.
fn read_at_most(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
