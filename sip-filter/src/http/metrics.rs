//! `/metrics`: what there is to know of the filter, as Prometheus reads it.
//!
//! What counts packets is named as the columns of `stats` are. Labels are names that the filter knows,
//! and ports that are inspected: never an address, and never anything without a bound. What can be
//! known beforehand is there from the start, with 0, so that the first packet is a change.

use anyhow::Result;
use sip_filter_common::{abi::PortSet, rules::Behaviour, sip::MessageClass, verdict::Reason};

use super::{
    exposition::{Families, Labels, Text, Value},
    readings::{Counted, InForce},
};
use crate::{
    config::ports::Ports,
    escape,
    stats::{
        Attachment, ByBehaviour, ByReason, Events, Fill, Method, Port, Snapshot, Tool, Totals,
    },
};

/// How many ports have a label of their own: of those that are inspected, the lowest.
const PORTS: usize = 64;
/// The label of all others.
const OTHER: &str = "other";

/// The text; `missing` are interfaces that the filter is to be on and that are gone.
pub(super) fn encode(
    format: Text,
    counted: &Counted,
    in_force: &InForce,
    missing: &[String],
) -> Result<String> {
    let snapshot = &counted.snapshot;
    let mut families = Families::default();
    totals(&mut families, snapshot);
    methods(&mut families, &snapshot.methods);
    tools(&mut families, snapshot);
    ports(&mut families, &snapshot.ports, &in_force.ports);
    reasons(&mut families, &snapshot.reasons);
    behaviours(&mut families, &snapshot.behaviours);
    condition(&mut families, counted, in_force, missing);
    families.encode(format)
}

/// One label.
fn label(name: &'static str, value: impl Into<String>) -> Labels {
    vec![(name, value.into())]
}

fn totals(families: &mut Families, snapshot: &Snapshot) {
    let Totals {
        packets: _,
        bytes,
        sip: _,
        requests,
        responses,
        keepalives,
        malformed,
        scanner,
        dropped,
        would_drop,
        passed,
        fragments,
        unreadable,
        unlisted,
    } = snapshot.totals;
    let classes = [
        ("request", requests),
        ("response", responses),
        ("keepalive", keepalives),
        ("malformed", malformed),
    ];
    families.add(
        "packets",
        "Inspected datagrams, each of one class",
        classes.map(|(class, packets)| (label("class", class), Value::Counter(packets))),
    );
    for (name, help, count) in [
        (
            "bytes",
            "Bytes of inspected datagrams, from the Ethernet header on",
            bytes,
        ),
        (
            "scanner_packets",
            "Packets in which a scanner, cracker, fuzzer or dialer was recognised",
            scanner,
        ),
        ("dropped_packets", "Packets that were dropped", dropped),
        (
            "would_drop_packets",
            "Packets that passed although a rule met them that only counts",
            would_drop,
        ),
        ("passed_packets", "Packets that were not dropped", passed),
        (
            "fragments",
            "Later fragments of UDP datagrams, which pass uninspected",
            fragments,
        ),
        (
            "unreadable_frames",
            "Frames that cannot be read below SIP, which pass",
            unreadable,
        ),
        (
            "unlisted_packets",
            "Packets that ports or sources lack for want of memory",
            unlisted,
        ),
    ] {
        families.one(name, help, Value::Counter(count));
    }
}

fn methods(families: &mut Families, seen: &[Method]) {
    let rows: Vec<_> = MessageClass::ALL
        .into_iter()
        .filter_map(MessageClass::method)
        .map(|method| {
            let seen = seen.iter().find(|row| row.method == method);
            seen.copied().unwrap_or(Method {
                method,
                ..Method::default()
            })
        })
        .collect();
    families.columns(
        "method",
        &rows,
        |row| label("method", row.method),
        &[
            ("packets", "Requests by method", |row| row.packets),
            ("bytes", "Bytes of requests by method", |row| row.bytes),
            ("scanner_packets", "Requests of scanners by method", |row| {
                row.scanner
            }),
            (
                "dropped_packets",
                "Requests that were dropped by method",
                |row| row.dropped,
            ),
            (
                "would_drop_packets",
                "Requests by method that a rule met which only counts",
                |row| row.would_drop,
            ),
        ],
    );
}

