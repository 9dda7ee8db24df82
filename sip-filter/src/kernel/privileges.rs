//! Capabilities (capabilities(7)): which ones loading needs, and giving up all others.

use std::{fmt, io};

use anyhow::{Context, Result, bail};
use caps::{CapSet, Capability, CapsHashSet};

/// What loading, attaching and attaching again need. CAP_PERFMON is for the verifier: without it, no
/// program may add to a packet's address what it has read from the packet (`sanitize_ptr_alu` in
/// kernel/bpf/verifier.c, against speculation), so none can find what is behind an IPv4 header.
const NEEDED: [Capability; 3] = [
    Capability::CAP_BPF,
    Capability::CAP_NET_ADMIN,
    Capability::CAP_PERFMON,
];
/// What stands for all of them in the kernel's eyes.
const INSTEAD: Capability = Capability::CAP_SYS_ADMIN;

/// The process may load and attach programs.
pub(super) fn check() -> Result<()> {
    let effective = caps::read(None, CapSet::Effective).context("cannot read the capabilities")?;
    if is_enough(&effective) {
        return Ok(());
    }
    bail!(
        "no privileges to load a program into the kernel: \
         run as root (sudo sip-filter …) or with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON"
    )
}

fn is_enough(held: &CapsHashSet) -> bool {
    held.contains(&INSTEAD) || NEEDED.iter().all(|needed| held.contains(needed))
}

/// What a process has kept of its capabilities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept(Vec<Capability>);

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&names.join(", "))
    }
}

/// Gives up, for good, every capability of this thread and of those that it starts from now on but
/// what it takes to load and attach again; neither can a program that it starts gain any.
///
/// # Errors
///
/// When the kernel refuses it; some may be given up then.
pub fn give_up_others() -> Result<Kept> {
    let kept = to_keep(&caps::read(None, CapSet::Permitted)?);
    let wanted: CapsHashSet = kept.iter().copied().collect();
    // Without this one the set that bounds others stays as it is; nothing can be gained from it.
    if caps::has_cap(None, CapSet::Effective, Capability::CAP_SETPCAP)? {
        for bound in caps::read(None, CapSet::Bounding)?.difference(&wanted) {
            caps::drop(None, CapSet::Bounding, *bound)?;
        }
    }
    gain_nothing().context("cannot set no_new_privs")?;
    // Also empties the ambient set, which is a part of this one.
    caps::clear(None, CapSet::Inheritable)?;
    caps::set(None, CapSet::Effective, &wanted)?;
    caps::set(None, CapSet::Permitted, &wanted)?;
    Ok(Kept(kept))
}

/// Those of what is held that are needed.
fn to_keep(held: &CapsHashSet) -> Vec<Capability> {
    let mut kept = NEEDED.to_vec();
    kept.retain(|needed| held.contains(needed));
    if kept.len() < NEEDED.len() && held.contains(&INSTEAD) {
        kept.push(INSTEAD);
    }
    kept
}

/// No program that is started from here gains privileges (PR_SET_NO_NEW_PRIVS in prctl(2)).
fn gain_nothing() -> io::Result<()> {
    // SAFETY: a system call without pointers.
    match unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Capability::{CAP_BPF, CAP_CHOWN, CAP_NET_ADMIN, CAP_PERFMON, CAP_SYS_ADMIN};

    #[test]
    fn three_are_enough_and_what_stands_for_them_is_kept_only_where_one_is_missing() {
        for (held, is_enough_, kept) in [
            (
                vec![
                    CAP_BPF,
                    CAP_CHOWN,
                    CAP_NET_ADMIN,
                    CAP_PERFMON,
                    CAP_SYS_ADMIN,
                ],
                true,
                vec![CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON],
            ),
            (
                vec![CAP_NET_ADMIN, CAP_SYS_ADMIN],
                true,
                vec![CAP_NET_ADMIN, CAP_SYS_ADMIN],
            ),
            (
                vec![CAP_BPF, CAP_NET_ADMIN],
                false,
                vec![CAP_BPF, CAP_NET_ADMIN],
            ),
            (vec![CAP_CHOWN], false, vec![]),
        ] {
            let held: CapsHashSet = held.into_iter().collect();
            assert_eq!(is_enough(&held), is_enough_, "{held:?}");
            assert_eq!(to_keep(&held), kept, "{held:?}");
        }
    }
}
