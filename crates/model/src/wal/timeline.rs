//! Timelines: the branches of a cluster's history, and the files that tell where they fork.
//!
//! A history file `0000000N.history` lists, for each ancestor of timeline N, the position at which
//! it was left. What the archive holds of each timeline is not known here.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::wal::lsn::Lsn;

/// One branch of a cluster's history. `initdb` makes 1; each promotion makes a higher one.
///
/// Text is the eight upper-case hexadecimal digits that file names use; where PostgreSQL writes
/// timelines in decimal (history files, `backup_label`), use [`TimelineId::number`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimelineId(u32);

/// Text that is not a timeline as file names spell it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{text:?} is not a timeline: expected eight hexadecimal digits")]
pub struct BadTimelineId {
    /// What was offered.
    pub text: String,
}

impl TimelineId {
    /// Takes a timeline's number.
    pub const fn new(number: u32) -> TimelineId {
        TimelineId(number)
    }

    /// The timeline's number.
    pub const fn number(self) -> u32 {
        self.0
    }
}

impl fmt::Display for TimelineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08X}", self.0)
    }
}

impl FromStr for TimelineId {
    type Err = BadTimelineId;

    fn from_str(text: &str) -> Result<TimelineId, BadTimelineId> {
        let bad = || BadTimelineId {
            text: text.to_owned(),
        };
        if text.len() != 8 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(bad());
        }
        u32::from_str_radix(text, 16)
            .map(TimelineId)
            .map_err(|_| bad())
    }
}

/// One line of a history file: an ancestor was left at a position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimelineSwitch {
    /// The ancestor that was left.
    pub parent: TimelineId,
    /// The first position that no longer belongs to the ancestor.
    pub at: Lsn,
    /// Why, in PostgreSQL's words: `no recovery target specified`.
    pub reason: String,
}

/// How a timeline came to be: its ancestors, oldest first, each with the position it was left at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimelineHistory {
    timeline: TimelineId,
    switches: Vec<TimelineSwitch>,
}

/// A history file that PostgreSQL would refuse, too.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("history of timeline {timeline}, line {line}: {cause}")]
pub struct BadHistory {
    /// The timeline whose history it is.
    pub timeline: TimelineId,
    /// Counted from 1.
    pub line: usize,
    /// What is wrong with the line.
    pub cause: BadHistoryLine,
}

/// What is wrong with a line of a history file.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadHistoryLine {
    /// Not `<decimal timeline> <LSN> [reason]`.
    #[error("expected a timeline number and an LSN")]
    Syntax,
    /// Ancestors must be listed in increasing order.
    #[error("timeline numbers must increase")]
    NotIncreasing,
    /// An ancestor's number must be less than its descendant's.
    #[error("an ancestor's number must be less than the timeline's own")]
    NotAnAncestor,
}

impl TimelineHistory {
    /// The history of a timeline that nothing came before: timeline 1 of every cluster.
    pub fn without_ancestors(timeline: TimelineId) -> TimelineHistory {
        TimelineHistory {
            timeline,
            switches: Vec::new(),
        }
    }

    /// Reads the body of `<timeline>.history`; blank lines and `#` comments are passed over.
    pub fn parse(timeline: TimelineId, text: &str) -> Result<TimelineHistory, BadHistory> {
        let mut history = TimelineHistory::without_ancestors(timeline);
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let refuse = |cause| BadHistory {
                timeline,
                line: index + 1,
                cause,
            };
            let switch = parse_switch(line).ok_or_else(|| refuse(BadHistoryLine::Syntax))?;
            if history
                .switches
                .last()
                .is_some_and(|last| switch.parent <= last.parent)
            {
                return Err(refuse(BadHistoryLine::NotIncreasing));
            }
            if switch.parent >= timeline {
                return Err(refuse(BadHistoryLine::NotAnAncestor));
            }
            history.switches.push(switch);
        }
        Ok(history)
    }

    /// The body of the history file, as a promoted server writes it.
    pub fn render(&self) -> String {
        let lines: Vec<String> = self.switches.iter().map(render_switch).collect();
        // PostgreSQL copies the parent's file and appends a line after an empty one.
        lines.join("\n")
    }

    /// The timeline whose history this is.
    pub fn timeline(&self) -> TimelineId {
        self.timeline
    }

    /// The ancestors, oldest first.
    pub fn switches(&self) -> &[TimelineSwitch] {
        &self.switches
    }

    /// Where the ancestor was left; `None` for the timeline itself and for strangers.
    pub fn switch_point(&self, ancestor: TimelineId) -> Option<Lsn> {
        self.switches
            .iter()
            .find(|switch| switch.parent == ancestor)
            .map(|switch| switch.at)
    }

    /// The timeline that the byte at `lsn` belongs to in this history.
    pub fn timeline_at(&self, lsn: Lsn) -> TimelineId {
        let left_later = self.switches.iter().find(|switch| lsn < switch.at);
        left_later.map_or(self.timeline, |switch| switch.parent)
    }

    /// Whether the byte at `lsn` of timeline `tli` is part of this history.
    pub fn contains(&self, lsn: Lsn, tli: TimelineId) -> bool {
        self.timeline_at(lsn) == tli
    }

    /// Whether this history contains timeline `tli` up to, but not including, the byte at `end`.
    ///
    /// This is the question to ask of a backup that ended at `end` on `tli`: a server that was
    /// left exactly there can still be followed.
    pub fn contains_until(&self, end: Lsn, tli: TimelineId) -> bool {
        self.contains(Lsn::new(end.value().saturating_sub(1)), tli)
    }
}

