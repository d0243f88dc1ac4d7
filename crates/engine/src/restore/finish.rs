//! Everything after extraction, in the order that makes it safe.
//!
//! Second names of files, the comparison with the manifest, owners, links to tablespaces, the
//! directories that no archive held, a flush, and `global/pg_control` last. Always true: all of it
//! happens through the descriptors of the claim; where they lie now does not matter.

use std::io::{self, Read};
use std::path::Path;

use model::control_file::ControlFile;
use model::format::backup_label;
use model::page::{PAGE_SIZE, PAGES_PER_FILE};
use model::restore::plan::RestorePlan;
use model::wal::lsn::Lsn;

use super::claim::{Claim, make_directory};
use super::configuration;
use super::error::{RestoreError, failed};
use super::extract::Noted;
use super::jobs::Extracted;
use super::pages::Damage;
use super::place::{Place, is_root, link_in};
use super::second_names::Copying;
use super::second_names::HeldControl;
use super::verify::{self, Verified};
use super::world::{RestoreWorld, Restored};
use crate::accounts::Accounts;
use crate::durable::{Looks, write_durably_in};
use crate::progress::{Event, Progress, Step, Warning};

/// Makes what was extracted a data directory that can be started.
///
/// # Errors
/// See [`RestoreError`]; then it cannot be started.
pub fn finish(
    plan: RestorePlan,
    extracted: &Extracted,
    claim: &Claim,
    world: &RestoreWorld,
) -> Result<Restored, RestoreError> {
    let control = extracted.control.as_ref();
    let control = control.ok_or_else(|| RestoreError::Control("it is missing".to_owned()))?;
    let parsed = ControlFile::parse(&control.content);
    let parsed = parsed.map_err(|error| RestoreError::Control(error.to_string()))?;
    let noted = &extracted.noted;
    copy_second_names(control, noted, claim, world)?;
    let destination = claim.destination();
    let file_count = noted.written.count();
    world
        .progress
        .event(Event::Step(Step::ComparingWithManifest));
    let begins = begins_of(&plan, destination)?;
    let comparison = verify::Comparison {
        claim,
        begins: &begins,
        unlisted: world.unlisted,
        progress: &*world.progress,
    };
    let verified = comparison.compare(&plan, &noted.written)?;
    let damage = match verified {
        // Its pages were looked at when they were archived.
        Verified::EveryFile { .. } => Damage::default(),
        Verified::NoManifest => damage(destination, &parsed, noted),
        Verified::ForeignManifest { begin } => {
            tell_foreign_manifest(begin, &*world.progress);
            damage(destination, &parsed, noted)
        }
    };
    own(&plan, claim, world)?;
    let configuration = configuration::complete(destination, &plan.configuration.path)?;
    link_tablespaces(&plan, destination)?;
    for directory in ["pg_wal", "pg_wal/archive_status"] {
        make_directory(destination, directory)?;
    }
    world.progress.event(Event::Step(Step::Flushing));
    for place in std::iter::once(&plan.destination).chain(plan.links.iter().map(|l| &l.location)) {
        flush(claim.place(place))?;
    }
    place_control(destination, control)?;
    Ok(Restored {
        plan,
        file_count,
        verified,
        configuration,
        damage,
    })
}

/// More than any label has.
const MOST_LABEL_BYTES: u64 = 1024 * 1024;

/// Where the restored backup begins: by the label in its archives, which PostgreSQL goes by, or
/// where there is none, by its record.
///
/// # Errors
/// When the label is not this backup's.
fn begins_of(plan: &RestorePlan, destination: &Place) -> Result<Vec<Lsn>, RestoreError> {
    let mut text = Vec::new();
    let label = destination.file(b"backup_label");
    let label = label.and_then(|label| label.take(MOST_LABEL_BYTES).read_to_end(&mut text));
    let label = label.ok().map(|_| text);
    let label = label.and_then(|text| backup_label::parse(&String::from_utf8_lossy(&text)).ok());
    let Some(label) = label.map(|label| label.start_lsn) else {
        return Ok(plan.begins.clone());
    };
    match plan.begins.first() {
        Some(record) if !plan.begins.contains(&label) => {
            let record = *record;
            Err(RestoreError::OtherBackup { label, record })
        }
        _ => Ok(vec![label]),
    }
}

/// A standby has the manifest of the pg_basebackup that made it, and Barman archives that.
fn tell_foreign_manifest(begin: Option<Lsn>, progress: &dyn Progress) {
    progress.event(Event::Warning(Warning::ForeignManifest { begin }));
}

