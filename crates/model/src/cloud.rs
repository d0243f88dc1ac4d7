//! Object keys: where everything lives in a bucket, and what a key found there means.
//!
//! The layout is Barman's (`docs/formats/cloud-layout.md` describes it); listing, reading and
//! writing objects is the engine's part. Always true: a key neither begins nor ends with `/` and
//! has no empty, `.` or `..` segment, so it means the same in every store and as a file's path.
//! Names are kept as they were given, Unicode included: stores compare keys byte by byte.

mod archive;

use crate::backup::id::BackupId;
use crate::codec::Codec;
use crate::wal::name::WalName;

pub use archive::{ArchiveName, ArchiveSet};

/// Where one server's backups and WAL lie in a bucket: `<prefix>/<server>/…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    root: String,
}

/// A prefix or server name that cannot be part of a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadLayout {
    /// The server's name must be exactly one segment.
    #[error("server name {name:?} cannot be part of an object key: {cause}")]
    Server {
        /// What was given.
        name: String,
        /// What is wrong with it.
        cause: BadSegment,
    },
    /// The prefix, from the URL's path, has a segment that cannot be.
    #[error("path {path:?} cannot begin an object key: {cause}")]
    Prefix {
        /// What was given.
        path: String,
        /// What is wrong with it.
        cause: BadSegment,
    },
}

/// What is wrong with one segment of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSegment {
    /// Nothing, or nothing between two slashes.
    #[error("it has an empty part")]
    Empty,
    /// `.` or `..`, which file systems and HTTP clients resolve.
    #[error("it has a part `.` or `..`")]
    Dots,
    /// A slash within a name.
    #[error("a name has no `/`")]
    Slash,
    /// A line break or another control character.
    #[error("it has a control character")]
    Control,
}

/// A WAL file and how it is compressed, read from the last part of an object's key.
///
/// `None` for what is no WAL name with a known suffix; listings ignore such objects, as Barman
/// does.
pub fn parse_wal_file(file_name: &str) -> Option<(WalName, Codec)> {
    let (plain, codec) = Codec::strip_suffix(file_name);
    Some((plain.parse().ok()?, codec))
}

impl Layout {
    /// The layout below a URL's path (empty for the bucket's root; slashes at its ends are not
    /// part of it) for one server.
    pub fn new(prefix: &str, server: &str) -> Result<Layout, BadLayout> {
        let path = prefix.trim_matches('/');
        check_segment(server).map_err(|cause| BadLayout::Server {
            name: server.to_owned(),
            cause,
        })?;
        if path.is_empty() {
            return Ok(Layout {
                root: server.to_owned(),
            });
        }
        for segment in path.split('/') {
            check_segment(segment).map_err(|cause| BadLayout::Prefix {
                path: prefix.to_owned(),
                cause,
            })?;
        }
        Ok(Layout {
            root: format!("{path}/{server}"),
        })
    }

    /// `<prefix>/<server>`: everything of the server lies below it.
    pub fn server_root(&self) -> &str {
        &self.root
    }

    /// `…/base`: every backup lies below it.
    pub fn backups(&self) -> String {
        format!("{}/base", self.root)
    }

    /// `…/base/<id>`: every object of a backup lies below it.
    pub fn base(&self, id: &BackupId) -> String {
        format!("{}/base/{id}", self.root)
    }

    /// The small object that makes a backup visible; written last, deleted last.
    pub fn backup_info(&self, id: &BackupId) -> String {
        format!("{}/backup.info", self.base(id))
    }

    /// The backup label of a backup that is disk snapshots; others have it inside an archive.
    pub fn backup_label(&self, id: &BackupId) -> String {
        format!("{}/backup_label", self.base(id))
    }

    /// One archive of a backup.
    pub fn archive(&self, id: &BackupId, name: &ArchiveName, codec: Codec) -> String {
        format!("{}/{name}{}", self.base(id), codec.suffix())
    }

    /// The annotation that keeps a backup from retention, see `crate::keep`.
    pub fn annotation_keep(&self, id: &BackupId) -> String {
        format!("{}/annotations/keep", self.base(id))
    }

