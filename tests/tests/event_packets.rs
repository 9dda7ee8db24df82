//! What the program reports of packets: frames go in through the kernel's test run, events come out.
//!
//! Needs root: the program is loaded, and attached to nothing.

use sip_filter::{
    config::configuration::{Action, Configuration},
    events::{Event, What},
    geoip::Databases,
};
use sip_filter_common::{abi, rules::Rules};
use sip_filter_tests::{
    kernel::{Policy, Program},
    messages::{INVITE, REGISTER, SIPSAK, SVMAP},
    packet::Frame,
};

const SERVER: &str = "192.0.2.10";
const SCANNER: &str = "198.51.100.66";
const PHONE: &str = "198.51.100.20";
const SECOND: u64 = 1_000_000_000;

fn frame(source: &str, payload: &[u8]) -> Vec<u8> {
    let frame = Frame::to(SERVER).from(source).port(5062);
    frame.payload(payload).bytes()
}

fn reports(program: &Program) -> Vec<abi::Event> {
    let reports = program.filter().last_reports();
    reports.unwrap_or_else(|error| panic!("{error:#}"))
}

fn events(program: &Program) -> Vec<Event> {
    let events = Event::in_words(program.filter(), &Databases::default(), &reports(program));
    events.unwrap_or_else(|error| panic!("{error:#}"))
}

/// How many events there were, and how many more there would have been.
fn counts(program: &Program) -> [u64; 2] {
    let counts = program.filter().event_counts();
    let counts = counts.unwrap_or_else(|error| panic!("{error:#}"));
    // Nobody reads the ring of a program that is attached to nothing.
    [counts.reported + counts.lost, counts.suppressed]
}

#[test]
fn a_source_is_reported_once_for_each_tool() {
    let program = Program::load("nothing", "5060-5100");
    for payload in [SVMAP, SVMAP, INVITE, REGISTER, SIPSAK, SVMAP, SIPSAK] {
        program.run(&frame(SCANNER, payload));
    }
    assert_eq!(counts(&program), [2, 0]);
    let last = events(&program);
    let [last] = last.as_slice() else {
        panic!("one source has one last event: {last:?}");
    };
    assert_eq!(last.what, What::Tool);
    assert_eq!(last.tool.as_deref(), Some("sipsak"));
    assert_eq!(last.source.to_string(), SCANNER);
    assert_eq!(last.destination.to_string(), SERVER);
    assert_eq!((last.port, last.method), (5062, "OPTIONS"));
    assert_eq!(last.start_line, "OPTIONS sip:100@192.0.2.10 SIP/2.0");
    assert_eq!(last.user_agent.as_deref(), Some("sipsak 0.9.8.1"));

    // A phone has no event, and neither of two sources hides the other.
    program.run(&frame(PHONE, INVITE));
    program.run(&frame("198.51.100.67", SVMAP));
    assert_eq!(counts(&program), [3, 0]);
    assert_eq!(events(&program).len(), 2);
}

#[test]
fn a_packet_is_reported_to_its_end_or_as_far_as_there_is_room() {
    let program = Program::load("nothing", "5060-5100");
    let text = |length: usize| {
        let mut text = SVMAP[..SVMAP.len() - 2].to_vec();
        text.extend_from_slice(b"X-Filler: ");
        while text.len() < length {
            text.push(b'a' + (text.len() % 26) as u8);
        }
        text.truncate(length);
        text
    };
    let lengths = [400, 401, 403, 407, 408, 1016, 1017, 1023, 1024, 1025, 1400];
    for (number, length) in lengths.into_iter().enumerate() {
        let sent = text(length);
        let source = format!("198.51.100.{}", 100 + number);
        program.run(&frame(&source, &sent));
        let reports = reports(&program);
        let last = reports.iter().find(|report| {
            let octets = report.source.octets();
            usize::from(octets[15]) == 100 + number
        });
        let Some(last) = last else {
            panic!("{length} bytes are not reported");
        };
        let reported: Vec<_> = last.text.iter().flat_map(|it| it.to_ne_bytes()).collect();
        let expected = &sent[..length.min(abi::Event::TEXT)];
        assert_eq!(last.length as usize, expected.len());
        assert_eq!(&reported[..expected.len()], expected, "{length} bytes");
    }
}

#[test]
fn the_shortest_tool_is_reported_to_its_end() {
    let program = Program::load("nothing", "5060-5100");
    // zmap's probe where its template is cut off.
    program.run(&frame(SCANNER, b"OPTIONS"));
    let lines: Vec<_> = events(&program)
        .into_iter()
        .map(|event| (event.tool, event.start_line))
        .collect();
    assert_eq!(lines, [(Some("zmap".to_owned()), "OPTIONS".to_owned())]);
}

#[test]
fn a_flood_of_new_sources_reports_no_more_than_so_many() {
    let program = Program::load("nothing", "5060-5100");
    for number in 0..200 {
        program.run(&frame(&format!("203.0.113.{number}"), SVMAP));
    }
    let [told, suppressed] = counts(&program);
    assert_eq!(told + suppressed, 200);
    // The test may be moved to another CPU, and a new span may begin.
    assert!(
        (abi::Event::MOST..200).contains(&told),
        "{told} events of 200 sources"
    );
}

#[test]
fn behaviours_blocks_and_their_ends_are_reported() {
    let mut configuration = Configuration::default();
    for behaviour in &mut configuration.behaviours {
        behaviour.action.value = Action::Count;
    }
    configuration.escalate.after.value = 3;
    configuration.escalate.action.value = Action::Drop;
    let mut rules = configuration.rules(0x5eed);
    rules.escalation.length = 60 * SECOND;
    rules = rules.with_uses();
    rules.uses |= Rules::SET_CLOCK;
    let mut program =
        Program::load_as(Policy::new("nothing", "5060-5100").with_rules(rules), false);

    program.set_clock(100 * SECOND);
    let kinds = |program: &Program| -> Vec<_> {
        let events = events(program);
        events.into_iter().map(|event| event.what).collect()
    };
    program.run(&frame(SCANNER, SVMAP));
    assert_eq!(kinds(&program), [What::Tool]);
    program.run(&frame(SCANNER, SVMAP));
    program.run(&frame(SCANNER, SVMAP));
    let blocked = What::Blocked {
        cause: "signature",
        seconds: 60,
    };
    assert_eq!(kinds(&program), [blocked]);
    assert_eq!(counts(&program), [2, 0]);

    // Blocked, nothing is known of it but that; then it comes again, with what it had before.
    program.set_clock(159 * SECOND);
    program.run(&frame(SCANNER, SVMAP));
    assert_eq!(counts(&program), [2, 0]);
    program.set_clock(161 * SECOND);
    program.run(&frame(SCANNER, INVITE));
    program.run(&frame(SCANNER, INVITE));
    assert_eq!(kinds(&program), [What::Unblocked]);
    assert_eq!(counts(&program), [3, 0]);
}
