//! The demo: sip-filter between a small telephone system and real scanners, in two network
//! namespaces of its own.
//!
//! First the filter watches, then it drops what scanners send; calls go on all the while. The
//! demo checks what it tells: it exits with status 0 only if the scanners found the system
//! first and did not afterwards, and no call was lost. It ends within a minute and leaves
//! nothing behind, whatever ends it.

use std::{
    io::{self, IsTerminal as _, Write as _},
    panic::{self, AssertUnwindSafe},
    process::{ExitCode, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use sip_filter_tests::{
    messages,
    namespace::{FILTERED, Link, PHONE, SCANNER, SERVER},
    process::{Finished, Running},
    registrar::{self, Registrar},
    sip_filter::SipFilter,
    tools,
};

/// How long all of it may take.
const AT_MOST: Duration = Duration::from_secs(60);
/// How often the table is drawn on a terminal.
const REDRAWN: Duration = Duration::from_secs(1);
/// How long sip-filter may take to end.
const SOON: Duration = Duration::from_secs(10);

const CALLS: u32 = 10;
const CALLED_PORT: u16 = 5062;

/// Set by Ctrl-C and SIGTERM; every wait looks at it.
static STOPPED: AtomicBool = AtomicBool::new(false);

fn main() -> ExitCode {
    let missing = tools::missing();
    if !missing.is_empty() {
        let names: Vec<_> = missing.iter().map(|(tool, _)| *tool).collect();
        let mut packages: Vec<_> = missing.iter().map(|(_, package)| *package).collect();
        packages.dedup();
        eprintln!(
            "demo: {} not found; run `cargo xtask setup`, or as root: apt-get install {}",
            names.join(", "),
            packages.join(" ")
        );
        return ExitCode::FAILURE;
    }
    stop_on_signals();
    panic::set_hook(Box::new(|panic| {
        let cause = panic.payload_as_str().unwrap_or("it failed without a word");
        eprintln!("\ndemo: {cause}");
    }));
    // The guards of all that was started do their work on the way out, so nothing is left.
    match panic::catch_unwind(AssertUnwindSafe(show)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn show() {
    let link = Link::new();
    let registrar = Registrar::start(&link.server, 5060);
    let phone = tools::answer_calls(&link.server, CALLED_PORT);
    let filter = SipFilter::named(&link.server, "demo");
    let noise = Noise::start(&link);
    let mut stage = Stage::new(&filter);

    stage.tell(&format!(
        "A telephone system at {SERVER} behind {FILTERED}; scanners and a phone at the other end."
    ));
    let run = filter.run("--mode native --keep");
    stage.tell("\n1. sip-filter watches and drops nothing.");
    let watching = Attempts::run(&mut stage, &link);
    run.interrupt(SOON).successful();

    let run = filter.run("--mode native --keep --drop scanners");
    stage.tell("\n2. With --drop scanners: the program is replaced in place, the counts go on.");
    let dropping = Attempts::run(&mut stage, &link);
    run.interrupt(SOON).successful();

    // Counts agree with each other only while nothing arrives.
    drop((noise, phone, registrar));
    let stats = filter.stats();
    filter.detach();
    filter.assert_absent();

    let everything = Attempts {
        svmap: true,
        svwar: true,
        svcrack: true,
        sipsak: true,
        calls: true,
    };
    assert_eq!(
        watching, everything,
        "something was lost although nothing is dropped"
    );
    let honest = Attempts {
        svmap: false,
        svwar: false,
        svcrack: false,
        ..everything
    };
    assert_eq!(
        dropping, honest,
        "a scanner was answered, or something else was not"
    );
    let scanner = stats.source(SCANNER);
    assert!(
        scanner.dropped > 0,
        "none of the scanners' packets were dropped: {scanner:?}"
    );
    assert_eq!(
        stats.source(PHONE).dropped,
        0,
        "a packet of the phone was dropped"
    );
    println!(
        "\nWatching, {} packets of scanners were counted, and they found everything. Dropping, \
         they gave up after {} without an answer. Every call went through.",
        scanner.would_drop, scanner.dropped
    );
}

/// Who got what they came for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Attempts {
    svmap: bool,
    svwar: bool,
    svcrack: bool,
    sipsak: bool,
    calls: bool,
}

impl Attempts {
    /// Everybody at once.
    fn run(stage: &mut Stage<'_>, link: &Link) -> Self {
        let [_, (extension, password)] = registrar::EXTENSIONS;
        let lines = [
            format!("svmap {SERVER}"),
            format!("svwar -e100-110 {SERVER}"),
            format!("svcrack -u{extension} -r1000-1010 {SERVER}"),
            format!("sipsak -D 1 -s sip:100@{SERVER}"),
        ];
        stage.tell(&format!("   {}", lines.join("\n   ")));
        stage.tell(&format!("   sipp: {CALLS} calls\n"));
        let calls = Running::start(tools::call_command(&link.outside, CALLED_PORT, CALLS));
        let started = lines.map(|line| Running::start(tools::command(&link.outside, &line)));
        let [svmap, svwar, svcrack, sipsak] = started.map(|tool| stage.wait_for(tool));
        let attempts = Self {
            svmap: tools::has_found(&svmap, registrar::NAME),
            svwar: tools::has_found(&svwar, extension),
            svcrack: tools::has_found(&svcrack, password),
            sipsak: sipsak.status.success(),
            calls: stage.wait_for(calls).status.success(),
        };
        let Self {
            svmap,
            svwar,
            svcrack,
            sipsak,
            calls,
        } = attempts;
        for (attempt, success, result) in [
            ("svmap", svmap, format!("found {}", registrar::NAME)),
            ("svwar", svwar, format!("found extension {extension}")),
            (
                "svcrack",
                svcrack,
                format!("found its password, {password}"),
            ),
            ("sipsak", sipsak, "got an answer".to_owned()),
            ("sipp", calls, format!("completed {CALLS} calls")),
        ] {
            let result = if success { &result } else { "got nothing" };
            stage.tell(&format!("   {attempt:8} {result}"));
        }
        stage.draw();
        attempts
    }
}

/// The story so far and the filter's table below it: drawn again and again in place on a
/// terminal, and elsewhere once at the end of each scene.
struct Stage<'a> {
    filter: &'a SipFilter<'a>,
    end: Instant,
    story: String,
    is_terminal: bool,
    drawn: Instant,
}

impl<'a> Stage<'a> {
    fn new(filter: &'a SipFilter<'a>) -> Self {
        let now = Instant::now();
        Self {
            filter,
            end: now + AT_MOST,
            story: String::new(),
            is_terminal: io::stdout().is_terminal(),
            drawn: now,
        }
    }

    fn tell(&mut self, line: &str) {
        println!("{line}");
        self.story.push_str(line);
        self.story.push('\n');
    }

    /// Shows the table until the program has ended.
    ///
    /// # Panics
    ///
    /// If the demo is to end before.
    fn wait_for(&mut self, mut running: Running) -> Finished {
        while running.is_running() {
            assert!(!STOPPED.load(Ordering::Relaxed), "stopped");
            assert!(Instant::now() < self.end, "it took longer than {AT_MOST:?}");
            if self.is_terminal && self.drawn.elapsed() > REDRAWN {
                self.draw();
            }
            thread::sleep(Duration::from_millis(50));
        }
        running.finish(SOON)
    }

    fn draw(&mut self) {
        if self.is_terminal {
            const HOME_AND_CLEAR: &str = "\x1b[H\x1b[J";
            print!("{HOME_AND_CLEAR}{}", self.story);
        }
        println!();
        // The table is as wide as the terminal, so it is written there by its own program.
        let _ = io::stdout().flush();
        let shown = self.filter.command(["stats"]).stdin(Stdio::null()).status();
        assert!(
            shown.is_ok_and(|status| status.success()),
            "sip-filter stats has failed"
        );
        self.drawn = Instant::now();
    }
}

/// What else arrives at a telephone system all day: keepalives, and what is no SIP at all.
struct Noise {
    ended: Arc<AtomicBool>,
    sender: Option<JoinHandle<()>>,
}

impl Noise {
    fn start(link: &Link) -> Self {
        const PAUSE: Duration = Duration::from_millis(20);
        let phone = link.outside.udp_socket(PHONE);
        let ended = Arc::new(AtomicBool::new(false));
        let sender = thread::spawn({
            let ended = Arc::clone(&ended);
            move || {
                let messages = [
                    (messages::CRLF_CRLF, 5060),
                    (messages::STUN, 5060),
                    (messages::ZERO, 5060),
                    (messages::RTP, 5060),
                    (messages::RTP, 16_384),
                    (messages::DNS, 53),
                ];
                for (message, port) in messages.into_iter().cycle() {
                    if ended.load(Ordering::Relaxed) {
                        break;
                    }
                    // Nobody waits for it, and nobody misses it.
                    let _ = phone.send_to(message, (SERVER, port));
                    thread::sleep(PAUSE);
                }
            }
        });
        Self {
            ended,
            sender: Some(sender),
        }
    }
}

impl Drop for Noise {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(sender) = self.sender.take() {
            let _ = sender.join();
        }
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
