//! Object stores: one folder for each protocol, and what all of them share.
//!
//! Each store is an [`ObjectPlace`]: settings settled, opened and made by itself. Which one a
//! location means is decided in `lib.rs`.

pub(crate) mod already_gone;
pub(crate) mod azure;
pub(crate) mod bandwidth;
pub(crate) mod create;
pub(crate) mod directory;
pub(crate) mod encryption;
pub(crate) mod google;
pub(crate) mod many_at_once;
pub(crate) mod open_error;
pub(crate) mod place;
pub mod s3;
pub(crate) mod s3_like;
pub(crate) mod tags;
