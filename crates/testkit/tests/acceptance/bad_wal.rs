//! WAL files that could never be replayed are refused before PostgreSQL is told that it may
//! forget them; what the archive has is never replaced.

use std::fs;
use std::path::{Path, PathBuf};

use testkit::postgres::Cluster;
use testkit::process::Program;
use testkit::scratch::Scratch;

use crate::bad_input::finished_segment;
use crate::product::{SERVER, Store};
use crate::seen::refused;

/// An archive with segments of two servers beside it.
struct TwoServers {
    store: Store,
    ours: Cluster,
    theirs: Cluster,
    place: Scratch,
}

impl TwoServers {
    fn archive(&self, path: &Path) -> Program {
        let archive = self.store.command("barman-cloud-wal-archive");
        archive.args([&self.store.url(), SERVER]).arg(path)
    }

    fn copy_of(&self, segment: &Path, name: &str) -> PathBuf {
        let folder = self.place.shared_folder(name);
        let copy = folder.join(segment.file_name().unwrap());
        fs::copy(segment, &copy).unwrap();
        testkit::user::give_to_server_user(&copy);
        copy
    }

    fn got(&self, name: &str) -> Vec<u8> {
        let got = self.place.server_folder("got").join(name);
        let restore = self.store.command("barman-cloud-wal-restore");
        restore
            .args([&self.store.url(), SERVER, name])
            .arg(&got)
            .run()
            .success();
        fs::read(got).unwrap()
    }
}

#[test]
fn a_wal_file_that_could_never_be_replayed_is_not_acknowledged() {
    let two = TwoServers {
        store: Store::s3(),
        ours: Cluster::builder(15).start(),
        theirs: Cluster::builder(15).start(),
        place: Scratch::new("wal"),
    };
    let segment = finished_segment(&two.ours);
    let name = segment.file_name().unwrap().to_str().unwrap().to_owned();
    what_is_no_wal_file_is_refused(&two);
    what_is_half_a_segment_is_refused(&two, &segment);
    segments_of_another_server_are_refused(&two);
    let Store::S3(bucket) = &two.store else {
        panic!("this store is a bucket")
    };
    assert!(bucket.keys().is_empty(), "{:?}", bucket.keys());

    two.archive(&segment).run().success();
    two.archive(&segment).run().success();
    let original = fs::read(&segment).unwrap();
    let other = two.copy_of(&segment, "other");
    let mut content = original.clone();
    // Behind the switch of segments, where nobody reads: another content, and no damage.
    *content.last_mut().unwrap() ^= 1;
    fs::write(&other, content).unwrap();
    let words = ["s3://", &name, "other content", "HINT: Two servers"];
    refused(two.archive(&other).run(), 1, &words);
    assert_eq!(
        two.got(&name),
        original,
        "the segment that was stored first is untouched"
    );
    a_segment_that_is_not_there_is_not_found(&two);
}

fn what_is_no_wal_file_is_refused(two: &TwoServers) {
    for name in [
        "postgresql.conf",
        "00000001000000000000000",
        "00000001000000000000000G",
    ] {
        let path = two.ours.data().join(name);
        refused(
            two.archive(&path).run(),
            3,
            &[name, "not the name of a WAL file"],
        );
    }
    let absent = two.ours.data().join("pg_wal/0000000100000000000000EE");
    refused(
        two.archive(&absent).run(),
        1,
        &["0000000100000000000000EE", "no such file"],
    );
    let folder = two.place.server_folder("0000000100000000000000EE");
    refused(
        two.archive(&folder).run(),
        1,
        &["0000000100000000000000EE", "not a regular file"],
    );
}

fn what_is_half_a_segment_is_refused(two: &TwoServers, segment: &Path) {
    let whole = fs::read(segment).unwrap();
    for length in [0, 20, 8192, 8 << 20, (16 << 20) - 1] {
        let cut = two.copy_of(segment, "cut");
        fs::write(&cut, &whole[..length]).unwrap();
        refused(
            two.archive(&cut).run(),
            1,
            &[cut.to_str().unwrap(), "is not archived"],
        );
    }
    // Recycled: the content of another segment under a new name.
    let recycled = two
        .copy_of(segment, "recycled")
        .with_file_name("000000010000000000000099");
    fs::write(&recycled, &whole).unwrap();
    refused(
        two.archive(&recycled).run(),
        1,
        &[recycled.to_str().unwrap(), "is not archived"],
    );
    let blank = two.copy_of(segment, "blank");
    fs::write(&blank, vec![0; 16 << 20]).unwrap();
    refused(
        two.archive(&blank).run(),
        1,
        &[blank.to_str().unwrap(), "is not archived"],
    );
}

fn segments_of_another_server_are_refused(two: &TwoServers) {
    let theirs = finished_segment(&two.theirs);
    let name = theirs.file_name().unwrap().to_str().unwrap();
    // As PostgreSQL calls its archive_command: started in our data directory.
    let from_ours = two.archive(&theirs).current_dir(two.ours.data()).run();
    refused(from_ours, 1, &[name, "system"]);
    let place = two
        .ours
        .data()
        .join("pg_wal")
        .join(format!("{}F", &name[..23]));
    let copy = two.ours.data().join("pg_wal/000000010000000000000EEE");
    for foreign in [place, copy] {
        fs::copy(&theirs, &foreign).unwrap();
        testkit::user::give_to_server_user(&foreign);
        refused(two.archive(&foreign).run(), 1, &["is not archived"]);
        let relative = Path::new("pg_wal").join(foreign.file_name().unwrap());
        let as_postgres_does = two.archive(&relative).current_dir(two.ours.data()).run();
        refused(as_postgres_does, 1, &["is not archived"]);
        fs::remove_file(foreign).unwrap();
    }
}

fn a_segment_that_is_not_there_is_not_found(two: &TwoServers) {
    let got = two.place.server_folder("got").join("RECOVERYXLOG");
    let restore = |name: &str| {
        let restore = two.store.command("barman-cloud-wal-restore");
        restore
            .args([&two.store.url(), SERVER, name])
            .arg(&got)
            .run()
    };
    refused(
        restore("0000000100000000000000EE"),
        1,
        &["0000000100000000000000EE", "s3://"],
    );
    refused(restore("00000002.history"), 1, &["00000002.history"]);
    refused(restore("postgresql.conf"), 3, &["postgresql.conf"]);
    assert!(!got.exists());
}
