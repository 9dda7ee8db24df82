//! What the program reports as it happens, from its ring buffer.
//!
//! One process reads them; what nobody reads stays there until there is no room for more.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

use anyhow::{Context, Result};
use aya::maps::{Map, MapData, RingBuf};
use sip_filter_common::{
    abi::{self, map},
    rules::Behaviour,
};
use tokio::io::{Interest, unix::AsyncFd};

use super::{Instance, monotonic_ns};

/// A source was blocked for what it had sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// Which source.
    pub source: IpAddr,
    /// The behaviour that it was blocked for; none for what its signatures say.
    pub behaviour: Option<Behaviour>,
    /// For how long.
    pub length: Duration,
}

impl Blocked {
    /// From what the program reports; none where that is something else.
    fn new(event: &abi::Event) -> Option<Self> {
        let behaviour = usize::try_from(event.cause).ok()?.checked_sub(1);
        (event.kind == abi::Event::BLOCKED).then(|| Self {
            source: Ipv6Addr::from(event.source.octets()).to_canonical(),
            behaviour: behaviour.and_then(|number| Behaviour::ALL.get(number).copied()),
            length: Duration::from_nanos(event.until.saturating_sub(event.at)),
        })
    }
}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cause = self.behaviour.map_or("signature", Behaviour::name);
        let seconds = self.length.as_secs();
        write!(f, "{} is blocked for {seconds} s: {cause}", self.source)
    }
}

/// The events of a filter.
pub struct Events {
    ring: AsyncFd<RingBuf<MapData>>,
    /// Events before this moment of the kernel's monotonic clock are not this reader's.
    since: u64,
}

impl Events {
    /// Those that come from now on.
    ///
    /// # Errors
    ///
    /// When the pin cannot be opened, or outside a runtime.
    pub fn open(instance: &Instance) -> Result<Self> {
        let path = instance.map(map::EVENTS);
        let map = MapData::from_pin(&path)
            .with_context(|| format!("cannot open the pin {}", path.display()))?;
        let ring = RingBuf::try_from(Map::RingBuf(map)).context("cannot read events")?;
        // SAFETY: the ring owns its descriptor, gives the same one each time, and lives as long as the
        // registration.
        let ring = unsafe { AsyncFd::register_with_interest(ring, Interest::READABLE) };
        Ok(Self {
            ring: ring.context("cannot wait for events")?,
            since: monotonic_ns(),
        })
    }

    /// Waits until sources were blocked, and gives them.
    ///
    /// # Errors
    ///
    /// When the kernel does not wait.
    pub async fn next(&mut self) -> Result<Vec<Blocked>> {
        loop {
            let mut ready = self.ring.readable_mut().await;
            let ready = ready.as_mut().map_err(|error| anyhow::anyhow!("{error}"))?;
            let mut blocked = Vec::new();
            while let Some(item) = ready.get_inner_mut().next() {
                if item.len() != size_of::<abi::Event>() {
                    continue;
                }
                // SAFETY: as long as an event, of which every bit pattern is one.
                let event: abi::Event =
                    unsafe { item.as_ptr().cast::<abi::Event>().read_unaligned() };
                if event.at >= self.since {
                    blocked.extend(Blocked::new(&event));
                }
            }
            ready.clear_ready();
            if !blocked.is_empty() {
                return Ok(blocked);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip_filter_common::abi::Address;

    #[test]
    fn an_event_says_who_is_blocked_for_what_and_how_long() {
        let source = Address::from_ipv4(u32::from_ne_bytes([192, 0, 2, 66]));
        for (cause, words) in [
            (0, "192.0.2.66 is blocked for 3600 s: signature"),
            (2, "192.0.2.66 is blocked for 3600 s: enumeration"),
        ] {
            let event = abi::Event {
                kind: abi::Event::BLOCKED,
                at: 1_000,
                source,
                cause,
                until: 1_000 + 3_600_000_000_000,
            };
            let blocked = Blocked::new(&event).map(|blocked| blocked.to_string());
            assert_eq!(blocked.as_deref(), Some(words));
        }
    }
}
