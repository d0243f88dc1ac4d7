//! What README.md and docs/recovery.md tell people to type, typed: every command of their fenced
//! blocks, word for word, so that they cannot rot.
//!
//! The only liberties are the substitutions at the top of each test (places, ports, the store's
//! name, the moment of the accident), who types (a shell of the server's account stands for
//! `sudo -iu postgres`), and a pause where a person pauses: until the server is restarted, and
//! until the archive has what was sent to it.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use testkit::postgres::{Cluster, StopMode};
use testkit::process::{Finished, Program};
use testkit::program::barman_program;
use testkit::scratch::Scratch;
use testkit::tools::checkout;

use crate::product::Store;

const DEADLINE: Duration = Duration::from_secs(120);
/// The accident of both documents.
const ACCIDENT: &str = "2026-11-21 11:41:09+00";

/// The fenced blocks of a document below a heading, with the word behind the fence.
fn blocks(document: &str, heading: &str) -> Vec<(String, String)> {
    let text = fs::read_to_string(checkout().join(document)).unwrap();
    let section = text.split(heading).nth(1).expect("the heading is there");
    let level = heading.split(' ').next().unwrap();
    let section = section.split(&format!("\n{level} ")).next().unwrap();
    let mut blocks = Vec::new();
    let mut fences = section.split("\n```");
    fences.next();
    while let Some(block) = fences.next() {
        let (kind, body) = block.split_once('\n').unwrap();
        blocks.push((kind.to_owned(), body.to_owned()));
        fences.next().expect("every fence is closed");
    }
    blocks
}

/// Whether the shell waits for more.
fn is_unfinished(command: &str) -> bool {
    let check = Program::new("bash").args(["-n", "-c", command]).run();
    command.ends_with("\\\n") || check.code != Some(0) || check.stderr.contains("here-document")
}

/// The commands of a console's block: what stands behind a prompt, and the lines that the shell
/// still waits for. Others are what a command prints.
fn commands(block: &str) -> Vec<String> {
    let mut commands: Vec<String> = Vec::new();
    let mut waits = false;
    for line in block.lines() {
        match line.strip_prefix("$ ") {
            Some(first) => {
                assert!(!waits, "a command without its end: {commands:?}");
                commands.push(format!("{first}\n"));
            }
            None if waits => {
                let last = commands.last_mut().expect("it is the one that waits");
                last.push_str(line.strip_prefix("> ").unwrap_or(line));
                last.push('\n');
            }
            None => continue,
        }
        waits = commands.last().is_some_and(|last| is_unfinished(last));
    }
    assert!(!waits, "a command without its end: {commands:?}");
    commands
}

/// Someone at the server's console.
struct Typist {
    replaced: Vec<(String, String)>,
    environment: Vec<(String, String)>,
    restored: PathBuf,
}

impl Typist {
    /// Whoever types for this server; `place` is for what is restored.
    fn new(store: &Store, cluster: &Cluster, place: &Scratch) -> Typist {
        let programs = barman_program("barman").parent().unwrap().to_owned();
        let tools = cluster.tools().postgres.parent().unwrap().to_owned();
        let (restored, log) = (place.join("restored"), place.join("restored.log"));
        let replaced = [
            ("/usr/local/bin/", format!("{}/", programs.display())),
            ("s3://backups/pg", store.url()),
            (
                "/var/lib/postgresql/restored",
                restored.display().to_string(),
            ),
            ("/tmp/restored.log", log.display().to_string()),
            (
                "/var/lib/postgresql/15/main",
                cluster.data().display().to_string(),
            ),
            ("5433", testkit::postgres::free_port().to_string()),
        ];
        let path = format!("{}:{}:/usr/bin:/bin", programs.display(), tools.display());
        // The copy's socket is where this build of PostgreSQL has it.
        let own = [
            ("PATH", path),
            ("PGHOST", "127.0.0.1".to_owned()),
            ("PGPORT", cluster.port().to_string()),
            ("PGUSER", "postgres".to_owned()),
            ("PGDATABASE", "postgres".to_owned()),
        ];
        let own = own.map(|(name, value)| (name.to_owned(), value));
        Typist {
            replaced: replaced.map(|(from, to)| (from.to_owned(), to)).to_vec(),
            environment: store.environment().into_iter().chain(own).collect(),
            restored,
        }
    }

    fn replace(&self, text: &str) -> String {
        let replaced = self.replaced.iter();
        replaced.fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
    }

    fn type_in(&self, command: &str) -> Finished {
        let command = self.replace(command);
        let shell = Program::new("bash").as_server_user();
        let shell = shell.envs(self.environment.clone());
        let finished = shell.args(["-c", &command]).run();
        assert_eq!(finished.code, Some(0), "{command}{}", finished.stderr);
        finished
    }
}

impl Drop for Typist {
    fn drop(&mut self) {
        if self.restored.join("postmaster.pid").exists() {
            let stop = format!("pg_ctl -D {} -m immediate stop", self.restored.display());
            let shell = Program::new("bash").as_server_user();
            let shell = shell.envs(self.environment.clone());
            shell.args(["-c", &stop]).run();
        }
    }
}

