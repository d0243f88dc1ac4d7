//! The records of a segment: is the log in it the one that was written?
//!
//! The layout is that of PostgreSQL's `access/xlog_internal.h` and `access/xlogrecord.h`, unchanged
//! from 9.6 to 18. Each page begins with 24 bytes (the first one of a segment with 40): `u16`
//! magic, `u16` flags, `u32` timeline, `u64` LSN of the page, `u32` bytes that continue a record.
//! Each record begins at a multiple of 8 with 24 bytes, and runs on over the headers of the pages
//! it crosses:
//!
//! ```text
//!  0 u32 length, these bytes included     8 u64 LSN of the record before    17 u8 resource manager
//!  4 u32 transaction                     16 u8 info                         20 u32 CRC-32C
//! ```
//!
//! A segment may rightly end in something else than records: zeros after a switch, what a recycled
//! file held before, half a record of a server that died. Always true: a segment is refused only if
//! a sound record of this very log comes after the place that is wrong, so that the log cannot have
//! ended there; what cannot be read at all, such as encrypted WAL, is let pass.

use crate::wal::lsn::Lsn;
use crate::wal::name::SegmentName;
use crate::wal::segment::{BadSegmentCause, SegmentFacts};

const PAGE_HEADER: usize = 24;
const LONG_PAGE_HEADER: usize = 40;
const RECORD_HEADER: usize = 24;
/// The record's CRC is the last field of its header, and the only one that it does not cover.
const CRC_AT: usize = 20;
const ALIGNMENT: u64 = 8;

const CONTINUES: u16 = 0x0001;
const LONG: u16 = 0x0002;
/// The record before was never finished; a new one begins on this page.
const OVERWRITES: u16 = 0x0008;
/// Those and removable backup blocks; PostgreSQL reads no page that has another one.
const KNOWN_FLAGS: u16 = 0x000F;

/// `RM_XLOG_ID` and `XLOG_SWITCH`: the rest of the segment is empty.
const SWITCH: (u8, u8) = (0, 0x40);

/// Follows the records of one segment while its bytes come.
#[derive(Debug, Clone)]
pub struct RecordCheck {
    magic: u16,
    known_flags: u16,
    page_bytes: usize,
    newest_timeline: u32,
    first_lsn: u64,
    /// What has come of a page that is not whole yet.
    page: Vec<u8>,
    /// Of the next page.
    page_lsn: u64,
    /// Of the last page that was right.
    timeline: u32,
    state: State,
    /// Where the last sound record of an unbroken chain begins.
    last_record: Option<u64>,
    /// Where the chain broke first.
    broken: Option<u64>,
}

#[derive(Debug, Clone)]
enum State {
    /// What the next page's header says, goes.
    Lost,
    /// A record begins here.
    Between,
    /// The rest of a record whose beginning was not seen.
    Passing {
        left: u32,
    },
    Within(Record),
    /// Nothing after this is read by anybody.
    Ended,
}

#[derive(Debug, Clone)]
struct Record {
    start: u64,
    length: u32,
    head: [u8; RECORD_HEADER],
    seen: u32,
    /// Of what comes after the header.
    crc32c: u32,
}

struct PageHeader {
    flags: u16,
    timeline: u32,
    continued: u32,
}

impl RecordCheck {
    /// A check for the segment of this name, whose first header says this.
    pub fn new(name: &SegmentName, facts: &SegmentFacts) -> RecordCheck {
        let first_lsn = facts.page_lsn.value();
        RecordCheck {
            magic: facts.version_magic,
            // A version that is newer than we are may have more.
            known_flags: facts.major().map_or(u16::MAX, |_| KNOWN_FLAGS),
            page_bytes: facts.page_bytes as usize,
            newest_timeline: name.timeline().number(),
            first_lsn,
            page: Vec::new(),
            page_lsn: first_lsn,
            timeline: 0,
            state: State::Lost,
            last_record: None,
            broken: None,
        }
    }

