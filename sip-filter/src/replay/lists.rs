//! The allow and block lists on the host: what the kernel's maps say of a source.

use std::collections::HashMap;

use sip_filter_common::{
    abi::Address,
    lists::{Listed, MAPPED, Prefix},
    verdict::Met,
};

use crate::lists::Lists;

/// Both lists. Entries that end at some time stand there as long as the capture lasts.
pub(super) struct HostLists {
    lists: HashMap<Prefix, u32>,
    /// The lengths that there are.
    lengths: Vec<u32>,
    /// What a source meets that is blocked.
    by_block: Met,
}

impl HostLists {
    pub(super) fn new(lists: &Lists, by_block: Met) -> Self {
        let rules = lists.rules.iter();
        let lists: HashMap<_, _> = rules.map(|rule| (rule.prefix, rule.lists)).collect();
        let mut lengths: Vec<_> = lists.keys().map(|prefix| prefix.length).collect();
        lengths.sort_unstable();
        lengths.dedup();
        Self {
            lists,
            lengths,
            by_block,
        }
    }

    /// What is known of a source.
    pub(super) fn met(&self, source: &Address) -> Met {
        let address = u128::from_be_bytes(source.octets());
        let least = if source.is_ipv4() { MAPPED } else { 0 };
        let mut met = Met::NOTHING;
        for length in self
            .lengths
            .iter()
            .copied()
            .filter(|length| *length >= least)
        {
            let free = u128::MAX.checked_shr(length).unwrap_or(0);
            let octets = (address & !free).to_be_bytes();
            let lists = self.lists.get(&Prefix { length, octets }).copied();
            let lists = lists.unwrap_or_default();
            if lists & Listed::ALLOWED != 0 {
                return Met::ALLOWED;
            }
            if lists & Listed::BLOCKED != 0 {
                met = self.by_block;
            }
        }
        met
    }
}
