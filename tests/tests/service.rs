//! `run` as a service: what it tells the manager that has started it, what its unit says, and which of
//! root's capabilities it keeps.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::net::UnixDatagram,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use sip_filter_tests::{
    configuration::Configuration,
    http::Client,
    messages::SVMAP,
    namespace::{FILTERED, Folder, Link, SCANNER, SERVER},
    process::{self, Finished, Running},
    sip_filter::{self, SipFilter, in_each_mode},
};

/// How long `run` may take to attach, or to attach again.
const PATIENCE: Duration = Duration::from_secs(60);

/// How soon it is to give a sign of life.
const WATCHDOG: Duration = Duration::from_millis(400);

/// A service manager, as far as sd_notify(3) goes.
struct Manager {
    folder: Folder,
    socket: UnixDatagram,
}

impl Manager {
    fn new() -> Self {
        let folder = Folder::new();
        let socket = UnixDatagram::bind(folder.path().join("notify"));
        let socket = socket.unwrap_or_else(|error| panic!("{error}"));
        Self { folder, socket }
    }

    /// Starts what it is to hear of.
    fn start(&self, link: &Link, service: &Command) -> Running {
        let mut command = link.server.command("sh");
        command
            .args(["-c", r#"WATCHDOG_PID=$$ exec "$0" "$@""#])
            .arg(service.get_program())
            .args(service.get_args())
            .env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string())
            .env("NOTIFY_SOCKET", self.folder.path().join("notify"));
        Running::start(command)
    }

    /// Hears what it is told until one of the messages has all of these.
    fn hear(&self, parts: &[&str], within: Duration) -> String {
        let end = Instant::now() + within;
        let mut heard = Vec::new();
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let message = match left.is_zero() {
                true => None,
                false => self.next(left),
            };
            let Some(message) = message else {
                panic!("no message with {parts:?} within {within:?}, but {heard:?}")
            };
            if parts.iter().all(|part| message.contains(part)) {
                return message;
            }
            heard.push(message);
        }
    }

    fn next(&self, within: Duration) -> Option<String> {
        let mut message = [0; 4096];
        let waits = self.socket.set_read_timeout(Some(within));
        waits.unwrap_or_else(|error| panic!("{error}"));
        let length = self.socket.recv(&mut message).ok()?;
        Some(String::from_utf8_lossy(&message[..length]).into_owned())
    }
}

#[test]
fn the_service_manager_is_told_what_run_does() {
    let link = Link::new();
    let filter = SipFilter::new(&link.server);
    let manager = Manager::new();
    let configuration = Configuration::new("drop = []");
    let line = format!("run -i {FILTERED} {}", configuration.option());
    let running = manager.start(&link, &filter.command(line.split(' ')));

    manager.hear(&["READY=1\n", "STATUS=monitoring"], PATIENCE);
    let program = link.server.xdp_program(FILTERED);
    assert!(program.is_some(), "ready before the filter is attached");

    let alive = || manager.hear(&["WATCHDOG=1\n", "STATUS=1 packets, 1 of"], 4 * WATCHDOG);
    let scanner = link.outside.udp_socket(SCANNER);
    let sent = scanner.send_to(SVMAP, (SERVER, 5060));
    assert!(sent.is_ok(), "{sent:?}");
    let begun = Instant::now();
    for _ in 0..5 {
        alive();
    }
    let lasted = begun.elapsed();
    assert!(lasted < 5 * WATCHDOG, "five signs of life in {lasted:?}");

    configuration.say("drop = ['scanners']");
    running.signal(libc::SIGHUP);
    manager.hear(&["RELOADING=1\n", "MONOTONIC_USEC="], PATIENCE);
    manager.hear(&["READY=1\n", "STATUS=dropping scanners"], PATIENCE);

    configuration.say("drop = ['scaners']");
    running.signal(libc::SIGHUP);
    manager.hear(&["RELOADING=1\n"], PATIENCE);
    manager.hear(&["READY=1\n", "cannot be used"], PATIENCE);
    alive();

    running.signal(libc::SIGTERM);
    manager.hear(&["STOPPING=1"], PATIENCE);
    running.finish(PATIENCE).successful();
    filter.assert_absent();
}

#[test]
fn what_cannot_be_attached_is_never_ready() {
    let link = Link::new();
    let filter = SipFilter::new(&link.server);
    let manager = Manager::new();
    let running = manager.start(&link, &filter.command(["run", "-i", "no-such-if"]));
    assert!(!running.finish(PATIENCE).status.success());
    assert_eq!(manager.next(Duration::from_millis(100)), None);
}

/// The unit, as it comes with the source.
const UNIT: &str = include_str!("../../sip-filter/packaging/sip-filter.service");

/// The capabilities that the unit leaves.
fn left_by_the_unit() -> BTreeSet<&'static str> {
    let left = UNIT
        .lines()
        .find_map(|line| line.strip_prefix("CapabilityBoundingSet="));
    let Some(left) = left else {
        panic!("the unit says nothing of capabilities")
    };
    left.split(' ').collect()
}

/// The same as setpriv(1) takes them, and no others.
fn for_setpriv() -> String {
    let left = left_by_the_unit().into_iter();
    let left = left.map(|name| name.to_lowercase().replace("cap_", ",+"));
    format!("-all{}", left.collect::<String>())
}

/// A command of the loader with the capabilities alone that the unit leaves it.
fn confined(link: &Link, command: &Command) -> Command {
    let mut confined = link.server.command("setpriv");
    confined
        .args(["--no-new-privs", "--bounding-set", &for_setpriv()])
        .arg(command.get_program())
        .args(command.get_args());
    confined
}

