//! What the filter saw, as one [`Snapshot`]: read once, rendered by everything in
//! [`output`](crate::output).
//!
//! The kernel counts in cells and numbers; here they become the sums, names and times of the
//! documented JSON. Everything but [`Snapshot::read`] is a pure function of map values.

mod clock;
mod condition;
mod in_force;
mod reason;
mod row;
mod status;

use std::{
    cmp::Reverse,
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
};

use anyhow::Result;
use serde::{Serialize, Serializer};
use sip_filter_common::{
    abi::{self, Address, Count, PortCount, SourceCount, ToolCount, ToolCounts, ToolName},
    rules::Behaviour,
    sip::MessageClass,
    tool::Kind,
    verdict::Outcome,
};

pub use clock::{Clock, WallTime};
pub use condition::{Attachment, Condition, Events, Fill, Other, Program, Rate};
pub use in_force::{InForceBehaviour, InForceEscalation, InForceLimit, policy};
pub use reason::{ByBehaviour, ByReason};
pub use row::{Cell, Column, PACKETS, Row, check_column, sort};
pub use status::{ListsInForce, Status};

use crate::{
    config::signatures::tool_name,
    geoip::{Databases, Location},
    kernel,
};

/// One section of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Section {
    /// Totals.
    Total,
    /// Requests by method.
    Method,
    /// Packets in which a tool was recognised, by tool.
    Tool,
    /// Packets by destination port.
    Port,
    /// Packets by source address.
    Source,
    /// Packets by the rule that met them.
    Reason,
    /// Packets that were a part of a behaviour, by behaviour.
    Behaviour,
}

/// Everything that the filter counted up to one moment.
///
/// Each section is read in one go, one after the other while packets arrive, so a section
/// agrees with itself always and with the others once traffic pauses. Methods come from the
/// same cells as totals.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Snapshot {
    /// When it was read.
    pub time: WallTime,
    /// Whose counters these are.
    pub instance: String,
    /// What the instance is attached to.
    pub interfaces: Vec<Interface>,
    /// Sums over everything.
    pub totals: Totals,
    /// Methods with packets, in the order of [`MessageClass`] unless sorted.
    #[serde(serialize_with = "by_method")]
    pub methods: Vec<Method>,
    /// Tools with packets, most packets first unless sorted.
    pub tools: Vec<Tool>,
    /// Destination ports with packets, most packets first unless sorted.
    pub ports: Vec<Port>,
    /// Rules that met packets, in the order in which they are asked unless sorted.
    pub reasons: Vec<ByReason>,
    /// Behaviours that were recognised, unless sorted in the order in which they name a packet.
    pub behaviours: Vec<ByBehaviour>,
    /// Sources, most packets first unless sorted.
    pub sources: Vec<Source>,
}

/// An interface that the filter is attached to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its index in its network namespace.
    pub ifindex: u32,
    /// How the program is attached: native, skb or hw.
    pub mode: String,
}

/// Sums over every inspected datagram, and what was met besides. In packets unless said
/// otherwise.
///
/// Each packet is one request, response, keepalive or malformed datagram, and is either
/// passed or dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Inspected datagrams.
    pub packets: u64,
    /// Their bytes, from the Ethernet header on.
    pub bytes: u64,
    /// Requests and responses.
    pub sip: u64,
    /// Requests of whatever method.
    pub requests: u64,
    /// Responses.
    pub responses: u64,
    /// Datagrams that keep a NAT binding or a flow open.
    pub keepalives: u64,
    /// Neither SIP nor keepalives.
    pub malformed: u64,
    /// In which a tool of a dropping kind was recognised.
    pub scanner: u64,
    /// Dropped.
    pub dropped: u64,
    /// Passed although a counting rule met them.
    pub would_drop: u64,
    /// Passed.
    pub passed: u64,
    /// Later fragments of UDP datagrams, which pass; not among the packets.
    pub fragments: u64,
    /// Frames that cannot be read below SIP, which pass; not among the packets.
    pub unreadable: u64,
    /// What the ports and sources lack because the kernel had no memory for another entry.
    pub unlisted: u64,
}

/// Requests of one method.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Method {
    /// Its name; the key in JSON.
    #[serde(skip)]
    pub method: &'static str,
    /// Requests.
    pub packets: u64,
    /// Their bytes, from the Ethernet header on.
    pub bytes: u64,
    /// Of these, in which a tool of a dropping kind was recognised.
    pub scanner: u64,
    /// Of these, dropped.
    pub dropped: u64,
    /// Of these, passed although a counting rule met them.
    pub would_drop: u64,
}

