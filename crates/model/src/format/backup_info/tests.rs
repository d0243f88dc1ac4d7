//! Expected texts come from files Barman 3.20.1 wrote, and from what it made of damaged ones.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::tz::Offset;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::backup::id::BackupId;
use crate::backup::{BackupStatus, Tablespace};
use crate::format::python_literal::Value;
use crate::moment::Moment;
use crate::postgres::{PgVersion, SegmentSize, SystemId};
use crate::wal::lsn::Lsn;
use crate::wal::timeline::TimelineId;

macro_rules! fixtures {
    ($($name:literal),+ $(,)?) => {
        [$(($name, include_str!(concat!(
            "../../../fixtures/barman-3.20.1/backup_info/", $name, "-backup.info"
        )))),+]
    };
}

/// Written by Barman 3.20.1; see the README beside them.
const FIXTURES: [(&str, &str); 10] = fixtures![
    "gpgs-20261121T081924",
    "hk-20261121T081727",
    "inc-20261121T082329",
    "main-20261121T081044",
    "main-20261121T082128",
    "rs-20261121T082701",
    "rs-20261121T082703",
    "scp-20261121T082149",
    "stream-20261121T081046",
    "tgz-20261121T081919",
];

fn read(text: &str) -> BackupInfo {
    parse(text, &TimeZone::UTC).unwrap_or_else(|error| panic!("{error}"))
}

fn refusal(text: &str) -> String {
    parse(text, &TimeZone::UTC).unwrap_err().to_string()
}

#[test]
fn what_barman_wrote_is_rendered_byte_for_byte() {
    for (name, text) in FIXTURES {
        assert_eq!(render(&read(text)), text, "{name}");
    }
}

#[test]
fn a_backup_of_barmans_is_understood() {
    let info = read(FIXTURES[0].1);
    let label = info.backup_label.unwrap();
    assert!(label.starts_with("START WAL LOCATION: 0/27000028 (file 000000010000000000000027)\n"));
    assert_eq!(info.begin_offset, Some(40));
    let begin: Timestamp = "2026-11-21T08:19:24.374601Z".parse().unwrap();
    assert_eq!(info.begin_time.unwrap().timestamp(), begin);
    assert_eq!(info.begin_xlog, Some("0/27000028".parse().unwrap()));
    assert_eq!(info.children_backup_ids, None);
    assert_eq!(info.compression.as_deref(), Some("gzip"));
    let copy_time = info.copy_stats.unwrap().get("copy_time").cloned();
    assert_eq!(copy_time, Some(Value::Float(1.284478)));
    let included = vec!["/var/lib/postgresql/15/main/postgresql.auto.conf".to_owned()];
    assert_eq!(info.included_files, Some(included));
    assert_eq!(info.status, BackupStatus::Done);
    assert_eq!(info.systemid, Some(SystemId::new(7710533701824798486)));
    let tablespace = Tablespace {
        name: "ts1".to_owned(),
        oid: 16384,
        location: "/srv/tbs1".to_owned(),
    };
    assert_eq!(info.tablespaces, Some(vec![tablespace]));
    assert_eq!(info.timeline, Some(TimelineId::new(1)));
    assert_eq!(info.version, Some(PgVersion::new(150018)));
    assert_eq!(info.xlog_segment_size, SegmentSize::DEFAULT);
}

#[test]
fn a_record_without_facts_has_every_key_but_the_two_left_out() {
    let text = render(&BackupInfo::default());
    assert_eq!(text.lines().count(), 33);
    assert!(text.contains("\nstatus=EMPTY\n"));
    assert!(!text.contains("backup_name") && !text.contains("snapshots_info"));
    assert_eq!(read(&text), BackupInfo::default());
    assert_eq!(read(""), BackupInfo::default());
}

