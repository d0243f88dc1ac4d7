//! `--stats`: where the time of a backup or a restore went.

use std::sync::Arc;
use std::time::Instant;

use engine::stages::{Stage, Stages};

use crate::output;
use crate::output::cloud_log::{Level, Log};
use crate::render::stages::render_stages;

/// The option, and what is counted for it.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct StatsFlag {
    /// Print at the end how long each stage worked and waited for another [barman-rs only]
    #[arg(long)]
    stats: bool,
}

/// What a command has counted since it began.
pub struct Stats {
    pub stages: Arc<Stages>,
    began: Instant,
    flag: StatsFlag,
}

impl StatsFlag {
    /// Begins to count.
    pub fn begin(self) -> Stats {
        Stats {
            stages: Arc::default(),
            began: Instant::now(),
            flag: self,
        }
    }
}

impl Stats {
    /// Prints the table, if it was asked for. A lost table is no failure of finished work.
    pub fn print(&self, log: &Log) {
        self.print_with("", log);
    }

    /// Prints the table, if it was asked for, and below it what should be known of its numbers.
    pub fn print_with(&self, remark: &str, log: &Log) {
        if !self.flag.stats {
            return;
        }
        let times = Stage::ALL.map(|stage| (stage, self.stages.of(stage)));
        let table = render_stages(&times, self.began.elapsed()) + remark;
        if let Err(failure) = output::print(&table) {
            log.line(Level::Warning, &failure.what);
        }
    }
}
