//! What a packet costs in the kernel: `cargo xtask bench kernel`.
//!
//! Each row is one packet, run by BPF_PROG_TEST_RUN as often as takes a good part of a second, in
//! several rounds; a round runs every row once, and before each few of them the empty program, so
//! that a row's ratio compares what ran at the same time. Medians are what is printed: on a shared
//! machine the absolute times wander, the ratios less.
//!
//! Times are taken around the system call: the kernel's own answer is in whole nanoseconds, and
//! an empty program takes less than ten. What the call itself costs, most of it waiting until
//! every CPU has seen the program, is measured apart and taken off.
//!
//! Beside the packets that matter most there are two of them with few and with many signatures,
//! which are to cost the same, some with long lists and every rule in use, and packets that somebody made to be dear or to be missed. Each row
//! says what became of its packet; where that is not what it should be, so too.

use std::{env, net::Ipv4Addr, path::Path, time::Instant};

use anyhow::{Context, Result, bail, ensure};
use aya::{
    Ebpf, TestRunOptions,
    programs::{TestRun, Xdp},
};
use clap::{Parser, ValueEnum};
use serde::Serialize;
use sip_filter::{
    config::{
        configuration::{Action, Configuration},
        ports::{self, Ports},
        signatures::{Signatures, tool_name},
    },
    kernel::{Filter, Load, Loaded},
    lists::{ConfigEntry, List, Lists},
};
use sip_filter_common::{
    abi::ToolName,
    rules::{Limit, Rules},
    verdict::DropSet,
};
use sip_filter_tests::{
    hostile,
    kernel::tool_between,
    messages::{CRLF_CRLF, INVITE, OK, RTP, SVMAP},
    packet::Frame,
};

// linux/bpf.h
const XDP_DROP: u32 = 1;
const XDP_PASS: u32 = 2;

/// What svmap's packets come to.
const DROPPED: &str = "drop sipvicious";
const PASSED: &str = "pass";

/// What an INVITE may cost, as a ratio to the empty program; and what nothing may cost, as a ratio
/// to that.
const BUDGET: f64 = 4.5;
const LIMIT: f64 = 3.0;
/// How many rows the empty program's time before them is for.
const ROWS_TO_A_YARDSTICK: usize = 6;
/// Addresses in the lists.
const BLOCKED: &str = "203.0.113.5";
const BLOCKED_NETWORK: &str = "198.18.7.7";
const ALLOWED: &str = "203.0.113.9";
/// How many signatures are few, and how many are many.
const FEW: usize = 16;
const MANY: usize = 512;
const MANY_TEXTS: usize = 500;

/// Measures what a packet costs in the kernel.
#[derive(Parser)]
struct Arguments {
    /// How the rows are printed
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// How long a packet is run in a round, in milliseconds
    #[arg(long, default_value_t = 300)]
    milliseconds: u32,
    /// How many rounds the medians are of
    #[arg(long, default_value_t = 9)]
    rounds: usize,
    /// Only the rows whose name contains this, none beside another
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Given by cargo bench; means nothing here
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Table,
    Json,
}

/// A packet and what is to become of it.
struct Packet {
    name: String,
    frame: Vec<u8>,
    /// Action and tool, as [`Program::verdict`] says them.
    verdict: &'static str,
    program: Which,
    against: Against,
}

/// What the program is loaded with that a packet is handed to.
#[derive(Clone, Copy)]
enum Which {
    /// The built-in signatures.
    BuiltIn,
    /// So many signatures.
    Signatures(usize),
    /// So many texts that values may contain.
    Contains(usize),
    /// Long lists, limits, behaviours and escalation.
    Policy,
}

/// What a row is held against.
#[derive(Clone, Copy)]
enum Against {
    Nothing,
    /// The row so many before it.
    Row(usize),
    /// The budget.
    Budget,
}

#[derive(Serialize)]
struct Report {
    rows: Vec<Row>,
}

