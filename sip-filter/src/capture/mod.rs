//! Captures: the packets of a pcap or pcapng file, one after the other, as they come out of
//! whatever can be read.
//!
//! The crate `pcap_file` finds the records and their byte order; which of them hold packets, of
//! which link type and time, is read here, leniently: what a capture says beside its packets is no
//! reason to stop. [`Ethernet`] turns packets of other link types into what the program reads.

mod ethernet;
mod window;

use std::{
    fmt,
    io::{self, Read},
    ops::Range,
};

use anyhow::{Result, anyhow, bail};
use pcap_file::{
    Endianness, PcapError,
    pcap::PcapParser,
    pcapng::{
        RawBlock,
        blocks::{
            ENHANCED_PACKET_BLOCK, INTERFACE_DESCRIPTION_BLOCK, PACKET_BLOCK, SECTION_HEADER_BLOCK,
            SIMPLE_PACKET_BLOCK,
        },
    },
};

pub use ethernet::Ethernet;
use window::Window;

/// The longest record that is taken for one, in bytes; as in libpcap.
const MAX_RECORD: usize = 16 << 20;
/// How many bytes tell one format from the other, and hold either one's first header.
const FIRST_HEADER: usize = 24;

const NS_PER_SECOND: u64 = 1_000_000_000;

/// A packet as it was captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// When: nanoseconds since 1970.
    pub time: u64,
    /// What its bytes begin with.
    pub link: LinkType,
    /// What was captured of it.
    pub bytes: &'a [u8],
    /// There was more of it than was captured.
    pub is_cut: bool,
}

/// What a packet's bytes begin with: a number of the list at tcpdump.org/linktypes.html.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LinkType(pub u32);

impl fmt::Display for LinkType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match pcap_file::DataLink::from(self.0) {
            pcap_file::DataLink::Unknown(number) => write!(f, "{number}"),
            named => write!(f, "{} ({named:?})", self.0),
        }
    }
}

/// Where a capture cannot be read any further, and why.
#[derive(Debug)]
pub struct Damage {
    /// The number of the packet that would have been next, from 1 on.
    pub packet: u64,
    /// Where its record begins, in bytes from the capture's start.
    pub offset: u64,
    fault: Fault,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            packet,
            offset,
            fault,
        } = self;
        write!(f, "packet {packet}, at byte {offset}, ")?;
        match fault {
            Fault::Incomplete => f.write_str("is cut off by the end of the file"),
            Fault::TooLong => write!(f, "claims to be longer than {MAX_RECORD} bytes"),
            Fault::Contradiction(what) => write!(f, "contradicts itself ({what})"),
            Fault::NoInterface(number) => {
                write!(f, "is of interface {number}, which is not described")
            }
            Fault::Read(error) => write!(f, "cannot be read: {error}"),
        }
    }
}

impl std::error::Error for Damage {}

/// Why a record cannot be read.
#[derive(Debug)]
enum Fault {
    /// It is longer than what there is of it.
    Incomplete,
    TooLong,
    Contradiction(&'static str),
    NoInterface(u32),
    Read(io::Error),
}

impl From<PcapError> for Fault {
    fn from(error: PcapError) -> Self {
        match error {
            PcapError::IncompleteBuffer => Self::Incomplete,
            PcapError::InvalidField(what) => Self::Contradiction(what),
            PcapError::IoError(error) => Self::Read(error),
            _ => Self::Contradiction("a text that is no text"),
        }
    }
}

/// A capture that is being read.
pub struct Capture<R> {
    window: Window<R>,
    format: Format,
    /// How many packets were read.
    packets: u64,
}

enum Format {
    Pcap(PcapParser),
    PcapNg(Section),
}

/// A section of a pcapng file, as far as it was read.
struct Section {
    order: Endianness,
    interfaces: Vec<Interface>,
    /// The time of the last packet that had one.
    time: u64,
}

/// An interface of a section.
struct Interface {
    link: LinkType,
    /// How much is captured of a packet at most; 0 is no limit.
    snaplen: u32,
    /// How many units of time make a second.
    units: u64,
    /// What is added to times, in seconds.
    offset: i64,
}

/// What stands at one place of a capture.
struct Record {
    /// In bytes.
    length: usize,
    packet: Option<Place>,
}

/// Where in a record its packet is.
struct Place {
    time: u64,
    link: LinkType,
    bytes: Range<usize>,
    is_cut: bool,
}

impl<R: Read> Capture<R> {
    /// Begins to read a capture.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or does not begin as a capture does.
    pub fn new(input: R) -> Result<Self> {
        let mut window = Window::new(input);
        while window.bytes().len() < FIRST_HEADER && window.fill()? {}
        let start = window.bytes();
        if start.is_empty() {
            bail!("it is empty");
        }
        if start.starts_with(&SECTION_HEADER_BLOCK.to_be_bytes()) {
            // The section's own header is read as every other block.
            let section = Section {
                order: Endianness::Big,
                interfaces: Vec::new(),
                time: 0,
            };
            return Ok(Self {
                window,
                format: Format::PcapNg(section),
                packets: 0,
            });
        }
        match PcapParser::new(start) {
            Ok((rest, parser)) => {
                let length = start.len() - rest.len();
                window.advance(length);
                Ok(Self {
                    window,
                    format: Format::Pcap(parser),
                    packets: 0,
                })
            }
            Err(_) if start.starts_with(&[0x1f, 0x8b]) => Err(anyhow!(
                "it is compressed; decompress it first, as in zcat FILE | sip-filter replay /dev/stdin"
            )),
            Err(_) => Err(anyhow!("it is neither pcap nor pcapng")),
        }
    }

