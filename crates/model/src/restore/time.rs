//! A moment to recover to, as people write it.
//!
//! The grammar is [`crate::moment`]'s; here is only the rule for text without an offset.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::moment::{BadMoment, Moment};

/// Reads a target time. Text without an offset is a wall-clock time in `zone`: Barman takes the
/// zone of the machine it runs on, and callers should say which one was used.
pub fn parse_target_time(text: &str, zone: &TimeZone) -> Result<Timestamp, BadMoment> {
    Moment::parse(text, zone).map(|moment| moment.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_given_zone_counts_only_without_an_offset() {
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let expected: Timestamp = "2026-03-01T03:00:00Z".parse().unwrap();
        for text in [
            "2026-03-01 04:00",
            "2026-03-01 03:00Z",
            "20260301T040000+01",
            "Sun Mar  1 04:00:00 2026",
        ] {
            assert_eq!(parse_target_time(text, &zone), Ok(expected), "{text}");
        }
        assert!(parse_target_time("03/01/2026", &zone).is_err());
    }
}
