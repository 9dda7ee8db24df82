//! What every table of the file is read with: keys, and values of each kind, each with its line.

use std::{
    ops::RangeInclusive,
    path::{Path, PathBuf},
    str::FromStr,
};

use anyhow::{Result, anyhow};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{BEHAVIOUR, Mistake, ROOT};
use crate::{
    config::{
        configuration::{Action, Origin, Set},
        meant::meant,
        span::Span,
    },
    number::thousands,
};

/// What most tables call the key that says what is done with a packet.
pub(super) const ACTION: &str = "action";

/// A table of the file.
pub(super) struct Table<'a> {
    /// As it is written between the brackets; empty for what stands before the first one.
    pub(super) name: String,
    pub(super) line: usize,
    /// Key, line and value, in the order of the file.
    pub(super) values: Vec<(&'a str, usize, &'a Spanned<DeValue<'a>>)>,
}

impl<'a> Table<'a> {
    /// A key as errors name it.
    pub(super) fn path(&self, key: &str) -> String {
        match self.name.as_str() {
            "" => key.to_owned(),
            name => format!("{name}.{key}"),
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<(usize, &'a Spanned<DeValue<'a>>)> {
        let mut values = self.values.iter();
        let (_, line, value) = values.find(|(other, ..)| *other == key)?;
        Some((*line, value))
    }
}

/// A file that is read, and what has been found wrong with it.
pub(super) struct Reader<'a> {
    pub(super) text: &'a str,
    pub(super) path: &'a Path,
    pub(super) mistakes: Vec<Mistake>,
}

impl<'a> Reader<'a> {
    pub(super) fn line(&self, offset: usize) -> usize {
        1 + self
            .text
            .get(..offset)
            .unwrap_or(self.text)
            .matches('\n')
            .count()
    }

    pub(super) fn wrong(&mut self, line: usize, what: String) {
        self.mistakes.push(Mistake {
            file: self.path.to_owned(),
            line,
            what,
        });
    }

    pub(super) fn values(
        &self,
        table: &'a DeTable<'a>,
    ) -> Vec<(&'a str, usize, &'a Spanned<DeValue<'a>>)> {
        let mut values: Vec<_> = table
            .iter()
            .map(|(key, value)| (key.get_ref().as_ref(), self.line(key.span().start), value))
            .collect();
        values.sort_by_key(|(_, line, _)| *line);
        values
    }

    /// Every key is one of these.
    pub(super) fn check_keys(&mut self, table: &Table<'a>, keys: &[&str]) {
        for (key, line, _) in &table.values {
            if keys.contains(key) {
                continue;
            }
            // `ports` is a threshold too.
            let is_lost =
                ROOT.contains(key) && !table.name.is_empty() && !table.name.starts_with(BEHAVIOUR);
            let meant = match is_lost {
                true => format!("; `{key}` stands before the first [table]"),
                false => meant(key, keys),
            };
            let what = format!("there is no key `{}`{meant}", table.path(key));
            self.wrong(*line, what);
        }
    }

