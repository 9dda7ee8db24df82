//! A scanner that moves its User-Agent away is named all the same, and what is made to be dear is
//! nobody's: by the program in the kernel (BPF_PROG_TEST_RUN, which needs root) and by the
//! classifier on the host.

use sip_filter_common::classify::Classification;
use sip_filter_tests::{
    hostile,
    kernel::{Counted, DROP, PASS, Program, tool_between},
    packet::Frame,
};

/// What the host's classifier finds, which the program in the kernel has to find too.
fn both(program: &Program, message: &hostile::Message) -> (Classification, u32) {
    let hostile::Message { name, payload } = message;
    let host = program.host(payload);
    let (totals, tools) = (program.totals(), program.tool_counts());
    let action = program.run(&Frame::to("192.0.2.10").payload(payload).bytes());
    let (counted, _) = Counted::between(&totals, &program.totals());
    assert_eq!(counted, program.decided(host), "{name}");
    let tool = tool_between(&tools, &program.tool_counts());
    assert_eq!(tool, host.tool().map(|found| found.tool()), "{name}");
    (host, action)
}

#[test]
fn a_user_agent_behind_a_kilobyte_is_found() {
    let program = Program::load("scanners", "5060");
    let mut missed = Vec::new();
    for message in hostile::padded() {
        let (found, action) = both(&program, &message);
        let tool = found.tool().map(|found| program.tool(found.tool()));
        if (tool, action) != (Some("sipvicious"), DROP) {
            missed.push(message.name);
        }
    }
    assert!(missed.is_empty(), "not found behind {}", missed.join(", "));
}

#[test]
fn what_only_looks_like_a_scanner_passes() {
    let program = Program::load("scanners", "5060");
    for message in hostile::dear() {
        let (found, action) = both(&program, &message);
        assert_eq!((found.tool(), action), (None, PASS), "{}", message.name);
    }
}
