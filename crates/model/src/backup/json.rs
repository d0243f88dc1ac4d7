//! A backup's record as JSON: what `barman-cloud-backup-list` and `-show` print for each backup.
//!
//! Names, order, types and texts are those of Barman 3.20.1, observed: keys in the file's order,
//! then the id and the ISO forms of the times. Oddities kept because readers may rely on them: the
//! backup label is quoted as in the file, the ids of children are one text, and the wall-clock
//! times have no offset (the `_iso` ones have).

use serde_json::{Map, Value as Json, json};

use crate::backup::id::{self, BackupId};
use crate::backup::{BackupInfo, Tablespace};
use crate::format::python_literal::Value;
use crate::moment::Moment;

impl BackupInfo {
    /// The record as Barman's JSON object, in Barman's order. `backup_name` and `snapshots_info`
    /// are left out when there are none, the `_iso` times when the time is unknown; everything
    /// else unknown is `null`.
    pub fn to_json(&self, id: &BackupId) -> Map<String, Json> {
        let mut object = Map::new();
        let mut put = |key: &str, value: Json| {
            object.insert(key.to_owned(), value);
        };
        let label = self.backup_label.as_ref();
        put(
            "backup_label",
            label.map(|label| Value::Str(label.clone()).render()).into(),
        );
        if let Some(name) = &self.backup_name {
            put("backup_name", json!(name));
        }
        put("begin_offset", self.begin_offset.into());
        put("begin_time", ctime(self.begin_time));
        put("begin_wal", json!(self.begin_wal));
        put("begin_xlog", text(&self.begin_xlog));
        put(
            "children_backup_ids",
            id::joined(self.children_backup_ids.as_deref()).into(),
        );
        put("cluster_size", self.cluster_size.into());
        put("compression", json!(self.compression));
        put("config_file", json!(self.config_file));
        put("copy_stats", literal(&self.copy_stats));
        put("data_checksums", json!(self.data_checksums));
        put("deduplicated_size", self.deduplicated_size.into());
        put("encryption", json!(self.encryption));
        put("end_offset", self.end_offset.into());
        put("end_time", ctime(self.end_time));
        put("end_wal", json!(self.end_wal));
        put("end_xlog", text(&self.end_xlog));
        put("error", json!(self.error));
        put("hba_file", json!(self.hba_file));
        put("ident_file", json!(self.ident_file));
        put("included_files", json!(self.included_files));
        put("mode", json!(self.mode));
        put("parent_backup_id", text(&self.parent_backup_id));
        put("pgdata", json!(self.pgdata));
        put("server_name", json!(self.server_name));
        put("size", self.size.into());
        if self.snapshots_info.is_some() {
            put("snapshots_info", literal(&self.snapshots_info));
        }
        put("status", json!(self.status.name()));
        put("summarize_wal", json!(self.summarize_wal));
        put("systemid", text(&self.systemid));
        put("tablespaces", tablespaces(&self.tablespaces));
        put("timeline", self.timeline.map(|id| id.number()).into());
        put(
            "version",
            self.version.map(|version| version.number()).into(),
        );
        put("xlog_segment_size", self.xlog_segment_size.bytes().into());
        put("backup_id", json!(id.as_str()));
        for (key, time) in [
            ("begin_time_iso", self.begin_time),
            ("end_time_iso", self.end_time),
        ] {
            if let Some(time) = time {
                put(key, json!(time.iso()));
            }
        }
        object
    }
}

fn text(value: &Option<impl ToString>) -> Json {
    value.as_ref().map(ToString::to_string).into()
}

fn ctime(time: Option<Moment>) -> Json {
    time.map(|time| time.ctime()).into()
}

fn literal(value: &Option<Value>) -> Json {
    value.as_ref().map_or(Json::Null, Value::to_json)
}

