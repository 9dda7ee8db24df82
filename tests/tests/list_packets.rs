//! Allow lists and block lists in the kernel (BPF_PROG_TEST_RUN, which needs root): what becomes of a
//! packet by what the lists say of its source.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    thread,
    time::Duration,
};

use sip_filter::{
    config::prefix::Prefix,
    lists::{List, Lists, Rule, now_ms},
};
use sip_filter_common::{lists::Listed, rules::Rules, verdict::Outcome};
use sip_filter_tests::{
    kernel::{Counted, Policy, Program},
    messages,
    mutation::Random,
    packet::Frame,
};

/// The default of `--ports`.
const PORTS: &str = "5060-5100,6060";
/// Longer ago than any test takes.
const LONG_AGO: Option<u64> = Some(1);

/// Rules as words: `allow 192.0.2.7`, `block 192.0.2.0/24`, `expired 192.0.2.0/24`.
fn rules(words: &[&str]) -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::new();
    for line in words {
        let (word, prefix) = line.split_once(' ').unwrap_or((line, ""));
        let prefix = prefix.parse::<Prefix>();
        let prefix = prefix.unwrap_or_else(|error| panic!("{line}: {error:#}"));
        let (list, until) = match word {
            "allow" => (List::Allow, None),
            "block" => (List::Block, None),
            "expired" => (List::Block, LONG_AGO),
            _ => panic!("{line} is no rule"),
        };
        let rule = Rule {
            prefix: prefix.to_abi(),
            lists: list.bit(),
            until,
        };
        match rules.iter_mut().find(|known| known.prefix == rule.prefix) {
            Some(known) => {
                known.lists |= rule.lists;
                known.until = known.until.or(until);
            }
            None => rules.push(rule),
        }
    }
    rules
}

fn program(drop: &str, rules: Vec<Rule>, block_drops: u32) -> Program {
    let policy = Policy::new(drop, PORTS)
        .with_rules(Rules {
            block_drops,
            ..Rules::NONE
        })
        .with_lists(Lists {
            generation: 1,
            rules,
        });
    Program::load_as(policy, false)
}

/// What becomes of a packet from there.
fn outcome(program: &Program, source: IpAddr, payload: &[u8]) -> Outcome {
    let to = match source {
        IpAddr::V4(_) => "192.0.2.10",
        IpAddr::V6(_) => "2001:db8::10",
    };
    let frame = Frame::to(to).from(&source.to_string()).payload(payload);
    let before = program.totals();
    let action = program.run(&frame.bytes());
    let (counted, _) = Counted::between(&before, &program.totals());
    let Counted::Datagram { outcome, .. } = counted else {
        panic!("{source}: counted as {counted:?}");
    };
    assert_eq!(action, counted.action(), "{source}");
    outcome
}

/// What it is, the rules as words, and what becomes of packets from where.
type Case<'a> = (&'a str, &'a [&'a str], &'a [(&'a str, Outcome)]);

