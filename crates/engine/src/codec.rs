//! Compressing and decompressing streams, on the caller's thread unless others are asked for.
//!
//! Which codecs exist, their names and suffixes is `model::codec`'s. Always true: every stream is a
//! single ordinary frame that the codec's usual tools read, with a checksum of its content wherever
//! the format has one, and a stream that ends early is an error wherever the format can tell.

use std::io::{self, Read, Write};

use model::codec::Codec;
use zstd::zstd_safe::CParameter;

/// What one of several threads compresses at a time. Measured on segments of pgbench: pieces of
/// 1 MiB make a segment 0.1 % larger than one thread alone does.
const PIECE_BYTES: u32 = 1024 * 1024;

/// Compresses what is written into it.
pub enum Encoder<W: Write> {
    Plain(W),
    Gzip(flate2::write::GzEncoder<W>),
    Bzip2(bzip2::write::BzEncoder<W>),
    Xz(liblzma::write::XzEncoder<W>),
    Zstd(zstd::stream::write::Encoder<'static, W>),
    Lz4(Box<lz4_flex::frame::FrameEncoder<W>>),
    Snappy(Box<snap::write::FrameEncoder<W>>),
}

impl<W: Write> Encoder<W> {
    /// Opens a stream; `level` is the codec's own number, `None` its default.
    ///
    /// lz4 and snappy have a single level here: the number is not used for them.
    ///
    /// # Errors
    /// When the codec cannot be set up (out of memory).
    pub fn create(codec: Codec, level: Option<i32>, sink: W) -> io::Result<Encoder<W>> {
        let positive = |default: u32| level.map_or(default, |level| level.max(0) as u32);
        Ok(match codec {
            Codec::None => Encoder::Plain(sink),
            Codec::Gzip => {
                let level = flate2::Compression::new(positive(6).min(9));
                Encoder::Gzip(flate2::write::GzEncoder::new(sink, level))
            }
            Codec::Bzip2 => {
                let level = bzip2::Compression::new(positive(9).clamp(1, 9));
                Encoder::Bzip2(bzip2::write::BzEncoder::new(sink, level))
            }
            Codec::Xz => Encoder::Xz(liblzma::write::XzEncoder::new(sink, positive(3).min(9))),
            Codec::Zstd => {
                let level = level.unwrap_or(zstd::DEFAULT_COMPRESSION_LEVEL);
                Encoder::Zstd(zstd_encoder(level, sink)?)
            }
            Codec::Lz4 => {
                let info = lz4_flex::frame::FrameInfo::new().content_checksum(true);
                let encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, sink);
                Encoder::Lz4(Box::new(encoder))
            }
            Codec::Snappy => Encoder::Snappy(Box::new(snap::write::FrameEncoder::new(sink))),
        })
    }

    /// Opens a stream of Zstandard that so many threads write beside the caller's.
    ///
    /// # Errors
    /// When the codec cannot be set up (out of memory); when there can be no more threads, the
    /// first write tells.
    pub fn create_on_threads(
        level: Option<i32>,
        threads: usize,
        sink: W,
    ) -> io::Result<Encoder<W>> {
        let level = level.unwrap_or(zstd::DEFAULT_COMPRESSION_LEVEL);
        let mut encoder = zstd_encoder(level, sink)?;
        encoder.set_parameter(CParameter::NbWorkers(threads as u32))?;
        encoder.set_parameter(CParameter::JobSize(PIECE_BYTES))?;
        Ok(Encoder::Zstd(encoder))
    }

    /// Ends the stream and gives the sink back.
    ///
    /// # Errors
    /// When the sink fails.
    pub fn finish(self) -> io::Result<W> {
        match self {
            Encoder::Plain(sink) => Ok(sink),
            Encoder::Gzip(encoder) => encoder.finish(),
            Encoder::Bzip2(encoder) => encoder.finish(),
            Encoder::Xz(encoder) => encoder.finish(),
            Encoder::Zstd(encoder) => encoder.finish(),
            Encoder::Lz4(encoder) => encoder.finish().map_err(io::Error::other),
            Encoder::Snappy(encoder) => encoder.into_inner().map_err(|error| error.into_error()),
        }
    }

    fn writer(&mut self) -> &mut dyn Write {
        match self {
            Encoder::Plain(sink) => sink,
            Encoder::Gzip(encoder) => encoder,
            Encoder::Bzip2(encoder) => encoder,
            Encoder::Xz(encoder) => encoder,
            Encoder::Zstd(encoder) => encoder,
            Encoder::Lz4(encoder) => encoder,
            Encoder::Snappy(encoder) => encoder,
        }
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer().flush()
    }
}

fn zstd_encoder<W: Write>(
    level: i32,
    sink: W,
) -> io::Result<zstd::stream::write::Encoder<'static, W>> {
    let mut encoder = zstd::stream::write::Encoder::new(sink, level)?;
    encoder.include_checksum(true)?;
    Ok(encoder)
}