/// What one packet costs.
#[derive(Serialize)]
struct Row {
    name: String,
    /// Median of the rounds, in nanoseconds.
    ns: f64,
    /// Median of the rounds' ratios to the empty program just before.
    ratio: f64,
    /// How many instructions the verifier walked to admit the program; `null` before Linux 5.16.
    verified_instructions: Option<u32>,
    /// What became of the packet: `drop` or `pass`, and the tool that it was counted for.
    verdict: String,
    /// What should have, where that is something else.
    expected: Option<&'static str>,
    /// Of a row with many signatures, the ratio to the one with few.
    of_few_signatures: Option<f64>,
    /// Of a hostile packet, the ratio to what an INVITE may cost.
    of_budget: Option<f64>,
}

/// The filter, loaded with some signatures.
struct Program {
    loaded: Loaded,
    filter: Filter,
    names: Vec<ToolName>,
}

impl Program {
    fn load(signatures: &Signatures) -> Result<Self> {
        Self::with(signatures, &Rules::NONE, Lists::EMPTY)
    }

    /// With [`lists()`], and every rule that there is: none is met by an INVITE now and then.
    fn with_policy(signatures: &Signatures) -> Result<Self> {
        let mut configuration = Configuration::default();
        for behaviour in &mut configuration.behaviours {
            behaviour.action.value = Action::Count;
        }
        configuration.escalate.after.value = 5;
        configuration.escalate.action.value = Action::Count;
        let mut rules = configuration.rules(0x5eed);
        for limit in &mut rules.limits {
            *limit = Limit {
                interval: 1,
                tolerance: 1_000_000_000,
                drops: 1,
            };
        }
        Self::with(signatures, &rules.with_uses(), &lists()?)
    }

    fn with(signatures: &Signatures, rules: &Rules, lists: &Lists) -> Result<Self> {
        let Ports { set, any } = ports::DEFAULT
            .parse::<Ports>()
            .map_err(anyhow::Error::msg)?;
        let mut loaded = Loaded::unpinned(&Load {
            drop: DropSet::SCANNERS,
            any_port: any,
            rules,
            lists,
            ..Load::new(&set, signatures)
        })?;
        let filter = Filter::of(&mut loaded)?;
        let (_, names) = signatures.table(&[])?;
        Ok(Self {
            loaded,
            filter,
            names,
        })
    }

    /// What becomes of a frame, in words; and the number for it.
    fn verdict(&self, frame: &[u8]) -> Result<(String, u32)> {
        let before = self.filter.tool_counts()?;
        let mut options = TestRunOptions::new();
        options.data_in = Some(frame);
        let action = self.loaded.xdp()?.test_run(options)?.return_value;
        let word = match action {
            XDP_DROP => "drop",
            XDP_PASS => "pass",
            other => bail!("the program returned {other}"),
        };
        let tool = tool_between(&before, &self.filter.tool_counts()?)
            .and_then(|tool| tool_name(self.names.get(usize::from(tool))?));
        let words = match tool {
            Some(tool) => format!("{word} {tool}"),
            None => word.to_owned(),
        };
        Ok((words, action))
    }
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    ensure!(
        arguments.rounds > 0 && arguments.milliseconds > 0,
        "nothing to measure"
    );

    let mut yardstick = load_empty()?;
    let empty: &mut Xdp = yardstick
        .program_mut("empty")
        .context("no program `empty`")?
        .try_into()?;
    empty
        .load()
        .context("the kernel refuses the empty program; are you root?")?;
    let empty: &Xdp = empty;

    let built_in = Program::load(&Signatures::built_in()?)?;
    let few = Program::load(&generated(FEW)?)?;
    let many = Program::load(&generated(MANY)?)?;
    let one_text = Program::load(&contained(1)?)?;
    let many_texts = Program::load(&contained(MANY_TEXTS)?)?;
    let policy = Program::with_policy(&Signatures::built_in()?)?;
    let program_of = |packet: &Packet| match packet.program {
        Which::BuiltIn => &built_in,
        Which::Signatures(FEW) => &few,
        Which::Signatures(_) => &many,
        Which::Contains(1) => &one_text,
        Which::Contains(_) => &many_texts,
        Which::Policy => &policy,
    };

