//! WAL files into the archive and back, one at a time, for `archive_command` and
//! `restore_command`.

pub mod archive;
pub mod check;
pub mod fetch;
pub mod presence;