/// What one tool sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tool {
    /// Its name.
    pub tool: String,
    /// The name of its kind.
    pub kind: &'static str,
    /// Packets in which it was recognised.
    pub packets: u64,
    /// Of these, dropped.
    pub dropped: u64,
    /// Of these, passed although a counting rule met them.
    pub would_drop: u64,
}

/// What arrived at one destination port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Port {
    /// The port.
    pub port: u16,
    /// Inspected datagrams.
    pub packets: u64,
    /// Of these, in which a tool of a dropping kind was recognised.
    pub scanner: u64,
    /// Of these, dropped.
    pub dropped: u64,
}

/// What one source sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Source {
    /// Its address; IPv4 as such.
    pub source: IpAddr,
    /// Inspected datagrams.
    pub packets: u64,
    /// Their bytes, from the Ethernet header on.
    pub bytes: u64,
    /// Of these, in which a tool of a dropping kind was recognised.
    pub scanner: u64,
    /// Of these, dropped.
    pub dropped: u64,
    /// Of these, passed although a counting rule met them.
    pub would_drop: u64,
    /// Methods with requests and their number, in the order of [`MessageClass`].
    #[serde(serialize_with = "as_map")]
    pub methods: Vec<(&'static str, u64)>,
    /// The tools that were recognised, by number.
    pub tools: Vec<String>,
    /// The behaviours that were recognised.
    pub behaviours: Vec<&'static str>,
    /// The rules that met its packets, and how many, in the order in which they are asked.
    #[serde(serialize_with = "as_map")]
    pub reasons: Vec<(&'static str, u64)>,
    /// How many destination ports it tried.
    pub ports: u32,
    /// When its first packet arrived.
    pub first_seen: WallTime,
    /// When its last packet arrived.
    pub last_seen: WallTime,
    /// Where it is, as far as that was asked.
    #[serde(flatten)]
    pub location: Location,
}

/// What was counted: the values of the program's maps, summed over CPUs, or the like of them.
#[derive(Clone, Debug)]
pub struct Counters {
    /// Cells of every class and outcome.
    pub totals: abi::Totals,
    /// By tool number.
    pub tool_counts: ToolCounts,
    /// What the tool numbers mean.
    pub tools: Vec<ToolName>,
    /// By behaviour.
    pub behaviours: [ToolCount; Behaviour::COUNT],
    /// By destination port.
    pub ports: Vec<(u16, PortCount)>,
    /// By source.
    pub sources: Vec<(Address, SourceCount)>,
}

impl Counters {
    /// Reads the maps of a filter.
    ///
    /// # Errors
    ///
    /// When a map cannot be read.
    pub fn read(filter: &kernel::Filter) -> Result<Self> {
        Ok(Self {
            totals: filter.totals()?,
            tool_counts: filter.tool_counts()?,
            tools: filter.tools()?,
            behaviours: filter.behaviours()?,
            ports: filter.ports()?,
            sources: filter.sources()?,
        })
    }

    /// Forgets all sources but so many: those that a snapshot lists first.
    fn keep_top(&mut self, top: usize) {
        if self.sources.len() <= top {
            return;
        }
        if top > 0 {
            self.sources
                .select_nth_unstable_by_key(top - 1, |(source, count)| {
                    (Reverse(count.packets()), address(*source))
                });
        }
        self.sources.truncate(top);
    }

    /// Adds what was counted of other packets, with the same tool numbers.
    pub fn add(&mut self, other: Self) {
        let Self {
            totals,
            tool_counts,
            tools: _,
            behaviours,
            ports,
            sources,
        } = other;
        for (count, more) in self.behaviours.iter_mut().zip(&behaviours) {
            count.add(more);
        }
        self.totals.add(&totals);
        self.tool_counts.add(&tool_counts);
        for (port, count) in ports {
            match self.ports.iter_mut().find(|(known, _)| *known == port) {
                Some((_, known)) => known.add(&count),
                None => self.ports.push((port, count)),
            }
        }
        let places: HashMap<_, _> = (0..)
            .zip(&self.sources)
            .map(|(place, (source, _))| (*source, place))
            .collect();
        for (source, count) in sources {
            match places.get(&source) {
                Some(place) => self.sources[*place].1.add(&count),
                None => self.sources.push((source, count)),
            }
        }
    }
}

impl Snapshot {
    /// Reads the instance's maps.
    ///
    /// # Errors
    ///
    /// When a map cannot be read.
    pub fn read(instance: &kernel::Instance, filter: &kernel::Filter) -> Result<Self> {
        let interfaces = filter.interfaces()?;
        let counters = Counters::read(filter)?;
        // After the maps, so that nothing was seen later than now.
        let clock = Clock::now();
        Ok(Self::new(instance.name(), interfaces, &counters, clock))
    }

    /// The same with no more sources than so many, those with the most packets, and how many there are:
    /// the others are not put into words, which takes longer than to read them.
    ///
    /// # Errors
    ///
    /// As [`Snapshot::read`].
    pub fn read_top(
        instance: &kernel::Instance,
        filter: &kernel::Filter,
        top: usize,
    ) -> Result<(Self, usize)> {
        let interfaces = filter.interfaces()?;
        let mut counters = Counters::read(filter)?;
        let clock = Clock::now();
        let all = counters.sources.len();
        counters.keep_top(top);
        let snapshot = Self::new(instance.name(), interfaces, &counters, clock);
        Ok((snapshot, all))
    }

    /// Has the sources say where they are, as far as the databases know.
    pub fn locate(&mut self, databases: &Databases) {
        if databases.is_empty() {
            return;
        }
        for source in &mut self.sources {
            source.location = databases.locate(source.source);
        }
    }

    /// What the values mean, at the moment that `clock` shows.
    pub fn new(
        instance: &str,
        interfaces: Vec<kernel::Interface>,
        counters: &Counters,
        clock: Clock,
    ) -> Self {
        let named = |number: usize| {
            let name = counters.tools.get(number)?;
            Some((tool_name(name)?, Kind::from_u8(name.kind)?))
        };
        let mut snapshot = Self {
            time: clock.wall(),
            instance: instance.to_owned(),
            interfaces: interfaces.into_iter().map(Interface::from).collect(),
            totals: Totals::new(&counters.totals),
            methods: methods(&counters.totals),
            tools: tools(&counters.tool_counts, &named),
            ports: ports(&counters.ports),
            reasons: reason::by_reason(&counters.totals),
            behaviours: reason::by_behaviour(&counters.behaviours),
            sources: Vec::new(),
        };
        sort(&mut snapshot.tools, PACKETS);
        sort(&mut snapshot.ports, PACKETS);
        // There may be many, and rows are long: sorted before they are made.
        let mut listed: Vec<_> = counters.sources.iter().collect();
        listed.sort_by_cached_key(|(source, count)| (Reverse(count.packets()), address(*source)));
        let sources = listed.into_iter();
        snapshot.sources = sources
            .map(|(source, count)| Source::new(*source, count, &named, clock))
            .collect();
        snapshot
    }
}

impl From<kernel::Interface> for Interface {
    fn from(interface: kernel::Interface) -> Self {
        Self {
            name: interface.name,
            ifindex: interface.ifindex,
            mode: interface.mode.to_string(),
        }
    }
}

/// Every cell of the totals with what it stands for.
fn cells(totals: &abi::Totals) -> impl Iterator<Item = (MessageClass, bool, Outcome, Count)> + '_ {
    MessageClass::ALL.into_iter().flat_map(move |class| {
        [false, true].into_iter().flat_map(move |hostile| {
            Outcome::ALL.into_iter().map(move |outcome| {
                let cell = abi::Totals::cell(class, hostile, outcome);
                (class, hostile, outcome, totals.cells[cell])
            })
        })
    })
}

