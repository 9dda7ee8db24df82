//! What `sip-filter stats --format json` says, as its contract names it.
//!
//! A field that is missing or has another type fails the test that reads it; further fields
//! may be added.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The whole document.
#[derive(Clone, Debug, Deserialize)]
pub struct Stats {
    /// When it was read, RFC 3339.
    pub time: String,
    /// The instance's name.
    pub instance: String,
    /// Where the filter is attached.
    pub interfaces: Vec<Interface>,
    /// Everything together.
    pub totals: Totals,
    /// By method name.
    pub methods: BTreeMap<String, Method>,
    /// By tool.
    pub tools: Vec<Tool>,
    /// By destination port.
    pub ports: Vec<Port>,
    /// By the rule that met them.
    pub reasons: Vec<Reason>,
    /// By behaviour.
    pub behaviours: Vec<Behaviour>,
    /// By source address.
    pub sources: Vec<Source>,
}

/// An interface to which the filter is attached.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its number.
    pub ifindex: u32,
    /// `native`, `skb` or `hw`.
    pub mode: String,
}

/// Everything together.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[expect(missing_docs, reason = "named in the contract")]
pub struct Totals {
    pub packets: u64,
    pub bytes: u64,
    pub sip: u64,
    pub requests: u64,
    pub responses: u64,
    pub keepalives: u64,
    pub malformed: u64,
    pub scanner: u64,
    pub dropped: u64,
    pub would_drop: u64,
    pub passed: u64,
    pub fragments: u64,
}

/// Requests of one method.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[expect(missing_docs, reason = "named in the contract")]
pub struct Method {
    pub packets: u64,
    pub bytes: u64,
    pub scanner: u64,
    pub dropped: u64,
    pub would_drop: u64,
}

/// Packets of one tool.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[expect(missing_docs, reason = "named in the contract")]
pub struct Tool {
    pub tool: String,
    pub kind: String,
    pub packets: u64,
    pub dropped: u64,
    pub would_drop: u64,
}

/// Packets to one port.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[expect(missing_docs, reason = "named in the contract")]
pub struct Port {
    pub port: u16,
    pub packets: u64,
    pub scanner: u64,
    pub dropped: u64,
}

/// Packets that one rule met.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[expect(missing_docs, reason = "named in the contract")]
pub struct Reason {
    pub reason: String,
    pub packets: u64,
    pub dropped: u64,
    pub would_drop: u64,
}

/// Packets that were a part of one behaviour.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[expect(missing_docs, reason = "named in the contract")]
pub struct Behaviour {
    pub behaviour: String,
    pub packets: u64,
    pub dropped: u64,
    pub would_drop: u64,
}

/// Packets of one source.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[expect(missing_docs, reason = "named in the contract")]
pub struct Source {
    pub source: String,
    pub packets: u64,
    pub bytes: u64,
    pub scanner: u64,
    pub dropped: u64,
    pub would_drop: u64,
    pub methods: BTreeMap<String, u64>,
    pub tools: Vec<String>,
    pub behaviours: Vec<String>,
    pub reasons: BTreeMap<String, u64>,
    pub ports: u64,
    pub first_seen: String,
    pub last_seen: String,
}

impl Source {
    /// How many of its packets this rule met.
    pub fn reason(&self, name: &str) -> u64 {
        self.reasons.get(name).copied().unwrap_or_default()
    }
}

impl Stats {
    /// Reads the document.
    ///
    /// # Panics
    ///
    /// If it is not as the contract says, or contradicts itself.
    pub fn read(document: &str) -> Self {
        let stats = Self::read_under_load(document);
        stats.agree();
        stats
    }

    /// Reads the document, which may have counted more of one than of the other while packets
    /// arrived.
    ///
    /// # Panics
    ///
    /// If it is not as the contract says.
    pub fn read_under_load(document: &str) -> Self {
        serde_json::from_str(document).unwrap_or_else(|error| {
            panic!("not what the contract says: {error}\n{document}");
        })
    }

    /// The source with this address.
    ///
    /// # Panics
    ///
    /// If it has not been counted.
    pub fn source(&self, address: &str) -> &Source {
        match self.sources.iter().find(|source| source.source == address) {
            Some(source) => source,
            None => panic!("nothing of {address} was counted: {:?}", self.sources),
        }
    }

