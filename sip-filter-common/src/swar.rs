//! Eight bytes at a time: the word tricks that the classifier stands on.
//!
//! A word is little endian, so its lowest byte comes first in the packet. Flags are the top
//! bit of each byte.

/// A byte in each of the eight places.
pub const fn splat(byte: u8) -> u64 {
    0x0101_0101_0101_0101 * byte as u64
}

/// The top bit of each byte.
pub const TOP: u64 = splat(0x80);

/// Flags the bytes equal to `byte`; exact up to and including the first one, which is all
/// that [`before_first`] looks at (a borrow may flag a byte after it wrongly).
#[inline(always)]
pub const fn equal(word: u64, byte: u8) -> u64 {
    let zero = word ^ splat(byte);
    zero.wrapping_sub(splat(1)) & !zero & TOP
}

/// Flags exactly the bytes equal to `byte`, all of them.
#[inline(always)]
pub const fn equal_exactly(word: u64, byte: u8) -> u64 {
    others(word, byte) ^ TOP
}

/// Flags exactly the bytes that are not equal to `byte`.
#[inline(always)]
pub const fn others(word: u64, byte: u8) -> u64 {
    let zero = word ^ splat(byte);
    // Bit 7 of a byte of the sum is set unless its low seven bits are all zero.
    (((zero & !TOP) + !TOP) | zero) & TOP
}

/// A mask of the bytes before the first flagged one; all of them without a flag.
#[inline(always)]
pub const fn before_first(flags: u64) -> u64 {
    let lowest = flags & flags.wrapping_neg();
    // The flag is bit 8k+7; shifted down by 7 and less one, it leaves bits 0 to 8k-1.
    // Without a flag, 0 - 1 leaves them all.
    (lowest >> 7).wrapping_sub(1)
}

/// How many bytes stand before the first flagged one, of which there must be one.
#[inline(always)]
pub const fn count_before_first(flags: u64) -> usize {
    // Ones are added up in the highest byte.
    ((before_first(flags) & splat(1)).wrapping_mul(splat(1)) >> 56) as usize
}

/// Flags every line feed, and what else is below 11, and some bytes above 127 or behind one of these:
/// little else in a header.
#[inline(always)]
pub(crate) const fn feeds(word: u64) -> u64 {
    word.wrapping_sub(splat(b'\n' + 1)) & TOP
}

/// The bits of bytes in a chunk of eight words: bit 8k+j is for byte k of word j, so that a word's
/// flags need only be shifted. Which byte of the chunk a bit is for.
#[inline(always)]
pub const fn byte_of(bit: u32) -> usize {
    (8 * (bit % 8) + bit / 8) as usize
}

/// The bit of a byte of a chunk, the other way round.
#[inline(always)]
pub(crate) const fn bit_of(place: usize) -> u64 {
    1 << (8 * (place % 8) + place / 8)
}

/// In the order of [`byte_of`], the bits of what stands one byte before in the same chunk.
#[inline(always)]
pub(crate) const fn one_byte_before(mask: u64) -> u64 {
    // From the first byte of a word to the last one of the word before.
    mask >> 8 | (mask & 0xfe) << 55
}

/// Not 0 where a byte of the next chunk stands one or two bytes behind one of this chunk.
#[inline(always)]
pub(crate) const fn next_within_two(mask: u64, next: u64) -> u64 {
    let (last_but_one, last) = (mask >> 55, mask >> 63);
    let (first, second) = (next, next >> 8);
    (last & (first | second) | last_but_one & first) & 1
}

/// In the order of [`byte_of`], the bits of what stands two bytes behind in the same chunk.
#[inline(always)]
pub(crate) const fn two_bytes_behind(mask: u64) -> u64 {
    // From the last two bytes of a word to the first two of the next one.
    mask << 16 | (mask >> 47) & 0xfefe
}

/// A mask of the first `length` bytes of a word, less than eight, without a branch.
#[inline(always)]
pub const fn mask_below(length: usize) -> u64 {
    (1_u64 << ((8 * length as u32) & 63)).wrapping_sub(1)
}

