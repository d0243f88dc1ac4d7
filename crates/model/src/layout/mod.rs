//! Where everything of one server lies, and what a key found there means.
//!
//! `bucket` has the keys of a bucket, `archive_name` those of a backup's archives, `part` what the
//! other objects of a backup are called. No other module knows these names.

mod archive_name;
mod bucket;
mod part;

pub use archive_name::{ArchiveName, ArchiveSet};
pub use bucket::{BadKeyPart, BadLayout, Layout, parse_wal_file};
pub use part::{Part, RECORD};

#[cfg(test)]
mod tests;
