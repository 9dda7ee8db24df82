//! The databases of countries and autonomous systems that a command asks.

use std::path::PathBuf;

use anyhow::Result;

use super::{Global, complain, given::Given};
use crate::geoip::Databases;

/// Which databases are asked.
#[derive(Debug, clap::Args)]
pub(super) struct GeoipOptions {
    /// Say where sources are, from a database in the MaxMind DB format; may be given several times
    /// [default: those of the running filter]
    ///
    /// As GeoLite2 Country, City and ASN are. Without one nothing is said, and nobody is asked.
    #[arg(long, value_name = "FILE")]
    geoip: Vec<PathBuf>,
}

impl GeoipOptions {
    /// Those that are named, or else those of the running filter; one of the latter that cannot be read is
    /// no reason to say nothing at all.
    ///
    /// # Errors
    ///
    /// When one that is named cannot be read.
    pub(super) fn databases(&self, global: &Global) -> Result<Databases> {
        if !self.geoip.is_empty() {
            return Databases::open(&self.geoip);
        }
        let instance = global.instance()?;
        let given = Given::configuration(&global.state, instance.name());
        let files = given.map(|given| given.geoip.value).unwrap_or_default();
        Ok(Databases::open(&files).unwrap_or_else(|error| {
            complain(&format!("warning: {error:#}"));
            Databases::default()
        }))
    }
}
