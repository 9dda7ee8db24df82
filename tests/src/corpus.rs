//! The corpus: what real programs have sent, one pcap file a run of one, with a manifest that
//! says what each packet is and which tool it is to be taken for.
//!
//! `cargo xtask corpus` records it into `tests/corpus`, where it is committed; this reads it,
//! for the tests that run over it. What is written by hand, the messages of the RFCs, is in
//! [`torture`](crate::torture).

use std::{
    fs::{self, File},
    net::{IpAddr, SocketAddr},
    ops::RangeInclusive,
    path::{Path, PathBuf},
    time::Duration,
};

use etherparse::{NetSlice, SlicedPacket, TransportSlice, UdpSlice};
use pcap_file::{
    DataLink, Endianness,
    pcap::{PcapHeader, PcapPacket, PcapReader, PcapWriter},
};
use serde::{Deserialize, Serialize};
use sip_filter_common::sip::MessageClass;

/// How many packets of a run are kept.
pub const KEPT: usize = 8;
/// The ports that packets of the corpus are to.
pub const PORTS: RangeInclusive<u16> = 5060..=5100;
/// The manifest's name.
pub const MANIFEST: &str = "manifest.toml";

/// A run of a program, and what it sent.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What the manifest says.
    pub run: Run,
    /// Its packets in the order in which they passed, each described by the element of
    /// [`Run::packets`] at the same place.
    pub frames: Vec<Frame>,
}

/// A run as the manifest has it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// The pcap file's name.
    pub file: String,
    /// The program that was run.
    pub program: String,
    /// Its version, as its package manager says it.
    pub version: String,
    /// The command line.
    pub command: String,
    /// What each packet is, as [`MessageClass::name`] says it.
    pub packets: Vec<String>,
    /// The tool that its requests are to be named after, as in the list of signatures; empty
    /// for an honest program.
    pub tool: String,
    /// What kind of tool that is, or empty.
    pub kind: String,
    /// What in the requests gives the tool away, in words.
    pub named_by: String,
    /// Whether that is a name or a constant of its own, and not only the shape of the request.
    pub sure: bool,
    /// What else is to be known.
    pub note: String,
}

impl Run {
    /// What each packet is.
    ///
    /// # Panics
    ///
    /// If the manifest calls one what nothing is called.
    pub fn classes(&self) -> Vec<MessageClass> {
        self.packets
            .iter()
            .map(|name| {
                MessageClass::ALL
                    .into_iter()
                    .find(|class| class.name() == name)
                    .unwrap_or_else(|| panic!("{}: no class '{name}'", self.file))
            })
            .collect()
    }
}

/// A frame that was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// When it passed, since 1970.
    pub at: Duration,
    /// Its bytes from the Ethernet header on, without the frame check sequence.
    pub bytes: Vec<u8>,
}

impl Frame {
    /// What its UDP datagram carries.
    ///
    /// # Panics
    ///
    /// If it holds no whole datagram.
    pub fn payload(&self) -> &[u8] {
        self.datagram().0.payload()
    }

    /// Where it is from and where it is to.
    ///
    /// # Panics
    ///
    /// If it holds no whole datagram.
    pub fn addresses(&self) -> [SocketAddr; 2] {
        let (udp, addresses) = self.datagram();
        let [source, destination] = addresses;
        [
            SocketAddr::new(source, udp.source_port()),
            SocketAddr::new(destination, udp.destination_port()),
        ]
    }

    fn datagram(&self) -> (UdpSlice<'_>, [IpAddr; 2]) {
        let packet = SlicedPacket::from_ethernet(&self.bytes)
            .unwrap_or_else(|error| panic!("a frame cannot be read: {error}"));
        let addresses: [IpAddr; 2] = match &packet.net {
            Some(NetSlice::Ipv4(ip)) => [
                ip.header().source_addr().into(),
                ip.header().destination_addr().into(),
            ],
            Some(NetSlice::Ipv6(ip)) => [
                ip.header().source_addr().into(),
                ip.header().destination_addr().into(),
            ],
            other => panic!("no IP packet: {other:?}"),
        };
        match packet.transport {
            Some(TransportSlice::Udp(udp)) => (udp, addresses),
            other => panic!("no UDP datagram: {other:?}"),
        }
    }
}

/// All runs with their packets, in the manifest's order.
///
/// # Panics
///
/// If the manifest or one of the files that it names cannot be read.
pub fn entries() -> Vec<Entry> {
    let folder = folder();
    let entry = |run: Run| Entry {
        frames: read_frames(&folder.join(&run.file)),
        run,
    };
    runs().into_iter().map(entry).collect()
}

/// Where the corpus is.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

/// The manifest, a table for each run.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    #[serde(default)]
    run: Vec<Run>,
}

/// The manifest's runs; none if there is no manifest yet.
///
/// # Panics
///
/// If it cannot be read.
pub fn runs() -> Vec<Run> {
    let path = folder().join(MANIFEST);
    if !path.exists() {
        return Vec::new();
    }
    let text =
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("cannot read {path:?}: {error}"));
    let Manifest { run } =
        toml::from_str(&text).unwrap_or_else(|error| panic!("cannot read {path:?}: {error}"));
    run
}

/// Writes the manifest.
///
/// # Panics
///
/// If it cannot be written.
pub fn write_runs(runs: Vec<Run>) {
    let path = folder().join(MANIFEST);
    let text = toml::to_string(&Manifest { run: runs })
        .unwrap_or_else(|error| panic!("no manifest: {error}"));
    let text = format!(
        "# Written by `cargo xtask corpus`; tests/src/corpus.rs says what it means.\n\n{text}"
    );
    if let Err(error) = fs::write(&path, text) {
        panic!("cannot write {path:?}: {error}");
    }
}

/// The frames of a pcap file.
///
/// # Panics
///
/// If it cannot be read, or holds anything but whole Ethernet frames.
pub fn read_frames(path: &Path) -> Vec<Frame> {
    let cause = |error: &dyn std::error::Error| -> ! { panic!("cannot read {path:?}: {error}") };
    let file = File::open(path).unwrap_or_else(|error| cause(&error));
    let mut reader = PcapReader::new(file).unwrap_or_else(|error| cause(&error));
    assert_eq!(reader.header().datalink, DataLink::ETHERNET, "{path:?}");
    let mut frames = Vec::new();
    while let Some(packet) = reader.next_packet() {
        let PcapPacket {
            timestamp,
            orig_len,
            data,
        } = packet.unwrap_or_else(|error| cause(&error));
        assert_eq!(orig_len as usize, data.len(), "{path:?}: a frame was cut");
        frames.push(Frame {
            at: timestamp,
            bytes: data.into_owned(),
        });
    }
    frames
}

/// Writes frames to a pcap file.
///
/// # Panics
///
/// If it cannot be written.
pub fn write_frames(path: &Path, frames: &[Frame]) {
    let cause = |error: &dyn std::error::Error| -> ! { panic!("cannot write {path:?}: {error}") };
    let file = File::create(path).unwrap_or_else(|error| cause(&error));
    let header = PcapHeader {
        datalink: DataLink::ETHERNET,
        // Little endian wherever it is recorded, so that a file changes only with what is in it.
        endianness: Endianness::Little,
        ..PcapHeader::default()
    };
    let mut writer = PcapWriter::with_header(file, header).unwrap_or_else(|error| cause(&error));
    for Frame { at, bytes } in frames {
        let packet = PcapPacket::new(*at, bytes.len() as u32, bytes);
        if let Err(error) = writer.write_packet(&packet) {
            cause(&error);
        }
    }
}
