//! Starting programs: with an environment, an account, a deadline, and with what they printed,
//! how they ended and how much memory they took afterwards.
//!
//! Always true: a program started here ends by its deadline, with all that it started in turn.

mod memory;
mod service;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, kill_process, kill_process_group};

pub use memory::resident_peak_bytes;
pub use rustix::process::Signal;
pub use service::Service;
pub(crate) use service::ServiceFiles;

use memory::MemoryWatch;

/// How long a program may take unless told otherwise.
pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(300);

/// A command line to be started.
#[derive(Debug, Clone)]
pub struct Program {
    words: Vec<OsString>,
    environment: BTreeMap<OsString, Option<OsString>>,
    directory: Option<PathBuf>,
    input: Vec<u8>,
    deadline: Duration,
    as_server_user: bool,
}

impl Program {
    /// The program at `path`, or found by that name in `PATH`, without arguments.
    pub fn new(path: impl AsRef<OsStr>) -> Program {
        Program {
            words: vec![path.as_ref().to_os_string()],
            environment: BTreeMap::new(),
            directory: None,
            input: Vec::new(),
            deadline: DEFAULT_DEADLINE,
            as_server_user: false,
        }
    }

    /// Adds an argument.
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Program {
        self.words.push(argument.as_ref().to_os_string());
        self
    }

    /// Adds arguments.
    pub fn args<A: AsRef<OsStr>>(self, arguments: impl IntoIterator<Item = A>) -> Program {
        arguments.into_iter().fold(self, Program::arg)
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Program {
        let value = Some(value.as_ref().to_os_string());
        self.environment.insert(name.as_ref().to_os_string(), value);
        self
    }

    /// Sets environment variables.
    pub fn envs<N: AsRef<OsStr>, V: AsRef<OsStr>>(
        self,
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Program {
        variables
            .into_iter()
            .fold(self, |program, (name, value)| program.env(name, value))
    }

    /// Removes a variable that the tests' own environment may have.
    pub fn env_remove(mut self, name: impl AsRef<OsStr>) -> Program {
        self.environment.insert(name.as_ref().to_os_string(), None);
        self
    }

    /// Starts it in `directory`.
    pub fn current_dir(mut self, directory: impl AsRef<Path>) -> Program {
        self.directory = Some(directory.as_ref().to_path_buf());
        self
    }

    /// Feeds it `bytes` as standard input; otherwise that is empty.
    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Program {
        self.input = bytes.into();
        self
    }

    /// Kills it, and fails the test, when it runs longer than this.
    pub fn deadline(mut self, deadline: Duration) -> Program {
        self.deadline = deadline;
        self
    }

    /// Runs it under the account of the PostgreSQL servers.
    pub fn as_server_user(mut self) -> Program {
        self.as_server_user = true;
        self
    }

    /// Starts it and waits for its end.
    pub fn run(self) -> Finished {
        self.start().finish()
    }

    /// Starts it and goes on.
    pub fn start(mut self) -> Running {
        let words = self.display();
        let input = std::mem::take(&mut self.input);
        let mut command = self.command();
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.process_group(0);
        let started = Instant::now();
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {words}: {error}"));
        if let Some(mut pipe) = child.stdin.take() {
            // A program that does not read its input is none of our business.
            std::thread::spawn(move || pipe.write_all(&input));
        }
        Running {
            stdout: child.stdout.take().map(collect),
            stderr: child.stderr.take().map(collect),
            memory: MemoryWatch::of(child.id()),
            deadline: started + self.deadline,
            child,
            words,
            started,
        }
    }

    /// The command with account, environment and folder; standard streams as inherited.
    pub(crate) fn command(&self) -> Command {
        let mut words = Vec::new();
        if let (true, Some(user)) = (self.as_server_user, crate::user::server_user()) {
            words.extend(user.prefix().into_iter().map(OsString::from));
        }
        words.extend(self.words.iter().cloned());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        for (name, value) in &self.environment {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        // The folder the tests run in may be closed to the servers' account.
        let elsewhere = self.as_server_user.then(|| PathBuf::from("/"));
        if let Some(directory) = self.directory.clone().or(elsewhere) {
            command.current_dir(directory);
        }
        command
    }

    fn display(&self) -> String {
        let words: Vec<_> = self
            .words
            .iter()
            .map(|word| word.to_string_lossy())
            .collect();
        words.join(" ")
    }
}

/// A program that was started. Dropping it kills it.
#[derive(Debug)]
pub struct Running {
    child: Child,
    words: String,
    started: Instant,
    deadline: Instant,
    stdout: Option<JoinHandle<Vec<u8>>>,
    stderr: Option<JoinHandle<Vec<u8>>>,
    memory: MemoryWatch,
}

impl Running {
    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        // It may have ended meanwhile; then the signal has nobody to reach.
        let _ = kill_process(Pid::from_child(&self.child), signal);
    }

    /// Waits for its end; panics when the deadline passes first.
    pub fn finish(mut self) -> Finished {
        let status = loop {
            match self.child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if Instant::now() < self.deadline => {
                    std::thread::sleep(Duration::from_millis(2));
                }
                Ok(None) => {
                    self.kill();
                    let output = read(self.stderr.take());
                    panic!(
                        "{} ran past its deadline and was killed:\n{output}",
                        self.words
                    );
                }
                Err(error) => panic!("cannot wait for {}: {error}", self.words),
            }
        };
        Finished {
            words: self.words.clone(),
            code: status.code(),
            signal: status.signal(),
            stdout: read(self.stdout.take()),
            stderr: read(self.stderr.take()),
            took: self.started.elapsed(),
            peak_memory_bytes: self.memory.peak_bytes(),
        }
    }

    /// Ends it and all that it started with SIGKILL.
    pub fn kill(&mut self) {
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let _ = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.is_running() {
            self.kill();
        }
    }
}

/// How a program ended.
#[derive(Debug)]
pub struct Finished {
    words: String,
    /// Its exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// The number of the signal that ended it.
    pub signal: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it said on standard error.
    pub stderr: String,
    /// From start to end.
    pub took: Duration,
    /// The most memory it had, itself and the processes it started together.
    pub peak_memory_bytes: u64,
}

impl Finished {
    /// Panics, showing everything, unless it ended with code 0.
    pub fn success(self) -> Finished {
        self.exits_with(0)
    }

    /// Panics, showing everything, unless it ended with this code.
    pub fn exits_with(self, code: i32) -> Finished {
        assert!(
            self.code == Some(code),
            "{} ended with code {:?} signal {:?}, not {code}\nstdout:\n{}\nstderr:\n{}",
            self.words,
            self.code,
            self.signal,
            self.stdout,
            self.stderr,
        );
        self
    }
}

fn collect(mut pipe: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // What was read before an error is still worth showing.
        let _ = pipe.read_to_end(&mut bytes);
        bytes
    })
}

fn read(collector: Option<JoinHandle<Vec<u8>>>) -> String {
    let bytes = collector
        .and_then(|thread| thread.join().ok())
        .unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}
