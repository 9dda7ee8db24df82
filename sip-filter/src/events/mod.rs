//! What the program reports as it happens, in words: which source was first seen with a tool or in a
//! behaviour, which was blocked and which is not any more, each with the packet that it happened with.
//!
//! [`Feed`] hands them to whoever asks in this process, [`socket`] to other processes.

mod feed;
mod file;
pub mod socket;
mod text;

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
};

use anyhow::Result;
use serde::Serialize;
use sip_filter_common::{
    abi::{self, Address},
    rules::Behaviour,
    sip::MessageClass,
};

use crate::{
    config::signatures::tool_name,
    escape,
    geoip::{Databases, Location},
    kernel::Filter,
    stats::{Clock, WallTime},
};

pub use feed::Feed;
pub use file::append;
pub use text::harmless;

/// Something that the program has reported.
///
/// All text that came with the packet is [`harmless`], and so is the tool's name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    /// When the packet arrived, to a jiffy.
    pub time: WallTime,
    /// What has happened.
    #[serde(flatten)]
    pub what: What,
    /// Who sent the packet.
    pub source: IpAddr,
    /// Where that is, as far as it is known.
    #[serde(flatten)]
    pub location: Location,
    /// To whom.
    pub destination: IpAddr,
    /// The destination port.
    pub port: u16,
    /// The packet's method, or `response`, `keepalive` or `malformed`.
    pub method: &'static str,
    /// The tool that was recognised in it.
    pub tool: Option<String>,
    /// Its first line.
    pub start_line: String,
    /// The value of its User-Agent, where that stands among the first 1,024 bytes.
    pub user_agent: Option<String>,
}

/// What has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum What {
    /// The source was seen with this tool for the first time, as far as it is remembered.
    Tool,
    /// The source was seen in this behaviour for the first time, as far as it is remembered.
    Behaviour {
        /// Which.
        behaviour: &'static str,
    },
    /// The source was blocked for what it has sent.
    Blocked {
        /// The behaviour that it was blocked for, or `signature`.
        cause: &'static str,
        /// For how many seconds.
        seconds: u64,
    },
    /// The source is not blocked any more, and this is its first packet since.
    Unblocked,
}

impl Event {
    /// What one report of the program says; a packet may be several things at once. `tool` is the name
    /// of a tool's number.
    pub fn of(
        report: &abi::Event,
        clock: Clock,
        databases: &Databases,
        tool: impl Fn(usize) -> Option<String>,
    ) -> Vec<Self> {
        let facts = report.facts;
        let bytes = text::bytes(report);
        let source = address(report.source);
        let event = |what| Self {
            time: clock.at(report.at),
            what,
            source,
            location: databases.locate(source),
            destination: address(report.destination),
            port: facts.port(),
            method: MessageClass::ALL
                .get(facts.class())
                .map_or("", |class| class.name()),
            tool: tool(facts.tool()),
            start_line: text::start_line(&bytes),
            user_agent: text::user_agent(&bytes),
        };
        let mut events = Vec::new();
        if report.what & abi::Event::UNBLOCKED != 0 {
            events.push(event(What::Unblocked));
        }
        if report.what & abi::Event::TOOL != 0 {
            events.push(event(What::Tool));
        }
        if report.what & abi::Event::BEHAVIOUR != 0
            && let Some(behaviour) = behaviour(facts.behaviour())
        {
            events.push(event(What::Behaviour { behaviour }));
        }
        if report.what & abi::Event::BLOCKED != 0 {
            events.push(event(What::Blocked {
                cause: behaviour(report.cause as usize).unwrap_or("signature"),
                seconds: report.until.saturating_sub(report.at) / 1_000_000_000,
            }));
        }
        events
    }

    /// What reports of a filter say.
    ///
    /// # Errors
    ///
    /// When the tools' names cannot be read.
    pub fn in_words(
        filter: &Filter,
        databases: &Databases,
        reports: &[abi::Event],
    ) -> Result<Vec<Self>> {
        let tools = filter.tools()?;
        let tool = |number: usize| {
            let name = tool_name(tools.get(number)?)?;
            Some(escape::terminal(name).into_owned())
        };
        let clock = Clock::now();
        let events = reports
            .iter()
            .flat_map(|it| Self::of(it, clock, databases, tool));
        Ok(events.collect())
    }

