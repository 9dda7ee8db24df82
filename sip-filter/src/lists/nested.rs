//! Blocked prefixes within one another. The program looks behind [`NESTED`] of them that have expired,
//! and no further: so each prefix that is this deep, twice this deep and so on has the expiry that the
//! last of those around it has, and who looks at one of them need not look behind it.

use std::collections::HashSet;

use sip_filter_common::{
    abi::Address,
    lists::{MAPPED, NESTED, Prefix},
};

use super::{List, Rule};

/// Gives the deep ones of all prefixes that there are the expiry that stands for those around them.
pub fn resolve(rules: &mut [Rule]) {
    if rules.iter().all(|rule| rule.until.is_none()) {
        return;
    }
    let mut deep = Vec::new();
    walk(rules, |at, depth, until| {
        if depth.is_multiple_of(NESTED) {
            deep.push((at, until));
        }
    });
    for (at, until) in deep {
        rules[at].until = until;
    }
}

/// Those of all prefixes that there are whose expiry may stand for others', or has until these were
/// touched.
pub fn deep(rules: &[Rule], touched: &[Prefix]) -> HashSet<Prefix> {
    let known: HashSet<_> = rules.iter().map(|rule| rule.prefix).collect();
    let gone = touched.iter().filter(|prefix| !known.contains(prefix));
    let gone = gone.map(|prefix| Rule {
        prefix: *prefix,
        lists: List::Block.bit(),
        until: None,
    });
    let both: Vec<_> = rules.iter().copied().chain(gone).collect();
    let mut deep = HashSet::new();
    walk(&both, |at, depth, _| {
        if depth >= NESTED && known.contains(&both[at].prefix) {
            deep.insert(both[at].prefix);
        }
    });
    deep
}

/// Says of each blocked prefix, by its place, how many there are from the outermost to it, and when the
/// last of these expires.
fn walk(rules: &[Rule], mut visit: impl FnMut(usize, usize, Option<u64>)) {
    let blocked = |at: &usize| !rules[*at].is_host() && rules[*at].is_in(List::Block);
    // `::/0` is not around an IPv4 address.
    let (of_4, of_6): (Vec<_>, Vec<_>) = (0..rules.len())
        .filter(blocked)
        .partition(|at| is_ipv4(&rules[*at].prefix));
    for mut family in [of_4, of_6] {
        family.sort_unstable_by_key(|at| (rules[*at].prefix.octets, rules[*at].prefix.length));
        let mut around: Vec<(Prefix, Option<u64>)> = Vec::new();
        for at in family {
            let Rule { prefix, until, .. } = rules[at];
            while around
                .last()
                .is_some_and(|(outer, _)| !covers(outer, &prefix))
            {
                around.pop();
            }
            let until = match around.last() {
                Some((_, outer)) => until.zip(*outer).map(|(inner, outer)| inner.max(outer)),
                None => until,
            };
            around.push((prefix, until));
            visit(at, around.len(), until);
        }
    }
}

fn is_ipv4(prefix: &Prefix) -> bool {
    prefix.length >= MAPPED && Address::from_octets(prefix.octets).is_ipv4()
}

fn covers(outer: &Prefix, inner: &Prefix) -> bool {
    let [a, b] = [outer, inner].map(|prefix| u128::from_be_bytes(prefix.octets));
    let counted = !u128::MAX.checked_shr(outer.length).unwrap_or(0);
    outer.length <= inner.length && (a ^ b) & counted == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A blocked prefix, as it is written, and when it ends.
    fn rule(prefix: &str, until: Option<u64>) -> Rule {
        let prefix: crate::config::prefix::Prefix = prefix.parse().unwrap();
        Rule {
            prefix: prefix.to_abi(),
            lists: List::Block.bit(),
            until,
        }
    }

    /// As many around one another as there can be, each of which ends before the ones around it do.
    fn chain(of: &str, lengths: std::ops::Range<u32>) -> Vec<Rule> {
        let rules =
            lengths.map(|length| rule(&format!("{of}/{length}"), Some(1000 - u64::from(length))));
        rules.collect()
    }

    #[test]
    fn every_eighth_of_nested_prefixes_stands_for_those_around_it() {
        for (of, lengths) in [("0.0.0.0", 0..32), ("::", 0..32)] {
            let written = chain(of, lengths);
            let mut rules = written.clone();
            // No order is asked for, and what is around the other family is not around these.
            rules.push(rule("::/0", None));
            rules.rotate_right(5);
            let own_root = rules.iter().position(|rule| rule.until.is_none());
            if of == "::" {
                rules.remove(own_root.unwrap());
            }
            resolve(&mut rules);
            for (number, before) in (1..).zip(&written) {
                let resolved = rules
                    .iter()
                    .find(|rule| rule.prefix == before.prefix)
                    .unwrap();
                let expected = match number % NESTED {
                    0 => Some(1000),
                    _ => before.until,
                };
                assert_eq!(resolved.until, expected, "{of}, number {number}");
            }
        }
    }

    #[test]
    fn one_that_never_ends_holds_for_all_within_it_and_for_no_other() {
        let mut rules = chain("10.0.0.0", 9..17);
        rules[0].until = None;
        rules.push(rule("10.128.0.0/9", Some(7)));
        rules.push(rule("192.0.2.0/24", Some(7)));
        let written = rules.clone();
        resolve(&mut rules);
        assert_eq!(rules[7].until, None);
        rules[7].until = written[7].until;
        assert_eq!(rules, written);
    }

    #[test]
    fn what_was_deep_until_another_went_is_deep() {
        let rules = chain("10.0.0.0", 9..16);
        assert!(deep(&rules, &[]).is_empty());
        let outer = rule("10.0.0.0/8", None).prefix;
        let expected = HashSet::from([rules[6].prefix]);
        assert_eq!(deep(&rules, &[outer]), expected);
        let elsewhere = rule("192.0.2.0/24", None).prefix;
        assert!(deep(&rules, &[elsewhere]).is_empty());
    }
}
