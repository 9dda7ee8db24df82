//! Brings a machine that has Rust and a C compiler to the point where everything here builds
//! and runs. Says one line for each thing it does and nothing when all is there, does nothing
//! twice, and installs what only this project needs into the checkout, never over a user's own.

use std::{fs, io, process::Command};

use anyhow::{Context as _, Result};
use clap::ValueEnum;

use crate::{
    apt::Apt,
    bpf_rustc::{self, BpfRustc},
    command, privilege,
    workspace::Workspace,
};

/// Later releases need LLVM's development files; this one uses the LLVM of rustc.
const BPF_LINKER_VERSION: &str = "0.10.3";

const BPFFS: &str = "/sys/fs/bpf";

/// The commands that the tests and the demo start, and the Debian packages that hold them.
const TOOLS: [(&str, &str); 7] = [
    ("ip", "iproute2"),
    ("svmap", "sipvicious"),
    ("svwar", "sipvicious"),
    ("svcrack", "sipvicious"),
    ("sipsak", "sipsak"),
    ("sipp", "sip-tester"),
    ("tmux", "tmux"),
];

/// What the fuzz target needs besides Rust, in the same form.
const CPP_COMPILER: [(&str, &str); 1] = [("c++", "g++")];

/// What looks at the page, in the same form. It is large, and nothing but the page's test needs it.
const BROWSER: [(&str, &str); 1] = [("chromium", "chromium")];

/// What sets a clock for one process, in the same form.
const CLOCK: [(&str, &str); 1] = [("faketime", "faketime")];

/// The package that holds Prometheus, and promtool.
const PROMETHEUS: &str = "prometheus";

/// What a machine is to be ready for. Each includes the ones before it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Purpose {
    /// Building the eBPF objects and the loader
    Build,
    /// Loading the filter, and pinning it
    Run,
    /// Sending real tools' traffic through it
    Demo,
    /// Every test: a C++ compiler, Prometheus, a browser and a clock that can be set too
    Test,
}

/// Installs what `purpose` needs and this machine lacks. Returns the compiler for the eBPF
/// objects, which it had to look for anyway.
pub fn prepare(workspace: &Workspace, purpose: Purpose) -> Result<BpfRustc> {
    let bpf_rustc = bpf_rustc::find_or_install(workspace)?;
    install_bpf_linker(workspace)?;
    if purpose >= Purpose::Run {
        mount_bpffs();
    }
    if purpose >= Purpose::Demo {
        install_tools(&TOOLS);
    }
    if purpose >= Purpose::Test {
        install_cpp_compiler();
        install_tools(&BROWSER);
        install_tools(&CLOCK);
        unpack_prometheus(workspace);
    }
    Ok(bpf_rustc)
}

fn install_bpf_linker(workspace: &Workspace) -> Result<()> {
    let installed = workspace.bpf_linker();
    if installed.is_file() {
        let version = command::read(Command::new(&installed).arg("--version"));
        if version
            .is_ok_and(|version| version.trim_end() == format!("bpf-linker {BPF_LINKER_VERSION}"))
        {
            return Ok(());
        }
    }
    eprintln!(
        "setup: building bpf-linker {BPF_LINKER_VERSION} into .tools, which takes a minute or two"
    );
    let mut cargo = workspace.cargo();
    cargo
        .args(["install", "bpf-linker", "--locked", "--force"])
        .args(["--version", BPF_LINKER_VERSION])
        .arg("--root")
        .arg(workspace.tools())
        .stdout(io::stderr());
    // The linker is a program of this machine, made by the pinned compiler; and its build
    // leaves nothing behind when cargo may choose where it is.
    for variable in [
        "RUSTC",
        "RUSTC_BOOTSTRAP",
        "CARGO_BUILD_TARGET",
        "CARGO_TARGET_DIR",
    ] {
        cargo.env_remove(variable);
    }
    command::run(&mut cargo)
        .context("bpf-linker cannot be installed; it needs the crate registry and a C compiler (apt-get install gcc libc6-dev)")
}

