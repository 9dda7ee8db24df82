//! Runs tests of the program in the kernel on the kernels that are supported: Debian's own, each
//! from the release that ships it, in a machine that qemu emulates without KVM. So it needs no
//! root and loads nothing into this machine's kernel.
//!
//! What is fetched stays under `.tools/vm`, so that a second run fetches nothing; to fetch newer
//! kernels, delete `.tools/vm/kernels`.

mod emulator;
mod initramfs;
mod kernel;

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};
use clap::{Args, builder::PossibleValuesParser};

use crate::{
    build, ci, command,
    setup::{self, Purpose},
    workspace::Workspace,
};
use emulator::{Emulator, Run};
use initramfs::Task;
use kernel::{Fetched, KERNELS, Kernel};

/// The test binaries of the tests package that need nothing but a kernel.
const TEST_BINARIES: [&str; 5] = [
    "kernel_packets",
    "list_packets",
    "event_packets",
    "corpus",
    "policy",
];

/// Folders that tests read at run time, as they stand in the checkout.
const TEST_FOLDERS: [&str; 1] = ["tests/corpus"];

/// The only target: kernels and emulator are those of Debian's amd64.
const TARGET: &str = "x86_64-unknown-linux-gnu";
const TARGET_VARIABLE: &str = "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS";

/// Options of `cargo xtask vm`.
#[derive(Args, Default)]
pub struct Options {
    /// Only this kernel; may be given several times
    #[arg(
        long = "kernel",
        value_name = "KERNEL",
        value_parser = PossibleValuesParser::new(KERNELS.map(|kernel| kernel.name))
    )]
    kernels: Vec<String>,
    /// Run this in the machine's shell, busybox, instead of the tests; they lie in /tests
    #[arg(long, value_name = "COMMAND", conflicts_with = "arguments")]
    command: Option<OsString>,
    /// Arguments of the test binaries: cargo xtask vm -- fragment
    #[arg(last = true)]
    arguments: Vec<OsString>,
}

/// What `cargo xtask vm` does.
pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let bpf_rustc = setup::prepare(workspace, Purpose::Build)?;
    build::ebpf(workspace, &bpf_rustc)?;
    all(workspace, options)
}

/// The same for eBPF objects that are there. What cannot be had is known before anything is built.
pub fn all(workspace: &Workspace, options: &Options) -> Result<()> {
    let wanted = KERNELS.iter().filter(|kernel| {
        let names = &options.kernels;
        names.is_empty() || names.iter().any(|name| name == kernel.name)
    });
    let folder = workspace.tools().join("vm");
    let Some(emulator) = ci::fetch_or_skip("qemu", || Emulator::fetch(&folder))? else {
        return Ok(());
    };
    let mut fetched = Vec::new();
    for kernel in wanted {
        let what = format!("Linux {}", kernel.name);
        let image = ci::fetch_or_skip(&what, || kernel.fetch(&folder))?;
        fetched.extend(image.map(|image| (kernel, image)));
    }
    if fetched.is_empty() {
        return Ok(());
    }
    let binaries = test_binaries(workspace)?;
    let task = match &options.command {
        Some(command) => Task::Command(command),
        None => Task::Tests(&options.arguments),
    };
    let folders = TEST_FOLDERS.map(|folder| workspace.root().join(folder));
    let initramfs = folder.join(format!("initramfs-{}", std::process::id()));
    let archive = initramfs::archive(&emulator.busybox(), &binaries, &folders, task)?;
    fs::write(&initramfs, archive)
        .with_context(|| format!("cannot write {}", initramfs.display()))?;
    let outcome = boot_each(&emulator, &fetched, &initramfs);
    // A leftover is as harmless as it is useless.
    let _ = fs::remove_file(&initramfs);
    outcome
}

/// Boots the kernels one after another: each uses every core.
fn boot_each(emulator: &Emulator, kernels: &[(&Kernel, Fetched)], initramfs: &Path) -> Result<()> {
    let mut reports = Vec::new();
    let mut failed = Vec::new();
    for (kernel, image) in kernels {
        let version = &image.version;
        println!(
            "\nLinux {version}, from Debian {}:",
            kernel.suites.join(" or ")
        );
        let outcome = emulator
            .boot(&image.vmlinuz, initramfs, kernel.cpus)
            .and_then(passed);
        let report = match &outcome {
            Ok(run) => format!(
                "passed; {:.1} s to boot, {:.0} s in all",
                run.boot.as_secs_f64(),
                run.total.as_secs_f64()
            ),
            Err(error) => format!("FAILED: {error:#}"),
        };
        reports.push(format!("Linux {version:<16} {report}"));
        if outcome.is_err() {
            failed.push(kernel.name);
        }
    }
    println!("\n{}", reports.join("\n"));
    ensure!(failed.is_empty(), "failed on Linux {}", failed.join(", "));
    Ok(())
}

/// Every program in the machine ended with status 0.
fn passed(run: Run) -> Result<Run> {
    for (program, status) in &run.statuses {
        ensure!(*status == 0, "{program} ended with status {status}");
    }
    Ok(run)
}

/// Builds the test binaries so that they run without any library beside them, optimised
/// because the machine is slow.
fn test_binaries(workspace: &Workspace) -> Result<Vec<(&'static str, PathBuf)>> {
    let mut cargo = workspace.cargo();
    cargo
        .args(["test", "--no-run", "--release"])
        .args(["--package", "sip-filter-tests", "--target", TARGET])
        .args(["--message-format", "json-render-diagnostics"])
        .args(["--config", "profile.release.strip='debuginfo'"])
        .env("CARGO_TARGET_DIR", workspace.vm_target())
        .env(TARGET_VARIABLE, "-C target-feature=+crt-static")
        // These would take the place of the flags above.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    for name in TEST_BINARIES {
        cargo.args(["--test", name]);
    }
    let messages = command::read(&mut cargo)?;
    TEST_BINARIES
        .into_iter()
        .map(|name| match executable(&messages, name) {
            Some(path) => Ok((name, path)),
            None => bail!("cargo does not say where it built the test {name}"),
        })
        .collect()
}

/// Where cargo built a test, from its messages: one JSON object a line.
fn executable(messages: &str, test: &str) -> Option<PathBuf> {
    let name = format!(r#""name":"{test}""#);
    messages
        .lines()
        .filter(|message| message.contains(&name))
        .find_map(|message| {
            let (_, path) = message.split_once(r#""executable":""#)?;
            Some(path.split_once('"')?.0.into())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_a_test_is_read_from_what_cargo_says() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"libc"},"executable":null}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"packets"},"executable":"/t/packets-1"}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
        );
        assert_eq!(executable(messages, "packets"), Some("/t/packets-1".into()));
        assert_eq!(executable(messages, "libc"), None);
        assert_eq!(executable(messages, "pack"), None);
    }

    #[test]
    fn kernels_are_told_apart_by_name() {
        let mut names = KERNELS.map(|kernel| kernel.name).to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), KERNELS.len());
    }
}
