//! Limits, behaviours and escalation: rows of packets with their times, handed to the program in the
//! kernel and to the filter on the host, which must count the same.
//!
//! Needs root: the program is loaded, and attached to nothing.

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

use sip_filter::{
    config::{
        configuration::{Action, Configuration},
        span::Span,
    },
    kernel::Load,
    lists::{ConfigEntry, List, Lists},
    replay::{Engine as _, Host, Kernel},
    stats::{Clock, Snapshot, WallTime},
};
use sip_filter_common::{
    rules::{Behaviour, Escalation, Limit, Rules},
    sip::MessageClass,
};
use sip_filter_tests::{
    kernel::{Policy, Program},
    messages::{RTP, SVMAP},
    packet::Frame,
};

const MS: u64 = 1_000_000;
const SECOND: u64 = 1000 * MS;
/// When the first packet comes: 2026-11-23T06:00:00Z, in nanoseconds since 1970.
const BEGIN: u64 = 1_795_413_600 * SECOND;

const PHONE: &str = "192.0.2.20";
const PBX: &str = "198.51.100.10";

/// A request as honest programs write it.
#[derive(Clone, Copy)]
struct Request<'a> {
    method: &'a str,
    user: &'a str,
    has_tag: bool,
    has_credentials: bool,
}

impl<'a> Request<'a> {
    fn new(method: &'a str, user: &'a str) -> Self {
        Self {
            method,
            user,
            has_tag: false,
            has_credentials: false,
        }
    }

    fn in_dialogue(self) -> Self {
        Self {
            has_tag: true,
            ..self
        }
    }

    fn with_credentials(self) -> Self {
        Self {
            has_credentials: true,
            ..self
        }
    }

    fn text(self) -> String {
        let Self { method, user, .. } = self;
        let uri = match method {
            "REGISTER" => "sip:pbx.example.org".to_owned(),
            _ => format!("sip:{user}@pbx.example.org"),
        };
        let tag = if self.has_tag { ";tag=9d2f" } else { "" };
        let credentials = match self.has_credentials {
            true => format!(
                "Authorization: Digest username=\"{user}\", realm=\"pbx\", nonce=\"5f\", \
                 uri=\"{uri}\", response=\"0123456789abcdef0123456789abcdef\"\r\n"
            ),
            false => String::new(),
        };
        format!(
            "{method} {uri} SIP/2.0\r\n\
             Via: SIP/2.0/UDP 192.0.2.20:5060;branch=z9hG4bK-7f3a;rport\r\n\
             Max-Forwards: 70\r\n\
             From: \"Desk\" <sip:desk@pbx.example.org>;tag=4c1e77\r\n\
             To: \"Somebody\" <sip:{user}@pbx.example.org>{tag}\r\n\
             Call-ID: 8f2a-11c0-77@192.0.2.20\r\n\
             CSeq: 7 {method}\r\n\
             Contact: <sip:desk@192.0.2.20:5060>\r\n\
             {credentials}\
             User-Agent: Example Phone 2.1\r\n\
             Content-Length: 0\r\n\r\n"
        )
    }
}

const OK: &str = "SIP/2.0 200 OK\r\n\
    Via: SIP/2.0/UDP 198.51.100.10:5060;branch=z9hG4bK-11\r\n\
    From: <sip:pbx@198.51.100.10>;tag=1\r\nTo: <sip:desk@192.0.2.20>;tag=2\r\n\
    Call-ID: 5@198.51.100.10\r\nCSeq: 2 OPTIONS\r\nContent-Length: 0\r\n\r\n";

/// The program and the host's filter, with the same rules.
struct Both {
    kernel: Kernel,
    host: Host,
    now: u64,
    from: String,
    senders: u8,
}

/// By name, how many packets were met, dropped, and would have been dropped.
type Rows = BTreeMap<&'static str, (u64, u64, u64)>;

