//! Values of which the compiler or the verifier must not know too much.
//!
//! Each is hidden by a real instruction: an empty one leaves two line numbers at one place in
//! the program, which the kernel refuses.

use core::arch::asm;

use sip_filter_common::swar;

/// `value`, of whose low bits the verifier no longer knows anything.
///
/// The verifier does not see that XOR with the same unknown value twice changes nothing. The
/// result must be masked before it is used as an offset. `unknown` is a number from the
/// packet that the program compares with nothing, or the verifier would know it on some paths.
#[inline(always)]
pub fn forget(value: usize, unknown: usize) -> usize {
    let mut value = value;
    // SAFETY: register arithmetic alone.
    unsafe {
        asm!(
            "{value} ^= {unknown}",
            "{value} ^= {unknown}",
            value = inout(reg) value,
            unknown = in(reg) unknown,
            // Not pure: forgetting twice what was forgotten once would make the two one.
            options(nomem, nostack),
        );
    }
    value
}

/// Where a `T` at `offset` from `start` begins and ends.
///
/// The compiler would compute the two apart from each other, and the verifier would not see
/// that a check of the one bounds the other; and of `address + 1 > end` it would make
/// `address >= end`, from which the verifier learns nothing.
#[inline(always)]
pub fn span<T>(start: usize, offset: usize) -> (usize, usize) {
    let (address, end);
    // SAFETY: register arithmetic alone.
    unsafe {
        asm!(
            "{address} = {start}",
            "{address} += {offset}",
            "{end} = {address}",
            "{end} += {size}",
            start = in(reg) start,
            offset = in(reg) offset,
            address = out(reg) address,
            end = lateout(reg) end,
            size = const size_of::<T>(),
            options(pure, nomem, nostack),
        );
    }
    (address, end)
}

/// The same number, which the compiler no longer knows and the verifier still does.
#[inline(always)]
pub fn constant(number: usize) -> usize {
    let mut number = number;
    // SAFETY: the register is unchanged.
    unsafe { asm!("{0} = {0}", inout(reg) number, options(pure, nomem, nostack)) };
    number
}

/// The same reference, of whose target the compiler no longer knows anything: what was written there
/// is read again, and needs no room on the stack until then.
#[inline(always)]
pub fn anew<T>(reference: &mut T) -> &mut T {
    let mut pointer: *mut T = reference;
    // SAFETY: the register is unchanged, so it still points to what was lent.
    unsafe {
        asm!("{0} = {0}", inout(reg) pointer, options(nostack));
        &mut *pointer
    }
}

/// The same reference, of whose target the compiler no longer knows the initial value: the
/// loader replaces it before the program is loaded.
#[inline(always)]
pub fn set_at_load<T>(global: &'static T) -> &'static T {
    let mut pointer: *const T = global;
    // SAFETY: the register is unchanged, so it still points to the same live static.
    unsafe {
        asm!("{0} = {0}", inout(reg) pointer, options(pure, nomem, nostack));
        &*pointer
    }
}

/// A number of two bytes, as which the compiler knows it and old verifiers do not: the compiler
/// would remove a mask that it sees.
#[inline(always)]
pub fn two_bytes(number: usize) -> usize {
    let mut number = number;
    // SAFETY: register arithmetic alone.
    unsafe { asm!("{0} &= 0xffff", inout(reg) number, options(pure, nomem, nostack)) };
    number
}

/// Copies sixty-four bytes, and gives a bit for each that is a line feed: see
/// [`Payload::copy_chunk`](sip_filter_common::payload::Payload::copy_chunk) and
/// [`swar::feeds`].
///
/// The compiler makes twice as many instructions of it: it keeps all words at once, for which there
/// are not enough registers.
///
/// # Safety
///
/// From both addresses on there are as many bytes.
#[inline(always)]
pub unsafe fn copy_chunk(from: usize, to: usize) -> u64 {
    let mut feeds = 0_u64;
    // SAFETY: as the caller promises.
    unsafe {
        asm!(
            "{word} = *(u64 *)({from} + 0)",
            "*(u64 *)({to} + 0) = {word}",
            "{word} += {before}",
            "{word} &= {top}",
            "{word} >>= 7",
            "{feeds} |= {word}",
            "{word} = *(u64 *)({from} + 8)",
            "*(u64 *)({to} + 8) = {word}",
            "{word} += {before}",
            "{word} &= {top}",
            "{word} >>= 6",
            "{feeds} |= {word}",
            "{word} = *(u64 *)({from} + 16)",
            "*(u64 *)({to} + 16) = {word}",
            "{word} += {before}",
            "{word} &= {top}",
            "{word} >>= 5",
            "{feeds} |= {word}",
            "{word} = *(u64 *)({from} + 24)",
            "*(u64 *)({to} + 24) = {word}",
            "{word} += {before}",
            "{word} &= {top}",
            "{word} >>= 4",
            "{feeds} |= {word}",
            "{word} = *(u64 *)({from} + 32)",
            "*(u64 *)({to} + 32) = {word}",
            "{word} += {before}",
            "{word} &= {top}",
            "{word} >>= 3",
            "{feeds} |= {word}",
            "{word} = *(u64 *)({from} + 40)",
            "*(u64 *)({to} + 40) = {word}",
            "{word} += {before}",
            "{word} &= {top}",
            "{word} >>= 2",
            "{feeds} |= {word}",
            "{word} = *(u64 *)({from} + 48)",
            "*(u64 *)({to} + 48) = {word}",
            "{word} += {before}",
            "{word} &= {top}",
            "{word} >>= 1",
            "{feeds} |= {word}",
            "{word} = *(u64 *)({from} + 56)",
            "*(u64 *)({to} + 56) = {word}",
            "{word} += {before}",
            "{word} &= {top}",
            "{feeds} |= {word}",
            from = in(reg) from,
            to = in(reg) to,
            word = out(reg) _,
            feeds = inout(reg) feeds,
            before = in(reg) swar::splat(b'\n' + 1).wrapping_neg(),
            top = in(reg) swar::TOP,
            options(nostack),
        );
    }
    feeds
}
