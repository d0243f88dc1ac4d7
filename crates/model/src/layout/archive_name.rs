//! The names of a backup's archives.
//!
//! The data directory and each tablespace are a *set* of one or more tar archives, numbered from
//! 0; a reader extracts all of a set, in any order. What goes into which archive is decided by
//! whoever plans the backup. Always true: a name is written in one way only, and read only so.

use std::fmt;

use crate::codec::Codec;

/// What a set of archives holds. The data directory sorts first, then tablespaces by OID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ArchiveSet {
    /// The data directory.
    Data,
    /// The tablespace with this OID.
    Tablespace(u32),
}

/// One archive of a set. `Display` is the object's name without the codec's suffix: `data.tar`
/// for number 0, `data_0001.tar` for number 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ArchiveName {
    /// What the archive holds a part of.
    pub set: ArchiveSet,
    /// Which part, from 0.
    pub number: u32,
}

impl ArchiveName {
    /// Reads an object's name with its codec's suffix; `None` when it is no archive's name.
    pub fn parse(file_name: &str) -> Option<(ArchiveName, Codec)> {
        let (plain, codec) = Codec::strip_suffix(file_name);
        let stem = plain.strip_suffix(".tar")?;
        let (set, number) = match stem.split_once('_') {
            Some((set, digits)) => (set, part_number(digits)?),
            None => (stem, 0),
        };
        let set = match set {
            "data" => ArchiveSet::Data,
            oid => ArchiveSet::Tablespace(canonical(oid).filter(|oid| *oid > 0)?),
        };
        Some((ArchiveName { set, number }, codec))
    }
}

/// Four digits at least, with zeros in front; never 0, which is written without a number.
fn part_number(digits: &str) -> Option<u32> {
    let number = match digits.len() {
        4 => digits
            .bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| digits.parse().ok())
            .flatten(),
        5.. => canonical(digits),
        _ => None,
    };
    number.filter(|number| *number > 0)
}

/// A decimal number without sign or zeros in front.
fn canonical(digits: &str) -> Option<u32> {
    let number: u32 = digits.parse().ok()?;
    (number.to_string() == digits).then_some(number)
}

impl fmt::Display for ArchiveName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.set {
            ArchiveSet::Data => f.write_str("data")?,
            ArchiveSet::Tablespace(oid) => write!(f, "{oid}")?,
        }
        if self.number > 0 {
            write!(f, "_{:04}", self.number)?;
        }
        f.write_str(".tar")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_barman_wrote_are_read() {
        // Object names found in a bucket after Barman 3.20.1 wrote backups there.
        let names = [
            ("data.tar", ArchiveSet::Data, 0, Codec::None),
            ("data_0003.tar", ArchiveSet::Data, 3, Codec::None),
            ("data.tar.lz4", ArchiveSet::Data, 0, Codec::Lz4),
            (
                "16384.tar.bz2",
                ArchiveSet::Tablespace(16384),
                0,
                Codec::Bzip2,
            ),
        ];
        for (file, set, number, codec) in names {
            assert_eq!(
                ArchiveName::parse(file),
                Some((ArchiveName { set, number }, codec))
            );
        }
    }

    #[test]
    fn other_objects_of_a_backup_are_no_archives() {
        for file in [
            "backup.info",
            "backup_label",
            "data",
            "data.tar.zip",
            "data_0000.tar",
            "data_1.tar",
            "data_00001.tar",
            "data_+001.tar",
            "data_.tar",
            "0.tar",
            "016384.tar",
            "+5.tar",
            "4294967296.tar",
            "other.tar",
            "",
        ] {
            assert_eq!(ArchiveName::parse(file), None, "{file}");
        }
    }

    proptest! {
        #[test]
        fn a_name_survives_being_written_and_read(
            oid in proptest::option::of(1u32..),
            number in prop_oneof![0u32..20_000, any::<u32>()],
            codec in proptest::sample::select(Codec::ALL.to_vec()),
        ) {
            let set = oid.map_or(ArchiveSet::Data, ArchiveSet::Tablespace);
            let name = ArchiveName { set, number };
            let file = format!("{name}{}", codec.suffix());
            prop_assert_eq!(ArchiveName::parse(&file), Some((name, codec)));
        }

        #[test]
        fn what_is_read_is_written_the_same(file in "(data|[0-9]{1,11})(_[0-9]{0,6})?\\.tar") {
            if let Some((name, _)) = ArchiveName::parse(&file) {
                prop_assert_eq!(name.to_string(), file);
            }
        }
    }
}
