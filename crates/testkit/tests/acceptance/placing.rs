//! How a restore puts files in place: whose they are, where they may go, and what no other account
//! of the host and nobody who writes to the bucket can make of it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use testkit::barman_peer::Peer;
use testkit::postgres::{StopMode, verify_backup};
use testkit::process::Program;
use testkit::program::barman_program;
use testkit::scratch::Scratch;
use testkit::user::{is_root, server_user};

use crate::product::{SERVER, Store};
use crate::seen::refused;

/// Writes each archive anew: `info` and `body` may be changed by the program, `skip` leaves the
/// member out, and `more` adds some.
const REWRITE: &str = r#"
import io, os, sys, tarfile
program, *archives = sys.argv[1:]
for path in archives:
    os.rename(path, path + ".old")
    new = tarfile.open(path, "w", format=tarfile.PAX_FORMAT)
    with tarfile.open(path + ".old") as old, new:
        for info in old:
            body = old.extractfile(info).read() if info.isreg() else b""
            scope = dict(info=info, body=body, skip=False, more=[], tarfile=tarfile)
            exec(program, scope)
            if not scope["skip"]:
                info.size = len(scope["body"])
                new.addfile(info, io.BytesIO(scope["body"]))
            for name, body in scope["more"]:
                added = tarfile.TarInfo(name)
                added.size = len(body)
                new.addfile(added, io.BytesIO(body))
    os.remove(path + ".old")
"#;

fn base(store: &Store, id: &str) -> PathBuf {
    let Store::Directory(scratch) = store else {
        panic!("this store is a directory")
    };
    scratch.join("archive").join(SERVER).join("base").join(id)
}

fn rewrite(store: &Store, id: &str, program: &str) {
    let entries = fs::read_dir(base(store, id)).unwrap();
    let mut archives: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    archives.retain(|path| path.extension().is_some_and(|suffix| suffix == "tar"));
    archives.sort();
    let python = Peer::python().args(["-c", REWRITE, program]);
    python.args(archives).run().success();
}

/// As Python Barman writes them: no manifest, no member for a tablespace itself, fine times.
const AS_BARMAN: &str = "
info.mtime += 0.25
skip = info.name in ('backup_manifest',)
";

/// A restore by the account of the tests: root, where there is something to see.
fn restore(store: &Store, id: &str, options: &[&str], data: &Path) -> Program {
    Program::new(barman_program("barman-cloud-restore"))
        .args(options)
        .args([&store.url(), SERVER, id])
        .arg(data)
}

fn all_below(path: &Path) -> BTreeMap<PathBuf, (u32, u32, String)> {
    let mut found = BTreeMap::new();
    let mut open = vec![path.to_path_buf()];
    while let Some(path) = open.pop() {
        let metadata = fs::symlink_metadata(&path).unwrap();
        let content = match metadata.is_file() {
            true => fs::read_to_string(&path).unwrap_or_default(),
            false => String::new(),
        };
        if metadata.is_dir() {
            let entries = fs::read_dir(&path).unwrap();
            open.extend(entries.map(|entry| entry.unwrap().path()));
        }
        found.insert(path, (metadata.uid(), metadata.mode(), content));
    }
    found
}

/// There the server's account has another number, the directories above are not there or closed,
/// and the tablespace goes elsewhere.
fn another_host_starts_on(as_barman: bool) {
    // Only root can restore for somebody else.
    let Some(user) = server_user() else { return };
    let store = Store::directory();
    let cluster = store.archiving_cluster(15, "").tablespace("ts1").start();
    cluster.sql("CREATE TABLE t TABLESPACE ts1 AS SELECT generate_series(1, 1000) AS i");
    let id = store.back_up(&cluster, &[]);
    let owner = fs::metadata(cluster.data()).unwrap().uid();
    let numbers = "
assert info.uname == 'USER', info.uname
info.uid, info.gid = 4242, 4243
";
    let mut program = numbers.replace("USER", user.name());
    if as_barman {
        program += AS_BARMAN;
        program += "skip = skip or (info.isdir() and info.name in ('.', './'))\n";
    }
    rewrite(&store, &id, &program);
    cluster.archive_now(std::time::Duration::from_secs(60));
    let place = Scratch::new("host");
    let closed = place.join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o711)).unwrap();
    let (data, tablespace) = (closed.join("pg/15/main"), closed.join("spaces/ts1"));
    let mapping = format!("ts1:{}", tablespace.display());
    restore(&store, &id, &["--tablespace", &mapping], &data)
        .run()
        .success();
    for (path, (uid, ..)) in all_below(&data).into_iter().chain(all_below(&tablespace)) {
        // Whose a link is, is nobody's business: its directory is the server's.
        let uid = if path.is_symlink() { owner } else { uid };
        assert_eq!(uid, owner, "{}", path.display());
    }
    for path in [&data, &tablespace] {
        assert_eq!(fs::metadata(path).unwrap().mode() & 0o777, 0o700);
        let look = Program::new("setpriv").args(["--reuid", user.name(), "--clear-groups"]);
        look.args(["--regid", "0", "ls"]).arg(path).run().success();
    }
    if !as_barman {
        verify_backup(cluster.tools(), &data);
    }
    let mut restored = store.recovering(15, &data).start();
    assert_eq!(restored.sql("SELECT count(*) FROM t"), "1000");
    restored.stop_and_check_data();
}

