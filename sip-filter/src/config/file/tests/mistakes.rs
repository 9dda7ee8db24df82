//! What is wrong with a file, and what is said of it.

use std::path::Path;

use super::super::{Mistakes, parse};

#[test]
fn mistakes_name_file_line_key_and_what_was_meant() {
    for (text, line, said) in [
        (
            "\ninterface = [\"eth0\"]",
            2,
            "no key `interface`; do you mean `interfaces`?",
        ),
        (
            "interfaces = [\"a\", \"a\"]",
            1,
            "`interfaces` names a twice",
        ),
        (
            "interfaces = [\"a\",\n\"b/c\"]",
            2,
            "`interfaces`: an interface's name has",
        ),
        (
            "interfaces = 1",
            1,
            "`interfaces` is a list of texts: interfaces = [",
        ),
        (
            "mode = \"navite\"",
            1,
            "`mode`: there is no mode `navite`; do you mean `native`?",
        ),
        ("mode = 1", 1, "`mode` is a text: mode = \"auto\""),
        (
            "group = \"no-such\"",
            1,
            "`group`: there is no group `no-such`; `groupadd",
        ),
        ("ports = 70000", 1, "`ports`: there is no port 70000"),
        (
            "ports = 5060.5",
            1,
            "`ports` is a text, or a list of numbers",
        ),
        (
            "drop = [\"scaners\"]",
            1,
            "`drop`: `scaners` cannot be dropped; do you mean `scanners`?",
        ),
        (
            "sources = 1024",
            1,
            "no key `sources`; there are interfaces, mode",
        ),
        ("[sises]", 1, "no key `sises`; do you mean `sizes`?"),
        ("sizes = 3", 1, "`sizes` is a table: write [sizes]"),
        (
            "[sizes]\nsource = 4096",
            2,
            "no key `sizes.source`; do you mean `sources`?",
        ),
        (
            "[sizes]\nsources = 1",
            2,
            "`sizes.sources` is a whole number from 1,024 to 16,777,216, and not 1",
        ),
        (
            "[sizes]\nlists = \"1\"",
            2,
            "`sizes.lists` is a whole number from 1 to 16,777,216, and not \"1\"",
        ),
        ("[sizes]\nbans = -1", 2, "`sizes.bans` is a whole number"),
        (
            "[sizes]\ndrop = []",
            2,
            "no key `sizes.drop`; `drop` stands before the first [table]",
        ),
        (
            "[lists]\nallow = [\"192.0.2.7/24\"]",
            2,
            "`lists.allow`: `192.0.2.7/24` has bits set",
        ),
        (
            "[lists]\naction = \"off\"",
            2,
            "`lists.action` cannot be `off`; there are count, drop",
        ),
        (
            "[lists]\nallow_files = \"\"",
            2,
            "`lists.allow_files`: a file has a name",
        ),
        (
            "[limit.register]\nrate = 1",
            1,
            "no key `limit.register`; do you mean `REGISTER`?",
        ),
        (
            "[limit.INVIET]\nrate = 1",
            1,
            "no key `limit.INVIET`; do you mean `INVITE`?",
        ),
        (
            "[limit]\nrate = 1",
            2,
            "no key `limit.rate`; there are sip, REGISTER",
        ),
        ("[limit.sip]\nburst = 1", 1, "`limit.sip` lacks `rate`"),
        (
            "[limit.sip]\nrate = 0",
            2,
            "`limit.sip.rate` is a whole number from 1 to 10,000,000, and not 0",
        ),
        (
            "[limit.sip]\nrate = 10\nper = \"0s\"",
            3,
            "`limit.sip.per`: `0s` is no time at all",
        ),
        (
            "[limit.sip]\nrate = 10\nper = \"2d\"",
            3,
            "`limit.sip.per` is from 100ms to 1d, and not 2d",
        ),
        (
            "[limit.sip]\nrate = 9000000\nper = \"100ms\"",
            2,
            "more than 10,000,000 a second",
        ),
        (
            "[limit.sip]\nrate = 1\nper = \"1h\"\nburst = 200",
            4,
            "`limit.sip.burst`: at this rate so many take more than 7d",
        ),
        (
            "[limit.sip]\nrate = 1\nbrust = 2",
            3,
            "no key `limit.sip.brust`; do you mean `burst`?",
        ),
        (
            "[behaviour.portsweep]",
            1,
            "no key `behaviour.portsweep`; do you mean `port-sweep`?",
        ),
        (
            "[behaviour]\naction = \"block\"",
            2,
            "`behaviour.action` cannot be `block`; there are off, count, drop",
        ),
        (
            "[behaviour.flood]\nports = 5",
            2,
            "no key `behaviour.flood.ports`; there are action, requests, within",
        ),
        (
            "[behaviour.enumeration]\nusers = 5000",
            2,
            "from 2 to 1,500, and not 5000",
        ),
        (
            "[behaviour.password-guessing]\nattempts = 255",
            2,
            "from 2 to 254, and not 255",
        ),
        (
            "[behaviour.flood]\nwithin = \"8d\"",
            2,
            "`behaviour.flood.within` is from 100ms to 7d, and not 8d",
        ),
        (
            "[behaviour.flood]\nwithin = 10",
            2,
            "`behaviour.flood.within` is a text: within = \"10s\"",
        ),
        ("[escalate]\nfor = \"1h\"", 1, "`escalate` lacks `after`"),
        (
            "[escalate]\nafter = 5\nby = []",
            3,
            "`escalate.by` is empty",
        ),
        (
            "[escalate]\nafter = 5\nby = [\"limit\"]",
            3,
            "`escalate.by`: `limit` does not count; there are signature, behaviour",
        ),
        (
            "[escalate]\nafter = 5\nby = [\"behaviour\"]",
            3,
            "none is watched; set `behaviour.action`",
        ),
        (
            "[history]\nfiel = \"h\"",
            2,
            "no key `history.fiel`; do you mean `file`?",
        ),
        (
            "[history]\nfile = \"\"",
            2,
            "`history.file`: a file has a name",
        ),
        (
            "[history]\nmax_size = \"1M\"",
            2,
            "`history.max_size` is 64M at least, and not 1M",
        ),
        (
            "[history]\nmax_size = 500",
            2,
            "`history.max_size` is a text",
        ),
        (
            "[history]\nsources = 200000",
            2,
            "`history.sources` is a whole number from 0 to 100,000",
        ),
        (
            "[history]\nkeep.days = \"long\"",
            2,
            "`history.keep.days`: `long` does not say how long",
        ),
        (
            "[history.keep]\nweeks = \"1y\"",
            2,
            "no key `history.keep.weeks`",
        ),
        (
            "mode = \"auto\"\nmode = \"skb\"",
            2,
            "duplicate key: `mode`",
        ),
        ("mode = auto", 1, "must be quoted"),
        (
            "[http]\nlisten = \"example.org:80\"",
            2,
            "`http.listen`: `example.org:80` is no address",
        ),
        (
            "[http]\nlisten = 9060",
            2,
            "`http.listen` is a text: listen = \"127.0.0.1:9060\"",
        ),
        (
            "[http]\nlisten = \"0.0.0.0:9060\"",
            2,
            "set `http.token_file`",
        ),
        (
            "[http]\ntoken = \"a\"",
            2,
            "no key `http.token`; there are listen, token_file",
        ),
        ("[sizes\n", 1, "expected"),
    ] {
        let (_, mistakes) = parse(text, Path::new("/etc/x/config.toml"));
        let all = Mistakes(mistakes.clone()).to_string();
        assert!(
            all.starts_with(&format!("/etc/x/config.toml:{line}: ")),
            "{text}: {all}"
        );
        assert!(all.contains(said), "{text}: {all}");
        assert_eq!(mistakes.len(), 1, "{text}: {all}");
    }
}

#[test]
fn all_mistakes_are_told_in_the_order_of_lines() {
    let text = "mod = 1\n[limit.sip]\nrat = 1\n[escalate]\nafter = -1\n[sizes]\nbans = 0\n";
    let (_, mistakes) = parse(text, Path::new("c.toml"));
    let lines: Vec<_> = mistakes.iter().map(|mistake| mistake.line).collect();
    assert_eq!(lines, [1, 2, 3, 5, 7]);
}
