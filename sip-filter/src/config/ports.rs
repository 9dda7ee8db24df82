//! The inspected ports, as `--ports` takes them: `5060-5100,6060`, `any`, or both.

use std::{fmt, str::FromStr};

use anyhow::{Result, anyhow, bail};
use sip_filter_common::abi::PortSet;

/// What is inspected unless the operator says otherwise: the ports that scanners try.
pub const DEFAULT: &str = "5060-5100,6060";

/// The word for a datagram to whatever port, if it starts like SIP.
const ANY: &str = "any";

/// What is allowed, as every error says it.
const ALLOWED: &str = "allowed are ports from 1 to 65535, ranges of them as in 5060-5100, \
    and `any`, separated by commas";

/// The ports on which every datagram is inspected, and whether datagrams to any other port
/// are inspected too when they start like SIP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ports {
    /// Every datagram to these is inspected.
    pub set: Box<PortSet>,
    /// Datagrams to any other port are inspected when they start like SIP.
    pub any: bool,
}

impl Ports {
    /// What [`DEFAULT`] says.
    pub fn usual() -> Self {
        let mut set = Box::new(PortSet::EMPTY);
        for port in (5060..=5100).chain([6060]) {
            set.insert(port);
        }
        Self { set, any: false }
    }
}

impl FromStr for Ports {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut ports = Self {
            set: Box::new(PortSet::EMPTY),
            any: false,
        };
        for part in text.split(',').map(str::trim) {
            if part == ANY {
                ports.any = true;
                continue;
            }
            let (first, last) = match part.split_once('-') {
                Some((first, last)) => (port(first)?, port(last)?),
                None => (port(part)?, port(part)?),
            };
            if first > last {
                bail!("the range `{part}` ends before it begins; {ALLOWED}");
            }
            for port in first..=last {
                ports.set.insert(port);
            }
        }
        Ok(ports)
    }
}

fn port(text: &str) -> Result<u16> {
    let text = text.trim();
    if text.is_empty() {
        bail!("a port is missing; {ALLOWED}");
    }
    // `parse` takes a leading plus sign too.
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        bail!("`{text}` is not a port; {ALLOWED}");
    }
    match text.parse() {
        Ok(0) | Err(_) => Err(anyhow!("there is no port {text}; {ALLOWED}")),
        Ok(port) => Ok(port),
    }
}

impl fmt::Display for Ports {
    /// The canonical form: ascending, neighbours joined, `any` last.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut ports = self.set.iter().peekable();
        let mut comma = "";
        while let Some(first) = ports.next() {
            let mut last = first;
            while let Some(next) = ports.next_if(|next| *next == last + 1) {
                last = next;
            }
            match last - first {
                0 => write!(f, "{comma}{first}")?,
                _ => write!(f, "{comma}{first}-{last}")?,
            }
            comma = ",";
        }
        if self.any {
            write!(f, "{comma}{ANY}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_print_in_canonical_form() {
        for (written, canonical) in [
            (DEFAULT, DEFAULT),
            ("5060", "5060"),
            ("6060,5060", "5060,6060"),
            ("5060,5061", "5060-5061"),
            ("5060-5070,5065-5080,5081", "5060-5081"),
            ("5060-5060", "5060"),
            (" 5060 , 5070 - 5080 ", "5060,5070-5080"),
            ("any", "any"),
            ("any,5060", "5060,any"),
            ("1-65535", "1-65535"),
            ("65534,65535", "65534-65535"),
        ] {
            let ports: Ports = written.parse().unwrap();
            assert_eq!(ports.to_string(), canonical, "written {written}");
            assert_eq!(canonical.parse::<Ports>().unwrap(), ports);
        }
    }

    #[test]
    fn the_default_is_forty_two_ports() {
        let Ports { set, any } = DEFAULT.parse().unwrap();
        assert_eq!(set.len(), 42);
        assert!(set.contains(5060) && set.contains(5100) && set.contains(6060));
        assert!(!set.contains(5059) && !set.contains(5101));
        assert!(!any);
    }

    #[test]
    fn errors_name_the_part_and_what_is_allowed() {
        for (written, named) in [
            ("", "a port is missing"),
            ("5060,", "a port is missing"),
            ("5060-", "a port is missing"),
            ("-5060", "a port is missing"),
            ("70000", "no port 70000"),
            ("99999999999999999999", "no port 99999999999999999999"),
            ("0", "no port 0"),
            ("5060-5050", "`5060-5050` ends before it begins"),
            ("5060,sip", "`sip` is not a port"),
            ("+5060", "`+5060` is not a port"),
            ("ANY", "`ANY` is not a port"),
            ("1-2-3", "`2-3` is not a port"),
        ] {
            let error = written.parse::<Ports>().unwrap_err().to_string();
            assert!(error.contains(named), "{written}: {error}");
            assert!(error.contains("1 to 65535"), "{written}: {error}");
        }
    }
}