    /// The next packet; `None` after the last one.
    ///
    /// # Errors
    ///
    /// When the capture cannot be read any further.
    pub fn next_packet(&mut self) -> Result<Option<Packet<'_>>, Damage> {
        loop {
            let Some(Record { length, packet }) = self.record()? else {
                return Ok(None);
            };
            if let Some(place) = packet {
                self.packets += 1;
                return Ok(Some(Packet {
                    time: place.time,
                    link: place.link,
                    bytes: &self.window.advance(length)[place.bytes],
                    is_cut: place.is_cut,
                }));
            }
            self.window.advance(length);
        }
    }

    /// The record that stands next.
    fn record(&mut self) -> Result<Option<Record>, Damage> {
        let fault = loop {
            let bytes = self.window.bytes();
            let fault = match bytes.is_empty() {
                true => Fault::Incomplete,
                false => match self.format.record(bytes) {
                    Ok(record) => return Ok(Some(record)),
                    Err(fault) => fault,
                },
            };
            if !matches!(fault, Fault::Incomplete) {
                break fault;
            }
            if bytes.len() > MAX_RECORD {
                break Fault::TooLong;
            }
            match self.window.fill() {
                Ok(true) => {}
                Ok(false) if self.window.bytes().is_empty() => return Ok(None),
                Ok(false) => break fault,
                Err(error) => break Fault::Read(error),
            }
        };
        Err(Damage {
            packet: self.packets + 1,
            offset: self.window.offset(),
            fault,
        })
    }
}

impl Format {
    /// The record that the bytes begin with.
    fn record(&mut self, bytes: &[u8]) -> Result<Record, Fault> {
        match self {
            Self::Pcap(parser) => pcap_record(parser, bytes),
            Self::PcapNg(section) => section.record(bytes),
        }
    }
}

fn pcap_record(parser: &PcapParser, bytes: &[u8]) -> Result<Record, Fault> {
    // Raw, because the crate refuses packets that were longer on the wire than the limit of the
    // capture, and those are just the ones that it cuts.
    let (rest, packet) = parser.next_raw_packet(bytes)?;
    let header = parser.header();
    let ns = match header.ts_resolution {
        pcap_file::TsResolution::MicroSecond => u64::from(packet.ts_frac) * 1000,
        pcap_file::TsResolution::NanoSecond => u64::from(packet.ts_frac),
    };
    let length = bytes.len() - rest.len();
    // The upper bits of the field say whether frame check sequences follow, and what else.
    const LINK_TYPE: u32 = 0x03ff_ffff;
    Ok(Record {
        length,
        packet: Some(Place {
            time: u64::from(packet.ts_sec) * NS_PER_SECOND + ns,
            link: LinkType(u32::from(header.datalink) & LINK_TYPE),
            bytes: length - packet.data.len()..length,
            is_cut: packet.orig_len > packet.incl_len,
        }),
    })
}

impl Section {
    fn record(&mut self, bytes: &[u8]) -> Result<Record, Fault> {
        use byteorder_slice::{BigEndian, LittleEndian};
        /// Type and length stand before a block's body.
        const BODY: usize = 8;
        let (rest, block) = match self.order {
            Endianness::Big => RawBlock::from_slice::<BigEndian>(bytes)?,
            Endianness::Little => RawBlock::from_slice::<LittleEndian>(bytes)?,
        };
        let body = Fields {
            bytes: &block.body,
            order: self.order,
        };
        let packet = match block.type_ {
            SECTION_HEADER_BLOCK => {
                self.order = body.order_mark().ok_or(Fault::Contradiction(SHORT))?;
                self.interfaces.clear();
                None
            }
            INTERFACE_DESCRIPTION_BLOCK => {
                let interface = Interface::read(&body).ok_or(Fault::Contradiction(SHORT))?;
                self.interfaces.push(interface);
                None
            }
            ENHANCED_PACKET_BLOCK | PACKET_BLOCK => {
                let is_old = block.type_ == PACKET_BLOCK;
                Some(self.packet(&body, is_old)?)
            }
            SIMPLE_PACKET_BLOCK => Some(self.simple_packet(&body)?),
            _ => None,
        };
        Ok(Record {
            length: bytes.len() - rest.len(),
            packet: packet.map(|place| Place {
                bytes: place.bytes.start + BODY..place.bytes.end + BODY,
                ..place
            }),
        })
    }

