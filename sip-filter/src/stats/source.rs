//! One source, as it is written out.

use std::{
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
};

use serde::{Serialize, Serializer};
use sip_filter_common::{
    abi::{Address, SourceCount},
    rules::Behaviour,
    sip::MessageClass,
    tool::Kind,
};
use smallvec::SmallVec;

use super::{Clock, WallTime, reason};
use crate::geoip::Location;

/// Names with a number each. Nearly every source has one or two of them, which stand in the row itself:
/// 65,536 sources with a place in memory for each list take a fifth longer.
pub type Counts = SmallVec<[(&'static str, u64); 2]>;

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
    pub methods: Counts,
    /// The tools that were recognised, by number.
    pub tools: SmallVec<[Arc<str>; 1]>,
    /// The behaviours that were recognised.
    pub behaviours: SmallVec<[&'static str; 1]>,
    /// The rules that met its packets, and how many, in the order in which they are asked.
    #[serde(serialize_with = "as_map")]
    pub reasons: Counts,
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

/// As people write it.
pub(super) fn address(source: Address) -> IpAddr {
    Ipv6Addr::from(source.octets()).to_canonical()
}

/// The name and kind of each tool number that has one.
pub(super) type ToolNames = Vec<Option<(Arc<str>, Kind)>>;

impl Source {
    pub(super) fn new(
        source: Address,
        count: &SourceCount,
        names: &ToolNames,
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
            tools: names
                .iter()
                .zip(&count.tools)
                .filter(|(_, noted)| **noted != 0)
                .filter_map(|(name, _)| Some(name.as_ref()?.0.clone()))
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

fn as_map<S: Serializer>(counts: &Counts, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(counts.iter().copied())
}
