//! The keys of `backup.info`: the one table that reads and writes them.
//!
//! `docs/formats/backup-info.md` explains each row; a test holds the two together.

use std::fmt::Display;
use std::str::FromStr;

use jiff::tz::TimeZone;

use crate::backup::id::{self, BackupId};
use crate::backup::{BackupInfo, Tablespace};
use crate::format::python_literal::Value;
use crate::moment::Moment;
use crate::postgres::SegmentSize;
use crate::wal::timeline::TimelineId;

/// How one key is read and written.
pub(super) struct Key {
    pub(super) name: &'static str,
    /// What the file has when there is no value.
    pub(super) absent: Absent,
    /// Puts a value other than `None` into the record; the error quotes the text.
    pub(super) read: fn(&mut BackupInfo, &str, &TimeZone) -> Result<(), String>,
    /// The value's text on one line.
    pub(super) write: fn(&BackupInfo) -> Option<String>,
}

/// What the file has for a key without a value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Absent {
    /// The line `key=None`.
    None,
    /// No line.
    LeftOut,
}

/// A row of the table: `row!(field, reader, writer)`, or with `left out` behind.
macro_rules! row {
    ($field:ident, $read:expr, $write:expr) => {
        row!($field, $read, $write, Absent::None)
    };
    ($field:ident, $read:expr, $write:expr, $absent:expr) => {
        Key {
            name: stringify!($field),
            absent: $absent,
            read: |info, text, zone| {
                info.$field = $read(text, zone)?;
                Ok(())
            },
            write: |info| $write(&info.$field),
        }
    };
}

/// Every key Barman 3.20.1 knows, sorted: the order of the file.
pub(super) static KEYS: [Key; 35] = [
    row!(backup_label, read_literal_text, write_literal_text),
    row!(backup_name, read_text, write_text, Absent::LeftOut),
    row!(begin_offset, read_number, write_display),
    row!(begin_time, read_moment, write_display),
    row!(begin_wal, read_text, write_text),
    row!(begin_xlog, read_named, write_display),
    row!(children_backup_ids, read_ids, write_ids),
    row!(cluster_size, read_number, write_display),
    row!(compression, read_text, write_text),
    row!(config_file, read_text, write_text),
    row!(copy_stats, read_literal, write_literal),
    row!(data_checksums, read_text, write_text),
    row!(deduplicated_size, read_number, write_display),
    row!(encryption, read_text, write_text),
    row!(end_offset, read_number, write_display),
    row!(end_time, read_moment, write_display),
    row!(end_wal, read_text, write_text),
    row!(end_xlog, read_named, write_display),
    row!(error, read_text, write_text),
    row!(hba_file, read_text, write_text),
    row!(ident_file, read_text, write_text),
    row!(included_files, read_texts, write_texts),
    row!(mode, read_text, write_text),
    row!(parent_backup_id, read_id, write_display),
    row!(pgdata, read_text, write_text),
    row!(server_name, read_text, write_text),
    row!(size, read_number, write_display),
    row!(snapshots_info, read_literal, write_literal, Absent::LeftOut),
    Key {
        name: "status",
        absent: Absent::None,
        read: |info, text, _| {
            info.status = parsed(text)?;
            Ok(())
        },
        write: |info| Some(info.status.to_string()),
    },
    row!(summarize_wal, read_text, write_text),
    row!(systemid, read_named, write_display),
    row!(tablespaces, read_tablespaces, write_tablespaces),
    row!(timeline, read_timeline, write_timeline),
    row!(version, read_named, write_display),
    Key {
        name: "xlog_segment_size",
        absent: Absent::None,
        read: |info, text, zone| {
            let bytes = read_number(text, zone)?.unwrap_or_default();
            info.xlog_segment_size = SegmentSize::new(bytes).map_err(|error| error.to_string())?;
            Ok(())
        },
        write: |info| Some(info.xlog_segment_size.bytes().to_string()),
    },
];

type Read<T> = Result<Option<T>, String>;

fn parsed<T: FromStr<Err: Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| error.to_string())
}

fn read_named<T: FromStr<Err: Display>>(text: &str, _: &TimeZone) -> Read<T> {
    let value = text.parse().map(Some);
    value.map_err(|error| format!("{text:?} cannot be read: {error}"))
}

fn read_number(text: &str, _: &TimeZone) -> Read<u64> {
    let number = text.parse().map(Some);
    number.map_err(|_| format!("{text:?} is not a whole number"))
}

fn read_timeline(text: &str, zone: &TimeZone) -> Read<TimelineId> {
    let number = read_number(text, zone)?.and_then(|number| u32::try_from(number).ok());
    match number {
        Some(number) => Ok(Some(TimelineId::new(number))),
        None => Err(format!("{text:?} is not a timeline's number")),
    }
}

