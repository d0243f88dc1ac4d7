//! A moment with the UTC offset it was recorded with, as `backup.info` and Barman's JSON show it.
//!
//! The instant is what counts for every decision; the offset is kept because the file and the JSON
//! of Barman repeat the wall-clock time of the server that made the record. Reading text is
//! [`grammar`]'s part. Always true: whole microseconds (PostgreSQL's and Python's resolution), and
//! an offset of whole minutes, which every reader of the text understands.

pub mod grammar;

use std::fmt;

use jiff::Timestamp;
use jiff::civil::{DateTime, Weekday};
use jiff::tz::Offset;

pub use grammar::{BadMoment, BadMomentCause};

/// An instant, and the UTC offset of whoever recorded it.
///
/// `Display` is the text of `backup.info`: `2026-11-21 08:10:44.432349+00:00`, where the fraction
/// is left out when it is zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Moment {
    timestamp: Timestamp,
    offset: Offset,
}

impl Moment {
    /// An instant as seen at an offset. What is finer than a microsecond is cut off. An offset that
    /// is not whole minutes (none is in use today) is replaced by UTC: Barman cannot read it.
    pub fn new(timestamp: Timestamp, offset: Offset) -> Moment {
        let timestamp = Timestamp::from_microsecond(timestamp.as_microsecond())
            .expect("cutting off a fraction moves towards 1970");
        let offset = if offset.seconds() % 60 == 0 {
            offset
        } else {
            Offset::UTC
        };
        Moment { timestamp, offset }
    }

    /// The instant.
    pub fn timestamp(&self) -> Timestamp {
        self.timestamp
    }

    /// The UTC offset it was recorded with.
    pub fn offset(&self) -> Offset {
        self.offset
    }

    /// The wall-clock time at the recorded offset.
    pub fn civil(&self) -> DateTime {
        self.offset.to_datetime(self.timestamp)
    }

    /// `2026-11-21T08:10:44.432349+00:00`, the form of `begin_time_iso` in Barman's JSON.
    pub fn iso(&self) -> String {
        self.render('T')
    }

    /// `Sat Nov 21 08:10:44 2026`: C's `ctime` form of the wall-clock time, without its offset, as
    /// `begin_time` has it in Barman's JSON.
    pub fn ctime(&self) -> String {
        let civil = self.civil();
        let weekday = match civil.weekday() {
            Weekday::Monday => "Mon",
            Weekday::Tuesday => "Tue",
            Weekday::Wednesday => "Wed",
            Weekday::Thursday => "Thu",
            Weekday::Friday => "Fri",
            Weekday::Saturday => "Sat",
            Weekday::Sunday => "Sun",
        };
        let month = usize::from(civil.month().unsigned_abs()) - 1;
        format!(
            "{weekday} {} {:2} {:02}:{:02}:{:02} {:04}",
            grammar::MONTHS[month],
            civil.day(),
            civil.hour(),
            civil.minute(),
            civil.second(),
            civil.year()
        )
    }

    fn render(&self, separator: char) -> String {
        let civil = self.civil();
        let mut text = format!(
            "{:04}-{:02}-{:02}{separator}{:02}:{:02}:{:02}",
            civil.year(),
            civil.month(),
            civil.day(),
            civil.hour(),
            civil.minute(),
            civil.second()
        );
        let micros = civil.subsec_nanosecond() / 1_000;
        if micros != 0 {
            text.push_str(&format!(".{micros:06}"));
        }
        let minutes = self.offset.seconds() / 60;
        let sign = if minutes < 0 { '-' } else { '+' };
        let (hours, minutes) = (minutes.abs() / 60, minutes.abs() % 60);
        text.push_str(&format!("{sign}{hours:02}:{minutes:02}"));
        text
    }
}

impl From<Timestamp> for Moment {
    /// An instant recorded in UTC.
    fn from(timestamp: Timestamp) -> Moment {
        Moment::new(timestamp, Offset::UTC)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.render(' '))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use jiff::tz::TimeZone;

    use super::*;

    fn moment(text: &str) -> Moment {
        Moment::parse(text, &TimeZone::UTC).unwrap()
    }

    #[test]
    fn the_recorded_offset_is_kept() {
        // What barman-cloud-backup-list 3.20.1 prints for this end_time: wall clock and offset.
        let recorded = moment("2026-11-21 09:10:44.500000+01:00");
        assert_eq!(recorded.to_string(), "2026-11-21 09:10:44.500000+01:00");
        assert_eq!(recorded.iso(), "2026-11-21T09:10:44.500000+01:00");
        assert_eq!(recorded.ctime(), "Sat Nov 21 09:10:44 2026");
        assert_eq!(
            recorded.timestamp(),
            moment("2026-11-21 08:10:44.5Z").timestamp()
        );
    }

    #[test]
    fn a_zero_fraction_is_not_written() {
        // Python leaves it out; so did barman-cloud-backup-list 3.20.1 in begin_time_iso.
        assert_eq!(
            moment("2026-11-21 08:10:44+00:00").to_string(),
            "2026-11-21 08:10:44+00:00"
        );
    }

    #[test]
    fn a_day_below_ten_is_padded_with_a_space_in_ctime() {
        assert_eq!(
            moment("2026-01-05 01:02:03-03:30").ctime(),
            "Mon Jan  5 01:02:03 2026"
        );
    }

    #[test]
    fn an_odd_offset_is_written_as_utc() {
        let odd = Moment::new(Timestamp::UNIX_EPOCH, Offset::from_seconds(3_208).unwrap());
        assert_eq!(odd.to_string(), "1970-01-01 00:00:00+00:00");
    }

    #[test]
    fn what_is_finer_than_a_microsecond_is_cut_off() {
        let fine: Timestamp = "2026-11-21T08:10:44.123456789Z".parse().unwrap();
        assert_eq!(
            Moment::from(fine).to_string(),
            "2026-11-21 08:10:44.123456+00:00"
        );
    }

    proptest! {
        #[test]
        fn a_moment_survives_being_written_and_read(
            micros in -62_000_000_000_000_000i64..253_000_000_000_000_000,
            minutes in -1439i32..=1439,
        ) {
            let offset = Offset::from_seconds(minutes * 60).unwrap();
            let written = Moment::new(Timestamp::from_microsecond(micros).unwrap(), offset);
            prop_assert_eq!(moment(&written.to_string()), written);
            prop_assert_eq!(moment(&written.iso()), written);
        }
    }
}
