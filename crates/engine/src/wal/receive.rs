//! The content of a stored WAL file arrives: decoded, checked while it comes, and bounded.
//!
//! Where it goes and what becomes of it is the caller's. Always true: not a byte more is written
//! than a segment of its own header's size may have, and what [`receive`] returns is whole, has
//! the header that its name asks for, comes from the cluster that recovers, and holds a log that is
//! not broken in its middle.

use std::io::{self, Read, Write};
use std::path::Path;

use model::codec::Codec;
use model::postgres::{SegmentSize, SystemId};
use model::wal::name::{SegmentName, WalName};
use model::wal::records::RecordCheck;
use model::wal::segment::{
    BadSegment, BadSegmentCause, SegmentFacts, check_segment, check_segment_head,
};

use super::error::FetchError;
use crate::codec::decoder;
use crate::download::{Download, Watch, open_download};
use crate::durable::PendingFile;
use crate::stop::StopFlag;
use crate::store::{Bucket, StoreError};

/// Histories and backup labels are a few lines; this is far more than PostgreSQL ever writes.
pub(super) const TEXT_LIMIT_BYTES: u64 = 1024 * 1024;
const BUFFER_BYTES: usize = 256 * 1024;
/// One page of WAL, which begins with the header.
const HEAD_BYTES: usize = 8192;

/// An object whose decoded content is about to be read.
pub struct Decoded {
    download: Download,
    codec: Codec,
}

impl Decoded {
    /// Opens the content, on the blocking thread that reads it.
    ///
    /// An object without a codec's suffix may be compressed all the same: Barman's hook script
    /// stores what `barman-wal-archive --gzip` sent under the bare name.
    ///
    /// # Errors
    /// When the codec cannot be set up, or the first bytes do not come.
    pub fn open(mut self) -> io::Result<Box<dyn Read>> {
        if self.codec != Codec::None {
            return decoder(self.codec, self.download);
        }
        let mut head = Vec::new();
        let mut beginning = (&mut self.download).take(Codec::MAGIC_LENGTH as u64);
        beginning.read_to_end(&mut head)?;
        let codec = Codec::from_magic(&head);
        decoder(codec, io::Cursor::new(head).chain(self.download))
    }
}

/// Begins to download an object that is compressed with `codec`; a raised `stop` ends it.
///
/// # Errors
/// When the store does not have it or refuses.
pub async fn open_decoded(
    bucket: &Bucket,
    (key, codec): (&str, Codec),
    stop: &StopFlag,
) -> Result<Decoded, StoreError> {
    let watch = Watch {
        stop: stop.clone(),
        ..Watch::default()
    };
    Ok(Decoded {
        download: open_download(bucket, key, &watch).await?,
        codec,
    })
}

/// A whole WAL file under a temporary name.
pub struct Received {
    pub file: PendingFile,
    /// Of the whole content.
    pub crc32c: u32,
    /// The size in the header; `None` for what is no segment.
    pub segment_size: Option<SegmentSize>,
}

/// Which WAL file is expected from where, and for which place.
pub struct Expected<'a> {
    pub name: &'a WalName,
    /// The object's address, for messages.
    pub object: &'a str,
    pub destination: &'a Path,
    /// The cluster that wants it, if known.
    pub system_id: Option<SystemId>,
}

/// Reads and checks a whole WAL file into a temporary file beside its destination. Blocks.
///
/// # Errors
/// When it cannot be read, decoded or written, is not what its name says, or `stop` is raised;
/// nothing is left behind then.
pub fn receive(
    decoded: Decoded,
    expected: &Expected<'_>,
    stop: &StopFlag,
) -> Result<Received, FetchError> {
    let object = || expected.object.to_owned();
    let read_failed = |source| {
        if stop.is_raised() {
            FetchError::Stopped
        } else {
            FetchError::Decode {
                object: object(),
                source,
            }
        }
    };
    let write_failed = |source| FetchError::Write {
        path: expected.destination.to_path_buf(),
        source,
    };
    let mut source = decoded.open().map_err(read_failed)?;
    let mut file = PendingFile::create(expected.destination).map_err(write_failed)?;
    let mut gate = Gate::before(expected.name).only_from(expected.system_id);
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut crc32c = 0;
    loop {
        if stop.is_raised() {
            return Err(FetchError::Stopped);
        }
        let count = source.read(&mut buffer).map_err(read_failed)?;
        if count == 0 {
            break;
        }
        gate.pass(&buffer[..count])
            .map_err(|refusal| refusal.about(object()))?;
        file.write_all(&buffer[..count]).map_err(write_failed)?;
        crc32c = crc32c::crc32c_append(crc32c, &buffer[..count]);
    }
    let segment_size = gate.close().map_err(|refusal| refusal.about(object()))?;
    Ok(Received {
        file,
        crc32c,
        segment_size,
    })
}