    pub(super) fn table(&mut self, table: &Table<'a>, key: &str) -> Option<Table<'a>> {
        let (line, value) = table.get(key)?;
        let name = table.path(key);
        let DeValue::Table(values) = value.get_ref() else {
            let what = format!("`{name}` is a table: write [{name}], and its keys below");
            self.wrong(line, what);
            return None;
        };
        Some(Table {
            values: self.values(values),
            line,
            name,
        })
    }

    pub(super) fn number(
        &mut self,
        table: &Table<'a>,
        key: &str,
        allowed: RangeInclusive<u32>,
        into: &mut Set<u32>,
    ) {
        let Some((line, value)) = table.get(key) else {
            return;
        };
        let number = match value.get_ref() {
            DeValue::Integer(number) => i128::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => None,
        };
        let number = number.and_then(|number| u32::try_from(number).ok());
        match number.filter(|number| allowed.contains(number)) {
            Some(value) => {
                *into = Set {
                    value,
                    origin: Origin::Line(line),
                }
            }
            None => {
                let what = format!(
                    "`{}` is a whole number from {} to {}, and not {}",
                    table.path(key),
                    thousands((*allowed.start()).into()),
                    thousands((*allowed.end()).into()),
                    self.text.get(value.span()).unwrap_or_default()
                );
                self.wrong(line, what);
            }
        }
    }

    pub(super) fn span(
        &mut self,
        table: &Table<'a>,
        key: &str,
        allowed: RangeInclusive<Span>,
        into: &mut Set<Span>,
    ) {
        let mut span = Set::default(into.value);
        self.parsed(table, key, "\"10s\"", &mut span);
        let Origin::Line(line) = span.origin else {
            return;
        };
        if allowed.contains(&span.value) {
            *into = span;
            return;
        }
        let what = format!(
            "`{}` is from {} to {}, and not {}",
            table.path(key),
            allowed.start(),
            allowed.end(),
            span.value
        );
        self.wrong(line, what);
    }

    pub(super) fn action(&mut self, table: &Table<'a>, allowed: &[Action], into: &mut Set<Action>) {
        let Some((line, written)) = self.text(table, ACTION, "\"count\"") else {
            return;
        };
        match allowed.iter().find(|action| action.name() == written) {
            Some(value) => {
                *into = Set {
                    value: *value,
                    origin: Origin::Line(line),
                }
            }
            None => {
                let names: Vec<_> = allowed.iter().map(|action| action.name()).collect();
                let meant = meant(written, &names);
                let key = table.path(ACTION);
                self.wrong(line, format!("`{key}` cannot be `{written}`{meant}"));
            }
        }
    }

    pub(super) fn parsed<T: FromStr<Err = anyhow::Error>>(
        &mut self,
        table: &Table<'a>,
        key: &str,
        example: &str,
        into: &mut Set<T>,
    ) {
        let Some((line, text)) = self.text(table, key, example) else {
            return;
        };
        match text.parse() {
            Ok(value) => {
                *into = Set {
                    value,
                    origin: Origin::Line(line),
                }
            }
            Err(error) => self.wrong(line, format!("`{}`: {error}", table.path(key))),
        }
    }

    pub(super) fn text(
        &mut self,
        table: &Table<'a>,
        key: &str,
        example: &str,
    ) -> Option<(usize, &'a str)> {
        let (line, value) = table.get(key)?;
        if let DeValue::String(text) = value.get_ref() {
            return Some((line, text.as_ref()));
        }
        let path = table.path(key);
        self.wrong(line, format!("`{path}` is a text: {key} = {example}"));
        None
    }

    /// A list of texts, each of which is parsed; a text alone is a list of one.
    pub(super) fn list<T>(
        &mut self,
        table: &Table<'a>,
        key: &str,
        parse: impl Fn(&str) -> Result<T>,
    ) -> Option<Set<Vec<T>>> {
        let Set { value, origin } = self.lines(table, key, parse)?;
        let value = value.into_iter().map(|(value, _)| value).collect();
        Some(Set { value, origin })
    }

    /// [`Reader::list`] with the line of each.
    pub(super) fn lines<T>(
        &mut self,
        table: &Table<'a>,
        key: &str,
        parse: impl Fn(&str) -> Result<T>,
    ) -> Option<Set<Vec<(T, usize)>>> {
        let (line, value) = table.get(key)?;
        let values: Vec<_> = match value.get_ref() {
            DeValue::Array(values) => values.iter().collect(),
            _ => vec![value],
        };
        let written = values.len();
        let mut parsed = Vec::new();
        for value in values {
            let line = self.line(value.span().start);
            let path = table.path(key);
            match value.get_ref() {
                DeValue::String(text) => match parse(text) {
                    Ok(value) => parsed.push((value, line)),
                    Err(error) => self.wrong(line, format!("`{path}`: {error}")),
                },
                _ => self.wrong(
                    line,
                    format!("`{path}` is a list of texts: {key} = [\"…\"]"),
                ),
            }
        }
        (parsed.len() == written).then_some(Set {
            value: parsed,
            origin: Origin::Line(line),
        })
    }

    /// A file beside the configuration file, if no other folder is named; `like` is an example.
    pub(super) fn file(
        &mut self,
        table: &Table<'a>,
        key: &str,
        like: &str,
        into: &mut Set<Option<PathBuf>>,
    ) {
        match self.text(table, key, like) {
            Some((line, "")) => {
                self.wrong(line, format!("`{}`: a file has a name", table.path(key)));
            }
            Some((line, name)) => {
                let folder = self.path.parent().unwrap_or(Path::new(""));
                *into = Set {
                    value: Some(folder.join(name)),
                    origin: Origin::Line(line),
                };
            }
            None => {}
        }
    }

    pub(super) fn files(&mut self, table: &Table<'a>, key: &str, into: &mut Set<Vec<PathBuf>>) {
        let folder = self.path.parent().unwrap_or(Path::new(""));
        let file = |name: &str| match name {
            "" => Err(anyhow!("a file has a name")),
            name => Ok(folder.join(name)),
        };
        if let Some(files) = self.list(table, key, file) {
            *into = files;
        }
    }
}
