//! The filter on a real interface, with the tools that it is for: what they send is seen,
//! dropped when that was asked for, counted exactly, and let through again afterwards.

use std::{
    io,
    net::UdpSocket,
    os::fd::AsRawFd as _,
    thread,
    time::{Duration, Instant},
};

use aya::{
    maps::MapInfo,
    programs::{loaded_links, loaded_programs},
};
use sip_filter_common::abi;
use sip_filter_tests::{
    flood::Sink,
    messages,
    namespace::{
        Bpffs, FILTERED, Link, OUTSIDE, PHONE, SCANNER, SCANNER_IPV6, SERVER, SERVER_IPV6,
    },
    registrar::{self, Registrar},
    sip_filter::{SipFilter, in_each_mode},
    stats::{Interface, Method, Port, Tool, Totals},
    tools,
    watch::{Datagram, Watch},
};

/// svmap's way to the server.
struct Way {
    link: Link,
    /// The command.
    svmap: String,
    /// The address that it comes from.
    from: &'static str,
}

#[test]
fn svmap_is_seen_then_dropped_then_seen_again_over_ipv4() {
    in_each_mode(|mode| {
        let svmap = format!("svmap {SERVER}");
        let (link, from) = (Link::new(), SCANNER);
        seen_then_dropped_then_seen_again(mode, &Way { link, svmap, from });
    });
}

#[test]
fn svmap_is_seen_then_dropped_then_seen_again_over_ipv6() {
    in_each_mode(|mode| {
        let svmap = format!("svmap -6 {SERVER_IPV6}");
        let (link, from) = (Link::new(), SCANNER_IPV6);
        seen_then_dropped_then_seen_again(mode, &Way { link, svmap, from });
    });
}

#[test]
fn svmap_is_seen_then_dropped_then_seen_again_in_a_vlan() {
    in_each_mode(|mode| {
        let svmap = format!("svmap {SERVER}");
        let (link, from) = (Link::tagged(7, &Bpffs::new()), SCANNER);
        seen_then_dropped_then_seen_again(mode, &Way { link, svmap, from });
    });
}

fn seen_then_dropped_then_seen_again(mode: &str, way: &Way) {
    let Way { link, svmap, from } = way;
    let _registrar = Registrar::start(&link.server, 5060);
    let filter = SipFilter::in_mode(&link.server, mode);
    let watch = Watch::on(&link.outside, OUTSIDE);
    let finds_the_server = || {
        let found = tools::run(&link.outside, svmap);
        tools::has_found(&found, registrar::NAME)
    };
    let counted = || {
        let stats = filter.stats();
        let Totals {
            packets,
            requests,
            scanner,
            dropped,
            would_drop,
            passed,
            ..
        } = stats.totals;
        assert_eq!([requests, scanner, passed + dropped], [packets; 3]);
        let source = stats.source(from);
        assert_eq!(
            [source.packets, source.dropped, source.would_drop],
            [packets, dropped, would_drop]
        );
        [packets, dropped, would_drop]
    };

    filter.attach("");
    assert!(
        finds_the_server(),
        "monitoring, the probe or its answer was lost"
    );
    assert_eq!(counted(), [1, 0, 1]);

    filter.attach("--drop scanners");
    assert!(!finds_the_server(), "dropping, the probe came through");
    assert_eq!(counted(), [2, 1, 1]);

    filter.attach("");
    assert!(
        finds_the_server(),
        "monitoring again, the probe or its answer was lost"
    );
    assert_eq!(counted(), [3, 1, 2]);
    // As long as they are on the wire, where they may carry a tag.
    let passed = watch.finish();
    let probes = passed.iter().filter(|datagram| is_probe(datagram));
    let bytes: usize = probes.map(|probe| probe.frame.len()).sum();
    assert_eq!(filter.stats().totals.bytes, bytes as u64);

    filter.attach("--drop scanners");
    filter.detach();
    assert!(finds_the_server(), "detached, the filter still drops");
}

