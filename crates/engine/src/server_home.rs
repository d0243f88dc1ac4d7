//! A server's own directory: made before something is put into it, and which cluster it is for.

use std::fs;
use std::io;
use std::path::Path;

use model::postgres::SystemId;

use crate::durable;

/// Makes a directory with those above it, so that a power cut takes none of them.
///
/// # Errors
/// When one cannot be made.
pub fn make_directory(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    let above = directory.parent().filter(|it| !it.as_os_str().is_empty());
    if let Some(above) = above {
        make_directory(above)?;
    }
    match fs::create_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && directory.is_dir() => {}
        made => made?,
    }
    above.map_or(Ok(()), durable::sync_directory)
}

/// The cluster whose backups are kept in this directory, as its `identity.json` says; nothing
/// before the first backup.
///
/// # Errors
/// When the file is there and cannot be understood.
pub fn system_id(directory: &Path) -> io::Result<Option<SystemId>> {
    let path = directory.join("identity.json");
    let text = match fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text?,
    };
    let document: serde_json::Value = serde_json::from_str(&text)?;
    let number = document["systemid"].as_str().and_then(|it| it.parse().ok());
    let bad = || io::Error::new(io::ErrorKind::InvalidData, "it names no systemid");
    number.map(Some).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cluster_of_a_directory_is_the_one_that_its_identity_names() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(system_id(home.path()).unwrap(), None);
        let write = |text: &str| fs::write(home.path().join("identity.json"), text).unwrap();
        // As Barman 3.20.1 writes it.
        write("{\n    \"systemid\": \"7710533701824798486\",\n    \"version\": \"15\"\n}\n");
        let found = system_id(home.path()).unwrap().unwrap();
        assert_eq!(found.to_string(), "7710533701824798486");
        for bad in ["", "{}", "{\"systemid\": 7}"] {
            write(bad);
            assert!(system_id(home.path()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_directory_is_made_with_those_above_it() {
        let home = tempfile::tempdir().unwrap();
        let deep = home.path().join("a/b/c");
        make_directory(&deep).unwrap();
        make_directory(&deep).unwrap();
        assert!(deep.is_dir());
        fs::write(home.path().join("f"), "").unwrap();
        assert!(make_directory(&home.path().join("f")).is_err());
    }
}
