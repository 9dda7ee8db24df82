//! `run`: attaches, stays in the foreground, and detaches when it is told to end.

use std::{
    convert::Infallible,
    future,
    io::{self, IsTerminal},
    path::{Path, PathBuf},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result};
use tokio::{
    runtime,
    signal::unix::{Signal, SignalKind, signal},
    time::{self, MissedTickBehavior},
};

use super::{
    Global,
    apply::{self, Applied, Before, apply},
    filter_options::FilterOptions,
    follow::Follow,
    given::Given,
    history,
    hold::Hold,
    http_options::HttpOptions,
    lines,
    service::Manager,
    turn::Turn,
};
use crate::{
    access,
    events::{self, Event, Feed, socket::Socket},
    geoip::{Current, Databases},
    http::Bound,
    kernel::{self, Attached, Filter, Instance, Logger, PinsWatch, Reports},
    memory,
    number::thousands,
    output::{self, Terminal, live},
    stats::{Snapshot, Status, Totals},
};

/// How often the live table is drawn.
const DRAWN_EVERY: Duration = Duration::from_secs(1);
/// How often what has changed is logged.
const LOGGED_EVERY: Duration = Duration::from_secs(60);

/// Attach the filter and watch it until interrupted
///
/// Attaches the filter like `attach` and stays in the foreground: on a terminal with a live
/// table, otherwise with a log line a minute if packets arrived. An interrupt (Ctrl-C) or
/// SIGTERM detaches the filter. What `status` and `stats` show, they show of this filter too.
///
/// Away from a terminal, SIGHUP does what `sip-filter reload` does: it reads the configuration file
/// and the files that it or the command line names again. The program is replaced in place, and a
/// file that cannot be used changes nothing.
///
/// An interface that is deleted and created again, or comes back under its name, is attached again as
/// soon as it is there, with what is in force; counters stay, also while no interface is there. One
/// that is taken down or renamed keeps the filter.
///
/// Once it is attached, `run` keeps three capabilities of root's, to load and attach again, and gives up
/// all others for good; the log says which. What it reads again must be readable for its user then.
///
/// As a service of systemd (Type=notify) it says when the filter is attached, what it counts, and,
/// where a watchdog is set, that it goes on.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Leaves attached: nothing, once it was interrupted or terminated; with --keep, everything.
Killed otherwise (SIGKILL, or SIGHUP with its terminal), it leaves the filter attached: the
next `run` or `attach` adopts it with its counters, `sip-filter detach` takes it off.

One `run` holds a filter: a second one is refused, and told who that is. `attach` and `reload` change
what it does meanwhile.

RUST_LOG sets what is logged, as in RUST_LOG=warn.

Examples:
  sip-filter run -i eth0                   watch, drop nothing
  sip-filter run -i eth0 --drop scanners   drop what known scanners send
  sip-filter run --config edge.toml        as a configuration file says
  sip-filter run -i eth0 -v                log every verdict with its reason
  sip-filter run -i eth0 --http 9060       answer at http://127.0.0.1:9060/ too
  sip-filter run -i eth0 --history h.sqlite
                                           keep a history, which `sip-filter report` shows
  sip-filter run -i eth0 --keep            watch, and leave the filter there")]
pub(super) struct Args {
    #[command(flatten)]
    filter: FilterOptions,
    /// Leave the filter attached at the end
    #[arg(long)]
    keep: bool,
    #[command(flatten)]
    history: history::Keeping,
    /// Log each verdict with its reason instead of showing the live table; costs much under
    /// load
    #[arg(short, long)]
    verbose: bool,
    #[command(flatten)]
    http: HttpOptions,
    /// Write events to a file, one JSON object a line, and only those of blocked sources to the log:
    /// see `sip-filter events --help`. It may be moved away at any moment, as logrotate does
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
}

pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    let instance = global.instance()?;
    let is_live = io::stdout().is_terminal() && !args.verbose;
    // Lines of the log would break the live table. Our own are enough otherwise, those from
    // the kernel among them: what libraries warn of comes back as an error if it matters.
    let level = if is_live { "warn" } else { "info" };
    let log = env_logger::Env::default().default_filter_or(format!("error,sip_filter={level}"));
    env_logger::Builder::from_env(log)
        .format_target(false)
        .try_init()
        .context("cannot start the log")?;
    runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?
        .block_on(session(args, global, &instance, is_live))
}

/// What ended the watch.
enum End {
    /// The operator.
    Stopped,
    /// Another process has detached the filter.
    DetachedElsewhere,
}

