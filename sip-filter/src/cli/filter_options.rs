//! The options that say what the filter does: the same wherever one is attached, and those that
//! are no matter of attaching the same for whatever runs it. They win over the configuration file.

use std::{
    path::{self, Path, PathBuf},
    str::FromStr,
};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use sip_filter_common::rules::Rules;

use super::{Usage, named_once};
use crate::{
    config::{
        configuration::Configuration,
        drop::DropList,
        file::{self, MAX_SOURCES, MIN_SOURCES},
        interface,
        mode::Mode,
        ports::Ports,
        readers::Readers,
        signatures::Signatures,
    },
    kernel::{self, Load},
    lists::{self, ConfigEntry, List, Lists},
    stats::policy,
};

/// What the filter does, and how it is attached.
#[derive(Clone, Debug, Default, clap::Args, Serialize, Deserialize)]
#[command(next_help_heading = "Filter options")]
#[serde(default)]
pub(super) struct FilterOptions {
    /// The interface to attach to; may be given several times [default: those of the
    /// configuration file]
    #[arg(short = 'i', long = "interface", value_name = "IFACE")]
    #[arg(value_parser = interface::name, help_heading = None)]
    pub interfaces: Vec<String>,
    /// Where in the kernel the program runs [default: auto]
    #[arg(long, value_enum)]
    #[serde(with = "as_text", skip_serializing_if = "Option::is_none")]
    mode: Option<Mode>,
    /// A group whose members may read what the filter counts and lists [default: none]
    #[arg(long, value_name = "GROUP")]
    #[serde(with = "as_text", skip_serializing_if = "Option::is_none")]
    group: Option<Readers>,
    /// The file that `run` keeps a history in.
    #[arg(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history: Option<PathBuf>,
    #[command(flatten)]
    policy: PolicyOptions,
}

/// What the filter does.
#[derive(Clone, Debug, Default, clap::Args, Serialize, Deserialize)]
#[command(next_help_heading = "Filter options")]
#[serde(default)]
pub(super) struct PolicyOptions {
    /// The configuration file; what the command line says wins over it
    /// [default: /etc/sip-filter/config.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    config: Option<PathBuf>,
    /// UDP ports to inspect, as in 5060-5100,6060,any [default: 5060-5100,6060]
    ///
    /// Whatever arrives at a port that is named is inspected. `any` adds what starts like SIP at
    /// whatever other port; alone, it inspects nothing but that.
    #[arg(long, value_name = "SPEC")]
    #[serde(with = "as_text", skip_serializing_if = "Option::is_none")]
    ports: Option<Ports>,
    /// What to drop, separated by commas: scanners, options, malformed [default: nothing]
    ///
    /// scanners: requests of known scanners, crackers, fuzzers and dialers, where the signature is
    /// sure. options: every OPTIONS request, those with which PBXes and trunks see whether the
    /// other side lives included. malformed: what is neither SIP nor a keepalive. nothing: monitor.
    #[arg(long, value_name = "LIST")]
    #[serde(with = "as_text", skip_serializing_if = "Option::is_none")]
    drop: Option<DropList>,
    /// Signatures of your own, before the built-in ones: see `sip-filter signatures --help`
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    signatures: Option<PathBuf>,
    /// How many sources to remember; of more, those quiet for longest are forgotten
    /// [default: 65536]
    #[arg(long, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(i64::from(MIN_SOURCES)..=i64::from(MAX_SOURCES)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    sources: Option<u32>,
}

impl FilterOptions {
    /// What the filter is to do, by the file and these options; with at least one interface.
    pub(super) fn configuration(&self) -> Result<Configuration> {
        named_once(&self.interfaces)?;
        let mut configuration = self.policy.configuration()?;
        let interfaces = Some(self.interfaces.clone()).filter(|names| !names.is_empty());
        configuration.interfaces.command_line(interfaces);
        configuration.mode.command_line(self.mode);
        configuration.group.command_line(self.group.clone());
        let history = self.history.clone().map(Some);
        configuration.history.file.command_line(history);
        if configuration.interfaces.value.is_empty() {
            let file = match &configuration.file {
                Some(file) => format!("{} names none either", file.display()),
                None => format!("there is no {}", file::DEFAULT),
            };
            bail!(Usage(format!(
                "no interface is named, and {file}; name one with -i, as in -i eth0"
            )));
        }
        Ok(configuration)
    }

    /// That a file was read that nobody named, if so.
    pub(super) fn note(&self, ready: &Ready) -> Option<String> {
        self.policy.note(ready)
    }

