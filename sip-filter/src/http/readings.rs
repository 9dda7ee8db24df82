//! What is read of the filter for those who ask: at most once a second, however many ask.
//!
//! Each reading opens the pins anew, so that it is of what is pinned now, and takes place on a thread
//! where it holds nobody up. Who asks meanwhile waits for the same reading.

use std::{
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow};
use hyper::body::Bytes;
use serde::Serialize;
use sip_filter_common::abi::PortSet;
use tokio::{sync::Mutex, task};

use super::{
    Missing,
    series::{Sample, Series},
};
use crate::{
    events::{Event, Feed},
    geoip::Current,
    kernel::{self, AttachedMode, Filter, Instance},
    memory,
    output::json,
    stats::{Condition, Snapshot, Status},
};

/// For how long a reading is good.
const FRESH_FOR: Duration = Duration::from_secs(1);

/// Of so many sources at most a reading may be brief.
pub(super) const BRIEF: usize = 1_000;

/// What was counted.
pub(super) struct Counted {
    /// With all sources, or where it is brief, with [`BRIEF`] at most: those with the most packets.
    pub(super) snapshot: Snapshot,
    /// How many sources there are.
    pub(super) sources: usize,
    document: OnceLock<Bytes>,
}

impl Counted {
    pub(super) fn new(snapshot: Snapshot, sources: usize) -> Self {
        Self {
            snapshot,
            sources,
            document: OnceLock::new(),
        }
    }

    /// What `stats --format json` prints, as far as it was read.
    pub(super) fn document(&self) -> Result<Bytes> {
        if let Some(document) = self.document.get() {
            return Ok(document.clone());
        }
        let document = document(&self.snapshot)?;
        Ok(self.document.get_or_init(|| document).clone())
    }

    /// What `stats --top N --format json` prints.
    pub(super) fn top(&self, sources: usize) -> Result<Bytes> {
        if sources >= self.snapshot.sources.len() {
            return self.document();
        }
        let Snapshot {
            time,
            instance,
            interfaces,
            totals,
            methods,
            tools,
            ports,
            reasons,
            behaviours,
            sources: all,
        } = &self.snapshot;
        document(&Snapshot {
            time: *time,
            instance: instance.clone(),
            interfaces: interfaces.clone(),
            totals: *totals,
            methods: methods.clone(),
            tools: tools.clone(),
            ports: ports.clone(),
            reasons: reasons.clone(),
            behaviours: behaviours.clone(),
            sources: all[..sources].to_vec(),
        })
    }
}

/// What is in force, and the condition that the filter is in.
#[derive(Serialize)]
pub(super) struct InForce {
    #[serde(flatten)]
    pub(super) status: Status,
    #[serde(flatten)]
    pub(super) condition: Condition,
    /// Ports on which every datagram is inspected.
    #[serde(skip)]
    pub(super) ports: Box<PortSet>,
    /// How many times a source was blocked for what it sent.
    #[serde(skip)]
    pub(super) escalations: u64,
}

/// A document of JSON.
pub(super) fn document(value: &impl Serialize) -> Result<Bytes> {
    let mut text = Vec::new();
    json::document(&mut text, value)?;
    Ok(text.into())
}

/// Something that was read, or why it could not be.
type Read<T> = Result<Arc<T>, Arc<anyhow::Error>>;

/// The last reading, and when it was done.
struct Last<T>(Mutex<Option<(Instant, Read<T>)>>);

impl<T: Send + Sync + 'static> Last<T> {
    fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(None)))
    }

    /// The last reading, or a new one where that is too old.
    async fn get(self: &Arc<Self>, read: impl FnOnce() -> Result<T> + Send + 'static) -> Read<T> {
        let last = Arc::clone(self);
        // A task of its own: one whose client has gone still reads to the end, so that nobody has
        // several readings begun at once.
        let reading = task::spawn(async move {
            let mut last = last.0.lock().await;
            if let Some((at, reading)) = &*last
                && at.elapsed() < FRESH_FOR
            {
                return reading.clone();
            }
            let reading = task::spawn_blocking(read).await;
            let reading = reading
                .unwrap_or_else(|error| Err(anyhow!("the filter cannot be read: {error}")))
                .map(Arc::new)
                .map_err(Arc::new);
            *last = Some((Instant::now(), reading.clone()));
            reading
        });
        let reading = reading.await;
        reading.unwrap_or_else(|error| Err(Arc::new(anyhow!("the filter cannot be read: {error}"))))
    }

    /// Forgets one that is too old, unless somebody is reading; whether there was one.
    fn forget(&self) -> bool {
        let Ok(mut last) = self.0.try_lock() else {
            return false;
        };
        let is_old = last
            .as_ref()
            .is_some_and(|(at, _)| at.elapsed() >= FRESH_FOR);
        is_old && last.take().is_some()
    }
}