    let mut packets = packets();
    if let Some(text) = &arguments.only {
        packets.retain(|packet| packet.name.contains(text));
        for packet in &mut packets {
            packet.against = Against::Nothing;
        }
    }
    let mut verdicts = Vec::new();
    for packet in &packets {
        let verdict = program_of(packet).verdict(&packet.frame);
        verdicts.push(verdict.with_context(|| packet.name.clone())?);
    }
    let nothing = probe(5060);
    let mut empty_ns = Vec::new();
    let mut ns = vec![Vec::new(); packets.len()];
    let mut ratios = ns.clone();
    for _ in 0..arguments.rounds {
        for (at, (packet, (_, action))) in packets.iter().zip(&verdicts).enumerate() {
            if at % ROWS_TO_A_YARDSTICK == 0 {
                empty_ns.push(measure(empty, &nothing, XDP_DROP, arguments.milliseconds)?);
            }
            let program = program_of(packet).loaded.xdp()?;
            let one = measure(program, &packet.frame, *action, arguments.milliseconds)
                .with_context(|| packet.name.clone())?;
            ns[at].push(one);
            ratios[at].extend(empty_ns.last().map(|empty| one / empty));
        }
    }

    let mut rows = vec![Row {
        name: "empty program".to_owned(),
        ns: median(empty_ns),
        ratio: 1.0,
        verified_instructions: empty.info()?.verified_instruction_count(),
        verdict: "drop".to_owned(),
        expected: None,
        of_few_signatures: None,
        of_budget: None,
    }];
    for (at, (packet, (verdict, _))) in packets.iter().zip(verdicts).enumerate() {
        let ratio = median(ratios[at].clone());
        let (mut of_few_signatures, mut of_budget) = (None, None);
        match packet.against {
            Against::Nothing => {}
            Against::Row(back) => {
                let pairs = ns[at].iter().zip(&ns[at - back]);
                of_few_signatures = Some(median(pairs.map(|(many, few)| many / few).collect()));
            }
            Against::Budget => of_budget = Some(ratio / BUDGET),
        }
        let program = program_of(packet).loaded.xdp()?;
        rows.push(Row {
            name: packet.name.clone(),
            ns: median(ns[at].clone()),
            ratio,
            verified_instructions: program.info()?.verified_instruction_count(),
            expected: (verdict != packet.verdict).then_some(packet.verdict),
            verdict,
            of_few_signatures,
            of_budget,
        });
    }
    print(&Report { rows }, arguments.format)
}

