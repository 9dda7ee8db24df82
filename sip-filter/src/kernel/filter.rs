//! A running filter: its pinned maps, read from whatever process.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
    io,
    os::fd::AsFd,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use aya::{
    maps::{Array, Map, MapData, PerCpuArray, PerCpuHashMap, PerCpuValues},
    programs::ProgramInfo,
};
use sip_filter_common::{
    abi::{
        Address, Carried, Counts, Event, EventCounts, PortCount, PortPlace, RECENT_PLACES, Recent,
        Settings, SignatureNumber, SourceCount, ToolCount, ToolCounts, ToolName, Totals, map,
    },
    lists::Ban,
    rules::Behaviour,
};

use super::{
    Hook, Instance, Interface, Loaded, attach, link, pinned, sources,
    syscall::{self, Link},
};

/// How long maps may be found of different times, since they are being replaced once more.
const REPLACED_WITHIN: Duration = Duration::from_secs(5);

/// The maps of a filter.
pub struct Filter {
    /// `None` for a program that is not attached to anything.
    instance: Option<Instance>,
    counts: PerCpuArray<MapData, Counts>,
    ports: PerCpuHashMap<MapData, u32, PortCount>,
    sources: MapData,
    recognised: MapData,
    bans: MapData,
    reported: MapData,
    tools: Array<MapData, ToolName>,
    numbers: Array<MapData, SignatureNumber>,
    settings: Array<MapData, Settings>,
    carried_ports: MapData,
    carried_sources: MapData,
    /// What was counted before these maps were made. It does not change.
    carried: Box<Carried>,
    /// The kernel's numbers of [`map::COUNTERS`].
    ids: HashMap<&'static str, u32>,
}

impl Filter {
    /// Opens the maps that an instance has pinned, to read them.
    ///
    /// # Errors
    ///
    /// When it is not attached, was attached by another version, or may not be read.
    pub fn open(instance: &Instance) -> Result<Self> {
        super::preflight::bpffs(instance.bpffs())?;
        let Some(settings) = pinned::settings(instance)? else {
            // A folder that cannot be searched looks empty: say so instead.
            instance.pins()?;
            bail!(
                "the filter {} is not attached; `sip-filter attach -i IFACE` attaches it",
                instance.name()
            );
        };
        pinned::check_version(instance, &settings)?;
        Self::pinned(instance)
    }

