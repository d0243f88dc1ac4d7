//! The tar streams of Barman's archives: one writer, one reader, both strictly streaming.
//!
//! The format is POSIX.1-2001 (pax): ustar headers, with extended headers only where a name or a
//! size does not fit. Headers are coded by the `tar` crate; streams, sizes and ends are ours,
//! because a data file may change while it is read and because an archive that ends early must
//! never look complete. Always true: what [`write::TarWriter`] wrote, [`read::TarReader`] and any
//! tar program read.

pub mod read;
pub mod write;

/// Tar works in blocks of this many bytes.
pub const BLOCK_BYTES: usize = 512;

/// Zero bytes needed after a member of this size to fill its last block.
pub fn padding_bytes(size_bytes: u64) -> usize {
    let rest = (size_bytes % BLOCK_BYTES as u64) as usize;
    if rest == 0 { 0 } else { BLOCK_BYTES - rest }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::read::{MemberKind, TarReader};
    use super::write::{MemberHeader, TarWriter};
    use super::*;

    fn header(path: &str, size_bytes: u64) -> MemberHeader<'_> {
        MemberHeader {
            path: path.as_bytes(),
            mode: 0o600,
            uid: 7,
            gid: 8,
            mtime: 9,
            size_bytes,
        }
    }

    fn two_members() -> Vec<u8> {
        let long = format!("base/{}/1", "x".repeat(150));
        let mut tar = TarWriter::new(Vec::new());
        tar.directory(&MemberHeader {
            mode: 0o700,
            ..header(".", 0)
        })
        .unwrap();
        tar.begin_file(&header(&long, 5)).unwrap();
        tar.write_all(b"hello").unwrap();
        tar.end_file().unwrap();
        tar.finish().unwrap()
    }

    #[test]
    fn what_was_written_is_read_back() {
        let bytes = two_members();
        assert_eq!(bytes.len() % BLOCK_BYTES, 0);
        let mut reader = TarReader::new(bytes.as_slice());
        let root = reader.next_member().unwrap().unwrap();
        assert_eq!(
            (root.path.as_slice(), root.kind),
            (b".".as_slice(), MemberKind::Directory)
        );
        let file = reader.next_member().unwrap().unwrap();
        assert_eq!(file.path.len(), 157);
        assert_eq!(
            (file.mode, file.owner.uid, file.owner.gid, file.mtime),
            (0o600, 7, 8, 9)
        );
        let mut content = String::new();
        reader.read_to_string(&mut content).unwrap();
        assert_eq!(content, "hello");
        assert!(reader.next_member().unwrap().is_none());
    }

    #[test]
    fn a_member_nobody_read_is_skipped() {
        let mut tar = TarWriter::new(Vec::new());
        for path in ["a", "b"] {
            tar.begin_file(&header(path, 1000)).unwrap();
            tar.write_all(&[1; 1000]).unwrap();
            tar.end_file().unwrap();
        }
        let bytes = tar.finish().unwrap();
        let mut reader = TarReader::new(bytes.as_slice());
        reader.next_member().unwrap().unwrap();
        assert_eq!(reader.next_member().unwrap().unwrap().path, b"b");
    }

    #[test]
    fn an_archive_cut_anywhere_is_an_error() {
        let bytes = two_members();
        for length in (0..bytes.len() - BLOCK_BYTES).step_by(37) {
            let mut reader = TarReader::new(&bytes[..length]);
            let mut sink = Vec::new();
            let outcome = loop {
                match reader.next_member() {
                    Ok(Some(_)) => {
                        if let Err(error) = reader.read_to_end(&mut sink) {
                            break Err(error);
                        }
                    }
                    Ok(None) => break Ok(()),
                    Err(error) => break Err(error),
                }
            };
            assert!(outcome.is_err(), "cut at {length} looked whole");
        }
    }

    #[test]
    fn a_file_of_nine_gigabytes_keeps_its_size() {
        let size = 9 * 1024 * 1024 * 1024;
        let mut tar = TarWriter::new(Vec::new());
        tar.begin_file(&header("big", size)).unwrap();
        let bytes = tar.into_inner();
        let mut reader = TarReader::new(bytes.as_slice());
        assert_eq!(reader.next_member().unwrap().unwrap().size_bytes, size);
    }

    #[test]
    fn owners_are_named_if_this_host_knows_them() {
        let root = MemberHeader {
            uid: 0,
            gid: 0,
            ..header("a", 0)
        };
        let stranger = MemberHeader {
            uid: 3_999_999_999,
            gid: 3_999_999_998,
            ..header("b", 0)
        };
        let mut tar = TarWriter::naming_owners(Vec::new());
        tar.begin_file(&root).unwrap();
        tar.begin_file(&stranger).unwrap();
        let bytes = tar.finish().unwrap();
        let mut reader = TarReader::new(bytes.as_slice());
        let owner = reader.next_member().unwrap().unwrap().owner;
        assert_eq!(
            (owner.user, owner.group),
            (b"root".to_vec(), b"root".to_vec())
        );
        let owner = reader.next_member().unwrap().unwrap().owner;
        assert_eq!((owner.uid, owner.gid), (3_999_999_999, 3_999_999_998));
        assert_eq!((owner.user, owner.group), (vec![], vec![]));
    }

    /// Python's `tarfile` writes a number that does not fit as zero, and the number beside it.
    #[test]
    fn what_an_extended_header_says_of_owner_and_link_counts() {
        let records = [
            ("uid", "1987600001"),
            ("gid", "1987600002"),
            ("uname", "postgres@example.org"),
            ("linkpath", "base/5/1"),
            ("mtime", "1764000000.25"),
        ];
        let records: Vec<u8> = records
            .into_iter()
            .flat_map(|(key, value)| super::write::pax_record(key.as_bytes(), value.as_bytes()))
            .collect();
        let member = |kind, size| {
            let mut header = tar::Header::new_ustar();
            header.set_entry_type(kind);
            header.set_mode(0o600);
            header.set_uid(0);
            header.set_gid(0);
            header.set_mtime(0);
            header.set_size(size);
            header.set_cksum();
            header.as_bytes().to_vec()
        };
        let mut bytes = member(tar::EntryType::XHeader, records.len() as u64);
        bytes.extend(&records);
        bytes.resize(2 * BLOCK_BYTES, 0);
        bytes.extend(member(tar::EntryType::Link, 0));
        let mut reader = TarReader::new(bytes.as_slice());
        let member = reader.next_member().unwrap().unwrap();
        assert_eq!(member.kind, MemberKind::HardLink);
        assert_eq!(
            (member.owner.uid, member.owner.gid),
            (1_987_600_001, 1_987_600_002)
        );
        assert_eq!(member.owner.user, b"postgres@example.org");
        assert_eq!(member.link, b"base/5/1");
        assert!(member.is_finely_timed);
    }
}
