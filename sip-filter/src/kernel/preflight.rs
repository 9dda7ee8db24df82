//! What must be true before anything is loaded, asked for beforehand so that the answer can
//! say what to do.

use std::{ffi::CString, fs, io, mem::MaybeUninit, os::unix::ffi::OsStrExt, path::Path};

use anyhow::{Context, Result, bail};

use super::privileges;

/// The oldest kernel that the program is made for.
const OLDEST: (u32, u32) = (5, 10);
/// The oldest kernel that has tcx.
const OLDEST_WITH_TCX: (u32, u32) = (6, 6);

/// The kernel is new enough, the process may load programs, and there is a place for pins.
pub(super) fn attach(bpffs_at: &Path) -> Result<()> {
    load()?;
    bpffs(bpffs_at)
}

/// The kernel is new enough and the process may load programs.
pub(super) fn load() -> Result<()> {
    let (major, minor) = OLDEST;
    let release = release()?;
    if !reaches(&release, OLDEST) {
        bail!("this kernel is {release}; sip-filter needs Linux {major}.{minor} or later");
    }
    privileges::check()
}

/// The kernel has tcx.
pub(super) fn tcx() -> Result<()> {
    let (major, minor) = OLDEST_WITH_TCX;
    let release = release()?;
    if !reaches(&release, OLDEST_WITH_TCX) {
        bail!(
            "this kernel is {release}; tcx needs Linux {major}.{minor} or later: \
             use --mode auto, native or skb"
        );
    }
    Ok(())
}

/// Whether it has, for what an error says.
pub(super) fn has_tcx() -> bool {
    tcx().is_ok()
}

/// The kernel's release.
fn release() -> Result<String> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease")
        .context("cannot read /proc/sys/kernel/osrelease")?;
    Ok(release.trim().to_owned())
}

/// Whether a release is not older than this version. What cannot be read is not too old: the kernel
/// has the last word.
fn reaches(release: &str, oldest: (u32, u32)) -> bool {
    version(release).is_none_or(|version| version >= oldest)
}

/// The first two numbers of a kernel's release, as in `6.1.0-42-amd64` and `7.3-rc7`.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Whether something was refused for want of privileges.
pub(super) fn is_denied(error: &anyhow::Error) -> bool {
    denied(error).is_some()
}

/// What to do where something was refused for want of privileges.
pub(super) fn denied(error: &anyhow::Error) -> Option<&'static str> {
    let mut causes = error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>());
    causes.find_map(|cause| match cause.raw_os_error() {
        Some(libc::EACCES) => Some(
            "run as root (sudo sip-filter …), or as a member of the group that may read it \
             (attach --group)",
        ),
        Some(libc::EPERM) => Some(
            "run as root (sudo sip-filter …); before Linux 5.19 the group that may read it needs \
             CAP_BPF, too, or sysctl kernel.unprivileged_bpf_disabled=0",
        ),
        _ => None,
    })
}

/// `path` is on a BPF file system.
pub(super) fn bpffs(path: &Path) -> Result<()> {
    let next = format!(
        "mount one (mount -t bpf bpf {}) or name another with --bpffs",
        path.display()
    );
    let c_path = CString::new(path.as_os_str().as_bytes())
        .with_context(|| format!("{} cannot be a path", path.display()))?;
    let mut info = MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: the path ends in a zero byte, and `info` is large enough for what is written.
    if unsafe { libc::statfs(c_path.as_ptr(), info.as_mut_ptr()) } != 0 {
        let error = io::Error::last_os_error();
        bail!("no BPF file system at {}: {error}; {next}", path.display());
    }
    // SAFETY: `statfs` succeeded, so it has filled `info`.
    let kind = unsafe { info.assume_init() }.f_type;
    if kind != libc::BPF_FS_MAGIC as libc::__fsword_t {
        bail!("{} is not a BPF file system; {next}", path.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_begin_with_two_numbers() {
        for (release, numbers) in [
            ("6.1.0-42-amd64", Some((6, 1))),
            ("7.3-rc7-cloud-amd64", Some((7, 3))),
            ("5.10.0", Some((5, 10))),
            ("next", None),
            ("", None),
        ] {
            assert_eq!(version(release), numbers, "{release}");
        }
        assert!(!reaches("5.9.16", OLDEST) && reaches("5.10.1", OLDEST));
        assert!(!reaches("6.1.0-42-amd64", OLDEST_WITH_TCX));
        assert!(reaches("6.6.0", OLDEST_WITH_TCX) && reaches("next", OLDEST_WITH_TCX));
    }
}
