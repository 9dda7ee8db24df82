//! Signatures of one's own, as operators use them: added, put in the place of built-in ones, taken
//! away, and replaced in a filter that is running.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use sip_filter_tests::{
    configuration::Configuration,
    corpus,
    namespace::{FILTERED, Folder, Link, SCANNER, SERVER},
    process::{self, Finished},
    sip_filter::{SipFilter, binary},
    stats::Stats,
};

const PATIENCE: Duration = Duration::from_secs(30);

/// A signature file, gone when this is dropped.
struct Own {
    _folder: Folder,
    path: PathBuf,
}

impl Own {
    fn new(text: &str) -> Self {
        let folder = Folder::new();
        let path = folder.path().join("own.toml");
        if let Err(error) = fs::write(&path, text) {
            panic!("cannot write {}: {error}", path.display());
        }
        Self {
            _folder: folder,
            path,
        }
    }
}

fn signature(tool: &str, kind: &str, pattern: &str) -> String {
    format!(
        "[[signature]]\ntool = \"{tool}\"\nkind = \"{kind}\"\nfield = \"user-agent\"\n\
         match = \"prefix\"\npattern = \"{pattern}\"\n\n"
    )
}

/// Nothing built in of the tool holds.
fn disabled(tool: &str) -> String {
    format!("[[signature]]\ntool = \"{tool}\"\ndisabled = true\n\n")
}

fn sip_filter(words: &[&str], file: &Path) -> Finished {
    let mut command = Command::new(binary());
    command.args(words).arg(file).env_remove("RUST_LOG");
    process::run(command, PATIENCE)
}

/// What is named in a capture of the corpus: the tools with their kinds.
fn named(capture: &str, own: &Own) -> Vec<(String, String)> {
    let capture = corpus::folder().join(capture);
    let capture = capture.to_string_lossy();
    let words = ["replay", &capture, "--engine", "host", "--format", "json"];
    let done = sip_filter(&[&words[..], &["--signatures"]].concat(), &own.path).successful();
    let stats = Stats::read(&done.stdout);
    let tools = stats.tools.iter();
    tools
        .map(|tool| (tool.tool.clone(), tool.kind.clone()))
        .collect()
}

#[test]
fn what_is_not_sure_is_named_and_passes() {
    let unsure = Own::new(&(signature("robot", "dialer", "siprobo/") + "sure = false\n"));
    let capture = corpus::folder().join("siprobo.pcap");
    for (own, dropped) in [
        (&unsure, 0),
        (&Own::new(&signature("robot", "dialer", "siprobo/")), 1),
    ] {
        let capture = capture.to_string_lossy();
        let words = ["replay", &capture, "--engine", "host", "--format", "json"];
        let words = [&words[..], &["--drop", "scanners", "--signatures"]].concat();
        let stats = Stats::read(&sip_filter(&words, &own.path).successful().stdout);
        assert_eq!(stats.totals.dropped, dropped);
        assert_eq!(stats.totals.scanner, dropped);
        let robot = stats.tool("robot");
        assert_eq!([robot.packets, robot.dropped], [1, dropped]);
        assert_eq!(robot.kind, "dialer");
    }
}

fn pair(tool: &str, kind: &str) -> Vec<(String, String)> {
    vec![(tool.to_owned(), kind.to_owned())]
}

#[test]
fn ones_own_are_added_override_and_disable() {
    let added = Own::new(&signature("robot", "dialer", "siprobo/"));
    assert_eq!(named("siprobo.pcap", &added), pair("robot", "dialer"));
    assert_eq!(named("svmap.pcap", &added), pair("sipvicious", "scanner"));

    // What the file says of the tool's User-Agent is all that holds for that.
    let overridden = Own::new(&signature("sipsak", "testtool", "nothing-like-it"));
    assert_eq!(named("sipsak-usrloc.pcap", &overridden), []);
    let overridden = Own::new(&signature("sipvicious", "testtool", "friendly-scanner"));
    assert_eq!(
        named("svmap.pcap", &overridden),
        pair("sipvicious", "testtool")
    );

    let taken_away = Own::new(&disabled("sipvicious"));
    assert_eq!(named("svmap.pcap", &taken_away), []);
    assert_eq!(
        named("sipsak-options.pcap", &taken_away),
        pair("sipsak", "testtool")
    );
}

