//! Nothing is sampled and nothing is lost: packets on every CPU at once, ports by the thousand
//! and sources up to the last place are counted exactly.
//!
//! Frames are handed to the program in the kernel (BPF_PROG_TEST_RUN, which needs root). What
//! is expected is added up from the list of what is handed over, never from the program's own
//! totals.

use std::{
    collections::BTreeMap,
    fs, io, mem,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    ops::RangeInclusive,
    os::fd::{AsFd as _, AsRawFd as _},
    path::Path,
    sync::{
        Barrier, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use aya::maps::MapInfo;
use sip_filter::{
    kernel::{Instance, monotonic_ns},
    output::json,
    stats::Snapshot,
};
use sip_filter_common::{
    abi::{
        Address, Count, DEFAULT_SOURCES, MAX_TOOLS, PortCount, SOURCE_PORTS, SourceCount,
        ToolCount, Totals, map,
    },
    sip::MessageClass,
    verdict::Outcome,
};
use sip_filter_tests::{
    kernel::{Counts, DROP, PASS, Program, address},
    messages,
    packet::Frame,
    stats::Stats,
};

/// The default of `--ports`.
const PORTS: &str = "5060-5100,6060";

/// The CPUs that this process may run on.
fn cpus() -> Vec<usize> {
    // SAFETY: every bit pattern is a valid set.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    // SAFETY: the set is as large as is said.
    let result = unsafe { libc::sched_getaffinity(0, size_of_val(&set), &raw mut set) };
    assert_eq!(result, 0, "which CPUs: {}", io::Error::last_os_error());
    (0..libc::CPU_SETSIZE as usize)
        // SAFETY: the number is below the set's size.
        .filter(|cpu| unsafe { libc::CPU_ISSET(*cpu, &set) })
        .collect()
}

/// Keeps this thread on one CPU.
fn pin(cpu: usize) {
    // SAFETY: every bit pattern is a valid set.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    // SAFETY: the number came out of such a set.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    // SAFETY: the set is as large as is said.
    let result = unsafe { libc::sched_setaffinity(0, size_of_val(&set), &raw const set) };
    assert_eq!(result, 0, "CPU {cpu}: {}", io::Error::last_os_error());
}

/// One test at a time: each wants all CPUs for itself.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    // A test that has failed leaves nothing behind that another one could stumble over.
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

// --- A million packets ---------------------------------------------------------------------

/// How many packets, all threads together.
const PACKETS: usize = 1_000_000;
/// How many threads a CPU has, so that they are interrupted in the middle of things too.
const THREADS_A_CPU: usize = 2;
/// How often a packet is handed over before the next one's turn, call by call.
const REPEATS: [usize; 7] = [1, 40, 3, 1, 97, 12, 7];
/// Every so often one is handed over many times in a single call instead, packet upon packet as
/// from a driver. Not always: the kernel waits for all CPUs before each such call.
const EVERY: usize = 63;
const AT_ONCE: usize = 2_500;
/// Ports that are inspected; few enough for all threads to meet at each.
const TO: [u16; 5] = [5060, 5061, 5064, 5100, 6060];
/// So many times a thread goes back to one of the sources that are shared by all, before it
/// goes on to the next one: all threads are the first to meet it, or nearly.
const VISITS: usize = 32;
/// How many sources a thread has to itself.
const OWN: usize = 6;

/// How far the time that the program has read may be behind, in nanoseconds: a tick, of which there are
/// at least a hundred a second.
const CLOCK_STEP: u64 = 10_000_000;

/// A kind of packet.
#[derive(Clone, Copy)]
struct Kind {
    payload: &'static [u8],
    class: MessageClass,
    /// The tool, and whether it is of a dropping kind.
    tool: Option<(&'static str, bool)>,
    /// What becomes of it when nothing is dropped.
    monitored: Outcome,
    /// What becomes of it when all that can be named is dropped.
    filtered: Outcome,
}

const fn kind(
    payload: &'static [u8],
    class: MessageClass,
    tool: Option<(&'static str, bool)>,
    monitored: Outcome,
    filtered: Outcome,
) -> Kind {
    Kind {
        payload,
        class,
        tool,
        monitored,
        filtered,
    }
}

const SIPVICIOUS: Option<(&str, bool)> = Some(("sipvicious", true));
const SIPSAK: Option<(&str, bool)> = Some(("sipsak", false));

const MIX: [Kind; 13] = {
    use MessageClass as C;
    use Outcome::{Malformed, Options, Passed, Signature, WouldSignature};
    [
        kind(
            messages::SVMAP,
            C::Options,
            SIPVICIOUS,
            WouldSignature,
            Signature,
        ),
        kind(messages::INVITE, C::Invite, None, Passed, Passed),
        kind(
            messages::SVWAR,
            C::Register,
            SIPVICIOUS,
            WouldSignature,
            Signature,
        ),
        kind(
            messages::SVMAP_COMPACT,
            C::Options,
            SIPVICIOUS,
            WouldSignature,
            Signature,
        ),
        kind(messages::SIPSAK, C::Options, SIPSAK, Passed, Options),
        kind(messages::REGISTER, C::Register, None, Passed, Passed),
        kind(messages::OK, C::Response, None, Passed, Passed),
        kind(messages::CRLF_CRLF, C::Keepalive, None, Passed, Passed),
        kind(messages::STUN, C::Keepalive, None, Passed, Passed),
        kind(messages::RTP, C::Malformed, None, Passed, Malformed),
        kind(messages::HTTP, C::Malformed, None, Passed, Malformed),
        kind(messages::UNKNOWN_METHOD, C::Other, None, Passed, Passed),
        kind(messages::BYE, C::Bye, None, Passed, Passed),
    ]
};

/// The same packet so many times, call by call or in one.
struct Errand {
    frame: Vec<u8>,
    kind: Kind,
    outcome: Outcome,
    port: u16,
    source: IpAddr,
    times: usize,
}

/// A source of every other family: its group is 0 for those that all threads share, and
/// otherwise the thread's.
fn source(group: usize, number: usize) -> IpAddr {
    let [a, b, c] = [group as u8, (number >> 8) as u8, number as u8];
    if number.is_multiple_of(2) {
        Ipv4Addr::new(10, a, b, c).into()
    } else {
        let [group, number] = [group as u16, number as u16];
        Ipv6Addr::new(0x2001, 0xdb8, group, 0, 0, 0, 0, number).into()
    }
}

/// What one thread hands over.
fn errands(thread: usize, packets: usize, outcome: fn(&Kind) -> Outcome) -> Vec<Errand> {
    let mut errands = Vec::new();
    let mut left = packets;
    while left > 0 {
        let number = errands.len();
        let from = match number % 2 {
            0 => source(0, number / 2 / VISITS),
            _ => source(1 + thread, number / 2 % OWN),
        };
        let kind = MIX[(number + thread) % MIX.len()];
        let port = TO[(number / 3 + thread) % TO.len()];
        let times = match number % EVERY {
            1 => AT_ONCE,
            _ => REPEATS[number % REPEATS.len()],
        };
        let times = times.min(left);
        let to = match from {
            IpAddr::V4(_) => "192.0.2.10",
            IpAddr::V6(_) => "2001:db8::10",
        };
        let frame = Frame::to(to)
            .from(&from.to_string())
            .port(port)
            .payload(kind.payload);
        errands.push(Errand {
            frame: frame.bytes(),
            kind,
            outcome: outcome(&kind),
            port,
            source: from,
            times,
        });
        left -= times;
    }
    errands
}

/// What is to be counted of all that is handed over, added up one by one.
struct Sum {
    counts: Counts,
    packets: u64,
}

impl Sum {
    fn of<'a>(errands: impl Iterator<Item = &'a Errand>, program: &Program) -> Self {
        let mut counts = Counts {
            totals: Totals::ZERO,
            ..program.counts()
        };
        counts.tools.tools = [ToolCount::default(); MAX_TOOLS];
        counts.ports.clear();
        counts.sources.clear();
        let mut packets = 0;
        for errand in errands {
            let Errand {
                frame,
                kind,
                outcome,
                port,
                source,
                times,
            } = errand;
            let times = *times as u64;
            let bytes = times * frame.len() as u64;
            let hostile = kind.tool.is_some_and(|(_, hostile)| hostile);
            let dropped = u64::from(outcome.is_drop()) * times;
            let would_drop = u64::from(*outcome == Outcome::WouldSignature) * times;
            packets += times;

            let cell = &mut counts.totals.cells[Totals::cell(kind.class, hostile, *outcome)];
            *cell = Count {
                packets: cell.packets + times,
                bytes: cell.bytes + bytes,
            };
            let of_source = counts.sources.entry(*source).or_insert(SourceCount::ZERO);
            of_source.count(kind.class, hostile, *outcome, times);
            of_source.bytes += bytes;
            of_source.ports[SourceCount::port(*port)] = 1;
            if let Some((tool, _)) = kind.tool {
                let number = program.tool_number(tool);
                of_source.tools[number] = 1;
                let tool = &mut counts.tools.tools[number];
                *tool = ToolCount {
                    packets: tool.packets + times,
                    dropped: tool.dropped + dropped,
                    would_drop: tool.would_drop + would_drop,
                };
            }
            let port = counts.ports.entry(*port).or_default();
            *port = PortCount {
                packets: port.packets + times,
                scanner: port.scanner + u64::from(hostile) * times,
                dropped: port.dropped + dropped,
            };
        }
        Self { counts, packets }
    }
}

/// A source's count without the moments at which it was seen, which no list says.
fn timeless(count: &SourceCount) -> SourceCount {
    SourceCount {
        first_seen: 0,
        last_seen: 0,
        ..*count
    }
}

/// What was counted is what was handed over, counter by counter, and was seen meanwhile.
fn assert_counted(expected: &Counts, counted: &Counts, during: &RangeInclusive<u64>) {
    assert_eq!(counted.totals, expected.totals);
    assert_eq!(counted.tools, expected.tools);
    let ports: BTreeMap<_, _> = counted
        .ports
        .iter()
        .filter(|(_, count)| **count != PortCount::default())
        .map(|(port, count)| (*port, *count))
        .collect();
    assert_eq!(ports, expected.ports);
    let sources: Vec<_> = counted.sources.keys().collect();
    assert_eq!(sources, expected.sources.keys().collect::<Vec<_>>());
    for (address, expected) in &expected.sources {
        let count = &counted.sources[address];
        assert_eq!(timeless(count), timeless(expected), "{address}");
        let seen = [count.first_seen, count.last_seen];
        assert!(
            seen.iter().all(|seen| during.contains(seen)),
            "{address}: {seen:?}"
        );
        assert!(count.first_seen <= count.last_seen, "{address}: {seen:?}");
    }
}

/// The contract's own sums, as `stats --format json` shows them; [`Stats::read`] compares them
/// with each other.
fn as_json(program: &Program) -> Stats {
    let instance = Instance::new(Path::new("/sys/fs/bpf"), "exactness");
    let snapshot = instance.and_then(|instance| Snapshot::read(&instance, program.filter()));
    let snapshot = snapshot.unwrap_or_else(|error| panic!("no snapshot: {error:#}"));
    let mut document = Vec::new();
    json::snapshot(&mut document, &snapshot, None)
        .unwrap_or_else(|error| panic!("cannot be written: {error}"));
    Stats::read(&String::from_utf8_lossy(&document))
}

fn a_million_packets(drop: &str, outcome: fn(&Kind) -> Outcome) {
    let _alone = alone();
    let program = Program::load(drop, PORTS);
    let cpus = cpus();
    let threads = (THREADS_A_CPU * cpus.len()).max(2);
    let lists: Vec<_> = (0..threads)
        .map(|thread| {
            let share = PACKETS * (thread + 1) / threads - PACKETS * thread / threads;
            errands(thread, share, outcome)
        })
        .collect();
    let together = Barrier::new(threads + 1);
    let begun_at = monotonic_ns() - CLOCK_STEP;
    let done = AtomicBool::new(false);
    let (took, readings) = thread::scope(|scope| {
        // Whoever reads meanwhile neither disturbs the counting nor sees a counter go back.
        let reader = scope.spawn(|| {
            let (mut readings, mut seen) = (0_usize, 0);
            while !done.load(Ordering::Relaxed) {
                let cells = program.counts().totals.cells;
                let packets: u64 = cells.iter().map(|cell| cell.packets).sum();
                assert!(packets >= seen, "{seen} packets, then {packets}");
                (readings, seen) = (readings + 1, packets);
            }
            readings
        });
        let senders: Vec<_> = lists
            .iter()
            .enumerate()
            .map(|(thread, list)| {
                let cpu = cpus[thread % cpus.len()];
                let (program, together) = (&program, &together);
                scope.spawn(move || {
                    pin(cpu);
                    together.wait();
                    for errand in list {
                        let expected = if errand.outcome.is_drop() { DROP } else { PASS };
                        let (calls, times) = match errand.times {
                            AT_ONCE => (1, AT_ONCE),
                            calls => (calls, 1),
                        };
                        for _ in 0..calls {
                            let action = program.repeat(&errand.frame, times as u32);
                            assert_eq!(action, expected, "{:?}", errand.kind.class);
                        }
                    }
                })
            })
            .collect();
        together.wait();
        let begun = Instant::now();
        let ended: Vec<_> = senders
            .into_iter()
            .map(thread::ScopedJoinHandle::join)
            .collect();
        let took = begun.elapsed();
        done.store(true, Ordering::Relaxed);
        assert!(ended.iter().all(Result::is_ok), "a thread has panicked");
        (took, reader.join().unwrap_or_default())
    });
    let Sum { counts, packets } = Sum::of(lists.iter().flatten(), &program);
    assert_eq!(packets, PACKETS as u64, "the list itself is wrong");
    println!(
        "{packets} packets from {threads} threads on {} CPUs in {took:?}, {} sources, read \
         {readings} times meanwhile",
        cpus.len(),
        counts.sources.len()
    );
    assert_ne!(readings, 0, "nobody has read, or the reader has panicked");
    assert_counted(&counts, &program.counts(), &(begun_at..=monotonic_ns()));

    let stats = as_json(&program);
    assert_eq!(stats.totals.packets, packets);
    let dropped = |count: &PortCount| count.dropped;
    let dropped: u64 = counts.ports.values().map(dropped).sum();
    assert_eq!(stats.totals.dropped, dropped);
    assert_eq!(stats.totals.passed, packets - dropped);
    assert_eq!(stats.sources.len(), counts.sources.len());
    for of_source in &stats.sources {
        let methods: u64 = of_source.methods.values().sum();
        let address: IpAddr = of_source
            .source
            .parse()
            .unwrap_or_else(|error| panic!("{}: {error}", of_source.source));
        let classes = counts.sources[&address].classes;
        let requests: u64 = MessageClass::ALL
            .into_iter()
            .filter(|class| class.is_request())
            .map(|class| classes[class as usize])
            .sum();
        assert_eq!(methods, requests, "{address}: {of_source:?}");
        assert_eq!(of_source.packets, classes.iter().sum::<u64>(), "{address}");
    }
}

#[test]
fn a_million_packets_on_all_cpus_are_counted_to_the_last_while_monitoring() {
    a_million_packets("nothing", |kind| kind.monitored);
}

#[test]
fn a_million_packets_on_all_cpus_are_counted_to_the_last_while_dropping() {
    a_million_packets("scanners,options,malformed", |kind| kind.filtered);
}

// --- Notes that CPUs make at the same moment -----------------------------------------------

/// Every thread begins a round when the last one has arrived: without a system call, so that
/// they begin within some hundred nanoseconds.
struct Rounds {
    threads: usize,
    arrived: AtomicUsize,
}

impl Rounds {
    fn begin(&self, round: usize) {
        self.arrived.fetch_add(1, Ordering::AcqRel);
        while self.arrived.load(Ordering::Acquire) < self.threads * (round + 1) {
            std::hint::spin_loop();
        }
    }
}

/// Runs `work` on every CPU at once, so many rounds; it is given the thread and the round.
fn on_all_cpus(rounds: usize, work: impl Fn(usize, usize) + Sync) {
    let cpus = cpus();
    if cpus.len() == 1 {
        println!("there is one CPU alone: nothing happens at the same moment on it");
    }
    let barrier = Rounds {
        threads: cpus.len(),
        arrived: AtomicUsize::new(0),
    };
    thread::scope(|scope| {
        for (thread, cpu) in cpus.iter().enumerate() {
            let (work, barrier) = (&work, &barrier);
            scope.spawn(move || {
                pin(*cpu);
                for round in 0..rounds {
                    barrier.begin(round);
                    work(thread, round);
                }
            });
        }
    });
}

#[test]
fn a_source_that_is_new_on_all_cpus_at_once_is_one_source() {
    let _alone = alone();
    const ROUNDS: usize = 2_000;
    let program = Program::load("nothing", PORTS);
    let frames: Vec<_> = (0..ROUNDS).map(probe_from).collect();
    on_all_cpus(ROUNDS, |_, round| {
        program.run(&frames[round]);
    });
    let sources = program.counts().sources;
    assert_eq!(sources.len(), ROUNDS);
    for (address, count) in sources {
        let packets = count.packets();
        assert_eq!(packets, cpus().len() as u64, "{address}");
    }
}

#[test]
fn ports_that_a_source_tries_on_all_cpus_at_once_are_all_noted() {
    let _alone = alone();
    const ROUNDS: usize = 2_000;
    const PORTS_A_THREAD: usize = 8;
    let program = Program::load("nothing", "5060-5187");
    // As many threads as have ports of their own.
    let threads = cpus().len().min(SOURCE_PORTS / PORTS_A_THREAD);
    let ports_of = |thread| {
        let first = 5060 + (thread * PORTS_A_THREAD) as u16;
        first..first + PORTS_A_THREAD as u16
    };
    let frames: Vec<Vec<Vec<_>>> = (0..ROUNDS)
        .map(|round| {
            let frame = |port| {
                Frame::to("192.0.2.10")
                    .from(&source(0, 2 * round).to_string())
                    .port(port)
                    .bytes()
            };
            (0..threads)
                .map(|thread| ports_of(thread).map(frame).collect())
                .collect()
        })
        .collect();
    on_all_cpus(ROUNDS, |thread, round| {
        for frame in frames[round].get(thread).into_iter().flatten() {
            program.run(frame);
        }
    });
    let expected = threads * PORTS_A_THREAD;
    let too_few: Vec<_> = program
        .counts()
        .sources
        .into_values()
        .map(|count| {
            count
                .ports
                .iter()
                .map(|tried| u32::from(*tried != 0))
                .sum::<u32>()
        })
        .filter(|noted| *noted as usize != expected)
        .collect();
    assert!(
        too_few.is_empty(),
        "of {ROUNDS} sources that tried {expected} ports, {} have fewer noted, such as {:?}",
        too_few.len(),
        &too_few[..too_few.len().min(8)]
    );
}

#[test]
fn a_sweep_over_all_ports_is_counted_by_port() {
    let _alone = alone();
    let program = Program::load("nothing", "any");
    let mut frame = Frame::to("192.0.2.10").payload(messages::SVMAP).bytes();
    for port in 0..=u16::MAX {
        // The destination port, behind the source port.
        frame[36..38].copy_from_slice(&port.to_be_bytes());
        program.run(&frame);
    }
    let ports = program.counts().ports;
    let one = PortCount {
        packets: 1,
        scanner: 1,
        dropped: 0,
    };
    let wrong: Vec<_> = (0..=u16::MAX)
        .filter(|port| ports.get(port) != Some(&one))
        .collect();
    assert!(
        wrong.is_empty(),
        "{} of 65536 ports are not counted as tried once, {:?} first",
        wrong.len(),
        &wrong[..wrong.len().min(16)]
    );
}

#[test]
fn a_sweep_over_all_ports_from_all_cpus_is_counted_by_port() {
    let _alone = alone();
    let program = Program::load("nothing", "any");
    let frame = Frame::to("192.0.2.10").payload(messages::SVMAP).bytes();
    on_all_cpus(1, |_, _| {
        let mut frame = frame.clone();
        for port in 0..=u16::MAX {
            frame[36..38].copy_from_slice(&port.to_be_bytes());
            program.run(&frame);
        }
    });
    let cpus = cpus().len() as u64;
    let counts = program.counts();
    let ports = counts.ports;
    let sum: u64 = ports.values().map(|count| count.packets).sum();
    // The kernel may have no memory at hand for so many new ports at once, and says so.
    let unlisted = counts.totals.unlisted;
    assert!(ports.len() as u64 + unlisted >= 1 << 16, "{unlisted}");
    assert_eq!(sum + unlisted, cpus << 16);
}

// --- As many sources as are remembered -----------------------------------------------------

/// A probe from a source of its own, IPv4 and IPv6 by turns.
fn probe_from(number: usize) -> Vec<u8> {
    let to = match number % 2 {
        0 => "192.0.2.10",
        _ => "2001:db8::10",
    };
    let mut frame = Frame::to(to).bytes();
    // The last four bytes of the source address.
    let at = if number.is_multiple_of(2) { 26 } else { 34 };
    let number = 0x0a00_0000 | number as u32;
    frame[at..at + 4].copy_from_slice(&number.to_be_bytes());
    frame
}

/// The number that [`probe_from`] has put into a source address.
fn number_in(key: Address) -> usize {
    let [.., a, b, c] = key.octets();
    u32::from_be_bytes([0, a, b, c]) as usize
}

/// As many sources as are remembered unless the operator says otherwise.
const ROOM: usize = DEFAULT_SOURCES as usize;
/// The kernel makes room for so many sources at a time (LOCAL_FREE_TARGET in
/// kernel/bpf/bpf_lru_list.c), and keeps as many places at hand for each CPU that counts.
const BATCH: usize = 128;

/// One probe from each of so many sources, with the CPUs taking turns; what is remembered.
fn remembered_of(sources: usize, cpus: &[usize]) -> Vec<usize> {
    // More than one batch, so that each CPU has places left over when it is another one's turn.
    const TURN: usize = BATCH + 1;
    let program = Program::load("nothing", PORTS);
    let begun = Instant::now();
    for number in 0..sources {
        if number % TURN == 0 {
            pin(cpus[number / TURN % cpus.len()]);
        }
        program.run(&probe_from(number));
    }
    let filled = begun.elapsed();
    let begun = Instant::now();
    let listed = program.filter().sources();
    let listed = listed.unwrap_or_else(|error| panic!("{error:#}"));
    println!(
        "{sources} sources on {} CPUs in {filled:?}: {} remembered, read in {:?}",
        cpus.len(),
        listed.len(),
        begun.elapsed()
    );
    let mut remembered = Vec::new();
    for (key, count) in listed {
        let address = address(key);
        let number = number_in(key);
        let bytes = probe_from(number).len() as u64;
        assert_eq!(address.is_ipv4(), number.is_multiple_of(2), "{address}");
        assert_eq!(count.packets(), 1, "{address}");
        assert_eq!(
            count.classes[MessageClass::Keepalive as usize],
            1,
            "{address}"
        );
        assert_eq!(count.bytes, bytes, "{address}");
        remembered.push(number);
    }
    remembered.sort_unstable();
    remembered.dedup();
    // A source that is forgotten is forgotten as a source alone.
    let packets: u64 = program.totals().cells.iter().map(|cell| cell.packets).sum();
    assert_eq!(packets, sources as u64, "in the totals");
    remembered
}

#[test]
fn sources_are_all_remembered_as_long_as_there_is_room() {
    let _alone = alone();
    let cpus = cpus();
    for (what, cpus) in [("one CPU", &cpus[..1]), ("all CPUs", &cpus)] {
        // Each CPU may keep a batch of places that no other one gets.
        let room = ROOM - BATCH * cpus.len();
        let all: Vec<_> = (0..room).collect();
        assert!(
            remembered_of(room, cpus) == all,
            "{what}: one was forgotten too early"
        );
    }
}

#[test]
fn a_full_table_forgets_the_sources_unseen_for_longest() {
    let _alone = alone();
    let cpus = cpus();
    for (what, sources) in [
        ("as many as there is room for", ROOM),
        ("one more", ROOM + 1),
        ("many more", ROOM + 20_000),
    ] {
        let remembered = remembered_of(sources, &cpus);
        let least = ROOM - BATCH * cpus.len();
        let many = remembered.len();
        assert!(
            (least..=ROOM).contains(&many),
            "{what}: {many} are remembered"
        );
        // Those forgotten are the oldest: half of the table is younger than any of them.
        let youngest: Vec<_> = (sources - ROOM / 2..sources).collect();
        assert!(
            remembered.ends_with(&youngest),
            "{what}: a young one was forgotten"
        );
    }
}

#[test]
fn a_source_that_keeps_sending_is_not_forgotten_in_a_flood_of_forged_ones() {
    let _alone = alone();
    const FORGED: usize = 2 * ROOM;
    const EVERY_SO_MANY: usize = 1_000;
    let program = Program::load("nothing", PORTS);
    let phone = Frame::to("192.0.2.10").from("198.51.100.20").bytes();
    let mut sent = 0;
    for number in 0..FORGED {
        if number % EVERY_SO_MANY == 0 {
            program.run(&phone);
            sent += 1;
        }
        program.run(&probe_from(number));
    }
    let sources = program.counts().sources;
    let Some(count) = sources.get(&IpAddr::from([198, 51, 100, 20])) else {
        panic!("the phone is not among the {} remembered", sources.len())
    };
    assert_eq!(count.packets(), sent);
}

#[test]
fn a_million_random_sources_push_no_recognised_scanner_out() {
    const SCANNER: &str = "192.0.2.66";
    const SOURCE: usize = 14 + 12;
    let _alone = alone();
    let program = Program::load("nothing", PORTS);
    let to = || Frame::to("198.51.100.10");
    let probe = to().from(SCANNER).payload(messages::SVMAP).bytes();
    program.repeat(&probe, 3);
    let mut frame = to().from("10.0.0.0").payload(messages::QUALIFY).bytes();
    for number in 0..1_000_000_u32 {
        let address = 0x0a00_0000 + number.wrapping_mul(2_654_435_761) % 0x00ff_ffff;
        frame[SOURCE..SOURCE + 4].copy_from_slice(&address.to_be_bytes());
        program.repeat(&frame, 1);
    }
    let sources = program.counts().sources;
    let scanner: IpAddr = SCANNER.parse().unwrap_or_else(|error| panic!("{error}"));
    let Some(count) = sources.get(&scanner) else {
        panic!("the scanner is gone from {} sources", sources.len());
    };
    assert_eq!(count.packets(), 3);
    assert!(sources.len() <= ROOM + 1, "{}", sources.len());
}

#[test]
fn the_sources_take_the_same_thirty_two_megabytes_on_however_many_cpus() {
    const MOST: usize = 32_000_000;
    // linux/bpf.h: BPF_MAP_TYPE_LRU_HASH, one for all CPUs, without BPF_F_NO_COMMON_LRU.
    const LRU_HASH: &str = "9";
    const NO_COMMON_LRU: u32 = 1 << 1;
    let program = Program::load("nothing", PORTS);
    let infos = program
        .map_ids()
        .into_iter()
        .map(|id| MapInfo::from_id(id).unwrap_or_else(|error| panic!("no map {id}: {error}")));
    let mut of_sources = infos.filter(|info| info.name_as_str() == Some(map::SOURCES));
    let Some(info) = of_sources.next() else {
        panic!("the program has no map {}", map::SOURCES)
    };
    let fd = info
        .fd()
        .unwrap_or_else(|error| panic!("cannot open it: {error}"));
    let path = format!("/proc/self/fdinfo/{}", fd.as_fd().as_raw_fd());
    let said = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let field = |name: &str| {
        let line = said.lines().find_map(|line| line.strip_prefix(name));
        line.map_or_else(|| panic!("no {name} in {said}"), str::trim)
    };
    assert_eq!(field("map_type:"), LRU_HASH, "{said}");
    assert_eq!(field("max_entries:"), ROOM.to_string(), "{said}");
    assert_eq!(info.map_flags() & NO_COMMON_LRU, 0, "{said}");
    let bytes: usize = field("memlock:")
        .parse()
        .unwrap_or_else(|error| panic!("{error}: {said}"));
    println!("{bytes} bytes for {ROOM} sources");
    let values = ROOM * (size_of::<Address>() + size_of::<SourceCount>());
    assert!((values..=MOST).contains(&bytes), "{said}");
}

// --- Sources that are read while they send ---------------------------------------------------

/// Everything about one source that only grows.
fn growing(count: &SourceCount) -> impl Iterator<Item = u64> {
    let met = [count.scanner, count.dropped, count.would_drop];
    let met = met.into_iter().chain(count.reasons).chain(count.classes);
    let notes = count.ports.into_iter().chain(count.tools).map(u64::from);
    met.chain([count.bytes, count.last_seen]).chain(notes)
}

/// Floods from so many sources on every CPU, which are read all the while: no count goes back,
/// none is more than what was sent, and none is less than what was sent before it was read.
fn read_during_floods(sources: usize, errands: usize, at_once: usize) {
    let _alone = alone();
    let program = Program::load("nothing", PORTS);
    let cpus = cpus();
    // What every source sends is of two kinds, so that it has two places on each CPU.
    let frames: Vec<_> = (0..sources)
        .map(|number| {
            let from = source(0, number);
            let to = if from.is_ipv4() {
                "192.0.2.10"
            } else {
                "2001:db8::10"
            };
            let frame = |port, payload| {
                let frame = Frame::to(to).from(&from.to_string()).port(port);
                frame.payload(payload).bytes()
            };
            (
                from,
                [frame(5060, messages::OK), frame(5064, messages::CRLF_CRLF)],
            )
        })
        .collect();
    // By source: what was handed over, and what the kernel has given back.
    let [begun, ended]: [Vec<_>; 2] =
        [(); 2].map(|()| (0..sources).map(|_| AtomicUsize::new(0)).collect());
    let done = AtomicBool::new(false);
    let readings = thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut seen = BTreeMap::<IpAddr, SourceCount>::new();
            let mut readings = 0;
            while !done.load(Ordering::Relaxed) {
                let least: Vec<_> = ended
                    .iter()
                    .map(|sent| sent.load(Ordering::SeqCst))
                    .collect();
                let listed = program.filter().sources();
                let listed = listed.unwrap_or_else(|error| panic!("{error:#}"));
                let most: Vec<_> = begun
                    .iter()
                    .map(|sent| sent.load(Ordering::SeqCst))
                    .collect();
                let now: BTreeMap<_, _> = listed
                    .into_iter()
                    .map(|(source, count)| (address(source), count))
                    .collect();
                for (number, (from, _)) in frames.iter().enumerate() {
                    let packets = now.get(from).map_or(0, SourceCount::packets) as usize;
                    let sent = least[number]..=most[number];
                    assert!(
                        sent.contains(&packets),
                        "{from}: {packets} read, {sent:?} sent"
                    );
                }
                for (from, before) in &seen {
                    let Some(count) = now.get(from) else {
                        panic!("{from} is gone")
                    };
                    let goes_back = growing(before).zip(growing(count)).any(|(a, b)| a > b);
                    assert!(!goes_back, "{from}: {before:?}, then {count:?}");
                }
                (seen, readings) = (now, readings + 1);
            }
            readings
        });
        let senders: Vec<_> = (0..2 * cpus.len())
            .map(|thread| {
                let (cpu, program) = (cpus[thread % cpus.len()], &program);
                let (frames, begun, ended) = (&frames, &begun, &ended);
                scope.spawn(move || {
                    pin(cpu);
                    for errand in 0..errands {
                        let number = (errand + thread) % frames.len();
                        let frame = &frames[number].1[errand / 3 % 2];
                        begun[number].fetch_add(at_once, Ordering::SeqCst);
                        program.repeat(frame, at_once as u32);
                        ended[number].fetch_add(at_once, Ordering::SeqCst);
                    }
                })
            })
            .collect();
        let failed = senders.into_iter().any(|sender| sender.join().is_err());
        done.store(true, Ordering::Relaxed);
        assert!(!failed, "a sender has panicked");
        reader
            .join()
            .unwrap_or_else(|cause| std::panic::resume_unwind(cause))
    });
    println!("{sources} sources read {readings} times");
    assert!(readings > 3, "read {readings} times alone");
    let counted = program.counts().sources;
    for ((from, _), sent) in frames.iter().zip(ended) {
        let packets = counted.get(from).map_or(0, SourceCount::packets);
        assert_eq!(packets, sent.into_inner() as u64, "{from}");
    }
}

