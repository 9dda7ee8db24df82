//! Captures of every kind, replayed as users do: what is counted of them, when, and what is said
//! of what cannot be read.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use sip_filter::{capture::Capture, replay::Host};
use sip_filter_tests::{
    capture::{
        ETHERNET, IEEE802_11, IPV4, IPV6, LINUX_SLL, LINUX_SLL2, NULL, Order, Pcap, PcapNg, RAW,
        Resolution, with_link,
    },
    kernel::Policy,
    messages::{INVITE, RTP, SIPSAK, SVMAP, SVMAP_IPV6},
    namespace::Folder,
    packet::Frame,
    process::{self, Finished},
    sip_filter::{binary, binary_for_everybody},
    stats::Stats,
};

const PATIENCE: Duration = Duration::from_secs(60);

/// 2026-11-23T06:00:00.123456789Z, in nanoseconds since 1970.
const TIME: u64 = 1_795_413_600_123_456_789;
const SECOND: u64 = 1_000_000_000;

const HOST: &str = "--engine host";
const KERNEL: &str = "--engine kernel";

/// The file's name, which is the instance's.
const NAME: &str = "some.pcap";

/// A capture on disk, gone when this is dropped.
struct Recorded {
    folder: Folder,
    file: PathBuf,
}

impl Recorded {
    fn new(bytes: &[u8]) -> Self {
        let folder = Folder::new();
        let file = folder.path().join(NAME);
        if let Err(error) = fs::write(&file, bytes) {
            panic!("cannot write {file:?}: {error}");
        }
        Self { folder, file }
    }

    /// Replays it with these options, whatever comes of it.
    fn attempt(&self, options: &str) -> Finished {
        process::run(replay(&self.file, options), PATIENCE)
    }

    /// What is counted, if all goes well and there is nothing to say.
    fn succeed(&self, options: &str) -> String {
        let done = self.attempt(options).successful();
        assert_eq!(done.stderr, "", "{done}");
        done.stdout
    }

    /// The same as one document.
    fn json(&self, options: &str) -> String {
        self.succeed(&format!("{options} --format json"))
    }
}

fn replay(file: &Path, options: &str) -> Command {
    let mut command = Command::new(binary());
    command.arg("replay").arg(file);
    command.args(options.split_whitespace());
    command.env_remove("RUST_LOG");
    command
}

/// A scanner's probe, a call and a scanner's probe again, each with its time: the last two
/// exchanged in the file.
fn packets(server: &str, probe: &[u8]) -> [(u64, Vec<u8>); 3] {
    let (scanner, phone) = match server.contains(':') {
        false => ("198.51.100.66", "198.51.100.20"),
        true => ("2001:db8::66", "2001:db8::20"),
    };
    let from = |source: &str| Frame::to(server).from(source);
    [
        (TIME, from(scanner).payload(probe).bytes()),
        (
            TIME + 61 * SECOND,
            from(scanner).port(5070).payload(probe).bytes(),
        ),
        (TIME + 2 * SECOND, from(phone).payload(INVITE).bytes()),
    ]
}

fn ipv4() -> [(u64, Vec<u8>); 3] {
    packets("192.0.2.10", SVMAP)
}

fn ipv6() -> [(u64, Vec<u8>); 3] {
    packets("2001:db8::10", SVMAP_IPV6)
}

/// The packets in a pcap file.
fn pcap(packets: &[(u64, Vec<u8>)], link: u32, order: Order, resolution: Resolution) -> Vec<u8> {
    let file = Pcap::with(link, order, resolution);
    let add =
        |file: Pcap, (time, frame): &(u64, Vec<u8>)| file.packet(*time, &with_link(link, frame));
    packets.iter().fold(file, add).bytes()
}

/// The packets in a pcapng file, of one interface that tells times in microseconds.
fn pcapng(packets: &[(u64, Vec<u8>)], link: u32, order: Order) -> Vec<u8> {
    let file = PcapNg::new(order).interface(link);
    let add = |file: PcapNg, (time, frame): &(u64, Vec<u8>)| {
        file.packet(0, *time / 1000, &with_link(link, frame))
    };
    packets.iter().fold(file, add).bytes()
}

