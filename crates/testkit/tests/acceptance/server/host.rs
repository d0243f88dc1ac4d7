//! A Barman host in a folder: its configuration file, and both programs on it.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;
use testkit::barman_peer::Peer;
use testkit::postgres::Cluster;
use testkit::process::{Program, Running};
use testkit::program::barman_program;
use testkit::scratch::Scratch;
use testkit::user::server_user;

pub const DEADLINE: Duration = Duration::from_secs(120);

/// A folder with `barman.conf` and `barman_home`.
pub struct BarmanHost {
    scratch: Scratch,
}

impl BarmanHost {
    /// A host with these sections of servers; `HOME` in them is `barman_home`.
    pub fn new(servers: &str) -> BarmanHost {
        let scratch = Scratch::new("barman");
        let home = scratch.server_folder("home");
        let logs = scratch.shared_folder("log");
        // Whoever runs the tests as another account than root is that account.
        let user = server_user().map_or_else(own_name, |user| user.name().to_owned());
        let text = format!(
            "[barman]\nbarman_home = {home}\nbarman_user = {user}\nlog_file = {logs}/barman.log\n\
             configuration_files_directory = {folder}/barman.d\ncompression = gzip\n",
            home = home.display(),
            logs = logs.display(),
            folder = scratch.path().display(),
        );
        scratch.write("barman.conf", &text);
        scratch.shared_folder("barman.d");
        let servers = servers.replace("HOME", &home.display().to_string());
        scratch.write("barman.d/servers.conf", &servers);
        BarmanHost { scratch }
    }

    /// A path below `barman_home`.
    pub fn home(&self, name: &str) -> PathBuf {
        self.scratch.join("home").join(name)
    }

    /// What was logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.scratch.join("log/barman.log")).unwrap_or_default()
    }

    /// Our `barman`, started as root is: it becomes the account itself.
    pub fn ours(&self, words: &[&str]) -> Program {
        self.program(Program::new(barman_program("barman")), words)
    }

    /// Python's.
    pub fn peer(&self, words: &[&str]) -> Program {
        self.program(Peer::command("barman"), words)
    }

    fn program(&self, program: Program, words: &[&str]) -> Program {
        let program = program.arg("-c").arg(self.scratch.join("barman.conf"));
        program.args(words).current_dir("/")
    }

    /// What one of the programs says as JSON.
    pub fn json(program: Program) -> Value {
        let said = program.run().success();
        serde_json::from_str(&said.stdout).unwrap_or_else(|error| panic!("{error}: {said:?}"))
    }

    /// Starts our receiver and waits until it streams.
    pub fn receive(&self, server: &str) -> Running {
        let before = self.log().matches("streaming from").count();
        let mut running = self.ours(&["receive-wal", server]).start();
        let began = Instant::now();
        while self.log().matches("streaming from").count() == before {
            if !running.is_running() || began.elapsed() > DEADLINE {
                running.kill();
                panic!("no stream: {:?}", running.finish());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        running
    }
}

fn own_name() -> String {
    let said = Program::new("id").arg("-un").run().success();
    said.stdout.trim().to_owned()
}

/// A section for a server whose WAL is streamed.
pub fn streaming_section(name: &str, cluster: &Cluster) -> String {
    let conninfo = cluster.conninfo();
    format!(
        "[{name}]\nconninfo = {conninfo}\nstreaming_conninfo = {conninfo}\n\
         backup_method = postgres\nstreaming_archiver = on\nslot_name = barman_{name}\n"
    )
}
