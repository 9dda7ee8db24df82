//! What the other tests stand on, without a filter: the tools find what is there, the watch
//! sees what passes, and nothing is left behind.

use std::{
    fs,
    panic::{self, AssertUnwindSafe},
    path::Path,
    time::Duration,
};

use sip_filter_tests::{
    namespace::{Bpffs, FILTERED, Link, Namespace, OUTSIDE, SCANNER, SERVER, SERVER_IPV6},
    process::{self, Running},
    registrar::{self, Registrar},
    tools,
    watch::Watch,
};

#[test]
fn svmap_finds_the_registrar() {
    let bpffs = Bpffs::new();
    for (what, link, scan, address) in [
        ("over IPv4", Link::new(), "svmap", SERVER),
        ("over IPv6", Link::new(), "svmap -6", SERVER_IPV6),
        ("in compact mode", Link::new(), "svmap -c", SERVER),
        ("in a VLAN", Link::tagged(7, &bpffs), "svmap", SERVER),
    ] {
        let registrar = Registrar::start(&link.server, 5060);
        let found = tools::run(&link.outside, &format!("{scan} {address}"));
        assert!(tools::has_found(&found, registrar::NAME), "{what}: {found}");
        assert_eq!(registrar.answered(), 1, "{what}");
    }
}

#[test]
fn svwar_finds_the_extensions() {
    let link = Link::new();
    let _registrar = Registrar::start(&link.server, 5060);
    let found = tools::run(&link.outside, &format!("svwar -e100-105 {SERVER}"));
    for (extension, there) in [("100", false), ("101", true), ("103", false), ("104", true)] {
        assert_eq!(
            tools::has_found(&found, extension),
            there,
            "{extension}: {found}"
        );
    }
}

#[test]
fn svcrack_finds_a_password() {
    let link = Link::new();
    let _registrar = Registrar::start(&link.server, 5060);
    let found = tools::run(
        &link.outside,
        &format!("svcrack -u104 -r1000-1005 {SERVER}"),
    );
    assert!(tools::has_found(&found, "1001"), "{found}");
}

#[test]
fn calls_complete() {
    let link = Link::new();
    let _phone = tools::answer_calls(&link.server, 5062);
    tools::call(&link.outside, 5062, 3).successful();
}

#[test]
fn the_watch_sees_each_datagram_once_at_both_ends() {
    let bpffs = Bpffs::new();
    for (link, tagged) in [(Link::new(), false), (Link::tagged(7, &bpffs), true)] {
        let _registrar = Registrar::start(&link.server, 5060);
        let near = Watch::on(&link.outside, OUTSIDE);
        let far = Watch::on(&link.server, FILTERED);
        tools::run(&link.outside, &format!("svmap {SERVER}"));
        let near = near.finish();
        let far = far.finish();
        let [probe, answer] = near.as_slice() else {
            panic!("not two datagrams: {near:?}")
        };
        assert!(
            probe.sent && probe.source.ip().to_string() == SCANNER,
            "{probe:?}"
        );
        assert!(
            !answer.sent && answer.source.ip().to_string() == SERVER,
            "{answer:?}"
        );
        assert_eq!([probe.tagged, answer.tagged], [tagged; 2]);
        let [far_probe, far_answer] = far.as_slice() else {
            panic!("not two: {far:?}")
        };
        assert_eq!(
            [&far_probe.payload, &far_answer.payload],
            [&probe.payload, &answer.payload]
        );
        assert_eq!([far_probe.sent, far_answer.sent], [false, true]);
    }
}

#[test]
fn nothing_is_left_behind() {
    let (handle, process, mount) = {
        let namespace = Namespace::new();
        let bpffs = Bpffs::new();
        let mut sleep = namespace.command("sleep");
        sleep.arg("600");
        let sleep = Running::start(sleep);
        (
            Path::new("/run/netns").join(namespace.name()),
            sleep.id(),
            bpffs.path().to_owned(),
        )
    };
    assert!(!handle.exists(), "{handle:?} is still there");
    assert!(!mount.exists(), "{mount:?} is still there");
    let process = Path::new("/proc").join(process.to_string());
    assert!(!process.exists(), "{process:?} is still there");
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    assert!(
        !mounts.contains(&*mount.to_string_lossy()),
        "{mount:?} is still mounted"
    );
}

#[test]
fn a_program_that_takes_too_long_is_killed() {
    let namespace = Namespace::new();
    let mut sleep = namespace.command("sleep");
    sleep.arg("600");
    let started = Running::start(sleep);
    let process = Path::new("/proc").join(started.id().to_string());
    let ending = AssertUnwindSafe(|| started.finish(Duration::from_millis(50)));
    let ended = panic::catch_unwind(ending);
    assert!(ended.is_err(), "a sleep of ten minutes has ended");
    assert!(!process.exists(), "{process:?} is still there");
}

/// What the next run removes: the namespace and the mount of a process that was killed.
#[test]
fn a_killed_run_is_cleaned_up_after() {
    // So that this process has removed what it found before there is more to find.
    let _own = Namespace::new();
    // No process has this id: it is above what the kernel gives.
    let name = format!("sip-filter-test-{}-0", u32::MAX);
    process::set_up(&format!("ip netns add {name}"));
    let folder = std::env::temp_dir().join(&name);
    fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    process::set_up(&format!("mount -t bpf bpf {}", folder.display()));
    // Leftovers are removed once a process: so by another one.
    let this = std::env::current_exe().unwrap_or_else(|error| panic!("no path: {error}"));
    let mut another = std::process::Command::new(this);
    another.args(["--exact", "nothing_is_left_behind"]);
    process::run(another, process::SOON).successful();
    assert!(
        !Path::new("/run/netns").join(&name).exists(),
        "the namespace is still there"
    );
    assert!(!folder.exists(), "the mount is still there");
}