/// Whatever they are captured with, the same packets are counted alike.
#[test]
fn every_format_and_link_type_is_read_alike() {
    for (packets, links) in [
        (ipv4(), [ETHERNET, RAW, LINUX_SLL, LINUX_SLL2, NULL, IPV4]),
        (ipv6(), [ETHERNET, RAW, LINUX_SLL, LINUX_SLL2, NULL, IPV6]),
    ] {
        let plain = pcap(&packets, ETHERNET, Order::Little, Resolution::Micro);
        let expected = Recorded::new(&plain).json(HOST);
        has_all(&Stats::read(&expected), &packets);
        for link in links {
            for order in [Order::Big, Order::Little] {
                for (what, capture) in [
                    ("pcap", pcap(&packets, link, order, Resolution::Micro)),
                    (
                        "pcap in nanoseconds",
                        pcap(&packets, link, order, Resolution::Nano),
                    ),
                    ("pcapng", pcapng(&packets, link, order)),
                ] {
                    let what = format!("{what}, {order:?}, link type {link}");
                    assert_eq!(Recorded::new(&capture).json(HOST), expected, "{what}");
                }
            }
            let capture = pcap(&packets, link, Order::Little, Resolution::Micro);
            let recorded = Recorded::new(&capture);
            assert_eq!(recorded.json(KERNEL), expected, "link type {link}");
        }
    }
}

/// The statistics hold [`packets`], with all of their bytes.
fn has_all(stats: &Stats, packets: &[(u64, Vec<u8>)]) {
    let bytes = packets
        .iter()
        .map(|(_, frame)| frame.len() as u64)
        .sum::<u64>();
    assert_eq!(stats.instance, NAME);
    assert!(stats.interfaces.is_empty(), "{stats:?}");
    assert_eq!(stats.time, "2026-11-23T06:01:01.123Z");
    assert_eq!((stats.totals.packets, stats.totals.bytes), (3, bytes));
    assert_eq!((stats.totals.scanner, stats.totals.would_drop), (2, 2));
    assert_eq!(stats.tool("sipvicious").packets, 2);
    assert_eq!(stats.method("INVITE").packets, 1);
    let [scanner, phone] = match stats.sources[0].source.contains(':') {
        false => ["198.51.100.66", "198.51.100.20"],
        true => ["2001:db8::66", "2001:db8::20"],
    };
    let times = |source: &str| {
        let source = stats.source(source);
        (source.first_seen.clone(), source.last_seen.clone())
    };
    let at = |time: &str| format!("2026-11-23T06:{time}.123Z");
    assert_eq!(times(scanner), (at("00:00"), at("01:01")));
    assert_eq!(times(phone), (at("00:02"), at("00:02")));
    assert_eq!(stats.source(scanner).ports, 2);
}

#[test]
fn vlan_tags_are_read_behind_every_header_that_has_them() {
    let plain = ipv4();
    let [one, two] = [&[(0x8100, 7)][..], &[(0x88a8, 100), (0x8100, 7)]].map(|tags| {
        // Between the addresses and the EtherType.
        let tags: Vec<_> = tags
            .iter()
            .flat_map(|(kind, id): &(u16, u16)| [kind.to_be_bytes(), id.to_be_bytes()].concat())
            .collect();
        plain.clone().map(|(time, mut frame)| {
            frame.splice(12..12, tags.iter().copied());
            (time, frame)
        })
    });
    for packets in [one, two] {
        let mut documents = Vec::new();
        for link in [ETHERNET, LINUX_SLL, LINUX_SLL2] {
            let capture = pcap(&packets, link, Order::Little, Resolution::Micro);
            documents.push(Recorded::new(&capture).json(HOST));
        }
        documents.dedup();
        let [document] = documents.as_slice() else {
            panic!("not the same: {documents:#?}")
        };
        // The tags are counted too.
        has_all(&Stats::read(document), &packets);
    }
}

