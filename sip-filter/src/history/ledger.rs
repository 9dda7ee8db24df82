//! Which packets were counted since the counters were read last.
//!
//! [`Reading`] is what the counters say, [`Ledger`] what they said before, and [`Ledger::change`] the
//! difference: never less than nothing, and nothing twice, whatever happens to clocks and counters.
//! Nothing here knows of files or of the kernel.

use std::collections::HashMap;

use jiff::{Timestamp, tz::TimeZone};
use sip_filter_common::{rules::Behaviour, tool::Kind};

use super::{
    By, Counts, Key, OTHER,
    period::{Period, Unit},
};
use crate::stats::{Clock, Counters, Snapshot};

/// How many ports an interval tells apart: who sends to thousands says nothing with each.
const MAX_PORTS: usize = 256;
/// How many sources are followed: more than the filter remembers by default, together with those that
/// it has recognised.
const MAX_FOLLOWED: usize = 1 << 18;
/// How much earlier than it arrived a packet may be stamped, in nanoseconds: the program's clock goes
/// by jiffies.
const CLOCK_SLACK: u64 = 100_000_000;

/// Tells the counters of one filter from those that are made anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The kernel's name of this boot.
    pub boot: String,
    /// The kernel's number of a map; maps that are made later in the same boot have greater ones.
    pub map: u32,
}

/// An address as in the maps: 16 bytes, IPv4 mapped.
pub type Octets = [u8; 16];
/// A day of the zone's, and what sources sent then.
pub type SourcesOfDay = (i64, Vec<(Octets, Counts)>);

/// What was counted of a source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// When its entry was made: nanoseconds of the monotonic clock; 0 is about to be stamped.
    pub first: u64,
    /// So far.
    pub counts: Counts,
}

/// What the counters say.
#[derive(Clone, Debug)]
pub struct Reading {
    /// Whose counters.
    pub identity: Identity,
    /// When these counters began: milliseconds of the wall clock since 1970.
    pub began: i64,
    /// When they were read, by the wall clock.
    pub at: Timestamp,
    /// The monotonic clock, in nanoseconds, before any was read.
    pub monotonic: u64,
    /// All but sources.
    pub counts: HashMap<Key, Counts>,
    /// By source.
    pub sources: Vec<(Octets, Seen)>,
}

impl Reading {
    /// Everything but the identity from the counters, which were read after `monotonic`, at `clock`.
    pub fn new(
        identity: Identity,
        began: i64,
        monotonic: u64,
        clock: Clock,
        mut counters: Counters,
    ) -> Self {
        let sources = std::mem::take(&mut counters.sources);
        let followed = sources.into_iter().map(|(address, count)| {
            let counts = Counts {
                packets: count.packets(),
                bytes: count.bytes,
                scanner: count.scanner,
                dropped: count.dropped,
                would_drop: count.would_drop,
            };
            let first = count.first_seen;
            (address.octets(), Seen { first, counts })
        });
        let mut sources: Vec<_> = followed.collect();
        if sources.len() > MAX_FOLLOWED {
            let last = |(_, seen): &(Octets, Seen)| std::cmp::Reverse(seen.counts.packets);
            sources.select_nth_unstable_by_key(MAX_FOLLOWED, last);
            sources.truncate(MAX_FOLLOWED);
        }
        let snapshot = Snapshot::new("", Vec::new(), &counters, clock);
        Self {
            identity,
            began,
            at: clock.wall().timestamp(),
            monotonic,
            counts: by_key(&snapshot),
            sources,
        }
    }
}

