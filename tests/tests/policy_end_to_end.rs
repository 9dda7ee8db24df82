//! Lists, limits, behaviours and escalation on a real interface: scanners under an ordinary name,
//! forged sources and floods meet them, and calls from elsewhere go on meanwhile.

use std::{
    io::ErrorKind,
    net::UdpSocket,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant, SystemTime},
};

use aya::{
    TestRun as _,
    programs::{TestRunOptions, Xdp, loaded_programs},
};
use aya_obj::programs::xdp::XdpAttachType;
use serde_json::Value;
use sip_filter_tests::{
    configuration::{Configuration, example},
    flood::{self, Ends},
    forged::Forger,
    kernel::DROP,
    messages::{self, SVMAP},
    mutation::Random,
    namespace::{FILTERED, Link, OUTSIDE, PHONE, SCANNER, SERVER},
    packet::Frame,
    process::Running,
    registrar::Registrar,
    sip_filter::{MODES, SipFilter, in_each_mode},
    sipp::{Outcome, Play, Scenario},
    tools,
    watch::{Datagram, Watch},
};

/// Where calls are taken.
const CALLED: u16 = 5062;
/// Another address of the scanners' end.
const ANOTHER: &str = "192.0.2.67";
const PATIENCE: Duration = Duration::from_secs(60);

/// Who is blocked for what it sends, after five packets that count.
const ESCALATE: &str = "[escalate]\nafter = 5\nwithin = \"10m\"\nfor = \"1h\"\n";

/// Does something while sipp calls, and gives what came of it once the calls have ended well.
fn during_calls<T: Send>(link: &Link, calls: u32, work: impl FnOnce(&AtomicBool) -> T + Send) -> T {
    let have_ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let work = scope.spawn(|| work(&have_ended));
        let ends = Ends(&have_ended);
        let finished = tools::call(&link.outside, CALLED, calls);
        drop(ends);
        let Ok(done) = work.join() else {
            panic!("what was done during the calls has failed")
        };
        finished.successful();
        done
    })
}

/// Sends so many probes of svmap to the server with this source address.
fn forge(link: &Link, source: &str, many: u32) {
    let forger = Forger::new(&link.outside);
    // From a port at which nobody waits for the answers.
    let probe = Frame::to(SERVER).from(source).from_port(40_000);
    let probe = probe.payload(SVMAP);
    for _ in 0..many {
        forger.send(&probe, SERVER);
    }
}

/// Who waits for a datagram at the server's SIP port.
struct Listener {
    socket: UdpSocket,
}

impl Listener {
    fn new(link: &Link) -> Self {
        let socket = link.server.inside(|| UdpSocket::bind((SERVER, 5060)));
        let socket = socket.unwrap_or_else(|error| panic!("{SERVER}: {error}"));
        let waits = socket.set_read_timeout(Some(Duration::from_millis(300)));
        waits.unwrap_or_else(|error| panic!("{error}"));
        Self { socket }
    }

    /// Whether anything has come, or comes soon.
    fn has_heard(&self) -> bool {
        match self.socket.recv(&mut [0; 4096]) {
            Ok(_) => true,
            Err(error) if error.kind() == ErrorKind::WouldBlock => false,
            Err(error) => panic!("the listener cannot read: {error}"),
        }
    }

    /// Whether a message from this address comes through.
    fn hears(&self, link: &Link, from: &str, message: &[u8]) -> bool {
        let socket = link.outside.udp_socket(from);
        let sent = socket.send_to(message, (SERVER, 5060));
        sent.unwrap_or_else(|error| panic!("cannot send: {error}"));
        self.has_heard()
    }
}

#[test]
fn an_extension_scan_under_an_ordinary_name_is_blocked_and_calls_go_on() {
    in_each_mode(is_blocked_and_calls_go_on);
}

