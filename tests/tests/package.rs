//! The Debian package in a clean Debian: installed, run, upgraded under probes, removed and purged, by
//! hand and by its service, where systemd runs. `cargo xtask dist --test` makes the packages and the
//! system, and starts this.

use std::{
    env,
    ffi::OsStr,
    fs,
    net::UdpSocket,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use sip_filter_tests::{
    messages::SVMAP,
    namespace::{Bpffs, FILTERED, Folder, Link, SCANNER, SERVER},
    process::{self, Finished, Running},
};

/// The configuration that comes with the package.
const CONFIGURATION: &str = "etc/sip-filter/config.toml";

/// How long dpkg, or a command of the loader, may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What enters a system: its own mounts, which go with the command, and its own root.
const ENTER: &str = r#"
set -e
root=$1 bpffs=$2
shift 2
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount --bind "$bpffs" "$root/sys/fs/bpf"
exec chroot "$root" "$@"
"#;

/// What boots a system, with namespaces of its own for all but the network.
const BOOT: &str = r#"
set -e
root=$1 bpffs=$2
mount --make-rprivate /
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/dev"
for device in null zero full random urandom tty; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
ln -s /proc/self/fd "$root/dev/fd"
ln -s pts/ptmx "$root/dev/ptmx"
mount --bind "$bpffs" "$root/sys/fs/bpf"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mkdir "$root/run/old"
cd "$root"
pivot_root . run/old
umount --lazy /run/old
export container=test
exec /lib/systemd/systemd --system --unit=basic.target --log-target=console --show-status=no
"#;

/// What dpkg itself writes down, and whatever is only there while something runs.
const NOT_THE_PACKAGES: [&str; 5] = [
    "var/lib/dpkg",
    "var/log/dpkg.log",
    "var/cache/ldconfig",
    "packages",
    "run",
];

/// A clean Debian with a network interface of its own.
struct System<'a> {
    link: &'a Link,
    root: Folder,
    bpffs: Bpffs,
    /// Its first process, while it is booted: `unshare`, which ends it when it ends.
    booted: Option<Running>,
}

impl<'a> System<'a> {
    /// One with the packages in `/packages`.
    fn new(link: &'a Link, packages: &[PathBuf]) -> Self {
        let root = Folder::new();
        let mut tar = Command::new("tar");
        tar.args(["--extract", "--numeric-owner", "--file"])
            .arg(handed_over("SIP_FILTER_PACKAGE_ROOT"))
            .arg("--directory")
            .arg(root.path());
        process::run(tar, PATIENCE).successful();
        let folder = root.path().join("packages");
        if let Err(error) = fs::create_dir(&folder) {
            panic!("cannot make {folder:?}: {error}");
        }
        for package in packages {
            let copied = fs::copy(package, folder.join(file_name(package)));
            copied.unwrap_or_else(|error| panic!("{package:?}: {error}"));
        }
        Self {
            link,
            root,
            bpffs: Bpffs::new(),
            booted: None,
        }
    }

    /// Starts systemd in it, and waits until it is ready.
    fn boot(&mut self) {
        let mut unshare = self.link.server.command("unshare");
        unshare
            .args([
                "--pid",
                "--mount",
                "--uts",
                "--ipc",
                "--cgroup",
                "--fork",
                "--kill-child",
            ])
            .args(["sh", "-c", BOOT, "sh"])
            .args([self.root.path(), self.bpffs.path()]);
        let mut booted = Running::start(unshare);
        // The manager listens once all is mounted.
        let listens = |booted: &Running| {
            let root = Path::new("/proc").join(first_child(booted)).join("root");
            root.join("run/systemd/private").exists()
        };
        booted.wait_until("systemd listens", PATIENCE, listens);
        self.booted = Some(booted);
        self.succeed("systemctl is-system-running --wait");
    }