#[test]
fn who_is_listed_is_allowed_or_blocked() {
    use Outcome::{Allowed, Blocked, Passed};
    let nested: Vec<String> = (25..=31)
        .map(|n| format!("expired 192.0.2.0/{n}"))
        .collect();
    let mut nested: Vec<&str> = nested.iter().map(String::as_str).collect();
    nested.push("block 192.0.2.0/24");
    let deeply: Vec<String> = (2..=31)
        .map(|n| format!("expired 128.0.0.0/{n}"))
        .chain((4..=125).map(|n| format!("expired 2000::/{n}")))
        .collect();
    let mut deeply: Vec<&str> = deeply.iter().map(String::as_str).collect();
    deeply.extend(["block 128.0.0.0/1", "block 2000::/3"]);
    let table: &[Case] = &[
        ("nothing is listed", &[], &[("192.0.2.7", Passed)]),
        (
            "a blocked address",
            &["block 192.0.2.7"],
            &[
                ("192.0.2.7", Blocked),
                ("192.0.2.8", Passed),
                ("2001:db8::7", Passed),
            ],
        ),
        (
            "a blocked prefix",
            &["block 192.0.2.0/24", "block 2001:db8::/48"],
            &[
                ("192.0.2.255", Blocked),
                ("192.0.3.0", Passed),
                ("2001:db8::7", Blocked),
                ("2001:db8:1::7", Passed),
            ],
        ),
        (
            "an allowed address in a blocked prefix",
            &["allow 192.0.2.7", "block 192.0.2.0/24"],
            &[("192.0.2.7", Allowed), ("192.0.2.8", Blocked)],
        ),
        (
            "a blocked address in an allowed prefix",
            &["block 192.0.2.7", "allow 192.0.2.0/24"],
            &[
                ("192.0.2.7", Allowed),
                ("192.0.2.8", Allowed),
                ("192.0.3.7", Passed),
            ],
        ),
        (
            "a long blocked prefix in a short allowed one",
            &["allow 10.0.0.0/8", "block 10.1.2.0/24"],
            &[("10.1.2.3", Allowed), ("11.0.0.0", Passed)],
        ),
        (
            "an address in both lists",
            &["block 2001:db8::7", "allow 2001:db8::7"],
            &[("2001:db8::7", Allowed)],
        ),
        (
            "a prefix in both lists",
            &["block 192.0.2.0/24", "allow 192.0.2.0/24"],
            &[("192.0.2.7", Allowed)],
        ),
        (
            "what has expired",
            &["expired 192.0.2.7", "expired 198.51.100.0/24"],
            &[("192.0.2.7", Passed), ("198.51.100.7", Passed)],
        ),
        (
            "an address that has expired, in a prefix that has not",
            &["expired 192.0.2.7", "block 192.0.2.0/24"],
            &[("192.0.2.7", Blocked)],
        ),
        (
            "a long prefix that has expired, in a short one that has not",
            &["expired 192.0.2.0/28", "block 192.0.0.0/16"],
            &[("192.0.2.7", Blocked), ("192.0.3.7", Blocked)],
        ),
        (
            "several that have expired, in one another",
            &nested,
            &[("192.0.2.1", Blocked), ("192.0.2.200", Blocked)],
        ),
        (
            "all that can have expired in one another",
            &deeply,
            &[
                ("128.0.0.1", Blocked),
                ("128.0.255.1", Blocked),
                ("192.0.2.1", Blocked),
                ("2000::1", Blocked),
                ("2001:db8::1", Blocked),
                ("127.0.0.1", Passed),
            ],
        ),
        (
            "all that can have expired in one another, and nothing else",
            &deeply[..deeply.len() - 2],
            &[("128.0.0.1", Passed), ("2000::1", Passed)],
        ),
        (
            "an allowed address that was blocked once",
            &["expired 192.0.2.7", "allow 192.0.2.7"],
            &[("192.0.2.7", Allowed)],
        ),
        (
            "all of IPv6, which is nothing of IPv4",
            &["block ::/0"],
            &[("2001:db8::7", Blocked), ("192.0.2.7", Passed)],
        ),
        (
            "all of IPv4, which is nothing of IPv6",
            &["block 0.0.0.0/0"],
            &[("192.0.2.7", Blocked), ("2001:db8::7", Passed)],
        ),
        (
            "all of both, but for one",
            &[
                "block 0.0.0.0/0",
                "block ::/0",
                "allow 192.0.2.7",
                "allow 2001:db8::/64",
            ],
            &[
                ("192.0.2.7", Allowed),
                ("192.0.2.8", Blocked),
                ("2001:db8::9", Allowed),
                ("2001:db9::9", Blocked),
            ],
        ),
    ];
    for (what, words, expected) in table {
        for (block_drops, blocked) in [(1, Blocked), (0, Outcome::WouldBlock)] {
            let program = program("nothing", rules(words), block_drops);
            for (source, wanted) in *expected {
                let address = source.parse().unwrap_or_else(|_| panic!("{source}"));
                let wanted = if *wanted == Blocked { blocked } else { *wanted };
                let found = outcome(&program, address, messages::INVITE);
                assert_eq!(found, wanted, "{what}: {source}");
            }
        }
    }
}

#[test]
fn lists_come_before_signatures_and_options() {
    let words = ["allow 192.0.2.7", "block 192.0.2.8", "expired 192.0.2.9"];
    let program = program("scanners,options,malformed", rules(&words), 1);
    for (source, payload, expected) in [
        ("192.0.2.7", messages::SVMAP, Outcome::Allowed),
        ("192.0.2.7", messages::QUALIFY, Outcome::Allowed),
        ("192.0.2.7", messages::RTP, Outcome::Allowed),
        ("192.0.2.8", messages::SVMAP, Outcome::Blocked),
        ("192.0.2.8", messages::OK, Outcome::Blocked),
        ("192.0.2.8", messages::ZERO, Outcome::Blocked),
        ("192.0.2.9", messages::SVMAP, Outcome::Signature),
        ("192.0.2.9", messages::INVITE, Outcome::Passed),
    ] {
        let address = source.parse().unwrap_or_else(|_| panic!("{source}"));
        assert_eq!(outcome(&program, address, payload), expected, "{source}");
    }
}

