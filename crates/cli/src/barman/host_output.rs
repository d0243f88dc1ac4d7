//! What `barman` says: on the console as it goes along, or one JSON document at the end.
//!
//! Information and results go to standard output, warnings and errors to standard error with their
//! level in front. As JSON everything is in the document, and standard error stays empty. Always
//! true: no password is shown, and what was an error makes the status 1.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::{Mutex, MutexGuard, OnceLock};

use anstyle::{AnsiColor, Style};
use serde_json::{Map, Value};

use super::log_file::{Importance, LogFile};
use super::redact::redact;
use super::status;
use crate::arguments;
use crate::failure::{Failure, Kind};
use crate::render::json::render_bare;

/// The form of results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum OutputFormat {
    Console,
    Json,
}

/// Which lines are wanted, and how they look.
#[derive(Debug, Clone, Copy)]
pub struct OutputManner {
    pub format: OutputFormat,
    pub is_quiet: bool,
    pub is_debugging: bool,
    pub colours: Colours,
}

/// When there are colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Colours {
    Never,
    Always,
    Auto,
}

/// Where a command speaks.
pub struct HostOutput {
    manner: OutputManner,
    has_colours: bool,
    log: OnceLock<LogFile>,
    said: Mutex<Said>,
}

#[derive(Default)]
struct Said {
    results: BTreeMap<String, Value>,
    messages: BTreeMap<&'static str, Vec<Value>>,
    has_error: bool,
}

impl HostOutput {
    pub fn new(manner: OutputManner) -> HostOutput {
        let has_colours = match manner.colours {
            Colours::Never => false,
            Colours::Always => true,
            Colours::Auto => {
                std::io::stdout().is_terminal()
                    && std::io::stderr().is_terminal()
                    && std::env::var_os("NO_COLOR").is_none_or(|it| it.is_empty())
            }
        };
        HostOutput {
            manner,
            has_colours,
            log: OnceLock::new(),
            said: Mutex::default(),
        }
    }

    /// Whether results are wanted as JSON.
    pub fn is_json(&self) -> bool {
        self.manner.format == OutputFormat::Json
    }

    /// From now on everything is logged, too.
    pub fn log_to(&self, log: LogFile) {
        let _ = self.log.set(log);
    }

    /// A line of the result, for people.
    pub fn line(&self, text: &str) {
        if !self.is_json() && !self.manner.is_quiet {
            // A reader that went away (`| head`) has all it wanted.
            let _ = arguments::print(&format!("{}\n", redact(text)));
        }
    }

    /// The result about a server, for programs.
    pub fn record(&self, server: &str, value: Value) {
        if self.is_json() {
            let value = redacted(value);
            self.said().results.insert(server.to_owned(), value);
        }
    }

    pub fn debug(&self, text: &str) {
        self.log(Importance::Debug, text);
        if self.manner.is_debugging {
            self.message("_DEBUG", "DEBUG: ", Style::new(), text);
        }
    }

    pub fn info(&self, text: &str) {
        self.log(Importance::Info, text);
        if self.is_json() {
            self.message("_INFO", "", Style::new(), text);
        } else {
            self.line(text);
        }
    }

    pub fn warning(&self, text: &str) {
        self.log(Importance::Warning, text);
        let yellow = AnsiColor::Yellow.on_default();
        self.message("_WARNING", "WARNING: ", yellow, text);
    }

    pub fn error(&self, text: &str) {
        self.log(Importance::Error, text);
        self.said().has_error = true;
        let red = AnsiColor::Red.on_default();
        self.message("_ERROR", "ERROR: ", red, text);
    }

    fn hint(&self, text: &str) {
        let cyan = AnsiColor::Cyan.on_default();
        self.message("_HINT", "HINT: ", cyan, text);
    }

    fn message(&self, key: &'static str, prefix: &str, style: Style, text: &str) {
        let text = redact(text);
        if self.is_json() {
            let mut said = self.said();
            said.messages.entry(key).or_default().push(text.into());
            return;
        }
        let style = if self.has_colours {
            style
        } else {
            Style::new()
        };
        let line = format!("{style}{prefix}{text}{style:#}\n");
        // Nobody is left to be told that standard error is gone.
        let _ = std::io::stderr().lock().write_all(line.as_bytes());
    }

    fn log(&self, importance: Importance, text: &str) {
        if let Some(log) = self.log.get() {
            log.line(importance, &redact(text));
        }
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        // Whoever panicked in here left a message too few.
        self.said
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Says how the command ended, and with which status.
    pub fn finish(self, ended: Result<(), Failure>) -> ExitCode {
        let mut status = match ended {
            Ok(()) => 0,
            Err(failure) => {
                self.error(&failure.what);
                if let Some(hint) = failure.advice.as_ref().and_then(status::advice) {
                    self.hint(&hint);
                }
                status::of(failure.kind)
            }
        };
        let said = self.said();
        if said.has_error && status == 0 {
            status = status::of(Kind::Failed);
        }
        if self.is_json() && !self.manner.is_quiet {
            let messages = said.messages.iter();
            let messages = messages.map(|(key, texts)| ((*key).to_owned(), texts.clone().into()));
            let results = said
                .results
                .iter()
                .map(|(key, it)| (key.clone(), it.clone()));
            let document: BTreeMap<String, Value> = messages.chain(results).collect();
            let document = Value::Object(Map::from_iter(document));
            let _ = arguments::print(&render_bare(&document));
        }
        ExitCode::from(status)
    }
}

/// The value with every text in it redacted, and keys in order.
fn redacted(value: Value) -> Value {
    match value {
        Value::String(text) => redact(&text).into(),
        Value::Array(values) => values.into_iter().map(redacted).collect(),
        Value::Object(map) => {
            let sorted: BTreeMap<_, _> = map.into_iter().collect();
            let pairs = sorted
                .into_iter()
                .map(|(key, value)| (key, redacted(value)));
            Value::Object(pairs.collect())
        }
        other => other,
    }
}