    /// Looks at the next bytes of the segment, from its first byte on.
    ///
    /// # Errors
    /// When the log is broken and goes on afterwards.
    pub fn pass(&mut self, mut piece: &[u8]) -> Result<(), BadSegmentCause> {
        if !self.page.is_empty() {
            let wanted = (self.page_bytes - self.page.len()).min(piece.len());
            self.page.extend_from_slice(&piece[..wanted]);
            piece = &piece[wanted..];
            if self.page.len() < self.page_bytes {
                return Ok(());
            }
            let page = std::mem::take(&mut self.page);
            self.pass_page(&page)?;
        }
        let mut pages = piece.chunks_exact(self.page_bytes);
        for page in &mut pages {
            self.pass_page(page)?;
        }
        self.page.extend_from_slice(pages.remainder());
        Ok(())
    }

    fn pass_page(&mut self, page: &[u8]) -> Result<(), BadSegmentCause> {
        let lsn = self.page_lsn;
        self.page_lsn += self.page_bytes as u64;
        if matches!(self.state, State::Ended) {
            return Ok(());
        }
        let Some(header) = self.header(page, lsn) else {
            let before = match &self.state {
                State::Within(record) => Some(record.start),
                State::Between => self.last_record,
                _ => None,
            };
            self.lose(lsn);
            return self.search(page, (lsn, PAGE_HEADER), before);
        };
        self.timeline = header.timeline;
        self.enter(&header, lsn);
        let mut at = match header.flags & LONG {
            0 => PAGE_HEADER,
            _ => LONG_PAGE_HEADER,
        };
        while at < page.len() && !matches!(self.state, State::Lost | State::Ended) {
            at = self.step(page, lsn, at)?;
        }
        Ok(())
    }

    /// The header, if it is that of the page that belongs here.
    fn header(&self, page: &[u8], lsn: u64) -> Option<PageHeader> {
        let header = PageHeader {
            flags: u16_at(page, 2),
            timeline: u32_at(page, 4),
            continued: u32_at(page, 16),
        };
        // A page of an older timeline is what the file held before it was recycled.
        let timelines = self.timeline..=self.newest_timeline;
        let is_right = u16_at(page, 0) == self.magic
            && header.flags & !self.known_flags == 0
            && u64_at(page, 8) == lsn
            && timelines.contains(&header.timeline);
        is_right.then_some(header)
    }

    /// Compares what a page continues with what is open.
    fn enter(&mut self, header: &PageHeader, lsn: u64) {
        let continued = match header.flags & CONTINUES {
            0 => 0,
            _ => header.continued,
        };
        let open = match &self.state {
            State::Within(record) => record.length - record.seen,
            State::Passing { left } => *left,
            State::Between => 0,
            State::Lost | State::Ended => continued,
        };
        let is_given_up = header.flags & OVERWRITES != 0 && continued == 0;
        if open != continued && !is_given_up {
            let start = match &self.state {
                State::Within(record) => record.start,
                _ => lsn,
            };
            self.lose(start);
        }
        if matches!(self.state, State::Lost) || is_given_up {
            self.state = match continued {
                0 => State::Between,
                left => State::Passing { left },
            };
        }
    }

    /// Goes on by one record, or to the end of the page.
    fn step(&mut self, page: &[u8], lsn: u64, at: usize) -> Result<usize, BadSegmentCause> {
        let rest = &page[at..];
        match &mut self.state {
            State::Between => {
                let start = lsn + at as u64;
                let length = u32_at(rest, 0);
                if (length as usize) < RECORD_HEADER {
                    self.lose(start);
                    self.search(page, (lsn, at), Some(start))?;
                    return Ok(page.len());
                }
                self.state = State::Within(Record::begin(start, length));
                Ok(at)
            }
            State::Passing { left } => {
                let count = rest.len().min(*left as usize);
                *left -= count as u32;
                if *left == 0 {
                    self.state = State::Between;
                }
                Ok(aligned(at + count))
            }
            State::Within(record) => {
                let count = rest.len().min((record.length - record.seen) as usize);
                record.take(&rest[..count]);
                if record.seen == record.length {
                    let record = record.clone();
                    self.judge(&record, page, (lsn, at))?;
                }
                Ok(aligned(at + count))
            }
            State::Lost | State::Ended => Ok(page.len()),
        }
    }

