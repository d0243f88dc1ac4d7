//! How the clients of a Barman server end.

use crate::failure::{Kind, status_of_signal};

/// The status that a failure of a kind ends in: above 125, at which PostgreSQL stops recovery
/// instead of taking it for the end of the archive (PostgreSQL manual, "restore_command").
pub fn of(kind: Kind) -> u8 {
    match kind {
        Kind::Signal(number) => status_of_signal(number),
        _ => 200,
    }
}
