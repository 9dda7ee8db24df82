//! Starts the loader that this checkout builds, as root, in the folder that the user is in.

use std::ffi::OsString;

use anyhow::Result;

use crate::{
    build, command, privilege,
    setup::{self, Purpose},
    workspace::Workspace,
};

/// Builds in the release profile and becomes `sip-filter ARGUMENTS`.
pub fn loader(workspace: &Workspace, arguments: &[OsString]) -> Result<()> {
    privilege::require_root()?;
    let bpf_rustc = setup::prepare(workspace, Purpose::Run)?;
    build::ebpf(workspace, &bpf_rustc)?;
    build::loader(workspace, true)?;
    let mut sip_filter = privilege::as_root(workspace.release_loader())?;
    Err(command::become_command(sip_filter.args(arguments)))
}
