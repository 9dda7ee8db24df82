//! How much comes a second: of all packets, as far back as a wide screen shows, and of each source
//! since it was last read.

use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
    time::{Duration, Instant},
};

use crate::stats::{Source, Totals};

/// How many readings are kept: one for each column of a wide screen.
const KEPT: usize = 400;

/// Packets a second, the newest last.
#[derive(Debug, Default)]
pub(super) struct Rates {
    /// Inspected datagrams.
    pub(super) packets: VecDeque<u64>,
    /// In which a tool of a dropping kind was recognised.
    pub(super) scanner: VecDeque<u64>,
    /// Dropped.
    pub(super) dropped: VecDeque<u64>,
    before: Option<Before>,
}

/// The reading before.
#[derive(Debug)]
struct Before {
    at: Instant,
    totals: Totals,
    sources: HashMap<IpAddr, u64>,
}

impl Rates {
    /// Takes a reading, and gives the packets a second of each of its sources since the one before;
    /// with the first one, nothing is known of that yet.
    pub(super) fn take(&mut self, at: Instant, totals: &Totals, sources: &[Source]) -> Vec<u64> {
        let now = sources.iter().map(|source| (source.source, source.packets));
        let now = Before {
            at,
            totals: *totals,
            sources: now.collect(),
        };
        let Some(before) = self.before.replace(now) else {
            return vec![0; sources.len()];
        };
        let passed = at.saturating_duration_since(before.at);
        let since = totals.since(&before.totals);
        for (rates, packets) in [
            (&mut self.packets, since.packets),
            (&mut self.scanner, since.scanner),
            (&mut self.dropped, since.dropped),
        ] {
            rates.push_back(per_second(packets, passed));
            if rates.len() > KEPT {
                rates.pop_front();
            }
        }
        let rate = |source: &Source| {
            let known = before.sources.get(&source.source).copied();
            per_second(source.packets.saturating_sub(known.unwrap_or(0)), passed)
        };
        sources.iter().map(rate).collect()
    }
}

fn per_second(packets: u64, passed: Duration) -> u64 {
    let seconds = passed.as_secs_f64();
    // Two readings are never made at once.
    match seconds > 0.0 {
        true => (packets as f64 / seconds).round() as u64,
        false => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::tests::snapshot;

    #[test]
    fn rates_are_what_came_since_the_reading_before() {
        let mut rates = Rates::default();
        let mut snapshot = snapshot();
        let start = Instant::now();
        let none = rates.take(start, &snapshot.totals, &snapshot.sources);
        assert_eq!(none, [0; 4]);
        assert!(rates.packets.is_empty());
        snapshot.totals.packets += 500;
        snapshot.totals.dropped += 3;
        snapshot.sources[1].packets += 300;
        let new = Source {
            source: IpAddr::from([192, 0, 2, 99]),
            packets: 100,
            ..snapshot.sources[0].clone()
        };
        snapshot.sources.push(new);
        let after = start + Duration::from_secs(2);
        let sources = rates.take(after, &snapshot.totals, &snapshot.sources);
        assert_eq!(sources, [0, 150, 0, 0, 50]);
        let last = [&rates.packets, &rates.scanner, &rates.dropped].map(|rates| rates.back());
        assert_eq!(last, [Some(&250), Some(&0), Some(&2)]);
    }
}
