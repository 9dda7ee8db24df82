//! Text of strangers, through every output: what a scanner says of itself, a tool of that name, and the
//! reason in a list that was downloaded. None of it turns a terminal's text around, clears it or hides.

use std::{fmt::Write as _, fs, time::Duration};

use sip_filter_tests::{
    capture::{ETHERNET, Pcap},
    configuration::Configuration,
    http::Client,
    namespace::{FILTERED, Folder, Link, SCANNER, SERVER},
    packet::Frame,
    process::{self, SOON},
    sip_filter::{SipFilter, binary},
    tmux::Tmux,
};

const PATIENCE: Duration = Duration::from_secs(60);

/// What a tool is called, as far as such a name may be given.
const NAME: &str = "b\u{202e}<i>\u{200b}";
/// What is left of it where it is shown.
const SHOWN: &str = "b\\u{202e}<i>\\u{200b}";
/// What it says of itself, and why an address is in a list.
const SAID: &str = "bad\u{1b}]0;x\u{7}\u{1b}[2J\u{9b}2J\u{202e}\u{2066}\u{200b}";

fn message() -> Vec<u8> {
    format!(
        "OPTIONS sip:{SAID}@192.0.2.10 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.66;branch=z9hG4bK1\r\n\
         From: <sip:a@192.0.2.66>;tag=1\r\nTo: <sip:100@192.0.2.10>\r\nCall-ID: 1\r\n\
         CSeq: 1 OPTIONS\r\nUser-Agent: {SAID}\r\n\r\n"
    )
    .into_bytes()
}

/// It does nothing.
fn assert_harmless(what: &str, text: &str) {
    let harmful =
        |it: char| it.is_control() && it != '\n' || "\u{202e}\u{2066}\u{200b}\u{feff}".contains(it);
    assert!(!text.contains(harmful), "{what}: {}", text.escape_debug());
}

/// It does nothing, and says who it was; JSON has the name's characters by their numbers.
fn assert_shown(what: &str, text: &str) {
    assert_harmless(what, text);
    let said = [
        SHOWN,
        "b\\u202e<i>\\u200b",
        "b\\\\u{202e}<i>",
        "b\\u{202e}&#60;i&#62;",
    ];
    let is_shown = said.iter().any(|said| text.contains(said));
    assert!(is_shown, "{what} does not say it: {text}");
}

