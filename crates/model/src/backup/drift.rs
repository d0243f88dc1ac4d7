//! What became of a server's tablespaces between a backup's listing of them and its end.
//!
//! `pg_backup_stop` returns the `tablespace_map` that PostgreSQL made when the backup began: each
//! tablespace in it holds files from before the backup's first WAL record, which replay does not
//! make anew. One that came later is made by replay, if its directory is there.

use crate::backup::Tablespace;

/// Tablespaces that are in no archive of the backup.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Drift {
    /// They were there when the backup began: without them it is not whole.
    pub lost: Vec<Tablespace>,
    /// They came while it was taken: replay makes them.
    pub made_meanwhile: Vec<Tablespace>,
}

/// Compares what was archived with the server's own list at the end.
pub fn tablespace_drift(archived: &[Tablespace], at_end: &[Tablespace], map: &str) -> Drift {
    let mapped = mapped_oids(map);
    let mut drift = Drift::default();
    for tablespace in at_end {
        if archived.iter().any(|known| known.oid == tablespace.oid) {
            continue;
        }
        if mapped.contains(&tablespace.oid) {
            drift.lost.push(tablespace.clone())
        } else {
            drift.made_meanwhile.push(tablespace.clone())
        }
    }
    drift
}

/// The OIDs of a `tablespace_map`: lines of an OID and a path, in which a line break is written
/// with a backslash before it.
fn mapped_oids(map: &str) -> Vec<u32> {
    let mut oids = Vec::new();
    let mut at_start = true;
    let mut digits = String::new();
    let mut characters = map.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => {
                characters.next();
                at_start = false;
            }
            '\n' | '\r' => {
                at_start = true;
                digits.clear();
            }
            digit if at_start && digit.is_ascii_digit() => digits.push(digit),
            other => {
                if at_start && other == ' ' {
                    oids.extend(digits.parse::<u32>());
                }
                at_start = false;
                digits.clear();
            }
        }
    }
    oids
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tablespace(oid: u32) -> Tablespace {
        Tablespace {
            name: format!("ts{oid}"),
            oid,
            location: format!("/srv/{oid}"),
        }
    }

    #[test]
    fn what_the_server_mapped_and_nobody_archived_is_lost() {
        let [old, early, late] = [16384, 16390, 16400].map(tablespace);
        let map = "16384 /srv/16384\n16390 /srv/16390\n";
        let at_end = [old.clone(), early.clone(), late.clone()];
        let drift = tablespace_drift(std::slice::from_ref(&old), &at_end, map);
        assert_eq!(
            (drift.lost, drift.made_meanwhile),
            (vec![early], vec![late])
        );
        // One that was dropped is nobody's loss.
        let drift = tablespace_drift(&[old], &[], map);
        assert_eq!(drift, Drift::default());
    }

    #[test]
    fn a_line_break_in_a_path_begins_no_entry() {
        let map = "16384 /srv/a\\\n77 b\n16385 /srv/1 2\n";
        assert_eq!(mapped_oids(map), [16384, 16385]);
        assert_eq!(mapped_oids(""), [0; 0]);
        assert_eq!(mapped_oids("x 5\n9 /a"), [9]);
    }
}