/// Lets a WAL file's content pass as long as it is what its name says.
pub struct Gate {
    segment: Option<SegmentName>,
    head: Vec<u8>,
    length: u64,
    /// In bytes; known for a segment once its header has come.
    limit: Option<u64>,
    system_id: Option<SystemId>,
    records: Records,
    /// A history says where its timeline came from; what a crash left of a label, nobody reads.
    may_be_empty: bool,
}

/// Whether the records are looked at.
enum Records {
    /// Once the header has come.
    Wanted,
    Checked(Box<RecordCheck>),
    /// Another checksum tells that nothing changed, or half a log is as good as a whole one.
    Unchecked,
}

/// Why content may not pass.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error(transparent)]
    Segment(BadSegment),
    #[error("it is larger than {limit} bytes")]
    TooLong { limit: u64 },
    #[error("it is empty")]
    Empty,
}

impl Refusal {
    fn about(self, object: String) -> FetchError {
        match self {
            Refusal::Segment(source) => FetchError::Segment { object, source },
            Refusal::TooLong { limit } => FetchError::TooLong { object, limit },
            Refusal::Empty => FetchError::Empty { object },
        }
    }
}

impl Gate {
    /// A gate for the content of this file.
    pub fn before(name: &WalName) -> Gate {
        let (segment, limit) = match name {
            WalName::Segment(segment) | WalName::Partial(segment) => (Some(*segment), None),
            WalName::BackupLabel { .. } | WalName::History(_) => (None, Some(TEXT_LIMIT_BYTES)),
        };
        Gate {
            segment,
            head: Vec::new(),
            length: 0,
            limit,
            system_id: None,
            may_be_empty: matches!(name, WalName::BackupLabel { .. }),
            records: match name {
                WalName::Segment(_) => Records::Wanted,
                // What a server that died wrote last, in whatever state.
                _ => Records::Unchecked,
            },
        }
    }

    /// Lets only segments of this cluster pass, if it is known.
    pub fn only_from(self, system_id: Option<SystemId>) -> Gate {
        Gate { system_id, ..self }
    }

    /// The same without a look at the records, for what a checksum of the whole content vouches.
    pub fn before_what_was_checked(name: &WalName) -> Gate {
        Gate {
            records: Records::Unchecked,
            ..Gate::before(name)
        }
    }

    /// Judges the next piece.
    ///
    /// # Errors
    /// When the header is wrong, there is more than there may be, or the log is broken.
    pub fn pass(&mut self, piece: &[u8]) -> Result<(), Refusal> {
        self.length += piece.len() as u64;
        let mut rest = piece;
        if let Some(segment) = self.segment
            && self.head.len() < HEAD_BYTES
        {
            let wanted = (HEAD_BYTES - self.head.len()).min(piece.len());
            self.head.extend_from_slice(&piece[..wanted]);
            rest = &piece[wanted..];
            if self.head.len() == HEAD_BYTES {
                let facts = check_segment_head(&segment, &self.head).map_err(Refusal::Segment)?;
                self.judge_cluster(segment, &facts)?;
                self.limit = Some(facts.segment_size.bytes());
                if matches!(self.records, Records::Wanted) {
                    let mut check = RecordCheck::new(&segment, &facts);
                    check.pass(&self.head).map_err(|it| bad(segment, it))?;
                    self.records = Records::Checked(Box::new(check));
                }
            }
        }
        match (self.limit, self.segment) {
            (Some(limit), Some(name)) if self.length > limit => {
                let (expected, found) = (limit, self.length);
                return Err(bad(name, BadSegmentCause::Length { expected, found }));
            }
            (Some(limit), None) if self.length > limit => return Err(Refusal::TooLong { limit }),
            _ => {}
        }
        match (&mut self.records, self.segment) {
            (Records::Checked(check), Some(name)) => {
                check.pass(rest).map_err(|cause| bad(name, cause))
            }
            _ => Ok(()),
        }
    }

    fn judge_cluster(&self, name: SegmentName, facts: &SegmentFacts) -> Result<(), Refusal> {
        match self.system_id {
            Some(expected) if expected != facts.system_id => {
                let found = facts.system_id;
                Err(bad(
                    name,
                    BadSegmentCause::ForeignCluster { expected, found },
                ))
            }
            _ => Ok(()),
        }
    }

    /// The end has come: gives the size of the segment, if it is one.
    ///
    /// # Errors
    /// When a segment is not whole, or there is nothing where there must be something.
    pub fn close(self) -> Result<Option<SegmentSize>, Refusal> {
        let Some(segment) = &self.segment else {
            return match self.length {
                0 if !self.may_be_empty => Err(Refusal::Empty),
                _ => Ok(None),
            };
        };
        let facts = check_segment(segment, &self.head, self.length, self.system_id);
        Ok(Some(facts.map_err(Refusal::Segment)?.segment_size))
    }
}

fn bad(name: SegmentName, cause: BadSegmentCause) -> Refusal {
    Refusal::Segment(BadSegment { name, cause })
}
