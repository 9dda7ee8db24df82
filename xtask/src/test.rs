//! Runs every test of the workspace: the loader is built first and its path handed over, so
//! that the end-to-end tests drive the binary that users get. They make their own network
//! namespaces and need root for it; compiling them does not. Then come some arbitrary bytes, in
//! continuous integration the package, which takes minutes to build, and last the tests on other kernels.

use std::ffi::OsString;

use anyhow::Result;

use crate::{
    build, ci, command, dist, fuzz, lint, privilege,
    setup::{self, Purpose},
    vm,
    workspace::Workspace,
};

/// The variable in which the tests and the demo find the loader to drive.
pub const LOADER_VARIABLE: &str = "SIP_FILTER_BIN";

/// What `cargo xtask test` does. `arguments` are those of `cargo test`; with any, only what
/// cargo runs is tested.
pub fn all(workspace: &Workspace, arguments: &[OsString]) -> Result<()> {
    privilege::require_root()?;
    if ci::is_here() {
        lint::formatting(workspace)?;
    }
    let bpf_rustc = setup::prepare(workspace, Purpose::Test)?;
    build::ebpf(workspace, &bpf_rustc)?;
    if ci::is_here() {
        lint::clippy(workspace)?;
    }
    build::loader(workspace, true)?;
    let mut cargo = workspace.cargo();
    cargo
        .args(["test", "--workspace", "--exclude", "sip-filter-ebpf"])
        .env(LOADER_VARIABLE, workspace.release_loader());
    command::run(privilege::run_as_root(&mut cargo)?.args(arguments))?;
    if arguments.is_empty() {
        fuzz::briefly(workspace)?;
        if ci::is_here() {
            dist::test(workspace)?;
        }
        vm::all(workspace, &vm::Options::default())?;
    }
    Ok(())
}
