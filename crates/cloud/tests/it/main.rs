//! Stores as they are: a directory, memory, a real SeaweedFS with TLS and checked signatures, and
//! emulators of the other clouds.

#![expect(
    clippy::unwrap_used,
    reason = "a panic here is a failed test, with its line"
)]

mod azure;
mod botocore;
mod conformance;
mod connections;
mod dialects;
mod dice;
mod directory;
mod fake_endpoint;
mod gcs;
mod hostile_input;
mod identity;
mod memory;
mod official_identities;
mod other_clouds;
mod s3;
mod seaweed;
