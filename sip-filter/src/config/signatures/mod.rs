//! Signatures: the TOML that names tools, checked and turned into the kernel's table.
//!
//! A file is a list of `[[signature]]` entries. Reading one (`file`) checks every entry on its own;
//! here they are checked against each other. The operator's own file goes before the built-in set:
//! what it says of a tool's field is all that holds for it. [`Signatures::table`] numbers the tools
//! and builds what the program is given (`numbers`). Which text meets which value is the business of
//! [`sip_filter_common::signature`].

mod file;
mod numbers;
mod signature;
#[cfg(test)]
mod tests;

use std::path::Path;

use anyhow::{Context, Result, bail};
use sip_filter_common::signature::MAX_SIGNATURES;

use self::{
    file::Entry,
    numbers::MAX_TOOL_NAME,
    signature::{DETECTOR, Part, Place},
};
use super::{meant::meant, text};

pub use numbers::tool_name;
pub use signature::{Mark, Signature};

/// The set that the loader carries inside itself.
const BUILT_IN: &str = include_str!("../../../signatures.toml");

/// Signatures that agree with each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signatures {
    /// In the order of the file.
    pub list: Vec<Signature>,
}

impl Signatures {
    /// The built-in set.
    ///
    /// # Errors
    ///
    /// Never in a build whose tests have passed.
    pub fn built_in() -> Result<Self> {
        Self::parse(BUILT_IN).context("built-in signatures")
    }

    /// Reads a signature file's text.
    ///
    /// # Errors
    ///
    /// When it is not TOML of the format, or an entry is not possible or contradicts another
    /// one: the message names the entry.
    pub fn parse(text: &str) -> Result<Self> {
        let mut signatures = Self::default();
        for entry in file::read(text, false)? {
            if let Entry::Signature(signature) = entry {
                signatures.push(signature)?;
            }
        }
        Ok(signatures)
    }

    /// The built-in set with an operator's own files before it: for each tool and field that the
    /// files name, what they say holds in place of what is built in, and so does the tool's kind.
    ///
    /// # Errors
    ///
    /// As [`Signatures::parse`], and when all of them together do not fit the table; the message
    /// names the file.
    pub fn with_own<P: AsRef<Path>>(paths: &[P]) -> Result<Self> {
        let mut files = Vec::new();
        for path in paths {
            let path = path.as_ref();
            let text = text::read(path)
                .with_context(|| format!("the signature file {}", path.display()))?;
            files.push((path.display().to_string(), text));
        }
        let files: Vec<_> = files
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_str()))
            .collect();
        Self::with(&files)
    }

    /// [`Signatures::with_own`] of files' names and texts.
    fn with(files: &[(&str, &str)]) -> Result<Self> {
        let built_in = Self::built_in()?.list;
        let mut signatures = Self::default();
        // A tool and what of it is taken from the files; nothing means everything.
        let mut replaced: Vec<(String, Option<Part>)> = Vec::new();
        // Where in the list the signatures of each file begin.
        let mut begins: Vec<(usize, &str)> = Vec::new();
        for (path, text) in files {
            begins.push((signatures.list.len(), path));
            let mut read = || -> Result<()> {
                for entry in file::read(text, true)? {
                    match entry {
                        Entry::Signature(signature) => {
                            replaced.push((signature.tool.clone(), Some(signature.part())));
                            signatures.push_beside(signature, &begins)?;
                        }
                        Entry::Disabled { place, tool, part } => {
                            is_built_in(&built_in, &tool, part)
                                .with_context(|| place.name(&tool, None))?;
                            replaced.push((tool, part));
                        }
                    }
                }
                Ok(())
            };
            read().with_context(|| format!("the signature file {path}"))?;
        }
        let names: Vec<_> = files.iter().map(|(path, _)| *path).collect();
        signatures
            .add_built_in(built_in, &replaced)
            .with_context(|| format!("the signature file {}", names.join(", ")))?;
        Ok(signatures)
    }

    /// Adds a signature of the last of several files, which begin at these places of the list.
    fn push_beside(&mut self, signature: Signature, begins: &[(usize, &str)]) -> Result<()> {
        for files in begins.windows(2) {
            let ((from, path), (to, _)) = (files[0], files[1]);
            contradiction(&self.list[from..to], &signature)
                .with_context(|| format!("{}, beside {path}", signature.name()))?;
        }
        let last = begins.last().map_or(0, |(from, _)| *from);
        contradiction(&self.list[last..], &signature).with_context(|| signature.name())?;
        self.list.push(signature);
        Ok(())
    }

    /// Adds the built-in ones but for what is replaced.
    fn add_built_in(
        &mut self,
        built_in: Vec<Signature>,
        replaced: &[(String, Option<Part>)],
    ) -> Result<()> {
        let signatures = self;
        let own = signatures.list.len();
        for mut signature in built_in {
            let is_it = |(tool, part): &(String, Option<Part>)| {
                *tool == signature.tool && part.is_none_or(|part| part == signature.part())
            };
            if replaced.iter().any(is_it) {
                continue;
            }
            let mut others = signatures.list[..own].iter();
            if let Some(other) = others.find(|other| other.tool == signature.tool) {
                signature.kind = other.kind;
            }
            if let Some(own) = same_mark(&signatures.list[..own], &signature) {
                bail!(
                    "{}: a built-in signature of `{}` is the same; disable that one first",
                    own.name(),
                    signature.tool
                );
            }
            signatures.list.push(signature);
        }
        let many = signatures.list.len();
        if many > MAX_SIGNATURES {
            let built_in = many - own;
            let first = signatures.list[..own].get(MAX_SIGNATURES.saturating_sub(built_in));
            bail!(
                "{}: {many} signatures are too many: there may be {MAX_SIGNATURES}, and {built_in} \
                 are built in",
                first.map_or_else(String::new, Signature::name)
            );
        }
        signatures.table(&[])?;
        Ok(())
    }

    /// Adds a signature, unless it and one of those before it cannot both hold.
    fn push(&mut self, signature: Signature) -> Result<()> {
        contradiction(&self.list, &signature).with_context(|| signature.name())?;
        self.list.push(signature);
        Ok(())
    }
}

