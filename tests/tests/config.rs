//! The configuration file, as operators use it: checked, shown with where each value came from, put
//! in force, and again while packets arrive.

use std::{
    fs::{self, File},
    path::Path,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use sip_filter_tests::{
    configuration::{Configuration, example},
    corpus,
    namespace::{FILTERED, Link, PHONE, SCANNER, SERVER},
    process::{self, Finished, Running},
    sip_filter::{SipFilter, binary},
    stats::Stats,
};

const PATIENCE: Duration = Duration::from_secs(30);

/// The program, away from any filter that is attached.
fn sip_filter(words: &[&str], file: &Path) -> Finished {
    let mut command = Command::new(binary());
    command.args(words).arg(file).env_remove("RUST_LOG");
    process::run(command, PATIENCE)
}

/// The line of `config show` for a key, which no other table has.
fn shown<'a>(text: &'a str, key: &str) -> &'a str {
    let begins = |line: &&str| line.split(" = ").next() == Some(key);
    match text.lines().find(begins) {
        Some(line) => line,
        None => panic!("nothing is shown of {key}: {text}"),
    }
}

#[test]
fn a_file_is_checked_with_the_files_that_it_names() {
    let config = Configuration::new(
        "interfaces = [\"eth0\"]\nsignatures = [\"own.toml\"]\n\
         [lists]\nallow_files = [\"trunks.txt\"]\n",
    );
    let refused = sip_filter(&["config", "check"], &config.path());
    assert_eq!(refused.status.code(), Some(1), "{refused}");
    assert_eq!(refused.stdout, "", "{refused}");
    let path = config.path();
    let path = path.display();
    for said in [
        format!("error: {path}:2: `signatures`: the signature file "),
        format!("error: {path}:4: `lists.allow_files`: cannot read "),
    ] {
        assert!(refused.stderr.contains(&said), "{said}: {refused}");
    }
    assert_eq!(refused.stderr.lines().count(), 2, "{refused}");

    config.write(
        "own.toml",
        "[[signature]]\ntool = \"sipvicious\"\ndisabled = true\n",
    );
    config.write("trunks.txt", "192.0.2.0/24\n");
    let done = sip_filter(&["config", "check"], &config.path()).successful();
    assert!(done.stdout.contains("can be used; monitoring"), "{done}");

    config.write("own.toml", "[[signature]]\ntool = \"x\"\n");
    let refused = sip_filter(&["config", "check"], &config.path());
    let said = "own.toml: line 1, signature 1 (tool \"x\"): it lacks `kind`";
    assert!(refused.stderr.contains(said), "{refused}");
}

#[test]
fn a_file_that_cannot_be_used_is_told_whole_wherever_it_is_given() {
    let config = Configuration::new("prots = \"5060\"\n\n[limit.register]\nrate = 10\n");
    let capture = corpus::folder().join("svmap.pcap");
    let capture = capture.to_string_lossy();
    for words in [
        &["config", "check"][..],
        &["config", "show", "--config"],
        &["replay", &capture, "--config"],
        &["attach", "-i", "lo", "--config"],
        &["signatures", "explain", &capture, "--config"],
    ] {
        let refused = sip_filter(words, &config.path());
        assert_eq!(refused.status.code(), Some(1), "{words:?}{refused}");
        for said in [
            "config.toml:1: there is no key `prots`; do you mean `ports`?",
            "config.toml:3: there is no key `limit.register`; do you mean `REGISTER`?",
        ] {
            assert!(refused.stderr.contains(said), "{words:?}{refused}");
        }
    }
    let missing = sip_filter(&["config", "check"], Path::new("/no/such/file"));
    assert_eq!(missing.status.code(), Some(1), "{missing}");
    assert!(missing.stderr.contains("/no/such/file"), "{missing}");
}

#[test]
fn without_an_interface_nothing_is_attached() {
    let config = Configuration::new("drop = [\"scanners\"]\n");
    let refused = sip_filter(&["attach", "--config"], &config.path());
    assert_eq!(refused.status.code(), Some(2), "{refused}");
    let said = "no interface is named";
    assert!(refused.stderr.contains(said), "{refused}");
    assert!(refused.stderr.contains("names none either"), "{refused}");
}

