//! The program in the kernel without an interface: it is handed frames one by one
//! (BPF_PROG_TEST_RUN), and its maps say what it counted of each.
//!
//! What the classifier of the host says of a payload stands beside it, so that a test can ask
//! both.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr},
};

use aya::{
    TestRun as _,
    programs::{ProgramError, ProgramInfo, TestRunOptions, TestRunResult},
};
use sip_filter::{
    config::{
        drop::DropList,
        ports::Ports,
        signatures::{Signatures, tool_name},
    },
    kernel::{Filter, Hook, Load, Loaded},
    lists::Lists,
};
use sip_filter_common::{
    abi::{self, Address, MAX_TOOLS, PortCount, SourceCount, ToolCounts, Totals},
    classify::{Classification, Destination, Work, classify},
    frame::SliceFrame,
    packet::{self, Packet},
    payload::SlicePayload,
    rules::Rules,
    signature::SignatureTable,
    sip::MessageClass,
    verdict::{DropSet, Met, Outcome, decide},
};

/// The frame goes to the driver's pool again (`XDP_DROP` in linux/bpf.h).
pub const DROP: u32 = 1;
/// The frame goes up to the network stack (`XDP_PASS`).
pub const PASS: u32 = 2;

/// What a program at tcx says of a packet that goes on, and of one that does not (`TCX_NEXT` and
/// `TCX_DROP` in linux/bpf.h).
const TCX_NEXT: u32 = -1_i32 as u32;
const TCX_DROP: u32 = 2;

/// The longest frame that BPF_PROG_TEST_RUN hands over in one piece, in bytes: a page, less the
/// headroom of XDP and what the kernel keeps at the page's end, which is at most 384.
pub const LONGEST_FRAME: usize = 4096 - 256 - 384;

/// What `--drop` and `--ports` take, with the built-in signatures.
pub struct Policy {
    hook: Hook,
    drop: DropSet,
    ports: Ports,
    signatures: Signatures,
    rules: Rules,
    lists: Lists,
}

impl Policy {
    /// Reads the options.
    ///
    /// # Panics
    ///
    /// If they are none.
    pub fn new(drop: &str, ports: &str) -> Self {
        let DropList(drop) = drop.parse().unwrap_or_else(|error| panic!("{error:#}"));
        Self {
            hook: Hook::Xdp,
            drop,
            ports: ports.parse().unwrap_or_else(|error| panic!("{error:#}")),
            signatures: Signatures::built_in().unwrap_or_else(|error| panic!("{error:#}")),
            rules: Rules::NONE,
            lists: Lists::EMPTY.clone(),
        }
    }

    /// The same for a program at this hook, in place of XDP.
    #[must_use]
    pub fn at(self, hook: Hook) -> Self {
        Self { hook, ..self }
    }

    /// The same with these signatures in place of the built-in ones.
    #[must_use]
    pub fn with_signatures(self, signatures: Signatures) -> Self {
        Self { signatures, ..self }
    }

    /// The same with limits, behaviours and escalation.
    #[must_use]
    pub fn with_rules(self, rules: Rules) -> Self {
        Self { rules, ..self }
    }

    /// The same with an allow list and a block list.
    #[must_use]
    pub fn with_lists(self, lists: Lists) -> Self {
        Self { lists, ..self }
    }

    /// What the program is loaded with.
    pub fn load(&self) -> Load<'_> {
        Load {
            drop: self.drop,
            any_port: self.ports.any,
            rules: &self.rules,
            lists: &self.lists,
            ..Load::new(&self.ports.set, &self.signatures)
        }
    }
}

/// A program that is attached to nothing, with maps of its own.
pub struct Program {
    loaded: Loaded,
    hook: Hook,
    filter: Filter,
    drop: DropSet,
    names: Vec<String>,
    table: Box<SignatureTable>,
}

impl Program {
    /// Loads it with the built-in signatures, and with what `--drop` and `--ports` take.
    ///
    /// # Panics
    ///
    /// Without root, or if the kernel refuses it.
    pub fn load(drop: &str, ports: &str) -> Self {
        Self::load_as(Policy::new(drop, ports), false)
    }

