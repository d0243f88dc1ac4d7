//! A real PostgreSQL, started by each test in a directory of its own: every way in, and what is
//! said when there is none.
//!
//! The binaries are those of `PG15_BIN`, else Debian's. As root, the server runs as `postgres`.

mod authentication;
mod cluster;
mod queries;
mod tls;
