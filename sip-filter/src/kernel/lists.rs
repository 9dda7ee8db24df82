//! The maps of the allow list and the block list: filled when they are made, and changed while the
//! program asks them.
//!
//! What covers a source is never hidden on the way: the bitmaps say more than the maps hold until
//! these are as they shall be. Who may change them, and to what, is said by
//! [`lists`](crate::lists).

use std::{
    collections::HashMap,
    fs, io,
    os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd},
    path::Path,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use aya::{
    Ebpf,
    maps::{Map, MapData, MapInfo},
    programs::ProgramInfo,
};
use sip_filter_common::{
    abi::{Address, Settings, map},
    lists::{ListFilter, Listed, Prefix},
};

use super::{Instance, monotonic_ns, pinned, syscall};
use crate::lists::{List, Lists, Rule, nested, now_ms};

/// In [`Settings::lists`] while the maps hold neither what they did nor what they shall.
const UNSETTLED: u64 = u64::MAX;

/// How far apart two expiries may be to be the same: the wall clock and the monotonic one are not
/// asked at once, and drift apart. In nanoseconds.
const SAME: u64 = 100_000_000;

/// What the kernel holds of the lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Bytes of memory, as the kernel counts them. Before Linux 6.4 it counts what full maps take.
    pub bytes: u64,
}

/// The maps, open.
#[derive(Clone, Copy)]
pub(super) struct ListMaps<'a> {
    listed: BorrowedFd<'a>,
    allowed: BorrowedFd<'a>,
    blocked: BorrowedFd<'a>,
    filter: BorrowedFd<'a>,
}

impl<'a> ListMaps<'a> {
    /// Those of a program that is being loaded.
    pub(super) fn of(ebpf: &'a Ebpf) -> Result<Self> {
        let open =
            |name: &str| -> Result<BorrowedFd<'a>> { Ok(map_data(ebpf, name)?.fd().as_fd()) };
        Ok(Self {
            listed: open(map::LISTED)?,
            allowed: open(map::ALLOWED)?,
            blocked: open(map::BLOCKED)?,
            filter: open(map::LIST_FILTER)?,
        })
    }

