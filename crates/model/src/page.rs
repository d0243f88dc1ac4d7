//! Data pages: their checksum, whether a copied page is sound, and which files hold pages.
//!
//! The checksum is the one of PostgreSQL's `storage/checksum_impl.h`: 32 FNV-1a-like sums side by
//! side, each over every 32nd word of the page. The layout of a page's header is the manual's
//! ("Database Page Layout"). Reading a torn page again is the caller's.

use crate::wal::lsn::Lsn;

/// The length of a data page in bytes, unless PostgreSQL was compiled otherwise.
pub const PAGE_SIZE: usize = 8192;

/// Pages in each file of a relation but the last, unless PostgreSQL was compiled otherwise.
///
/// The block number of a page is its file's [`relation_segment`] times this, plus its place.
pub const PAGES_PER_FILE: u32 = 131_072;

/// What there is to say about a page of a cluster with checksums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageState {
    /// Allocated, never used: it has no checksum yet.
    New,
    /// The checksum is right.
    Valid,
    /// Written since the backup began, so perhaps while we read it: recovery restores it from WAL.
    NewerThanBackup,
    /// Less than a page: the file was growing while we read it, and WAL has the rest.
    Incomplete,
    /// The checksum is wrong.
    Damaged {
        /// The checksum of the bytes.
        expected: u16,
        /// The checksum in the page's header.
        found: u16,
        /// The position of the page's last change, if the header can be believed.
        lsn: Lsn,
    },
}

/// The checksum of a page that is block `block` of its relation; never zero.
pub fn page_checksum(page: &[u8; PAGE_SIZE], block: u32) -> u16 {
    let (rows, _) = page.as_chunks::<ROW>();
    let mut sums = BASIS;
    let mut first = words(&rows[0]);
    // The checksum itself, in the lower half of the third word, counts as zero.
    first[2] &= 0xFFFF_0000;
    mix(&mut sums, &first);
    for row in &rows[1..] {
        mix(&mut sums, &words(row));
    }
    mix(&mut sums, &[0; LANES]);
    mix(&mut sums, &[0; LANES]);
    let sum = sums.iter().fold(block, |folded, sum| folded ^ sum);
    u16::try_from(sum % 65535 + 1).expect("at most 65535")
}

/// Judges a page copied by a backup that began at `backup_start`, by the rules of pg_basebackup.
pub fn check_page(page: &[u8], block: u32, backup_start: Lsn) -> PageState {
    let Ok(page) = <&[u8; PAGE_SIZE]>::try_from(page) else {
        return PageState::Incomplete;
    };
    let upper = u16::from_le_bytes([page[14], page[15]]);
    if upper == 0 {
        return PageState::New;
    }
    let (halves, _) = page.as_chunks::<4>();
    let half = |index: usize| u64::from(u32::from_le_bytes(halves[index]));
    let lsn = Lsn::new(half(0) << 32 | half(1));
    if lsn >= backup_start {
        return PageState::NewerThanBackup;
    }
    let expected = page_checksum(page, block);
    let found = u16::from_le_bytes([page[8], page[9]]);
    if expected == found {
        PageState::Valid
    } else {
        PageState::Damaged {
            expected,
            found,
            lsn,
        }
    }
}

/// The number of a relation's file, if the path is one: 0 for `base/5/16384`, 2 for
/// `base/5/16384_vm.2`.
///
/// Paths are relative to the data directory (`base/…`, `global/…`, `pg_tblspc/<oid>/PG_…/…`) or
/// to a tablespace (`PG_…/…`). `None` for everything else, temporary relations among them: they
/// are not part of a backup.
pub fn relation_segment(path: &str) -> Option<u32> {
    let (directory, name) = path.rsplit_once('/')?;
    let parts: Vec<&str> = directory.split('/').collect();
    let in_tablespace = match parts.as_slice() {
        ["global"] => true,
        ["base", database] => is_oid(database),
        [version, database] | ["pg_tblspc", _, version, database] => {
            version.starts_with("PG_") && is_oid(database)
        }
        _ => false,
    };
    if in_tablespace {
        relation_file(name)
    } else {
        None
    }
}

