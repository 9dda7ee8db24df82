//! What of a report's numbers is shown, in the order in which it is shown: figures, each with its
//! numbers, and tables. However it is drawn, it is this.

use super::numbers::{Named, Numbers, Report};
use crate::{
    history::{Counts, OTHER},
    number::thousands,
};

/// How many methods a figure tells apart, besides all others.
const METHODS: usize = 6;

/// A figure: a bar for each period, made of parts.
#[derive(Clone, Debug)]
pub struct Figure {
    /// What it shows.
    pub title: String,
    /// How it was counted.
    pub note: String,
    /// What the bars' heights are.
    pub y_title: String,
    /// The periods' unit.
    pub x_title: &'static str,
    /// The periods.
    pub starts: Vec<String>,
    /// The parts.
    pub series: Vec<Series>,
    /// How many digits stand behind the point.
    pub digits: usize,
    /// Further columns of its table, which are not drawn.
    pub beside: Vec<(&'static str, Vec<String>)>,
}

/// A part of each bar.
#[derive(Clone, Debug)]
pub struct Series {
    /// Its name.
    pub name: String,
    /// Its height in each period.
    pub values: Vec<f64>,
}

/// A table.
#[derive(Clone, Debug)]
pub struct Table {
    /// What it shows.
    pub title: String,
    /// How it was counted.
    pub note: String,
    /// Its columns' names.
    pub head: Vec<&'static str>,
    /// How many of them, from the left, are text.
    pub texts: usize,
    /// Its rows.
    pub rows: Vec<Vec<String>>,
}

/// What the whole is called.
pub fn title(report: &Report) -> String {
    let label = |it: Option<&'_ Numbers>| it.map(|it| it.label.clone());
    match (label(report.periods.first()), label(report.periods.last())) {
        (Some(first), Some(last)) if first != last => format!("SIP probes, {first} to {last}"),
        (first, _) => format!("SIP probes, {}", first.unwrap_or_default()),
    }
}

/// What stands below that, in two parts: the sums of all.
pub fn summary(report: &Report) -> [String; 2] {
    let Counts {
        packets,
        scanner,
        dropped,
        would_drop,
        ..
    } = report.total;
    [
        format!(
            "{} packets to inspected ports, {} of tools",
            thousands(packets),
            thousands(scanner)
        ),
        format!(
            "{} dropped, {} would have been dropped",
            thousands(dropped),
            thousands(would_drop)
        ),
    ]
}

/// The four figures of the bulletin.
pub fn figures(report: &Report) -> Vec<Figure> {
    let port = report.port;
    let x_title = report.unit;
    let figure = |title: String, note: String, y_title: &str, series| Figure {
        title,
        note,
        y_title: y_title.to_owned(),
        x_title,
        starts: report.periods.iter().map(|it| it.label.clone()).collect(),
        series,
        digits: 0,
        beside: Vec::new(),
    };
    let each = |value: &dyn Fn(&Numbers) -> u64| -> Vec<f64> {
        report.periods.iter().map(|it| value(it) as f64).collect()
    };
    let one = |name: &str, values| Series {
        name: name.to_owned(),
        values,
    };

    let per_address = report.periods.iter().map(|it| it.accesses_per_address);
    let mut accesses = figure(
        format!("Figure 1. Accesses to {port}/UDP by {x_title}, per local address"),
        match report.addresses {
            1 => format!("Packets to port {port}, at one local address (--addresses)."),
            addresses => format!(
                "Packets to port {port}, divided by {} local addresses.",
                thousands(addresses.into())
            ),
        },
        "packets per address",
        vec![one("per address", per_address.collect())],
    );
    if report.addresses > 1 {
        accesses.digits = 1;
        let all = report.periods.iter().map(|it| thousands(it.accesses));
        accesses.beside.push(("packets", all.collect()));
    }
    if (report.periods.iter()).any(|it| it.accesses_year_before.is_some()) {
        let before = report.periods.iter().map(|it| it.accesses_year_before);
        let known = |number: Option<u64>| number.map_or(String::new(), thousands);
        accesses
            .beside
            .push(("year before", before.clone().map(known).collect()));
        let change = before.zip(&report.periods).map(|(before, now)| {
            before.map_or(String::new(), |before| change(before, now.accesses))
        });
        accesses.beside.push(("change", change.collect()));
    }

    let names: Vec<&str> = report.methods.iter().map(|it| it.name.as_str()).collect();
    let (shown, others) = names.split_at(names.len().min(METHODS));
    let of = |numbers: &Numbers, name: &str| numbers.methods.get(name).copied().unwrap_or(0);
    let mut by_method: Vec<_> = shown
        .iter()
        .map(|name| one(name, each(&|numbers| of(numbers, name))))
        .collect();
    if !others.is_empty() {
        let rest = |numbers: &Numbers| others.iter().map(|name| of(numbers, name)).sum();
        by_method.push(one(OTHER, each(&rest)));
    }
    let by_method = figure(
        format!("Figure 2. Requests by method, by {x_title}"),
        "Requests to all inspected ports.".to_owned(),
        "requests",
        by_method,
    );

    let by_tool = figure(
        format!("Figure 3. Accesses to {port}/UDP by tool used or not, by {x_title}"),
        format!("Packets to port {port} in which a tool was recognised, and all others."),
        "packets",
        vec![
            one("tool", each(&|it| it.with_tool)),
            one("no tool", each(&|it| it.without_tool)),
        ],
    );

    let ports = report.tool_ports.iter().map(|share| {
        let of = |numbers: &Numbers| numbers.tool_ports.get(&share.port).copied().unwrap_or(0);
        one(&share.port, each(&of))
    });
    let by_port = figure(
        format!("Figure 4. Accesses of tools by destination port, by {x_title}"),
        "Packets in which a scanner, cracker, fuzzer or dialer was recognised.".to_owned(),
        "packets",
        ports.collect(),
    );
    vec![accesses, by_method, by_tool, by_port]
}

/// The bulletin's table, and what it has none of.
pub fn tables(report: &Report) -> Vec<Table> {
    let shares = report.tool_ports.iter().map(|share| {
        let part = format!("{:.1}", share.share);
        vec![share.port.clone(), thousands(share.packets), part]
    });
    let ports = Table {
        title: "Accesses of tools by destination port".to_owned(),
        note: "Ten ports, and all others; of a hundred packets of tools.".to_owned(),
        head: vec!["port", "packets", "share %"],
        texts: 1,
        rows: shares.collect(),
    };
    let numbers =
        |counts: &Counts| [counts.packets, counts.dropped, counts.would_drop].map(thousands);
    let named = |it: &Named| {
        let texts = [it.name.clone(), it.kind.clone()];
        texts.into_iter().chain(numbers(&it.counts)).collect()
    };
    let tools = Table {
        title: "Tools".to_owned(),
        note: "Test tools and libraries are no scanners.".to_owned(),
        head: vec!["tool", "kind", "packets", "dropped", "would drop"],
        texts: 2,
        rows: report.tools.iter().map(named).collect(),
    };
    let by_name = |it: &Named| {
        let name = [it.name.clone()];
        name.into_iter().chain(numbers(&it.counts)).collect()
    };
    let kinds = Table {
        title: "Kinds of tools".to_owned(),
        note: "All tools, those among them that are not named above.".to_owned(),
        head: vec!["kind", "packets", "dropped", "would drop"],
        texts: 1,
        rows: report.kinds.iter().map(by_name).collect(),
    };
    let are_located = report.sources.iter().any(|it| !it.location.is_empty());
    let sources = report.sources.iter().map(|it| {
        let Counts {
            packets,
            scanner,
            dropped,
            would_drop,
            ..
        } = it.counts;
        let numbers = [packets, scanner, dropped, would_drop].map(thousands);
        let place = are_located.then(|| it.location.to_string());
        let texts = [it.source.to_string()].into_iter().chain(place);
        texts.chain(numbers).collect()
    });
    let mut head = vec!["source"];
    head.extend(are_located.then_some("where"));
    let texts = head.len();
    head.extend(["packets", "of tools", "dropped", "would drop"]);
    let sources = Table {
        title: "Sources".to_owned(),
        note: "Of whole days, the sources that sent most. An address of UDP can be forged."
            .to_owned(),
        head,
        texts,
        rows: sources.collect(),
    };
    let reasons = Table {
        title: "Reasons".to_owned(),
        note: "The rule that met each packet first.".to_owned(),
        head: vec!["reason", "packets", "dropped", "would drop"],
        texts: 1,
        rows: report.reasons.iter().map(by_name).collect(),
    };
    let behaviours = Table {
        title: "Behaviours".to_owned(),
        note: "Packets that were a part of one, whatever they said of themselves.".to_owned(),
        head: vec!["behaviour", "packets", "dropped", "would drop"],
        texts: 1,
        rows: report.behaviours.iter().map(by_name).collect(),
    };
    let year = year(report);
    let tables = [ports, tools, kinds, behaviours, sources, reasons, year];
    tables
        .into_iter()
        .filter(|it| !it.rows.is_empty())
        .collect()
}

/// This span and the same one a year before.
fn year(report: &Report) -> Table {
    let of_port = |value: fn(&Numbers) -> u64| report.periods.iter().map(value).sum::<u64>();
    let rows = report.year_before.map_or(Vec::new(), |before| {
        let port = report.port;
        let rows = [
            (
                "all packets".to_owned(),
                before.total.packets,
                report.total.packets,
            ),
            (
                format!("to {port}/UDP"),
                before.accesses,
                of_port(|it| it.accesses),
            ),
            (
                format!("to {port}/UDP, of tools"),
                before.with_tool,
                of_port(|it| it.with_tool),
            ),
            (
                "dropped".to_owned(),
                before.total.dropped,
                report.total.dropped,
            ),
        ];
        rows.map(|(name, before, now)| {
            vec![name, thousands(before), thousands(now), change(before, now)]
        })
        .into()
    });
    Table {
        title: "Year on year".to_owned(),
        note: "This span, and the same one a year before.".to_owned(),
        head: vec!["", "year before", "now", "change"],
        texts: 1,
        rows,
    }
}

/// How much more: `+12.5 %`; nothing to compare with is none.
fn change(before: u64, now: u64) -> String {
    match before {
        0 => String::new(),
        before => format!("{:+.1} %", (now as f64 / before as f64 - 1.0) * 100.0),
    }
}

impl Figure {
    /// The names of its table's columns.
    pub fn head(&self) -> Vec<String> {
        let series = self.series.iter().map(|series| series.name.clone());
        let beside = self.beside.iter().map(|(name, _)| (*name).to_owned());
        [self.x_title.to_owned()]
            .into_iter()
            .chain(series)
            .chain(beside)
            .collect()
    }

    /// Its table's rows, a period each.
    pub fn rows(&self) -> Vec<Vec<String>> {
        let row = |(place, start): (usize, &String)| {
            let values = self
                .series
                .iter()
                .map(|series| self.text(series.values[place]));
            let beside = self.beside.iter().map(|(_, cells)| cells[place].clone());
            [start.clone()]
                .into_iter()
                .chain(values)
                .chain(beside)
                .collect()
        };
        self.starts.iter().enumerate().map(row).collect()
    }

    /// The bars' heights.
    pub fn heights(&self) -> Vec<f64> {
        let height = |place| self.series.iter().map(|series| series.values[place]).sum();
        (0..self.starts.len()).map(height).collect()
    }

    /// A value as it is written.
    pub fn text(&self, value: f64) -> String {
        let whole = thousands(value.trunc() as u64);
        match self.digits {
            0 => whole,
            digits => {
                let all = format!("{value:.digits$}");
                let (rounded, rest) = all.split_once('.').unwrap_or((&all, ""));
                let rounded = rounded.parse().map_or(whole, thousands);
                format!("{rounded}.{rest}")
            }
        }
    }
}
