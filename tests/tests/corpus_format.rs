//! The corpus is whole: each file has its row in the manifest and each row its file, and no
//! packet in it could have come from anywhere but a link of this project's own.

use std::{
    collections::BTreeSet,
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::Path,
};

use etherparse::{NetSlice, SlicedPacket, TransportSlice, UdpSlice};
use sip_filter_common::tool::Kind;
use sip_filter_tests::corpus::{self, Entry};

/// How many bytes a file may have.
const FILE_BYTES: u64 = 20 << 10;
/// How many bytes all of them may have.
const ALL_BYTES: u64 = 500 << 10;

/// The names of a folder's files.
fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}

#[test]
fn every_file_has_a_row_and_every_row_a_file() {
    let mut files = names(&corpus::folder());
    assert!(files.remove(corpus::MANIFEST), "no manifest");
    let runs = corpus::runs();
    let rows: BTreeSet<_> = runs.iter().map(|run| run.file.clone()).collect();
    assert_eq!(rows.len(), runs.len(), "a file has two rows");
    assert_eq!(rows, files);
}

#[test]
fn every_row_says_what_its_packets_are() {
    for Entry { run, frames } in corpus::entries() {
        let file = &run.file;
        assert_eq!(run.classes().len(), frames.len(), "{file}");
        assert!((1..=corpus::KEPT).contains(&frames.len()), "{file}");
        for (what, text) in [
            ("program", &run.program),
            ("version", &run.version),
            ("command", &run.command),
        ] {
            assert!(!text.is_empty(), "{file} names no {what}");
        }
        assert_eq!(run.tool.is_empty(), run.kind.is_empty(), "{file}");
        assert_eq!(run.tool.is_empty(), run.named_by.is_empty(), "{file}");
        let known = Kind::ALL.iter().any(|kind| kind.name() == run.kind);
        assert!(known || run.kind.is_empty(), "{file}: kind {}", run.kind);
        assert!(
            frames.is_sorted_by_key(|frame| frame.at),
            "{file}: not in the order in which they passed"
        );
    }
}

#[test]
fn every_frame_is_a_whole_datagram_to_an_inspected_port() {
    for Entry { run, frames } in corpus::entries() {
        for (number, frame) in frames.iter().enumerate() {
            let what = format!("{}, packet {}", run.file, number + 1);
            let packet = SlicedPacket::from_ethernet(&frame.bytes)
                .unwrap_or_else(|error| panic!("{what}: {error}"));
            let Some(TransportSlice::Udp(udp)) = &packet.transport else {
                panic!("{what} is no UDP datagram: {packet:?}")
            };
            let port = udp.destination_port();
            assert!(corpus::PORTS.contains(&port), "{what} is to port {port}");
            assert_eq!(
                Some(udp.checksum()),
                expected_checksum(&packet, udp),
                "{what}"
            );
        }
    }
}

/// The checksum that the datagram is to have: its own if it says that it has none.
fn expected_checksum(packet: &SlicedPacket<'_>, udp: &UdpSlice<'_>) -> Option<u16> {
    let header = udp.to_header();
    if header.checksum == 0 {
        return Some(0);
    }
    match packet.net.as_ref()? {
        NetSlice::Ipv4(ip) => header
            .calc_checksum_ipv4(&ip.header().to_header(), udp.payload())
            .ok(),
        NetSlice::Ipv6(ip) => header
            .calc_checksum_ipv6(&ip.header().to_header(), udp.payload())
            .ok(),
        NetSlice::Arp(_) => None,
    }
}

#[test]
fn every_address_is_for_documentation() {
    for Entry { run, frames } in corpus::entries() {
        for frame in frames {
            for address in frame.addresses() {
                let address = address.ip();
                assert!(is_for_documentation(address), "{}: {address}", run.file);
            }
        }
    }
}

/// RFC 5737 and RFC 3849, and what does not leave a link.
fn is_for_documentation(address: IpAddr) -> bool {
    let within = |address: Ipv4Addr, network: [u8; 3]| address.octets()[..3] == network;
    let prefix = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0).segments();
    match address {
        IpAddr::V4(address) => [[192, 0, 2], [198, 51, 100], [203, 0, 113]]
            .into_iter()
            .any(|network| within(address, network)),
        IpAddr::V6(address) => {
            address.segments()[..2] == prefix[..2] || address.is_unicast_link_local()
        }
    }
}

#[test]
fn it_is_small() {
    let mut all = 0;
    for name in names(&corpus::folder()) {
        let path = corpus::folder().join(&name);
        let length = fs::metadata(&path).map_or(0, |metadata| metadata.len());
        assert!(
            length <= FILE_BYTES || name == corpus::MANIFEST,
            "{name} has {length} bytes"
        );
        all += length;
    }
    assert!(all <= ALL_BYTES, "the corpus has {all} bytes");
}