#[test]
fn a_file_that_cannot_be_used_is_refused_with_its_line_and_the_reason() {
    let good = signature("robot", "dialer", "siprobo/");
    for (text, words) in [
        (
            signature("robot", "worm", "siprobo/"),
            ["line 3", "no kind `worm`"],
        ),
        (
            good.clone() + &signature("robot", "dialer", ""),
            ["line 13", "the pattern is empty"],
        ),
        (
            good.clone() + &signature("robot", "dialer", &"x".repeat(65)),
            ["line 13", "it may have 64"],
        ),
        (
            good.clone() + &good,
            ["line 8", "signature 1 in line 1 has the same field, match"],
        ),
        (
            good.clone() + &good.replace("user-agent", "subject"),
            ["line 11", "no field `subject`; there are user-agent, from"],
        ),
        (
            good.clone() + "[[signature]]\ntool = \"x\"\n",
            ["line 8", "it lacks `kind`"],
        ),
        (
            signature("robot", "dialer", "friendly-scanner"),
            ["line 1", "a built-in signature of `sipvicious` is the same"],
        ),
        (
            good.replace("pattern =", "patern ="),
            ["line 6", "no key `patern`; do you mean `pattern`?"],
        ),
        (
            good.replace("\"prefix\"", "\"contains\"")
                .replace("siprobo/", "robo"),
            ["line 6", "at least 7 bytes"],
        ),
        (
            good.replace("user-agent", "body"),
            ["line 6", "use match `contains`"],
        ),
        (
            good.replace("siprobo/", "sip\\trobo"),
            ["line 6", "control character, 0x09"],
        ),
        (
            "[[signature]]\ntool = \"x\"\nkind = \"dialer\"\ndetector = \"zmap-bear\"\n".to_owned(),
            [
                "line 4",
                "no detector `zmap-bear`; do you mean `zmap-bare`?",
            ],
        ),
        (disabled("sipclii"), ["line 1", "do you mean `sipcli`?"]),
        ("[[signature".to_owned(), ["line 1", ""]),
    ] {
        let own = Own::new(&text);
        let refused = sip_filter(&["signatures", "check"], &own.path);
        assert_eq!(refused.status.code(), Some(1), "{text}{refused}");
        assert_eq!(refused.stdout, "", "{text}{refused}");
        assert_eq!(refused.stderr.lines().count(), 1, "{text}{refused}");
        for word in words.into_iter().chain(["own.toml"]) {
            assert!(refused.stderr.contains(word), "'{word}': {text}{refused}");
        }
    }
    let missing = sip_filter(&["signatures", "check"], Path::new("/no/such/file"));
    assert_eq!(missing.status.code(), Some(1), "{missing}");
    assert!(missing.stderr.contains("/no/such/file"), "{missing}");

    let own = Own::new(&good);
    let done = sip_filter(&["signatures", "check"], &own.path).successful();
    assert!(done.stdout.contains("1 of its own"), "{done}");
}

#[test]
fn what_holds_is_listed() {
    let own = Own::new(&(signature("robot", "dialer", "siprobo/") + &disabled("smap")));
    let words = ["signatures", "list", "--format", "csv", "--signatures"];
    let done = sip_filter(&words, &own.path).successful();
    let mut lines = done.stdout.lines();
    assert_eq!(
        lines.next(),
        Some("tool,kind,field,match,pattern,sure,hits,from,note")
    );
    assert_eq!(
        lines.next(),
        Some("robot,dialer,user-agent,prefix,siprobo/,true,,own,")
    );
    let listed = |row: &str| lines.clone().any(|line| line.starts_with(row));
    assert!(listed(
        "sipcli,dialer,user-agent,prefix,sipcli/,false,,built-in,"
    ));
    assert!(listed("zmap,scanner,detector,,zmap-bare,false,,built-in,"));
    assert!(lines.clone().all(|line| line.contains(",built-in,")));
    assert!(lines.clone().any(|line| line.starts_with("sipvicious,")));
    assert!(!lines.clone().any(|line| line.starts_with("smap,")));
}

