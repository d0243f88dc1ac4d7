//! A server on a restored data directory: recovery settings, and the wait for its end.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::builder::append;
use super::{Cluster, START_DEADLINE, free_port};
use crate::scratch::Scratch;
use crate::tools::Tools;
use crate::user::give_to_server_user;

/// When a started server counts as ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitFor {
    /// It answers, if only to readers.
    Connections,
    /// Recovery has ended and it takes writes.
    Promotion,
}

impl WaitFor {
    /// A glance at the files in `data`: whether it is worth while to ask, for psql costs far more.
    /// The status is the eighth line of its file (PostgreSQL source, `pidfile.h`), which pg_ctl
    /// waits for too; the signal file goes when recovery ends.
    pub(super) fn is_likely(self, data: &Path) -> bool {
        let file = fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
        let answers = file.lines().nth(7).map(str::trim_end) == Some("ready");
        match self {
            WaitFor::Connections => answers,
            WaitFor::Promotion => answers && !data.join("recovery.signal").exists(),
        }
    }

    /// What is true then.
    pub(super) fn question(self) -> &'static str {
        match self {
            WaitFor::Connections => "SELECT true",
            WaitFor::Promotion => "SELECT NOT pg_is_in_recovery()",
        }
    }
}

/// A restored server to be started.
#[derive(Debug)]
pub struct RestoredBuilder {
    major: u32,
    data: PathBuf,
    settings: Vec<String>,
    recovers: bool,
    environment: Vec<(String, String)>,
    wait_for: WaitFor,
    deadline: Duration,
}

impl RestoredBuilder {
    pub(super) fn new(major: u32, data: PathBuf) -> RestoredBuilder {
        RestoredBuilder {
            major,
            data,
            // The copy must not write into the archive of the original.
            settings: vec!["archive_mode = off".into()],
            recovers: false,
            environment: Vec::new(),
            wait_for: WaitFor::Promotion,
            deadline: START_DEADLINE,
        }
    }

    /// Recovers from an archive with this `restore_command`, and promotes at the target's or the
    /// archive's end.
    pub fn restore_command(mut self, command: &str) -> RestoredBuilder {
        let quoted = command.replace('\'', "''");
        self.recovers = true;
        self.conf(&format!("restore_command = '{quoted}'"))
            .conf("recovery_target_action = 'promote'")
    }

    /// Adds a setting, such as `recovery_target_name = 'before'`.
    pub fn conf(mut self, line: &str) -> RestoredBuilder {
        self.settings.push(line.into());
        self
    }

    /// Sets a variable in the environment of the server, and so of its `restore_command`.
    pub fn env(mut self, name: &str, value: impl Into<String>) -> RestoredBuilder {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Says when the server counts as started; otherwise when it was promoted.
    pub fn wait_for(mut self, wait_for: WaitFor) -> RestoredBuilder {
        self.wait_for = wait_for;
        self
    }

    /// Says how long that may take.
    pub fn deadline(mut self, deadline: Duration) -> RestoredBuilder {
        self.deadline = deadline;
        self
    }

    /// Starts it; panics with the log when it does not start.
    pub fn start(self) -> Cluster {
        let major = self.major;
        self.try_start()
            .unwrap_or_else(|log| panic!("restored PostgreSQL {major}: {log}"))
    }

    /// Starts it; the error is the log of a server that would not start or recover.
    pub fn try_start(self) -> Result<Cluster, String> {
        let scratch = Scratch::new(&format!("restored{}", self.major));
        give_to_server_user(scratch.path());
        append(&self.data.join("postgresql.auto.conf"), &self.settings);
        if self.recovers {
            append(&self.data.join("recovery.signal"), &[]);
        }
        self.give_files();
        let mut cluster = Cluster {
            tools: Tools::of(self.major),
            data: self.data,
            port: free_port(),
            environment: self.environment,
            service: None,
            scratch,
        };
        cluster.launch(self.wait_for, self.deadline)?;
        Ok(cluster)
    }

    // The server insists on owning its directory and on nobody else writing there.
    fn give_files(&self) {
        give_to_server_user(&self.data);
        let closed = fs::set_permissions(&self.data, fs::Permissions::from_mode(0o700));
        closed.unwrap_or_else(|error| panic!("cannot close {}: {error}", self.data.display()));
        let links = fs::read_dir(self.data.join("pg_tblspc"))
            .into_iter()
            .flatten()
            .flatten();
        for target in links.filter_map(|link| fs::canonicalize(link.path()).ok()) {
            give_to_server_user(&target);
        }
    }
}
