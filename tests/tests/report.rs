//! `report`: what it says is what the history says, the bulletin's table comes out of the bulletin's
//! shares, and a page is whole, needs nothing else, and does nothing that a name asks it to.

use std::{
    collections::BTreeMap, fmt::Write as _, fs, path::PathBuf, process::Command, time::Duration,
};

use roxmltree::{Document, Node, ParsingOptions};
use serde_json::Value;
use sip_filter_tests::{
    namespace::Folder,
    process::{self, Finished},
    sip_filter::binary,
};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The shares of tools' probes by port that the bulletin of 10 March 2016 gives, in percent.
const BULLETIN: [(&str, &str); 11] = [
    ("5060", "71.6"),
    ("5061", "1.4"),
    ("5070", "1.4"),
    ("5080", "1.1"),
    ("5065", "0.8"),
    ("5090", "0.8"),
    ("5064", "0.7"),
    ("6060", "0.7"),
    ("5069", "0.7"),
    ("5063", "0.7"),
    ("other", "20.1"),
];

/// What a name of a tool may hold that somebody else has chosen.
const HOSTILE: &str =
    "<script>alert(1)</script>&amp;\"'\u{1b}]0;x\u{7}\u{9b}2J\u{202e}\u{2066}\u{200b}";

const HEAD: &str = "start,by,name,kind,packets,bytes,scanner,dropped,would_drop\n";

/// A history with what a text says.
struct History {
    folder: Folder,
}

impl History {
    fn new(text: &str) -> Self {
        let history = Self {
            folder: Folder::new(),
        };
        let path = history.path("text");
        fs::write(&path, text).unwrap_or_else(|error| panic!("{error}"));
        let path = path.display().to_string();
        history.command(&["history", "import", &path]).successful();
        history
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Finished {
        let mut command = Command::new(binary());
        command.args(arguments);
        command.arg("--history").arg(self.path("h.sqlite"));
        // Where there is a database of zones, days are those of this one.
        command.env("TZ", "UTC").env_remove("NO_COLOR");
        process::run(command, PATIENCE)
    }

    fn report(&self, options: &str) -> String {
        let mut arguments = vec!["report"];
        arguments.extend(options.split_whitespace());
        self.command(&arguments).successful().stdout
    }

    fn json(&self, options: &str) -> Value {
        let text = self.report(&format!("{options} --format json"));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }
}

/// Packets of tools by port, in the order of the bulletin and with its shares; `other` is many ports.
fn bulletin() -> String {
    const ALL: u64 = 1_000_000;
    let mut text = HEAD.to_owned();
    let mut named = 0;
    for (rank, (port, share)) in (0..).zip(&BULLETIN[..10]) {
        let tenths: u64 = share.replace('.', "").parse().unwrap_or_default();
        // Equal shares stand in the order of what was rounded away.
        let packets = tenths * ALL / 1_000 + 10 - rank;
        named += packets;
        let _ = writeln!(text, "2015-12,port,{port},,{packets},0,{packets},0,0");
    }
    let others = 100;
    for other in 0..others {
        let left = ALL - named;
        let packets = left / others + u64::from(other < left % others);
        let port = 20_000 + other;
        let _ = writeln!(text, "2015-12,port,{port},,{packets},0,{packets},0,0");
    }
    text
}

#[test]
fn the_bulletins_table_comes_out_of_the_bulletins_shares() {
    let history = History::new(&bulletin());
    let said = history.json("--year 2015");
    let rows = said["tool_ports"].as_array().cloned().unwrap_or_default();
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            let share = row["share"].as_f64().unwrap_or_default();
            (
                row["port"].as_str().unwrap_or_default(),
                format!("{share:.1}"),
            )
        })
        .collect();
    let expected: Vec<_> = BULLETIN
        .iter()
        .map(|(port, share)| (*port, (*share).to_owned()))
        .collect();
    assert_eq!(rows, expected);
    // So it is read in a terminal, and on the page.
    let table = history.report("--year 2015");
    let page = history.report("--year 2015 --html -");
    for (port, share) in BULLETIN {
        let row = |line: &str| {
            let words: Vec<_> = line.split_whitespace().collect();
            words.len() == 3 && words[0] == port && words[2] == share
        };
        assert!(table.lines().any(row), "{port}: {table}");
        let cell = format!("<td>{share}</td></tr>");
        assert!(page.contains(&cell), "{port}: {page}");
    }
}

