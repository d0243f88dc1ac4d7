//! Real PostgreSQL servers: new ones with data checksums, tablespaces and an `archive_command`,
//! and ones that are started on a restored data directory and recover from an archive.
//!
//! A server listens on a socket in its own folder and on a free loopback port, trusts everybody
//! there, and ends with the value that stands for it.

mod builder;
mod check;
mod port;
mod restored;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub use builder::ClusterBuilder;
pub use check::verify_backup;
pub use port::free_port;
pub use restored::{RestoredBuilder, WaitFor};

use crate::process::{Program, Running, Service, ServiceFiles, Signal};
use crate::scratch::Scratch;
use crate::tools::Tools;

/// How long a server may take to start or to recover, unless told otherwise.
pub const START_DEADLINE: Duration = Duration::from_secs(120);

/// How a server is stopped; the words of `pg_ctl stop -m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopMode {
    /// Disconnects everybody, then a shutdown checkpoint.
    Fast,
    /// At once, as after a crash.
    Immediate,
}

/// A running server. Dropping it stops it and removes its folder.
#[derive(Debug)]
pub struct Cluster {
    tools: Tools,
    data: PathBuf,
    port: u16,
    environment: Vec<(String, String)>,
    // Before the folder, so that the server ends before its files go.
    service: Option<Service>,
    scratch: Scratch,
}

impl Cluster {
    /// A new server of this PostgreSQL major, not yet made.
    pub fn builder(major: u32) -> ClusterBuilder {
        ClusterBuilder::new(major)
    }

    /// A server on the restored directory `data`, not yet started. The files are given to the
    /// servers' account; they stay when the server ends.
    pub fn on_restored(major: u32, data: impl Into<PathBuf>) -> RestoredBuilder {
        RestoredBuilder::new(major, data.into())
    }

    /// The programs that fit this server.
    pub fn tools(&self) -> &Tools {
        &self.tools
    }

    /// The data directory.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The server's own folder, which holds socket and log; goes with the server.
    pub fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    /// The folder of the Unix socket.
    pub fn socket_folder(&self) -> &Path {
        self.scratch.path()
    }

    /// The port, of the socket and of 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A connection string for the socket, superuser, database `postgres`.
    pub fn conninfo(&self) -> String {
        let host = self.socket_folder().display();
        format!(
            "host={host} port={} user=postgres dbname=postgres",
            self.port
        )
    }

