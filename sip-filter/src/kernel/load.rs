//! Loading: the object, its globals and its maps, up to a program that can be attached.

use std::{fs, io, ops::RangeInclusive, os::fd::AsFd, path::PathBuf, time::SystemTime};

use anyhow::{Context, Result, anyhow};
use aya::{
    Ebpf, EbpfLoader, Pod, VerifierLogLevel, include_bytes_aligned,
    maps::Array,
    programs::{ProgramError, ProgramType, SchedClassifier, Xdp},
    sys::is_helper_supported,
};
use aya_obj::generated::bpf_func_id;
use sip_filter_common::{
    abi::{self, PortSet, Settings, SignatureNumber, ToolName, global, map},
    rules::Rules,
    signature::MAX_SIGNATURES,
    verdict::DropSet,
};

use super::{
    Filter, Hook, Instance,
    hook::Program,
    lists::{self, ListMaps, map_data},
    pinned::{self, Foreign},
    preflight, syscall,
};
use crate::{config::signatures::Signatures, lists::Lists};

/// The program and its maps, built for BPF by `cargo xtask build`.
static OBJECT: &[u8] = include_bytes_aligned!(env!("SIP_FILTER_EBPF_OBJECT"));

/// Log nothing, and log each verdict, as aya-log counts levels.
const LOG_NOTHING: u8 = 0;
const LOG_VERDICTS: u8 = 3;

/// The lengths of the frames that [`Loaded::test_run`] hands over in one piece on every kernel, in
/// bytes: an Ethernet header at least; at most what is left of the smallest page, 4096 bytes, by
/// XDP's headroom and the largest `skb_shared_info`, that of 45 fragments.
pub const TEST_RUN_LENGTHS: RangeInclusive<usize> = 14..=4096 - 256 - 768;

/// What a program is loaded with.
#[derive(Clone, Copy, Debug)]
pub struct Load<'a> {
    /// What is dropped.
    pub drop: DropSet,
    /// Whether datagrams to any port that start like SIP are inspected.
    pub any_port: bool,
    /// The inspected ports.
    pub ports: &'a PortSet,
    /// How many sources are remembered.
    pub sources: u32,
    /// The signatures.
    pub signatures: &'a Signatures,
    /// Limits, behaviours, escalation.
    pub rules: &'a Rules,
    /// How many addresses and how many prefixes of each list there is room for.
    pub entries: u32,
    /// Who is in the allow list and in the block list.
    pub lists: &'a Lists,
    /// How many sources may be blocked at once for what they sent.
    pub bans: u32,
    /// Whether each verdict is logged.
    pub verbose: bool,
}

impl<'a> Load<'a> {
    /// Watches these ports, drops nothing, and has no lists and no rules but names.
    pub fn new(ports: &'a PortSet, signatures: &'a Signatures) -> Self {
        Self {
            drop: DropSet::NOTHING,
            any_port: false,
            ports,
            sources: abi::DEFAULT_SOURCES,
            signatures,
            rules: &Rules::NONE,
            entries: abi::DEFAULT_ENTRIES,
            lists: Lists::EMPTY,
            bans: abi::DEFAULT_BANS,
            verbose: false,
        }
    }
}

/// Programs in the kernel, not attached to anything: one for each hook that was asked for, which do
/// the same with the same maps.
///
/// Without an instance its maps are pinned nowhere and go with it: so it is tested and measured.
pub struct Loaded {
    pub(super) ebpf: Ebpf,
    /// The name of the program for XDP, which is another one on old kernels.
    xdp_program: &'static str,
    /// When the filter whose maps these are was first attached.
    attached_at: Option<u64>,
    /// What the signatures' numbers mean once it is in force.
    numbers: Vec<SignatureNumber>,
    /// Those of its maps that are to take the place of the pinned ones.
    replacing: Vec<&'static str>,
    /// What the operator should know, a line each.
    pub(super) notices: Vec<String>,
}

/// A fault of the build.
const NO_PROGRAM: &str = "the object holds no program";

impl Loaded {
    /// Loads the program for XDP with maps of its own.
    ///
    /// # Errors
    ///
    /// Without the privileges, or when the kernel refuses it.
    pub fn unpinned(load: &Load<'_>) -> Result<Self> {
        Self::unpinned_at(load, Hook::Xdp)
    }

    /// The same for whichever hook.
    ///
    /// # Errors
    ///
    /// As [`Loaded::unpinned`].
    pub fn unpinned_at(load: &Load<'_>, hook: Hook) -> Result<Self> {
        preflight::load()?;
        let mut loaded = Self::new(load, None, &[hook])?;
        loaded.write_settings(load)?;
        Ok(loaded)
    }