/// Lists of name, OID and location; an empty list is `null`, as in Barman.
fn tablespaces(tablespaces: &Option<Vec<Tablespace>>) -> Json {
    match tablespaces.as_deref() {
        None | Some([]) => Json::Null,
        Some(list) => list
            .iter()
            .map(|t| json!([t.name, t.oid, t.location]))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::format::backup_info;

    const LIST: &str = include_str!("../../fixtures/barman-3.20.1/json/cloud-backup-list.json");
    const SHOW: &str = include_str!("../../fixtures/barman-3.20.1/json/cloud-backup-show.json");
    const SNAPSHOTS: &str =
        include_str!("../../fixtures/barman-3.20.1/json/cloud-backup-show-snapshots.json");

    /// Every backup that the recorded outputs show: six, one of them twice, and one of snapshots.
    fn recorded() -> Vec<Map<String, Json>> {
        let list: Json = serde_json::from_str(LIST).unwrap();
        let mut entries = list["backups_list"].as_array().unwrap().clone();
        for shown in [SHOW, SNAPSHOTS] {
            let shown: Map<String, Json> = serde_json::from_str(shown).unwrap();
            entries.extend(shown.into_iter().map(|(_, entry)| entry));
        }
        entries
            .iter()
            .map(|entry| entry.as_object().unwrap().clone())
            .collect()
    }

    /// The `backup.info` that Barman must have read to print this.
    fn file_behind(entry: &Map<String, Json>) -> String {
        let mut text = String::new();
        for (key, value) in entry {
            let value = match (key.as_str(), value) {
                ("backup_id" | "begin_time_iso" | "end_time_iso", _) => continue,
                ("begin_time", _) => entry["begin_time_iso"].as_str().unwrap().to_owned(),
                ("end_time", _) => entry["end_time_iso"].as_str().unwrap().to_owned(),
                (_, Json::String(value)) => value.clone(),
                (_, value) => python(value).render(),
            };
            text.push_str(&format!("{key}={value}\n"));
        }
        text
    }

    fn python(json: &Json) -> Value {
        match json {
            Json::Null => Value::None,
            Json::Bool(flag) => Value::Bool(*flag),
            Json::Number(number) if number.is_i64() => Value::Int(number.as_i64().unwrap()),
            Json::Number(number) => Value::Float(number.as_f64().unwrap()),
            Json::String(text) => Value::Str(text.clone()),
            Json::Array(items) => Value::List(items.iter().map(python).collect()),
            Json::Object(entries) => Value::Dict(
                entries
                    .iter()
                    .map(|(key, value)| (Value::Str(key.clone()), python(value)))
                    .collect(),
            ),
        }
    }

    #[test]
    fn the_json_is_what_barman_printed_key_order_included() {
        let entries = recorded();
        assert_eq!(entries.len(), 8);
        for entry in entries {
            let info = backup_info::parse(&file_behind(&entry), &TimeZone::UTC).unwrap();
            let id = entry["backup_id"].as_str().unwrap().parse().unwrap();
            let ours = serde_json::to_string(&info.to_json(&id)).unwrap();
            assert_eq!(ours, serde_json::to_string(&entry).unwrap());
        }
    }

    #[test]
    fn a_record_without_facts_is_all_null() {
        // What barman-cloud-backup-list 3.20.1 printed for a backup.info of `status=DONE` alone.
        let info = backup_info::parse("status=DONE\n", &TimeZone::UTC).unwrap();
        let json = info.to_json(&"20260101T000005".parse().unwrap());
        let known: Vec<&str> = json
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, _)| key.as_str())
            .collect();
        assert_eq!(known, ["status", "xlog_segment_size", "backup_id"]);
        assert_eq!(json.len(), 34);
    }

    #[test]
    fn times_show_the_clock_they_were_recorded_by() {
        // Printed by barman-cloud-backup-list 3.20.1 for these lines, under TZ=Europe/Berlin.
        let text = "begin_time=2026-11-21 08:10:44+00:00\n\
                    end_time=2026-11-21 09:10:44.5+01:00\n\
                    children_backup_ids=20260101T000003,20260101T000001\n\
                    tablespaces=[]\n";
        let info = backup_info::parse(text, &TimeZone::UTC).unwrap();
        let json = info.to_json(&"20260101T000001".parse().unwrap());
        assert_eq!(json["begin_time"], "Sat Nov 21 08:10:44 2026");
        assert_eq!(json["end_time"], "Sat Nov 21 09:10:44 2026");
        assert_eq!(json["begin_time_iso"], "2026-11-21T08:10:44+00:00");
        assert_eq!(json["end_time_iso"], "2026-11-21T09:10:44.500000+01:00");
        assert_eq!(
            json["children_backup_ids"],
            "20260101T000003,20260101T000001"
        );
        assert_eq!(json["tablespaces"], Json::Null);
    }
}
