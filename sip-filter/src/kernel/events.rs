//! What the program reports as it happens, from its ring buffer.
//!
//! One process reads them; what nobody reads stays there until there is no room for more.

use anyhow::{Context, Result};
use aya::maps::{Map, MapData, RingBuf};
use sip_filter_common::abi::{Event, map};
use tokio::io::{Interest, unix::AsyncFd};

use super::Instance;

/// The reports of a filter.
pub struct Reports(AsyncFd<RingBuf<MapData>>);

impl Reports {
    /// Those that nobody has read yet.
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
        Ok(Self(ring.context("cannot wait for events")?))
    }

    /// Waits until there are some, and takes them.
    ///
    /// # Errors
    ///
    /// When the kernel does not wait.
    pub async fn next(&mut self) -> Result<Vec<Event>> {
        loop {
            let mut ready = self.0.readable_mut().await;
            let ready = ready.as_mut().map_err(|error| anyhow::anyhow!("{error}"))?;
            let mut reports = Vec::new();
            while let Some(item) = ready.get_inner_mut().next() {
                if item.len() == size_of::<Event>() {
                    // SAFETY: as long as an event, of which every bit pattern is one.
                    reports.push(unsafe { item.as_ptr().cast::<Event>().read_unaligned() });
                }
            }
            ready.clear_ready();
            if !reports.is_empty() {
                return Ok(reports);
            }
        }
    }
}
