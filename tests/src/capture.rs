//! Captures in words: files of packets as tcpdump and Wireshark write them, and as they should
//! not. Written from the formats' descriptions, without the crate that reads them.

/// Link type of packets that begin with an Ethernet header (tcpdump.org/linktypes.html).
pub const ETHERNET: u32 = 1;
/// Of packets that begin with IP.
pub const RAW: u32 = 101;
/// Of packets that begin with a Linux cooked header.
pub const LINUX_SLL: u32 = 113;
/// Of packets that begin with IPv4.
pub const IPV4: u32 = 228;
/// Of packets that begin with IPv6.
pub const IPV6: u32 = 229;
/// Of packets that begin with a Linux cooked header of version 2.
pub const LINUX_SLL2: u32 = 276;
/// Of packets from a BSD's loopback interface.
pub const NULL: u32 = 0;
/// Of IEEE 802.11 frames, which nobody here reads.
pub const IEEE802_11: u32 = 105;

const ETHERNET_HEADER: usize = 14;

/// An Ethernet frame as it is captured with this link type.
///
/// # Panics
///
/// If there is no way known here.
pub fn with_link(link: u32, frame: &[u8]) -> Vec<u8> {
    let (header, rest) = frame.split_at(ETHERNET_HEADER);
    let ether_type = [header[12], header[13]];
    match link {
        ETHERNET => frame.to_vec(),
        RAW | IPV4 | IPV6 => rest.to_vec(),
        // AF_INET of a little-endian machine.
        NULL => [&[2, 0, 0, 0], rest].concat(),
        // To us; ARPHRD_ETHER; an address of six bytes.
        LINUX_SLL => {
            let address = [&header[6..12], &[0; 2]].concat();
            [&[0, 0, 0, 1, 0, 6], &address[..], &ether_type, rest].concat()
        }
        // Reserved; interface 2; ARPHRD_ETHER; to us; an address of six bytes.
        LINUX_SLL2 => {
            let address = [&header[6..12], &[0; 2]].concat();
            let between = [0, 0, 0, 0, 0, 2, 0, 1, 0, 6];
            [&ether_type, &between[..], &address, rest].concat()
        }
        other => panic!("there is no packet of link type {other}"),
    }
}

/// The order of a number's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The highest first.
    Big,
    /// The lowest first.
    Little,
}

impl Order {
    fn u16(self, number: u16) -> [u8; 2] {
        match self {
            Self::Big => number.to_be_bytes(),
            Self::Little => number.to_le_bytes(),
        }
    }

    fn u32(self, number: u32) -> [u8; 4] {
        match self {
            Self::Big => number.to_be_bytes(),
            Self::Little => number.to_le_bytes(),
        }
    }

    fn u64(self, number: u64) -> [u8; 8] {
        match self {
            Self::Big => number.to_be_bytes(),
            Self::Little => number.to_le_bytes(),
        }
    }
}

/// How finely a pcap file tells times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// In microseconds.
    Micro,
    /// In nanoseconds.
    Nano,
}

/// A pcap file.
#[derive(Clone, Debug)]
pub struct Pcap {
    order: Order,
    resolution: Resolution,
    bytes: Vec<u8>,
}

impl Pcap {
    /// One without packets, as tcpdump writes it on most machines.
    pub fn new(link: u32) -> Self {
        Self::with(link, Order::Little, Resolution::Micro)
    }

    /// One without packets.
    pub fn with(link: u32, order: Order, resolution: Resolution) -> Self {
        let magic = match resolution {
            Resolution::Micro => 0xa1b2_c3d4,
            Resolution::Nano => 0xa1b2_3c4d,
        };
        let mut bytes = order.u32(magic).to_vec();
        // Version 2.4; no correction of times; packets of 262,144 bytes at most.
        bytes.extend([order.u16(2), order.u16(4)].concat());
        bytes.extend([0; 8]);
        bytes.extend(order.u32(262_144));
        bytes.extend(order.u32(link));
        Self {
            order,
            resolution,
            bytes,
        }
    }

    /// One more packet, `time` in nanoseconds since 1970.
    pub fn packet(self, time: u64, packet: &[u8]) -> Self {
        let length = packet.len();
        self.part(time, packet, length)
    }

    /// One more packet of so many bytes, of which a part was captured.
    pub fn part(mut self, time: u64, part: &[u8], length: usize) -> Self {
        self.add(time, part, length);
        self
    }

