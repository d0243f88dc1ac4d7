//! The acceptance tier: the product on real components. One program, so that its tests share one
//! S3 server.
//!
//! `kit` proves that the components themselves work; a failure there explains failures elsewhere.

mod kit;
