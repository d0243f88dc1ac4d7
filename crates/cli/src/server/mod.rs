//! The Barman server's side: `barman` and its two clients. Their work is not built yet; what is
//! there refuses in words, so that no script takes silence for success.

pub mod barman;
pub mod wal_clients;
