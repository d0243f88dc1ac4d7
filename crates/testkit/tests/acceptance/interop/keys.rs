//! Odd URLs and server names: ours and Barman's keys are the same, to the slash.
//!
//! On moto, which keeps keys as they come; each archives a file that the other fetches.

use std::fs;

use testkit::process::{Finished, Program};
use testkit::program::barman_program;
use testkit::{Moto, Peer, Scratch};

/// A path of a URL, a server's name, and what both make of them.
const PLACES: [(&str, &str, &str); 9] = [
    ("/p", "srv", "p/srv"),
    ("/p/", "srv", "p/srv"),
    ("/p///", "srv", "p///srv"),
    ("/p//q", "srv", "p//q/srv"),
    ("//p", "srv", "p/srv"),
    ("//", "srv", "srv"),
    ("/p", "a/b", "p/a/b"),
    ("/p", "a//b", "p/a//b"),
    ("/p", "a/", "p/a"),
];

fn run(moto: &Moto, program: Program, words: &[&str]) -> Finished {
    let program = program
        .env("AWS_ENDPOINT_URL", moto.endpoint())
        .env("AWS_ACCESS_KEY_ID", "x")
        .env("AWS_SECRET_ACCESS_KEY", "y")
        .env("AWS_DEFAULT_REGION", "us-east-1");
    program.args(words).run()
}

fn keys(moto: &Moto, bucket: &str) -> Vec<String> {
    let said = moto.boto3(&format!(
        "for o in boto3.client('s3').list_objects_v2(Bucket='{bucket}').get('Contents', []):\n  \
         print(o['Key'])"
    ));
    said.lines().map(str::to_owned).collect()
}

#[test]
fn odd_urls_and_server_names_lead_both_to_the_same_keys() {
    let moto = Moto::start();
    let scratch = Scratch::new("odd-keys");
    // Histories are small, and no server is needed to make one.
    let history = scratch.join("00000002.history");
    fs::write(&history, "1\t0/3000000\tno recovery target specified\n").unwrap();
    for (number, (path, server, root)) in PLACES.into_iter().enumerate() {
        for ours_first in [true, false] {
            let bucket = format!("bucket-{number}-{ours_first}");
            moto.boto3(&format!(
                "boto3.client('s3').create_bucket(Bucket='{bucket}')"
            ));
            let url = format!("s3://{bucket}{path}");
            let program = |ours: bool, name: &str| match ours {
                true => Program::new(barman_program(name)),
                false => Peer::command(name),
            };
            let file = history.to_str().unwrap();
            let archive = program(ours_first, "barman-cloud-wal-archive");
            run(&moto, archive, &[&url, server, file]).success();
            assert_eq!(
                keys(&moto, &bucket),
                [format!("{root}/wals/00000002.history")],
                "{url} {server}, ours first: {ours_first}"
            );
            let copy = scratch.join(&bucket);
            let restore = program(!ours_first, "barman-cloud-wal-restore");
            let words = [&url, server, "00000002.history", copy.to_str().unwrap()];
            run(&moto, restore, &words).success();
            assert_eq!(fs::read(&copy).unwrap(), fs::read(&history).unwrap());
        }
    }
}

#[test]
fn a_catalogue_below_doubled_slashes_is_listed_and_deleted_from_as_by_barman() {
    let moto = Moto::start();
    moto.boto3("boto3.client('s3').create_bucket(Bucket='backups')");
    let record = "begin_time=2026-11-01 00:00:00+00:00\\nbegin_wal=000000010000000000000002\\n\
                  end_time=2026-11-01 00:10:00+00:00\\nend_wal=000000010000000000000002\\n\
                  server_name=cloud\\nstatus=DONE\\ntimeline=1\\nversion=150018\\n\
                  xlog_segment_size=16777216\\n";
    moto.boto3(&format!(
        "s3 = boto3.client('s3')\nfor day in ('01', '02'):\n  base = \
         'p///srv/base/202611%sT000000/' % day\n  s3.put_object(Bucket='backups', Key=base + \
         'backup.info', Body='{record}')\n  s3.put_object(Bucket='backups', Key=base + 'data.tar', \
         Body='x')\n  s3.put_object(Bucket='backups', Key=base + 'odd//part/', Body='x')\n\
         for key in ('aaa//other', 'p///srv/base//x', 'p///srv/base/../x', 'p///srv/./y'):\n  \
         s3.put_object(Bucket='backups', Key=key, Body='x')"
    ));
    let words = ["--format", "json", "s3://backups/p///", "srv"];
    let list = "barman-cloud-backup-list";
    let ours = run(&moto, Program::new(barman_program(list)), &words).success();
    let theirs = run(&moto, Peer::command(list), &words).success();
    assert_eq!(ours.stdout, theirs.stdout);
    let words = ["-r", "REDUNDANCY 1", "s3://backups/p///", "srv"];
    let delete = Program::new(barman_program("barman-cloud-backup-delete"));
    run(&moto, delete, &words).success();
    let left = keys(&moto, "backups");
    assert!(
        !left.iter().any(|key| key.contains("20261101T")),
        "{left:?}"
    );
    assert_eq!(left.len(), 4 + 3, "{left:?}");
}
