//! The engine on stores in memory, some of which fail on purpose.
#![allow(
    clippy::unwrap_used,
    reason = "a panic in a test is a failed test with its line"
)]

mod archives;
mod changing;
mod deletion;
mod downloads;
mod interleavings;
mod jobs;
mod keep;
mod listings;
mod receive_wal;
mod restore;
mod restore_effort;
mod restore_placing;
mod settling;
mod stores;
mod uploads;
mod wal;
mod wal_ahead;
mod wal_as_it_comes;
mod wal_hole;
mod wal_owner;
mod wal_presence;
mod wal_spool;
mod wal_whole;
