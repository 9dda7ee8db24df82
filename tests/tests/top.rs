//! `top`, in a terminal: what it shows is what `stats` says, keys do what they are said to do, and the
//! terminal is given back as it was, whatever ends it.

use std::{
    fmt::Write as _,
    net::UdpSocket,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use sip_filter_tests::{
    configuration::Configuration,
    messages,
    namespace::{Link, PHONE, SCANNER, SCANNER_IPV6, SERVER, SERVER_IPV6},
    sip_filter::{SipFilter, binary},
    stats::Stats,
    tmux::Tmux,
};

const PATIENCE: Duration = Duration::from_secs(60);

/// What every sequence begins with that sets the colour of letters here (SGR 38).
const COLOUR: &str = "\x1b[38;";

/// What the sources send: from where, to where, what, and how often.
const SENT: [(&str, &str, &[u8], u64); 3] = [
    (SCANNER, SERVER, messages::SVMAP, 1_200),
    (PHONE, SERVER, messages::INVITE, 7),
    (SCANNER_IPV6, SERVER_IPV6, messages::SVMAP, 30),
];

/// Sends it, and waits until it was counted.
fn send(link: &Link, filter: &SipFilter<'_>) -> Stats {
    let before = filter.stats().totals.packets;
    let mut sent = 0;
    for (from, to, message, times) in SENT {
        let socket: UdpSocket = link.outside.udp_socket(from);
        for _ in 0..times {
            let done = socket.send_to(message, (to, 5060));
            done.unwrap_or_else(|error| panic!("{from}: {error}"));
        }
        sent += times;
    }
    let end = Instant::now() + PATIENCE;
    loop {
        let stats = filter.stats();
        if stats.totals.packets == before + sent {
            return stats;
        }
        assert!(Instant::now() < end, "{sent} were sent: {stats:?}");
        thread::sleep(Duration::from_millis(50));
    }
}

/// The command line of `top`, for the shell of a terminal.
fn command(link: &Link, filter: &SipFilter<'_>) -> String {
    let mut line = format!(
        "nsenter --net=/run/netns/{} {}",
        link.server.name(),
        binary().display()
    );
    let options = filter.command(["top", "--interval", "200ms"]);
    for word in options.get_args() {
        let _ = write!(line, " {}", word.display());
    }
    line
}

/// A terminal with `top` in it, which says its exit status when it ends.
fn start(terminal: &Tmux, link: &Link, filter: &SipFilter<'_>) {
    terminal.type_line(&format!("{}; echo ended with $?", command(link, filter)));
    terminal.wait_for("the sources", |screen| screen.contains("Source "));
}

/// The words of the line that begins with this one.
fn row(screen: &str, first: &str) -> Vec<String> {
    let words = |line: &str| {
        let words = line.split_whitespace();
        words.map(str::to_owned).collect::<Vec<_>>()
    };
    let mut rows = screen.lines().map(words);
    rows.find(|words| words.first().is_some_and(|word| word == first))
        .unwrap_or_default()
}

/// A number as it is shown.
fn number(text: &str) -> Option<u64> {
    text.replace(',', "").parse().ok()
}

/// The sources on the screen, from the top down.
fn sources(screen: &str) -> Vec<&str> {
    let first = screen.lines().map(|line| line.split(' ').next());
    first
        .flatten()
        .filter(|word| SENT.iter().any(|(from, ..)| from == word))
        .collect()
}

#[test]
fn it_shows_what_stats_says_sorted_and_filtered_as_asked() {
    let link = Link::new();
    let filter = SipFilter::new(&link.server);
    filter.attach("--drop scanners");
    let stats = send(&link, &filter);
    let terminal = Tmux::new(80, 24);
    start(&terminal, &link, &filter);

    let screen = terminal.wait_for("a rate", |screen| {
        row(screen, "packets/s").get(1).map(String::as_str) == Some("0")
    });
    for (name, total) in [
        ("packets/s", stats.totals.packets),
        ("scanner/s", stats.totals.scanner),
        ("dropped/s", stats.totals.dropped),
    ] {
        let row = row(&screen, name);
        let shown: Vec<_> = row.iter().filter_map(|word| number(word)).collect();
        assert_eq!(shown, [0, total], "{name}:\n{screen}");
    }
    for (from, ..) in SENT {
        let source = stats.source(from);
        let expected = [0, source.packets, source.scanner, source.dropped];
        let row = row(&screen, from);
        let shown: Vec<_> = row.iter().filter_map(|word| number(word)).collect();
        assert_eq!(shown, expected, "{from}:\n{screen}");
    }
    assert_eq!(sources(&screen), [SCANNER, SCANNER_IPV6, PHONE], "{screen}");
    assert!(row(&screen, SCANNER).contains(&"sipvicious".to_owned()));

    // What comes meanwhile is shown, too.
    let stats = send(&link, &filter);
    let packets = stats.source(SCANNER).packets;
    terminal.wait_for("what came later", |screen| {
        let row = row(screen, SCANNER);
        row.get(2).and_then(|text| number(text)) == Some(packets)
    });

    terminal.press(&["S"]);
    let expected = [PHONE, SCANNER, SCANNER_IPV6];
    terminal.wait_for("the order of addresses", |screen| {
        sources(screen) == expected
    });
    terminal.press(&["S"]);
    let expected = [SCANNER_IPV6, SCANNER, PHONE];
    terminal.wait_for("the other order", |screen| sources(screen) == expected);
    terminal.press(&["P"]);

    terminal.press(&["/"]);
    terminal.press(&["-l", "INVITE"]);
    let filtered = terminal.wait_for("who sent INVITE", |screen| sources(screen) == [PHONE]);
    assert!(filtered.contains("1 of 3 with \"INVITE\""), "{filtered}");
    terminal.press(&["Enter"]);

    terminal.press(&["Enter"]);
    let phone = stats.source(PHONE);
    let detail = terminal.wait_for("the phone's page", |screen| screen.contains("first seen"));
    for line in [
        format!("source      {PHONE}"),
        format!("packets     {}, ", phone.packets),
        format!("methods     INVITE {}", phone.packets),
        "tools       none".to_owned(),
        format!("reasons     passed {}", phone.packets),
        "ports       1 tried".to_owned(),
    ] {
        assert!(detail.contains(&line), "{line}:\n{detail}");
    }
    terminal.press(&["Escape"]);
    terminal.wait_for("the list", |screen| sources(screen) == [PHONE]);
    terminal.press(&["Escape"]);
    terminal.wait_for("all again", |screen| sources(screen).len() == 3);

    for (key, name, first, packets) in [
        ("2", "Method", "OPTIONS", stats.method("OPTIONS").packets),
        ("3", "Tool", "sipvicious", stats.tool("sipvicious").packets),
        ("4", "pOrt", "5060", stats.totals.packets),
    ] {
        terminal.press(&[key]);
        let screen = terminal.wait_for(name, |screen| {
            screen.lines().any(|line| line.starts_with(name))
        });
        let row = row(&screen, first);
        let mut shown = row.iter().skip(1).filter_map(|word| number(word));
        assert_eq!(shown.next(), Some(packets), "{name}:\n{screen}");
    }

    terminal.press(&["1"]);
    terminal.resize(120, 40);
    let wide = terminal.wait_for("more columns", |screen| screen.contains("Would drop"));
    let last = wide.trim_end().lines().count();
    assert_eq!(last, 40, "the keys stand in the last line:\n{wide}");

    // A colour of the palette, by its number.
    let coloured = terminal.coloured_screen();
    assert!(coloured.contains(COLOUR), "{coloured:?}");
    terminal.press(&["q"]);
    terminal.wait_for("its end", |screen| screen.contains("ended with 0"));
    terminal.type_line("clear; export NO_COLOR=1");
    start(&terminal, &link, &filter);
    let plain = terminal.coloured_screen();
    assert!(!plain.contains(COLOUR), "{plain:?}");
}

#[test]
fn a_key_blocks_and_allows_a_source_and_asks_first() {
    let link = Link::new();
    let filter = SipFilter::new(&link.server);
    let configuration = Configuration::new("[sizes]\nlists = 2\n");
    filter.attach(&configuration.option());
    send(&link, &filter);
    let terminal = Tmux::new(80, 24);
    start(&terminal, &link, &filter);
    let listed = |list: &str| -> Vec<Value> {
        let listed = filter.succeed(&format!("{list} list --format json"));
        serde_json::from_str(&listed).unwrap_or_else(|error| panic!("{error}: {listed}"))
    };

    terminal.press(&["b"]);
    terminal.wait_for("a question", |screen| {
        screen.contains(&format!("Block {SCANNER} for 1h?"))
    });
    terminal.press(&["n"]);
    terminal.wait_for("no question", |screen| !screen.contains("for 1h?"));
    assert!(listed("block").is_empty());

    terminal.press(&["b", "Enter"]);
    terminal.wait_for("what was done", |screen| {
        screen.contains(&format!("{SCANNER}: block list: 1 added, for 1h"))
    });
    let blocked = listed("block");
    assert_eq!(blocked.len(), 1);
    assert_eq!(blocked[0]["address"], SCANNER);
    assert!(blocked[0]["expires"].is_string(), "{blocked:?}");

    // The next one, from its page, for ever.
    terminal.press(&["Down"]);
    terminal.press(&["Enter"]);
    terminal.wait_for("its page", |screen| {
        screen.contains("first seen")
            && screen.contains("start line  OPTIONS sip:100@192.0.2.10 SIP/2.0")
            && screen.contains("User-Agent  friendly-scanner")
    });
    terminal.press(&["b", "e"]);
    terminal.wait_for("what was done", |screen| screen.contains(", for ever"));
    let blocked = listed("block");
    let other = blocked
        .iter()
        .find(|entry| entry["address"] == SCANNER_IPV6);
    assert!(
        other.is_some_and(|entry| entry["expires"].is_null()),
        "{blocked:?}"
    );
    terminal.press(&["a", "Enter"]);
    terminal.wait_for("what was done", |screen| {
        screen.contains("allow list: 1 added")
    });
    assert_eq!(listed("allow")[0]["address"], SCANNER_IPV6);

    // For a third one there is no room, which is said, and nothing is changed.
    terminal.press(&["Escape"]);
    terminal.press(&["Down", "b", "Enter"]);
    terminal.wait_for("why not", |screen| {
        screen.contains("error: nothing was changed: 3 addresses are more than the 2")
    });
    assert_eq!(listed("block").len(), 2);

    // What is blocked is dropped from now on.
    let stats = send(&link, &filter);
    assert_eq!(stats.source(SCANNER).dropped, SENT[0].3);
    assert_eq!(stats.source(SCANNER_IPV6).dropped, 0);
}

#[test]
fn the_terminal_is_given_back_whatever_ends_it() {
    let link = Link::new();
    let filter = SipFilter::new(&link.server);
    filter.attach("");
    let terminal = Tmux::new(80, 24);
    terminal.type_line("echo what was there");
    terminal.wait_for("it", |screen| screen.contains("\nwhat was there"));
    let before = terminal.settings();
    let signal = |signal| {
        // SAFETY: a system call on the process that this test's shell has started.
        unsafe { libc::kill(terminal.child(), signal) };
    };
    let is_given_back = |status: &str, by: &str| {
        terminal.wait_for(by, |screen| {
            screen.contains(&format!("ended with {status}\n"))
        });
        assert_eq!(terminal.variable("alternate_on"), "0", "{by}");
        assert_eq!(terminal.variable("cursor_flag"), "1", "{by}");
        assert_eq!(terminal.settings(), before, "{by}");
        let screen = terminal.screen();
        assert!(screen.contains("what was there"), "{by}:\n{screen}");
        terminal.type_line("clear; echo what was there");
        terminal.wait_for("a new start", |screen| !screen.contains("ended with"));
    };
    let ends: [(&str, &dyn Fn()); 7] = [
        ("q", &|| terminal.press(&["q"])),
        ("Escape", &|| terminal.press(&["Escape"])),
        ("Ctrl-C", &|| terminal.press(&["C-c"])),
        ("SIGTERM", &|| signal(libc::SIGTERM)),
        ("SIGHUP", &|| signal(libc::SIGHUP)),
        ("SIGINT", &|| signal(libc::SIGINT)),
        ("SIGQUIT", &|| signal(libc::SIGQUIT)),
    ];
    for (by, end) in ends {
        start(&terminal, &link, &filter);
        assert_eq!(terminal.variable("alternate_on"), "1", "{by}");
        end();
        is_given_back("0", by);
    }
    start(&terminal, &link, &filter);
    filter.detach();
    terminal.wait_for("why it ended", |screen| {
        screen.contains("error: the filter test was detached meanwhile")
    });
    is_given_back("1", "detach");

    filter.attach("");
    start(&terminal, &link, &filter);
    let process = format!("/proc/{}", terminal.child());
    terminal.close();
    let end = Instant::now() + PATIENCE;
    while Path::new(&process).exists() {
        assert!(Instant::now() < end, "it is there without its terminal");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn without_a_terminal_it_names_stats() {
    let link = Link::new();
    let filter = SipFilter::new(&link.server);
    let refused = filter.attempt("top");
    assert_eq!(refused.status.code(), Some(1), "{refused}");
    assert!(refused.stderr.contains("sip-filter stats"), "{refused}");
    let terminal = Tmux::new(80, 24);
    terminal.type_line(&command(&link, &filter));
    terminal.wait_for("why not", |screen| screen.contains("not attached"));
}
