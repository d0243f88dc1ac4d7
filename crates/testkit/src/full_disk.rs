//! A disk that is soon full: a file system in memory of a few MiB, which only root can mount.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::Program;
use crate::scratch::Scratch;
use crate::user::is_root;

/// A small file system. Dropping it unmounts it.
#[derive(Debug)]
pub struct SmallDisk {
    place: PathBuf,
    _scratch: Scratch,
}

impl SmallDisk {
    /// Mounts one of `mib` MiB that every account may write to. Without root there is none; the
    /// caller's test has then shown nothing, and that is said aloud.
    pub fn mount(mib: u32) -> Option<SmallDisk> {
        if !is_root() {
            announce("SKIPPED: only root can mount the small disk that this test fills");
            return None;
        }
        let scratch = Scratch::new("disk");
        let place = scratch.shared_folder("disk");
        let options = format!("size={mib}m,mode=0777");
        let mount = Program::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]);
        let mounted = mount.arg(&place).run();
        if mounted.code != Some(0) {
            announce(&format!(
                "SKIPPED: no small disk can be mounted here: {}",
                mounted.stderr
            ));
            return None;
        }
        Some(SmallDisk {
            place,
            _scratch: scratch,
        })
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.place
    }

    /// Fills it but for `bytes_free` (to the next block of 4 KiB) with one file, `filler`.
    pub fn fill_but(&self, bytes_free: u64) {
        let available = self.bytes_free();
        let size = usize::try_from(available.saturating_sub(bytes_free)).unwrap_or(usize::MAX);
        let filler = self.place.join("filler");
        fs::write(&filler, vec![0; size])
            .unwrap_or_else(|error| panic!("cannot write {}: {error}", filler.display()));
    }

    /// How much can still be written.
    pub fn bytes_free(&self) -> u64 {
        let df = Program::new("df")
            .args(["--output=avail", "--block-size=1"])
            .arg(&self.place);
        let said = df.run().success().stdout;
        let number = said
            .lines()
            .nth(1)
            .and_then(|line| line.trim().parse().ok());
        number.unwrap_or_else(|| panic!("df said no number: {said}"))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a program that a failed test left behind may still have files open.
        let _ = Command::new("umount")
            .arg("--lazy")
            .arg(&self.place)
            .status();
    }
}

// Past the test harness, which hides what a passing test prints.
fn announce(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