#[test]
fn a_source_that_is_read_while_it_sends_is_counted_neither_twice_nor_too_late() {
    read_during_floods(3, 40, 200_000);
}

#[test]
fn many_sources_that_are_read_while_they_send_are_counted_neither_twice_nor_too_late() {
    read_during_floods(300, 60_000, 1);
}

// --- Few sources and many ---------------------------------------------------------------------

/// So many packets at once from each of so many sources, turn after turn on each CPU.
fn packets_from(sources: usize, turns: usize, at_once: usize) {
    let _alone = alone();
    let program = Program::load("nothing", PORTS);
    let cpus = cpus();
    let frames: Vec<_> = (0..sources).map(probe_from).collect();
    thread::scope(|scope| {
        for (thread, cpu) in cpus.iter().enumerate() {
            let (program, frames) = (&program, &frames);
            scope.spawn(move || {
                pin(*cpu);
                for turn in 0..turns {
                    program.repeat(&frames[(turn + thread) % sources], at_once as u32);
                }
            });
        }
    });
    let mut expected = vec![0; sources];
    for thread in 0..cpus.len() {
        for turn in 0..turns {
            expected[(turn + thread) % sources] += at_once as u64;
        }
    }
    let listed = program.filter().sources();
    let listed = listed.unwrap_or_else(|error| panic!("{error:#}"));
    assert_eq!(listed.len(), sources);
    for (key, count) in listed {
        let number = number_in(key);
        let packets = expected[number];
        assert_eq!(count.packets(), packets, "{}", address(key));
        let bytes = packets * frames[number].len() as u64;
        assert_eq!(count.bytes, bytes, "{}", address(key));
    }
}

