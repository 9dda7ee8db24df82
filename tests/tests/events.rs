//! `events`, and what `run` does with them: from real packets, in a namespace.

use std::{fs, time::Duration};

use serde_json::Value;
use sip_filter_tests::{
    configuration::Configuration,
    messages::{INVITE, SIPSAK, SVMAP},
    namespace::{Folder, Link, OUTSIDE, PHONE, SCANNER, SERVER},
    process::Running,
    sip_filter::SipFilter,
};

/// Another address of the scanners' end.
const ANOTHER: &str = "192.0.2.67";
const PATIENCE: Duration = Duration::from_secs(60);

/// svmap's probe under a name that would clear a terminal, turn its text round and hide in it.
fn hostile() -> Vec<u8> {
    let probe = String::from_utf8_lossy(SVMAP);
    let name = "\u{1b}[2J\u{202e}friendly\u{200b}<script>";
    probe
        .replace("friendly-scanner", name)
        .replace(
            "OPTIONS sip:100@192.0.2.10",
            "OPTIONS sip:\u{9b}31m@192.0.2.10",
        )
        .into_bytes()
}

fn send(link: &Link, from: &str, message: &[u8]) {
    let socket = link.outside.udp_socket(from);
    let sent = socket.send_to(message, (SERVER, 5060));
    sent.unwrap_or_else(|error| panic!("cannot send: {error}"));
}

/// The lines, each one JSON object.
fn objects(lines: &str) -> Vec<Value> {
    let object = |line: &str| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
    lines.lines().map(object).collect()
}

/// What has happened to whom.
fn happened(events: &[Value]) -> Vec<(String, String)> {
    let word = |event: &Value, key: &str| event[key].as_str().unwrap_or_default().to_owned();
    let pair = |event| (word(event, "event"), word(event, "source"));
    events.iter().map(pair).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    let own = |(what, who): &(&str, &str)| ((*what).to_owned(), (*who).to_owned());
    expected.iter().map(own).collect()
}

/// No byte that does something where it is shown.
fn assert_harmless(text: &str) {
    let harmful = |it: &char| it.is_control() && *it != '\n' || "\u{202e}\u{200b}".contains(*it);
    let found = text.chars().find(harmful);
    assert_eq!(found, None, "in {text:?}");
}

fn follow(filter: &SipFilter<'_>) -> Running {
    Running::start(filter.command(["events", "--follow"]))
}

#[test]
fn events_of_a_run_reach_its_log_a_file_and_whoever_follows() {
    let link = Link::new();
    let filter = SipFilter::new(&link.server);
    let folder = Folder::new();
    let file = folder.path().join("events.json");
    let configuration =
        Configuration::new("[escalate]\nafter = 3\nwithin = \"10m\"\nfor = \"2s\"\n");
    let options = format!("{} --events {}", configuration.option(), file.display());
    let mut run = filter.run(&options);
    let mut following = follow(&filter);

    send(&link, PHONE, INVITE);
    send(&link, SCANNER, &hostile());
    following.wait_until("the first event was followed", PATIENCE, |it| {
        !it.stdout().is_empty()
    });
    for _ in 0..3 {
        send(&link, SCANNER, SVMAP);
    }
    run.wait_until("the source was blocked", PATIENCE, |it| {
        it.stderr().contains("is blocked for 2 s: signature")
    });
    // Until its time is over, and its first packet reports that.
    run.wait_until("the source was not blocked any more", PATIENCE, |it| {
        send(&link, SCANNER, INVITE);
        it.stderr().contains("is not blocked any more")
    });
    let all = [
        ("tool", SCANNER),
        ("blocked", SCANNER),
        ("unblocked", SCANNER),
    ];
    following.wait_until("all was followed", PATIENCE, |it| {
        it.stdout().lines().count() >= all.len()
    });

    // The same to all: the file, who followed, who asks afterwards.
    let followed = following.kill().stdout;
    let asked = filter.succeed("events");
    let written = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{error}"));
    for text in [&followed, &asked, &written] {
        assert_harmless(text);
        assert_eq!(happened(&objects(text)), pairs(&all), "{text}");
    }
    let first = &objects(&followed)[0];
    assert_eq!(first["tool"], "sipvicious");
    assert_eq!(first["port"], 5060);
    assert_eq!(first["destination"], SERVER);
    assert_eq!(
        first["user_agent"],
        "\\u{1b}[2J\\u{202e}friendly\\u{200b}<script>"
    );
    assert_eq!(
        first["start_line"],
        "OPTIONS sip:\\u{9b}31m@192.0.2.10 SIP/2.0"
    );
    let blocked = &objects(&followed)[1];
    assert_eq!(
        (&blocked["cause"], &blocked["seconds"]),
        (&"signature".into(), &2.into())
    );

    let ended = run.interrupt(PATIENCE).successful();
    assert_harmless(&ended.stderr);
    // What is in a file is not in the log, but for what is blocked.
    assert!(!ended.stderr.contains("is seen with"), "{}", ended.stderr);
}

