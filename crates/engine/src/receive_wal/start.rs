//! Where receiving begins: after the files that are here, else where the slot stands, else where
//! the server is.

use std::fs;
use std::io::{ErrorKind, Read};
use std::path::Path;

use model::postgres::{SegmentSize, SystemId};
use model::wal::lsn::Lsn;
use model::wal::name::WalName;
use model::wal::segment::{HEADER_LENGTH, check_segment_head};
use model::wal::streaming::{ReceivedWal, ResumePoint, received_wal};
use model::wal::timeline::{TimelineHistory, TimelineId};
use postgres::Client;
use postgres::replication::{Identity, SlotPosition, WalSender, query_slot};

use super::error::ReceiveError;
use super::request::ReceiveRequest;

/// The size of the server's segments.
pub(super) async fn segment_size(session: &mut WalSender) -> Result<SegmentSize, ReceiveError> {
    const SETTING: &str = "wal_segment_size";
    let value = session.show(SETTING).await?;
    let bytes = bytes_of(&value).and_then(|bytes| SegmentSize::new(bytes).ok());
    bytes.ok_or(ReceiveError::Setting {
        setting: SETTING,
        value,
    })
}

/// `16MB`, `1GB`.
fn bytes_of(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let unit = match &text[end..] {
        "kB" => 10,
        "MB" => 20,
        "GB" => 30,
        _ => return None,
    };
    text[..end].parse::<u64>().ok()?.checked_mul(1 << unit)
}

/// What the receiver's directory says.
pub fn look(folder: &Path, size: SegmentSize) -> Result<ReceivedWal, ReceiveError> {
    let failed = |cause| ReceiveError::file("look into", folder, cause);
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let metadata = match entry.metadata() {
            // What archives segments takes them away meanwhile.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            metadata => metadata.map_err(failed)?,
        };
        if metadata.is_file()
            && let Ok(name) = entry.file_name().into_string()
        {
            files.push((name, metadata.len()));
        }
    }
    let files = files.iter().map(|(name, bytes)| (name.as_str(), *bytes));
    Ok(received_wal(files, size))
}

/// How many of the newest files are looked into: the newest may have nothing yet.
const MOST_LOOKED_INTO: usize = 8;

/// The cluster whose WAL is in the directory, by the newest file that has a segment's header.
///
/// # Errors
/// When the directory or a file in it cannot be read.
pub(super) fn cluster_of(folder: &Path) -> Result<Option<SystemId>, ReceiveError> {
    let failed = |cause| ReceiveError::file("look into", folder, cause);
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        if let Some(WalName::Segment(segment) | WalName::Partial(segment)) = name {
            found.push((segment, entry.path()));
        }
    }
    found.sort();
    for (segment, path) in found.iter().rev().take(MOST_LOOKED_INTO) {
        let mut head = [0; HEADER_LENGTH];
        let read = fs::File::open(path).and_then(|mut file| file.read_exact(&mut head));
        match read {
            Ok(()) => {}
            // Too short, or taken away by what archives segments.
            Err(error)
                if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::NotFound) =>
            {
                continue;
            }
            Err(cause) => return Err(ReceiveError::file("read", path, cause)),
        }
        if let Ok(facts) = check_segment_head(segment, &head) {
            return Ok(Some(facts.system_id));
        }
    }
    Ok(None)
}

/// Where the slot of the request stands; nothing without a slot.
///
/// # Errors
/// When there is no such slot, or the server cannot be asked.
pub async fn slot_position(
    session: &mut WalSender,
    request: &ReceiveRequest,
) -> Result<Option<SlotPosition>, ReceiveError> {
    let Some(slot) = &request.slot else {
        return Ok(None);
    };
    let found = if session.major() >= 15 {
        session.read_slot(slot).await?
    } else {
        let mut client = Client::connect(&request.plain)
            .await
            .map_err(postgres::Error::from)?;
        let found = query_slot(&mut client, slot).await?;
        client.close().await;
        found
    };
    match found {
        Some(position) => Ok(Some(position)),
        None => Err(ReceiveError::NoSlot(slot.clone())),
    }
}

/// The beginning of the segment that is to be received first, where no file says so.
pub(super) async fn first_start(
    session: &mut WalSender,
    request: &ReceiveRequest,
    identity: &Identity,
    size: SegmentSize,
) -> Result<ResumePoint, ReceiveError> {
    let slot = slot_position(session, request).await?.unwrap_or_default();
    let position = slot.restart.unwrap_or(identity.flushed);
    let position = Lsn::new(position - position % size.bytes());
    let timeline = match slot {
        SlotPosition {
            restart: Some(_),
            timeline: Some(timeline),
        } => timeline,
        SlotPosition {
            restart: Some(restart),
            timeline: None,
        } => timeline_at(session, identity.timeline, Lsn::new(restart)).await?,
        _ => identity.timeline,
    };
    let timeline = TimelineId::new(timeline);
    Ok(ResumePoint { timeline, position })
}

/// Which timeline a position of this timeline's history is on.
async fn timeline_at(
    session: &mut WalSender,
    timeline: u32,
    position: Lsn,
) -> Result<u32, ReceiveError> {
    if timeline == 1 {
        return Ok(1);
    }
    let content = session.timeline_history(timeline).await?;
    let content = String::from_utf8_lossy(&content);
    let history = TimelineHistory::parse(TimelineId::new(timeline), &content);
    let history = history.map_err(|_| ReceiveError::History { timeline, position })?;
    Ok(history.timeline_at(position).number())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_read_as_postgresql_writes_it() {
        for (text, expected) in [
            ("16MB", Some(16 << 20)),
            ("1GB", Some(1 << 30)),
            ("1024kB", Some(1 << 20)),
            ("16", None),
            ("MB", None),
            ("", None),
        ] {
            assert_eq!(bytes_of(text), expected, "{text}");
        }
    }
}
