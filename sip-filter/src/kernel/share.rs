//! Read access to an instance's maps for a group. Links and programs stay their owner's: opening a link
//! takes write access, with which it can be detached, and whoever has a program can attach it elsewhere.

use anyhow::Result;
use sip_filter_common::abi::map;

use super::Instance;
use crate::access;

/// Has the group with this number read the maps of an instance that is attached, or nobody but their
/// owner; what the operator should know, if anything.
///
/// # Errors
///
/// When they cannot be given to the group.
pub fn share(instance: &Instance, group: Option<u32>) -> Result<Option<String>> {
    for name in map::PINNED {
        access::let_read(&instance.map(name), group)?;
    }
    access::let_list(instance.dir(), group)?;
    let Some(group) = group else { return Ok(None) };
    if let Some(parent) = instance.dir().parent() {
        access::let_pass(parent)?;
    }
    let bpffs = instance.bpffs();
    Ok((!access::passes(bpffs, group)?).then(|| {
        let bpffs = bpffs.display();
        format!(
            "the group may read, but cannot get there through {bpffs}: chmod o+x {bpffs}, after each \
             boot, or name another BPF file system with --bpffs"
        )
    }))
}
