//! What it takes to look at a filter that remembers many sources: `cargo xtask bench outputs`.
//!
//! First how long each output takes to be there again, in milliseconds: of commands from their start to
//! their end, of HTTP from the request to the last byte, of `top` the processor's time for one refresh,
//! of the history reading and writing an interval in which every source has sent. Then what share of a
//! core `run` takes with everything on: a scraper every 15 s, an open page, a history, an events file and
//! its log; at rest, and while the sources send. Of each figure the median is printed, and the worst.

use std::{
    io::{Read as _, Write as _},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use clap::Parser;
use serde_json::Value;
use sip_filter_tests::{
    configuration::Configuration,
    forged::{self, Forger},
    http::Client,
    messages::{INVITE, SVMAP},
    namespace::{FILTERED, Folder, Link, SERVER_IPV6},
    packet::Frame,
    process::{self, Running, processor_time},
    sip_filter::{SipFilter, binary},
    tmux::Tmux,
};

/// Measures how long outputs take, and what `run` takes meanwhile.
#[derive(Parser)]
struct Arguments {
    /// How many sources the outputs are of
    #[arg(long, default_value_t = 65_536)]
    sources: u32,
    /// How many times each output is asked for
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Of how many sources `run` keeps a history, and what share of a core it takes then
    #[arg(long, default_value_t = 10_000)]
    load_sources: u32,
    /// How many seconds that is measured for, at rest and under traffic; 0 leaves it out
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Given by cargo bench; means nothing here
    #[arg(long, hide = true)]
    bench: bool,
}

const PATIENCE: Duration = Duration::from_secs(60);
/// Where `run` answers.
const HERE: &str = "127.0.0.1:9060";
/// What an open page asks for, and how often.
const PAGE: [&str; 4] = [
    "/api/v1/stats?top=100",
    "/api/v1/series",
    STATUS,
    "/api/v1/events?top=20",
];
const STATUS: &str = "/api/v1/status";
const STATUS_EVERY: Duration = Duration::from_secs(10);
const PAGE_EVERY: Duration = Duration::from_secs(4);
const SCRAPED_EVERY: Duration = Duration::from_secs(15);
/// For longer than a reading is kept.
const APART: Duration = Duration::from_millis(1_100);
/// How often `top` reads, and for how long that is watched.
const TOP_EVERY: &str = "1s";
const TOP_FOR: Duration = Duration::from_secs(10);
/// Events of a behaviour are reported too.
const CONFIGURATION: &str = "drop = ['scanners']\n[behaviour.port-sweep]\naction = 'count'\n";

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    ensure!(arguments.rounds > 0, "nothing to measure");
    refresh(&arguments)?;
    if arguments.seconds > 0 {
        load(&arguments)?;
    }
    Ok(())
}

/// A packet of each of the first so many sources; every other one is a scanner's. `pace` is called after
/// each.
fn send(forger: &Forger, sources: u32, mut pace: impl FnMut(u32)) {
    for source in 0..sources {
        let address = format!("2001:db8:1::{:x}:{:x}", source >> 16, source & 0xffff);
        let message = if source % 2 == 0 { INVITE } else { SVMAP };
        let frame = Frame::to(SERVER_IPV6)
            .from(&address)
            .from_port(40_000)
            .payload(message);
        forger.send(&frame, SERVER_IPV6);
        pace(source);
    }
}

/// A `run` with everything on, that logs what its history takes.
fn start(filter: &SipFilter<'_>, link: &Link, folder: &Path, interval: &str) -> Running {
    let configuration = Configuration::new(CONFIGURATION);
    let line = format!(
        "run -i {FILTERED} {} --http {HERE} --history {} --history-interval {interval} --events {}",
        configuration.option(),
        folder.join("h.sqlite").display(),
        folder.join("events").display()
    );
    let mut command = filter.command(line.split_whitespace());
    command.env("RUST_LOG", "sip_filter=debug");
    let running = Running::start(command);
    Client::new(&link.server, HERE).wait();
    running
}

/// Milliseconds.
fn ms(took: Duration) -> f64 {
    took.as_secs_f64() * 1e3
}

fn print(what: &str, mut took: Vec<f64>) {
    took.sort_by(f64::total_cmp);
    if let Some(worst) = took.last() {
        println!("{what:34} {:>9.1} {worst:>9.1}", took[took.len() / 2]);
    }
}

fn refresh(arguments: &Arguments) -> Result<()> {
    let (link, folder) = (forged::link(), Folder::new());
    let filter = SipFilter::new(&link.server);
    let running = start(&filter, &link, folder.path(), "60s");
    send(&Forger::ipv6(&link.outside), arguments.sources, |_| {});
    let stats: Value = serde_json::from_str(&filter.succeed("stats --format json"))?;
    let sources = stats["sources"].as_array().map_or(0, Vec::len);
    println!("{sources} sources: milliseconds");
    println!("{:34} {:>9} {:>9}", "output", "median", "worst");
    for line in [
        "stats --by source --top 100",
        "stats --by source",
        "stats --by source --format csv",
        "stats --format json",
        "status",
        "status --format json",
    ] {
        let mut took = Vec::new();
        for _ in 0..arguments.rounds {
            let begun = Instant::now();
            process::run(filter.command(line.split_whitespace()), PATIENCE).successful();
            took.push(ms(begun.elapsed()));
        }
        print(line, took);
    }
    let client = Client::new(&link.server, HERE);
    for path in ["/metrics", "/api/v1/stats"].into_iter().chain(PAGE) {
        let mut took = Vec::new();
        for _ in 0..arguments.rounds {
            thread::sleep(APART);
            let request =
                format!("GET {path} HTTP/1.1\r\nHost: {HERE}\r\nConnection: close\r\n\r\n");
            let begun = Instant::now();
            let mut answer = Vec::new();
            let mut stream = client.connect()?;
            stream.write_all(request.as_bytes())?;
            stream.read_to_end(&mut answer)?;
            took.push(ms(begun.elapsed()));
            ensure!(answer.starts_with(b"HTTP/1.1 200 "), "{path} is not there");
        }
        print(path, took);
    }
    print("top, one refresh", vec![top(&link, &filter, false)?]);
    print(
        "top, one refresh of a source",
        vec![top(&link, &filter, true)?],
    );
    running.interrupt(PATIENCE).successful();
    Ok(())
}

