//! Progress of long work on standard error: a bar on a terminal, now and then a line elsewhere.
//!
//! Warnings and steps of the engine become log lines. The bar shows bytes, rate and time left; it
//! is coloured unless `NO_COLOR` is set, and absent under `-q` and on a terminal that cannot move
//! its cursor. Lines in place of a bar appear with `-v`, at most one in [`LINE_INTERVAL`].

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use engine::progress::{Event, Progress};
use indicatif::{
    HumanBytes, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle,
};

use super::cloud_log::{Level, Log};
use super::events;

/// How long no line is written after a line about progress.
const LINE_INTERVAL: Duration = Duration::from_secs(30);
/// How long a bar says nothing about the time left.
const SETTLING_TIME: Duration = Duration::from_secs(2);
/// How often a bar is drawn, in times per second.
const DRAWS_PER_SECOND: u8 = 10;

/// Tells a person how far work is.
pub struct Reporter {
    log: Log,
    /// Draws on the terminal, or only counts.
    bar: ProgressBar,
    /// When the next line may be written; `None` where there is a bar.
    next_line: Option<Mutex<Instant>>,
    work: &'static str,
    /// Which of the lines about a wait was written last.
    waits_told: Mutex<Option<u64>>,
}

impl Reporter {
    /// A reporter for work that a word describes, such as "backing up".
    pub fn new(log: &Log, work: &'static str) -> Reporter {
        let draws = std::io::stderr().is_terminal() && !is_set_to("TERM", "dumb");
        if !draws || !log.shows(Level::Warning) {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
            let next_line = Some(Mutex::new(Instant::now() + LINE_INTERVAL));
            return Reporter {
                log: log.clone(),
                bar,
                next_line,
                work,
                waits_told: Mutex::default(),
            };
        }
        let target = ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND);
        let bar = ProgressBar::with_draw_target(None, target).with_message(work);
        bar.set_style(style());
        log.share_terminal_with(bar.clone());
        Reporter {
            log: log.clone(),
            bar,
            next_line: None,
            work,
            waits_told: Mutex::default(),
        }
    }

    /// Shows what is waited for, in place of the bar; elsewhere as a line now and then.
    fn wait(&self, waited: Duration, text: &str) {
        if self.next_line.is_none() {
            let plain = ProgressStyle::with_template("{wide_msg}");
            self.bar.set_style(plain.expect("a constant that parses"));
            self.bar.set_message(text.to_owned());
            self.bar.tick();
            return;
        }
        let Ok(mut told) = self.waits_told.try_lock() else {
            return;
        };
        // A wait that begins anew is told anew.
        let number = waited.as_secs() / LINE_INTERVAL.as_secs();
        if *told != Some(number) {
            *told = Some(number);
            self.log.line(Level::Info, text);
        }
    }

    fn advance(&self, bytes: u64) {
        self.bar.inc(bytes);
        let done = self.bar.position();
        // A database grows while it is read: the estimate gives way to what was seen.
        if self.bar.length().is_some_and(|total| done > total) {
            self.bar.set_length(done);
        }
        let Some(next_line) = &self.next_line else {
            return;
        };
        let Ok(mut due) = next_line.try_lock() else {
            return;
        };
        let now = Instant::now();
        if now >= *due {
            *due = now + LINE_INTERVAL;
            self.log.line(
                Level::Info,
                &render_progress(done, self.bar.length(), self.bar.elapsed()),
            );
        }
    }
}

impl Progress for Reporter {
    fn event(&self, event: Event<'_>) {
        match event {
            Event::Total { bytes } => {
                self.bar.set_style(style());
                self.bar.set_message(self.work);
                self.bar.set_length(bytes);
            }
            Event::Advance { bytes } => self.advance(bytes),
            Event::Checkpoint { waited, usual } => {
                self.wait(waited, &events::checkpoint(waited, usual));
            }
            Event::WaitingForWal {
                next,
                waited,
                patience,
                last_archived,
            } => self.wait(
                waited,
                &events::wal_wait(next, waited, patience, last_archived),
            ),
            Event::Step(step) => self.log.line(Level::Info, &events::step(&step)),
            Event::Warning(warning) => self.log.line(Level::Warning, &events::warning(&warning)),
        }
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn style() -> ProgressStyle {
    let bar = if std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) {
        "{wide_bar}"
    } else {
        "{wide_bar:.cyan}"
    };
    let template = format!(
        "{{msg}} {bar} {{binary_bytes}} of {{binary_total_bytes}}, \
                 {{binary_bytes_per_sec}}{{left}}"
    );
    ProgressStyle::with_template(&template)
        .expect("the template is a constant that parses")
        .with_key("left", write_time_left)
}

/// Writes the time left, once enough was seen to guess it.
fn write_time_left(state: &ProgressState, out: &mut dyn std::fmt::Write) {
    if state.elapsed() >= SETTLING_TIME && state.len().is_some() {
        // A bar that lacks a word is no failure.
        let _ = write!(out, ", {:#} left", HumanDuration(state.eta()));
    }
}

fn render_progress(done: u64, total: Option<u64>, elapsed: Duration) -> String {
    let per_second = (done as f64 / elapsed.as_secs_f64().max(0.001)) as u64;
    let rate = HumanBytes(per_second);
    match total {
        Some(total) if total > 0 => format!(
            "{} of {} done ({} %), {rate}/s",
            HumanBytes(done),
            HumanBytes(total),
            done.saturating_mul(100) / total
        ),
        _ => format!("{} done, {rate}/s", HumanBytes(done)),
    }
}

fn is_set_to(variable: &str, value: &str) -> bool {
    std::env::var_os(variable).is_some_and(|set| set == value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_how_much_of_how_much_and_how_fast() {
        let gib = 1 << 30;
        assert_eq!(
            render_progress(3 * gib, Some(12 * gib), Duration::from_secs(30)),
            "3.00 GiB of 12.00 GiB done (25 %), 102.40 MiB/s"
        );
    }

    #[test]
    fn without_an_estimate_there_is_no_percentage() {
        assert_eq!(
            render_progress(2048, None, Duration::from_secs(2)),
            "2.00 KiB done, 1.00 KiB/s"
        );
    }

    #[test]
    fn more_bytes_than_estimated_move_the_estimate() {
        let reporter = Reporter::new(&Log::new(0, 0), "backing up");
        reporter.event(Event::Total { bytes: 10 });
        reporter.event(Event::Advance { bytes: 25 });
        assert_eq!(reporter.bar.length(), Some(25));
    }
}
