//! The table of `--stats`: a line for each stage that did something, and one for the whole command.

use std::fmt::Write;
use std::time::Duration;

use engine::stages::{Stage, StageTime};

const MIB: f64 = 1024.0 * 1024.0;

/// The stages that did something, and how long the command took in all. Seconds are those of all
/// threads of a stage together, bytes those that it took in.
pub fn render_stages(times: &[(Stage, StageTime)], whole: Duration) -> String {
    let mut table = String::new();
    let mut row = |[name, busy, blocked, mib]: [&str; 4]| {
        let line = format!("{name:<10}{busy:>9}{blocked:>11}{mib:>11}");
        writeln!(table, "{}", line.trim_end()).expect("memory takes it");
    };
    row(["stage", "busy s", "blocked s", "MiB"]);
    for (stage, time) in times
        .iter()
        .filter(|(_, time)| *time != StageTime::default())
    {
        row([
            name(*stage),
            &seconds(time.busy),
            &seconds(time.blocked),
            &format!("{:.1}", time.bytes as f64 / MIB),
        ]);
    }
    row(["whole", &seconds(whole), "", ""]);
    table
}

fn seconds(duration: Duration) -> String {
    format!("{:.3}", duration.as_secs_f64())
}

fn name(stage: Stage) -> &'static str {
    match stage {
        Stage::Read => "read",
        Stage::Check => "check",
        Stage::Pack => "pack",
        Stage::Upload => "upload",
        Stage::Download => "download",
        Stage::Unpack => "unpack",
        Stage::Write => "write",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_that_did_nothing_has_no_line() {
        let time = StageTime {
            busy: Duration::from_millis(4210),
            blocked: Duration::from_millis(50),
            bytes: 3 << 20,
        };
        let times = [(Stage::Pack, time), (Stage::Unpack, StageTime::default())];
        let expected = "\
stage        busy s  blocked s        MiB
pack          4.210      0.050        3.0
whole        12.500
";
        assert_eq!(
            render_stages(&times, Duration::from_millis(12_500)),
            expected
        );
    }
}