    /// The same with these signatures in place of the built-in ones, and with `-v` if it is `verbose`.
    ///
    /// # Panics
    ///
    /// As [`Program::load`].
    pub fn load_with(drop: &str, ports: &str, signatures: Signatures, verbose: bool) -> Self {
        let policy = Policy::new(drop, ports).with_signatures(signatures);
        Self::load_as(policy, verbose)
    }

    /// The same with `-v`: a longer program, for the verifier.
    ///
    /// # Panics
    ///
    /// As [`Program::load`].
    pub fn load_logging(drop: &str, ports: &str) -> Self {
        Self::load_as(Policy::new(drop, ports), true)
    }

    /// The same with whatever policy.
    ///
    /// # Panics
    ///
    /// As [`Program::load`].
    pub fn load_as(policy: Policy, verbose: bool) -> Self {
        // SAFETY: a system call without arguments.
        let user = unsafe { libc::geteuid() };
        assert!(
            user == 0,
            "loading a BPF program needs root: run this as root"
        );
        let (table, names) = policy
            .signatures
            .table(&[])
            .unwrap_or_else(|error| panic!("{error:#}"));
        let load = Load {
            verbose,
            ..policy.load()
        };
        let mut loaded = Loaded::unpinned_at(&load, policy.hook)
            .unwrap_or_else(|error| panic!("cannot load the program: {error:#}"));
        let filter = Filter::of(&mut loaded).unwrap_or_else(|error| panic!("no maps: {error:#}"));
        let name = |name| tool_name(name).unwrap_or_default().to_owned();
        Self {
            loaded,
            hook: policy.hook,
            filter,
            drop: policy.drop,
            names: names.iter().map(name).collect(),
            table,
        }
    }

    /// Its maps.
    pub fn filter(&self) -> &Filter {
        &self.filter
    }

    /// How many instructions the verifier walked, from one to a million; kernels before 5.16 do
    /// not say.
    ///
    /// # Panics
    ///
    /// If the kernel does not know the program.
    pub fn verified_instructions(&self) -> Option<u32> {
        self.info().verified_instruction_count()
    }

    fn info(&self) -> ProgramInfo {
        let info = match self.hook {
            Hook::Xdp => self.loaded.xdp().map(|program| program.info()),
            Hook::Tcx => self.loaded.classifier().map(|program| program.info()),
        };
        let info = info.unwrap_or_else(|error| panic!("no program: {error:#}"));
        info.unwrap_or_else(|error| panic!("nothing is known of the program: {error:#}"))
    }

    fn test_run(&self, options: TestRunOptions<'_>) -> Result<TestRunResult, ProgramError> {
        let result = match self.hook {
            Hook::Xdp => self.loaded.xdp().map(|program| program.test_run(options)),
            Hook::Tcx => {
                let program = self.loaded.classifier();
                program.map(|program| program.test_run(options))
            }
        };
        result.unwrap_or_else(|error| panic!("no program: {error:#}"))
    }

    /// The numbers of its maps in the kernel.
    ///
    /// # Panics
    ///
    /// If the kernel does not say.
    pub fn map_ids(&self) -> Vec<u32> {
        match self.info().map_ids() {
            Ok(Some(ids)) => ids,
            other => panic!("the kernel does not say which maps the program has: {other:?}"),
        }
    }

    /// Whether it may be handed frames that do not fit into a page, in several pieces: at XDP, from Linux
    /// 5.18 on.
    pub fn takes_several_pieces(&self) -> bool {
        self.hook == Hook::Xdp && self.info().name_as_str() == Some(abi::PROGRAM)
    }

    /// Whether BPF_PROG_TEST_RUN makes what the program sees of so short a frame: no socket buffer of
    /// one whose IP header is not whole, on newer kernels.
    pub fn takes(&self, frame: &[u8]) -> bool {
        const ETHERNET: usize = 14;
        let shortest = match frame.get(ETHERNET - 2..ETHERNET) {
            Some([0x08, 0x00]) => ETHERNET + 20,
            Some([0x86, 0xdd]) => ETHERNET + 40,
            _ => ETHERNET + 1,
        };
        self.hook == Hook::Xdp || frame.len() >= shortest
    }