#[test]
fn a_second_process_reads_what_run_counts() {
    in_each_mode(|mode| {
        let link = Link::new();
        let _registrar = Registrar::start(&link.server, 5060);
        let filter = SipFilter::in_mode(&link.server, mode);
        let watch = Watch::on(&link.outside, OUTSIDE);
        let run = filter.run("--drop scanners");
        let found = tools::run(&link.outside, &format!("svmap -p5060,5065 {SERVER}"));
        assert!(!tools::has_found(&found, registrar::NAME), "{found}");

        let stats = filter.stats();
        let bytes = watch
            .finish()
            .iter()
            .map(|probe| probe.frame.len() as u64)
            .sum();
        assert_eq!(stats.instance, "test");
        let [
            Interface {
                name,
                ifindex: _,
                mode: attached,
            },
        ] = stats.interfaces.as_slice()
        else {
            panic!("not one interface: {:?}", stats.interfaces)
        };
        assert_eq!([name.as_str(), attached], [FILTERED, mode]);
        assert_eq!(
            stats.totals,
            Totals {
                packets: 2,
                bytes,
                sip: 2,
                requests: 2,
                scanner: 2,
                dropped: 2,
                ..Totals::default()
            }
        );
        assert_eq!(
            stats.method("OPTIONS"),
            Method {
                packets: 2,
                bytes,
                scanner: 2,
                dropped: 2,
                would_drop: 0
            }
        );
        let sipvicious = stats.tool("sipvicious");
        let expected = Tool {
            tool: "sipvicious".to_owned(),
            kind: "scanner".to_owned(),
            packets: 2,
            dropped: 2,
            would_drop: 0,
        };
        assert_eq!(sipvicious, &expected);
        let mut ports = stats.ports.clone();
        ports.sort_by_key(|port| port.port);
        let one = |port| Port {
            port,
            packets: 1,
            scanner: 1,
            dropped: 1,
        };
        assert_eq!(ports, [one(5060), one(5065)]);
        let source = stats.source(SCANNER);
        assert_eq!(
            [source.packets, source.scanner, source.dropped, source.ports],
            [2; 4]
        );
        assert_eq!(source.tools, ["sipvicious"]);
        assert!(source.first_seen <= source.last_seen && source.last_seen <= stats.time);

        run.interrupt(Duration::from_secs(10)).successful();
        filter.assert_absent();
    });
}