fn tools(families: &mut Families, snapshot: &Snapshot) {
    let labels = |row: &Tool| {
        let tool = escape::terminal(&row.tool).into_owned();
        vec![("tool", tool), ("kind", row.kind.to_owned())]
    };
    families.columns(
        "tool",
        &snapshot.tools,
        labels,
        &[
            ("packets", "Packets in which a tool was recognised", |row| {
                row.packets
            }),
            (
                "dropped_packets",
                "Packets of a tool that were dropped",
                |row| row.dropped,
            ),
            (
                "would_drop_packets",
                "Packets of a tool that a rule met which only counts",
                |row| row.would_drop,
            ),
        ],
    );
}

/// Packets by port: those that are inspected, as far as there are labels, and all others together.
/// Which ports these are depends on the configuration alone: no count moves from one to another.
fn ports(families: &mut Families, seen: &[Port], inspected: &PortSet) {
    let named = |set: &PortSet| set.iter().take(PORTS).collect::<Vec<_>>();
    let mut labelled = named(inspected);
    if labelled.is_empty() {
        labelled = named(&Ports::usual().set);
    }
    let none = |port| Port {
        port,
        packets: 0,
        scanner: 0,
        dropped: 0,
    };
    let mut rows: Vec<_> = labelled.into_iter().map(none).collect();
    // There is no port 0 to inspect.
    rows.push(none(0));
    for port in seen {
        let row = rows.iter().position(|row| row.port == port.port);
        let row = row.unwrap_or(rows.len() - 1);
        rows[row].packets += port.packets;
        rows[row].scanner += port.scanner;
        rows[row].dropped += port.dropped;
    }
    let labels = |row: &Port| match row.port {
        0 => label("port", OTHER),
        port => label("port", port.to_string()),
    };
    families.columns(
        "port",
        &rows,
        labels,
        &[
            (
                "packets",
                "Inspected datagrams by destination port",
                |row| row.packets,
            ),
            (
                "scanner_packets",
                "Packets of scanners by destination port",
                |row| row.scanner,
            ),
            (
                "dropped_packets",
                "Packets that were dropped by destination port",
                |row| row.dropped,
            ),
        ],
    );
}

fn reasons(families: &mut Families, seen: &[ByReason]) {
    let rows = Reason::ALL.map(|reason| {
        let seen = seen.iter().find(|row| row.reason == reason.name());
        seen.copied().unwrap_or(ByReason {
            reason: reason.name(),
            ..ByReason::default()
        })
    });
    families.columns(
        "reason",
        &rows,
        |row| label("reason", row.reason),
        &[
            ("packets", "Packets by the rule that met them", |row| {
                row.packets
            }),
            (
                "dropped_packets",
                "Packets that were dropped by the rule that met them",
                |row| row.dropped,
            ),
            (
                "would_drop_packets",
                "Packets that a rule would have dropped if it did not only count",
                |row| row.would_drop,
            ),
        ],
    );
}

fn behaviours(families: &mut Families, seen: &[ByBehaviour]) {
    let rows = Behaviour::ALL.map(|behaviour| {
        let seen = seen.iter().find(|row| row.behaviour == behaviour.name());
        seen.copied().unwrap_or(ByBehaviour {
            behaviour: behaviour.name(),
            ..ByBehaviour::default()
        })
    });
    families.columns(
        "behaviour",
        &rows,
        |row| label("behaviour", row.behaviour),
        &[
            (
                "packets",
                "Packets that were a part of a behaviour",
                |row| row.packets,
            ),
            (
                "dropped_packets",
                "Packets of a behaviour that were dropped",
                |row| row.dropped,
            ),
            (
                "would_drop_packets",
                "Packets of a behaviour that a rule met which only counts",
                |row| row.would_drop,
            ),
        ],
    );
}