    /// Hands over a frame once; what is to happen to it, [`PASS`] or [`DROP`].
    ///
    /// # Panics
    ///
    /// If the kernel does not take it, as for all that follow: it takes frames of 14 to
    /// [`LONGEST_FRAME`] bytes.
    pub fn run(&self, frame: &[u8]) -> u32 {
        self.repeat(frame, 1)
    }

    /// Sets the clock of a program that was loaded with [`Rules::SET_CLOCK`], in nanoseconds.
    ///
    /// # Panics
    ///
    /// If the kernel refuses it.
    pub fn set_clock(&mut self, time: u64) {
        let set = self.loaded.set_clock(time);
        set.unwrap_or_else(|error| panic!("{error:#}"));
    }

    /// Hands over a frame so many times; what is to happen to the last one.
    ///
    /// # Panics
    ///
    /// As [`Program::run`].
    pub fn repeat(&self, frame: &[u8], times: u32) -> u32 {
        let result = self.test_run(TestRunOptions {
            data_in: Some(frame),
            repeat: times,
            ..TestRunOptions::new()
        });
        let action = match result {
            Ok(result) => result.return_value,
            Err(error) => panic!("a frame of {} bytes: {error:?}", frame.len()),
        };
        match (self.hook, action) {
            (Hook::Xdp, action) => action,
            (Hook::Tcx, TCX_NEXT) => PASS,
            (Hook::Tcx, TCX_DROP) => DROP,
            (Hook::Tcx, action) => panic!("the program at tcx says {action}"),
        }
    }

    /// The tool with this number.
    pub fn tool(&self, number: u8) -> &str {
        &self.names[usize::from(number)]
    }

    /// The number of the tool with this name.
    ///
    /// # Panics
    ///
    /// If the built-in signatures have no such tool.
    pub fn tool_number(&self, name: &str) -> usize {
        match self.names.iter().position(|other| other == name) {
            Some(number) => number,
            None => panic!("there is no tool '{name}'"),
        }
    }

    /// What the host's classifier says of a payload that was sent nowhere, with the same signatures.
    pub fn host(&self, payload: &[u8]) -> Classification {
        self.classify(&SlicePayload(payload), &Destination::NONE)
    }

    /// What it says of the datagram in a frame.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub fn host_of(&self, frame: &[u8]) -> Classification {
        let frame = SliceFrame(frame);
        let Packet::Udp(udp) = packet::parse(&frame) else {
            panic!("the frame holds no UDP header");
        };
        let Some(datagram) = udp.datagram(&frame) else {
            panic!("the frame holds no datagram");
        };
        let destination = Destination {
            address: datagram.destination,
            port: datagram.port,
        };
        self.classify(&datagram.payload, &destination)
    }

    fn classify(&self, payload: &SlicePayload<'_>, destination: &Destination) -> Classification {
        let mut work = Box::new(const { Work::EMPTY });
        classify(payload, destination, &self.table, &mut work)
    }

    /// What is to become of a datagram of which this was found, and be counted of it.
    pub fn decided(&self, found: Classification) -> Counted {
        let (class, tool) = (found.class, found.tool());
        Counted::Datagram {
            class,
            hostile: tool.is_some_and(|found| found.is_hostile()),
            outcome: decide(self.drop, class, tool, Met::NOTHING),
        }
    }

    /// The totals.
    ///
    /// # Panics
    ///
    /// If they cannot be read, as for all that follow.
    pub fn totals(&self) -> Totals {
        self.filter
            .totals()
            .unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// The tools' counts.
    ///
    /// # Panics
    ///
    /// As [`Program::totals`].
    pub fn tool_counts(&self) -> ToolCounts {
        self.filter
            .tool_counts()
            .unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// Everything.
    ///
    /// # Panics
    ///
    /// As [`Program::totals`], or if a source is there twice.
    pub fn counts(&self) -> Counts {
        let ports = self.filter.ports();
        let ports = ports.unwrap_or_else(|error| panic!("{error:#}"));
        let listed = self.filter.sources();
        let listed = listed.unwrap_or_else(|error| panic!("{error:#}"));
        let many = listed.len();
        let sources: BTreeMap<_, _> = listed
            .into_iter()
            .map(|(source, count)| (address(source), count))
            .collect();
        assert_eq!(sources.len(), many, "a source was read twice");
        Counts {
            totals: self.totals(),
            tools: self.tool_counts(),
            ports: ports.into_iter().collect(),
            sources,
        }
    }
}

/// The address that a source map's key stands for.
pub fn address(source: Address) -> IpAddr {
    Ipv6Addr::from(source.octets()).to_canonical()
}

/// Everything that was counted up to one moment.
#[derive(Clone, Debug)]
pub struct Counts {
    /// Totals.
    pub totals: Totals,
    /// By tool number.
    pub tools: ToolCounts,
    /// By destination port.
    pub ports: BTreeMap<u16, PortCount>,
    /// By source address.
    pub sources: BTreeMap<IpAddr, SourceCount>,
}

/// Where one frame was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// Nowhere: it is not UDP, or not to an inspected port.
    Nowhere,
    /// As one that cannot be read.
    Unreadable,
    /// As a fragment without a port.
    Fragment,
    /// As an inspected datagram, in this cell.
    Datagram {
        /// What it is.
        class: MessageClass,
        /// Whether a tool of a dropping kind was recognised.
        hostile: bool,
        /// What became of it.
        outcome: Outcome,
    },
}

