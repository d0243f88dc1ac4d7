//! The options that choose a codec: those of a backup's archives, and those of WAL, which has more.

use model::codec::Codec;

/// How archives are compressed: at most one.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Compression (at most one)")]
#[group(multiple = false)]
pub struct ArchiveCompression {
    /// Compress archives with gzip
    #[arg(short = 'z', long)]
    gzip: bool,
    /// Compress archives with bzip2: small and slow
    #[arg(short = 'j', long)]
    bzip2: bool,
    /// Compress archives with snappy: fast, not small
    #[arg(long)]
    snappy: bool,
    /// Compress archives with LZ4: fastest
    #[arg(long)]
    lz4: bool,
    /// Compress archives with Zstandard: small and fast, the best choice for most
    #[arg(long)]
    zstd: bool,
}

/// How the file is compressed: at most one.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Compression (at most one)")]
#[group(multiple = false)]
pub struct WalCompression {
    /// Compress with gzip: levels 1 to 9, low 1, medium 6, high 9
    #[arg(short = 'z', long)]
    gzip: bool,
    /// Compress with bzip2: levels 1 to 9, low 1, medium 5, high 9
    #[arg(short = 'j', long)]
    bzip2: bool,
    /// Compress with xz: levels 0 to 9, low 1, medium 3, high 5
    #[arg(long)]
    xz: bool,
    /// Compress with snappy, which has no levels
    #[arg(long)]
    snappy: bool,
    /// Compress with Zstandard: levels -22 to 22, low 1, medium 4, high 9
    #[arg(long)]
    zstd: bool,
    /// Compress with LZ4: levels 0 to 16, low 0, medium 6, high 10
    #[arg(long)]
    lz4: bool,
}

impl ArchiveCompression {
    /// The codec that was chosen.
    pub fn codec(&self) -> Codec {
        chosen(&[
            (self.gzip, Codec::Gzip),
            (self.bzip2, Codec::Bzip2),
            (self.snappy, Codec::Snappy),
            (self.lz4, Codec::Lz4),
            (self.zstd, Codec::Zstd),
        ])
    }
}

impl WalCompression {
    /// The codec that was chosen.
    pub fn codec(&self) -> Codec {
        chosen(&[
            (self.gzip, Codec::Gzip),
            (self.bzip2, Codec::Bzip2),
            (self.xz, Codec::Xz),
            (self.snappy, Codec::Snappy),
            (self.zstd, Codec::Zstd),
            (self.lz4, Codec::Lz4),
        ])
    }
}

/// The first of them that is given.
fn chosen(flags: &[(bool, Codec)]) -> Codec {
    let given = flags.iter().find(|(is_given, _)| *is_given);
    given.map_or(Codec::None, |(_, codec)| *codec)
}
