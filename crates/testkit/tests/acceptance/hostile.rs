//! Archives that someone else put into the bucket: nothing outside the destination is touched,
//! and what was not extracted whole does not start.
//!
//! Everything here runs under the tests' own account, which for root is the most dangerous one.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use testkit::barman_peer::Peer;
use testkit::postgres::Cluster;
use testkit::process::{Finished, Program};
use testkit::program::barman_program;
use testkit::scratch::Scratch;

use crate::product::{SERVER, Store};
use crate::seen::refused;

/// Writes a tar: OLD, NEW, and members to go before those of OLD, as `kind name [target]`.
const FORGE: &str = r#"
import io, sys, tarfile
old, new, *members = sys.argv[1:]
kinds = {"file": tarfile.REGTYPE, "symlink": tarfile.SYMTYPE, "hardlink": tarfile.LNKTYPE,
         "device": tarfile.CHRTYPE, "fifo": tarfile.FIFOTYPE, "directory": tarfile.DIRTYPE}
with tarfile.open(new, "w", format=tarfile.PAX_FORMAT) as out:
    for member in members:
        kind, name, *target = member.split(" ")
        info = tarfile.TarInfo(name)
        info.type, info.mode = kinds[kind], 0o4755
        info.linkname = target[0] if target else ""
        info.devmajor, info.devminor = 1, 3
        body = b"escaped" if kind == "file" else b""
        info.size = len(body)
        out.addfile(info, io.BytesIO(body))
    with tarfile.open(old) as source:
        for info in source:
            out.addfile(info, source.extractfile(info) if info.isreg() else None)
"#;

/// A backup in a directory store whose archive can be replaced by a forged one.
struct Target {
    store: Store,
    id: String,
    archive: PathBuf,
    original: Vec<u8>,
    place: Scratch,
}

impl Target {
    fn new() -> Target {
        let store = Store::directory();
        let cluster = store.archiving_cluster(15, "").start();
        let id = store.back_up(&cluster, &["-J", "1"]);
        let Store::Directory(scratch) = &store else {
            panic!("this store is a directory")
        };
        let base = scratch.join("archive").join(SERVER).join("base").join(&id);
        // The last archive, which has `global/pg_control`.
        let mut archives: Vec<_> = fs::read_dir(base)
            .unwrap()
            .map(|e| e.unwrap().path())
            .collect();
        archives.retain(|path| path.extension().is_some_and(|suffix| suffix == "tar"));
        let archive = archives.into_iter().max().unwrap();
        let original = fs::read(&archive).unwrap();
        Target {
            store,
            id,
            archive,
            original,
            place: Scratch::new("hostile"),
        }
    }

    fn outside(&self) -> PathBuf {
        let outside = self.place.join("outside");
        fs::create_dir_all(&outside).unwrap();
        outside
    }

    fn destination(&self) -> PathBuf {
        self.place.join("data")
    }

    fn forge(&self, members: &[String]) {
        let old = self.place.join("old.tar");
        fs::write(&old, &self.original).unwrap();
        let python = Peer::python()
            .args(["-c", FORGE])
            .arg(old)
            .arg(&self.archive);
        python.args(members).run().success();
    }

    fn restore(&self) -> Finished {
        self.restore_with(&[])
    }

    fn restore_with(&self, options: &[&str]) -> Finished {
        let _ = fs::remove_dir_all(self.destination());
        let restore = Program::new(barman_program("barman-cloud-restore")).args(options);
        let restore = restore.args([&self.store.url(), SERVER, &self.id]);
        restore.arg(self.destination()).run()
    }

    /// Nothing outside, and no way for a server to start on the destination.
    fn nothing_escaped(&self, what: &str) {
        let outside: Vec<_> = fs::read_dir(self.outside()).unwrap().collect();
        assert!(outside.is_empty(), "{what}: {outside:?}");
        let beside: Vec<_> = fs::read_dir(self.place.path()).unwrap().collect();
        let names: Vec<_> = beside
            .into_iter()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        let known = ["outside", "data", "old.tar"];
        assert!(
            names
                .iter()
                .all(|name| known.contains(&name.to_str().unwrap())),
            "{names:?}"
        );
        assert!(
            !self.destination().join("global/pg_control").exists(),
            "{what}"
        );
    }
}

fn devices_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()) {
        let metadata = fs::symlink_metadata(&path).unwrap();
        if metadata.is_dir() {
            found.extend(devices_below(&path));
        } else if !metadata.is_file() || metadata.nlink() > 1 {
            found.push(path);
        }
    }
    found
}

