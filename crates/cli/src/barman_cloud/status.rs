//! The statuses of the `barman-cloud-*` commands: those of Barman's, see `docs/compatibility.md`.
//!
//! Always true: a store that gave no answer is status 2 whatever was being done with it, and a
//! failure of the store or the network is never the status 1 that means "no such WAL file".

use crate::failure::{Kind, status_of_signal};

/// What the caller makes of a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statuses {
    /// What Barman's caller does.
    Barmans,
    /// PostgreSQL must stop recovery, for it would take a status up to 125 for the end of the
    /// archive (PostgreSQL manual, "restore_command").
    StoppingRecovery,
}

/// Above 125.
const STOPS_RECOVERY: u8 = 200;

impl Statuses {
    /// The status that a failure of a kind ends in.
    pub fn of(self, kind: Kind) -> u8 {
        match (self, kind) {
            // The end of the log, proven; and what PostgreSQL sees for itself.
            (_, Kind::Absent) | (_, Kind::Signal(_)) | (Statuses::Barmans, _) => barmans(kind),
            (Statuses::StoppingRecovery, _) => STOPS_RECOVERY,
        }
    }
}

fn barmans(kind: Kind) -> u8 {
    match kind {
        Kind::Failed | Kind::Absent | Kind::Hole | Kind::NothingThere => 1,
        Kind::Unreachable | Kind::SpoolStuck => 2,
        Kind::Usage | Kind::NotBuilt => 3,
        Kind::UnknownName | Kind::Broken | Kind::Other => 4,
        // A Barman server must not run this retry hook again (Barman's manual, "Hook Scripts").
        Kind::NotDone => 63,
        Kind::Signal(number) => status_of_signal(number),
    }
}