/// All that is read.
pub(super) struct Readings {
    instance: Instance,
    state: PathBuf,
    missing: Missing,
    events: Feed,
    databases: Arc<Current>,
    counted: Arc<Last<Counted>>,
    brief: Arc<Last<Counted>>,
    in_force: Arc<Last<InForce>>,
    health: Arc<Last<Result<String, String>>>,
    sample: Arc<Last<Sample>>,
    series: Mutex<Series>,
}

impl Readings {
    pub(super) fn new(
        instance: Instance,
        state: PathBuf,
        missing: Missing,
        events: Feed,
        databases: Arc<Current>,
    ) -> Self {
        Self {
            instance,
            state,
            missing,
            events,
            databases,
            counted: Last::new(),
            brief: Last::new(),
            in_force: Last::new(),
            health: Last::new(),
            sample: Last::new(),
            series: Mutex::default(),
        }
    }

    /// Everything counted.
    pub(super) async fn counted(&self) -> Read<Counted> {
        let instance = self.instance.clone();
        let databases = Arc::clone(&self.databases);
        let read = move || {
            let mut snapshot = Snapshot::read(&instance, &Filter::open(&instance)?)?;
            snapshot.locate(&databases.get());
            let sources = snapshot.sources.len();
            Ok(Counted::new(snapshot, sources))
        };
        self.counted.get(read).await
    }

    /// The same with few sources, which takes a third of the time: what an open page asks for, and a
    /// scraper.
    pub(super) async fn brief(&self) -> Read<Counted> {
        let instance = self.instance.clone();
        let databases = Arc::clone(&self.databases);
        let read = move || {
            let filter = Filter::open(&instance)?;
            let (mut snapshot, sources) = Snapshot::read_top(&instance, &filter, BRIEF)?;
            snapshot.locate(&databases.get());
            Ok(Counted::new(snapshot, sources))
        };
        self.brief.get(read).await
    }

    /// What is in force.
    pub(super) async fn in_force(&self) -> Read<InForce> {
        let instance = self.instance.clone();
        let state = self.state.clone();
        let read = move || {
            let filter = Filter::open(&instance)?;
            Ok(InForce {
                status: Status::read(&instance, &filter, &state)?,
                condition: Condition::read(&instance, &filter, false)?,
                ports: Box::new(filter.settings()?.ports),
                escalations: filter.escalations()?,
            })
        };
        self.in_force.get(read).await
    }

    /// The interfaces that are gone and that the filter is to be on.
    pub(super) fn missing(&self) -> Vec<String> {
        self.missing.names()
    }

    /// The last events, the oldest first, as JSON; so many at most.
    pub(super) fn events(&self, most: usize) -> Result<Bytes> {
        #[derive(Serialize)]
        struct Document<'a> {
            events: Vec<&'a Event>,
        }
        let recent = self.events.recent();
        let before = recent.len().saturating_sub(most);
        let events = recent[before..].iter().map(AsRef::as_ref);
        document(&Document {
            events: events.collect(),
        })
    }

    /// Where the filter is, in a line for each interface; or why it is not where it is to be.
    pub(super) async fn health(&self) -> Read<Result<String, String>> {
        let instance = self.instance.clone();
        let missing = self.missing();
        let read = move || Ok(health(&instance, &missing));
        self.health.get(read).await
    }

    /// Takes a sample for the pictures, and gives back what nobody asks for any more.
    pub(super) async fn sample(&self) {
        if self.counted.forget() | self.brief.forget() | self.in_force.forget() {
            memory::give_small_pieces_back();
        }
        // A filter that is not there has counted nothing.
        if let Ok(sample) = self.now().await {
            self.series.lock().await.add((*sample).clone());
        }
    }

    async fn now(&self) -> Read<Sample> {
        let instance = self.instance.clone();
        let read = move || Sample::read(&Filter::open(&instance)?);
        self.sample.get(read).await
    }

    /// What came when, until now, as JSON.
    pub(super) async fn series(&self) -> Result<Bytes> {
        let now = self.now().await;
        let now = now.map_err(|error| anyhow!("{error:#}"))?;
        document(&self.series.lock().await.until(&now))
    }
}

fn health(instance: &Instance, missing: &[String]) -> Result<String, String> {
    if !missing.is_empty() {
        let names = missing.join(", ");
        return Err(format!(
            "{names}: gone; the filter is attached again when there is one of that name\n"
        ));
    }
    let read = || -> Result<_> {
        let interfaces = Filter::open(instance)?.interfaces()?;
        Ok((interfaces, kernel::links(instance)?))
    };
    let (interfaces, links) = read().map_err(|error| format!("{error:#}\n"))?;
    if interfaces.is_empty() {
        return Err("attached to no interface; nothing is filtered\n".to_owned());
    }
    let mut lines = String::new();
    for interface in &interfaces {
        if interface.mode == AttachedMode::Unknown {
            return Err(format!("{}: the filter is not there\n", interface.name));
        }
        lines += &format!("{}: attached in {} mode\n", interface.name, interface.mode);
    }
    match links.len() == interfaces.len() {
        true => Ok(lines),
        false => Err(format!(
            "{lines}the filter is not on all of its interfaces\n"
        )),
    }
}
