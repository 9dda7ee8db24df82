//! Reading the sources: the map that all CPUs share, and what each CPU has counted lately and not
//! moved there yet (see [`Recent`]).
//!
//! Nothing stands still meanwhile. The places are read after the map: so a packet that has been
//! moved to the map before it was read is in no place any more, and nothing is counted twice. What
//! is moved while the map is read may be in neither. So the places are read before the map too:
//! where one was taken anew since, its source of then is read again, alone, which takes some
//! microseconds, while a place is moved once a jiffy at most. What is read of a source is never
//! more than it has sent, and never less than what was read before, as long as it is remembered.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    io, thread,
};

use sip_filter_common::abi::{Address, Recent, SourceCount};

/// How many sources are read again at a time: as many as take no longer than reading the places.
const AT_A_TIME: usize = 16;
/// How often a source is read again before what is in the map and the places must do: with any
/// luck the first time is the last.
const TRIES: usize = 100;
/// How often places are read again that were being moved, which takes the program some
/// nanoseconds, and a program whose CPU was taken away from it as long as it does not run.
const WAITS: usize = 1000;

/// Where sources are read from.
pub(super) trait Store {
    /// All places of all CPUs, always in the same order.
    fn places(&self) -> io::Result<Vec<Recent>>;
    /// All that is in the maps, where a source may have several entries.
    fn all(&self) -> io::Result<Vec<(Address, SourceCount)>>;
    /// All of one source's entries in the maps, together.
    fn one(&self, source: &Address) -> io::Result<Option<SourceCount>>;
}

/// Every source remembered, in no order.
///
/// # Errors
///
/// Those of the store.
pub(super) fn read(store: &impl Store) -> io::Result<Vec<(Address, SourceCount)>> {
    let before = whole_places(store)?;
    let mut sources = Sources::new(store.all()?);
    let after = whole_places(store)?;
    let moved = moved(&before, &after);
    for place in after.iter().filter(|place| place.packets > 0) {
        if !moved.contains(&place.source) {
            sources.of(place.source).add_recent(place);
        }
    }
    let moved: Vec<_> = moved.into_iter().collect();
    for some in moved.chunks(AT_A_TIME) {
        read_again(store, some, &mut sources)?;
    }
    Ok(sources.listed)
}

/// Reads some sources anew, each as often as packets of it were moved meanwhile.
fn read_again(store: &impl Store, some: &[Address], sources: &mut Sources) -> io::Result<()> {
    let mut some = some.to_vec();
    for _ in 0..TRIES {
        let before = whole_places(store)?;
        for source in &some {
            sources.set(*source, store.one(source)?);
        }
        let after = whole_places(store)?;
        for place in after.iter().filter(|place| place.packets > 0) {
            if some.contains(&place.source) {
                sources.of(place.source).add_recent(place);
            }
        }
        let moved = moved(&before, &after);
        some.retain(|source| moved.contains(source));
        if some.is_empty() {
            break;
        }
    }
    Ok(())
}

/// Sources, each once. They stay in the list that was read, and only where they stand is hashed: to
/// move their counts into a hash took longer than to read them.
struct Sources {
    listed: Vec<(Address, SourceCount)>,
    at: HashMap<Address, usize>,
}

impl Sources {
    /// Of a list that may name a source several times, which is one with all of its counts then.
    fn new(mut listed: Vec<(Address, SourceCount)>) -> Self {
        let mut at: HashMap<Address, usize> = HashMap::with_capacity(listed.len());
        let mut known = 0;
        for next in 0..listed.len() {
            match at.entry(listed[next].0) {
                Entry::Occupied(place) => {
                    let (_, count) = listed[next];
                    SourceCount::add(&mut listed[*place.get()].1, &count);
                }
                Entry::Vacant(new) => {
                    new.insert(known);
                    if known != next {
                        listed.swap(known, next);
                    }
                    known += 1;
                }
            }
        }
        listed.truncate(known);
        Self { listed, at }
    }