impl Totals {
    /// Sums the cells.
    pub fn new(totals: &abi::Totals) -> Self {
        let mut sums = Self {
            fragments: totals.fragments,
            unreadable: totals.unreadable,
            unlisted: totals.unlisted,
            ..Self::default()
        };
        for (class, hostile, outcome, Count { packets, bytes }) in cells(totals) {
            sums.packets += packets;
            sums.bytes += bytes;
            match class {
                MessageClass::Response => sums.responses += packets,
                MessageClass::Keepalive => sums.keepalives += packets,
                MessageClass::Malformed => sums.malformed += packets,
                _ => sums.requests += packets,
            }
            if hostile {
                sums.scanner += packets;
            }
            if outcome.is_drop() {
                sums.dropped += packets;
            } else {
                sums.passed += packets;
            }
            if outcome.is_would_drop() {
                sums.would_drop += packets;
            }
        }
        sums.sip = sums.requests + sums.responses;
        sums
    }

    /// What was counted since `before`.
    pub fn since(&self, before: &Self) -> Self {
        Self {
            packets: self.packets.saturating_sub(before.packets),
            bytes: self.bytes.saturating_sub(before.bytes),
            sip: self.sip.saturating_sub(before.sip),
            requests: self.requests.saturating_sub(before.requests),
            responses: self.responses.saturating_sub(before.responses),
            keepalives: self.keepalives.saturating_sub(before.keepalives),
            malformed: self.malformed.saturating_sub(before.malformed),
            scanner: self.scanner.saturating_sub(before.scanner),
            dropped: self.dropped.saturating_sub(before.dropped),
            would_drop: self.would_drop.saturating_sub(before.would_drop),
            passed: self.passed.saturating_sub(before.passed),
            fragments: self.fragments.saturating_sub(before.fragments),
            unreadable: self.unreadable.saturating_sub(before.unreadable),
            unlisted: self.unlisted.saturating_sub(before.unlisted),
        }
    }
}

