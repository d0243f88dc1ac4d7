//! The acceptance tier: the product on real components. One program, so that its tests share one
//! S3 server.
//!
//! `kit` proves that the components themselves work; a failure there explains failures elsewhere.

// What clippy.toml allows inside a test also holds for the functions that tests call.
#![allow(clippy::unwrap_used)]

mod bad_input;
mod bad_wal;
mod bench;
mod cloud_faults;
mod clouds;
mod cnpg;
mod cycle;
mod damage;
mod deletion;
mod deletion_alike;
mod documents;
mod faults;
mod full_disk;
mod hooks;
mod hostile;
mod interop;
mod kills;
mod kit;
mod memory;
mod ownership;
mod places;
mod placing;
mod product;
mod s3;
mod seen;
mod server;
mod server_side;
mod side_by_side;
mod stats;
mod waiting;
mod wal_ahead;
mod wal_cost;
mod wal_nonsense;
mod wal_prefetch;
mod wal_truth;
