//! What lists say, changed by one process after another.

use std::{env, fs, process};

use sip_filter_common::lists::Listed;

use super::*;
use crate::lists::{ConfigEntry, Lists, NewEntry, now_ms};

/// A folder that is gone when this is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = env::temp_dir().join(format!("sip-filter-{name}-{}", process::id()));
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn prefix(text: &str) -> Prefix {
    text.parse().unwrap()
}

fn new(text: &str, until: Option<u64>, reason: &str) -> NewEntry {
    NewEntry {
        prefix: prefix(text),
        until,
        reason: reason.to_owned(),
    }
}

fn configured(list: List, text: &str, place: &str) -> ConfigEntry {
    ConfigEntry {
        list,
        prefix: prefix(text),
        until: None,
        reason: String::new(),
        place: place.to_owned(),
    }
}

/// What is said of a prefix: bits of the lists, and the expiry.
fn said(writing: &Writing, text: &str) -> Option<(u32, Option<u64>)> {
    let rule = writing.rule(&prefix(text).to_abi()).unwrap();
    rule.map(|rule| (rule.lists, rule.until))
}

#[test]
fn what_the_configuration_says_ends_when_it_says_so() {
    let Folder(folder) = &Folder::new("until");
    let later = now_ms() + 3_600_000;
    let entry = |until| ConfigEntry {
        until,
        ..configured(List::Block, "192.0.2.7", "a")
    };
    for (untils, expected) in [
        (&[Some(later)][..], Some(later)),
        (&[Some(later), Some(later + 1)], Some(later + 1)),
        (&[Some(later), None], None),
        (&[Some(later)], Some(later)),
    ] {
        let entries: Vec<_> = untils.iter().copied().map(entry).collect();
        let mut writing = Writing::open(folder, "test").unwrap();
        assert!(writing.set_config(&entries).unwrap());
        assert_eq!(writing.touched(), [prefix("192.0.2.7").to_abi()]);
        assert_eq!(said(&writing, "192.0.2.7"), Some((2, expected)));
        assert_eq!(Lists::of_configuration(&entries).rules[0].until, expected);
        writing.commit().unwrap();
        let mut writing = Writing::open(folder, "test").unwrap();
        assert!(!writing.set_config(&entries).unwrap());
    }
}

#[test]
fn what_is_not_committed_has_not_happened() {
    let Folder(folder) = &Folder::new("commit");
    assert!(State::open(folder, "test").unwrap().is_none());
    assert!(Writing::open_existing(folder, "test").unwrap().is_none());
    let mut writing = Writing::open(folder, "test").unwrap();
    let added = writing.add(List::Block, &[new("192.0.2.7", None, "")]);
    assert_eq!(added.unwrap(), Added { new: 1, known: 0 });
    drop(writing);
    let mut writing = Writing::open(folder, "test").unwrap();
    assert_eq!(writing.lists().unwrap().rules, []);
    assert_eq!(writing.generation(), writing.before());
    let entries = [new("192.0.2.7", None, "one"), new("192.0.2.7", None, "two")];
    writing.add(List::Block, &entries).unwrap();
    let generation = writing.generation();
    assert_ne!(generation, writing.before());
    writing.commit().unwrap();
    // Readers and the next one see it.
    let state = State::open(folder, "test").unwrap().unwrap();
    let listed = state.entries(List::Block).unwrap();
    assert_eq!((listed.len(), &*listed[0].reason), (1, "one"));
    assert_eq!(state.entries(List::Allow).unwrap(), []);
    drop(writing);
    let mut writing = Writing::open(folder, "test").unwrap();
    assert_eq!(writing.before(), generation);
    // What is there already changes nothing.
    let added = writing.add(List::Block, &entries).unwrap();
    assert_eq!(added, Added { new: 0, known: 1 });
    assert_eq!(
        (writing.generation(), writing.touched().len()),
        (generation, 0)
    );
}

