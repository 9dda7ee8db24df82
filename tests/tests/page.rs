//! The page of `run --http` in a real browser: its numbers are those of `stats`, and what comes from
//! whoever sends packets is text.

use std::{os::unix::fs::PermissionsExt as _, process::Command, time::Duration};

use sip_filter_tests::{
    browser::{self, Page, Scheme},
    configuration::Configuration,
    http::Client,
    messages::{CRLF_CRLF, INVITE, SIPSAK, SVMAP},
    namespace::{Folder, Link, PHONE, SCANNER, SCANNER_IPV6, SERVER, SERVER_IPV6},
    process,
    sip_filter::{SipFilter, binary},
};

const HERE: &str = "127.0.0.1:9060";
const TOKEN: &str = "correct-horse-battery-staple";
const PATIENCE: Duration = Duration::from_secs(60);
const DESK: (u32, u32) = (1200, 900);
const PHONE_SCREEN: (u32, u32) = (390, 844);

/// A tool that is called like a script.
const HOSTILE: &str = "<img src=x onerror=alert(1)>";
const SIGNATURES: &str = "[[signature]]\ntool = \"<img src=x onerror=alert(1)>\"\nkind = \"scanner\"\n\
    field = \"user-agent\"\nmatch = \"exact\"\npattern = \"<script>alert(1)</script>\"\n";
const FROM_HOSTILE: &[u8] = b"OPTIONS sip:100@192.0.2.10 SIP/2.0\r\n\
    Via: SIP/2.0/UDP 192.0.2.66:5060;branch=z9hG4bK1\r\nFrom: <sip:a@192.0.2.66>;tag=1\r\n\
    To: <sip:100@192.0.2.10>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n\
    User-Agent: <script>alert(1)</script>\r\nContent-Length: 0\r\n\r\n";

/// The text as HTML writes it.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// What stands in the element with this id, up to the first end of an element of its kind.
fn part<'page>(page: &'page Page, kind: &str, id: &str) -> &'page str {
    let begin = page.dom.find(&format!("id=\"{id}\""));
    let Some(begin) = begin else {
        panic!("no {id} in {}", page.dom)
    };
    let rest = &page.dom[begin..];
    rest.split(&format!("</{kind}>")).next().unwrap_or_default()
}

#[test]
fn the_page_shows_what_stats_shows_and_runs_nothing_that_was_sent() {
    let link = Link::new();
    let filter = SipFilter::new(&link.server);
    let configuration = Configuration::new("");
    configuration.write("own.toml", SIGNATURES);
    let own = configuration.path().with_file_name("own.toml");
    let options = format!("--http 9060 --drop scanners --signatures {}", own.display());
    let running = filter.run(&options);
    let client = Client::new(&link.server, HERE);
    client.wait();
    let send = |from: &str, to: &str, port: u16, messages: &[&[u8]]| {
        let socket = link.outside.udp_socket(from);
        for message in messages {
            let sent = socket.send_to(message, (to, port));
            assert!(sent.is_ok(), "{sent:?}");
        }
    };
    // Of what happens before `run` reads events, the last one of each source is known.
    send(SCANNER_IPV6, SERVER_IPV6, 5060, &[SIPSAK]);
    client.wait_until("events are read", || {
        client.get("/api/v1/events").body.contains("sipsak")
    });
    send(SCANNER, SERVER, 5060, &[SVMAP, SVMAP, FROM_HOSTILE]);
    send(SCANNER, SERVER, 5070, &[SVMAP]);
    send(PHONE, SERVER, 5060, &[INVITE, CRLF_CRLF]);
    client.wait_until("the pictures have it, and the list of events", || {
        let series = client.get("/api/v1/series").json();
        let points = series["points"].as_array().into_iter().flatten();
        let packets = points.filter_map(|point| point["packets"].as_u64());
        let events = client.get("/api/v1/events").json();
        packets.sum::<u64>() == 7 && events["events"].as_array().map(Vec::len) == Some(3)
    });
    let stats = filter.stats();
    assert_eq!(stats.totals.scanner, 4, "{stats:?}");

    for window in [DESK, PHONE_SCREEN] {
        let page = browser::load(&link.server, "http://localhost:9060/", window);
        // Its policy would have forbidden it, and a script would have failed.
        assert_eq!(page.complaints, Vec::<String>::new());
        let totals = &stats.totals;
        for (key, count) in [
            ("packets", totals.packets),
            ("scanner", totals.scanner),
            ("dropped", totals.dropped),
            ("passed", totals.passed),
            ("requests", totals.requests),
            ("keepalives", totals.keepalives),
        ] {
            let shown = format!("id=\"total-{key}\">{count}</dd>");
            assert!(page.dom.contains(&shown), "{shown}: {}", page.dom);
        }
        assert!(part(&page, "p", "state").ends_with("on sip0 (native)"));
        assert!(part(&page, "p", "policy").contains("dropping scanners; ports 5060-5100,6060"));

        let tools = part(&page, "table", "tools");
        let row =
            "<td class=\"number\">3</td><td class=\"number\">3</td><td class=\"number\">0</td>";
        let named = format!("<td class=\"text\">sipvicious</td><td>scanner</td>{row}");
        assert!(tools.contains(&named), "{tools}");
        let named = format!("<td class=\"text\">{}</td>", escaped(HOSTILE));
        assert!(tools.contains(&named), "{tools}");
        assert!(!page.dom.contains("<img"), "{}", page.dom);

        // What a scanner has sent of itself.
        let events = part(&page, "table", "events");
        let sent = escaped("<script>alert(1)</script>");
        let sent = format!("<td class=\"text\">{sent}</td>");
        assert!(events.contains(&sent), "{events}");
        assert!(
            events.contains("<td class=\"text\">seen with sipvicious</td>"),
            "{events}"
        );
        assert!(!page.dom.contains("<script>"), "{}", page.dom);

        let sources = part(&page, "table", "sources");
        let [scanner, phone] = [SCANNER, PHONE].map(|source| stats.source(source));
        for source in [scanner, phone] {
            let row = [
                source.packets,
                source.scanner,
                source.dropped,
                source.would_drop,
            ]
            .map(|count| format!("<td class=\"number\">{count}</td>"));
            let row = format!("<td>{}</td>{}", source.source, row.concat());
            assert!(sources.contains(&row), "{row}: {sources}");
        }

        // Each of the four pictures has bars that say what they are.
        for (id, said) in [
            ("chart-packets", "packets a second"),
            ("chart-methods", "OPTIONS"),
            ("chart-tool", "a tool recognised"),
            ("chart-ports", "<title>5060: 3 packets</title>"),
        ] {
            let picture = part(&page, "figure", id);
            assert!(picture.contains("<g class=\"bar\">"), "{id}: {picture}");
            assert!(picture.contains(said), "{id}: {picture}");
        }
        let ports = part(&page, "figure", "chart-ports");
        assert!(ports.contains("<title>5070: 1 packets</title>"), "{ports}");
        assert_eq!(ports.matches("<g class=\"bar\">").count(), 2, "{ports}");

        looks_as_it_should(&link, "http://localhost:9060/", window, &PAGE);
    }
    running.interrupt(PATIENCE).successful();
    filter.assert_absent();
}