/// Packets of every class, by its name.
pub fn by_class(totals: &abi::Totals) -> Vec<(&'static str, u64)> {
    let mut classes = MessageClass::ALL.map(|class| (class.name(), 0));
    for (class, _, _, count) in cells(totals) {
        classes[class as usize].1 += count.packets;
    }
    classes.into()
}

fn methods(totals: &abi::Totals) -> Vec<Method> {
    let mut methods: Vec<Method> = Vec::new();
    for (class, hostile, outcome, Count { packets, bytes }) in cells(totals) {
        let Some(name) = class.method() else { continue };
        // The cells of a class stand together.
        let same = methods.pop_if(|last| last.method == name);
        let mut method = same.unwrap_or(Method {
            method: name,
            ..Method::default()
        });
        method.packets += packets;
        method.bytes += bytes;
        method.scanner += if hostile { packets } else { 0 };
        method.dropped += if outcome.is_drop() { packets } else { 0 };
        method.would_drop += if outcome.is_would_drop() { packets } else { 0 };
        methods.push(method);
    }
    methods.retain(|method| method.packets > 0);
    methods
}

fn tools<'a>(counts: &ToolCounts, named: &impl Fn(usize) -> Option<(&'a str, Kind)>) -> Vec<Tool> {
    let seen = counts.tools.iter().enumerate();
    seen.filter(|(_, count)| count.packets > 0)
        .filter_map(|(number, count)| {
            let (tool, kind) = named(number)?;
            Some(Tool {
                tool: tool.to_owned(),
                kind: kind.name(),
                packets: count.packets,
                dropped: count.dropped,
                would_drop: count.would_drop,
            })
        })
        .collect()
}

fn ports(counts: &[(u16, PortCount)]) -> Vec<Port> {
    counts
        .iter()
        .filter(|(_, count)| count.packets > 0)
        .map(|&(port, count)| Port {
            port,
            packets: count.packets,
            scanner: count.scanner,
            dropped: count.dropped,
        })
        .collect()
}

/// As people write it.
fn address(source: Address) -> IpAddr {
    Ipv6Addr::from(source.octets()).to_canonical()
}

impl Source {
    fn new<'a>(
        source: Address,
        count: &SourceCount,
        named: &impl Fn(usize) -> Option<(&'a str, Kind)>,
        clock: Clock,
    ) -> Self {
        Self {
            source: address(source),
            packets: count.packets(),
            bytes: count.bytes,
            scanner: count.scanner,
            dropped: count.dropped,
            would_drop: count.would_drop,
            methods: MessageClass::ALL
                .into_iter()
                .zip(count.classes)
                .filter(|(_, packets)| *packets > 0)
                .filter_map(|(class, packets)| Some((class.method()?, packets)))
                .collect(),
            tools: (0..count.tools.len())
                .filter(|number| count.tools[*number] != 0)
                .filter_map(|number| Some(named(number)?.0.to_owned()))
                .collect(),
            behaviours: count.behaviours().map(Behaviour::name).collect(),
            reasons: reason::of_source(count),
            ports: count.ports.iter().map(|tried| u32::from(*tried != 0)).sum(),
            first_seen: clock.at(count.first_seen),
            last_seen: clock.at(count.last_seen),
            location: Location::default(),
        }
    }
}

/// Methods as a map from their names.
pub(crate) fn by_method<S: Serializer>(
    methods: &[Method],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(methods.iter().map(|method| (method.method, method)))
}

fn as_map<S: Serializer>(
    methods: &[(&'static str, u64)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(methods.iter().copied())
}

#[cfg(test)]
pub(crate) mod tests {
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
            ("tools", [phone, noise, other, scanner]),
        ] {
            assert_eq!(sorted(column), expected, "by {column}");
        }
    }
}