/// Opens a compressed stream for reading.
///
/// # Errors
/// When the codec cannot be set up.
pub fn decoder<R: Read + 'static>(codec: Codec, source: R) -> io::Result<Box<dyn Read>> {
    Ok(match codec {
        Codec::None => Box::new(source),
        Codec::Gzip => Box::new(flate2::read::MultiGzDecoder::new(source)),
        Codec::Bzip2 => Box::new(bzip2::read::MultiBzDecoder::new(source)),
        Codec::Xz => Box::new(liblzma::read::XzDecoder::new_multi_decoder(source)),
        Codec::Zstd => Box::new(zstd::stream::read::Decoder::new(source)?),
        Codec::Lz4 => Box::new(Lz4Decoder::new(source)),
        Codec::Snappy => Box::new(snap::read::FrameDecoder::new(source)),
    })
}

/// The library takes a frame that ends between two blocks for whole; this one looks whether its
/// end mark has come.
struct Lz4Decoder<R: Read>(lz4_flex::frame::FrameDecoder<Lz4Source<R>>);

struct Lz4Source<R> {
    source: R,
    /// Whether anything was read of a frame whose end mark has not come.
    is_inside: bool,
    has_ended: bool,
}

impl<R: Read> Lz4Decoder<R> {
    fn new(source: R) -> Lz4Decoder<R> {
        Lz4Decoder(lz4_flex::frame::FrameDecoder::new(Lz4Source {
            source,
            is_inside: false,
            has_ended: false,
        }))
    }
}

impl<R: Read> Read for Lz4Source<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.is_inside |= count > 0;
        self.has_ended |= count == 0 && !buffer.is_empty();
        Ok(count)
    }
}

impl<R: Read> Read for Lz4Decoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.0.read(buffer)?;
        if count > 0 || buffer.is_empty() {
            return Ok(count);
        }
        let source = self.0.get_mut();
        if source.is_inside && source.has_ended {
            let text = "the LZ4 frame has no end mark";
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
        }
        // Behind an end mark nothing was asked for yet.
        source.is_inside = false;
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        (0..600_000u32)
            .flat_map(|n| (n / 7).to_le_bytes())
            .collect()
    }

    fn encode(codec: Codec, content: &[u8]) -> Vec<u8> {
        let mut encoder = Encoder::create(codec, None, Vec::new()).unwrap();
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn decode(codec: Codec, bytes: Vec<u8>) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        decoder(codec, io::Cursor::new(bytes))?.read_to_end(&mut content)?;
        Ok(content)
    }

    #[test]
    fn every_codec_gives_back_what_it_took() {
        for codec in Codec::ALL {
            let encoded = encode(codec, &sample());
            assert_eq!(Codec::from_magic(&encoded), codec, "{codec:?}");
            assert_eq!(decode(codec, encoded).unwrap(), sample(), "{codec:?}");
        }
    }

    /// Lengths to cut a stream to: near its beginning, near its end, and all over it.
    fn cuts(length: usize) -> impl Iterator<Item = usize> {
        let near = 40.min(length);
        let all_over = (near..length).step_by(length / 60 + 1);
        (0..near).chain(all_over).chain(length - near..length)
    }

    /// Whether the format cannot tell that there should be more: reading ends without an error.
    fn may_end_there(codec: Codec, stream: &[u8]) -> bool {
        match codec {
            // Bytes that mean themselves.
            Codec::None => true,
            // A row of chunks without an end mark ("Snappy framing format description"): between
            // two of them it may end. Tar's end mark, and the manifest, tell that it should not.
            Codec::Snappy => is_row_of_chunks(stream),
            // A row of streams, of which there may be none; every one of them has an end.
            _ => stream.is_empty(),
        }
    }

    /// A chunk is its kind, the length of its content in three bytes, and its content.
    fn is_row_of_chunks(mut stream: &[u8]) -> bool {
        while let [_, low, middle, high, rest @ ..] = stream {
            let length = u32::from_le_bytes([*low, *middle, *high, 0]);
            match rest.get(length as usize..) {
                Some(next) => stream = next,
                None => return false,
            }
        }
        stream.is_empty()
    }

    #[test]
    fn a_stream_that_ends_early_never_reads_as_whole() {
        let whole = &sample()[..300_000];
        for codec in Codec::ALL {
            let encoded = encode(codec, whole);
            for cut in cuts(encoded.len()) {
                let stream = &encoded[..cut];
                let Ok(content) = decode(codec, stream.to_vec()) else {
                    continue;
                };
                let what = format!("{codec:?} cut to {cut} of {}", encoded.len());
                assert!(may_end_there(codec, stream), "{what}: no error");
                assert!(content.len() < whole.len(), "{what}: whole");
                assert!(whole.starts_with(&content), "{what}: something else");
            }
        }
    }

    #[test]
    fn snappy_may_end_between_two_chunks_and_then_gives_what_came_before() {
        let whole = &sample()[..300_000];
        let encoded = encode(Codec::Snappy, whole);
        let between = (1..encoded.len()).filter(|cut| is_row_of_chunks(&encoded[..*cut]));
        let lengths = between.map(|cut| decode(Codec::Snappy, encoded[..cut].to_vec()));
        let lengths: Vec<_> = lengths.map(|content| content.unwrap().len()).collect();
        assert_eq!(lengths, [0, 65_536, 131_072, 196_608, 262_144]);
    }
}