/// A server that can reach the store, with a table of orders.
fn server(store: &Store) -> Cluster {
    let with = |builder: testkit::postgres::ClusterBuilder, (name, value): (String, String)| {
        builder.env(&name, value)
    };
    store
        .environment()
        .into_iter()
        .fold(Cluster::builder(15), with)
        .start()
}

/// A moment with some seconds' distance from what happened before and what will.
fn a_quiet_moment(cluster: &Cluster) -> String {
    std::thread::sleep(Duration::from_secs(2));
    let now = "SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || '+00'";
    let moment = cluster.sql(now);
    std::thread::sleep(Duration::from_secs(2));
    moment
}

fn wait_for_archive(cluster: &Cluster) {
    let status = cluster.data().join("pg_wal/archive_status");
    let is_waiting = |entry: fs::DirEntry| entry.path().extension().is_some_and(|it| it == "ready");
    let is_done = || !fs::read_dir(&status).unwrap().flatten().any(is_waiting);
    let waited = cluster.wait_until(DEADLINE, is_done);
    waited.unwrap_or_else(|log| panic!("WAL is not archived: {log}"));
}

#[test]
fn what_the_readme_shows_brings_the_table_back() {
    let store = Store::s3();
    let mut cluster = server(&store);
    let place = Scratch::new("readme");
    testkit::user::give_to_server_user(place.path());
    let mut typist = Typist::new(&store, &cluster, &place);
    let (kind, block) = blocks("README.md", "# barman-rs").remove(0);
    assert_eq!(kind, "console");
    let commands = commands(&block);
    assert!(commands[0].starts_with("sudo -iu postgres"), "{commands:?}");
    let mut last = String::new();
    for command in &commands[1..] {
        if command.contains("DROP TABLE") {
            typist
                .replaced
                .push((ACCIDENT.into(), a_quiet_moment(&cluster)));
        }
        last = typist.type_in(command).stdout;
        if command.contains("archive_mode = on") {
            cluster.stop(StopMode::Fast);
            cluster.start_again();
            cluster.sql("CREATE TABLE orders AS SELECT generate_series(1, 4711)");
        }
        if command.contains("backup-list") {
            let (header, row) = last.split_once('\n').unwrap();
            assert!(block.contains(header.trim_end()), "{last}");
            assert!(row.starts_with("20"), "{last}");
        }
        if command.contains("pg_switch_wal") {
            wait_for_archive(&cluster);
        }
    }
    assert!(commands.len() > 9, "{commands:?}");
    assert!(last.contains("4711"), "{last}");
}

#[test]
fn what_the_page_for_the_night_says_brings_the_last_commits_back_too() {
    let store = Store::s3();
    let mut cluster = server(&store);
    let place = Scratch::new("night");
    testkit::user::give_to_server_user(place.path());
    let mut typist = Typist::new(&store, &cluster, &place);
    let archive = typist.replace(
        "ALTER SYSTEM SET archive_command =
           '/usr/local/bin/barman-cloud-wal-archive --zstd s3://backups/pg shop %p'",
    );
    cluster.sql(&archive);
    cluster.sql("ALTER SYSTEM SET archive_mode = on");
    cluster.stop(StopMode::Fast);
    cluster.start_again();
    cluster.sql("CREATE TABLE orders AS SELECT generate_series(1, 1000)");
    let backup = "barman-cloud-backup --zstd --immediate-checkpoint s3://backups/pg shop";
    typist.type_in(backup);
    // These are in no archive when the server dies.
    cluster.sql("INSERT INTO orders SELECT generate_series(1001, 4711)");
    typist
        .replaced
        .push((ACCIDENT.into(), a_quiet_moment(&cluster)));
    cluster.sql("DROP TABLE orders");
    cluster.stop(StopMode::Immediate);

    let page = |heading: &str| blocks("docs/recovery.md", heading);
    for heading in ["## 1. Which", "## 2. Restore"] {
        for command in page(heading).iter().flat_map(|(_, block)| commands(block)) {
            typist.type_in(&command);
        }
    }
    let (kind, settings) = page("## 3. Say").remove(0);
    assert_eq!(kind, "");
    let settings = format!(
        "cat >> /var/lib/postgresql/restored/postgresql.auto.conf <<'CONF'\n{settings}\nCONF\n\
         cd /var/lib/postgresql/restored && touch recovery.signal\n"
    );
    typist.type_in(&settings);
    let start = page("## 4. Start");
    let (salvage, start): (Vec<_>, Vec<_>) = start
        .iter()
        .filter(|(_, block)| !block.contains("pg_ctlcluster") && !block.contains("hba_file"))
        .partition(|(_, block)| block.contains("wal-archive"));
    assert_eq!((salvage.len(), start.len()), (1, 1));
    // First what is left of the old server: its directory is where it was. The loop ends at the
    // first segment that PostgreSQL kept for later.
    typist.type_in(&commands(&salvage[0].1).join(""));
    typist.type_in(&commands(&start[0].1).join(""));
    let rows = typist.type_in("psql -p 5433 -At -c 'SELECT count(*) FROM orders'");
    assert_eq!(rows.stdout.trim(), "4711");
}