    /// One more packet of so many bytes, of which a part was captured.
    pub fn add(&mut self, time: u64, part: &[u8], length: usize) {
        const NS: u64 = 1_000_000_000;
        let fraction = match self.resolution {
            Resolution::Micro => time % NS / 1000,
            Resolution::Nano => time % NS,
        };
        let numbers = [
            (time / NS) as u32,
            fraction as u32,
            part.len() as u32,
            length as u32,
        ];
        for number in numbers {
            self.bytes.extend(self.order.u32(number));
        }
        self.bytes.extend_from_slice(part);
    }

    /// The file.
    pub fn bytes(&self) -> Vec<u8> {
        self.bytes.clone()
    }
}

/// A pcapng file.
#[derive(Clone, Debug)]
pub struct PcapNg {
    order: Order,
    bytes: Vec<u8>,
}

impl PcapNg {
    /// One with a section and no interface.
    pub fn new(order: Order) -> Self {
        let bytes = Vec::new();
        Self { order, bytes }.section(order)
    }

    /// One more section; numbers of interfaces begin anew.
    pub fn section(mut self, order: Order) -> Self {
        self.order = order;
        // Version 1.0, of unknown length.
        let mark = order.u32(0x1a2b_3c4d);
        let version = [order.u16(1), order.u16(0)].concat();
        let body = [&mark, &version[..], &[0xff; 8]].concat();
        self.block(0x0a0d_0d0a, &body)
    }

    /// One more interface, which tells times in microseconds.
    pub fn interface(self, link: u32) -> Self {
        self.interface_with(link, 0, &[])
    }

    /// One more interface, with a limit of bytes captured (0 is none), and with options: codes
    /// and values. Without the option that ends them: readers do without.
    pub fn interface_with(self, link: u32, snaplen: u32, options: &[(u16, &[u8])]) -> Self {
        let order = self.order;
        let mut body = [order.u16(link as u16), [0; 2]].concat();
        body.extend(order.u32(snaplen));
        for (code, value) in options {
            body.extend(order.u16(*code));
            body.extend(order.u16(value.len() as u16));
            body.extend_from_slice(value);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        self.block(1, &body)
    }

    /// One more packet, at a time in its interface's units.
    pub fn packet(self, interface: u32, time: u64, packet: &[u8]) -> Self {
        let number = self.order.u32(interface);
        let body = self.packet_body(&number, time, packet);
        self.block(6, &body)
    }

    /// The same in the block that came before it, which counts lost packets too.
    pub fn old_packet(self, interface: u16, time: u64, packet: &[u8]) -> Self {
        let number = [self.order.u16(interface), self.order.u16(3)].concat();
        let body = self.packet_body(&number, time, packet);
        self.block(2, &body)
    }

    fn packet_body(&self, interface: &[u8], time: u64, packet: &[u8]) -> Vec<u8> {
        let order = self.order;
        let [high, low] = [(time >> 32) as u32, time as u32].map(|half| order.u32(half));
        let length = order.u32(packet.len() as u32);
        let mut body = [interface, &high, &low, &length, &length, packet].concat();
        body.resize(body.len().next_multiple_of(4), 0);
        // A comment, which is no UTF-8, and no end of options.
        body.extend([order.u16(1), order.u16(4)].concat());
        body.extend([0xff; 4]);
        body
    }

    /// One more packet of the first interface, without a time.
    pub fn simple_packet(self, packet: &[u8]) -> Self {
        let mut body = self.order.u32(packet.len() as u32).to_vec();
        body.extend_from_slice(packet);
        body.resize(body.len().next_multiple_of(4), 0);
        self.block(3, &body)
    }

    /// One more block of whatever kind, with a body of whole words.
    pub fn block(mut self, kind: u32, body: &[u8]) -> Self {
        let length = self.order.u32(body.len() as u32 + 12);
        self.bytes.extend(self.order.u32(kind));
        self.bytes.extend(length);
        self.bytes.extend_from_slice(body);
        self.bytes.extend(length);
        self
    }

    /// Eight bytes in the section's order: what an offset of times is.
    pub fn offset(&self, seconds: u64) -> [u8; 8] {
        self.order.u64(seconds)
    }

    /// The file.
    pub fn bytes(&self) -> Vec<u8> {
        self.bytes.clone()
    }
}