/// The init fork of the relation that a file belongs to: where it exists, the relation is
/// unlogged, and PostgreSQL makes its other files anew when it recovers.
pub fn init_fork_of(path: &str) -> Option<String> {
    relation_segment(path)?;
    let (directory, name) = path.rsplit_once('/')?;
    let relation = name.split(['_', '.']).next()?;
    let fork = format!("{directory}/{relation}_init");
    (!name.starts_with(&format!("{relation}_init"))).then_some(fork)
}

const LANES: usize = 32;
/// Bytes that are mixed in at a time.
const ROW: usize = LANES * 4;
const PRIME: u32 = 16_777_619;

/// Where each sum begins: `checksumBaseOffsets` of `storage/checksum_impl.h`, random numbers that
/// are part of the on-disk format.
#[rustfmt::skip]
const BASIS: [u32; LANES] = [
    0x5B1F_36E9, 0xB852_5960, 0x02AB_50AA, 0x1DE6_6D2A,
    0x79FF_467A, 0x9BB9_F8A3, 0x217E_7CD2, 0x83E1_3D2C,
    0xF8D4_474F, 0xE39E_B970, 0x42C6_AE16, 0x9932_16FA,
    0x7B09_3B5D, 0x98DA_FF3C, 0xF718_902A, 0x0B1C_9CDB,
    0xE58F_764B, 0x1876_36BC, 0x5D7B_3BB1, 0xE73D_E7DE,
    0x92BE_C979, 0xCCA6_C0B2, 0x304A_0979, 0x85AA_43D4,
    0x7831_25BB, 0x6CA8_EAA2, 0xE407_EAC6, 0x4B5C_FC3E,
    0x9FBF_8C76, 0x15CA_20BE, 0xF2CA_9FD3, 0x959B_D756,
];

/// One step of every sum. Independent lanes in arrays of a fixed length: this becomes SIMD.
#[inline(always)]
fn mix(sums: &mut [u32; LANES], words: &[u32; LANES]) {
    for (sum, word) in sums.iter_mut().zip(words) {
        let mixed = *sum ^ word;
        *sum = mixed.wrapping_mul(PRIME) ^ (mixed >> 17);
    }
}

#[inline(always)]
fn words(row: &[u8; ROW]) -> [u32; LANES] {
    let (bytes, _) = row.as_chunks::<4>();
    std::array::from_fn(|lane| u32::from_le_bytes(bytes[lane]))
}

fn relation_file(name: &str) -> Option<u32> {
    let (stem, number) = match name.split_once('.') {
        Some((stem, number)) => (stem, segment_number(number)?),
        None => (name, 0),
    };
    let relation = ["_fsm", "_vm", "_init"]
        .iter()
        .find_map(|fork| stem.strip_suffix(fork));
    is_oid(relation.unwrap_or(stem)).then_some(number)
}

/// Files are numbered from 1; the first has no number. Block numbers have 32 bits.
fn segment_number(digits: &str) -> Option<u32> {
    let number = if is_oid(digits) {
        digits.parse().ok()?
    } else {
        0
    };
    (1..=u32::MAX / PAGES_PER_FILE)
        .contains(&number)
        .then_some(number)
}

