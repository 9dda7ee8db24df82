//! What a configuration says of the lists, with the files that it names.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context, Result};
use sip_filter_common::lists as abi;

use super::{ConfigEntry, List, Lists, NewEntry, Rule, now_ms, text};
use crate::config::configuration::{Configuration, Entry};

/// Every entry, in the order in which they are written, those of files last.
///
/// # Errors
///
/// When a file cannot be read, or a line of it is no entry.
pub fn configured(configuration: &Configuration) -> Result<Vec<ConfigEntry>> {
    let lists = &configuration.lists;
    let file = configuration.file.as_deref().unwrap_or(Path::new(""));
    let mut entries = Vec::new();
    for (list, written, files) in [
        (List::Allow, &lists.allow, &lists.allow_files),
        (List::Block, &lists.block, &lists.block_files),
    ] {
        entries.extend(
            written
                .value
                .iter()
                .map(|Entry { prefix, line }| ConfigEntry {
                    list,
                    prefix: *prefix,
                    until: None,
                    reason: String::new(),
                    place: format!("{}:{line}", file.display()),
                }),
        );
        for file in &files.value {
            for entry in listed(file, list)? {
                let NewEntry {
                    prefix,
                    until,
                    reason,
                } = entry;
                entries.push(ConfigEntry {
                    list,
                    prefix,
                    until,
                    reason,
                    place: file.display().to_string(),
                });
            }
        }
    }
    Ok(entries)
}

/// What a file lists that has not expired.
///
/// # Errors
///
/// When it cannot be read, or a line of it is no entry.
pub fn listed(file: &Path, list: List) -> Result<Vec<NewEntry>> {
    let name = file.display().to_string();
    let bytes = fs::read(file).with_context(|| format!("cannot read {name}"))?;
    let mut entries = text::read(&name, &bytes, list)?;
    let now = now_ms();
    entries.retain(|entry| entry.until.is_none_or(|until| until > now));
    Ok(entries)
}

impl Lists {
    /// What is in force where nothing but a configuration says anything.
    pub fn of_configuration(entries: &[ConfigEntry]) -> Self {
        let mut lists: BTreeMap<_, (u32, Option<u64>)> = BTreeMap::new();
        for entry in entries {
            let abi::Prefix { length, octets } = entry.prefix.to_abi();
            let (lists, until) = lists.entry((octets, length)).or_insert((0, Some(0)));
            *lists |= entry.list.bit();
            if entry.list == List::Block {
                // What is said twice lasts as long as is said longest.
                *until = until.zip(entry.until).map(|(one, other)| one.max(other));
            }
        }
        let rule = |((octets, length), (lists, until)): (_, (u32, Option<u64>))| Rule {
            prefix: abi::Prefix { length, octets },
            lists,
            until: until.filter(|_| lists & List::Block.bit() != 0),
        };
        Self {
            generation: u64::from(!lists.is_empty()),
            rules: lists.into_iter().map(rule).collect(),
        }
    }
}
