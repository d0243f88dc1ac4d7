//! Who we are for a cloud: where credentials come from, and getting them in time.
//!
//! For objects and for everything else that a cloud offers alike: what a token or a signature is
//! for is the caller's to say. Only words are judged until a request needs credentials.

pub(crate) mod aws;
pub(crate) mod azure;
pub(crate) mod google;
