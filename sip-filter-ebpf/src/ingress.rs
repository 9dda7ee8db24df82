//! Where a frame arrives: at the driver, which hands it to XDP, or in the network stack, which hands
//! it to tcx as a socket buffer.
//!
//! This knows the contexts of both, and gives a frame that is read alike.

use aya_ebpf::{
    EbpfContext, Global,
    bindings::{__sk_buff, xdp_md},
    helpers::bpf_xdp_get_buff_len,
    programs::{TcContext, XdpContext},
};
use sip_filter_common::{
    frame::Frame,
    packet::{self, Packet, VLAN_TAG},
};

use crate::{
    frame::{MAX_FRAME, PacketFrame},
    opaque, policy, report,
};

// Named in `sip_filter_common::abi::global`.
#[unsafe(no_mangle)]
static SEVERAL_PIECES: Global<u32> = Global::new(0);

/// The context of a program that sees what arrives.
pub trait Ingress: EbpfContext {
    /// The frame, as far as it can be read; `None` where it has no whole Ethernet header.
    fn frame(&self) -> Option<PacketFrame>;

    /// How many bytes the frame has, with those that cannot be read.
    fn length(&self) -> usize;

    /// The same, of which the compiler does not know that it is the same.
    fn anew(self) -> Self;

    /// Reports what was noted of the frame.
    fn report(&self);
}

impl Ingress for XdpContext {
    #[inline(always)]
    fn frame(&self) -> Option<PacketFrame> {
        PacketFrame::new(self.data(), self.data_end(), 0)
    }

    /// What does not fit into a page is in pieces behind it, on kernels that hand over such frames.
    #[inline(always)]
    fn length(&self) -> usize {
        match SEVERAL_PIECES.load() {
            0 => 0,
            // SAFETY: the context of the running program.
            _ => unsafe { bpf_xdp_get_buff_len(self.ctx) as usize & MAX_FRAME },
        }
    }

    #[inline(always)]
    fn anew(self) -> Self {
        Self::new(opaque::constant(self.ctx as usize) as *mut xdp_md)
    }

    #[inline(always)]
    fn report(&self) {
        report::sip_filter_report(self.ctx);
    }
}

impl Ingress for TcContext {
    /// A tag that the hardware or the stack has taken out of the frame stands beside it.
    #[inline(always)]
    fn frame(&self) -> Option<PacketFrame> {
        // SAFETY: the context of the running program, in which the kernel answers reads.
        let has_tag = unsafe { (*self.skb.skb).vlan_present } & 1;
        PacketFrame::new(self.data(), self.data_end(), has_tag as usize * VLAN_TAG)
    }

    #[inline(always)]
    fn length(&self) -> usize {
        self.len() as usize & MAX_FRAME
    }

    #[inline(always)]
    fn anew(self) -> Self {
        Self::new(opaque::constant(self.skb.skb as usize) as *mut __sk_buff)
    }

    #[inline(always)]
    fn report(&self) {
        report::sip_filter_report_tcx(self.skb.skb);
    }
}

/// Has the kernel bring a packet into one piece, where it is to be read and is in several.
///
/// Where there is no memory for that, its first piece is what can be read. What several datagrams of
/// one sender were joined to (UDP GRO, where a socket or `rx-udp-gro-forwarding` asks for it;
/// UDP_SEGMENT of a container of this host) is one packet here: it is judged by its beginning, counted
/// once and goes one way.
#[inline(always)]
pub fn gather(ctx: &TcContext) {
    let is_in_pieces = match ctx.frame() {
        Some(frame) => !frame.holds(ctx.length()),
        None => false,
    };
    if is_in_pieces {
        gather_pieces(ctx.skb.skb);
    }
}

/// A function of its own, since it is seldom needed.
#[inline(never)]
fn gather_pieces(skb: *mut __sk_buff) {
    let ctx = TcContext::new(skb).anew();
    let Some(frame) = ctx.frame() else {
        return;
    };
    // TCP that GRO has joined is large, and nobody's business here.
    let is_needed = match packet::parse(&frame) {
        Packet::Udp(udp) => policy::may_inspect(udp.port),
        Packet::Unreadable => true,
        Packet::LaterFragment | Packet::Other => false,
    };
    if is_needed {
        let _ = ctx.pull_data(ctx.len());
    }
}
