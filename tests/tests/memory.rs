//! The memory of `run`: what arrives while it watches, and how often it reloads, makes it take no more.
//! SIP_FILTER_ROUNDS=1800 sends it as many probes as come in an hour of a thousand a second.

use std::{
    fs,
    os::unix::net::UnixDatagram,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use sip_filter_tests::{
    configuration::Configuration,
    forged::Forger,
    messages::SVMAP,
    namespace::{FILTERED, Folder, Link, SERVER_IPV6},
    packet::Frame,
    process::{Running, SOON, memory},
    rounds,
    sip_filter::SipFilter,
};

const PATIENCE: Duration = Duration::from_secs(60);

/// Probes of each round, each from a source of its own.
const SOURCES: usize = 2_000;
/// Of these, so many send more until they are blocked.
const BLOCKED: usize = 100;
/// Rounds until everything is full that fills.
const WARMING: usize = 3;

/// How much more `run` may take at the end than it did when it was warm, in kilobytes: the allocator's
/// own affairs. The counts of nine rounds' 18,000 sources would be more.
const SLACK: u64 = 3_072;

/// Remembers fewer sources than a round has, and blocks.
const CONFIGURATION: &str = "drop = ['scanners']\nsizes.sources = 1024\nsizes.bans = 1024\n\
     [behaviour.port-sweep]\naction = 'count'\n\
     [escalate]\nafter = 3\nwithin = '1h'\nfor = '1h'\n";

/// Memory of a process's own, in kilobytes: the least of 200 ms, for a reading takes some for a
/// moment and gives it back.
fn own_memory(process: u32) -> u64 {
    let samples = (0..10).map(|_| {
        thread::sleep(Duration::from_millis(20));
        memory(process, "RssAnon")
    });
    samples.min().unwrap_or_default()
}

/// A round of probes; sources are new in each.
fn probe(forger: &Forger, round: usize) {
    for source in 0..SOURCES {
        let address = format!(
            "2001:db8:{:x}:{:x}::{source:x}",
            1 + round / 65_536,
            round % 65_536
        );
        let probe = Frame::to(SERVER_IPV6)
            .from(&address)
            .from_port(40_000)
            .payload(SVMAP);
        let many = if source < BLOCKED { 4 } else { 1 };
        for _ in 0..many {
            forger.send(&probe, SERVER_IPV6);
        }
    }
}

/// How much `run` takes when it is warm, and how much it takes at the end.
fn takes(link: &Link, process: u32, mut between: impl FnMut(usize)) -> (u64, u64) {
    let forger = Forger::ipv6(&link.outside);
    let mut warm = 0;
    let rounds = rounds(12);
    for round in 0..rounds {
        probe(&forger, round);
        between(round);
        if round + 1 == WARMING {
            warm = own_memory(process);
        }
    }
    (warm, own_memory(process))
}

#[test]
fn what_arrives_and_what_is_reloaded_takes_no_memory_of_run() {
    let link = Link::new();
    let filter = SipFilter::new(&link.server);
    let configuration = Configuration::new(CONFIGURATION);
    // So that it reads the totals again and again.
    let folder = Folder::new();
    let manager = UnixDatagram::bind(folder.path().join("notify"));
    let manager = manager.unwrap_or_else(|error| panic!("{error}"));
    let waits = manager.set_read_timeout(Some(PATIENCE));
    waits.unwrap_or_else(|error| panic!("{error}"));
    let hear = |what: &str| {
        let end = Instant::now() + PATIENCE;
        let mut message = [0; 4096];
        while Instant::now() < end {
            let length = manager.recv(&mut message);
            let length = length.unwrap_or_else(|error| panic!("no {what}: {error}"));
            if String::from_utf8_lossy(&message[..length]).contains(what) {
                return;
            }
        }
        panic!("no {what}");
    };
    let line = format!("run -i {FILTERED} {}", configuration.option());
    let mut command = link.server.command("sh");
    let service = filter.command(line.split(' '));
    command
        .args(["-c", r#"WATCHDOG_PID=$$ exec "$0" "$@""#])
        .arg(service.get_program())
        .args(service.get_args())
        .env("WATCHDOG_USEC", "100000")
        .env("NOTIFY_SOCKET", folder.path().join("notify"));
    let running = Running::start(command);
    hear("READY=1");
    let (warm, end) = takes(&link, running.id(), |_| {
        running.signal(libc::SIGHUP);
        hear("RELOADING=1");
        hear("READY=1");
    });
    let blocked = running.stderr().matches(" is blocked for ").count();
    println!(
        "{warm} kB when warm, {end} kB at the end, {} blocked",
        blocked
    );
    assert!(
        blocked >= BLOCKED,
        "none was blocked, so nothing was logged"
    );
    let counted = filter.succeed("stats --format json");
    let counted: Value =
        serde_json::from_str(&counted).unwrap_or_else(|error| panic!("{error}: {counted}"));
    let counted = counted["totals"]["packets"].as_u64();
    assert!(counted > Some(SOURCES as u64), "{counted:?} packets");
    assert!(
        end <= warm + SLACK,
        "{warm} kB when warm, {end} kB at the end"
    );
    running.interrupt(PATIENCE).successful();
}

#[test]
fn what_is_shown_takes_no_memory_of_run() {
    let link = Link::new();
    let filter = SipFilter::new(&link.server);
    let configuration = Configuration::new(CONFIGURATION);
    // A terminal of its own (script(1)), which it is told to leave at once when it ends.
    let line = format!("run -i {FILTERED} {}", configuration.option());
    let shown = filter.command(line.split(' '));
    let words = std::iter::once(shown.get_program()).chain(shown.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    let mut command: Command = link.server.command("script");
    command.args([
        "--quiet",
        "--flush",
        "--return",
        "--command",
        &words.join(" "),
    ]);
    command.arg("/dev/null");
    let mut running = Running::start(command);
    let drawn = |running: &Running| running.stdout().matches("packets").count();
    running.wait_until("it was shown", PATIENCE, |running| drawn(running) > 0);
    let holder = fs::read_to_string(filter.state().join("test.run"));
    let holder: toml::Table = holder
        .ok()
        .and_then(|holder| holder.parse().ok())
        .unwrap_or_else(|| panic!("nobody holds the filter"));
    let process = holder["pid"].as_integer().unwrap_or_default() as u32;
    let (warm, end) = takes(&link, process, |_| {
        let before = drawn(&running);
        running.wait_until("it was drawn", PATIENCE, |running| drawn(running) > before);
    });
    println!("{warm} kB when warm, {end} kB at the end");
    assert!(
        end <= warm + SLACK,
        "{warm} kB when warm, {end} kB at the end"
    );
    // SAFETY: a system call on a process that script waits for, and so not another one's number.
    unsafe { libc::kill(process as i32, libc::SIGINT) };
    running.finish(SOON).successful();
    filter.assert_absent();
}
