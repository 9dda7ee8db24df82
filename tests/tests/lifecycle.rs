//! The bad night: interfaces that go away and come back, loaders that are killed, upgrades. The filter
//! goes on, nothing passes while it is said to be on, and nothing stays where it was taken off.

use std::{
    collections::HashSet,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use aya::{
    maps::{Array, Map, MapData, loaded_maps},
    programs::loaded_programs,
};
use serde_json::{Value, json};
use sip_filter_common::abi::{self, map};
use sip_filter_tests::{
    flood::{self, Sink},
    messages::SVMAP,
    mutation::Random,
    namespace::{FILTERED, Folder, Link, SCANNER, SERVER},
    process::{self, Finished, Running},
    rounds,
    sip_filter::{self, SipFilter},
    stats::Interface,
};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until the log says something for the `times`th time.
fn wait_for_log(running: &mut Running, line: &str, times: usize) {
    running.wait_until(line, PATIENCE, |running| {
        running.stderr().matches(line).count() >= times
    });
}

#[test]
fn interfaces_that_are_deleted_and_created_again_are_attached_again() {
    goes_and_comes_back("native", rounds(100));
}

#[test]
fn interfaces_at_tcx_that_are_deleted_and_created_again_are_attached_again() {
    goes_and_comes_back("tcx", rounds(5));
}

/// Deletes the interface of a `run` in this mode so often, and creates it again.
fn goes_and_comes_back(mode: &str, rounds: usize) {
    let link = Link::new();
    let sink = Sink::new(&link);
    let filter = SipFilter::in_mode(&link.server, mode);
    let mut running = filter.run("--drop scanners");
    let ((), sent) = flood::during(&link, || {
        let mut before = 0;
        for round in 1..=rounds {
            link.delete();
            wait_for_log(&mut running, "attached to no interface", round);
            assert!(filter.stats_under_load().interfaces.is_empty());
            link.create();
            wait_for_log(
                &mut running,
                &format!("{FILTERED}: is back; attached in {mode} mode"),
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

/// Which interface has the filter, in which mode.
fn modes(filter: &SipFilter<'_>) -> Vec<(String, String)> {
    let interfaces = filter.stats_under_load().interfaces.into_iter();
    let mut modes: Vec<_> = interfaces
        .map(|Interface { name, mode, .. }| (name, mode))
        .collect();
    modes.sort();
    modes
}

#[test]
fn beside_another_xdp_program_both_see_what_arrives_while_it_is_replaced() {
    let link = Link::new();
    let sink = Sink::new(&link);
    // Somebody's XDP program, which lets through all that it counts.
    let other = SipFilter::named(&link.server, "other");
    other.attach("--mode native");
    let beside = link.server.programs(FILTERED);
    let filter = SipFilter::in_mode(&link.server, "tcx");
    filter.attach("--drop scanners");
    let ((), sent) = flood::during(&link, || {
        for round in 0..rounds(6) {
            let before = link.server.programs(FILTERED);
            match round % 2 {
                0 => filter.attach("--drop scanners,malformed"),
                _ => drop(filter.succeed("reload")),
            }
            assert_eq!(modes(&filter), [(FILTERED.to_owned(), "tcx".to_owned())]);
            let [(xdp, tcx), (same, another)] =
                [before, link.server.programs(FILTERED)].map(|both| (both[0], both[1]));
            assert!(xdp == same && tcx != another, "{tcx} was not replaced");
        }
    });
    assert_eq!(sink.heard(), 0, "a probe has come through");
    let [at_xdp, at_tcx] = [&other, &filter].map(|filter| filter.stats().totals);
    println!("{sent:?}, {at_xdp:?}, {at_tcx:?}");
    assert!(at_tcx.packets > 0);
    assert_eq!(at_tcx.dropped, at_tcx.packets);
    assert_eq!([at_xdp.dropped, at_xdp.would_drop], [0, at_xdp.packets]);
    assert_eq!(
        [at_xdp.packets, at_xdp.bytes],
        [at_tcx.packets, at_tcx.bytes]
    );
    let status: Value = serde_json::from_str(&filter.succeed("status --format json"))
        .unwrap_or_else(|error| panic!("{error}"));
    let others = &status["attachments"][0]["others"];
    assert_eq!(others[0]["hook"], "xdp", "{status}");
    assert_eq!(
        others[0]["program_id"].as_u64(),
        Some(beside[0]),
        "{status}"
    );
    filter.detach();
    assert_eq!(link.server.programs(FILTERED), beside);
    assert!(!filter.pins().exists());
    let ((), _) = flood::during(&link, || thread::sleep(Duration::from_millis(50)));
    assert!(sink.heard() > 0, "the sink hears nothing");
    other.detach();
    other.assert_absent();
}

#[test]
fn what_it_lets_through_goes_on_to_the_other_programs_at_tcx() {
    let link = Link::new();
    let other = SipFilter::named(&link.server, "other");
    other.attach("--mode tcx");
    let filter = SipFilter::in_mode(&link.server, "tcx");
    let scanner = link.outside.udp_socket(SCANNER);
    let counted = || [&filter, &other].map(|filter| filter.stats().totals.packets);
    // It is the first to see a packet, whoever was there before.
    for (drop, both) in [("", [1, 1]), ("--drop scanners", [2, 1]), ("", [3, 2])] {
        filter.attach(drop);
        let sent = scanner.send_to(SVMAP, (SERVER, flood::PORT));
        assert!(sent.is_ok(), "{sent:?}");
        assert_eq!(counted(), both, "with {drop:?}");
    }
    filter.detach();
    assert_eq!(link.server.programs(FILTERED).len(), 1);
    other.detach();
    other.assert_absent();
}

#[test]
fn one_filter_may_be_at_xdp_here_and_at_tcx_there() {
    let link = Link::new();
    let filter = SipFilter::new(&link.server);
    link.server.ip("link add spare0 type veth peer name spare1");
    let mut running = filter.run("--mode native --drop scanners");
    filter.succeed("attach -i spare0 --mode tcx --drop scanners");
    let both = [FILTERED, "spare0"].map(ToOwned::to_owned);
    let both: Vec<_> = both
        .into_iter()
        .zip(["native".to_owned(), "tcx".to_owned()])
        .collect();
    assert_eq!(modes(&filter), both);
    let programs = || [FILTERED, "spare0"].map(|name| link.server.programs(name));
    let before = programs();
    filter.succeed("reload");
    let now = programs();
    for (before, now) in before.iter().zip(&now) {
        assert!(
            before.len() == 1 && now.len() == 1 && before != now,
            "{before:?}, {now:?}"
        );
    }
    // Each comes back as it was.
    link.server.ip("link delete spare0");
    wait_for_log(&mut running, "spare0: is gone", 1);
    link.server.ip("link add spare0 type veth peer name spare1");
    wait_for_log(&mut running, "spare0: is back; attached in tcx mode", 1);
    link.delete();
    wait_for_log(&mut running, &format!("{FILTERED}: is gone"), 1);
    link.create();
    let back = format!("{FILTERED}: is back; attached in native mode");
    wait_for_log(&mut running, &back, 1);
    assert_eq!(programs(), now, "another program than that in force");
    running.interrupt(PATIENCE).successful();
    filter.assert_absent();
    assert!(link.server.programs("spare0").is_empty());
}

#[test]
fn status_says_what_the_kernel_says() {
    let link = Link::new();
    let filter = SipFilter::new(&link.server);
    filter.attach("--drop scanners");
    let status = |options: &str| -> Value {
        let said = filter.succeed(&format!("status --format json {options}"));
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
    };
    let entries = |said: &Value, name: &str| {
        let mut maps = said["maps"].as_array().into_iter().flatten();
        let map = maps.find(|map| map["map"] == name).cloned();
        map.map(|map| {
            (
                map["entries"].as_u64(),
                map["at_most"].as_u64(),
                map["bytes"].as_u64() > Some(0),
            )
        })
    };
    let one = Some((Some(1), Some(65_536), true));
    let (said, _) = flood::during(&link, || {
        // A source is in the map a jiffy after its first packet.
        let tries = (0..10).map(|_| status("--rate"));
        let listed = |said: &Value| entries(said, "RECOGNISED") == one;
        let mut tries = tries.skip_while(|said| !listed(said));
        tries
            .next()
            .unwrap_or_else(|| panic!("no source in the map"))
    });
    let attachment = &said["attachments"][0];
    let program = link.server.xdp_program(FILTERED);
    assert_eq!(attachment["name"], FILTERED);
    assert_eq!(attachment["attached"], true);
    assert_eq!(attachment["mode"], "native");
    assert_eq!(attachment["program_id"].as_u64(), program);
    assert_eq!(said["program"]["id"].as_u64(), program);
    assert_eq!(attachment["others"], json!([]));
    let [since, loaded] = [&attachment["since"], &said["program"]["loaded_at"]];
    assert!(since.is_string() && loaded.is_string(), "{said}");
    let rate = |name: &str| said["rate"][name].as_f64().unwrap_or_default();
    assert!(
        rate("packets") > 1000.0 && rate("dropped") > 1000.0,
        "{said}"
    );
    assert_eq!(entries(&said, "COUNTS"), Some((None, Some(1), true)));

    // Taken off by a stranger, with the pins left where they are.
    filter.succeed("block add 192.0.2.1");
    link.delete();
    let said = status("");
    assert_eq!(said["attachments"][0]["attached"], false);
    assert_eq!(
        entries(&said, "LISTED").map(|(entries, ..)| entries),
        Some(Some(1))
    );
    let table = filter.succeed("status");
    assert!(table.contains("NOT attached"), "{table}");
    println!("{table}");
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
    assert_eq!(kept(&filter), Vec::<OsString>::new());
    // Nor does what it has left stay where the filter is taken off.
    filter.run("--drop scanners").kill();
    assert!(!kept(&filter).is_empty());
    filter.detach();
    filter.assert_absent();
    assert_eq!(kept(&filter), Vec::<OsString>::new());
}

/// What is in the folder of what filters were given.
fn kept(filter: &SipFilter<'_>) -> Vec<OsString> {
    let files = fs::read_dir(filter.state()).into_iter().flatten().flatten();
    files.map(|file| file.file_name()).collect()
}

#[test]
fn a_run_whose_filter_is_detached_ends_at_once_and_says_why() {
    /// Before it next looks for itself.
    const SOON: Duration = Duration::from_secs(30);
    let link = Link::new();
    let filter = SipFilter::new(&link.server);
    for again in [false, true] {
        let mut running = filter.run("");
        // From then on it listens.
        wait_for_log(&mut running, "is given up", 1);
        filter.detach();
        if again {
            filter.attach("");
        }
        let ended = running.finish(SOON);
        // No failure, or a service manager would attach it again.
        assert_eq!(ended.status.code(), Some(0), "{ended}");
        let is_told = ended.stderr.contains("was detached by another process");
        assert!(is_told, "{ended}");
        // What was attached since is not its to take off.
        assert_eq!(link.server.xdp_program(FILTERED).is_some(), again);
    }
    filter.detach();
    filter.assert_absent();
}

#[test]
fn an_interface_that_is_renamed_keeps_the_filter_and_its_name_is_free_for_another() {
    let link = Link::new();
    let filter = SipFilter::new(&link.server);
    let mut running = filter.run("--drop scanners");
    let attached = |name: &str| link.server.xdp_program(name).is_some();
    // From then on it listens.
    wait_for_log(&mut running, "attached in native mode", 1);
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

#[test]
fn nothing_passes_while_run_is_killed_and_upgraded() {
    let link = Link::new();
    let sink = Sink::new(&link);
    let filter = SipFilter::new(&link.server);
    // Another build, as far as anybody can tell.
    let folder = Folder::new();
    let another = sip_filter::binary_for_everybody(&folder);
    let upgrade = |line: String| {
        let mut command = filter.command(line.split_whitespace());
        let arguments: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
        command = link.server.command(&another);
        command.args(arguments);
        command
    };
    filter.attach("--drop scanners");
    let rounds = rounds(20);
    let ((), sent) = flood::during(&link, || {
        let mut before = filter.stats_under_load();
        let mut counts_on = || {
            let now = filter.stats_under_load();
            now.assert_no_less_than(&before);
            let [then, totals] = [&before, &now].map(|stats| stats.totals);
            assert!(
                totals.packets > then.packets && totals.dropped > then.dropped,
                "{totals:?} after {then:?}"
            );
            before = now;
        };
        for round in 0..rounds {
            let running = filter.run("--drop scanners");
            counts_on();
            if round % 2 == 0 {
                // Beside a run, and without one.
                process::run(
                    upgrade(format!("attach -i {FILTERED} --drop scanners,malformed")),
                    PATIENCE,
                )
                .successful();
            }
            running.kill();
            counts_on();
            process::run(
                upgrade(format!("attach -i {FILTERED} --drop scanners")),
                PATIENCE,
            )
            .successful();
            counts_on();
        }
    });
    let stats = filter.stats();
    println!(
        "{rounds} times: {sent:?}, {:.0} a second, {:?}",
        sent.rate(),
        stats.totals
    );
    assert_eq!(sink.heard(), 0, "a probe has come through");
    assert_eq!(stats.totals.dropped, stats.totals.packets);
    // A full queue loses packets before the filter sees them.
    assert!(stats.totals.packets > sent.probes / 2);
    filter.detach();
    filter.assert_absent();
}

#[test]
fn maps_of_another_layout_are_replaced_without_a_gap_and_what_is_lost_is_said() {
    let link = Link::new();
    let sink = Sink::new(&link);
    let filter = SipFilter::new(&link.server);
    filter.succeed(&format!("block add {SCANNER}"));
    filter.attach("");
    let pin = |name: &str| filter.pins().join(name);
    // As an older version would have left them.
    let of_another_version: [(&str, &dyn Fn()); 2] = [
        ("layout 1", &|| set_layout(&pin(map::SETTINGS), 1)),
        ("another layout", &|| {
            let other = MapData::from_pin(pin(map::PORTS));
            let other = other.unwrap_or_else(|error| panic!("{error}"));
            fs::remove_file(pin(map::BANS)).unwrap_or_else(|error| panic!("{error}"));
            other
                .pin(pin(map::BANS))
                .unwrap_or_else(|error| panic!("{error}"));
        }),
    ];
    let ((), sent) = flood::during(&link, || {
        for round in 0..rounds(8) {
            let counted = filter.stats_under_load().totals.packets;
            let (layout, make) = of_another_version[round % 2];
            make();
            let read = filter.attempt("stats");
            if round % 2 == 0 {
                let is_refused = read.stderr.contains("attach it again with this one");
                assert!(is_refused && !read.status.success(), "{read}");
            }
            let attached = filter
                .attempt(&format!("attach -i {FILTERED}"))
                .successful();
            for said in [
                &format!("counters of {layout} cannot be read"),
                "the lists are kept",
            ] {
                assert!(attached.stderr.contains(said), "{said}: {attached}");
            }
            let anew = filter.stats_under_load().totals.packets;
            println!("{layout}: {counted} packets, and then {anew}");
        }
    });
    assert_eq!(sink.heard(), 0, "a probe has come through");
    let stats = filter.stats();
    println!("{sent:?}, {:?}", stats.totals);
    assert_eq!(stats.reason("blocked"), stats.totals.packets);
    assert!(stats.totals.packets > 0 && stats.totals.packets < sent.probes);
    // Once is enough.
    let attached = filter
        .attempt(&format!("attach -i {FILTERED}"))
        .successful();
    assert!(!attached.stderr.contains("layout"), "{attached}");
    filter.detach();
    filter.assert_absent();
}

/// Has the settings be of another layout.
fn set_layout(pin: &Path, version: u32) {
    let settings = MapData::from_pin(pin).unwrap_or_else(|error| panic!("{error}"));
    let settings = Array::<_, abi::Settings>::try_from(Map::Array(settings));
    let mut settings = settings.unwrap_or_else(|error| panic!("{error}"));
    let now = settings
        .get(&0, 0)
        .unwrap_or_else(|error| panic!("{error}"));
    let then = abi::Settings { version, ..now };
    settings
        .set(0, then, 0)
        .unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn attached_and_detached_a_hundred_times_it_lets_nothing_through_and_leaves_nothing() {
    comes_and_goes("auto", rounds(100));
}

#[test]
fn attached_and_detached_at_tcx_it_lets_nothing_through_and_leaves_nothing() {
    comes_and_goes("tcx", rounds(10));
}

/// Attaches and detaches in this mode so often, in a flood.
fn comes_and_goes(mode: &str, rounds: usize) {
    let link = Link::new();
    let sink = Sink::new(&link);
    let filter = SipFilter::in_mode(&link.server, mode);
    let held = Held::by(&link);
    let counts_more_than = |before: u64| {
        let end = Instant::now() + PATIENCE;
        loop {
            let now = filter.stats_under_load().totals.packets;
            if now > before {
                return now;
            }
            assert!(Instant::now() < end, "it counts nothing after {before}");
        }
    };
    let ((), sent) = flood::during(&link, || {
        for round in 0..rounds {
            filter.attach("--drop scanners");
            // What was behind it already comes before the first one that it counts.
            let first = counts_more_than(0);
            let before = sink.heard_so_far();
            assert!(before > 0, "the sink heard nothing before round {round}");
            counts_more_than(first);
            assert_eq!(sink.heard_so_far(), 0, "a probe has come through");
            filter.detach();
        }
    });
    println!("{rounds} times: {sent:?}");
    filter.assert_absent();
    held.assert_nothing_is_left();
}

#[test]
fn whatever_a_killed_attach_or_detach_leaves_is_taken_off() {
    let link = Link::new();
    let filter = SipFilter::new(&link.server);
    let held = Held::by(&link);
    let mut random = Random::new(5);
    let mut left = 0;
    for round in 0..rounds(28) {
        // Half of them where nothing is attached, and half where something is.
        if round % 2 == 1 {
            filter.attach("");
        }
        let killed = match round % 4 {
            3 => filter.command(["detach"]),
            _ => filter.command(["attach", "-i", FILTERED, "--drop", "scanners"]),
        };
        let killed = Running::start(killed);
        let most = if round % 4 == 3 { 30 } else { 300 };
        thread::sleep(Duration::from_millis(random.below(most) as u64));
        killed.kill();
        left += usize::from(!filter.bpffs().entries().is_empty());
        assert_told(&link, &filter.attempt("status"));
        if round % 5 == 4 {
            // What is half done can be finished, too.
            filter.attach("--drop scanners");
        }
        filter.detach();
        filter.assert_absent();
    }
    println!("{left} of the killed ones left something");
    assert!(left > 0);
    held.assert_nothing_is_left();
}

#[test]
fn what_half_a_detach_has_left_is_not_counted_on() {
    let link = Link::new();
    let filter = SipFilter::new(&link.server);
    filter.attach("");
    let sent = link
        .outside
        .udp_socket(SCANNER)
        .send_to(SVMAP, (SERVER, flood::PORT));
    assert!(sent.is_ok(), "{sent:?}");
    assert_eq!(filter.stats().totals.packets, 1);
    // As far as a detach that was killed may have come: whatever it takes off comes in this order.
    let is_link = |pin: &PathBuf| pin.to_string_lossy().contains("link-");
    let entries = filter.bpffs().entries();
    let links = entries.into_iter().filter(is_link);
    for pin in links.chain([filter.pins().join(map::SETTINGS)]) {
        fs::remove_file(&pin).unwrap_or_else(|error| panic!("{pin:?}: {error}"));
    }
    assert_told(&link, &filter.attempt("status"));
    filter.attach("");
    assert_eq!(filter.stats().totals.packets, 0, "it goes on with a half");
    filter.detach();
    filter.assert_absent();
}

/// What `status` said is true, whatever state it has found.
fn assert_told(link: &Link, said: &Finished) {
    let known = ["interrupted", "is not attached"];
    let is_known = |said: &Finished| known.iter().any(|words| said.stderr.contains(words));
    assert!(said.status.success() || is_known(said), "{said}");
    let told = match link.server.xdp_program(FILTERED) {
        Some(program) if said.status.success() => format!("native, program {program})"),
        Some(_) => format!("it is on {FILTERED}"),
        None if said.status.success() => "nothing is filtered".to_owned(),
        None => String::new(),
    };
    let said_all = format!("{}{}", said.stdout, said.stderr);
    assert!(said_all.contains(&told), "not {told:?}: {said}");
}

/// The programs and maps of the filter that the kernel holds, on the filter's own account. A link holds
/// its program, so where that is gone, it is gone too.
struct Held<'a> {
    link: &'a Link,
    before: HashSet<(&'static str, u32)>,
}

impl<'a> Held<'a> {
    fn by(link: &'a Link) -> Self {
        let before = Self::now();
        Self { link, before }
    }

    /// Everything in the kernel that has a name of ours. Other tests have theirs at the same time.
    fn now() -> HashSet<(&'static str, u32)> {
        let programs = loaded_programs().flatten();
        let is_ours = |name: &str| name.starts_with(abi::PROGRAM);
        let programs = programs.filter(|program| program.name_as_str().is_some_and(is_ours));
        let maps = loaded_maps().flatten();
        // The kernel keeps 15 bytes of a name.
        let ours = |name: &str| map::PINNED.iter().any(|known| known.starts_with(name));
        let maps = maps.filter(|map| {
            map.name_as_str()
                .is_some_and(|name| !name.is_empty() && ours(name))
        });
        programs
            .map(|program| ("program", program.id()))
            .chain(maps.map(|map| ("map", map.id())))
            .collect()
    }

    /// Waits until the kernel holds nothing more than before. It frees what nobody holds a moment
    /// later, and other tests' come and go.
    fn assert_nothing_is_left(&self) {
        assert!(self.link.server.programs(FILTERED).is_empty());
        let end = Instant::now() + PATIENCE;
        let mut left = Self::now();
        left.retain(|one| !self.before.contains(one));
        while !left.is_empty() && Instant::now() < end {
            thread::sleep(Duration::from_millis(100));
            let now = Self::now();
            left.retain(|one| now.contains(one));
        }
        assert!(left.is_empty(), "left in the kernel: {left:?}");
    }
}
