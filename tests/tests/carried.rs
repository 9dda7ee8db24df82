//! What is carried over where maps are made anew under way: for another number of sources or of bans, with
//! whatever is killed meanwhile. No counter goes backwards, and in the end each packet was counted once.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use serde_json::Value;
use sip_filter_tests::{
    configuration::Configuration,
    flood::{self, Sink},
    forged::Forger,
    messages::{INVITE, QUALIFY, SVMAP},
    mutation::Random,
    namespace::{FILTERED, Link, PHONE, SCANNER, SERVER, SERVER_IPV6},
    packet::Frame,
    process::Running,
    rounds,
    sip_filter::SipFilter,
    stats::{Source, Stats},
};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Rooms for sources that take turns.
const SIZES: [u32; 3] = [2048, 65_536, 4096];

#[test]
fn counters_go_on_where_there_is_room_for_more_sources_or_fewer() {
    counters_go_on("native", "tcx", "");
}

#[test]
fn counters_at_tcx_go_on_and_nothing_passes() {
    counters_go_on("tcx", "native", "--drop scanners");
}

/// Changes the room of a filter in this mode under a flood, beside another one that nobody changes, and
/// kills some who do.
fn counters_go_on(mode: &'static str, others: &str, policy: &str) {
    let link = Link::new();
    let sink = Sink::new(&link);
    let witness = SipFilter::named(&link.server, "witness");
    witness.attach(&format!("--mode {others}"));
    let filter = SipFilter::in_mode(&link.server, mode);
    let run = filter.run(&format!("{policy} --sources 1024"));
    // Known to both before anything changes, and another one that goes on.
    let phone = link.outside.udp_socket(PHONE);
    let call = || {
        let sent = phone.send_to(INVITE, (SERVER, flood::PORT));
        sent.unwrap_or_else(|error| panic!("{error}"));
    };
    call();
    let mut random = Random::new(7);
    let mut left = 0;
    let ((), sent) = flood::during(&link, || {
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            let reader = scope.spawn(|| read_until(&filter, &done));
            // Also where this fails, or the reader would go on for ever.
            let ends = Ends(&done);
            for round in 0..rounds(6) {
                let size = SIZES[round % SIZES.len()];
                let line = format!("attach -i {FILTERED} --mode {mode} {policy} --sources {size}");
                call();
                if round % 2 == 1 {
                    let mut attaching = Running::start(filter.command(line.split_whitespace()));
                    let beside = filter.pins().join("COUNTS-new");
                    while !beside.exists() && attaching.is_running() {
                        thread::sleep(Duration::from_millis(1));
                    }
                    thread::sleep(Duration::from_millis(random.below(60) as u64));
                    match attaching.is_running() {
                        true => attaching.kill(),
                        false => attaching.finish(PATIENCE),
                    };
                    left += usize::from(beside.exists());
                } else {
                    filter.succeed(&line);
                }
            }
            filter.succeed(&format!(
                "attach -i {FILTERED} --mode {mode} {policy} --sources 1024"
            ));
            drop(ends);
            let readings = reader
                .join()
                .unwrap_or_else(|_| panic!("the reader has failed"));
            println!("{readings} readings, {left} left something");
        });
    });
    let (counted, seen) = (filter.stats(), witness.stats());
    println!("{sent:?}, {:?}", counted.totals);
    if !policy.is_empty() {
        // What the phone sends passes.
        assert_eq!(sink.heard(), counted.totals.passed);
        assert_eq!(counted.totals.dropped, counted.totals.scanner);
    }
    let sums = |stats: &Stats| {
        let Stats { totals, ports, .. } = stats;
        let ports: Vec<_> = ports.iter().map(|port| (port.port, port.packets)).collect();
        (totals.packets, totals.bytes, totals.scanner, ports)
    };
    assert_eq!(sums(&counted), sums(&seen));
    assert_eq!(
        counted.tool("sipvicious").packets,
        seen.tool("sipvicious").packets
    );
    let of_both = |address| [&counted, &seen].map(|stats| without_verdicts(stats.source(address)));
    for address in [SCANNER, PHONE] {
        let [counted, seen] = of_both(address);
        assert_eq!(counted, seen);
    }
    let hits = signature_hits(&filter);
    assert_eq!(hits, counted.tool("sipvicious").packets);
    // What was known of the scanner is not news again.
    let ended = run.interrupt(PATIENCE).successful();
    let news = ended.stderr.matches("is seen with sipvicious").count();
    assert_eq!(news, 1, "{ended}");
    // It has seen the maps of now: its last line is a sum of all.
    let packets = thousands(counted.totals.packets);
    assert!(
        ended.stderr.contains(&format!("{packets} packets")),
        "{packets}: {ended}"
    );
    witness.detach();
    filter.assert_absent();
}

/// Sets what it holds when it is dropped.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// With the thousands separated, as people are told.
fn thousands(number: u64) -> String {
    match number {
        0..1000 => number.to_string(),
        _ => format!("{},{:03}", thousands(number / 1000), number % 1000),
    }
}

