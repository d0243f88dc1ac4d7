//! Random catalogues, deleted from by ours and by Python Barman: what is left must be the same.
//!
//! Ours may leave more where `docs/compatibility.md` says why, and less only of what nobody can
//! restore. Always true: the cases are the same in every run, as far as their distance from today
//! goes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use testkit::Peer;
use testkit::process::{Finished, Program};
use testkit::tools::checkout;

use crate::product::{SERVER, Store};

const DELETE: &str = "barman-cloud-backup-delete";
const CASES: u64 = 30;

/// A part of the reason that our plan gives for what only we leave, and a part of the row of the
/// table "Deliberate differences" that explains it.
const WE_LEAVE_MORE: [(&str, &str); 4] = [
    ("is STARTED and may still", "| a backup that says STARTED |"),
    ("it is not older than", "| WAL when a backup is deleted |"),
    ("needs it", "| WAL when a backup is deleted |"),
    ("beginning of the window", "| a `standalone` backup and"),
];

/// The same for what only we delete.
const WE_SWEEP: (&str, &str) = (
    "nobody can restore it",
    "| backups that nobody can restore, and a policy |",
);

/// The same, where a run deletes several backups: Barman takes WAL along with each of them.
const OF_SEVERAL: (&str, &str) = (
    "is on this timeline",
    "| WAL when several backups are deleted |",
);

/// Random numbers by the generator SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % limit
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }
}

/// What a server left in a bucket, by keys below its folder, and what is asked of it.
#[derive(Default)]
struct Case {
    objects: BTreeMap<String, String>,
    options: Vec<String>,
    timeline: u64,
    position: u64,
}

impl Case {
    fn random(seed: u64, days: &[Day]) -> Case {
        let random = &mut Random(seed);
        let mut case = Case {
            timeline: 1,
            position: 1,
            ..Case::default()
        };
        let mut wishes = Vec::new();
        for day in days {
            if random.below(20) > 5 {
                continue;
            }
            case.archive(1 + random.below(3));
            match random.below(8) {
                0 | 1 => case.promote(random.below(3)),
                // The old server is taken up again.
                2 if case.timeline > 1 => case.timeline -= 1,
                _ => {}
            }
            wishes.push(case.back_up(day, random));
        }
        case.archive(1 + random.below(3));
        case.options = match random.below(5) {
            0 | 1 if !wishes.is_empty() => {
                let at = random.below(wishes.len() as u64) as usize;
                vec!["-b".to_owned(), wishes[at].clone()]
            }
            2 => {
                let days = random.below(12);
                let window = format!("RECOVERY WINDOW OF {days} DAYS");
                let minimum = random.below(3).to_string();
                ["-r", &window, "-m", &minimum].map(str::to_owned).to_vec()
            }
            _ => vec!["-r".to_owned(), format!("REDUNDANCY {}", random.below(4))],
        };
        if case.options[0] == "-r" {
            // Its WAL is there: to us it is complete by now, to Barman it would wait for ever.
            for body in case.objects.values_mut() {
                *body = body.replace("status=WAITING_FOR_WALS", "status=DONE");
            }
        }
        case
    }

    fn segment(&self, number: u64) -> String {
        let (log, segment) = (number / 256, number % 256);
        format!("{:08X}{log:08X}{segment:08X}", self.timeline)
    }

    fn store(&mut self, name: &str) {
        let key = format!("wals/{:.16}/{name}", name);
        self.objects.insert(key, "x".to_owned());
    }

    fn archive(&mut self, count: u64) {
        for _ in 0..count {
            self.store(&self.segment(self.position));
            self.position += 1;
        }
    }

    /// A standby takes over, and the old server archives some more.
    fn promote(&mut self, more: u64) {
        for number in 0..more {
            self.store(&self.segment(self.position + number));
        }
        self.store(&format!("{}.partial", self.segment(self.position + more)));
        self.timeline += 1;
        let history = format!("wals/{:08X}.history", self.timeline);
        self.objects.insert(history, "x".to_owned());
    }

