//! A WAL file in the form it is stored in: read once, compressed, in memory.
//!
//! Zstandard, whose one stream several threads can write, gets all cores when one file is archived
//! alone, so that `archive_command` ends sooner; files that are archived side by side share them.
//! Always true: what comes out is a single frame, as long as the file was when it was judged, and
//! of a segment whose log is not broken in its middle.

use std::io::{self, Read, Seek, Write};
use std::path::Path;
use std::thread::available_parallelism;

use model::codec::Codec;
use object_store::{PutPayload, PutPayloadMut};

use super::error::WalArchiveError;
use super::inspect::Inspected;
use super::receive::{Gate, Refusal};
use crate::codec::Encoder;

pub(super) const BUFFER_BYTES: usize = 256 * 1024;
/// More threads would wait for each other's pieces: a segment has sixteen, which keep these busy.
const MOST_THREADS: usize = 4;

/// What may be used of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cores {
    /// Nothing else is compressed meanwhile.
    All,
    /// Other files are compressed at the same time.
    One,
}

/// A file in the form it is stored in.
pub(super) struct Packed {
    pub(super) inspected: Inspected,
    pub(super) payload: PutPayload,
    /// Of the whole file, as it was read.
    pub(super) crc32c: u32,
}

/// Reads and compresses a file. Blocks.
///
/// # Errors
/// When it cannot be read, is not as long as it was, or its records are not sound.
pub(super) fn pack(
    mut inspected: Inspected,
    (codec, level): (Codec, Option<i32>),
    cores: Cores,
) -> Result<Packed, WalArchiveError> {
    let packed = match threads(codec, cores) {
        0 => compress(&mut inspected, Encoder::create(codec, level, sink())),
        // Where no more threads can be had, one has to do.
        count => compress(
            &mut inspected,
            Encoder::create_on_threads(level, count, sink()),
        )
        .or_else(|error| match error {
            Unpacked::Refused(_) => Err(error),
            Unpacked::Failed(_) => {
                inspected.file.rewind()?;
                compress(&mut inspected, Encoder::create(codec, level, sink()))
            }
        }),
    };
    let (payload, length, crc32c) = packed.map_err(|error| error.about(&inspected.path))?;
    if length != inspected.metadata.len() {
        return Err(WalArchiveError::Content {
            path: inspected.path,
            cause: "its length changed while it was read".to_owned(),
        });
    }
    Ok(Packed {
        inspected,
        payload,
        crc32c,
    })
}

/// How many threads compress beside the one that reads.
fn threads(codec: Codec, cores: Cores) -> usize {
    let count = available_parallelism().map_or(1, usize::from);
    match (codec, cores) {
        (Codec::Zstd, Cores::All) if count > 1 => count.min(MOST_THREADS),
        _ => 0,
    }
}

enum Unpacked {
    Failed(io::Error),
    Refused(Refusal),
}

impl From<io::Error> for Unpacked {
    fn from(error: io::Error) -> Unpacked {
        Unpacked::Failed(error)
    }
}

impl Unpacked {
    fn about(self, path: &Path) -> WalArchiveError {
        let path = path.to_path_buf();
        match self {
            Unpacked::Failed(source) => WalArchiveError::Read { path, source },
            Unpacked::Refused(Refusal::Segment(source)) => {
                WalArchiveError::Segment { path, source }
            }
            Unpacked::Refused(refusal) => {
                let cause = refusal.to_string();
                WalArchiveError::Content { path, cause }
            }
        }
    }
}

fn compress(
    inspected: &mut Inspected,
    encoder: io::Result<Encoder<Chunks>>,
) -> Result<(PutPayload, u64, u32), Unpacked> {
    let mut encoder = encoder?;
    let mut gate = Gate::before(&inspected.name);
    let mut buffer = vec![0; BUFFER_BYTES];
    let (mut length, mut crc32c) = (0, 0);
    loop {
        match inspected.file.read(&mut buffer)? {
            0 => break,
            count => {
                gate.pass(&buffer[..count]).map_err(Unpacked::Refused)?;
                encoder.write_all(&buffer[..count])?;
                crc32c = crc32c::crc32c_append(crc32c, &buffer[..count]);
                length += count as u64;
            }
        }
    }
    Ok((encoder.finish()?.0.freeze(), length, crc32c))
}

/// Memory that grows without being copied.
struct Chunks(PutPayloadMut);

fn sink() -> Chunks {
    Chunks(PutPayloadMut::new().with_block_size(BUFFER_BYTES))
}

impl Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use model::wal::name::WalName;

    use super::*;

    fn inspected(content: &[u8]) -> Inspected {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        file.rewind().unwrap();
        let name: WalName = "000000010000000000000003".parse().unwrap();
        Inspected {
            path: name.to_string().into(),
            name,
            metadata: file.metadata().unwrap(),
            file,
            seen_at: std::time::SystemTime::now(),
            segment_size: None,
            system_id: None,
        }
    }

    fn content() -> Vec<u8> {
        let words = (0..1_200_000_u32).map(|n| n.wrapping_mul(2_654_435_761) >> 18);
        let mut content: Vec<u8> = words.flat_map(u32::to_le_bytes).collect();
        // The header that the name asks for, of segments of 16 MiB.
        let header = include_bytes!("../../../model/fixtures/segment-15");
        content[..40].copy_from_slice(&header[..40]);
        content[8..16].copy_from_slice(&(3u64 << 24).to_le_bytes());
        content
    }

    #[test]
    fn what_several_threads_compress_is_one_frame() {
        let content = content();
        let mut inspected = inspected(&content);
        let packed = compress(&mut inspected, Encoder::create_on_threads(None, 3, sink()));
        let packed = packed.unwrap_or_else(|_| panic!("it can be compressed"));
        let bytes: Vec<u8> = packed.0.into_iter().flatten().collect();
        let frame = zstd::zstd_safe::find_frame_compressed_size(&bytes).unwrap();
        assert_eq!(frame, bytes.len());
        assert_eq!(zstd::decode_all(&bytes[..]).unwrap(), content);
        assert_eq!(packed.1, content.len() as u64);
        assert_eq!(packed.2, crc32c::crc32c(&content));
    }

    #[test]
    fn files_side_by_side_do_not_compete_for_the_cores() {
        for codec in Codec::ALL {
            assert_eq!(threads(codec, Cores::One), 0, "{codec:?}");
            assert!(threads(codec, Cores::All) <= MOST_THREADS, "{codec:?}");
        }
    }
}
