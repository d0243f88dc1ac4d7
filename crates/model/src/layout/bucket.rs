//! Object keys: where everything lives in a bucket, and what a key found there means.
//!
//! The layout is Barman's (`docs/formats/cloud-layout.md` describes it); listing, reading and
//! writing objects is the engine's part. Always true: a key neither begins nor ends with `/` and
//! has no `.` or `..` segment; an empty one only where the URL or the server's name has one.
//! Names are kept as they were given, Unicode included: stores compare keys byte by byte.

use crate::backup::id::BackupId;
use crate::codec::Codec;
use crate::layout::archive_name::ArchiveName;
use crate::layout::part::{self, Part};
use crate::wal::name::WalName;

/// Where one server's backups and WAL lie in a bucket: `<prefix>/<server>/…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    root: String,
    /// How much of it is in front of the server's name.
    path_length: usize,
}

/// A prefix or server name that cannot be part of a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadLayout {
    /// The server's name has a segment that cannot be.
    #[error("server name {name:?} cannot be part of an object key: {cause}")]
    Server {
        /// What was given.
        name: String,
        /// What is wrong with it.
        cause: BadKeyPart,
    },
    /// The prefix, from the URL's path, has a segment that cannot be.
    #[error("path {path:?} cannot begin an object key: {cause}")]
    Prefix {
        /// What was given.
        path: String,
        /// What is wrong with it.
        cause: BadKeyPart,
    },
}

/// What is wrong with one segment of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadKeyPart {
    /// Nothing.
    #[error("it is empty")]
    Empty,
    /// `.` or `..`, which file systems and HTTP clients resolve.
    #[error("it has a part `.` or `..`")]
    Dots,
    /// A slash at the beginning of a name.
    #[error("it begins with `/`")]
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
    /// The layout below a URL's path (empty for the bucket's root) for one server.
    ///
    /// As in Barman slashes at the beginning of the path do not count, one at its end does not
    /// either, and all others are part of the keys; a server's name may have slashes, too, but not
    /// begin with one, which Barman writes to one place and looks for in another.
    pub fn new(prefix: &str, server: &str) -> Result<Layout, BadLayout> {
        let bad_server = |cause| BadLayout::Server {
            name: server.to_owned(),
            cause,
        };
        if server.starts_with('/') {
            return Err(bad_server(BadKeyPart::Slash));
        }
        let name = server.strip_suffix('/').unwrap_or(server);
        if name.is_empty() {
            return Err(bad_server(BadKeyPart::Empty));
        }
        name.split('/')
            .try_for_each(check_segment)
            .map_err(bad_server)?;
        let mut path = prefix.trim_start_matches('/').to_owned();
        let segments = path.split('/').try_for_each(check_segment);
        segments.map_err(|cause| BadLayout::Prefix {
            path: prefix.to_owned(),
            cause,
        })?;
        if !path.is_empty() && !path.ends_with('/') {
            path.push('/');
        }
        Ok(Layout {
            root: format!("{path}{name}"),
            path_length: path.len(),
        })
    }

    /// Whether keys have nothing between two slashes somewhere: a directory cannot hold those.
    pub fn has_empty_parts(&self) -> bool {
        self.root.split('/').any(str::is_empty)
    }

    /// What stands in front of the server's name, with its slash: other servers may be beside it.
    pub fn path(&self) -> &str {
        &self.root[..self.path_length]
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
        format!("{}/{}", self.base(id), part::RECORD)
    }

    /// The backup label of a backup that is disk snapshots; others have it inside an archive.
    pub fn backup_label(&self, id: &BackupId) -> String {
        format!("{}/backup_label", self.base(id))
    }

    /// One archive of a backup.
    pub fn archive(&self, id: &BackupId, name: &ArchiveName, codec: Codec) -> String {
        format!("{}/{name}{}", self.base(id), codec.suffix())
    }

    /// The annotation that keeps a backup from retention, see [`crate::keep`].
    pub fn annotation_keep(&self, id: &BackupId) -> String {
        format!("{}/{}", self.base(id), part::KEEP)
    }

    /// The annotation that lists a backup's damaged pages, see `crate::damage`.
    pub fn annotation_damage(&self, id: &BackupId) -> String {
        format!("{}/{}", self.base(id), part::DAMAGE)
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

    /// Which backup a key belongs to, and which part of it.
    pub fn part_of<'a>(&self, key: &'a str) -> Option<(BackupId, Part<'a>)> {
        let (id, name) = self.backup_of(key)?;
        Some((id, Part::of(name)))
    }

    /// Which WAL file a key is. `None` for anything else, also for a WAL file in a directory that
    /// is not its own, where no reader would look for it.
    pub fn wal_of(&self, key: &str) -> Option<(WalName, Codec)> {
        let (directory, file_name) = key.rsplit_once('/')?;
        let (name, codec) = parse_wal_file(file_name)?;
        (directory == self.wal_directory(&name)).then_some((name, codec))
    }
}

fn check_segment(segment: &str) -> Result<(), BadKeyPart> {
    if segment == "." || segment == ".." {
        Err(BadKeyPart::Dots)
    } else if segment.contains(char::is_control) {
        Err(BadKeyPart::Control)
    } else {
        Ok(())
    }
}