fn condition(families: &mut Families, counted: &Counted, in_force: &InForce, missing: &[String]) {
    let Counted {
        snapshot, sources, ..
    } = counted;
    let InForce {
        status,
        condition,
        ports: _,
        escalations,
    } = in_force;
    families.one(
        "sources",
        "Sources that are remembered",
        Value::Gauge(*sources as u64),
    );
    let lists = &status.lists;
    families.add(
        "list_entries",
        "Entries of the allow and the block list",
        [("allow", lists.allowed), ("block", lists.blocked)]
            .map(|(list, entries)| (label("list", list), Value::Gauge(entries))),
    );
    let bans = status
        .escalation
        .as_ref()
        .map_or(0, |escalation| escalation.blocked);
    families.one(
        "bans",
        "Sources that are blocked now for what they sent",
        Value::Gauge(bans),
    );
    families.one(
        "escalations",
        "Times that a source was blocked for what it sent",
        Value::Counter(*escalations),
    );
    let hashes: Vec<_> = condition
        .maps
        .iter()
        .filter_map(|fill| Some((fill, fill.entries?)))
        .collect();
    let map = |fill: &Fill| label("map", fill.map.to_lowercase());
    let gauge = |fill: &Fill, value| (map(fill), Value::Gauge(value));
    families.add(
        "map_entries",
        "Entries that a map of the program has",
        hashes.iter().map(|(fill, entries)| gauge(fill, *entries)),
    );
    families.add(
        "map_capacity",
        "Entries that a map of the program has room for",
        hashes
            .iter()
            .map(|(fill, _)| gauge(fill, fill.at_most.into())),
    );
    families.add(
        "map_memory_bytes",
        "Memory that a map of the program takes, as the kernel counts it",
        condition.maps.iter().map(|fill| gauge(fill, fill.bytes)),
    );
    let attached = condition.attachments.iter().map(attached);
    let missing = missing.iter().map(|name| {
        let labels = vec![("interface", name.clone()), ("mode", "none".to_owned())];
        (labels, Value::Gauge(0))
    });
    families.add(
        "attached",
        "Whether the filter is on the interface",
        attached.chain(missing),
    );
    families.add(
        "info",
        "The version of sip-filter, and the filter's name",
        [(
            vec![
                ("version", env!("CARGO_PKG_VERSION").to_owned()),
                ("filter", snapshot.instance.clone()),
            ],
            Value::Gauge(1),
        )],
    );
    let Events {
        reported,
        suppressed,
        lost,
    } = condition.events;
    let events = [
        ("reported", reported),
        ("suppressed", suppressed),
        ("lost", lost),
    ];
    families.add(
        "events",
        "Events by what became of them: reported, suppressed for being too many, lost for want of room",
        events.map(|(outcome, events)| (label("outcome", outcome), Value::Counter(events))),
    );
    if let Some(program) = &condition.program
        && let Some(mean) = program.mean_run_ns
    {
        families.one(
            "program_runs",
            "Runs of the program, as far as the kernel has measured them",
            Value::Counter(program.runs),
        );
        let seconds = mean * program.runs as f64 / 1e9;
        families.one(
            "program_run_seconds",
            "Time that these runs of the program took",
            Value::SecondsCounter(seconds),
        );
    }
}

