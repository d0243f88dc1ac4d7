//! Lines on standard error, in the form Barman's cloud commands write them:
//! `YYYY-MM-DD HH:MM:SS,mmm [pid] LEVEL: message`.
//!
//! Results go to standard output and never through here. A hint about an error is a line of its
//! own, of the same form, with `HINT` where the level stands.

use std::fmt;
use std::io::{IsTerminal, Write};
use std::sync::{Arc, OnceLock};

use anstyle::{AnsiColor, Style};
use indicatif::ProgressBar;
use jiff::Zoned;

/// How much a line matters; the numbers are those of Barman's `-v` and `-q` arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// What a developer wants to know.
    Debug = 10,
    /// Steps of the work.
    Info = 20,
    /// Something is wrong, but work goes on. The default threshold.
    Warning = 30,
    /// What the caller asked for, and nothing is wrong: `INFO`, but shown whenever warnings are.
    Note = 31,
    /// The command failed.
    Error = 40,
    /// What to do about the error above it; shown whenever that is.
    Hint = 41,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Level::Debug => "DEBUG",
            Level::Info | Level::Note => "INFO",
            Level::Warning => "WARNING",
            Level::Error => "ERROR",
            Level::Hint => "HINT",
        })
    }
}

/// Where lines go, and which of them. Cheap to clone.
#[derive(Clone)]
pub struct Log {
    threshold: i32,
    bar: Arc<OnceLock<ProgressBar>>,
}

impl Log {
    /// Warnings and worse, and ten points more or less for every `-v` and `-q`.
    pub fn new(verbose: u8, quiet: u8) -> Log {
        let steps = i32::from(verbose) - i32::from(quiet);
        let threshold = (Level::Warning as i32 - 10 * steps).max(Level::Debug as i32);
        Log {
            threshold,
            bar: Arc::new(OnceLock::new()),
        }
    }

    /// Whether lines of this level are written at all.
    pub fn shows(&self, level: Level) -> bool {
        level as i32 >= self.threshold
    }

    /// Writes a line, if its level is wanted. A lost line is no reason to fail.
    pub fn line(&self, level: Level, text: &str) {
        if !self.shows(level) {
            return;
        }
        let text = without_numbers(text);
        let line = render_line(&Zoned::now(), std::process::id(), level, &text);
        let write = || {
            let style = style_of(level);
            let _ = writeln!(anstream::stderr().lock(), "{style}{line}{style:#}");
        };
        match self.bar.get() {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Says how a command ended to whoever waits for it at a terminal, in a line without date and
    /// level, or in several that can be pasted. Elsewhere it is a step of the work like others.
    pub fn done(&self, text: &str) {
        if !std::io::stderr().is_terminal() {
            self.line(Level::Info, text);
            return;
        }
        if !self.shows(Level::Warning) {
            return;
        }
        let write = || {
            let _ = writeln!(anstream::stderr().lock(), "{text}");
        };
        match self.bar.get() {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Makes later lines step around a progress bar instead of through it.
    pub fn share_terminal_with(&self, bar: ProgressBar) {
        // A second bar in one process does not happen; were it to, the first keeps its place.
        let _ = self.bar.set(bar);
    }
}

/// Leaves out the ` (os error 2)` that Rust puts behind each of the system's messages.
fn without_numbers(text: &str) -> String {
    let mut parts = text.split(" (os error ");
    let mut left = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once(')') {
            Some((number, rest)) if number.bytes().all(|b| b.is_ascii_digit()) => left += rest,
            _ => {
                left += " (os error ";
                left += part;
            }
        }
    }
    left
}

fn style_of(level: Level) -> Style {
    match level {
        Level::Debug | Level::Info | Level::Note => Style::new(),
        Level::Warning => AnsiColor::Yellow.on_default(),
        Level::Error => AnsiColor::Red.on_default(),
        Level::Hint => AnsiColor::Cyan.on_default(),
    }
}

/// Names come from buckets: what would move the cursor or begin a line of its own is shown as it
/// would be written in a program.
fn render_line(now: &Zoned, pid: u32, level: Level, text: &str) -> String {
    let mut line = format!(
        "{} [{pid}] {level}: ",
        now.strftime("%Y-%m-%d %H:%M:%S,%3f")
    );
    for letter in text.chars() {
        if letter.is_control() {
            line.extend(letter.escape_default());
        } else {
            line.push(letter);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use jiff::tz::TimeZone;

    use super::*;

    #[test]
    fn a_line_has_the_form_of_barmans_cloud_commands() {
        let now: Timestamp = "2026-11-21T08:15:23.452366Z".parse().unwrap();
        let now = now.to_zoned(TimeZone::UTC);
        // Form: the interface description of Barman 3.20.1, "Common options", Logging.
        assert_eq!(
            render_line(&now, 4711, Level::Warning, "page 3 is damaged"),
            "2026-11-21 08:15:23,452 [4711] WARNING: page 3 is damaged"
        );
    }

    #[test]
    fn the_systems_words_are_enough_without_its_numbers() {
        let texts = [
            (
                "cannot open a: No such file (os error 2)",
                "cannot open a: No such file",
            ),
            ("a (os error 2): b (os error 13), c", "a: b, c"),
            ("a (os error x)", "a (os error x)"),
            ("a (os error 2", "a (os error 2"),
        ];
        for (text, expected) in texts {
            assert_eq!(without_numbers(text), expected);
        }
    }

    #[test]
    fn a_name_that_would_forge_a_line_stays_in_its_own() {
        let now = Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC);
        let line = render_line(&now, 1, Level::Error, "no a\u{1b}[2J\n1970 INFO: ü is fine");
        let told = "1970-01-01 00:00:00,000 [1] ERROR: no a\\u{1b}[2J\\n1970 INFO: ü is fine";
        assert_eq!(line, told);
    }

    #[test]
    fn verbosity_moves_the_threshold_by_ten_but_not_below_debug() {
        assert!(Log::new(0, 0).shows(Level::Warning));
        assert!(!Log::new(0, 0).shows(Level::Info));
        assert!(Log::new(1, 0).shows(Level::Info));
        assert!(!Log::new(1, 0).shows(Level::Debug));
        assert!(Log::new(9, 0).shows(Level::Debug));
        assert!(!Log::new(0, 1).shows(Level::Warning));
        assert!(Log::new(0, 0).shows(Level::Note));
        assert!(!Log::new(0, 1).shows(Level::Note));
        assert!(Log::new(0, 1).shows(Level::Hint));
        assert!(!Log::new(0, 2).shows(Level::Error));
    }
}