#[test]
fn the_keys_are_sorted_and_documented() {
    let names: Vec<&str> = keys().collect();
    assert!(names.is_sorted());
    let document = include_str!("../../../../../docs/formats/backup-info.md");
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `"));
    let documented: BTreeSet<&str> = rows.filter_map(|row| row.split('`').next()).collect();
    assert_eq!(documented, BTreeSet::from_iter(names));
}

#[test]
fn what_people_and_older_barmans_write_is_read() {
    let text = "# by hand\r\n\r\n  status = DONE \r\n\
                pgdata=  /a b  \n\
                begin_time=2026-11-21 08:10:44\n\
                included_files=[\"a\", 'b']\n\
                tablespaces=[(\"ts\", '17', \"/x\")]\n\
                children_backup_ids=20260101T000003, 20260101T000001\n\
                parent_backup_id=\n\
                error=a=b\n\
                xlog_segment_size=None\n";
    let zone = TimeZone::posix("CET-1").unwrap();
    let info = parse(text, &zone).unwrap();
    assert_eq!(info.status, BackupStatus::Done);
    assert_eq!(info.pgdata.as_deref(), Some("/a b"));
    assert_eq!(
        info.begin_time.unwrap().to_string(),
        "2026-11-21 08:10:44+01:00"
    );
    assert_eq!(
        info.included_files,
        Some(vec!["a".to_owned(), "b".to_owned()])
    );
    assert_eq!(info.tablespaces.unwrap()[0].oid, 17);
    assert_eq!(info.children_backup_ids.unwrap().len(), 2);
    assert_eq!(info.parent_backup_id, None);
    assert_eq!(info.error.as_deref(), Some("a=b"));
    assert_eq!(info.xlog_segment_size, SegmentSize::DEFAULT);
}

#[test]
fn an_unknown_key_is_refused_with_its_line() {
    let error = parse("status=DONE\n\ngp_dbid=1\n", &TimeZone::UTC).unwrap_err();
    assert_eq!(error.to_string(), "line 3: unknown key \"gp_dbid\"");
    let key = "gp_dbid".to_owned();
    assert_eq!(error.cause, BadLine::UnknownKey { key });
}