fn is_blocked_and_calls_go_on(mode: &str) {
    let link = Link::new();
    let registrar = Registrar::start(&link.server, 5060);
    let _phone = tools::answer_calls(&link.server, CALLED);
    let filter = SipFilter::in_mode(&link.server, mode);
    let configuration = Configuration::new(&format!(
        "[behaviour]\naction = \"count\"\n{ESCALATE}by = [\"behaviour\"]\n"
    ));
    let mut running = filter.run(&configuration.option());
    let watch = Watch::on(&link.outside, OUTSIDE);
    let scan = Play {
        from: SCANNER,
        port: 5060,
        calls: 200,
        rate: 100,
    };
    let Outcome { succeeded, failed } = during_calls(&link, 30, |_| {
        Scenario::register(1000..1200).play(&link.outside, scan)
    });
    println!("{succeeded} extensions were answered for, {failed} were not");
    assert_eq!(succeeded + failed, 200);
    // The hundredth user, as nearly as the sketch knows it, and four packets more.
    assert!((80..=125).contains(&succeeded), "{succeeded} answers");
    assert_eq!(u64::from(succeeded), registrar.answered());
    let from_scanner = |datagram: &&Datagram| {
        datagram.sent && datagram.source.ip().to_string() == SCANNER && !datagram.payload.is_empty()
    };
    assert_eq!(watch.finish().iter().filter(from_scanner).count(), 200);

    let stats = filter.stats();
    let source = stats.source(SCANNER);
    assert_eq!(source.behaviours, ["enumeration"]);
    assert_eq!([source.packets, source.scanner], [200, 0]);
    assert!(source.tools.is_empty(), "{:?}", source.tools);
    // The packet that crosses the line is dropped with those behind it.
    assert_eq!(source.dropped, u64::from(failed));
    assert_eq!(source.reason("escalated"), u64::from(failed));
    assert_eq!([source.reason("behaviour"), source.would_drop], [4; 2]);
    assert_eq!(stats.behaviour("enumeration"), 5);
    assert_eq!(stats.source(PHONE).reason("passed"), 90);
    assert_eq!(stats.totals.dropped, u64::from(failed));

    // It is blocked whatever it sends, and wherever to.
    let scanner = link.outside.udp_socket(SCANNER);
    for (message, port) in [(messages::INVITE, CALLED), (messages::RTP, 5060)] {
        let sent = scanner.send_to(message, (SERVER, port));
        sent.unwrap_or_else(|error| panic!("cannot send: {error}"));
    }
    let stats = filter.stats();
    assert_eq!(
        stats.source(SCANNER).reason("escalated"),
        u64::from(failed) + 2
    );
    let status = filter.succeed("status");
    assert!(
        status.contains("1 of at most 16,384 blocked now, 1 in all"),
        "{status}"
    );
    let listed = filter.succeed("block list --format csv");
    assert!(
        listed.contains(&format!("{SCANNER},")) && listed.contains(",enumeration,escalated,"),
        "{listed}"
    );
    filter.succeed(&format!("block del {SCANNER}"));
    let sent = scanner.send_to(messages::INVITE, (SERVER, 5060));
    sent.unwrap_or_else(|error| panic!("cannot send: {error}"));
    let stats = filter.stats();
    let dropped = stats.source(SCANNER).dropped;
    assert_eq!(dropped, u64::from(failed) + 2, "it is still blocked");
    let refused = filter.attempt(&format!("block del {SCANNER}"));
    assert!(!refused.status.success(), "{refused}");
    let logged = format!("{SCANNER} is blocked for 3600 s: enumeration");
    running.wait_until("it logs who is blocked", PATIENCE, |running| {
        running.stderr().contains(&logged)
    });
    running.interrupt(PATIENCE).successful();
    filter.assert_absent();
}

#[test]
fn a_flood_that_carries_an_allowed_trunks_address_does_not_reach_the_trunk() {
    in_each_mode(does_not_reach_the_trunk);
}

fn does_not_reach_the_trunk(mode: &str) {
    let link = Link::new();
    let _phone = tools::answer_calls(&link.server, CALLED);
    let filter = SipFilter::in_mode(&link.server, mode);
    let configuration = Configuration::new(&everything_drops());
    filter.attach(&configuration.option());
    filter.succeed(&format!("allow add {PHONE} --reason trunk"));
    let forged = during_calls(&link, 30, |have_ended| {
        let mut forged = 0;
        while !have_ended.load(Ordering::Relaxed) {
            forge(&link, PHONE, 50);
            forged += 50;
            thread::sleep(Duration::from_millis(10));
        }
        forged
    });
    println!("{forged} packets were forged during 30 calls");
    assert!(forged > 1000, "only {forged} packets were forged");
    let stats = filter.stats();
    let trunk = stats.source(PHONE);
    assert_eq!([trunk.dropped, trunk.would_drop], [0, 0], "{trunk:?}");
    assert_eq!(trunk.reason("allowed"), trunk.packets);
    assert!(trunk.packets > 1000, "{trunk:?}");
    // The same from anybody else is dropped, and nothing is kept against the trunk.
    forge(&link, ANOTHER, 20);
    assert_eq!(filter.stats().source(ANOTHER).dropped, 20);
    filter.succeed(&format!("allow del {PHONE}"));
    tools::call(&link.outside, CALLED, 2).successful();
}

