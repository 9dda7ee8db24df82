//! The options that say what the filter does: the same wherever one is attached, and those that
//! are no matter of attaching the same for whatever runs it.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::{
    config::{
        drop::DropList,
        ports::{self, Ports},
        signatures::Signatures,
    },
    kernel::{self, Attached, Instance, Load},
    lists::{self, Lists, Writing},
    stats::policy,
};

/// The fewest sources that can be remembered: the kernel spreads them over its CPUs, and
/// fewer would leave each with next to none.
const MIN_SOURCES: i64 = 1 << 10;
/// The most: at 392 bytes each, several gigabytes.
const MAX_SOURCES: i64 = 1 << 24;

/// How the program is attached.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Mode {
    /// Native, and skb where the driver has no native XDP
    Auto,
    /// In the driver, before a socket buffer exists
    Native,
    /// In the network stack: slower, on any interface
    Skb,
    /// In the network card
    Hw,
}

/// What the filter does, and how it is attached.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Filter options")]
pub(super) struct FilterOptions {
    /// Where in the kernel the program runs
    #[arg(long, value_enum, default_value = "auto")]
    mode: Mode,
    #[command(flatten)]
    policy: PolicyOptions,
}

/// What the filter does.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Filter options")]
pub(super) struct PolicyOptions {
    /// UDP ports to inspect, as in 5060-5100,6060,any
    ///
    /// Whatever arrives at a port that is named is inspected. `any` adds what starts like SIP at
    /// whatever other port; alone, it inspects nothing but that.
    #[arg(long, value_name = "SPEC", default_value = ports::DEFAULT)]
    ports: Ports,
    /// What to drop, separated by commas: scanners, options, malformed
    ///
    /// scanners: requests of known scanners, crackers, fuzzers and dialers, where the signature is
    /// sure. options: every OPTIONS request, those with which PBXes and trunks see whether the
    /// other side lives included. malformed: what is neither SIP nor a keepalive. nothing: monitor.
    #[arg(long, value_name = "LIST", default_value = "nothing")]
    drop: DropList,
    /// Signatures of your own, before the built-in ones: see `sip-filter signatures --help`
    #[arg(long, value_name = "FILE")]
    signatures: Option<PathBuf>,
    /// How many sources to remember; of more, those quiet for longest are forgotten
    #[arg(long, value_name = "N", default_value_t = sip_filter_common::abi::DEFAULT_SOURCES)]
    #[arg(value_parser = clap::value_parser!(u32).range(MIN_SOURCES..=MAX_SOURCES))]
    sources: u32,
}

impl FilterOptions {
    /// Attaches the filter to the interfaces, and pins it.
    pub(super) fn attach(
        &self,
        instance: &Instance,
        state: &Path,
        interfaces: &[String],
        verbose: bool,
    ) -> Result<Attached> {
        let mode = match self.mode {
            Mode::Auto => kernel::Mode::Auto,
            Mode::Native => kernel::Mode::Native,
            Mode::Skb => kernel::Mode::Skb,
            Mode::Hw => kernel::Mode::Hw,
        };
        let signatures = self.policy.signatures()?;
        // Nobody changes the lists until they are in force; where nothing was ever listed, nothing is
        // kept, and whoever lists something meanwhile is asked afterwards.
        let mut writing = Writing::open_existing(state, instance.name())?;
        let lists = writing.as_ref().map(Writing::lists).transpose()?;
        let load = Load {
            lists: lists.as_ref().unwrap_or(Lists::EMPTY),
            ..self.policy.load(&signatures, verbose)
        };
        let attached = kernel::attach(instance, interfaces, mode, &load)?;
        match &mut writing {
            Some(writing) => writing.commit()?,
            None => lists::catch_up(state, instance)?,
        }
        Ok(attached)
    }

    /// What is in force with these options, in words.
    pub(super) fn policy(&self) -> String {
        self.policy.in_words()
    }
}

impl PolicyOptions {
    /// The signatures.
    pub(super) fn signatures(&self) -> Result<Signatures> {
        match &self.signatures {
            Some(path) => Signatures::with_own(path),
            None => Signatures::built_in(),
        }
    }

    /// What the program is loaded with.
    pub(super) fn load<'a>(&'a self, signatures: &'a Signatures, verbose: bool) -> Load<'a> {
        Load {
            drop: self.drop.0,
            any_port: self.ports.any,
            sources: self.sources,
            verbose,
            ..Load::new(&self.ports.set, signatures)
        }
    }

    /// What is in force with these options, in words.
    fn in_words(&self) -> String {
        let names: Vec<_> = self.drop.names().collect();
        format!("{}; ports {}", policy(&names), self.ports)
    }
}
