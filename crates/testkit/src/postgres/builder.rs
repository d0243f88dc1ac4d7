//! How a new server is asked for, and `initdb`.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use super::{Cluster, START_DEADLINE, WaitFor, free_port};
use crate::process::Program;
use crate::scratch::Scratch;
use crate::tools::Tools;

/// A server to be made: with checksums, a small cache, and no fsync, since a test that crashes
/// does so by killing processes and not the machine.
#[derive(Debug)]
pub struct ClusterBuilder {
    major: u32,
    initdb_arguments: Vec<String>,
    tablespaces: Vec<String>,
    settings: Vec<String>,
    environment: Vec<(String, String)>,
}

impl ClusterBuilder {
    pub(super) fn new(major: u32) -> ClusterBuilder {
        let settings = [
            "fsync = off",
            "shared_buffers = 32MB",
            "max_wal_size = 256MB",
        ];
        ClusterBuilder {
            major,
            initdb_arguments: vec!["--data-checksums".into()],
            tablespaces: Vec::new(),
            settings: settings.map(String::from).into(),
            environment: Vec::new(),
        }
    }

    /// Leaves pages without checksums.
    pub fn without_checksums(mut self) -> ClusterBuilder {
        self.initdb_arguments
            .retain(|argument| argument != "--data-checksums");
        if self.major >= 18 {
            self.initdb_arguments.push("--no-data-checksums".into());
        }
        self
    }

    /// Makes segments of this many MiB instead of 16.
    pub fn wal_segment_mib(mut self, size: u32) -> ClusterBuilder {
        self.initdb_arguments.push(format!("--wal-segsize={size}"));
        self
    }

    /// Adds a tablespace, in a folder of that name beside the data directory.
    pub fn tablespace(mut self, name: &str) -> ClusterBuilder {
        self.tablespaces.push(name.into());
        self
    }

    /// Archives every segment with this command; `%p` and `%f` as PostgreSQL has them.
    pub fn archive_command(self, command: &str) -> ClusterBuilder {
        let quoted = command.replace('\'', "''");
        self.conf("archive_mode = on")
            .conf(&format!("archive_command = '{quoted}'"))
    }

    /// Adds a line to `postgresql.conf`.
    pub fn conf(mut self, line: &str) -> ClusterBuilder {
        self.settings.push(line.into());
        self
    }

    /// Sets a variable in the environment of the server, and so of its `archive_command`.
    pub fn env(mut self, name: &str, value: impl Into<String>) -> ClusterBuilder {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Makes the data directory, starts the server, and creates the tablespaces.
    pub fn start(self) -> Cluster {
        let scratch = Scratch::new(&format!("pg{}", self.major));
        let tools = Tools::of(self.major);
        let data = scratch.server_folder("data");
        self.initdb(&tools, &data);
        append(&data.join("postgresql.conf"), &self.settings);
        // The socket and the log are written by different accounts.
        crate::user::give_to_server_user(scratch.path());
        let mut cluster = Cluster {
            tools,
            data,
            port: free_port(),
            environment: self.environment,
            service: None,
            scratch,
        };
        let started = cluster.launch(WaitFor::Connections, START_DEADLINE);
        started.unwrap_or_else(|log| panic!("PostgreSQL {}: {log}", self.major));
        for name in &self.tablespaces {
            let folder = cluster.scratch.server_folder(name);
            cluster.sql(&format!(
                "CREATE TABLESPACE {name} LOCATION '{}'",
                folder.display()
            ));
        }
        cluster
    }

    fn initdb(&self, tools: &Tools, data: &Path) {
        let mut initdb = Program::new(&tools.initdb).as_server_user();
        initdb = initdb.args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C"]);
        initdb = initdb
            .arg("--no-sync")
            .args(&self.initdb_arguments)
            .arg("-D")
            .arg(data);
        if let Some(libraries) = &tools.library_path {
            initdb = initdb.env("LD_LIBRARY_PATH", libraries);
        }
        initdb.run().success();
    }
}

/// Adds lines to a configuration file, as its present owner's.
pub(super) fn append(file: &Path, lines: &[String]) {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let written = OpenOptions::new()
        .append(true)
        .create(true)
        .open(file)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    written.unwrap_or_else(|error| panic!("cannot write {}: {error}", file.display()));
}
