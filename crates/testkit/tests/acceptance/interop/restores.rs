//! One program archives and backs up, the other restores: the server starts and has every row.

use std::io::Write;
use std::time::Duration;

use testkit::postgres::verify_backup;
use testkit::{Cluster, Peer, Scratch};

use super::{By, add_row, fill, recover, rows, source};
use crate::product::{SERVER, Store};

/// One backup: options of the backup, the ending of its archives, and the codec of the WAL.
struct Round {
    options: &'static [&'static str],
    ending: &'static str,
    wal_option: &'static str,
    wal_ending: &'static str,
}

const fn round(
    [options, wal_option]: [&'static [&'static str]; 2],
    [ending, wal_ending]: [&'static str; 2],
) -> Round {
    let wal_option = match wal_option {
        [option] => option,
        _ => "",
    };
    Round {
        options,
        ending,
        wal_option,
        wal_ending,
    }
}

/// Archives of at most 10 MB: an empty cluster has more than 20. We count before compression,
/// Barman after it, so compressed archives must be smaller to be cut by both.
const CUT: &[&str] = &["-S", "10MB"];
const CUT_COMPRESSED: &[&str] = &["--gzip", "-S", "2MB", "-J", "3"];

const FIRST_HALF: [Round; 4] = [
    round([&[], &[]], ["", ""]),
    round([&["--gzip"], &["--gzip"]], [".gz", ".gz"]),
    round([&["--snappy"], &["--snappy"]], [".snappy", ".snappy"]),
    round([CUT, &["--xz"]], ["", ".xz"]),
];

const SECOND_HALF: [Round; 4] = [
    round([&["--bzip2"], &["--bzip2"]], [".bz2", ".bz2"]),
    round([&["--lz4"], &["--lz4"]], [".lz4", ".lz4"]),
    round([&["--zstd"], &["--zstd"]], [".zst", ".zst"]),
    round([CUT_COMPRESSED, &["--gzip"]], [".gz", ".gz"]),
];

impl Round {
    /// Barman has `--zstd` for backups since 3.20; an older peer cannot take part in that.
    fn is_known_to_peer(&self) -> bool {
        let version = Peer::version();
        let known = version.as_str() >= "3.20" || !self.options.contains(&"--zstd");
        if !known {
            // Past the test harness, which hides what a passing test prints.
            let options = self.options;
            let _ = writeln!(
                std::io::stderr(),
                "SKIPPED: Barman {version} has no {options:?}"
            );
        }
        known
    }

    fn is_cut(&self) -> bool {
        self.options.contains(&"-S")
    }

    fn play(&self, store: &Store, cluster: &Cluster, writer: By, reader: By) {
        archive_with(cluster, &writer.archive_command(store, self.wal_option));
        let id = writer.back_up(store, cluster, self.options);
        add_row(cluster, &id);
        cluster.archive_now(Duration::from_secs(60));
        self.check_keys(store, &id);

        let place = Scratch::new("interop");
        let data = reader.restore(store, &id, &place);
        if writer == By::Us {
            verify_backup(cluster.tools(), &data);
        }
        let mut restored = recover(store, cluster.tools().major, data, reader);
        assert_eq!(rows(&restored), rows(cluster), "{:?}", self.options);
        restored.stop_and_check_data();
    }

    /// Archives are called what they should be, and are several where the options ask for that.
    fn check_keys(&self, store: &Store, id: &str) {
        let keys = store.keys();
        let backup = format!("/{SERVER}/base/{id}/");
        let has = |name: &str| {
            let end = format!("{backup}{name}.tar{}", self.ending);
            keys.iter().any(|key| key.ends_with(&end))
        };
        assert!(has("data"), "{keys:#?}");
        assert_eq!(has("data_0001"), self.is_cut(), "{keys:#?}");
        let wal = keys
            .iter()
            .filter(|key| key.contains(&format!("/{SERVER}/wals/")));
        let newest = wal.max().expect("WAL was archived");
        assert!(newest.ends_with(self.wal_ending), "{newest}");
    }
}

fn archive_with(cluster: &Cluster, command: &str) {
    cluster.sql(&format!(
        "ALTER SYSTEM SET archive_command = '{command}'; SELECT pg_reload_conf();"
    ));
}

fn play_all(rounds: &[Round], major: u32, writer: By, reader: By) {
    let store = Store::s3();
    let cluster = source(&store, major, writer).start();
    fill(&cluster);
    for round in rounds.iter().filter(|round| round.is_known_to_peer()) {
        round.play(&store, &cluster, writer, reader);
    }
}

#[test]
fn barman_restores_what_we_saved_from_postgres_15() {
    play_all(&FIRST_HALF, 15, By::Us, By::Barman);
}

#[test]
fn barman_restores_what_we_saved_from_postgres_18() {
    play_all(&SECOND_HALF, 18, By::Us, By::Barman);
}

#[test]
fn we_restore_what_barman_saved_from_postgres_15() {
    play_all(&SECOND_HALF, 15, By::Barman, By::Us);
}

#[test]
fn we_restore_what_barman_saved_from_postgres_18() {
    play_all(&FIRST_HALF, 18, By::Barman, By::Us);
}
