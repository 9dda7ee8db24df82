//! A small network, and what is said of it.

use std::net::Ipv6Addr;

use super::*;
use crate::kernel::AttachedMode;

/// 2026-11-23T06:00:00Z.
const WALL: u64 = 1_795_413_600_000_000_000;
/// What the monotonic clock shows then: ten minutes.
const NOW: u64 = 600_000_000_000;

/// A packet as the tests say it: class, hostile, outcome, packets, bytes.
type Cells<'a> = &'a [(MessageClass, bool, Outcome, u64, u64)];

fn totals_of(cells: Cells<'_>) -> abi::Totals {
    let mut totals = abi::Totals::ZERO;
    for &(class, hostile, outcome, packets, bytes) in cells {
        totals.cells[abi::Totals::cell(class, hostile, outcome)] = Count { packets, bytes };
    }
    totals
}

fn tool_named(tool: &str, kind: Kind) -> ToolName {
    let mut name = ToolName {
        name: [0; 31],
        kind: kind as u8,
    };
    name.name[..tool.len()].copy_from_slice(tool.as_bytes());
    name
}

/// `ports`: a bit for each place but the last, which is always tried.
fn source_of(cells: Cells<'_>, ports: u64, tools: &[usize]) -> SourceCount {
    let mut count = SourceCount {
        ports: std::array::from_fn(|at| u8::from((ports | 1 << 63) >> at & 1 != 0)),
        first_seen: NOW - 300_000_000_000,
        last_seen: NOW - 1_500_000_000,
        ..SourceCount::ZERO
    };
    for &(class, hostile, outcome, packets, bytes) in cells {
        count.count(class, hostile, outcome, packets);
        count.bytes += bytes;
    }
    for tool in tools {
        count.tools[*tool] = 1;
    }
    count
}

fn ipv6(address: &str) -> Address {
    let octets = address.parse::<Ipv6Addr>().unwrap().octets();
    let half = |at: usize| u64::from_ne_bytes(octets[at..at + 8].try_into().unwrap());
    Address {
        words: [half(0), half(8)],
    }
}

/// A small network: a scanner that is dropped, one that is not, a phone and noise.
pub(crate) fn snapshot() -> Snapshot {
    use MessageClass::*;
    use Outcome::{Passed, Signature, WouldSignature};
    let scanner: Cells<'_> = &[
        (Options, true, Signature, 1_234_567, 500_000_000),
        (Register, true, Signature, 3, 1_200),
    ];
    let other: Cells<'_> = &[(Options, true, WouldSignature, 40, 16_000)];
    let phone: Cells<'_> = &[
        (Register, false, Passed, 12, 6_000),
        (Response, false, Passed, 40, 20_000),
        (Keepalive, false, Passed, 900, 41_400),
    ];
    let noise: Cells<'_> = &[(Malformed, false, Passed, 2, 100)];

    let mut totals = totals_of(&[scanner, other, phone, noise].concat());
    totals.fragments = 5;
    totals.unreadable = 1;
    totals.unlisted = 3;
    let mut tool_counts = ToolCounts {
        tools: [Default::default(); abi::MAX_TOOLS],
    };
    tool_counts.tools[0] = ToolCount {
        packets: 40,
        dropped: 0,
        would_drop: 40,
    };
    tool_counts.tools[2] = ToolCount {
        packets: 1_234_570,
        dropped: 1_234_570,
        would_drop: 0,
    };
    let port = |packets, scanner, dropped| PortCount {
        packets,
        scanner,
        dropped,
    };
    let counters = Counters {
        totals,
        tool_counts,
        tools: vec![
            tool_named("nmap", Kind::Scanner),
            tool_named("sipsak", Kind::TestTool),
            tool_named("sipvicious", Kind::Scanner),
        ],
        behaviours: [ToolCount::default(); Behaviour::COUNT],
        ports: vec![
            (5060, port(954, 0, 0)),
            (5061, port(1_234_610, 1_234_610, 1_234_570)),
            (5062, port(0, 0, 0)),
        ],
        sources: vec![
            (ipv6("::ffff:203.0.113.9"), source_of(noise, 0, &[])),
            (ipv6("::ffff:192.0.2.7"), source_of(scanner, 0b1011, &[2])),
            (ipv6("2001:db8::5060"), source_of(other, 1, &[0, 2])),
            (ipv6("::ffff:198.51.100.1"), source_of(phone, 0, &[])),
        ],
    };
    let interfaces = vec![kernel::Interface {
        name: "eth0".to_owned(),
        ifindex: 4,
        mode: AttachedMode::Native,
    }];
    let clock = Clock::new(WallTime::from_ns(WALL), NOW);
    Snapshot::new("default", interfaces, &counters, clock)
}

