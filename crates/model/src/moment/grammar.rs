//! Text that means a moment: the forms people and Barman's own files use.
//!
//! Barman reads any form that Python's `dateutil` understands. Read here are the unmistakable ones:
//!
//! - a date: `2026-11-21`, `2026/11/21`, `2026.11.21`, `20261121`, `21 Nov 2026`, `21-Nov-2026`,
//!   `Nov 21, 2026`, `Sat Nov 21 08:10:44 2026`; a weekday may come first and is not checked;
//! - then, if wanted, `T` or space and a time: `08:10`, `08:10:44`, `08:10:44.432349` (also with a
//!   comma), `081044`, `0810`, `8:10 PM`; without a time it is midnight;
//! - then, if wanted, an offset: `Z`, `UTC`, `GMT`, `+01`, `+0100`, `+01:00`.
//!
//! Refused, unlike `dateutil`: a date that is all numbers but does not start with the year, since
//! `11/12/2026` means two days; a zone by another name, which `dateutil` ignores with a warning, as
//! a recovery target an hour off loses data; a time without a date, since there is no clock here.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{Offset, TimeZone};

use super::Moment;

/// English month names as C's `ctime` shortens them.
pub(super) const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

const LONG_MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

const WEEKDAYS: [&str; 7] = [
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
];

/// Text that is not a moment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a date and time: {cause}")]
pub struct BadMoment {
    /// What was given.
    pub text: String,
    /// What is wrong with it.
    pub cause: BadMomentCause,
}

/// What is wrong with text that should be a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadMomentCause {
    /// No date in one of the known forms.
    #[error("no date such as 2026-11-21 in front")]
    NoDate,
    /// All numbers, year not first.
    #[error("write the year first, month and day could be confused")]
    AmbiguousDate,
    /// Neither a known form of a time nor the end.
    #[error("no time such as 08:10:44 after the date")]
    NoTime,
    /// Neither a known form of an offset nor the end.
    #[error("no offset such as +01:00 or Z after the time")]
    NoOffset,
    /// A month 13, a 30th of February, a 25th hour.
    #[error("no such day, time or offset exists")]
    OutOfRange,
}

impl Moment {
    /// Reads the forms listed at the top of this module; text without an offset is a wall-clock
    /// time in `zone`.
    ///
    /// # Errors
    /// When the text has none of the forms.
    pub fn parse(text: &str, zone: &TimeZone) -> Result<Moment, BadMoment> {
        read(text, zone).map_err(|cause| BadMoment {
            text: text.to_owned(),
            cause,
        })
    }
}

fn read(text: &str, zone: &TimeZone) -> Result<Moment, BadMomentCause> {
    let mut cursor = Cursor(text.trim());
    cursor.skip_weekday();
    let (civil, offset) = match cursor.date()? {
        Some(date) => {
            let time = cursor.time_after_date()?;
            (date.to_datetime(time), cursor.offset()?)
        }
        None => {
            let civil = cursor.month_first()?;
            (civil, cursor.offset()?)
        }
    };
    if !cursor.0.is_empty() {
        return Err(BadMomentCause::NoOffset);
    }
    at(civil, offset, zone).ok_or(BadMomentCause::OutOfRange)
}

fn at(civil: DateTime, offset: Option<Offset>, zone: &TimeZone) -> Option<Moment> {
    // Barman's Python knows the years 1 to 9999.
    if !(1..=9999).contains(&civil.year()) {
        return None;
    }
    let timestamp = match offset {
        Some(offset) => offset.to_timestamp(civil).ok()?,
        None => zone.to_timestamp(civil).ok()?,
    };
    let offset = offset.unwrap_or_else(|| zone.to_offset(timestamp));
    Some(Moment::new(timestamp, offset))
}

/// What is left of the text. Each method takes what it understands from the front, or nothing.
struct Cursor<'a>(&'a str);

impl<'a> Cursor<'a> {
    fn skip_spaces(&mut self) -> bool {
        let rest = self.0.trim_start();
        let skipped = rest.len() < self.0.len();
        self.0 = rest;
        skipped
    }

