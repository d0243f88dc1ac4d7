//! This program once more, in the background: started by itself, in a session of its own.
//!
//! Always true: a file that is handed over as its standard input is held by one of the two at every
//! moment, and nothing else of its starter's stays open in it.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// Starts this program under the same name, with one word more before its own.
///
/// # Errors
/// When it cannot be started.
pub fn start_again(word: &str, held: impl Into<Stdio>) -> io::Result<()> {
    let mut words = std::env::args_os();
    let name = words.next().unwrap_or_default();
    Command::new(std::env::current_exe()?)
        .arg0(name)
        .arg(word)
        .args(words)
        .stdin(held)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map(drop)
}

/// Leaves the session that this process was started in, and lets go of all files that were open
/// then. To be called before anything of its own is open.
pub fn detach() {
    // Fails only for the leader of a session, which has one of its own.
    let _ = rustix::process::setsid();
    let open = std::fs::read_dir("/proc/self/fd").into_iter().flatten();
    let numbers: Vec<i32> = open
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    for number in numbers.into_iter().filter(|number| *number > 2) {
        // The one that listed them is closed already.
        let _ = nix::unistd::close(number);
    }
}