    /// Loads the programs with the instance's maps: those that are pinned, and new ones, pinned
    /// too, where there are none.
    ///
    /// Where the lists differ from those in force, or the room for them does, their maps are new and
    /// pinned nowhere; so are those that count, where there is to be room for more sources or fewer,
    /// and all maps, where those that are pinned have another layout: see [`Loaded::pin_beside`].
    pub(super) fn new(
        load: &Load<'_>,
        instance: Option<&Instance>,
        hooks: &[Hook],
    ) -> Result<Self> {
        load.lists.size().fits(load.entries)?;
        let foreign = instance
            .map(|instance| pinned::foreign(instance, OBJECT))
            .transpose()?
            .flatten();
        let adopted = match foreign {
            Some(_) => None,
            None => instance.map(pinned::settings).transpose()?.flatten(),
        };
        let (known_tools, known_numbers) = match (instance, adopted) {
            (Some(instance), Some(_)) => (
                pinned::array(instance, map::TOOLS)?,
                pinned::array(instance, map::NUMBERS)?,
            ),
            _ => (Vec::new(), Vec::new()),
        };
        let numbers = load.signatures.numbers(&known_numbers)?;
        let numbered = numbers.iter().copied();
        let (mut signatures, tools) = load.signatures.numbered_table(&known_tools, numbered)?;
        if load.rules.watched != 0 {
            signatures.watch().map_err(|error| anyhow!("{error}"))?;
        }

        let drop_set = load.drop.0;
        let any_port = u32::from(load.any_port);
        let uses = load.rules.uses;
        let (xdp_program, several_pieces) = match takes_several_pieces()? {
            true => (abi::PROGRAM, 1_u32),
            false => (abi::ONE_PIECE_PROGRAM, 0),
        };
        let log_level = if load.verbose {
            LOG_VERDICTS
        } else {
            LOG_NOTHING
        };
        let mut pins: Vec<(&str, PathBuf)> = instance
            .map(|instance| map::PINNED.map(|name| (name, instance.map(name))).into())
            .unwrap_or_default();
        let keeps_lists = adopted.is_some_and(|settings| {
            settings.version == abi::VERSION
                && settings.lists == load.lists.generation
                && settings.entries == load.entries
        });
        let has_new_lists = adopted.is_some() && !keeps_lists;
        let mut replacing = match &foreign {
            Some(_) => map::PINNED.to_vec(),
            None if has_new_lists => map::LISTS.to_vec(),
            None => Vec::new(),
        };
        // The maps say themselves what was made; settings that nobody has written say nothing.
        let is_other_size = |name: &str, size: u32| -> Result<bool> {
            let instance = instance.filter(|_| adopted.is_some());
            let pinned = instance.map(|instance| pinned::size_of(instance, name));
            Ok(pinned
                .transpose()?
                .flatten()
                .is_some_and(|pinned| pinned != size))
        };
        let carries = is_other_size(map::SOURCES, load.sources)?;
        if carries {
            replacing.extend(map::COUNTERS);
        }
        // Where nothing is asked of senders, their map may be of any size.
        if uses != 0 && is_other_size(map::SENDERS, load.sources)? {
            replacing.push(map::SENDERS);
        }
        if is_other_size(map::BANS, load.bans)? {
            replacing.push(map::BANS);
        }
        let hits = match instance.filter(|_| adopted.is_some()) {
            // Where it was killed while it was attached, not everything is there.
            Some(instance) => Filter::pinned(instance)
                .and_then(|before| Ok(before.counted()?.hits))
                .unwrap_or([0; MAX_SIGNATURES]),
            None => [0; MAX_SIGNATURES],
        };
        pins.retain(|(name, _)| !replacing.contains(name));
        let mut loader = EbpfLoader::new();
        loader
            .override_global(global::DROP_SET, &drop_set, true)
            .override_global(global::ANY_PORT, &any_port, true)
            .override_global(global::SEVERAL_PIECES, &several_pieces, true)
            .override_global(global::LOG_LEVEL, &log_level, true)
            .override_global(global::PORT_SET, load.ports, true)
            .override_global(global::SIGNATURES, &*signatures, true)
            .override_global(global::USES, &uses, true)
            .override_global(global::RULES, load.rules, true)
            .map_max_entries(map::SOURCES, load.sources)
            .map_max_entries(map::RECOGNISED, load.sources)
            .map_max_entries(map::SENDERS, if uses == 0 { 1 } else { load.sources })
            .map_max_entries(map::BANS, load.bans)
            .map_max_entries(map::CARRIED_PORTS, if carries { abi::MAX_PORTS } else { 1 })
            .map_max_entries(
                map::CARRIED_SOURCES,
                if carries { 2 * load.sources } else { 1 },
            )
            .map_max_entries(map::LISTED, load.entries)
            .map_max_entries(map::ALLOWED, load.entries)
            .map_max_entries(map::BLOCKED, load.entries)
            // The verifier's log costs time and memory, and is wanted only when it refuses;
            // aya asks for it then.
            .verifier_log_level(VerifierLogLevel::STATS);
        for (name, path) in &pins {
            loader.map_pin_path(name, path.as_path());
        }
        let mut ebpf = loader.load(OBJECT).context(
            "cannot create the maps; is a limit on locked memory in the way (ulimit -l)?",
        )?;
        write_array::<ToolName>(&mut ebpf, map::TOOLS, &tools)?;
        if !keeps_lists {
            let before = instance.filter(|_| has_new_lists).map(lists::pinned);
            let before = before.transpose()?.flatten();
            ListMaps::of(&ebpf)?.fill(load.lists, before.as_ref())?;
        }
        let numbers = renumber(known_numbers, load.signatures, &numbers, &hits);
        let attached_at = adopted
            .map(|settings| settings.attached_at)
            .filter(|at| *at != 0);
        let mut loaded = Self {
            ebpf,
            xdp_program,
            attached_at,
            numbers,
            replacing,
            notices: foreign.iter().map(Foreign::lost).collect(),
        };
        for hook in hooks {
            match hook {
                Hook::Xdp => loaded.xdp_mut()?.load(),
                Hook::Tcx => loaded.classifier_mut()?.load(),
            }
            .map_err(refused)?;
        }
        Ok(loaded)
    }