    /// The map that has what a list says of prefixes.
    fn prefixes(self, list: List) -> BorrowedFd<'a> {
        match list {
            List::Allow => self.allowed,
            List::Block => self.blocked,
        }
    }

    /// Fills maps that are empty, and that no program asks yet; of what was held before, the
    /// packets dropped are counted on.
    pub(super) fn fill(self, lists: &Lists, before: Option<&Contents>) -> Result<()> {
        let clock = Expiry::now();
        let rules = resolved(&lists.rules);
        let filter = filter_of(&rules);
        syscall::update(self.filter, &0_u32, &*filter).context("cannot write the lists' bits")?;
        let empty = Contents::default();
        self.write(&rules, before.unwrap_or(&empty), clock)
    }

    /// Puts rules into the maps.
    fn write(self, rules: &[Rule], before: &Contents, clock: Expiry) -> Result<()> {
        let hosts: Vec<_> = rules
            .iter()
            .filter(|rule| rule.is_host())
            .map(|rule| {
                let dropped = before.listed.get(&rule.prefix).map_or(0, |old| old.dropped);
                let address = Address::from_octets(rule.prefix.octets);
                (address, clock.listed(rule, rule.lists, dropped))
            })
            .collect();
        syscall::update_all(self.listed, &hosts).context("cannot write the listed addresses")?;
        for list in [List::Allow, List::Block] {
            let known = before.prefixes(list);
            let prefixes: Vec<_> = rules
                .iter()
                .filter(|rule| !rule.is_host() && rule.is_in(list))
                .map(|rule| {
                    let dropped = known.get(&rule.prefix).map_or(0, |old| old.dropped);
                    (rule.prefix, clock.listed(rule, list.bit(), dropped))
                })
                .collect();
            syscall::update_all(self.prefixes(list), &prefixes)
                .context("cannot write the listed prefixes")?;
        }
        Ok(())
    }

    /// All that the maps hold.
    pub(super) fn read(self) -> Result<Contents> {
        let read = || -> io::Result<Contents> {
            let hosts = syscall::lookup_all::<Address, Listed>(self.listed)?;
            let hosts = hosts.into_iter().map(|(address, listed)| {
                let octets = address.octets();
                (
                    Prefix {
                        length: 128,
                        octets,
                    },
                    listed,
                )
            });
            Ok(Contents {
                listed: hosts.collect(),
                allowed: read_trie(self.allowed)?,
                blocked: read_trie(self.blocked)?,
            })
        };
        read().context("cannot read the lists from the kernel")
    }

    /// What the maps hold of these.
    fn read_some<'p>(self, prefixes: impl IntoIterator<Item = &'p Prefix>) -> Result<Contents> {
        let mut held = Contents::default();
        let read = || -> io::Result<()> {
            for prefix in prefixes {
                if prefix.length == 128 {
                    let address = Address::from_octets(prefix.octets);
                    let listed = syscall::lookup(self.listed, &address)?;
                    held.listed.extend(listed.map(|listed| (*prefix, listed)));
                    continue;
                }
                for (trie, known) in [
                    (self.allowed, &mut held.allowed),
                    (self.blocked, &mut held.blocked),
                ] {
                    // What is found may be a shorter prefix that covers this one.
                    let found = syscall::lookup::<_, Listed>(trie, prefix)?;
                    let found = found.filter(|listed| listed.length == prefix.length);
                    known.extend(found.map(|listed| (*prefix, listed)));
                }
            }
            Ok(())
        };
        read().context("cannot read the lists from the kernel")?;
        Ok(held)
    }

    /// Makes the maps hold `rules` of what they hold now, which is `before`, and what else they may
    /// hold besides; `filter` is what is true of all that they hold then.
    fn change(self, rules: &[Rule], before: &Contents, filter: &ListFilter) -> Result<()> {
        let known: Option<ListFilter> =
            syscall::lookup(self.filter, &0_u32).context("cannot read the lists' bits")?;
        let mut both = Box::new(known.unwrap_or(ListFilter::EMPTY));
        both.in_use |= filter.in_use;
        for (bits, more) in both.allowed.iter_mut().zip(&filter.allowed) {
            *bits |= more;
        }
        for (bits, more) in both.blocked.iter_mut().zip(&filter.blocked) {
            *bits |= more;
        }
        let write = |filter: &ListFilter| {
            syscall::update(self.filter, &0_u32, filter).context("cannot write the lists' bits")
        };
        write(&both)?;
        let clock = Expiry::now();
        let key = |prefix: &Prefix| (prefix.octets, prefix.length);
        let mut sorted: Vec<_> = rules.iter().collect();
        sorted.sort_unstable_by_key(|rule| key(&rule.prefix));
        let wanted = |prefix: &Prefix| {
            let at = sorted.binary_search_by_key(&key(prefix), |rule| key(&rule.prefix));
            at.ok().map(|at| sorted[at])
        };
        let remove = || -> io::Result<()> {
            for prefix in before.listed.keys() {
                if wanted(prefix).is_none() {
                    syscall::delete(self.listed, &Address::from_octets(prefix.octets))?;
                }
            }
            for list in [List::Allow, List::Block] {
                for prefix in before.prefixes(list).keys() {
                    if !wanted(prefix).is_some_and(|rule| rule.is_in(list)) {
                        syscall::delete(self.prefixes(list), prefix)?;
                    }
                }
            }
            Ok(())
        };
        // First, so that there is room.
        remove().context("cannot remove what is listed no more")?;
        let differ: Vec<_> = rules
            .iter()
            .filter(|rule| !before.hold(rule, clock))
            .copied()
            .collect();
        self.write(&differ, before, clock)?;
        write(filter)
    }

    /// The memory that they take.
    fn bytes(self) -> Result<u64> {
        [self.listed, self.allowed, self.blocked, self.filter]
            .into_iter()
            .map(memory)
            .sum()
    }
}