    /// The same, whatever the settings say.
    pub(super) fn pinned(instance: &Instance) -> Result<Self> {
        let begun = Instant::now();
        loop {
            // Those that it goes with may not all be in their places yet.
            let carried = carried(open_pinned(&instance.map(map::CARRIED))?)?;
            let open = |name: &str| {
                let map = open_pinned(&instance.map(name))?;
                let place = map::COUNTERS[1..]
                    .iter()
                    .position(|counter| *counter == name);
                let id = place.map(|place| carried.maps[place] as u32);
                match id {
                    Some(id) if carried.counters != 0 && map.info()?.id() != id => {
                        Ok(open_pinned(&instance.beside(name)).unwrap_or(map))
                    }
                    _ => Ok(map),
                }
            };
            let filter = Self::new(open, Some(instance.clone()))?;
            if filter.is_of_one_time() {
                return Ok(filter);
            }
            if begun.elapsed() > REPLACED_WITHIN {
                bail!(
                    "attaching the filter {} was interrupted; attach it again first",
                    instance.name()
                );
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// The maps of a program that was loaded without an instance.
    ///
    /// # Errors
    ///
    /// When the object lacks a map, which is a fault of the build.
    pub fn of(loaded: &mut Loaded) -> Result<Self> {
        let open = |name: &str| {
            let map = loaded
                .ebpf
                .take_map(name)
                .with_context(|| format!("no map {name}"))?;
            match map {
                Map::Array(map)
                | Map::PerCpuArray(map)
                | Map::PerCpuHashMap(map)
                | Map::HashMap(map)
                | Map::LruHashMap(map) => Ok(map),
                other => bail!("the map {name} is {other:?}"),
            }
        };
        Self::new(open, None)
    }

    fn new(
        mut open: impl FnMut(&str) -> Result<MapData>,
        instance: Option<Instance>,
    ) -> Result<Self> {
        let mut ids = HashMap::new();
        let mut open = |name| -> Result<MapData> {
            let map = open(name)?;
            ids.insert(name, map.info()?.id());
            Ok(map)
        };
        Ok(Self {
            instance,
            counts: Map::PerCpuArray(open(map::COUNTS)?).try_into()?,
            ports: Map::PerCpuHashMap(open(map::PORTS)?).try_into()?,
            sources: open(map::SOURCES)?,
            recognised: open(map::RECOGNISED)?,
            bans: open(map::BANS)?,
            reported: open(map::REPORTED)?,
            tools: Map::Array(open(map::TOOLS)?).try_into()?,
            numbers: Map::Array(open(map::NUMBERS)?).try_into()?,
            settings: Map::Array(open(map::SETTINGS)?).try_into()?,
            carried_ports: open(map::CARRIED_PORTS)?,
            carried_sources: open(map::CARRIED_SOURCES)?,
            // Last, for it is replaced first.
            carried: carried(open(map::CARRIED)?)?,
            ids,
        })
    }

    /// Whether none of the maps that count was replaced between the opening of the first and the last:
    /// what was carried is replaced before all others, says which they are, and was opened last.
    fn is_of_one_time(&self) -> bool {
        let Carried { counters, maps, .. } = &*self.carried;
        let mut ids = map::COUNTERS[1..].iter().map(|name| self.ids.get(name));
        *counters == 0
            || maps
                .iter()
                .all(|id| ids.next() == Some(Some(&(*id as u32))))
    }

    /// What is in force.
    ///
    /// # Errors
    ///
    /// When the map cannot be read, as for all that follow.
    pub fn settings(&self) -> Result<Settings> {
        self.settings.get(&0, 0).context("cannot read the settings")
    }

    /// Tells these counters from those of a filter attached anew: the kernel's number of the map that
    /// held the sources when they began, for all maps that count are made together.
    pub fn counters_id(&self) -> u32 {
        match self.carried.counters {
            0 => self.ids.get(map::SOURCES).copied().unwrap_or_default(),
            counters => counters as u32,
        }
    }

    /// The interfaces that it is attached to now.
    pub fn interfaces(&self) -> Result<Vec<Interface>> {
        let Some(instance) = &self.instance else {
            return Ok(Vec::new());
        };
        let mut interfaces = Vec::new();
        for pin in instance.links()? {
            // One whose interface is gone waits to be removed.
            if attach::is_alive(&pin)? {
                interfaces.push(attach::attached_to(&pin)?);
            }
        }
        Ok(interfaces)
    }

    /// The number of the program that is attached, or was last: that of the XDP program, where there is
    /// one for tcx too.
    pub fn program_id(&self) -> Result<u32> {
        let instance = self.instance.as_ref();
        let instance = instance.context("the filter is attached to no interface")?;
        let links = instance.links()?;
        let links = links.iter().map(|pin| link::look(pin));
        let links = links.collect::<Result<Vec<_>>>()?;
        // Where there are two, it is always the same one of them, whichever interface goes away.
        for hook in Hook::ALL {
            let is_there = |link: &&Link| link.hook == hook && link.ifindex != 0;
            if let Some(link) = links.iter().find(is_there) {
                return Ok(link.program);
            }
            let pin = instance.program(hook);
            if pin.exists() {
                let program = ProgramInfo::from_pin(&pin);
                let program =
                    program.with_context(|| format!("cannot open the pin {}", pin.display()))?;
                return Ok(program.id());
            }
        }
        bail!("the filter is attached to no interface, and its program is gone")
    }

    /// What each CPU has counted.
    fn counts(&self) -> Result<PerCpuValues<Counts>> {
        self.counts.get(&0, 0).context("cannot read the counts")
    }

    /// All that is counted in numbers, over all CPUs, with what was carried.
    pub(super) fn counted(&self) -> Result<Box<Carried>> {
        let mut sum = self.carried.clone();
        for cpu in self.counts()?.iter() {
            sum.add(cpu);
        }
        Ok(sum)
    }

    /// Every packet counted, over all CPUs.
    pub fn totals(&self) -> Result<Totals> {
        Ok(self.counted()?.totals)
    }

    /// What each tool sent, over all CPUs.
    pub fn tool_counts(&self) -> Result<ToolCounts> {
        Ok(self.counted()?.tools)
    }

    /// The tools' names, by number.
    pub fn tools(&self) -> Result<Vec<ToolName>> {
        self.tools
            .iter()
            .collect::<Result<_, _>>()
            .context("cannot read the tools' names")
    }

    /// How many packets each signature in force has named, by the signature's fingerprint.
    pub fn hits(&self) -> Result<HashMap<u64, u64>> {
        let numbers: Vec<_> = self
            .numbers
            .iter()
            .collect::<Result<_, _>>()
            .context("cannot read the signatures' numbers")?;
        let hits = self.counted()?.hits;
        let in_force = numbers
            .iter()
            .zip(hits)
            .filter(|(number, _)| number.in_force != 0);
        Ok(in_force
            .map(|(number, hits)| (number.fingerprint, hits.saturating_sub(number.before)))
            .collect())
    }

    /// What arrived at each port, over all CPUs, in the ports' order.
    pub fn ports(&self) -> Result<Vec<(u16, PortCount)>> {
        let mut ports = BTreeMap::<u16, PortCount>::new();
        let mut add = |port: u64, more: &PortCount| {
            ports.entry(port as u16).or_default().add(more);
        };
        for counts in self.counts()?.iter() {
            for PortPlace { taken_by, count } in &counts.ports {
                if let Some(port) = taken_by.checked_sub(1) {
                    add(port, count);
                }
            }
        }
        for entry in self.ports.iter() {
            let (port, values) = entry.context("cannot read the ports' counts")?;
            for count in values.iter() {
                add(u64::from(port), count);
            }
        }
        let carried: Vec<(u32, PortCount)> = syscall::lookup_all(self.carried_ports.fd().as_fd())
            .context("cannot read the ports' counts")?;
        for (port, count) in &carried {
            add(u64::from(*port), count);
        }
        Ok(ports.into_iter().collect())
    }

    /// Packets by behaviour, over all CPUs.
    pub fn behaviours(&self) -> Result<[ToolCount; Behaviour::COUNT]> {
        Ok(self.counted()?.behaviours)
    }

    /// How many times a source was blocked for what it sent.
    pub fn escalations(&self) -> Result<u64> {
        Ok(self.counted()?.escalations)
    }

    /// What became of events, over all CPUs.
    pub fn event_counts(&self) -> Result<EventCounts> {
        Ok(self.counted()?.events)
    }

    /// What was last reported of a source, as far as it is remembered.
    pub fn last_report(&self, source: &Address) -> Result<Option<Event>> {
        syscall::lookup(self.reported.fd().as_fd(), source).context("cannot read what was reported")
    }

    /// What was last reported of each source that is remembered, the oldest first.
    pub fn last_reports(&self) -> Result<Vec<Event>> {
        let reports: Vec<(Address, Event)> = syscall::lookup_all(self.reported.fd().as_fd())
            .context("cannot read what was reported")?;
        let mut reports: Vec<_> = reports.into_iter().map(|(_, report)| report).collect();
        reports.sort_by_key(|report| report.at);
        Ok(reports)
    }

    /// The sources that are blocked for what they sent, those among them whose time is over.
    pub fn bans(&self) -> Result<Vec<(Address, Ban)>> {
        syscall::lookup_all(self.bans.fd().as_fd())
            .context("cannot read which sources are blocked for what they sent")
    }

    /// Ends that a source is blocked for what it sent; whether it was.
    pub fn lift_ban(&self, source: &Address) -> Result<bool> {
        let lift = || -> Result<bool> {
            let ban: Option<Ban> = syscall::lookup(self.bans.fd().as_fd(), source)?;
            if let (Some(_), Some(instance)) = (ban, &self.instance) {
                syscall::delete(syscall::open_pin(&instance.map(map::BANS))?.as_fd(), source)?;
            }
            Ok(ban.is_some_and(|ban| syscall::monotonic_ns() < ban.until))
        };
        lift().context("cannot end that a source is blocked")
    }

    /// Every source remembered, in no order: exact, however many packets arrive meanwhile.
    pub fn sources(&self) -> Result<Vec<(Address, SourceCount)>> {
        let mut listed = sources::read(self).context("cannot read the sources")?;
        // Some are counted that have no entry in a full map yet; those quiet for longest are as
        // good as forgotten for them.
        let room = self.sources.info()?.max_entries() as usize;
        let recognised = |count: &SourceCount| count.is_recognised();
        let room = room + listed.iter().filter(|(_, count)| recognised(count)).count();
        if listed.len() > room {
            let last =
                |(_, count): &(Address, SourceCount)| Reverse((recognised(count), count.last_seen));
            listed.select_nth_unstable_by_key(room, last);
            listed.truncate(room);
        }
        Ok(listed)
    }
}

impl sources::Store for Filter {
    fn places(&self) -> io::Result<Vec<Recent>> {
        let counts = self.counts.get(&0, 0).map_err(io::Error::other)?;
        let places = counts.iter().flat_map(|cpu| &cpu.recent[..RECENT_PLACES]);
        Ok(places.copied().collect())
    }

    fn all(&self) -> io::Result<Vec<(Address, SourceCount)>> {
        let mut all = syscall::lookup_all(self.recognised.fd().as_fd())?;
        syscall::lookup_all_into(self.sources.fd().as_fd(), &mut all)?;
        syscall::lookup_all_into(self.carried_sources.fd().as_fd(), &mut all)?;
        Ok(all)
    }

    fn one(&self, source: &Address) -> io::Result<Option<SourceCount>> {
        let mut sum: Option<SourceCount> = None;
        for map in [&self.recognised, &self.sources, &self.carried_sources] {
            let more: Option<SourceCount> = syscall::lookup(map.fd().as_fd(), source)?;
            match (&mut sum, more) {
                (Some(sum), Some(more)) => sum.add(&more),
                (None, more) => sum = more,
                (Some(_), None) => {}
            }
        }
        Ok(sum)
    }
}

fn open_pinned(pin: &Path) -> Result<MapData> {
    Ok(MapData::from_fd(syscall::open_pin_to_read(pin)?)?)
}

/// What a map says that was carried.
fn carried(map: MapData) -> Result<Box<Carried>> {
    let carried = syscall::lookup(map.fd().as_fd(), &0_u32);
    let carried = carried.context("cannot read what was counted before")?;
    Ok(Box::new(carried.unwrap_or(Carried::NOTHING)))
}