fn copy_second_names(
    control: &HeldControl,
    noted: &Noted,
    claim: &Claim,
    world: &RestoreWorld,
) -> Result<(), RestoreError> {
    let copying = Copying {
        claim,
        control: Some(control),
        written: &noted.written,
        progress: &*world.progress,
    };
    let copied = noted.second_names.copy_all(&copying);
    copied.map(drop).map_err(|source| RestoreError::Extract {
        object: "the archives".to_owned(),
        source,
    })
}

/// Pages are judged by their places in files: that takes the usual lengths.
fn damage(destination: &Place, control: &ControlFile, noted: &Noted) -> Damage {
    let is_usual = control.page_size as usize == PAGE_SIZE
        && control.pages_per_file == PAGES_PER_FILE
        && control.data_checksum_version != 0;
    let found = noted
        .pages
        .finish(|fork| destination.file(fork.as_bytes()).is_ok());
    if is_usual { found } else { Damage::default() }
}

/// Each directory belongs to the server, also where its archive has no member for it.
fn own(plan: &RestorePlan, claim: &Claim, world: &RestoreWorld) -> Result<(), RestoreError> {
    let destination = claim.destination();
    let asked = || failed("look into", destination.path());
    let top = destination.stat().map_err(asked())?;
    let mut owner = (top.st_uid, top.st_gid);
    if let Ok(version) = destination.file(b"PG_VERSION") {
        let version = rustix::fs::fstat(&version);
        let version = version.map_err(|errno| asked()(errno.into()))?;
        if top.st_uid == 0 && version.st_uid != 0 {
            owner = (version.st_uid, version.st_gid);
            let given = destination.give_to(owner);
            given.map_err(failed("give away", destination.path()))?;
        }
    }
    for link in &plan.links {
        let place = claim.place(&link.location);
        let made = place.look_like(destination);
        made.map_err(failed("give away", &link.location))?;
        if let Some(inside) = plan.inside.get(&link.oid) {
            own_above(destination, inside)?;
        }
    }
    if is_root() && Accounts::default().user_name(owner.0).is_none() {
        let warning = Warning::UnknownAccount { id: owner.0 };
        world.progress.event(Event::Warning(warning));
    }
    Ok(())
}

/// Directories between the destination and a tablespace in it, if no archive had them.
fn own_above(destination: &Place, inside: &Path) -> Result<(), RestoreError> {
    let top = destination.stat();
    let top = top.map_err(failed("look into", destination.path()))?;
    let parents = inside.ancestors().skip(1);
    for path in parents.filter(|path| !path.as_os_str().is_empty()) {
        let full = destination.path().join(path);
        let text = path.to_string_lossy();
        let own = || -> io::Result<()> {
            let directory = destination.directory(&text)?;
            match rustix::fs::fstat(&directory)?.st_uid {
                0 if top.st_uid != 0 => super::place::look_like(&directory, &top),
                _ => Ok(()),
            }
        };
        own().map_err(failed("give away", &full))?;
    }
    Ok(())
}

/// Links come from the backup's record, never from an archive.
fn link_tablespaces(plan: &RestorePlan, destination: &Place) -> Result<(), RestoreError> {
    for link in &plan.links {
        let directory = make_directory(destination, "pg_tblspc")?;
        let name = link.oid.to_string();
        let path = plan.destination.join("pg_tblspc").join(&name);
        let made = link_in(&directory, &name, &link.location);
        made.map_err(failed("link the tablespace", &path))?;
    }
    Ok(())
}

/// One call flushes the whole file system: a million files need no million calls. The name of the
/// directory is in the same one, if it is new.
fn flush(place: &Place) -> Result<(), RestoreError> {
    let flushed = rustix::fs::syncfs(place);
    flushed.map_err(|errno| failed("flush", place.path())(errno.into()))
}

fn place_control(destination: &Place, control: &HeldControl) -> Result<(), RestoreError> {
    let path = destination.path().join("global/pg_control");
    let directory = make_directory(destination, "global")?;
    let owner = destination
        .stat()
        .map_err(failed("look into", destination.path()))?;
    let looks = Looks {
        mode: control.mode,
        owner: is_root().then_some((owner.st_uid, owner.st_gid)),
    };
    let written = write_durably_in(
        std::os::fd::AsFd::as_fd(&directory),
        "pg_control",
        &control.content,
        looks,
    );
    written.map_err(failed("write", &path))
}
