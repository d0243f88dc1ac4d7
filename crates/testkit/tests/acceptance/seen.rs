//! What is looked at after something went wrong: the words, the records, and whether a backup
//! that is listed as DONE really comes back.

use testkit::postgres::{Cluster, verify_backup};
use testkit::process::{Finished, Program};
use testkit::scratch::Scratch;

use crate::product::{SERVER, Store};

/// Panics, showing everything, unless the program ended with this code and said all these words.
#[track_caller]
pub fn refused(finished: Finished, code: i32, words: &[&str]) -> Finished {
    let finished = finished.exits_with(code);
    for word in words {
        let said = finished
            .stderr
            .to_lowercase()
            .contains(&word.to_lowercase());
        assert!(said, "{word:?} is not said:\n{}", finished.stderr);
    }
    let panicked = ["panicked", "RUST_BACKTRACE", "secrettest"];
    for word in panicked {
        assert!(
            !finished.stderr.contains(word),
            "{word}:\n{}",
            finished.stderr
        );
    }
    finished
}

/// The command line of a backup, complete; the caller may add variables.
pub fn backup_program(store: &Store, cluster: &Cluster, options: &[&str]) -> Program {
    store
        .command("barman-cloud-backup")
        .envs(cluster.environment())
        .args(["--immediate-checkpoint"])
        .args(options)
        .args([&store.url(), SERVER])
}

/// Id, status and error of every backup, oldest first.
pub fn records(store: &Store) -> Vec<(String, String, String)> {
    let list = store.list();
    let text =
        |backup: &serde_json::Value, key: &str| backup[key].as_str().unwrap_or_default().to_owned();
    let backups = list["backups_list"].as_array().unwrap();
    backups
        .iter()
        .map(|backup| {
            (
                text(backup, "backup_id"),
                text(backup, "status"),
                text(backup, "error"),
            )
        })
        .collect()
}

/// The status of the newest backup; empty when there is none.
pub fn latest_status(store: &Store) -> String {
    records(store)
        .pop()
        .map(|(_, status, _)| status)
        .unwrap_or_default()
}

/// The ids of all backups that are listed as DONE.
pub fn done_backups(store: &Store) -> Vec<String> {
    let done = records(store)
        .into_iter()
        .filter(|(_, status, _)| status == "DONE");
    done.map(|(id, _, _)| id).collect()
}

/// Restores a backup and checks it against its manifest.
pub fn comes_back_whole(store: &Store, cluster: &Cluster, id: &str) {
    let place = Scratch::new("whole");
    let data = place.server_folder("data");
    restore_program(store, id, &data).run().success();
    verify_backup(cluster.tools(), &data);
}

/// Restores a backup, starts a server on it that recovers, and asks it something.
pub fn answer_of_restored(store: &Store, cluster: &Cluster, id: &str, question: &str) -> String {
    let place = Scratch::new("answer");
    let data = place.server_folder("data");
    restore_program(store, id, &data).run().success();
    let major = cluster.tools().major;
    let mut restored = store.recovering(major, &data).start();
    let answer = restored.sql(question);
    restored.stop_and_check_data();
    answer
}

/// The command line of a restore, complete.
pub fn restore_program(store: &Store, id: &str, data: &std::path::Path) -> Program {
    store
        .command("barman-cloud-restore")
        .args([&store.url(), SERVER, id])
        .arg(data)
}
