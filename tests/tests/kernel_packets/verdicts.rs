//! What is dropped, and for which reason.

use crate::{
    FROM_IPV4, FROM_IPV6, PORTS, ipv4, ipv6, program,
    rows::{Datagram, Expected, hold, row},
};
use sip_filter::kernel::Hook;
use sip_filter_common::{sip::MessageClass, verdict::Outcome};
use sip_filter_tests::messages;

at_each_hook! {
    the_first_rule_that_matches_gives_the_verdict
}

fn the_first_rule_that_matches_gives_the_verdict(hook: Hook) {
    use Outcome::{Malformed as M, Options as O, Passed as P, Signature as S, WouldSignature as W};

    // What arrives, and the tool in it, of a dropping kind or not.
    let scanner = Some(("sipvicious", true));
    let packets = [
        ("svmap's OPTIONS", messages::SVMAP, scanner),
        ("svwar's REGISTER", messages::SVWAR, scanner),
        ("an honest OPTIONS", messages::QUALIFY, None),
        (
            "a test tool's OPTIONS",
            messages::SIPSAK,
            Some(("sipsak", false)),
        ),
        ("an INVITE", messages::INVITE, None),
        ("an unknown method", messages::UNKNOWN_METHOD, None),
        ("a response to a probe", messages::OK, None),
        ("a keepalive", messages::CRLF_CRLF, None),
        ("STUN", messages::STUN, None),
        ("RTP", messages::RTP, None),
        ("HTTP of a scanner", messages::HTTP, None),
        (
            "a bare method",
            messages::BARE_METHOD,
            Some(("zmap", false)),
        ),
    ];
    // What each of them meets, in that order.
    let verdicts = [
        ("nothing", [W, W, P, P, P, P, P, P, P, P, P, P]),
        ("scanners", [S, S, P, P, P, P, P, P, P, P, P, P]),
        ("options", [O, W, O, O, P, P, P, P, P, P, P, P]),
        ("malformed", [W, W, P, P, P, P, P, P, P, M, M, M]),
        ("scanners,options", [S, S, O, O, P, P, P, P, P, P, P, P]),
        ("scanners,malformed", [S, S, P, P, P, P, P, P, P, M, M, M]),
        ("options,malformed", [O, W, O, O, P, P, P, P, P, M, M, M]),
        (
            "scanners,options,malformed",
            [S, S, O, O, P, P, P, P, P, M, M, M],
        ),
    ];
    for (drop, outcomes) in verdicts {
        let program = program(hook, drop, PORTS);
        let mut rows = Vec::new();
        for ((what, payload, tool), outcome) in packets.into_iter().zip(outcomes) {
            for (family, frame, source) in
                [("IPv4", ipv4(), FROM_IPV4), ("IPv6", ipv6(), FROM_IPV6)]
            {
                let frame = frame.payload(payload).bytes();
                let expected = Expected::Datagram(Datagram {
                    class: class_of(payload),
                    tool: tool.map(|(tool, _)| tool),
                    hostile: tool.is_some_and(|(_, hostile)| hostile),
                    outcome,
                    port: 5060,
                    source,
                    bytes: frame.len(),
                });
                rows.push(row(
                    format!("{what} over {family}, dropping {drop}"),
                    frame,
                    expected,
                ));
            }
        }
        hold(&program, &rows);
    }
}

/// What the messages above are, by their first word.
fn class_of(payload: &[u8]) -> MessageClass {
    let starts = |text: &str| payload.starts_with(text.as_bytes());
    match payload {
        _ if starts("OPTIONS sip:") => MessageClass::Options,
        _ if starts("REGISTER sip:") => MessageClass::Register,
        _ if starts("INVITE sip:") => MessageClass::Invite,
        _ if starts("PING sip:") => MessageClass::Other,
        _ if starts("SIP/2.0 ") => MessageClass::Response,
        messages::CRLF_CRLF | messages::STUN => MessageClass::Keepalive,
        _ => MessageClass::Malformed,
    }
}
