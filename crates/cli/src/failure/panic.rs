//! The end of a program in a mistake of its own: what is said, and that its caller sees a failure.
//!
//! Without this a panic ends in status 101, which PostgreSQL takes from a `restore_command` for the
//! end of the archive. A panic of a worker is said here too; whoever waits for the worker fails.
//! Always true: only the place in the program and words that are part of it are printed, for a
//! value in a message could be a secret.

use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook};
use std::process::ExitCode;

use crate::output::cloud_log::{Level, Log};

/// Where a mistake is to be reported.
const ISSUES: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/issues");

/// Runs a program; a panic in it ends with a status of its own.
pub fn guarded(run: impl FnOnce() -> ExitCode, status: u8) -> ExitCode {
    set_hook(Box::new(report));
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| ExitCode::from(status))
}

fn report(info: &PanicHookInfo<'_>) {
    let log = Log::new(0, 0);
    let place = info.location().map(ToString::to_string);
    let words = info.payload().downcast_ref::<&'static str>();
    log.line(Level::Error, &describe(place.as_deref(), words.copied()));
    log.line(
        Level::Hint,
        &format!("This is a mistake in the program. Please report this line at {ISSUES}"),
    );
}

fn describe(place: Option<&str>, words: Option<&str>) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let place = place.unwrap_or("an unknown place");
    let words = words.map(|words| format!(": {words}")).unwrap_or_default();
    format!("barman-rs {version} stopped at {place}{words}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_ends_in_the_status_of_a_failure() {
        let before = std::panic::take_hook();
        let ended = guarded(|| panic!("on purpose"), 200);
        std::panic::set_hook(before);
        assert_eq!(ended, ExitCode::from(200));
    }

    #[test]
    fn what_is_said_names_the_place_and_no_value() {
        let said = describe(Some("crates/x.rs:7:3"), None);
        assert!(said.contains("crates/x.rs:7:3"), "{said}");
        assert!(describe(None, Some("cannot fail")).contains("cannot fail"));
        assert!(ISSUES.starts_with("https://"), "{ISSUES}");
    }
}
