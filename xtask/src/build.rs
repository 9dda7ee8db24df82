//! Builds the eBPF objects and the loader. The objects are compiled for another target by
//! another rustc, and handed over as files in the directory that SIP_FILTER_EBPF_DIR names:
//! the loader's build script, the tests and the benchmarks take them from there.

use std::{
    ffi::OsStr,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::{
    bpf_rustc::{BpfRustc, TARGET},
    command,
    setup::{self, Purpose},
    workspace::Workspace,
};

/// The binaries of sip-filter-ebpf.
const EBPF_OBJECTS: [&str; 2] = ["sip-filter", "empty"];

/// What `cargo xtask build` does.
pub fn all(workspace: &Workspace, release: bool) -> Result<()> {
    let bpf_rustc = setup::prepare(workspace, Purpose::Build)?;
    ebpf(workspace, &bpf_rustc)?;
    loader(workspace, release)
}

/// Builds the loader around the eBPF objects that are there.
pub fn loader(workspace: &Workspace, release: bool) -> Result<()> {
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--package", "sip-filter"]);
    if release {
        cargo.arg("--release");
    }
    command::run(&mut cargo)
}

/// Builds the eBPF objects, and replaces those that changed.
pub fn ebpf(workspace: &Workspace, bpf_rustc: &BpfRustc) -> Result<()> {
    let target = workspace.ebpf_target();
    command::run(&mut ebpf_cargo(workspace, bpf_rustc, &target)?)?;
    for object in EBPF_OBJECTS {
        let built = target.join(TARGET).join("release").join(object);
        replace_if_changed(&built, &workspace.ebpf_objects().join(object))?;
    }
    Ok(())
}

fn ebpf_cargo(workspace: &Workspace, bpf_rustc: &BpfRustc, target: &Path) -> Result<Command> {
    // BTF is made from the debug information.
    let mut flags = ["-C", "debuginfo=2", "-C", "link-arg=--btf"]
        .map(str::to_owned)
        .to_vec();
    flags.extend(workspace.without_paths(&bpf_rustc.rustc)?);
    let mut cargo = workspace.cargo();
    cargo
        .args([
            "build",
            "--package",
            "sip-filter-ebpf",
            "--release",
            "--target",
            TARGET,
        ])
        .arg("--target-dir")
        .arg(target)
        .env("RUSTC", &bpf_rustc.rustc)
        // The target is a tier 3 one, and aya-ebpf uses unstable features for it.
        .env("RUSTC_BOOTSTRAP", "1")
        .env(
            "CARGO_TARGET_BPFEL_UNKNOWN_NONE_LINKER",
            workspace.bpf_linker(),
        )
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
    if bpf_rustc.build_std {
        cargo.args(["-Z", "build-std=core"]);
    }
    if let Some(llvm) = llvm_of(&bpf_rustc.rustc) {
        cargo.env("LD_LIBRARY_PATH", folder_with(&llvm, &workspace.tools())?);
    }
    Ok(cargo)
}

/// The LLVM that this rustc is linked with, as the dynamic linker finds it.
fn llvm_of(rustc: &Path) -> Option<PathBuf> {
    let libraries = command::read(Command::new("ldd").arg(rustc)).ok()?;
    libraries.lines().find_map(|line| {
        // libLLVM.so.22.1 => /lib/x86_64-linux-gnu/libLLVM.so.22.1 (0x00007f5dde200000)
        let (name, place) = line.trim().split_once(" => ")?;
        let path = place.split_whitespace().next()?;
        name.starts_with("libLLVM").then(|| path.into())
    })
}

/// bpf-linker opens the first libLLVM that it meets in the folders of LD_LIBRARY_PATH and PATH,
/// of whatever version, and rustc's own folder is in neither. A distribution's holds several
/// versions at that. So it is given a folder in which the right one stands alone.
fn folder_with(llvm: &Path, tools: &Path) -> Result<PathBuf> {
    let folder = tools.join("llvm");
    let link = folder.join("libLLVM.so");
    if fs::read_link(&link).is_ok_and(|existing| existing == llvm) {
        return Ok(folder);
    }
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    replace(&link, |new| symlink(llvm, new))?;
    Ok(folder)
}

/// An object that did not change keeps its time, so cargo does not build the loader again.
fn replace_if_changed(built: &Path, handed_over: &Path) -> Result<()> {
    let object = fs::read(built).with_context(|| format!("cannot read {}", built.display()))?;
    if fs::read(handed_over).is_ok_and(|existing| existing == object) {
        return Ok(());
    }
    let folder = handed_over.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    replace(handed_over, |new| fs::write(new, &object))
}

/// Makes the file beside its place and moves it there, so that nobody reads half of it.
fn replace(place: &Path, make: impl FnOnce(&Path) -> std::io::Result<()>) -> Result<()> {
    let extension = format!("new-{}", std::process::id());
    let new = place.with_extension(OsStr::new(&extension));
    make(&new)
        .and_then(|()| fs::rename(&new, place))
        .with_context(|| format!("cannot write {}", place.display()))
}
