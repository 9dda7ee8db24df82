//! One log line a verdict, where the operator asked for it.
//!
//! aya-log's level is a global: below it the verifier removes the whole call.

use aya_ebpf::programs::XdpContext;
use aya_log_ebpf::info;
use core::net::Ipv6Addr;

use crate::{count::Tally, payload::Datagram};

/// Logs what became of a datagram and why: in numbers, which the loader turns into words.
#[inline(always)]
pub fn verdict(ctx: &XdpContext, datagram: &Datagram, tally: &Tally) {
    info!(
        ctx,
        "{:i} {} {} {} {}",
        Ipv6Addr::from(datagram.source.octets()),
        datagram.port,
        tally.class(),
        tally.outcome(),
        tally.tool()
    );
}
