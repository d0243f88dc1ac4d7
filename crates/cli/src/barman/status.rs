//! How `barman` itself ends, and what it advises.

use crate::failure::{Advice, Kind, status_of_signal};

/// The status that a failure of a kind ends in.
pub fn of(kind: Kind) -> u8 {
    match kind {
        Kind::Usage => 2,
        Kind::Broken => 4,
        Kind::Signal(number) => status_of_signal(number),
        _ => 1,
    }
}

/// The sentence that a hint gives: all others are about commands and options of the cloud's.
pub fn advice(advice: &Advice) -> Option<String> {
    match advice {
        Advice::Sentence(sentence) => Some(sentence.clone()),
        _ => None,
    }
}
