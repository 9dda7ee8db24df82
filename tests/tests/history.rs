//! The history that `run` keeps: what was counted is in it once, whatever becomes of the process, the
//! disk and the file; and what cannot be kept is no matter of the filter's.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use rusqlite::Connection;
use serde::Deserialize;
use sip_filter_tests::{
    clock::Clock,
    configuration::Configuration,
    messages::SVMAP,
    namespace::{Folder, Link, PHONE, SCANNER, SERVER},
    process::Running,
    sip_filter::SipFilter,
    stats::Stats,
};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A line of `history export --format json`.
#[derive(Clone, Debug, Deserialize)]
struct Line {
    start: String,
    by: String,
    name: String,
    packets: u64,
    scanner: u64,
    dropped: u64,
}

/// A history in a folder of its own, and the filter that keeps it.
struct Kept<'a> {
    filter: SipFilter<'a>,
    folder: Folder,
}

impl<'a> Kept<'a> {
    fn new(link: &'a Link) -> Self {
        Self::within(link, Folder::new())
    }

    fn within(link: &'a Link, folder: Folder) -> Self {
        let filter = SipFilter::new(&link.server);
        Self { filter, folder }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("h.sqlite")
    }

    /// `run`, which keeps what came five times a second.
    fn run(&self, options: &str) -> Running {
        self.filter.run(&self.options(options))
    }

    fn options(&self, others: &str) -> String {
        let file = self.file().display().to_string();
        format!("{others} --history {file} --history-interval 200ms")
    }

