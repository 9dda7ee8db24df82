//! Allow lists and block lists as operators use them: changed from another process while the filter
//! runs, kept across restarts and crashes, and replaced together with the program.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs,
    net::UdpSocket,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use aya::maps::{Array, Map, MapData};
use serde_json::Value;
use sip_filter::{
    config::{ports::Ports, signatures::Signatures},
    kernel::{self, Instance, Load, Mode, RunningLists},
    lists::{ConfigEntry, List, Writing},
};
use sip_filter_common::{abi::map, lists::ListFilter, verdict::DropSet};
use sip_filter_tests::{
    messages,
    namespace::{FILTERED, Folder, Link, PHONE, SCANNER, SCANNER_IPV6, SERVER, SERVER_IPV6},
    process::{self, Finished},
    sip_filter::SipFilter,
};

/// How long a packet may be on its way.
const ON_ITS_WAY: Duration = Duration::from_millis(300);
const PATIENCE: Duration = Duration::from_secs(60);

/// A server that hears what comes through, and who sends to it.
struct Line {
    link: Link,
    server: UdpSocket,
    server_ipv6: UdpSocket,
}

impl Line {
    fn new() -> Self {
        let link = Link::new();
        let listen = |address: &str| {
            let socket = link.server.inside(|| UdpSocket::bind((address, 5060)));
            let socket = socket.unwrap_or_else(|error| panic!("{address}: {error}"));
            let waits = socket.set_read_timeout(Some(ON_ITS_WAY));
            waits.unwrap_or_else(|error| panic!("{error}"));
            socket
        };
        let server = listen(SERVER);
        let server_ipv6 = listen(SERVER_IPV6);
        Self {
            link,
            server,
            server_ipv6,
        }
    }

    /// Whether a call from this address comes through.
    fn comes_through(&self, from: &str) -> bool {
        let (to, server) = match from.contains(':') {
            true => (SERVER_IPV6, &self.server_ipv6),
            false => (SERVER, &self.server),
        };
        let socket = self.link.outside.udp_socket(from);
        let sent = socket.send_to(messages::INVITE, (to, 5060));
        sent.unwrap_or_else(|error| panic!("{error}"));
        server.recv(&mut [0; 2048]).is_ok()
    }
}

/// What `block list` or `allow list` says.
fn listed(filter: &SipFilter<'_>, list: &str) -> Vec<Value> {
    let text = filter.succeed(&format!("{list} list --format json"));
    match serde_json::from_str(&text) {
        Ok(Value::Array(entries)) => entries,
        other => panic!("{other:?}: {text}"),
    }
}

/// The addresses of it.
fn addresses(filter: &SipFilter<'_>, list: &str) -> BTreeSet<String> {
    let text = |entry: &Value| entry["address"].as_str().map(str::to_owned);
    listed(filter, list).iter().filter_map(text).collect()
}

/// What an entry of the block list has dropped.
fn dropped(filter: &SipFilter<'_>, address: &str) -> Option<u64> {
    let entries = listed(filter, "block");
    let entry = entries.iter().find(|entry| entry["address"] == address);
    entry.and_then(|entry| entry["dropped"].as_u64())
}

/// `import` of a text.
fn import(filter: &SipFilter<'_>, list: &str, text: &str, options: &str) -> Finished {
    let folder = Folder::new();
    let path = folder.path().join("list.txt");
    if let Err(error) = fs::write(&path, text) {
        panic!("cannot write {}: {error}", path.display());
    }
    let words = format!("{list} import {} {options}", path.display());
    process::run(filter.command(words.split_whitespace()), PATIENCE)
}

fn instance(filter: &SipFilter<'_>) -> Instance {
    let instance = Instance::new(filter.bpffs().path(), "test");
    instance.unwrap_or_else(|error| panic!("{error:#}"))
}

/// Attaches with room for so many entries.
fn attach_with_room(filter: &SipFilter<'_>, entries: u32) {
    let path = filter.state().join("room.toml");
    let text = format!("[sizes]\nlists = {entries}\n");
    fs::write(&path, text).unwrap_or_else(|error| panic!("{error}"));
    filter.attach(&format!("--config {}", path.display()));
}

