//! The program in the kernel and the host's code, asked about the same frames.

use crate::{ETHERNET, PORTS, UDP, headers::readable, many, program};
use sip_filter::{
    config::signatures::Signatures,
    kernel::Hook,
    replay::{Engine, Host, Kernel},
    stats::{Clock, Snapshot, WallTime},
};
use sip_filter_common::field::Field;
use sip_filter_tests::{
    kernel::{Counted, LONGEST_FRAME, Policy, Program, tool_between},
    messages,
    mutation::{Random, change},
    packet::Frame,
};

at_each_hook! {
    kernel_and_host_agree_on_every_message_cut_off_anywhere
    kernel_and_host_agree_on_a_user_agent_at_every_offset
    kernel_and_host_agree_on_messages_with_anything_changed
    kernel_and_host_agree_on_what_a_value_contains_at_every_offset
    kernel_and_host_agree_on_what_values_contain_where_anything_is_changed
    frames_with_anything_changed_in_their_headers_are_counted_once_at_most
}

/// Both classifiers say the same of the payload in this frame, and of the tool.
fn agree(program: &Program, what: &str, payload: &[u8], frame: &[u8]) {
    let host = program.host_of(frame);
    let (totals, tools) = (program.totals(), program.tool_counts());
    let action = program.run(frame);
    let (counted, _) = Counted::between(&totals, &program.totals());
    let tool = tool_between(&tools, &program.tool_counts());
    let text = payload.escape_ascii();
    assert_eq!(counted, program.decided(host), "{what}: {text}");
    assert_eq!(action, counted.action(), "{what}: {text}");
    assert_eq!(
        tool,
        host.tool().map(|found| found.tool()),
        "{what}: {text}"
    );
}

fn kernel_and_host_agree_on_every_message_cut_off_anywhere(hook: Hook) {
    let program = program(hook, "scanners,options,malformed", PORTS);
    for (what, message) in messages::ALL {
        for length in 0..=message.len() {
            let payload = &message[..length];
            let what = format!("{what}, {length} bytes");
            let udp_length = (UDP + length) as u16;
            let whole = Frame::to("192.0.2.10").payload(message);
            let padded = Frame::to("192.0.2.10").payload(payload).bytes();
            for (where_, frame) in [
                ("alone", Frame::to("192.0.2.10").payload(payload).bytes()),
                (
                    "over IPv6",
                    Frame::to("2001:db8::10").payload(payload).bytes(),
                ),
                // What is cut off stands behind the datagram, where it must not be read.
                ("in a longer packet", whole.udp_length(udp_length).bytes()),
                (
                    "in a longer frame",
                    [&padded[..], &message[length..]].concat(),
                ),
            ] {
                agree(&program, &format!("{what}, {where_}"), payload, &frame);
            }
        }
    }
}

fn kernel_and_host_agree_on_a_user_agent_at_every_offset(hook: Hook) {
    let program = program(hook, "scanners", PORTS);
    let longest = LONGEST_FRAME - Frame::to("192.0.2.10").overhead();
    let start = "OPTIONS sip:100@192.0.2.10 SIP/2.0\r\nX:";
    let end = "\r\nUser-Agent: friendly-scanner\r\n\r\n";
    let near = 0..300;
    let far = longest - 300..longest + 1 - start.len() - end.len();
    for padding in near.chain(far) {
        let payload = format!("{start}{}{end}", "x".repeat(padding));
        let frame = Frame::to("192.0.2.10").payload(&payload).bytes();
        let found = program.host(payload.as_bytes()).tool();
        assert!(found.is_some(), "not found behind {padding} bytes");
        agree(&program, "a User-Agent", payload.as_bytes(), &frame);
    }
}

fn kernel_and_host_agree_on_messages_with_anything_changed(hook: Hook) {
    let many = many(hook, 30_000);
    let program = program(hook, "scanners,options,malformed", PORTS);
    let longest = LONGEST_FRAME - Frame::to("192.0.2.10").overhead();
    let mut random = Random::new(0x9e37_79b9_7f4a_7c15);
    for number in 0..many {
        let (what, message) = messages::ALL[number % messages::ALL.len()];
        let mut payload = message.to_vec();
        for _ in 0..1 + random.below(4) {
            change(&mut payload, &mut random);
        }
        payload.truncate(longest);
        let frame = Frame::to("192.0.2.10").payload(&payload).bytes();
        agree(&program, what, &payload, &frame);
    }
}