/// The example with everything switched on, and dropping.
fn everything_drops() -> String {
    let changes = [
        (
            "drop = []",
            "drop = [\"scanners\", \"options\", \"malformed\"]",
        ),
        ("signatures = [\"own.toml\"]", ""),
        ("\"count\"", "\"drop\""),
        // Nobody that is here.
        ("\"192.0.2.0/24\"", "\"203.0.113.0/24\""),
        ("allow_files = [\"trunks.txt\"]", ""),
        ("block_files = [\"voip-blocklist.txt\"]", ""),
    ];
    with_changes(example(true), &changes)
}

/// The text with other words in place of these.
fn with_changes(text: String, changes: &[(&str, &str)]) -> String {
    changes.iter().fold(text, |text, (from, to)| {
        assert!(text.contains(from), "there is no {from} in {text}");
        text.replace(from, to)
    })
}

/// What README warns of.
#[test]
fn a_trunk_that_is_not_allowed_is_blocked_by_what_others_send_in_its_name() {
    in_each_mode(|mode| {
        let link = Link::new();
        let _phone = tools::answer_calls(&link.server, CALLED);
        let filter = SipFilter::in_mode(&link.server, mode);
        let configuration = Configuration::new(&format!("drop = [\"scanners\"]\n{ESCALATE}"));
        filter.attach(&configuration.option());
        let calls = |many| tools::call(&link.outside, CALLED, many).status.success();
        assert!(calls(2));
        forge(&link, PHONE, 4);
        assert!(calls(2), "four packets are not five");
        forge(&link, PHONE, 1);
        assert!(!calls(2), "the trunk was not blocked");
        let stats = filter.stats();
        let trunk = stats.source(PHONE);
        assert_eq!(trunk.reason("signature"), 4);
        // The fifth forged packet, and an INVITE of either call.
        assert_eq!(trunk.reason("escalated"), 3);

        filter.succeed(&format!("allow add {PHONE} --reason trunk"));
        assert!(calls(2), "the allow list did not win");
        filter.succeed(&format!("allow del {PHONE}"));
        assert!(!calls(2), "the block has ended before its time");
    });
}

#[test]
fn a_million_random_sources_push_nobody_out() {
    let link = Link::new();
    link.outside
        .ip(&format!("addr add {ANOTHER}/24 dev {OUTSIDE}"));
    let listener = Listener::new(&link);
    let filter = SipFilter::new(&link.server);
    let configuration = Configuration::new(&format!(
        "drop = [\"scanners\"]\n[limit.sip]\nrate = 1000\n[behaviour]\naction = \"count\"\n{ESCALATE}"
    ));
    filter.attach(&configuration.option());
    filter.succeed(&format!("allow add {PHONE}"));
    filter.succeed(&format!("block add {SCANNER}"));
    let comes_through = || {
        [
            (SCANNER, messages::INVITE),
            (PHONE, SVMAP),
            (ANOTHER, messages::INVITE),
        ]
        .map(|(from, message)| listener.hears(&link, from, message))
    };
    for _ in 0..5 {
        assert!(!listener.hears(&link, ANOTHER, SVMAP));
    }
    let expected = [false, true, false];
    assert_eq!(comes_through(), expected, "before");

    let begun = Instant::now();
    send_from_a_million_sources(&link);
    println!("a million sources in {:?}", begun.elapsed());
    assert_eq!(comes_through(), expected, "after");
    // Those with the most packets; most of the million had to be forgotten.
    let busiest = filter.succeed("stats --by source --top 3 --format json");
    let busiest: Value = serde_json::from_str(&busiest)
        .unwrap_or_else(|error| panic!("not JSON: {error}\n{busiest}"));
    let Some(sources) = busiest["sources"].as_array() else {
        panic!("no sources: {busiest}")
    };
    let scanner = sources.iter().find(|source| source["source"] == ANOTHER);
    let Some(scanner) = scanner else {
        panic!("the scanner is gone: {busiest}")
    };
    assert_eq!(
        [
            &scanner["packets"],
            &scanner["scanner"],
            &scanner["dropped"]
        ],
        [7, 5, 7]
    );
    assert_eq!(scanner["tools"][0], "sipvicious");
}