#[test]
fn a_capture_is_replayed_as_the_file_says_and_the_command_line_wins() {
    let config = Configuration::new("ports = \"5070\"\ndrop = [\"scanners\"]\n");
    let capture = corpus::folder().join("svmap.pcap");
    let capture = capture.to_string_lossy();
    let words = ["replay", &capture, "--engine", "host", "--format", "json"];
    for (options, packets_and_dropped) in [
        (&[][..], [0, 0]),
        (&["--ports", "5060"], [1, 1]),
        (&["--ports", "5060", "--drop", "nothing"], [1, 0]),
    ] {
        let words = [&words[..], options, &["--config"]].concat();
        let done = sip_filter(&words, &config.path()).successful();
        let totals = Stats::read(&done.stdout).totals;
        let [packets, dropped] = packets_and_dropped;
        assert_eq!(totals.packets.min(1), packets, "{options:?}");
        assert_eq!(totals.dropped.min(1), dropped, "{options:?}");
    }
}

#[test]
fn what_is_in_force_is_shown_with_where_it_came_from() {
    let link = Link::new();
    let filter = SipFilter::new(&link.server);
    let config = Configuration::new(&format!(
        "interfaces = [\"{FILTERED}\"]\nports = \"5060\"\ndrop = [\"malformed\"]\n\
         [limit.REGISTER]\nrate = 10\n"
    ));
    let file = config.path();
    let file = file.display();

    // Nothing runs: what would be.
    let idle = filter.attempt("config show").successful();
    assert!(idle.stderr.contains("is not attached"), "{idle}");
    assert!(
        shown(&idle.stdout, "ports").ends_with("# default"),
        "{idle}"
    );
    let would = filter.succeed(&format!("config show {}", config.option()));
    assert!(
        shown(&would, "ports").ends_with(&format!("# {file}:2")),
        "{would}"
    );

    filter.succeed(&format!("attach {} --drop scanners", config.option()));
    // What is shown is what is in force, not what the file has come to say.
    config.say("ports = \"5070\"\n");
    let text = filter.succeed("config show");
    for (key, value, origin) in [
        (
            "interfaces",
            format!("[\"{FILTERED}\"]"),
            format!("{file}:1"),
        ),
        ("ports", "\"5060\"".to_owned(), format!("{file}:2")),
        (
            "drop",
            "[\"scanners\"]".to_owned(),
            "command line".to_owned(),
        ),
        ("mode", "\"auto\"".to_owned(), "default".to_owned()),
        ("rate", "10".to_owned(), format!("{file}:5")),
        ("burst", "10".to_owned(), "default".to_owned()),
    ] {
        let line = shown(&text, key);
        let parts = line
            .split_once(" = ")
            .and_then(|(_, rest)| rest.split_once('#'));
        let parts = parts.map(|(value, origin)| (value.trim(), origin.trim()));
        assert_eq!(parts, Some((&*value, &*origin)), "{line}");
    }
    // It is a configuration file, and gives the same.
    config.write("shown.toml", &text);
    let shown_file = config.path().with_file_name("shown.toml");
    sip_filter(&["config", "check"], &shown_file).successful();

    let rows = filter.succeed("config show --format json");
    let rows: serde_json::Value = match serde_json::from_str(&rows) {
        Ok(rows) => rows,
        Err(error) => panic!("{error}: {rows}"),
    };
    assert_eq!(rows[0]["key"], "interfaces");
    assert_eq!(rows[0]["value"][0], FILTERED);
    let csv = filter.succeed("config show --format csv");
    assert!(csv.starts_with("table,key,value,origin\n"), "{csv}");

    filter.detach();
    filter.assert_absent();
    let left = fs::read_dir(filter.state()).map(Iterator::count);
    assert!(matches!(left, Ok(0)), "{left:?} files stay");
}

/// How many packets a scanner's request has added to those that were dropped.
fn drops(filter: &SipFilter<'_>, link: &Link) -> u64 {
    drops_from(filter, link, SCANNER)
}

fn drops_from(filter: &SipFilter<'_>, link: &Link, source: &str) -> u64 {
    let before = filter.stats().totals.dropped;
    let probe = b"OPTIONS sip:100@192.0.2.10 SIP/2.0\r\nUser-Agent: friendly-scanner\r\n\r\n";
    let scanner = link.outside.udp_socket(source);
    if let Err(error) = scanner.send_to(probe, (SERVER, 5060)) {
        panic!("cannot send: {error}");
    }
    filter.stats().totals.dropped - before
}

