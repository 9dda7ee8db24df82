//! What is in force beyond names, as the kernel has it: limits, behaviours, escalation.

use serde::Serialize;
use sip_filter_common::rules::{Behaviour, Escalation, Rules, TICK_BITS};

use crate::{
    config::{
        configuration::{BY, limit_names},
        span::Span,
    },
    number::thousands,
};

/// A limit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InForceLimit {
    /// The method that it is for, or `sip`.
    pub limit: &'static str,
    /// Packets a second.
    pub rate: f64,
    /// How many may come at once.
    pub burst: u64,
    /// `drop` or `count`.
    pub action: &'static str,
}

/// A behaviour that is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct InForceBehaviour {
    /// Its name.
    pub behaviour: &'static str,
    /// `drop` or `count`.
    pub action: &'static str,
}

/// When a source is blocked for what it sends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InForceEscalation {
    /// After so many packets.
    pub after: u32,
    /// Within so many seconds.
    pub within: u64,
    /// For so many seconds.
    #[serde(rename = "for")]
    pub length: u64,
    /// Which packets count.
    pub by: Vec<&'static str>,
    /// `drop` or `count`.
    pub action: &'static str,
    /// How many sources are blocked now.
    pub blocked: u64,
    /// How many may be at once.
    pub at_most: u32,
    /// How many times one was since the filter was first attached.
    pub times: u64,
}

/// What is done with what a rule meets.
const fn action(drops: bool) -> &'static str {
    if drops { "drop" } else { "count" }
}

/// The limits.
pub(super) fn limits(rules: &Rules) -> Vec<InForceLimit> {
    let limits = limit_names().into_iter().zip(&rules.limits);
    limits
        .filter(|(_, limit)| limit.interval != 0)
        .map(|(name, limit)| InForceLimit {
            limit: name,
            rate: 1e9 / limit.interval as f64,
            burst: limit.tolerance / limit.interval + 1,
            action: action(limit.drops != 0),
        })
        .collect()
}

/// The behaviours that are looked for.
pub(super) fn behaviours(rules: &Rules) -> Vec<InForceBehaviour> {
    let watched = Behaviour::ALL.into_iter();
    watched
        .filter(|behaviour| rules.watched & behaviour.bit() != 0)
        .map(|behaviour| InForceBehaviour {
            behaviour: behaviour.name(),
            action: action(rules.dropped & behaviour.bit() != 0),
        })
        .collect()
}

/// Escalation, where it is on, with how many are `blocked` now of `at_most`, and how many `times` one
/// was.
pub(super) fn escalation(
    rules: &Rules,
    blocked: u64,
    at_most: u32,
    times: u64,
) -> Option<InForceEscalation> {
    let Escalation {
        after,
        within,
        length,
        by,
        drops,
    } = rules.escalation;
    (after != 0).then(|| InForceEscalation {
        after,
        within: (u64::from(within) << TICK_BITS).div_ceil(1_000_000_000),
        length: length.div_ceil(1_000_000_000),
        by: (BY.into_iter())
            .filter(|(_, bit)| by & bit != 0)
            .map(|(name, _)| name)
            .collect(),
        action: action(drops != 0),
        blocked,
        at_most,
        times,
    })
}

impl InForceLimit {
    /// In words: `REGISTER 10 a second, 20 at once (drop)`.
    pub fn in_words(&self) -> String {
        // As exact as an interval of whole nanoseconds says it.
        let rate = (self.rate * 1000.0).round() / 1000.0;
        format!(
            "{} {rate} a second, {} at once ({})",
            self.limit,
            thousands(self.burst),
            self.action
        )
    }
}