#[test]
fn another_host_starts_on_what_root_restored_there() {
    another_host_starts_on(false);
}

#[test]
fn another_host_starts_on_what_root_restored_there_of_barmans() {
    another_host_starts_on(true);
}

#[test]
fn a_directory_above_that_may_only_be_entered_is_no_reason_to_fail() {
    let store = Store::directory();
    let cluster = store.archiving_cluster(15, "").start();
    let id = store.back_up(&cluster, &[]);
    let place = Scratch::new("above");
    let data = place.server_folder("above/data");
    let above = data.parent().unwrap();
    fs::set_permissions(above, fs::Permissions::from_mode(0o311)).unwrap();
    crate::seen::restore_program(&store, &id, &data)
        .run()
        .success();
    fs::set_permissions(above, fs::Permissions::from_mode(0o755)).unwrap();
    verify_backup(cluster.tools(), &data);
}

/// What the account of the server does while root works, again and again.
const ATTACK: &str = r#"
import os, sys
arena, victim, name = sys.argv[1:]
path = os.path.join(arena, name)
target = os.path.join(victim, os.path.basename(name))
count = 0
while True:
    count += 1
    try:
        os.lstat(path)
        os.rename(path, os.path.join(arena, "away.%d" % (count % 9)))
        os.symlink(target, path)
    except OSError:
        pass
"#;

#[test]
fn root_is_not_led_astray_by_the_account_that_it_restores_for() {
    if !is_root() {
        eprintln!("only root can be led astray: nothing to test here");
        return;
    }
    let store = Store::directory();
    let cluster = store.archiving_cluster(15, "").tablespace("ts1").start();
    let id = store.back_up(&cluster, &[]);
    let place = Scratch::new("attacked");
    let victim = place.join("victim");
    for directory in [
        "data",
        "ts1",
        "global",
        "pg_wal",
        "pg_tblspc",
        "archive_status",
        "base",
    ] {
        fs::create_dir_all(victim.join(directory)).unwrap();
    }
    for file in [
        "pg_control",
        "backup_manifest",
        "PG_VERSION",
        "global/pg_control",
    ] {
        fs::write(victim.join(file), "precious").unwrap();
        let closed = fs::Permissions::from_mode(0o600);
        fs::set_permissions(victim.join(file), closed).unwrap();
    }
    let before = all_below(&victim);
    let mut links = 0;
    for name in [
        "data/global/pg_control",
        "data/global/pg_control",
        "data/global",
        "data/pg_wal",
        "data/pg_wal/archive_status",
        "data/pg_tblspc",
        "data/base",
        "data/backup_manifest",
        "data/PG_VERSION",
        "data",
        "ts1",
    ] {
        let arena = place.server_folder("arena");
        let (data, tablespace) = (arena.join("data"), arena.join("ts1"));
        for directory in [&data, &tablespace] {
            fs::create_dir(directory).unwrap();
            testkit::user::give_to_server_user(directory);
        }
        let attack = Peer::python().args(["-c", ATTACK]).arg(&arena).arg(&victim);
        let mut attack = attack.arg(name).as_server_user().start();
        let mapping = format!("ts1:{}", tablespace.display());
        // It may find a link where its directory was, and end: what counts is what it touches.
        restore(&store, &id, &["--tablespace", &mapping], &data).run();
        attack.kill();
        let path = arena.join(name);
        links += usize::from(fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink()));
        assert_eq!(all_below(&victim), before, "{name}");
        fs::remove_dir_all(&arena).unwrap();
    }
    assert!(links > 3, "the attack was too slow: {links}");
}

#[test]
fn a_record_that_sends_a_tablespace_elsewhere_is_asked_about() {
    if !is_root() {
        eprintln!("others restore for themselves: nothing to test here");
        return;
    }
    let store = Store::directory();
    let cluster = store.archiving_cluster(15, "").tablespace("ts1").start();
    let id = store.back_up(&cluster, &[]);
    let place = Scratch::new("forged");
    let elsewhere = place.join("etc/ts1");
    let record = base(&store, &id).join("backup.info");
    let was = cluster.scratch().join("ts1").display().to_string();
    let text = fs::read_to_string(&record).unwrap();
    assert!(text.contains(&was), "{text}");
    fs::write(&record, text.replace(&was, elsewhere.to_str().unwrap())).unwrap();
    let data = place.join("data");
    let option = format!("--tablespace ts1:{}", elsewhere.display());
    let finished = restore(&store, &id, &[], &data).run();
    refused(finished, 1, &["ts1", elsewhere.to_str().unwrap(), &option]);
    assert!(!place.join("etc").exists() && !data.exists());
    // There and empty, but root's: whoever has it now would lose it.
    fs::create_dir_all(&elsewhere).unwrap();
    refused(restore(&store, &id, &[], &data).run(), 1, &[&option]);
    // The account's own, as the destination is.
    testkit::user::give_to_server_user(&place.server_folder("data"));
    testkit::user::give_to_server_user(&elsewhere);
    restore(&store, &id, &[], &data).run().success();
    fs::remove_dir_all(&data).unwrap();
    fs::remove_dir_all(&elsewhere).unwrap();
    let words: Vec<&str> = option.split(' ').collect();
    restore(&store, &id, &words, &data).run().success();
}

