//! What a real Prometheus makes of `/metrics`: the numbers of `stats`, in names that it finds no fault
//! with; and the alerts and the dashboard that come with the package.

use std::{collections::BTreeSet, fs, path::PathBuf, time::Duration};

use serde_json::Value;
use sip_filter_tests::{
    configuration::Configuration,
    http::Client,
    messages::{self, CRLF_CRLF, INVITE, OK, QUALIFY, RTP, SIPSAK, SVCRACK, SVMAP, SVWAR},
    namespace::{Link, PHONE, SCANNER, SCANNER_IPV6, SERVER, SERVER_IPV6},
    prometheus::{Prometheus, promtool},
    sip_filter::SipFilter,
};

const HERE: &str = "127.0.0.1:9060";
const PATIENCE: Duration = Duration::from_secs(60);

/// A file of the package's.
fn packaged(path: &str) -> PathBuf {
    let packaging = concat!(env!("CARGO_MANIFEST_DIR"), "/../sip-filter/packaging");
    let path = PathBuf::from(packaging).join(path);
    path.canonicalize()
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn read(path: &str) -> String {
    let path = packaged(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The names of metrics that stand in this text.
fn metrics_in(text: &str) -> BTreeSet<&str> {
    let is_in_a_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.split(|c| !is_in_a_name(c))
        .filter(|word| word.starts_with("sip_filter_"))
        .collect()
}

/// Every query of the dashboard, as Grafana sends it.
fn dashboard() -> Vec<String> {
    let text = read("grafana/sip-filter.json");
    let dashboard: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}"));
    let panels = dashboard["panels"].as_array().into_iter().flatten();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let queries: Vec<_> = targets
        .filter_map(|target| target["expr"].as_str())
        .map(|query| {
            query
                .replace("$__rate_interval", "1m")
                .replace("$__range", "1h")
                .replace("$job", "sip-filter")
                .replace("$instance", ".*")
        })
        .collect();
    assert!(queries.len() > 12, "{queries:?}");
    queries
}

#[test]
fn its_answers_are_those_of_stats() {
    let link = Link::new();
    let filter = SipFilter::new(&link.server);
    let configuration = Configuration::new(
        "drop = ['scanners', 'malformed']\n[lists]\nallow = ['198.51.100.0/24']\n\
         [limit.INVITE]\nrate = 1\nper = '1h'\n\
         [behaviour.flood]\nrequests = 2\naction = 'count'\n\
         [escalate]\nafter = 100\n",
    );
    let running = filter.run(&format!("--http 9060 {}", configuration.option()));
    let client = Client::new(&link.server, HERE);
    client.wait();
    let rules = packaged("prometheus/sip-filter.rules.yml");
    let prometheus = Prometheus::start(&link.server, HERE, &rules);

    for (from, to, port, messages) in [
        (SCANNER, SERVER, 5060, [SVMAP, SVWAR, SVCRACK].as_slice()),
        (SCANNER, SERVER, 5065, &[SIPSAK, SVMAP]),
        (SCANNER, SERVER, 6060, &[SVMAP]),
        (PHONE, SERVER, 5060, &[INVITE, INVITE, CRLF_CRLF, OK, RTP]),
        (PHONE, SERVER, 5060, &[QUALIFY; 5]),
        (
            SCANNER_IPV6,
            SERVER_IPV6,
            5061,
            &[messages::SVMAP_IPV6, messages::UNKNOWN_METHOD],
        ),
    ] {
        let socket = link.outside.udp_socket(from);
        for message in messages {
            let sent = socket.send_to(message, (to, port));
            sent.unwrap_or_else(|error| panic!("cannot send: {error}"));
        }
    }

    let stats = filter.stats();
    let totals = &stats.totals;
    assert_eq!(totals.packets, 18, "{stats:?}");
    let mut expected = vec![
        ("sum(sip_filter_packets_total)".to_owned(), totals.packets),
        (
            "sip_filter_packets_total{class='request'}".to_owned(),
            totals.requests,
        ),
        (
            "sip_filter_packets_total{class='response'}".to_owned(),
            totals.responses,
        ),
        (
            "sip_filter_packets_total{class='keepalive'}".to_owned(),
            totals.keepalives,
        ),
        (
            "sip_filter_packets_total{class='malformed'}".to_owned(),
            totals.malformed,
        ),
        ("sip_filter_bytes_total".to_owned(), totals.bytes),
        (
            "sip_filter_scanner_packets_total".to_owned(),
            totals.scanner,
        ),
        (
            "sip_filter_dropped_packets_total".to_owned(),
            totals.dropped,
        ),
        (
            "sip_filter_would_drop_packets_total".to_owned(),
            totals.would_drop,
        ),
        ("sip_filter_passed_packets_total".to_owned(), totals.passed),
        ("sip_filter_sources".to_owned(), stats.sources.len() as u64),
        ("sip_filter_list_entries{list='allow'}".to_owned(), 1),
        (
            "sip_filter_attached{interface='sip0',mode='native'}".to_owned(),
            1,
        ),
        ("up".to_owned(), 1),
        ("count(sip_filter_method_packets_total)".to_owned(), 15),
    ];
    let mut expect = |prefix: &str, label: String, counts: &[(&str, u64)]| {
        for (name, count) in counts {
            let query = format!("sip_filter_{prefix}_{name}packets_total{{{label}}}");
            expected.push((query, *count));
        }
    };
    for (name, method) in &stats.methods {
        let label = format!("method='{name}'");
        let counts = [
            ("", method.packets),
            ("scanner_", method.scanner),
            ("dropped_", method.dropped),
            ("would_drop_", method.would_drop),
        ];
        expect("method", label, &counts);
    }
    for tool in &stats.tools {
        let label = format!("tool='{}',kind='{}'", tool.tool, tool.kind);
        let counts = [
            ("", tool.packets),
            ("dropped_", tool.dropped),
            ("would_drop_", tool.would_drop),
        ];
        expect("tool", label, &counts);
    }
    for port in &stats.ports {
        let label = format!("port='{}'", port.port);
        let counts = [
            ("", port.packets),
            ("scanner_", port.scanner),
            ("dropped_", port.dropped),
        ];
        expect("port", label, &counts);
    }
    for reason in &stats.reasons {
        let label = format!("reason='{}'", reason.reason);
        let counts = [
            ("", reason.packets),
            ("dropped_", reason.dropped),
            ("would_drop_", reason.would_drop),
        ];
        expect("reason", label, &counts);
    }
    for behaviour in &stats.behaviours {
        let label = format!("behaviour='{}'", behaviour.behaviour);
        let counts = [
            ("", behaviour.packets),
            ("would_drop_", behaviour.would_drop),
        ];
        expect("behaviour", label, &counts);
    }
    for kind in ["tool", "reason", "behaviour"] {
        let is_of = |(query, count): &&(String, u64)| query.contains(kind) && *count > 0;
        assert!(
            expected.iter().any(|row| is_of(&row)),
            "nothing by {kind}: {stats:?}"
        );
    }
    for (query, count) in &expected {
        client.wait_until(&format!("{query} is {count}"), || {
            let answer = prometheus.query(query);
            matches!(answer.as_slice(), [(_, value)] if *value == *count as f64)
        });
    }

    // Alerts and dashboard ask for what there is.
    let metrics = client.get("/metrics").body_of(200);
    let there = metrics_in(&metrics);
    let of_run_time = [
        "sip_filter_program_run_seconds_total",
        "sip_filter_program_runs_total",
    ];
    let rules = read("prometheus/sip-filter.rules.yml");
    let queries = dashboard();
    for text in queries.iter().chain([&rules]) {
        for name in metrics_in(text) {
            let is_there = there.contains(name) || of_run_time.contains(&name);
            assert!(is_there, "there is no {name}");
        }
    }
    // Each panel has something to show, what shows only what is more than nothing too; how long the
    // program runs is not measured here.
    for query in &queries {
        if of_run_time.iter().all(|name| !query.contains(name)) {
            let query = query.replace(" > 0", "");
            client.wait_until(&query, || !prometheus.query(&query).is_empty());
        }
    }
    let rules = prometheus.get("/api/v1/rules");
    let rules = rules
        .pointer("/data/groups/0/rules")
        .and_then(Value::as_array);
    let rules: Vec<_> = rules.into_iter().flatten().collect();
    assert!(rules.len() > 5, "{rules:?}");
    assert!(
        rules.iter().all(|rule| rule["lastError"].is_null()),
        "{rules:?}"
    );

    // Nothing that asks every second is left behind, and no address is a label.
    prometheus.stop();
    for source in &stats.sources {
        assert!(!metrics.contains(&source.source), "{metrics}");
    }
    running.interrupt(PATIENCE).successful();
}

#[test]
fn promtool_finds_no_fault() {
    let link = Link::new();
    let filter = SipFilter::new(&link.server);
    let configuration = Configuration::new("");
    let running = filter.run("--http 9060");
    let client = Client::new(&link.server, HERE);
    client.wait();
    let scanner = link.outside.udp_socket(SCANNER);
    let sent = scanner.send_to(SVMAP, (SERVER, 5060));
    assert!(sent.is_ok(), "{sent:?}");
    client.wait_until("a tool is among them", || {
        client.get("/metrics").body.contains("tool=\"sipvicious\"")
    });
    configuration.write("metrics", &client.get("/metrics").body_of(200));
    let metrics = configuration.path().with_file_name("metrics");
    let checked = promtool(&["check", "metrics"], &metrics).successful();
    assert_eq!((checked.stdout.as_str(), checked.stderr.as_str()), ("", ""));
    running.interrupt(PATIENCE).successful();
}

#[test]
fn alerts_ring_when_they_should() {
    for file in [
        "prometheus/sip-filter.rules.yml",
        "prometheus/sip-filter.rules.test.yml",
    ] {
        let path = packaged(file);
        let path = path.display().to_string();
        let verb = if file.contains("test") {
            "test"
        } else {
            "check"
        };
        promtool(&[verb, "rules", &path], &packaged(file)).successful();
    }
}