/// Hands the attached program a packet from each of a million addresses, one half of them with the
/// message of a scanner.
fn send_from_a_million_sources(link: &Link) {
    let program = attached(link);
    let mut frames = [SVMAP, messages::QUALIFY]
        .map(|message| Frame::to(SERVER).from("10.0.0.0").payload(message).bytes());
    for number in 0..1_000_000_u32 {
        let frame = &mut frames[number as usize % 2];
        set_source(frame, number);
        run(&program, frame, 1);
    }
}

#[test]
fn who_is_blocked_and_goes_on_is_not_pushed_out_by_others_that_are_blocked() {
    let link = Link::new();
    let filter = SipFilter::new(&link.server);
    // Room for far fewer than will be blocked.
    let configuration = Configuration::new(&format!("[sizes]\nbans = 1024\n{ESCALATE}"));
    filter.attach(&configuration.option());
    let program = attached(&link);
    let frame = |source: &str, message: &[u8]| Frame::to(SERVER).from(source).payload(message);
    let [probe, call] = [SVMAP, messages::INVITE].map(|message| frame(SCANNER, message).bytes());
    run(&program, &probe, 5);
    let mut forged = frame("10.0.0.0", SVMAP).bytes();
    for number in 0..20_000 {
        set_source(&mut forged, number);
        // Blocked with the fifth, and again and again.
        run(&program, &forged, 10);
        if number % 100 == 0 {
            assert_eq!(run(&program, &call, 1), DROP, "after {number} others");
        }
    }
}

/// Has a frame of IPv4 be from the address of 10.0.0.0/8 that has this number, each another one.
fn set_source(frame: &mut [u8], number: u32) {
    /// Where the source address stands.
    const SOURCE: usize = 14 + 12;
    // An odd factor, which takes each number of 24 bits to another one.
    let address = 0x0a00_0000 | (number.wrapping_mul(2_654_435_761) & 0x00ff_ffff);
    frame[SOURCE..SOURCE + 4].copy_from_slice(&address.to_be_bytes());
}

/// Hands a program a frame so many times; what is to happen to the last one.
fn run(program: &Xdp, frame: &[u8], times: u32) -> u32 {
    let ran = program.test_run(TestRunOptions {
        data_in: Some(frame),
        repeat: times,
        ..TestRunOptions::new()
    });
    match ran {
        Ok(ran) => ran.return_value,
        Err(error) => panic!("the program does not run: {error}"),
    }
}

/// The program that is attached to [`FILTERED`].
fn attached(link: &Link) -> Xdp {
    let attached = link.server.xdp_program(FILTERED);
    let mut programs = loaded_programs().filter_map(Result::ok);
    let program = programs.find(|program| Some(u64::from(program.id())) == attached);
    let Some(program) = program else {
        panic!("no program is attached to {FILTERED}")
    };
    let program = Xdp::from_program_info(program, "sip_filter".into(), XdpAttachType::Interface);
    program.unwrap_or_else(|error| panic!("cannot have the program: {error}"))
}

#[test]
fn two_hundred_calls_a_second_lose_nothing_with_everything_on() {
    // One after the other: each takes a CPU for itself.
    for mode in MODES {
        lose_nothing(mode);
    }
}

