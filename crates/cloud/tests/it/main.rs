//! Stores as they are: a directory, memory, and a real SeaweedFS with TLS and checked signatures.

#![expect(
    clippy::unwrap_used,
    reason = "a panic here is a failed test, with its line"
)]

mod conformance;
mod directory;
mod fake_endpoint;
mod identity;
mod memory;
mod s3;
mod seaweed;
