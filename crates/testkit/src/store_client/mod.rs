//! A store's own Python client, asked by tests: a process that stays, for starting Python with such
//! a client takes a hundred times as long as what it is asked.
//!
//! `answer.py` has the loop and says what travels; each store brings its operations. Always true:
//! one question at a time. The process is started by the first question, ends with its standard
//! input, and so with the test process, and is replaced after a question that it did not answer.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::barman_peer::Peer;
use crate::process::Program;

/// How long an answer may take; the clients give up on a silent store before that.
const DEADLINE: Duration = Duration::from_secs(300);

/// A client with an environment, which says where the store is.
#[derive(Debug)]
pub(crate) struct StoreClient {
    program: Program,
    running: Mutex<Option<RunningClient>>,
}

impl StoreClient {
    /// A client that knows `operations`, the text of a program that ends with a call of
    /// `answer_questions`. Nothing is started.
    pub(crate) fn new(
        operations: &str,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> StoreClient {
        let text = [include_str!("answer.py"), operations].concat();
        StoreClient {
            program: Peer::python().args(["-c", &text]).envs(environment),
            running: Mutex::default(),
        }
    }

    /// Asks about a bucket: the name of an operation and its arguments, the last of which may be
    /// bytes. Returns the lines of the answer; panics with Python's words when there is none.
    pub(crate) fn ask(&self, bucket: &str, words: &[&str], body: Option<&[u8]>) -> Vec<String> {
        self.try_ask(bucket, words, body)
            .unwrap_or_else(|error| panic!("{words:?} of bucket {bucket}: {error}"))
    }

    /// The same; the error is what Python said.
    pub(crate) fn try_ask(
        &self,
        bucket: &str,
        words: &[&str],
        body: Option<&[u8]>,
    ) -> Result<Vec<String>, String> {
        let question = json!({
            "bucket": bucket,
            "words": words,
            "body_bytes": body.map(<[u8]>::len),
        });
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let client = running.get_or_insert_with(|| RunningClient::start(&self.program));
        let Some(answer) = client.exchange(&question, body.unwrap_or_default()) else {
            *running = None;
            return Err("the client did not answer".into());
        };
        drop(running);
        match answer["error"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => Ok(lines(&answer)),
        }
    }
}

fn lines(answer: &Value) -> Vec<String> {
    let lines = answer["lines"].as_array().into_iter().flatten();
    let lines = lines.filter_map(Value::as_str);
    lines.map(str::to_owned).collect()
}

/// The process. Dropping it kills it.
#[derive(Debug)]
struct RunningClient {
    child: Child,
    questions: ChildStdin,
    answers: Receiver<String>,
}

impl RunningClient {
    fn start(program: &Program) -> RunningClient {
        let mut command = program.command();
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        // An interrupt from the keyboard is for the test process; this one ends with it.
        command.process_group(0);
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start Python: {error}"));
        let questions = child.stdin.take().expect("it was asked to be a pipe");
        let output = child.stdout.take().expect("it was asked to be a pipe");
        let (sender, answers) = channel();
        // By a thread of its own, so that an answer can be waited for with a deadline.
        std::thread::spawn(move || {
            let lines = BufReader::new(output).lines().map_while(Result::ok);
            lines.for_each(|line| drop(sender.send(line)));
        });
        RunningClient {
            child,
            questions,
            answers,
        }
    }

    /// Nothing when the process ended, said something else, or took too long.
    fn exchange(&mut self, question: &Value, body: &[u8]) -> Option<Value> {
        let asked = [question.to_string().as_bytes(), b"\n", body].concat();
        self.questions.write_all(&asked).ok()?;
        let answer = self.answers.recv_timeout(DEADLINE).ok()?;
        serde_json::from_str(&answer).ok()
    }
}

impl Drop for RunningClient {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