/// An error when the built-in set has nothing of a tool, or of this part of it.
fn is_built_in(built_in: &[Signature], tool: &str, part: Option<Part>) -> Result<()> {
    let of_tool = |one: &&Signature| one.tool == tool;
    if !built_in.iter().any(|one| of_tool(&one)) {
        let mut names: Vec<_> = built_in.iter().map(|one| one.tool.as_str()).collect();
        names.dedup();
        bail!(
            "there is no built-in signature of `{tool}`{}",
            meant(tool, &names)
        );
    }
    if let Some(part) = part
        && !built_in
            .iter()
            .filter(of_tool)
            .any(|one| one.part() == part)
    {
        bail!(
            "there is no built-in signature of `{tool}` with {}",
            part.name()
        );
    }
    Ok(())
}

/// An error when `signature` and one of those before it cannot both hold.
fn contradiction(before: &[Signature], signature: &Signature) -> Result<()> {
    if let Some(other) = same_mark(before, signature) {
        let Place { line, number } = other.place;
        let what = match signature.mark {
            Mark::Pattern { .. } => "field, match and pattern",
            Mark::Detector(_) => DETECTOR,
        };
        bail!("signature {number} in line {line} has the same {what}");
    }
    let of_tool = before.iter().find(|other| other.tool == signature.tool);
    if let Some(other) = of_tool.filter(|other| other.kind != signature.kind) {
        let Place { line, number } = other.place;
        bail!(
            "the tool is a {} here and a {} in signature {number} in line {line}; a tool has one \
             kind",
            signature.kind.name(),
            other.kind.name(),
        );
    }
    Ok(())
}

/// The one of `signatures` that meets the same as `signature`.
fn same_mark<'a>(signatures: &'a [Signature], signature: &Signature) -> Option<&'a Signature> {
    signatures.iter().find(|other| {
        other.field() == signature.field()
            && other.how() == signature.how()
            && other.pattern().eq_ignore_ascii_case(signature.pattern())
    })
}
