//! `barman install-links`.

use std::os::unix::fs::MetadataExt;

use tempfile::TempDir;

use super::{NAMES, start};

#[test]
fn install_links_makes_every_name_and_may_be_repeated() {
    let directory = TempDir::new().unwrap();
    let words = format!("install-links {}", directory.path().display());
    for _ in 0..2 {
        let said = start("barman", &words);
        assert_eq!((said.status, said.stderr.as_str()), (0, ""));
    }
    let program = std::fs::metadata(env!("CARGO_BIN_EXE_barman"))
        .unwrap()
        .ino();
    for name in NAMES {
        let linked = std::fs::metadata(directory.path().join(name))
            .unwrap()
            .ino();
        assert_eq!(linked, program, "{name}");
    }
}

#[test]
fn install_links_never_replaces_another_program() {
    let directory = TempDir::new().unwrap();
    let other = directory.path().join("barman-cloud-restore");
    std::fs::write(&other, "somebody else's").unwrap();
    let said = start(
        "barman",
        &format!("install-links {}", directory.path().display()),
    );
    assert_eq!(said.status, 1);
    assert!(
        said.stderr.contains("it exists and is not this program"),
        "{}",
        said.stderr
    );
    assert_eq!(std::fs::read_to_string(other).unwrap(), "somebody else's");
}
