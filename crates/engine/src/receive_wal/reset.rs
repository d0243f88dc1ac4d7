//! Begins anew where the slot stands: the unfinished segment that is here goes, and an empty one
//! says where receiving goes on.

use std::fs;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use model::wal::lsn::Lsn;
use model::wal::name::{SegmentName, WalName};
use model::wal::timeline::TimelineId;
use postgres::replication::WalSender;

use super::error::ReceiveError;
use super::request::ReceiveRequest;
use super::segment_file::NO_LINK;
use super::start;
use crate::durable;

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reset {
    /// The unfinished segment is the one that the slot stands in, or there is none.
    Aligned,
    /// This one was taken away, and this one is received next.
    Moved { from: SegmentName, to: SegmentName },
}

/// Aligns the receiver's directory with its slot. Nobody may be receiving meanwhile.
///
/// # Errors
/// When the slot cannot be asked, or the files not changed.
pub async fn reset(request: &ReceiveRequest) -> Result<Reset, ReceiveError> {
    let mut session = WalSender::open(&request.replication).await?;
    let size = start::segment_size(&mut session).await?;
    let identity = session.identify().await?;
    let start = start::first_start(&mut session, request, &identity, size).await?;
    session.close().await;
    let to = segment(start.timeline, start.position, size);
    let from = newest_partial(&request.folder)
        .map_err(|cause| ReceiveError::file("look into", &request.folder, cause))?;
    let Some(from) = from.filter(|from| *from != to) else {
        return Ok(Reset::Aligned);
    };
    let partial = |segment: SegmentName| request.folder.join(format!("{segment}.partial"));
    // The new one first: in between, a receiver would go on after the older of both.
    let (old, new) = (partial(from), partial(to));
    let failed = |path: &Path, cause| ReceiveError::file("reset", path, cause);
    let mut options = fs::OpenOptions::new();
    let options = options.write(true).create(true).truncate(true);
    let options = options.mode(0o600).custom_flags(NO_LINK);
    options.open(&new).map_err(|cause| failed(&new, cause))?;
    fs::remove_file(&old).map_err(|cause| failed(&old, cause))?;
    durable::sync_directory(&request.folder).map_err(|cause| failed(&request.folder, cause))?;
    Ok(Reset::Moved { from, to })
}

fn segment(timeline: TimelineId, position: Lsn, size: model::postgres::SegmentSize) -> SegmentName {
    SegmentName::from_lsn(timeline, position, size)
}

fn newest_partial(folder: &Path) -> io::Result<Option<SegmentName>> {
    let mut newest = None;
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        if let Some(Ok(WalName::Partial(segment))) = name.to_str().map(str::parse) {
            newest = newest.max(Some(segment));
        }
    }
    Ok(newest)
}
