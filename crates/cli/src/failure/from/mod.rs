//! Every error of the other crates, and which kind of failure it is: one file for each crate.

mod cloud;
mod engine;
mod model;
mod postgres;

use std::error::Error as StdError;

use ::cloud::ErrorKind;
use ::engine::causes;
use ::engine::store::StoreError;

use super::{Advice, Failure, Kind};

/// Text of the command line that means nothing.
macro_rules! usage_errors {
    ($($error:ty),* $(,)?) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Failure {
                Failure::new(Kind::Usage, error.to_string())
            }
        })*
    };
}

use usage_errors;

/// A store's refusal: what was tried, the cause, and which kind of failure that is.
fn of_store(error: &StoreError) -> Failure {
    let diagnosis = ::cloud::diagnose(error);
    Failure {
        kind: kind_of(diagnosis.kind),
        what: format!("{error}: {}", diagnosis.cause),
        advice: sentence(diagnosis.hint),
    }
}

/// A failure of work that may have a store's refusal somewhere inside.
fn of_work(error: &(dyn StdError + 'static), otherwise: Kind) -> Failure {
    let diagnosis = ::cloud::diagnose(error);
    let is_stores = diagnosis.code.is_some() || diagnosis.kind == ErrorKind::Unreachable;
    if is_stores {
        return Failure {
            kind: kind_of(diagnosis.kind),
            what: format!("{error}: {}", diagnosis.cause),
            advice: sentence(diagnosis.hint),
        };
    }
    // Of a local failure only the hints that go by its words are right, such as a full disk's.
    let hint = diagnosis
        .hint
        .filter(|_| diagnosis.kind == ErrorKind::Other);
    Failure {
        kind: otherwise,
        what: causes::in_one_line(error),
        advice: sentence(hint),
    }
}

fn kind_of(kind: ErrorKind) -> Kind {
    match kind {
        ErrorKind::Unreachable => Kind::Unreachable,
        ErrorKind::MissingBucket | ErrorKind::Denied | ErrorKind::NotFound | ErrorKind::Other => {
            Kind::Other
        }
    }
}

fn sentence(hint: Option<&str>) -> Option<Advice> {
    hint.map(|hint| Advice::Sentence(hint.to_owned()))
}
