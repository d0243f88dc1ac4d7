//! The addresses of a host, in an order of chance: large stores have many, and all connections of a
//! process would go to the first one.

use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// The system's resolver, shuffled.
#[derive(Debug)]
pub(crate) struct Shuffled;

impl Resolve for Shuffled {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let mut found: Vec<SocketAddr> = found.collect();
            let chance = RandomState::new();
            found.sort_by_cached_key(|address| chance.hash_one(address));
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}