/// Interfaces of different link types and units of time, sections of different byte order, old
/// and simple packets, and blocks that nobody knows.
#[test]
fn a_pcapng_file_may_hold_anything() {
    let frame = |number: u8| {
        Frame::to("192.0.2.10")
            .from(&format!("198.51.100.{number}"))
            .payload(SVMAP)
            .bytes()
    };
    let in_units = |units: u64| (u128::from(TIME) * u128::from(units) / u128::from(SECOND)) as u64;
    let capture = PcapNg::new(Order::Little);
    let offset = capture.offset(3600);
    let capture = capture
        .block(0x0bad_cafe, &[1, 2, 3, 4])
        // Microseconds; nanoseconds; 1024th of a second; seconds, an hour late. One with a name.
        .interface(ETHERNET)
        .interface_with(LINUX_SLL, 0, &[(9, &[9])])
        .interface_with(RAW, 0, &[(2, b"tun0"), (9, &[0x8a])])
        .interface_with(ETHERNET, 0, &[(9, &[0]), (14, &offset)])
        .packet(0, in_units(1_000_000), &frame(1))
        .packet(1, TIME, &with_link(LINUX_SLL, &frame(2)))
        .packet(2, in_units(1024), &with_link(RAW, &frame(3)))
        .packet(3, TIME / SECOND - 3600, &frame(4))
        .simple_packet(&frame(5))
        .section(Order::Big)
        .interface(LINUX_SLL2)
        .old_packet(0, in_units(1_000_000), &with_link(LINUX_SLL2, &frame(6)))
        .packet(0, in_units(1_000_000), &with_link(LINUX_SLL2, &frame(7)))
        .bytes();
    let recorded = Recorded::new(&capture);
    let json = recorded.json(HOST);
    assert_eq!(recorded.json(KERNEL), json);
    let stats = Stats::read(&json);
    assert_eq!(stats.totals.packets, 7, "{stats:?}");
    assert_eq!(stats.time, "2026-11-23T06:00:00.123Z");
    for (number, fraction) in [
        (1, "123"),
        (2, "123"),
        // 126 of 1024.
        (3, "123"),
        (4, "000"),
        // That of the packet before.
        (5, "000"),
        (6, "123"),
        (7, "123"),
    ] {
        let seen = &stats.source(&format!("198.51.100.{number}")).first_seen;
        assert_eq!(
            *seen,
            format!("2026-11-23T06:00:00.{fraction}Z"),
            "{number}"
        );
    }
}

/// The snapshot length of a simple packet is its interface's.
#[test]
fn simple_packets_end_where_their_interface_does() {
    let frame = Frame::to("192.0.2.10").payload(SVMAP).bytes();
    let limit = 100;
    let mut body = (frame.len() as u32).to_le_bytes().to_vec();
    body.extend(&frame[..limit]);
    let capture = PcapNg::new(Order::Little)
        .interface_with(ETHERNET, limit as u32, &[])
        .block(3, &body)
        .bytes();
    let done = Recorded::new(&capture)
        .attempt("--engine host --by total --format csv")
        .successful();
    assert!(
        done.stderr.contains("captured in part: 1 packet;"),
        "{done}"
    );
    let [header, row] = lines(&done.stdout);
    let unreadable = header.split(',').position(|name| name == "unreadable");
    let value = unreadable.and_then(|place| row.split(',').nth(place));
    assert_eq!(value, Some("1"), "{done}");
}

fn lines<const N: usize>(text: &str) -> [&str; N] {
    let lines: Vec<_> = text.lines().collect();
    match lines.try_into() {
        Ok(lines) => lines,
        Err(lines) => panic!("not {N} lines: {lines:?}"),
    }
}

