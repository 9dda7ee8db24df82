//! Where in the kernel the program runs, as `--mode` takes it.

use std::{fmt, str::FromStr};

use anyhow::{Result, anyhow};
use clap::ValueEnum;

use super::meant::meant;

/// How the program is attached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// Native, and skb where the driver has no native XDP
    #[default]
    Auto,
    /// In the driver, before a socket buffer exists
    Native,
    /// In the network stack: slower, on any interface
    Skb,
    /// Behind XDP in the network stack, beside other programs, on any Ethernet interface (Linux 6.6)
    Tcx,
    /// In the network card
    Hw,
}

impl Mode {
    /// The name in the configuration and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Native => "native",
            Self::Skb => "skb",
            Self::Tcx => "tcx",
            Self::Hw => "hw",
        }
    }
}

impl FromStr for Mode {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let all = Self::value_variants();
        let found = all.iter().find(|mode| mode.name() == text);
        found.copied().ok_or_else(|| {
            let names: Vec<_> = all.iter().map(|mode| mode.name()).collect();
            anyhow!("there is no mode `{text}`{}", meant(text, &names))
        })
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
