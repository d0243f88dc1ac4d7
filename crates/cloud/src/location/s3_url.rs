//! What `s3://bucket/path` means.

use super::prefix::{InBucket, Problem, parse_prefix, refuse_query};

/// Reads `bucket/path`: what follows `s3://`.
pub(super) fn parse(rest: &str) -> Result<InBucket, Problem> {
    if rest.starts_with("arn:") {
        return Err(Problem::NotYet("a bucket given as an access point ARN"));
    }
    refuse_query(rest)?;
    let (bucket, path) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.is_empty() {
        return Err(Problem::Invalid("the bucket is missing"));
    }
    // botocore's rule for bucket names, which is wider than AWS's for new buckets.
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if bucket.len() > 255 || !bucket.chars().all(allowed) {
        return Err(Problem::Invalid(
            "the bucket's name has characters that no bucket can have",
        ));
    }
    Ok(InBucket {
        bucket: bucket.into(),
        prefix: parse_prefix(path)?,
    })
}
