//! Keeping a history while `run` runs: a thread that reads the counters once a minute and writes what
//! came.
//!
//! Whatever goes wrong here is said and tried again, and never reaches the filter. What could not be
//! written comes with the next interval that can: the counters still have it.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use jiff::{Timestamp, tz::TimeZone};

use super::{
    ledger::{Identity, Ledger, Reading},
    schema,
    write::Writer,
};
use crate::{
    config::configuration::History,
    kernel::{self, Filter, Instance},
    stats::{Clock, Counters},
};

/// How often what came is written, unless a test asks for something else.
pub const INTERVAL: Duration = Duration::from_secs(60);
/// How much of an interval before its end the counters are read, so that what came in a minute is kept
/// as that minute's.
const EARLIER: u32 = 60;
/// For how long the clock must have gone evenly before anything is forgotten: one that is wrong for a
/// moment must not make all of it old.
const TRUSTED_AFTER: Duration = Duration::from_secs(3_600);
/// How much further the wall clock may have gone than the monotonic one, or less far, to be even.
const EVEN: Duration = Duration::from_secs(60);

/// A history that is kept until this is dropped; what came until then is written first.
pub struct Recorder {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Says what is to be kept now.
pub type Settings = Box<dyn FnMut() -> History + Send>;

impl Recorder {
    /// Begins: of counters that began at `since` or later, all is kept; of older ones, what comes from
    /// now on, and what came since the file has them.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub fn start(
        instance: Instance,
        since: Timestamp,
        interval: Duration,
        settings: Settings,
    ) -> Result<Self> {
        let (stop, stopped) = mpsc::channel();
        let mut recording = Recording::new(instance, since, settings);
        // Before the filter may be detached again.
        recording.hold();
        let recording = move || {
            loop {
                recording.interval();
                match stopped.recv_timeout(until_next(Timestamp::now(), interval)) {
                    Err(RecvTimeoutError::Timeout) => {}
                    _ => break,
                }
            }
            recording.interval();
        };
        let thread = thread::Builder::new().name("history".to_owned());
        let thread = thread.spawn(recording);
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread.context("cannot start the thread that keeps the history")?),
        })
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            log::error!("the history was not kept to the end");
        }
    }
}

/// How long until shortly before the wall clock shows a whole interval again.
fn until_next(now: Timestamp, interval: Duration) -> Duration {
    let ns = interval.as_nanos().max(1) as i128;
    let earlier = ns / i128::from(EARLIER);
    let rest = ns - (now.as_nanosecond() + earlier).rem_euclid(ns);
    Duration::from_nanos(u64::try_from(rest).unwrap_or(0))
}

/// A file that is open.
struct Open {
    path: PathBuf,
    writer: Writer,
}

/// Both clocks at a moment since which they have gone evenly.
#[derive(Clone, Copy, Debug)]
struct Even {
    wall: Timestamp,
    /// In nanoseconds.
    monotonic: u64,
}

/// What two clocks say of each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Clocks {
    /// Not for long enough, but evenly.
    Even,
    /// The wall clock was set.
    Set,
    /// Evenly, for as long as it takes to believe them.
    Trusted,
}

impl Even {
    fn now() -> Self {
        Self {
            wall: Timestamp::now(),
            monotonic: kernel::monotonic_ns(),
        }
    }

    /// How they have gone until now.
    fn until(self, now: Self) -> Clocks {
        let by_wall = now.wall.as_nanosecond() - self.wall.as_nanosecond();
        let gone = now.monotonic.saturating_sub(self.monotonic);
        let apart = (by_wall - i128::from(gone)).unsigned_abs();
        if apart > EVEN.as_nanos() {
            Clocks::Set
        } else if u128::from(gone) < TRUSTED_AFTER.as_nanos() {
            Clocks::Even
        } else {
            Clocks::Trusted
        }
    }
}

struct Recording {
    instance: Instance,
    settings: Settings,
    zone: TimeZone,
    /// The counters that are read. They are there as long as somebody holds them: what came last is
    /// read of them also when the filter is detached.
    filter: Option<(Identity, Filter)>,
    open: Option<Open>,
    /// Whether all of the file was read once.
    is_checked: bool,
    ledger: Ledger,
    even: Even,
    /// What was said last of why nothing is written.
    trouble: Option<String>,
}

