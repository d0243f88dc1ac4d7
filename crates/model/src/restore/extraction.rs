//! One archive and where it is unpacked; one tablespace and where its link points.

use std::path::PathBuf;

use crate::codec::Codec;
use crate::layout::ArchiveName;

/// One archive to extract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extraction {
    pub archive: ArchiveName,
    pub codec: Codec,
    /// The last segment of the object's key.
    pub file: String,
    pub size_bytes: u64,
    pub target: PathBuf,
}

/// A tablespace and where its link points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TablespaceLink {
    pub oid: u32,
    pub name: String,
    pub location: PathBuf,
}
