//! What one WAL file costs: requests, threads, certificates. Not how long it takes.

use std::fs;
use std::time::Duration;

use testkit::proxy::{Fault, Rule};
use testkit::scratch::Scratch;
use testkit::seaweed::SeaweedFs;

use crate::faults::Spoilt;
use crate::product::{SERVER, Store};
use crate::wal_ahead::Finished;

fn name_of(finished: &Finished) -> String {
    let name = finished.segments[0].file_name();
    name.unwrap().to_str().unwrap().to_owned()
}

#[test]
fn a_segment_costs_a_listing_a_write_and_a_look_and_comes_back_for_a_listing_and_a_read() {
    let finished = Finished::segments(2);
    let spoilt = Spoilt::new();
    let notes = Scratch::new("notes");
    let notes = notes.server_folder("notes");
    let (url, segment) = (spoilt.store.url(), &finished.segments[0]);
    for codec in ["--zstd", "--gzip", "--lz4"] {
        let server = codec.trim_start_matches('-');
        let archive = |segment: &std::path::Path| {
            let archive = spoilt.store.command("barman-cloud-wal-archive");
            let archive = archive.args([codec, &url, server]).arg(segment);
            spoilt.through(archive.arg("--prefetch-cache-dir").arg(&notes))
        };
        // Whose archive it is, is asked once.
        archive(&finished.segments[1]).run().success();
        spoilt.proxy.forget();
        archive(segment).run().success();
        let requests = spoilt.proxy.requests();
        let methods: Vec<_> = requests.iter().map(|it| it.method.as_str()).collect();
        assert_eq!(methods, ["GET", "PUT", "GET"], "{requests:?}");
        for listing in [&requests[0], &requests[2]] {
            assert!(listing.target.contains("list-type=2"), "{requests:?}");
        }
        spoilt.proxy.forget();

        let place = Scratch::new("fetched");
        let got = place.server_folder("pg_wal").join("got");
        let fetch = spoilt.store.command("barman-cloud-wal-restore");
        let fetch = fetch.args([&url, server, &name_of(&finished)]).arg(&got);
        spoilt.through(fetch).run().success();
        let requests = spoilt.proxy.requests();
        let methods: Vec<_> = requests.iter().map(|it| it.method.as_str()).collect();
        assert_eq!(methods, ["GET", "GET"], "{requests:?}");
        assert!(fs::read(got).unwrap() == fs::read(segment).unwrap());
        spoilt.proxy.forget();
    }
}

#[test]
fn an_archive_command_has_few_threads() {
    let finished = Finished::segments(1);
    let spoilt = Spoilt::new();
    let hold = Rule::new(Fault::Delay(Duration::from_secs(2))).method("PUT");
    spoilt.proxy.spoil(hold);
    let archive = spoilt.store.command("barman-cloud-wal-archive");
    let archive = archive.args(["--zstd", &spoilt.store.url(), SERVER]);
    let mut running = spoilt.through(archive.arg(&finished.segments[0])).start();
    while spoilt.proxy.count("PUT", "") == 0 && running.is_running() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let tasks = fs::read_dir(format!("/proc/{}/task", running.id())).unwrap();
    let count = tasks.count();
    running.finish().success();
    // The one that waits for the network, one for names, one for files; those that compressed
    // have ended.
    assert!((1..=3).contains(&count), "{count} threads");
}

#[test]
fn the_authorities_that_openssls_variables_name_are_trusted() {
    let store = Store::s3();
    let folder = Scratch::new("authorities");
    let only = folder.server_folder("only");
    let authority = SeaweedFs::shared().authority();
    fs::copy(authority, only.join("authority.pem")).unwrap();
    let list = |variable: &str, value: &str| {
        let list = store.command("barman-cloud-backup-list");
        let list = list
            .env_remove("AWS_CA_BUNDLE")
            .env_remove("REQUESTS_CA_BUNDLE");
        let list = list.env_remove("SSL_CERT_FILE").env_remove("SSL_CERT_DIR");
        list.env(variable, value).args([&store.url(), SERVER]).run()
    };
    list(
        "SSL_CERT_FILE",
        only.join("authority.pem").to_str().unwrap(),
    )
    .success();
    list("SSL_CERT_DIR", only.to_str().unwrap()).success();
    let refused = list("NO_SUCH_VARIABLE", "").exits_with(2);
    assert!(refused.stderr.contains("certificate"), "{}", refused.stderr);
}