    /// A command in it, its words separated by blanks.
    fn command(&self, line: &str) -> Command {
        let mut command = match &self.booted {
            Some(booted) => {
                let mut nsenter = self.link.server.command("nsenter");
                nsenter.args(["--all", "--target", &first_child(booted)]);
                nsenter
            }
            None => {
                let mut unshare = self.link.server.command("unshare");
                unshare
                    .args(["--mount", "sh", "-c", ENTER, "sh"])
                    .args([self.root.path(), self.bpffs.path()]);
                unshare
            }
        };
        command
            .args(line.split(' '))
            .env_remove("RUST_LOG")
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("DEBIAN_FRONTEND", "noninteractive");
        command
    }

    fn succeed(&self, line: &str) -> Finished {
        process::run(self.command(line), PATIENCE).successful()
    }

    fn install(&self, package: &Path) -> Finished {
        self.succeed(&format!("dpkg --install /packages/{}", file_name(package)))
    }

    /// How dpkg calls the package's version and state.
    fn state(&self) -> String {
        let line = "dpkg-query --showformat=${Version},${Status} --show sip-filter";
        self.succeed(line).stdout
    }

    /// Packets dropped so far. Read in a flood, the counts need not agree with each other.
    fn dropped(&self) -> u64 {
        let printed = self.succeed("sip-filter stats --format json").stdout;
        let stats = serde_json::from_str::<serde_json::Value>(&printed);
        let dropped = stats.map(|stats| stats["totals"]["dropped"].as_u64());
        match dropped {
            Ok(Some(dropped)) => dropped,
            other => panic!("{other:?}: {printed}"),
        }
    }

    fn program(&self) -> Option<u64> {
        self.link.server.xdp_program(FILTERED)
    }

    /// Every file and folder that dpkg does not keep for itself, sorted.
    fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let mut folders = vec![self.root.path().to_owned()];
        while let Some(folder) = folders.pop() {
            let listed = fs::read_dir(&folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
            for entry in listed.unwrap_or_else(|error| panic!("{folder:?}: {error}")) {
                let path = entry.path();
                let inside = path.strip_prefix(self.root.path());
                let inside = inside.unwrap_or(&path).to_owned();
                if NOT_THE_PACKAGES
                    .iter()
                    .any(|other| inside.starts_with(other))
                {
                    continue;
                }
                if entry.file_type().is_ok_and(|file| file.is_dir()) {
                    folders.push(path);
                }
                files.push(inside);
            }
        }
        files.sort();
        files
    }

    /// Has the configuration that came with the package name the interface, and drop.
    fn configure(&self) -> String {
        let configured = self
            .configuration()
            .replace(
                "#interfaces = [\"eth0\"]",
                &format!("interfaces = [\"{FILTERED}\"]"),
            )
            .replace("drop = []", "drop = [\"scanners\"]");
        self.write_configuration(&configured);
        configured
    }

    fn configuration(&self) -> String {
        let path = self.root.path().join(CONFIGURATION);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"))
    }

    fn write_configuration(&self, text: &str) {
        let path = self.root.path().join(CONFIGURATION);
        let written = fs::write(&path, text);
        written.unwrap_or_else(|error| panic!("{path:?}: {error}"));
    }

    /// Has the service say this, too.
    fn extend_service(&self, line: &str) {
        let folder = self
            .root
            .path()
            .join("etc/systemd/system/sip-filter.service.d");
        let name = line.split_once('=').map_or(line, |(key, _)| key);
        let written = fs::create_dir_all(&folder).and_then(|()| {
            fs::write(
                folder.join(format!("{name}.conf")),
                format!("[Service]\n{line}\n"),
            )
        });
        written.unwrap_or_else(|error| panic!("{folder:?}: {error}"));
        self.succeed("systemctl daemon-reload");
    }

    /// Nothing of the filter is in the kernel.
    fn assert_unfiltered(&self) {
        assert_eq!(self.program(), None, "a program is attached to {FILTERED}");
        let pins = self.bpffs.entries();
        assert!(pins.is_empty(), "pinned: {pins:?}");
    }