async fn session(args: &Args, global: &Global, instance: &Instance, is_live: bool) -> Result<()> {
    let hold = Hold::take(&global.state, instance.name())?;
    // Before anything is attached, so that no signal ends the process and leaves it there.
    let mut stop = Stop::new()?;
    let mut reload = Reload::new()?;
    let mut follow = Follow::new()?;
    let manager = Manager::from_environment();
    let since = history::now();
    let begun = kernel::monotonic_ns();
    let filter_options = &args.history.with(&args.filter);
    // Whoever asks for it wants to know that it cannot be.
    let configuration = args.filter.configuration()?;
    let http = args.http.bind(configuration.http)?;
    let events_file = args.events.clone().or(configuration.events.value);
    // That it is not known where a source is is no reason not to filter; who attaches is told.
    let databases = Databases::open(&configuration.geoip.value).unwrap_or_default();
    let Applied {
        attached:
            Attached {
                interfaces,
                notices,
                logger,
            },
        detached: _,
        mode,
        group,
        policy,
        history,
    } = apply(filter_options, global, args.verbose, Before::Stays)?;
    let (state, name) = (global.state.clone(), instance.name().to_owned());
    let databases = Arc::new(Current::new(
        databases,
        Given::path(&state, &name),
        Box::new(move || Some(Given::configuration(&state, &name)?.geoip.value)),
    ));
    // Before there are threads, for capabilities are a thread's.
    give_up_privileges(group);
    // Attaching has taken more than is needed from now on.
    memory::give_small_pieces_back();
    // What comes until the end is kept when this is dropped.
    let _history = args.history.start(instance, global, since, history);
    follow.applied(instance, mode)?;
    let mut names: Vec<_> = interfaces
        .iter()
        .map(|interface| interface.name.clone())
        .collect();

    let watched = async {
        let filter = Filter::open(instance)?;
        for notice in hold.notice.iter().chain(&notices) {
            log::warn!("{notice}");
        }
        for interface in &interfaces {
            log::info!("{}: attached in {} mode", interface.name, interface.mode);
        }
        log::info!("{}: {policy}", instance.name());
        let feed = Feed::new();
        let serve = |bound: Bound| {
            let state = global.state.clone();
            bound.serve(
                instance.clone(),
                state,
                feed.clone(),
                Arc::clone(&databases),
            )
        };
        let http = http.map(serve).transpose()?;
        if let Some(http) = &http {
            log::info!("answering HTTP at http://{}/", http.address());
        }
        manager.ready(&policy);

        let mut verdicts = pin!(forward(logger));
        let mut gone = pin!(gone(instance));
        let end = {
            let mut events = pin!(report(
                instance,
                &filter,
                &databases,
                begun,
                &feed,
                events_file.as_deref()
            ));
            let mut given = pin!(give_events(instance, global, group, &feed));
            let mut told = pin!(tell(&manager, instance));
            let mut watching = pin!(async {
                match is_live {
                    true => show(instance, &global.state, &notices).await,
                    false => log_changes(instance).await,
                }
            });
            loop {
                tokio::select! {
                    () = stop.requested() => break End::Stopped,
                    () = reload.requested() => {
                        manager.reloading();
                        match apply(filter_options, global, args.verbose, Before::Goes) {
                            Ok(applied) => {
                                say_applied(instance, &applied);
                                follow.applied(instance, applied.mode)?;
                                if let Some(http) = &http {
                                    http.missing(follow.lost());
                                }
                                manager.ready(&applied.policy);
                                let attached = applied.attached;
                                for interface in attached.interfaces {
                                    names.push(interface.name);
                                }
                                verdicts.set(forward(attached.logger));
                            }
                            Err(error) => {
                                for line in lines(&error) {
                                    log::error!("{line}");
                                }
                                log::error!("{}: what was in force stays", instance.name());
                                manager.unchanged();
                            }
                        }
                        memory::give_small_pieces_back();
                    }
                    changes = follow.changes() => {
                        names.extend(follow.settle(instance, global, changes?)?);
                        if let Some(http) = &http {
                            http.missing(follow.lost());
                        }
                    }
                    end = &mut watching => break end?,
                    () = &mut gone => break End::DetachedElsewhere,
                    () = &mut verdicts => break End::Stopped,
                    () = &mut events => break End::Stopped,
                    () = &mut given => break End::Stopped,
                    () = &mut told => break End::Stopped,
                }
            }
        };
        anyhow::Ok(end)
    }
    .await;

    manager.stopping();
    match watched {
        Ok(End::DetachedElsewhere) => {
            // Whoever did it wants it so: a service manager that sees a failure would begin again.
            log::warn!(
                "instance {} was detached by another process; nothing is filtered any more",
                instance.name()
            );
            Ok(())
        }
        Ok(End::Stopped) => {
            let filter = Filter::open(instance)?;
            leave(args, global, instance, names, is_live)?;
            // The maps live as long as somebody holds them, so nothing is missing here.
            say(is_live, &summary(&Totals::new(&filter.totals()?)))
        }
        Err(error) => {
            // Why it ends matters more than a second error that follows from the first.
            if let Err(second) = leave(args, global, instance, names, is_live) {
                log::error!("{second:#}");
            }
            Err(error)
        }
    }
}

