//! Frames as rows of a table: what a frame is, and where it is counted.

use sip_filter_common::{
    abi::{PortCount, SourceCount, ToolCount},
    sip::MessageClass,
    verdict::Outcome,
};
use sip_filter_tests::kernel::{Counted, Counts, DROP, PASS, Program};
use std::net::IpAddr;

/// Where one frame is counted.
#[derive(Clone, Copy)]
pub enum Expected {
    /// Passed and not counted.
    Nowhere,
    /// Passed and counted as one that cannot be read.
    Unreadable,
    /// Passed and counted as a fragment.
    Fragment,
    /// Inspected.
    Datagram(Datagram),
}

/// What is counted of an inspected datagram.
#[derive(Clone, Copy)]
pub struct Datagram {
    pub class: MessageClass,
    /// The tool, where one is recognised.
    pub tool: Option<&'static str>,
    /// Whether the tool is of a dropping kind.
    pub hostile: bool,
    pub outcome: Outcome,
    pub port: u16,
    pub source: &'static str,
    /// Without padding.
    pub bytes: usize,
}

/// svmap's probe to port 5060, recognised and dropped.
pub fn dropped_probe(source: &'static str, bytes: usize) -> Expected {
    Expected::Datagram(Datagram {
        class: MessageClass::Options,
        tool: Some("sipvicious"),
        hostile: true,
        outcome: Outcome::Signature,
        port: 5060,
        source,
        bytes,
    })
}

/// A datagram to port 5060 that passes, of no tool.
pub fn passed(class: MessageClass, source: &'static str, bytes: usize) -> Expected {
    Expected::Datagram(Datagram {
        class,
        tool: None,
        hostile: false,
        outcome: Outcome::Passed,
        port: 5060,
        source,
        bytes,
    })
}

/// A frame and where it is counted.
pub struct Row {
    pub what: String,
    pub frame: Vec<u8>,
    pub expected: Expected,
}

pub fn row(what: impl Into<String>, frame: Vec<u8>, expected: Expected) -> Row {
    let what = what.into();
    Row {
        what,
        frame,
        expected,
    }
}

/// Hands over each frame and looks at every counter before and after.
pub fn hold(program: &Program, rows: &[Row]) {
    assert!(!rows.is_empty(), "an empty table proves nothing");
    let mut before = program.counts();
    for row in rows.iter().filter(|row| program.takes(&row.frame)) {
        let action = program.run(&row.frame);
        let after = program.counts();
        Added::between(&before, &after, row, program).is_as_expected(row, program, action);
        before = after;
    }
}

/// What one frame has added to the counters.
struct Added {
    counted: Counted,
    bytes: u64,
    tools: Vec<(String, ToolCount)>,
    ports: Vec<(u16, PortCount)>,
    sources: Vec<(IpAddr, SourceCount)>,
}

impl Added {
    fn between(before: &Counts, after: &Counts, row: &Row, program: &Program) -> Self {
        let (counted, bytes) = Counted::between(&before.totals, &after.totals);
        let tools = (0_u8..).zip(before.tools.tools.iter().zip(after.tools.tools));
        let tools = tools.filter(|(_, (before, after))| *before != after);
        let ports = after.ports.iter().map(|(port, after)| {
            let before = before.ports.get(port).copied().unwrap_or_default();
            let more = PortCount {
                packets: after.packets - before.packets,
                scanner: after.scanner - before.scanner,
                dropped: after.dropped - before.dropped,
            };
            (*port, more)
        });
        let sources = after.sources.iter().filter_map(|(address, after)| {
            let before = before.sources.get(address);
            (before != Some(after)).then(|| {
                let mut more = *after;
                let before = before.copied().unwrap_or(SourceCount::ZERO);
                for (more, before) in more.reasons.iter_mut().zip(before.reasons) {
                    *more -= before;
                }
                more.scanner -= before.scanner;
                more.dropped -= before.dropped;
                more.would_drop -= before.would_drop;
                for (more, before) in more.classes.iter_mut().zip(before.classes) {
                    *more -= before;
                }
                more.bytes -= before.bytes;
                (*address, more)
            })
        });
        let lost = before
            .sources
            .keys()
            .find(|address| !after.sources.contains_key(address));
        assert_eq!(lost, None, "{}: a source was forgotten", row.what);
        Self {
            counted,
            bytes,
            tools: tools
                .map(|(number, (before, after))| {
                    let more = ToolCount {
                        packets: after.packets - before.packets,
                        dropped: after.dropped - before.dropped,
                        would_drop: after.would_drop - before.would_drop,
                    };
                    (program.tool(number).to_owned(), more)
                })
                .collect(),
            ports: ports
                .filter(|(_, more)| *more != PortCount::default())
                .collect(),
            sources: sources.collect(),
        }
    }

    fn is_as_expected(&self, row: &Row, program: &Program, action: u32) {
        let what = &row.what;
        let Expected::Datagram(expected) = row.expected else {
            let counted = match row.expected {
                Expected::Unreadable => Counted::Unreadable,
                Expected::Fragment => Counted::Fragment,
                _ => Counted::Nowhere,
            };
            assert_eq!(self.counted, counted, "{what}");
            assert_eq!(action, PASS, "{what}");
            assert!(self.tools.is_empty(), "{what}: {:?}", self.tools);
            assert!(self.ports.is_empty(), "{what}: {:?}", self.ports);
            assert!(self.sources.is_empty(), "{what}: {:?}", self.sources);
            return;
        };
        let Datagram {
            class,
            tool,
            hostile,
            outcome,
            port,
            source,
            bytes,
        } = expected;
        let counted = Counted::Datagram {
            class,
            hostile,
            outcome,
        };
        let bytes = bytes as u64;
        let [dropped, would_drop] =
            [outcome.is_drop(), outcome == Outcome::WouldSignature].map(u64::from);
        assert_eq!((self.counted, self.bytes), (counted, bytes), "{what}");
        assert_eq!(action, if dropped == 1 { DROP } else { PASS }, "{what}");
        let count = ToolCount {
            packets: 1,
            dropped,
            would_drop,
        };
        let tools: Vec<_> = tool
            .map(|tool| (tool.to_owned(), count))
            .into_iter()
            .collect();
        assert_eq!(self.tools, tools, "{what}");
        let count = PortCount {
            packets: 1,
            scanner: hostile.into(),
            dropped,
        };
        assert_eq!(self.ports, [(port, count)], "{what}");
        let [(address, count)] = self.sources.as_slice() else {
            panic!("{what}: not one source: {:?}", self.sources)
        };
        assert_eq!(address.to_string(), source, "{what}");
        let mut one = SourceCount::ZERO;
        one.count(class, hostile, outcome, 1);
        assert_eq!(count.reasons, one.reasons, "{what}");
        let met = |count: &SourceCount| (count.scanner, count.dropped, count.would_drop);
        assert_eq!(met(count), met(&one), "{what}");
        assert_eq!(count.classes, one.classes, "{what}");
        assert_eq!(count.bytes, bytes, "{what}");
        assert!(count.first_seen > 0, "{what}: never seen");
        assert!(count.first_seen <= count.last_seen, "{what}: {count:?}");
        assert_ne!(count.ports[SourceCount::port(port)], 0, "{what}: port");
        if let Some(tool) = tool {
            assert_ne!(count.tools[program.tool_number(tool)], 0, "{what}: tool");
        }
    }
}
