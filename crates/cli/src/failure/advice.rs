//! What could be done about a failure, before a front end has put it into words.

use std::path::PathBuf;

/// What a user can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Advice {
    /// A sentence that is right whatever program says it.
    Sentence(String),
    /// Look up which backups there are.
    ListBackups,
    /// Look up when each backup ended.
    ListBackupEnds,
    /// Let the backup go that is kept.
    ReleaseKeep,
    /// Set or release a keep that cannot be read.
    SetKeepAnew,
    /// Set the clock, or name the backups to delete.
    DeleteByIds,
    /// Have the server archive its WAL with this program.
    SetArchiveCommand,
    /// Have the backup chosen by the target.
    ChooseByTarget,
    /// Allow a restore more memory.
    MoreMemory,
    /// Allow a backup more memory, or smaller parts.
    MoreMemoryOrSmallerParts,
    /// Look at the disk, or take the backup with its damage.
    AcceptDamage,
    /// Restore without the links that Barman archived.
    SkipLinks,
    /// Restore files that the manifest does not list, too.
    KeepUnlisted,
    /// Restore into an empty directory, a tablespace into another one.
    EmptyDirectory,
    /// Make room, or begin nevertheless.
    MakeRoom,
    /// Remove what an interrupted restore left in this directory.
    RemoveLeftovers(PathBuf),
    /// Confirm the places that the record names for these tablespaces.
    ConfirmPlaces(Vec<(String, PathBuf)>),
}
