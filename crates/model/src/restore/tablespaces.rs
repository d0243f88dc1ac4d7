//! Where tablespaces go when a backup is restored.
//!
//! A tablespace that no mapping names goes back to where it was. Making directories and links is
//! the engine's part. Always true: every location is an absolute path, no two mappings name the
//! same tablespace, and every mapping names a tablespace of the backup.

use std::str::FromStr;

use crate::backup::Tablespace;

/// One `NAME:LOCATION` of the command line.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TablespaceMapping {
    /// The tablespace's SQL name.
    pub name: String,
    /// Where it shall go: an absolute path.
    pub location: String,
}

/// A mapping that cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadTablespaceMapping {
    /// Not of the form `NAME:LOCATION`.
    #[error("tablespace mapping {text:?} is not of the form NAME:LOCATION")]
    Form {
        /// What was given.
        text: String,
    },
    /// The location depends on the current directory; PostgreSQL wants an absolute path.
    #[error("location {location:?} of tablespace {name:?} is not an absolute path")]
    Relative {
        /// The tablespace.
        name: String,
        /// What was given.
        location: String,
    },
    /// Two mappings for one tablespace.
    #[error("tablespace {name:?} is mapped twice")]
    Repeated {
        /// The tablespace.
        name: String,
    },
    /// The backup has no such tablespace.
    #[error("the backup has no tablespace {name:?} to map")]
    Unknown {
        /// The tablespace.
        name: String,
    },
    /// Two tablespaces would share a directory.
    #[error("tablespaces {first:?} and {second:?} would both go to {location:?}")]
    SharedLocation {
        /// The one.
        first: String,
        /// The other.
        second: String,
        /// Where.
        location: String,
    },
}

impl FromStr for TablespaceMapping {
    type Err = BadTablespaceMapping;

    /// Splits at the first colon, as Barman does: a location may have colons.
    fn from_str(text: &str) -> Result<TablespaceMapping, BadTablespaceMapping> {
        let parts = text.split_once(':');
        let parts = parts.filter(|(name, location)| !name.is_empty() && !location.is_empty());
        let Some((name, location)) = parts else {
            return Err(BadTablespaceMapping::Form {
                text: text.to_owned(),
            });
        };
        let (name, location) = (name.to_owned(), location.to_owned());
        if location.starts_with('/') {
            Ok(TablespaceMapping { name, location })
        } else {
            Err(BadTablespaceMapping::Relative { name, location })
        }
    }
}

/// A backup's tablespaces with the locations they shall be restored to.
///
/// Barman accepts a mapping of an unknown tablespace and two of the same one; here both are
/// refused, since data would go where nobody wanted it.
pub fn relocate(
    tablespaces: &[Tablespace],
    mappings: &[TablespaceMapping],
) -> Result<Vec<Tablespace>, BadTablespaceMapping> {
    for (place, mapping) in mappings.iter().enumerate() {
        let name = || mapping.name.clone();
        if mappings[..place]
            .iter()
            .any(|earlier| earlier.name == mapping.name)
        {
            return Err(BadTablespaceMapping::Repeated { name: name() });
        }
        if !tablespaces
            .iter()
            .any(|tablespace| tablespace.name == mapping.name)
        {
            return Err(BadTablespaceMapping::Unknown { name: name() });
        }
    }
    let mut relocated: Vec<Tablespace> = Vec::with_capacity(tablespaces.len());
    for tablespace in tablespaces {
        let mapping = mappings
            .iter()
            .find(|mapping| mapping.name == tablespace.name);
        let location = mapping.map_or(&tablespace.location, |mapping| &mapping.location);
        let same = |other: &&Tablespace| trimmed(&other.location) == trimmed(location);
        if let Some(other) = relocated.iter().find(same) {
            return Err(BadTablespaceMapping::SharedLocation {
                first: other.name.clone(),
                second: tablespace.name.clone(),
                location: location.clone(),
            });
        }
        relocated.push(Tablespace {
            location: location.clone(),
            ..tablespace.clone()
        });
    }
    Ok(relocated)
}

fn trimmed(path: &str) -> &str {
    path.trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mapping(text: &str) -> TablespaceMapping {
        text.parse().unwrap()
    }

    fn tablespaces() -> [Tablespace; 2] {
        [("ts1", 16384), ("ts2", 16385)].map(|(name, oid)| Tablespace {
            name: name.to_owned(),
            oid,
            location: format!("/srv/{name}"),
        })
    }

    #[test]
    fn a_mapping_is_split_at_the_first_colon() {
        let read = mapping("ts1:/new:place");
        assert_eq!(
            (read.name.as_str(), read.location.as_str()),
            ("ts1", "/new:place")
        );
    }

    #[test]
    fn malformed_mappings_are_refused() {
        for text in ["", "ts1", "ts1:", ":/x", ":"] {
            let error = text.parse::<TablespaceMapping>().unwrap_err();
            assert!(
                error
                    .to_string()
                    .ends_with("is not of the form NAME:LOCATION"),
                "{text}"
            );
        }
        assert_eq!(
            "ts1:here"
                .parse::<TablespaceMapping>()
                .unwrap_err()
                .to_string(),
            "location \"here\" of tablespace \"ts1\" is not an absolute path"
        );
    }

    #[test]
    fn mapped_tablespaces_move_and_the_others_stay() {
        let relocated = relocate(&tablespaces(), &[mapping("ts2:/new")]).unwrap();
        let places: Vec<&str> = relocated.iter().map(|t| t.location.as_str()).collect();
        assert_eq!(places, ["/srv/ts1", "/new"]);
        assert_eq!(relocated[1].oid, 16385);
    }

    #[test]
    fn mappings_that_would_misplace_data_are_refused() {
        let cases: [(&[&str], &str); 4] = [
            (&["ts3:/new"], "the backup has no tablespace \"ts3\" to map"),
            (&["ts1:/a", "ts1:/b"], "tablespace \"ts1\" is mapped twice"),
            (
                &["ts1:/a", "ts2:/a/"],
                "tablespaces \"ts1\" and \"ts2\" would both go to \"/a/\"",
            ),
            (
                &["ts1:/srv/ts2"],
                "tablespaces \"ts1\" and \"ts2\" would both go to \"/srv/ts2\"",
            ),
        ];
        for (texts, message) in cases {
            let mappings: Vec<_> = texts.iter().map(|text| mapping(text)).collect();
            let error = relocate(&tablespaces(), &mappings).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in "\\PC*") {
            if let Ok(mapping) = text.parse::<TablespaceMapping>() {
                prop_assert_eq!(format!("{}:{}", mapping.name, mapping.location), text);
            }
        }
    }
}