fn write_timeline(value: &Option<TimelineId>) -> Option<String> {
    value.map(|timeline| timeline.number().to_string())
}

fn read_text(text: &str, _: &TimeZone) -> Read<String> {
    Ok(Some(text.to_owned()))
}

fn write_text(value: &Option<String>) -> Option<String> {
    let text = value.as_ref()?;
    Some(text.replace("\r\n", " ").replace(['\n', '\r'], " "))
}

fn write_display(value: &Option<impl Display>) -> Option<String> {
    value.as_ref().map(ToString::to_string)
}

fn read_moment(text: &str, zone: &TimeZone) -> Read<Moment> {
    let moment = Moment::parse(text, zone).map(Some);
    moment.map_err(|error| error.to_string())
}

fn read_id(text: &str, _: &TimeZone) -> Read<BackupId> {
    if text.is_empty() {
        return Ok(None);
    }
    parsed(text).map(Some)
}

/// Ids with commas between them; nothing is no list.
fn read_ids(text: &str, _: &TimeZone) -> Read<Vec<BackupId>> {
    let texts = text.split(',').map(str::trim).filter(|id| !id.is_empty());
    let ids: Vec<BackupId> = texts.map(parsed).collect::<Result<_, _>>()?;
    Ok(Some(ids).filter(|ids| !ids.is_empty()))
}

fn write_ids(value: &Option<Vec<BackupId>>) -> Option<String> {
    id::joined(value.as_deref())
}

fn read_literal(text: &str, _: &TimeZone) -> Read<Value> {
    let value = Value::parse(text).map(Some);
    value.map_err(|error| format!("{text:?} is not a Python literal: {error}"))
}

fn write_literal(value: &Option<Value>) -> Option<String> {
    value.as_ref().map(Value::render)
}

fn read_literal_text(text: &str, zone: &TimeZone) -> Read<String> {
    match read_literal(text, zone)? {
        Some(Value::Str(content)) => Ok(Some(content)),
        _ => Err(format!("{text:?} is not a Python string")),
    }
}

fn write_literal_text(value: &Option<String>) -> Option<String> {
    value.as_ref().map(|text| Value::Str(text.clone()).render())
}

fn read_texts(text: &str, zone: &TimeZone) -> Read<Vec<String>> {
    let Some(Value::List(items) | Value::Tuple(items)) = read_literal(text, zone)? else {
        return Err(format!("{text:?} is not a Python list"));
    };
    let texts = items.into_iter().map(|item| match item {
        Value::Str(content) => Ok(content),
        other => Err(format!(
            "{} in a list of paths is not a string",
            other.render()
        )),
    });
    texts.collect::<Result<_, _>>().map(Some)
}

fn write_texts(value: &Option<Vec<String>>) -> Option<String> {
    let items = value.as_ref()?.iter().cloned().map(Value::Str).collect();
    Some(Value::List(items).render())
}

/// Tuples of name, OID and location; an empty list is none, as in Barman.
fn read_tablespaces(text: &str, zone: &TimeZone) -> Read<Vec<Tablespace>> {
    let Some(Value::List(items) | Value::Tuple(items)) = read_literal(text, zone)? else {
        return Err(format!("{text:?} is not a Python list"));
    };
    let tablespaces: Vec<Tablespace> = items.iter().map(tablespace).collect::<Result<_, _>>()?;
    Ok(Some(tablespaces).filter(|list| !list.is_empty()))
}

fn tablespace(item: &Value) -> Result<Tablespace, String> {
    let bad = || format!("{} is not a tablespace: name, oid, location", item.render());
    let (Value::Tuple(parts) | Value::List(parts)) = item else {
        return Err(bad());
    };
    let [Value::Str(name), oid, Value::Str(location)] = parts.as_slice() else {
        return Err(bad());
    };
    // Barman reads an OID in quotes, too.
    let oid = match oid {
        Value::Int(number) => u32::try_from(*number).ok(),
        Value::Str(digits) => digits.parse().ok(),
        _ => None,
    };
    Ok(Tablespace {
        name: name.clone(),
        oid: oid.ok_or_else(bad)?,
        location: location.clone(),
    })
}

fn write_tablespaces(value: &Option<Vec<Tablespace>>) -> Option<String> {
    let list = value.as_ref().filter(|list| !list.is_empty())?;
    let tuple = |tablespace: &Tablespace| {
        Value::Tuple(vec![
            Value::Str(tablespace.name.clone()),
            Value::Int(tablespace.oid.into()),
            Value::Str(tablespace.location.clone()),
        ])
    };
    Some(Value::List(list.iter().map(tuple).collect()).render())
}