#[test]
fn a_million_packets_are_counted_by_source_however_few_there_are() {
    for sources in [1, 2, 40] {
        packets_from(sources, 80, PACKETS / 80);
    }
}

#[test]
fn packets_are_counted_by_source_however_many_there_are() {
    for sources in [1_000, 20_000] {
        packets_from(sources, PACKETS / 10, 1);
    }
}

#[test]
fn a_source_whose_place_another_one_takes_loses_nothing() {
    let _alone = alone();
    const BURSTS: u64 = 20;
    const AT_ONCE: u64 = 5;
    let program = Program::load("nothing", PORTS);
    // Several hundred share the places of one CPU, so that each is displaced many times.
    let frames: Vec<_> = (0..400).map(probe_from).collect();
    pin(cpus()[0]);
    for _ in 0..BURSTS {
        for frame in &frames {
            for _ in 0..AT_ONCE {
                program.run(frame);
            }
        }
        // Longer than a jiffy, so that whoever comes first may take a place.
        thread::sleep(Duration::from_nanos(CLOCK_STEP));
    }
    let sources = program.counts().sources;
    assert_eq!(sources.len(), frames.len());
    for (address, count) in sources {
        assert_eq!(count.packets(), BURSTS * AT_ONCE, "{address}");
    }
}
