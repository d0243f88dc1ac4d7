//! Azure and Google on a bad day: connections that drop, answers that are lost or cut short,
//! refusals that pass. A backup is DONE and comes back, or it is FAILED.

use testkit::postgres::Cluster;
use testkit::process::Program;
use testkit::program::barman_program;
use testkit::proxy::{Fault, FaultProxy, Rule};
use testkit::scratch::Scratch;
use testkit::{Azurite, GcsEmulator};

use crate::faults::{PATIENCE, QUESTION, ROWS, large_cluster};
use crate::product::{SERVER, Store};
use crate::seen::{answer_of_restored, comes_back_whole, done_backups, latest_status};

/// A store, and a proxy before it.
struct BadDay {
    store: Store,
    address: String,
    proxy: FaultProxy,
}

impl BadDay {
    fn azure() -> BadDay {
        BadDay::of(Store::azure(), Azurite::shared().address())
    }

    fn google() -> BadDay {
        BadDay::of(Store::google(), GcsEmulator::shared().address())
    }

    fn of(store: Store, address: String) -> BadDay {
        let proxy = FaultProxy::before(&address);
        BadDay {
            store,
            address,
            proxy,
        }
    }

    /// The same words, for the proxy's address.
    fn through(&self, words: &str) -> String {
        let proxy = self.proxy.endpoint().replace("http://", "");
        words.replace(&self.address, &proxy)
    }

    fn command(&self, name: &str, words: &[&str]) -> Program {
        let environment = self.store.environment().into_iter();
        Program::new(barman_program(name))
            .as_server_user()
            .env("BARMAN_STORE_PATIENCE", PATIENCE)
            .envs(environment.map(|(name, value)| (name, self.through(&value))))
            .args(self.store.provider())
            .args([&self.through(&self.store.url()), SERVER])
            .args(words)
    }

    fn backup(&self, cluster: &Cluster, options: &[&str]) -> Program {
        self.command("barman-cloud-backup", options)
            .arg("--immediate-checkpoint")
            .envs(cluster.environment())
    }

    fn spoilt_count(&self) -> usize {
        let seen = self.proxy.requests();
        seen.iter().filter(|seen| seen.fault.is_some()).count()
    }
}

/// What passes is waited out: nothing is lost, and nothing is said to have failed.
fn bad_minutes(day: &BadDay) {
    let cluster = large_cluster(&day.store);
    for rule in [
        Rule::new(Fault::Drop)
            .method("PUT")
            .target_has("data")
            .after(2),
        Rule::new(Fault::Answer(503)).method("PUT").times(2),
        Rule::new(Fault::Answer(500)).method("GET"),
    ] {
        day.proxy.spoil(rule);
    }
    day.backup(&cluster, &["-J", "1"]).run().success();
    assert_eq!(day.spoilt_count(), 4);
    assert_eq!(latest_status(&day.store), "DONE");
    let id = day.store.latest_id();

    day.proxy.heal();
    day.proxy.forget();
    let cut = Rule::new(Fault::CutAnswerAfter(3 << 20)).method("GET");
    day.proxy.spoil(cut.target_has("data").times(3));
    day.proxy
        .spoil(Rule::new(Fault::Drop).method("GET").after(1));
    let place = Scratch::new("bad-minutes");
    let data = place.server_folder("data");
    let restore = day.command("barman-cloud-restore", &[&id]).arg(&data);
    restore.run().success();
    assert_eq!(day.spoilt_count(), 4);
    testkit::postgres::verify_backup(cluster.tools(), &data);

    day.proxy.spoil(Rule::new(Fault::Answer(503)).times(3));
    day.command("barman-cloud-backup-keep", &[&id, "--target", "full"])
        .run()
        .success();
    day.proxy.spoil(Rule::new(Fault::Drop).method("GET"));
    day.command("barman-cloud-backup-delete", &["-r", "REDUNDANCY 1"])
        .run()
        .success();
    let answer = answer_of_restored(&day.store, &cluster, &id, QUESTION);
    assert_eq!(answer, ROWS.to_string());
}

/// Whatever the lost answer was, what is listed tells the truth.
fn lost_answers(day: &BadDay, end_of_upload: Rule) {
    let cluster = day.store.archiving_cluster(15, "").start();
    let lost = || Rule::new(Fault::LoseAnswer).method("PUT");
    let rules = [
        ("the first record", lost().target_has("info")),
        ("the last record", lost().target_has("info").after(1)),
        ("some of the data", lost().target_has("data")),
        ("the end of an upload", end_of_upload),
    ];
    for (what, rule) in rules {
        day.proxy.spoil(rule);
        let finished = day.backup(&cluster, &["--zstd"]).run();
        assert_eq!(day.spoilt_count(), 1, "{what}");
        let expected = match finished.code {
            Some(0) => "DONE",
            _ => "FAILED",
        };
        let said = &finished.stderr;
        assert_eq!(latest_status(&day.store), expected, "{what}: {said}");
        day.proxy.heal();
        day.proxy.forget();
    }
    for id in done_backups(&day.store) {
        comes_back_whole(&day.store, &cluster, &id);
    }
}

/// A store that never answers again leaves nothing that looks like a backup.
fn gone_for_good(day: &BadDay) {
    let cluster = large_cluster(&day.store);
    day.proxy.spoil(
        Rule::new(Fault::Answer(503))
            .method("PUT")
            .target_has("data")
            .always(),
    );
    let failed = day
        .backup(&cluster, &["-J", "1", "--read-timeout", "5"])
        .run();
    assert!(
        failed.code == Some(1) || failed.code == Some(2),
        "{failed:?}"
    );
    assert!(done_backups(&day.store).is_empty());
    assert!(!day.store.keys().iter().any(|key| key.contains("data.tar")));
}

#[test]
fn bad_minutes_of_azure_are_waited_out() {
    bad_minutes(&BadDay::azure());
}

#[test]
fn bad_minutes_of_google_are_waited_out() {
    bad_minutes(&BadDay::google());
}

#[test]
fn a_lost_answer_of_azure_never_makes_a_wrong_backup() {
    let end = Rule::new(Fault::LoseAnswer).method("PUT");
    lost_answers(&BadDay::azure(), end.target_has("comp=blocklist"));
}

#[test]
fn a_lost_answer_of_google_never_makes_a_wrong_backup() {
    let end = Rule::new(Fault::LoseAnswer).method("POST");
    lost_answers(&BadDay::google(), end.target_has("uploadId="));
}

#[test]
fn an_azure_that_goes_away_leaves_no_backup() {
    gone_for_good(&BadDay::azure());
}