impl Recording {
    fn new(instance: Instance, since: Timestamp, settings: Settings) -> Self {
        Self {
            instance,
            settings,
            zone: TimeZone::system(),
            filter: None,
            open: None,
            is_checked: false,
            ledger: Ledger::beginning(since),
            even: Even::now(),
            trouble: None,
        }
    }

    /// Opens the counters, if they are to be kept.
    fn hold(&mut self) {
        if (self.settings)().file.value.is_some() {
            self.filter = opened(&self.instance).ok();
        }
    }

    /// Keeps what came, or says why not: once, and once more when it goes on.
    fn interval(&mut self) {
        let name = self.instance.name().to_owned();
        match self.keep() {
            Ok(()) => {
                if self.trouble.take().is_some() {
                    log::info!("{name}: the history goes on; what came meanwhile is kept");
                }
            }
            Err(error) => {
                let said = format!("{error:#}");
                if self.trouble.as_ref() != Some(&said) {
                    let why = match schema::is_full(&error) {
                        true => " until there is room",
                        false => "",
                    };
                    log::warn!(
                        "{name}: no history is kept{why}; the filter goes on, and counts: {said}"
                    );
                }
                self.trouble = Some(said);
            }
        }
    }

    fn keep(&mut self) -> Result<()> {
        let settings = (self.settings)();
        let Some(path) = settings.file.value.as_deref() else {
            (self.open, self.filter) = (None, None);
            return Ok(());
        };
        match self.attempt(path, &settings) {
            Err(error) if schema::is_damaged(&error) => {
                self.open = None;
                let aside = schema::set_aside(path, Timestamp::now())?;
                log::warn!(
                    "{}: the history is damaged, and is {} now; a new one begins: {error:#}",
                    self.instance.name(),
                    aside.display()
                );
                self.attempt(path, &settings)
            }
            done => done,
        }
    }

    fn attempt(&mut self, path: &Path, settings: &History) -> Result<()> {
        self.ready(path)?;
        let next = match opened(&self.instance) {
            Ok(next) => Some(next),
            Err(error) if self.filter.is_none() => return Err(error),
            // It was detached: what came last is still to be had.
            Err(_) => None,
        };
        let held = self.filter.as_ref().map(|(identity, _)| identity);
        if held.is_some() && held != next.as_ref().map(|(identity, _)| identity) {
            // What the counters said until others took their place.
            self.record(settings)?;
        }
        if let Some(next) = next {
            self.filter = Some(next);
            self.record(settings)?;
        }
        self.forget(settings)
    }

    /// Has the file open.
    fn ready(&mut self, path: &Path) -> Result<()> {
        if self.open.as_ref().is_some_and(|open| open.path == path) && path.exists() {
            return Ok(());
        }
        self.open = None;
        let name = self.instance.name();
        let mut writer = match self.is_checked {
            true => Writer::open(path)?,
            false => Writer::open_checked(path)?,
        };
        self.is_checked = true;
        let kept = writer
            .ledger(name)
            .with_context(|| format!("cannot use the history {}", path.display()))?;
        match kept {
            // What was written last may be there although it was said not to be.
            Some(kept)
                if self.ledger.identity.is_none()
                    || kept.identity == self.ledger.identity
                        && kept.monotonic >= self.ledger.monotonic =>
            {
                self.ledger = kept;
            }
            // It is another file, or an older one: what was kept elsewhere is not kept again.
            _ => writer.begin(name, &self.ledger)?,
        }
        let path = path.to_owned();
        self.open = Some(Open { path, writer });
        Ok(())
    }

