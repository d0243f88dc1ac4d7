//! Where recovery shall stop, and along which timeline it shall go.
//!
//! The names are PostgreSQL's (manual, "Recovery Target"). Writing them into a configuration is
//! left to whoever restores.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;

use crate::wal::lsn::Lsn;

/// Where recovery stops replaying WAL.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RestoreTarget {
    /// Nowhere: all WAL there is.
    Latest,
    /// As soon as the backup is consistent.
    Immediate,
    /// At the last transaction that committed before this moment.
    Time(Timestamp),
    /// At this transaction.
    Xid(u64),
    /// At this position.
    Lsn(Lsn),
    /// At this restore point, made by `pg_create_restore_point`.
    Name(String),
}

impl RestoreTarget {
    /// What this target says about the backup to take; `None` when nothing recorded of a backup
    /// tells whether it lies before the target, so that a person must choose.
    pub fn auto_target(&self) -> Option<AutoTarget> {
        match self {
            RestoreTarget::Latest => Some(AutoTarget::Latest),
            RestoreTarget::Time(time) => Some(AutoTarget::Time(*time)),
            RestoreTarget::Lsn(lsn) => Some(AutoTarget::Lsn(*lsn)),
            RestoreTarget::Immediate | RestoreTarget::Xid(_) | RestoreTarget::Name(_) => None,
        }
    }
}

/// What the backup must lie before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AutoTarget {
    /// Nothing: the newest backup serves.
    Latest,
    /// A moment: the backup's copy must have ended by then.
    Time(Timestamp),
    /// A position in the WAL: the backup must be consistent there.
    Lsn(Lsn),
}

/// Along which timeline recovery goes (PostgreSQL's `recovery_target_timeline`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimelineChoice {
    /// The backup's own.
    Current,
    /// The newest one there is.
    Latest,
    /// This one; never 0.
    Id(u32),
}

/// Text that is no choice of a timeline.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a timeline: give a number above zero, `current` or `latest`")]
pub struct BadTimelineChoice {
    /// What was given.
    pub text: String,
}

impl FromStr for TimelineChoice {
    type Err = BadTimelineChoice;

    fn from_str(text: &str) -> Result<TimelineChoice, BadTimelineChoice> {
        match text {
            "current" => Ok(TimelineChoice::Current),
            "latest" => Ok(TimelineChoice::Latest),
            number => match number.parse() {
                Ok(id) if id > 0 => Ok(TimelineChoice::Id(id)),
                _ => Err(BadTimelineChoice {
                    text: text.to_owned(),
                }),
            },
        }
    }
}

impl fmt::Display for TimelineChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TimelineChoice::Current => f.write_str("current"),
            TimelineChoice::Latest => f.write_str("latest"),
            TimelineChoice::Id(number) => number.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeline_is_a_number_or_a_word() {
        let choices = [
            ("current", TimelineChoice::Current),
            ("latest", TimelineChoice::Latest),
            ("3", TimelineChoice::Id(3)),
            ("4294967295", TimelineChoice::Id(u32::MAX)),
        ];
        for (text, choice) in choices {
            assert_eq!(text.parse(), Ok(choice));
            assert_eq!(choice.to_string(), text);
        }
        for text in ["", "0", "-1", "x", "0x2", "Latest", "4294967296"] {
            let error = text.parse::<TimelineChoice>().unwrap_err();
            assert!(
                error
                    .to_string()
                    .starts_with(&format!("{text:?} is not a timeline"))
            );
        }
    }

    #[test]
    fn only_a_time_and_a_position_tell_which_backup_to_take() {
        let lsn = Lsn::new(5);
        assert_eq!(
            RestoreTarget::Latest.auto_target(),
            Some(AutoTarget::Latest)
        );
        assert_eq!(
            RestoreTarget::Lsn(lsn).auto_target(),
            Some(AutoTarget::Lsn(lsn))
        );
        assert_eq!(RestoreTarget::Xid(7).auto_target(), None);
        assert_eq!(RestoreTarget::Immediate.auto_target(), None);
        assert_eq!(RestoreTarget::Name("x".to_owned()).auto_target(), None);
    }
}
