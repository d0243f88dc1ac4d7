//! The worlds that tests run in: real PostgreSQL servers of every supported major, a real S3
//! server, imitations of Amazon's other services, of Azure and of Google, Python Barman as an
//! independent peer, a proxy that spoils HTTP on purpose, and a disk that is soon full.
//!
//! `scripts/setup test` puts the programs in place; this crate finds, starts and stops them. It
//! knows nothing of what barman does: tests say what should be seen.
//!
//! Always true: a world that cannot be built is a failed test, so the kit panics and shows the
//! log of what would not start. Whatever it starts ends with the test process, even a killed one.
//! Files are below one folder per test, which goes with it unless `KEEP_TEST_FILES` is set.

pub mod azurite;
pub mod barman_peer;
mod certificate;
pub mod full_disk;
pub mod gcs;
pub mod moto;
pub mod postgres;
pub mod process;
pub mod program;
pub mod proxy;
pub mod scratch;
pub mod seaweed;
mod store_client;
pub mod tools;
pub mod user;

pub use azurite::{Azurite, Container};
pub use barman_peer::Peer;
pub use full_disk::SmallDisk;
pub use gcs::{GcsBucket, GcsEmulator};
pub use moto::Moto;
pub use postgres::Cluster;
pub use process::{Finished, Program, Running};
pub use program::barman_binary;
pub use proxy::{Fault, FaultProxy, Rule};
pub use scratch::Scratch;
pub use seaweed::{Bucket, SeaweedFs};
pub use tools::{MAJORS, Tools};