    /// Writes what the counters that are held say more than before.
    fn record(&mut self, settings: &History) -> Result<()> {
        let (Some((identity, filter)), Some(open)) = (&self.filter, &mut self.open) else {
            return Ok(());
        };
        let begun = Instant::now();
        let monotonic = kernel::monotonic_ns();
        let began = filter.settings()?.attached_at / 1_000_000;
        let counters = Counters::read(filter)?;
        let (identity, clock) = (identity.clone(), Clock::now());
        let reading = Reading::new(identity, began as i64, monotonic, clock, counters);
        let named = settings.sources.value as usize;
        let change = self.ledger.change(&reading, &self.zone, named);
        let (name, read) = (self.instance.name(), begun.elapsed());
        let written = open.writer.make_room(settings).and_then(|gone| {
            open.writer.write(name, &change, settings, &self.zone)?;
            Ok(gone)
        });
        match written {
            Ok(gone) => {
                if let Some(gone) = gone {
                    log::warn!(
                        "{name}: the history takes as much as it may ({}); the oldest {gone} went",
                        settings.max_size.value
                    );
                }
                self.ledger.apply(&change);
                let written = begun.elapsed() - read;
                let sources = change.sources.len();
                log::debug!(
                    "{name}: history read in {read:?}, written in {written:?}; {sources} sources changed"
                );
                Ok(())
            }
            Err(error) => {
                let path = open.path.display().to_string();
                // What else is wrong with the file is found out when it is opened again.
                if !schema::is_full(&error) {
                    self.open = None;
                }
                Err(error).with_context(|| format!("cannot write the history {path}"))
            }
        }
    }

    /// Removes what is older than it is to be kept, as soon as the clock can be believed, and from then
    /// on once an hour.
    fn forget(&mut self, settings: &History) -> Result<()> {
        let now = Even::now();
        match self.even.until(now) {
            Clocks::Even => return Ok(()),
            Clocks::Set => {
                log::warn!(
                    "{}: the clock was set; the history goes on with the time that it shows",
                    self.instance.name()
                );
                self.even = now;
                return Ok(());
            }
            Clocks::Trusted => self.even = now,
        }
        match &mut self.open {
            Some(open) => open.writer.forget(settings, now.wall, &self.zone),
            None => Ok(()),
        }
    }
}

/// The counters that the instance has now, and which ones these are.
fn opened(instance: &Instance) -> Result<(Identity, Filter)> {
    const BOOT: &str = "/proc/sys/kernel/random/boot_id";
    let filter = Filter::open(instance)?;
    let boot = fs::read_to_string(BOOT).with_context(|| format!("cannot read {BOOT}"))?;
    let identity = Identity {
        boot: boot.trim_end().to_owned(),
        map: filter.counters_id(),
    };
    Ok((identity, filter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_read_shortly_before_a_minute_is_over() {
        for (now, expected) in [
            ("2026-11-26T22:15:00Z", 59_000),
            ("2026-11-26T22:15:58Z", 1_000),
            ("2026-11-26T22:15:59Z", 60_000),
            ("2026-11-26T22:15:59.5Z", 59_500),
        ] {
            let rest = until_next(now.parse().unwrap(), INTERVAL);
            assert_eq!(rest, Duration::from_millis(expected), "{now}");
        }
    }

    #[test]
    fn a_clock_is_believed_once_it_has_gone_evenly_for_an_hour() {
        let at = |wall: &str, seconds: u64| Even {
            wall: wall.parse().unwrap(),
            monotonic: seconds * 1_000_000_000,
        };
        let before = at("2026-11-26T22:00:00Z", 100);
        for (now, expected) in [
            (at("2026-11-26T22:01:00Z", 160), Clocks::Even),
            (at("2026-11-26T22:59:59Z", 3_699), Clocks::Even),
            // Clocks are corrected a little all the time.
            (at("2026-11-26T23:00:30Z", 3_700), Clocks::Trusted),
            (at("2026-11-26T22:59:30Z", 3_700), Clocks::Trusted),
            // An hour has passed by the one and not by the other.
            (at("2026-11-26T23:01:00Z", 160), Clocks::Set),
            (at("2036-11-26T22:01:00Z", 160), Clocks::Set),
            (at("2026-11-26T21:00:00Z", 3_700), Clocks::Set),
        ] {
            assert_eq!(before.until(now), expected, "{now:?}");
        }
    }
}
