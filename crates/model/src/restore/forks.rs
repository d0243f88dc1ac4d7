//! The timelines that leave a backup's behind it.
//!
//! Recovery follows the newest timeline of the archive unless it is told otherwise. That is right
//! after a promotion, and wrong when somebody promoted a copy that archives into the original's
//! place, or when the newest timeline left the backup's before the backup ended: PostgreSQL then
//! refuses to start. Here is what histories tell about it.

use crate::backup::BackupInfo;
use crate::wal::lsn::Lsn;
use crate::wal::timeline::{TimelineHistory, TimelineId};

/// A timeline that left another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fork {
    pub timeline: TimelineId,
    pub parent: TimelineId,
    /// Where the parent was left.
    pub at: Lsn,
}

/// Where recovery of a backup would go by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// Along the backup's own timeline: there is no newer one.
    Straight,
    /// Along the newest timeline, over these forks, oldest first; never empty.
    Over(Vec<Fork>),
    /// Nowhere: the newest timeline does not come from this backup.
    Astray { newest: TimelineId },
}

/// The way to the newest timeline of these histories, each of a timeline above the backup's own.
pub fn way_from(info: &BackupInfo, histories: &[TimelineHistory]) -> Option<Way> {
    let (own, end) = (info.timeline?, info.end_xlog?);
    let newer = histories.iter().filter(|history| history.timeline() > own);
    let Some(newest) = newer.max_by_key(|history| history.timeline()) else {
        return Some(Way::Straight);
    };
    if !newest.contains_until(end, own) {
        let newest = newest.timeline();
        return Some(Way::Astray { newest });
    }
    let switches = newest.switches();
    let children = switches.iter().skip(1).map(|switch| switch.parent);
    let children = children.chain([newest.timeline()]);
    let forks = switches
        .iter()
        .zip(children)
        .map(|(switch, timeline)| Fork {
            timeline,
            parent: switch.parent,
            at: switch.at,
        });
    Some(Way::Over(forks.filter(|fork| fork.parent >= own).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info() -> BackupInfo {
        BackupInfo {
            timeline: Some(TimelineId::new(2)),
            end_xlog: Some(Lsn::new(0x500_0000)),
            ..BackupInfo::default()
        }
    }

    fn history(timeline: u32, text: &str) -> TimelineHistory {
        TimelineHistory::parse(TimelineId::new(timeline), text).unwrap()
    }

    #[test]
    fn the_forks_after_the_backup_lead_to_the_newest_timeline() {
        let third = history(3, "1\t0/2000000\tx\n2\t0/6000000\tx\n");
        let fourth = history(4, "1\t0/2000000\tx\n2\t0/6000000\tx\n3\t0/7000000\tx\n");
        let fork = |timeline, parent, at| Fork {
            timeline: TimelineId::new(timeline),
            parent: TimelineId::new(parent),
            at: Lsn::new(at),
        };
        let forks = vec![fork(3, 2, 0x600_0000), fork(4, 3, 0x700_0000)];
        let way = way_from(&info(), &[third, fourth]);
        assert_eq!(way, Some(Way::Over(forks)));
        assert_eq!(way_from(&info(), &[]), Some(Way::Straight));
        let earlier = history(2, "1\t0/2000000\tx\n");
        assert_eq!(way_from(&info(), &[earlier]), Some(Way::Straight));
        assert_eq!(way_from(&BackupInfo::default(), &[]), None);
    }

    #[test]
    fn a_timeline_that_left_before_the_backup_ended_leads_astray() {
        let newest = TimelineId::new(3);
        for text in ["1\t0/2000000\tx\n2\t0/4FFFFFF\tx\n", "1\t0/9000000\tx\n"] {
            let way = way_from(&info(), &[history(3, text)]);
            assert_eq!(way, Some(Way::Astray { newest }), "{text}");
        }
        let exactly = history(3, "1\t0/2000000\tx\n2\t0/5000000\tx\n");
        assert!(matches!(way_from(&info(), &[exactly]), Some(Way::Over(_))));
    }
}
