//! The text of a retention policy: `REDUNDANCY 2`, `RECOVERY WINDOW OF 4 WEEKS`.
//!
//! Judging backups by it is the parent module's part. Always true: what is rendered is read back
//! as the same policy.

use std::fmt;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};

/// What retention promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Policy {
    /// This many complete backups.
    Redundancy(u32),
    /// Every moment of the last so many days can be restored.
    RecoveryWindow(Window),
}

/// A length of time before now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    /// How many.
    pub count: u32,
    /// Of what.
    pub unit: WindowUnit,
}

/// What a window is measured in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WindowUnit {
    /// 24 hours.
    Days,
    /// 7 days.
    Weeks,
    /// 31 days: no month is longer, so none is promised and missing.
    Months,
}

/// Text that is no retention policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not a retention policy: expected REDUNDANCY n or \
     RECOVERY WINDOW OF n DAYS, WEEKS or MONTHS"
)]
pub struct BadPolicy {
    /// What was given.
    pub text: String,
}

impl Window {
    /// The first moment of the window that ends now.
    pub fn begin(self, now: Timestamp) -> Timestamp {
        let days = i64::from(self.count) * self.unit.days();
        let length = SignedDuration::from_hours(days * 24);
        // A window that reaches beyond all time needs every backup.
        now.checked_sub(length).unwrap_or(Timestamp::MIN)
    }
}

impl WindowUnit {
    const ALL: [WindowUnit; 3] = [WindowUnit::Days, WindowUnit::Weeks, WindowUnit::Months];

    const fn days(self) -> i64 {
        match self {
            WindowUnit::Days => 1,
            WindowUnit::Weeks => 7,
            WindowUnit::Months => 31,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            WindowUnit::Days => "DAYS",
            WindowUnit::Weeks => "WEEKS",
            WindowUnit::Months => "MONTHS",
        }
    }
}

impl FromStr for Policy {
    type Err = BadPolicy;

    /// Reads a policy in letters of either case; `DAY`, `WEEK` and `MONTH` are read as well.
    fn from_str(text: &str) -> Result<Policy, BadPolicy> {
        parse(text).ok_or_else(|| BadPolicy {
            text: text.to_owned(),
        })
    }
}

fn parse(text: &str) -> Option<Policy> {
    let upper = text.to_ascii_uppercase();
    let words: Vec<&str> = upper.split_whitespace().collect();
    match words.as_slice() {
        ["REDUNDANCY", count] => Some(Policy::Redundancy(parse_count(count)?)),
        ["RECOVERY", "WINDOW", "OF", count, unit] => {
            let named = |candidate: &WindowUnit| {
                let word = candidate.word();
                *unit == word || Some(*unit) == word.strip_suffix('S')
            };
            Some(Policy::RecoveryWindow(Window {
                count: parse_count(count)?,
                unit: WindowUnit::ALL.into_iter().find(named)?,
            }))
        }
        _ => None,
    }
}

fn parse_count(text: &str) -> Option<u32> {
    // The standard parser would also take a sign.
    let is_plain = text.bytes().all(|b| b.is_ascii_digit());
    is_plain.then(|| text.parse().ok())?
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Policy::Redundancy(count) => write!(f, "REDUNDANCY {count}"),
            Policy::RecoveryWindow(Window { count, unit }) => {
                write!(f, "RECOVERY WINDOW OF {count} {}", unit.word())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_rendered_as_it_is_read_in_either_case() {
        for (text, rendered) in [
            ("redundancy 2", "REDUNDANCY 2"),
            ("Redundancy  0", "REDUNDANCY 0"),
            (" recovery window of 7 days ", "RECOVERY WINDOW OF 7 DAYS"),
            ("RECOVERY WINDOW OF 1 week", "RECOVERY WINDOW OF 1 WEEKS"),
            ("RECOVERY WINDOW OF 3 MONTHS", "RECOVERY WINDOW OF 3 MONTHS"),
        ] {
            let policy: Policy = text.parse().unwrap();
            assert_eq!(policy.to_string(), rendered);
            assert_eq!(rendered.parse(), Ok(policy));
        }
    }

    #[test]
    fn other_text_is_no_policy() {
        for text in [
            "",
            "REDUNDANCY",
            "REDUNDANCY +2",
            "REDUNDANCY 2 3",
            "REDUNDANCY 99999999999",
            "RECOVERY WINDOW OF DAYS",
            "RECOVERY WINDOW OF 2 YEARS",
            "RECOVERY WINDOW 2 DAYS",
            "7d",
        ] {
            assert!(text.parse::<Policy>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_window_begins_whole_days_before_now() {
        let now: Timestamp = "2026-11-21T08:00:00Z".parse().unwrap();
        for (text, begin) in [
            ("RECOVERY WINDOW OF 0 DAYS", "2026-11-21T08:00:00Z"),
            ("RECOVERY WINDOW OF 2 WEEKS", "2026-11-07T08:00:00Z"),
            ("RECOVERY WINDOW OF 1 MONTHS", "2026-10-21T08:00:00Z"),
        ] {
            let Ok(Policy::RecoveryWindow(window)) = text.parse() else {
                panic!("{text}");
            };
            assert_eq!(window.begin(now).to_string(), begin);
        }
        let ages = Window {
            count: u32::MAX,
            unit: WindowUnit::Months,
        };
        assert_eq!(ages.begin(now), Timestamp::MIN);
    }
}
