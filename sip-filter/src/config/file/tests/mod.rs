//! What the file says, and what the kernel gets of it.

mod mistakes;

use std::path::{Path, PathBuf};

use sip_filter_common::{
    rules::{Behaviour, Escalation, Limit, Rules, Threshold},
    sender::{HOST_BITS, USER_BITS},
    sip::MessageClass,
    sketch::bits_of,
};

use super::*;
use crate::config::configuration::{Entry, as_toml, limit_names};

/// The example that comes with the source.
const EXAMPLE: &str = include_str!("../../../../config.toml");

fn parsed(text: &str) -> Configuration {
    let (configuration, mistakes) = parse(text, Path::new("/etc/x/config.toml"));
    assert!(mistakes.is_empty(), "{}", Mistakes(mistakes));
    configuration
}

/// The example with all that is switched off in it.
fn whole_example() -> String {
    let is_setting = |text: &str| text.starts_with(|c: char| c.is_ascii_lowercase() || c == '[');
    let line = |line: &str| match line.strip_prefix('#') {
        Some(setting) if is_setting(setting) => format!("{setting}\n"),
        _ => format!("{line}\n"),
    };
    EXAMPLE.lines().map(line).collect()
}

#[test]
fn the_example_is_what_it_says() {
    let configuration = parsed(EXAMPLE);
    assert_eq!(configuration.interfaces.value, ["eth0"]);
    let rules = configuration.rules(0);
    assert_eq!(rules.uses, Rules::BEHAVIOURS);
    assert_eq!([rules.watched, rules.dropped], [0b11111, 0]);
    // Whatever is said to be a default is one.
    let default = Configuration::default();
    assert_eq!(rules.thresholds, default.rules(0).thresholds);
    assert_eq!(configuration.ports.value, default.ports.value);
    assert_eq!(configuration.sizes.bans.value, default.sizes.bans.value);
}

#[test]
fn every_key_is_in_the_example() {
    let example = whole_example();
    let rows = parsed(&example).rows();
    for row in &rows {
        let key = format!("{}.{}", row.table, row.key);
        assert!(row.origin.starts_with("/etc/x/config.toml:"), "{key}");
    }
    let of = |table: &str| rows.iter().filter(|row| row.table == table).count();
    assert_eq!(of(""), ROOT.len() - 7, "the tables are keys too");
    assert_eq!(of(SIZES), sizes::KEYS.len());
    assert_eq!(of(LISTS), lists::KEYS.len());
    assert_eq!(of("limit.sip"), limit::KEYS.len());
    assert_eq!(of("limit.REGISTER"), limit::KEYS.len());
    assert_eq!(of(ESCALATE), escalate::KEYS.len());
    assert_eq!(of(HISTORY), history::KEYS.len() - 1, "a table is a key too");
    assert_eq!(of("history.keep"), 4);
    assert_eq!(of(HTTP), http::KEYS.len());
    for behaviour in Behaviour::ALL {
        assert_eq!(of(&format!("behaviour.{}", behaviour.name())), 3);
    }
    for name in limit_names() {
        assert!(EXAMPLE.contains(name), "{name}");
    }
}

#[test]
fn what_is_shown_can_be_read() {
    for text in ["", EXAMPLE, &whole_example()] {
        let mut configuration = parsed(text);
        let shown = as_toml(&configuration.rows());
        let mut again = parsed(&shown);
        assert_eq!(again.rules(0), configuration.rules(0), "{shown}");
        for configuration in [&mut configuration, &mut again] {
            for row in configuration.rows() {
                assert!(shown.contains(&format!("{} = {}", row.key, row.value)));
            }
        }
    }
}

