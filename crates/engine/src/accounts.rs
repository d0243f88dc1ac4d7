//! Names and numbers of accounts, as this host knows them.
//!
//! The same account has other numbers on other hosts, so archives carry names. Always true: a name
//! that this host does not know has no number here, and what was asked once is remembered, for a
//! bounded number of names.

use std::collections::HashMap;
use std::hash::Hash;

use nix::unistd::{Gid, Group, Uid, User};

/// Answers about accounts; one for each thread that asks.
#[derive(Default)]
pub struct Accounts {
    users: Known<Vec<u8>, u32>,
    groups: Known<Vec<u8>, u32>,
    user_names: Known<u32, String>,
    group_names: Known<u32, String>,
}

impl Accounts {
    /// The user's number on this host.
    pub fn user(&mut self, name: &[u8]) -> Option<u32> {
        let ask = |name: &Vec<u8>| {
            let user = User::from_name(std::str::from_utf8(name).ok()?);
            Some(user.ok()??.uid.as_raw())
        };
        self.users.get(name.to_vec(), ask)
    }

    /// The group's number on this host.
    pub fn group(&mut self, name: &[u8]) -> Option<u32> {
        let ask = |name: &Vec<u8>| {
            let group = Group::from_name(std::str::from_utf8(name).ok()?);
            Some(group.ok()??.gid.as_raw())
        };
        self.groups.get(name.to_vec(), ask)
    }

    /// What the user is called on this host.
    pub fn user_name(&mut self, uid: u32) -> Option<String> {
        self.user_names.get(uid, |uid| {
            Some(User::from_uid(Uid::from_raw(*uid)).ok()??.name)
        })
    }

    /// What the group is called on this host.
    pub fn group_name(&mut self, gid: u32) -> Option<String> {
        self.group_names.get(gid, |gid| {
            Some(Group::from_gid(Gid::from_raw(*gid)).ok()??.name)
        })
    }
}

/// Answers that were given, and those that were none.
struct Known<K, V>(HashMap<K, Option<V>>);

/// A cluster has a handful of owners; a forged archive can have a million.
const MOST_KNOWN: usize = 256;

impl<K: Eq + Hash, V: Clone> Known<K, V> {
    fn get(&mut self, key: K, ask: impl FnOnce(&K) -> Option<V>) -> Option<V> {
        if let Some(known) = self.0.get(&key) {
            return known.clone();
        }
        let answer = ask(&key);
        if self.0.len() >= MOST_KNOWN {
            self.0.clear();
        }
        self.0.insert(key, answer.clone());
        answer
    }
}

impl<K, V> Default for Known<K, V> {
    fn default() -> Known<K, V> {
        Known(HashMap::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_known_by_name_and_number_and_a_stranger_is_not() {
        let mut accounts = Accounts::default();
        for _ in 0..2 {
            assert_eq!(accounts.user(b"root"), Some(0));
            assert_eq!(accounts.group(b"root"), Some(0));
            assert_eq!(accounts.user_name(0).as_deref(), Some("root"));
            assert_eq!(accounts.group_name(0).as_deref(), Some("root"));
            assert_eq!(accounts.user(b"no such account"), None);
            assert_eq!(accounts.user(b"\xFF"), None);
            assert_eq!(accounts.user_name(u32::MAX - 7), None);
        }
    }

    #[test]
    fn no_more_than_a_bounded_number_of_answers_is_kept() {
        let mut known = Known::default();
        for number in 0..10 * MOST_KNOWN {
            assert_eq!(
                known.get(number, |number| Some(number + 1)),
                Some(number + 1)
            );
        }
        assert!(known.0.len() <= MOST_KNOWN);
    }
}
