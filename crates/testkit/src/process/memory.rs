//! How much memory a program takes: a thread looks at `/proc` while it runs.
//!
//! The kernel keeps each process's own peak (`VmHWM`, proc(5)), so a look every few milliseconds
//! misses only what the last few milliseconds added. Peaks of a tree of processes are added up,
//! which may say too much, never too little.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const INTERVAL: Duration = Duration::from_millis(20);

/// Watches a process and its descendants until it is gone.
#[derive(Debug)]
pub(crate) struct MemoryWatch {
    peak_bytes: Arc<AtomicU64>,
}

impl MemoryWatch {
    pub(crate) fn of(process: u32) -> MemoryWatch {
        let peak_bytes = Arc::new(AtomicU64::new(0));
        let seen = Arc::clone(&peak_bytes);
        std::thread::spawn(move || {
            while fs::metadata(format!("/proc/{process}/exe")).is_ok() {
                seen.fetch_max(tree_peak_bytes(process), Ordering::Relaxed);
                std::thread::sleep(INTERVAL);
            }
        });
        MemoryWatch { peak_bytes }
    }

    pub(crate) fn peak_bytes(&self) -> u64 {
        self.peak_bytes.load(Ordering::Relaxed)
    }
}

/// The most resident memory that the process with this id has had so far; 0 when it is gone.
pub fn resident_peak_bytes(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = peak.and_then(|text| text.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

fn tree_peak_bytes(process: u32) -> u64 {
    let children: u64 = children_of(process).into_iter().map(tree_peak_bytes).sum();
    resident_peak_bytes(process) + children
}

// Each thread has its own list of children (proc(5), `/proc/pid/task/tid/children`).
fn children_of(process: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{process}/task"))
        .into_iter()
        .flatten()
        .flatten();
    let lists =
        threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists
        .flat_map(|list| {
            list.split(' ')
                .filter_map(|id| id.parse().ok())
                .collect::<Vec<_>>()
        })
        .collect()
}