/// Two years, a month each, with different numbers.
fn two_years() -> (String, BTreeMap<String, [u64; 3]>) {
    let mut text = HEAD.to_owned();
    let mut months = BTreeMap::new();
    for number in 0..24_u64 {
        let month = format!("{}-{:02}", 2025 + number / 12, number % 12 + 1);
        let [all, accesses, tools] = [1_000 + number * 10, 600 + number * 7, 100 + number * 3];
        let calls = accesses - tools;
        let _ = write!(
            text,
            "{month},total,,,{all},0,{tools},5,7\n\
             {month},port,5060,,{accesses},0,{tools},5,0\n\
             {month},port,5070,,9,0,9,0,0\n\
             {month},method,OPTIONS,,{tools},0,{tools},5,7\n\
             {month},method,REGISTER,,{calls},0,0,0,0\n\
             {month},tool,sipvicious,scanner,{tools},0,{tools},5,7\n\
             {month},reason,signature,,{tools},0,0,5,7\n\
             {month},behaviour,port-sweep,,9,0,0,3,6\n\
             {month}-15,source,192.0.2.{number},,{tools},0,{tools},5,7\n"
        );
        months.insert(month, [all, accesses, tools]);
    }
    (text, months)
}

#[test]
fn a_report_says_what_the_history_says() {
    let (text, months) = two_years();
    let history = History::new(&text);
    let said = history.json("--since 2025-01 --until 2026-12 --addresses 4");
    assert_eq!(said["unit"], "month");
    let periods = said["periods"].as_array().cloned().unwrap_or_default();
    assert_eq!(periods.len(), 24);
    for (period, (month, [all, accesses, tools])) in periods.iter().zip(&months) {
        assert_eq!(period["start"], **month);
        let numbers = ["packets", "accesses", "with_tool", "without_tool"];
        let found = numbers.map(|name| period[name].as_u64());
        let expected = [*all, *accesses, *tools, accesses - tools].map(Some);
        assert_eq!(found, expected, "{month}");
        let per_address = period["accesses_per_address"].as_f64();
        assert_eq!(per_address, Some(*accesses as f64 / 4.0));
        assert_eq!(period["methods"]["OPTIONS"].as_u64(), Some(*tools));
        assert_eq!(period["tool_ports"]["5060"].as_u64(), Some(*tools));
        assert_eq!(period["tool_ports"]["5070"].as_u64(), Some(9));
    }
    let sum = |at: usize| months.values().map(|numbers| numbers[at]).sum::<u64>();
    assert_eq!(said["total"]["packets"].as_u64(), Some(sum(0)));
    assert_eq!(said["tools"][0]["packets"].as_u64(), Some(sum(2)));
    assert_eq!(said["kinds"][0]["name"], "scanner");
    assert_eq!(said["kinds"][0]["packets"].as_u64(), Some(sum(2)));
    assert_eq!(said["reasons"][0]["dropped"].as_u64(), Some(24 * 5));
    assert_eq!(said["behaviours"][0]["name"], "port-sweep");
    assert_eq!(said["behaviours"][0]["dropped"].as_u64(), Some(24 * 3));
    assert_eq!(said["sources"][0]["source"], "192.0.2.23");
    assert_eq!(said["year_before"], Value::Null);

    // Half of the span before is not enough to compare with.
    let forever = history.json("--last forever");
    assert_eq!(forever["first"], "2025-01");

    // A year beside the one before.
    let said = history.json("--since 2026-01 --until 2026-12");
    let before = &said["year_before"];
    let of_2025 = |at: usize| -> Option<u64> {
        let months = months.iter().filter(|(month, _)| month.starts_with("2025"));
        Some(months.map(|(_, numbers)| numbers[at]).sum())
    };
    assert_eq!(before["total"]["packets"].as_u64(), of_2025(0));
    assert_eq!(before["accesses"].as_u64(), of_2025(1));
    assert_eq!(before["with_tool"].as_u64(), of_2025(2));
    let march = &said["periods"][2];
    let a_year_before = months.get("2025-03").map(|numbers| numbers[1]);
    assert_eq!(march["accesses_year_before"].as_u64(), a_year_before);

    // Every number a line, for spreadsheets.
    let csv = history.report("--since 2026-01 --until 2026-12 --format csv");
    let march = months.get("2026-03").map_or(0, |numbers| numbers[1]);
    assert!(
        csv.contains(&format!("\naccesses,2026-03,,{march}\n")),
        "{csv}"
    );
    // And in a terminal, no wider than that is.
    let table = history.report("--since 2026-01 --until 2026-12");
    assert!(
        table.lines().all(|line| line.chars().count() <= 80),
        "{table}"
    );
    assert!(!table.contains('\u{1b}'), "{table}");
    for shown in [
        "Figure 1",
        "Figure 2",
        "Figure 3",
        "Figure 4",
        "Year on year",
        "port-sweep",
        "192.0.2.23",
        "█",
    ] {
        assert!(table.contains(shown), "{shown}: {table}");
    }
}

