//! What becomes of one member of an archive, by its path and its kind.
//!
//! Whoever writes to a bucket writes the archives, so each member is a claim. Opening directories
//! and following no link is the engine's part. Always true: a member is put in place only below
//! its own directory, and never where another archive's or the restore's own work belongs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::layout::ArchiveSet;

/// What a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberKind {
    /// A file with its content.
    File,
    /// A directory.
    Directory,
    /// Another name of a file that came earlier in the archive.
    HardLink,
    /// A name that leads to another path.
    SymbolicLink,
    /// A device, a FIFO, or what no archive of a data directory has.
    Special(u8),
}

/// What is done with a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It goes where its path says.
    Place,
    /// It is the control file, which is put in place at the very end.
    Hold,
    /// A directory is made there in its stead.
    MakeDirectory,
    /// A link that is not made: whoever restores has said what then.
    Link,
    /// It does not belong there, and nothing is lost without it.
    LeaveOut,
    /// It does not belong there, and somebody may miss it: the reason.
    LeaveOutAloud(&'static str),
    /// The whole archive is not to be trusted: the reason.
    Refuse(&'static str),
}

/// The rules for the members of one archive.
#[derive(Debug, Clone)]
pub struct MemberRules {
    set: ArchiveSet,
    /// The tablespaces of the backup; those inside the data directory with their place there.
    tablespaces: BTreeMap<u32, Option<PathBuf>>,
}

impl MemberRules {
    /// Rules for an archive of this set, in a backup with these tablespaces.
    pub fn new(set: ArchiveSet, tablespaces: BTreeMap<u32, Option<PathBuf>>) -> MemberRules {
        MemberRules { set, tablespaces }
    }

    /// Decides. The path has neither `.` nor `..` nor empty names; it is empty for the directory
    /// itself.
    pub fn fate(&self, path: &[u8], kind: MemberKind) -> Fate {
        let refused = match kind {
            MemberKind::Special(_) => Some("it is neither a file nor a directory"),
            MemberKind::Directory => None,
            _ if path.is_empty() => Some("it has no file name"),
            _ => None,
        };
        match (refused, self.set) {
            (Some(cause), _) => Fate::Refuse(cause),
            (None, ArchiveSet::Data) => self.fate_of_data(path, kind),
            (None, ArchiveSet::Tablespace(_)) => fate_in_tablespace(path, kind),
        }
    }

    fn fate_of_data(&self, path: &[u8], kind: MemberKind) -> Fate {
        if path == b"global/pg_control" {
            return match kind {
                MemberKind::File => Fate::Hold,
                _ => Fate::Refuse("the control file can only be a file"),
            };
        }
        // PostgreSQL would make its links anew from it, to where the tablespaces were.
        if path == b"tablespace_map" || self.is_in_tablespace(path) {
            return Fate::LeaveOut;
        }
        if let Some((oid, below)) = tablespace_link(path) {
            match (self.tablespaces.contains_key(&oid), kind) {
                (true, _) if below => {
                    return Fate::Refuse("it lies where the link to a tablespace belongs");
                }
                (true, MemberKind::Directory | MemberKind::SymbolicLink) => return Fate::LeaveOut,
                (true, _) => return Fate::Refuse("it lies where the link to a tablespace belongs"),
                (false, MemberKind::SymbolicLink) => {
                    return Fate::LeaveOutAloud(
                        "it links a tablespace that the backup's record does not have",
                    );
                }
                (false, _) => {}
            }
        }
        match kind {
            MemberKind::SymbolicLink if is_known_link(path) => Fate::MakeDirectory,
            kind => placed(kind),
        }
    }

    fn is_in_tablespace(&self, path: &[u8]) -> bool {
        let inside = self.tablespaces.values().flatten();
        inside
            .map(|place| place.as_os_str().as_encoded_bytes())
            .any(|place| path == place || is_below(path, place))
    }
}

fn fate_in_tablespace(path: &[u8], kind: MemberKind) -> Fate {
    let top = path.split(|byte| *byte == b'/').next().unwrap_or_default();
    if path.is_empty() || is_version_directory(top) {
        return placed(kind);
    }
    Fate::LeaveOutAloud("a tablespace has nothing but PostgreSQL's own directory")
}

fn placed(kind: MemberKind) -> Fate {
    match kind {
        MemberKind::SymbolicLink => Fate::Link,
        _ => Fate::Place,
    }
}

/// `PG_15_202209061`: the directory of one version of PostgreSQL in a tablespace.
fn is_version_directory(name: &[u8]) -> bool {
    let Some(version) = name.strip_prefix(b"PG_") else {
        return false;
    };
    let mut digits = version.iter().filter(|byte| byte.is_ascii_digit());
    let only = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'_' | b'.');
    digits.next().is_some() && version.iter().all(only)
}

/// The tablespace whose link the path is, or is below.
fn tablespace_link(path: &[u8]) -> Option<(u32, bool)> {
    let rest = path.strip_prefix(b"pg_tblspc/")?;
    let mut names = rest.splitn(2, |byte| *byte == b'/');
    let oid = std::str::from_utf8(names.next()?).ok()?;
    Some((oid.parse().ok()?, names.next().is_some()))
}

fn is_below(path: &[u8], directory: &[u8]) -> bool {
    let rest = path.strip_prefix(directory);
    rest.is_some_and(|rest| rest.first() == Some(&b'/'))
}

/// Directories that administrators put elsewhere with a link, and whose content is not restored.
fn is_known_link(path: &[u8]) -> bool {
    matches!(path, b"pg_wal" | b"pg_xlog" | b"log" | b"pg_log")
}

