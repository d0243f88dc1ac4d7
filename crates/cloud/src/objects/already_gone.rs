//! Deleting what is not there: an error to some stores, the goal reached to us.

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use object_store::path::Path;
use object_store::{Error, Result};

/// Counts an object that was not there as deleted.
pub(crate) fn tolerate_absent(
    deleted: BoxStream<'static, Result<Path>>,
) -> BoxStream<'static, Result<Path>> {
    let tolerant = deleted.map(|result| match result {
        Err(Error::NotFound { path, source }) => {
            Path::parse(&path).map_err(|_| Error::NotFound { path, source })
        }
        other => other,
    });
    tolerant.boxed()
}