#[test]
fn a_reload_applies_the_whole_file_or_nothing() {
    let link = Link::new();
    let filter = SipFilter::new(&link.server);
    let refused = filter.attempt("reload");
    assert_eq!(refused.status.code(), Some(1), "{refused}");
    assert!(refused.stderr.contains("is not attached"), "{refused}");

    let first = format!("interfaces = [\"{FILTERED}\"]\n");
    let config = Configuration::new(&first);
    filter.succeed(&format!("attach {}", config.option()));
    assert_eq!(drops(&filter, &link), 0);

    config.say(&format!("{first}drop = [\"scanners\"]\n"));
    assert_eq!(drops(&filter, &link), 0, "nobody has reloaded it");
    let said = filter.succeed("reload");
    assert!(said.contains("reloaded; dropping scanners"), "{said}");
    assert_eq!(drops(&filter, &link), 1);

    // Neither what is right in a wrong file holds, nor what the kernel would refuse.
    for (text, said) in [
        (
            format!("{first}drop = []\n[sizes]\nsource = 1\n"),
            "do you mean `sources`?",
        ),
        (
            format!("{first}drop = []\nsignatures = [\"none.toml\"]\n"),
            "none.toml",
        ),
        (
            "interfaces = [\"eth9\"]\n".to_owned(),
            "there is no interface eth9",
        ),
        ("drop = []\n".to_owned(), "no interface is named"),
    ] {
        config.say(&text);
        let refused = filter.attempt("reload");
        assert_ne!(refused.status.code(), Some(0), "{text}{refused}");
        assert!(refused.stderr.contains(said), "{text}{refused}");
        assert_eq!(drops(&filter, &link), 1, "{text}");
        let shown_drop = filter.succeed("config show");
        assert!(shown(&shown_drop, "drop").starts_with("drop = [\"scanners\"]"));
    }

    // The command line of then still wins.
    config.say(&first);
    filter.succeed(&format!("attach {} --drop scanners", config.option()));
    config.say(&format!("{first}drop = []\nports = \"5060\"\n"));
    let said = filter.succeed("reload");
    assert!(said.contains("dropping scanners; ports 5060"), "{said}");
    assert_eq!(drops(&filter, &link), 1);
    assert_eq!(filter.stats().totals.dropped, 6, "counters stay");
    filter.detach();
    filter.assert_absent();
}

#[test]
fn a_limit_that_a_reload_brings_holds() {
    let link = Link::new();
    let filter = SipFilter::new(&link.server);
    let first = format!("interfaces = [\"{FILTERED}\"]\n");
    let config = Configuration::new(&first);
    filter.succeed(&format!("attach {}", config.option()));
    config.say(&format!("{first}[limit.OPTIONS]\nrate = 1\nper = \"1h\"\n"));
    filter.succeed("reload");
    // Of two sources, neither of which takes the other's place.
    let sources = [SCANNER, PHONE, SCANNER, PHONE, SCANNER];
    let dropped = sources.map(|source| drops_from(&filter, &link, source));
    assert_eq!(dropped, [0, 0, 1, 1, 1]);
    config.say(&first);
    filter.succeed("reload");
    assert_eq!(drops(&filter, &link), 0, "the limit is not gone");
}

#[test]
fn the_example_can_be_put_in_force_with_all_that_is_in_it() {
    let link = Link::new();
    let filter = SipFilter::new(&link.server);
    let config = Configuration::new(&example(false));
    config.write("own.toml", "");
    config.write("trunks.txt", "192.0.2.1\n");
    config.write("voip-blocklist.txt", "203.0.113.0/24  # published\n");
    filter.succeed(&format!("attach {}", config.option()));
    config.say(&example(true));
    filter.succeed("reload");
    let text = filter.succeed("config show");
    assert!(!text.contains("# default"), "{text}");
    config.say(&example(false));
    filter.succeed("reload");
    filter.detach();
    filter.assert_absent();
}

