//! Addresses, as all maps have them: one form for IPv4 and IPv6.

/// An address as an IPv6 address in network byte order; an IPv4 address is mapped
/// (RFC 4291 section 2.5.5.2).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Address {
    /// The address's bytes, eight to a word, each word in memory order.
    pub words: [u64; 2],
}

impl Address {
    /// From an IPv4 address whose four bytes, in network order, are `address` in memory order.
    #[inline(always)]
    pub const fn from_ipv4(address: u32) -> Self {
        let mapped = 0xffff_u32.to_be() as u64;
        let low = if cfg!(target_endian = "little") {
            mapped | (address as u64) << 32
        } else {
            mapped << 32 | address as u64
        };
        Self { words: [0, low] }
    }

    /// From sixteen bytes in network order.
    pub fn from_octets(octets: [u8; 16]) -> Self {
        let word = |at: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&octets[at..at + 8]);
            u64::from_ne_bytes(bytes)
        };
        Self {
            words: [word(0), word(8)],
        }
    }

    /// Whether it is an IPv4 address, mapped.
    #[inline(always)]
    pub const fn is_ipv4(&self) -> bool {
        let [high, low] = self.words;
        high == 0 && low as u32 == Self::from_ipv4(0).words[1] as u32
    }

    /// The address's sixteen bytes in network order.
    pub fn octets(self) -> [u8; 16] {
        let mut octets = [0; 16];
        for (half, word) in octets.chunks_exact_mut(8).zip(self.words) {
            half.copy_from_slice(&word.to_ne_bytes());
        }
        octets
    }
}
