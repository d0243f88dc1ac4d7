//! Restoring: what is wanted, which backup serves it, and what the restore will do with how much
//! memory.
//!
//! Reading archives and writing files is `engine::restore`'s part; here are the choices.

pub mod choose;
pub mod configuration_file;
pub mod effort;
pub mod extraction;
pub mod forks;
pub mod members;
pub mod places;
pub mod plan;
pub mod refusal;
mod render;
pub mod request;
pub mod space;
pub mod tablespaces;
pub mod target;
pub mod time;
