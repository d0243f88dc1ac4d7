//! `barman install-links DIR`: the other names of the program, as symbolic links to it.

use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::failure::{Failure, Kind};
use crate::program::Program;

/// Links every name in a directory to this executable. A link that is right already is left alone;
/// anything else of that name is never replaced.
pub fn install_links(programs: &[Program], directory: &Path) -> Result<(), Failure> {
    let program = std::env::current_exe()
        .map_err(|error| failed("find the running program", Path::new("barman"), &error))?;
    for other in programs {
        let link = directory.join(other.name);
        if link == program {
            continue;
        }
        match symlink(&program, &link) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                keep_if_ours(&link, &program)?;
            }
            Err(error) => return Err(failed("create", &link, &error)),
        }
    }
    Ok(())
}

fn keep_if_ours(link: &Path, program: &Path) -> Result<(), Failure> {
    let target = std::fs::canonicalize(link).ok();
    if target.is_some_and(|target| std::fs::canonicalize(program).is_ok_and(|own| own == target)) {
        return Ok(());
    }
    Err(Failure::new(
        Kind::Failed,
        format!(
            "cannot create {}: it exists and is not this program",
            link.display()
        ),
    )
    .with_hint("Move it away, or choose another directory that comes first in PATH."))
}

fn failed(verb: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::new(
        Kind::Failed,
        format!("cannot {verb} {}: {error}", path.display()),
    )
}
