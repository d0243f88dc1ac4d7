//! The program under test: the `barman` executable of this checkout, built as the tests were, and
//! a folder of links so that it can be started under each of its names.
//!
//! Always true: what a test starts is current. The first use in a test process builds it.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::tools::checkout;

/// The names of Barman's programs that are links to the one executable.
pub const NAMES: [&str; 11] = [
    "barman-cloud-backup",
    "barman-cloud-backup-delete",
    "barman-cloud-backup-keep",
    "barman-cloud-backup-list",
    "barman-cloud-backup-show",
    "barman-cloud-check-wal-archive",
    "barman-cloud-restore",
    "barman-cloud-wal-archive",
    "barman-cloud-wal-restore",
    "barman-wal-archive",
    "barman-wal-restore",
];

/// The executable under test. Its folder has a link for each of [`NAMES`], so that the folder can
/// be put into `PATH`.
pub fn barman_binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(build)
}

/// The link that starts the executable under test as `name`, such as `barman-cloud-backup`.
pub fn barman_program(name: &str) -> PathBuf {
    assert!(
        name == "barman" || NAMES.contains(&name),
        "barman has no program {name}"
    );
    barman_binary().with_file_name(name)
}

fn build() -> PathBuf {
    let profile = profile_folder();
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // As `cargo test --workspace` builds it: `cargo build` would choose fewer features for what the
    // program depends on, and compile a hundred crates a second time.
    cargo
        .current_dir(checkout())
        .args(["test", "--quiet", "--no-run"]);
    cargo.args(["--workspace", "--test", "it"]);
    cargo
        .arg("--target-dir")
        .arg(profile.parent().expect("a profile's folder has a parent"));
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    let output = cargo
        .output()
        .unwrap_or_else(|error| panic!("cannot start cargo: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "barman does not build:\n{errors}");
    let built = profile.join("barman");
    assert!(built.exists(), "cargo built no {}", built.display());
    link_names(&built)
}

// `target/debug/deps/acceptance-0123` is this process; programs are built to `target/debug`.
fn profile_folder() -> PathBuf {
    let test = std::env::current_exe()
        .unwrap_or_else(|error| panic!("cannot find out where the test program is: {error}"));
    let deps = test.parent().and_then(Path::parent);
    deps.expect("cargo puts test programs two folders below target")
        .to_path_buf()
}

fn link_names(built: &Path) -> PathBuf {
    let folder = built.with_file_name("barman-names");
    if let Err(error) = std::fs::create_dir_all(&folder) {
        panic!("cannot create {}: {error}", folder.display());
    }
    for name in NAMES.iter().chain(&["barman"]) {
        let link = folder.join(name);
        match symlink("../barman", &link) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                panic!("cannot create {}: {error}", link.display())
            }
            _ => {}
        }
    }
    folder.join("barman")
}