#[test]
fn what_both_lists_and_all_origins_say_is_one_rule() {
    let Folder(folder) = &Folder::new("merge");
    let mut writing = Writing::open(folder, "test").unwrap();
    let soon = now_ms() + 60_000;
    writing
        .add(List::Block, &[new("192.0.2.7", Some(soon), "")])
        .unwrap();
    assert_eq!(
        said(&writing, "192.0.2.7"),
        Some((Listed::BLOCKED, Some(soon)))
    );
    writing
        .add(List::Allow, &[new("192.0.2.7", None, "")])
        .unwrap();
    let both = Listed::ALLOWED | Listed::BLOCKED;
    assert_eq!(said(&writing, "192.0.2.7"), Some((both, Some(soon))));
    // Of two that block, the later end counts.
    let block = configured(List::Block, "192.0.2.7", "a:1");
    assert!(writing.set_config(std::slice::from_ref(&block)).unwrap());
    assert_eq!(said(&writing, "192.0.2.7"), Some((both, None)));
    assert!(!writing.set_config(std::slice::from_ref(&block)).unwrap());
    assert_eq!(
        writing.remove(List::Block, &[prefix("192.0.2.7")]).unwrap(),
        1
    );
    assert_eq!(said(&writing, "192.0.2.7"), Some((both, None)));
    // Not the same as a prefix that covers it.
    assert_eq!(said(&writing, "192.0.2.0/24"), None);
    let error = writing
        .remove(List::Block, &[prefix("192.0.2.7")])
        .unwrap_err();
    assert!(
        error.to_string().contains("192.0.2.7 stands in a:1"),
        "{error}"
    );
    assert!(writing.set_config(&[]).unwrap());
    assert_eq!(said(&writing, "192.0.2.7"), Some((Listed::ALLOWED, None)));
    let size = writing.size().unwrap();
    assert_eq!(size, writing.lists().unwrap().size());
    assert_eq!(size.addresses, 1);
}

#[test]
fn what_has_expired_goes_with_the_next_change() {
    let Folder(folder) = &Folder::new("expiry");
    let mut writing = Writing::open(folder, "test").unwrap();
    let entries = [
        new("192.0.2.7", Some(now_ms() - 1), ""),
        new("192.0.2.0/24", Some(now_ms() + 60_000), ""),
    ];
    writing.add(List::Block, &entries).unwrap();
    let generation = writing.generation();
    writing.commit().unwrap();
    let state = State::open(folder, "test").unwrap().unwrap();
    assert_eq!(state.entries(List::Block).unwrap().len(), 2);
    drop((state, writing));
    let mut writing = Writing::open(folder, "test").unwrap();
    assert_eq!(writing.touched(), [prefix("192.0.2.7").to_abi()]);
    assert_ne!(writing.generation(), generation);
    assert_eq!(writing.lists().unwrap().rules.len(), 1);
    // It was listed until now, in this list.
    assert!(writing.remove(List::Block, &[prefix("192.0.2.7")]).is_ok());
    assert!(writing.remove(List::Allow, &[prefix("192.0.2.7")]).is_err());
    writing.commit().unwrap();
}

#[test]
fn a_file_of_another_version_or_none_of_ours_is_refused() {
    let Folder(folder) = &Folder::new("version");
    drop(Writing::open(folder, "test").unwrap());
    let path = State::path(folder, "test");
    let connection = Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 7).unwrap();
    drop(connection);
    for error in [
        Writing::open(folder, "test").err().unwrap(),
        State::open(folder, "test").err().unwrap(),
    ] {
        assert!(error.to_string().contains("layout 7, not 1"), "{error}");
    }
    fs::write(
        &path,
        "no database, but a text that is long enough to be looked at".repeat(20),
    )
    .unwrap();
    for error in [
        Writing::open(folder, "test").err().unwrap(),
        State::open(folder, "test").err().unwrap(),
    ] {
        let error = format!("{error:#}");
        assert!(
            error.contains("test.db") && error.contains("not a database"),
            "{error}"
        );
    }
}