/// The processor's time that a refresh of `top` takes, in milliseconds: on the list, or on the page of a
/// source.
fn top(link: &Link, filter: &SipFilter<'_>, is_of_a_source: bool) -> Result<f64> {
    let terminal = Tmux::new(120, 40);
    let mut line = format!(
        "exec nsenter --net=/run/netns/{} {}",
        link.server.name(),
        binary().display()
    );
    for word in filter.command(["top", "--interval", TOP_EVERY]).get_args() {
        line += &format!(" {}", word.display());
    }
    terminal.type_line(&line);
    terminal.wait_for("the sources", |screen| screen.contains("Source "));
    if is_of_a_source {
        terminal.press(&["Enter"]);
        terminal.wait_for("a source", |screen| screen.contains("first seen"));
    }
    let process = terminal.variable("pane_pid").parse()?;
    let (before, begun) = (processor_time(process), Instant::now());
    thread::sleep(TOP_FOR);
    let took = processor_time(process) - before;
    Ok(ms(took) / begun.elapsed().as_secs_f64())
}

fn load(arguments: &Arguments) -> Result<()> {
    let (link, folder) = (forged::link(), Folder::new());
    let filter = SipFilter::new(&link.server);
    let forger = Forger::ipv6(&link.outside);
    let (seconds, sources) = (arguments.seconds, arguments.load_sources);

    // In each interval, every source sends.
    let running = start(&filter, &link, folder.path(), "2s");
    let end = Instant::now() + Duration::from_secs(2 * 2 * arguments.rounds as u64);
    while Instant::now() < end {
        send(&forger, sources, |_| {});
        thread::sleep(Duration::from_secs(2));
    }
    let log = running.interrupt(PATIENCE).successful().stderr;
    println!("\n{sources} sources sent in an interval: milliseconds");
    println!("{:34} {:>9} {:>9}", "history", "median", "worst");
    let [read, written] = ["history read in ", "written in "].map(|before| {
        let whole = log.lines().filter_map(|line| {
            let changed = line.split("; ").nth(1)?.split(' ').next()?;
            (changed.parse() == Ok(sources)).then_some(line)
        });
        whole
            .filter_map(|line| duration(line.split(before).nth(1)?))
            .collect()
    });
    print("reading", read);
    print("writing", written);

    println!("\n{sources} sources, everything on, {seconds} s: share of a core");
    let running = start(&filter, &link, folder.path(), "60s");
    send(&forger, sources, |_| {});
    for sends in [false, true] {
        for page in [false, true] {
            let share = thread::scope(|scope| -> Result<f64> {
                let end = Instant::now() + Duration::from_secs(seconds);
                let (link, forger) = (&link, &forger);
                scope.spawn(move || ask(link, end, page));
                if sends {
                    scope.spawn(move || pace(forger, sources, end));
                }
                let before = processor_time(running.id());
                thread::sleep(end - Instant::now());
                Ok((processor_time(running.id()) - before).as_secs_f64() / seconds as f64)
            })?;
            let how = if sends { "under traffic" } else { "at rest" };
            let who = if page { "an open page" } else { "scraped" };
            println!("{:34} {:>8.2} %", format!("{how}, {who}"), share * 100.0);
        }
    }
    running.interrupt(PATIENCE).successful();
    Ok(())
}

/// Each source sends once in ten seconds.
fn pace(forger: &Forger, sources: u32, end: Instant) {
    let step = Duration::from_secs(10) / sources;
    while Instant::now() < end {
        let begun = Instant::now();
        send(forger, sources, |source| {
            let due = begun + step * source;
            if source % 100 == 0 && due < end {
                thread::sleep(due.saturating_duration_since(Instant::now()));
            }
        });
    }
}

/// Asks as a scraper does, or as an open page, until the end.
fn ask(link: &Link, end: Instant, page: bool) {
    let client = Client::new(&link.server, HERE);
    let (paths, every) = match page {
        true => (&PAGE[..], PAGE_EVERY),
        false => (&["/metrics"][..], SCRAPED_EVERY),
    };
    let mut told = None::<Instant>;
    while Instant::now() < end {
        for path in paths {
            // A page asks for this less often.
            if *path == STATUS {
                if told.is_some_and(|at| at.elapsed() < STATUS_EVERY) {
                    continue;
                }
                told = Some(Instant::now());
            }
            client.get(path);
        }
        thread::sleep(every.min(end.saturating_duration_since(Instant::now())));
    }
}

/// As the loader writes one, in milliseconds.
fn duration(text: &str) -> Option<f64> {
    let text = text.split([',', ';']).next()?;
    let digits = text.trim_end_matches(|end: char| end.is_alphabetic());
    let number: f64 = digits.parse().ok()?;
    match &text[digits.len()..] {
        "ns" => Some(number / 1e6),
        "µs" => Some(number / 1e3),
        "ms" => Some(number),
        "s" => Some(number * 1e3),
        _ => None,
    }
}