#[test]
fn every_total_is_a_sum_of_cells() {
    use MessageClass::*;
    use Outcome::{Passed, Signature, WouldSignature};
    let totals = |packets, bytes| Totals {
        packets,
        bytes,
        ..Totals::default()
    };
    for (what, cells, expected) in [
        ("nothing", &[] as Cells<'_>, totals(0, 0)),
        (
            "a phone's request",
            &[(Invite, false, Passed, 7, 70)],
            Totals {
                sip: 7,
                requests: 7,
                passed: 7,
                ..totals(7, 70)
            },
        ),
        (
            "a method of no RFC",
            &[(Other, false, Passed, 7, 70)],
            Totals {
                sip: 7,
                requests: 7,
                passed: 7,
                ..totals(7, 70)
            },
        ),
        (
            "a response",
            &[(Response, false, Passed, 3, 30)],
            Totals {
                sip: 3,
                responses: 3,
                passed: 3,
                ..totals(3, 30)
            },
        ),
        (
            "keepalives",
            &[(Keepalive, false, Passed, 5, 50)],
            Totals {
                keepalives: 5,
                passed: 5,
                ..totals(5, 50)
            },
        ),
        (
            "malformed, some dropped",
            &[
                (Malformed, false, Passed, 2, 20),
                (Malformed, false, Outcome::Malformed, 3, 30),
            ],
            Totals {
                malformed: 5,
                passed: 2,
                dropped: 3,
                ..totals(5, 50)
            },
        ),
        (
            "a scanner while monitoring",
            &[(Options, true, WouldSignature, 9, 90)],
            Totals {
                sip: 9,
                requests: 9,
                scanner: 9,
                would_drop: 9,
                passed: 9,
                ..totals(9, 90)
            },
        ),
        (
            "a scanner that is dropped",
            &[(Options, true, Signature, 9, 90)],
            Totals {
                sip: 9,
                requests: 9,
                scanner: 9,
                dropped: 9,
                ..totals(9, 90)
            },
        ),
        (
            "OPTIONS that are dropped, a scanner's and others",
            &[
                (Options, true, Outcome::Options, 1, 10),
                (Options, false, Outcome::Options, 2, 20),
            ],
            Totals {
                sip: 3,
                requests: 3,
                scanner: 1,
                dropped: 3,
                ..totals(3, 30)
            },
        ),
    ] {
        assert_eq!(Totals::new(&totals_of(cells)), expected, "{what}");
    }
}

#[test]
fn each_packet_is_one_class_and_has_one_fate() {
    let mut totals = abi::Totals::ZERO;
    for (at, cell) in totals.cells.iter_mut().enumerate() {
        *cell = Count {
            packets: 1 << (at % 40),
            bytes: at as u64,
        };
    }
    let sums = Totals::new(&totals);
    assert_eq!(
        sums.packets,
        totals.cells.iter().map(|cell| cell.packets).sum::<u64>()
    );
    assert_eq!(sums.packets, sums.sip + sums.keepalives + sums.malformed);
    assert_eq!(sums.sip, sums.requests + sums.responses);
    assert_eq!(sums.packets, sums.passed + sums.dropped);
    let methods = methods(&totals);
    assert_eq!(methods.len(), 15);
    assert_eq!(
        sums.requests,
        methods.iter().map(|method| method.packets).sum::<u64>()
    );
}

#[test]
fn a_minute_is_the_difference() {
    let before = Totals {
        packets: 5,
        dropped: 2,
        ..Totals::default()
    };
    let after = Totals {
        packets: 9,
        dropped: 3,
        fragments: 1,
        ..Totals::default()
    };
    let minute = Totals {
        packets: 4,
        dropped: 1,
        fragments: 1,
        ..Totals::default()
    };
    assert_eq!(after.since(&before), minute);
}

#[test]
fn rows_are_sorted_and_ties_have_an_order() {
    let sorted = |column: &str| {
        let mut sources = snapshot().sources;
        sort(&mut sources, column);
        sources
            .iter()
            .map(|row| row.source.to_string())
            .collect::<Vec<_>>()
    };
    let (scanner, noise, other, phone) =
        ("192.0.2.7", "203.0.113.9", "2001:db8::5060", "198.51.100.1");
    for (column, expected) in [
        ("packets", [scanner, phone, other, noise]),
        ("bytes", [scanner, phone, other, noise]),
        ("would_drop", [other, scanner, phone, noise]),
        ("source", [scanner, phone, noise, other]),
        ("ports", [scanner, other, phone, noise]),
        ("last_seen", [scanner, phone, noise, other]),
        ("tools", [other, scanner, phone, noise]),
    ] {
        assert_eq!(sorted(column), expected, "by {column}");
    }
}
