//! Listing a directory by raw key prefix, sorted and in pages, as an object store lists.
//!
//! The order is that of the keys' bytes, so `a.b` comes before `a/b`. Only directories that can
//! hold keys of the prefix are read, and a page stops reading when it is full. What has a key's
//! name and is no regular file is listed with a size of 0, and cannot be read; so is an empty
//! directory whose name begins as the prefix asks. A prefix that lies behind a link to nothing, or
//! below a file, is an error. Files that a write has in progress (`name#1`) and names that no key
//! can have are left out.

use std::fs;
use std::io;
use std::path::{Path as FilePath, PathBuf};

use object_store::list::{PaginatedListOptions, PaginatedListResult};
use object_store::path::Path;
use object_store::{ListResult, ObjectMeta};

use super::access::NotPermitted;
use super::what::{check_folder, check_way, is_absent};

/// The longest page when the caller names no size: what S3 gives (AWS, "ListObjectsV2").
const PAGE_KEYS: usize = 1000;

/// One page of the keys below `root` that begin with `prefix`.
pub(super) fn list_page(
    root: &FilePath,
    prefix: &str,
    options: &PaginatedListOptions,
) -> io::Result<PaginatedListResult> {
    fs::metadata(root).map_err(|error| naming(root, error))?;
    let after = options.page_token.as_deref().max(options.offset.as_deref());
    let mut page = Page {
        prefix,
        after: after.unwrap_or(""),
        delimiter: options
            .delimiter
            .as_deref()
            .filter(|delimiter| !delimiter.is_empty()),
        limit: options.max_keys.unwrap_or(PAGE_KEYS).max(1),
        last: String::new(),
        truncated: false,
        result: ListResult {
            common_prefixes: Vec::new(),
            objects: Vec::new(),
            ..empty()
        },
    };
    // Everything before the last slash is a directory; the rest is the beginning of a name.
    let start = prefix.rfind('/').map_or("", |slash| &prefix[..=slash]);
    if start.is_empty() || Path::parse(start).is_ok() {
        let directory = root.join(start);
        if !directory.exists() {
            check_way(root, &directory)?;
            check_folder(root, &directory)?;
        }
        page.walk(&directory, start)?;
    }
    let page_token = page.truncated.then_some(page.last);
    Ok(PaginatedListResult {
        result: page.result,
        page_token,
    })
}

fn empty() -> ListResult {
    ListResult {
        common_prefixes: Vec::new(),
        objects: Vec::new(),
        extensions: Default::default(),
    }
}

struct Page<'a> {
    prefix: &'a str,
    /// Keys and common prefixes up to and including this one were on earlier pages.
    after: &'a str,
    delimiter: Option<&'a str>,
    limit: usize,
    /// The last key or common prefix on this page.
    last: String,
    truncated: bool,
    result: ListResult,
}