    /// Adds a backup; returns its id or its name.
    fn back_up(&mut self, day: &Day, random: &mut Random) -> String {
        let (begin, timeline) = (self.segment(self.position), self.timeline);
        self.store(&format!("{begin}.00000028.backup"));
        self.archive(random.below(3));
        let end = self.segment(self.position);
        self.archive(1);
        let status = match random.below(9) {
            0 => "FAILED",
            1 => "STARTED",
            2 => "WAITING_FOR_WALS",
            _ => "DONE",
        };
        let mut record = format!(
            "begin_time={time}\nbegin_wal={begin}\nserver_name=cloud\nstatus={status}\n\
             timeline={timeline}\nversion=150018\nxlog_segment_size=16777216\n",
            time = day.time,
        );
        if status != "STARTED" {
            record += &format!("end_time={}\nend_wal={end}\n", day.time);
        }
        let name = random.one_in(4).then(|| format!("before {}", day.id));
        if let Some(name) = &name {
            record += &format!("backup_name={name}\n");
        }
        let base = format!("base/{}", day.id);
        if status == "DONE" && random.one_in(4) {
            let target = ["full", "standalone"][random.below(2) as usize];
            let key = format!("{base}/annotations/keep");
            self.objects.insert(key, target.to_owned());
        }
        self.objects.insert(format!("{base}/data.tar"), "x".into());
        self.objects.insert(format!("{base}/backup.info"), record);
        name.unwrap_or_else(|| day.id.clone())
    }
}

/// A day of the past: the id and the times of a backup at that time.
struct Day {
    id: String,
    time: String,
}

/// The last twenty days, oldest first, each at twelve hours from now.
fn days() -> Vec<Day> {
    let hours = (0..20).rev().map(|day| day * 24 + 12);
    let asked: String = hours.map(|hours| format!("{hours} hours ago\n")).collect();
    let form = "+%Y%m%dT%H%M%S %Y-%m-%d %H:%M:%S+00:00";
    let date = Program::new("date").args(["-u", "-f", "-", form]);
    let said = date.input(asked).run().success().stdout;
    let days = said.lines().filter_map(|line| line.split_once(' '));
    let day = |(id, time): (&str, &str)| Day {
        id: id.to_owned(),
        time: time.to_owned(),
    };
    days.map(day).collect()
}

/// What our plan says of a key that stays.
fn reason<'a>(plan: &'a str, key: &str) -> Option<&'a str> {
    let mut parts = key.splitn(3, '/');
    let (folder, id) = (parts.next()?, parts.next()?);
    let name = parts.next().unwrap_or(id);
    plan.lines().find_map(|line| {
        if folder == "base" {
            return line.strip_prefix(&format!("backup {id} stays: "));
        }
        let (names, rest) = line.strip_prefix("WAL ")?.split_once(" stays (")?;
        let (first, last) = names.split_once(" to ").unwrap_or((names, names));
        let (_, reason) = rest.split_once("): ")?;
        (first <= name && name <= last).then_some(reason)
    })
}

fn delete(program: Program, store: &Store, place: &str, options: &[String]) -> Finished {
    let program = program.envs(store.environment()).args(options);
    program
        .args([&format!("{}/{place}", store.url()), SERVER])
        .run()
}

/// Runs our plan and both deletions of a case; what our plan says.
fn delete_from_both(store: &Store, number: u64, options: &[String]) -> String {
    let ours = || store.command(DELETE);
    let place = format!("{number}-ours");
    let plan = delete(ours().arg("--dry-run"), store, &place, options);
    let our = delete(ours(), store, &place, options);
    let place = format!("{number}-theirs");
    let their = delete(Peer::command(DELETE), store, &place, options);
    assert_eq!(
        our.code, their.code,
        "{options:?}: {}{}",
        our.stderr, their.stderr
    );
    plan.stdout
}

