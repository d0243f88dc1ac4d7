//! The log of a Barman host: what `log_file`, `log_level` and `log_format` ask for.
//!
//! A line that cannot be written is lost: the log is no reason for a backup to fail.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

use jiff::Zoned;

/// How much a line matters, as Python's logging counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Importance {
    Debug = 10,
    Info = 20,
    Warning = 30,
    Error = 40,
    Critical = 50,
}

impl Importance {
    /// The level of this name; `NOTSET` is everything.
    pub fn named(name: &str) -> Importance {
        match name {
            "INFO" => Importance::Info,
            "WARNING" => Importance::Warning,
            "ERROR" => Importance::Error,
            "CRITICAL" => Importance::Critical,
            _ => Importance::Debug,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Importance::Debug => "DEBUG",
            Importance::Info => "INFO",
            Importance::Warning => "WARNING",
            Importance::Error => "ERROR",
            Importance::Critical => "CRITICAL",
        }
    }
}

/// An open log.
#[derive(Debug)]
pub struct LogFile {
    file: File,
    threshold: Importance,
    format: String,
}

impl LogFile {
    /// Opens the file, to add to it.
    pub fn open(path: &Path, threshold: Importance, format: &str) -> std::io::Result<LogFile> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let format = format.to_owned();
        Ok(LogFile {
            file,
            threshold,
            format,
        })
    }

    /// Adds a line.
    pub fn line(&self, importance: Importance, text: &str) {
        if importance >= self.threshold {
            let line = render(&self.format, &Zoned::now(), importance, text);
            let _ = (&self.file).write_all(line.as_bytes());
        }
    }
}

fn render(format: &str, now: &Zoned, importance: Importance, text: &str) -> String {
    let values = [
        (
            "%(asctime)s",
            now.strftime("%Y-%m-%d %H:%M:%S,%3f").to_string(),
        ),
        ("%(process)s", std::process::id().to_string()),
        ("%(process)d", std::process::id().to_string()),
        ("%(name)s", "barman".to_owned()),
        ("%(levelname)s", importance.name().to_owned()),
        // The message last: what it holds is no format.
        ("%(message)s", text.to_owned()),
    ];
    let mut line = format.to_owned();
    for (field, value) in values {
        line = line.replace(field, &value);
    }
    line + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use jiff::tz::TimeZone;

    #[test]
    fn a_line_has_the_form_that_the_configuration_asks_for() {
        let now: Timestamp = "2026-11-21T08:15:23.452366Z".parse().unwrap();
        let now = now.to_zoned(TimeZone::UTC);
        let pid = std::process::id();
        let usual = "%(asctime)s [%(process)s] %(name)s %(levelname)s: %(message)s";
        assert_eq!(
            render(usual, &now, Importance::Warning, "100 %(name)s"),
            format!("2026-11-21 08:15:23,452 [{pid}] barman WARNING: 100 %(name)s\n")
        );
        assert_eq!(render("%(message)s", &now, Importance::Info, "x"), "x\n");
    }

    #[test]
    fn less_than_the_threshold_is_not_logged() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let log = LogFile::open(&path, Importance::named("WARNING"), "%(message)s").unwrap();
        log.line(Importance::Info, "no");
        log.line(Importance::Error, "yes");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "yes\n");
    }
}
