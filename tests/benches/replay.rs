//! How fast a capture is replayed: `cargo xtask bench replay`.
//!
//! The capture is made for it: of each eight packets, three are speech to a port that is not
//! inspected and one speech to one that is, one is svmap's, one an INVITE, one a response and one a
//! keepalive, from some thousand addresses. A round replays it once with each engine; medians are
//! what is printed. Loading the program, which takes as long whatever the capture, is not measured.

use std::{fs::File, io::Write as _, time::Instant};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use sip_filter::{
    capture::Capture,
    config::{
        ports::{self, Ports},
        signatures::Signatures,
    },
    kernel::Load,
    replay::{Engine, Host, Kernel, replay},
};
use sip_filter_common::verdict::DropSet;
use sip_filter_tests::{
    capture::{ETHERNET, Pcap},
    messages::{CRLF_CRLF, INVITE, OK, RTP, SVMAP},
    namespace::Folder,
    packet::Frame,
};

/// Measures how fast a capture is replayed.
#[derive(Parser)]
struct Arguments {
    /// How many packets the capture has
    #[arg(long, default_value_t = 400_000)]
    packets: usize,
    /// How many rounds the medians are of
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Given by cargo bench; means nothing here
    #[arg(long, hide = true)]
    bench: bool,
}

/// How many sources there are, and so many different frames.
const SOURCES: usize = 2000;

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    ensure!(
        arguments.rounds > 0 && arguments.packets > 0,
        "nothing to measure"
    );
    let folder = Folder::new();
    let path = folder.path().join("mix.pcap");
    let capture = mix(arguments.packets);
    File::create(&path)
        .and_then(|mut file| file.write_all(&capture))
        .with_context(|| format!("cannot write {}", path.display()))?;

    let Ports { set, any } = ports::DEFAULT
        .parse::<Ports>()
        .map_err(anyhow::Error::msg)?;
    let signatures = Signatures::built_in()?;
    let load = Load {
        drop: DropSet::SCANNERS,
        any_port: any,
        ..Load::new(&set, &signatures)
    };
    let mut seconds = [Vec::new(), Vec::new()];
    for _ in 0..arguments.rounds {
        let mut kernel = Kernel::new(&load).context("are you root?")?;
        let mut host = Host::new(&load)?;
        let engines: [&mut dyn Engine; 2] = [&mut kernel, &mut host];
        for (engine, seconds) in engines.into_iter().zip(&mut seconds) {
            let start = Instant::now();
            let replayed = replay(&mut Capture::new(File::open(&path)?)?, engine)?;
            seconds.push(start.elapsed().as_secs_f64());
            ensure!(replayed.packets == arguments.packets as u64, "packets lack");
        }
    }
    let megabytes = capture.len() as f64 / 1e6;
    println!("{} packets, {megabytes:.0} MB", arguments.packets);
    println!("{:8} {:>12} {:>8}", "engine", "packets/s", "MB/s");
    for (name, seconds) in ["kernel", "host"].into_iter().zip(seconds) {
        let seconds = median(seconds);
        println!(
            "{name:8} {:>12.0} {:>8.0}",
            arguments.packets as f64 / seconds,
            megabytes / seconds
        );
    }
    Ok(())
}

/// The capture: a packet each 50 microseconds.
fn mix(packets: usize) -> Vec<u8> {
    let kinds: [(u16, &[u8]); 8] = [
        (16_384, RTP),
        (5060, SVMAP),
        (16_384, RTP),
        (5060, INVITE),
        (16_384, RTP),
        (5060, OK),
        (5060, CRLF_CRLF),
        (5060, RTP),
    ];
    let frames: Vec<_> = (0..SOURCES)
        .map(|number| {
            let (port, payload) = kinds[number % kinds.len()];
            let source = format!("198.18.{}.{}", number / 250, number % 250 + 1);
            Frame::to("192.0.2.10")
                .from(&source)
                .port(port)
                .payload(payload)
                .bytes()
        })
        .collect();
    let mut capture = Pcap::new(ETHERNET);
    for (number, frame) in frames.iter().cycle().take(packets).enumerate() {
        let time = 1_795_413_600_000_000_000 + number as u64 * 50_000;
        capture.add(time, frame, frame.len());
    }
    capture.bytes()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