/// Whether a key goes with backups that nobody can restore, or with WAL that only they held.
fn is_swept(plan: &str, key: &str) -> bool {
    let mut swept = plan.lines().filter(|line| line.contains(WE_SWEEP.0));
    match key
        .strip_prefix("base/")
        .and_then(|rest| rest.split_once('/'))
    {
        Some((id, _)) => swept.any(|line| line.starts_with(&format!("backup {id} goes "))),
        None => swept.next().is_some(),
    }
}

/// What is wrong with what is left of a case.
fn judge(case: &Case, plan: &str, ours: &BTreeSet<String>, theirs: &BTreeSet<String>) -> String {
    let mut wrong = String::new();
    for key in case.objects.keys() {
        let complaint = match (ours.contains(key), theirs.contains(key)) {
            (false, true) if is_swept(plan, key) => continue,
            (false, true) => "only we delete it",
            (true, false) => {
                let reason = reason(plan, key).unwrap_or("without a reason");
                let fits = |(words, _): &(&str, &str)| reason.contains(words);
                let several = plan.matches(" object").count() > 1 && fits(&OF_SEVERAL);
                match several || WE_LEAVE_MORE.iter().any(fits) {
                    true => continue,
                    false => reason,
                }
            }
            _ => continue,
        };
        wrong += &format!("{key}: {complaint}\n");
    }
    wrong
}

#[test]
fn random_catalogues_lose_the_same_backups_and_wal() {
    let store = Store::s3();
    let Store::S3(bucket) = &store else {
        panic!("it is a bucket");
    };
    let days = days();
    let cases: Vec<Case> = (0..CASES).map(|seed| Case::random(seed, &days)).collect();
    let root = |number: usize, whose: &str| format!("some/folder/{number}-{whose}/{SERVER}/");
    let places = (0..cases.len()).flat_map(|number| ["ours", "theirs"].map(|w| (number, w)));
    let objects = places.flat_map(|(number, whose)| {
        let objects = cases[number].objects.iter();
        objects.map(move |(key, body)| (root(number, whose) + key, body.clone()))
    });
    bucket.put_all(objects);
    let plans = std::thread::scope(|scope| {
        let halves = [0, 1].map(|half| {
            let (store, cases) = (&store, &cases);
            scope.spawn(move || {
                let numbers = (0..CASES).filter(|number| number % 2 == half);
                let plan =
                    |number| delete_from_both(store, number, &cases[number as usize].options);
                numbers
                    .map(|number| (number as usize, plan(number)))
                    .collect::<Vec<_>>()
            })
        });
        let plans = halves.map(|half| half.join().unwrap_or_else(|_| Vec::new()));
        plans.into_iter().flatten().collect::<BTreeMap<_, _>>()
    });
    assert_eq!(plans.len(), cases.len(), "some case ended otherwise");
    let takes_wal = |line: &str| line.starts_with("WAL ") && line.contains(" goes (");
    let taking = plans.values().filter(|plan| plan.lines().any(takes_wal));
    assert!(taking.count() * 3 > cases.len(), "few cases are of use");
    let left = bucket.keys();
    let left_of = |number: usize, whose: &str| -> BTreeSet<String> {
        let root = root(number, whose);
        let keys = left.iter().filter_map(|key| key.strip_prefix(&root));
        keys.map(str::to_owned).collect()
    };
    let mut wrong = String::new();
    for (number, case) in cases.iter().enumerate() {
        let (ours, theirs) = (left_of(number, "ours"), left_of(number, "theirs"));
        let of_case = judge(case, &plans[&number], &ours, &theirs);
        if !of_case.is_empty() {
            let (options, plan) = (&case.options, &plans[&number]);
            wrong += &format!("case {number}, {options:?}:\n{of_case}{plan}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn every_difference_that_is_allowed_is_documented() {
    let page = fs::read_to_string(checkout().join("docs/compatibility.md")).unwrap();
    for (_, row) in WE_LEAVE_MORE.into_iter().chain([OF_SEVERAL, WE_SWEEP]) {
        assert!(page.contains(row), "{row}");
    }
}
