//! An address or a prefix as an operator writes it: `192.0.2.7`, `192.0.2.0/24`, `2001:db8::/32`.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use anyhow::{Result, anyhow, bail};
use sip_filter_common::lists;

/// How many bits of a mapped address stand before the IPv4 one (RFC 4291 section 2.5.5.2).
const MAPPED_BITS: u8 = lists::MAPPED as u8;

/// What is allowed, as every error says it.
const ALLOWED: &str =
    "write an address or a prefix, as in 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32";

/// All addresses whose first bits are these. No bit behind them is set, and an IPv4 address is
/// never written as an IPv6 one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    address: IpAddr,
    length: u8,
}

impl Prefix {
    /// The first address that it covers.
    pub fn address(self) -> IpAddr {
        self.address
    }

    /// How many bits count: at most 32 of an IPv4 address, 128 of an IPv6 one.
    pub fn length(self) -> u8 {
        self.length
    }

    /// Whether it covers one address alone.
    pub fn is_host(self) -> bool {
        self.length == bits_of(self.address)
    }

    /// As the kernel's maps have it: an IPv4 address is mapped, its length counts from there.
    pub fn to_abi(self) -> lists::Prefix {
        let (octets, before) = match self.address {
            IpAddr::V4(address) => (address.to_ipv6_mapped().octets(), MAPPED_BITS),
            IpAddr::V6(address) => (address.octets(), 0),
        };
        lists::Prefix {
            length: u32::from(before + self.length),
            octets,
        }
    }
}

impl From<lists::Prefix> for Prefix {
    /// Back from what the kernel's maps have.
    fn from(prefix: lists::Prefix) -> Self {
        let address = Ipv6Addr::from(prefix.octets);
        // Lengths come from `to_abi`, so they fit.
        let length = prefix.length.min(128) as u8;
        match (address.to_ipv4_mapped(), length.checked_sub(MAPPED_BITS)) {
            (Some(address), Some(length)) => Self {
                address: address.into(),
                length,
            },
            _ => Self {
                address: address.into(),
                length,
            },
        }
    }
}

impl From<IpAddr> for Prefix {
    /// The address alone.
    fn from(address: IpAddr) -> Self {
        let address = address.to_canonical();
        Self {
            address,
            length: bits_of(address),
        }
    }
}

impl FromStr for Prefix {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let written: IpAddr = address
            .parse()
            .map_err(|_| anyhow!("`{address}` is no address; {ALLOWED}"))?;
        let Some(length) = length else {
            return Ok(written.into());
        };
        let bits = bits_of(written);
        // `parse` takes a leading plus sign too.
        let is_number = length.bytes().all(|byte| byte.is_ascii_digit());
        let length = match length.parse::<u8>() {
            Ok(length) if is_number && length <= bits => length,
            _ => bail!("`{text}` has no length from 0 to {bits} after the `/`; {ALLOWED}"),
        };
        let network = first_of(written, length);
        if network != written {
            bail!(
                "`{text}` has bits set behind its first {length}; \
                 write {network}/{length} for the network, or {written} for the address"
            );
        }
        Ok(match (written, written.to_canonical()) {
            (IpAddr::V6(_), address @ IpAddr::V4(_)) if length >= MAPPED_BITS => Self {
                address,
                length: length - MAPPED_BITS,
            },
            (address, _) => Self { address, length },
        })
    }
}

impl fmt::Display for Prefix {
    /// A single address without its length.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_host() {
            true => write!(f, "{}", self.address),
            false => write!(f, "{}/{}", self.address, self.length),
        }
    }
}

fn bits_of(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// The address with nothing but its first bits.
fn first_of(address: IpAddr, length: u8) -> IpAddr {
    let behind = u32::from(bits_of(address) - length);
    match address {
        IpAddr::V4(address) => {
            let kept = u32::MAX.checked_shl(behind).unwrap_or(0);
            Ipv4Addr::from_bits(address.to_bits() & kept).into()
        }
        IpAddr::V6(address) => {
            let kept = u128::MAX.checked_shl(behind).unwrap_or(0);
            Ipv6Addr::from_bits(address.to_bits() & kept).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_print_in_canonical_form() {
        for (written, canonical, is_host, length) in [
            ("192.0.2.7", "192.0.2.7", true, 128),
            ("192.0.2.7/32", "192.0.2.7", true, 128),
            ("192.0.2.0/24", "192.0.2.0/24", false, 120),
            ("0.0.0.0/0", "0.0.0.0/0", false, 96),
            ("2001:DB8:0::/32", "2001:db8::/32", false, 32),
            ("2001:db8::1", "2001:db8::1", true, 128),
            ("::/0", "::/0", false, 0),
            ("::ffff:192.0.2.7", "192.0.2.7", true, 128),
            ("::ffff:192.0.2.0/120", "192.0.2.0/24", false, 120),
        ] {
            let prefix: Prefix = written.parse().unwrap();
            assert_eq!(prefix.to_string(), canonical, "written {written}");
            assert_eq!(prefix.is_host(), is_host, "{written}");
            assert_eq!(prefix.to_abi().length, length, "{written}");
            assert_eq!(canonical.parse::<Prefix>().unwrap(), prefix);
            assert_eq!(Prefix::from(prefix.to_abi()), prefix);
        }
    }

    #[test]
    fn an_ipv4_address_is_mapped_for_the_kernel() {
        let prefix: Prefix = "192.0.2.0/24".parse().unwrap();
        let octets = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 0];
        assert_eq!(prefix.to_abi().octets, octets);
    }

    #[test]
    fn errors_say_what_was_meant() {
        for (written, said) in [
            ("", "`` is no address"),
            ("192.0.2", "`192.0.2` is no address"),
            ("trunk.example", "`trunk.example` is no address"),
            ("192.0.2.0/33", "no length from 0 to 32"),
            ("2001:db8::/129", "no length from 0 to 128"),
            ("192.0.2.0/", "no length from 0 to 32"),
            ("192.0.2.0/+24", "no length from 0 to 32"),
            (
                "192.0.2.7/24",
                "write 192.0.2.0/24 for the network, or 192.0.2.7 for",
            ),
            ("2001:db8::1/64", "write 2001:db8::/64 for the network"),
            ("10.0.0.1/0", "write 0.0.0.0/0 for the network"),
        ] {
            let error = written.parse::<Prefix>().unwrap_err().to_string();
            assert!(error.contains(said), "{written}: {error}");
        }
    }
}