fn parse_switch(line: &str) -> Option<TimelineSwitch> {
    let (parent, rest) = line.split_once(char::is_whitespace)?;
    let rest = rest.trim_start();
    let (lsn, reason) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    Some(TimelineSwitch {
        parent: TimelineId::new(parent.parse().ok()?),
        at: lsn.parse().ok()?,
        reason: reason.trim().to_owned(),
    })
}

fn render_switch(switch: &TimelineSwitch) -> String {
    format!(
        "{}\t{}\t{}\n",
        switch.parent.number(),
        switch.at,
        switch.reason
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As a server wrote it that was promoted twice; see `fixtures/README.md`.
    const THIRD: &str = include_str!("../../fixtures/timeline-3.history");
    const FIRST_LEFT: Lsn = Lsn::new(0x403_17D0);

    fn tli(number: u32) -> TimelineId {
        TimelineId::new(number)
    }

    fn third() -> TimelineHistory {
        TimelineHistory::parse(tli(3), THIRD).unwrap()
    }

    #[test]
    fn a_timeline_is_eight_hexadecimal_digits() {
        assert_eq!(tli(26).to_string(), "0000001A");
        assert_eq!("0000001a".parse(), Ok(tli(26)));
        for text in ["", "1", "+0000001", "0000000g", "000000001"] {
            assert!(text.parse::<TimelineId>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_history_file_round_trips() {
        assert_eq!(third().render(), THIRD);
        let history = third();
        let first = &history.switches()[0];
        assert_eq!((first.parent, first.at), (tli(1), FIRST_LEFT));
        assert_eq!(first.reason, "no recovery target specified");
    }

    #[test]
    fn comments_and_missing_reasons_are_read() {
        let history = TimelineHistory::parse(tli(2), "# made by hand\n\n  1   0/3000000  \n");
        let history = history.unwrap();
        assert_eq!(history.switch_point(tli(1)), Some(Lsn::new(0x300_0000)));
    }

    #[test]
    fn an_ancestor_owns_the_bytes_before_its_switch_point() {
        let history = third();
        let at = FIRST_LEFT;
        assert!(history.contains(Lsn::new(at.value() - 1), tli(1)));
        assert!(!history.contains(at, tli(1)));
        assert!(history.contains(at, tli(2)));
        assert!(history.contains(Lsn::new(u64::MAX), tli(3)));
        assert!(!history.contains(Lsn::new(u64::MAX), tli(2)));
        assert!(!history.contains(at, tli(7)));
    }

    #[test]
    fn a_backup_that_ended_where_the_timeline_was_left_can_be_followed() {
        assert!(third().contains_until(FIRST_LEFT, tli(1)));
        assert!(!third().contains_until(Lsn::new(FIRST_LEFT.value() + 1), tli(1)));
    }

    #[test]
    fn the_timeline_itself_has_no_switch_point() {
        assert_eq!(third().switch_point(tli(2)), Some(Lsn::new(0x600_0000)));
        assert_eq!(third().switch_point(tli(3)), None);
        assert_eq!(TimelineHistory::without_ancestors(tli(1)).render(), "");
    }

    #[test]
    fn a_damaged_history_names_its_line() {
        for (text, line, cause) in [
            ("1\t0/1\n\nx\n", 3, BadHistoryLine::Syntax),
            ("1\n", 1, BadHistoryLine::Syntax),
            ("1\t0-1\tgone\n", 1, BadHistoryLine::Syntax),
            ("1\t0/1\n1\t0/2\n", 2, BadHistoryLine::NotIncreasing),
            ("3\t0/1\n", 1, BadHistoryLine::NotAnAncestor),
        ] {
            let expected = BadHistory {
                timeline: tli(3),
                line,
                cause,
            };
            assert_eq!(
                TimelineHistory::parse(tli(3), text),
                Err(expected),
                "{text:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text: String, number: u32) {
            if let Ok(history) = TimelineHistory::parse(tli(number), &text) {
                let again = TimelineHistory::parse(tli(number), &history.render());
                prop_assert_eq!(again, Ok(history));
            }
        }

        #[test]
        fn every_timeline_round_trips(number: u32) {
            prop_assert_eq!(tli(number).to_string().parse(), Ok(tli(number)));
        }
    }
}
