//! Finds the rustc that can compile for BPF. No toolchain that rustup installs brings `core`
//! for that target, so it is either built from rust-src along with the program, or taken from
//! a distribution's rustc that ships it. Gives the rustc; the build is left to `build`.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Result, bail};

use crate::{apt::Apt, command, workspace::Workspace};

/// The eBPF target, for little-endian hosts.
pub const TARGET: &str = "bpfel-unknown-none";

/// Where Debian installs its rustc, with rustup before it on PATH or not.
const DISTRIBUTION_RUSTC: &str = "/usr/bin/rustc";

/// rustc and the `core` that goes with it: up to Debian 13, and after.
const DEBIAN_PACKAGES: [[&str; 2]; 2] = [
    ["rustc-web", "libstd-rust-web-dev-bpf"],
    ["rustc", "libstd-rust-dev-bpf"],
];

/// rust-src is 3 MB; a network that is slower than this is one that rustup cannot reach.
const RUSTUP_LIMIT: Duration = Duration::from_secs(20);

/// A rustc that compiles for BPF, and where its `core` comes from.
pub struct BpfRustc {
    /// The compiler itself, never rustup's proxy for it.
    pub rustc: PathBuf,
    /// Whether cargo has to build `core` from rust-src.
    pub build_std: bool,
}

/// Finds a rustc that is there, or installs what it lacks.
pub fn find_or_install(workspace: &Workspace) -> Result<BpfRustc> {
    if let Some(found) = find(workspace) {
        return Ok(found);
    }
    if command::on_path("rustup").is_some() {
        eprintln!("setup: adding rust-src by rustup");
        let mut rustup = Command::new("rustup");
        rustup
            .args(["component", "add", "rust-src"])
            .stdout(io::stderr());
        match command::run_within(&mut rustup, RUSTUP_LIMIT) {
            Ok(()) => {
                if let Some(found) = find(workspace) {
                    return Ok(found);
                }
            }
            Err(error) => eprintln!("setup: {error:#}; trying the distribution's packages"),
        }
    }
    if let Some(apt) = Apt::find() {
        for packages in DEBIAN_PACKAGES {
            if !packages.iter().all(|package| apt.offers(package)) {
                continue;
            }
            match apt.install(&packages) {
                Ok(()) => {
                    if let Some(found) = find(workspace) {
                        return Ok(found);
                    }
                }
                Err(error) => eprintln!("setup: {error:#}"),
            }
        }
    }
    let [web, plain] = DEBIAN_PACKAGES.map(|packages| packages.join(" "));
    bail!(
        "no rustc here has `core` for {TARGET}: run `rustup component add rust-src`, or as root \
         `apt-get install {web}` (from Debian 14 on `apt-get install {plain}`)"
    )
}

fn find(workspace: &Workspace) -> Option<BpfRustc> {
    let pinned = workspace.cargo_path().with_file_name("rustc");
    let candidates = [pinned, DISTRIBUTION_RUSTC.into()];
    let sysroots: Vec<_> = candidates
        .into_iter()
        .filter_map(|rustc| Some((sysroot(&rustc)?, rustc)))
        .collect();
    // The pinned compiler goes first; its rust-src also before a distribution's `core`.
    sysroots.into_iter().find_map(|(sysroot, rustc)| {
        let build_std = if has_rust_src(&sysroot) {
            true
        } else if has_bpf_core(&sysroot) && is_recent_enough(&rustc) {
            false
        } else {
            return None;
        };
        Some(BpfRustc { rustc, build_std })
    })
}

fn sysroot(rustc: &Path) -> Option<PathBuf> {
    if !rustc.is_file() {
        return None;
    }
    let printed = command::read(Command::new(rustc).args(["--print", "sysroot"])).ok()?;
    Some(printed.trim_end().into())
}

fn has_rust_src(sysroot: &Path) -> bool {
    sysroot
        .join("lib/rustlib/src/rust/library/core/Cargo.toml")
        .is_file()
}

fn has_bpf_core(sysroot: &Path) -> bool {
    let libraries = sysroot.join("lib/rustlib").join(TARGET).join("lib");
    fs::read_dir(libraries).is_ok_and(|files| {
        files.flatten().any(|file| {
            let name = file.file_name();
            let name = name.to_string_lossy();
            name.starts_with("libcore-") && name.ends_with(".rlib")
        })
    })
}

/// Whether the workspace's rust-version admits this compiler; a Debian without its security
/// updates has an older one.
fn is_recent_enough(rustc: &Path) -> bool {
    let version = command::read(Command::new(rustc).arg("--version")).unwrap_or_default();
    minor_version(&version) >= minor_version(concat!("rustc ", env!("CARGO_PKG_RUST_VERSION")))
}

/// Reads "rustc 1.96.0 (ac68faa20 2026-05-25)" as (1, 96).
fn minor_version(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split_whitespace().nth(1)?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        let version = |text| minor_version(text);
        assert_eq!(
            version("rustc 1.96.0 (ac68faa20 2026-05-25)"),
            Some((1, 96))
        );
        assert_eq!(version("rustc 1.95"), Some((1, 95)));
        assert_eq!(version("rustc 1.97.0-nightly (2026-06-01)"), Some((1, 97)));
        assert_eq!(version("no such thing"), None);
        assert!(version("rustc 1.9.0") < version("rustc 1.95"));
        assert!(version("nothing") < version("rustc 1.95"));
    }

    #[test]
    fn the_oldest_rustc_admitted_is_written_in_the_workspace() {
        assert!(minor_version(concat!("rustc ", env!("CARGO_PKG_RUST_VERSION"))).is_some());
    }
}
