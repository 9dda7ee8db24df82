//! The allow list and the block list, as they stand in maps.
//!
//! Single addresses are in a hash, prefixes in a trie for each list. Two bitmaps say in one look
//! that no prefix covers a source, so that a trie is asked for few. Whatever changes the lists sets
//! the bits first and then the entries.

use crate::address::Address;

/// How many entries each map holds unless the operator says otherwise.
pub const DEFAULT_ENTRIES: u32 = 131_072;

/// Prefixes of IPv4 are this much longer than they are written, in bits: so many of a mapped address
/// stand before the IPv4 one (RFC 4291 section 2.5.5.2).
pub const MAPPED: u32 = 96;

/// How many blocked prefixes around one another the program looks at. Of those that are so deep within
/// others, or a multiple of it, [`Listed::expires`] says when the last of them and of all around them
/// ends.
pub const NESTED: usize = 8;

/// What is known of an address or a prefix.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// [`Self::ALLOWED`] and [`Self::BLOCKED`]: an address may be in both lists.
    pub lists: u32,
    /// The prefix's length in bits, 128 for an address; of IPv4, 96 more than is written.
    pub length: u32,
    /// When it ends to be blocked: nanoseconds of the kernel's monotonic clock; [`Self::NEVER`] where
    /// it does not.
    pub expires: u64,
    /// Packets that it has dropped, or would have dropped where the list only counts.
    pub dropped: u64,
}

impl Listed {
    /// In the allow list.
    pub const ALLOWED: u32 = 1;
    /// In the block list.
    pub const BLOCKED: u32 = 2;
    /// Later than any time.
    pub const NEVER: u64 = u64::MAX;

    /// Whether it allows.
    #[inline(always)]
    pub const fn allows(&self) -> bool {
        self.lists & Self::ALLOWED != 0
    }

    /// Whether it blocks at this time.
    #[inline(always)]
    pub const fn blocks(&self, now: u64) -> bool {
        self.lists & Self::BLOCKED != 0 && now < self.expires
    }
}

/// A prefix, as the kernel's trie takes it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Prefix {
    /// How many bits count, from the first; of IPv4, 96 more than is written.
    pub length: u32,
    /// The address in network byte order, mapped if it is an IPv4 one.
    pub octets: [u8; 16],
}

/// How many bits each bitmap of [`ListFilter`] has.
pub const SLOTS: usize = 1 << 16;

/// What says without a look-up that a source is in no list, or in no prefix.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListFilter {
    /// [`Self::ADDRESSES`], [`Self::ALLOWED_PREFIXES`] and [`Self::BLOCKED_PREFIXES`]: which maps
    /// hold anything.
    pub in_use: u64,
    /// By [`slot`]: whether an allowed prefix may cover such addresses.
    pub allowed: [u64; SLOTS / 64],
    /// By [`slot`]: whether a blocked prefix may cover such addresses.
    pub blocked: [u64; SLOTS / 64],
}

impl ListFilter {
    /// There are single addresses.
    pub const ADDRESSES: u64 = 1;
    /// There are allowed prefixes.
    pub const ALLOWED_PREFIXES: u64 = 2;
    /// There are blocked prefixes.
    pub const BLOCKED_PREFIXES: u64 = 4;

    /// Nothing is in any list.
    pub const EMPTY: Self = Self {
        in_use: 0,
        allowed: [0; SLOTS / 64],
        blocked: [0; SLOTS / 64],
    };

    /// Whether a prefix of `bits`, which is one of the bitmaps, may cover an address.
    #[inline(always)]
    pub fn may_cover(bits: &[u64; SLOTS / 64], address: &Address) -> bool {
        let slot = slot(address) % SLOTS;
        bits[slot / 64] >> (slot % 64) & 1 != 0
    }

    /// Notes in one of the bitmaps that there is a prefix.
    pub fn note(bits: &mut [u64; SLOTS / 64], prefix: &Prefix) {
        // Of IPv4 the first 16 bits of the address proper count, of IPv6 the first 32.
        let address = Address::from_octets(prefix.octets);
        let (counted, free) = if address.is_ipv4() {
            (112, 112_u32.saturating_sub(prefix.length))
        } else {
            (32, 32_u32.saturating_sub(prefix.length))
        };
        if counted == 32 && free > 16 || counted == 112 && free >= 16 {
            bits.fill(u64::MAX);
            return;
        }
        let first = slot(&address);
        for low in 0..1_usize << free {
            let slot = (first ^ low) % SLOTS;
            bits[slot / 64] |= 1 << (slot % 64);
        }
    }
}

