//! Starts the demo, a binary of the tests package: it knows how to lay out namespaces and to
//! send real tools' traffic through them.

use std::ffi::OsString;

use anyhow::Result;

use crate::{
    build, command, privilege,
    setup::{self, Purpose},
    test::LOADER_VARIABLE,
    workspace::Workspace,
};

/// What `cargo xtask demo` does.
pub fn start(workspace: &Workspace, arguments: &[OsString]) -> Result<()> {
    privilege::require_root()?;
    let bpf_rustc = setup::prepare(workspace, Purpose::Demo)?;
    build::ebpf(workspace, &bpf_rustc)?;
    build::loader(workspace, true)?;
    let mut cargo = workspace.cargo();
    cargo
        .args([
            "run",
            "--release",
            "--package",
            "sip-filter-tests",
            "--bin",
            "demo",
        ])
        .env(LOADER_VARIABLE, workspace.release_loader());
    command::run(
        privilege::run_as_root(&mut cargo)?
            .arg("--")
            .args(arguments),
    )
}
