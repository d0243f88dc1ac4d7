//! Whether an endpoint was ever there in this process, and the errors of one that was not.

use object_store::client::HttpError;

use crate::failure::{ErrorKind, Explains, Explanation};

/// An endpoint from which nothing ever came in this process.
#[derive(Debug, thiserror::Error)]
#[error("no answer from {endpoint} after {attempts} attempt(s)")]
pub(crate) struct NeverAnswered {
    pub(crate) endpoint: String,
    pub(crate) attempts: u32,
    #[source]
    pub(crate) source: HttpError,
}

impl Explains for NeverAnswered {
    fn explain(&self) -> Explanation {
        Explanation::Unanswered
    }
}

/// No credentials anywhere, the last place being the machine's metadata service.
#[derive(Debug, thiserror::Error)]
#[error("no credentials: none are configured and the metadata service {endpoint} gave none")]
pub(crate) struct NoMetadataService {
    pub(crate) endpoint: String,
    #[source]
    pub(crate) source: HttpError,
}

impl Explains for NoMetadataService {
    fn explain(&self) -> Explanation {
        Explanation::Cause {
            kind: ErrorKind::Denied,
            text: self.to_string(),
            hint: None,
        }
    }
}