/// What list maps hold.
#[derive(Debug, Default)]
pub(super) struct Contents {
    listed: HashMap<Prefix, Listed>,
    allowed: HashMap<Prefix, Listed>,
    blocked: HashMap<Prefix, Listed>,
}

impl Contents {
    fn prefixes(&self, list: List) -> &HashMap<Prefix, Listed> {
        match list {
            List::Allow => &self.allowed,
            List::Block => &self.blocked,
        }
    }

    /// Whether this is what a rule says.
    fn hold(&self, rule: &Rule, clock: Expiry) -> bool {
        let holds = |known: Option<&Listed>, lists: u32| {
            known.is_some_and(|known| {
                let wanted = clock.listed(rule, lists, known.dropped);
                known.lists == wanted.lists && known.expires.abs_diff(wanted.expires) < SAME
            })
        };
        if rule.is_host() {
            return holds(self.listed.get(&rule.prefix), rule.lists);
        }
        [List::Allow, List::Block]
            .into_iter()
            .filter(|list| rule.is_in(*list))
            .all(|list| holds(self.prefixes(list).get(&rule.prefix), list.bit()))
    }
}

/// The difference of both clocks at one moment, for expiries.
#[derive(Clone, Copy)]
struct Expiry {
    wall_ms: u64,
    monotonic: u64,
}

impl Expiry {
    fn now() -> Self {
        Self {
            wall_ms: now_ms(),
            monotonic: monotonic_ns(),
        }
    }

    /// A rule as the kernel has it.
    fn listed(self, rule: &Rule, lists: u32, dropped: u64) -> Listed {
        let expires = match rule.until {
            Some(until) if lists & Listed::BLOCKED != 0 => {
                let left = Duration::from_millis(until.saturating_sub(self.wall_ms));
                let left = u64::try_from(left.as_nanos()).unwrap_or(Listed::NEVER);
                self.monotonic.saturating_add(left)
            }
            _ => Listed::NEVER,
        };
        Listed {
            lists,
            length: rule.prefix.length,
            expires,
            dropped,
        }
    }
}

/// Rules as the maps have them.
fn resolved(rules: &[Rule]) -> Vec<Rule> {
    let mut rules = rules.to_vec();
    nested::resolve(&mut rules);
    rules
}

/// What says of so many rules which maps are in use and what prefixes may cover.
fn filter_of(rules: &[Rule]) -> Box<ListFilter> {
    let mut filter = Box::new(ListFilter::EMPTY);
    for rule in rules {
        if rule.is_host() {
            filter.in_use |= ListFilter::ADDRESSES;
            continue;
        }
        if rule.is_in(List::Allow) {
            filter.in_use |= ListFilter::ALLOWED_PREFIXES;
            ListFilter::note(&mut filter.allowed, &rule.prefix);
        }
        if rule.is_in(List::Block) {
            filter.in_use |= ListFilter::BLOCKED_PREFIXES;
            ListFilter::note(&mut filter.blocked, &rule.prefix);
        }
    }
    filter
}

/// A map of a program that is being loaded.
pub(super) fn map_data<'a>(ebpf: &'a Ebpf, name: &str) -> Result<&'a MapData> {
    match ebpf.map(name) {
        Some(
            Map::HashMap(map)
            | Map::LruHashMap(map)
            | Map::PerCpuHashMap(map)
            | Map::LpmTrie(map)
            | Map::Array(map)
            | Map::PerCpuArray(map)
            | Map::RingBuf(map),
        ) => Ok(map),
        other => bail!("the object's map {name} is {other:?}, which is a fault of the build"),
    }
}

