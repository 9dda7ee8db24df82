//! The verdicts' log: what the program writes through aya-log, in words.
//!
//! The program writes numbers, which cost it least; the names are known here.

use std::net::{IpAddr, Ipv6Addr};

use anyhow::{Context, Result};
use aya::{Ebpf, maps::Array};
use aya_log::EbpfLogger;
use log::{Log, Metadata, Record};
use sip_filter_common::{
    abi::{ToolName, map},
    sip::MessageClass,
    verdict::Outcome,
};
use tokio::io::{Interest, unix::AsyncFd};

use crate::{config::signatures::tool_name, escape};

/// The verdicts that the program logs, on their way to the `log` crate.
pub struct Logger(EbpfLogger<Words>);

impl Logger {
    /// Of a program that was loaded to log its verdicts.
    pub(super) fn new(ebpf: &mut Ebpf) -> Result<Self> {
        let tools: Array<_, ToolName> = ebpf
            .map(map::TOOLS)
            .context("the object holds no map of tools")?
            .try_into()?;
        let tools = tools
            .iter()
            .map(|tool| Ok(tool_name(&tool?).map(|name| escape::terminal(name).into_owned())))
            .collect::<Result<_>>()
            .context("cannot read the tools' names")?;
        let logger = EbpfLogger::init_with_logger(ebpf, Words { tools })
            .context("cannot read the program's log")?;
        Ok(Self(logger))
    }

    /// Forwards verdicts as they come.
    ///
    /// # Errors
    ///
    /// When they can no longer be read; it does not return otherwise.
    pub async fn forward(self) -> Result<()> {
        // SAFETY: the logger owns its descriptor, gives the same one each time, and lives as long
        // as the registration.
        let mut logger = unsafe { AsyncFd::register_with_interest(self.0, Interest::READABLE) }
            .context("cannot wait for the program's log")?;
        loop {
            let mut ready = logger
                .readable_mut()
                .await
                .context("cannot wait for the program's log")?;
            ready.get_inner_mut().flush();
            ready.clear_ready();
        }
    }
}

/// Turns the program's numbers into words.
struct Words {
    tools: Vec<Option<String>>,
}

impl Words {
    /// `ADDRESS PORT CLASS OUTCOME TOOL` in words; `None` for anything else.
    fn verdict(&self, line: &str) -> Option<String> {
        let mut fields = line.split_whitespace();
        let address = fields.next()?.parse::<Ipv6Addr>().ok()?;
        let source = address
            .to_ipv4_mapped()
            .map_or(IpAddr::V6(address), IpAddr::V4);
        let port: u16 = fields.next()?.parse().ok()?;
        let class = MessageClass::ALL
            .get(fields.next()?.parse::<usize>().ok()?)?
            .name();
        let reason = Outcome::ALL
            .get(fields.next()?.parse::<usize>().ok()?)?
            .in_words();
        let tool = fields.next()?.parse::<usize>().ok()?;
        let tool = match self.tools.get(tool) {
            Some(Some(name)) => format!(" from {name}"),
            _ => String::new(),
        };
        Some(format!("{source} to port {port}: {class}{tool}: {reason}"))
    }
}

impl Log for Words {
    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let line = record.args().to_string();
        log::info!("{}", self.verdict(&line).unwrap_or(line));
    }

    fn flush(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_words() {
        let words = Words {
            tools: vec![None, Some("sipvicious".to_owned())],
        };
        for (line, expected) in [
            (
                "::ffff:198.51.100.7 5060 5 7 1",
                Some("198.51.100.7 to port 5060: OPTIONS from sipvicious: dropped by signature"),
            ),
            (
                "2001:db8::7 5061 16 0 255",
                Some("2001:db8::7 to port 5061: keepalive: passed"),
            ),
            ("something else", None),
        ] {
            assert_eq!(words.verdict(line).as_deref(), expected, "{line}");
        }
    }
}
