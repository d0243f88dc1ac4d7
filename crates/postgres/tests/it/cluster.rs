//! A throw-away cluster: made, started, and stopped when it is dropped.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use postgres::{Client, Config, ConnectError, Environment};
use tempfile::TempDir;

/// The password of every user of a cluster.
pub const PASSWORD: &str = "se'cret \\ pass";

/// A running server with sockets in its directory and TCP on 127.0.0.1.
pub struct Cluster {
    directory: TempDir,
    pub port: u16,
}

/// Users of the cluster and how `pg_hba.conf` lets them in; see [`Cluster::start`].
const HBA: &str = "\
local all postgres trust
local replication postgres trust
host all postgres 127.0.0.1/32 trust
local all md5user md5
host all md5user 127.0.0.1/32 md5
host all clear 127.0.0.1/32 password
local all scram scram-sha-256
hostssl all tlsonly 127.0.0.1/32 scram-sha-256
hostnossl all plainonly 127.0.0.1/32 scram-sha-256
host all scram 127.0.0.1/32 scram-sha-256
hostssl all certuser 127.0.0.1/32 cert
";

const USERS: &str = "
SET password_encryption = 'md5';
CREATE USER md5user PASSWORD 'se''cret \\ pass';
SET password_encryption = 'scram-sha-256';
CREATE USER clear PASSWORD 'se''cret \\ pass';
CREATE USER scram PASSWORD 'se''cret \\ pass';
CREATE USER tlsonly PASSWORD 'se''cret \\ pass';
CREATE USER plainonly PASSWORD 'se''cret \\ pass';
CREATE USER certuser;
";

impl Cluster {
    /// A cluster without TLS.
    pub async fn start() -> Self {
        Self::start_with("").await
    }

    /// A cluster with these lines at the end of `postgresql.conf`.
    pub async fn start_with(settings: &str) -> Self {
        Self::prepare().run(settings).await
    }

    /// A directory that the server may read, with a port chosen; the server does not run yet.
    pub fn prepare() -> Self {
        let directory = tempfile::Builder::new()
            .prefix("pg-it-")
            .tempdir_in("/tmp")
            .unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let cluster = Self { directory, port };
        fs::create_dir(cluster.path("run")).unwrap();
        cluster.give_to_server(&cluster.path("run"));
        cluster
    }

    /// Makes and starts the server, and creates its users.
    pub async fn run(self, settings: &str) -> Self {
        let data = self.path("run/data");
        let data = data.to_str().unwrap();
        self.server_command(
            "initdb",
            &["-D", data, "-U", "postgres", "-A", "trust", "-N"],
        );
        let sockets = self.path("run");
        let conf = format!(
            "port = {}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '{}'\n\
             fsync = off\nlogging_collector = off\n{settings}\n",
            self.port,
            sockets.display(),
        );
        let conf_path = self.path("run/data/postgresql.conf");
        let text = fs::read_to_string(&conf_path).unwrap();
        fs::write(&conf_path, format!("{text}\n{conf}")).unwrap();
        fs::write(self.path("run/data/pg_hba.conf"), HBA).unwrap();
        let log = self.path("run/log");
        self.server_command(
            "pg_ctl",
            &["-D", data, "-w", "-l", log.to_str().unwrap(), "start"],
        );
        let mut client = self.connect("user=postgres").await.unwrap();
        client.execute(USERS).await.unwrap();
        client.close().await;
        self
    }

    /// A path inside the cluster's directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Connects over the Unix socket to database `postgres`, with these settings on top.
    pub async fn connect(&self, settings: &str) -> Result<Client, ConnectError> {
        self.connect_as(settings, &Environment::empty()).await
    }

    /// The same over TCP.
    pub async fn connect_tcp(&self, settings: &str) -> Result<Client, ConnectError> {
        self.connect(&format!("host=127.0.0.1 {settings}")).await
    }

    /// The same with an environment.
    pub async fn connect_as(
        &self,
        settings: &str,
        environment: &Environment,
    ) -> Result<Client, ConnectError> {
        Client::connect(&self.config(settings, environment)).await
    }

    /// The settings of a connection to this cluster.
    pub fn config(&self, settings: &str, environment: &Environment) -> Config {
        let (host, port) = (self.path("run"), self.port);
        let text = format!(
            "host={} port={port} dbname=postgres {settings}",
            host.display()
        );
        Config::from_conninfo(&text, environment).unwrap()
    }

    /// Makes the server's user the owner of a file.
    pub fn give_to_server(&self, path: &Path) {
        if let Some((uid, gid)) = server_user() {
            chown(path, Some(uid), Some(gid)).unwrap();
        }
    }

    fn server_command(&self, program: &str, arguments: &[&str]) {
        let output = run(program, arguments);
        let text = String::from_utf8_lossy(&output.stderr);
        let log = fs::read_to_string(self.path("run/log")).unwrap_or_default();
        assert!(output.status.success(), "{program}: {text}\n{log}");
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let data = self.path("run/data");
        run(
            "pg_ctl",
            &["-D", data.to_str().unwrap(), "-m", "immediate", "stop"],
        );
    }
}

/// Runs a program of PostgreSQL, as `postgres` when we are root, because it refuses root.
fn run(program: &str, arguments: &[&str]) -> Output {
    let directory = std::env::var("PG15_BIN").unwrap_or("/usr/lib/postgresql/15/bin".into());
    let path = Path::new(&directory).join(program);
    assert!(
        path.exists(),
        "{} is missing: install postgresql-15, or set PG15_BIN",
        path.display()
    );
    let mut command = match server_user() {
        Some((uid, gid)) => {
            let mut command = Command::new("setpriv");
            command.args([format!("--reuid={uid}"), format!("--regid={gid}")]);
            command.arg("--clear-groups").arg(path);
            command
        }
        None => Command::new(path),
    };
    command
        .args(arguments)
        .current_dir("/")
        .env("LC_ALL", "C")
        .output()
        .unwrap()
}

/// The user that the server runs as, if it must not be us.
fn server_user() -> Option<(u32, u32)> {
    if !nix::unistd::geteuid().is_root() {
        return None;
    }
    let user = nix::unistd::User::from_name("postgres").unwrap();
    let user = user.expect("a user postgres to run the server as, since we are root");
    Some((user.uid.as_raw(), user.gid.as_raw()))
}