impl Page<'_> {
    /// Adds the keys of one directory, whose keys begin with `base` (empty or with a final slash).
    fn walk(&mut self, directory: &FilePath, base: &str) -> io::Result<()> {
        for entry in sorted_entries(directory, base)? {
            if self.truncated {
                break;
            }
            if entry.is_directory && self.has_its_name(base, &entry) && is_empty(&entry.path) {
                let key = entry.key.trim_end_matches('/').to_owned();
                self.add_file(Entry { key, ..entry })?;
            } else if entry.is_directory {
                self.enter(&entry)?;
            } else if entry.key.starts_with(self.prefix) {
                self.add_file(entry)?;
            }
        }
        Ok(())
    }

    /// Whether the prefix asks for files of such a name: then a directory there is in the way.
    fn has_its_name(&self, base: &str, entry: &Entry) -> bool {
        let name = self.prefix.strip_prefix(base).unwrap_or_default();
        !name.is_empty() && !name.contains('/') && entry.key.starts_with(self.prefix)
    }

    fn enter(&mut self, entry: &Entry) -> io::Result<()> {
        let leads_there = entry.key.starts_with(self.prefix) || self.prefix.starts_with(&entry.key);
        let seen = entry.key.as_str() <= self.after && !self.after.starts_with(&entry.key);
        if !leads_there || seen {
            return Ok(());
        }
        self.walk(&entry.path, &entry.key)
    }

    fn add_file(&mut self, entry: Entry) -> io::Result<()> {
        if let Some(group) = self.group_of(&entry.key) {
            return self.add_group(group);
        }
        if entry.key.as_str() <= self.after || self.is_full() {
            return Ok(());
        }
        let found = fs::metadata(&entry.path);
        let metadata = match found.or_else(|_| fs::symlink_metadata(&entry.path)) {
            // A link that leads nowhere, a pipe or a device is not the absence of an object:
            // whoever reads it is told.
            Ok(metadata) => metadata,
            // A file may vanish while we look.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(naming(&entry.path, error)),
        };
        let modified = metadata
            .modified()
            .map_err(|error| naming(&entry.path, error))?;
        let location = Path::parse(&entry.key).map_err(io::Error::other)?;
        self.result.objects.push(ObjectMeta {
            location,
            last_modified: modified.into(),
            size: if metadata.is_file() {
                metadata.len()
            } else {
                0
            },
            e_tag: None,
            version: None,
        });
        self.last = entry.key;
        Ok(())
    }

    fn add_group(&mut self, group: String) -> io::Result<()> {
        if group.as_str() <= self.after || group == self.last || self.is_full() {
            return Ok(());
        }
        let path = Path::parse(&group).map_err(io::Error::other)?;
        self.result.common_prefixes.push(path);
        self.last = group;
        Ok(())
    }

    /// The common prefix that stands for `key`, when the caller asked for grouping.
    fn group_of(&self, key: &str) -> Option<String> {
        let delimiter = self.delimiter?;
        let rest = &key[self.prefix.len()..];
        let at = rest.find(delimiter)?;
        Some(key[..self.prefix.len() + at + delimiter.len()].to_owned())
    }

    /// Notes that one key more exists than the page may have.
    fn is_full(&mut self) -> bool {
        let full = self.result.objects.len() + self.result.common_prefixes.len() >= self.limit;
        self.truncated |= full;
        full
    }
}

fn is_empty(directory: &FilePath) -> bool {
    fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_none())
}

struct Entry {
    /// The whole key; with a final slash for a directory, so that sorting gives key order.
    key: String,
    path: PathBuf,
    is_directory: bool,
}

fn sorted_entries(directory: &FilePath, base: &str) -> io::Result<Vec<Entry>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        // Nothing was ever stored there, or the last object just went and the directory with it.
        Err(error) if is_absent(&error) => return Ok(Vec::new()),
        Err(error) => return Err(naming(directory, error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| naming(directory, error))?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let of_the_volume = base.is_empty() && name == LOST_AND_FOUND;
        if of_the_volume || name.contains(|c: char| c.is_ascii_control()) {
            continue;
        }
        let is_directory = match entry.file_type() {
            // Followed, as reading an object follows it.
            Ok(kind) if kind.is_symlink() => match fs::metadata(entry.path()) {
                Ok(target) => target.is_dir(),
                // It leads nowhere: an object that cannot be read.
                Err(error) if error.kind() == io::ErrorKind::NotFound => false,
                Err(error) => return Err(naming(&entry.path(), error)),
            },
            Ok(kind) => kind.is_dir(),
            Err(error) => return Err(naming(&entry.path(), error)),
        };
        if !is_directory && is_staged(&name) {
            continue;
        }
        let slash = if is_directory { "/" } else { "" };
        found.push(Entry {
            key: format!("{base}{name}{slash}"),
            path: entry.path(),
            is_directory,
        });
    }
    found.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(found)
}

/// The top of a volume has this one, and often only root may read it.
const LOST_AND_FOUND: &str = "lost+found";

