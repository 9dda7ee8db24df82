//! What `run --http` answers: the same numbers as commands, to those alone who are to have them, and
//! whatever clients do.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    time::{Duration, Instant},
};

use serde_json::Value;
use sip_filter_tests::{
    configuration::Configuration,
    http::Client,
    messages::{CRLF_CRLF, INVITE, SIPSAK, SVMAP},
    namespace::{FILTERED, Link, PHONE, SCANNER, SERVER},
    process::Running,
    sip_filter::SipFilter,
};

/// Where it answers, in the server's namespace.
const HERE: &str = "127.0.0.1:9060";
/// Where it answers others.
const THERE: &str = "192.0.2.10:9060";
const TOKEN: &str = "correct-horse-battery-staple";
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a client may take to say what it wants, and some more on a busy machine.
const HEADER: Duration = Duration::from_secs(5);

/// Without what differs from one reading to the next.
fn timeless(mut document: Value) -> Value {
    let Some(fields) = document.as_object_mut() else {
        panic!("no object: {document}")
    };
    fields.remove("time");
    for key in ["sources", "attachments"] {
        let rows = fields.get_mut(key).and_then(Value::as_array_mut);
        for row in rows.into_iter().flatten().filter_map(Value::as_object_mut) {
            row.retain(|key, _| !matches!(key.as_str(), "first_seen" | "last_seen" | "since"));
        }
    }
    document
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Sends these from a source to the server's SIP port.
fn send(link: &Link, from: &str, messages: &[&[u8]]) {
    let socket = link.outside.udp_socket(from);
    for message in messages {
        let sent = socket.send_to(message, (SERVER, 5060));
        sent.unwrap_or_else(|error| panic!("cannot send: {error}"));
    }
}

/// `run` with these options, once it answers.
fn run(filter: &SipFilter<'_>, client: &Client<'_>, options: &str) -> Running {
    let running = filter.run(options);
    client.wait();
    running
}

#[test]
fn numbers_are_those_of_the_commands() {
    let link = Link::new();
    let filter = SipFilter::new(&link.server);
    let client = Client::new(&link.server, HERE);
    let running = run(&filter, &client, "--drop scanners --http 9060");
    send(&link, SCANNER, &[SVMAP, SVMAP, SIPSAK]);
    send(&link, PHONE, &[INVITE, CRLF_CRLF]);
    client.wait_until("all is counted", || {
        client.get("/api/v1/stats").json()["totals"]["packets"] == 5
    });

    let told = timeless(client.get("/api/v1/stats").json());
    assert_eq!(
        told,
        timeless(parsed(&filter.succeed("stats --format json")))
    );
    assert_eq!(told["totals"]["dropped"], 2);
    let first = timeless(client.get("/api/v1/stats?top=1").json());
    let line = "stats --top 1 --format json";
    assert_eq!(first, timeless(parsed(&filter.succeed(line))));
    for query in ["top=0", "top=-1", "top=x", "sort=source", "top=1&top=2"] {
        let answer = client.get(&format!("/api/v1/stats?{query}"));
        assert_eq!(answer.status, 400, "{query}");
    }
    let status = timeless(client.get("/api/v1/status").json());
    let line = "status --format json";
    assert_eq!(status, timeless(parsed(&filter.succeed(line))));

    let metrics = client.get("/metrics").body_of(200);
    for line in [
        "sip_filter_packets_total{class=\"request\"} 4",
        "sip_filter_packets_total{class=\"keepalive\"} 1",
        "sip_filter_dropped_packets_total 2",
        "sip_filter_tool_dropped_packets_total{tool=\"sipvicious\",kind=\"scanner\"} 2",
        "sip_filter_tool_packets_total{tool=\"sipsak\",kind=\"testtool\"} 1",
        "sip_filter_port_packets_total{port=\"5060\"} 5",
        "sip_filter_sources 2",
        "sip_filter_attached{interface=\"sip0\",mode=\"native\"} 1",
    ] {
        assert!(metrics.contains(&format!("{line}\n")), "{line}: {metrics}");
    }
    let accept = "Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5";
    let open = client.get_with("/metrics", &[accept]);
    let kind = open.field("content-type").map(str::to_owned);
    let expected = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(kind.as_deref(), Some(expected));
    assert!(open.body.ends_with("# EOF\n"), "{open:?}");

    // Once there are two samples, what came is between them.
    let came = |series: &Value, key: &str| -> u64 {
        let points = series["points"].as_array().into_iter().flatten();
        points
            .filter_map(|point| point.pointer(key)?.as_u64())
            .sum()
    };
    client.wait_until("the pictures have it", || {
        let series = client.get("/api/v1/series").json();
        came(&series, "/packets") == 5
            && came(&series, "/tool") == 3
            && came(&series, "/classes/keepalive") == 1
    });
    running.interrupt(PATIENCE).successful();
    filter.assert_absent();
}

#[test]
fn events_are_those_that_are_followed() {
    let link = Link::new();
    let filter = SipFilter::new(&link.server);
    let client = Client::new(&link.server, HERE);
    let _running = run(&filter, &client, "--http 9060");
    let events = |query: &str| {
        let document = client.get(&format!("/api/v1/events{query}")).json();
        let events = document["events"].as_array();
        events.unwrap_or_else(|| panic!("{document}")).clone()
    };
    assert_eq!(events(""), Vec::<Value>::new());
    send(&link, SCANNER, &[SVMAP]);
    client.wait_until("the first is there", || events("").len() == 1);
    send(&link, PHONE, &[SIPSAK]);
    client.wait_until("the second is there", || events("").len() == 2);
    let all = events("");
    for (event, source, tool, agent) in [
        (&all[0], SCANNER, "sipvicious", "friendly-scanner"),
        (&all[1], PHONE, "sipsak", "sipsak 0.9.8.1"),
    ] {
        assert_eq!(event["event"], "tool");
        assert_eq!(event["source"], source);
        assert_eq!(event["destination"], SERVER);
        assert_eq!(event["port"], 5060);
        assert_eq!(event["tool"], tool);
        assert_eq!(event["user_agent"], agent);
    }
    assert_eq!(events("?top=1"), all[1..]);
    assert_eq!(events("?top=9"), all);
    let followed = filter.succeed("events");
    let followed: Vec<_> = followed.lines().map(parsed).collect();
    assert_eq!(followed, all);
    let metrics = client.get("/metrics").body_of(200);
    let line = "sip_filter_events_total{outcome=\"reported\"} 2\n";
    assert!(metrics.contains(line), "{metrics}");
}

#[test]
fn health_is_whether_the_filter_is_attached() {
    let link = Link::new();
    let filter = SipFilter::new(&link.server);
    let client = Client::new(&link.server, HERE);
    let running = run(&filter, &client, "--http 9060");
    let healthy = client.get("/healthz").body_of(200);
    assert_eq!(healthy, "sip0: attached in native mode\n");
    let says = |status: u16, metric: &str| {
        client.wait_until(metric, || client.get("/healthz").status == status);
        let line = format!("\nsip_filter_attached{metric}\n");
        client.wait_until(metric, || client.get("/metrics").body.contains(&line));
    };
    says(200, "{interface=\"sip0\",mode=\"native\"} 1");
    link.delete();
    says(503, "{interface=\"sip0\",mode=\"none\"} 0");
    let reason = client.get("/healthz").body_of(503);
    assert!(reason.starts_with("sip0: gone"), "{reason}");
    link.create();
    link.take_up();
    says(200, "{interface=\"sip0\",mode=\"native\"} 1");
    running.interrupt(PATIENCE).successful();
}

#[test]
fn whatever_is_asked_is_answered_and_the_filter_goes_on() {
    let link = Link::new();
    let filter = SipFilter::new(&link.server);
    let client = Client::new(&link.server, HERE);
    let mut running = run(&filter, &client, "--drop scanners --http 9060");

    // Who says nothing, or not all of it, is not waited for.
    let begun = Instant::now();
    let mut silent: Vec<_> = (0..70).filter_map(|_| client.connect().ok()).collect();
    assert_eq!(silent.len(), 70);
    let unfinished = silent[0].write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n");
    assert!(unfinished.is_ok(), "{unfinished:?}");
    // As many as there is room for are there: this one waits until one of them has to go.
    assert_eq!(client.get("/healthz").status, 200);
    for stream in &mut silent {
        let mut told = Vec::new();
        // Those that are ended while nothing was said are reset, or told 408.
        let _ = stream.read_to_end(&mut told);
        let told = String::from_utf8_lossy(&told);
        assert!(
            told.is_empty() || told.starts_with("HTTP/1.1 408"),
            "{told}"
        );
    }
    let waited = begun.elapsed();
    assert!(waited >= HEADER.mul_f32(0.9), "ended after {waited:?}");

    let get = |host: &str| client.send(format!("GET / HTTP/1.1\r\n{host}\r\n").as_bytes());
    for (host, status) in [
        ("Host: localhost\r\n", 200),
        ("Host: localhost:9060\r\n", 200),
        ("Host: [::1]:8080\r\n", 200),
        // A name of somebody else's that leads here.
        ("Host: rebound.example:9060\r\n", 421),
        ("Host: 192.0.2.10\r\n", 421),
        ("", 400),
        ("Host: localhost\r\nHost: rebound.example\r\n", 400),
    ] {
        assert_eq!(get(host).status, status, "{host:?}");
    }

    for path in [
        "/nothing",
        "/api/v1",
        "/api/v2/stats",
        "/metrics/",
        "/../etc/passwd",
        "/page",
    ] {
        assert_eq!(client.get(path).status, 404, "{path}");
    }
    for path in ["/", "/metrics", "/healthz", "/api/v1/stats", "/page.js"] {
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "SHUTDOWN"] {
            let request = format!(
                "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\ntext"
            );
            let answer = client.send(request.as_bytes());
            assert_eq!(answer.status, 405, "{method} {path}");
            assert_eq!(answer.field("allow"), Some("GET, HEAD"));
        }
        let head = format!("HEAD {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let head = client.send(head.as_bytes());
        assert_eq!((head.status, head.body.as_str()), (200, ""), "{path}");
        assert_eq!(
            client.get(path).field("content-type"),
            head.field("content-type")
        );
    }

    for (request, statuses) in [
        (
            "INVITE sip:100@192.0.2.10 SIP/2.0\r\n\r\n".to_owned(),
            [400, 400],
        ),
        ("\0\0\0\0\r\n\r\n".to_owned(), [400, 400]),
        (
            format!("GET /{} HTTP/1.1\r\n", "a".repeat(70_000)),
            [414, 431],
        ),
        (
            format!("GET / HTTP/1.1\r\nX: {}\r\n", "a".repeat(70_000)),
            [431, 431],
        ),
        (
            format!("GET / HTTP/1.1\r\n{}\r\n", "X: a\r\n".repeat(1000)),
            [431, 431],
        ),
    ] {
        let answer = client.send(request.as_bytes());
        let status = answer.status;
        // What it has not read resets the connection, sometimes before the answer is read.
        let is_refused = statuses.contains(&status) || status == 0;
        assert!(is_refused, "{status}: {}", &request[..20]);
    }

    // Whoever goes away in the middle of an answer.
    for _ in 0..100 {
        let mut stream = client.connect().unwrap_or_else(|error| panic!("{error}"));
        let asked = stream.write_all(b"GET /api/v1/stats HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert!(asked.is_ok(), "{asked:?}");
    }

    assert_eq!(client.get("/healthz").status, 200);
    send(&link, SCANNER, &[SVMAP]);
    assert_eq!(filter.stats().totals.dropped, 1);
    assert!(running.is_running());
    running.interrupt(PATIENCE).successful();
    filter.assert_absent();
}

#[test]
fn a_browser_is_told_to_trust_nothing_else() {
    let link = Link::new();
    let filter = SipFilter::new(&link.server);
    let client = Client::new(&link.server, HERE);
    let _running = run(&filter, &client, "--http localhost:9060");
    let with_host = |host: &str| format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let mut answers: Vec<_> = ["/", "/page.js", "/api/v1/stats", "/metrics", "/nothing"]
        .map(|path| client.get(path))
        .into();
    answers.push(client.send(with_host("rebound.example").as_bytes()));
    for answer in answers {
        let policy = answer.field("content-security-policy").unwrap_or_default();
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "connect-src 'self'",
            "img-src 'self' data:",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'none'",
        ] {
            assert!(policy.split("; ").any(|said| said == part), "{answer:?}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("x-frame-options", "DENY"),
            ("cache-control", "no-store"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(answer.field(name), Some(value), "{answer:?}");
        }
    }
}

#[test]
fn others_show_the_token() {
    let link = Link::new();
    let filter = SipFilter::new(&link.server);
    let outside = Client::new(&link.outside, THERE);
    let configuration = Configuration::new("");
    let token = |mode: u32| {
        configuration.write("token", TOKEN);
        let path = configuration.path().with_file_name("token");
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(&path, mode).unwrap_or_else(|error| panic!("{error}"));
        path.display().to_string()
    };
    let file = token(0o644);
    let with_token = format!("--http-token-file {file}");
    for (options, said) in [
        (format!("--http {THERE}"), "--http-token-file"),
        ("--http 0.0.0.0:9060".to_owned(), "--http-token-file"),
        ("--http [::]:9060".to_owned(), "--http-token-file"),
        (
            format!("--http {THERE} --http-token-file /nonexistent"),
            "cannot read the token",
        ),
        (format!("--http {THERE} {with_token}"), "everybody can read"),
        (with_token, "give both"),
    ] {
        let refused = filter.attempt(&format!("run -i {FILTERED} {options}"));
        assert!(!refused.status.success(), "{refused}");
        assert!(refused.stderr.contains(said), "{refused}");
        filter.assert_absent();
    }

    token(0o600);
    configuration.say(&format!(
        "[http]\nlisten = \"{THERE}\"\ntoken_file = \"token\"\n"
    ));
    let running = run(&filter, &outside, &configuration.option());
    for path in ["/", "/metrics", "/healthz", "/api/v1/stats", "/nothing"] {
        for field in [
            "X: a",
            "Authorization: Bearer wrong",
            &format!("Authorization: Bearer {TOKEN}x"),
            "Authorization: Basic dXNlcjp3cm9uZw==",
        ] {
            let answer = outside.get_with(path, &[field]);
            assert_eq!(answer.status, 401, "{path} {field}");
            let asks = answer.field("www-authenticate").unwrap_or_default();
            assert!(asks.starts_with("Basic realm="), "{asks}");
            let says_how = answer.body.contains("`Authorization: Bearer TOKEN`");
            assert!(
                says_how && !answer.body.contains("sip_filter"),
                "{answer:?}"
            );
        }
    }
    let bearer = format!("Authorization: Bearer {TOKEN}");
    // `operator:` and the token, in base64.
    let basic = "Authorization: Basic b3BlcmF0b3I6Y29ycmVjdC1ob3JzZS1iYXR0ZXJ5LXN0YXBsZQ==";
    for field in [&bearer, basic] {
        let metrics = outside.get_with("/metrics", &[field]).body_of(200);
        assert!(metrics.contains("sip_filter_packets_total"), "{metrics}");
        assert_eq!(outside.get_with("/nothing", &[field]).status, 404);
    }
    // Who opens many connections and says nothing takes nobody else's place.
    let inside = Client::new(&link.server, THERE);
    let is_answered_before_they_end = || {
        let silent: Vec<_> = (0..200).filter_map(|_| outside.connect().ok()).collect();
        assert_eq!(inside.get_with("/healthz", &[basic]).status, 200);
        let waits = silent[0].set_nonblocking(true);
        waits.unwrap_or_else(|error| panic!("{error}"));
        let open = silent[0].peek(&mut [0]);
        open.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    };
    inside.wait_until("others are answered too", is_answered_before_they_end);

    let shown = filter.succeed("config show");
    assert!(shown.contains("token_file = "), "{shown}");
    assert!(!shown.contains(TOKEN), "{shown}");
    running.interrupt(PATIENCE).successful();
}

#[test]
fn a_port_that_is_taken_is_told_before_anything_is_attached() {
    let link = Link::new();
    let filter = SipFilter::new(&link.server);
    let taken = link.server.inside(|| TcpListener::bind(HERE));
    let refused = filter.attempt(&format!("run -i {FILTERED} --http 9060"));
    assert_eq!(refused.status.code(), Some(1), "{refused}");
    assert!(
        refused
            .stderr
            .contains("cannot answer HTTP at 127.0.0.1:9060"),
        "{refused}"
    );
    assert!(!refused.stderr.contains("attached in"), "{refused}");
    filter.assert_absent();
    drop(taken);
    let client = Client::new(&link.server, HERE);
    let running = run(&filter, &client, "--http 9060 --keep");
    // The next one takes the place of one that was killed.
    running.signal(libc::SIGKILL);
    running.finish(PATIENCE);
    let again = run(&filter, &client, "--http 9060");
    assert_eq!(client.get("/healthz").status, 200);
    again.interrupt(PATIENCE).successful();
}