/// What is listed of hits, by pattern: of the built-in signatures, or with those of a file.
fn hits(filter: &SipFilter<'_>, own: Option<&Own>) -> BTreeMap<String, Option<u64>> {
    let own = own.map_or_else(String::new, |own| {
        format!("--signatures {}", own.path.display())
    });
    let json = filter.succeed(&format!("signatures list --format json {own}"));
    let listed: Vec<serde_json::Value> = match serde_json::from_str(&json) {
        Ok(listed) => listed,
        Err(error) => panic!("{error}: {json}"),
    };
    let listed = listed.iter().map(|one| {
        let pattern = one["pattern"].as_str().unwrap_or_default();
        assert!(one["hits"].is_null() || one["hits"].is_u64(), "{one}");
        (pattern.to_owned(), one["hits"].as_u64())
    });
    listed.collect()
}

#[test]
fn hits_are_listed_of_each_signature_and_stay_when_others_are_replaced() {
    let link = Link::new();
    let filter = SipFilter::new(&link.server);
    let scanner = link.outside.udp_socket(SCANNER);
    let probe = |user_agent: &str| {
        let probe =
            format!("OPTIONS sip:100@192.0.2.10 SIP/2.0\r\nUser-Agent: {user_agent}\r\n\r\n");
        let before = filter.stats().totals.packets;
        if let Err(error) = scanner.send_to(probe.as_bytes(), (SERVER, 5060)) {
            panic!("cannot send: {error}");
        }
        assert_eq!(filter.stats().totals.packets, before + 1);
    };
    // Those with hits; all that is in force has a number.
    let hit = |own: Option<&Own>, not_in_force: &[&str]| {
        let mut hits = hits(&filter, own);
        for pattern in not_in_force {
            assert_eq!(hits.remove(*pattern), Some(None), "{pattern}");
        }
        assert!(
            hits.len() > 50 && hits.values().all(Option::is_some),
            "{hits:?}"
        );
        hits.retain(|_, hits| *hits != Some(0));
        let hits = hits.into_iter();
        hits.map(|(pattern, hits)| (pattern, hits.unwrap_or(0)))
            .collect::<Vec<_>>()
    };
    let pairs = |pairs: &[(&str, u64)]| -> Vec<(String, u64)> {
        let pairs = pairs.iter();
        pairs
            .map(|(name, hits)| ((*name).to_owned(), *hits))
            .collect()
    };

    filter.attach("--drop scanners");
    probe("friendly-scanner");
    probe("an honest telephone");
    assert_eq!(hit(None, &[]), pairs(&[("friendly-scanner", 1)]));

    // Before the built-in ones in the list, which would give all of these other numbers.
    let robots = signature("robot", "dialer", "robot/") + &signature("robot", "dialer", "android/");
    let robots = Own::new(&robots);
    let patterns = ["robot/", "android/"];
    assert_eq!(
        hit(Some(&robots), &patterns),
        pairs(&[("friendly-scanner", 1)])
    );
    filter.attach(&format!("--signatures {}", robots.path.display()));
    assert_eq!(hit(Some(&robots), &[]), pairs(&[("friendly-scanner", 1)]));
    probe("Android/7");
    probe("Friendly-Scanner");
    let expected = pairs(&[("android/", 1), ("friendly-scanner", 2)]);
    assert_eq!(hit(Some(&robots), &[]), expected);

    // What is gone and comes back has what it had; what comes meanwhile begins at nothing.
    let others = Own::new(&signature("other", "dialer", "other/"));
    filter.attach(&format!("--signatures {}", others.path.display()));
    assert_eq!(hit(Some(&others), &[]), pairs(&[("friendly-scanner", 2)]));
    assert_eq!(
        hit(Some(&robots), &patterns),
        pairs(&[("friendly-scanner", 2)])
    );
    filter.attach(&format!("--signatures {}", robots.path.display()));
    assert_eq!(hit(Some(&robots), &[]), expected);

    let csv = filter.succeed("signatures list --format csv");
    let line = "sipvicious,scanner,user-agent,prefix,friendly-scanner,true,2,built-in,";
    assert!(csv.lines().any(|listed| listed.starts_with(line)), "{csv}");
    let table = filter.succeed("signatures list");
    let header = table.lines().next().unwrap_or_default();
    assert!(
        header.split_whitespace().any(|name| name == "hits"),
        "{table}"
    );

    filter.detach();
    let refused = filter.attempt("signatures list");
    assert_eq!(refused.status.code(), Some(1), "{refused}");
    assert!(refused.stderr.contains("is not attached"), "{refused}");
}

