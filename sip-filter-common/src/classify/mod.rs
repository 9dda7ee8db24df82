//! The classifier: what a datagram is, and which tool sent it.
//!
//! It takes a payload and the signature table and gives a [`Classification`]. It is compiled
//! twice, for the kernel and for the host, and does the same in both. It knows nothing of
//! addresses, ports, policy or counters.

mod start_line;
mod user_agent;

use start_line::StartLine;

use crate::{
    payload::{MAX_OFFSET, Payload},
    signature::SignatureTable,
    sip::MessageClass,
    tool::Found,
};

/// What the classifier says of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Classification {
    /// What it is.
    pub class: MessageClass,
    /// The tool that sent it, where a signature named one. Only requests are judged: a
    /// response may echo what a scanner sent.
    pub tool: Option<Found>,
}

/// Whether a datagram to whatever port is SIP beyond doubt, from its first bytes: a known
/// method and a `sip:`, `sips:` or `tel:` URI, or a status line.
#[inline(always)]
pub fn starts_like_sip(payload: &impl Payload) -> bool {
    start_line::from_first_bytes(payload).is_some()
}

/// Classifies a datagram that arrived on a SIP port.
#[inline(always)]
pub fn classify(payload: &impl Payload, signatures: &SignatureTable) -> Classification {
    let StartLine { class, start } = start_line::classify(payload);
    // Here and below: see `Payload::apart`. Whatever was learnt on the way to the class is
    // forgotten, so that what follows is walked once.
    let payload = &payload.apart();
    let tool = if class.is_request() {
        tool(payload, payload.forget(start) & MAX_OFFSET, signatures)
    } else {
        None
    };
    Classification { class, tool }
}

/// The tool that sent the request whose start line begins at `start`.
#[inline(always)]
fn tool(payload: &impl Payload, start: usize, signatures: &SignatureTable) -> Option<Found> {
    let value = user_agent::find(payload)?;
    let found = signatures.find(&payload.apart(), value)?;
    // Last, because it is the dearest question and few packets come this far.
    user_agent::stands_in_header(payload, start, value).then_some(found)
}
