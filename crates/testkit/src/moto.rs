//! moto, an imitation of Amazon's services in memory: the Security Token Service, the Key
//! Management Service, and an S3 that checks no signatures.

use std::net::TcpStream;
use std::time::Duration;

use crate::barman_peer::Peer;
use crate::postgres::free_port;
use crate::process::{Program, Service, ServiceFiles};
use crate::scratch::{Scratch, keep_files};
use crate::tools::cached;

const START_DEADLINE: Duration = Duration::from_secs(60);

/// A running server. Dropping it ends it.
#[derive(Debug)]
pub struct Moto {
    port: u16,
    _service: Service,
}

impl Moto {
    /// Starts one.
    pub fn start() -> Moto {
        let port = free_port();
        let folder = Scratch::new("moto").into_path();
        let words = ["-m", "moto.server", "-H", "127.0.0.1", "-p"];
        let server = Program::new(cached("moto/bin/python"))
            .current_dir(&folder)
            .args(words)
            .arg(port.to_string());
        let files = ServiceFiles {
            log: folder.join("log"),
            removed_at_end: (!keep_files()).then_some(folder),
        };
        let service = Service::start(&server, "KILL", files);
        let ready = || TcpStream::connect(("127.0.0.1", port)).is_ok();
        let started = service.wait_until(START_DEADLINE, ready);
        started.unwrap_or_else(|log| panic!("moto: {log}"));
        Moto {
            port,
            _service: service,
        }
    }

    /// Where it listens, without a scheme: what a proxy forwards to.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The URL for clients.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Runs some lines of Python with boto3 imported on it; what they print.
    pub fn boto3(&self, lines: &str) -> String {
        let python = Peer::python()
            .args(["-c", &format!("import boto3\n{lines}")])
            .env("AWS_ENDPOINT_URL", self.endpoint())
            .env("AWS_ACCESS_KEY_ID", "x")
            .env("AWS_SECRET_ACCESS_KEY", "y")
            .env("AWS_DEFAULT_REGION", "us-east-1");
        python.run().success().stdout.trim().to_owned()
    }
}
