//! What lies where an object may be: a plain file, nothing, or something that is no object.
//!
//! Absence is an answer that recovery ends by, so nothing else may look like it: a link whose
//! target is gone, somewhere on the way to the file, is a disk that is not mounted. Always true:
//! nothing is opened here, since opening a fifo waits for whoever writes to it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// How a file is meant to be used, which links are judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A link to a plain file is read as that file.
    Read,
    /// A new file would take a link's place, and the file it leads to would stay as it was.
    Replace,
}

/// Something that is neither a plain file nor nothing.
#[derive(Debug, thiserror::Error)]
#[error("{} {what}", path.display())]
pub(super) struct NoObject {
    path: PathBuf,
    what: &'static str,
}

impl NoObject {
    fn at(path: &Path, what: &'static str) -> io::Error {
        io::Error::other(NoObject {
            path: path.into(),
            what,
        })
    }
}

/// Whether an error says that something else lies where an object would.
pub(super) fn is_no_object(error: &(dyn std::error::Error + 'static)) -> bool {
    let io = error.downcast_ref::<io::Error>();
    io.and_then(io::Error::get_ref)
        .is_some_and(|inside| inside.is::<NoObject>())
}

/// Makes sure that what cannot be listed is not a file.
pub(super) fn check_folder(root: &Path, path: &Path) -> io::Result<()> {
    let path: PathBuf = path.components().collect();
    let mut way = path.ancestors().take_while(|above| *above != root);
    let file = way.find(|above| fs::metadata(above).is_ok_and(|there| !there.is_dir()));
    match file {
        Some(file) => Err(NoObject::at(file, "is no directory")),
        None => Ok(()),
    }
}

const LINK_TO_NOTHING: &str = "is a link to nothing";

/// Makes sure that at this path below the root is a plain file, or nothing at all.
pub(super) fn check_plain(root: &Path, file: &Path, purpose: Purpose) -> io::Result<()> {
    let there = match fs::symlink_metadata(file) {
        Err(error) if is_absent(&error) => return check_way(root, file),
        there => there?,
    };
    if there.is_symlink() && purpose == Purpose::Replace {
        return Err(NoObject::at(file, "is a link, and would be replaced"));
    }
    let target = match fs::metadata(file) {
        Err(error) if is_absent(&error) => return gone_or_dangling(file),
        target => target?,
    };
    if target.is_file() {
        Ok(())
    } else {
        Err(NoObject::at(file, "is no regular file"))
    }
}

/// For what a look has just not found: an error if it is a link, and its target is missing.
fn gone_or_dangling(path: &Path) -> io::Result<()> {
    let is_link = fs::symlink_metadata(path).is_ok_and(|there| there.is_symlink());
    match fs::metadata(path) {
        Err(error) if is_link && is_absent(&error) => Err(NoObject::at(path, LINK_TO_NOTHING)),
        _ => Ok(()),
    }
}

/// Makes sure that what is missing is not missing because a link on the way leads nowhere.
pub(super) fn check_way(root: &Path, path: &Path) -> io::Result<()> {
    // Without a final slash, which would have the link itself followed.
    let path: PathBuf = path.components().collect();
    let mut way = path.ancestors().take_while(|above| *above != root);
    way.try_for_each(gone_or_dangling)
}

pub(super) fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn only_a_plain_file_or_nothing_passes() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        fs::create_dir(at("directory")).unwrap();
        fs::write(at("file"), "").unwrap();
        for (target, link) in [
            ("file", "to-file"),
            ("nowhere", "dangling"),
            ("round", "round"),
            ("directory", "to-directory"),
        ] {
            symlink(target, at(link)).unwrap();
        }
        let _socket = UnixListener::bind(at("socket")).unwrap();
        let table = [
            ("file", true, true),
            ("absent", true, true),
            ("absent/below", true, true),
            ("file/below", true, true),
            ("directory/absent", true, true),
            ("to-directory/absent", true, true),
            ("to-file", true, false),
            ("dangling", false, false),
            ("dangling/below", false, false),
            ("dangling/far/below", false, false),
            ("round", false, false),
            ("directory", false, false),
            ("to-directory", false, false),
            ("socket", false, false),
        ];
        for (name, read, replaced) in table {
            let check = |purpose| check_plain(root.path(), &at(name), purpose);
            assert_eq!(check(Purpose::Read).is_ok(), read, "reading {name}");
            assert_eq!(check(Purpose::Replace).is_ok(), replaced, "writing {name}");
        }
    }
}
