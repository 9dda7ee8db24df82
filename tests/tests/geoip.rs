//! Countries and autonomous systems of sources, from databases of the operator's.

use std::{fs, path::PathBuf, time::Duration};

use serde_json::Value;
use sip_filter_tests::{
    configuration::Configuration,
    http::Client,
    messages::{REGISTER, SVMAP},
    mmdb::{self, Known},
    namespace::{Folder, Link, PHONE, SCANNER, SERVER},
    sip_filter::SipFilter,
};

const PATIENCE: Duration = Duration::from_secs(60);

/// Two databases, as they are published; one name in them would clear a terminal.
fn databases(folder: &Folder) -> [PathBuf; 2] {
    let files = ["country.mmdb", "asn.mmdb"].map(|name| folder.path().join(name));
    let [country, system] = &files;
    let networks = [
        (SCANNER, 32, Known::Country("NL")),
        (PHONE, 32, Known::Country("JP")),
        ("2001:db8::", 32, Known::Country("DE")),
    ];
    mmdb::write(country, &networks);
    let name = "Example Hosting \u{1b}[2J <B.V.> of many words";
    let systems = [
        (SCANNER, 32, Known::System(64_500, name)),
        (PHONE, 32, Known::System(4_200_000_001, "Example")),
    ];
    mmdb::write(system, &systems);
    files
}

fn send(link: &Link, from: &str, message: &[u8]) {
    let socket = link.outside.udp_socket(from);
    let sent = socket.send_to(message, (SERVER, 5060));
    sent.unwrap_or_else(|error| panic!("cannot send: {error}"));
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Country, number and name of a source among others.
fn place(sources: &Value, source: &str) -> [Value; 3] {
    let mut all = sources["sources"].as_array().into_iter().flatten();
    let found = all.find(|it| it["source"] == source);
    let found = found.unwrap_or_else(|| panic!("no {source} in {sources}"));
    ["country", "asn", "as_name"].map(|key| found[key].clone())
}

const SHOWN: &str = "Example Hosting \\u{1b}[2J <B.V.> of many words";

#[test]
fn sources_are_somewhere_where_there_are_databases() {
    let link = Link::new();
    let filter = SipFilter::new(&link.server);
    let folder = Folder::new();
    let [country, system] = databases(&folder);
    filter.attach("");
    send(&link, SCANNER, SVMAP);
    send(&link, PHONE, REGISTER);

    // Nobody says where they are, and so nobody knows.
    let unknown = [Value::Null, Value::Null, Value::Null];
    let stats = parsed(&filter.succeed("stats --format json"));
    assert_eq!(place(&stats, SCANNER), unknown);
    assert!(!filter.succeed("stats --by source").contains("country"));

    let options = format!("--geoip {} --geoip {}", country.display(), system.display());
    let stats = parsed(&filter.succeed(&format!("stats --format json {options}")));
    let known: [Value; 3] = ["NL".into(), 64_500.into(), SHOWN.into()];
    assert_eq!(place(&stats, SCANNER), known);
    let others: [Value; 3] = ["JP".into(), 4_200_000_001_u32.into(), "Example".into()];
    assert_eq!(place(&stats, PHONE), others);
    let table = filter.succeed(&format!("stats --by source --sort country {options}"));
    let at = |word: &str| {
        table
            .find(word)
            .unwrap_or_else(|| panic!("no {word}: {table}"))
    };
    assert!(at("JP") < at("NL"), "{table}");
    let csv = filter.succeed(&format!("stats --by source --format csv {options}"));
    assert!(
        csv.lines()
            .any(|line| line.ends_with(&format!(",NL,64500,{SHOWN}"))),
        "{csv}"
    );

    let event = filter.succeed(&format!("events {options}"));
    let event = parsed(&event);
    assert_eq!(
        ["country", "asn"].map(|key| &event[key]),
        [&known[0], &known[1]]
    );

    let refused = filter.attempt("stats --geoip /etc/hostname");
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        refused
            .stderr
            .contains("no database in the MaxMind DB format"),
        "{refused}"
    );
}

#[test]
fn what_is_configured_holds_for_whoever_reads() {
    let link = Link::new();
    let filter = SipFilter::new(&link.server);
    let folder = Folder::new();
    let [country, system] = databases(&folder);
    let configuration = Configuration::new(&format!(
        "geoip = ['{}', '{}']\n",
        country.display(),
        system.display()
    ));
    let mut run = filter.run(&configuration.option());
    send(&link, SCANNER, SVMAP);
    run.wait_until("the event was logged", PATIENCE, |it| {
        it.stderr().contains(&format!(
            "{SCANNER} (NL, AS64500 {SHOWN}) is seen with sipvicious"
        ))
    });
    let stats = parsed(&filter.succeed("stats --format json"));
    assert_eq!(place(&stats, SCANNER)[0], "NL");

    // A database that is gone is said, and takes nothing else with it.
    fs::remove_file(&country).unwrap_or_else(|error| panic!("{error}"));
    let read = filter.attempt("stats --format json").successful();
    assert!(read.stderr.contains("country.mmdb"), "{read}");
    assert_eq!(place(&parsed(&read.stdout), SCANNER)[0], Value::Null);
    let checked = filter.attempt(&format!(
        "config check {}",
        configuration.option().replace("--config ", "")
    ));
    assert_eq!(checked.status.code(), Some(1), "{checked}");
    assert!(checked.stderr.contains("`geoip`"), "{checked}");
    run.interrupt(PATIENCE).successful();
}

#[test]
fn a_reload_opens_what_has_taken_their_place_and_stays_with_the_old_ones_where_it_cannot() {
    let link = Link::new();
    let filter = SipFilter::new(&link.server);
    let folder = Folder::new();
    let [file, new] = ["country.mmdb", "new.mmdb"].map(|name| folder.path().join(name));
    // As geoipupdate does: a file that is written to would be one that is being read.
    let replace = || fs::rename(&new, &file).unwrap_or_else(|error| panic!("{error}"));
    let publish = |country: &'static str| {
        mmdb::write(&new, &[(SCANNER, 32, Known::Country(country))]);
        replace();
    };
    publish("NL");
    let configuration = Configuration::new(&format!("geoip = ['{}']\n", file.display()));
    let run = filter.run(&format!("{} --http 9060", configuration.option()));
    let client = Client::new(&link.server, "127.0.0.1:9060");
    client.wait();
    send(&link, SCANNER, SVMAP);
    let country = || {
        let stats = client.get("/api/v1/stats").json();
        let mut sources = stats["sources"].as_array().into_iter().flatten();
        let scanner = sources.find(|it| it["source"] == SCANNER);
        scanner.map(|it| it["country"].clone())
    };
    client.wait_until("it is in NL", || country() == Some("NL".into()));

    publish("FR");
    filter.succeed("reload");
    client.wait_until("it is in FR", || country() == Some("FR".into()));

    fs::write(&new, "no database").unwrap_or_else(|error| panic!("{error}"));
    replace();
    let reloaded = filter.attempt("reload").successful();
    assert!(reloaded.stderr.contains("country.mmdb"), "{reloaded}");
    // What is read from now on.
    send(&link, PHONE, REGISTER);
    client.wait_until("somebody else is there", || {
        client.get("/api/v1/stats").body.contains(PHONE)
    });
    assert_eq!(country(), Some("FR".into()));
    run.signal(libc::SIGHUP);
    client.wait_until("it was said in the log", || {
        run.stderr().contains("country.mmdb is no database")
    });
    run.interrupt(PATIENCE).successful();
}