impl Both {
    fn new(drop: &str, rules: Rules) -> Self {
        let policy = Policy::new(drop, "5060-5100,6060").with_rules(rules.with_uses());
        Self::load(&policy.load())
    }

    fn load(load: &Load<'_>) -> Self {
        Self {
            kernel: Kernel::new(load).unwrap_or_else(|error| panic!("{error:#}")),
            host: Host::new(load).unwrap_or_else(|error| panic!("{error:#}")),
            now: BEGIN,
            from: PHONE.to_owned(),
            senders: 0,
        }
    }

    /// Hands over a packet.
    fn send(&mut self, frame: Frame) {
        let frame = frame.bytes();
        for engine in [
            &mut self.kernel as &mut dyn sip_filter::replay::Engine,
            &mut self.host,
        ] {
            engine
                .observe(&frame, self.now)
                .unwrap_or_else(|error| panic!("{error:#}"));
        }
    }

    /// A packet from the sender to the PBX.
    fn say(&mut self, text: impl AsRef<[u8]>) {
        self.say_to(PBX, 5060, text);
    }

    /// A packet from the sender to whatever host and port.
    fn say_to(&mut self, to: &str, port: u16, text: impl AsRef<[u8]>) {
        let frame = Frame::to(to).from(&self.from).port(port).payload(text);
        self.send(frame);
    }

    /// What follows is said by somebody who has said nothing yet: to load a program for each takes long
    /// where a machine is emulated.
    fn go_on_as_another(&mut self) {
        self.senders += 1;
        self.from = format!("203.0.113.{}", self.senders);
    }

    /// What the sender was recognised by.
    fn recognised(&self) -> Vec<&'static str> {
        let sources = self.snapshot().sources;
        let sender = sources
            .into_iter()
            .find(|source| source.source.to_string() == self.from);
        sender.map_or_else(Vec::new, |source| source.behaviours.to_vec())
    }

    fn wait(&mut self, ns: u64) {
        self.now += ns;
    }

    /// What was counted, which is the same in both.
    fn snapshot(&self) -> Snapshot {
        let clock = Clock::new(WallTime::from_ns(self.now), self.now);
        let [kernel, host] = [self.kernel.counters(), self.host.counters()].map(|counters| {
            let counters = counters.unwrap_or_else(|error| panic!("{error:#}"));
            Snapshot::new("both", Vec::new(), &counters, clock)
        });
        assert_eq!(kernel, host, "kernel and host");
        host
    }

    fn reasons(&self) -> Rows {
        let rows = self.snapshot().reasons.into_iter();
        rows.filter(|row| row.packets > 0)
            .map(|row| (row.reason, (row.packets, row.dropped, row.would_drop)))
            .collect()
    }

    fn behaviours(&self) -> Rows {
        let rows = self.snapshot().behaviours.into_iter();
        rows.map(|row| (row.behaviour, (row.packets, row.dropped, row.would_drop)))
            .collect()
    }

    fn passed(&self) -> u64 {
        self.snapshot().totals.passed
    }
}

/// So many packets within a time, and so many at once.
fn limit(rate: u64, per: u64, burst: u64, drops: bool) -> Limit {
    let interval = per / rate;
    Limit {
        interval,
        tolerance: (burst - 1) * interval,
        drops: drops.into(),
    }
}

fn with_limit(class: Option<MessageClass>, limit: Limit) -> Rules {
    let mut rules = Rules::NONE;
    rules.limits[class.map_or(0, |class| class as usize + 1)] = limit;
    rules
}

/// What is watched with the thresholds that hold unless the operator says otherwise.
fn watching() -> Rules {
    let mut configuration = Configuration::default();
    for behaviour in &mut configuration.behaviours {
        behaviour.action.value = Action::Count;
    }
    configuration.rules(0x5eed)
}