#[test]
fn what_is_written_is_what_the_kernel_gets() {
    let second = 1_000_000_000;
    let configuration = parsed(
        "ports = [5060, \"5070-5080\"]\n\
         drop = \"scanners\"\n\
         signatures = [\"own.toml\", \"/srv/more.toml\"]\n\
         lists = { action = \"count\", allow = \"192.0.2.0/24\", block_files = [\"b.txt\"] }\n\
         [limit.sip]\nrate = 1000\n\
         [limit.REGISTER]\nrate = 10\nburst = 20\naction = \"count\"\n\
         [limit.OTHER]\nrate = 1\nper = \"1m\"\n\
         [behaviour.enumeration]\nusers = 50\n\
         [behaviour.address-sweep]\naddresses = 0x10\naction = \"drop\"\n\
         [escalate]\nafter = 5\nwithin = \"1m\"\nfor = \"2h\"\nby = \"signature\"\n\
         [history]\nfile = \"h.sqlite\"\nmax_size = \"96M\"\nsources = 50\n\
         keep = { minutes = \"12h\", days = \"forever\", months = \"3y\" }\n",
    );
    assert_eq!(configuration.ports.value.to_string(), "5060,5070-5080");
    assert_eq!(configuration.drop.value.to_string(), "scanners");
    let files = ["/etc/x/own.toml", "/srv/more.toml"].map(PathBuf::from);
    assert_eq!(configuration.signatures.value, files);
    let lists = &configuration.lists;
    let prefix = "192.0.2.0/24".parse().unwrap();
    assert_eq!(lists.allow.value, [Entry { prefix, line: 4 }]);
    assert_eq!(lists.block_files.value, [PathBuf::from("/etc/x/b.txt")]);

    let rules = configuration.rules(9);
    assert_eq!(rules.seed, 9);
    assert_eq!(rules.block_drops, 0);
    let limit = |interval, burst: u64, drops| Limit {
        interval,
        tolerance: (burst - 1) * interval,
        drops,
    };
    assert_eq!(rules.limits[0], limit(second / 1_000, 1_000, 1));
    let of = |class: MessageClass| rules.limits[1 + class as usize];
    assert_eq!(of(MessageClass::Register), limit(second / 10, 20, 0));
    assert_eq!(of(MessageClass::Other), limit(60 * second, 1, 1));
    assert_eq!(of(MessageClass::Invite), Limit::NONE);

    let [enumeration, sweep] = [Behaviour::Enumeration, Behaviour::AddressSweep];
    assert_eq!(rules.watched, enumeration.bit() | sweep.bit());
    assert_eq!(rules.dropped, sweep.bit());
    let threshold = |behaviour: Behaviour| rules.thresholds[behaviour as usize];
    let window = |seconds: u64| ((seconds * second) >> 20) as u32;
    let expected = |seconds, count| Threshold {
        window: window(seconds),
        count,
    };
    assert_eq!(
        threshold(enumeration),
        expected(300, bits_of(50, USER_BITS))
    );
    assert_eq!(threshold(sweep), expected(60, bits_of(16, HOST_BITS)));
    assert_eq!(threshold(Behaviour::Flood), expected(10, 1_000));
    let history = &configuration.history;
    let file = PathBuf::from("/etc/x/h.sqlite");
    assert_eq!(history.file.value, Some(file));
    assert_eq!(history.max_size.value.bytes(), 96 << 20);
    assert_eq!(history.sources.value, 50);
    let kept = history.keep().map(|(_, keep)| keep.value.to_string());
    assert_eq!(kept, ["12h", "60d", "forever", "3y"]);
    let escalation = Escalation {
        after: 5,
        within: window(60),
        length: 7_200 * second,
        by: Escalation::BY_SIGNATURE,
        drops: 1,
    };
    assert_eq!(rules.escalation, escalation);
}

#[test]
fn the_token_lies_beside_the_file() {
    let http = parsed("[http]\nlisten = \"192.0.2.10:9060\"\ntoken_file = \"token\"").http;
    let listen = http.listen.value.map(|listen| listen.to_string());
    assert_eq!(listen.as_deref(), Some("192.0.2.10:9060"));
    let file = http.token_file.value;
    assert_eq!(file.as_deref(), Some(Path::new("/etc/x/token")));
}

#[test]
fn a_behaviour_does_what_is_said_nearest_to_it() {
    let all = 0b11111;
    let flood = Behaviour::Flood.bit();
    for (text, watched, dropped) in [
        ("", 0, 0),
        ("[behaviour]", 0, 0),
        ("[behaviour]\naction = \"count\"", all, 0),
        ("[behaviour]\naction = \"drop\"", all, all),
        ("[behaviour.flood]", flood, 0),
        ("[behaviour.flood]\naction = \"drop\"", flood, flood),
        ("[behaviour.flood]\naction = \"off\"", 0, 0),
        ("[behaviour]\naction = \"off\"\n[behaviour.flood]", 0, 0),
        (
            "[behaviour]\naction = \"drop\"\nflood.action = \"count\"",
            all,
            all & !flood,
        ),
        (
            "[behaviour]\naction = \"drop\"\nflood.action = \"off\"",
            all & !flood,
            all & !flood,
        ),
    ] {
        let rules = parsed(text).rules(0);
        assert_eq!([rules.watched, rules.dropped], [watched, dropped], "{text}");
    }
}