    fn has(&self, path: &str) -> bool {
        self.root.path().join(path).exists()
    }
}

impl Drop for System<'_> {
    fn drop(&mut self) {
        // What a service has to say is in there alone.
        if thread::panicking() && self.booted.is_some() {
            for line in [
                "systemctl --no-pager status sip-filter.service",
                "journalctl --no-pager",
            ] {
                if let Ok(said) = self.command(line).output() {
                    eprintln!("{}", String::from_utf8_lossy(&said.stdout));
                }
            }
        }
    }
}

/// What `cargo xtask dist --test` hands over.
fn handed_over(variable: &str) -> String {
    match env::var(variable) {
        Ok(value) => value,
        Err(_) => panic!("{variable} is not set: start this as `cargo xtask dist --test`"),
    }
}

/// The package, and one of a later version.
fn packages() -> [PathBuf; 2] {
    let packages = handed_over("SIP_FILTER_PACKAGES");
    match packages.split_once(':') {
        Some((package, later)) => [package.into(), later.into()],
        None => panic!("two packages, and not {packages}"),
    }
}

/// The process id of the first child, in the namespace of this process; nothing where there is none.
fn first_child(parent: &Running) -> String {
    let id = parent.id();
    let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
    let children = children.unwrap_or_default();
    children.split(' ').next().unwrap_or_default().to_owned()
}

fn file_name(path: &Path) -> &str {
    match path.file_name().and_then(OsStr::to_str) {
        Some(name) => name,
        None => panic!("{path:?} has no name"),
    }
}

