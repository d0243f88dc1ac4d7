//! Recovery whose WAL is fetched ahead: from the spool, and right whatever happens to the spool
//! and to the process that fills it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use testkit::full_disk::SmallDisk;
use testkit::postgres::Cluster;
use testkit::process::Signal;
use testkit::scratch::Scratch;
use testkit::user::give_to_server_user;
use testkit::{Peer, Program};

use crate::bad_input::finished_segment;
use crate::product::{SERVER, Store};
use crate::seen::restore_program;

const SEGMENTS: u32 = 44;

/// A backup, and segments after it, each with a mark.
struct Archived {
    store: Store,
    id: String,
    _cluster: Cluster,
}

impl Archived {
    fn new(store: Store) -> Archived {
        let notes = Scratch::new("notes");
        let folder = notes.server_folder("notes");
        let options = format!("--zstd -p 4 --prefetch-cache-dir {}", folder.display());
        let cluster = store.archiving_cluster(15, &options).start();
        cluster.sql("CREATE TABLE marks (mark int)");
        let id = store.back_up(&cluster, &["--zstd"]);
        for mark in 0..SEGMENTS {
            cluster.sql(&format!(
                "INSERT INTO marks VALUES ({mark}); SELECT pg_switch_wal() IS NULL"
            ));
        }
        cluster.archive_now(Duration::from_secs(120));
        Archived {
            store,
            id,
            _cluster: cluster,
        }
    }

    /// Recovers to the archive's end with segments fetched ahead; gives the server's log.
    fn recovered(&self, spool_dir: &Path) -> String {
        let place = Scratch::new("recovered");
        let data = place.server_folder("data");
        restore_program(&self.store, &self.id, &data)
            .run()
            .success();
        let options = format!("-v -p 4 --spool-dir {}", spool_dir.display());
        let mut restored = self.store.recovering_with(&options, 15, &data).start();
        let marks = restored.sql("SELECT count(*), count(DISTINCT mark) FROM marks");
        assert_eq!(
            marks,
            format!("{SEGMENTS}|{SEGMENTS}"),
            "{}",
            restored.log()
        );
        let log = restored.log();
        restored.stop_and_check_data();
        log
    }
}

fn count(log: &str, words: &str) -> usize {
    log.lines().filter(|line| line.contains(words)).count()
}

/// The processes that were started by these tests with this folder among their words.
fn processes(word: &str, folder: &Path) -> Vec<i32> {
    let folder = folder.display().to_string();
    let all = fs::read_dir("/proc").unwrap().flatten();
    let ids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let is_ours = |id: &i32| {
        let words = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        let words = String::from_utf8_lossy(&words).into_owned();
        words.contains(word) && words.contains(&folder)
    };
    ids.filter(is_ours).collect()
}

/// Kills such processes again and again while something is done.
pub fn while_killing<T>(word: &str, folder: &Path, work: impl FnOnce() -> T) -> (T, usize) {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let killer = scope.spawn(|| {
            let mut killed = 0;
            // Intervals that fit no rhythm of what they interrupt.
            for pause in (0..).map(|turn: u64| 17 + turn * 71 % 263) {
                if done.load(Ordering::Relaxed) {
                    return killed;
                }
                for id in processes(word, folder) {
                    let id = rustix::process::Pid::from_raw(id).unwrap();
                    killed += usize::from(rustix::process::kill_process(id, Signal::KILL).is_ok());
                }
                std::thread::sleep(Duration::from_millis(pause));
            }
            killed
        });
        let result = work();
        done.store(true, Ordering::Relaxed);
        (result, killer.join().unwrap())
    })
}

#[test]
fn recovery_gets_most_of_its_wal_from_the_spool() {
    let archived = Archived::new(Store::s3());
    let place = Scratch::new("spool");
    let spool_dir = place.server_folder("spool");
    let log = archived.recovered(&spool_dir);
    let (ahead, direct) = (
        count(&log, "from the spool"),
        count(&log, "is fetched from"),
    );
    assert!(ahead + direct >= SEGMENTS as usize, "{ahead} + {direct}");
    assert!(
        ahead > 3 * direct,
        "{ahead} from the spool, {direct} fetched directly:\n{log}"
    );

    two_recoveries_at_a_time_do_not_disturb_each_other(&archived, &spool_dir);
    recovery_is_right_when_what_fetches_ahead_is_killed(&archived, &spool_dir);
    recovery_is_right_when_the_spool_has_no_room(&archived);
    recovery_is_right_without_a_spool(&archived, &place);
}

fn two_recoveries_at_a_time_do_not_disturb_each_other(archived: &Archived, spool_dir: &Path) {
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let log = archived.recovered(spool_dir);
                assert!(count(&log, "from the spool") > 0, "{log}");
            });
        }
    });
}