    /// No counter has gone backwards since an earlier reading.
    ///
    /// # Panics
    ///
    /// If one has, or if a source is forgotten.
    pub fn assert_no_less_than(&self, before: &Self) {
        let sums = |stats: &Self| {
            let tools: u64 = stats.tools.iter().map(|tool| tool.packets).sum();
            let ports: u64 = stats.ports.iter().map(|port| port.packets).sum();
            let (totals, reasons) = (
                stats.totals,
                stats.reasons.iter().map(|reason| reason.packets),
            );
            [
                totals.packets,
                totals.bytes,
                totals.dropped,
                reasons.sum(),
                tools,
                ports,
            ]
        };
        let pairs = sums(before).into_iter().zip(sums(self));
        assert!(
            pairs.clone().all(|(before, now)| before <= now),
            "{:?}",
            pairs.collect::<Vec<_>>()
        );
        for source in &before.sources {
            let now = self.source(&source.source);
            assert!(
                source.packets <= now.packets && source.bytes <= now.bytes,
                "{source:?} and then {now:?}"
            );
        }
    }

    /// The tool with this name.
    ///
    /// # Panics
    ///
    /// If it has not been met.
    pub fn tool(&self, name: &str) -> &Tool {
        match self.tools.iter().find(|tool| tool.tool == name) {
            Some(tool) => tool,
            None => panic!("{name} was not met: {:?}", self.tools),
        }
    }

    /// The counts of this method, none where it was not met.
    pub fn method(&self, name: &str) -> Method {
        self.methods.get(name).copied().unwrap_or_default()
    }

    /// How many packets this rule met.
    pub fn reason(&self, name: &str) -> u64 {
        let mut rows = self.reasons.iter().filter(|row| row.reason == name);
        rows.next().map_or(0, |row| row.packets)
    }

    /// How many packets were a part of this behaviour.
    pub fn behaviour(&self, name: &str) -> u64 {
        let mut rows = self.behaviours.iter().filter(|row| row.behaviour == name);
        rows.next().map_or(0, |row| row.packets)
    }

    /// Every packet is exactly one of each: whatever it is counted by, the sums agree.
    ///
    /// Holds while no packet arrives, and as long as no source had to be forgotten.
    fn agree(&self) {
        let Totals {
            packets,
            bytes,
            sip,
            requests,
            responses,
            keepalives,
            malformed,
            scanner,
            dropped,
            would_drop,
            passed,
            fragments: _,
        } = self.totals;
        let methods = |count: fn(&Method) -> u64| self.methods.values().map(count).sum::<u64>();
        let ports = |count: fn(&Port) -> u64| self.ports.iter().map(count).sum::<u64>();
        let sources = |count: fn(&Source) -> u64| self.sources.iter().map(count).sum::<u64>();
        let sums = [
            (
                "what packets are",
                requests + responses + keepalives + malformed,
                packets,
            ),
            ("verdicts", passed + dropped, packets),
            ("requests and responses", requests + responses, sip),
            ("methods", methods(|method| method.packets), requests),
            (
                "scanner packets by method",
                methods(|method| method.scanner),
                scanner,
            ),
            (
                "would drop by method",
                methods(|method| method.would_drop),
                would_drop,
            ),
            (
                "reasons",
                self.reasons.iter().map(|reason| reason.packets).sum(),
                packets,
            ),
            ("ports", ports(|port| port.packets), packets),
            (
                "scanner packets by port",
                ports(|port| port.scanner),
                scanner,
            ),
            ("dropped by port", ports(|port| port.dropped), dropped),
            ("sources", sources(|source| source.packets), packets),
            ("bytes by source", sources(|source| source.bytes), bytes),
            (
                "scanner packets by source",
                sources(|source| source.scanner),
                scanner,
            ),
            (
                "dropped by source",
                sources(|source| source.dropped),
                dropped,
            ),
            (
                "would drop by source",
                sources(|source| source.would_drop),
                would_drop,
            ),
        ];
        for (what, sum, total) in sums {
            assert_eq!(sum, total, "{what} and the totals disagree: {self:#?}");
        }
    }
}
