//! WAL files into the archive and back, for `archive_command` and `restore_command`: the one that
//! is asked for, and those that will be asked for next.

pub mod archive;
pub mod archive_ahead;
pub mod archived_notes;
pub mod check;
pub mod error;
pub mod fetch;
mod hole;
pub mod inspect;
mod lookup;
mod neighbours;
pub mod owner;
mod pack;
pub mod prefetch;
pub mod presence;
pub mod private_folder;
pub mod receive;
pub mod spool;
pub mod timelines;
