//! Running a capture through the filter, without an interface: each packet is handed to an
//! [`Engine`], which counts it as the filter would have when it arrived.
//!
//! [`Kernel`] is the program itself, [`Host`] the same parser and classifier compiled for the
//! host. Times are the capture's, whichever it is.

mod host;
mod kernel;
mod lists;

use std::{collections::BTreeMap, io::Read};

use anyhow::Result;
use sip_filter_common::abi::Address;

pub use host::Host;
pub use kernel::Kernel;

use crate::{
    capture::{Capture, Damage, Ethernet, LinkType},
    stats::{Clock, Counters, WallTime},
};

/// What counts frames as the filter does.
pub trait Engine {
    /// Hands over an Ethernet frame that arrived at `time`, in nanoseconds since 1970.
    ///
    /// # Errors
    ///
    /// When the frame cannot be handed over.
    fn observe(&mut self, frame: &[u8], time: u64) -> Result<()>;

    /// Everything counted. Sources' times are as they were handed over.
    ///
    /// # Errors
    ///
    /// When the counters cannot be read.
    fn counters(&self) -> Result<Counters>;
}

/// What a capture held, beside what was counted of it.
#[derive(Debug, Default)]
pub struct Replayed {
    /// Packets, those that were not read included.
    pub packets: u64,
    /// The time of the latest packet, in nanoseconds since 1970.
    pub latest: u64,
    /// Packets of which a part was captured alone.
    pub cut: u64,
    /// Packets that were not read, by their link type.
    pub unread: BTreeMap<LinkType, u64>,
    /// Why it ended before the capture did.
    pub damage: Option<Damage>,
}

impl Replayed {
    /// The clock that the engine's times are read from: it shows the time of the latest packet.
    pub fn clock(&self) -> Clock {
        Clock::new(WallTime::from_ns(self.latest), self.latest)
    }
}

/// Hands every packet of a capture to an engine, as far as the capture can be read.
///
/// # Errors
///
/// When the engine fails.
pub fn replay<R: Read>(capture: &mut Capture<R>, engine: &mut dyn Engine) -> Result<Replayed> {
    let mut ethernet = Ethernet::default();
    let mut replayed = Replayed::default();
    loop {
        let packet = match capture.next_packet() {
            Ok(Some(packet)) => packet,
            Ok(None) => return Ok(replayed),
            Err(damage) => {
                replayed.damage = Some(damage);
                return Ok(replayed);
            }
        };
        replayed.packets += 1;
        replayed.latest = replayed.latest.max(packet.time);
        match ethernet.frame(&packet) {
            Some(frame) => {
                replayed.cut += u64::from(packet.is_cut);
                engine.observe(frame, packet.time)?;
            }
            None => *replayed.unread.entry(packet.link).or_default() += 1,
        }
    }
}

/// When a source's packets arrived, in nanoseconds since 1970.
#[derive(Clone, Copy, Debug)]
struct Seen {
    first: u64,
    last: u64,
}

impl Seen {
    fn at(time: u64) -> Self {
        Self {
            first: time,
            last: time,
        }
    }

    /// Captures are not always in the order of time.
    fn again(&mut self, time: u64) {
        self.first = self.first.min(time);
        self.last = self.last.max(time);
    }
}
