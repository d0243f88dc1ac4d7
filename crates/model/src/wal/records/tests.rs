//! Segments written record by record, as PostgreSQL's `XLogInsertRecord` lays them out.

use proptest::prelude::*;

use super::*;
use crate::wal::segment::check_segment_head;

const SEGMENT: usize = 1 << 20;
const PAGE: usize = 8192;
const FIRST: u64 = 3 << 20;
const NAME: &str = "000000020000000000000003";

/// Writes a log from `FIRST` on.
struct Log {
    bytes: Vec<u8>,
    first: u64,
    before: u64,
    timeline: u32,
    /// Where each record begins and ends.
    places: Vec<(usize, usize)>,
}

impl Log {
    /// `continued` bytes belong to a record of the segment before.
    fn new(continued: usize) -> Log {
        Log::at(FIRST, continued)
    }

    fn at(first: u64, continued: usize) -> Log {
        let mut log = Log {
            bytes: Vec::new(),
            first,
            before: first - 64,
            timeline: 1,
            places: Vec::new(),
        };
        log.put(&vec![0xAA; continued], true);
        log
    }

    fn page_header(&mut self, flags: u16, continued: usize) {
        let lsn = self.first + self.bytes.len() as u64;
        let is_first = self.bytes.is_empty();
        let flags = flags | if is_first { LONG } else { 0 };
        self.bytes.extend(0xD110u16.to_le_bytes());
        self.bytes.extend(flags.to_le_bytes());
        self.bytes.extend(self.timeline.to_le_bytes());
        self.bytes.extend(lsn.to_le_bytes());
        self.bytes.extend((continued as u32).to_le_bytes());
        self.bytes.extend([0; 4]);
        if is_first {
            self.bytes.extend(77u64.to_le_bytes());
            self.bytes.extend((SEGMENT as u32).to_le_bytes());
            self.bytes.extend((PAGE as u32).to_le_bytes());
        }
    }

    fn put(&mut self, mut content: &[u8], is_continued: bool) {
        let mut is_begun = is_continued;
        loop {
            if self.bytes.len().is_multiple_of(PAGE) {
                let flags = if is_begun && !content.is_empty() {
                    CONTINUES
                } else {
                    0
                };
                let continued = if flags == 0 { 0 } else { content.len() };
                self.page_header(flags, continued);
            }
            let room = PAGE - self.bytes.len() % PAGE;
            let count = room.min(content.len());
            self.bytes.extend(&content[..count]);
            content = &content[count..];
            is_begun = true;
            if content.is_empty() {
                break;
            }
        }
        while !self.bytes.len().is_multiple_of(8) {
            self.bytes.push(0);
        }
    }

    fn record(&mut self, payload: usize, (manager, info): (u8, u8)) {
        if self.bytes.len().is_multiple_of(PAGE) {
            self.page_header(0, 0);
        }
        let start = self.bytes.len();
        let length = RECORD_HEADER + payload;
        let mut record = Vec::with_capacity(length);
        record.extend((length as u32).to_le_bytes());
        record.extend(7u32.to_le_bytes());
        record.extend(self.before.to_le_bytes());
        record.extend([info, manager, 0, 0]);
        let content: Vec<u8> = (0..payload).map(|n| (n * 7 + start) as u8).collect();
        let crc32c = crc32c::crc32c_append(crc32c::crc32c(&content), &record);
        record.extend(crc32c.to_le_bytes());
        record.extend(content);
        self.put(&record, false);
        self.before = self.first + start as u64;
        self.places.push((start, self.bytes.len()));
    }

    /// Records of these sizes, over and over, until the segment is full.
    fn fill(mut self, payloads: &[usize]) -> Log {
        for payload in payloads.iter().cycle() {
            if self.bytes.len() >= SEGMENT {
                break;
            }
            self.record(*payload, (10, 0));
        }
        self.bytes.truncate(SEGMENT);
        self
    }

    fn padded(mut self) -> Vec<u8> {
        self.bytes.resize(SEGMENT, 0);
        self.bytes
    }
}

fn check_in(bytes: &[u8], piece: usize) -> Result<(), BadSegmentCause> {
    let name: SegmentName = NAME.parse().unwrap();
    let facts = check_segment_head(&name, bytes).unwrap();
    let mut check = RecordCheck::new(&name, &facts);
    bytes.chunks(piece).try_for_each(|piece| check.pass(piece))
}

fn check(bytes: &[u8]) -> Result<(), BadSegmentCause> {
    check_in(bytes, 256 * 1024)
}

