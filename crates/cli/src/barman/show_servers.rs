//! `barman show-servers`: every option of a server and what PostgreSQL says of itself, under
//! Barman's names and in its forms.

use std::collections::BTreeMap;

use engine::server_facts;
use jiff::SignedDuration;
use model::config::server::{BarmanServer, ServerStanding};
use model::config::values::OptionValue as Setting;
use model::duration::human_duration;
use serde_json::{Map, Value, json};

use super::command::HostWork;
use super::host::Host;
use crate::failure::Failure;
use crate::runtime;

/// Show every option of servers, and what PostgreSQL says of itself
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Names of servers, or all
    #[arg(required = true, value_name = "SERVER_NAME")]
    server_name: Vec<String>,
}

impl HostWork for Args {
    fn run(self, host: &Host) -> Result<(), Failure> {
        let servers = host.several(&self.server_name);
        runtime::run_or_drop(async {
            for server in servers {
                show(host, server).await;
            }
            Ok(())
        })
    }
}

async fn show(host: &Host, server: &BarmanServer) {
    let mut shown = options(server);
    let facts = server_facts::gather(server, &host.environment).await;
    shown.extend(facts);
    let note = match server.standing() {
        ServerStanding::Active | ServerStanding::Passive => "",
        ServerStanding::Inactive => " (inactive)",
        ServerStanding::Disabled => " (WARNING: disabled)",
    };
    host.output.line(&format!("Server {}{note}:", server.name));
    for (name, value) in &shown {
        host.output
            .line(&format!("\t{name}: {}", on_console(value)));
    }
    // As JSON the note stands where there is no description.
    if !note.is_empty() && shown["description"].is_null() {
        shown.insert("description", json!(note.trim()));
    }
    let pairs = shown
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value));
    let record: Map<String, Value> = pairs.collect();
    host.output.record(&server.name, Value::Object(record));
}

fn options(server: &BarmanServer) -> BTreeMap<&'static str, Value> {
    let settings = &server.settings;
    let mut shown: BTreeMap<_, _> = settings
        .iter()
        .map(|(name, value)| (name, option(name, value)))
        .collect();
    shown.insert("name", json!(server.name));
    shown.insert("active_model", json!(server.active_model));
    shown.insert("passive_node", json!(server.is_passive()));
    // Barman writes it in capitals as soon as there is a policy that it goes with.
    if settings.policy().is_some() {
        shown.insert("wal_retention_policy", json!("MAIN"));
    }
    shown
}

fn option(name: &str, value: &Setting) -> Value {
    match (name, value) {
        ("encryption", Setting::Text(word)) if word == "none" => Value::Null,
        // It is followed by the age of the newest backup where there is a limit to it, so that it
        // is a text always.
        ("last_backup_maximum_age", Setting::Unset) => json!("None"),
        ("last_backup_maximum_age", Setting::Length(age)) => json!(human_duration(*age)),
        ("backup_options", value) => json!(set("BackupOptions", value)),
        ("recovery_options", value) => json!(set("RecoveryOptions", value)),
        (_, Setting::Unset) => Value::Null,
        (_, Setting::Text(text)) => json!(text),
        (_, Setting::Boolean(is_on)) => json!(is_on),
        (_, Setting::Integer(number)) => json!(number),
        (_, Setting::Bytes(bytes)) => json!(bytes),
        (_, Setting::Length(length)) => json!(timedelta(*length)),
        (_, Setting::Words(words)) => json!(words),
        (_, Setting::Policy(policy)) => json!(policy.to_string()),
    }
}

/// A set as Python shows it.
fn set(class: &str, value: &Setting) -> String {
    match value {
        Setting::Words(words) if !words.is_empty() => {
            let words: Vec<_> = words.iter().map(|word| format!("'{word}'")).collect();
            format!("{class}({{{}}})", words.join(", "))
        }
        _ => format!("{class}()"),
    }
}

/// A length of time as Python writes it.
fn timedelta(length: SignedDuration) -> String {
    let seconds = length.as_secs();
    let (days, seconds) = (seconds / 86_400, seconds % 86_400);
    let clock = format!(
        "{}:{:02}:{:02}",
        seconds / 3_600,
        seconds / 60 % 60,
        seconds % 60
    );
    match days {
        0 => clock,
        1 => format!("1 day, {clock}"),
        days => format!("{days} days, {clock}"),
    }
}

/// A value as Python prints it.
fn on_console(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(values) => {
            let texts = values.iter().map(|value| match value {
                Value::String(text) => format!("'{text}'"),
                other => on_console(other),
            });
            format!("[{}]", texts.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The right side is what Barman 3.20.1 prints for such options.
    #[test]
    fn values_are_shown_as_python_shows_them() {
        let words = |words: &[&str]| Setting::Words(words.iter().map(|it| (*it).into()).collect());
        let hours = |hours| Setting::Length(SignedDuration::from_hours(hours));
        for (name, value, expected) in [
            ("active", Setting::Boolean(true), "True"),
            ("slot_name", Setting::Unset, "None"),
            ("encryption", Setting::Text("none".into()), "None"),
            ("last_wal_maximum_age", hours(2), "2:00:00"),
            ("last_wal_maximum_age", hours(25), "1 day, 1:00:00"),
            ("last_wal_maximum_age", hours(7 * 24), "7 days, 0:00:00"),
            ("last_backup_maximum_age", hours(7 * 24), "7 days"),
            ("last_backup_maximum_age", Setting::Unset, "None"),
            (
                "last_backup_minimum_size",
                Setting::Bytes(10_485_760),
                "10485760",
            ),
            ("snapshot_disks", words(&["a", "b"]), "['a', 'b']"),
            (
                "backup_options",
                words(&["concurrent_backup"]),
                "BackupOptions({'concurrent_backup'})",
            ),
            ("recovery_options", Setting::Unset, "RecoveryOptions()"),
        ] {
            assert_eq!(
                on_console(&option(name, &value)),
                expected,
                "{name} {value:?}"
            );
        }
    }
}
