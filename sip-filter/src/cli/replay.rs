//! `replay`: what the filter would have counted, had a capture's packets arrived.

use std::{
    ffi::OsStr,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow};
use indicatif::{ProgressBar, ProgressStyle};

use super::{Global, complain, filter_options::PolicyOptions, listing::Listing};
use crate::{
    capture::Capture,
    geoip::Databases,
    kernel::{Load, TEST_RUN_LENGTHS},
    number::thousands,
    replay::{self, Engine as _, Host, Kernel, Replayed},
    stats::{Counters, Snapshot},
};

/// From how many bytes on a capture takes so long that its progress is shown.
const LARGE: u64 = 64 << 20;

/// Show what the filter would have counted in a capture
///
/// Runs the packets of a pcap or pcapng file through the filter and prints what `stats` would
/// print. Packets may begin with an Ethernet header, a Linux cooked one (SLL, SLL2), or with IP.
/// First and last seen are the times of the packets; the statistics' own time is that of the
/// latest one. The instance is named after the file, or as --name says, and has no interfaces.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Changes nothing, and attaches nothing.

A capture holds what left the machine too, and so does what is counted here; record what
arrives alone, as with tcpdump -Q in. Packets cut off by a short snapshot length cannot be
read: record them whole.

What can be read of a damaged capture is printed, then the exit status is 1.

Examples:
  sip-filter replay monday.pcap                       an overview
  sip-filter replay monday.pcap --drop scanners       what would have been dropped
  sip-filter replay monday.pcapng --by source --top 20
  sip-filter replay monday.pcap --config new.toml     with what a configuration file says
  sip-filter replay monday.pcap --engine host --format json
  zcat monday.pcap.gz | sip-filter replay /dev/stdin")]
pub(super) struct Args {
    /// The capture: a pcap or pcapng file
    file: PathBuf,
    /// What runs the filter [default: kernel where that may load it, else host]
    #[arg(long, value_enum)]
    engine: Option<Engine>,
    #[command(flatten)]
    policy: PolicyOptions,
    #[command(flatten)]
    listing: Listing,
    /// Say where sources are, from a database in the MaxMind DB format, as GeoLite2 Country, City and ASN
    /// are; may be given several times
    #[arg(long, value_name = "FILE")]
    geoip: Vec<PathBuf>,
}

/// What runs the filter. Both count the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Engine {
    /// The program in the kernel; needs root
    Kernel,
    /// The same parser and classifier on the host; faster, and without privileges
    Host,
}

pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    args.listing.check()?;
    let databases = Databases::open(&args.geoip)?;
    let ready = args.policy.ready()?;
    let load = ready.load(false);
    let file = args.file.display();
    let (input, progress) =
        open(&args.file).with_context(|| format!("cannot read the capture {file}"))?;
    let mut capture = Capture::new(progress.wrap_read(input))
        .with_context(|| format!("cannot read the capture {file}"))?;

    // Told at the end: a line on standard error would break the progress shown there.
    let mut notes = Vec::from_iter(args.policy.note(&ready));
    let done = args.count(&load, &mut capture, &mut notes);
    progress.finish_and_clear();
    let (counters, replayed) = done?;
    notes.extend(remarks(&replayed));
    for note in notes {
        complain(&format!("note: {note}"));
    }

    let name = match &global.name {
        Some(name) => name.clone(),
        None => args
            .file
            .file_name()
            .unwrap_or(OsStr::new(""))
            .to_string_lossy()
            .into_owned(),
    };
    let mut snapshot = Snapshot::new(&name, Vec::new(), &counters, replayed.clock());
    snapshot.locate(&databases);
    args.listing.print(&mut snapshot)?;
    match replayed.damage {
        None => Ok(()),
        Some(damage) => Err(anyhow!(damage).context(format!(
            "the capture {file} is damaged; what comes before is counted above ({})",
            packets(replayed.packets)
        ))),
    }
}

impl Args {
    /// Runs the capture through the engine asked for, or through the one that can be had.
    fn count(
        &self,
        load: &Load<'_>,
        capture: &mut Capture<impl Read>,
        notes: &mut Vec<String>,
    ) -> Result<(Counters, Replayed)> {
        let kernel = match self.engine {
            Some(Engine::Host) => None,
            Some(Engine::Kernel) => Some(
                Kernel::new(load)
                    .map_err(|error| anyhow!("{error:#}; or count on the host: --engine host"))?,
            ),
            None => match Kernel::new(load) {
                Ok(kernel) => Some(kernel),
                Err(error) => {
                    notes.push(format!("counted on the host: {error:#}"));
                    None
                }
            },
        };
        match kernel {
            Some(mut engine) => {
                let replayed = replay::replay(capture, &mut engine)?;
                if engine.not_taken() > 0 {
                    notes.push(format!(
                        "counted on the host: {}; the kernel takes none shorter than {} or \
                         longer than {} bytes",
                        packets(engine.not_taken()),
                        TEST_RUN_LENGTHS.start(),
                        thousands(*TEST_RUN_LENGTHS.end() as u64)
                    ));
                }
                Ok((engine.counters()?, replayed))
            }
            None => {
                let mut engine = Host::new(load)?;
                let replayed = replay::replay(capture, &mut engine)?;
                Ok((engine.counters()?, replayed))
            }
        }
    }
}

/// Opens the capture; its progress is shown on a terminal at standard error, if it is large.
fn open(path: &Path) -> Result<(File, ProgressBar)> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    if length < LARGE {
        return Ok((file, ProgressBar::hidden()));
    }
    let style = ProgressStyle::with_template("{bar:40} {bytes} of {total_bytes}, {eta} left")?;
    Ok((file, ProgressBar::new(length).with_style(style)))
}

/// What of the capture was not counted, or not as it may seem.
fn remarks(replayed: &Replayed) -> impl Iterator<Item = String> {
    let unread = replayed
        .unread
        .iter()
        .map(|(link, number)| format!("not read: {} of link type {link}", packets(*number)));
    let cut = (replayed.cut > 0).then(|| {
        let number = packets(replayed.cut);
        format!("captured in part: {number}; SIP among them is unreadable")
    });
    unread.chain(cut)
}

fn packets(number: u64) -> String {
    match number {
        1 => "1 packet".to_owned(),
        number => format!("{} packets", thousands(number)),
    }
}
