//! What real programs have sent, through the program in the kernel and the classifier on the host:
//! which tool is named, and that nothing honest is ever dropped for one.

use sip_filter_common::{
    classify::Classification,
    verdict::{DropSet, Met, Outcome, decide},
};
use sip_filter_tests::{
    corpus,
    kernel::{Counted, DROP, LONGEST_FRAME, Program, tool_between},
    packet, torture,
};

/// Runs of tools of which not every request is named yet, and how many are not: whoever makes the
/// program name them takes them out of here.
///
/// Their User-Agent is that of no tool, or there is none. svcrash is not among them: it sends a
/// response, and responses are never judged.
const UNNAMED: [(&str, usize); 0] = [];

/// The program says the same of the frame as the host's classifier; what that is.
fn both(program: &Program, what: &str, frame: &[u8]) -> Classification {
    let host = program.host_of(frame);
    let (totals, tools) = (program.totals(), program.tool_counts());
    let action = program.run(frame);
    let (counted, _) = Counted::between(&totals, &program.totals());
    assert_eq!(counted, program.decided(host), "{what}");
    assert_eq!(action, counted.action(), "{what}");
    let tool = tool_between(&tools, &program.tool_counts());
    assert_eq!(tool, host.tool().map(|found| found.tool()), "{what}");
    host
}

#[test]
fn every_packet_is_what_the_manifest_says() {
    let program = Program::load("scanners", "5060-5100");
    let mut unnamed = Vec::new();
    for corpus::Entry { run, frames } in corpus::entries() {
        let mut missing = 0;
        for (at, (frame, class)) in frames.iter().zip(run.classes()).enumerate() {
            let what = format!("{}, packet {at}", run.file);
            let found = both(&program, &what, &frame.bytes);
            assert_eq!(found.class, class, "{what}");
            match found.tool() {
                Some(found) => {
                    assert_eq!(program.tool(found.tool()), run.tool, "{what}");
                    assert_eq!(found.kind().name(), run.kind, "{what}");
                }
                None if run.tool.is_empty() || !class.is_request() => {}
                None => missing += 1,
            }
        }
        if missing > 0 {
            unnamed.push((run.file, missing));
        }
    }
    let unnamed: Vec<_> = unnamed
        .iter()
        .map(|(file, missing)| (file.as_str(), *missing))
        .collect();
    assert_eq!(unnamed, UNNAMED);
}

#[test]
fn nothing_that_honest_programs_send_is_dropped_for_a_tool() {
    let program = Program::load("scanners", "5060-5100");
    let entries = corpus::entries();
    let honest: Vec<_> = entries
        .iter()
        .filter(|entry| entry.run.tool.is_empty())
        .collect();
    assert!(honest.len() > 15, "there are too few of them");
    for corpus::Entry { run, frames } in honest {
        for (at, frame) in frames.iter().enumerate() {
            let what = format!("{}, packet {at}", run.file);
            assert_eq!(program.host_of(&frame.bytes).tool(), None, "{what}");
            assert_ne!(program.run(&frame.bytes), DROP, "{what}");
        }
    }
}

#[test]
fn nothing_that_the_rfcs_thought_up_is_taken_for_a_tool() {
    let program = Program::load("scanners", "5060-5100");
    for message in torture::rfc4475().into_iter().chain(torture::rfc5118()) {
        let what = format!("{} of section {}", message.name, message.section);
        let frame = packet::Frame::to("192.0.2.10")
            .from("198.51.100.20")
            .port(5060)
            .payload(&message.bytes)
            .bytes();
        // One of them is longer than any frame that can be handed over in one piece.
        let found = if frame.len() > LONGEST_FRAME {
            assert_eq!(message.name, "longreq", "{what}");
            program.host(&message.bytes)
        } else {
            both(&program, &what, &frame)
        };
        assert_eq!(found.class, message.class, "{what}");
        assert_eq!(found.tool(), None, "{what}");
        let outcome = decide(DropSet::SCANNERS, found.class, found.tool(), Met::NOTHING);
        assert_eq!(outcome, Outcome::Passed, "{what}");
    }
}