    /// An enhanced packet block, or its forerunner, whose number of the interface is shorter.
    fn packet(&mut self, body: &Fields<'_>, is_old: bool) -> Result<Place, Fault> {
        const HEADER: usize = 20;
        let field = |at| body.u32(at).ok_or(Fault::Contradiction(SHORT));
        let number = match is_old {
            true => u32::from(body.u16(0).ok_or(Fault::Contradiction(SHORT))?),
            false => field(0)?,
        };
        let interface = self.interface(number)?;
        let ticks = u64::from(field(4)?) << 32 | u64::from(field(8)?);
        let (captured, original) = (field(12)?, field(16)?);
        let end = HEADER + captured as usize;
        if end > body.bytes.len() {
            return Err(Fault::Contradiction(SHORT));
        }
        let place = Place {
            time: interface.time(ticks),
            link: interface.link,
            bytes: HEADER..end,
            is_cut: original > captured,
        };
        self.time = place.time;
        Ok(place)
    }

    /// A packet without a time of its own: it gets that of the packet before.
    fn simple_packet(&self, body: &Fields<'_>) -> Result<Place, Fault> {
        const HEADER: usize = 4;
        let interface = self.interface(0)?;
        let original = body.u32(0).ok_or(Fault::Contradiction(SHORT))? as usize;
        let snaplen = match interface.snaplen {
            0 => usize::MAX,
            limit => limit as usize,
        };
        // Up to three bytes of padding follow.
        let captured = original.min(snaplen).min(body.bytes.len() - HEADER);
        Ok(Place {
            time: self.time,
            link: interface.link,
            bytes: HEADER..HEADER + captured,
            is_cut: original > captured,
        })
    }

    fn interface(&self, number: u32) -> Result<&Interface, Fault> {
        let found = self.interfaces.get(number as usize);
        found.ok_or(Fault::NoInterface(number))
    }
}

const SHORT: &str = "a block ends before its fields do";

impl Interface {
    fn read(body: &Fields<'_>) -> Option<Self> {
        const OPTIONS: usize = 8;
        let mut interface = Self {
            link: LinkType(u32::from(body.u16(0)?)),
            snaplen: body.u32(4)?,
            units: 1_000_000,
            offset: 0,
        };
        for (code, value) in body.options(OPTIONS) {
            match (code, value.bytes) {
                // if_tsresol: the highest bit tells powers of two from those of ten.
                (9, &[resolution]) => {
                    let base = if resolution & 0x80 == 0 { 10_u64 } else { 2 };
                    let exponent = u32::from(resolution & 0x7f);
                    interface.units = base.checked_pow(exponent).unwrap_or(u64::MAX);
                }
                // if_tsoffset
                (14, [_, _, _, _, _, _, _, _]) => interface.offset = value.u64(0)? as i64,
                _ => {}
            }
        }
        Some(interface)
    }

    /// Nanoseconds since 1970, as near as they come.
    fn time(&self, ticks: u64) -> u64 {
        let ns = u128::from(ticks) * u128::from(NS_PER_SECOND) / u128::from(self.units);
        let offset = i128::from(self.offset) * i128::from(NS_PER_SECOND);
        let ns = i128::try_from(ns).unwrap_or(i128::MAX);
        u64::try_from(ns.saturating_add(offset).max(0)).unwrap_or(u64::MAX)
    }
}

/// Numbers in the byte order of their section.
#[derive(Clone, Copy)]
struct Fields<'a> {
    bytes: &'a [u8],
    order: Endianness,
}

impl<'a> Fields<'a> {
    fn at<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.bytes.get(offset..)?.first_chunk::<N>().copied()
    }

    fn u16(&self, offset: usize) -> Option<u16> {
        let bytes = self.at(offset)?;
        Some(match self.order {
            Endianness::Big => u16::from_be_bytes(bytes),
            Endianness::Little => u16::from_le_bytes(bytes),
        })
    }

    fn u32(&self, offset: usize) -> Option<u32> {
        let bytes = self.at(offset)?;
        Some(match self.order {
            Endianness::Big => u32::from_be_bytes(bytes),
            Endianness::Little => u32::from_le_bytes(bytes),
        })
    }

    fn u64(&self, offset: usize) -> Option<u64> {
        let bytes = self.at(offset)?;
        Some(match self.order {
            Endianness::Big => u64::from_be_bytes(bytes),
            Endianness::Little => u64::from_le_bytes(bytes),
        })
    }

    /// The byte order that a section's header names.
    fn order_mark(&self) -> Option<Endianness> {
        const MARK: u32 = 0x1a2b_3c4d;
        Some(match u32::from_be_bytes(self.at(0)?) {
            MARK => Endianness::Big,
            _ => Endianness::Little,
        })
    }

    /// Codes and values of the options from `offset` on, up to the first that is none.
    fn options(self, offset: usize) -> impl Iterator<Item = (u16, Fields<'a>)> {
        let mut at = offset;
        std::iter::from_fn(move || {
            let (code, length) = (self.u16(at)?, usize::from(self.u16(at + 2)?));
            let bytes = self.bytes.get(at + 4..at + 4 + length)?;
            at += 4 + length.next_multiple_of(4);
            (code != 0).then_some((code, Fields { bytes, ..self }))
        })
    }
}