#[test]
fn what_is_in_force_is_listed_or_what_a_configuration_would_put_in_force() {
    let link = Link::new();
    let filter = SipFilter::new(&link.server);
    let configuration = Configuration::new("signatures = \"own.toml\"\n");
    configuration.write("own.toml", &signature("robot", "dialer", "robot/"));
    let listed = |options: &str| {
        let csv = filter.attempt(&format!("signatures list --format csv {options}"));
        let csv = csv.successful();
        let is_there = |pattern: &str| csv.stdout.contains(&format!(",{pattern},"));
        (["robot/", "other/"].map(is_there), csv.stderr)
    };
    let option = configuration.option();

    // Given as an operator may, from the folder that it is in.
    let mut attach = filter.command(["attach", "-i", FILTERED, "--config", "config.toml"]);
    let folder = configuration.path();
    attach.current_dir(folder.parent().unwrap_or(Path::new("/")));
    process::run(attach, PATIENCE).successful();

    // As for `run`: what the command line says wins over the file.
    assert_eq!(listed(&option).0, [true, false]);
    let other = Own::new(&signature("other", "dialer", "other/"));
    let both = format!("{option} --signatures {}", other.path.display());
    assert_eq!(listed(&both).0, [false, true]);

    let in_force = ([true, false], String::new());
    assert_eq!(listed(""), in_force);
    // Whatever is said of another file is not of the filter.
    assert_eq!(
        listed(&format!("--signatures {}", other.path.display())).1,
        ""
    );

    configuration.write("own.toml", &signature("other", "dialer", "other/"));
    let (patterns, said) = listed("");
    assert_eq!(patterns, [false, true]);
    let changed = "1 of the signatures here are not in force, and 1 that are do not stand here";
    assert!(said.contains(changed), "{said}");
    filter.succeed("reload");
    assert_eq!(listed(""), ([false, true], String::new()));

    fs::remove_file(filter.state().join("test.toml")).unwrap_or_else(|error| panic!("{error}"));
    let (patterns, said) = listed("");
    assert_eq!(patterns, [false, false]);
    assert!(said.contains("does not say which files"), "{said}");
    filter.detach_all();

    configuration.say("signature = \"own.toml\"\n");
    let refused = filter.attempt(&format!("signatures list {option}"));
    assert_eq!(refused.status.code(), Some(1), "{refused}");
    assert!(
        refused.stderr.contains("do you mean `signatures`?"),
        "{refused}"
    );
}

#[test]
fn signatures_are_replaced_in_a_running_filter_and_a_bad_file_changes_nothing() {
    const PROBE: &[u8] = b"OPTIONS sip:100@192.0.2.10 SIP/2.0\r\nUser-Agent: robot/1\r\n\r\n";
    let link = Link::new();
    let filter = SipFilter::new(&link.server);
    let server = link.server.udp_socket(SERVER);
    let port = server.local_addr().map_or(0, |address| address.port());
    if let Err(error) = server.set_read_timeout(Some(Duration::from_millis(500))) {
        panic!("no timeout: {error}");
    }
    let scanner = link.outside.udp_socket(SCANNER);
    let arrives = || {
        if let Err(error) = scanner.send_to(PROBE, (SERVER, port)) {
            panic!("cannot send: {error}");
        }
        let mut received = [0; 2048];
        server.recv(&mut received).is_ok()
    };
    let options = format!("--ports {port} --drop scanners");
    let with = |own: &Own| format!("{options} --signatures {}", own.path.display());

    filter.attach(&options);
    assert!(arrives(), "nobody has named it yet");
    filter.attach(&with(&Own::new(&signature("robot", "dialer", "robot/"))));
    assert!(!arrives(), "it is named now, and passed");

    let bad = Own::new(&signature("robot", "dialer", "x"));
    let interface = FILTERED;
    let refused = filter.attempt(&format!("attach -i {interface} {}", with(&bad)));
    assert_eq!(refused.status.code(), Some(1), "{refused}");
    assert!(!arrives(), "a file that is refused has changed something");

    filter.attach(&with(&Own::new(&signature("robot", "testtool", "robot/"))));
    assert!(arrives(), "a test tool was dropped");
    let stats = filter.stats();
    assert_eq!([stats.totals.packets, stats.totals.dropped], [4, 2]);
    assert_eq!(stats.tool("robot").packets, 3);
}