/// All but sources of a snapshot, as the history names them.
fn by_key(snapshot: &Snapshot) -> HashMap<Key, Counts> {
    let mut counts = HashMap::new();
    let totals = &snapshot.totals;
    let total = Counts {
        packets: totals.packets,
        bytes: totals.bytes,
        scanner: totals.scanner,
        dropped: totals.dropped,
        would_drop: totals.would_drop,
    };
    counts.insert(Key::new(By::Total, ""), total);
    for (name, packets) in [
        ("request", totals.requests),
        ("response", totals.responses),
        ("keepalive", totals.keepalives),
        ("malformed", totals.malformed),
    ] {
        counts.insert(Key::new(By::Class, name), Counts::of_packets(packets));
    }
    for method in &snapshot.methods {
        let count = Counts {
            packets: method.packets,
            bytes: method.bytes,
            scanner: method.scanner,
            dropped: method.dropped,
            would_drop: method.would_drop,
        };
        counts.insert(Key::new(By::Method, method.method), count);
    }
    for tool in &snapshot.tools {
        let drops = |kind: &Kind| kind.name() == tool.kind && kind.is_dropping();
        let is_scanner = Kind::ALL.iter().any(drops);
        let count = Counts {
            packets: tool.packets,
            bytes: 0,
            scanner: if is_scanner { tool.packets } else { 0 },
            dropped: tool.dropped,
            would_drop: tool.would_drop,
        };
        let key = Key {
            kind: tool.kind.to_owned(),
            ..Key::new(By::Tool, &tool.tool)
        };
        counts.insert(key, count);
    }
    for port in &snapshot.ports {
        let count = Counts {
            scanner: port.scanner,
            dropped: port.dropped,
            ..Counts::of_packets(port.packets)
        };
        counts.insert(Key::new(By::Port, port.port.to_string()), count);
    }
    for reason in &snapshot.reasons {
        let count = Counts {
            dropped: reason.dropped,
            would_drop: reason.would_drop,
            ..Counts::of_packets(reason.packets)
        };
        counts.insert(Key::new(By::Reason, reason.reason), count);
    }
    counts.retain(|_, count| !count.is_zero());
    // Those that were not met, too: what an older layout knew nothing of (see `schema`) is known then.
    for behaviour in Behaviour::ALL {
        let seen = snapshot.behaviours.iter();
        let mut seen = seen.filter(|row| row.behaviour == behaviour.name());
        let count = seen.next().map_or_else(Counts::default, |row| Counts {
            dropped: row.dropped,
            would_drop: row.would_drop,
            ..Counts::of_packets(row.packets)
        });
        counts.insert(Key::new(By::Behaviour, behaviour.name()), count);
    }
    counts
}

/// A source as the ledger has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Followed {
    /// As its counters were read last.
    pub seen: Seen,
    /// What it has sent on the day that is not over.
    pub today: Counts,
}

/// What the counters said when they were read last.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ledger {
    /// Whose counters; `None` before any was read.
    pub identity: Option<Identity>,
    /// When: milliseconds of the wall clock since 1970. Before any was read, the moment from which on
    /// they count.
    pub at: i64,
    /// The monotonic clock before that, in nanoseconds.
    pub monotonic: u64,
    /// The day that is not over, in the zone's days.
    pub day: i64,
    /// All but sources.
    pub counts: HashMap<Key, Counts>,
    /// By source.
    pub sources: HashMap<Octets, Followed>,
}

/// What is to be kept of a reading.
#[derive(Clone, Debug)]
pub struct Change {
    /// Whose counters these are now.
    pub identity: Identity,
    /// Whether they are others than before: nothing of what the ledger had of them counts any more.
    pub is_anew: bool,
    /// As in [`Ledger`].
    pub at: i64,
    /// As in [`Ledger`].
    pub monotonic: u64,
    /// As in [`Ledger`].
    pub day: i64,
    /// When the packets are said to have come.
    pub moment: Timestamp,
    /// How many came.
    pub came: Vec<(Key, Counts)>,
    /// What the counters say now that said something else before.
    pub counts: Vec<(Key, Counts)>,
    /// Sources of which anything has changed.
    pub sources: Vec<(Octets, Followed)>,
    /// Sources that are followed no more.
    pub gone: Vec<Octets>,
    /// A day that is over, and what its sources sent.
    pub over: Option<SourcesOfDay>,
}

/// What counters have to do with those that were read before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    /// The same, further on.
    Same,
    /// Made anew since: all that they say came since.
    New,
    /// Older than the ledger: what they said until now came before it.
    Older,
}

impl Ledger {
    /// An empty one, for counters that began at this moment of the wall clock or later.
    pub fn beginning(at: Timestamp) -> Self {
        Self {
            at: at.as_millisecond(),
            ..Self::default()
        }
    }