/// Reads a trie key by key, for which kernels before 5.13 know no batches. Nobody else changes it.
fn read_trie(map: BorrowedFd<'_>) -> io::Result<HashMap<Prefix, Listed>> {
    let mut all = HashMap::new();
    let mut last = None;
    while let Some(prefix) = syscall::next_key::<Prefix>(map, last.as_ref())? {
        if let Some(listed) = syscall::lookup(map, &prefix)? {
            all.insert(prefix, listed);
        }
        last = Some(prefix);
    }
    Ok(all)
}

/// The memory that a map takes, in bytes (`memlock` in proc_pid_fdinfo(5)).
pub(super) fn memory(map: BorrowedFd<'_>) -> Result<u64> {
    let path = format!("/proc/self/fdinfo/{}", map.as_raw_fd());
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    text.lines()
        .find_map(|line| line.strip_prefix("memlock:"))
        .and_then(|bytes| bytes.trim().parse().ok())
        .with_context(|| format!("{path} does not say how much memory the map takes"))
}

/// The list maps of a filter that is attached, to be read and changed from whatever process. Who
/// changes them holds [`Writing`](crate::lists::Writing).
pub struct RunningLists {
    listed: OwnedFd,
    allowed: OwnedFd,
    blocked: OwnedFd,
    filter: OwnedFd,
    settings_map: OwnedFd,
    settings: Settings,
}

impl RunningLists {
    /// Opens the maps that an instance has pinned; `None` where it is not attached.
    ///
    /// # Errors
    ///
    /// When it was attached by another version, may not be read, or was being attached by a process
    /// that was killed.
    pub fn open(instance: &Instance) -> Result<Option<Self>> {
        let maps = Self::pinned(instance, syscall::open_pin)?;
        if let Some(maps) = &maps
            && maps.settings.lists == UNSETTLED
        {
            maps.check_asked(instance)?;
        }
        Ok(maps)
    }

    /// The same, only to read them: what is being changed is read half changed.
    ///
    /// # Errors
    ///
    /// As [`RunningLists::open`].
    pub fn open_to_read(instance: &Instance) -> Result<Option<Self>> {
        Self::pinned(instance, syscall::open_pin_to_read)
    }

    fn pinned(
        instance: &Instance,
        open: impl Fn(&Path) -> Result<OwnedFd>,
    ) -> Result<Option<Self>> {
        super::preflight::bpffs(instance.bpffs())?;
        let Some(settings) = pinned::settings(instance)? else {
            // A folder that cannot be searched looks empty: say so instead.
            instance.pins()?;
            return Ok(None);
        };
        if settings.version == 0 {
            // It is being attached right now, or whoever did it was killed: who attaches it next
            // brings the lists.
            return Ok(None);
        }
        pinned::check_version(instance, &settings)?;
        let open = |name: &str| open(&instance.map(name));
        let maps = Self {
            listed: open(map::LISTED)?,
            allowed: open(map::ALLOWED)?,
            blocked: open(map::BLOCKED)?,
            filter: open(map::LIST_FILTER)?,
            settings_map: open(map::SETTINGS)?,
            settings,
        };
        Ok(Some(maps))
    }

    /// The programs that are attached ask these maps, and not those that an interrupted attach has
    /// left unpinned.
    fn check_asked(&self, instance: &Instance) -> Result<()> {
        let ours = MapInfo::from_pin(instance.map(map::LISTED))?.id();
        let pinned = instance.programs()?;
        let pinned = pinned.iter().map(ProgramInfo::from_pin);
        let pinned = pinned
            .collect::<Result<Vec<_>, _>>()
            .context("cannot open the pinned programs")?;
        for pin in instance.links()? {
            let attached = syscall::pinned_link(&pin)?;
            // Not asked by its number, which takes CAP_SYS_ADMIN.
            let mut programs = pinned.iter();
            let program = programs.find(|program| program.id() == attached.program);
            let maps = program.and_then(|program| program.map_ids().ok().flatten());
            if maps.is_some_and(|maps| !maps.contains(&ours)) {
                bail!(
                    "attaching the filter {} was interrupted; attach it again first",
                    instance.name()
                );
            }
        }
        Ok(())
    }

