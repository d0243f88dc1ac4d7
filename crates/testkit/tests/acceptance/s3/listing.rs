//! Long listings: pages of two keys, and twenty thousand WAL files.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};

use testkit::process::Program;
use testkit::program::barman_program;

/// Two backups: one before all WAL, and one at segment 256.
const RECORDS: [&str; 2] = ["20261101T000000", "20261115T000000"];
const RECORD: &str = "begin_wal=000000010000000100000000\nend_wal=000000010000000100000000\n\
     status=DONE\ntimeline=1\nend_time=2026-11-15 00:10:00+00:00\nserver_name=cloud\n";

/// A bucket that exists in a loop only: `wal_count` segments, and two backups.
#[derive(Clone, Copy)]
struct Bucket {
    wal_count: usize,
    page: usize,
}

impl Bucket {
    fn serve(self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                std::thread::spawn(move || self.answer(&client));
            }
        });
        url
    }

    fn answer(self, mut client: &TcpStream) {
        let mut reader = BufReader::new(client);
        loop {
            let (mut first, mut line) = (String::new(), String::new());
            if reader.read_line(&mut first).unwrap_or(0) == 0 {
                return;
            }
            while line != "\r\n" {
                line.clear();
                reader.read_line(&mut line).unwrap();
            }
            let target = first.split(' ').nth(1).unwrap_or_default().to_owned();
            let (status, body) = self.respond(&target);
            let head = format!(
                "HTTP/1.1 {status}\r\nETag: \"e\"\r\n\
                 Last-Modified: Sun, 15 Nov 2026 00:00:00 GMT\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            let sent = client.write_all(format!("{head}{body}").as_bytes());
            if sent.is_err() {
                return;
            }
        }
    }

    fn respond(self, target: &str) -> (&'static str, String) {
        if target.contains("list-type=2") {
            return ("200 OK", self.list(target));
        }
        match target.ends_with("/backup.info") {
            true => ("200 OK", RECORD.to_owned()),
            false => (
                "404 Not Found",
                "<Error><Code>NoSuchKey</Code></Error>".to_owned(),
            ),
        }
    }

    fn list(self, target: &str) -> String {
        let parameter = |name: &str| {
            let rest = target.split(&format!("{name}=")).nth(1)?;
            rest.split('&')
                .next()
                .map(|value| value.replace("%2F", "/"))
        };
        let prefix = parameter("prefix").unwrap_or_default();
        let from: usize = parameter("continuation-token").map_or(0, |it| it.parse().unwrap());
        let base = RECORDS.map(|id| format!("pg/main/base/{id}/backup.info"));
        let wal = (0..self.wal_count).map(|number| {
            let log = number / 256;
            let name = format!("00000001{log:08X}{:08X}", number % 256);
            format!("pg/main/wals/00000001{log:08X}/{name}.gz")
        });
        let keys = base
            .into_iter()
            .chain(wal)
            .filter(|key| key.starts_with(&prefix));
        let mut keys = keys.skip(from);
        let mut body = "<ListBucketResult>".to_owned();
        for key in keys.by_ref().take(self.page) {
            body += &format!(
                "<Contents><Key>{key}</Key><Size>1</Size><ETag>e</ETag>\
                 <LastModified>2026-11-15T00:00:00.000Z</LastModified></Contents>"
            );
        }
        if keys.next().is_some() {
            let next = from + self.page;
            body += &format!("<NextContinuationToken>{next}</NextContinuationToken>");
        }
        body + "</ListBucketResult>"
    }
}

fn dry_run(bucket: Bucket) -> testkit::Finished {
    Program::new(barman_program("barman-cloud-backup-delete"))
        .args(["-r", "REDUNDANCY 1", "--dry-run", "s3://b/pg", "main"])
        .env("AWS_ENDPOINT_URL", bucket.serve())
        .env("AWS_ACCESS_KEY_ID", "x")
        .env("AWS_SECRET_ACCESS_KEY", "y")
        .run()
        .success()
}

#[test]
fn pages_are_followed_to_the_end() {
    let wal_count = 301;
    let small = dry_run(Bucket { wal_count, page: 2 });
    let large = dry_run(Bucket {
        wal_count,
        page: 1000,
    });
    assert_eq!(small.stdout, large.stdout);
    assert!(small.stdout.contains("(256 files)"), "{}", small.stdout);
    assert!(small.stdout.contains("(45 files)"), "{}", small.stdout);
}

#[test]
fn twenty_thousand_wal_files_are_listed_in_little_memory() {
    let many = dry_run(Bucket {
        wal_count: 20_000,
        page: 1000,
    });
    let mib = many.peak_memory_bytes >> 20;
    eprintln!("20,000 WAL files: {mib} MiB");
    assert!(mib < 40, "{mib} MiB");
}