#[test]
fn a_burst_passes_and_then_as_many_as_the_rate_allows() {
    let rules = with_limit(Some(MessageClass::Register), limit(10, SECOND, 20, true));
    let mut both = Both::new("nothing", rules);
    let register = Request::new("REGISTER", "100").text();
    for _ in 0..100 {
        both.say(&register);
    }
    assert_eq!(
        both.reasons(),
        Rows::from([("limit", (80, 80, 0)), ("passed", (20, 0, 0))])
    );
    // Another method, a response, and what is not SIP have no limit.
    for text in [
        Request::new("INVITE", "100").text().as_bytes(),
        OK.as_bytes(),
        RTP,
    ] {
        both.say(text);
    }
    assert_eq!(both.passed(), 23);
    // A second later ten more pass; after a long time no more than the burst.
    both.wait(SECOND);
    for _ in 0..100 {
        both.say(&register);
    }
    assert_eq!(both.passed(), 33);
    both.wait(3600 * SECOND);
    for _ in 0..100 {
        both.say(&register);
    }
    assert_eq!(both.passed(), 53);
    // Another source has a limit of its own.
    both.send(Frame::to(PBX).from("192.0.2.21").payload(&register));
    assert_eq!(both.passed(), 54);
}

#[test]
fn whoever_keeps_trying_gets_what_the_rate_allows() {
    let rules = with_limit(None, limit(10, SECOND, 5, true));
    let mut both = Both::new("nothing", rules);
    let register = Request::new("REGISTER", "100").text();
    // Three times as often as is allowed, for twenty seconds.
    for _ in 0..600 {
        both.say(&register);
        both.wait(SECOND / 30);
    }
    let passed = both.passed();
    assert!((199..=206).contains(&passed), "{passed}");
}

#[test]
fn a_limit_that_only_counts_drops_nothing() {
    let rules = with_limit(None, limit(10, SECOND, 20, false));
    let mut both = Both::new("nothing", rules);
    for text in [OK.to_owned(), Request::new("INVITE", "100").text()] {
        for _ in 0..50 {
            both.say(&text);
        }
    }
    assert_eq!(
        both.reasons(),
        Rows::from([("limit", (80, 0, 80)), ("passed", (20, 0, 0))])
    );
}

#[test]
fn what_one_limit_drops_is_not_counted_by_the_other() {
    let mut rules = with_limit(None, limit(100, SECOND, 100, true));
    rules.limits[MessageClass::Register as usize + 1] = limit(10, SECOND, 10, true);
    let mut both = Both::new("nothing", rules);
    for _ in 0..1000 {
        both.say(Request::new("REGISTER", "100").text());
    }
    for _ in 0..1000 {
        both.say(Request::new("OPTIONS", "100").text());
    }
    let methods = both.snapshot().methods;
    let passed = methods.iter().map(|method| method.packets - method.dropped);
    assert_eq!(passed.collect::<Vec<_>>(), [10, 90]);
}

#[test]
fn what_a_signature_drops_is_not_counted_by_limits() {
    let rules = with_limit(None, limit(1, SECOND, 2, true));
    let mut both = Both::new("scanners", rules);
    for _ in 0..10 {
        both.say(SVMAP);
    }
    for _ in 0..3 {
        both.say(Request::new("OPTIONS", "100").text());
    }
    assert_eq!(
        both.reasons(),
        Rows::from([
            ("signature", (10, 10, 0)),
            ("limit", (1, 1, 0)),
            ("passed", (2, 0, 0)),
        ])
    );
}