#[test]
fn a_flipped_bit_is_found_wherever_a_whole_record_follows() {
    let log = Log::new(5000).fill(&[10, 200, 9000, 50, 700]);
    let last_whole = log
        .places
        .iter()
        .rev()
        .find(|place| place.1 < SEGMENT)
        .unwrap();
    let first = log.places[0].0;
    let mut silent = Vec::new();
    for at in (first..last_whole.0).step_by(97) {
        let mut bytes = log.bytes.clone();
        bytes[at] ^= 1 << (at % 8);
        if check(&bytes).is_ok() {
            silent.push(at);
        }
    }
    // What nobody reads: the flag of removable backup blocks, the four bytes that fill a page
    // header, and those between two records.
    let is_unread = |at: &usize| {
        let fills_header = (20..24).contains(&(at % PAGE)) || at % PAGE == 2;
        let ends = log.places.iter().map(|place| place.1);
        fills_header || ends.into_iter().any(|end| *at < end && end - at < 8)
    };
    silent.retain(|at| !is_unread(at));
    assert_eq!(silent, Vec::<usize>::new());
}

#[test]
fn a_switch_ends_a_segment_whatever_comes_after_it() {
    let mut log = Log::new(0);
    log.record(100, (10, 0));
    log.record(0, SWITCH);
    let whole = log.padded();
    check(&whole).unwrap();
    let mut noisy = whole.clone();
    noisy[50_000..].fill(0x5A);
    check(&noisy).unwrap();
}

#[test]
fn the_log_of_a_server_that_died_may_end_anywhere() {
    let log = Log::new(100).fill(&[300, 20, 5000]);
    let recycled = Log::at(FIRST - (2 << 20), 100).fill(&[300, 20, 5000]).bytes;
    for end in (PAGE / 2..SEGMENT).step_by(6007) {
        for rest in [vec![0; SEGMENT], recycled.clone()] {
            let mut bytes = log.bytes.clone();
            bytes[end..].copy_from_slice(&rest[end..]);
            check(&bytes).unwrap();
        }
    }
}

#[test]
fn what_an_older_timeline_left_in_a_recycled_file_is_no_proof() {
    let old = Log::new(0).fill(&[300]);
    let mut new = Log::new(0);
    new.timeline = 2;
    new = new.fill(&[411]);
    // The first page of the new log was copied from the older timeline.
    let end = 40_000;
    new.bytes[end..].copy_from_slice(&old.bytes[end..]);
    check(&new.bytes).unwrap();
}

#[test]
fn a_range_of_zeros_in_the_middle_is_damage() {
    let log = Log::new(0).fill(&[300]);
    for (from, to) in [(8192, 16384), (100_000, 100_512), (12_000, 900_000)] {
        let mut bytes = log.bytes.clone();
        bytes[from..to].fill(0);
        let refused = check(&bytes).unwrap_err();
        let BadSegmentCause::Damaged { at, next } = refused else {
            panic!("{refused:?}");
        };
        assert!(
            at.value() <= FIRST + from as u64 + 8 && next > at,
            "{at} {next}"
        );
    }
}

#[test]
fn a_record_that_was_given_up_is_no_damage() {
    let mut log = Log::new(0);
    log.record(100, (10, 0));
    let before = log.before;
    // Its third page never came: the server died, and went on after the second.
    log.record(30_000, (10, 0));
    log.bytes.truncate(2 * PAGE);
    log.before = before;
    log.page_header(OVERWRITES, 0);
    log.record(16, (0, 0xD0));
    let log = log.fill(&[500]);
    check(&log.bytes).unwrap();
    // Without the flag it is one.
    let mut bytes = log.bytes;
    bytes[2 * PAGE + 2] = 0;
    check(&bytes).unwrap_err();
}

#[test]
fn what_cannot_be_read_at_all_is_let_pass() {
    let mut log = Log::new(0).fill(&[300]);
    for page in log.bytes.chunks_mut(PAGE) {
        page[LONG_PAGE_HEADER..]
            .iter_mut()
            .for_each(|byte| *byte ^= 0xA5);
    }
    check(&log.bytes).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_sound_segment_is_never_refused(
        continued in 0usize..40_000,
        payloads in proptest::collection::vec(0usize..30_000, 1..30),
        switch_after in proptest::option::of(0usize..60),
        piece in 1usize..300_000,
    ) {
        let bytes = match switch_after {
            None => Log::new(continued).fill(&payloads).bytes,
            Some(count) => {
                let mut log = Log::new(continued);
                for payload in payloads.iter().cycle().take(count) {
                    log.record(*payload, (10, 0));
                }
                log.record(0, SWITCH);
                log.bytes.truncate(SEGMENT);
                log.padded()
            }
        };
        // Small pieces are slow, and few tell enough.
        prop_assert_eq!(check_in(&bytes, piece.max(500)), Ok(()));
    }

    #[test]
    fn any_bytes_are_answered(noise: Vec<u8>, at in 0usize..SEGMENT - 4096, size in 10u32..17) {
        let mut bytes = Log::new(9).fill(&[100, 3000]).bytes;
        let end = (at + noise.len()).min(SEGMENT);
        bytes[at.max(40)..end.max(40)].fill(0);
        for (place, byte) in bytes[at..end].iter_mut().zip(&noise) {
            *place = *byte;
        }
        let name: SegmentName = NAME.parse().unwrap();
        if let Ok(mut facts) = check_segment_head(&name, &bytes) {
            facts.page_bytes = 1 << size;
            let _ = RecordCheck::new(&name, &facts).pass(&bytes);
        }
    }
}
