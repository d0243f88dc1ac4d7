//! Python Barman as an independent program beside ours: it must read what we wrote, and we what it
//! wrote. Its commands run in a virtual environment that `scripts/setup test` made.

use std::fs;
use std::path::PathBuf;

use crate::process::Program;
use crate::tools::cached;

/// Python Barman.
#[derive(Debug, Clone, Copy)]
pub struct Peer;

impl Peer {
    /// Its version: 3.20.1 where a Python of at least 3.12 was found, else 3.19.1.
    pub fn version() -> String {
        let file = cached("peer/barman-version");
        let text = fs::read_to_string(&file);
        let text = text.unwrap_or_else(|error| panic!("cannot read {}: {error}", file.display()));
        text.trim().to_owned()
    }

    /// The path of one of its programs, for an `archive_command` or `restore_command`.
    pub fn path(program: &str) -> PathBuf {
        cached("peer/bin").join(program)
    }

    /// One of its programs, such as `barman-cloud-restore`, with the tests' own environment less
    /// what would lead it to real accounts.
    pub fn command(program: &str) -> Program {
        let command = Program::new(Peer::path(program));
        let foreign = [
            "AWS_PROFILE",
            "AWS_ENDPOINT_URL",
            "AWS_CA_BUNDLE",
            "REQUESTS_CA_BUNDLE",
        ];
        foreign.into_iter().fold(command, Program::env_remove)
    }

    /// Its Python interpreter, which also has the S3 client that it uses (boto3).
    pub fn python() -> Program {
        Peer::command("python")
    }
}