fn is_oid(text: &str) -> bool {
    let digits = !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
    digits && text.parse::<u32>().is_ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Block 3 of a table of PostgreSQL 15, in a cluster that `pg_checksums --check` found clean.
    const PAGE: &[u8; PAGE_SIZE] = include_bytes!("../fixtures/page-heap-block3");
    /// From the first eight bytes of the page.
    const PAGE_LSN: Lsn = Lsn::new(0x1BE_42F0);
    const LAST: Lsn = Lsn::new(u64::MAX);

    fn changed(place: usize) -> [u8; PAGE_SIZE] {
        let mut page = *PAGE;
        page[place] ^= 1;
        page
    }

    #[test]
    fn a_real_page_is_valid() {
        assert_eq!(
            page_checksum(PAGE, 3),
            u16::from_le_bytes([PAGE[8], PAGE[9]])
        );
        assert_eq!(check_page(PAGE, 3, LAST), PageState::Valid);
    }

    #[test]
    fn every_byte_counts_except_the_checksum() {
        let right = page_checksum(PAGE, 3);
        for place in 0..PAGE_SIZE {
            let same = page_checksum(&changed(place), 3) == right;
            assert_eq!(same, (8..10).contains(&place), "byte {place}");
        }
    }

    #[test]
    fn a_page_in_the_wrong_place_is_damaged() {
        let found = page_checksum(PAGE, 3);
        let state = check_page(PAGE, 4, LAST);
        assert!(
            matches!(state, PageState::Damaged { found: f, .. } if f == found),
            "{state:?}"
        );
    }

    #[test]
    fn a_damaged_page_tells_what_was_found() {
        let page = changed(8000);
        let state = check_page(&page, 3, LAST);
        let expected = page_checksum(&page, 3);
        let (found, lsn) = (page_checksum(PAGE, 3), PAGE_LSN);
        assert_eq!(
            state,
            PageState::Damaged {
                expected,
                found,
                lsn
            }
        );
    }

    #[test]
    fn a_page_written_since_the_backup_began_is_left_to_wal() {
        let page = changed(8000);
        assert_eq!(check_page(&page, 3, PAGE_LSN), PageState::NewerThanBackup);
        let later = Lsn::new(PAGE_LSN.value() + 1);
        assert!(matches!(
            check_page(&page, 3, later),
            PageState::Damaged { .. }
        ));
    }

    #[test]
    fn a_new_page_has_no_checksum() {
        assert_eq!(check_page(&[0; PAGE_SIZE], 0, LAST), PageState::New);
    }

    #[test]
    fn less_than_a_page_is_not_judged() {
        for length in [0, 8, 8191] {
            assert_eq!(check_page(&PAGE[..length], 3, LAST), PageState::Incomplete);
        }
    }

    #[test]
    fn relation_files_are_known_by_their_paths() {
        for (path, number) in [
            ("base/5/16384", 0),
            ("base/5/16384.1", 1),
            ("base/5/16384_fsm", 0),
            ("base/5/16384_vm.12", 12),
            ("base/5/16384_init", 0),
            ("base/5/4294967295.32767", 32767),
            ("global/1262", 0),
            ("PG_15_202209061/5/16384.3", 3),
            ("pg_tblspc/16400/PG_15_202209061/5/16384.3", 3),
        ] {
            assert_eq!(relation_segment(path), Some(number), "{path}");
        }
    }

    #[test]
    fn an_unlogged_relation_is_known_by_its_init_fork() {
        for path in [
            "base/5/16384",
            "base/5/16384.3",
            "base/5/16384_fsm",
            "base/5/16384_vm.1",
        ] {
            let fork = init_fork_of(path);
            assert_eq!(fork.as_deref(), Some("base/5/16384_init"), "{path}");
        }
        for path in ["base/5/16384_init", "base/5/PG_VERSION", "postgresql.conf"] {
            assert_eq!(init_fork_of(path), None, "{path}");
        }
    }

    #[test]
    fn other_files_have_no_pages_to_check() {
        for path in [
            "",
            "16384",
            "base/16384",
            "base/5/PG_VERSION",
            "base/5/pg_filenode.map",
            "base/5/pg_internal.init",
            "base/5/t3_16384",
            "base/5/016384",
            "base/5/16384.0",
            "base/5/16384.01",
            "base/5/16384.32768",
            "base/5/16384.1.1",
            "base/5/16384_vm_fsm",
            "base/5/16384_old",
            "base/5/_vm",
            "base/5/4294967296",
            "base/x/16384",
            "base/5/5/16384",
            "base/pgsql_tmp/1",
            "global/pg_control",
            "pg_wal/000000010000000000000001",
            "pg_xact/0000",
            "pg_tblspc/16400",
            "pg_tblspc/16400/5/16384",
        ] {
            assert_eq!(relation_segment(path), None, "{path}");
        }
    }

    proptest! {
        #[test]
        fn any_path_and_page_is_answered(path: String, page: Vec<u8>, block: u32) {
            let _ = (relation_segment(&path), check_page(&page, block, LAST));
        }
    }
}
