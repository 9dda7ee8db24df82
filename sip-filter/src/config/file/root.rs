//! What stands before the first table, and the tables one by one.

use anyhow::{Result, anyhow};
use sip_filter_common::{rules::Escalation, verdict::DropSet};
use toml::{Spanned, de::DeValue};

use super::{
    BEHAVIOUR, ESCALATE, HISTORY, HTTP, LIMIT, LISTS, ROOT, SIZES,
    reader::{Reader, Table},
};
use crate::config::{
    configuration::{Action, Configuration, Origin, Set, Watch, limit_names},
    drop::DropList,
    interface,
    meant::meant,
    ports::Ports,
};

impl<'a> Reader<'a> {
    pub(super) fn root(&mut self, root: &Table<'a>, into: &mut Configuration) {
        self.check_keys(root, &ROOT);
        if let Some(interfaces) = self.list(root, "interfaces", interface::name) {
            let names = &interfaces.value;
            let twice = |(at, name): &(usize, &String)| names[..*at].contains(name);
            if let (Some((_, name)), Origin::Line(line)) =
                (names.iter().enumerate().find(twice), interfaces.origin)
            {
                self.wrong(line, format!("`interfaces` names {name} twice"));
            }
            into.interfaces = interfaces;
        }
        self.parsed(root, "mode", "\"auto\"", &mut into.mode);
        self.parsed(root, "group", "\"adm\"", &mut into.group);
        self.ports(root, &mut into.ports);
        if let Some(drop) = self.list(root, "drop", dropped) {
            into.drop = Set {
                value: DropList(
                    drop.value
                        .into_iter()
                        .fold(DropSet::NOTHING, DropSet::union),
                ),
                origin: drop.origin,
            };
        }
        self.files(root, "signatures", &mut into.signatures);
        self.files(root, "geoip", &mut into.geoip);
        self.file(
            root,
            "events",
            "\"/var/lib/sip-filter/events.json\"",
            &mut into.events,
        );
        if let Some(table) = self.table(root, SIZES) {
            self.sizes(&table, &mut into.sizes);
        }
        if let Some(table) = self.table(root, LISTS) {
            self.lists(&table, &mut into.lists);
        }
        if let Some(table) = self.table(root, LIMIT) {
            let names = limit_names();
            self.check_keys(&table, &names);
            for (name, limit) in names.into_iter().zip(&mut into.limits) {
                if let Some(table) = self.table(&table, name) {
                    *limit = self.limit(&table);
                }
            }
        }
        if let Some(table) = self.table(root, BEHAVIOUR) {
            self.behaviours(&table, &mut into.behaviours);
        }
        if let Some(table) = self.table(root, ESCALATE) {
            self.escalate(&table, &mut into.escalate);
            let escalate = &into.escalate;
            let is_watched = |watch: &Watch| watch.action.value != Action::Off;
            if let (Escalation::BY_BEHAVIOUR, Origin::Line(line)) =
                (escalate.by.value, escalate.by.origin)
                && !into.behaviours.iter().any(is_watched)
            {
                let what = "`escalate.by` is behaviour alone, and none is watched; \
                            set `behaviour.action` to \"count\" or \"drop\"";
                self.wrong(line, what.to_owned());
            }
        }
        if let Some(table) = self.table(root, HISTORY) {
            self.history(&table, &mut into.history);
        }
        if let Some(table) = self.table(root, HTTP) {
            self.http(&table, &mut into.http);
        }
    }

    /// Ports as `--ports` takes them, or a list of numbers and of such texts.
    fn ports(&mut self, root: &Table<'a>, into: &mut Set<Ports>) {
        let Some((line, value)) = root.get("ports") else {
            return;
        };
        let part = |value: &Spanned<DeValue<'_>>| match value.get_ref() {
            DeValue::String(text) => Some(text.to_string()),
            DeValue::Integer(number) => Some(number.to_string()),
            _ => None,
        };
        let parts = match value.get_ref() {
            DeValue::Array(parts) => parts.iter().map(part).collect::<Option<Vec<_>>>(),
            _ => part(value).map(|part| vec![part]),
        };
        let Some(parts) = parts else {
            let what = "`ports` is a text, or a list of numbers and texts: \
                        ports = \"5060-5100,6060\"";
            return self.wrong(line, what.to_owned());
        };
        match parts.join(",").parse() {
            Ok(value) => {
                *into = Set {
                    value,
                    origin: Origin::Line(line),
                }
            }
            Err(error) => self.wrong(line, format!("`ports`: {error}")),
        }
    }
}

fn dropped(name: &str) -> Result<DropSet> {
    let names = DropSet::NAMES;
    let found = names.into_iter().find(|(other, _)| *other == name);
    found.map(|(_, set)| set).ok_or_else(|| {
        let meant = meant(name, &names.map(|(name, _)| name));
        anyhow!("`{name}` cannot be dropped{meant}")
    })
}