fn recovery_is_right_when_what_fetches_ahead_is_killed(archived: &Archived, spool_dir: &Path) {
    let recover = || archived.recovered(spool_dir);
    let (_, killed) = while_killing("--prefetch-worker", spool_dir, recover);
    assert!(killed > 0);
}

fn recovery_is_right_when_the_spool_has_no_room(archived: &Archived) {
    // One segment fits, the second does not.
    let Some(disk) = SmallDisk::mount(20) else {
        return;
    };
    let spool_dir = disk.path().join("spool");
    fs::create_dir(&spool_dir).unwrap();
    give_to_server_user(&spool_dir);
    let log = archived.recovered(&spool_dir);
    assert!(count(&log, "nothing is fetched ahead") > 0, "{log}");
    let left = flat_files(&folders_in(&spool_dir)[0]);
    let halves = left.iter().filter(|name| name.ends_with(".tmp"));
    assert_eq!(halves.count(), 0, "{left:?}");
}

fn recovery_is_right_without_a_spool(archived: &Archived, place: &Scratch) {
    // The servers' user may not write here.
    let log = archived.recovered(&place.join("closed"));
    assert!(count(&log, "nothing is fetched ahead") > 0, "{log}");
    assert_eq!(count(&log, "from the spool"), 0);
}

/// Segments of a server that archives with Barman's command.
struct OneByOne {
    store: Store,
    segments: Vec<PathBuf>,
    place: Scratch,
    _cluster: Cluster,
}

impl OneByOne {
    fn new() -> OneByOne {
        let store = Store::s3();
        let cluster = Cluster::builder(15).start();
        let segments: Vec<PathBuf> = (0..6).map(|_| finished_segment(&cluster)).collect();
        for segment in &segments {
            let archive = store.command("barman-cloud-wal-archive");
            let archive = archive.args(["--gzip", &store.url(), SERVER]).arg(segment);
            archive.run().success();
        }
        OneByOne {
            store,
            segments,
            place: Scratch::new("beside"),
            _cluster: cluster,
        }
    }

    /// Fetches a segment with four at a time, and checks what came.
    fn fetch(&self, command: Program, spool_dir: &Path, number: usize) -> String {
        let segment = &self.segments[number];
        let got = self.place.server_folder("pg_wal").join("RECOVERYXLOG");
        let fetched = command
            .args(["-v", "-p", "4", "--spool-dir"])
            .arg(spool_dir)
            .args([&self.store.url(), SERVER])
            .arg(segment.file_name().unwrap())
            .arg(&got)
            .run()
            .success();
        assert!(fs::read(got).unwrap() == fs::read(segment).unwrap());
        fetched.stderr
    }
}

fn folders_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().flatten();
    let folders = entries.filter(|entry| entry.file_type().unwrap().is_dir());
    folders.map(|entry| entry.path()).collect()
}

fn flat_files(folder: &Path) -> Vec<String> {
    let files = fs::read_dir(folder).unwrap().flatten();
    let files = files.filter(|entry| entry.file_type().unwrap().is_file());
    let mut names: Vec<_> = files
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn barmans_spool_and_ours_lie_beside_each_other_without_harm() {
    let world = OneByOne::new();
    let spool_dir = world.place.server_folder("spool");
    let ours = || world.store.command("barman-cloud-wal-restore");
    let theirs = || {
        let barman = Peer::command("barman-cloud-wal-restore").as_server_user();
        barman.envs(world.store.environment())
    };
    // Theirs fetches the first four, ours the same: neither takes the other's.
    world.fetch(theirs(), &spool_dir, 0);
    let spooled = flat_files(&spool_dir);
    assert_eq!(spooled.len(), 3, "{spooled:?}");
    // What lies there under a name of ours is not believed either.
    fs::write(spool_dir.join(&spooled[0]), "not a segment").unwrap();
    for number in 0..4 {
        world.fetch(ours(), &spool_dir, number);
    }
    assert_eq!(flat_files(&spool_dir), spooled);
    world.fetch(theirs(), &spool_dir, 2);
    world.fetch(theirs(), &spool_dir, 3);
    world.fetch(ours(), &spool_dir, 4);
    world.fetch(theirs(), &spool_dir, 5);
}

#[test]
fn a_spool_of_another_server_is_not_looked_at() {
    let world = OneByOne::new();
    let other = OneByOne::new();
    let spool_dir = world.place.server_folder("spool");
    // The same names, the same destination's name, and other content.
    for number in 0..6 {
        let said = world.fetch(
            world.store.command("barman-cloud-wal-restore"),
            &spool_dir,
            number,
        );
        assert!(number == 0 || said.contains("INFO"), "{said}");
        other.fetch(
            other.store.command("barman-cloud-wal-restore"),
            &spool_dir,
            number,
        );
    }
}