/// A scanner of its own for each field that contains a text of its own.
pub fn contained() -> Signatures {
    let entry = |field: Field| {
        let name = field.name();
        let pattern = text_of(field);
        format!(
            "[[signature]]\ntool = \"in {name}\"\nkind = \"scanner\"\nfield = \"{name}\"\n\
             match = \"contains\"\npattern = \"{pattern}\"\n"
        )
    };
    let file: String = Field::ALL.into_iter().map(entry).collect();
    Signatures::parse(&file).unwrap_or_else(|error| panic!("{error:#}"))
}

/// What names the scanner of a field where it stands in it.
fn text_of(field: Field) -> String {
    format!("Mark-of-{}", field.name())
}

fn kernel_and_host_agree_on_what_a_value_contains_at_every_offset(hook: Hook) {
    let policy = Policy::new("scanners", PORTS).with_signatures(contained());
    let program = Program::load_as(policy.at(hook), false);
    let longest = LONGEST_FRAME - Frame::to("192.0.2.10").overhead();
    for field in Field::ALL {
        let text = text_of(field);
        let name = field.name();
        let (start, end) = match field {
            Field::RequestUri => ("OPTIONS sip:".to_owned(), " SIP/2.0\r\n\r\n"),
            Field::Body => ("OPTIONS sip:a SIP/2.0\r\n\r\n".to_owned(), ""),
            Field::Any => ("OPTIONS sip:a SIP/2.0\r\nSubject: ".to_owned(), ""),
            _ => (
                format!("OPTIONS sip:a SIP/2.0\r\n{name}: a\r\n "),
                "\r\n\r\nbody",
            ),
        };
        let most = longest - start.len() - text.len() - end.len();
        let far = match field {
            // No more of a request URI is searched.
            Field::RequestUri => 1900..1950,
            _ => most - 100..most + 1,
        };
        for padding in (0..200).chain(far) {
            let padded = "x".repeat(padding);
            let payload = format!("{start}{padded}{text}{end}");
            let frame = Frame::to("192.0.2.10").payload(&payload).bytes();
            let found = program.host(payload.as_bytes()).tool();
            let found = found.map(|found| program.tool(found.tool()).to_owned());
            assert_eq!(found, Some(format!("in {name}")), "behind {padding} bytes");
            agree(&program, name, payload.as_bytes(), &frame);
            // With a byte less, the body's last may be none.
            let payload = payload.replacen(&text, &text[1..], 1);
            let frame = Frame::to("192.0.2.10").payload(&payload).bytes();
            assert_eq!(program.host(payload.as_bytes()).tool(), None, "{payload}");
            agree(&program, name, payload.as_bytes(), &frame);
        }
    }
}

fn kernel_and_host_agree_on_what_values_contain_where_anything_is_changed(hook: Hook) {
    let many = many(hook, 10_000);
    let policy = Policy::new("scanners", PORTS).with_signatures(contained());
    let program = Program::load_as(policy.at(hook), false);
    let mut random = Random::new(0x9e37_79b9_7f4a_7c15);
    let mut found = 0;
    for _ in 0..many {
        let mut text = |field: Field| {
            let other = Field::ALL[random.below(Field::ALL.len())];
            match random.below(8) {
                0 => text_of(field),
                1 => format!("a\r\n {} b", text_of(field).to_uppercase()),
                2 => text_of(other),
                _ => "x".repeat(random.below(40)),
            }
        };
        let header: String = Field::ALL[..Field::HEADERS - 1]
            .iter()
            .map(|field| format!("{}: {}\r\n", field.name(), text(*field)))
            .collect();
        let mut payload = format!(
            "OPTIONS sip:{} SIP/2.0\r\nSubject: {}\r\n{header}\r\n{}",
            text(Field::RequestUri),
            text(Field::Any),
            text(Field::Body)
        )
        .into_bytes();
        for _ in 0..random.below(3) {
            change(&mut payload, &mut random);
        }
        let frame = Frame::to("192.0.2.10").payload(&payload).bytes();
        found += usize::from(program.host(&payload).tool().is_some());
        agree(&program, "what values contain", &payload, &frame);
    }
    assert!(found > many / 4, "only {found} are found");
}

