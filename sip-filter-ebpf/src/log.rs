//! One log line a verdict, where the operator asked for it.
//!
//! aya-log's level is a global: below it the verifier removes the whole call.

use aya_ebpf::EbpfContext;
use aya_log_ebpf::info;
use core::net::Ipv6Addr;

use sip_filter_common::sender::Sent;

use crate::count::Tally;

/// Logs what became of a datagram and why: in numbers, which the loader turns into words.
#[inline(always)]
pub fn verdict(ctx: &impl EbpfContext, sent: &Sent, tally: &Tally) {
    info!(
        ctx,
        "{:i} {} {} {} {}",
        Ipv6Addr::from(sent.source.octets()),
        sent.port as u16,
        tally.class(),
        tally.outcome(),
        tally.tool()
    );
}
