//! Starts the fuzz target, tests/fuzz: arbitrary bytes for the parser and the classifier of the
//! host, guided by coverage. libFuzzer comes as a crate and needs a C++ compiler, but no other Rust
//! than the pinned one: `cargo fuzz` needs a nightly compiler for its sanitizers, which have little
//! to find in what is safe Rust but for reads of headers behind bounds checks.

use std::{
    fs,
    path::{self, Path, PathBuf},
    process::Command,
    time::SystemTime,
};

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::{
    build, command,
    setup::{self, Purpose},
    workspace::Workspace,
};

/// Longer inputs are not made: a payload of a frame that reaches an XDP program in one piece.
const LONGEST: usize = 3_400;
/// How many inputs `cargo xtask test` tries.
const TEST_RUNS: u32 = 250_000;

/// What the compiler puts into everything that is built with these: counters of what was reached,
/// and what values were compared with.
const FLAGS: [&str; 5] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

/// What to fuzz for how long.
#[derive(Args)]
pub struct Options {
    /// When to stop, if nothing is found
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    minutes: u32,
    /// Try these inputs alone, once each: what a run has found
    inputs: Vec<PathBuf>,
}

/// What `cargo xtask fuzz` does.
pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let mut fuzzer = prepare(workspace)?;
    if !options.inputs.is_empty() {
        for input in &options.inputs {
            if !input.is_file() {
                bail!("there is no file {}", input.display());
            }
            fuzzer.arg(path::absolute(input)?);
        }
        return command::run(&mut fuzzer);
    }
    let folder = workspace.fuzz();
    let found = folder.join("corpus");
    create(&found)?;
    let limit = format!("-max_total_time={}", 60 * options.minutes);
    hunt(
        workspace,
        fuzzer
            .args([&limit, "-print_final_stats=1"])
            .args([found, folder.join("seeds")]),
    )
}

/// The part of `cargo xtask test`: the same inputs in each run, whatever was found before.
pub fn briefly(workspace: &Workspace) -> Result<()> {
    let mut fuzzer = prepare(workspace)?;
    let folder = workspace.fuzz();
    // What it keeps goes into the first folder.
    let kept = folder.join("test");
    if kept.exists() {
        fs::remove_dir_all(&kept).with_context(|| format!("cannot remove {}", kept.display()))?;
    }
    create(&kept)?;
    let runs = format!("-runs={TEST_RUNS}");
    hunt(
        workspace,
        fuzzer
            .args([&runs, "-seed=1", "-verbosity=0"])
            .args([kept, folder.join("seeds")]),
    )
}

/// The fuzzer, built, and with what it begins with beside it; its arguments are to follow.
fn prepare(workspace: &Workspace) -> Result<Command> {
    let bpf_rustc = setup::prepare(workspace, Purpose::Build)?;
    setup::install_cpp_compiler();
    // The tests package is built around them.
    build::ebpf(workspace, &bpf_rustc)?;
    let folder = workspace.fuzz();
    let mut seeds = workspace.cargo();
    seeds
        .args([
            "run",
            "--package",
            "sip-filter-tests",
            "--bin",
            "fuzz_seeds",
        ])
        .arg("--")
        .arg(&folder);
    command::run(&mut seeds)?;

    let mut fuzzer = workspace.cargo();
    fuzzer
        .args(["run", "--release", "--features", "libfuzzer"])
        .arg("--manifest-path")
        .arg(workspace.fuzz_manifest())
        // With a target named, the flags are not for what the build itself runs.
        .args(["--target", "host-tuple"])
        .env("CARGO_TARGET_DIR", workspace.fuzz_build())
        .env("RUSTFLAGS", FLAGS.join(" "))
        // This would take the place of the flags.
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .arg("--");
    Ok(fuzzer)
}

/// Runs the fuzzer; what it found is named.
fn hunt(workspace: &Workspace, fuzzer: &mut Command) -> Result<()> {
    let folder = workspace.fuzz();
    let crashes = folder.join("crashes");
    create(&crashes)?;
    let dictionary = folder.join("dictionary");
    let begun = SystemTime::now();
    let outcome = command::run(
        fuzzer
            .arg(format!("-max_len={LONGEST}"))
            .arg(format!("-dict={}", dictionary.display()))
            // The folder's name and a slash: libFuzzer only puts it before a name.
            .arg(format!("-artifact_prefix={}", crashes.join("").display())),
    );
    if outcome.is_err()
        && let Some(input) = newest(&crashes, begun)
    {
        let path = command::quoted(&input.to_string_lossy());
        bail!(
            "an input breaks what must hold (see above): {path}\nto run it again: cargo xtask fuzz {path}"
        );
    }
    outcome
}

/// The file written last, if since then.
fn newest(folder: &Path, since: SystemTime) -> Option<PathBuf> {
    let files = fs::read_dir(folder).ok()?.filter_map(|entry| {
        let entry = entry.ok()?;
        Some((entry.metadata().ok()?.modified().ok()?, entry.path()))
    });
    let (_, path) = files.filter(|(written, _)| *written >= since).max()?;
    Some(path)
}

fn create(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))
}