#[test]
fn what_is_listed_holds_from_the_next_packet_on() {
    let line = Line::new();
    let filter = SipFilter::new(&line.link.server);
    filter.attach("");
    for (address, prefix, wide) in [
        (SCANNER, "192.0.2.64/28", "192.0.2.0/24"),
        (SCANNER_IPV6, "2001:db8::/64", "2001:db8::/32"),
    ] {
        assert!(line.comes_through(address));
        // Removed by what it was added with, and only by that.
        for blocked in [address, prefix, wide] {
            filter.succeed(&format!("block add {blocked} --reason abuse"));
            assert!(!line.comes_through(address), "{blocked} was blocked");
            assert_eq!(dropped(&filter, blocked), Some(1));
            for allowed in [address, prefix, wide] {
                filter.succeed(&format!("allow add {allowed}"));
                assert!(
                    line.comes_through(address),
                    "{allowed} was allowed, {blocked} blocked"
                );
                filter.succeed(&format!("allow del {allowed}"));
            }
            assert!(!line.comes_through(address), "nothing is allowed any more");
            assert_eq!(dropped(&filter, blocked), Some(2));
            filter.succeed(&format!("block del {blocked}"));
            assert!(
                line.comes_through(address),
                "{blocked} is not blocked any more"
            );
        }
    }
    assert_eq!(addresses(&filter, "block"), BTreeSet::new());
    // What is not used any more is not asked.
    let pin = filter.pins().join(map::LIST_FILTER);
    let bits = MapData::from_pin(pin)
        .map(Map::Array)
        .and_then(Array::try_from);
    let bits: Array<_, ListFilter> = bits.unwrap_or_else(|error| panic!("no bits: {error}"));
    let bits = || bits.get(&0, 0).unwrap_or_else(|error| panic!("{error}"));
    assert!(bits() == ListFilter::EMPTY);
    // The longest of those that cover it is the one that counts.
    filter.succeed("block add 192.0.2.0/24 192.0.2.64/28 192.0.0.0/16");
    assert!(!line.comes_through(SCANNER));
    let counts = ["192.0.2.64/28", "192.0.2.0/24", "192.0.0.0/16"];
    assert_eq!(
        counts.map(|prefix| dropped(&filter, prefix)),
        [Some(1), Some(0), Some(0)]
    );
    assert!(!line.comes_through(PHONE));
    assert_eq!(
        counts.map(|prefix| dropped(&filter, prefix)),
        [Some(1), Some(1), Some(0)]
    );
}

#[test]
fn what_is_listed_survives_whatever_ends_the_filter() {
    let line = Line::new();
    let filter = SipFilter::new(&line.link.server);
    let done = filter
        .attempt("block add 192.0.2.64/28 2001:db8::66 --reason abuse")
        .successful();
    assert!(done.stderr.contains("takes effect when it is"), "{done}");
    filter.succeed("allow add 192.0.2.66 --reason trunk");
    let holds = || {
        line.comes_through(SCANNER)
            && line.comes_through(PHONE)
            && !line.comes_through(SCANNER_IPV6)
    };
    filter.attach("");
    assert!(holds(), "listed before it was attached");
    // Its counters are kept, whether its maps are too or not.
    assert_eq!(dropped(&filter, SCANNER_IPV6), Some(1));
    filter.attach("--drop scanners");
    assert!(holds(), "attached again");
    assert_eq!(dropped(&filter, SCANNER_IPV6), Some(2));
    filter.detach();
    assert_eq!(dropped(&filter, SCANNER_IPV6), None);
    filter.attach("");
    assert!(holds(), "detached and attached");
    let running = filter.run("");
    assert!(holds(), "adopted");
    running.kill();
    assert!(holds(), "left");
    let running = filter.run("");
    filter.succeed("block add 192.0.2.20");
    assert!(!line.comes_through(PHONE), "changed under `run`");
    running.interrupt(PATIENCE).successful();
    assert!(line.comes_through(SCANNER_IPV6), "nothing is attached");
    let _running = filter.run("");
    assert!(
        !line.comes_through(PHONE) && !line.comes_through(SCANNER_IPV6),
        "started again"
    );
    assert_eq!(listed(&filter, "allow")[0]["reason"], "trunk");
    assert_eq!(listed(&filter, "block").len(), 3);
}

