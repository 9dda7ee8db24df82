//! Where `run` answers HTTP: an address and a port, this machine's own unless it is named.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    str::FromStr,
};

use anyhow::{Result, anyhow};

/// What is allowed, as every error says it.
const ALLOWED: &str = "allowed are a port of this machine alone, as in 9060, and an address with a \
    port, as in 192.0.2.10:9060 or [2001:db8::10]:9060";

/// An address and a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen(pub SocketAddr);

impl Listen {
    /// A port of this machine alone, for whoever names none.
    pub const LOOPBACK: Self = Self(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9060));

    /// Whether nobody but this machine reaches it.
    pub fn is_loopback(self) -> bool {
        self.0.ip().to_canonical().is_loopback()
    }
}

impl FromStr for Listen {
    type Err = anyhow::Error;

    /// `9060`, `:9060` and `localhost:9060` are ports of 127.0.0.1; port 0 is any that is free.
    fn from_str(text: &str) -> Result<Self> {
        let text = text.trim();
        let local = text.strip_prefix("localhost").unwrap_or(text);
        let port = match local.strip_prefix(':') {
            Some(port) => Some(port),
            None => Some(text).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit())),
        };
        let address = match port {
            Some(port) => port
                .parse()
                .ok()
                .map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
            None => text.parse().ok(),
        };
        address
            .map(Self)
            .ok_or_else(|| anyhow!("`{text}` is no address to listen on; {ALLOWED}"))
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_this_machines() {
        for (text, address, is_loopback) in [
            ("9060", "127.0.0.1:9060", true),
            (":9060", "127.0.0.1:9060", true),
            ("localhost:9060", "127.0.0.1:9060", true),
            ("0", "127.0.0.1:0", true),
            ("[::1]:9060", "[::1]:9060", true),
            ("[::ffff:127.0.0.1]:9060", "[::ffff:127.0.0.1]:9060", true),
            ("192.0.2.10:9060", "192.0.2.10:9060", false),
            ("0.0.0.0:9060", "0.0.0.0:9060", false),
            ("[::]:9060", "[::]:9060", false),
            ("[2001:db8::10]:9060", "[2001:db8::10]:9060", false),
        ] {
            let listen: Listen = text.parse().unwrap();
            assert_eq!(listen.to_string(), address, "{text}");
            assert_eq!(listen.is_loopback(), is_loopback, "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_what_is_allowed() {
        for text in [
            "",
            ":",
            "65536",
            "http",
            "127.0.0.1",
            "2001:db8::10",
            "example.org:9060",
            "+9060",
            "localhost",
        ] {
            let error = text.parse::<Listen>().unwrap_err().to_string();
            assert!(error.contains("192.0.2.10:9060"), "{text}: {error}");
        }
    }
}
