//! Whether a restore may write into the directories that it was told of.
//!
//! The destination is the command line's word. The location of a tablespace that no `--tablespace`
//! names is the record's, and whoever writes to the bucket writes the record. Looking at
//! directories is the engine's part. Always true: such a location gains nobody a place that the
//! account of the restored server could not have taken itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::restore::extraction::TablespaceLink;
use crate::restore::members::can_hold_tablespace;
use crate::restore::refusal::CannotRestore;
use crate::restore::request::{DirectoryFact, PlaceFacts};
use crate::restore::tablespaces::TablespaceMapping;

/// Everything there is to know before a restore writes.
#[derive(Debug, Clone, Copy)]
pub struct Places<'a> {
    pub destination: &'a Path,
    pub links: &'a [TablespaceLink],
    /// What the command line says of tablespaces.
    pub mappings: &'a [TablespaceMapping],
    /// By the paths as they were given.
    pub facts: &'a BTreeMap<PathBuf, PlaceFacts>,
    /// The account that restores.
    pub account: u32,
}

const ROOT: u32 = 0;

impl Places<'_> {
    /// Checks every place; returns the tablespaces that lie inside the destination, with their
    /// paths there.
    ///
    /// # Errors
    /// When one is not empty, is inside another, or is not confirmed.
    pub fn check(&self) -> Result<BTreeMap<u32, PathBuf>, CannotRestore> {
        is_free(self.destination, self.fact(self.destination))?;
        let mut inside = BTreeMap::new();
        for (place, link) in self.links.iter().enumerate() {
            if self.links[..place]
                .iter()
                .any(|other| other.oid == link.oid)
            {
                return Err(CannotRestore::Twice(link.oid));
            }
            is_free(&link.location, self.fact(&link.location))?;
            self.check_others(link)?;
            if let Some(path) = self.in_destination(link)? {
                inside.insert(link.oid, path);
            }
        }
        let open =
            |link: &&TablespaceLink| !inside.contains_key(&link.oid) && !self.is_confirmed(link);
        let open: Vec<_> = self.links.iter().filter(open).collect();
        if open.is_empty() {
            Ok(inside)
        } else {
            Err(CannotRestore::Unconfirmed(
                open.into_iter()
                    .map(|link| (link.name.clone(), link.location.clone()))
                    .collect(),
            ))
        }
    }

    fn fact(&self, path: &Path) -> Option<&PlaceFacts> {
        self.facts.get(path)
    }

    fn real<'b>(&'b self, path: &'b Path) -> &'b Path {
        self.fact(path)
            .and_then(|fact| fact.real.as_deref())
            .unwrap_or(path)
    }

    /// No tablespace inside or around another, nor around the data directory.
    fn check_others(&self, link: &TablespaceLink) -> Result<(), CannotRestore> {
        let nested = |inner: &Path, outer: &Path| CannotRestore::Nested {
            inner: inner.to_path_buf(),
            outer: outer.to_path_buf(),
        };
        let outer = self.real(&link.location);
        if self.real(self.destination).starts_with(outer) {
            return Err(nested(self.destination, &link.location));
        }
        let mut others = self.links.iter().filter(|other| other.oid != link.oid);
        match others.find(|other| self.real(&other.location).starts_with(outer)) {
            Some(other) => Err(nested(&other.location, &link.location)),
            None => Ok(()),
        }
    }

    fn in_destination(&self, link: &TablespaceLink) -> Result<Option<PathBuf>, CannotRestore> {
        let real = self.real(&link.location);
        let Ok(inside) = real.strip_prefix(self.real(self.destination)) else {
            return Ok(None);
        };
        if can_hold_tablespace(inside) {
            return Ok(Some(inside.to_path_buf()));
        }
        Err(CannotRestore::Nested {
            inner: link.location.clone(),
            outer: self.destination.to_path_buf(),
        })
    }

    /// Named on the command line, or a place of the account that the restore is for: root asks
    /// whose the destination is, everybody else restores for itself.
    fn is_confirmed(&self, link: &TablespaceLink) -> bool {
        let owner = |path: &Path| self.fact(path).and_then(|fact| fact.owner);
        let account = match self.account {
            ROOT => owner(self.destination).filter(|owner| *owner != ROOT),
            account => Some(account),
        };
        let is_named = |mapping: &TablespaceMapping| mapping.name == link.name;
        self.mappings.iter().any(is_named)
            || account.is_some_and(|account| owner(&link.location) == Some(account))
    }
}