    /// A record has come whole; `page` is the one that it ends on.
    fn judge(
        &mut self,
        record: &Record,
        page: &[u8],
        (lsn, at): (u64, usize),
    ) -> Result<(), BadSegmentCause> {
        let before = record.before();
        let follows = match (self.broken, self.last_record) {
            (None, Some(last)) => before == last,
            // Zero is what the first record of all has, and the first one after pg_resetwal.
            (None, None) => before < record.start,
            (Some(_), _) => self.first_lsn <= before && before < record.start,
        };
        if !record.is_sound() || !follows {
            self.lose(record.start);
            // It may be its length that is wrong: the next one would begin somewhere on its way.
            let from = if record.start >= lsn {
                (record.start - lsn) as usize
            } else {
                at
            };
            return self.search(page, (lsn, from), Some(record.start));
        }
        if let Some(broken) = self.broken {
            return Err(damaged(broken, record.start));
        }
        self.last_record = Some(record.start);
        self.state = match record.kind() {
            SWITCH => State::Ended,
            _ => State::Between,
        };
        Ok(())
    }

    fn lose(&mut self, at: u64) {
        self.broken.get_or_insert(at);
        self.last_record = None;
        self.state = State::Lost;
    }

    /// Looks on the rest of a page for a sound record that comes right after the one at `before`.
    fn search(
        &self,
        page: &[u8],
        (lsn, from): (u64, usize),
        before: Option<u64>,
    ) -> Result<(), BadSegmentCause> {
        let (Some(before), Some(broken)) = (before, self.broken) else {
            return Ok(());
        };
        for at in (aligned(from)..page.len()).step_by(ALIGNMENT as usize) {
            let rest = &page[at..];
            let length = u32_at(rest, 0) as usize;
            if length < RECORD_HEADER || length > rest.len() || u64_at(rest, 8) != before {
                continue;
            }
            let mut record = Record::begin(lsn + at as u64, length as u32);
            record.take(&rest[..length]);
            if record.is_sound() && record.start > before {
                return Err(damaged(broken, record.start));
            }
        }
        Ok(())
    }
}

impl Record {
    fn begin(start: u64, length: u32) -> Record {
        Record {
            start,
            length,
            head: [0; RECORD_HEADER],
            seen: 0,
            crc32c: 0,
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        let seen = self.seen as usize;
        let head = RECORD_HEADER.saturating_sub(seen).min(bytes.len());
        self.head[seen.min(RECORD_HEADER)..][..head].copy_from_slice(&bytes[..head]);
        self.crc32c = crc32c::crc32c_append(self.crc32c, &bytes[head..]);
        self.seen += bytes.len() as u32;
    }

    fn is_sound(&self) -> bool {
        // The header comes last in the checksum.
        let crc32c = crc32c::crc32c_append(self.crc32c, &self.head[..CRC_AT]);
        crc32c == u32_at(&self.head, CRC_AT)
    }

    fn before(&self) -> u64 {
        u64_at(&self.head, 8)
    }

    fn kind(&self) -> (u8, u8) {
        (self.head[17], self.head[16] & 0xF0)
    }
}

fn damaged(at: u64, next: u64) -> BadSegmentCause {
    BadSegmentCause::Damaged {
        at: Lsn::new(at),
        next: Lsn::new(next),
    }
}

fn aligned(at: usize) -> usize {
    at.next_multiple_of(ALIGNMENT as usize)
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

#[cfg(test)]
mod tests;
