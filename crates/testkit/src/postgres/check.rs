//! Checks of data directories that no server is using.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::process::Program;
use crate::tools::Tools;

/// Checks a data directory that no server has touched since it was restored against its
/// `backup_manifest`. The server's log is not looked at: it lies in the archive.
pub fn verify_backup(tools: &Tools, data: &Path) {
    let verify = Program::new(&tools.pg_verifybackup)
        .arg("--no-parse-wal")
        .arg(data);
    verify.run().success();
}

/// Checks the checksum of every page below `data`, tablespaces included.
pub(super) fn check_pages(tools: &Tools, data: &Path) {
    let links = tools
        .borrowed_tablespace_folder
        .map(|name| show_tablespaces_as(name, data));
    let checksums = Program::new(&tools.pg_checksums).as_server_user();
    let checked = checksums.args(["--check", "-D"]).arg(data).run();
    for link in links.iter().flatten() {
        let removed = fs::remove_file(link);
        removed.unwrap_or_else(|error| panic!("cannot remove {}: {error}", link.display()));
    }
    checked.success();
}

// A pg_checksums of another major looks for a folder of its own version in each tablespace.
fn show_tablespaces_as(name: &str, data: &Path) -> Vec<PathBuf> {
    let spaces = fs::read_dir(data.join("pg_tblspc"))
        .into_iter()
        .flatten()
        .flatten();
    let mut links = Vec::new();
    for space in spaces {
        let own = fs::read_dir(space.path())
            .into_iter()
            .flatten()
            .flatten()
            .next();
        let Some(own) = own else { continue };
        let link = space.path().join(name);
        let made = symlink(own.file_name(), &link);
        made.unwrap_or_else(|error| panic!("cannot create {}: {error}", link.display()));
        links.push(link);
    }
    links
}