/// Gives up what is not needed any more, but stays able to have this group read what a reload makes.
/// Where that cannot be done, it is no reason not to filter.
fn give_up_privileges(group: Option<u32>) {
    if let Some(Err(error)) = group.map(access::join) {
        log::warn!("{error:#}; it cannot be given what a reload makes");
    }
    match kernel::give_up_others() {
        Ok(kept) => {
            log::info!("keeps {kept}, to load and attach again; every other capability is given up")
        }
        Err(error) => log::warn!("capabilities that are not needed cannot be given up: {error:#}"),
    }
}

/// Logs what has come of a reload.
fn say_applied(instance: &Instance, applied: &Applied) {
    let Applied {
        attached,
        detached,
        mode: _,
        group: _,
        policy,
        history: _,
    } = applied;
    for notice in &attached.notices {
        log::warn!("{notice}");
    }
    for interface in detached {
        log::info!("{}: detached", interface.name);
    }
    let name = instance.name();
    log::info!("{name}: configuration and signatures read again; {policy}");
}

/// Detaches what was attached here, or what another process's reload has attached since; or says
/// what stays.
fn leave(
    args: &Args,
    global: &Global,
    instance: &Instance,
    mut names: Vec<String>,
    is_live: bool,
) -> Result<()> {
    let name = instance.name();
    // Who asked for the end gets it, whoever else is at it.
    let _turn = Turn::wait(&global.state).ok();
    if let Ok(Some(given)) = Given::read(&global.state, name) {
        names.extend(given.from_file);
    }
    if args.keep {
        let names = apply::attached_of(instance, &names)?.join(", ");
        return say(
            is_live,
            &format!("{names}: stays attached; `sip-filter detach --name {name}` takes it off"),
        );
    }
    for interface in apply::take_off(instance, &names)? {
        say(is_live, &format!("{}: detached", interface.name))?;
    }
    Given::detached(&global.state, name, &names, !instance.dir().exists())
}

/// A line where the operator looks: below the live table, or in the log.
fn say(is_live: bool, line: &str) -> Result<()> {
    if is_live {
        return output::print(|out| writeln!(out, "{line}"));
    }
    log::info!("{line}");
    Ok(())
}

/// The signals that ask for an end.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    fn new() -> Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    async fn requested(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// The signal that asks to read the configuration again: SIGHUP, for a service. On a terminal it says
/// that the terminal has gone, and ends the process as it always does.
struct Reload(Option<Signal>);

impl Reload {
    fn new() -> Result<Self> {
        let on_terminal = io::stdout().is_terminal() || io::stderr().is_terminal();
        let listen = || signal(SignalKind::hangup()).context("cannot listen for signals");
        Ok(Self((!on_terminal).then(listen).transpose()?))
    }

    async fn requested(&mut self) {
        match &mut self.0 {
            Some(hangup) => {
                hangup.recv().await;
            }
            None => future::pending().await,
        }
    }
}

/// Logs verdicts, for ever. A log that fails is no reason to stop filtering.
async fn forward(logger: Option<Logger>) {
    if let Some(logger) = logger
        && let Err(error) = logger.forward().await
    {
        log::error!("verdicts are not logged any more: {error:#}");
    }
    future::pending().await
}