#[test]
fn what_strangers_write_does_nothing_wherever_it_is_shown() {
    let link = Link::new();
    let filter = SipFilter::new(&link.server);
    let folder = Folder::new();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let write = |name: &str, text: &[u8]| {
        fs::write(file(name), text).unwrap_or_else(|error| panic!("{error}"));
    };
    let configuration = Configuration::new("");
    let signature = format!(
        "[[signature]]\ntool = \"{NAME}\"\nkind = \"scanner\"\nfield = \"user-agent\"\n\
         match = \"prefix\"\npattern = \"bad\"\n"
    );
    configuration.write("own.toml", &signature);
    let own = configuration.path().with_file_name("own.toml");
    let own = format!("--signatures {}", own.display());

    // Read while it comes, into the log, the events file and the history, and over HTTP.
    let running = filter.run(&format!(
        "{own} -v --http 9060 --events {} --history {} --history-interval 200ms",
        file("events"),
        file("h.sqlite")
    ));
    let client = Client::new(&link.server, "127.0.0.1:9060");
    client.wait();
    let socket = link.outside.udp_socket(SCANNER);
    let sent = socket.send_to(&message(), (SERVER, 5060));
    sent.unwrap_or_else(|error| panic!("cannot send: {error}"));
    client.wait_until("the event is there", || {
        client.get("/api/v1/events").body.contains(SCANNER)
            && running.stderr().contains("OPTIONS")
            && fs::read_to_string(file("events")).is_ok_and(|events| events.contains(SCANNER))
    });
    for path in [
        "/metrics",
        "/api/v1/stats",
        "/api/v1/stats?top=5",
        "/api/v1/events",
    ] {
        assert_shown(path, &client.get(path).body);
    }
    for path in ["/", "/api/v1/status", "/api/v1/series", "/healthz"] {
        assert_harmless(path, &client.get(path).body);
    }
    let events = fs::read_to_string(file("events")).unwrap_or_default();
    assert_shown("the events file", &events);
    write("list", format!("203.0.113.9 # {SAID}\n").as_bytes());
    let list = file("list");
    assert_harmless(
        "block import",
        &filter.succeed(&format!("block import {list}")),
    );
    for line in [
        "stats",
        "stats --by tool",
        "stats --by tool --format csv",
        "stats --by source",
        "stats --by source --format csv",
        "stats --format json",
        "events",
    ] {
        assert_shown(line, &filter.succeed(line));
    }
    for line in [
        "status",
        "status --format json",
        "config show",
        "block list",
        "block list --format csv",
        "block list --format json",
        "block export",
    ] {
        assert_harmless(line, &filter.succeed(line));
    }
    assert!(filter.succeed("block export").contains("\\u{202e}"));
    for format in ["table", "csv", "json"] {
        let line = format!("signatures list {own} --format {format}");
        assert_shown(&line, &filter.succeed(&line));
    }

    // In a terminal: what it was made to do would not be on the screen, but the name is.
    let top = Tmux::new(120, 40);
    let in_namespace = |words: &[&str]| {
        let name = link.server.name();
        let mut line = format!("nsenter --net=/run/netns/{name} {}", binary().display());
        for word in filter.command(words).get_args() {
            let _ = write!(line, " {}", word.display());
        }
        line
    };
    top.type_line(&in_namespace(&["top", "--interval", "200ms"]));
    let shows = |terminal: &Tmux, what: &str| {
        let screen = terminal.wait_for(what, |screen| screen.contains("b\\u{202e}"));
        assert_harmless(what, &screen);
    };
    shows(&top, "the list of sources");
    top.press(&["Enter"]);
    top.wait_for("the source", |screen| screen.contains("User-Agent"));
    shows(&top, "the page of a source");
    top.press(&["Escape", "3"]);
    top.wait_for("the tools", |screen| screen.contains("Kind"));
    shows(&top, "the list of tools");
    top.press(&["q"]);

    let finished = running.interrupt(PATIENCE).successful();
    assert_shown("the log", &finished.stderr);
    assert!(finished.stderr.contains("OPTIONS"), "{finished}");

    let live = Tmux::new(120, 40);
    live.type_line(&in_namespace(&[
        "run",
        "-i",
        FILTERED,
        &own.replace(' ', "="),
    ]));
    live.wait_for("the live table", |screen| screen.contains("packets"));
    let sent = socket.send_to(&message(), (SERVER, 5060));
    sent.unwrap_or_else(|error| panic!("cannot send: {error}"));
    shows(&live, "the live table");
    live.press(&["C-c"]);
    live.wait_for("it is detached", |screen| screen.contains("detached"));

    // What was kept of it, and what needs no filter.
    let kept = format!("--history {}", file("h.sqlite"));
    for line in [
        "report",
        "report --html -",
        "report --format csv",
        "report --format json",
        "history export --format csv",
        "history export --format json",
    ] {
        assert_shown(line, &filter.succeed(&format!("{line} {kept}")));
    }
    write("payload", &message());
    let frame = Frame::to(SERVER).from(SCANNER).payload(message()).bytes();
    let mut capture = Pcap::new(ETHERNET);
    capture.add(1_795_413_600_000_000_000, &frame, frame.len());
    write("capture", &capture.bytes());
    for (line, what) in [
        ("signatures explain", "payload"),
        ("replay --engine host", "capture"),
        ("replay --engine host --format json", "capture"),
    ] {
        let mut command = link.server.command(binary());
        command
            .args(line.split(' '))
            .args(own.split(' '))
            .arg(file(what));
        let said = process::run(command, SOON).successful().stdout;
        assert_shown(line, &said);
    }
}
