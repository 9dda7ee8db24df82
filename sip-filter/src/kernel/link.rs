//! What a pinned link is attached to, for whoever may open it and for whoever may only see that it is
//! there.

use std::{os::fd::AsFd as _, path::Path};

use anyhow::Result;

use super::{
    Hook, Instance,
    instance::program,
    interface::{name_of, xdp},
    preflight::is_denied,
    syscall::{self, Link},
};

/// Asks the kernel for the link. Who may not open it is told what is on the interface that it was made
/// for.
pub(super) fn look(pin: &Path) -> Result<Link> {
    match syscall::open_pin(pin) {
        Ok(link) => syscall::link(link.as_fd()),
        Err(error) if is_denied(&error) => from_outside(pin),
        Err(error) => Err(error),
    }
}

/// What is at tcx ingress is not told to everybody: of a link there, no program is known.
fn from_outside(pin: &Path) -> Result<Link> {
    let ifindex = Instance::ifindex_of(pin).filter(|ifindex| name_of(*ifindex).is_some());
    let has_xdp = pin.with_file_name(program(Hook::Xdp)).exists();
    let found = ifindex.filter(|_| has_xdp).map(xdp).transpose()?.flatten();
    Ok(Link {
        hook: if has_xdp { Hook::Xdp } else { Hook::Tcx },
        program: found.map_or(0, |found| found.program),
        ifindex: ifindex.unwrap_or(0),
    })
}