    /// The program for XDP.
    ///
    /// # Errors
    ///
    /// When the object holds none, which is a fault of the build.
    pub fn xdp(&self) -> Result<&Xdp> {
        let program = self.ebpf.program(self.xdp_program).context(NO_PROGRAM)?;
        Ok(program.try_into()?)
    }

    /// The program for tcx.
    ///
    /// # Errors
    ///
    /// As [`Loaded::xdp`].
    pub fn classifier(&self) -> Result<&SchedClassifier> {
        let program = self.ebpf.program(abi::TCX_PROGRAM).context(NO_PROGRAM)?;
        Ok(program.try_into()?)
    }

    /// Runs the program for XDP once on a frame of [`TEST_RUN_LENGTHS`], as if it had just arrived.
    ///
    /// # Errors
    ///
    /// When the kernel does not take the frame.
    pub fn test_run(&self, frame: &[u8]) -> Result<()> {
        syscall::test_run(self.xdp()?.fd()?.as_fd(), frame)
            .with_context(|| format!("the kernel does not run a frame of {} bytes", frame.len()))
    }

    /// Sets the clock of a program that was loaded with [`Rules::SET_CLOCK`], in nanoseconds: it stands
    /// still until it is set anew.
    ///
    /// # Errors
    ///
    /// When the map cannot be written.
    pub fn set_clock(&mut self, time: u64) -> Result<()> {
        write_array(&mut self.ebpf, map::CLOCK, &[time])
    }

    /// Writes down what is in force, for other processes to read: once it is.
    pub(super) fn write_settings(&mut self, load: &Load<'_>) -> Result<()> {
        write_array(&mut self.ebpf, map::NUMBERS, &self.numbers)?;
        let now = || {
            let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            since.map_or(0, |since| since.as_nanos() as u64)
        };
        let settings = Settings {
            version: abi::VERSION,
            drop_set: load.drop.0,
            any_port: u32::from(load.any_port),
            sources: load.sources,
            entries: load.entries,
            bans: load.bans,
            lists: load.lists.generation,
            rules: *load.rules,
            attached_at: self.attached_at.unwrap_or_else(now),
            ports: *load.ports,
        };
        let mut map: Array<_, Settings> = self
            .ebpf
            .map_mut(map::SETTINGS)
            .context("the object holds no map of settings")?
            .try_into()?;
        map.set(0, settings, 0).context("cannot write the settings")
    }

    /// Whether it has other lists than the running program, and maps of the same layout.
    pub(super) fn has_new_lists(&self) -> bool {
        !self.has_new_layout() && self.replacing.contains(&map::LISTED)
    }