    /// Whether it says that a source is blocked, or is not any more.
    pub fn is_about_blocking(&self) -> bool {
        matches!(self.what, What::Blocked { .. } | What::Unblocked)
    }
}

/// A line for the log.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = Named(self);
        match self.what {
            What::Tool => {
                let tool = self.tool.as_deref().unwrap_or("a tool");
                write!(f, "{source} is seen with {tool}")?;
            }
            What::Behaviour { behaviour } => write!(f, "{source} is seen in {behaviour}")?,
            What::Blocked { cause, seconds } => {
                write!(f, "{source} is blocked for {seconds} s: {cause}")?;
            }
            What::Unblocked => write!(f, "{source} is not blocked any more")?,
        }
        write!(f, "; port {}: {}", self.port, self.start_line)?;
        if let Some(user_agent) = &self.user_agent {
            write!(f, "; User-Agent: {user_agent}")?;
        }
        Ok(())
    }
}

/// A source with where it is: `192.0.2.66 (NL, AS64500 Example)`.
struct Named<'a>(&'a Event);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Event {
            source, location, ..
        } = self.0;
        match location.to_string() {
            known if known.is_empty() => write!(f, "{source}"),
            known => write!(f, "{source} ({known})"),
        }
    }
}

/// The name of a behaviour that is counted by its number plus one.
fn behaviour(number: usize) -> Option<&'static str> {
    let behaviour = Behaviour::ALL.get(number.checked_sub(1)?)?;
    Some(behaviour.name())
}

fn address(address: Address) -> IpAddr {
    Ipv6Addr::from(address.octets()).to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip_filter_common::{abi::Facts, verdict::Outcome};

    fn report(what: u64, behaviour: u64, text: &[u8]) -> abi::Event {
        let mut report = abi::Event {
            what,
            at: 5_000_000_000,
            source: Address::from_ipv4(u32::from_ne_bytes([192, 0, 2, 66])),
            destination: Address::from_ipv4(u32::from_ne_bytes([192, 0, 2, 10])),
            facts: Facts::new(MessageClass::Options, Some(7), true, Outcome::ALL[0])
                .at(5061)
                .with_behaviour(behaviour),
            length: text.len() as u64,
            ..abi::Event::NOTHING
        };
        for (word, bytes) in report.text.iter_mut().zip(text.chunks(8)) {
            let mut whole = [0; 8];
            whole[..bytes.len()].copy_from_slice(bytes);
            *word = u64::from_ne_bytes(whole);
        }
        report
    }

    fn lines(report: &abi::Event) -> Vec<String> {
        let clock = Clock::new(WallTime::from_ns(10_000_000_000), 6_000_000_000);
        let tool = |number| (number == 7).then(|| "sipvicious".to_owned());
        let events = Event::of(report, clock, &Databases::default(), tool);
        events.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_packet_may_be_several_events() {
        let text = b"OPTIONS sip:100@192.0.2.10 SIP/2.0\r\nUser-Agent: friendly-scanner\r\n\r\n";
        let all = abi::Event::TOOL | abi::Event::BEHAVIOUR | abi::Event::BLOCKED;
        let mut reported = report(all, 2, text);
        reported.until = reported.at + 3_600_000_000_000;
        let packet =
            "; port 5061: OPTIONS sip:100@192.0.2.10 SIP/2.0; User-Agent: friendly-scanner";
        assert_eq!(
            lines(&reported),
            [
                format!("192.0.2.66 is seen with sipvicious{packet}"),
                format!("192.0.2.66 is seen in {}{packet}", Behaviour::ALL[1].name()),
                format!("192.0.2.66 is blocked for 3600 s: signature{packet}"),
            ]
        );
    }

    #[test]
    fn an_event_is_one_flat_object() {
        let clock = Clock::new(WallTime::from_ns(10_000_000_000), 6_000_000_000);
        let reported = report(abi::Event::UNBLOCKED, 0, b"OPTIONS sip:x SIP/2.0\r\n\r\n");
        let events = Event::of(&reported, clock, &Databases::default(), |_| None);
        assert_eq!(
            serde_json::to_value(&events[0]).unwrap(),
            serde_json::json!({
                "time": "1970-01-01T00:00:09.000Z", "event": "unblocked",
                "source": "192.0.2.66", "destination": "192.0.2.10", "port": 5061,
                "method": "OPTIONS", "tool": null,
                "start_line": "OPTIONS sip:x SIP/2.0", "user_agent": null,
            })
        );
    }
}
