//! Who the servers run as. PostgreSQL refuses to run as root, so a root test run starts its
//! servers as `postgres` (or `nobody` where that user does not exist); any other user starts them
//! as itself.
//!
//! A checkout below `/root` cannot be entered by that user. Then the servers keep one capability,
//! to read and search everything, so that they reach the programs in `.cache/` and `target/`;
//! elsewhere they have none.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

/// The account that servers run under, when it is not the one the tests run under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerUser {
    name: &'static str,
    reads_everything: bool,
}

impl ServerUser {
    /// The name of the operating system account.
    pub fn name(&self) -> &str {
        self.name
    }

    /// The words to put before a command line so that it runs under this account.
    pub fn prefix(&self) -> Vec<String> {
        let mut words: Vec<String> = [
            "setpriv",
            "--reuid",
            self.name,
            "--regid",
            self.name,
            "--clear-groups",
        ]
        .map(String::from)
        .into();
        if self.name == "nobody" {
            words[4] = "nogroup".into();
        }
        if self.reads_everything {
            let capability = "+dac_read_search";
            words
                .extend(["--inh-caps", capability, "--ambient-caps", capability].map(String::from));
            // Without this, access(2) would answer as if the capability were not there, and
            // initdb asks it whether `postgres` can be started.
            words.extend(["--securebits", "+no_setuid_fixup"].map(String::from));
        }
        words.push("--".into());
        words
    }
}

/// The account for servers; `None` when the tests do not run as root.
pub fn server_user() -> Option<&'static ServerUser> {
    static USER: OnceLock<Option<ServerUser>> = OnceLock::new();
    USER.get_or_init(find_server_user).as_ref()
}

/// Whether the tests run as root.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Gives `path` and all below it to the servers' account.
pub fn give_to_server_user(path: &Path) {
    let Some(user) = server_user() else { return };
    let status = Command::new("chown")
        .arg("-R")
        .arg(user.name())
        .arg(path)
        .status();
    let worked = matches!(&status, Ok(status) if status.success());
    assert!(
        worked,
        "cannot give {} to {}: {status:?}",
        path.display(),
        user.name()
    );
}

fn find_server_user() -> Option<ServerUser> {
    if !is_root() {
        return None;
    }
    let accounts = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let has_postgres = accounts.lines().any(|line| line.starts_with("postgres:"));
    let name = if has_postgres { "postgres" } else { "nobody" };
    let checkout = crate::tools::checkout();
    let user = ServerUser {
        name,
        reads_everything: !others_may_enter(checkout),
    };
    let prefix = user.prefix();
    let works = Command::new(&prefix[0])
        .args(&prefix[1..])
        .arg("ls")
        .arg(checkout)
        .output();
    assert!(
        matches!(&works, Ok(output) if output.status.success()),
        "user {name}, whom the servers run as, cannot read {}: move the checkout to where \
         everybody can read, or run the tests as an ordinary user ({works:?})",
        checkout.display(),
    );
    Some(user)
}

fn others_may_enter(path: &Path) -> bool {
    let open = |folder: &Path| match fs::metadata(folder) {
        Ok(metadata) => metadata.permissions().mode() & 0o001 != 0,
        Err(_) => false,
    };
    path.ancestors().all(open)
}