#[test]
fn what_the_unit_leaves_of_root_is_enough() {
    in_each_mode(enough_is_left_of_root);
}

fn enough_is_left_of_root(mode: &str) {
    let link = Link::new();
    let filter = SipFilter::new(&link.server);
    let command = |line: &str| confined(&link, &filter.command(line.split(' ')));
    let succeed = |line: &str| -> Finished { process::run(command(line), PATIENCE).successful() };
    let line = format!("run -i {FILTERED} --mode {mode} --keep --drop scanners --http 9060");
    let mut running = Running::start(command(&line));
    running.wait_until("it was attached", PATIENCE, |running| {
        running.stderr().contains("dropping scanners")
    });
    let client = Client::new(&link.server, "127.0.0.1:9060");
    client.wait();
    for path in ["/metrics", "/healthz", "/api/v1/stats", "/api/v1/status"] {
        assert_eq!(client.get(path).status, 200, "{path}");
    }
    succeed("block add 203.0.113.0/24");
    succeed("reload");
    for line in ["stats", "block list", "config show"] {
        succeed(line);
    }
    let status = succeed("status").stdout;
    assert!(status.contains(&format!(", {mode}, program")), "{status}");
    running.signal(libc::SIGTERM);
    let kept = running.finish(PATIENCE).successful();
    assert!(kept.stderr.contains("stays attached"), "{kept}");
    succeed("detach");
    filter.assert_absent();
}

/// The user that everybody is who is nobody else.
const NOBODY: u32 = 65_534;

/// A command of the loader as a user who has these capabilities alone.
fn as_nobody_with_capabilities(link: &Link, program: &Path, command: &Command) -> Command {
    let mut confined = link.server.command("setpriv");
    let (user, kept) = (NOBODY.to_string(), for_setpriv());
    for option in ["--reuid", "--regid"] {
        confined.args([option, &user]);
    }
    for option in ["--bounding-set", "--inh-caps", "--ambient-caps"] {
        confined.args([option, &kept]);
    }
    confined
        .arg("--clear-groups")
        .arg(program)
        .args(command.get_args());
    confined
}

/// What a process may do, thread by thread: the lines of /proc/PID/status about it, without their
/// names.
fn privileges(process: u32, field: &str) -> BTreeSet<String> {
    let tasks = fs::read_dir(format!("/proc/{process}/task"));
    let tasks = tasks.unwrap_or_else(|error| panic!("{error}")).flatten();
    let value = |status: String| {
        let mut lines = status.lines();
        let value = lines.find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        value.map(|value| value.trim().to_owned())
    };
    tasks
        .filter_map(|task| fs::read_to_string(task.path().join("status")).ok())
        .filter_map(value)
        .collect()
}

#[test]
fn run_keeps_what_attaching_again_takes_and_nothing_else() {
    let link = Link::new();
    let folder = Folder::new();
    let program = sip_filter::binary_for_everybody(&folder);
    for is_root in [true, false] {
        let filter = SipFilter::new(&link.server);
        let command = |line: &str| {
            let command = filter.command(line.split(' '));
            match is_root {
                true => command,
                false => as_nobody_with_capabilities(&link, &program, &command),
            }
        };
        if !is_root {
            let own = std::os::unix::fs::chown(filter.state(), Some(NOBODY), Some(NOBODY));
            own.unwrap_or_else(|error| panic!("{error}"));
        }
        let configuration = Configuration::new("drop = []");
        let line = format!("run -i {FILTERED} {}", configuration.option());
        let mut running = Running::start(command(&line));
        let said = |running: &mut Running, what: &str| {
            running.wait_until(what, PATIENCE, |running| running.stderr().contains(what));
        };
        said(&mut running, "every other capability is given up");
        let kept = running.stderr();
        let kept = kept.lines().find_map(|line| line.split_once("keeps "));
        let (kept, _) = kept
            .and_then(|(_, line)| line.split_once(", to load"))
            .unwrap_or_else(|| panic!("{}", running.stderr()));
        assert_eq!(
            kept.split(", ").collect::<BTreeSet<_>>(),
            left_by_the_unit()
        );

        // CAP_NET_ADMIN, CAP_PERFMON, CAP_BPF (linux/capability.h).
        let kept = format!("{:016x}", 1_u64 << 12 | 1 << 38 | 1 << 39);
        for field in ["CapEff", "CapPrm", "CapBnd"] {
            assert_eq!(
                privileges(running.id(), field),
                [kept.clone()].into(),
                "{field}"
            );
        }
        for field in ["CapInh", "CapAmb"] {
            assert_eq!(
                privileges(running.id(), field),
                ["0".repeat(16)].into(),
                "{field}"
            );
        }
        assert_eq!(
            privileges(running.id(), "NoNewPrivs"),
            ["1".to_owned()].into()
        );

        link.delete();
        said(&mut running, "attached to no interface");
        link.create();
        link.take_up();
        said(&mut running, "is back; attached in native mode");
        configuration.say("drop = ['scanners']\nlists.block = ['203.0.113.0/24']");
        running.signal(libc::SIGHUP);
        said(&mut running, "signatures read again; dropping scanners");
        process::run(command("block add 203.0.113.9"), PATIENCE).successful();
        process::run(command("reload"), PATIENCE).successful();
        running.signal(libc::SIGTERM);
        running.finish(PATIENCE).successful();
        filter.assert_absent();
    }
}