    fn lines(&self, unit: &str) -> Vec<Line> {
        let file = self.file().display().to_string();
        let line = format!("history export --unit {unit} --format json --history {file}");
        let text = self.filter.succeed(&line);
        let lines = text.lines().map(serde_json::from_str);
        lines
            .collect::<Result<_, _>>()
            .unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// By what and name: packets, scanner, dropped, over all periods of a unit.
    fn sums(&self, unit: &str) -> BTreeMap<(String, String), [u64; 3]> {
        let mut sums = BTreeMap::new();
        for Line {
            start: _,
            by,
            name,
            packets,
            scanner,
            dropped,
        } in self.lines(unit)
        {
            let sum: &mut [u64; 3] = sums.entry((by, name)).or_default();
            for (sum, more) in sum.iter_mut().zip([packets, scanner, dropped]) {
                *sum += more;
            }
        }
        sums
    }

    fn packets(&self) -> u64 {
        let file = self.file().display().to_string();
        // There may be none yet.
        let line = format!("history export --unit month --format json --history {file}");
        let said = self.filter.attempt(&line).stdout;
        let lines = said
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        lines
            .filter(|line: &Line| line.by == "total")
            .map(|line| line.packets)
            .sum()
    }

    /// Sends so many of each: probes of a scanner to two ports, and keepalives of a phone; and waits
    /// until the filter has counted them.
    fn send(&self, link: &Link, times: usize) {
        let counted = || self.filter.stats_under_load().totals.packets;
        let before = counted();
        let all = [
            (SCANNER, 5060, SVMAP),
            (SCANNER, 5070, SVMAP),
            (PHONE, 5060, b"\r\n\r\n".as_slice()),
        ];
        for (from, port, payload) in all {
            let socket = link.outside.udp_socket(from);
            for _ in 0..times {
                let sent = socket.send_to(payload, (SERVER, port));
                sent.unwrap_or_else(|error| panic!("cannot send: {error}"));
            }
        }
        let sent = (all.len() * times) as u64;
        wait_until("what was sent is counted", || counted() == before + sent);
    }

    /// Every unit has what the counters say.
    fn assert_agrees(&self, stats: &Stats) {
        let mut expected = BTreeMap::new();
        let mut expect = |by: &str, name: &str, counts: [u64; 3]| {
            expected.insert((by.to_owned(), name.to_owned()), counts);
        };
        let totals = &stats.totals;
        expect(
            "total",
            "",
            [totals.packets, totals.scanner, totals.dropped],
        );
        for (name, packets) in [
            ("request", totals.requests),
            ("response", totals.responses),
            ("keepalive", totals.keepalives),
            ("malformed", totals.malformed),
        ] {
            if packets > 0 {
                expect("class", name, [packets, 0, 0]);
            }
        }
        for (name, method) in &stats.methods {
            expect(
                "method",
                name,
                [method.packets, method.scanner, method.dropped],
            );
        }
        for tool in &stats.tools {
            expect(
                "tool",
                &tool.tool,
                [tool.packets, tool.packets, tool.dropped],
            );
        }
        for port in &stats.ports {
            let counts = [port.packets, port.scanner, port.dropped];
            expect("port", &port.port.to_string(), counts);
        }
        for reason in &stats.reasons {
            // A rule that was not asked for may only have met none.
            expect(
                "reason",
                &reason.reason,
                [reason.packets, 0, reason.dropped],
            );
        }
        for behaviour in &stats.behaviours {
            let counts = [behaviour.packets, 0, behaviour.dropped];
            expect("behaviour", &behaviour.behaviour, counts);
        }
        for unit in ["minute", "hour", "month"] {
            assert_eq!(self.sums(unit), expected, "by {unit}");
        }
        for source in &stats.sources {
            let counts = [source.packets, source.scanner, source.dropped];
            expected.insert(("source".to_owned(), source.source.clone()), counts);
        }
        assert_eq!(self.sums("day"), expected, "by day");
    }
}

/// Waits for something that another process does.
fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "not within {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

fn files(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

#[test]
fn what_was_counted_is_kept_once_through_kills_restarts_and_new_counters() {
    let link = Link::new();
    let kept = Kept::new(&link);
    let filter = &kept.filter;
    let sweep = Configuration::new("[behaviour.port-sweep]\nports = 2\n");
    let running = kept.run("--drop scanners");
    kept.send(&link, 10);
    wait_until("what was sent is kept", || kept.packets() == 30);
    running.kill();
    // What comes while nobody reads it is kept when somebody does.
    kept.send(&link, 5);
    let running = kept.run("--drop scanners --keep");
    kept.send(&link, 3);
    running.interrupt(PATIENCE).successful();
    let stats = filter.stats();
    assert_eq!(stats.totals.packets, 54);
    kept.assert_agrees(&stats);

    // What a reload does not change does not change the history.
    let running = kept.run(&sweep.option());
    filter.succeed("reload");
    kept.send(&link, 1);
    wait_until("what was sent is kept", || kept.packets() == 57);
    // A kill just after a send: whatever was read, nothing comes twice.
    kept.send(&link, 7);
    running.kill();
    let running = kept.run(&format!("{} --keep", sweep.option()));
    running.interrupt(PATIENCE).successful();
    let stats = filter.stats();
    assert!(stats.behaviour("port-sweep") > 0, "{stats:?}");
    kept.assert_agrees(&stats);
    assert_eq!(kept.packets(), 78);

    // New counters begin at nothing, and what they say is added; to the end of `run`.
    filter.detach();
    filter.attach("");
    kept.send(&link, 2);
    let running = kept.run("");
    kept.send(&link, 4);
    let finished = running.interrupt(PATIENCE).successful();
    assert_eq!(kept.packets(), 78 + 18, "{finished}");
}

#[test]
fn a_clock_that_is_set_loses_nothing_and_counts_nothing_twice() {
    let link = Link::new();
    let kept = Kept::new(&link);
    let clock = Clock::new();
    let running = kept.filter.run_by(&clock, &kept.options(""));
    let mut sent = 0;
    for (set, (from_now, times)) in
        (0..).zip([("+0", 1), ("-2h", 2), ("+3d", 3), ("-40d", 4), ("+0", 5)])
    {
        clock.set(from_now);
        wait_until("it is known that the clock was set", || {
            running.stderr().matches("the clock was set").count() == set
        });
        kept.send(&link, times);
        sent += 3 * times as u64;
        wait_until("what was sent is kept", || kept.packets() == sent);
    }
    // Each day has what came while the clock showed it: 40 days ago, today or yesterday, in three days.
    let mut days = BTreeMap::new();
    for line in kept.lines("day").iter().filter(|line| line.by == "total") {
        *days.entry(line.start.clone()).or_insert(0) += line.packets;
    }
    let days: Vec<_> = days.into_values().collect();
    assert_eq!(
        (days.first(), days.last()),
        (Some(&12), Some(&9)),
        "{days:?}"
    );
    assert_eq!(days.iter().sum::<u64>(), sent);
    let stats = kept.filter.stats();
    kept.assert_agrees(&stats);
    running.interrupt(PATIENCE).successful();
}

#[test]
fn a_history_begins_when_it_is_asked_for() {
    let link = Link::new();
    let kept = Kept::new(&link);
    kept.filter.attach("");
    kept.send(&link, 10);
    // Not of these months.
    let running = kept.run("--keep");
    wait_until("it is there", || kept.file().exists());
    wait_until("it has counters", || {
        let read = Connection::open(kept.file()).and_then(|connection| {
            connection.query_row("SELECT count(*) FROM counters", [], |row| row.get(0))
        });
        read.is_ok_and(|rows: i64| rows == 1)
    });
    kept.send(&link, 2);
    running.interrupt(PATIENCE).successful();
    assert_eq!(kept.packets(), 6);
}

#[test]
fn a_reload_changes_what_is_kept_and_where() {
    let link = Link::new();
    let kept = Kept::new(&link);
    let configuration = Configuration::new("");
    let option = configuration.option();
    let running = kept
        .filter
        .run(&format!("{option} --history-interval 200ms"));
    kept.send(&link, 2);
    assert!(!kept.file().exists());
    let file = kept.file().display().to_string();
    configuration.say(&format!("[history]\nfile = \"{file}\"\n"));
    kept.filter.succeed("reload");
    wait_until("the history begins", || kept.file().exists());
    kept.send(&link, 1);
    // What came since the filter was attached is of this time.
    wait_until("what was sent is kept", || kept.packets() == 9);
    let said = kept
        .filter
        .succeed("history export --unit month --format json");
    assert!(said.contains("\"packets\":9"), "{said}");
    // Another file goes on with what comes from then on.
    configuration.say(&format!("[history]\nfile = \"{file}-2\"\n"));
    kept.filter.succeed("reload");
    wait_until("the other begins", || {
        kept.folder.path().join("h.sqlite-2").exists()
    });
    kept.send(&link, 1);
    running.interrupt(PATIENCE).successful();
    let export = |file: &str| {
        let line = format!("history export --unit month --format json --history {file}");
        kept.filter.succeed(&line)
    };
    let [one, two] = [export(&file), export(&format!("{file}-2"))];
    assert!(
        one.contains("\"name\":\"\",\"kind\":\"\",\"packets\":9"),
        "{one}"
    );
    assert!(
        two.contains("\"name\":\"\",\"kind\":\"\",\"packets\":3"),
        "{two}"
    );
}

#[test]
fn a_full_disk_stops_the_history_and_not_the_filter() {
    let link = Link::new();
    let kept = Kept::within(&link, Folder::with_room(400 << 10));
    let mut running = kept.run("--drop scanners --keep");
    kept.send(&link, 1);
    wait_until("what was sent is kept", || kept.packets() == 3);
    let filler = kept.folder.path().join("filler");
    // As much as there is room for.
    let _ = fs::write(&filler, vec![0; 1 << 20]);
    kept.send(&link, 10);
    running.wait_until("it is said", PATIENCE, |running| {
        kept.send(&link, 1);
        running
            .stderr()
            .contains("no history is kept until there is room")
    });
    let stats = kept.filter.stats();
    assert_eq!(stats.totals.dropped, stats.totals.scanner);
    assert!(stats.totals.dropped > 0 && running.is_running());
    fs::remove_file(&filler).unwrap_or_else(|error| panic!("{error}"));
    running.wait_until("it goes on", PATIENCE, |running| {
        running.stderr().contains("the history goes on")
    });
    let finished = running.interrupt(PATIENCE).successful();
    kept.assert_agrees(&kept.filter.stats());
    // Not again each time.
    let said = finished.stderr.matches("no history is kept").count();
    assert!(said <= 2, "{finished}");
}

#[test]
fn a_damaged_file_is_set_aside_and_said() {
    let link = Link::new();
    let kept = Kept::new(&link);
    let running = kept.run("--keep");
    kept.send(&link, 5);
    running.interrupt(PATIENCE).successful();
    let whole = fs::read(kept.file()).unwrap_or_else(|error| panic!("{error}"));
    // From the second page on nothing makes sense any more.
    let mut damaged = whole;
    damaged[4096..].fill(0xa5);
    fs::write(kept.file(), &damaged).unwrap_or_else(|error| panic!("{error}"));

    let mut running = kept.run("--keep");
    running.wait_until("it is said", PATIENCE, |running| {
        running.stderr().contains("the history is damaged, and is")
    });
    wait_until("there is a new one", || kept.file().exists());
    let aside = files(kept.folder.path());
    let aside = aside
        .iter()
        .find(|name| name.starts_with("h.sqlite.damaged-"));
    let aside = aside.unwrap_or_else(|| panic!("none is set aside"));
    let bytes = fs::read(kept.folder.path().join(aside));
    assert_eq!(bytes.unwrap_or_default(), damaged);
    running.wait_until("it has begun", PATIENCE, |_| {
        kept.send(&link, 1);
        kept.packets() > 0
    });
    running.interrupt(PATIENCE).successful();
}

#[test]
fn a_newer_file_is_refused_and_stays_as_it_is_while_the_filter_runs() {
    let link = Link::new();
    let kept = Kept::new(&link);
    let running = kept.run("");
    running.interrupt(PATIENCE).successful();
    let newer = || -> rusqlite::Result<()> {
        Connection::open(kept.file())?.execute_batch("PRAGMA user_version = 99")
    };
    newer().unwrap_or_else(|error| panic!("{error}"));
    let mut running = kept.run("--drop scanners");
    running.wait_until("it is said", PATIENCE, |running| {
        running
            .stderr()
            .contains("newer version of sip-filter (layout 99")
    });
    kept.send(&link, 1);
    let file = kept.file().display().to_string();
    for line in ["history export", "history import /dev/null"] {
        let refused = kept.filter.attempt(&format!("{line} --history {file}"));
        assert_eq!(refused.status.code(), Some(1), "{refused}");
        assert!(refused.stderr.contains("layout 99"), "{refused}");
    }
    assert_eq!(kept.filter.stats().totals.dropped, 2);
    running.interrupt(PATIENCE).successful();
    assert_eq!(
        files(kept.folder.path()).len(),
        1,
        "{:?}",
        files(kept.folder.path())
    );
}

#[test]
fn what_is_imported_is_added_to_its_period_and_to_the_larger_ones() {
    let link = Link::new();
    let kept = Kept::new(&link);
    let file = kept.file().display().to_string();
    let text = kept.folder.path().join("text");
    let import = |said: &str| {
        fs::write(&text, said).unwrap_or_else(|error| panic!("{error}"));
        let line = format!("history import {} --history {file}", text.display());
        kept.filter.attempt(&line)
    };
    let csv = "start,by,name,kind,packets,bytes,scanner,dropped,would_drop\n\
               2025-11-03T22:15Z,total,,,5,1000,4,3,1\n\
               2025-11-03T22:15Z,port,5060,,5,0,4,3,0\n\
               2025-11-03T22:16Z,total,,,2,0,0,0,0\n\
               2025-12-24,tool,sip\"vicious,scanner,7,0,7,0,7\n\
               2025-12-24,source,192.0.2.7,,7,0,7,0,7\n";
    let done = import(csv).successful();
    assert!(done.stdout.contains("added 5 lines, 7 packets"), "{done}");
    let month = kept
        .filter
        .succeed(&format!("history export --unit month --history {file}"));
    assert_eq!(
        month,
        "start,by,name,kind,packets,bytes,scanner,dropped,would_drop\n\
         2025-11,total,,,7,1000,4,3,1\n\
         2025-12,tool,\"sip\"\"vicious\",scanner,7,0,7,0,7\n\
         2025-11,port,5060,,5,0,4,3,0\n"
    );
    // What is exported can be imported, elsewhere.
    for format in ["csv", "json"] {
        let days = format!("history export --format {format} --history");
        let before = kept.filter.succeed(&format!("{days} {file}"));
        fs::write(&text, &before).unwrap_or_else(|error| panic!("{error}"));
        let (text, other) = (text.display(), format!("{file}-{format}"));
        kept.filter
            .succeed(&format!("history import {text} --history {other}"));
        assert_eq!(kept.filter.succeed(&format!("{days} {other}")), before);
    }

    let before = kept
        .filter
        .succeed(&format!("history export --history {file}"));
    let start = "start,by,name,packets\n2025-11-03,total,,1\n";
    for (wrong, said) in [
        (
            "2025-11-03T22:15,total,,1",
            "is no minute, hour, day or month",
        ),
        ("2025-11,source,192.0.2.7,1", "sources are kept by day"),
        ("2025-11-03,source,host,1", "`host` is no address"),
        ("2025-11-03,port,70000,1", "`70000` is no port"),
        (
            "2025-11-03,port,\u{1b}]0;x\u{7}\u{202e},1",
            "`\\u{1b}]0;x\\u{7}\\u{202e}` is no port",
        ),
        ("2025-11-03,total,all,1", "a total has no name"),
        ("2025-11-03,method,,1", "a method has a name"),
        ("2025-11-03,colour,red,1", "line: 3"),
        ("2025-11-03,total,,-1", "line: 3"),
        ("2025-11-03,total,,99999999999999999999", "line: 3"),
        (
            "2025-11-03,total,,9999999999999999999",
            "more than can be kept",
        ),
    ] {
        let refused = import(&format!("{start}{wrong}\n"));
        assert_eq!(refused.status.code(), Some(1), "{wrong}: {refused}");
        assert!(refused.stderr.contains(said), "{wrong}: {refused}");
        assert!(refused.stderr.contains("nothing of"), "{wrong}: {refused}");
        assert!(
            !refused.stderr.contains(['\u{1b}', '\u{202e}']),
            "{wrong}: {refused}"
        );
    }
    let refused = import("{\"start\":\"2025-11\",\"by\":\"total\",\"packets\":1}\n{}\n");
    assert!(refused.stderr.contains("line 2"), "{refused}");
    let after = kept
        .filter
        .succeed(&format!("history export --history {file}"));
    assert_eq!(after, before);
}