#[test]
fn a_running_filter_reads_its_signatures_again_on_sighup() {
    let link = Link::new();
    let filter = SipFilter::new(&link.server);
    let own = Own::new(&signature("robot", "dialer", "nothing-like-it"));
    let write = |text: &str| {
        if let Err(error) = fs::write(&own.path, text) {
            panic!("cannot write {}: {error}", own.path.display());
        }
    };
    let scanner = link.outside.udp_socket(SCANNER);
    let dropped = || {
        let probe = b"OPTIONS sip:100@192.0.2.10 SIP/2.0\r\nUser-Agent: robot/1\r\n\r\n";
        if let Err(error) = scanner.send_to(probe, (SERVER, 5060)) {
            panic!("cannot send: {error}");
        }
        filter.stats().totals.dropped
    };
    let mut running = filter.run(&format!(
        "--drop scanners --signatures {}",
        own.path.display()
    ));
    assert_eq!(dropped(), 0);

    write(&signature("robot", "dialer", "robot/"));
    running.signal(libc::SIGHUP);
    running.wait_until("reads them again", PATIENCE, |running| {
        running.stderr().contains("signatures read again")
    });
    assert_eq!(dropped(), 1);

    write("[[signature]]");
    running.signal(libc::SIGHUP);
    running.wait_until("refuses them", PATIENCE, |running| {
        running.stderr().contains("what was in force stays")
    });
    assert!(running.is_running());
    assert_eq!(dropped(), 2);
    running.interrupt(PATIENCE).successful();
    filter.assert_absent();
}

/// What is said of a file.
fn explained(file: &Path, options: &[&str]) -> String {
    let words = [&["signatures", "explain"], options].concat();
    sip_filter(&words, file).successful().stdout
}

#[test]
fn a_packet_is_explained_part_by_part() {
    let capture = corpus::folder().join("svmap.pcap");
    for (options, verdict) in [
        (&[][..], "passes, and --drop scanners would drop it"),
        (&["--drop", "scanners"], "is dropped by --drop scanners"),
        (&["--ports", "5070"], "passes: port 5060 is not inspected"),
    ] {
        let said = explained(&capture, options);
        assert!(said.contains(verdict), "{verdict}: {said}");
    }
    let json = explained(&capture, &["--format", "json"]);
    let said: serde_json::Value = match serde_json::from_str(&json) {
        Ok(said) => said,
        Err(error) => panic!("{error}: {json}"),
    };
    let said = &said[0];
    assert_eq!(said["class"], "OPTIONS");
    assert_eq!(said["signature"]["tool"], "sipvicious");
    let entries = corpus::entries();
    let Some(entry) = entries.iter().find(|entry| entry.run.file == "svmap.pcap") else {
        panic!("there is no svmap.pcap");
    };
    let payload = entry.frames[0].payload();
    let place = |name: &str| said["signature"][name].as_u64().unwrap_or(0) as usize;
    let (at, length) = (place("at"), place("length"));
    assert_eq!(&payload[at..at + length], b"\"sipvicious\"<sip:100@");
    let parts = said["parts"].as_array().map_or(&[][..], Vec::as_slice);
    assert_eq!(parts[0]["what"], "start line");
    for part in parts {
        let at = part["at"].as_u64().unwrap_or(0) as usize;
        let text = part["text"].as_str().unwrap_or_default();
        assert!(payload[at..].starts_with(text.as_bytes()), "{part}");
    }
}

#[test]
fn what_attackers_write_reaches_no_terminal_as_it_is() {
    let payload = "OPTIONS sip:\u{202e}x\x1b[2J@192.0.2.10 SIP/2.0\r\nUser-Agent: a\x07b\r\n\r\n\0";
    let own = Own::new(payload);
    for options in [&[][..], &["--format", "json"]] {
        let said = explained(&own.path, options);
        let hostile = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!said.contains(hostile), "{}", said.escape_debug());
        assert!(said.contains("OPTIONS"), "{said}");
    }
}
