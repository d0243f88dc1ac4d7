//! Writing a tar stream: headers, exactly as many bytes as announced, padding, the end mark.

use std::io::{self, Write};

use super::{BLOCK_BYTES, padding_bytes};
use crate::accounts::Accounts;

/// What a member's header says.
#[derive(Debug, Clone, Copy)]
pub struct MemberHeader<'a> {
    /// Relative path as bytes: file names need not be UTF-8.
    pub path: &'a [u8],
    /// Permission bits.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// Modification time, seconds since 1970.
    pub mtime: u64,
    /// Content length; 0 for a directory.
    pub size_bytes: u64,
}

/// A tar stream being written; the content of the open member goes in through [`Write`].
pub struct TarWriter<W: Write> {
    sink: W,
    /// Content bytes the open member still owes.
    owed_bytes: u64,
    padding: usize,
    /// Asked for the names of owners, if they are to be written.
    accounts: Option<Accounts>,
}

/// The longest path that fits the plain header's name field.
const NAME_FIELD_BYTES: usize = 100;

impl<W: Write> TarWriter<W> {
    pub fn new(sink: W) -> TarWriter<W> {
        TarWriter {
            sink,
            owed_bytes: 0,
            padding: 0,
            accounts: None,
        }
    }

    /// One that writes the names of owners beside their numbers, which another host may not know.
    pub fn naming_owners(sink: W) -> TarWriter<W> {
        TarWriter {
            accounts: Some(Accounts::default()),
            ..TarWriter::new(sink)
        }
    }

    /// Adds a directory entry.
    ///
    /// # Errors
    /// When the sink fails.
    pub fn directory(&mut self, header: &MemberHeader<'_>) -> io::Result<()> {
        self.header(header, tar::EntryType::Directory)
    }

    /// Begins a regular file: write exactly `size_bytes` bytes, then call [`Self::end_file`].
    ///
    /// # Errors
    /// When the sink fails.
    pub fn begin_file(&mut self, header: &MemberHeader<'_>) -> io::Result<()> {
        self.header(header, tar::EntryType::Regular)?;
        self.owed_bytes = header.size_bytes;
        self.padding = padding_bytes(header.size_bytes);
        Ok(())
    }

    /// Ends the open file. A file that shrank while it was read is filled with zeros, which WAL
    /// replay mends.
    ///
    /// # Errors
    /// When the sink fails.
    pub fn end_file(&mut self) -> io::Result<()> {
        io::copy(
            &mut io::Read::take(io::repeat(0), self.owed_bytes),
            &mut self.sink,
        )?;
        self.owed_bytes = 0;
        self.sink.write_all(&[0; BLOCK_BYTES][..self.padding])
    }

    /// Writes the end mark and gives the sink back.
    ///
    /// # Errors
    /// When the sink fails.
    pub fn finish(mut self) -> io::Result<W> {
        self.sink.write_all(&[0; 2 * BLOCK_BYTES])?;
        Ok(self.sink)
    }

    /// Gives the sink back without an end mark: the archive is not complete.
    pub fn into_inner(self) -> W {
        self.sink
    }

    fn header(&mut self, member: &MemberHeader<'_>, kind: tar::EntryType) -> io::Result<()> {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(member.mode);
        header.set_uid(member.uid.into());
        header.set_gid(member.gid.into());
        header.set_mtime(member.mtime);
        header.set_size(member.size_bytes);
        if let Some(accounts) = &mut self.accounts {
            // A name that the field cannot hold: the number has to do.
            let user = accounts.user_name(member.uid).unwrap_or_default();
            let _ = header.set_username(&user);
            let group = accounts.group_name(member.gid).unwrap_or_default();
            let _ = header.set_groupname(&group);
        }
        if member.path.len() > NAME_FIELD_BYTES || !member.path.is_ascii() {
            self.extended_path(member.path)?;
        }
        let name = &mut header.as_old_mut().name;
        let length = member.path.len().min(NAME_FIELD_BYTES);
        name[..length].copy_from_slice(&member.path[..length]);
        header.set_cksum();
        self.sink.write_all(header.as_bytes())
    }

    /// A pax extended header that carries the whole path (POSIX.1-2001, "pax Extended Header").
    fn extended_path(&mut self, path: &[u8]) -> io::Result<()> {
        let record = pax_record(b"path", path);
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::XHeader);
        header.set_mode(0o600);
        header.set_size(record.len() as u64);
        header.as_old_mut().name[..9].copy_from_slice(b"PaxHeader");
        header.set_cksum();
        self.sink.write_all(header.as_bytes())?;
        self.sink.write_all(&record)?;
        self.sink
            .write_all(&[0; BLOCK_BYTES][..padding_bytes(record.len() as u64)])
    }
}

/// `"<length> <key>=<value>\n"`, where the length counts itself.
pub(super) fn pax_record(key: &[u8], value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    let mut record = length.to_string().into_bytes();
    record.push(b' ');
    record.extend_from_slice(key);
    record.push(b'=');
    record.extend_from_slice(value);
    record.push(b'\n');
    record
}

impl<W: Write> Write for TarWriter<W> {
    /// Content beyond the announced size is swallowed: a file that grew while it was read is cut
    /// to the size in its header.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let wanted = bytes
            .len()
            .min(usize::try_from(self.owed_bytes).unwrap_or(usize::MAX));
        self.sink.write_all(&bytes[..wanted])?;
        self.owed_bytes -= wanted as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_a_pax_record_counts_itself() {
        assert_eq!(pax_record(b"path", b"abc"), b"12 path=abc\n");
        let long = pax_record(b"path", &[b'x'; 91]);
        assert_eq!(long.len(), 101);
        assert!(long.starts_with(b"101 path="));
    }

    #[test]
    fn a_file_that_shrank_is_filled_and_one_that_grew_is_cut() {
        let header = MemberHeader {
            path: b"f",
            mode: 0o600,
            uid: 0,
            gid: 0,
            mtime: 0,
            size_bytes: 4,
        };
        for content in [b"ab".as_slice(), b"abcdefgh"] {
            let mut tar = TarWriter::new(Vec::new());
            tar.begin_file(&header).unwrap();
            tar.write_all(content).unwrap();
            tar.end_file().unwrap();
            let bytes = tar.into_inner();
            assert_eq!(bytes.len(), 2 * BLOCK_BYTES);
            assert_eq!(&bytes[BLOCK_BYTES..BLOCK_BYTES + 2], b"ab");
        }
    }
}