/// Whether `name` is one that `object_store` gives to files not yet complete: `name#digits`.
fn is_staged(name: &str) -> bool {
    let digits = name.split_once('#').map_or("", |(_, digits)| digits);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// The same error with the path in its text; its kind stays.
fn naming(path: &FilePath, error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            io::Error::new(error.kind(), NotPermitted::new("read", path))
        }
        kind => io::Error::new(kind, format!("cannot read {}: {error}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(names: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for name in names {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, name).unwrap();
        }
        root
    }

    fn page(root: &FilePath, prefix: &str, options: PaginatedListOptions) -> PaginatedListResult {
        list_page(root, prefix, &options).unwrap()
    }

    fn keys(page: &PaginatedListResult) -> Vec<String> {
        page.result
            .objects
            .iter()
            .map(|object| object.location.to_string())
            .collect()
    }

    #[test]
    fn keys_come_in_the_order_of_their_bytes() {
        let root = tree(&["a/b", "a.b", "a/b.c", "a0", "z#1", "z#x", "ü"]);
        let all = page(root.path(), "", PaginatedListOptions::default());
        assert_eq!(keys(&all), ["a.b", "a/b", "a/b.c", "a0", "z#x", "ü"]);
    }

    #[test]
    fn a_raw_prefix_may_end_inside_a_name() {
        let root = tree(&["w/0001/x", "w/0001/y", "w/0002/x", "w/00012", "v"]);
        let found = page(root.path(), "w/0001", PaginatedListOptions::default());
        assert_eq!(keys(&found), ["w/0001/x", "w/0001/y", "w/00012"]);
        for absent in ["w/0003/", "q", "../", "w//", "w/../"] {
            let nothing = page(root.path(), absent, PaginatedListOptions::default());
            assert!(keys(&nothing).is_empty(), "{absent}");
        }
    }

    #[test]
    fn a_file_in_the_place_of_a_folder_is_an_error_and_not_an_empty_list() {
        let root = tree(&["v"]);
        let listed = list_page(root.path(), "v/", &PaginatedListOptions::default());
        assert!(listed.is_err());
    }

    #[test]
    fn every_page_size_gives_the_same_keys() {
        let names = ["a", "b/1", "b/2", "b/c/1", "b/c/2", "b-", "b0", "c/1", "d"];
        let root = tree(&names);
        let whole = keys(&page(root.path(), "", PaginatedListOptions::default()));
        assert_eq!(whole.len(), names.len());
        for size in 1..=names.len() + 1 {
            let (mut seen, mut token) = (Vec::new(), None);
            loop {
                let options = PaginatedListOptions {
                    max_keys: Some(size),
                    page_token: token,
                    ..Default::default()
                };
                let next = page(root.path(), "", options);
                assert!(keys(&next).len() <= size);
                seen.extend(keys(&next));
                token = next.page_token;
                if token.is_none() {
                    break;
                }
            }
            assert_eq!(seen, whole, "pages of {size}");
        }
    }

    #[test]
    fn a_delimiter_groups_keys_across_pages() {
        let root = tree(&["s/a/1", "s/a/2", "s/b", "s/c/1"]);
        let (mut groups, mut objects, mut token) = (Vec::new(), Vec::new(), None);
        loop {
            let options = PaginatedListOptions {
                max_keys: Some(1),
                page_token: token,
                delimiter: Some("/".into()),
                ..Default::default()
            };
            let next = page(root.path(), "s/", options);
            objects.extend(keys(&next));
            groups.extend(next.result.common_prefixes.iter().map(ToString::to_string));
            token = next.page_token;
            if token.is_none() {
                break;
            }
        }
        assert_eq!(
            (groups, objects),
            (vec!["s/a".into(), "s/c".into()], vec!["s/b".to_owned()])
        );
    }

    #[test]
    fn a_missing_root_is_an_error_and_not_an_empty_list() {
        let root = tree(&[]);
        let gone = root.path().join("gone");
        let error = list_page(&gone, "", &PaginatedListOptions::default()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(error.to_string().contains("gone"), "{error}");
    }

    #[test]
    fn a_prefix_behind_a_link_to_nothing_is_an_error_and_not_an_empty_list() {
        use std::os::unix::fs::symlink;
        let list = |root: &FilePath, prefix: &str| {
            list_page(root, prefix, &PaginatedListOptions::default())
        };
        let root = tree(&["real/base/x", "lost+found/z", "v/1"]);
        symlink("/nowhere", root.path().join("unmounted")).unwrap();
        symlink("real", root.path().join("moved")).unwrap();
        for prefix in ["unmounted/base/", "unmounted/", "unmounted/base/2026"] {
            let error = list(root.path(), prefix).err();
            let error = error.unwrap_or_else(|| panic!("{prefix} is listed"));
            assert!(error.to_string().contains("link to nothing"), "{error}");
        }
        let found = |prefix| keys(&list(root.path(), prefix).unwrap());
        assert_eq!(found("moved/base/"), ["moved/base/x"]);
        assert!(found("moved/wals/").is_empty());
        let all = ["moved/base/x", "real/base/x", "unmounted", "v/1"];
        assert_eq!(found(""), all);
    }
}