    /// `…/wals`: every WAL file lies below it, timeline histories directly.
    pub fn wals(&self) -> String {
        format!("{}/wals", self.root)
    }

    /// The directory of a WAL file: `…/wals/<first 16 digits>`, or `…/wals` for a history file.
    pub fn wal_directory(&self, name: &WalName) -> String {
        match name.directory() {
            Some(directory) => format!("{}/wals/{directory}", self.root),
            None => self.wals(),
        }
    }

    /// One WAL file. Without a codec's suffix this is also the prefix that finds the file in any
    /// compression.
    pub fn wal(&self, name: &WalName, codec: Codec) -> String {
        format!("{}/{name}{}", self.wal_directory(name), codec.suffix())
    }

    /// Which backup a key belongs to, and the rest of the key below [`Layout::base`]: for a
    /// listing of [`Layout::backups`]. `None` for keys of nothing.
    pub fn backup_of<'a>(&self, key: &'a str) -> Option<(BackupId, &'a str)> {
        let below = key.strip_prefix(&self.root)?.strip_prefix("/base/")?;
        let (id, object) = below.split_once('/')?;
        Some((id.parse().ok()?, object))
    }

    /// Which WAL file a key is. `None` for anything else, also for a WAL file in a directory that
    /// is not its own, where no reader would look for it.
    pub fn wal_of(&self, key: &str) -> Option<(WalName, Codec)> {
        let (directory, file_name) = key.rsplit_once('/')?;
        let (name, codec) = parse_wal_file(file_name)?;
        (directory == self.wal_directory(&name)).then_some((name, codec))
    }
}

