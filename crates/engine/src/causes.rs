//! An error and its causes as one line of text.

use std::error::Error;

/// An error and its sources in one line, each thing said once: a source that an outer error quotes
/// is left out, and one that says more in the same words takes the outer one's place.
pub fn in_one_line(error: &dyn Error) -> String {
    let mut texts = vec![error.to_string()];
    let mut next = error.source();
    while let Some(source) = next {
        let cause = source.to_string();
        if texts.last().is_some_and(|outer| cause.starts_with(outer)) {
            texts.pop();
        }
        if !texts.iter().any(|outer| outer.contains(&cause)) {
            texts.push(cause);
        }
        next = source.source();
    }
    texts.join(": ")
}

/// How a worker ended that should not have. What it said when it panicked is left out: it may quote
/// a value, and a value may be a secret.
pub(crate) fn of_worker(error: &tokio::task::JoinError) -> String {
    if error.is_panic() {
        "it panicked".to_owned()
    } else {
        "it was cancelled".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use super::*;

    /// An error that says a text and has the rest of the list as its source.
    #[derive(Debug)]
    struct Says(&'static str, Option<Box<Says>>);

    impl fmt::Display for Says {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Says {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_deref().map(|source| source as _)
        }
    }

    fn said(texts: &[&'static str]) -> String {
        let nest = |inner, text: &&'static str| Some(Box::new(Says(text, inner)));
        in_one_line(&*texts.iter().rev().fold(None, nest).unwrap())
    }

    #[test]
    fn a_chain_of_errors_says_each_thing_once() {
        assert_eq!(
            said(&["cannot read a", "no such file"]),
            "cannot read a: no such file"
        );
        assert_eq!(
            said(&["cannot read a: no such file", "no such file"]),
            "cannot read a: no such file"
        );
        assert_eq!(
            said(&["cannot connect", "cannot connect to b", "refused"]),
            "cannot connect to b: refused"
        );
    }
}
