//! What listings pass over: objects of others among ours, and keys that no request could name.
//!
//! They stop nothing, and the front end may name them. Always true: of a folder it is told once,
//! and no more names are kept than are shown.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// How many are named.
const MOST_NAMED: usize = 3;

/// What one listing passed over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Strangers {
    pub count: usize,
    /// The first few keys.
    pub first: Vec<String>,
}

impl Strangers {
    /// Notes one more.
    pub fn add(&mut self, key: &str) {
        self.count += 1;
        if self.first.len() < MOST_NAMED {
            self.first.push(key.to_owned());
        }
    }
}

/// Where it is told, with the address of the folder; mute by default.
#[derive(Clone, Default)]
pub struct PassedOver(Option<Arc<ToldOnce>>);

type Tell = dyn Fn(&str, &Strangers) + Send + Sync;

struct ToldOnce {
    tell: Box<Tell>,
    told: Mutex<HashSet<(String, usize)>>,
}

impl PassedOver {
    /// `tell` is called once for each folder.
    pub fn told_to(tell: impl Fn(&str, &Strangers) + Send + Sync + 'static) -> PassedOver {
        PassedOver(Some(Arc::new(ToldOnce {
            tell: Box::new(tell),
            told: Mutex::default(),
        })))
    }

    pub(crate) fn tell(&self, folder: &str, strangers: &Strangers) {
        let Some(listener) = self.0.as_ref().filter(|_| strangers.count > 0) else {
            return;
        };
        let mut told = listener.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.insert((folder.to_owned(), strangers.count)) {
            (listener.tell)(folder, strangers);
        }
    }
}

impl fmt::Debug for PassedOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PassedOver")
    }
}
