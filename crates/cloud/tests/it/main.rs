//! Stores as they are: a directory, memory, and a real SeaweedFS with TLS and checked signatures.

mod conformance;
mod directory;
mod fake_endpoint;
mod memory;
mod s3;
mod seaweed;
