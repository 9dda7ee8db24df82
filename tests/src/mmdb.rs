//! Databases of addresses, as operators have them: files in the MaxMind DB format (its specification,
//! version 2.0), with as much of it as a database of countries or autonomous systems has.

use std::{
    fs,
    net::{IpAddr, Ipv6Addr},
    path::Path,
};

/// What is known of a network.
#[derive(Clone, Copy, Debug)]
pub enum Known<'a> {
    /// Its country's code.
    Country(&'a str),
    /// The number of its autonomous system, and whose that is.
    System(u32, &'a str),
}

/// Where a bit of an address leads.
#[derive(Clone, Copy)]
enum Leads {
    Nowhere,
    ToNode(usize),
    /// To what stands there in the data.
    ToData(usize),
}

/// Writes a database of these networks, none of which is a part of another one: an address and how many
/// of its bits count.
///
/// # Panics
///
/// If it cannot be written.
pub fn write(path: &Path, networks: &[(&str, u32, Known<'_>)]) {
    let mut nodes = vec![[Leads::Nowhere; 2]];
    let mut data = Vec::new();
    for (address, length, known) in networks {
        let (bits, length) = bits(address, *length);
        let mut node = 0;
        for at in 0..length {
            let bit = (bits >> (127 - at) & 1) as usize;
            if at + 1 == length {
                nodes[node][bit] = Leads::ToData(data.len());
                break;
            }
            node = match nodes[node][bit] {
                Leads::ToNode(next) => next,
                _ => {
                    nodes.push([Leads::Nowhere; 2]);
                    let next = nodes.len() - 1;
                    nodes[node][bit] = Leads::ToNode(next);
                    next
                }
            };
        }
        record(&mut data, known);
    }
    let mut file = Vec::new();
    for leads in nodes.iter().flatten() {
        let number = match leads {
            Leads::Nowhere => nodes.len(),
            Leads::ToNode(node) => *node,
            // Sixteen zero bytes stand between the two.
            Leads::ToData(at) => nodes.len() + 16 + at,
        };
        file.extend_from_slice(&(number as u32).to_be_bytes()[1..]);
    }
    file.extend_from_slice(&[0; 16]);
    file.append(&mut data);
    file.extend_from_slice(b"\xab\xcd\xefMaxMind.com");
    metadata(&mut file, nodes.len() as u32);
    fs::write(path, file).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// The bits of an address, as the tree has them: an IPv4 one stands below `::/96`.
fn bits(address: &str, length: u32) -> (u128, u32) {
    let address: IpAddr = address
        .parse()
        .unwrap_or_else(|error| panic!("{address}: {error}"));
    match address {
        IpAddr::V4(address) => (u128::from(u32::from(address)), 96 + length),
        IpAddr::V6(address) => (u128::from(Ipv6Addr::from(address.octets())), length),
    }
}

fn record(out: &mut Vec<u8>, known: &Known<'_>) {
    match known {
        Known::Country(code) => {
            map(out, 1);
            text(out, "country");
            map(out, 1);
            text(out, "iso_code");
            text(out, code);
        }
        Known::System(number, name) => {
            map(out, 2);
            text(out, "autonomous_system_number");
            // In as few bits as it takes, which not all writers do.
            match u16::try_from(*number) {
                Ok(number) => number_of(out, UINT16, &number.to_be_bytes()),
                Err(_) => number_of(out, UINT32, &number.to_be_bytes()),
            }
            text(out, "autonomous_system_organization");
            text(out, name);
        }
    }
}

fn metadata(out: &mut Vec<u8>, nodes: u32) {
    map(out, 9);
    text(out, "node_count");
    number_of(out, UINT32, &nodes.to_be_bytes());
    for (key, value) in [
        ("record_size", 24_u16),
        ("ip_version", 6),
        ("binary_format_major_version", 2),
        ("binary_format_minor_version", 0),
    ] {
        text(out, key);
        number_of(out, UINT16, &value.to_be_bytes());
    }
    text(out, "database_type");
    text(out, "Test");
    text(out, "languages");
    out.extend_from_slice(&[0, ARRAY - EXTENDED]);
    text(out, "build_epoch");
    out.extend_from_slice(&[8, UINT64 - EXTENDED]);
    out.extend_from_slice(&1_795_413_600_u64.to_be_bytes());
    text(out, "description");
    map(out, 0);
}

// Types; those above seven have a second byte.
const EXTENDED: u8 = 7;
const UINT16: u8 = 5;
const UINT32: u8 = 6;
const MAP: u8 = 7;
const UINT64: u8 = 9;
const ARRAY: u8 = 11;
const TEXT: u8 = 2;

fn map(out: &mut Vec<u8>, pairs: u8) {
    out.push(MAP << 5 | pairs);
}

fn number_of(out: &mut Vec<u8>, kind: u8, bytes: &[u8]) {
    out.push(kind << 5 | bytes.len() as u8);
    out.extend_from_slice(bytes);
}

fn text(out: &mut Vec<u8>, text: &str) {
    match u8::try_from(text.len()) {
        Ok(length @ 0..29) => out.push(TEXT << 5 | length),
        // Up to 284 bytes the length has a byte of its own.
        _ => out.extend_from_slice(&[TEXT << 5 | 29, (text.len() - 29) as u8]),
    }
    out.extend_from_slice(text.as_bytes());
}