    /// The environment that leads libpq's programs here.
    pub fn environment(&self) -> [(&'static str, String); 4] {
        [
            ("PGHOST", self.socket_folder().display().to_string()),
            ("PGPORT", self.port.to_string()),
            ("PGUSER", "postgres".into()),
            ("PGDATABASE", "postgres".into()),
        ]
    }

    /// Runs SQL through psql; returns the rows, fields divided by `|`. Panics on an error.
    pub fn sql(&self, statements: &str) -> String {
        self.try_sql(statements).unwrap_or_else(|error| {
            panic!(
                "PostgreSQL {} refused: {statements}\n{error}",
                self.tools.major
            )
        })
    }

    /// Runs SQL through psql; the error is what psql said.
    pub fn try_sql(&self, statements: &str) -> Result<String, String> {
        let psql = self.client(&self.tools.psql);
        let psql = psql.args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1"]);
        let finished = psql.input(statements).run();
        match finished.code {
            Some(0) => Ok(finished.stdout.trim_end_matches('\n').to_owned()),
            _ => Err(finished.stderr),
        }
    }

    /// A client program that will connect to this server.
    pub fn client(&self, program: impl AsRef<std::ffi::OsStr>) -> Program {
        Program::new(program).envs(self.environment())
    }

    /// Makes pgbench's tables; a scale of 1 is 100,000 accounts, about 15 MiB.
    pub fn pgbench_init(&self, scale: u32) {
        let pgbench = self.client(&self.tools.pgbench).args(["-i", "-q", "-s"]);
        pgbench.arg(scale.to_string()).run().success();
    }

    /// Starts writing load from two clients that ends by itself after `time` (whole seconds).
    pub fn pgbench(&self, time: Duration) -> Running {
        let seconds = time.as_secs().max(1).to_string();
        let pgbench = self.client(&self.tools.pgbench);
        pgbench.args(["-n", "-c", "2", "-T"]).arg(seconds).start()
    }

    /// The position in the log, as `pg_current_wal_lsn` says it.
    pub fn lsn(&self) -> String {
        self.sql("SELECT pg_current_wal_lsn()")
    }

    /// Begins a new segment and waits until the one before it was archived.
    pub fn archive_now(&self, deadline: Duration) {
        // A switch does nothing in a segment that holds nothing; a restore point is something.
        let segment = self.sql(
            "SELECT pg_walfile_name(pg_create_restore_point('testkit archives now'));
             SELECT pg_switch_wal() IS NULL;",
        );
        let segment = segment.lines().next().unwrap_or_default();
        let archived = format!("SELECT last_archived_wal >= '{segment}' FROM pg_stat_archiver");
        // The file goes when the segment is archived; to ask with psql costs far more.
        let flag = format!("pg_wal/archive_status/{segment}.ready");
        let flag = self.data.join(flag);
        let waited = self.wait_until(deadline, || !flag.exists() && self.sql(&archived) == "t");
        waited.unwrap_or_else(|log| panic!("segment {segment} was not archived: {log}"));
    }

    /// Waits for something; the error is the server's log.
    pub fn wait_until(
        &self,
        deadline: Duration,
        ready: impl FnMut() -> bool,
    ) -> Result<(), String> {
        match &self.service {
            Some(service) => service.wait_until(deadline, ready),
            None => Err("the server was stopped".into()),
        }
    }

    /// All that the server has logged.
    pub fn log(&self) -> String {
        let bytes = std::fs::read(self.scratch.join("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Stops the server; the files stay until the value is dropped.
    pub fn stop(&mut self, mode: StopMode) {
        let signal = match mode {
            StopMode::Fast => Signal::INT,
            StopMode::Immediate => Signal::QUIT,
        };
        if let Some(mut service) = self.service.take() {
            service.end(signal);
        }
    }

    /// Starts the server again after a stop.
    pub fn start_again(&mut self) {
        let started = self.launch(WaitFor::Connections, START_DEADLINE);
        started.unwrap_or_else(|log| panic!("PostgreSQL {}: {log}", self.tools.major));
    }

    /// Runs `pg_amcheck` where it exists for this major, stops the server, and checks the
    /// checksum of every page. Panics when either finds damage.
    pub fn stop_and_check_data(&mut self) {
        if let Some(amcheck) = &self.tools.pg_amcheck {
            let amcheck = self
                .client(amcheck)
                .args(["--install-missing", "--heapallindexed"]);
            let said = amcheck.arg("postgres").run().success();
            assert_eq!(said.stdout, "", "pg_amcheck found something");
        }
        self.stop(StopMode::Fast);
        check::check_pages(&self.tools, &self.data);
    }

    fn launch(&mut self, wait_for: WaitFor, deadline: Duration) -> Result<(), String> {
        let mut server = Program::new(&self.tools.postgres).as_server_user();
        server = server.arg("-D").arg(&self.data);
        server = server.args(["-c", "listen_addresses=127.0.0.1", "-c"]);
        server = server.arg(format!("port={}", self.port)).arg("-c");
        let folder = self.socket_folder().display();
        server = server.arg(format!("unix_socket_directories={folder}"));
        server = server
            .envs(self.environment.iter().cloned())
            .current_dir(self.scratch.path());
        if let Some(libraries) = &self.tools.library_path {
            server = server.env("LD_LIBRARY_PATH", libraries);
        }
        let files = ServiceFiles {
            log: self.scratch.join("log"),
            removed_at_end: None,
        };
        let service = Service::start(&server, "QUIT", files);
        let is_ready = || self.try_sql(wait_for.question()).as_deref() == Ok("t");
        service.wait_until(deadline, || wait_for.is_likely(&self.data) && is_ready())?;
        self.service = Some(service);
        Ok(())
    }
}
