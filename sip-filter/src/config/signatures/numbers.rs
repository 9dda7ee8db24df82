//! Signatures and their tools get numbers, and the program its table: what has a number in a running
//! filter keeps it.

use std::collections::{HashMap, HashSet};

use anyhow::{Context, Result, anyhow};
use sip_filter_common::{
    abi::{MAX_TOOLS, SignatureNumber, ToolName},
    signature::{MAX_SIGNATURES, SignatureTable, TableError},
};

use super::{Mark, Signature, Signatures};

/// The longest name of a tool, in bytes.
pub(super) const MAX_TOOL_NAME: usize = UNUSED.name.len();

/// A tool number that no tool has.
const UNUSED: ToolName = ToolName {
    name: [0; 31],
    kind: 0,
};

impl Signatures {
    /// The table for the program and what its tool numbers mean, [`MAX_TOOLS`] of them. A
    /// signature's number in the table is its place in the list.
    ///
    /// A tool in `known` keeps its number, so that counters keep their meaning when a
    /// program is replaced; names that have counters are kept although no signature
    /// mentions them any more.
    ///
    /// # Errors
    ///
    /// When there are too many tools or signatures, or a pattern does not fit the table.
    pub fn table(&self, known: &[ToolName]) -> Result<(Box<SignatureTable>, Vec<ToolName>)> {
        self.numbered_table(known, 0..)
    }

    /// [`Signatures::table`] with these numbers for the signatures, as [`Signatures::numbers`] gives
    /// them.
    ///
    /// # Errors
    ///
    /// As [`Signatures::table`].
    pub fn numbered_table(
        &self,
        known: &[ToolName],
        numbers: impl IntoIterator<Item = u16>,
    ) -> Result<(Box<SignatureTable>, Vec<ToolName>)> {
        let mut names = known.to_vec();
        names.resize(MAX_TOOLS, UNUSED);
        let mut table = Box::new(SignatureTable::EMPTY);
        for (number, signature) in numbers.into_iter().zip(&self.list) {
            let tool = tool_number(&mut names, signature).with_context(|| signature.name())?;
            insert(&mut table, number, signature, tool).with_context(|| signature.name())?;
        }
        Ok((table, names))
    }

    /// A number for each signature of the list, in a filter that has numbered these.
    ///
    /// One that has a number keeps it, so that its hits stay its own. Others take numbers that
    /// were never given; where there are no more, those of signatures that are gone, and last
    /// those of signatures that are about to go.
    ///
    /// # Errors
    ///
    /// When there are too many signatures.
    pub fn numbers(&self, known: &[SignatureNumber]) -> Result<Vec<u16>, TableError> {
        let mut known = known.to_vec();
        known.resize(MAX_SIGNATURES, SignatureNumber::default());
        let places: HashMap<_, _> = (0..)
            .zip(&known)
            .map(|(number, known)| (known.fingerprint, number))
            .collect();
        let kept = self.list.iter();
        let kept = kept.map(|one| places.get(&one.fingerprint()).copied());
        let kept: Vec<Option<u16>> = kept.collect();
        let taken: HashSet<u16> = kept.iter().copied().flatten().collect();
        let mut free: Vec<_> = (0..)
            .zip(&known)
            .filter(|(number, _)| !taken.contains(number))
            .collect();
        free.sort_by_key(|(_, known)| (known.fingerprint != 0, known.in_force != 0));
        let mut free = free.into_iter().map(|(number, _)| number);
        kept.into_iter()
            .map(|number| number.or_else(|| free.next()).ok_or(TableError::Full))
            .collect()
    }
}

/// Puts a signature into the table under a number.
fn insert(
    table: &mut SignatureTable,
    number: u16,
    signature: &Signature,
    tool: u8,
) -> Result<(), TableError> {
    let found = signature.found(tool);
    match &signature.mark {
        Mark::Pattern {
            field,
            how,
            pattern,
        } => table.insert(number, *field, *how, pattern.as_bytes(), found),
        Mark::Detector(detector) => table.set_detector(*detector, number, found),
    }
}

/// The number of the signature's tool, a new one if it has none.
fn tool_number(names: &mut [ToolName], signature: &Signature) -> Result<u8> {
    let number = names
        .iter()
        .position(|name| tool_name(name) == Some(signature.tool.as_str()))
        .or_else(|| names.iter().position(|name| tool_name(name).is_none()))
        .ok_or_else(|| {
            anyhow!(
                "no number is left for the tool: {MAX_TOOLS} tools can be told apart, those of \
                 earlier signature sets included; `sip-filter detach` forgets them"
            )
        })?;
    names[number] = UNUSED;
    names[number].name[..signature.tool.len()].copy_from_slice(signature.tool.as_bytes());
    names[number].kind = signature.kind as u8;
    Ok(u8::try_from(number)?)
}

/// The name in a tool map's value; `None` where no tool has the number.
pub fn tool_name(name: &ToolName) -> Option<&str> {
    let length = name.name.iter().position(|byte| *byte == 0);
    let text = &name.name[..length.unwrap_or(MAX_TOOL_NAME)];
    std::str::from_utf8(text)
        .ok()
        .filter(|text| !text.is_empty())
}