#[test]
fn damaged_lines_are_refused_with_key_and_value() {
    let cases = [
        ("\nstatus", "line 2: no `=` between a key and a value"),
        ("size=1\nsize=1", "line 2: key \"size\" was already given"),
        ("size=12.0", "line 1: size: \"12.0\" is not a whole number"),
        ("size=-1", "line 1: size: \"-1\" is not a whole number"),
        (
            "status=done",
            "line 1: status: \"done\" is not a backup status",
        ),
        (
            "timeline=0x1",
            "line 1: timeline: \"0x1\" is not a whole number",
        ),
        (
            "timeline=5000000000",
            "line 1: timeline: \"5000000000\" is not a timeline's number",
        ),
        (
            "backup_label=START",
            "is not a Python literal: no Python value at character 1",
        ),
        (
            "backup_label=1",
            "line 1: backup_label: \"1\" is not a Python string",
        ),
        ("included_files=null", "is not a Python literal"),
        ("included_files=[1]", "1 in a list of paths is not a string"),
        (
            "tablespaces=[('ts', 1)]",
            "('ts', 1) is not a tablespace: name, oid, location",
        ),
        ("tablespaces=[('ts', -1, 'x')]", "is not a tablespace"),
        ("begin_xlog=zz", "begin_xlog: \"zz\" cannot be read"),
        (
            "begin_time=11/12/2026",
            "begin_time: \"11/12/2026\" is not a date and time",
        ),
        ("children_backup_ids=x", "\"x\" is not a backup id"),
        (
            "xlog_segment_size=5",
            "WAL segment size 5 is not a power of two",
        ),
    ];
    for (text, expected) in cases {
        let message = refusal(text);
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn a_line_break_in_an_error_becomes_a_space() {
    let info = BackupInfo {
        error: Some("could not connect\r\nserver closed\nthe connection".to_owned()),
        ..BackupInfo::default()
    };
    let text = render(&info);
    assert!(text.contains("\nerror=could not connect server closed the connection\n"));
}

/// Text that the format can hold: one line, no space at its ends, not `None`.
fn any_text() -> impl Strategy<Value = Option<String>> {
    let text = "[a-z/='\"\\\\ #é☃]{0,12}".prop_map(|text| text.trim().to_owned());
    option::of(text)
}

fn any_moment() -> impl Strategy<Value = Option<Moment>> {
    let parts = (0i64..4_000_000_000_000_000, -1439i32..=1439);
    option::of(parts.prop_map(|(micros, minutes)| {
        let timestamp = Timestamp::from_microsecond(micros).unwrap();
        Moment::new(timestamp, Offset::from_seconds(minutes * 60).unwrap())
    }))
}

fn any_id() -> impl Strategy<Value = BackupId> {
    "[0-9]{8}T[0-9]{6}".prop_map(|text| text.parse().unwrap())
}

fn any_tablespace() -> impl Strategy<Value = Tablespace> {
    (any::<String>(), any::<u32>(), any::<String>()).prop_map(|(name, oid, location)| Tablespace {
        name,
        oid,
        location,
    })
}

prop_compose! {
    fn any_info()(
        label in option::of(any::<String>()),
        texts in proptest::collection::vec(any_text(), 4),
        begin_time in any_moment(),
        end_time in any_moment(),
        xlog in option::of(any::<u64>()),
        size in option::of(any::<u64>()),
        children in option::of(proptest::collection::vec(any_id(), 1..4)),
        parent in option::of(any_id()),
        included in option::of(proptest::collection::vec(any::<String>(), 0..3)),
        tablespaces in option::of(proptest::collection::vec(any_tablespace(), 1..3)),
        timeline in option::of(any::<u32>()),
        seconds in option::of(0.0f64..1e6),
    ) -> BackupInfo {
        let entry = |seconds| Value::Dict(vec![(Value::Str("s".into()), Value::Float(seconds))]);
        BackupInfo {
            backup_label: label,
            backup_name: texts[0].clone(),
            begin_time,
            end_time,
            end_xlog: xlog.map(Lsn::new),
            size,
            systemid: size.map(SystemId::new),
            children_backup_ids: children,
            parent_backup_id: parent,
            included_files: included,
            tablespaces,
            timeline: timeline.map(TimelineId::new),
            version: timeline.map(PgVersion::new),
            copy_stats: seconds.map(entry),
            pgdata: texts[1].clone(),
            error: texts[2].clone(),
            mode: texts[3].clone(),
            status: BackupStatus::Done,
            ..BackupInfo::default()
        }
    }
}

proptest! {
    #[test]
    fn a_record_survives_being_written_and_read(info in any_info()) {
        prop_assert_eq!(read(&render(&info)), info);
    }

    #[test]
    fn arbitrary_text_never_panics(text in any::<String>()) {
        let _ = parse(&text, &TimeZone::UTC);
    }

    #[test]
    fn arbitrary_values_never_panic(place in 0..35usize, value in any::<String>()) {
        let key = keys().nth(place).unwrap();
        let _ = parse(&format!("{key}={value}"), &TimeZone::UTC);
    }
}

/// What nobody writes into a field: each is answered, in every field.
#[test]
fn a_field_of_control_characters_or_of_a_megabyte_is_answered() {
    let long = 1 << 20;
    let values = [
        String::new(),
        "\u{0}\u{1}\u{7f}\t".to_owned(),
        "\u{feff}\u{fffd}\r".to_owned(),
        "x".repeat(long),
        "9".repeat(long),
        "[".repeat(long),
        "{'a': ".repeat(long / 6),
        "'".repeat(long),
        "-".repeat(long),
    ];
    for key in keys() {
        for value in &values {
            let _ = parse(&format!("{key}={value}\n"), &TimeZone::UTC);
            let _ = parse(&format!("{value}={key}\n"), &TimeZone::UTC);
        }
    }
}
