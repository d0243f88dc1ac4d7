//! What a restore was asked for, and what is known of where it goes.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use crate::backup::id::BackupId;
use crate::restore::space::{FileSystem, SpacePolicy};
use crate::restore::tablespaces::TablespaceMapping;

/// What was asked for.
#[derive(Debug, Clone)]
pub struct RestoreRequest {
    pub backup: BackupId,
    /// The new data directory, absolute.
    pub destination: PathBuf,
    /// Tablespaces that go elsewhere than where they were.
    pub tablespaces: Vec<TablespaceMapping>,
    /// How many archives to fetch and unpack at the same time, at most.
    pub jobs: NonZeroUsize,
    /// The most memory that may be used, in bytes.
    pub max_memory_bytes: Option<u64>,
    /// Whether the room is asked for first.
    pub space: SpacePolicy,
}

/// An object under the backup's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredObject {
    /// The last segment of the key.
    pub file: String,
    pub size_bytes: u64,
}

/// All that is known before a restore is decided.
#[derive(Debug, Clone, Default)]
pub struct RestoreFacts {
    /// The address of the backup's folder, for people.
    pub source: String,
    /// What is in it.
    pub objects: Vec<StoredObject>,
    /// What is at each place that it would write to, by the paths as they were given.
    pub places: BTreeMap<PathBuf, PlaceFacts>,
    /// The account that restores.
    pub account: u32,
}

/// What is at a path that a restore would write to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DirectoryFact {
    Missing,
    Empty,
    NotEmpty,
    /// Files of a data directory, but no `global/pg_control`: a restore ended early there.
    Interrupted,
    NotADirectory,
}

/// What there is to know of a path that a restore would write to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceFacts {
    pub directory: DirectoryFact,
    /// `None` where it cannot be asked.
    pub file_system: Option<FileSystem>,
    /// The data directory that it lies in, if it does.
    pub inside: Option<PathBuf>,
    /// The path without links, which says whether two places are one.
    pub real: Option<PathBuf>,
    /// Whose it is; of what is missing, whose the nearest directory above is.
    pub owner: Option<u32>,
}

impl From<DirectoryFact> for PlaceFacts {
    fn from(directory: DirectoryFact) -> PlaceFacts {
        PlaceFacts {
            directory,
            file_system: None,
            inside: None,
            real: None,
            owner: None,
        }
    }
}
