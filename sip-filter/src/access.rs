//! Read access for a group: to the kernel's maps and to what is kept in files. Whoever owns them gives
//! it, again each time that something is made anew, and takes it back.

use std::{
    fs::{self, Permissions},
    io,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
};

use anyhow::{Context, Result, anyhow};
use nix::unistd::{Gid, getegid, getgroups, setgroups};

/// Permissions of the owner, of the group and of others, as in chmod(1).
const OWNER: u32 = 0o700;
const GROUP_READS: u32 = 0o040;
const GROUP_WRITES: u32 = 0o020;
const GROUP_PASSES: u32 = 0o010;
const ALL_PASS: u32 = 0o011;

/// Has the group with this number read a file, or nobody but the owner who could before by
/// [`let_read`]. A file that is not there is fine.
///
/// # Errors
///
/// When the process may not give it to the group, as for all that follow.
pub fn let_read(file: &Path, group: Option<u32>) -> Result<()> {
    give(file, group, GROUP_READS)
}

/// The same of a socket, to which the group may connect.
pub fn let_connect(socket: &Path, group: Option<u32>) -> Result<()> {
    give(socket, group, GROUP_READS | GROUP_WRITES)
}

/// The same of a folder, and of nothing in it.
pub fn let_list(folder: &Path, group: Option<u32>) -> Result<()> {
    give(folder, group, GROUP_READS | GROUP_PASSES)
}

/// Has everybody pass a folder who knows what is in it.
pub fn let_pass(folder: &Path) -> Result<()> {
    let mode = || -> io::Result<()> {
        let mode = fs::metadata(folder)?.mode();
        set_mode(folder, mode, mode | ALL_PASS)
    };
    mode().with_context(|| format!("cannot have others pass {}", folder.display()))
}

/// Whether the group can pass a folder.
///
/// # Errors
///
/// When it is not there.
pub fn passes(folder: &Path, group: u32) -> io::Result<bool> {
    let folder = fs::metadata(folder)?;
    let bit = match folder.gid() == group {
        true => GROUP_PASSES,
        false => ALL_PASS & !GROUP_PASSES,
    };
    Ok(folder.mode() & bit != 0)
}

/// Joins a group, so that what is made later can be given to it without the privilege to give it to any.
///
/// # Errors
///
/// When the process is not in it and may not join it.
pub fn join(group: u32) -> Result<()> {
    let join = || -> nix::Result<()> {
        let group = Gid::from_raw(group);
        let mut groups = getgroups()?;
        if getegid() == group || groups.contains(&group) {
            return Ok(());
        }
        groups.push(group);
        setgroups(&groups)
    };
    join().with_context(|| format!("cannot join the group {group}"))
}

fn give(path: &Path, group: Option<u32>, bits: u32) -> Result<()> {
    let before = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        before => before.with_context(|| format!("cannot look at {}", path.display()))?,
    };
    let own = getegid().as_raw();
    let (owner, wanted) = match group {
        Some(group) => (group, before.mode() & OWNER | bits),
        // What was never given needs not be taken back.
        None if before.gid() == own => return Ok(()),
        None => (own, before.mode() & OWNER),
    };
    let give = || -> io::Result<()> {
        // Nobody may read in between who may not afterwards.
        if before.gid() != owner {
            set_mode(path, before.mode(), before.mode() & OWNER)?;
            std::os::unix::fs::chown(path, None, Some(owner))?;
        }
        set_mode(path, fs::metadata(path)?.mode(), wanted)
    };
    give().map_err(|error| {
        let next = match error.kind() {
            io::ErrorKind::PermissionDenied => {
                "; be root, or in that group (SupplementaryGroups= of the service)"
            }
            _ => "",
        };
        let path = path.display();
        anyhow!(error).context(format!("cannot give {path} to the group {owner}{next}"))
    })
}

fn set_mode(path: &Path, before: u32, mode: u32) -> io::Result<()> {
    let bits = |mode: u32| mode & 0o7777;
    match bits(before) == bits(mode) {
        true => Ok(()),
        false => fs::set_permissions(path, Permissions::from_mode(bits(mode))),
    }
}
