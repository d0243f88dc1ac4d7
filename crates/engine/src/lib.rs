//! What can be done: take, keep, restore and delete backups, archive and fetch WAL.
//!
//! The engine makes effects happen and stays silent about them: it returns values and errors and
//! reports progress as typed events. Decisions are `model`'s, words are the command line's, and no
//! cloud provider is named here: object stores arrive as a [`store::Bucket`].

mod accounts;
mod archives;
pub mod backup;
pub mod catalogue;
pub mod causes;
pub mod cluster;
pub mod codec;
pub mod configuration;
pub mod connections;
pub mod deletion;
pub mod download;
pub mod durable;
pub mod keep;
pub mod lock;
pub mod object_key;
pub mod process;
pub mod progress;
pub mod receive_wal;
pub mod repository;
pub mod restore;
pub mod run_as;
pub mod server_facts;
pub mod server_home;
pub mod settling;
mod source;
pub mod stages;
pub mod stop;
pub mod store;
pub mod strangers;
pub mod tarball;
pub mod upload;
pub mod wal;