#[test]
fn detach_leaves_no_program_no_map_and_no_pin() {
    in_each_mode(|mode| {
        let link = Link::new();
        let filter = SipFilter::in_mode(&link.server, mode);
        filter.attach("");
        let [program] = link.server.programs(FILTERED)[..] else {
            panic!("not one program is attached")
        };
        let program = program as u32;
        let info = loaded_programs()
            .flatten()
            .find(|loaded| loaded.id() == program);
        let Some(info) = info else {
            panic!("program {program} is not loaded")
        };
        let name = if mode == "tcx" {
            abi::TCX_PROGRAM
        } else {
            abi::PROGRAM
        };
        assert_eq!(info.name_as_str(), Some(name));
        let maps = match info.map_ids() {
            Ok(Some(maps)) if !maps.is_empty() => maps,
            other => panic!("program {program} has no maps: {other:?}"),
        };
        let link_of_it = || {
            loaded_links()
                .flatten()
                .find(|link| link.program_id() == program)
        };
        assert!(
            link_of_it().is_some(),
            "program {program} is attached without a link"
        );
        assert!(!filter.bpffs().entries().is_empty(), "nothing is pinned");

        filter.detach();
        filter.assert_absent();
        // The kernel frees what nobody holds any more a moment later.
        let left = || {
            let programs = loaded_programs()
                .flatten()
                .filter(|loaded| loaded.id() == program);
            let maps = maps.iter().filter(|map| MapInfo::from_id(**map).is_ok());
            (
                programs.count(),
                maps.count(),
                usize::from(link_of_it().is_some()),
            )
        };
        let end = Instant::now() + Duration::from_secs(5);
        while left() != (0, 0, 0) && Instant::now() < end {
            thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(left(), (0, 0, 0), "programs, maps and links are left");
    });
}

/// The sweep of 254 addresses; each probe is seen by the watch on the sender's side.
const SWEEP: &str = "svmap 198.51.100.1-198.51.100.254";

fn is_probe(datagram: &Datagram) -> bool {
    datagram.sent && datagram.destination.port() == 5060
}

fn is_answer(datagram: &Datagram) -> bool {
    !datagram.sent && datagram.source.port() == 5060
}

#[test]
fn every_probe_of_a_sweep_is_counted_once_under_its_source() {
    in_each_mode(|mode| {
        let link = Link::new();
        link.route_a_network_to_the_server();
        let registrar = Registrar::start(&link.server, 5060);
        let filter = SipFilter::in_mode(&link.server, mode);
        filter.attach("");
        let watch = Watch::on(&link.outside, OUTSIDE);
        let found = tools::run(&link.outside, SWEEP);
        assert!(tools::has_found(&found, registrar::NAME), "{found}");

        let passed = watch.finish();
        let probes: Vec<_> = passed
            .iter()
            .filter(|datagram| is_probe(datagram))
            .collect();
        assert_eq!(probes.len(), 254, "svmap sent another number of probes");
        assert_eq!(
            passed.iter().filter(|datagram| is_answer(datagram)).count(),
            254
        );
        assert_eq!(registrar.answered(), 254);
        let bytes = probes.iter().map(|probe| probe.frame.len() as u64).sum();

        let stats = filter.stats();
        let expected = Method {
            packets: 254,
            bytes,
            scanner: 254,
            dropped: 0,
            would_drop: 254,
        };
        assert_eq!(stats.method("OPTIONS"), expected);
        assert_eq!(stats.tool("sipvicious").packets, 254);
        assert_eq!(stats.sources.len(), 1, "{:?}", stats.sources);
        let source = stats.source(SCANNER);
        assert_eq!(
            [source.packets, source.scanner, source.would_drop],
            [254; 3]
        );
        assert_eq!([source.bytes, source.dropped, source.ports], [bytes, 0, 1]);
        assert_eq!(
            source.methods.clone().into_iter().collect::<Vec<_>>(),
            [("OPTIONS".into(), 254)]
        );
        assert_eq!(source.tools, ["sipvicious"]);
    });
}

#[test]
fn a_dropped_sweep_gets_no_answer_and_calls_lose_nothing() {
    in_each_mode(|mode| {
        const CALLS: u32 = 20;
        let link = Link::new();
        link.route_a_network_to_the_server();
        let registrar = Registrar::start(&link.server, 5060);
        let _phone = tools::answer_calls(&link.server, 5062);
        let filter = SipFilter::in_mode(&link.server, mode);
        filter.attach("--drop scanners");
        let watch = Watch::on(&link.outside, OUTSIDE);
        let (found, calls) = thread::scope(|scope| {
            let sweep = scope.spawn(|| tools::run(&link.outside, SWEEP));
            let calls = tools::call(&link.outside, 5062, CALLS);
            let Ok(found) = sweep.join() else {
                panic!("the sweep did not end well")
            };
            (found, calls)
        });
        calls.successful();
        assert!(!tools::has_found(&found, registrar::NAME), "{found}");

        let passed = watch.finish();
        assert_eq!(
            passed.iter().filter(|datagram| is_probe(datagram)).count(),
            254
        );
        assert_eq!(
            passed.iter().filter(|datagram| is_answer(datagram)).count(),
            0
        );
        assert_eq!(registrar.answered(), 0);

        let stats = filter.stats();
        let scanner = stats.source(SCANNER);
        assert_eq!(
            [scanner.packets, scanner.scanner, scanner.dropped],
            [254; 3]
        );
        assert_eq!(scanner.would_drop, 0);
        // INVITE, ACK and BYE of each call.
        let phone = stats.source(PHONE);
        assert_eq!(
            [phone.packets, phone.scanner, phone.dropped],
            [3 * u64::from(CALLS), 0, 0]
        );
        for method in ["INVITE", "ACK", "BYE"] {
            assert_eq!(stats.method(method).packets, u64::from(CALLS), "{method}");
        }
        assert_eq!(stats.totals.dropped, 254);
    });
}

#[test]
fn what_follows_a_found_server_is_dropped_too() {
    in_each_mode(|mode| {
        let link = Link::new();
        let _registrar = Registrar::start(&link.server, 5060);
        let filter = SipFilter::in_mode(&link.server, mode);
        let [(extension, password), ..] = registrar::EXTENSIONS;
        let enumerates = format!("svwar -e100-105 {SERVER}");
        let cracks = format!("svcrack -u{extension} -r1000-1005 {SERVER}");

        filter.attach("");
        for (tool, prize) in [(&enumerates, extension), (&cracks, password)] {
            let found = tools::run(&link.outside, tool);
            assert!(tools::has_found(&found, prize), "monitoring: {found}");
        }
        let monitored = filter.stats();
        let Method {
            packets,
            bytes: _,
            scanner,
            dropped,
            would_drop,
        } = monitored.method("REGISTER");
        assert!(packets > 6, "only {packets} attempts were counted");
        assert_eq!([scanner, dropped, would_drop], [packets, 0, packets]);

        filter.attach("--drop scanners");
        for (tool, prize) in [(&enumerates, extension), (&cracks, password)] {
            let found = tools::run(&link.outside, tool);
            assert!(!tools::has_found(&found, prize), "dropping: {found}");
        }
        // Each gives up when its first request gets no answer.
        assert_eq!(filter.stats().totals.dropped, 2);
    });
}

#[test]
fn a_test_tool_is_named_and_let_through() {
    in_each_mode(|mode| {
        let link = Link::new();
        let _registrar = Registrar::start(&link.server, 5060);
        let filter = SipFilter::in_mode(&link.server, mode);
        let sipsak = format!("sipsak -D 1 -s sip:100@{SERVER}");

        filter.attach("--drop scanners");
        tools::run(&link.outside, &sipsak).successful();
        let stats = filter.stats();
        assert_eq!(
            [
                stats.totals.packets,
                stats.totals.scanner,
                stats.totals.dropped
            ],
            [1, 0, 0]
        );
        let Tool {
            tool: _,
            kind,
            packets,
            dropped,
            would_drop,
        } = stats.tool("sipsak");
        assert_eq!(
            (kind.as_str(), [packets, dropped, would_drop]),
            ("testtool", [&1, &0, &0])
        );

        // Its OPTIONS are dropped as OPTIONS, where that is what was asked for.
        filter.attach("--drop options");
        let unanswered = tools::run(&link.outside, &sipsak);
        assert!(!unanswered.status.success(), "{unanswered}");
        assert_eq!(filter.stats().totals.dropped, 1);
    });
}

#[test]
fn keepalives_and_foreign_traffic_pass_unless_asked_for() {
    in_each_mode(|mode| {
        let link = Link::new();
        let filter = SipFilter::in_mode(&link.server, mode);
        let server = link.server.udp_socket(SERVER);
        let port = server.local_addr().map_or(0, |address| address.port());
        if let Err(error) = server.set_read_timeout(Some(Duration::from_millis(500))) {
            panic!("no timeout: {error}");
        }
        let phone = link.outside.udp_socket(PHONE);
        let arrives = |message: &[u8]| {
            if let Err(error) = phone.send_to(message, (SERVER, port)) {
                panic!("cannot send: {error}");
            }
            let mut received = [0; 2048];
            server
                .recv(&mut received)
                .is_ok_and(|length| &received[..length] == message)
        };
        let keepalives = [
            ("CR LF CR LF", messages::CRLF_CRLF),
            ("a zero byte", messages::ZERO),
            ("STUN", messages::STUN),
            ("no payload", messages::EMPTY),
        ];
        let foreign = [
            ("RTP", messages::RTP),
            ("DNS", messages::DNS),
            ("HTTP", messages::HTTP),
        ];
        let counted = || {
            let Totals {
                packets,
                keepalives,
                malformed,
                dropped,
                ..
            } = filter.stats().totals;
            [packets, keepalives, malformed, dropped]
        };

        filter.attach(&format!("--ports {port} --drop scanners"));
        for (what, message) in keepalives.into_iter().chain(foreign) {
            assert!(arrives(message), "--drop scanners: {what} was lost");
        }
        assert_eq!(counted(), [7, 4, 3, 0]);

        filter.attach(&format!("--ports {port} --drop malformed"));
        for (what, message) in keepalives {
            assert!(arrives(message), "--drop malformed: {what} was lost");
        }
        for (what, message) in foreign {
            assert!(!arrives(message), "--drop malformed: {what} passed");
        }
        assert_eq!(counted(), [14, 8, 6, 3]);
    });
}

/// Sends a datagram of two parts, which a socket buffer holds in two pieces.
fn send_in_pieces(socket: &UdpSocket, first: &[u8], rest: &[u8]) {
    for (part, flags) in [(first, libc::MSG_MORE), (rest, 0)] {
        // SAFETY: the part is as long as is said.
        let sent =
            unsafe { libc::send(socket.as_raw_fd(), part.as_ptr().cast(), part.len(), flags) };
        assert_eq!(sent, part.len() as isize, "{}", io::Error::last_os_error());
    }
}

#[test]
fn a_large_mtu_and_packets_in_pieces_hide_nothing() {
    in_each_mode(|mode| {
        let link = Link::new();
        link.server.ip(&format!("link set {FILTERED} mtu 9000"));
        link.outside.ip(&format!("link set {OUTSIDE} mtu 9000"));
        let sink = Sink::new(&link);
        let filter = SipFilter::in_mode(&link.server, mode);
        filter.attach("--drop scanners");
        assert_eq!(filter.stats().interfaces[0].mode, mode);
        let scanner = link.outside.udp_socket(SCANNER);
        let connected = scanner.connect((SERVER, 5060));
        connected.unwrap_or_else(|error| panic!("{error}"));
        let watch = Watch::on(&link.outside, OUTSIDE);
        let (first, rest) = messages::SVMAP.split_at(40);
        let long = [rest, &[b'x'; 8000]].concat();
        for (first, rest) in [
            (first, rest),
            (first, &long),
            (messages::SVMAP, &[b'x'; 5000]),
        ] {
            send_in_pieces(&scanner, first, rest);
        }
        assert_eq!(sink.heard(), 0, "a probe has come through");
        let passed = watch.finish();
        let probes = passed.iter().filter(|datagram| is_probe(datagram));
        let bytes: usize = probes.map(|probe| probe.frame.len()).sum();
        let totals = filter.stats().totals;
        assert_eq!([totals.packets, totals.dropped], [3, 3], "{totals:?}");
        assert_eq!(totals.bytes, bytes as u64);
        filter.detach();
        send_in_pieces(&scanner, first, rest);
        assert_eq!(sink.heard(), 1);
    });
}

#[test]
fn auto_takes_skb_mode_where_the_driver_refuses_native_and_says_so() {
    let link = Link::new();
    let filter = SipFilter::new(&link.server);
    // The loopback device has no native mode.
    let attached = filter.attempt("attach -i lo");
    assert!(attached.status.success(), "{attached}");
    for said in ["lo", "native", "skb"] {
        assert!(attached.stderr.contains(said), "{said}: {attached}");
    }
    let [interface] = &filter.stats().interfaces[..] else {
        panic!("attached elsewhere too")
    };
    assert_eq!((&*interface.name, &*interface.mode), ("lo", "skb"));

    let refused = SipFilter::named(&link.server, "native").attempt("attach -i lo --mode native");
    assert!(!refused.status.success(), "{refused}");
}

#[test]
fn a_failed_attach_leaves_what_is_in_force_and_what_is_said_of_it() {
    let link = Link::new();
    let filter = SipFilter::new(&link.server);
    filter.attach("");
    let before = filter.succeed("status --format json");
    let refused = filter.attempt(&format!(
        "attach -i {FILTERED} -i lo --mode native --drop scanners"
    ));
    assert!(!refused.status.success(), "{refused}");
    assert_eq!(filter.succeed("status --format json"), before);
}

#[test]
fn a_port_that_is_not_inspected_is_neither_counted_nor_filtered() {
    in_each_mode(|mode| {
        let link = Link::new();
        let _registrar = Registrar::start(&link.server, 7000);
        let filter = SipFilter::in_mode(&link.server, mode);
        filter.attach("--ports 5060-5100 --drop scanners,options,malformed");
        let svmap = format!("svmap -p7000 {SERVER}");
        let found = tools::run(&link.outside, &svmap);
        assert!(tools::has_found(&found, registrar::NAME), "{found}");
        assert_eq!(filter.stats().totals, Totals::default());

        filter.attach("--ports any --drop scanners");
        let found = tools::run(&link.outside, &svmap);
        assert!(!tools::has_found(&found, registrar::NAME), "{found}");
        assert_eq!(filter.stats().totals.dropped, 1);
    });
}

#[test]
fn replacing_the_program_lets_no_probe_through_and_loses_no_count() {
    in_each_mode(|mode| {
        let link = Link::new();
        let registrar = Registrar::start(&link.server, 5060);
        let filter = SipFilter::in_mode(&link.server, mode);
        filter.attach("--drop scanners");
        let scanner = link.outside.udp_socket(SCANNER);
        let sent = thread::scope(|scope| {
            let replacing = scope.spawn(|| {
                for _ in 0..3 {
                    filter.attach("--drop scanners,malformed");
                    filter.attach("--drop scanners");
                }
            });
            let mut sent = 0;
            while !replacing.is_finished() {
                if let Err(error) = scanner.send_to(messages::SVMAP, (SERVER, 5060)) {
                    panic!("cannot send: {error}");
                }
                sent += 1;
                thread::sleep(Duration::from_micros(200));
            }
            sent
        });
        assert!(
            sent > 100,
            "only {sent} probes were sent while the program was replaced"
        );
        let stats = filter.stats();
        assert_eq!([stats.totals.packets, stats.totals.dropped], [sent; 2]);
        assert_eq!(registrar.answered(), 0);
    });
}

#[test]
fn a_killed_run_keeps_filtering_until_the_next_one_adopts_it() {
    in_each_mode(|mode| {
        let link = Link::new();
        let registrar = Registrar::start(&link.server, 5060);
        let filter = SipFilter::in_mode(&link.server, mode);
        let scanner = link.outside.udp_socket(SCANNER);
        let probe = || {
            if let Err(error) = scanner.send_to(messages::SVMAP, (SERVER, 5060)) {
                panic!("cannot send: {error}");
            }
        };
        let run = filter.run("--drop scanners");
        probe();
        run.kill();
        probe();
        assert_eq!(filter.stats().totals.dropped, 2);

        let run = filter.run("--drop scanners");
        probe();
        assert_eq!(
            filter.stats().totals.dropped,
            3,
            "the counts did not survive"
        );
        run.interrupt(Duration::from_secs(10)).successful();
        assert_eq!(registrar.answered(), 0);
        filter.assert_absent();

        let run = filter.run("");
        run.kill();
        filter.detach_all();
        filter.assert_absent();
    });
}