fn attached(attachment: &Attachment) -> (Labels, Value) {
    let name = match &attachment.name {
        Some(name) => name.clone(),
        None => format!("interface {}", attachment.ifindex),
    };
    let labels = vec![("interface", name), ("mode", attachment.mode.clone())];
    (
        labels,
        Value::Gauge(u64::from(attachment.attached == Some(true))),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{self, Condition, ListsInForce, Program, Status, WallTime};

    fn in_force(ports: &str) -> InForce {
        let ports: Ports = ports.parse().unwrap();
        let attachment = |name: Option<&str>, attached| Attachment {
            name: name.map(str::to_owned),
            ifindex: 4,
            attached,
            program_id: 37,
            mode: "native".to_owned(),
            since: None,
            others: Vec::new(),
        };
        InForce {
            status: Status {
                instance: "default".to_owned(),
                interfaces: Vec::new(),
                program_id: 37,
                attached_at: WallTime::from_ns(0),
                drop: Vec::new(),
                ports: ports.to_string(),
                sources: 65_536,
                policy: String::new(),
                limits: Vec::new(),
                behaviours: Vec::new(),
                escalation: None,
                lists: ListsInForce {
                    allowed: 3,
                    blocked: 5,
                    at_most: 131_072,
                    action: "drop",
                },
            },
            condition: Condition {
                attachments: vec![attachment(Some("eth0"), Some(true)), attachment(None, None)],
                maps: vec![Fill {
                    map: "SOURCES",
                    entries: Some(4),
                    at_most: 65_536,
                    bytes: 31_982_464,
                }],
                program: Some(Program {
                    id: 37,
                    loaded_at: None,
                    measured: true,
                    runs: 2_000_000,
                    mean_run_ns: Some(250.0),
                }),
                events: Events {
                    reported: 11,
                    suppressed: 13,
                    lost: 0,
                },
                rate: None,
            },
            ports: ports.set,
            escalations: 7,
        }
    }

    fn encoded(format: Text, ports: &str) -> String {
        let missing = ["eth1".to_owned()];
        // A brief reading has fewer than there are.
        let counted = Counted::new(stats::tests::snapshot(), 5_000);
        encode(format, &counted, &in_force(ports), &missing).unwrap()
    }

    #[test]
    fn everything_has_the_numbers_of_the_snapshot() {
        let text = encoded(Text::OpenMetrics, "5060-5100");
        for line in [
            "packets_total{class=\"request\"} 1234622",
            "packets_total{class=\"keepalive\"} 900",
            "bytes_total 500084700",
            "scanner_packets_total 1234610",
            "dropped_packets_total 1234570",
            "would_drop_packets_total 40",
            "passed_packets_total 994",
            "fragments_total 5",
            "unreadable_frames_total 1",
            "unlisted_packets_total 3",
            "method_packets_total{method=\"OPTIONS\"} 1234607",
            "method_packets_total{method=\"INVITE\"} 0",
            "tool_packets_total{tool=\"sipvicious\",kind=\"scanner\"} 1234570",
            "tool_would_drop_packets_total{tool=\"nmap\",kind=\"scanner\"} 40",
            "port_scanner_packets_total{port=\"5061\"} 1234610",
            "port_packets_total{port=\"5099\"} 0",
            "reason_dropped_packets_total{reason=\"signature\"} 1234570",
            "behaviour_packets_total{behaviour=\"password-guessing\"} 0",
            "sources 5000",
            "list_entries{list=\"block\"} 5",
            "bans 0",
            "escalations_total 7",
            "events_total{outcome=\"reported\"} 11",
            "events_total{outcome=\"suppressed\"} 13",
            "map_entries{map=\"sources\"} 4",
            "map_capacity{map=\"sources\"} 65536",
            "map_memory_bytes{map=\"sources\"} 31982464",
            "attached{interface=\"eth0\",mode=\"native\"} 1",
            "attached{interface=\"interface 4\",mode=\"native\"} 0",
            "attached{interface=\"eth1\",mode=\"none\"} 0",
            "program_runs_total 2000000",
            "program_run_seconds_total 0.5",
        ] {
            let line = format!("\nsip_filter_{line}\n");
            assert!(text.contains(&line), "{line} is missing:\n{text}");
        }
        assert!(text.ends_with("# EOF\n"), "{text}");
        let older = encoded(Text::Prometheus, "5060-5100");
        assert!(older.contains("\nsip_filter_sources 5000\n"), "{older}");
        assert!(
            older.contains("# TYPE sip_filter_packets_total counter\n"),
            "{older}"
        );
        assert!(!older.contains("# EOF"), "{older}");
    }

    #[test]
    fn no_address_is_a_label_and_ports_are_few() {
        // Of these the lowest have a label; without any port, those that scanners try.
        for (ports, labels, of_5061) in [
            ("5060-5100,6060", 43, "5061"),
            ("1-65535", 65, OTHER),
            ("any", 43, "5061"),
            ("7000", 2, OTHER),
        ] {
            let text = encoded(Text::OpenMetrics, ports);
            let rows = text.matches("sip_filter_port_packets_total{").count();
            assert_eq!(rows, labels, "{ports}");
            let line = format!("port_scanner_packets_total{{port=\"{of_5061}\"}} 1234610\n");
            assert!(text.contains(&line), "{ports}: {text}");
            for address in ["192.0.2.7", "198.51.100.1", "2001:db8::5060"] {
                assert!(!text.contains(address), "{ports}: {text}");
            }
        }
    }
}