fn is_free(path: &Path, fact: Option<&PlaceFacts>) -> Result<(), CannotRestore> {
    if !path.is_absolute() {
        return Err(CannotRestore::NotAbsolute(path.to_path_buf()));
    }
    let Some(facts) = fact else { return Ok(()) };
    let path = path.to_path_buf();
    match facts.directory {
        DirectoryFact::Missing | DirectoryFact::Empty => {}
        DirectoryFact::NotEmpty => return Err(CannotRestore::NotEmpty(path)),
        DirectoryFact::Interrupted => return Err(CannotRestore::Interrupted(path)),
        DirectoryFact::NotADirectory => return Err(CannotRestore::NotADirectory(path)),
    }
    match &facts.inside {
        None => Ok(()),
        Some(outer) => Err(CannotRestore::InsideAnother {
            inner: path,
            outer: outer.clone(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POSTGRES: u32 = 26;

    fn link(oid: u32, location: &str) -> TablespaceLink {
        TablespaceLink {
            oid,
            name: format!("ts{oid}"),
            location: PathBuf::from(location),
        }
    }

    fn check(
        links: &[TablespaceLink],
        facts: &[(&str, &str, u32)],
        account: u32,
        mappings: &[&str],
    ) -> Result<BTreeMap<u32, PathBuf>, CannotRestore> {
        let fact = |(path, real, owner): &(&str, &str, u32)| {
            let fact = PlaceFacts {
                real: Some(PathBuf::from(real)),
                owner: Some(*owner),
                ..DirectoryFact::Empty.into()
            };
            (PathBuf::from(path), fact)
        };
        let mappings: Vec<_> = mappings.iter().map(|text| text.parse().unwrap()).collect();
        let places = Places {
            destination: Path::new("/data"),
            links,
            mappings: &mappings,
            facts: &facts.iter().map(fact).collect(),
            account,
        };
        places.check()
    }

    #[test]
    fn a_recorded_location_is_taken_only_where_the_servers_account_has_it_already() {
        let links = [link(1, "/srv/ts")];
        // Who restores, whose the destination is, whose the location is.
        for (account, destination, location, is_taken) in [
            (POSTGRES, POSTGRES, POSTGRES, true),
            (POSTGRES, 0, POSTGRES, true),
            (POSTGRES, POSTGRES, 0, false),
            (POSTGRES, POSTGRES, 1000, false),
            (0, POSTGRES, POSTGRES, true),
            (0, POSTGRES, 0, false),
            (0, 0, 0, false),
            (0, 0, POSTGRES, false),
            (0, POSTGRES, 1000, false),
        ] {
            let facts = [
                ("/data", "/data", destination),
                ("/srv/ts", "/srv/ts", location),
            ];
            let checked = check(&links, &facts, account, &[]);
            let told = CannotRestore::Unconfirmed(vec![("ts1".into(), "/srv/ts".into())]);
            let expected = if is_taken {
                Ok(BTreeMap::new())
            } else {
                Err(told)
            };
            assert_eq!(checked, expected, "{account} {destination} {location}");
            assert!(check(&links, &facts, account, &["ts1:/srv/ts"]).is_ok());
        }
    }

    #[test]
    fn a_record_with_one_tablespace_twice_is_refused() {
        let links = [link(1, "/a"), link(1, "/b")];
        let checked = check(&links, &[("/data", "/data", 0)], 0, &["ts1:/a"]);
        assert_eq!(checked, Err(CannotRestore::Twice(1)));
    }

    #[test]
    fn a_tablespace_inside_the_destination_needs_no_confirmation() {
        let facts = [("/data", "/real", 0), ("/data/ts", "/real/ts", 0)];
        let checked = check(&[link(1, "/data/ts")], &facts, 0, &[]);
        assert_eq!(checked, Ok(BTreeMap::from([(1, PathBuf::from("ts"))])));
        // By another way to the same place.
        let facts = [("/data", "/real", 0), ("/way/ts", "/real/a/ts", 0)];
        let checked = check(&[link(1, "/way/ts")], &facts, 0, &[]);
        assert_eq!(checked, Ok(BTreeMap::from([(1, PathBuf::from("a/ts"))])));
    }

    #[test]
    fn places_in_each_others_way_are_refused_by_what_they_are() {
        let all = ["ts1:/x", "ts2:/x"];
        for (facts, links) in [
            (
                vec![("/data", "/data", 0), ("/a", "/a", 0), ("/b", "/a", 0)],
                vec![link(1, "/a"), link(2, "/b")],
            ),
            (
                vec![("/data", "/data", 0), ("/a", "/a", 0), ("/b", "/a/b", 0)],
                vec![link(1, "/a"), link(2, "/b")],
            ),
            (
                vec![("/data", "/srv/data", 0), ("/srv", "/srv", 0)],
                vec![link(1, "/srv")],
            ),
            (
                vec![("/data", "/real", 0), ("/x", "/real/base", 0)],
                vec![link(1, "/x")],
            ),
            (
                vec![("/data", "/real", 0), ("/x", "/real", 0)],
                vec![link(1, "/x")],
            ),
        ] {
            let checked = check(&links, &facts, 0, &all);
            assert!(
                matches!(checked, Err(CannotRestore::Nested { .. })),
                "{facts:?}: {checked:?}"
            );
        }
    }
}