fn check_segment(segment: &str) -> Result<(), BadSegment> {
    if segment.is_empty() {
        Err(BadSegment::Empty)
    } else if segment == "." || segment == ".." {
        Err(BadSegment::Dots)
    } else if segment.contains('/') {
        Err(BadSegment::Slash)
    } else if segment.contains(char::is_control) {
        Err(BadSegment::Control)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id() -> BackupId {
        "20261121T081523".parse().unwrap()
    }

    fn tablespace(number: u32) -> ArchiveName {
        ArchiveName {
            set: ArchiveSet::Tablespace(16384),
            number,
        }
    }

    const DATA: ArchiveName = ArchiveName {
        set: ArchiveSet::Data,
        number: 0,
    };

    #[test]
    fn keys_are_those_barman_wrote() {
        // Keys found in a bucket after Barman 3.20.1 wrote to `s3://…/p/x` for the server `pg`.
        let layout = Layout::new("p/x", "pg").unwrap();
        let base = "p/x/pg/base/20261121T081523";
        assert_eq!(layout.backup_info(&id()), format!("{base}/backup.info"));
        assert_eq!(
            layout.annotation_keep(&id()),
            format!("{base}/annotations/keep")
        );
        assert_eq!(layout.backup_label(&id()), format!("{base}/backup_label"));
        let keys = [
            (DATA, Codec::None, "data.tar"),
            (DATA, Codec::Gzip, "data.tar.gz"),
            (tablespace(0), Codec::Zstd, "16384.tar.zst"),
            (tablespace(0), Codec::Snappy, "16384.tar.snappy"),
            (tablespace(3), Codec::None, "16384_0003.tar"),
        ];
        for (name, codec, file) in keys {
            assert_eq!(
                layout.archive(&id(), &name, codec),
                format!("{base}/{file}")
            );
        }
    }

    #[test]
    fn wal_keys_are_those_barman_wrote_and_are_read_back() {
        let layout = Layout::new("p/x", "pg").unwrap();
        let keys = [
            "p/x/pg/wals/0000000100000000/000000010000000000000007",
            "p/x/pg/wals/0000000100000000/00000001000000000000000C.00000028.backup.gz",
            "p/x/pg/wals/0000000100000000/000000010000000000000022.bz2",
            "p/x/pg/wals/0000000100000000/000000010000000000000023.xz",
            "p/x/pg/wals/0000000100000000/000000010000000000000024.snappy",
            "p/x/pg/wals/0000000100000000/000000010000000000000030.partial.gz",
            "p/x/pg/wals/00000002.history",
        ];
        for key in keys {
            let (name, codec) = layout.wal_of(key).unwrap_or_else(|| panic!("{key}"));
            assert_eq!(layout.wal(&name, codec), key);
        }
    }

    #[test]
    fn what_is_no_wal_of_this_server_is_not_taken_for_one() {
        let layout = Layout::new("p/x", "pg").unwrap();
        for key in [
            "p/x/pg/wals/0000000100000000/notes.txt",
            "p/x/pg/wals/0000000200000000/000000010000000000000007",
            "p/x/other/wals/0000000100000000/000000010000000000000007",
            "p/x/pg/wals/0000000100000000/000000010000000000000007.zip",
            "000000010000000000000007",
            "",
        ] {
            assert_eq!(layout.wal_of(key), None, "{key}");
        }
    }

    #[test]
    fn a_key_below_base_names_its_backup() {
        let layout = Layout::new("", "pg").unwrap();
        let key = "pg/base/20261121T081523/annotations/keep";
        assert_eq!(layout.backup_of(key), Some((id(), "annotations/keep")));
        for key in [
            "pg/base/notes/x",
            "pg/base/20261121T081523",
            "pgx/base/",
            "pg/wals/x",
            "",
        ] {
            assert_eq!(layout.backup_of(key), None, "{key}");
        }
    }

    #[test]
    fn slashes_around_the_path_do_not_matter() {
        for prefix in ["p/x", "/p/x", "p/x/", "//p/x//"] {
            assert_eq!(Layout::new(prefix, "pg").unwrap().server_root(), "p/x/pg");
        }
        for prefix in ["", "/", "//"] {
            assert_eq!(Layout::new(prefix, "pg").unwrap().server_root(), "pg");
        }
    }

    #[test]
    fn names_that_would_lead_elsewhere_are_refused() {
        use BadSegment::*;
        let servers = [
            ("", Empty),
            ("..", Dots),
            (".", Dots),
            ("a/b", Slash),
            ("a\nb", Control),
        ];
        for (server, expected) in servers {
            let error = Layout::new("p", server).unwrap_err();
            assert!(
                matches!(&error, BadLayout::Server { cause, .. } if *cause == expected),
                "{error}"
            );
        }
        for (prefix, expected) in [("a//b", Empty), ("a/../b", Dots), ("a/\0", Control)] {
            let error = Layout::new(prefix, "pg").unwrap_err();
            assert!(
                matches!(&error, BadLayout::Prefix { cause, .. } if *cause == expected),
                "{error}"
            );
        }
    }

    #[test]
    fn unicode_stays_as_it_is() {
        let layout = Layout::new("größe", "s\u{308}erver ☃").unwrap();
        assert_eq!(layout.server_root(), "größe/s\u{308}erver ☃");
    }

    proptest! {
        #[test]
        fn no_key_has_an_empty_segment_or_a_slash_at_its_ends(
            prefix in "[a-z./ é]{0,12}",
            server in "[a-z./ é]{0,6}",
        ) {
            if let Ok(layout) = Layout::new(&prefix, &server) {
                let wal = "000000010000000000000007".parse().unwrap();
                for key in [
                    layout.backup_info(&id()),
                    layout.archive(&id(), &DATA, Codec::Lz4),
                    layout.wal(&wal, Codec::Xz),
                    layout.wals(),
                    layout.server_root().to_owned(),
                ] {
                    let fine = |part: &str| !["", ".", ".."].contains(&part);
                    prop_assert!(key.split('/').all(fine), "{}", key);
                }
            }
        }

        #[test]
        fn any_key_is_looked_at_without_a_panic(key in "\\PC*") {
            let layout = Layout::new("p", "s").unwrap();
            layout.backup_of(&key);
            layout.wal_of(&key);
        }
    }
}