fn lose_nothing(mode: &str) {
    const CALLS: u32 = 2000;
    let link = Link::new();
    let listener = Listener::new(&link);
    let _phone = tools::answer_calls(&link.server, CALLED);
    let filter = SipFilter::in_mode(&link.server, mode);
    let changes = [
        (
            "drop = []",
            "drop = [\"scanners\", \"options\", \"malformed\"]",
        ),
        // Nobody that is here.
        ("\"192.0.2.0/24\"", "\"203.0.113.0/24\""),
    ];
    let configuration = Configuration::new(&with_changes(example(true), &changes));
    configuration.write("own.toml", "");
    let many = |begin: u32, last: u32, more: &str| -> String {
        (0..last)
            .map(|number| format!("{begin}.{}.{}.{more}\n", number / 256, number % 256))
            .collect()
    };
    configuration.write("trunks.txt", &many(10, 1000, "1"));
    let blocked = many(11, 4000, "66") + &many(12, 2000, "0/24") + SCANNER;
    configuration.write("voip-blocklist.txt", &blocked);
    filter.attach(&configuration.option());

    let scenario = Scenario::calls(&link.outside);
    let calls = Play {
        from: PHONE,
        port: CALLED,
        calls: CALLS,
        rate: 200,
    };
    let begun = Instant::now();
    let outcome = scenario.play(&link.outside, calls);
    println!("{CALLS} calls in {:?}", begun.elapsed());
    let all = Outcome {
        succeeded: CALLS,
        failed: 0,
    };
    assert_eq!(outcome, all);
    let stats = filter.stats();
    let phone = stats.source(PHONE);
    let packets = 3 * u64::from(CALLS);
    assert_eq!([phone.packets, phone.reason("passed")], [packets; 2]);
    assert!(phone.behaviours.is_empty(), "{:?}", phone.behaviours);
    assert!(stats.behaviours.is_empty(), "{:?}", stats.behaviours);

    // It was on.
    assert!(!listener.hears(&link, SCANNER, messages::INVITE));
    assert!(!listener.hears(&link, PHONE, SVMAP));
    assert!(listener.hears(&link, PHONE, messages::INVITE));
    let stats = filter.stats();
    let met = ["blocked", "signature"].map(|reason| stats.reason(reason));
    assert_eq!(met, [1, 1]);
}

#[test]
fn a_flood_meets_a_whole_configuration_however_often_it_is_reloaded() {
    // One after the other: each takes a CPU for itself.
    for mode in MODES {
        meets_a_whole_configuration(mode);
    }
}

fn meets_a_whole_configuration(mode: &str) {
    const ROUNDS: usize = 20;
    let flooded = Flooded::new();
    let Flooded { link, .. } = &flooded;
    let filter = SipFilter::in_mode(&link.server, mode);
    let mut running = filter.run(&flooded.configuration.option());
    flooded.during(&filter, || {
        let mut before = filter.stats_under_load();
        for round in 0..ROUNDS {
            flooded.say(round);
            // By either way, and by both at once.
            match round % 3 {
                0 => reload_by_command(&filter),
                1 => reload_by_signal(&mut running, || {}),
                _ => reload_by_signal(&mut running, || reload_by_command(&filter)),
            }
            let now = filter.stats_under_load();
            now.assert_no_less_than(&before);
            before = now;
        }
    });
    running.interrupt(PATIENCE).successful();
    filter.assert_absent();
}

#[test]
fn a_reload_that_is_killed_leaves_one_whole_configuration_in_force() {
    // One after the other: each takes a CPU for itself.
    for mode in MODES {
        leaves_one_whole_configuration(mode);
    }
}

fn leaves_one_whole_configuration(mode: &str) {
    const ROUNDS: usize = 24;
    let flooded = Flooded::new();
    let Flooded { link, .. } = &flooded;
    let filter = SipFilter::in_mode(&link.server, mode);
    let mut running = filter.run(&flooded.configuration.option());
    let mut random = Random::new(20);
    flooded.during(&filter, || {
        for round in 0..ROUNDS {
            flooded.say(round);
            let reload = Running::start(filter.command(["reload"]));
            thread::sleep(Duration::from_millis(random.below(350) as u64));
            reload.kill();
            // Whatever it has left is put right by the next one.
            if round % 3 == 2 {
                reload_by_signal(&mut running, || {});
                reload_by_command(&filter);
            }
        }
    });
    running.interrupt(PATIENCE).successful();
    filter.assert_absent();
}

/// A server that is flooded by one source, and two configurations that drop the flood, for one reason
/// alone each, of which the other has nothing.
struct Flooded {
    link: Link,
    listener: Listener,
    configuration: Configuration,
}

impl Flooded {
    /// With the first configuration.
    fn new() -> Self {
        let link = Link::new();
        let listener = Listener::new(&link);
        let flooded = Self {
            link,
            listener,
            configuration: Configuration::new(""),
        };
        flooded.say(1);
        flooded
    }

    /// Has the file say one thing and the other by turns.
    fn say(&self, round: usize) {
        self.configuration.say(&match round % 2 {
            0 => "drop = [\"scanners\"]\n".to_owned(),
            _ => format!("drop = []\n[lists]\nblock = [\"{SCANNER}\"]\n"),
        });
    }