/// A readable frame with anything changed in its headers.
fn changed(frames: &[Vec<u8>], number: usize, random: &mut Random) -> Vec<u8> {
    let mut frame = frames[number % frames.len()].clone();
    for _ in 0..1 + random.below(3) {
        let place = random.below(frame.len().min(120));
        frame[place] = match random.below(3) {
            0 => random.below(256) as u8,
            1 => frame[place] ^ 1 << random.below(8),
            _ => [0, 1, 4, 6, 17, 43, 44, 51, 60, 0x81, 0x88, 0xff][random.below(12)],
        };
    }
    let length = ETHERNET + random.below(frame.len() + 1 - ETHERNET);
    if random.below(4) == 0 {
        frame.truncate(length);
    }
    frame
}

/// Whatever the headers say, the verdict fits the counters, and each frame is counted in one
/// place at most.
fn frames_with_anything_changed_in_their_headers_are_counted_once_at_most(hook: Hook) {
    let many = many(hook, 30_000);
    let program = program(hook, "scanners,options,malformed", "any,5060-5100,6060");
    let frames: Vec<_> = readable().into_iter().map(|row| row.frame).collect();
    let mut random = Random::new(0x2545_f491_4f6c_dd1d);
    for number in 0..many {
        let frame = changed(&frames, number, &mut random);
        if !program.takes(&frame) {
            continue;
        }
        let before = program.totals();
        let action = program.run(&frame);
        let (counted, _) = Counted::between(&before, &program.totals());
        assert_eq!(action, counted.action(), "{counted:?}: {frame:02x?}");
    }
}

/// Whole, cut off anywhere or with anything changed in their headers: the host reads frames as
/// the program does, and counts the same of them.
#[test]
fn the_host_counts_every_frame_as_the_program_does() {
    const CHANGED: usize = 30_000;
    /// So many frames are compared at once: reading all counters takes longer than a frame.
    const TOGETHER: usize = 500;
    let frames: Vec<_> = readable().into_iter().map(|row| row.frame).collect();
    let mut random = Random::new(0x6c62_272e_07bb_0142);
    let mut all: Vec<_> = (0..CHANGED)
        .map(|number| changed(&frames, number, &mut random))
        .collect();
    for frame in &frames {
        all.extend((0..=frame.len()).map(|length| frame[..length].to_vec()));
    }
    for ports in [PORTS, "any", "any,5060-5100,6060"] {
        let policy = Policy::new("scanners,malformed", ports);
        let load = policy.load();
        let (mut kernel, mut host) = match (Kernel::new(&load), Host::new(&load)) {
            (Ok(kernel), Ok(host)) => (kernel, host),
            (Err(error), _) | (_, Err(error)) => panic!("{error:#}"),
        };
        for (at, some) in all.chunks(TOGETHER).enumerate() {
            for (time, frame) in (1..).zip(some) {
                for engine in [&mut kernel as &mut dyn Engine, &mut host] {
                    if let Err(error) = engine.observe(frame, time) {
                        panic!("{error:#}: {frame:02x?}");
                    }
                }
            }
            let what = format!("--ports {ports}, frames from {} on", at * TOGETHER);
            assert_eq!(snapshot(&kernel), snapshot(&host), "{what}");
        }
    }
}

/// All that an engine has counted.
fn snapshot(engine: &dyn Engine) -> Snapshot {
    let counters = engine
        .counters()
        .unwrap_or_else(|error| panic!("{error:#}"));
    Snapshot::new(
        "",
        Vec::new(),
        &counters,
        Clock::new(WallTime::from_ns(0), 0),
    )
}
