//! A backup's record as JSON: what `barman-cloud-backup-list` and `-show` print for each backup.
//!
//! Names, order, types and texts are those of Barman 3.20.1, observed: keys in the file's order,
//! then the id and the ISO forms of the times. Oddities kept because readers may rely on them: the
//! backup label is quoted as in the file, the ids of children are one text, and the wall-clock
//! times have no offset (the `_iso` ones have).

use serde_json::{Map, Value as Json, json};

use crate::backup::id::BackupId;
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
        put("children_backup_ids", self.children_text().into());
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

    /// The ids of the children as the file has them: separated by commas.
    pub(crate) fn children_text(&self) -> Option<String> {
        let ids = self.children_backup_ids.as_ref()?;
        let texts: Vec<&str> = ids.iter().map(BackupId::as_str).collect();
        Some(texts.join(",")).filter(|text| !text.is_empty())
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