/// Sends probes while something is done, and gives how many came through to the server, and what was
/// done.
fn under_probes<T>(link: &Link, work: impl FnOnce() -> T) -> (u64, T) {
    let server = link.server.inside(|| UdpSocket::bind((SERVER, 5060)));
    let server = server.unwrap_or_else(|error| panic!("{SERVER}: {error}"));
    let waits = server.set_read_timeout(Some(Duration::from_millis(300)));
    waits.unwrap_or_else(|error| panic!("{error}"));
    let scanner = link.outside.udp_socket(SCANNER);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let flood = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                for _ in 0..10 {
                    let _ = scanner.send_to(SVMAP, (SERVER, 5060));
                }
                thread::sleep(Duration::from_millis(1));
            }
        });
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        done.store(true, Ordering::Relaxed);
        let _ = flood.join();
        let mut passed = 0;
        while server.recv(&mut [0; 4096]).is_ok() {
            passed += 1;
        }
        match outcome {
            Ok(outcome) => (passed, outcome),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

#[test]
#[ignore = "needs the packages that `cargo xtask dist --test` makes"]
fn a_package_comes_runs_is_upgraded_and_leaves_nothing() {
    let link = Link::new();
    let [package, later] = packages();
    let system = System::new(&link, &[package.clone(), later.clone()]);
    let clean = system.files();

    // Installed, it needs nothing, is whole, and starts nothing.
    let installed = system.install(&package);
    assert_eq!(installed.stderr, "", "{installed}");
    system.succeed("dpkg --verify sip-filter");
    for file in [
        CONFIGURATION,
        "usr/lib/systemd/system/sip-filter@.service",
        "usr/share/man/man8/sip-filter-run.8.gz",
        "usr/share/bash-completion/completions/sip-filter",
        "usr/share/sip-filter/grafana/sip-filter.json",
        "usr/share/sip-filter/prometheus/sip-filter.rules.yml",
    ] {
        assert!(system.has(file), "{file} is not there");
    }
    system.assert_unfiltered();
    let refused = process::run(system.command("sip-filter run"), PATIENCE);
    assert!(
        refused.stderr.contains("no interface is named"),
        "{refused}"
    );

    // It runs as the service would, configured by the file that came with it.
    let configured = system.configure();
    let line = "sip-filter run --keep --name default --config /etc/sip-filter/config.toml";
    let mut running = Running::start(system.command(line));
    running.wait_until("it was attached", PATIENCE, |running| {
        running.stderr().contains("attached in")
    });
    system.succeed("sip-filter block add 203.0.113.0/24");

    // An upgrade replaces the program, and lets nothing through meanwhile.
    let before = system.program();
    let (passed, (counted, upgraded)) = under_probes(&link, || {
        while system.dropped() == 0 {
            thread::sleep(Duration::from_millis(10));
        }
        let counted = system.dropped();
        (counted, system.install(&later))
    });
    assert_eq!(passed, 0, "probes came through during the upgrade");
    assert!(system.state().contains("+later,install ok installed"));
    let now = system.program();
    assert!(now.is_some() && now != before, "{before:?}: {upgraded}");
    assert!(system.dropped() > counted, "counters were lost");
    assert!(running.is_running());
    assert_eq!(
        system.configuration(),
        configured,
        "the upgrade has changed the configuration"
    );

    // It outlives the process, and goes with the package; what was configured and listed stays.
    running.signal(libc::SIGTERM);
    running.finish(PATIENCE).successful();
    assert_eq!(system.program(), now);
    system.succeed("dpkg --remove sip-filter");
    system.assert_unfiltered();
    assert!(system.has(CONFIGURATION) && system.has("var/lib/sip-filter"));
    assert!(!system.has("usr/sbin/sip-filter"));

    // Installed once more, it has what it had; purged, nothing is left.
    system.install(&later);
    let listed = system.succeed("sip-filter block list");
    assert!(listed.stdout.contains("203.0.113.0/24"), "{listed}");
    system.succeed("sip-filter attach");
    system.succeed("dpkg --purge sip-filter");
    system.assert_unfiltered();
    assert_eq!(system.files(), clean);
}

#[test]
#[ignore = "needs the packages that `cargo xtask dist --test` makes"]
fn the_service_restarts_without_a_gap_and_stops_whole() {
    let link = Link::new();
    let [package, later] = packages();
    let mut system = System::new(&link, &[package.clone(), later.clone()]);
    system.boot();
    system.install(&package);
    let clean_but_for_it = || process::run(system.command("systemctl --failed --quiet"), PATIENCE);
    assert_eq!(clean_but_for_it().stdout, "");
    system.assert_unfiltered();
    let unit = |verb: &str| system.succeed(&format!("systemctl {verb} sip-filter.service"));
    let shown = |property: &str| {
        let line = format!("systemctl show --value --property {property} sip-filter.service");
        system.succeed(&line).stdout.trim().to_owned()
    };

    let units = "sip-filter.service sip-filter@edge.service \
                 sip-filter-pins.service sip-filter-pins@edge.service";
    let verified = system.succeed(&format!("systemd-analyze verify --man=no {units}"));
    assert_eq!(verified.stderr, "", "{verified}");
    system.configure();
    unit("enable");
    unit("start");
    let first = (shown("MainPID"), system.program());
    assert!(first.1.is_some(), "started before it was attached");
    assert!(
        shown("StatusText").contains("dropping scanners"),
        "{}",
        shown("StatusText")
    );

    // A restart, a crash, a reload and an upgrade each put another program in place.
    let (passed, ()) = under_probes(&link, || {
        let mut before = first.clone();
        let mut is_another = |done: &str, is_another_process: bool| {
            let now = (shown("MainPID"), system.program());
            assert!(now.1.is_some() && now.1 != before.1, "{done}: {now:?}");
            assert_eq!(
                now.0 != before.0,
                is_another_process,
                "{done}: {before:?}, {now:?}"
            );
            before = now;
        };
        unit("restart");
        is_another("restarted", true);
        unit("reload");
        is_another("reloaded", false);
        let killed = shown("MainPID");
        unit("kill --signal=KILL");
        let end = Instant::now() + PATIENCE;
        while shown("MainPID") == killed || shown("ActiveState") != "active" {
            assert!(system.program().is_some() && Instant::now() < end);
            thread::sleep(Duration::from_millis(100));
        }
        is_another("killed", true);
        system.install(&later);
        is_another("upgraded", true);
    });
    assert_eq!(passed, 0, "probes came through");
    assert!(system.dropped() > 0);

    // What cannot be used is refused aloud, and changes nothing.
    let configured = system.configuration();
    system.write_configuration("drop = [\"scaners\"]");
    let program = system.program();
    let refused = process::run(
        system.command("systemctl reload sip-filter.service"),
        PATIENCE,
    );
    assert!(!refused.status.success());
    assert_eq!(system.program(), program);
    system.write_configuration(&configured);

    unit("stop");
    system.assert_unfiltered();
    assert_eq!(shown("Result"), "success");

    // Also while it waits to be started again, having failed.
    unit("start");
    system.write_configuration("drop = [\"scaners\"]");
    unit("kill --signal=KILL");
    let waits_until = |what: &str, holds: &dyn Fn() -> bool| {
        let end = Instant::now() + PATIENCE;
        while !holds() {
            assert!(Instant::now() < end, "{what}: {}", shown("SubState"));
            thread::sleep(Duration::from_millis(100));
        }
    };
    waits_until("it waits", &|| shown("SubState") == "auto-restart");
    assert!(system.program().is_some(), "it is to go on until then");
    unit("stop");
    waits_until("it is taken off", &|| system.program().is_none());
    waits_until("nothing is pinned", &|| system.bpffs.entries().is_empty());
    system.write_configuration(&configured);

    // And where it has failed for good, which leaves the filter where it is.
    unit("start");
    system.extend_service("RestartPreventExitStatus=1");
    system.write_configuration("drop = [\"scaners\"]");
    unit("kill --signal=KILL");
    waits_until("it has failed", &|| shown("ActiveState") == "failed");
    assert!(system.program().is_some(), "it is to go on until then");
    unit("stop");
    waits_until("it is taken off", &|| system.program().is_none());
    waits_until("nothing is pinned", &|| system.bpffs.entries().is_empty());
    unit("reset-failed");

    // Who is in a group reads what the service counts, and nobody else.
    system.extend_service("SupplementaryGroups=adm");
    system.write_configuration(&format!("group = \"adm\"\n{configured}"));
    unit("start");
    unit("reload");
    let read_in = |group: &str| {
        let line =
            format!("setpriv --reuid nobody --regid {group} --clear-groups sip-filter stats");
        process::run(system.command(&line), PATIENCE)
    };
    read_in("adm").successful();
    let refused = read_in("nogroup");
    assert!(!refused.status.success(), "{refused}");
    system.write_configuration(&configured);

    // Taken off by hand, it is not attached again.
    system.succeed("sip-filter detach");
    waits_until("it has ended", &|| shown("ActiveState") == "inactive");
    assert_eq!(shown("Result"), "success");
    system.assert_unfiltered();

    // Another filter has its own file and its own pins.
    system.succeed("mv /etc/sip-filter/config.toml /etc/sip-filter/edge.toml");
    system.succeed("systemctl start sip-filter@edge.service");
    system.succeed("sip-filter status --name edge");
    system.succeed("systemctl stop sip-filter@edge.service");
    system.assert_unfiltered();
    system.succeed("mv /etc/sip-filter/edge.toml /etc/sip-filter/config.toml");

    unit("start");
    assert!(system.program().is_some());
    system.succeed("dpkg --purge sip-filter");
    system.assert_unfiltered();
    for left in ["etc/sip-filter", "var/lib/sip-filter"] {
        assert!(!system.has(left), "{left} is still there");
    }
    let link = "etc/systemd/system/multi-user.target.wants/sip-filter.service";
    assert!(system.root.path().join(link).symlink_metadata().is_err());
}
