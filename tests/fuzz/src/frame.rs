//! What must hold of any frame.

use sip_filter_common::{
    frame::SliceFrame,
    packet::{Datagram, Packet, parse, plain_port},
    payload::SlicePayload,
};

/// More bytes than any header has, and none of them zero.
const BEHIND: [u8; 64] = [0xa5; 64];

/// Holds a frame against what must hold; what its datagram carries, if it has one.
pub fn holds(bytes: &[u8]) -> Option<&[u8]> {
    let frame = SliceFrame(bytes);
    let plain = plain_port(&frame);
    let packet = parse(&frame);
    // The short way says the same as the long one, or nothing.
    if let Some(plain) = plain {
        let Packet::Udp(udp) = &packet else {
            panic!("to port {plain} by its first bytes, and no UDP");
        };
        assert_eq!(plain, udp.port);
    }
    let datagram = datagram(packet, &frame)?;
    assert!(datagram.length <= bytes.len(), "longer than its frame");
    let SlicePayload(carried) = datagram.payload;
    let carried_to = carried.as_ptr_range().end;
    assert!(
        bytes.as_ptr() <= carried.as_ptr() && carried_to <= bytes.as_ptr_range().end,
        "a payload outside of its frame"
    );
    assert!(
        carried_to.addr() - bytes.as_ptr().addr() <= datagram.length,
        "a payload beyond its packet"
    );

    // What is behind the packet, as Ethernet pads short ones, is nobody's.
    let longer = SliceFrame(&[bytes, &BEHIND].concat());
    let again = datagram_of(&longer);
    let read = |datagram: &Datagram<SlicePayload<'_>>| {
        let Datagram {
            source,
            destination,
            port,
            length,
            payload,
        } = datagram;
        let addresses = [source.octets(), destination.octets()];
        (addresses, *port, *length, payload.0.to_vec())
    };
    assert_eq!(again.as_ref().map(read), Some(read(&datagram)));
    Some(carried)
}

fn datagram_of<'a>(frame: &SliceFrame<'a>) -> Option<Datagram<SlicePayload<'a>>> {
    datagram(parse(frame), frame)
}

fn datagram<'a>(packet: Packet, frame: &SliceFrame<'a>) -> Option<Datagram<SlicePayload<'a>>> {
    match packet {
        Packet::Udp(udp) => udp.datagram(frame),
        Packet::LaterFragment | Packet::Unreadable | Packet::Other => None,
    }
}