#[test]
fn an_archive_that_leads_out_of_the_destination_is_refused() {
    let target = Target::new();
    let outside = target.outside();
    let out = outside.display();
    let cases: [(&[String], &str); 12] = [
        (&["file ../outside/escaped".into()], "../outside/escaped"),
        (
            &["file base/../../outside/escaped".into()],
            "base/../../outside/escaped",
        ),
        (&[format!("file {out}/escaped")], "/outside/escaped"),
        (
            &["directory ../outside/escaped".into()],
            "../outside/escaped",
        ),
        (
            &[
                format!("symlink base/evil {out}"),
                "file base/evil/escaped".into(),
            ],
            "base/evil",
        ),
        (&["symlink base/evil ../../outside".into()], "base/evil"),
        (
            &[
                format!("symlink global {out}"),
                "file global/escaped".into(),
            ],
            "global",
        ),
        (&["hardlink base/evil /etc/passwd".into()], "base/evil"),
        (
            &["hardlink base/evil ../outside/escaped".into()],
            "base/evil",
        ),
        (&["device base/evil".into()], "base/evil"),
        (&["fifo base/evil".into()], "base/evil"),
        (
            &[format!("file ../outside/{}", "long".repeat(80))],
            "../outside/long",
        ),
    ];
    for (members, name) in cases {
        target.forge(members);
        let finished = target.restore();
        refused(finished, 1, &[&target.id, name, "refused"]);
        target.nothing_escaped(&format!("{members:?}"));
        assert_eq!(devices_below(&target.destination()), Vec::<PathBuf>::new());
    }
    assert!(fs::symlink_metadata("/etc/passwd").unwrap().is_file());
}

#[test]
fn a_link_where_postgres_has_links_leads_nowhere_either() {
    let target = Target::new();
    let outside = target.outside();
    let out = outside.display();
    for (link, file) in [
        ("pg_wal", "pg_wal/escaped"),
        ("log", "log/escaped"),
        ("pg_tblspc/16999", "pg_tblspc/16999/escaped"),
    ] {
        target.forge(&[format!("symlink {link} {out}"), format!("file {file}")]);
        // Such a link is honest in backups of others: it is left out, its place is a directory.
        target.restore_with(&["--keep-unlisted"]).success();
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0, "{link}");
        let inside = target.destination().join(file);
        assert!(
            !fs::symlink_metadata(inside.parent().unwrap())
                .unwrap()
                .is_symlink()
        );
    }
}

#[test]
fn an_archive_that_is_damaged_is_not_restored() {
    let target = Target::new();
    let original = &target.original;
    let middle = original.len() / 2;
    let flipped = |offset: usize| {
        let mut content = original.clone();
        content[offset] ^= 0x40;
        content
    };
    let damaged = [
        ("empty", Vec::new()),
        ("cut", original[..middle].to_vec()),
        (
            "without its end",
            original[..original.len() - 1024].to_vec(),
        ),
        ("flipped bit", flipped(middle)),
        ("flipped header", flipped(100)),
        ("something else", vec![b'x'; 1 << 20]),
    ];
    for (what, content) in damaged {
        fs::write(&target.archive, content).unwrap();
        let finished = target.restore();
        assert_eq!(finished.code, Some(1), "{what}: {}", finished.stderr);
        assert!(
            finished.stderr.contains("ERROR"),
            "{what}: {}",
            finished.stderr
        );
        target.nothing_escaped(what);
    }
    fs::remove_file(&target.archive).unwrap();
    refused(target.restore(), 1, &[&target.id]);
    target.nothing_escaped("absent");
    fs::write(&target.archive, original).unwrap();
    target.restore().success();
}

#[test]
fn a_record_that_cannot_be_read_is_said_and_hides_no_other_backup() {
    let store = Store::directory();
    let cluster = Cluster::builder(15).archive_command("true").start();
    let id = store.back_up(&cluster, &[]);
    let Store::Directory(scratch) = &store else {
        panic!("this store is a directory")
    };
    let base = scratch.join("archive").join(SERVER).join("base");
    for (name, text) in [
        ("20200101T000000", "garbage"),
        ("20200102T000000", "future_key=1\n"),
    ] {
        fs::create_dir(base.join(name)).unwrap();
        fs::write(base.join(name).join("backup.info"), text).unwrap();
        testkit::user::give_to_server_user(&base.join(name));
    }
    let list = store
        .command("barman-cloud-backup-list")
        .args([&store.url(), SERVER]);
    let listed = list.run().success();
    assert!(listed.stdout.contains(&id), "{}", listed.stdout);
    assert!(
        listed.stderr.contains("20200101T000000"),
        "{}",
        listed.stderr
    );
    let place = Scratch::new("restore");
    let data = place.server_folder("data");
    let restore = |wanted: &str| crate::seen::restore_program(&store, wanted, &data).run();
    refused(restore("20200101T000000"), 1, &["20200101T000000"]);
    restore("oldest").success();
}