impl Counted {
    /// Where the one frame between two readings was counted, and with how many bytes.
    ///
    /// # Panics
    ///
    /// If it was counted twice, or anything became less.
    pub fn between(before: &Totals, after: &Totals) -> (Self, u64) {
        let mut places = Vec::new();
        let single = |before: u64, after: u64, what: &str| {
            let more = after.checked_sub(before);
            assert!(
                matches!(more, Some(0 | 1)),
                "{what}: {before}, then {after}"
            );
            more == Some(1)
        };
        if single(before.unreadable, after.unreadable, "unreadable") {
            places.push((Self::Unreadable, 0));
        }
        if single(before.fragments, after.fragments, "fragments") {
            places.push((Self::Fragment, 0));
        }
        for (place, cell) in Self::cells() {
            let [before, after] = [before, after].map(|totals| totals.cells[cell]);
            if before == after {
                continue;
            }
            let what = format!("{place:?}");
            assert!(
                single(before.packets, after.packets, &what),
                "{what}: bytes without a packet"
            );
            places.push((place, after.bytes.wrapping_sub(before.bytes)));
        }
        match places.as_slice() {
            [] => (Self::Nowhere, 0),
            [place] => *place,
            _ => panic!("one frame was counted more than once: {places:?}"),
        }
    }

    /// Every kind of datagram, and its place among the cells.
    fn cells() -> impl Iterator<Item = (Self, usize)> {
        let kinds = MessageClass::ALL
            .into_iter()
            .flat_map(|class| [(class, false), (class, true)]);
        kinds.flat_map(|(class, hostile)| {
            Outcome::ALL.map(|outcome| {
                let place = Self::Datagram {
                    class,
                    hostile,
                    outcome,
                };
                (place, Totals::cell(class, hostile, outcome))
            })
        })
    }

    /// What the program returns for such a frame.
    pub fn action(self) -> u32 {
        match self {
            Self::Datagram { outcome, .. } if outcome.is_drop() => DROP,
            _ => PASS,
        }
    }
}

/// The number of the tool that one packet between two readings was counted for.
///
/// # Panics
///
/// If it was counted for several.
pub fn tool_between(before: &ToolCounts, after: &ToolCounts) -> Option<u8> {
    let more: Vec<_> = (0..MAX_TOOLS)
        .filter(|number| before.tools[*number] != after.tools[*number])
        .collect();
    match more.as_slice() {
        [] => None,
        [number] => {
            let [before, after] = [before, after].map(|counts| counts.tools[*number].packets);
            assert_eq!(after, before + 1, "tool {number}");
            u8::try_from(*number).ok()
        }
        _ => panic!("one packet was counted for the tools {more:?}"),
    }
}