#[test]
fn the_lists_of_the_file_hold_beside_those_of_commands() {
    let link = Link::new();
    let filter = SipFilter::new(&link.server);
    let first = format!("interfaces = [\"{FILTERED}\"]\n[lists]\n");
    let config = Configuration::new(&format!(
        "{first}block = [\"{SCANNER}\", \"192.0.2.16/28\"]\n"
    ));
    let dropped = || [SCANNER, PHONE].map(|source| drops_from(&filter, &link, source));
    filter.succeed(&format!("attach {}", config.option()));
    assert_eq!(dropped(), [1, 1]);
    let listed = filter.succeed("block list --format csv");
    assert!(listed.contains("192.0.2.16/28"), "{listed}");

    config.write("trunks.txt", &format!("{PHONE}  # our provider\n"));
    config.say(&format!(
        "{first}block = [\"{SCANNER}\"]\nallow_files = [\"trunks.txt\"]\n"
    ));
    filter.succeed("reload");
    assert_eq!(dropped(), [1, 0]);
    filter.succeed(&format!("block add {PHONE}"));
    assert_eq!(dropped(), [1, 0], "the allow list wins");
    config.say(&format!(
        "{first}block = [\"{SCANNER}\"]\naction = \"count\"\n"
    ));
    filter.succeed("reload");
    assert_eq!(dropped(), [0, 0], "what is blocked is only counted");

    // More than there is room for changes nothing; more room is made by a reload.
    let small = "[sizes]\nlists = 1\n";
    let two = format!("{first}block = [\"{SCANNER}\", \"192.0.2.1\"]\n");
    config.say(&format!("{two}{small}"));
    let refused = filter.attempt("reload");
    assert_eq!(refused.status.code(), Some(1), "{refused}");
    assert!(
        refused.stderr.contains("2 addresses are more than the 1"),
        "{refused}"
    );
    assert_eq!(dropped(), [0, 0]);
    config.say(&format!("{two}[sizes]\nlists = 3\n"));
    filter.succeed("reload");
    assert_eq!(dropped(), [1, 1], "who was blocked by a command still is");
    filter.detach();
}

#[test]
fn a_reload_follows_the_interfaces_that_the_file_names() {
    let link = Link::new();
    let filter = SipFilter::new(&link.server);
    let config = Configuration::new(&format!(
        "mode = \"skb\"\ninterfaces = [\"{FILTERED}\", \"lo\"]\n"
    ));
    let attached = || {
        let status = filter.succeed("status --format json");
        [FILTERED, "lo"].map(|name| status.contains(&format!("\"name\":\"{name}\"")))
    };
    filter.succeed(&format!("attach {}", config.option()));
    assert_eq!(attached(), [true, true]);
    config.say(&format!("mode = \"skb\"\ninterfaces = [\"{FILTERED}\"]\n"));
    let said = filter.succeed("reload");
    assert!(said.contains("lo: detached"), "{said}");
    assert_eq!(attached(), [true, false]);
    config.say("mode = \"skb\"\ninterfaces = [\"lo\"]\n");
    filter.succeed("reload");
    assert_eq!(attached(), [false, true]);

    // What a command line has named stays.
    filter.succeed(&format!("attach -i {FILTERED} {}", config.option()));
    filter.succeed("reload");
    assert_eq!(
        attached(),
        [true, false],
        "the command line wins over the file"
    );
    filter.succeed(&format!("attach -i lo {}", config.option()));
    filter.succeed("reload");
    assert_eq!(attached(), [true, true]);
}

#[test]
fn a_running_filter_reloads_on_sighup() {
    let link = Link::new();
    let filter = SipFilter::new(&link.server);
    let config = Configuration::new("drop = []\n");
    let mut running = filter.run(&config.option());
    assert_eq!(drops(&filter, &link), 0);

    config.say("drop = [\"scanners\"]\n");
    running.signal(libc::SIGHUP);
    running.wait_until("reads it again", PATIENCE, |running| {
        running.stderr().contains("read again; dropping scanners")
    });
    assert_eq!(drops(&filter, &link), 1);

    config.say("drop = []\nprots = 1\n\n[limit.sip]\n");
    running.signal(libc::SIGHUP);
    running.wait_until("refuses it", PATIENCE, |running| {
        running.stderr().contains("what was in force stays")
    });
    let said = running.stderr();
    assert!(
        said.contains("config.toml:2: there is no key `prots`"),
        "{said}"
    );
    assert!(
        said.contains("config.toml:4: `limit.sip` lacks `rate`"),
        "{said}"
    );
    assert!(running.is_running());
    assert_eq!(drops(&filter, &link), 1);
    running.interrupt(PATIENCE).successful();
    filter.assert_absent();
}