    fn eat(&mut self, wanted: char) -> bool {
        match self.0.strip_prefix(wanted) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    fn peek_run(&self, of: fn(&char) -> bool) -> &'a str {
        let end = self.0.find(|c| !of(&c)).unwrap_or(self.0.len());
        &self.0[..end]
    }

    fn digits(&mut self) -> &'a str {
        let run = self.peek_run(char::is_ascii_digit);
        self.0 = &self.0[run.len()..];
        run
    }

    fn skip_weekday(&mut self) {
        let word = self.peek_run(char::is_ascii_alphabetic);
        let named = WEEKDAYS
            .iter()
            .any(|day| word.eq_ignore_ascii_case(day) || word.eq_ignore_ascii_case(&day[..3]));
        if named {
            self.0 = &self.0[word.len()..];
            self.eat(',');
            self.skip_spaces();
        }
    }

    fn month_name(&mut self) -> Option<i8> {
        let word = self.peek_run(char::is_ascii_alphabetic);
        let place = MONTHS.iter().zip(LONG_MONTHS).position(|(short, long)| {
            word.eq_ignore_ascii_case(short) || word.eq_ignore_ascii_case(long)
        })?;
        self.0 = &self.0[word.len()..];
        i8::try_from(place + 1).ok()
    }

    /// A date that begins with a number; `None` when the text begins with something else.
    fn date(&mut self) -> Result<Option<Date>, BadMomentCause> {
        let run = self.peek_run(char::is_ascii_digit);
        // In `20261121081044` the time follows at once.
        let length = match run.len() {
            0 => return Ok(None),
            12 | 14 => 8,
            other => other,
        };
        self.0 = &self.0[length..];
        let date = match length {
            4 => self.month_and_day_after(run)?,
            8 => day_of(&run[..4], number(&run[4..6])?, &run[6..8])?,
            1 | 2 => self.month_and_year_after(run)?,
            _ => return Err(BadMomentCause::NoDate),
        };
        Ok(Some(date))
    }

    /// `-11-21` after the year.
    fn month_and_day_after(&mut self, year: &str) -> Result<Date, BadMomentCause> {
        let separator = ['-', '/', '.'].into_iter().find(|c| self.eat(*c));
        let separator = separator.ok_or(BadMomentCause::NoDate)?;
        let month = self.digits();
        if !self.eat(separator) {
            return Err(BadMomentCause::NoDate);
        }
        let day = self.digits();
        day_of(year, number(month)?, day)
    }

    /// ` Nov 2026` or `-Nov-2026` after the day.
    fn month_and_year_after(&mut self, day: &str) -> Result<Date, BadMomentCause> {
        let dashed = self.eat('-');
        self.skip_spaces();
        let Some(month) = self.month_name() else {
            let numeric = dashed || self.0.starts_with(['/', '.']);
            return Err(if numeric {
                BadMomentCause::AmbiguousDate
            } else {
                BadMomentCause::NoDate
            });
        };
        if dashed && !self.eat('-') {
            return Err(BadMomentCause::NoDate);
        }
        self.eat(',');
        self.skip_spaces();
        let year = self.digits();
        day_of(year, month, day)
    }

    /// `Nov 21, 2026 08:10` or, as `ctime` has it, `Nov 21 08:10:44 2026`.
    fn month_first(&mut self) -> Result<DateTime, BadMomentCause> {
        let month = self.month_name().ok_or(BadMomentCause::NoDate)?;
        self.skip_spaces();
        let day = self.digits();
        self.eat(',');
        self.skip_spaces();
        let run = self.peek_run(char::is_ascii_digit);
        if run.len() == 4 {
            let date = day_of(self.digits(), month, day)?;
            return Ok(date.to_datetime(self.time_after_date()?));
        }
        let time = self.time()?;
        self.skip_spaces();
        let date = day_of(self.digits(), month, day)?;
        Ok(date.to_datetime(time))
    }

    fn time_after_date(&mut self) -> Result<Time, BadMomentCause> {
        if self.0.is_empty() {
            return Ok(Time::midnight());
        }
        let apart = self.eat('T') || self.eat('t') || self.eat(',') || self.skip_spaces();
        if !apart && !self.0.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(BadMomentCause::NoTime);
        }
        self.skip_spaces();
        self.time()
    }

    fn time(&mut self) -> Result<Time, BadMomentCause> {
        let run = self.digits();
        let (hour, minute, second) = match run.len() {
            4 => (&run[..2], &run[2..], "0"),
            6 => (&run[..2], &run[2..4], &run[4..]),
            1 | 2 if self.eat(':') => {
                let minute = self.digits();
                let second = if self.eat(':') { self.digits() } else { "0" };
                (run, minute, second)
            }
            _ => return Err(BadMomentCause::NoTime),
        };
        let nanos = if self.0.starts_with(['.', ',']) {
            self.0 = &self.0[1..];
            self.fraction()?
        } else {
            0
        };
        let hour = self.hour_of_day(number(hour)?)?;
        Time::new(hour, number(minute)?, number(second)?, nanos)
            .map_err(|_| BadMomentCause::OutOfRange)
    }

    /// The digits after the point as nanoseconds; what is finer than microseconds is cut off, as
    /// `dateutil` does.
    fn fraction(&mut self) -> Result<i32, BadMomentCause> {
        let run = self.digits();
        if run.is_empty() {
            return Err(BadMomentCause::NoTime);
        }
        let micros = format!("{:0<6}", &run[..run.len().min(6)]);
        let micros: i32 = micros.parse().map_err(|_| BadMomentCause::OutOfRange)?;
        Ok(micros * 1_000)
    }

    /// Takes `AM` or `PM`, if there, and turns the hour of a twelve-hour clock into that of a day.
    fn hour_of_day(&mut self, hour: i8) -> Result<i8, BadMomentCause> {
        let rest = self.0.trim_start();
        let half = match rest.get(..2) {
            Some(word) if word.eq_ignore_ascii_case("am") => 0,
            Some(word) if word.eq_ignore_ascii_case("pm") => 12,
            _ => return Ok(hour),
        };
        self.0 = &rest[2..];
        if (1..=12).contains(&hour) {
            Ok(hour % 12 + half)
        } else {
            Err(BadMomentCause::OutOfRange)
        }
    }

    fn offset(&mut self) -> Result<Option<Offset>, BadMomentCause> {
        self.skip_spaces();
        let word = self.peek_run(char::is_ascii_alphabetic);
        if ["Z", "UTC", "GMT"]
            .iter()
            .any(|utc| word.eq_ignore_ascii_case(utc))
        {
            self.0 = &self.0[word.len()..];
            return Ok(Some(Offset::UTC));
        }
        let sign = match self.0.chars().next() {
            Some('+') => 1,
            Some('-') => -1,
            _ => return Ok(None),
        };
        self.0 = &self.0[1..];
        let run = self.digits();
        let (hours, minutes) = match run.len() {
            2 if self.eat(':') => (run, self.digits()),
            2 => (run, "00"),
            4 => (&run[..2], &run[2..]),
            _ => return Err(BadMomentCause::NoOffset),
        };
        if minutes.len() != 2 {
            return Err(BadMomentCause::NoOffset);
        }
        let (hours, minutes) = (i32::from(number(hours)?), i32::from(number(minutes)?));
        if hours > 23 || minutes > 59 {
            return Err(BadMomentCause::OutOfRange);
        }
        Offset::from_seconds(sign * (hours * 3_600 + minutes * 60))
            .map(Some)
            .map_err(|_| BadMomentCause::OutOfRange)
    }
}

/// A calendar day; the year has four digits, month and day one or two.
fn day_of(year: &str, month: i8, day: &str) -> Result<Date, BadMomentCause> {
    if year.len() != 4 || !(1..=2).contains(&day.len()) {
        return Err(BadMomentCause::NoDate);
    }
    let year = year.parse().map_err(|_| BadMomentCause::OutOfRange)?;
    Date::new(year, month, number(day)?).map_err(|_| BadMomentCause::OutOfRange)
}

/// One or two digits.
fn number(digits: &str) -> Result<i8, BadMomentCause> {
    if !(1..=2).contains(&digits.len()) {
        return Err(BadMomentCause::NoTime);
    }
    digits.parse().map_err(|_| BadMomentCause::OutOfRange)
}

#[cfg(test)]
mod tests;