/// Options of the filter and of its output do what they do elsewhere, with both engines.
#[test]
fn filter_and_output_options_are_those_of_the_other_verbs() {
    let server = |source: &str| Frame::to("192.0.2.10").from(source);
    let capture = Pcap::new(ETHERNET)
        .packet(TIME, &server("198.51.100.66").payload(SVMAP).bytes())
        .packet(TIME, &server("198.51.100.67").payload(SIPSAK).bytes())
        .packet(TIME, &server("198.51.100.20").payload(INVITE).bytes())
        .packet(TIME, &server("198.51.100.20").payload(RTP).bytes())
        .packet(
            TIME,
            &server("198.51.100.66").port(9999).payload(SVMAP).bytes(),
        )
        .packet(
            TIME,
            &server("198.51.100.20").port(9999).payload(RTP).bytes(),
        )
        .packet(TIME, &server("198.51.100.20").tcp().payload(INVITE).bytes())
        .bytes();
    let recorded = Recorded::new(&capture);
    for (options, expected) in [
        (
            "--by tool",
            "sipsak,testtool,1,0,0\nsipvicious,scanner,1,0,1\n",
        ),
        (
            "--by tool --drop scanners",
            "sipsak,testtool,1,0,0\nsipvicious,scanner,1,1,0\n",
        ),
        (
            "--by tool --drop options --sort would_drop --top 1",
            "sipsak,testtool,1,1,0\n",
        ),
        ("--by port", "5060,4,1,0\n"),
        ("--by port --drop malformed", "5060,4,1,1\n"),
        ("--by port --ports 9999", "9999,2,1,0\n"),
        ("--by port --ports any", "5060,3,1,0\n9999,1,1,0\n"),
        ("--by port --ports 5060,any", "5060,4,1,0\n9999,1,1,0\n"),
        ("--by port --ports 4000", ""),
    ] {
        for engine in [HOST, KERNEL] {
            let table = recorded.succeed(&format!("{options} {engine} --format csv"));
            let rows = table.split_once('\n').map(|(_, rows)| rows);
            assert_eq!(rows, Some(expected), "{options} {engine}");
        }
    }
    let stats = Stats::read(&recorded.json("--name monday"));
    assert_eq!(stats.instance, "monday");
    let overview = recorded.succeed(HOST);
    assert!(
        overview.starts_with("some.pcap, 2026-11-23T06:00:00.123Z\n"),
        "{overview}"
    );
}

#[test]
fn of_more_sources_than_are_remembered_the_last_ones_are() {
    const SOURCES: usize = 1024;
    let mut capture = Pcap::new(ETHERNET);
    for number in 0..SOURCES + 3 {
        let source = format!("198.18.{}.{}", number / 250, number % 250);
        let frame = Frame::to("192.0.2.10").from(&source).payload(RTP).bytes();
        capture.add(TIME, &frame, frame.len());
    }
    let recorded = Recorded::new(&capture.bytes());
    let options = format!("{HOST} --sources {SOURCES} --format csv");
    let sources = recorded.succeed(&format!("{options} --by source"));
    assert_eq!(sources.lines().count(), 1 + SOURCES);
    for (number, is_there) in [(0, false), (2, false), (3, true), (249, true)] {
        let line = format!("\n198.18.0.{number},");
        assert_eq!(sources.contains(&line), is_there, "{line}");
    }
    let totals = recorded.succeed(&format!("{options} --by total"));
    let [_, row] = lines(&totals);
    assert!(row.starts_with(&format!("{},", SOURCES + 3)), "{row}");
}

/// What is no packet for the filter is said, with its number, and the rest is counted.
#[test]
fn what_is_not_read_is_said() {
    let frame = Frame::to("192.0.2.10").payload(SVMAP).bytes();
    let long = Frame::to("192.0.2.10").payload([b'x'; 3200]).bytes();
    let capture = PcapNg::new(Order::Little)
        .interface(ETHERNET)
        .interface(IEEE802_11)
        .interface(61_000)
        .packet(0, TIME / 1000, &frame)
        .packet(1, TIME / 1000, &frame)
        .packet(1, TIME / 1000, &[])
        .packet(2, TIME / 1000, &frame)
        .packet(0, TIME / 1000, &long)
        .packet(0, TIME / 1000, &frame[..13])
        .packet(0, TIME / 1000, &[])
        .bytes();
    let recorded = Recorded::new(&capture);
    let unread = "note: not read: 2 packets of link type 105 (IEEE802_11)\n\
                  note: not read: 1 packet of link type 61000\n";
    let on_the_host = "note: counted on the host: 3 packets; the kernel takes none shorter \
                       than 14 or longer than 3,072 bytes\n";
    let mut documents = Vec::new();
    for (engine, said) in [
        (HOST, unread.to_owned()),
        (KERNEL, format!("{on_the_host}{unread}")),
    ] {
        let done = recorded
            .attempt(&format!("{engine} --format json"))
            .successful();
        assert_eq!(done.stderr, said);
        let stats = Stats::read(&done.stdout);
        assert_eq!((stats.totals.packets, stats.totals.malformed), (2, 1));
        assert_eq!(stats.source("198.51.100.7").packets, 2);
        documents.push(done.stdout);
    }
    assert_eq!(documents[0], documents[1]);
}

