//! What the loader itself takes: `cargo xtask bench loader`.
//!
//! First how long `attach` and `detach` take from their start to their end, in milliseconds; attaching
//! includes the verifier. Then what a `run` takes that watches a thousand sources while nothing arrives,
//! where it logs and where it draws on a terminal: memory in megabytes (of 1,000,000 bytes) and its share
//! of a core. Of each figure the median is printed, and the worst.

use std::{
    fs,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use sip_filter_tests::{
    forged::{self, Forger},
    messages::SVMAP,
    namespace::{FILTERED, Link, SERVER_IPV6},
    packet::Frame,
    process::{Running, memory, processor_time},
    sip_filter::SipFilter,
};

/// Measures what the loader takes.
#[derive(Parser)]
struct Arguments {
    /// How many times it is attached and detached
    #[arg(long, default_value_t = 20)]
    rounds: usize,
    /// How many sources `run` knows
    #[arg(long, default_value_t = 1_000)]
    sources: u32,
    /// How many times, in each manner, `run` is watched
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// For how many seconds each time; 0 leaves it out
    #[arg(long, default_value_t = 15)]
    seconds: u64,
    /// Given by cargo bench; means nothing here
    #[arg(long, hide = true)]
    bench: bool,
}

const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    ensure!(
        arguments.rounds > 0 && arguments.runs > 0,
        "nothing to measure"
    );
    come_and_go(arguments.rounds)?;
    if arguments.seconds > 0 {
        idle(&arguments, false)?;
        idle(&arguments, true)?;
    }
    Ok(())
}

/// The median of a figure, and the worst.
fn print(what: &str, digits: usize, mut figures: Vec<f64>) {
    figures.sort_by(f64::total_cmp);
    if let Some(worst) = figures.last() {
        let median = figures[figures.len() / 2];
        println!("{what:34} {median:>9.digits$} {worst:>9.digits$}");
    }
}

fn come_and_go(rounds: usize) -> Result<()> {
    println!("{:34} {:>9} {:>9}", "milliseconds", "median", "worst");
    let link = Link::new();
    for mode in ["native", "tcx"] {
        let filter = SipFilter::new(&link.server);
        let attach = format!("attach -i {FILTERED} --mode {mode} --drop scanners");
        let mut took = [attach.as_str(), "detach"].map(|line| (line, Vec::new()));
        for _ in 0..rounds {
            for (line, took) in &mut took {
                let command = filter.command(line.split(' '));
                let begun = Instant::now();
                let done = command_ends(command)?;
                took.push(begun.elapsed().as_secs_f64() * 1e3);
                ensure!(done, "{line} has failed");
            }
        }
        filter.assert_absent();
        let [(_, attaching), (_, detaching)] = took;
        print(&format!("attach, {mode}"), 1, attaching);
        print(&format!("detach, {mode}"), 1, detaching);
    }
    Ok(())
}

/// Whether a command ends well. It is waited for by the kernel, and not looked at from time to time.
fn command_ends(mut command: Command) -> Result<bool> {
    let done = command.output().context("cannot start the loader")?;
    Ok(done.status.success())
}

/// Watches a `run` that has nothing to do: one that logs, or one that draws.
fn idle(arguments: &Arguments, is_on_a_terminal: bool) -> Result<()> {
    let (mut own, mut resident, mut most, mut share) = (vec![], vec![], vec![], vec![]);
    for _ in 0..arguments.runs {
        let link = forged::link();
        let filter = SipFilter::new(&link.server);
        let running = start(&link, &filter, is_on_a_terminal);
        send(&link, arguments.sources);
        let known = filter.stats().sources.len();
        ensure!(
            known == arguments.sources as usize,
            "{known} sources and not {}",
            arguments.sources
        );
        let process = holder(&filter)?;
        let before = processor_time(process);
        thread::sleep(Duration::from_secs(arguments.seconds));
        let took = processor_time(process) - before;
        share.push(100.0 * took.as_secs_f64() / arguments.seconds as f64);
        let megabytes = |field| memory(process, field) as f64 * 1_024.0 / 1e6;
        own.push(megabytes("RssAnon"));
        resident.push(megabytes("VmRSS"));
        most.push(megabytes("VmHWM"));
        // Whoever shows it on a terminal ends with it.
        filter.detach();
        running.finish(PATIENCE).successful();
    }
    let (sources, seconds) = (arguments.sources, arguments.seconds);
    let how = match is_on_a_terminal {
        true => "on a terminal",
        false => "in a log",
    };
    println!("\nrun, {how}: {sources} sources, {seconds} s without a packet");
    print("memory, MB", 1, resident);
    print("of it its own, MB", 1, own);
    print("memory at most, MB", 1, most);
    print("share of a core, %", 2, share);
    Ok(())
}

fn start(link: &Link, filter: &SipFilter<'_>, is_on_a_terminal: bool) -> Running {
    let run = filter.command(["run", "-i", FILTERED, "--drop", "scanners"]);
    let mut running = Running::start(match is_on_a_terminal {
        true => {
            let words = std::iter::once(run.get_program()).chain(run.get_args());
            let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
            let mut script = link.server.command("script");
            script.args(["--quiet", "--flush", "--return", "--command"]);
            script.arg(words.join(" ")).arg("/dev/null");
            script
        }
        false => run,
    });
    running.wait_until("it was attached", PATIENCE, |running| {
        running.stderr().contains("is given up") || running.stdout().contains("packets")
    });
    running
}

/// One probe of each source.
fn send(link: &Link, sources: u32) {
    let forger = Forger::ipv6(&link.outside);
    for source in 0..sources {
        let address = format!("2001:db8:1::{:x}:{:x}", source >> 16, source & 0xffff);
        let probe = Frame::to(SERVER_IPV6)
            .from(&address)
            .from_port(40_000)
            .payload(SVMAP);
        forger.send(&probe, SERVER_IPV6);
    }
}

/// The process of the `run` that holds the filter.
fn holder(filter: &SipFilter<'_>) -> Result<u32> {
    let path = filter.state().join("test.run");
    let holder = fs::read_to_string(&path).with_context(|| format!("cannot read {path:?}"))?;
    let holder: toml::Table = holder.parse()?;
    let process = holder.get("pid").and_then(toml::Value::as_integer);
    let process = process.context("nobody holds the filter")?;
    Ok(u32::try_from(process)?)
}