#[test]
fn without_a_run_the_last_events_are_known_and_can_be_followed() {
    let link = Link::new();
    let filter = SipFilter::new(&link.server);
    filter.attach("");
    assert_eq!(filter.succeed("events"), "");
    send(&link, SCANNER, SVMAP);
    let asked = objects(&filter.succeed("events"));
    assert_eq!(happened(&asked), pairs(&[("tool", SCANNER)]));

    let mut following = follow(&filter);
    following.wait_until("what was before is there", PATIENCE, |it| {
        it.stdout().lines().count() == 1
    });
    link.outside
        .ip(&format!("addr add {ANOTHER}/24 dev {OUTSIDE}"));
    send(&link, ANOTHER, SVMAP);
    following.wait_until("what comes is there", PATIENCE, |it| {
        it.stdout().lines().count() == 2
    });
    // A run takes over, and who follows goes on with it.
    let run = filter.run("");
    // Two at once are two.
    send(&link, PHONE, SVMAP);
    send(&link, PHONE, SIPSAK);
    following.wait_until("what a run reads is there", PATIENCE, |it| {
        it.stdout().lines().count() == 4
    });
    let others = [("tool", PHONE); 2];
    let expected = [&[("tool", SCANNER), ("tool", ANOTHER)][..], &others].concat();
    assert_eq!(happened(&objects(&following.stdout())), pairs(&expected));

    let log = run.interrupt(PATIENCE).successful().stderr;
    let seen = format!("{PHONE} is seen with sipvicious; port 5060: OPTIONS ");
    assert!(log.contains(&seen), "{log}");
    assert!(!log.contains(SCANNER), "what was before is logged: {log}");
    let ended = following.finish(PATIENCE);
    assert!(!ended.status.success(), "{ended}");
    assert!(ended.stderr.contains("was detached"), "{ended}");

    let status = filter.attempt("events");
    assert!(status.stderr.contains("is not attached"), "{status}");
}

#[test]
fn status_says_what_became_of_events() {
    let link = Link::new();
    let filter = SipFilter::new(&link.server);
    // Where it is the network stack that hands over the packet, whose first bytes are found otherwise.
    filter.attach("--mode tcx");
    send(&link, SCANNER, SVMAP);
    send(&link, SCANNER, SVMAP);
    let asked = objects(&filter.succeed("events"));
    assert_eq!(asked[0]["user_agent"], "friendly-scanner");
    let status: Value = serde_json::from_str(&filter.succeed("status --format json"))
        .unwrap_or_else(|error| panic!("{error}"));
    let expected = serde_json::json!({"reported": 1, "suppressed": 0, "lost": 0});
    assert_eq!(status["events"], expected);
    let table = filter.succeed("status");
    assert!(
        table.contains("1 reported, 0 suppressed, 0 without room"),
        "{table}"
    );
}