#[test]
fn a_block_ends_without_the_loader() {
    let line = Line::new();
    let filter = SipFilter::new(&line.link.server);
    filter.attach("");
    filter.succeed("block add 192.0.2.0/24 2001:db8::/32 --ttl 5s");
    filter.succeed("block add 192.0.2.66 192.0.2.64/28 2001:db8::66 --ttl 3s --reason short");
    let started = Instant::now();
    assert!(!line.comes_through(SCANNER) && !line.comes_through(SCANNER_IPV6));
    assert_eq!(dropped(&filter, SCANNER), Some(1));
    thread::sleep(Duration::from_millis(3100).saturating_sub(started.elapsed()));
    // Shorter prefixes are uncovered, which last longer.
    assert!(!line.comes_through(SCANNER) && !line.comes_through(SCANNER_IPV6));
    assert_eq!(dropped(&filter, "192.0.2.0/24"), Some(1));
    thread::sleep(Duration::from_millis(5200).saturating_sub(started.elapsed()));
    assert!(line.comes_through(SCANNER) && line.comes_through(SCANNER_IPV6));
    let table = filter.succeed("block list");
    assert_eq!(table.matches("(expired)").count(), 5, "{table}");
    assert_eq!(filter.succeed("block export"), "");
    // The next change clears up, in the kernel too.
    let done = filter.succeed("block add 203.0.113.9");
    assert!(
        done.contains("1 address in both lists, 0 prefixes"),
        "{done}"
    );
    assert_eq!(
        addresses(&filter, "block"),
        ["203.0.113.9".to_owned()].into()
    );
    // Said again, it lasts as long as was said last.
    filter.succeed("block add 192.0.2.66 --ttl 1s");
    filter.succeed("block add 192.0.2.66");
    thread::sleep(Duration::from_millis(1100));
    assert!(!line.comes_through(SCANNER));
}

#[test]
fn what_is_around_many_that_have_expired_holds_as_long_as_it_is_there() {
    let line = Line::new();
    let filter = SipFilter::new(&line.link.server);
    filter.attach("");
    // As many as the program looks at, and one more around them that is added alone.
    let within = (24..=31).map(|length| format!("192.0.2.{}/{length}", 66 & !0 << (32 - length)));
    let within = within.collect::<Vec<_>>().join(" ");
    let expire = |started: Instant| {
        thread::sleep(Duration::from_millis(2200).saturating_sub(started.elapsed()));
    };
    let started = Instant::now();
    filter.succeed(&format!("block add {within} --ttl 2s"));
    filter.succeed("block add 192.0.2.0/23");
    expire(started);
    assert!(!line.comes_through(SCANNER));
    filter.succeed(&format!("block add {within} --ttl 2s"));
    let started = Instant::now();
    filter.succeed("block del 192.0.2.0/23");
    assert!(!line.comes_through(SCANNER));
    expire(started);
    assert!(line.comes_through(SCANNER));
}

#[test]
fn a_file_is_imported_whole_or_not_at_all() {
    let line = Line::new();
    let filter = SipFilter::new(&line.link.server);
    attach_with_room(&filter, 10);
    let good = "# a list\n192.0.2.66  # why\n\n2001:db8::/64 ; it is\n192.0.2.66\n";
    let done = import(&filter, "block", good, "--reason published").successful();
    assert!(done.stdout.contains("2 added"), "{done}");
    assert!(!line.comes_through(SCANNER) && !line.comes_through(SCANNER_IPV6));
    let done = import(&filter, "block", good, "").successful();
    assert!(
        done.stdout.contains("0 added, 2 were there already"),
        "{done}"
    );
    let exported = filter.succeed("block export");
    assert_eq!(exported, "192.0.2.66  # why\n2001:db8::/64  # it is\n");

    let many = |count: u32| {
        (0..count).fold(String::new(), |mut text, n| {
            let _ = writeln!(text, "203.0.113.{n}");
            text
        })
    };
    for (text, said) in [
        (
            "192.0.2.20\n\nphone\n",
            vec!["list.txt:3: `phone` is no address"],
        ),
        (
            "192.0.2.20\n192.0.2.1/24\nx\n",
            vec!["list.txt:2:", "192.0.2.0/24", "1 more line"],
        ),
        // With the one that is there.
        (
            &many(10),
            vec!["11 addresses", "than the 10", "sizes.lists"],
        ),
    ] {
        let refused = import(&filter, "block", text, "");
        assert_eq!(refused.status.code(), Some(1), "{refused}");
        for words in said.into_iter().chain(["nothing was changed"]) {
            assert!(refused.stderr.contains(words), "'{words}': {refused}");
        }
        assert_eq!(filter.succeed("block export"), exported);
        assert!(line.comes_through(PHONE));
    }
    import(&filter, "block", &many(9), "").successful();
    let prefixes: String = (0..11).map(|n| format!("10.{n}.0.0/16\n")).collect();
    let refused = import(&filter, "allow", &prefixes, "");
    assert!(refused.stderr.contains("11 allowed prefixes"), "{refused}");
    assert_eq!(addresses(&filter, "allow"), BTreeSet::new());

    let done = import(&filter, "block", "192.0.2.20\n", "--replace").successful();
    assert!(done.stdout.contains("1 added, 11 taken out"), "{done}");
    assert!(line.comes_through(SCANNER) && !line.comes_through(PHONE));
    let missing = filter.attempt("block import /no/such/file");
    assert!(missing.stderr.contains("/no/such/file"), "{missing}");
}