/// ASCII upper case to lower case; every other byte as it is.
#[inline(always)]
pub const fn lower(word: u64) -> u64 {
    let low = word & !TOP;
    let from_a = low + splat(0x80 - b'A');
    let after_z = low + splat(0x80 - b'Z' - 1);
    let upper = (from_a ^ after_z) & !word & TOP;
    word | (upper >> 2)
}

/// Up to eight bytes of text as a word, the rest zero.
pub const fn word(text: &[u8]) -> u64 {
    let mut word = 0;
    let mut at = 0;
    while at < text.len() && at < 8 {
        word |= (text[at] as u64) << (8 * at);
        at += 1;
    }
    word
}

/// A mask of the first `length` bytes of a word, at most eight.
pub const fn mask(length: usize) -> u64 {
    if length >= 8 {
        u64::MAX
    } else {
        (1 << (8 * length)) - 1
    }
}

/// [`mask`] of at least one byte, without a branch: 1 << 64 does not exist, so that eight
/// bytes are shifted in two steps.
#[inline(always)]
pub const fn mask_up_to_eight(length: usize) -> u64 {
    let bytes = if length > 8 { 8 } else { length };
    let half = (bytes * 4) as u32 & 63;
    ((1_u64 << half) << half).wrapping_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lower_changes_letters_alone() {
        for byte in 0..=u8::MAX {
            let word = splat(byte) & !0xff00 | 0x4100;
            let expected = splat(byte.to_ascii_lowercase()) & !0xff00 | 0x6100;
            assert_eq!(lower(word), expected, "byte {byte:#04x}");
        }
    }

    #[test]
    fn flags_find_the_first_equal_byte() {
        for at in 0..8 {
            let mut bytes = *b"abcdefgh";
            bytes[at] = b'\r';
            let word = u64::from_le_bytes(bytes);
            assert_eq!(before_first(equal(word, b'\r')), mask(at));
            assert_eq!(count_before_first(equal(word, b'\r')), at);
            assert_eq!(equal_exactly(word, b'\r'), 0x80 << (8 * at));
        }
        assert_eq!(before_first(equal(splat(b'a'), b'\r')), u64::MAX);
        let bytes = *b"\n\x0b\n\x0a\x8a\x0b\x00\n";
        let flags = bytes.map(|byte| if byte == b'\n' { 0x80 } else { 0 });
        assert_eq!(
            equal_exactly(u64::from_le_bytes(bytes), b'\n'),
            u64::from_le_bytes(flags)
        );
    }

    #[test]
    fn every_line_feed_is_flagged() {
        for bits in 0..=u8::MAX {
            let mut bytes = [0; 8];
            for (at, byte) in bytes.iter_mut().enumerate() {
                *byte = if bits >> at & 1 != 0 { b'\n' } else { b'\r' };
            }
            let expected = bytes.map(|byte| if byte == b'\n' { 0x80 } else { 0 });
            assert_eq!(feeds(u64::from_le_bytes(bytes)).to_le_bytes(), expected);
            let bytes = bytes.map(|byte| if byte == b'\r' { 0x7f } else { byte });
            assert_eq!(feeds(u64::from_le_bytes(bytes)).to_le_bytes(), expected);
        }
    }

    #[test]
    fn what_stands_near_has_its_bit() {
        for bit in 0..64 {
            assert_eq!(bit_of(byte_of(bit)), 1 << bit);
            let at = |place| (0..64).find(|other| byte_of(*other) == place);
            let mask = |place| at(place).map_or(0, |other| 1 << other);
            assert_eq!(
                one_byte_before(mask(byte_of(bit) + 1)) >> bit & 1,
                (byte_of(bit) < 63) as u64
            );
            assert_eq!(
                two_bytes_behind(1 << bit),
                mask(byte_of(bit) + 2),
                "bit {bit}"
            );
            for next in 0..64 {
                let distance = 64 + byte_of(next) - byte_of(bit);
                let is_within = next_within_two(1 << bit, 1 << next) != 0;
                assert_eq!(is_within, distance <= 2, "bits {bit} and {next}");
            }
        }
    }
}
