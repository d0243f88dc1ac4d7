//! Reading a tar stream that may come from anywhere: damaged, cut short or hostile.
//!
//! The reader only says what the stream says; whether a path or a member kind is acceptable is
//! the extractor's decision. Always true: `Ok(None)` means that the end mark was seen.

use std::io::{self, Read};

pub use model::restore::members::MemberKind;

use super::{BLOCK_BYTES, padding_bytes};

/// One member as its header describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub path: Vec<u8>,
    pub kind: MemberKind,
    pub mode: u32,
    pub owner: Owner,
    pub mtime: u64,
    pub size_bytes: u64,
    /// Where a link leads.
    pub link: Vec<u8>,
    /// Its time has a fraction, as Python's `tarfile` writes it and we do not.
    pub is_finely_timed: bool,
}

/// Whose a member was, where it was archived. The names are empty if only numbers are known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Owner {
    pub uid: u64,
    pub gid: u64,
    pub user: Vec<u8>,
    pub group: Vec<u8>,
}

/// A tar stream being read; the content of the current member comes out through [`Read`].
pub struct TarReader<R: Read> {
    source: R,
    /// Content bytes of the current member not read yet.
    left_bytes: u64,
    padding: usize,
}

/// What extended headers say about the next member.
#[derive(Default)]
struct Extended {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size_bytes: Option<u64>,
    uid: Option<u64>,
    gid: Option<u64>,
    user: Option<Vec<u8>>,
    group: Option<Vec<u8>>,
    is_finely_timed: bool,
}

/// Extended headers hold names and numbers; more than this is an attack on memory.
const MAX_EXTENDED_BYTES: u64 = 64 * 1024;

impl<R: Read> TarReader<R> {
    pub fn new(source: R) -> TarReader<R> {
        TarReader {
            source,
            left_bytes: 0,
            padding: 0,
        }
    }

    /// Skips what is left of the current member and reads the next header.
    ///
    /// # Errors
    /// When the source fails, ends before the end mark, or is not a tar stream.
    pub fn next_member(&mut self) -> io::Result<Option<Member>> {
        io::copy(self, &mut io::sink())?;
        let mut extended = Extended::default();
        loop {
            let Some(header) = self.header()? else {
                return Ok(None);
            };
            let size_bytes = header.entry_size().map_err(damaged)?;
            match header.entry_type() {
                tar::EntryType::XHeader => {
                    let records = self.extension(size_bytes)?;
                    parse_pax(&records, &mut extended)?;
                }
                tar::EntryType::XGlobalHeader => drop(self.extension(size_bytes)?),
                tar::EntryType::GNULongName => {
                    extended.path = Some(self.long_name(size_bytes)?);
                }
                tar::EntryType::GNULongLink => {
                    extended.link = Some(self.long_name(size_bytes)?);
                }
                _ => return self.member(&header, size_bytes, extended).map(Some),
            }
        }
    }

    /// Reads what follows the end mark: padding of zeros, and whatever a codec checks at its end.
    ///
    /// # Errors
    /// When the source fails or has more than zeros.
    pub fn finish(mut self) -> io::Result<()> {
        let mut block = [0; 16 * BLOCK_BYTES];
        loop {
            match self.source.read(&mut block)? {
                0 => return Ok(()),
                count if block[..count].iter().all(|byte| *byte == 0) => {}
                _ => return Err(damaged("something follows its end mark")),
            }
        }
    }

    fn member(
        &mut self,
        header: &tar::Header,
        size_bytes: u64,
        extended: Extended,
    ) -> io::Result<Member> {
        let path = extended.path;
        let path = path.unwrap_or_else(|| header.path_bytes().into_owned());
        let kind = match header.entry_type() {
            // Before there was a letter for directories.
            tar::EntryType::Regular if header.as_old().linkflag == [0] && path.ends_with(b"/") => {
                MemberKind::Directory
            }
            tar::EntryType::Regular | tar::EntryType::Continuous => MemberKind::File,
            tar::EntryType::Directory => MemberKind::Directory,
            tar::EntryType::Link => MemberKind::HardLink,
            tar::EntryType::Symlink => MemberKind::SymbolicLink,
            other => MemberKind::Special(other.as_byte()),
        };
        let content = extended.size_bytes.unwrap_or(size_bytes);
        self.left_bytes = if kind == MemberKind::File { content } else { 0 };
        self.padding = padding_bytes(self.left_bytes);
        let named = |pax: Option<Vec<u8>>, plain: Option<&[u8]>| {
            pax.unwrap_or_else(|| plain.unwrap_or_default().to_vec())
        };
        let number = |pax: Option<u64>, plain: io::Result<u64>| match pax {
            Some(number) => Ok(number),
            None => plain.map_err(damaged),
        };
        let link = extended.link;
        Ok(Member {
            path,
            kind,
            mode: header.mode().map_err(damaged)?,
            owner: Owner {
                uid: number(extended.uid, header.uid())?,
                gid: number(extended.gid, header.gid())?,
                user: named(extended.user, header.username_bytes()),
                group: named(extended.group, header.groupname_bytes()),
            },
            mtime: header.mtime().map_err(damaged)?,
            size_bytes: self.left_bytes,
            link: named(link, header.link_name_bytes().as_deref()),
            is_finely_timed: extended.is_finely_timed,
        })
    }