#[test]
fn no_packet_meets_half_of_a_reload() {
    let link = Link::new();
    let filter = SipFilter::new(&link.server);
    // Either file drops a scanner's OPTIONS, for another reason each: a half of both would not.
    let interfaces = format!("interfaces = [\"{FILTERED}\"]\n");
    let by_name = format!("{interfaces}drop = [\"scanners\"]\nports = \"5060\"\n");
    let by_method =
        format!("{interfaces}drop = [\"options\"]\nports = \"any\"\nsignatures = [\"own.toml\"]\n");
    let config = Configuration::new(&by_name);
    config.write(
        "own.toml",
        "[[signature]]\ntool = \"sipvicious\"\ndisabled = true\n",
    );
    filter.succeed(&format!("attach {}", config.option()));

    let scanner = link.outside.udp_socket(SCANNER);
    let done = AtomicBool::new(false);
    let sent = thread::scope(|scope| {
        let flood = scope.spawn(|| {
            let probe =
                b"OPTIONS sip:100@192.0.2.10 SIP/2.0\r\nUser-Agent: friendly-scanner\r\n\r\n";
            let mut sent = 0_u64;
            while !done.load(Ordering::Relaxed) {
                sent += u64::from(scanner.send_to(probe, (SERVER, 5060)).is_ok());
            }
            sent
        });
        for round in 0..6 {
            config.say(if round % 2 == 0 { &by_method } else { &by_name });
            filter.succeed("reload");
        }
        done.store(true, Ordering::Relaxed);
        match flood.join() {
            Ok(sent) => sent,
            Err(_) => panic!("the flood has failed"),
        }
    });
    // A full queue loses packets before the filter sees them.
    let totals = filter.stats().totals;
    assert!(totals.packets > 1_000, "{} of {sent}", totals.packets);
    assert_eq!(totals.dropped, totals.packets, "a packet has passed");
}

#[test]
fn who_changes_what_a_filter_is_given_does_so_one_after_the_other() {
    let link = Link::new();
    let filter = SipFilter::new(&link.server);
    let first = format!("interfaces = [\"{FILTERED}\"]\n");
    let config = Configuration::new(&first);
    filter.succeed(&format!("attach {}", config.option()));
    // As another process does that is at it.
    let turn = File::open(filter.state()).unwrap_or_else(|error| panic!("{error}"));
    turn.lock().unwrap_or_else(|error| panic!("{error}"));
    config.say(&format!("{first}drop = [\"options\"]\n"));
    let mut reload = Running::start(filter.command(["reload"]));
    let mut show = Running::start(filter.command(["config", "show"]));
    thread::sleep(Duration::from_millis(500));
    assert!(reload.is_running() && show.is_running());
    assert_eq!(drops(&filter, &link), 0);
    // What the file says when it is the reload's turn.
    config.say(&format!("{first}drop = [\"scanners\"]\n"));
    drop(turn);
    let done = reload.finish(PATIENCE).successful();
    assert!(done.stdout.contains("dropping scanners"), "{done}");
    show.finish(PATIENCE).successful();
    assert_eq!(drops(&filter, &link), 1);

    // Several at once, and none of them fails.
    for drop in ["options", "scanners", "options", "scanners"] {
        config.say(&format!("{first}drop = [\"{drop}\"]\n"));
        let reloads = [(); 4].map(|()| Running::start(filter.command(["reload"])));
        for reload in reloads {
            reload.finish(PATIENCE).successful();
        }
        let shown_drop = filter.succeed("config show");
        let expected = format!("drop = [\"{drop}\"]");
        assert!(shown(&shown_drop, "drop").starts_with(&expected));
    }
}

#[test]
fn what_cannot_be_kept_is_told() {
    let link = Link::new();
    let filter = SipFilter::new(&link.server);
    let mut command = link.server.command(binary());
    command.args(["attach", "-i", FILTERED, "--name", "test", "--bpffs"]);
    command
        .arg(filter.bpffs().path())
        .args(["--state", "/proc/none"]);
    let done = process::run(command, PATIENCE).successful();
    let said = "`config show` and `reload` will not know";
    assert!(
        done.stderr.contains("cannot write /proc/none/test.toml"),
        "{done}"
    );
    assert!(done.stderr.contains(said), "{done}");
    // Nothing is made up in its place.
    for verb in ["config show", "reload"] {
        let refused = filter.attempt(verb);
        assert_eq!(refused.status.code(), Some(1), "{refused}");
        assert!(
            refused.stderr.contains("does not hold what the filter"),
            "{refused}"
        );
    }
}
