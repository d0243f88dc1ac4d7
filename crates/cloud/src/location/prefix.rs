//! What the URLs of all clouds have in common: the path below the bucket, and what is refused.

/// What is wrong with a URL; the caller adds the URL.
pub(crate) enum Problem {
    Invalid(&'static str),
    NotYet(&'static str),
    WrongScheme,
}

/// A bucket and the prefix of keys in it.
pub(super) struct InBucket {
    pub(super) bucket: String,
    pub(super) prefix: String,
}

/// Refuses what only a web address has.
pub(crate) fn refuse_query(rest: &str) -> Result<(), Problem> {
    if rest.contains(['?', '#']) {
        Err(Problem::Invalid(
            "a query or a fragment has no meaning here",
        ))
    } else {
        Ok(())
    }
}

/// The longest key that all of the clouds take, in bytes.
const LONGEST_KEY: usize = 1024;

/// The path below a bucket as the prefix of every key: as in Barman slashes at its beginning do not
/// count, nor one at its end, but all others do.
pub(crate) fn parse_prefix(path: &str) -> Result<String, Problem> {
    let path = path.trim_start_matches('/');
    let prefix = match path.strip_suffix('/') {
        Some(shorter) if !shorter.ends_with('/') => shorter,
        _ => path,
    };
    if prefix.len() > LONGEST_KEY {
        return Err(Problem::Invalid("the path is longer than a key may be"));
    }
    let bad =
        |segment: &str| segment == "." || segment == ".." || segment.contains(char::is_control);
    if prefix.split('/').any(bad) {
        return Err(Problem::Invalid(
            "the path has a '.' or '..' segment, or a control character",
        ));
    }
    Ok(prefix.into())
}