#[test]
fn the_unit_follows_the_length_and_what_is_not_kept_is_said() {
    let mut text = HEAD.to_owned();
    for day in 1..=30 {
        let _ = writeln!(text, "2026-06-{day:02}T07:30Z,port,5060,,{day},0,{day},0,0");
    }
    let history = History::new(&text);
    for (options, unit, periods) in [
        ("--since 2026-06-01 --until 2026-06-02", "hour", 48),
        ("--since 2026-06 --until 2026-06", "day", 30),
        ("--since 2026-06 --until 2026-09", "month", 4),
        ("--since 2026-06 --until 2026-09 --unit day", "day", 122),
        ("--since 2026-06-01T07Z --until 2026-06-01T07Z", "hour", 1),
    ] {
        let said = history.json(options);
        assert_eq!(said["unit"], unit, "{options}");
        let found = said["periods"].as_array().map(Vec::len);
        assert_eq!(found, Some(periods), "{options}");
        // A page of each can be drawn, with one period and with many.
        parsed(&history.report(&format!("{options} --html -")));
    }
    // Of a day that has come without its hours, the day is shown.
    let day = History::new(&format!("{HEAD}2026-06-07,port,5060,,9,0,9,0,0\n"));
    let said = day.json("--since 2026-06-07 --until 2026-06-07");
    assert_eq!(said["unit"], "day");
    assert_eq!(said["periods"][0]["accesses"], 9);
    let early = history.json("--since 2026-05 --until 2026-06");
    let note = "the first day that is kept is 2026-06-01";
    assert_eq!(early["notes"][0], note);
    assert!(
        history
            .report("--year 2020")
            .contains("nothing is kept of this span")
    );
    let wrong = history.command(&["report", "--since", "2026-07", "--until", "2026-06"]);
    assert_eq!(wrong.status.code(), Some(2), "{wrong}");
    fs::remove_file(history.path("h.sqlite")).unwrap_or_else(|error| panic!("{error}"));
    let none = history.command(&["report"]);
    assert_eq!(none.status.code(), Some(1), "{none}");
    assert!(none.stderr.contains("there is no history"), "{none}");
}

/// A page as XML; its type is all that it says beyond that.
fn parsed(page: &str) -> Document<'_> {
    let options = ParsingOptions {
        allow_dtd: true,
        ..ParsingOptions::default()
    };
    match Document::parse_with_options(page, options) {
        Ok(document) => document,
        Err(error) => panic!("not well-formed: {error}\n{page}"),
    }
}

fn named<'a>(document: &'a Document<'_>, name: &str) -> Vec<Node<'a, 'a>> {
    let all = document.descendants();
    all.filter(|node| node.tag_name().name() == name).collect()
}