fn packets() -> Vec<Packet> {
    let plain = |payload: &[u8]| {
        Frame::to("192.0.2.10")
            .from("198.51.100.20")
            .port(5060)
            .payload(payload)
            .bytes()
    };
    let row = |name: &str, frame, verdict| Packet {
        name: name.to_owned(),
        frame,
        verdict,
        program: Which::BuiltIn,
        against: Against::Nothing,
    };
    let mut packets = vec![
        row("UDP to a port that is not inspected", probe(16_384), PASSED),
        row(
            "svmap OPTIONS: matched, counted, dropped",
            probe(5060),
            DROPPED,
        ),
        row("INVITE with SDP, no tool found", plain(INVITE), PASSED),
        row("response", plain(OK), PASSED),
        row("keepalive (CRLF CRLF)", plain(CRLF_CRLF), PASSED),
        row("neither SIP nor a keepalive (RTP)", plain(RTP), PASSED),
    ];
    for (signatures, against) in [(FEW, Against::Nothing), (MANY, Against::Row(2))] {
        for (name, frame, verdict) in [
            ("svmap OPTIONS", probe(5060), DROPPED),
            ("INVITE", plain(INVITE), PASSED),
        ] {
            packets.push(Packet {
                name: format!("{name}, {signatures} signatures"),
                frame,
                verdict,
                program: Which::Signatures(signatures),
                against,
            });
        }
    }
    for (texts, against) in [(1, Against::Nothing), (MANY_TEXTS, Against::Row(1))] {
        packets.push(Packet {
            program: Which::Contains(texts),
            against,
            ..row(
                &format!("INVITE, texts to look for in it: {texts}"),
                plain(INVITE),
                PASSED,
            )
        });
    }
    let from = |source| Frame::to("192.0.2.10").from(source).port(5060);
    for (name, frame, verdict) in [
        ("svmap OPTIONS", probe(5060), DROPPED),
        ("INVITE", plain(INVITE), PASSED),
        ("response", plain(OK), PASSED),
        ("RTP", plain(RTP), PASSED),
        (
            "INVITE from a blocked address",
            from(BLOCKED).payload(INVITE).bytes(),
            "drop",
        ),
        (
            "INVITE from a blocked network",
            from(BLOCKED_NETWORK).payload(INVITE).bytes(),
            "drop",
        ),
        (
            "svmap OPTIONS from a blocked address",
            from(BLOCKED).payload(SVMAP).bytes(),
            "drop",
        ),
        (
            "INVITE from an allowed address",
            from(ALLOWED).payload(INVITE).bytes(),
            PASSED,
        ),
    ] {
        packets.push(Packet {
            program: Which::Policy,
            ..row(&format!("{name}, lists and rules"), frame, verdict)
        });
    }
    let hostile = |hostile::Message { name, payload }, verdict| Packet {
        against: Against::Budget,
        ..row(name, plain(&payload), verdict)
    };
    let dear = hostile::dear();
    packets.extend(dear.into_iter().map(|message| hostile(message, PASSED)));
    let padded = hostile::padded().into_iter().map(|message| {
        let name = format!("svmap's, behind {}", message.name);
        Packet {
            name,
            ..hostile(message, DROPPED)
        }
    });
    packets.extend(padded);
    packets
}

/// So many texts of all lengths that any field may contain, none of which stands in an INVITE.
fn contained(number: usize) -> Result<Signatures> {
    let signature = |at: usize| {
        let pattern = format!("{:05x}-{}", at * 0x7f3, "scan".repeat(1 + at % 14));
        let field = ["user-agent", "from", "to", "via", "any"][at % 5];
        format!(
            "[[signature]]\ntool = \"tool-{}\"\nkind = \"scanner\"\nfield = \"{field}\"\n\
             match = \"contains\"\npattern = \"{pattern}\"\n",
            at % 64
        )
    };
    Signatures::parse(&(0..number).map(signature).collect::<String>())
}

/// 100,000 entries in the block list and 1,000 in the allow list, a tenth of each prefixes: at random,
/// and some that packets come from.
fn lists() -> Result<Lists> {
    let mut random = 1_u64;
    let mut entry = |list, at: u32| -> Result<ConfigEntry> {
        // Knuth, MMIX.
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let address = Ipv4Addr::from((random >> 32) as u32);
        let length = if at.is_multiple_of(10) { 24 } else { 32 };
        let network = u32::from(address) & u32::MAX << (32 - length);
        named(list, &format!("{}/{length}", Ipv4Addr::from(network)))
    };
    let mut entries = vec![
        named(List::Block, BLOCKED)?,
        named(List::Block, "198.18.7.0/24")?,
        named(List::Allow, ALLOWED)?,
    ];
    for (list, many) in [(List::Block, 100_000), (List::Allow, 1_000)] {
        for at in 0..many {
            entries.push(entry(list, at)?);
        }
    }
    Ok(Lists::of_configuration(&entries))
}

fn named(list: List, prefix: &str) -> Result<ConfigEntry> {
    Ok(ConfigEntry {
        list,
        prefix: prefix.parse()?,
        until: None,
        reason: String::new(),
        place: String::new(),
    })
}