    /// Does something in the flood, of which nothing passes.
    fn during(&self, filter: &SipFilter<'_>, work: impl FnOnce()) {
        let ((), sent) = flood::during(&self.link, work);
        let stats = filter.stats();
        let rate = sent.rate();
        let met = ["blocked", "signature"].map(|reason| stats.reason(reason));
        println!(
            "{} probes, {rate:.0} a second; blocked and by signature: {met:?}",
            sent.probes
        );
        assert!(rate >= 10_000.0, "only {rate:.0} probes a second");
        assert!(!self.listener.has_heard(), "a probe has come through");
        let source = stats.source(SCANNER);
        // A full queue loses packets before the filter sees them.
        assert!(source.packets > sent.probes / 2, "{source:?}");
        assert_eq!([source.dropped, met[0] + met[1]], [source.packets; 2]);
        assert!(met.iter().all(|met| *met > 0));
    }
}

fn reload_by_command(filter: &SipFilter<'_>) {
    filter.succeed("reload");
}

/// Has a `run` read its configuration again, does something else meanwhile, and waits until both are
/// done.
fn reload_by_signal(running: &mut Running, meanwhile: impl FnOnce()) {
    let times = |running: &Running| running.stderr().matches("read again").count();
    let before = times(running);
    running.signal(libc::SIGHUP);
    meanwhile();
    running.wait_until("it read its configuration again", PATIENCE, |running| {
        times(running) > before
    });
}

#[test]
fn whoever_registers_too_often_gets_what_the_rate_allows() {
    in_each_mode(gets_what_the_rate_allows);
}

fn gets_what_the_rate_allows(mode: &str) {
    const RATE: f64 = 10.0;
    const BURST: f64 = 20.0;
    let link = Link::new();
    link.outside
        .ip(&format!("addr add {ANOTHER}/24 dev {OUTSIDE}"));
    let registrar = Registrar::start(&link.server, 5060);
    let filter = SipFilter::in_mode(&link.server, mode);
    let configuration =
        Configuration::new("[limit.REGISTER]\nrate = 10\nper = \"1s\"\nburst = 20\n");
    filter.attach(&configuration.option());
    // A scanner, a phone that keeps trying, and one that does not register as often as that.
    let senders = [(SCANNER, 100), (PHONE, 20), (ANOTHER, 8)];
    let watch = Watch::on(&link.outside, OUTSIDE);
    let outcomes = thread::scope(|scope| {
        let plays = senders.map(|(from, rate)| {
            let (port, calls) = (5060, 6 * rate);
            let play = Play {
                from,
                port,
                calls,
                rate,
            };
            let outside = &link.outside;
            scope.spawn(move || Scenario::register([7000; 600]).play(outside, play))
        });
        plays.map(|play| match play.join() {
            Ok(outcome) => outcome,
            Err(_) => panic!("sipp has failed"),
        })
    });
    let seen = watch.finish();
    let stats = filter.stats();
    for ((from, rate), outcome) in senders.into_iter().zip(outcomes) {
        let sent: Vec<_> = seen
            .iter()
            .filter(|datagram| datagram.sent && datagram.source.ip().to_string() == from)
            .collect();
        assert_eq!(sent.len(), 6 * rate as usize, "{from}");
        let allowed = (BURST + RATE * lasted(&sent)).min(f64::from(6 * rate));
        let passed = f64::from(outcome.succeeded);
        println!(
            "{from}: {passed} of {} passed, {allowed:.1} allowed",
            6 * rate
        );
        assert!(
            (passed - allowed).abs() <= allowed * 0.05,
            "{from}: {passed} of {allowed}"
        );
        let source = stats.source(from);
        assert_eq!(source.dropped, u64::from(outcome.failed), "{from}");
        assert_eq!(source.reason("limit"), u64::from(outcome.failed), "{from}");
    }
    let answered: u32 = outcomes.iter().map(|outcome| outcome.succeeded).sum();
    assert_eq!(registrar.answered(), u64::from(answered));
    assert_eq!(outcomes[2].failed, 0);
}

/// The time from the first to the last one, in seconds.
fn lasted(sent: &[&Datagram]) -> f64 {
    let [first, .., last] = sent else {
        panic!("fewer than two datagrams were sent")
    };
    let at = |datagram: &Datagram| -> SystemTime { datagram.at };
    at(last)
        .duration_since(at(first))
        .map_or(0.0, |time| time.as_secs_f64())
}