/// Where the bitmaps speak of an address: by the first 16 bits of an IPv4 address, and by the first
/// 32 bits of an IPv6 one, the two halves of which are folded into one.
#[inline(always)]
pub const fn slot(address: &Address) -> usize {
    let [first, second] = address.words;
    if address.is_ipv4() {
        ((second >> 32) as u16).swap_bytes() as usize
    } else {
        (first as u16 ^ (first >> 16) as u16).swap_bytes() as usize
    }
}

/// A source that was blocked for what it sent.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ban {
    /// When it ends: nanoseconds of the kernel's monotonic clock.
    pub until: u64,
    /// When it began, by the same clock.
    pub since: u64,
    /// Packets dropped since, or that would have been.
    pub dropped: u64,
    /// What it is for: 0 for a signature, or else the number of a
    /// [`Behaviour`](crate::rules::Behaviour) plus one.
    pub cause: u64,
}

/// What says without a look-up that a source was never blocked for what it sent.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BanFilter {
    /// Not 0 at [`Self::place`] of each source that was. A byte each, so that CPUs that block
    /// different sources at the same moment do not undo each other's notes.
    pub places: [u8; 1 << Self::BITS],
}

impl BanFilter {
    const BITS: u32 = 16;

    /// The place of a source.
    #[inline(always)]
    pub const fn place(source: &Address) -> usize {
        // As in `Recent::place`, and both halves, since an attacker chooses an IPv6 address.
        let [high, low] = source.words;
        let spread = (high.rotate_left(23) ^ low).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (spread >> (u64::BITS - Self::BITS)) as usize
    }
}

const _: () = {
    assert!(size_of::<BanFilter>() == 1 << 16);
    assert!(size_of::<Listed>() == 24);
    assert!(size_of::<Prefix>() == 20);
    assert!(size_of::<ListFilter>() == 8 + 2 * SLOTS / 8);
    assert!(size_of::<Ban>() == 32);
};

#[cfg(feature = "user")]
mod pod {
    use super::{Ban, ListFilter, Listed, Prefix};

    // SAFETY: `repr(C)`, made of integers alone, without padding: see the sizes above.
    unsafe impl aya::Pod for Listed {}
    // SAFETY: as above.
    unsafe impl aya::Pod for Prefix {}
    // SAFETY: as above.
    unsafe impl aya::Pod for ListFilter {}
    // SAFETY: as above.
    unsafe impl aya::Pod for Ban {}
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use core::net::IpAddr;
    use std::boxed::Box;

    fn address(text: &str) -> Address {
        let octets = match text.parse() {
            Ok(IpAddr::V4(address)) => address.to_ipv6_mapped().octets(),
            Ok(IpAddr::V6(address)) => address.octets(),
            Err(error) => panic!("{text}: {error}"),
        };
        Address::from_octets(octets)
    }

    #[test]
    fn a_prefix_is_noted_for_all_that_it_covers_and_not_for_much_else() {
        for (prefix, length, inside, outside) in [
            ("192.0.2.0", 24, "192.0.2.255", Some("192.1.2.0")),
            ("192.0.2.7", 32, "192.0.2.7", Some("10.0.2.7")),
            ("10.0.0.0", 8, "10.255.255.255", Some("11.0.0.0")),
            ("172.16.0.0", 12, "172.31.9.9", Some("172.32.0.0")),
            ("0.0.0.0", 0, "203.0.113.9", None),
            ("128.0.0.0", 1, "203.0.113.9", None),
            ("2001:db8::", 32, "2001:db8:ffff::1", Some("2001:db9::")),
            ("2001:db8:1::", 48, "2001:db8:1::9", Some("2001:dc8:1::")),
            ("2001:d80::", 28, "2001:d8f::1", Some("2001:d90::")),
            ("2001::", 16, "2001:ffff::1", None),
            ("2000::", 3, "3fff::1", None),
            ("::", 0, "fe80::1", None),
        ] {
            let mut filter = Box::new(ListFilter::EMPTY);
            let network = address(prefix);
            let length = if network.is_ipv4() {
                96 + length
            } else {
                length
            };
            let octets = network.octets();
            ListFilter::note(&mut filter.blocked, &Prefix { length, octets });
            let covers = |text| ListFilter::may_cover(&filter.blocked, &address(text));
            assert!(covers(prefix) && covers(inside), "{prefix}/{length}");
            if let Some(outside) = outside {
                assert!(!covers(outside), "{prefix}/{length}");
            }
        }
    }
}