    fn relation(&self, reading: &Reading) -> Relation {
        match &self.identity {
            Some(identity) if *identity == reading.identity => Relation::Same,
            Some(Identity { boot, map })
                if *boot != reading.identity.boot || *map < reading.identity.map =>
            {
                Relation::New
            }
            None if reading.began >= self.at => Relation::New,
            _ => Relation::Older,
        }
    }

    /// What has come since the ledger's reading. Of sources that the filter has forgotten, `named` are
    /// followed to the end of the day: those that sent most.
    pub fn change(&self, reading: &Reading, zone: &TimeZone, named: usize) -> Change {
        let relation = self.relation(reading);
        let day = Period::of(Unit::Day, reading.at, zone).number;
        let is_over = self.identity.is_some() && day != self.day;
        let mut came = Vec::new();
        let mut counts = Vec::new();
        for (key, now) in &reading.counts {
            let before = match relation {
                Relation::Same => self.counts.get(key).copied().unwrap_or_default(),
                Relation::New => Counts::default(),
                Relation::Older => *now,
            };
            let more = now.since(&before);
            if !more.is_zero() {
                came.push((key.clone(), more));
            }
            if relation != Relation::Same || *now != before {
                counts.push((key.clone(), *now));
            }
        }
        gather_ports(&mut came);
        came.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        let (sources, gone) = self.sources_since(reading, relation, is_over, named);
        Change {
            identity: reading.identity.clone(),
            is_anew: relation != Relation::Same,
            at: reading.at.as_millisecond(),
            monotonic: reading.monotonic,
            day,
            moment: reading.at,
            came,
            counts,
            sources,
            gone,
            over: is_over.then(|| (self.day, self.today())),
        }
    }

    /// What sources have sent on the day that is not over.
    pub fn today(&self) -> Vec<(Octets, Counts)> {
        let sources = self.sources.iter();
        sources
            .filter(|(_, followed)| !followed.today.is_zero())
            .map(|(address, followed)| (*address, followed.today))
            .collect()
    }

    fn sources_since(
        &self,
        reading: &Reading,
        relation: Relation,
        is_over: bool,
        named: usize,
    ) -> (Vec<(Octets, Followed)>, Vec<Octets>) {
        let mut changed = Vec::new();
        let mut there = std::collections::HashSet::with_capacity(reading.sources.len());
        let earliest = self.monotonic.saturating_sub(CLOCK_SLACK);
        for (address, now) in &reading.sources {
            there.insert(*address);
            let known = self.sources.get(address);
            let is_new = now.first == 0 || now.first > earliest;
            let more = match (relation, known) {
                (Relation::New, _) => now.counts,
                (Relation::Older, _) => Counts::default(),
                (Relation::Same, Some(known))
                    if known.seen.first == now.first || known.seen.first == 0 || !is_new =>
                {
                    now.counts.since(&known.seen.counts)
                }
                // It was forgotten and has come again, or has never been there.
                (Relation::Same, _) if is_new => now.counts,
                // It was there and not among those that were read: what it sent is not known.
                (Relation::Same, _) => Counts::default(),
            };
            let mut followed = Followed {
                seen: *now,
                today: known.map_or_else(Counts::default, |known| known.today),
            };
            if is_over {
                followed.today = Counts::default();
            }
            followed.today.add(&more);
            if known != Some(&followed) {
                changed.push((*address, followed));
            }
        }
        let absent = self.sources.iter();
        let absent = absent.filter(|(address, _)| !there.contains(*address));
        let mut staying: Vec<_> = absent.map(|(address, it)| (*address, it.today)).collect();
        let mut gone = Vec::new();
        if is_over {
            gone.extend(staying.drain(..).map(|(address, _)| address));
        }
        staying.retain(|(address, today)| {
            let stays = today.packets > 0;
            if !stays {
                gone.push(*address);
            }
            stays
        });
        if staying.len() > named {
            if named > 0 {
                let most = |(_, today): &(Octets, Counts)| std::cmp::Reverse(today.packets);
                staying.select_nth_unstable_by_key(named, most);
            }
            gone.extend(staying.drain(named..).map(|(address, _)| address));
        }
        changed.sort_unstable_by_key(|(address, _)| *address);
        (changed, gone)
    }

