//! Records the corpus: starts each program of [`plan`], in each of its modes, in a network
//! namespace, and writes what it sends into `tests/corpus`.
//!
//! `cargo xtask corpus` installs the programs and starts this as root. With arguments it records
//! again only the runs whose file's name has one of them in it. Every run is bounded in time,
//! and what it sends in count by its own options; its processes, its namespaces and its files
//! go with it. Traffic stays on the link between the two namespaces of the run.

mod plan;
mod record;

use std::{
    collections::BTreeMap,
    fs,
    panic::{self, AssertUnwindSafe},
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering},
};

use sip_filter_tests::corpus::{self, Run};

use crate::plan::Source;

/// Set by Ctrl-C and SIGTERM; every wait looks at it.
static STOPPED: AtomicBool = AtomicBool::new(false);

fn main() -> ExitCode {
    stop_on_signals();
    panic::set_hook(Box::new(|panic| {
        let cause = panic.payload_as_str().unwrap_or("it failed without a word");
        eprintln!("corpus: {cause}");
    }));
    let wanted: Vec<_> = std::env::args().skip(1).collect();
    if wanted == ["--packages"] {
        list_packages();
        return ExitCode::SUCCESS;
    }
    let mut recorded: BTreeMap<String, Run> = corpus::runs()
        .into_iter()
        .map(|run| (run.file.clone(), run))
        .collect();
    let mut failed = Vec::new();
    for planned in plan::RUNS {
        let file = format!("{}.pcap", planned.name);
        if !wanted.is_empty() && !wanted.iter().any(|part| planned.name.contains(part)) {
            continue;
        }
        if STOPPED.load(Ordering::Relaxed) {
            break;
        }
        // A panic's guards remove what the run has made; the other runs go on.
        match panic::catch_unwind(AssertUnwindSafe(|| record::record(planned))) {
            Ok((run, frames)) => {
                println!("{file}: {}", run.packets.join(" "));
                corpus::write_frames(&corpus::folder().join(&file), &frames);
                recorded.insert(file, run);
            }
            Err(_) => failed.push(file),
        }
    }
    let in_order: Vec<_> = plan::RUNS
        .iter()
        .filter_map(|planned| recorded.remove(&format!("{}.pcap", planned.name)))
        .collect();
    corpus::write_runs(in_order);
    // Runs that are no longer planned.
    for file in recorded.into_keys() {
        if let Err(error) = fs::remove_file(corpus::folder().join(&file)) {
            eprintln!("corpus: {file} stays: {error}");
        }
    }
    if failed.is_empty() && !STOPPED.load(Ordering::Relaxed) {
        return ExitCode::SUCCESS;
    }
    eprintln!("corpus: not recorded: {}", failed.join(", "));
    ExitCode::FAILURE
}

/// Says which packages the programs come in, for `cargo xtask corpus` to install.
fn list_packages() {
    let mut packages: Vec<_> = plan::RUNS
        .iter()
        .map(|planned| match planned.source {
            Source::Debian(name) => format!("debian {name}"),
            Source::Python(name, version) => format!("pypi {name} {version}"),
            Source::Npm(name, version) => format!("npm {name} {version}"),
        })
        .collect();
    packages.sort();
    packages.dedup();
    for package in packages {
        println!("{package}");
    }
}

fn stop_on_signals() {
    extern "C" fn stop(_: libc::c_int) {
        STOPPED.store(true, Ordering::Relaxed);
    }
    let stop: extern "C" fn(libc::c_int) = stop;
    for signal in [libc::SIGINT, libc::SIGTERM] {
        // SAFETY: the handler does nothing but store to an atomic.
        unsafe { libc::signal(signal, stop as libc::sighandler_t) };
    }
}