/// So many signatures: svmap's; of the others every second one exact, of all lengths, up to seven
/// of them beginning as svmap's does and longer, so that they are compared before it.
fn generated(number: usize) -> Result<Signatures> {
    let mut text = String::new();
    let mut add = |tool: &str, how, pattern: &str| {
        text += &format!(
            "[[signature]]\ntool = \"{tool}\"\nkind = \"scanner\"\nfield = \"user-agent\"\n\
             match = \"{how}\"\npattern = \"{pattern}\"\n"
        );
    };
    add("sipvicious", "prefix", "friendly-scanner");
    for at in 1..number {
        let tool = format!("tool-{}", at % 64);
        let how = ["exact", "prefix"][at % 2];
        let pattern = match at {
            1..8 => format!("friendly-scanner-{at}"),
            // The first bytes differ: they are what patterns are filed under.
            _ => format!("{:04x}-{}", at * 0x7f, "scan".repeat(at % 15)),
        };
        add(&tool, how, &pattern);
    }
    Signatures::parse(&text)
}

/// svmap's probe to a port.
fn probe(port: u16) -> Vec<u8> {
    Frame::to("192.0.2.10")
        .from("198.51.100.66")
        .port(port)
        .payload(SVMAP)
        .bytes()
}

/// Nanoseconds for one run of a frame, from runs of so many milliseconds.
fn measure(program: &Xdp, frame: &[u8], action: u32, milliseconds: u32) -> Result<f64> {
    const TRIAL: u32 = 100_000;
    let (_, trial) = run(program, frame, action, TRIAL)?;
    let repeat = 1_000_000 * milliseconds / trial.max(1);
    let (once, _) = run(program, frame, action, 1)?;
    let (all, _) = run(program, frame, action, repeat)?;
    Ok((all - once).max(0.0) / f64::from(repeat))
}

/// Runs a frame so often; how long the call took and how long the kernel says that one run did,
/// both in nanoseconds.
fn run(program: &Xdp, frame: &[u8], action: u32, repeat: u32) -> Result<(f64, u32)> {
    let mut options = TestRunOptions::new();
    options.data_in = Some(frame);
    options.repeat = repeat;
    let start = Instant::now();
    let result = program.test_run(options)?;
    let elapsed = start.elapsed();
    ensure!(
        result.return_value == action,
        "the program returned {}, and {action} before",
        result.return_value
    );
    Ok((
        elapsed.as_nanos() as f64,
        u32::try_from(result.duration.as_nanos())?,
    ))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() % 2 {
        0 => (values[middle - 1] + values[middle]) / 2.0,
        _ => values[middle],
    }
}

/// The program that drops every packet unseen.
fn load_empty() -> Result<Ebpf> {
    let folder = env::var("SIP_FILTER_EBPF_DIR")
        .context("SIP_FILTER_EBPF_DIR is not set: run `cargo xtask bench kernel`")?;
    let path = Path::new(&folder).join("empty");
    Ebpf::load_file(&path)
        .with_context(|| format!("cannot load {}: run `cargo xtask build`", path.display()))
}

fn print(report: &Report, format: Format) -> Result<()> {
    match format {
        Format::Json => println!("{}", serde_json::to_string_pretty(report)?),
        Format::Table => {
            println!(
                "{:53} {:>8} {:>8} {:>9}  verdict",
                "packet", "ns", "ratio", "verified"
            );
            for row in &report.rows {
                println!("{}", line(row));
            }
        }
    }
    Ok(())
}

fn line(row: &Row) -> String {
    let verified = row
        .verified_instructions
        .map_or_else(|| "-".to_owned(), |n| n.to_string());
    let ratio = format!("{:.2} ×", row.ratio);
    let mut line = format!(
        "{:53} {:>8.1} {ratio:>8} {verified:>9}  {:15}",
        row.name, row.ns, row.verdict
    );
    if let Some(ratio) = row.of_few_signatures {
        line += &format!("  {ratio:.2} × that of few");
    }
    if let Some(ratio) = row.of_budget {
        let above = if ratio > LIMIT { ", ABOVE" } else { "" };
        line += &format!("  {ratio:.2} × {BUDGET} (limit {LIMIT}{above})");
    }
    if let Some(expected) = row.expected {
        line += &format!("  NOT {expected}");
    }
    line.trim_end().to_owned()
}