#[test]
fn a_limit_is_exact_whatever_the_rate_and_on_however_many_cpus() {
    for (rate, burst) in [(10, 5), (10_000, 100)] {
        let mut rules = with_limit(None, limit(rate, SECOND, burst, true)).with_uses();
        rules.uses |= Rules::SET_CLOCK;
        let mut program = Program::load_as(Policy::new("nothing", "5060").with_rules(rules), false);
        let frame = Frame::to(PBX)
            .from(PHONE)
            .payload(Request::new("OPTIONS", "100").text())
            .bytes();
        // Ten thousand packets a second and more, from all CPUs at once, in steps of time.
        const STEPS: u64 = 60;
        let step = 100 * SECOND / rate / 2;
        let step = step.min(SECOND / 20);
        let cpus = thread::available_parallelism()
            .map_or(2, usize::from)
            .max(2);
        for number in 0..STEPS {
            program.set_clock(BEGIN + number * step);
            thread::scope(|scope| {
                for _ in 0..cpus {
                    scope.spawn(|| program.repeat(&frame, 600));
                }
            });
        }
        let passed = sip_filter::stats::Totals::new(&program.totals()).passed;
        let allowed = burst as f64 + (STEPS - 1) as f64 * step as f64 * rate as f64 / SECOND as f64;
        println!("{rate} a second: {passed} passed of {allowed:.1} allowed");
        let ratio = passed as f64 / allowed;
        assert!(
            (0.95..=1.05).contains(&ratio),
            "{rate}: {passed} of {allowed}"
        );
    }
}

#[test]
fn a_limit_goes_by_the_clock() {
    let rules = with_limit(None, limit(100, SECOND, 100, true));
    let policy = Policy::new("nothing", "5060").with_rules(rules.with_uses());
    let program = Program::load_as(policy, false);
    let frame = Frame::to(PBX).from(PHONE).payload(OK).bytes();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(2) {
        program.repeat(&frame, 200);
    }
    let passed = sip_filter::stats::Totals::new(&program.totals()).passed;
    let allowed = 100.0 + 100.0 * begun.elapsed().as_secs_f64();
    println!("{passed} passed of {allowed:.1} allowed");
    // Not as exact as that: where others need the CPU too, it may stand still for long.
    assert!(
        passed as f64 <= allowed + 1.0 && passed >= 200,
        "{passed} of {allowed}"
    );
}

#[test]
fn an_extension_scan_is_recognised_whatever_it_calls_itself() {
    let mut both = Both::new("nothing", watching());
    let mut before = 0;
    for method in ["REGISTER", "INVITE", "OPTIONS"] {
        both.go_on_as_another();
        for user in 100..300 {
            both.say(Request::new(method, &user.to_string()).text());
            both.wait(200 * MS);
        }
        let behaviours = both.behaviours();
        let (packets, dropped, would_drop) = behaviours["enumeration"];
        // From about the hundredth user on.
        assert!(
            (80..=115).contains(&(packets - before)),
            "{method}: {behaviours:?}"
        );
        assert_eq!((dropped, would_drop), (0, packets));
        assert_eq!(behaviours.len(), 1, "{method}: {behaviours:?}");
        assert_eq!(both.recognised(), ["enumeration"]);
        before = packets;
    }
}

#[test]
fn users_are_told_apart_by_what_names_them_and_by_nothing_else() {
    let mut both = Both::new("nothing", watching());
    for (what, is_many, of) in [
        (
            "a display name",
            false,
            (|n| format!("\"{n}\" <sip:100@h>")) as fn(u32) -> String,
        ),
        ("a quoted bracket", true, |n| {
            format!("\"<sip:1@h>\" <sip:{n}@h>")
        }),
        ("without brackets", true, |n| format!("sip:{n}@h")),
        ("sips", true, |n| format!("<sips:{n}@h>")),
        ("tel", true, |n| format!("<tel:+49{n}>")),
        ("a host", false, |n| format!("<sip:h{n}>")),
        ("a password", false, |n| format!("<sip:100:{n}@h>")),
        ("a parameter of the user", false, |n| {
            format!("<sip:100;x={n}@h>")
        }),
        ("a parameter of the URI", false, |n| {
            format!("<sip:100@h;x={n}>")
        }),
        ("another host", false, |n| format!("<sip:100@h{n}>")),
        ("a long user", true, |n| format!("<sip:{n:060}@h>")),
        ("the end of a very long user", false, |n| {
            format!("<sip:{:070}{n:09}@h>", 1)
        }),
        ("a blank line of it", true, |n| format!("\r\n  <sip:{n}@h>")),
    ] {
        both.go_on_as_another();
        for user in 1000..1200 {
            let text = Request::new("REGISTER", "XX").text();
            let to = format!("To: {}\r\n", of(user));
            let text = text.replace("To: \"Somebody\" <sip:XX@pbx.example.org>\r\n", &to);
            assert!(text.contains(&to));
            both.say(text);
        }
        assert_eq!(both.recognised() == ["enumeration"], is_many, "{what}");
    }
}