    /// The source's counts, which are those of nothing where it was not known.
    fn of(&mut self, source: Address) -> &mut SourceCount {
        let at = *self.at.entry(source).or_insert_with(|| {
            self.listed.push((source, SourceCount::ZERO));
            self.listed.len() - 1
        });
        &mut self.listed[at].1
    }

    /// Replaces what was known of a source.
    fn set(&mut self, source: Address, count: Option<SourceCount>) {
        if let Some(count) = count {
            *self.of(source) = count;
        } else if let Some(at) = self.at.remove(&source) {
            self.listed.swap_remove(at);
            if let Some((other, _)) = self.listed.get(at) {
                self.at.insert(*other, at);
            }
        }
    }
}

/// The sources whose packets were in a place before and have been moved since.
fn moved(before: &[Recent], after: &[Recent]) -> HashSet<Address> {
    let places = before.iter().zip(after);
    places
        .filter(|(before, after)| before.packets > 0 && before.begun != after.begun)
        .map(|(before, _)| before.source)
        .collect()
}

/// All places, each as it was at some moment of the reading.
fn whole_places(store: &impl Store) -> io::Result<Vec<Recent>> {
    let mut places = store.places()?;
    for _ in 0..WAITS {
        if places.iter().all(Recent::is_whole) {
            break;
        }
        thread::yield_now();
        for (place, again) in places.iter_mut().zip(store.places()?) {
            if !place.is_whole() {
                *place = again;
            }
        }
    }
    for place in places.iter_mut().filter(|place| !place.is_whole()) {
        place.packets = 0;
    }
    Ok(places)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use sip_filter_common::{abi::Facts, sip::MessageClass, verdict::Outcome};

    use super::*;

    const SOURCES: u64 = 5;
    const PLACES: usize = 6;
    const BYTES: u64 = 100;

    /// The program, which takes some steps whenever something is read.
    struct Program {
        map: HashMap<Address, SourceCount>,
        places: Vec<Recent>,
        /// What each place is being moved for, and whether it was added to the map already.
        moving: Vec<Option<(Recent, bool)>>,
        sent: [u64; SOURCES as usize],
        jiffy: u64,
        steps_a_read: u64,
        random: u64,
    }

    fn address(source: u64) -> Address {
        Address { words: [0, source] }
    }

    impl Program {
        fn new(seed: u64, steps_a_read: u64) -> Self {
            Self {
                map: HashMap::new(),
                places: vec![Recent::ZERO; PLACES],
                moving: vec![None; PLACES],
                sent: [0; SOURCES as usize],
                jiffy: 1,
                steps_a_read,
                random: seed,
            }
        }

        fn random(&mut self, below: u64) -> u64 {
            self.random ^= self.random << 13;
            self.random ^= self.random >> 7;
            self.random ^= self.random << 17;
            self.random % below
        }

        fn list(&mut self, recent: &Recent) {
            let source = self.map.entry(recent.source);
            source.or_insert(SourceCount::ZERO).add_recent(recent);
        }

        fn step(&mut self) {
            if self.random(40) == 0 {
                self.jiffy += 1;
            }
            // Each place is a CPU of its own.
            let place = self.random(PLACES as u64) as usize;
            match self.moving[place].take() {
                Some((this, false)) => {
                    let moved = self.places[place];
                    if moved.packets > 0 {
                        self.list(&moved);
                    }
                    self.moving[place] = Some((this, true));
                }
                Some((this, true)) => {
                    let begun = self.places[place].begun;
                    self.places[place] = Recent {
                        begun,
                        ended: begun,
                        ..this
                    };
                    self.sent[this.source.words[1] as usize] += 1;
                }
                None => {
                    let source = self.random(SOURCES);
                    let this = Recent {
                        source: address(source),
                        facts: Facts::new(MessageClass::Invite, None, false, Outcome::Passed),
                        at: self.jiffy,
                        packets: 1,
                        bytes: BYTES,
                        ..Recent::ZERO
                    };
                    let recent = &mut self.places[place];
                    if recent.at != self.jiffy {
                        recent.begun += 1;
                        self.moving[place] = Some((this, false));
                        return;
                    }
                    if recent.source == this.source {
                        recent.packets += 1;
                        recent.bytes += BYTES;
                    } else {
                        self.list(&this);
                    }
                    self.sent[source as usize] += 1;
                }
            }
        }

        fn steps(&mut self) {
            for _ in 0..self.random(self.steps_a_read + 1) {
                self.step();
            }
        }
    }

    impl Store for RefCell<Program> {
        fn places(&self) -> io::Result<Vec<Recent>> {
            let read = |place| {
                let mut program = self.borrow_mut();
                program.steps();
                program.places[place]
            };
            Ok((0..PLACES).map(read).collect())
        }

        fn all(&self) -> io::Result<Vec<(Address, SourceCount)>> {
            let sources = (0..SOURCES).map(address);
            let entry = |source| Ok(self.one(&source)?.map(|count| (source, count)));
            sources
                .filter_map(|source| entry(source).transpose())
                .collect()
        }

        fn one(&self, source: &Address) -> io::Result<Option<SourceCount>> {
            let mut program = self.borrow_mut();
            program.steps();
            Ok(program.map.get(source).copied())
        }
    }

    /// What was read of each source.
    fn packets(program: &RefCell<Program>) -> [u64; SOURCES as usize] {
        let sources: HashMap<_, _> = read(program)
            .unwrap_or_else(|error| panic!("{error}"))
            .into_iter()
            .collect();
        std::array::from_fn(|source| {
            let count = sources.get(&address(source as u64));
            let Some(count) = count else { return 0 };
            assert_eq!(count.bytes, BYTES * count.packets());
            count.packets()
        })
    }

    #[test]
    fn what_is_read_while_packets_are_moved_is_no_less_than_was_sent_before_nor_more_than_after() {
        for seed in 1..500 {
            let program = RefCell::new(Program::new(seed * 0x9e37_79b9, 3));
            for reading in 0..20 {
                let before = program.borrow().sent;
                let read = packets(&program);
                let after = program.borrow().sent;
                for source in 0..SOURCES as usize {
                    let sent = before[source]..=after[source];
                    assert!(
                        sent.contains(&read[source]),
                        "seed {seed}, reading {reading}: {} read of {sent:?}",
                        read[source]
                    );
                }
            }
        }
    }

    #[test]
    fn a_source_stands_in_the_list_once_and_is_found_after_another_was_forgotten() {
        let count = |bytes| SourceCount {
            bytes,
            ..SourceCount::ZERO
        };
        let entries = [(1, 10), (2, 20), (1, 1), (3, 30), (2, 2), (4, 40)];
        let listed = entries.map(|(source, bytes)| (address(source), count(bytes)));
        let mut sources = Sources::new(listed.to_vec());
        sources.set(address(1), None);
        sources.set(address(5), None);
        sources.set(address(4), Some(count(44)));
        sources.of(address(3)).bytes += 3;
        sources.of(address(6)).bytes += 60;
        let mut read: Vec<_> = sources
            .listed
            .iter()
            .map(|(source, count)| (source.words[1], count.bytes))
            .collect();
        read.sort_unstable();
        assert_eq!(read, [(2, 22), (3, 33), (4, 44), (6, 60)]);
    }

    #[test]
    fn what_is_read_at_rest_is_what_was_sent() {
        let program = RefCell::new(Program::new(1, 0));
        for _ in 0..10_000 {
            program.borrow_mut().step();
        }
        while program.borrow().moving.iter().any(Option::is_some) {
            program.borrow_mut().step();
        }
        assert_eq!(packets(&program), program.borrow().sent);
    }
}