/// Whether a tablespace can lie at this path of the data directory without being in the way of
/// what PostgreSQL has there.
pub fn can_hold_tablespace(inside: &Path) -> bool {
    let bytes = inside.as_os_str().as_encoded_bytes();
    let names: Vec<&[u8]> = bytes.split(|byte| *byte == b'/').collect();
    let own = |name: &[u8]| matches!(name, b"base" | b"global") || name.starts_with(b"pg_");
    let is_number = |name: &[u8]| name.iter().all(u8::is_ascii_digit);
    match names.as_slice() {
        [] | [b""] => false,
        [only] => !own(only) && *only != b"log",
        // Some put the directory beside the links to it.
        [b"pg_tblspc", second, ..] => !is_number(second),
        [first, ..] => !own(first),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(set: ArchiveSet) -> MemberRules {
        let inside = Some(PathBuf::from("spaces/ts2"));
        MemberRules::new(set, BTreeMap::from([(16384, None), (16385, inside)]))
    }

    fn of_data(path: &str, kind: MemberKind) -> Fate {
        rules(ArchiveSet::Data).fate(path.as_bytes(), kind)
    }

    fn of_tablespace(path: &str, kind: MemberKind) -> Fate {
        rules(ArchiveSet::Tablespace(16384)).fate(path.as_bytes(), kind)
    }

    #[test]
    fn files_directories_and_hard_links_go_where_their_paths_say() {
        use MemberKind::{Directory, File, HardLink};
        for (path, kind) in [
            ("", Directory),
            ("base/5", Directory),
            ("base/5/16384", File),
            ("postgresql.conf", HardLink),
            ("pg_wal/000000010000000000000001", File),
            // A tablespace in place is a directory of the data directory.
            ("pg_tblspc/16999/PG_15_202209061/5/1", File),
            ("spaces", Directory),
            ("spaces/ts22/x", File),
        ] {
            assert_eq!(of_data(path, kind), Fate::Place, "{path}");
        }
        for path in [
            "PG_15_202209061/5/16384",
            "PG_14_202107181/5/1",
            "PG_9.2_201204301/1/1",
        ] {
            assert_eq!(of_tablespace(path, File), Fate::Place, "{path}");
        }
        assert_eq!(of_tablespace("", Directory), Fate::Place);
    }

    #[test]
    fn a_tablespace_takes_nothing_but_directories_of_postgresql() {
        for path in [
            "evil",
            "lost+found",
            "PG_",
            "PG_evil/x",
            "pg_15_1/x",
            "etc/PG_15_1",
        ] {
            for kind in [
                MemberKind::File,
                MemberKind::Directory,
                MemberKind::SymbolicLink,
            ] {
                let fate = of_tablespace(path, kind);
                assert!(matches!(fate, Fate::LeaveOutAloud(_)), "{path}: {fate:?}");
            }
        }
    }

    #[test]
    fn nothing_lies_where_a_link_to_a_tablespace_belongs() {
        use MemberKind::{Directory, File, HardLink, SymbolicLink};
        for (path, kind) in [
            ("pg_tblspc/16384", File),
            ("pg_tblspc/16384", HardLink),
            ("pg_tblspc/16384/PG_15_202209061/5/1", File),
            ("pg_tblspc/16385/PG_15_202209061", Directory),
            ("pg_tblspc/16384/x", SymbolicLink),
        ] {
            assert!(matches!(of_data(path, kind), Fate::Refuse(_)), "{path}");
        }
        assert_eq!(of_data("pg_tblspc/16384", SymbolicLink), Fate::LeaveOut);
        assert_eq!(of_data("pg_tblspc/16384", Directory), Fate::LeaveOut);
        let unknown = of_data("pg_tblspc/16999", SymbolicLink);
        assert!(matches!(unknown, Fate::LeaveOutAloud(_)));
    }

    #[test]
    fn what_the_restore_makes_itself_comes_from_no_archive() {
        use MemberKind::{Directory, File, HardLink, SymbolicLink};
        assert_eq!(of_data("tablespace_map", File), Fate::LeaveOut);
        assert_eq!(of_data("global/pg_control", File), Fate::Hold);
        for kind in [Directory, HardLink, SymbolicLink] {
            let fate = of_data("global/pg_control", kind);
            assert!(matches!(fate, Fate::Refuse(_)), "{kind:?}");
        }
        for path in ["spaces/ts2", "spaces/ts2/PG_15_202209061/5/1"] {
            assert_eq!(of_data(path, File), Fate::LeaveOut, "{path}");
        }
    }

    #[test]
    fn links_and_devices_are_never_made() {
        use MemberKind::{Special, SymbolicLink};
        assert_eq!(of_data("pg_wal", SymbolicLink), Fate::MakeDirectory);
        for path in ["base", "pg_wal/x", "global", "postgresql.conf"] {
            assert_eq!(of_data(path, SymbolicLink), Fate::Link, "{path}");
        }
        for path in [
            "base/x",
            "pg_wal",
            "pg_tblspc/16384",
            "pg_tblspc/1",
            "spaces/ts2/x",
            "log",
        ] {
            assert!(
                matches!(of_data(path, Special(b'3')), Fate::Refuse(_)),
                "{path}"
            );
        }
        assert!(matches!(of_data("", MemberKind::File), Fate::Refuse(_)));
    }

    #[test]
    fn a_tablespace_can_lie_beside_what_postgresql_has_in_its_directory() {
        for path in ["ts1", "spaces/ts1", "pg_tblspc/mine", "log/ts1"] {
            assert!(can_hold_tablespace(Path::new(path)), "{path}");
        }
        for path in [
            "",
            "base",
            "base/x",
            "global",
            "pg_wal/x",
            "pg_tblspc",
            "pg_tblspc/16384",
        ] {
            assert!(!can_hold_tablespace(Path::new(path)), "{path}");
        }
    }
}
