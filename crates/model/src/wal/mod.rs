//! The write-ahead log as files: positions, timelines, names, and the header of a segment.
//!
//! What to do with a WAL file (archive it, fetch it, keep it) is decided elsewhere; here is only
//! what its name and its first bytes say.

pub mod ahead;
pub mod hole;
pub mod lsn;
pub mod name;
pub mod records;
pub mod segment;
pub mod span;
pub mod streaming;
pub mod timeline;
