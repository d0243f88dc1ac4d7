//! A real PostgreSQL, started by each test in a directory of its own: every way in, and what is
//! said when there is none.
//!
//! The binaries are those of `PG15_BIN`, else Debian's. As root, the server runs as `postgres`.

#![allow(
    clippy::unwrap_used,
    reason = "a panic in a test is a failed test, with its line"
)]

mod authentication;
mod cluster;
mod hostile;
mod queries;
mod replication;
mod tls;