#[test]
fn a_block_ends_by_itself() {
    let mut rules = rules(&["block 192.0.2.7", "block 198.51.100.0/24"]);
    let until = now_ms() + 4000;
    for rule in &mut rules {
        rule.until = Some(until);
    }
    let program = program("nothing", rules, 1);
    for source in ["192.0.2.7", "198.51.100.9"] {
        let address = source.parse().unwrap_or_else(|_| panic!("{source}"));
        let blocked = || outcome(&program, address, messages::INVITE) == Outcome::Blocked;
        if now_ms() < until {
            // Loading may have taken long on a slow machine.
            let was_blocked = blocked();
            assert!(was_blocked || now_ms() >= until, "{source}");
        }
        while now_ms() < until + 50 {
            thread::sleep(Duration::from_millis(20));
        }
        assert!(!blocked(), "{source} is blocked after it ended");
    }
}

/// Rules and sources that have much in common, against a look at each rule.
#[test]
fn what_the_maps_say_is_what_the_rules_say() {
    let mut random = Random::new(4);
    for round in 0..6 {
        let mut rules: Vec<Rule> = Vec::new();
        for _ in 0..400 {
            let address = address(&mut random);
            let bits = if address.is_ipv4() { 32 } else { 128 };
            let length = match random.below(3) {
                0 => bits,
                _ => random.below(bits as usize + 1) as u32,
            };
            // Short ones would leave nothing to find out.
            let length = if length < 6 { bits } else { length };
            let prefix = prefix(address, length);
            let lists = [Listed::BLOCKED, Listed::BLOCKED, Listed::ALLOWED, 3][random.below(4)];
            let until = [None, LONG_AGO][random.below(2)];
            if rules.iter().all(|rule| rule.prefix != prefix.to_abi()) {
                rules.push(Rule {
                    prefix: prefix.to_abi(),
                    lists,
                    until,
                });
            }
        }
        let program = program("nothing", rules.clone(), 1);
        for _ in 0..400 {
            let source = address(&mut random);
            let covers = |rule: &&Rule| {
                let length = rule.prefix.length;
                let bits = if source.is_ipv4() { 96 } else { 0 };
                let of_source = prefix(source, length.saturating_sub(bits));
                length >= bits && of_source.to_abi() == rule.prefix
            };
            let covering: Vec<_> = rules.iter().filter(covers).collect();
            let expected = if covering.iter().any(|rule| rule.is_in(List::Allow)) {
                Outcome::Allowed
            } else if covering
                .iter()
                .any(|rule| rule.is_in(List::Block) && rule.until.is_none())
            {
                Outcome::Blocked
            } else {
                Outcome::Passed
            };
            let found = outcome(&program, source, messages::INVITE);
            assert_eq!(found, expected, "round {round}: {source}, {covering:?}");
        }
    }
}

/// An address of few.
fn address(random: &mut Random) -> IpAddr {
    let few = |random: &mut Random| [0_u8, 1, 128, 255][random.below(4)];
    if random.below(2) == 0 {
        let mut octets = [0; 4];
        octets.fill_with(|| few(random));
        // 0.0.0.0/8 and 224.0.0.0/4 are as good as others: nothing routes here.
        return Ipv4Addr::from(octets).into();
    }
    let mut octets = [0; 16];
    octets[0] = 0x20;
    for at in [1, 2, 3, 4, 15] {
        octets[at] = few(random);
    }
    Ipv6Addr::from(octets).into()
}

/// The prefix of so many bits that covers an address.
fn prefix(address: IpAddr, length: u32) -> Prefix {
    let network: IpAddr = match address {
        IpAddr::V4(address) => {
            let kept = u32::MAX.checked_shl(32 - length).unwrap_or(0);
            Ipv4Addr::from_bits(address.to_bits() & kept).into()
        }
        IpAddr::V6(address) => {
            let kept = u128::MAX.checked_shl(128 - length).unwrap_or(0);
            Ipv6Addr::from_bits(address.to_bits() & kept).into()
        }
    };
    let text = format!("{network}/{length}");
    text.parse()
        .unwrap_or_else(|error| panic!("{text}: {error:#}"))
}
