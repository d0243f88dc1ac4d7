//! The compressions Barman's files use: their names, their suffixes and how their bytes begin.
//!
//! Which codec a file has is decided here; compressing and decompressing is `engine::codec`'s
//! work. In an object store the suffix says it; in a local archive, where names carry no suffix,
//! the first bytes say it. Always true: `strip_suffix` of a name with `suffix` appended gives both
//! back.

use std::fmt;
use std::str::FromStr;

/// How the bytes of an archive or a WAL file are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Codec {
    /// Not compressed.
    None,
    /// RFC 1952.
    Gzip,
    /// bzip2 streams.
    Bzip2,
    /// The `.xz` container.
    Xz,
    /// RFC 8878 frames.
    Zstd,
    /// The LZ4 frame format.
    Lz4,
    /// The Snappy framing format, not the bare block format.
    Snappy,
}

/// Text that names no codec.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not the name of a compression")]
pub struct UnknownCodec {
    /// What was given.
    pub text: String,
}

/// Text that is no level of compression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid compression level {text}")]
pub struct BadLevel {
    /// What was given.
    pub text: String,
}

impl Codec {
    /// Every codec, `None` first.
    pub const ALL: [Codec; 7] = [
        Codec::None,
        Codec::Gzip,
        Codec::Bzip2,
        Codec::Xz,
        Codec::Zstd,
        Codec::Lz4,
        Codec::Snappy,
    ];

    /// How many bytes of a file `from_magic` needs to recognise every codec.
    pub const MAGIC_LENGTH: usize = 10;