#[test]
fn a_tablespace_takes_nothing_but_what_postgresql_has_there() {
    let store = Store::directory();
    let cluster = store.archiving_cluster(15, "").tablespace("ts1").start();
    cluster.sql("CREATE TABLE t TABLESPACE ts1 AS SELECT 1 AS i");
    let id = store.back_up(&cluster, &[]);
    let program = "
if info.name.startswith('PG_') and info.isdir() and '/' not in info.name.strip('/'):
    more = [('evil', b'evil'), ('.ssh/authorized_keys', b'evil'), ('lost+found/x', b'')]
";
    rewrite(&store, &id, program);
    let place = Scratch::new("tablespace");
    let (data, tablespace) = (place.server_folder("data"), place.server_folder("ts1"));
    let mapping = format!("ts1:{}", tablespace.display());
    let options = ["--keep-unlisted", "--tablespace", &mapping];
    let restored = restore(&store, &id, &options, &data).run().success();
    for name in ["evil", ".ssh", "lost+found"] {
        let path = tablespace.join(name);
        assert!(!path.exists(), "{name}");
        let told = format!("{} is left out", path.display());
        assert!(restored.stderr.contains(&told), "{}", restored.stderr);
    }
    verify_backup(cluster.tools(), &data);
}

#[test]
fn a_tablespace_inside_the_data_directory_comes_back_in_place() {
    let store = Store::directory();
    let mut cluster = store.archiving_cluster(15, "").start();
    let data = cluster.data().to_path_buf();
    let inside = data.join("spaces/within");
    fs::create_dir_all(&inside).unwrap();
    testkit::user::give_to_server_user(&data.join("spaces"));
    cluster.sql(&format!(
        "CREATE TABLESPACE within LOCATION '{}'",
        inside.display()
    ));
    cluster.sql("CREATE TABLE t TABLESPACE within AS SELECT generate_series(1, 500) AS i");
    let id = store.back_up(&cluster, &[]);
    cluster.archive_now(std::time::Duration::from_secs(60));
    cluster.stop(StopMode::Fast);
    fs::rename(&data, cluster.scratch().join("old")).unwrap();
    restore(&store, &id, &[], &data).run().success();
    let mut restored = store.recovering(15, &data).start();
    assert_eq!(restored.sql("SELECT count(*) FROM t"), "500");
    restored.stop_and_check_data();
}

#[test]
fn a_file_that_the_manifest_does_not_list_is_named_and_refused_unless_asked_for() {
    let store = Store::directory();
    let cluster = store.archiving_cluster(15, "").start();
    let id = store.back_up(&cluster, &[]);
    let program = "
if info.name.endswith('PG_VERSION') and info.name.count('/') < 2:
    more = [('base/evil.so', b'evil')]
";
    rewrite(&store, &id, program);
    let place = Scratch::new("unlisted");
    let data = place.server_folder("data");
    let finished = restore(&store, &id, &[], &data).run();
    refused(
        finished,
        1,
        &["base/evil.so", "manifest", "--keep-unlisted"],
    );
    assert!(!data.join("global/pg_control").exists());
    let again = place.server_folder("again");
    let kept = restore(&store, &id, &["--keep-unlisted"], &again).run();
    let kept = kept.success();
    assert!(kept.stderr.contains("base/evil.so"), "{}", kept.stderr);
    assert!(again.join("base/evil.so").exists());
}

#[test]
fn a_flipped_bit_in_an_archive_without_a_manifest_is_named_with_file_and_block() {
    let store = Store::directory();
    let cluster = store.archiving_cluster(15, "").start();
    cluster.sql("CREATE TABLE t AS SELECT generate_series(1, 3000) AS i; CHECKPOINT");
    let file = cluster.sql("SELECT pg_relation_filepath('t')");
    let id = store.back_up(&cluster, &[]);
    rewrite(&store, &id, AS_BARMAN);
    let place = Scratch::new("flipped");
    let sound = restore(&store, &id, &[], &place.server_folder("sound")).run();
    assert_eq!(sound.success().stderr, "");
    let flip = format!(
        "
info.mtime += 0.25
if info.name == '{file}':
    body = bytearray(body)
    body[2 * 8192 + 5000] ^= 4
"
    );
    rewrite(&store, &id, &flip);
    let finished = restore(&store, &id, &[], &place.server_folder("data")).run();
    let finished = finished.success();
    for words in [&format!("{file}, block 2"), "1 pages", "pg_checksums"] {
        assert!(
            finished.stderr.contains(words),
            "{words}: {}",
            finished.stderr
        );
    }
}