    /// The same for a process that was started in another folder.
    pub(super) fn with_absolute_paths(&self) -> Result<Self> {
        let absolute = |path: &Option<PathBuf>| {
            let path = path.as_ref().map(path::absolute);
            path.transpose().context("the working folder is gone")
        };
        let mut options = self.clone();
        options.history = absolute(&self.history)?;
        options.policy.config = absolute(&self.policy.config)?;
        options.policy.signatures = absolute(&self.policy.signatures)?;
        Ok(options)
    }
}

impl PolicyOptions {
    /// What the filter is to do, by the file and these options.
    pub(super) fn configuration(&self) -> Result<Configuration> {
        let mut configuration = configuration(self.config.as_deref())?;
        configuration.ports.command_line(self.ports.clone());
        configuration.drop.command_line(self.drop);
        let signatures = self.signatures.clone().map(|file| vec![file]);
        configuration.signatures.command_line(signatures);
        configuration.sizes.sources.command_line(self.sources);
        Ok(configuration)
    }

    /// That a file was read that nobody named, if so.
    pub(super) fn note(&self, ready: &Ready) -> Option<String> {
        let file = ready.configuration.file.as_ref();
        let file = file.filter(|_| self.config.is_none())?;
        Some(format!("configured by {}", file.display()))
    }

    /// The same, for packets that arrive nowhere: what is made of them is the same each time.
    pub(super) fn ready(&self) -> Result<Ready> {
        Ready::new(self.configuration()?, 0)
    }
}

/// What a file says, or the usual file, or nobody.
pub(super) fn configuration(file: Option<&Path>) -> Result<Configuration> {
    let usual = Path::new(file::DEFAULT);
    match file {
        Some(file) => file::read(file),
        // Where it cannot be seen whether it is there, reading it says why.
        None if !matches!(usual.try_exists(), Ok(false)) => file::read(usual),
        None => Ok(Configuration::default()),
    }
}

/// A configuration with all that a program is loaded with.
pub(super) struct Ready {
    pub(super) configuration: Configuration,
    /// What it says of the lists.
    pub(super) entries: Vec<ConfigEntry>,
    signatures: Signatures,
    rules: Rules,
    /// What it says of the lists alone.
    pub(super) lists: Lists,
}

impl Ready {
    /// Reads the signatures and the lists.
    pub(super) fn new(configuration: Configuration, seed: u64) -> Result<Self> {
        let entries = lists::configured(&configuration)?;
        let lists = Lists::of_configuration(&entries);
        lists.size().fits(configuration.sizes.lists.value)?;
        Ok(Self {
            entries,
            lists,
            signatures: Signatures::with_own(&configuration.signatures.value)?,
            rules: configuration.rules(seed),
            configuration,
        })
    }

    /// How it is attached.
    pub(super) fn mode(&self) -> kernel::Mode {
        match self.configuration.mode.value {
            Mode::Auto => kernel::Mode::Auto,
            Mode::Native => kernel::Mode::Native,
            Mode::Skb => kernel::Mode::Skb,
            Mode::Tcx => kernel::Mode::Tcx,
            Mode::Hw => kernel::Mode::Hw,
        }
    }

    /// What the program is loaded with, and lists with nothing but what the configuration says.
    pub(super) fn load(&self, verbose: bool) -> Load<'_> {
        let Configuration {
            ports, drop, sizes, ..
        } = &self.configuration;
        Load {
            drop: drop.value.0,
            any_port: ports.value.any,
            sources: sizes.sources.value,
            rules: &self.rules,
            entries: sizes.lists.value,
            lists: &self.lists,
            bans: sizes.bans.value,
            verbose,
            ..Load::new(&ports.value.set, &self.signatures)
        }
    }

    /// What is in force with it, in words; `lists` are those that are.
    pub(super) fn policy(&self, lists: &Lists) -> String {
        let blocks = lists.rules.iter().any(|rule| rule.is_in(List::Block));
        let Configuration { ports, drop, .. } = &self.configuration;
        let names: Vec<_> = drop.value.names().collect();
        let policy = policy(&names, &self.rules, blocks);
        format!("{policy}; ports {}", ports.value)
    }
}

/// What is written and read as one text.
mod as_text {
    use std::fmt::Display;

    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    use super::FromStr;

    pub(super) fn serialize<T: Display, S: Serializer>(
        value: &Option<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => serializer.collect_str(value),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, T: FromStr<Err = anyhow::Error>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<T>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        let value = text.map(|text| text.parse());
        value.transpose().map_err(D::Error::custom)
    }
}