    fn maps(&self) -> ListMaps<'_> {
        ListMaps {
            listed: self.listed.as_fd(),
            allowed: self.allowed.as_fd(),
            blocked: self.blocked.as_fd(),
            filter: self.filter.as_fd(),
        }
    }

    /// How many entries each map has room for.
    pub fn capacity(&self) -> u32 {
        self.settings.entries
    }

    /// Which lists are in force; none that anybody has, while they are being changed.
    pub fn generation(&self) -> u64 {
        self.settings.lists
    }

    /// Says that they are in between, until [`RunningLists::settle`].
    ///
    /// # Errors
    ///
    /// When the kernel refuses it, as for all that follow.
    pub fn unsettle(&mut self) -> Result<()> {
        self.settle(UNSETTLED)
    }

    /// Says which lists are in force.
    pub fn settle(&mut self, generation: u64) -> Result<()> {
        self.settings.lists = generation;
        syscall::update(self.settings_map.as_fd(), &0_u32, &self.settings)
            .context("cannot write the settings")
    }

    /// Makes these lists all that is in force.
    pub fn replace(&self, lists: &Lists) -> Result<()> {
        let maps = self.maps();
        let rules = resolved(&lists.rules);
        maps.change(&rules, &maps.read()?, &filter_of(&rules))
    }

    /// Puts in force what is said of `touched` now: `rules`. Of prefixes, `prefixes` is all that is
    /// said, and there are so many single `addresses` in all.
    pub fn change(
        &self,
        touched: &[Prefix],
        rules: &[Rule],
        prefixes: &[Rule],
        addresses: u64,
    ) -> Result<()> {
        let maps = self.maps();
        let mut filter = filter_of(prefixes);
        if addresses > 0 {
            filter.in_use |= ListFilter::ADDRESSES;
        }
        let resolved = resolved(prefixes);
        let deep = nested::deep(&resolved, touched);
        let others = rules.iter().filter(|rule| !deep.contains(&rule.prefix));
        let deep_rules = resolved.iter().filter(|rule| deep.contains(&rule.prefix));
        let rules: Vec<_> = others.chain(deep_rules).copied().collect();
        let before = maps.read_some(touched.iter().chain(&deep))?;
        maps.change(&rules, &before, &filter)
    }

    /// How many packets each entry of a list has dropped.
    pub fn dropped(&self, list: List) -> Result<HashMap<Prefix, u64>> {
        let held = self.maps().read()?;
        let entries = held.listed.iter().chain(held.prefixes(list));
        Ok(entries
            .filter(|(_, listed)| listed.lists & list.bit() != 0)
            .map(|(prefix, listed)| (*prefix, listed.dropped))
            .collect())
    }

    /// What they take.
    pub fn held(&self) -> Result<Held> {
        let bytes = self.maps().bytes()?;
        Ok(Held { bytes })
    }
}

/// Says of a filter that it is about to be asked about other lists.
pub(super) fn unsettle(instance: &Instance) -> Result<()> {
    match RunningLists::pinned(instance, syscall::open_pin)? {
        Some(mut maps) => maps.unsettle(),
        None => Ok(()),
    }
}

/// What the list maps hold that an instance has pinned, if they are all there.
pub(super) fn pinned(instance: &Instance) -> Result<Option<Contents>> {
    if !map::LISTS.iter().all(|name| instance.map(name).exists()) {
        return Ok(None);
    }
    let open = |name: &str| syscall::open_pin(&instance.map(name));
    let [listed, allowed, blocked, filter] = map::LISTS.map(open);
    let (listed, allowed, blocked, filter) = (listed?, allowed?, blocked?, filter?);
    let maps = ListMaps {
        listed: listed.as_fd(),
        allowed: allowed.as_fd(),
        blocked: blocked.as_fd(),
        filter: filter.as_fd(),
    };
    maps.read().map(Some)
}