    /// What follows a file's plain name in an object store: empty for `None`.
    pub const fn suffix(self) -> &'static str {
        match self {
            Codec::None => "",
            Codec::Gzip => ".gz",
            Codec::Bzip2 => ".bz2",
            Codec::Xz => ".xz",
            Codec::Zstd => ".zst",
            Codec::Lz4 => ".lz4",
            Codec::Snappy => ".snappy",
        }
    }

    /// Reads a level of compression, a word or a number, and brings it into the codec's range.
    /// Levels and ranges are those of Barman 3.20.1. `None` for a codec that has no levels.
    ///
    /// # Errors
    /// When the text is neither.
    pub fn level(self, text: &str) -> Result<Option<i32>, BadLevel> {
        let (low, medium, high, range) = match self {
            Codec::Gzip => (1, 6, 9, 1..=9),
            Codec::Bzip2 => (1, 5, 9, 1..=9),
            Codec::Xz => (1, 3, 5, 0..=9),
            Codec::Zstd => (1, 4, 9, -22..=22),
            Codec::Lz4 => (0, 6, 10, 0..=16),
            Codec::Snappy | Codec::None => (0, 0, 0, 0..=0),
        };
        let level = match text {
            "low" => low,
            "medium" => medium,
            "high" => high,
            number => number.parse::<i32>().map_err(|_| BadLevel {
                text: number.to_owned(),
            })?,
        };
        let has_levels = range.start() != range.end();
        Ok(has_levels.then(|| level.clamp(*range.start(), *range.end())))
    }

    /// The word used in options, records and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Codec::None => "none",
            Codec::Gzip => "gzip",
            Codec::Bzip2 => "bzip2",
            Codec::Xz => "xz",
            Codec::Zstd => "zstd",
            Codec::Lz4 => "lz4",
            Codec::Snappy => "snappy",
        }
    }

    /// Splits a file name into its plain part and the codec its suffix stands for. Only the last
    /// suffix is taken: `a.gz.gz` is a gzip of `a.gz`.
    pub fn strip_suffix(name: &str) -> (&str, Codec) {
        for codec in Codec::ALL {
            if codec != Codec::None
                && let Some(plain) = name.strip_suffix(codec.suffix())
            {
                return (plain, codec);
            }
        }
        (name, Codec::None)
    }

    /// Recognises the codec of a file from its first bytes; `None` when nothing known begins so.
    /// [`Codec::MAGIC_LENGTH`] bytes are enough, fewer recognise fewer codecs.
    pub fn from_magic(head: &[u8]) -> Codec {
        Codec::ALL
            .into_iter()
            .find(|codec| codec.magic().is_some_and(|magic| head.starts_with(magic)))
            .unwrap_or(Codec::None)
    }

    /// The bytes every file of this codec begins with, from the formats' own specifications.
    const fn magic(self) -> Option<&'static [u8]> {
        match self {
            Codec::None => None,
            Codec::Gzip => Some(b"\x1f\x8b\x08"),
            Codec::Bzip2 => Some(b"BZh"),
            Codec::Xz => Some(b"\xfd7zXZ\0"),
            Codec::Zstd => Some(b"\x28\xb5\x2f\xfd"),
            Codec::Lz4 => Some(b"\x04\x22\x4d\x18"),
            Codec::Snappy => Some(b"\xff\x06\x00\x00sNaPpY"),
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Codec {
    type Err = UnknownCodec;

    fn from_str(text: &str) -> Result<Codec, UnknownCodec> {
        Codec::ALL
            .into_iter()
            .find(|codec| codec.name() == text)
            .ok_or_else(|| UnknownCodec {
                text: text.to_owned(),
            })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_name_and_suffix_leads_back_to_its_codec() {
        for codec in Codec::ALL {
            assert_eq!(codec.name().parse(), Ok(codec));
            let file = format!("000000010000000000000021{}", codec.suffix());
            assert_eq!(
                Codec::strip_suffix(&file),
                ("000000010000000000000021", codec)
            );
        }
    }

    #[test]
    fn a_word_that_is_no_codec_is_refused_by_name() {
        let error = "gz".parse::<Codec>().unwrap_err();
        assert_eq!(error.to_string(), "\"gz\" is not the name of a compression");
    }

    #[test]
    fn only_the_last_suffix_is_taken() {
        assert_eq!(
            Codec::strip_suffix("data.tar.gz.zst"),
            ("data.tar.gz", Codec::Zstd)
        );
        assert_eq!(Codec::strip_suffix("data.tar"), ("data.tar", Codec::None));
    }

    #[test]
    fn first_bytes_are_recognised() {
        // The figures are the magic numbers of the formats' specifications.
        let heads: [(&[u8], Codec); 8] = [
            (&[0x1f, 0x8b, 0x08, 0, 0], Codec::Gzip),
            (b"BZh91AY&SY", Codec::Bzip2),
            (&[0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00], Codec::Xz),
            (&[0x28, 0xb5, 0x2f, 0xfd, 0x24], Codec::Zstd),
            (&[0x04, 0x22, 0x4d, 0x18, 0x60], Codec::Lz4),
            (
                &[0xff, 0x06, 0, 0, 0x73, 0x4e, 0x61, 0x50, 0x70, 0x59],
                Codec::Snappy,
            ),
            (b"", Codec::None),
            (&[0x13, 0xd1, 0x07, 0x00], Codec::None),
        ];
        for (head, codec) in heads {
            assert_eq!(Codec::from_magic(head), codec, "{head:x?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_and_names_are_looked_at_without_a_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..16),
            name in "\\PC*",
        ) {
            Codec::from_magic(&bytes);
            let (plain, codec) = Codec::strip_suffix(&name);
            prop_assert_eq!(format!("{plain}{}", codec.suffix()), name);
        }
    }

    #[test]
    fn levels_are_brought_into_the_range_of_their_codec() {
        // The figures of Barman 3.20.1: its interface description, "barman-cloud-wal-archive".
        let level = |codec, word| Codec::level(codec, word).unwrap();
        assert_eq!(level(Codec::Gzip, "low"), Some(1));
        assert_eq!(level(Codec::Gzip, "99"), Some(9));
        assert_eq!(level(Codec::Xz, "medium"), Some(3));
        assert_eq!(level(Codec::Zstd, "-99"), Some(-22));
        assert_eq!(level(Codec::Lz4, "high"), Some(10));
        assert_eq!(level(Codec::Snappy, "high"), None);
        assert!(Codec::Gzip.level("best").is_err());
    }
}
