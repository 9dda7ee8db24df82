//! The bad night: interfaces that go away and come back, loaders that are killed, upgrades. The filter
//! goes on, nothing passes while it is said to be on, and nothing stays where it was taken off.

use std::{env, thread, time::Duration};

use sip_filter_tests::{
    flood::{self, Sink},
    namespace::{FILTERED, Link},
    process::Running,
    sip_filter::SipFilter,
};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often to do what is done again and again: so many times, or as often as the environment says.
fn rounds(otherwise: usize) -> usize {
    let asked = env::var("SIP_FILTER_ROUNDS").ok();
    asked
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(otherwise)
}

/// Waits until the log says something for the `times`th time.
fn wait_for_log(running: &mut Running, line: &str, times: usize) {
    running.wait_until(line, PATIENCE, |running| {
        running.stderr().matches(line).count() >= times
    });
}

#[test]
fn interfaces_that_are_deleted_and_created_again_are_attached_again() {
    let link = Link::new();
    let sink = Sink::new(&link);
    let filter = SipFilter::new(&link.server);
    let mut running = filter.run("--drop scanners");
    let rounds = rounds(20);
    let ((), sent) = flood::during(&link, || {
        let mut before = 0;
        for round in 1..=rounds {
            link.delete();
            wait_for_log(&mut running, "attached to no interface", round);
            assert!(filter.stats_under_load().interfaces.is_empty());
            link.create();
            wait_for_log(
                &mut running,
                &format!("{FILTERED}: is back; attached in native mode"),
                round,
            );
            link.take_up();
            let dropped = || filter.stats_under_load().totals.dropped;
            running.wait_until("probes are dropped again", PATIENCE, |_| dropped() > before);
            before = dropped();
        }
    });
    let totals = filter.stats().totals;
    println!("{rounds} times: {sent:?}, {totals:?}");
    assert_eq!(sink.heard(), 0, "a probe has come through");
    assert_eq!(totals.dropped, totals.packets);
    running.interrupt(PATIENCE).successful();
    filter.assert_absent();
    let ((), _) = flood::during(&link, || thread::sleep(Duration::from_millis(50)));
    assert!(sink.heard() > 0, "the sink hears nothing");
}

#[test]
fn a_second_run_is_told_who_holds_the_filter_and_others_may_change_it() {
    let link = Link::new();
    let filter = SipFilter::new(&link.server);
    let running = filter.run("");
    let refused = filter.attempt(&format!("run -i {FILTERED} --drop scanners"));
    assert_eq!(refused.status.code(), Some(1), "{refused}");
    for said in [
        &format!("process {} since 20", running.id()),
        "run -i sip0",
        "--name",
    ] {
        assert!(refused.stderr.contains(said), "{said}: {refused}");
    }
    filter.attach("--drop options");
    filter.succeed("reload");
    running.kill();
    // Who was killed holds nothing.
    let running = filter.run("--drop scanners");
    running.interrupt(PATIENCE).successful();
    filter.assert_absent();
    let kept: Vec<_> = std::fs::read_dir(filter.state())
        .into_iter()
        .flatten()
        .flatten()
        .collect();
    assert!(kept.is_empty(), "kept: {kept:?}");
}

#[test]
fn an_interface_that_is_renamed_keeps_the_filter_and_its_name_is_free_for_another() {
    let link = Link::new();
    let filter = SipFilter::new(&link.server);
    let mut running = filter.run("--drop scanners");
    let attached = |name: &str| link.server.xdp_program(name).is_some();
    link.server.ip(&format!("link set {FILTERED} down"));
    wait_for_log(&mut running, "was taken down, and keeps the filter", 1);
    link.server.ip(&format!("link set {FILTERED} name other0"));
    wait_for_log(&mut running, "is called other0 now", 1);
    assert!(attached("other0"));
    let said = filter.succeed("status");
    assert!(said.contains("other0"), "{said}");
    link.server.ip("link delete other0");
    wait_for_log(&mut running, "attached to no interface", 1);
    link.create();
    wait_for_log(&mut running, &format!("{FILTERED}: is back"), 1);
    // What is in force now is in force there, and what was taken off is not attached again.
    filter.attach("");
    assert!(filter.succeed("status").contains("nothing"));
    link.server.ip("link add spare0 type veth peer name spare1");
    filter.succeed("attach -i spare0 --drop scanners");
    filter.succeed("detach -i spare0");
    link.server.ip("link delete spare0");
    link.server.ip("link add spare0 type veth peer name spare1");
    link.delete();
    wait_for_log(&mut running, "attached to no interface", 2);
    link.create();
    wait_for_log(&mut running, &format!("{FILTERED}: is back"), 2);
    assert!(!attached("spare0"));
    running.interrupt(PATIENCE).successful();
    filter.assert_absent();
}

#[test]
fn a_run_whose_interfaces_are_gone_ends_and_leaves_nothing() {
    let link = Link::new();
    for how in ["interrupt", "detach"] {
        let filter = SipFilter::new(&link.server);
        let mut running = filter.run("");
        link.delete();
        wait_for_log(&mut running, "attached to no interface", 1);
        assert!(
            !filter.bpffs().entries().is_empty(),
            "the counters are gone"
        );
        match how {
            "interrupt" => drop(running.interrupt(PATIENCE).successful()),
            _ => {
                filter.detach();
                running.kill();
            }
        }
        let pins = filter.bpffs().entries();
        assert!(pins.is_empty(), "pinned after {how}: {pins:?}");
        link.create();
        link.take_up();
    }
}