    /// Whether all of its maps are new.
    pub(super) fn has_new_layout(&self) -> bool {
        self.replacing.contains(&map::SETTINGS)
    }

    /// Pins maps of its own beside those that they are to replace.
    pub(super) fn pin_beside(&self, instance: &Instance) -> Result<()> {
        forget_beside(instance)?;
        for name in &self.replacing {
            let pin = instance.beside(name);
            map_data(&self.ebpf, name)?
                .pin(&pin)
                .with_context(|| format!("cannot pin {}", pin.display()))?;
        }
        Ok(())
    }

    /// Puts their pins in the place of the old ones.
    pub(super) fn replace_pinned(&self, instance: &Instance) -> Result<()> {
        let mut names = self.replacing.clone();
        names.sort_by_key(|name| match *name {
            // First, so that whoever opens others of another time sees it.
            map::CARRIED => 0,
            // Last, so that whoever finds the old ones knows that not everything was replaced.
            map::SETTINGS => 2,
            _ => 1,
        });
        for name in names {
            instance.replace(&instance.beside(name), &instance.map(name))?;
        }
        Ok(())
    }

    /// The program for this hook, which was asked for.
    pub(super) fn program_at(&mut self, hook: Hook) -> Result<&mut dyn Program> {
        Ok(match hook {
            Hook::Xdp => self.xdp_mut()?,
            Hook::Tcx => self.classifier_mut()?,
        })
    }

    fn xdp_mut(&mut self) -> Result<&mut Xdp> {
        let program = self.ebpf.program_mut(self.xdp_program);
        Ok(program.context(NO_PROGRAM)?.try_into()?)
    }

    fn classifier_mut(&mut self) -> Result<&mut SchedClassifier> {
        let program = self.ebpf.program_mut(abi::TCX_PROGRAM);
        Ok(program.context(NO_PROGRAM)?.try_into()?)
    }
}

/// Removes the pins of new maps that have not replaced others.
pub(super) fn forget_beside(instance: &Instance) -> Result<()> {
    for name in map::PINNED {
        let pin = instance.beside(name);
        match fs::remove_file(&pin) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove {}", pin.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Why the kernel refused the program, without the verifier's log of thousands of lines.
fn refused(error: ProgramError) -> anyhow::Error {
    match error {
        ProgramError::LoadError {
            io_error,
            verifier_log,
        } => {
            let log = verifier_log.to_string();
            let last = log.lines().rev().find(|line| {
                let line = line.trim();
                // Statistics follow what the verifier has to say.
                !line.is_empty()
                    && !["processed ", "verification time", "stack depth"]
                        .iter()
                        .any(|prefix| line.starts_with(prefix))
            });
            anyhow!(io_error).context(format!(
                "the kernel's verifier refused the program ({}); \
                 please report this with the kernel's version (uname -r)",
                last.unwrap_or("it gave no reason").trim()
            ))
        }
        other => anyhow!(other).context("the kernel refused the program"),
    }
}

/// Whether the kernel hands an XDP program frames in several pieces (5.18): only where it does may
/// the program be on a device whose frames may be longer than a page.
fn takes_several_pieces() -> Result<bool> {
    is_helper_supported(ProgramType::Xdp, bpf_func_id::BPF_FUNC_xdp_get_buff_len)
        .context("cannot ask what the kernel supports")
}

/// What the numbers will mean when these signatures are in force under these numbers. A number that
/// was another signature's counts its hits from what is there now.
fn renumber(
    mut known: Vec<SignatureNumber>,
    signatures: &Signatures,
    numbers: &[u16],
    hits: &[u64; MAX_SIGNATURES],
) -> Vec<SignatureNumber> {
    known.resize(MAX_SIGNATURES, SignatureNumber::default());
    for number in &mut known {
        number.in_force = 0;
    }
    for (signature, number) in signatures.list.iter().zip(numbers) {
        let at = usize::from(*number);
        let fingerprint = signature.fingerprint();
        if known[at].fingerprint != fingerprint {
            known[at].fingerprint = fingerprint;
            known[at].before = hits[at];
        }
        known[at].in_force = 1;
    }
    known
}

fn write_array<T: Pod>(ebpf: &mut Ebpf, name: &str, values: &[T]) -> Result<()> {
    let mut map: Array<_, T> = ebpf
        .map_mut(name)
        .with_context(|| format!("the object holds no map {name}"))?
        .try_into()?;
    for (place, value) in (0..).zip(values) {
        map.set(place, value, 0)
            .with_context(|| format!("cannot write the map {name}"))?;
    }
    Ok(())
}