#[test]
fn password_guessing_is_recognised_for_one_user_and_not_for_many() {
    let mut both = Both::new("nothing", watching());
    for _ in 0..100 {
        both.say(Request::new("REGISTER", "104").text());
        both.say(Request::new("REGISTER", "104").with_credentials().text());
        both.wait(100 * MS);
    }
    assert_eq!(
        both.behaviours(),
        Rows::from([("password-guessing", (81, 0, 81))])
    );
    // Without credentials nothing is guessed.
    let mut both = Both::new("nothing", watching());
    for _ in 0..200 {
        both.say(Request::new("REGISTER", "104").text());
    }
    assert_eq!(both.behaviours(), Rows::new());
}

#[test]
fn a_port_sweep_is_recognised_at_one_host_and_not_at_many() {
    let mut both = Both::new("nothing", watching());
    let mut sweep = |hosts: u8, ports: u16| {
        both.go_on_as_another();
        for port in 5060..5060 + ports {
            for host in 0..hosts {
                let to = format!("198.51.100.{}", 10 + host);
                both.say_to(&to, port, Request::new("INVITE", "100").text());
            }
        }
        both.recognised()
    };
    assert!(sweep(1, 4).is_empty());
    assert_eq!(sweep(1, 5), ["port-sweep"]);
    assert!(sweep(10, 4).is_empty());
    assert_eq!(sweep(10, 7), ["port-sweep"]);
    // One port of each of many hosts.
    assert!(sweep(100, 1).is_empty());
}

#[test]
fn an_address_sweep_is_recognised_by_options() {
    let mut both = Both::new("nothing", watching());
    let mut sweep = |method: &str, hosts: u8| {
        both.go_on_as_another();
        for host in 0..hosts {
            let to = format!("198.51.100.{}", 10 + host);
            both.say_to(&to, 5060, Request::new(method, "100").text());
        }
        both.recognised()
    };
    assert!(sweep("OPTIONS", 6).is_empty());
    assert_eq!(sweep("OPTIONS", 12), ["address-sweep"]);
    assert!(sweep("INVITE", 100).is_empty());
}

#[test]
fn a_flood_is_recognised_where_next_to_nothing_is_in_a_dialogue() {
    let mut both = Both::new("nothing", watching());
    for _ in 0..2000 {
        both.say(Request::new("INVITE", "100").text());
        both.wait(MS);
    }
    assert_eq!(both.behaviours(), Rows::from([("flood", (1001, 0, 1001))]));
    // The same with calls that go on.
    let mut both = Both::new("nothing", watching());
    for _ in 0..2000 {
        both.say(Request::new("INVITE", "100").text());
        both.say(Request::new("BYE", "100").in_dialogue().text());
        both.wait(MS);
    }
    assert_eq!(both.behaviours(), Rows::new());
}

#[test]
fn windows_end_and_counts_begin_anew() {
    let mut both = Both::new("nothing", watching());
    // 100 users in ten minutes are 50 in each window.
    for user in 0..1000 {
        both.say(Request::new("REGISTER", &user.to_string()).text());
        both.wait(6 * SECOND);
    }
    assert_eq!(both.behaviours(), Rows::new());
}