    /// Has the ledger say what was kept.
    pub fn apply(&mut self, change: &Change) {
        if change.is_anew {
            self.counts.clear();
        }
        self.identity = Some(change.identity.clone());
        self.at = change.at;
        self.monotonic = change.monotonic;
        self.day = change.day;
        self.counts.extend(change.counts.iter().cloned());
        for address in &change.gone {
            self.sources.remove(address);
        }
        self.sources.extend(change.sources.iter().copied());
    }
}

/// Leaves the ports that say most, and one place for all others.
fn gather_ports(came: &mut Vec<(Key, Counts)>) {
    let (mut ports, others): (Vec<_>, Vec<_>) = std::mem::take(came)
        .into_iter()
        .partition(|(key, _)| key.by == By::Port);
    *came = others;
    if ports.len() > MAX_PORTS {
        ports.sort_unstable_by(|(one, its), (other, others)| {
            let says = |counts: &Counts| (counts.scanner, counts.packets);
            says(others).cmp(&says(its)).then_with(|| one.cmp(other))
        });
        let mut rest = Counts::default();
        for (_, counts) in ports.drain(MAX_PORTS..) {
            rest.add(&counts);
        }
        ports.push((Key::new(By::Port, OTHER), rest));
    }
    came.extend(ports);
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOT: &str = "f3b1";

    fn total(packets: u64) -> HashMap<Key, Counts> {
        HashMap::from([(Key::new(By::Total, ""), Counts::of_packets(packets))])
    }

    fn source(last: u8, first: u64, packets: u64) -> (Octets, Seen) {
        let mut address = [0; 16];
        address[15] = last;
        let counts = Counts::of_packets(packets);
        (address, Seen { first, counts })
    }

    /// A reading at this second of the wall clock and of the monotonic one.
    fn reading(second: i64, map: u32, packets: u64, sources: &[(Octets, Seen)]) -> Reading {
        Reading {
            identity: Identity {
                boot: BOOT.to_owned(),
                map,
            },
            began: 0,
            at: Timestamp::from_second(1_795_000_000 + second).unwrap(),
            monotonic: second.unsigned_abs() * 1_000_000_000,
            counts: total(packets),
            sources: sources.to_vec(),
        }
    }

    fn came(change: &Change) -> u64 {
        let of_total =
            |(key, counts): &(Key, Counts)| (key.by == By::Total).then_some(counts.packets);
        change.came.iter().filter_map(of_total).sum()
    }

    fn today(ledger: &Ledger) -> Vec<(u8, u64)> {
        let mut today: Vec<_> = ledger
            .today()
            .iter()
            .map(|(address, counts)| (address[15], counts.packets))
            .collect();
        today.sort_unstable();
        today
    }

    /// Goes through readings one after the other, and says what came with each.
    fn through(ledger: &mut Ledger, readings: &[Reading]) -> Vec<u64> {
        let each = readings.iter().map(|reading| {
            let change = ledger.change(reading, &TimeZone::UTC, 2);
            ledger.apply(&change);
            came(&change)
        });
        each.collect()
    }

    #[test]
    fn each_packet_comes_once_whatever_the_clock_and_the_counters_do() {
        for (what, readings, expected) in [
            (
                "counters that grow",
                vec![
                    reading(0, 1, 0, &[]),
                    reading(60, 1, 5, &[]),
                    reading(120, 1, 5, &[]),
                    reading(180, 1, 7, &[]),
                ],
                vec![0, 5, 0, 2],
            ),
            (
                "a clock that is set back a day and then forward a year",
                vec![
                    reading(0, 1, 0, &[]),
                    reading(-86_400, 1, 5, &[]),
                    reading(31_536_000, 1, 9, &[]),
                    reading(60, 1, 10, &[]),
                ],
                vec![0, 5, 4, 1],
            ),
            (
                "counters that are made anew, and count more than the old ones did",
                vec![
                    reading(0, 1, 3, &[]),
                    reading(-7_200, 2, 9, &[]),
                    reading(120, 2, 11, &[]),
                ],
                vec![0, 9, 2],
            ),
            (
                "the counters of before once more",
                vec![
                    reading(0, 2, 3, &[]),
                    reading(60, 1, 9, &[]),
                    reading(120, 1, 11, &[]),
                ],
                vec![0, 0, 2],
            ),
            (
                "counters that are older than the ledger",
                vec![reading(0, 1, 1_000, &[]), reading(60, 1, 1_001, &[])],
                vec![0, 1],
            ),
        ] {
            let at = Timestamp::from_second(1_795_000_000 - 100_000).unwrap();
            assert_eq!(
                through(&mut Ledger::beginning(at), &readings),
                expected,
                "{what}"
            );
        }
    }

    #[test]
    fn counters_that_began_with_the_ledger_or_in_another_boot_count_from_the_start() {
        let first = Reading {
            began: 1_795_000_000_000,
            ..reading(1, 1, 7, &[])
        };
        let mut ledger = Ledger::beginning(Timestamp::from_second(1_795_000_000).unwrap());
        assert_eq!(through(&mut ledger, &[first]), [7]);
        // After a boot the clock may say anything.
        let mut rebooted = reading(-500_000, 1, 4, &[]);
        "other".clone_into(&mut rebooted.identity.boot);
        assert_eq!(through(&mut ledger, &[rebooted]), [4]);
    }

    #[test]
    fn sources_are_counted_once_while_the_filter_forgets_and_finds_them_again() {
        let second = 1_000_000_000;
        let mut ledger = Ledger::beginning(Timestamp::from_second(1_795_000_000).unwrap());
        let readings = [
            // Older than the history.
            reading(10, 1, 0, &[source(1, second, 100)]),
            // One goes on, one is new.
            reading(
                20,
                1,
                0,
                &[source(1, second, 103), source(2, 15 * second, 7)],
            ),
            // One was forgotten and has come again, with more than before; one is not read.
            reading(30, 1, 0, &[source(1, 25 * second, 200)]),
            // What was not read is there again, as it was.
            reading(
                40,
                1,
                0,
                &[source(1, 25 * second, 200), source(2, 15 * second, 9)],
            ),
            // A part of what was counted of it was forgotten: never less than nothing.
            reading(
                50,
                1,
                0,
                &[source(1, 25 * second, 150), source(2, 15 * second, 9)],
            ),
        ];
        through(&mut ledger, &readings);
        assert_eq!(today(&ledger), [(1, 203), (2, 9)]);
    }

    #[test]
    fn of_forgotten_sources_those_that_sent_most_are_followed_to_the_end_of_the_day() {
        let second = 1_000_000_000;
        let mut ledger = Ledger::beginning(Timestamp::from_second(1_795_000_000).unwrap());
        let all: Vec<_> = (1..=5)
            .map(|last| source(last, 15 * second, u64::from(last)))
            .collect();
        let last = source(6, 25 * second, 1);
        let readings = [
            reading(10, 1, 0, &[]),
            reading(20, 1, 0, &all),
            reading(30, 1, 0, &[last]),
        ];
        through(&mut ledger, &readings);
        assert_eq!(today(&ledger), [(4, 4), (5, 5), (6, 1)]);
        let tomorrow = reading(86_400, 1, 0, &[source(6, 25 * second, 3)]);
        let change = ledger.change(&tomorrow, &TimeZone::UTC, 2);
        let (day, mut sources) = change.over.clone().unwrap();
        sources.sort_unstable_by_key(|(address, _)| *address);
        assert_eq!((day, sources.len()), (ledger.day, 3));
        ledger.apply(&change);
        assert_eq!(today(&ledger), [(6, 2)]);
        assert_eq!(ledger.sources.len(), 1);
    }

    #[test]
    fn ports_that_say_little_are_counted_together() {
        let mut first = reading(0, 1, 0, &[]);
        first.began = i64::MAX;
        for port in 1..=1_000_u64 {
            let counts = Counts::of_packets(if port == 700 { 50 } else { 1 });
            first
                .counts
                .insert(Key::new(By::Port, port.to_string()), counts);
        }
        let change = Ledger::default().change(&first, &TimeZone::UTC, 2);
        let ports: HashMap<_, _> = change.came.iter().cloned().collect();
        assert_eq!(ports.len(), MAX_PORTS + 1);
        assert_eq!(ports[&Key::new(By::Port, "700")].packets, 50);
        assert_eq!(ports[&Key::new(By::Port, OTHER)].packets, 1_000 - 256);
    }
}
