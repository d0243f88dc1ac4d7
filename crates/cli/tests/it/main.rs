//! The program as its users meet it: started under each of its names, judged by its output and
//! status. Nothing here needs a database or an object store.

mod archive_check;
mod catalogue;
mod command_lines;
mod delete;
mod documents;
mod help;
mod keep;
mod links;
mod refusals;
mod start_up;
mod statuses;

use std::os::unix::fs::symlink;
use std::process::{Command, Output};

use tempfile::TempDir;

/// Every name of the program, as a Barman 3.20.1 installation has them.
const NAMES: [&str; 12] = [
    "barman",
    "barman-wal-archive",
    "barman-wal-restore",
    "barman-cloud-backup",
    "barman-cloud-backup-delete",
    "barman-cloud-backup-keep",
    "barman-cloud-backup-list",
    "barman-cloud-backup-show",
    "barman-cloud-check-wal-archive",
    "barman-cloud-restore",
    "barman-cloud-wal-archive",
    "barman-cloud-wal-restore",
];

/// What a program said and how it ended.
struct Said {
    status: i32,
    stdout: String,
    /// With the time and the process id of log lines replaced.
    stderr: String,
}

impl Said {
    /// Everything in one text, for a snapshot.
    fn whole(&self) -> String {
        format!(
            "exit {}\n--- stdout\n{}--- stderr\n{}",
            self.status, self.stdout, self.stderr
        )
    }
}

/// Starts the program under a name with words split at spaces; a no-break space in a word becomes
/// an ordinary one.
fn start(name: &str, words: &str) -> Said {
    start_with(name, words, &[])
}

/// The same, with these variables in its environment.
fn start_with(name: &str, words: &str, variables: &[(&str, &str)]) -> Said {
    let links = TempDir::new().expect("a temporary directory");
    let link = links.path().join(name);
    symlink(env!("CARGO_BIN_EXE_barman"), &link).expect("a new link");
    let mut command = Command::new(link);
    command
        .args(
            words
                .split([' ', '\n'])
                .filter(|word| !word.is_empty())
                .map(in_one_word),
        )
        .env_remove("COLUMNS")
        .env_remove("NO_COLOR");
    for (variable, _) in std::env::vars_os() {
        let foreign = variable.to_str().is_some_and(|name| {
            let own = ["BARMAN_", "AWS_", "PG"]
                .iter()
                .any(|prefix| name.starts_with(prefix));
            own || name.to_ascii_lowercase().ends_with("_proxy")
        });
        if foreign {
            command.env_remove(variable);
        }
    }
    command.envs(variables.iter().copied());
    said(command.output().expect("the program starts"))
}

fn in_one_word(word: &str) -> String {
    word.replace('\u{a0}', " ")
}

fn said(output: Output) -> Said {
    let text = |bytes| String::from_utf8(bytes).expect("output is UTF-8");
    let stderr = text(output.stderr);
    Said {
        status: output.status.code().expect("the program ended by itself"),
        stdout: text(output.stdout),
        stderr: stderr
            .lines()
            .map(|line| without_time(line) + "\n")
            .collect(),
    }
}

/// Replaces `2026-11-21 08:15:23,452 [4711] ` at the start of a line.
fn without_time(line: &str) -> String {
    match line.split_once("] ") {
        Some((stamp, rest)) if stamp.starts_with("20") && stamp.contains(" [") => {
            format!("TIME [PID] {rest}")
        }
        _ => line.to_owned(),
    }
}