impl InForceEscalation {
    /// In words: `after 5 in 10m by signature, for 1h (drop); 0 of at most 16,384 blocked now, 3 in all`.
    pub fn in_words(&self) -> String {
        format!(
            "after {} in {} by {}, for {} ({}); {} of at most {} blocked now, {} in all",
            thousands(self.after.into()),
            Span::from_secs(self.within),
            self.by.join(" or "),
            Span::from_secs(self.length),
            self.action,
            thousands(self.blocked),
            thousands(self.at_most.into()),
            thousands(self.times)
        )
    }
}

/// What is dropped, in words: `dropping scanners, options`, or that nothing is. `drop` are the names
/// that `--drop` takes; `blocks` whether anybody is in the block list.
pub fn policy(drop: &[&str], rules: &Rules, blocks: bool) -> String {
    let mut dropped: Vec<_> = drop.iter().map(|name| (*name).to_owned()).collect();
    if blocks && rules.block_drops != 0 {
        dropped.push("blocked sources".to_owned());
    }
    if rules.limits.iter().any(|limit| limit.drops != 0) {
        dropped.push("what is over a limit".to_owned());
    }
    let behaviours = behaviours(rules).into_iter();
    let behaviours = behaviours.filter(|behaviour| behaviour.action == action(true));
    dropped.extend(behaviours.map(|behaviour| behaviour.behaviour.to_owned()));
    if rules.escalation.after != 0 && rules.escalation.drops != 0 {
        dropped.push("escalated sources".to_owned());
    }
    match dropped.as_slice() {
        [] => "monitoring, nothing is dropped".to_owned(),
        names => format!("dropping {}", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip_filter_common::rules::Limit;

    #[test]
    fn the_policy_names_all_that_is_dropped() {
        let nothing = "monitoring, nothing is dropped";
        assert_eq!(policy(&[], &Rules::NONE, false), nothing);
        let mut rules = Rules {
            block_drops: 0,
            watched: u32::MAX,
            ..Rules::NONE
        };
        rules.limits[1] = Limit {
            interval: 1,
            tolerance: 0,
            drops: 0,
        };
        assert_eq!(policy(&[], &rules, true), nothing);
        rules.block_drops = 1;
        rules.limits[1].drops = 1;
        rules.dropped = Behaviour::Flood.bit();
        rules.escalation.after = 5;
        rules.escalation.drops = 1;
        assert_eq!(
            policy(&["scanners"], &rules, true),
            "dropping scanners, blocked sources, what is over a limit, flood, escalated sources"
        );
    }

    #[test]
    fn escalation_is_said_as_it_was_written() {
        let mut rules = Rules::NONE;
        assert_eq!(escalation(&rules, 0, 1, 0), None);
        rules.escalation = Escalation {
            after: 5,
            within: Span::from_secs(600).ticks(),
            length: Span::from_secs(3_600).ns(),
            by: Escalation::BY_SIGNATURE | Escalation::BY_BEHAVIOUR,
            drops: 1,
        };
        let words =
            |rules: &_| escalation(rules, 2, 16_384, 7).map(|escalation| escalation.in_words());
        assert_eq!(
            words(&rules).as_deref(),
            Some(
                "after 5 in 10m by signature or behaviour, for 1h (drop); 2 of at most 16,384 \
                 blocked now, 7 in all"
            )
        );
        rules.escalation.length = Span::from_ms(100).ns();
        assert!(words(&rules).is_some_and(|words| words.contains("for 1s")));
    }

    #[test]
    fn limits_are_said_as_they_were_written() {
        let mut rules = Rules::NONE;
        rules.limits[1] = Limit {
            interval: 100_000_000,
            tolerance: 1_900_000_000,
            drops: 1,
        };
        rules.limits[0] = Limit {
            interval: 333_333,
            tolerance: 0,
            drops: 0,
        };
        let words: Vec<_> = limits(&rules).iter().map(InForceLimit::in_words).collect();
        assert_eq!(
            words,
            [
                "sip 3000.003 a second, 1 at once (count)",
                "REGISTER 10 a second, 20 at once (drop)"
            ]
        );
    }
}
