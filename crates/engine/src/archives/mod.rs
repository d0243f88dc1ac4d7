//! A sink for backups: archives in a bucket.
//!
//! `jobs` decides and starts, `order` puts what takes long first, each `job` writes its archives
//! one after the other (`write`) and sends them, `manifest` lists what is in them, and `confirm`
//! asks the store whether it has them all.

pub mod confirm;
mod job;
pub mod jobs;
pub mod manifest;
mod order;
pub mod write;
