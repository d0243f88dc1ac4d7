//! Becoming the account that `barman_user` names, for a process that root started.
//!
//! Everything that Barman keeps belongs to that account; what root left there it could not read.

use std::ffi::CString;
use std::path::PathBuf;

use nix::errno::Errno;
use nix::unistd::{User, geteuid, initgroups, setgid, setuid};

/// Why this process cannot be that account.
#[derive(Debug, thiserror::Error)]
pub enum RunAsError {
    #[error("the account {0}, which barman_user names, does not exist")]
    Unknown(String),
    #[error("this must be run as {wanted}, which barman_user names, and it runs as {found}")]
    NotAllowed { wanted: String, found: String },
    #[error("cannot become {user}: {cause}")]
    Failed { user: String, cause: Errno },
}

/// Becomes the account, unless we are it. Gives its home directory.
///
/// # Errors
/// When there is no such account, or we are another one than root.
pub fn become_user(name: &str) -> Result<PathBuf, RunAsError> {
    let unknown = || RunAsError::Unknown(name.to_owned());
    let user = User::from_name(name).ok().flatten().ok_or_else(unknown)?;
    let current = geteuid();
    if current == user.uid {
        return Ok(user.dir);
    }
    if !current.is_root() {
        let found = User::from_uid(current).ok().flatten();
        return Err(RunAsError::NotAllowed {
            wanted: name.to_owned(),
            found: found.map_or_else(|| current.to_string(), |user| user.name),
        });
    }
    let failed = |cause| RunAsError::Failed {
        user: name.to_owned(),
        cause,
    };
    let c_name = CString::new(name).map_err(|_| unknown())?;
    // The user last: afterwards the others could not be changed any more.
    initgroups(&c_name, user.gid).map_err(failed)?;
    setgid(user.gid).map_err(failed)?;
    setuid(user.uid).map_err(failed)?;
    Ok(user.dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn we_may_be_who_we_are_and_nobody_who_does_not_exist() {
        let us = User::from_uid(geteuid()).unwrap().unwrap();
        assert_eq!(become_user(&us.name).unwrap(), us.dir);
        let unknown = become_user("no such account").unwrap_err().to_string();
        assert!(unknown.contains("does not exist"), "{unknown}");
    }
}