    /// The next header block, or `None` at the end mark.
    fn header(&mut self) -> io::Result<Option<tar::Header>> {
        let mut block = [0; BLOCK_BYTES];
        self.fill(&mut block)?;
        if block == [0; BLOCK_BYTES] {
            self.fill(&mut block)?;
            return if block == [0; BLOCK_BYTES] {
                Ok(None)
            } else {
                Err(damaged("a lone zero block"))
            };
        }
        let header = tar::Header::from_byte_slice(&block).clone();
        if checksum(&block) != header.cksum().map_err(damaged)? {
            return Err(damaged("a header's checksum is wrong"));
        }
        Ok(Some(header))
    }

    fn extension(&mut self, size_bytes: u64) -> io::Result<Vec<u8>> {
        if size_bytes > MAX_EXTENDED_BYTES {
            return Err(damaged("an extended header is too large"));
        }
        let mut content = vec![0; size_bytes as usize + padding_bytes(size_bytes)];
        self.fill(&mut content)?;
        content.truncate(size_bytes as usize);
        Ok(content)
    }

    fn long_name(&mut self, size_bytes: u64) -> io::Result<Vec<u8>> {
        let mut name = self.extension(size_bytes)?;
        name.truncate(name.iter().position(|b| *b == 0).unwrap_or(name.len()));
        Ok(name)
    }

    fn fill(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        self.source
            .read_exact(buffer)
            .map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => ends_early(),
                _ => error,
            })
    }
}

impl<R: Read> Read for TarReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left_bytes == 0 {
            let mut padding = [0; BLOCK_BYTES];
            let length = std::mem::take(&mut self.padding);
            self.fill(&mut padding[..length])?;
            return Ok(0);
        }
        let wanted = buffer
            .len()
            .min(usize::try_from(self.left_bytes).unwrap_or(usize::MAX));
        let count = self.source.read(&mut buffer[..wanted])?;
        if count == 0 && wanted > 0 {
            return Err(ends_early());
        }
        self.left_bytes -= count as u64;
        Ok(count)
    }
}

/// The sum of all header bytes, the checksum field counted as spaces.
fn checksum(block: &[u8; BLOCK_BYTES]) -> u32 {
    let bytes = block[..148].iter().chain(&block[156..]);
    bytes.map(|byte| u32::from(*byte)).sum::<u32>() + 8 * u32::from(b' ')
}

fn parse_pax(records: &[u8], extended: &mut Extended) -> io::Result<()> {
    let mut rest = records;
    while !rest.is_empty() {
        let space = rest
            .iter()
            .position(|b| *b == b' ')
            .ok_or_else(|| damaged("pax record"))?;
        let length = std::str::from_utf8(&rest[..space])
            .ok()
            .and_then(|text| text.parse().ok());
        let length: usize = length.ok_or_else(|| damaged("pax record length"))?;
        if length <= space + 1 || length > rest.len() || rest[length - 1] != b'\n' {
            return Err(damaged("pax record length"));
        }
        let record = &rest[space + 1..length - 1];
        let equals = record
            .iter()
            .position(|b| *b == b'=')
            .ok_or_else(|| damaged("pax record"))?;
        let (key, value) = (&record[..equals], &record[equals + 1..]);
        let number = |what: &'static str| {
            let text = std::str::from_utf8(value).ok();
            let number = text.and_then(|text| text.parse().ok());
            number.map(Some).ok_or_else(|| damaged(what))
        };
        match key {
            b"path" => extended.path = Some(value.to_vec()),
            b"linkpath" => extended.link = Some(value.to_vec()),
            b"size" => extended.size_bytes = number("pax size")?,
            b"uid" => extended.uid = number("pax uid")?,
            b"gid" => extended.gid = number("pax gid")?,
            b"uname" => extended.user = Some(value.to_vec()),
            b"gname" => extended.group = Some(value.to_vec()),
            b"mtime" => extended.is_finely_timed = value.contains(&b'.'),
            // Its content is a map and what the map leaves of the file.
            key if key.starts_with(b"GNU.sparse.") => return Err(damaged("a sparse file")),
            _ => {}
        }
        rest = &rest[length..];
    }
    Ok(())
}

fn ends_early() -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "the archive ends before its end mark",
    )
}

fn damaged(cause: impl std::fmt::Display) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("the archive is damaged: {cause}"),
    )
}