#[test]
fn honest_senders_do_not_cross_the_thresholds() {
    let mut both = Both::new("nothing", watching());
    // Two hours of a phone that registers anew each minute, with credentials at once, and is called.
    for _ in 0..120 {
        both.say(Request::new("REGISTER", "101").with_credentials().text());
        both.say(OK);
        both.wait(60 * SECOND);
    }
    assert_eq!(both.behaviours(), Rows::new(), "a phone");

    // Forty phones behind one address, each of which registers every half minute, first without
    // credentials, asks for its lamps and calls somebody every ten minutes.
    both.go_on_as_another();
    for round in 0..40 {
        for phone in 0..40 {
            let user = (100 + phone).to_string();
            both.say(Request::new("REGISTER", &user).text());
            both.say(Request::new("REGISTER", &user).with_credentials().text());
            both.say(Request::new("SUBSCRIBE", &(200 + phone).to_string()).text());
            if (round + phone) % 20 == 0 {
                let called = (300 + round * 3 + phone).to_string();
                both.say(Request::new("INVITE", &called).text());
                both.say(Request::new("ACK", &called).in_dialogue().text());
                both.say(Request::new("BYE", &called).in_dialogue().text());
            }
            both.wait(30 * SECOND / 40);
        }
    }
    assert_eq!(both.behaviours(), Rows::new(), "forty phones");

    // A trunk that sends 200 calls a minute, each to another extension: it rings for 20 seconds, and
    // a third of all calls are not answered.
    both.go_on_as_another();
    let mut pending = std::collections::VecDeque::new();
    for call in 0..2000_u64 {
        let user = (10_000 + call).to_string();
        both.say(Request::new("INVITE", &user).text());
        pending.push_back((both.now + 20 * SECOND, user));
        while let Some((_, user)) = pending.pop_front_if(|(due, _)| *due <= both.now) {
            both.say(Request::new("ACK", &user).in_dialogue().text());
            if call % 3 != 0 {
                both.say(Request::new("BYE", &user).in_dialogue().text());
            }
        }
        both.wait(300 * MS);
    }
    assert_eq!(both.behaviours(), Rows::new(), "a trunk");

    // A host that asks each of three addresses every second whether it lives.
    both.go_on_as_another();
    for second in 0..3600 {
        let to = format!("198.51.100.{}", 10 + second % 3);
        both.say_to(&to, 5060, Request::new("OPTIONS", "ping").text());
        both.wait(SECOND);
    }
    assert_eq!(both.behaviours(), Rows::new(), "a monitoring host");
}

#[test]
fn a_behaviour_that_is_dropped_is_dropped_from_the_line_on() {
    let mut rules = watching();
    rules.dropped = Behaviour::PasswordGuessing.bit();
    let mut both = Both::new("nothing", rules);
    for _ in 0..30 {
        both.say(Request::new("REGISTER", "104").with_credentials().text());
    }
    // What is no part of it passes.
    both.say(Request::new("REGISTER", "105").with_credentials().text());
    assert_eq!(
        both.reasons(),
        Rows::from([("behaviour", (11, 11, 0)), ("passed", (20, 0, 0))])
    );
    assert_eq!(
        both.behaviours(),
        Rows::from([("password-guessing", (11, 11, 0))])
    );
}

fn escalating(by: u32, drops: bool) -> Rules {
    Rules {
        escalation: Escalation {
            after: 5,
            within: Span::from_secs(600).ticks(),
            length: 3600 * SECOND,
            by,
            drops: drops.into(),
        },
        ..watching()
    }
}

#[test]
fn a_source_is_blocked_with_the_packet_that_crosses_the_line_and_for_a_time() {
    let mut both = Both::new("nothing", escalating(Escalation::BY_SIGNATURE, true));
    for _ in 0..4 {
        both.say(SVMAP);
    }
    both.say(Request::new("INVITE", "100").text());
    assert_eq!(both.passed(), 5);
    // The fifth probe is dropped, and so is whatever comes then.
    both.say(SVMAP);
    both.say(Request::new("INVITE", "100").text());
    both.say(RTP);
    both.wait(3599 * SECOND);
    both.say(OK);
    assert_eq!(
        both.reasons(),
        Rows::from([
            ("signature", (4, 0, 4)),
            ("passed", (1, 0, 0)),
            ("escalated", (4, 4, 0)),
        ])
    );
    // Others are not concerned, and the time ends.
    both.send(Frame::to(PBX).from("192.0.2.21").payload(SVMAP));
    both.wait(2 * SECOND);
    both.say(Request::new("INVITE", "100").text());
    assert_eq!(both.passed(), 7);
}

