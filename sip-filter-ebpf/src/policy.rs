//! What the operator asked for: the globals that the loader sets before it loads the program.
//!
//! The verifier knows their values, so what they turn off is not there at run time.

use core::mem::MaybeUninit;

use aya_ebpf::Global;
use sip_filter_common::{
    abi::PortSet,
    classify::{self, Classification},
    rules::Rules,
    signature::SignatureTable,
    verdict::{self, DropSet, Met, Outcome},
};

use crate::{opaque, payload::Datagram};

// Named in `sip_filter_common::abi::global`.
#[unsafe(no_mangle)]
static DROP_SET: Global<u32> = Global::new(0);
#[unsafe(no_mangle)]
static ANY_PORT: Global<u32> = Global::new(0);
#[unsafe(no_mangle)]
static PORT_SET: MaybeUninit<PortSet> = MaybeUninit::new(PortSet::EMPTY);
#[unsafe(no_mangle)]
static USES: Global<u32> = Global::new(0);
#[unsafe(no_mangle)]
static RULES: MaybeUninit<Rules> = MaybeUninit::new(Rules::NONE);
#[unsafe(no_mangle)]
static SIGNATURES: MaybeUninit<SignatureTable> = MaybeUninit::new(SignatureTable::EMPTY);

/// Whether datagrams to this port (host byte order) may be inspected.
#[inline(always)]
pub fn may_inspect(port: u16) -> bool {
    ANY_PORT.load() != 0 || is_listed(port)
}

/// Whether the datagram is to be inspected.
#[inline(always)]
pub fn inspects(datagram: &Datagram) -> bool {
    ANY_PORT.load() == 0 || is_listed(datagram.port) || classify::starts_like_sip(&datagram.payload)
}

#[inline(always)]
fn is_listed(port: u16) -> bool {
    // SAFETY: initialised above, and replaced by the loader with a value of the same type.
    unsafe { opaque::set_at_load(&PORT_SET).assume_init_ref() }.contains(port)
}

/// The signatures.
#[inline(always)]
pub fn signatures() -> &'static SignatureTable {
    // SAFETY: initialised above, and replaced by the loader with a value of the same type.
    unsafe { opaque::set_at_load(&SIGNATURES).assume_init_ref() }
}

/// Limits, behaviours, escalation.
#[inline(always)]
pub fn rules() -> &'static Rules {
    // SAFETY: initialised above, and replaced by the loader with a value of the same type.
    unsafe { opaque::set_at_load(&RULES).assume_init_ref() }
}

/// What of the rules is asked: bits of [`Rules`].
#[inline(always)]
pub fn uses() -> u32 {
    USES.load()
}

/// Whether sources are blocked for what they send.
#[inline(always)]
pub fn escalates() -> bool {
    uses() & Rules::ESCALATION != 0
}

/// Whether the tool that was recognised is reason enough to drop.
#[inline(always)]
pub fn drops_for_its_tool(found: &Classification) -> bool {
    let drop = DropSet(DROP_SET.load());
    drop.contains(DropSet::SCANNERS) && found.hit.is_hostile()
}

/// What is to happen to a datagram of which this was found, and whose source has met this.
#[inline(always)]
pub fn decide(found: &Classification, met: Met) -> Outcome {
    verdict::decide(DropSet(DROP_SET.load()), found.class, found.tool(), met)
}