#[test]
fn packets_that_were_cut_off_are_unreadable_and_said() {
    let frame = Frame::to("192.0.2.10").payload(SVMAP).bytes();
    let elsewhere = Frame::to("192.0.2.10").port(9999).payload(RTP).bytes();
    let capture = Pcap::new(ETHERNET)
        .part(TIME, &frame[..96], frame.len())
        .part(TIME, &elsewhere[..96], elsewhere.len())
        .packet(TIME, &frame)
        .bytes();
    let recorded = Recorded::new(&capture);
    let said = "note: captured in part: 2 packets; SIP among them is unreadable\n";
    let documents = [HOST, KERNEL].map(|engine| {
        let done = recorded.attempt(&format!("{engine} --by total --format json"));
        assert_eq!(done.successful().stderr, said);
        recorded.attempt(&format!("{engine} --by total --format json"))
    });
    assert_eq!(documents[0].stdout, documents[1].stdout);
    for counted in ["\"packets\":1,", "\"unreadable\":1,"] {
        assert!(documents[0].stdout.contains(counted), "{}", documents[0]);
    }
}

/// It printed what so many packets give, failed, and its last line names the place and the words.
fn is_damaged(done: &Finished, packets: usize, offset: usize, words: &str) {
    assert_eq!(done.status.code(), Some(1), "{done}");
    let place = format!(
        "counted above ({packets} packet{}): packet {}, at byte {offset}, {words}",
        if packets == 1 { "" } else { "s" },
        packets + 1
    );
    assert!(done.stderr.contains(&place), "'{place}': {done}");
    assert_eq!(done.stderr.lines().count(), 1, "{done}");
    let stats = Stats::read(&done.stdout);
    assert_eq!(stats.totals.packets, packets as u64, "{done}");
}

/// Cut off anywhere, a capture gives what is before, and says where that ends.
#[test]
fn a_capture_that_is_cut_off_gives_what_is_before() {
    let short = |number: u8| {
        let from = format!("198.51.100.{number}");
        let frame = Frame::to("192.0.2.10").from(&from).payload(RTP);
        (TIME, frame.bytes())
    };
    let packets = [short(1), short(2), short(3)];
    /// Packets to a file.
    type Build = fn(&[(u64, Vec<u8>)]) -> Vec<u8>;
    let formats: [(&str, Build); 2] = [
        ("pcap", |packets| {
            pcap(packets, ETHERNET, Order::Little, Resolution::Micro)
        }),
        ("pcapng", |packets| pcapng(packets, ETHERNET, Order::Big)),
    ];
    for (what, build) in formats {
        let ends: Vec<_> = (0..=packets.len())
            .map(|number| build(&packets[..number]).len())
            .collect();
        let whole = build(&packets);
        for length in (ends[0]..=whole.len()).step_by(7).chain(ends.clone()) {
            let done = Recorded::new(&whole[..length]).attempt("--engine host --format json");
            let read = ends.iter().filter(|end| **end <= length).count() - 1;
            if ends.contains(&length) {
                let stats = Stats::read(&done.successful().stdout);
                assert_eq!(stats.totals.packets, read as u64, "{what}, {length} bytes");
            } else {
                is_damaged(&done, read, ends[read], "is cut off by the end of the file");
            }
        }
    }
}

