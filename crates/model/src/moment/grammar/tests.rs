//! Expected moments are what python-dateutil 2.9.0 reads, where it and we agree.

use proptest::prelude::*;

use super::*;

/// Central Europe as a POSIX rule: an hour before UTC's clock, two in summer.
fn berlin() -> TimeZone {
    TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()
}

#[test]
fn the_common_forms_are_read_as_dateutil_reads_them() {
    // The right column is what python-dateutil 2.9.0 makes of the left one.
    let forms = [
        (
            "2026-11-21 08:10:44.432349+00:00",
            "2026-11-21 08:10:44.432349+00:00",
        ),
        ("2026-11-21T08:10:44Z", "2026-11-21 08:10:44+00:00"),
        ("2026-11-21 08:10:44 UTC", "2026-11-21 08:10:44+00:00"),
        ("2026-11-21 08:10:44 GMT", "2026-11-21 08:10:44+00:00"),
        ("2026-11-21 08:10:44+02", "2026-11-21 08:10:44+02:00"),
        ("2026-11-21 08:10:44 -0530", "2026-11-21 08:10:44-05:30"),
        ("2026-11-21 08:10+01:00", "2026-11-21 08:10:00+01:00"),
        ("20261121T081044Z", "2026-11-21 08:10:44+00:00"),
        ("20261121 081044", "2026-11-21 08:10:44+01:00"),
        ("20261121081044", "2026-11-21 08:10:44+01:00"),
        ("202611210810", "2026-11-21 08:10:00+01:00"),
        ("20261121T0810", "2026-11-21 08:10:00+01:00"),
        ("2026-11-21", "2026-11-21 00:00:00+01:00"),
        ("20261121", "2026-11-21 00:00:00+01:00"),
        ("2026/1/5 8:05", "2026-01-05 08:05:00+01:00"),
        ("2026.07.05 08:05", "2026-07-05 08:05:00+02:00"),
        ("2026-11-21 08:10:44,5", "2026-11-21 08:10:44.500000+01:00"),
        (
            "2026-11-21 08:10:44.123456789",
            "2026-11-21 08:10:44.123456+01:00",
        ),
        ("Sat Nov 21 08:10:44 2026", "2026-11-21 08:10:44+01:00"),
        (
            "Saturday, 21 November 2026 08:10",
            "2026-11-21 08:10:00+01:00",
        ),
        ("21 Nov 2026 08:10", "2026-11-21 08:10:00+01:00"),
        ("21-Nov-2026", "2026-11-21 00:00:00+01:00"),
        ("Nov 21, 2026, 8:10 PM", "2026-11-21 20:10:00+01:00"),
        ("nov 21 2026 12:10 am", "2026-11-21 00:10:00+01:00"),
        ("  2026-11-21 08:10  ", "2026-11-21 08:10:00+01:00"),
    ];
    for (text, expected) in forms {
        let read = Moment::parse(text, &berlin()).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(read.to_string(), expected, "{text}");
    }
}

#[test]
fn the_given_zone_decides_summer_and_winter_time() {
    let twice = Moment::parse("2026-10-25 02:30", &berlin()).unwrap();
    assert_eq!(twice.to_string(), "2026-10-25 02:30:00+02:00");
    let winter = Moment::parse("2026-10-25 03:30", &berlin()).unwrap();
    assert_eq!(winter.to_string(), "2026-10-25 03:30:00+01:00");
}

#[test]
fn what_could_be_misread_is_refused_with_its_reason() {
    use BadMomentCause::*;
    let texts = [
        ("", NoDate),
        ("junk", NoDate),
        ("08:10", NoDate),
        ("11/12/2026", AmbiguousDate),
        ("11-12-2026 08:10", AmbiguousDate),
        ("12.11.2026", AmbiguousDate),
        ("2026-11", NoDate),
        ("2026-11/21", NoDate),
        ("26-11-21", AmbiguousDate),
        ("2026-11-21X08:10", NoTime),
        ("2026-11-21 soon", NoTime),
        ("2026-11-21 08", NoTime),
        ("2026-11-21 08:10:44 EST", NoOffset),
        ("2026-11-21 08:10:44 Europe/Berlin", NoOffset),
        ("2026-11-21 08:10:44 UTC+3", NoOffset),
        ("2026-11-21 08:10:44-00:30:15", NoOffset),
        ("2026-11-21 08:10:44+1", NoOffset),
        ("2026-02-30", OutOfRange),
        ("2026-13-01", OutOfRange),
        ("2026-11-21 24:00", OutOfRange),
        ("2026-11-21 13:00 PM", OutOfRange),
        ("2026-11-21 08:10:44+24:00", OutOfRange),
        ("0000-11-21", OutOfRange),
    ];
    for (text, cause) in texts {
        let error = Moment::parse(text, &berlin()).unwrap_err();
        assert_eq!(error.cause, cause, "{text}");
    }
}

#[test]
fn the_error_quotes_the_text() {
    assert_eq!(
        Moment::parse("11/12/2026", &TimeZone::UTC)
            .unwrap_err()
            .to_string(),
        "\"11/12/2026\" is not a date and time: \
         write the year first, month and day could be confused"
    );
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in "\\PC*") {
        let _ = Moment::parse(&text, &TimeZone::UTC);
    }

    #[test]
    fn text_that_looks_like_a_time_never_panics(text in "[0-9TZ:+., APMNovSat/-]{0,40}") {
        let _ = Moment::parse(&text, &berlin());
    }
}
