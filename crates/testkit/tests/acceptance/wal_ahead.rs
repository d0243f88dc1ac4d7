//! Archiving several segments at a time: whatever is killed, what PostgreSQL was told is true.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use testkit::postgres::Cluster;
use testkit::process::{Program, Signal};
use testkit::scratch::Scratch;

use crate::bad_input::finished_segment;
use crate::faults::Spoilt;
use crate::kills::signal_at_request;
use crate::product::{SERVER, Store};
use crate::wal_prefetch::while_killing;

fn fetched(store: &Store, name: &str) -> Vec<u8> {
    let place = Scratch::new("fetched");
    let got = place.server_folder("pg_wal").join(name);
    let fetch = store.command("barman-cloud-wal-restore");
    let fetch = fetch.args([&store.url(), SERVER, name]).arg(&got);
    fetch.run().success();
    fs::read(got).unwrap()
}

#[test]
fn under_load_every_segment_is_archived_though_its_commands_are_killed() {
    let store = Store::s3();
    let place = Scratch::new("notes");
    let notes = place.server_folder("notes");
    let options = format!("--lz4 -p 4 --prefetch-cache-dir {}", notes.display());
    let cluster = store
        .archiving_cluster(15, &options)
        .wal_segment_mib(1)
        .conf("wal_keep_size = 4GB")
        .start();
    cluster.pgbench_init(1);
    let load = || {
        cluster.pgbench(Duration::from_secs(8)).finish().success();
    };
    let ((), killed) = while_killing("barman-cloud-wal-archive", &notes, load);
    assert!(killed > 0);
    cluster.archive_now(Duration::from_secs(150));

    let status = cluster.data().join("pg_wal/archive_status");
    let done: Vec<String> = fs::read_dir(status)
        .unwrap()
        .filter_map(|entry| {
            let name = entry.unwrap().file_name().into_string().unwrap();
            name.strip_suffix(".done").map(str::to_owned)
        })
        .collect();
    assert!(done.len() > 8, "{done:?}");
    for name in done {
        let own = fs::read(cluster.data().join("pg_wal").join(&name)).unwrap();
        assert!(fetched(&store, &name) == own, "{name}");
    }
}

/// Finished segments as PostgreSQL leaves them for its archive_command.
pub struct Finished {
    folder: PathBuf,
    pub segments: Vec<PathBuf>,
    place: Scratch,
}

impl Finished {
    pub fn segments(count: usize) -> Finished {
        let cluster = Cluster::builder(15).wal_segment_mib(1).start();
        let place = Scratch::new("finished");
        let folder = place.server_folder("pg_wal");
        let status = folder.join("archive_status");
        fs::create_dir(&status).unwrap();
        let copy = |segment: PathBuf| {
            let name = segment.file_name().unwrap().to_str().unwrap().to_owned();
            fs::write(status.join(format!("{name}.ready")), "").unwrap();
            fs::write(folder.join(&name), fs::read(&segment).unwrap()).unwrap();
            folder.join(name)
        };
        let segments = (0..count).map(|_| copy(finished_segment(&cluster)));
        let segments = segments.collect();
        Finished {
            folder,
            segments,
            place,
        }
    }

    fn archive(&self, store: &Store, notes: &Path, segment: &Path) -> Program {
        let archive = store.command("barman-cloud-wal-archive");
        let archive = archive.args(["-v", "-p", "4", "--gzip", "--prefetch-cache-dir"]);
        archive
            .arg(notes)
            .args([&store.url(), SERVER])
            .arg(segment)
            .current_dir(&self.folder)
    }
}

#[test]
fn a_command_that_is_killed_at_any_step_has_promised_nothing_false() {
    let finished = Finished::segments(3);
    for signal in [Signal::KILL, Signal::TERM] {
        let mut step = 0;
        loop {
            step += 1;
            let spoilt = Spoilt::new();
            let notes = finished
                .place
                .server_folder(&format!("notes{signal:?}{step}"));
            let first = finished.archive(&spoilt.store, &notes, &finished.segments[0]);
            let first = spoilt.through(first);
            let reached = signal_at_request(&spoilt, first, step, signal).is_some();
            // PostgreSQL asks for the same segment again, then for the others.
            for segment in &finished.segments {
                let archive = finished.archive(&spoilt.store, &notes, segment);
                archive.run().success();
                let name = segment.file_name().unwrap().to_str().unwrap();
                assert!(
                    fetched(&spoilt.store, name) == fs::read(segment).unwrap(),
                    "{name}"
                );
            }
            if !reached {
                break;
            }
        }
        assert!(step > 4, "three segments take more than {step} requests");
    }
}

#[test]
fn a_segment_that_was_stored_ahead_costs_no_request() {
    let finished = Finished::segments(5);
    let spoilt = Spoilt::new();
    let notes = finished.place.server_folder("notes");
    let archive = |number: usize| {
        let segment = &finished.segments[number];
        let archive = finished.archive(&spoilt.store, &notes, segment);
        spoilt.through(archive).run()
    };
    archive(0).success();
    let puts = spoilt.proxy.count("PUT", "");
    assert_eq!(puts, 4);
    let requests = spoilt.proxy.requests().len();
    // One listing shows sixteen segments; their numbers may lie on both sides of a border. After
    // each write it is looked whether another host wrote the same name in another codec.
    assert!((9..=10).contains(&requests), "{requests} requests");
    for number in 1..4 {
        let said = archive(number).success().stderr;
        assert!(said.contains("was stored ahead"), "{said}");
    }
    assert_eq!(spoilt.proxy.requests().len(), requests);
    // Changed meanwhile: it is looked at again, and refused, for the store has the other.
    let mut content = fs::read(&finished.segments[3]).unwrap();
    content[9000] ^= 1;
    fs::write(&finished.segments[3], content).unwrap();
    let refused = archive(3).exits_with(1);
    assert!(
        refused.stderr.contains("other content"),
        "{}",
        refused.stderr
    );
}