#[test]
fn a_capture_that_contradicts_itself_gives_what_is_before() {
    let frame = Frame::to("192.0.2.10").payload(RTP).bytes();
    let pcap = Pcap::new(ETHERNET).packet(TIME, &frame).bytes();
    let pcapng = || {
        PcapNg::new(Order::Little)
            .interface(ETHERNET)
            .packet(0, TIME / 1000, &frame)
    };
    let at = pcapng().bytes().len();
    let mut other_end = pcapng().packet(0, 0, &frame).bytes();
    if let Some(last) = other_end.last_mut() {
        *last ^= 1;
    }
    // 4 GB and some, of which nothing is there, and then all that is taken for possible.
    let endless = [&pcap[..], &[0; 8], &[0xff; 8], &[0; 40]].concat();
    let too_long = [&endless[..], &vec![0; 40 << 20]].concat();
    let mut too_short = [0; 20];
    too_short[12] = 1;
    for (what, capture, offset, words) in [
        ("a huge packet", endless, pcap.len(), "is cut off"),
        (
            "a huge packet in a huge file",
            too_long,
            pcap.len(),
            "claims to be longer than",
        ),
        ("another end", other_end, at, "contradicts itself"),
        (
            "no such interface",
            pcapng().packet(1, 0, &frame).bytes(),
            at,
            "is of interface 1, which is not described",
        ),
        (
            "a packet longer than its block",
            pcapng().block(6, &too_short).bytes(),
            at,
            "contradicts itself",
        ),
        (
            "a block without fields",
            pcapng().block(6, &[0; 16]).bytes(),
            at,
            "contradicts itself",
        ),
        (
            "garbage",
            [&pcapng().bytes()[..], b"garbage! garbage!"].concat(),
            at,
            "contradicts itself",
        ),
    ] {
        println!("{what}");
        for engine in [HOST, KERNEL] {
            let done = Recorded::new(&capture).attempt(&format!("{engine} --format json"));
            is_damaged(&done, 1, offset, words);
        }
    }
}

/// Whatever the bytes are, they are read to an end.
#[test]
fn captures_with_anything_changed_are_read_to_an_end() {
    const CHANGED: u32 = 20_000;
    let packets = ipv4();
    let whole = [
        pcap(&packets, LINUX_SLL, Order::Little, Resolution::Nano),
        pcapng(&packets, ETHERNET, Order::Big),
        pcapng(&packets, LINUX_SLL2, Order::Little),
    ];
    let policy = Policy::new("scanners", "any");
    let mut host = Host::new(&policy.load()).unwrap_or_else(|error| panic!("{error:#}"));
    // Marsaglia's xorshift64: without a pattern, and the same in each run.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    let mut damaged = 0;
    for number in 0..CHANGED {
        let mut capture = whole[number as usize % whole.len()].clone();
        for _ in 0..=random(4) {
            let place = random(capture.len());
            match random(4) {
                0 => capture.truncate(place + 1),
                1 => capture[place] = random(256) as u8,
                2 => drop(capture.remove(place)),
                _ => capture[place] ^= 1 << random(8),
            }
            if capture.len() < 2 {
                break;
            }
        }
        let Ok(mut capture) = Capture::new(&capture[..]) else {
            continue;
        };
        match sip_filter::replay::replay(&mut capture, &mut host) {
            Ok(replayed) => damaged += u32::from(replayed.damage.is_some()),
            Err(error) => panic!("{error:#}"),
        }
    }
    assert!((CHANGED / 4..CHANGED).contains(&damaged), "{damaged}");
}