#[test]
fn a_page_is_whole_needs_nothing_else_and_fits_dark_screens_and_paper() {
    let (text, months) = two_years();
    let history = History::new(&text);
    let file = history.path("page.html");
    let said = history.report(&format!(
        "--since 2025-01 --until 2026-12 --html {}",
        file.display()
    ));
    assert_eq!(said, "");
    let page = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{error}"));
    let document = parsed(&page);
    let mut elsewhere = page.clone();
    for space in ["http://www.w3.org/1999/xhtml", "http://www.w3.org/2000/svg"] {
        elsewhere = elsewhere.replace(&format!("xmlns=\"{space}\""), "");
    }
    for reference in [
        "http:", "https:", "//", "url(", "@import", "src=", "href=", "<script",
    ] {
        assert!(!elsewhere.contains(reference), "{reference}");
    }
    for used in ["prefers-color-scheme: dark", "@media print"] {
        assert!(page.contains(used), "{used}");
    }
    let figures = named(&document, "figure");
    assert_eq!(figures.len(), 4);
    for figure in figures {
        let labels: Vec<_> = (figure.descendants())
            .filter(|node| node.tag_name().name() == "text")
            .filter_map(|node| node.text())
            .map(str::trim)
            .collect();
        // Both axes have titles, and marks.
        assert!(labels.contains(&"month"), "{labels:?}");
        assert!(labels.contains(&"0"), "{labels:?}");
        assert!(
            labels
                .iter()
                .any(|label| ["packets", "requests", "packets per address"].contains(label))
        );
        assert!(labels.contains(&"2025-01"), "{labels:?}");
    }
    // The numbers stand beside the pictures, each of them.
    let cells: Vec<_> = named(&document, "td")
        .iter()
        .filter_map(|node| node.text())
        .collect();
    for (month, [_, accesses, tools]) in &months {
        for shown in [month.clone(), tools.to_string(), accesses.to_string()] {
            assert!(cells.contains(&shown.as_str()), "{month}: {shown}");
        }
    }
    let legend = named(&document, "li");
    let names: Vec<_> = legend
        .iter()
        .filter_map(|node| node.last_child()?.text())
        .collect();
    assert_eq!(
        names,
        ["REGISTER", "OPTIONS", "tool", "no tool", "5060", "5070"]
    );
}

#[test]
fn a_name_does_nothing_but_be_read() {
    let month = "2026-06";
    let name = serde_json::to_string(HOSTILE).unwrap_or_default();
    let mut text = String::new();
    for (by, kind) in [
        ("tool", name.as_str()),
        ("method", "\"\""),
        ("reason", "\"\""),
    ] {
        let _ = writeln!(
            text,
            "{{\"start\":\"{month}\",\"by\":\"{by}\",\"name\":{name},\"kind\":{kind},\"packets\":7}}"
        );
    }
    let history = History::new(&text);
    let table = history.report("--year 2026");
    let page = history.report("--year 2026 --html -");
    let harmful = |character: char| {
        character.is_control() && character != '\n'
            || matches!(character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    for text in [&table, &page] {
        assert!(!text.contains(harmful), "{text:?}");
        assert!(text.contains("\\u{202e}"), "{text}");
    }
    let document = parsed(&page);
    assert!(named(&document, "script").is_empty(), "{page}");
    let cells = named(&document, "td");
    let shown = HOSTILE.split('\u{1b}').next().unwrap_or_default();
    let cell = cells
        .iter()
        .filter_map(|node| node.text())
        .find(|text| text.contains("alert"));
    assert!(cell.is_some_and(|text| text.starts_with(shown)), "{cell:?}");
}

#[test]
fn a_name_is_no_formula_in_a_spreadsheet_and_comes_back_as_it_was() {
    const FORMULAS: [&str; 5] = ["=1+1", "+1", "-1", "@SUM(A1)", "'=1"];
    let names = FORMULAS.iter().chain([&HOSTILE]);
    let lines = names.map(|name| {
        let kind = "=kind";
        let line = serde_json::json!({
            "start": "2026-06", "by": "tool", "name": name, "kind": kind, "packets": 7
        });
        format!("{line}\n")
    });
    let history = History::new(&lines.collect::<String>());
    let export = |history: &History, format: &str| {
        let line = ["history", "export", "--unit", "month", "--format", format];
        history.command(&line).successful().stdout
    };
    let table = export(&history, "csv");
    for text in [&table, &history.report("--year 2026 --format csv")] {
        for name in FORMULAS {
            assert!(text.contains(&format!(",'{name},")), "{name}: {text}");
            assert!(!text.contains(&format!(",{name},")), "{name}: {text}");
        }
        assert!(!text.contains(",=kind"), "{text}");
        let is_harmful =
            |it: char| it.is_control() && it != '\n' || "\u{202e}\u{200b}".contains(it);
        assert!(!text.contains(is_harmful), "{text:?}");
        assert!(text.contains("\\u{1b}]0;x\\u{7}"), "{text}");
    }
    let again = History::new(&table);
    assert_eq!(export(&again, "json"), export(&history, "json"));
}
