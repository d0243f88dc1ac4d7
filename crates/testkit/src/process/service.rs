//! Servers in the background that end with the test process, however it ends.
//!
//! Each runs under a guard: a shell that waits for the end of a pipe from the test process. The
//! kernel closes that pipe even when the test process is killed; then the guard ends the server.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::Program;

// $1 is the log, $2 the signal that ends the server, $3 a folder to remove after that, or nothing.
const GUARD: &str = r#"
    exec 3<&0
    log=$1 signal=$2 folder=$3
    shift 3
    "$@" 3<&- </dev/null >>"$log" 2>&1 &
    server=$!
    echo "$server"
    exec >/dev/null 2>>"$log"
    cat <&3 >/dev/null
    kill -s "$signal" "$server" 2>/dev/null
    ( trap 'kill "$nap"' TERM; sleep 20 & nap=$!; wait "$nap" && kill -s KILL "$server" ) &
    patience=$!
    wait "$server"
    kill "$patience" 2>/dev/null
    [ -z "$folder" ] || rm -rf "$folder"
"#;

/// Which files a service writes.
#[derive(Debug, Clone)]
pub(crate) struct ServiceFiles {
    /// Where its output goes.
    pub log: PathBuf,
    /// A folder that is removed when the service has ended.
    pub removed_at_end: Option<PathBuf>,
}

/// A server in the background. Dropping it ends it.
#[derive(Debug)]
pub struct Service {
    name: String,
    guard: Child,
    lifeline: Option<ChildStdin>,
    server: Pid,
    log: PathBuf,
}

impl Service {
    /// Starts `program`, which must stay in the foreground and must end on `end_signal`.
    pub(crate) fn start(program: &Program, end_signal: &str, files: ServiceFiles) -> Service {
        let mut guarded = Program::new("sh").args(["-c", GUARD, "guard"]);
        guarded = guarded.arg(&files.log).arg(end_signal);
        guarded = guarded.arg(files.removed_at_end.unwrap_or_default());
        // The guard itself keeps the tests' account: it must be able to end and to clean up.
        let inner = program.command();
        guarded = guarded.arg(inner.get_program()).args(inner.get_args());
        let mut command = guarded.command();
        for (name, value) in inner.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        // An interrupt from the keyboard reaches the test process alone; the guard then cleans up.
        command.process_group(0);
        command.current_dir(inner.get_current_dir().unwrap_or(Path::new("/")));
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit());
        let name = program.display();
        let mut guard = command
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start sh: {error}"));
        let mut line = String::new();
        if let Some(output) = guard.stdout.take() {
            let _ = BufReader::new(output).read_line(&mut line);
        }
        let server = line.trim().parse().ok().and_then(Pid::from_raw);
        let server = server.unwrap_or_else(|| panic!("the guard of {name} gave no process id"));
        Service {
            name,
            lifeline: guard.stdin.take(),
            guard,
            server,
            log: files.log,
        }
    }

    /// The server's process id.
    pub fn id(&self) -> u32 {
        self.server.as_raw_nonzero().get().unsigned_abs()
    }

    /// Whether the server still runs.
    pub fn is_running(&self) -> bool {
        self.lifeline.is_some() && is_alive(self.id())
    }

    /// All that it has printed.
    pub fn log(&self) -> String {
        let bytes = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Sends the server a signal.
    pub fn signal(&self, signal: Signal) {
        let _ = kill_process(self.server, signal);
    }

    /// Waits until `ready` says yes; the error is the log when the server ends before that or
    /// when the deadline passes.
    pub fn wait_until(
        &self,
        deadline: Duration,
        mut ready: impl FnMut() -> bool,
    ) -> Result<(), String> {
        let end = Instant::now() + deadline;
        loop {
            if ready() {
                return Ok(());
            }
            let cause = if !self.is_running() {
                "ended".into()
            } else if Instant::now() > end {
                format!("was not ready after {deadline:?}")
            } else {
                std::thread::sleep(Duration::from_millis(20));
                continue;
            };
            return Err(format!("{} {cause}; its log:\n{}", self.name, self.log()));
        }
    }

    /// Sends `signal` and waits for the end; a server that takes too long is killed.
    pub fn end(&mut self, signal: Signal) {
        if self.lifeline.is_none() {
            return;
        }
        self.signal(signal);
        let end = Instant::now() + Duration::from_secs(60);
        while is_alive(self.id()) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(5));
        }
        drop(self.lifeline.take());
        let _ = self.guard.wait();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        let _ = self.guard.wait();
    }
}

/// Whether the process exists and is not merely waiting for its parent to notice its end.
fn is_alive(process: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit_once(") ")
        .is_some_and(|(_, state)| !state.starts_with('Z'))
}
