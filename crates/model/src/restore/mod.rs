//! Restoring: what is wanted, and which backup serves it.
//!
//! Reading archives and writing files is `engine::restore`'s part; here are the choices.

pub mod choose;
pub mod tablespaces;
pub mod target;
pub mod time;