#[test]
fn what_is_not_there_cannot_be_taken_out() {
    let line = Line::new();
    let filter = SipFilter::new(&line.link.server);
    filter.attach("");
    filter.succeed("block add 192.0.2.66 192.0.2.20");
    let refused = filter.attempt("block del 192.0.2.20 192.0.2.0/24");
    assert_eq!(refused.status.code(), Some(1), "{refused}");
    assert!(
        refused
            .stderr
            .contains("not in the block list: 192.0.2.0/24;"),
        "{refused}"
    );
    assert!(!line.comes_through(PHONE), "the other one stays");

    let configured = |entries: &[(&str, &str)]| {
        let entries: Vec<_> = entries
            .iter()
            .map(|(prefix, place)| ConfigEntry {
                list: List::Block,
                prefix: prefix.parse().unwrap_or_else(|error| panic!("{error:#}")),
                until: None,
                reason: String::new(),
                place: (*place).to_owned(),
            })
            .collect();
        let set = || {
            let mut state = Writing::open(filter.state(), "test")?;
            let changes = state.set_config(&entries)?;
            sip_filter::lists::in_force(state, filter.state(), &instance(&filter))?;
            anyhow::Ok(changes)
        };
        set().unwrap_or_else(|error| panic!("{error:#}"))
    };
    let entries = [
        ("192.0.2.66", "config.toml:7"),
        ("2001:db8::66", "config.toml:8"),
    ];
    assert!(configured(&entries));
    assert!(!configured(&entries), "nothing has changed");
    assert!(!line.comes_through(SCANNER_IPV6));
    let refused = filter.attempt("block del 2001:db8::66");
    assert!(
        refused
            .stderr
            .contains("2001:db8::66 stands in config.toml:8"),
        "{refused}"
    );
    // In both, it stays until both have taken it out.
    filter.succeed("block del 192.0.2.66");
    assert!(!line.comes_through(SCANNER));
    assert!(configured(&[]));
    assert!(line.comes_through(SCANNER) && line.comes_through(SCANNER_IPV6));
    assert_eq!(addresses(&filter, "block"), [PHONE.to_owned()].into());
}

#[test]
fn what_the_configuration_lists_is_in_force_with_it() {
    let line = Line::new();
    let filter = SipFilter::new(&line.link.server);
    let folder = Folder::new();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap_or_else(|error| panic!("{error}"));
        path.display().to_string()
    };
    write("blocked.txt", "# published\n2001:db8::66  # abuse\n");
    let lists = "[lists]\nblock = [\"192.0.2.66\"]\nblock_files = [\"blocked.txt\"]\n";
    let config = write("config.toml", lists);
    filter.attach(&format!("--config {config}"));
    let come_through = || [SCANNER, SCANNER_IPV6, PHONE].map(|from| line.comes_through(from));
    assert_eq!(come_through(), [false, false, true]);
    let listed_now = listed(&filter, "block");
    assert_eq!(listed_now[0]["origin"], "config");
    assert_eq!(listed_now[1]["reason"], "abuse");
    for (address, place) in [(SCANNER, "config.toml:2"), (SCANNER_IPV6, "blocked.txt")] {
        let refused = filter.attempt(&format!("block del {address}"));
        assert!(
            refused.stderr.contains(&format!("{address} stands in ")),
            "{refused}"
        );
        assert!(refused.stderr.contains(place), "{refused}");
    }
    // What commands have listed stays.
    filter.succeed(&format!("block add {PHONE}"));
    write(
        "config.toml",
        "[lists]\nallow = [\"192.0.2.0/26\"]\nblock = [\"2001:db8::/32\"]\n",
    );
    filter.succeed("reload");
    assert_eq!(come_through(), [true, false, true]);
    assert_eq!(dropped(&filter, PHONE), Some(0));
    // So is the room for them, and what does not fit changes nothing.
    write(
        "config.toml",
        "[lists]\nblock = [\"192.0.2.66\"]\n[sizes]\nlists = 1\n",
    );
    let refused = filter.attempt("reload");
    assert!(
        refused.stderr.contains("2 addresses are more than the 1"),
        "{refused}"
    );
    assert_eq!(come_through(), [true, false, true]);
    write(
        "config.toml",
        "[lists]\nblock = [\"192.0.2.66\"]\n[sizes]\nlists = 2\n",
    );
    filter.succeed("reload");
    assert_eq!(come_through(), [false, true, false]);
    let refused = filter.attempt("block add 203.0.113.9");
    assert!(
        refused.stderr.contains("3 addresses are more than the 2"),
        "{refused}"
    );
}

