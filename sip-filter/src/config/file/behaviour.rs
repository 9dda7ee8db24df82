//! `[behaviour]`: what gives a scanner away whatever it calls itself.

use sip_filter_common::rules::Behaviour;

use super::{
    MAX_WINDOW, MIN_WINDOW,
    reader::{ACTION, Reader, Table},
};
use crate::config::configuration::{Action, Counted, Origin, Set, Watch, counted};

impl<'a> Reader<'a> {
    pub(super) fn behaviours(&mut self, table: &Table<'a>, into: &mut [Watch; Behaviour::COUNT]) {
        let names = Behaviour::ALL.map(Behaviour::name);
        let mut keys = vec![ACTION];
        keys.extend(names);
        self.check_keys(table, &keys);
        let actions = &[Action::Off, Action::Count, Action::Drop];
        let mut of_all = Set::default(Action::Off);
        self.action(table, actions, &mut of_all);
        for (behaviour, watch) in Behaviour::ALL.into_iter().zip(into) {
            watch.action = of_all.clone();
            let Some(table) = self.table(table, behaviour.name()) else {
                continue;
            };
            let Counted { key, most, .. } = counted(behaviour);
            self.check_keys(&table, &[ACTION, key, "within"]);
            // Who writes of a behaviour wants to see it.
            if of_all.origin == Origin::Default {
                watch.action.value = Action::Count;
            }
            self.action(&table, actions, &mut watch.action);
            self.number(&table, key, 2..=most, &mut watch.count);
            let windows = MIN_WINDOW..=MAX_WINDOW;
            self.span(&table, "within", windows, &mut watch.within);
        }
    }
}
