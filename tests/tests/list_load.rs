//! How long a million entries take to be in force: alone in this file, since what runs beside it would
//! be measured too.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs,
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use sip_filter_tests::{
    messages,
    mutation::Random,
    namespace::{FILTERED, Folder, Link, PHONE, SCANNER, SERVER},
    process,
    registrar::Registrar,
    sip_filter::{SipFilter, binary},
};

const PATIENCE: Duration = Duration::from_secs(120);

/// Printed, since how long it takes says more than that it is short enough.
#[test]
fn a_million_entries_load_in_time() {
    // For what users get; what is built without optimisation takes four times as long.
    let is_optimised = binary().to_string_lossy().contains("release");
    let limit = Duration::from_secs(if is_optimised { 10 } else { 60 });
    let link = Link::new();
    let _registrar = Registrar::start(&link.server, 5060);
    let filter = SipFilter::new(&link.server);
    let comes_through = |from| {
        let before = filter.stats().totals.dropped;
        let socket = link.outside.udp_socket(from);
        let sent = socket.send_to(messages::INVITE, (SERVER, 5060));
        sent.unwrap_or_else(|error| panic!("{error}"));
        filter.stats().totals.dropped == before
    };
    let folder = Folder::new();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap_or_else(|error| panic!("{error}"));
        path.display().to_string()
    };
    let config = write("config.toml", &format!("[sizes]\nlists = {}\n", 1 << 20));
    let attach = || filter.attach(&format!("--config {config}"));
    let import = |text: &str| {
        let list = write("list.txt", text);
        let command = filter.command(["block", "import", &list]);
        process::run(command, PATIENCE).successful()
    };
    attach();
    let mut random = Random::new(7);
    let mut hosts = BTreeSet::new();
    while hosts.len() < 1_000_000 {
        // Not those of the line.
        hosts.insert(random.below(1 << 30) as u32 | 1 << 24);
    }
    let text = hosts.iter().fold(String::new(), |mut text, host| {
        let _ = writeln!(text, "{}", Ipv4Addr::from_bits(*host));
        text
    });
    let started = Instant::now();
    let done = import(&text);
    let took = started.elapsed();
    println!("1,000,000 addresses took {took:.1?}\n{done}");
    assert!(done.stdout.contains("1,000,000 added"), "{done}");
    assert!(
        done.stdout.contains("1,000,000 addresses in both lists"),
        "{done}"
    );
    assert!(took < limit, "{took:?}");

    let prefixes: String = (0..100_000)
        .map(|n| format!("{}.{}.{}.0/24\n", 80 + n / 65_536, n / 256 % 256, n % 256))
        .collect();
    let started = Instant::now();
    let done = import(&prefixes);
    println!("100,000 prefixes took {:.1?}\n{done}", started.elapsed());

    filter.succeed(&format!("block add {SCANNER}"));
    assert!(!comes_through(SCANNER) && comes_through(PHONE));
    filter.detach();
    let started = Instant::now();
    attach();
    let took = started.elapsed();
    println!("attaching with both took {took:.1?}");
    assert!(!comes_through(SCANNER) && comes_through(PHONE));
    assert!(took < limit, "{took:?}");
    let refused = filter.attempt(&format!("attach -i {FILTERED}"));
    assert!(
        refused.stderr.contains("1,000,001 addresses are more than"),
        "{refused}"
    );
    assert!(!comes_through(SCANNER), "what was in force stays");
}