/// What a loader leaves that is killed between putting the program in place and pinning its maps.
#[test]
fn an_attach_that_was_interrupted_is_put_right_by_the_next() {
    let line = Line::new();
    let filter = SipFilter::new(&line.link.server);
    filter.attach("");
    filter.succeed(&format!("block add {SCANNER}"));
    let other = ["attach", "-i", "lo", "--mode", "skb", "--name", "other"];
    process::run(filter.command_for_all(other), PATIENCE).successful();
    let maps = RunningLists::open(&instance(&filter));
    let mut maps = maps
        .ok()
        .flatten()
        .unwrap_or_else(|| panic!("it is not attached"));
    maps.unsettle().unwrap_or_else(|error| panic!("{error:#}"));
    // The maps are those that the program asks: what they hold is looked at whole.
    filter.succeed(&format!("block add {PHONE}"));
    assert!(!line.comes_through(SCANNER) && !line.comes_through(PHONE));
    maps.unsettle().unwrap_or_else(|error| panic!("{error:#}"));
    let theirs = filter
        .bpffs()
        .path()
        .join("sip-filter/other")
        .join(map::LISTED);
    fs::rename(theirs, filter.pins().join(map::LISTED)).unwrap_or_else(|error| panic!("{error}"));
    let refused = filter.attempt(&format!("block del {SCANNER}"));
    assert!(
        refused
            .stderr
            .contains("interrupted; attach it again first"),
        "{refused}"
    );
    assert!(!line.comes_through(SCANNER));
    filter.attach("");
    assert!(!line.comes_through(SCANNER));
    filter.succeed(&format!("block del {SCANNER}"));
    assert!(line.comes_through(SCANNER) && !line.comes_through(PHONE));
}

/// Where only one of two replacements had happened, packets would come through.
#[test]
fn program_and_lists_are_replaced_at_once() {
    let line = Line::new();
    let filter = SipFilter::new(&line.link.server);
    let ports: Ports = "5060".parse().unwrap_or_else(|error| panic!("{error:#}"));
    let signatures = Signatures::built_in().unwrap_or_else(|error| panic!("{error:#}"));
    let scanner = ConfigEntry {
        list: List::Block,
        prefix: SCANNER.parse().unwrap_or_else(|error| panic!("{error:#}")),
        until: None,
        reason: String::new(),
        place: String::new(),
    };
    let attach = |is_listed: bool| {
        let attach = || {
            let mut state = Writing::open(filter.state(), "test")?;
            let entries = std::slice::from_ref(&scanner);
            state.set_config(if is_listed { entries } else { &[] })?;
            let lists = state.lists()?;
            let drop = if is_listed {
                DropSet::NOTHING
            } else {
                DropSet::SCANNERS
            };
            let load = Load {
                drop,
                lists: &lists,
                ..Load::new(&ports.set, &signatures)
            };
            let interfaces = [FILTERED.to_owned()];
            kernel::attach(&instance(&filter), &interfaces, Mode::Auto, &load)?;
            state.commit()
        };
        let attached = line.link.server.inside(attach);
        attached.unwrap_or_else(|error| panic!("{error:#}"));
    };
    attach(true);
    let is_over = AtomicBool::new(false);
    let sent = thread::scope(|scope| {
        let flood = scope.spawn(|| {
            let socket = line.link.outside.udp_socket(SCANNER);
            let mut sent = 0_u64;
            while !is_over.load(Ordering::Relaxed) {
                let done = socket.send_to(messages::SVMAP, (SERVER, 5060));
                sent += u64::from(done.is_ok());
            }
            sent
        });
        for round in 0..10 {
            attach(round % 2 == 1);
        }
        is_over.store(true, Ordering::Relaxed);
        flood.join()
    });
    let sent = sent.unwrap_or_else(|_| panic!("the flood ended early"));
    let totals = filter.stats().totals;
    assert!(sent > 1000, "{sent} packets are no flood");
    assert_eq!([totals.packets, totals.dropped], [sent, sent]);
    assert!(
        line.server.recv(&mut [0; 2048]).is_err(),
        "one came through"
    );
    let left = fs::read_dir(filter.pins()).unwrap_or_else(|error| panic!("{error}"));
    let left: Vec<_> = left.flatten().map(|pin| pin.file_name()).collect();
    assert!(
        left.iter()
            .all(|name| !name.to_string_lossy().ends_with("-new")),
        "{left:?}"
    );
}
