//! Which rule met how many packets: by reason, and by behaviour.

use serde::Serialize;
use sip_filter_common::{
    abi::{self, Count, SourceCount, ToolCount},
    rules::Behaviour,
    sip::MessageClass,
    verdict::{Outcome, Reason},
};

use super::{Counts, cells};

/// Packets that one rule met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ByReason {
    /// Its name.
    pub reason: &'static str,
    /// Packets that it met.
    pub packets: u64,
    /// Of these, dropped.
    pub dropped: u64,
    /// Of these, passed although the rule met them, since it only counts. Of OPTIONS and what is
    /// malformed, those that the rule would have dropped if it were asked for; they are no part of the
    /// total, and may be counted for another reason too.
    pub would_drop: u64,
}

/// Packets that were a part of a behaviour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ByBehaviour {
    /// Its name.
    pub behaviour: &'static str,
    /// Packets, from the one on with which it was recognised.
    pub packets: u64,
    /// Of these, dropped, for whatever reason.
    pub dropped: u64,
    /// Of these, passed although a rule met them that only counts.
    pub would_drop: u64,
}

/// The reasons that met packets, in the order in which rules are asked.
pub(super) fn by_reason(totals: &abi::Totals) -> Vec<ByReason> {
    let mut reasons = Reason::ALL.map(|reason| ByReason {
        reason: reason.name(),
        ..ByReason::default()
    });
    let row = |reason: Reason| Reason::ALL.iter().position(|other| *other == reason);
    for (class, _, outcome, Count { packets, .. }) in cells(totals) {
        let Some(at) = row(outcome.reason()) else {
            continue;
        };
        reasons[at].packets += packets;
        reasons[at].dropped += if outcome.is_drop() { packets } else { 0 };
        reasons[at].would_drop += if outcome.is_would_drop() { packets } else { 0 };
        let unasked = match class {
            MessageClass::Options => Reason::Options,
            MessageClass::Malformed => Reason::Malformed,
            _ => continue,
        };
        if !outcome.is_drop()
            && outcome != Outcome::Allowed
            && let Some(at) = row(unasked)
        {
            reasons[at].would_drop += packets;
        }
    }
    let met = |reason: &ByReason| reason.packets > 0 || reason.would_drop > 0;
    reasons.into_iter().filter(met).collect()
}

/// The reasons that met a source's packets, and how many they met.
pub(super) fn of_source(count: &SourceCount) -> Counts {
    let reasons = Reason::ALL.map(|reason| (reason.name(), count.met_by(reason)));
    reasons
        .into_iter()
        .filter(|(_, packets)| *packets > 0)
        .collect()
}

/// The behaviours that were recognised.
pub(super) fn by_behaviour(counts: &[ToolCount; Behaviour::COUNT]) -> Vec<ByBehaviour> {
    let rows = Behaviour::ALL.into_iter().zip(counts);
    rows.filter(|(_, count)| count.packets > 0)
        .map(|(behaviour, count)| ByBehaviour {
            behaviour: behaviour.name(),
            packets: count.packets,
            dropped: count.dropped,
            would_drop: count.would_drop,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_packet_has_one_reason_and_what_was_not_asked_for_would_have_dropped_more() {
        use MessageClass::{Invite, Malformed, Options};
        let mut totals = abi::Totals::ZERO;
        for (class, hostile, outcome, packets) in [
            (Options, true, Outcome::WouldSignature, 2),
            (Options, false, Outcome::Allowed, 3),
            (Options, false, Outcome::Passed, 5),
            (Invite, false, Outcome::Blocked, 7),
            (Invite, false, Outcome::WouldBlock, 11),
            (Malformed, false, Outcome::Malformed, 13),
            (Malformed, false, Outcome::Escalated, 17),
        ] {
            totals.cells[abi::Totals::cell(class, hostile, outcome)].packets = packets;
        }
        let rows: Vec<_> = by_reason(&totals)
            .into_iter()
            .map(|row| (row.reason, row.packets, row.dropped, row.would_drop))
            .collect();
        assert_eq!(
            rows,
            [
                ("allowed", 3, 0, 0),
                ("blocked", 18, 7, 11),
                ("escalated", 17, 17, 0),
                ("signature", 2, 0, 2),
                ("options", 0, 0, 7),
                ("malformed", 13, 13, 0),
                ("passed", 5, 0, 0),
            ]
        );
    }
}
