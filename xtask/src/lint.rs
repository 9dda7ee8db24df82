//! Formatting and clippy, every warning an error. The eBPF crate is only checked for its
//! formatting: clippy comes with the pinned compiler, which has no `core` for that target.

use anyhow::{Context as _, Result};

use crate::{
    build, command,
    setup::{self, Purpose},
    workspace::Workspace,
};

/// What `cargo xtask lint` does.
pub fn all(workspace: &Workspace) -> Result<()> {
    formatting(workspace)?;
    let bpf_rustc = setup::prepare(workspace, Purpose::Build)?;
    build::ebpf(workspace, &bpf_rustc)?;
    clippy(workspace)
}

/// Checks the formatting of every package.
pub fn formatting(workspace: &Workspace) -> Result<()> {
    let mut packages = workspace.cargo();
    packages.args(["fmt", "--all", "--check"]);
    let mut fuzz_target = workspace.cargo();
    fuzz_target
        .args(["fmt", "--check", "--manifest-path"])
        .arg(workspace.fuzz_manifest());
    [packages, fuzz_target]
        .iter_mut()
        .try_for_each(command::run)
        .context("formatting differs; run `cargo fmt --all`, or if cargo has no fmt `rustup component add rustfmt`")
}

/// Runs clippy on all but the eBPF crate; the loader's build script needs its objects.
pub fn clippy(workspace: &Workspace) -> Result<()> {
    let mut packages = workspace.cargo();
    packages.args([
        "clippy",
        "--workspace",
        "--exclude",
        "sip-filter-ebpf",
        "--all-targets",
    ]);
    // Without its feature, so that no C++ is compiled.
    let mut fuzz_target = workspace.cargo();
    fuzz_target
        .args(["clippy", "--manifest-path"])
        .arg(workspace.fuzz_manifest())
        .env("CARGO_TARGET_DIR", workspace.fuzz_build());
    [packages, fuzz_target]
        .iter_mut()
        .try_for_each(|clippy| command::run(clippy.args(["--", "--deny", "warnings"])))
        .context("clippy objects; if cargo has no clippy, run `rustup component add clippy`")
}
