//! The house style as a test. STYLE.md gives the reason of each rule; what a machine can check is
//! checked here, one rule per test.

// What clippy.toml allows inside a test also holds for the functions that tests call.
#![allow(clippy::unwrap_used)]

mod boundaries;
mod dependencies;
mod documents;
mod house;
mod scan;
mod shape;
mod tree;