/// What is seen on a light screen and on a dark one: the ground, and what stands out from it.
struct Colours {
    light: ([u8; 3], &'static [[u8; 3]]),
    dark: ([u8; 3], &'static [[u8; 3]]),
    /// Of the ground alone, at both edges, in pixels.
    margin: usize,
}

/// Text, and the bars with a tool and without.
const PAGE: Colours = Colours {
    light: (
        [0xff, 0xff, 0xff],
        &[[0x1b, 0x1f, 0x24], [0x2a, 0x6f, 0xb0], [0xd1, 0x49, 0x5b]],
    ),
    dark: (
        [0x14, 0x17, 0x1a],
        &[[0xe4, 0xe7, 0xea], [0x69, 0xa7, 0xe4], [0xf0, 0x80, 0x8d]],
    ),
    margin: 8,
};

/// Text, bars, and the lines behind them.
const REPORT: Colours = Colours {
    light: (
        [0xff, 0xff, 0xff],
        &[[0x11, 0x11, 0x11], [0x00, 0x72, 0xb2], [0xdd, 0xdd, 0xdd]],
    ),
    dark: (
        [0x16, 0x18, 0x1c],
        &[[0xe8, 0xe8, 0xe8], [0x4d, 0xa3, 0xdd], [0x3a, 0x3f, 0x46]],
    ),
    margin: 12,
};

/// It has its colours on either screen, and nothing of it reaches beyond the window.
fn looks_as_it_should(link: &Link, url: &str, window: (u32, u32), colours: &Colours) {
    for (scheme, (ground, others)) in [(Scheme::Light, colours.light), (Scheme::Dark, colours.dark)]
    {
        let what = format!("{url}, {window:?}, {scheme:?}");
        let picture = browser::look(&link.server, url, window, scheme);
        assert_eq!(picture.width, window.0 as usize, "{what}");
        let seen = picture.colours();
        for colour in others {
            assert!(seen.contains(colour), "{what}: no {colour:x?}");
        }
        let width = picture.width;
        for column in (0..colours.margin).chain(width - colours.margin..width) {
            assert_eq!(picture.column(column), [ground].into(), "{what}: {column}");
        }
    }
}

#[test]
fn a_report_is_read_on_a_telephone_and_on_a_dark_screen() {
    let link = Link::new();
    let folder = Folder::new();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let mut text = "start,by,name,kind,packets\n".to_owned();
    for month in 1..=12 {
        text += &format!("2025-{month:02},port,5060,,{}\n", month * 100_000);
        text += &format!("2025-{month:02},method,OPTIONS,,{month}\n");
    }
    std::fs::write(file("text"), text).unwrap_or_else(|error| panic!("{error}"));
    for line in [
        format!("history import {}", file("text")),
        format!("report --year 2025 --html {}", file("page.html")),
    ] {
        let mut command = Command::new(binary());
        command
            .args(line.split(' '))
            .arg("--history")
            .arg(file("h.sqlite"));
        process::run(command, PATIENCE).successful();
    }
    let url = format!("file://{}", file("page.html"));
    for window in [DESK, PHONE_SCREEN] {
        looks_as_it_should(&link, &url, window, &REPORT);
    }
}

#[test]
fn a_browser_that_knows_the_token_shows_the_page() {
    let link = Link::new();
    let filter = SipFilter::new(&link.server);
    let configuration = Configuration::new(&format!(
        "[http]\nlisten = \"{SERVER}:9060\"\ntoken_file = \"token\"\n"
    ));
    configuration.write("token", TOKEN);
    let token = configuration.path().with_file_name("token");
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(token, private).unwrap_or_else(|error| panic!("{error}"));
    let running = filter.run(&configuration.option());
    Client::new(&link.outside, &format!("{SERVER}:9060")).wait();
    let url = format!("http://operator:{TOKEN}@{SERVER}:9060/");
    let page = browser::load(&link.outside, &url, DESK);
    assert_eq!(page.complaints, Vec::<String>::new());
    assert!(
        part(&page, "p", "state").ends_with("on sip0 (native)"),
        "{page:?}"
    );
    running.interrupt(PATIENCE).successful();
}