/// Reads the counters until it is told to end, and sees that none goes backwards; how often.
fn read_until(filter: &SipFilter<'_>, done: &AtomicBool) -> usize {
    let mut before: Option<Stats> = None;
    let mut readings = 0;
    while !done.load(Ordering::Relaxed) {
        let now = filter.stats_under_load();
        if let Some(before) = before {
            now.assert_no_less_than(&before);
        }
        before = Some(now);
        readings += 1;
    }
    readings
}

/// What a source sent, whatever became of it, and when.
fn without_verdicts(source: &Source) -> Source {
    Source {
        dropped: 0,
        would_drop: 0,
        reasons: Default::default(),
        first_seen: String::new(),
        last_seen: String::new(),
        ..source.clone()
    }
}

/// How many packets the signatures have named.
fn signature_hits(filter: &SipFilter<'_>) -> u64 {
    let listed = filter.succeed("signatures list --format json");
    let listed: Value = serde_json::from_str(&listed).unwrap_or_else(|error| panic!("{error}"));
    let signatures = listed.as_array().cloned().unwrap_or_default();
    signatures
        .iter()
        .filter_map(|signature| signature["hits"].as_u64())
        .sum()
}

#[test]
fn who_is_blocked_and_who_was_seen_stay_so_where_the_sizes_change() {
    let link = Link::new();
    let filter = SipFilter::new(&link.server);
    let text = |sizes: &str| {
        format!("drop = ['scanners']\n{sizes}[escalate]\nafter = 2\nwithin = '1h'\nfor = '1h'\n")
    };
    let configuration = Configuration::new(&text("sizes.sources = 1024\n"));
    filter.attach(&configuration.option());
    let [scanner, phone] = [SCANNER, PHONE].map(|address| link.outside.udp_socket(address));
    let send = |socket: &std::net::UdpSocket, message: &[u8]| {
        let sent = socket.send_to(message, (SERVER, flood::PORT));
        sent.unwrap_or_else(|error| panic!("{error}"));
    };
    send(&scanner, SVMAP);
    send(&scanner, SVMAP);
    send(&phone, QUALIFY);
    let escalated = || filter.stats().source(SCANNER).reason("escalated");
    assert_eq!(escalated(), 1, "not blocked");
    let sizes = [
        "sizes.bans = 2048\n",
        "sizes.bans = 1024\nsizes.sources = 4096\n",
        "",
    ];
    for (times, sizes) in (2..).zip(sizes) {
        configuration.say(&text(sizes));
        let said = filter.succeed("reload");
        assert!(said.contains("reloaded"), "{said}");
        send(&scanner, INVITE);
        assert_eq!(escalated(), times, "{sizes}");
        let blocked = filter.succeed("block list");
        assert!(blocked.contains(SCANNER), "{blocked}");
    }
    let stats = filter.stats();
    assert_eq!(stats.totals.packets, 6);
    let phone = stats.source(PHONE);
    assert_eq!((phone.packets, phone.methods.get("OPTIONS")), (1, Some(&1)));
    let fills = filter.succeed("status --format json");
    let fills: Value = serde_json::from_str(&fills).unwrap_or_else(|error| panic!("{error}"));
    let maps = fills["maps"].as_array().cloned().unwrap_or_default();
    let room = |name: &str| maps.iter().find(|map| map["map"] == name)?["at_most"].as_u64();
    assert_eq!(
        [room("SOURCES"), room("SENDERS"), room("BANS")],
        [Some(65_536), Some(65_536), Some(16_384)]
    );
}

#[test]
fn what_has_no_room_any_more_is_forgotten_and_said() {
    let link = Link::new();
    let filter = SipFilter::new(&link.server);
    filter.attach("--sources 4096");
    let forger = Forger::ipv6(&link.outside);
    let send = |source: usize, message: &[u8]| {
        let frame = Frame::to(SERVER_IPV6).from(&format!("2001:db8:1::{source:x}"));
        forger.send(&frame.from_port(40_000).payload(message), SERVER_IPV6);
    };
    for source in 1..=2000 {
        send(source, if source <= 10 { SVMAP } else { INVITE });
    }
    let before = filter.stats();
    let is_recognised = |source: &&Source| source.scanner > 0;
    let recognised: Vec<_> = before.sources.iter().filter(is_recognised).collect();
    // Those that are recognised have room of their own.
    let kept = 1024 + recognised.len();
    assert!(!recognised.is_empty() && before.sources.len() > kept);
    let attached = filter
        .attempt(&format!("attach -i {FILTERED} --sources 1024"))
        .successful();
    let said = format!("{} sources are forgotten", before.sources.len() - kept);
    assert!(attached.stderr.contains(&said), "{said}: {attached}");
    let after = filter.stats_under_load();
    assert_eq!((after.sources.len(), after.totals), (kept, before.totals));
    for source in recognised {
        let after = after.source(&source.source);
        assert_eq!(without_verdicts(after), without_verdicts(source));
    }
}