/// Hands out what the kernel reports, and logs or writes to a file what was not before this process
/// began (nanoseconds of the monotonic clock), for ever. What fails of it is no reason to stop filtering.
async fn report(
    instance: &Instance,
    filter: &Filter,
    databases: &Current,
    begun: u64,
    feed: &Feed,
    file: Option<&Path>,
) {
    let reported = async {
        let mut reports = Reports::open(instance)?;
        let mut before = filter.last_reports()?;
        before.retain(|report| report.at < begun);
        for event in Event::in_words(filter, &databases.get(), &before)? {
            feed.push(event);
        }
        loop {
            let mut reports = reports.next().await?;
            reports.retain(|report| report.at >= begun);
            let events = Event::in_words(filter, &databases.get(), &reports)?;
            log_events(&events, file);
            for event in events {
                feed.push(event);
            }
        }
    };
    let Err::<Infallible, _>(error) = reported.await;
    let error: anyhow::Error = error;
    log::error!("events are not reported any more: {error:#}");
    future::pending().await
}

/// Writes events to the file, where there is one, and to the log.
fn log_events(events: &[Event], file: Option<&Path>) {
    let is_written = file.is_some_and(|file| match events::append(file, events) {
        Ok(()) => true,
        Err(error) => {
            log::error!("{error:#}");
            false
        }
    });
    for event in events {
        if event.is_about_blocking() {
            log::warn!("{event}");
        } else if !is_written {
            log::info!("{event}");
        }
    }
}

/// Gives events to other processes, for ever. One that fails is no reason to stop filtering.
async fn give_events(instance: &Instance, global: &Global, group: Option<u32>, feed: &Feed) {
    match Socket::listen(&global.state, instance.name(), group) {
        Ok(socket) => socket.serve(feed).await,
        Err(error) => log::warn!("`events` has nothing to follow: {error:#}"),
    }
    future::pending().await
}

/// Waits until another process has detached the filter. Where nobody tells, whoever reads the counts
/// sees it later.
async fn gone(instance: &Instance) {
    let told = async { PinsWatch::new(instance)?.gone().await };
    if let Err::<(), anyhow::Error>(error) = told.await {
        if !instance.dir().exists() {
            return;
        }
        log::warn!("{error:#}; that the filter is detached is found out later");
        future::pending().await
    }
}

/// Tells the service manager that this goes on, for ever. A filter that cannot be read is none that
/// does: the manager's patience decides then.
async fn tell(manager: &Manager, instance: &Instance) {
    loop {
        manager.expects().await;
        match Filter::open(instance).and_then(|filter| filter.totals()) {
            Ok(totals) => manager.alive(&summary(&Totals::new(&totals))),
            Err(error) => log::error!("{error:#}"),
        }
    }
}

/// The filter's maps of now, which a reload may have replaced; nothing where it is gone.
fn opened(instance: &Instance) -> Result<Option<Filter>> {
    match Filter::open(instance) {
        Err(_) if !instance.dir().exists() => Ok(None),
        opened => opened.map(Some),
    }
}

/// Draws the live table until the filter is gone.
async fn show(instance: &Instance, state: &Path, notices: &[String]) -> Result<End> {
    let mut shown = None;
    output::print(|out| live::make_room(out, Terminal::stdout()))?;
    let mut ticks = time::interval(DRAWN_EVERY);
    // Where reading takes long, seconds are skipped rather than made up for.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(filter) = opened(instance)? else {
            return Ok(End::DetachedElsewhere);
        };
        // The lists may be long: they are counted where something has changed.
        let settings = filter.settings()?;
        let status = match shown.take() {
            Some((before, status)) if before == settings => status,
            _ => Status::read(instance, &filter, state)?,
        };
        let snapshot = Snapshot::read(instance, &filter)?;
        output::print(|out| live::draw(out, &snapshot, &status, notices, Terminal::stdout()))?;
        shown = Some((settings, status));
    }
}

/// Logs what was counted each minute, if it was anything, until the filter is gone.
async fn log_changes(instance: &Instance) -> Result<End> {
    let mut logged = Totals::new(&Filter::open(instance)?.totals()?);
    let mut ticks = time::interval_at(time::Instant::now() + LOGGED_EVERY, LOGGED_EVERY);
    loop {
        ticks.tick().await;
        let Some(filter) = opened(instance)? else {
            return Ok(End::DetachedElsewhere);
        };
        let totals = Totals::new(&filter.totals()?);
        if totals != logged {
            let minute = summary(&totals.since(&logged));
            log::info!("{minute} in {} s", LOGGED_EVERY.as_secs());
            logged = totals;
        }
    }
}

/// Totals in one line.
fn summary(totals: &Totals) -> String {
    format!(
        "{} packets, {} of scanners, {} dropped, {} would have been dropped",
        thousands(totals.packets),
        thousands(totals.scanner),
        thousands(totals.dropped),
        thousands(totals.would_drop)
    )
}