/// What is no capture at all fails in one line that says why, and nothing is printed.
#[test]
fn what_is_no_capture_is_refused() {
    let folder = Folder::new();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        if let Err(error) = fs::write(&path, bytes) {
            panic!("cannot write {path:?}: {error}");
        }
        path
    };
    let header = Pcap::new(ETHERNET).bytes();
    for (path, words) in [
        (file("empty", b""), "it is empty"),
        (
            file("text", b"OPTIONS sip:a@b SIP/2.0\r\n\r\n"),
            "neither pcap nor pcapng",
        ),
        (file("short", b"text"), "neither pcap nor pcapng"),
        (file("half", &header[..20]), "neither pcap nor pcapng"),
        (file("gz", &[0x1f, 0x8b, 8, 0, 0]), "compressed"),
        (folder.path().join("absent"), "No such file"),
        (folder.path().to_owned(), "directory"),
    ] {
        for engine in ["", HOST, KERNEL] {
            let refused = process::run(replay(&path, engine), PATIENCE);
            assert_eq!(refused.status.code(), Some(1), "{refused}");
            assert_eq!(refused.stdout, "", "{refused}");
            let path = path.to_string_lossy();
            for word in [&path, words] {
                assert!(refused.stderr.contains(word), "'{word}': {refused}");
            }
            assert_eq!(refused.stderr.lines().count(), 1, "{refused}");
        }
    }
    // The header of a section, and no more of it.
    let cut = &PcapNg::new(Order::Big).bytes()[..20];
    let done = Recorded::new(cut).attempt("--engine host --format json");
    is_damaged(&done, 0, 0, "is cut off by the end of the file");
}

/// A capture without packets is no failure: nothing was counted.
#[test]
fn a_capture_without_packets_counts_nothing() {
    for capture in [
        Pcap::new(ETHERNET).bytes(),
        PcapNg::new(Order::Big).bytes(),
        PcapNg::new(Order::Little).interface(RAW).bytes(),
    ] {
        let recorded = Recorded::new(&capture);
        let json = recorded.json(HOST);
        assert_eq!(recorded.json(KERNEL), json);
        let stats = Stats::read(&json);
        assert_eq!(stats.totals.packets, 0);
        assert_eq!(stats.time, "1970-01-01T00:00:00.000Z");
    }
}

#[test]
fn a_capture_may_come_through_a_pipe() {
    let capture = pcap(&ipv4(), ETHERNET, Order::Little, Resolution::Micro);
    let recorded = Recorded::new(&capture);
    let line = format!("cat \"$1\" | \"$0\" replay /dev/stdin {HOST} --name piped --format json");
    let mut command = Command::new("sh");
    command
        .args(["-c", &line])
        .arg(binary())
        .arg(&recorded.file);
    let piped = process::run(command, PATIENCE).successful();
    assert_eq!(piped.stdout, recorded.json(&format!("{HOST} --name piped")));
}

/// The host's engine needs no privileges, and is what runs without them.
#[test]
fn without_root_the_host_counts() {
    let capture = pcap(&ipv4(), ETHERNET, Order::Little, Resolution::Micro);
    let recorded = Recorded::new(&capture);
    let readable = fs::set_permissions(&recorded.file, fs::Permissions::from_mode(0o644));
    assert!(readable.is_ok(), "{readable:?}");
    let copy = binary_for_everybody(&recorded.folder);
    let attempt = |options: &str| {
        let mut command = Command::new(&copy);
        command.arg("replay").arg(&recorded.file);
        command.args(options.split_whitespace());
        process::as_nobody(&mut command);
        process::run(command, PATIENCE)
    };
    let expected = recorded.json(KERNEL);
    let asked = attempt("--engine host --format json").successful();
    assert_eq!((&*asked.stdout, &*asked.stderr), (&*expected, ""));
    let by_itself = attempt("--format json").successful();
    assert_eq!(by_itself.stdout, expected);
    let [note] = lines(&by_itself.stderr);
    for word in ["note: counted on the host", "privileges", "root"] {
        assert!(note.contains(word), "'{word}': {by_itself}");
    }
    let refused = attempt("--engine kernel");
    assert_eq!(refused.status.code(), Some(1), "{refused}");
    let [error] = lines(&refused.stderr);
    for word in ["privileges", "root", "--engine host"] {
        assert!(error.contains(word), "'{word}': {refused}");
    }
    assert_eq!(refused.stdout, "", "{refused}");
}