#[test]
fn escalation_that_only_counts_drops_nothing() {
    let mut both = Both::new("nothing", escalating(Escalation::BY_SIGNATURE, false));
    for _ in 0..10 {
        both.say(SVMAP);
    }
    assert_eq!(
        both.reasons(),
        Rows::from([("signature", (4, 0, 4)), ("escalated", (6, 0, 6))])
    );
}

#[test]
fn a_behaviour_escalates_and_offences_far_apart_do_not() {
    let mut both = Both::new("nothing", escalating(Escalation::BY_BEHAVIOUR, true));
    for _ in 0..30 {
        both.say(Request::new("REGISTER", "104").with_credentials().text());
    }
    assert_eq!(
        both.reasons(),
        Rows::from([
            ("passed", (19, 0, 0)),
            ("behaviour", (4, 0, 4)),
            ("escalated", (7, 7, 0)),
        ])
    );
    // By behaviours alone no signature counts.
    let mut both = Both::new("nothing", escalating(Escalation::BY_BEHAVIOUR, true));
    for _ in 0..30 {
        both.say(SVMAP);
    }
    assert_eq!(both.reasons()["signature"], (30, 0, 30));
    // Four in ten minutes are not five.
    let mut both = Both::new("nothing", escalating(Escalation::BY_SIGNATURE, true));
    for _ in 0..40 {
        both.say(SVMAP);
        both.wait(160 * SECOND);
    }
    assert_eq!(both.reasons(), Rows::from([("signature", (40, 0, 40))]));
}

#[test]
fn who_is_allowed_is_not_judged_and_who_is_blocked_is_not_asked() {
    let entry = |(list, prefix): (List, &str)| ConfigEntry {
        list,
        prefix: prefix.parse().unwrap_or_else(|error| panic!("{error:#}")),
        until: None,
        reason: String::new(),
        place: String::new(),
    };
    let entries = [
        (List::Allow, PHONE),
        (List::Block, "192.0.2.0/24"),
        (List::Block, "203.0.113.66"),
        (List::Allow, "2001:db8::/32"),
        (List::Block, "2001:db8::66"),
        (List::Block, "2001:db9::/32"),
    ];
    let lists = Lists::of_configuration(&entries.map(entry));
    for (block_drops, blocked) in [(1, (3, 3, 0)), (0, (3, 0, 3))] {
        let mut rules = escalating(Escalation::BY_SIGNATURE | Escalation::BY_BEHAVIOUR, true);
        rules.limits[0] = limit(1, SECOND, 1, true);
        rules.dropped = rules.watched;
        rules.block_drops = block_drops;
        let policy = Policy::new("scanners,options,malformed", "5060").with_rules(rules);
        let mut both = Both::load(&Load {
            lists: &lists,
            ..policy.load()
        });
        for _ in 0..30 {
            both.say(SVMAP);
            both.say(Request::new("REGISTER", "104").with_credentials().text());
        }
        both.say(RTP);
        let v6 = "2001:db8::10";
        for (from, to) in [
            ("192.0.2.21", PBX),
            ("203.0.113.66", PBX),
            ("2001:db9::1", v6),
            ("2001:db8::66", v6),
        ] {
            both.send(Frame::to(to).from(from).payload(OK));
        }
        assert_eq!(
            both.reasons(),
            Rows::from([("allowed", (62, 0, 0)), ("blocked", blocked)])
        );
        assert_eq!(both.behaviours(), Rows::new());
    }
}
