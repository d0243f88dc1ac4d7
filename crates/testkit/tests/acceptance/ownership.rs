//! Who owns what a restore has made.

use std::os::unix::fs::MetadataExt;

use testkit::Program;
use testkit::postgres::Cluster;
use testkit::program::barman_program;
use testkit::scratch::Scratch;
use testkit::user::is_root;

use crate::product::{SERVER, Store};

/// The server must be able to write everywhere, or it never archives again.
#[test]
fn what_root_restores_belongs_to_the_server_down_to_the_last_directory() {
    if !is_root() {
        eprintln!("only root can restore for somebody else: nothing to test here");
        return;
    }
    let store = Store::directory();
    let cluster: Cluster = store.archiving_cluster(15, "").start();
    let id = store.back_up(&cluster, &[]);
    let place = Scratch::new("root");
    let data = place.join("data");
    let restore = Program::new(barman_program("barman-cloud-restore"));
    let words = [&store.url(), SERVER, &id];
    restore.args(words).arg(&data).run().success();
    let owner = std::fs::metadata(cluster.data()).unwrap().uid();
    let mut open = vec![data];
    while let Some(path) = open.pop() {
        let metadata = std::fs::symlink_metadata(&path).unwrap();
        assert_eq!(metadata.uid(), owner, "{}", path.display());
        if metadata.is_dir() {
            open.extend(
                std::fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        }
    }
}
