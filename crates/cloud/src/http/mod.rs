//! HTTP as every cloud needs it: clients, limits, patience, and what answers prove.
//!
//! From the ground up: [`xml`], [`answer`] (what a store said), [`dialect`] (how a cloud is spoken
//! to), [`judgement`] (what answers mean everywhere alike), [`lazy_client`] (connections and
//! trust), [`persistence`] (trying again), [`transport`] (limits, and the clients for all of it).
//! No provider is known here.

pub(crate) mod answer;
mod contact;
pub(crate) mod dialect;
pub(crate) mod judgement;
pub(crate) mod lazy_client;
mod own_certificate;
pub(crate) mod persistence;
mod proxies;
mod read_timeout;
mod resolver;
pub(crate) mod transport;
pub(crate) mod xml;
