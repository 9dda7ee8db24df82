//! What a packet costs in the kernel: `cargo xtask bench kernel`.
//!
//! Each row is one packet, run by BPF_PROG_TEST_RUN as often as takes a good part of a second, in
//! several rounds; a round runs every row once, the empty program among them, so that a row's
//! ratio compares what ran at the same time. Medians are what is printed: on a shared machine
//! the absolute times wander, the ratios less.
//!
//! Times are taken around the system call: the kernel's own answer is in whole nanoseconds, and
//! an empty program takes less than ten. What the call itself costs, most of it waiting until
//! every CPU has seen the program, is measured apart and taken off.

use std::{env, path::Path, time::Instant};

use anyhow::{Context, Result, ensure};
use aya::{
    Ebpf, TestRunOptions,
    programs::{TestRun, Xdp},
};
use clap::{Parser, ValueEnum};
use serde::Serialize;
use sip_filter::{
    config::{
        ports::{self, Ports},
        signatures::Signatures,
    },
    kernel::{Load, Loaded},
};
use sip_filter_common::{abi::DEFAULT_SOURCES, verdict::DropSet};
use sip_filter_tests::{
    messages::{CRLF_CRLF, INVITE, OK, RTP, SVMAP},
    packet::Frame,
};

// linux/bpf.h
const XDP_DROP: u32 = 1;
const XDP_PASS: u32 = 2;

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
    /// Given by cargo bench; means nothing here
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Table,
    Json,
}

/// A packet and what becomes of it.
struct Packet {
    name: &'static str,
    frame: Vec<u8>,
    action: u32,
}

#[derive(Serialize)]
struct Report {
    rows: Vec<Row>,
}

/// What one packet costs.
#[derive(Serialize)]
struct Row {
    name: &'static str,
    /// Median of the rounds, in nanoseconds.
    ns: f64,
    /// Median of the rounds' ratios to the empty program of the same round.
    ratio: f64,
    /// How many instructions the verifier walked to admit the program; `null` before Linux 5.16.
    verified_instructions: Option<u32>,
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

    let Ports { set, any } = ports::DEFAULT
        .parse::<Ports>()
        .map_err(anyhow::Error::msg)?;
    let loaded = Loaded::unpinned(&Load {
        drop: DropSet::SCANNERS,
        any_port: any,
        ports: &set,
        sources: DEFAULT_SOURCES,
        signatures: &Signatures::built_in()?,
        verbose: false,
    })?;
    let filter = loaded.program()?;

    let nothing = Packet {
        name: "empty program",
        frame: probe(5060),
        action: XDP_DROP,
    };
    let packets = packets();
    let mut empty_ns = Vec::new();
    let mut ns = vec![Vec::new(); packets.len()];
    for _ in 0..arguments.rounds {
        empty_ns.push(measure(empty, &nothing, arguments.milliseconds)?);
        for (packet, ns) in packets.iter().zip(&mut ns) {
            ns.push(measure(filter, packet, arguments.milliseconds)?);
        }
    }

    let verified = filter.info()?.verified_instruction_count();
    let mut rows = vec![Row {
        name: nothing.name,
        ns: median(empty_ns.clone()),
        ratio: 1.0,
        verified_instructions: empty.info()?.verified_instruction_count(),
    }];
    for (packet, ns) in packets.iter().zip(ns) {
        let ratios = ns
            .iter()
            .zip(&empty_ns)
            .map(|(ns, empty)| ns / empty)
            .collect();
        rows.push(Row {
            name: packet.name,
            ns: median(ns),
            ratio: median(ratios),
            verified_instructions: verified,
        });
    }
    print(&Report { rows }, arguments.format)
}

fn packets() -> Vec<Packet> {
    let invite = Frame::to("192.0.2.10")
        .from("198.51.100.20")
        .payload(INVITE);
    let plain = |payload: &[u8]| {
        Frame::to("192.0.2.10")
            .from("198.51.100.20")
            .port(5060)
            .payload(payload)
            .bytes()
    };
    let row = |name, frame, action| Packet {
        name,
        frame,
        action,
    };
    vec![
        row(
            "UDP to a port that is not inspected",
            probe(16_384),
            XDP_PASS,
        ),
        row(
            "svmap OPTIONS: matched, counted, dropped",
            probe(5060),
            XDP_DROP,
        ),
        row(
            "INVITE with SDP, no tool found",
            invite.port(5060).bytes(),
            XDP_PASS,
        ),
        row("response", plain(OK), XDP_PASS),
        row("keepalive (CRLF CRLF)", plain(CRLF_CRLF), XDP_PASS),
        row("neither SIP nor a keepalive (RTP)", plain(RTP), XDP_PASS),
    ]
}

/// svmap's probe to a port.
fn probe(port: u16) -> Vec<u8> {
    Frame::to("192.0.2.10")
        .from("198.51.100.66")
        .port(port)
        .payload(SVMAP)
        .bytes()
}

/// Nanoseconds for one run of a packet, from runs of so many milliseconds.
fn measure(program: &Xdp, packet: &Packet, milliseconds: u32) -> Result<f64> {
    const TRIAL: u32 = 100_000;
    let (_, trial) = run(program, packet, TRIAL)?;
    let repeat = 1_000_000 * milliseconds / trial.max(1);
    let (once, _) = run(program, packet, 1)?;
    let (all, _) = run(program, packet, repeat)?;
    Ok((all - once).max(0.0) / f64::from(repeat))
}

/// Runs a packet so often; how long the call took and how long the kernel says that one run did,
/// both in nanoseconds.
fn run(program: &Xdp, packet: &Packet, repeat: u32) -> Result<(f64, u32)> {
    let mut options = TestRunOptions::new();
    options.data_in = Some(&packet.frame);
    options.repeat = repeat;
    let start = Instant::now();
    let result = program.test_run(options)?;
    let elapsed = start.elapsed();
    ensure!(
        result.return_value == packet.action,
        "{}: the program returned {}, not {}",
        packet.name,
        result.return_value,
        packet.action
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
                "{:44} {:>8} {:>8} {:>9}",
                "packet", "ns", "ratio", "verified"
            );
            for Row {
                name,
                ns,
                ratio,
                verified_instructions,
            } in &report.rows
            {
                let verified =
                    verified_instructions.map_or_else(|| "-".to_owned(), |n| n.to_string());
                println!(
                    "{name:44} {ns:>8.1} {:>8} {verified:>9}",
                    format!("{ratio:.2} ×")
                );
            }
        }
    }
    Ok(())
}
