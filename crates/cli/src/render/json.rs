//! JSON documents, byte for byte as Python's `json.dumps` writes them: a space after `:` and `,`,
//! and nothing but ASCII.

use std::io;

use model::backup::BackupInfo;
use model::backup::id::BackupId;
use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};
use serde_json::{Map, Value, json};

/// The document of `barman-cloud-backup-list`: records in the order they are given.
pub fn render_list<'a>(backups: impl Iterator<Item = (&'a BackupId, &'a BackupInfo)>) -> String {
    let records: Vec<Value> = backups
        .map(|(id, info)| Value::Object(info.to_json(id)))
        .collect();
    render(&json!({ "backups_list": records }))
}

/// The document of `barman-cloud-backup-show`: the record under the server name that it holds,
/// which Barman makes `cloud` for every backup in an object store.
pub fn render_backup(id: &BackupId, info: &BackupInfo) -> String {
    let server = info
        .server_name
        .clone()
        .unwrap_or_else(|| "cloud".to_owned());
    let document = Map::from_iter([(server, Value::Object(info.to_json(id)))]);
    render(&Value::Object(document))
}

fn render(document: &Value) -> String {
    render_bare(document) + "\n"
}

/// A document without a newline at its end, as `barman --format json` writes it.
pub fn render_bare(document: &Value) -> String {
    let mut bytes = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut bytes, PythonStyle);
    document
        .serialize(&mut serializer)
        .expect("values have string keys and memory does not fail");
    String::from_utf8(bytes).expect("JSON text is UTF-8")
}

struct PythonStyle;

impl Formatter for PythonStyle {
    fn begin_array_value<W>(&mut self, writer: &mut W, first: bool) -> io::Result<()>
    where
        W: ?Sized + io::Write,
    {
        if first {
            Ok(())
        } else {
            writer.write_all(b", ")
        }
    }

    fn begin_object_key<W>(&mut self, writer: &mut W, first: bool) -> io::Result<()>
    where
        W: ?Sized + io::Write,
    {
        if first {
            Ok(())
        } else {
            writer.write_all(b", ")
        }
    }

    fn begin_object_value<W>(&mut self, writer: &mut W) -> io::Result<()>
    where
        W: ?Sized + io::Write,
    {
        writer.write_all(b": ")
    }

    fn write_string_fragment<W>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()>
    where
        W: ?Sized + io::Write,
    {
        for piece in fragment.split_inclusive(|letter: char| !letter.is_ascii()) {
            let ascii = piece.trim_end_matches(|letter: char| !letter.is_ascii());
            writer.write_all(ascii.as_bytes())?;
            for unit in piece[ascii.len()..].encode_utf16() {
                write!(writer, "\\u{unit:04x}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Printed by Barman 3.20.1: `barman-cloud-backup-list --format json`.
    const LIST: &str =
        include_str!("../../../model/fixtures/barman-3.20.1/json/cloud-backup-list.json");

    #[test]
    fn a_document_of_barmans_is_rendered_as_it_was() {
        let document: Value = serde_json::from_str(LIST).unwrap();
        assert_eq!(render(&document), LIST);
    }

    #[test]
    fn text_is_spaced_and_escaped_like_pythons() {
        // From Python 3: json.dumps({"a": [1, "ä€😀\n"], "b": {}, "c": None})
        let document = json!({"a": [1, "ä€😀\n"], "b": {}, "c": null});
        let expected = r#"{"a": [1, "\u00e4\u20ac\ud83d\ude00\n"], "b": {}, "c": null}"#;
        assert_eq!(render(&document), format!("{expected}\n"));
    }
}