/// Without a bpffs the filter cannot be pinned there, but `--bpffs` may name another one: so
/// a machine that refuses the mount is told how, and goes on.
fn mount_bpffs() {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    if filesystem_at(&mounts, BPFFS) == Some("bpf") {
        return;
    }
    let mounted = match privilege::as_root_unasked("mount") {
        Some(mut mount) => command::run(mount.args(["-t", "bpf", "bpf", BPFFS])),
        None => Err(anyhow::anyhow!("mounting needs root")),
    };
    match mounted {
        Ok(()) => eprintln!("setup: mounted a bpffs at {BPFFS}"),
        Err(error) => {
            eprintln!("setup: no bpffs at {BPFFS} ({error:#}); as root: mount -t bpf bpf {BPFFS}")
        }
    }
}

/// Without one, the build of the fuzz target fails and says so.
pub fn install_cpp_compiler() {
    install_tools(&CPP_COMPILER);
}

/// Unpacked and not installed: the package would start a service.
fn unpack_prometheus(workspace: &Workspace) {
    let folder = workspace.prometheus();
    if folder.join("usr/bin/promtool").is_file() {
        return;
    }
    let unpack = || -> Result<()> {
        let apt = Apt::find().context("no apt-get here that needs no password")?;
        // What a run that was ended has left is of no use.
        let new = folder.with_extension("new");
        let _ = fs::remove_dir_all(&new);
        fs::create_dir_all(&new)?;
        let package = apt.download(PROMETHEUS, &new)?;
        command::run(
            Command::new("dpkg-deb")
                .arg("--extract")
                .args([&package, &new]),
        )?;
        fs::remove_file(&package)?;
        fs::rename(&new, &folder)?;
        Ok(())
    };
    if let Err(error) = unpack() {
        eprintln!("setup: no Prometheus ({error:#}); its tests will fail");
    }
}

/// A test whose tool is missing fails and names it; the others still run.
fn install_tools(tools: &[(&str, &str)]) {
    let missing: Vec<_> = tools
        .iter()
        .copied()
        .filter(|(tool, _)| command::on_path(tool).is_none())
        .collect();
    if missing.is_empty() {
        return;
    }
    let mut packages: Vec<_> = missing.iter().map(|&(_, package)| package).collect();
    packages.dedup();
    let installed = match Apt::find() {
        Some(apt) => apt.install(&packages),
        None => Err(anyhow::anyhow!("no apt-get here that needs no password")),
    };
    if let Err(error) = installed {
        let tools: Vec<_> = missing.iter().map(|&(tool, _)| tool).collect();
        eprintln!(
            "setup: {} not found ({error:#}); on Debian as root: apt-get install {}",
            tools.join(", "),
            packages.join(" ")
        );
    }
}

/// The type of the filesystem that is seen at `mount_point`, from the lines of
/// /proc/self/mounts (proc_pid_mounts(5)): a later mount hides an earlier one.
fn filesystem_at<'mounts>(mounts: &'mounts str, mount_point: &str) -> Option<&'mounts str> {
    mounts.lines().rev().find_map(|mount| {
        let mut fields = mount.split(' ').skip(1);
        (fields.next()? == mount_point).then(|| fields.next())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_mount_at_a_place_is_the_one_seen() {
        let sysfs = "sysfs /sys sysfs rw,relatime 0 0\n";
        let bpffs = "bpf /sys/fs/bpf bpf rw,nosuid,mode=700 0 0\n";
        let hidden = "tmpfs /sys/fs/bpf tmpfs rw 0 0\n";
        let beside = "bpf /sys/fs/bpf/other bpf rw 0 0\n";
        for (mounts, seen) in [
            ([sysfs, bpffs].concat(), Some("bpf")),
            ([sysfs, bpffs, hidden].concat(), Some("tmpfs")),
            ([sysfs, hidden, bpffs].concat(), Some("bpf")),
            ([sysfs, beside].concat(), None),
            (String::new(), None),
        ] {
            assert_eq!(filesystem_at(&mounts, BPFFS), seen, "{mounts}");
        }
    }

    #[test]
    fn a_package_is_asked_for_once() {
        let mut packages = TOOLS.map(|(_, package)| package).to_vec();
        packages.dedup();
        let mut different = packages.clone();
        different.sort_unstable();
        different.dedup();
        assert_eq!(
            packages.len(),
            different.len(),
            "tools of a package stand together"
        );
    }
}
