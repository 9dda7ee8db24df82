//! Signatures: the TOML that names tools, checked and turned into the kernel's table.
//!
//! A file is a list of `[[signature]]` entries. Reading one (`file`) checks every entry on its own;
//! here they are checked against each other. The operator's own file goes before the built-in set:
//! what it says of a tool's field is all that holds for it. [`Signatures::table`] numbers the tools
//! and builds what the program is given. Which text meets which value is the business of
//! [`sip_filter_common::signature`].

mod file;

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::Path,
};

use anyhow::{Context, Result, anyhow, bail};
use sip_filter_common::{
    abi::{MAX_TOOLS, SignatureNumber, ToolName},
    field::{Detector, Field, Match},
    signature::{MAX_SIGNATURES, SignatureTable, TableError},
    tool::{Found, Kind},
};

use super::meant::meant;
use file::Entry;

/// The set that the loader carries inside itself.
const BUILT_IN: &str = include_str!("../../../signatures.toml");

/// What stands in the place of a field where a detector names the tool.
const DETECTOR: &str = "detector";

/// The longest name of a tool, in bytes.
const MAX_TOOL_NAME: usize = UNUSED.name.len();

/// A tool number that no tool has.
const UNUSED: ToolName = ToolName {
    name: [0; 31],
    kind: 0,
};

/// One way to tell a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Where in its file it stands.
    place: Place,
    /// What reports call the tool.
    pub tool: String,
    /// What the tool is used for; the same in all of a tool's signatures.
    pub kind: Kind,
    /// What gives the tool away.
    pub mark: Mark,
    /// Whether no honest program is known to send the same: what is not sure is counted, and
    /// never dropped.
    pub sure: bool,
    /// Where this is known from.
    pub note: String,
    /// Whether it is from the operator's own file.
    pub own: bool,
}

/// What gives a tool away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// A text.
    Pattern {
        /// Where it stands.
        field: Field,
        /// How it meets what stands there.
        how: Match,
        /// The text, in any case.
        pattern: String,
    },
    /// A shape that the program knows.
    Detector(Detector),
}

/// What an own file takes the place of at once: a tool's signatures of a field, or a detector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Field(Field),
    Detector(Detector),
}

impl Part {
    fn name(self) -> String {
        match self {
            Self::Field(field) => format!("field `{}`", field.name()),
            Self::Detector(detector) => format!("{DETECTOR} `{}`", detector.name()),
        }
    }
}

impl Signature {
    /// The field that is looked at, or `detector`.
    pub fn field(&self) -> &'static str {
        match &self.mark {
            Mark::Pattern { field, .. } => field.name(),
            Mark::Detector(_) => DETECTOR,
        }
    }

    /// How the pattern meets the field's value; empty for a detector.
    pub fn how(&self) -> &'static str {
        match &self.mark {
            Mark::Pattern { how, .. } => how.name(),
            Mark::Detector(_) => "",
        }
    }

    /// The pattern, or the detector's name.
    pub fn pattern(&self) -> &str {
        match &self.mark {
            Mark::Pattern { pattern, .. } => pattern,
            Mark::Detector(detector) => detector.name(),
        }
    }

    /// Whether `--drop scanners` drops what it meets.
    pub fn drops(&self) -> bool {
        self.sure && self.kind.is_dropping()
    }

    /// What tells it from others in a running filter: the same for the same tool and mark,
    /// whatever file they are from, and never 0.
    pub fn fingerprint(&self) -> u64 {
        // FNV-1a, which is the same in every build.
        let texts = [&self.tool, self.field(), self.how(), self.pattern()];
        // No text has a line end.
        let bytes = texts.iter().flat_map(|text| text.bytes().chain([b'\n']));
        let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(0x100_0000_01b3)
        });
        hash.max(1)
    }

    fn part(&self) -> Part {
        match self.mark {
            Mark::Pattern { field, .. } => Part::Field(field),
            Mark::Detector(detector) => Part::Detector(detector),
        }
    }

    /// What the program finds by it, of a tool with this number.
    fn found(&self, tool: u8) -> Found {
        match Found::new(tool, self.kind) {
            found if self.sure => found,
            found => found.unsure(),
        }
    }

    /// What an error calls it.
    fn name(&self) -> String {
        let what = match self.mark {
            Mark::Pattern { .. } => "pattern",
            Mark::Detector(_) => DETECTOR,
        };
        self.place.name(&self.tool, Some((what, self.pattern())))
    }
}

/// Where a signature stands in its file: its line and its number, both from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    line: usize,
    number: usize,
}

impl Place {
    /// What an error calls the entry that stands there, with what it has of a tool and a mark.
    fn name(self, tool: &str, mark: Option<(&str, &str)>) -> String {
        let Self { line, number } = self;
        match mark {
            Some((what, text)) => {
                format!("line {line}, signature {number} (tool {tool:?}, {what} {text:?})")
            }
            None => format!("line {line}, signature {number} (tool {tool:?})"),
        }
    }
}

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
            let text = fs::read_to_string(path)
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

#[cfg(test)]
mod tests {
    use super::*;
    use sip_filter_common::{
        classify::{Destination, Work, classify},
        payload::SlicePayload,
        tool::Found,
    };

    /// What the classifier finds in a request with this User-Agent.
    fn find(table: &SignatureTable, user_agent: &str) -> Option<Found> {
        let request =
            format!("OPTIONS sip:100@192.0.2.1 SIP/2.0\r\nUser-Agent: {user_agent}\r\n\r\n");
        classify(
            &SlicePayload(request.as_bytes()),
            &Destination::NONE,
            table,
            &mut Box::new(const { Work::EMPTY }),
        )
        .tool()
    }

    fn built_in() -> (Signatures, Box<SignatureTable>, Vec<ToolName>) {
        let signatures = Signatures::built_in().unwrap();
        let (table, names) = signatures.table(&[]).unwrap();
        (signatures, table, names)
    }

    /// The tool and kind that the built-in set gives a User-Agent, and whether it drops it.
    fn built_in_finds(user_agent: &str) -> Option<(String, Kind, bool)> {
        let (_, table, names) = built_in();
        let found = find(&table, user_agent)?;
        let name = &names[usize::from(found.tool())];
        let kind = Kind::from_u8(name.kind).unwrap();
        let tool = tool_name(name).unwrap();
        Some((tool.to_owned(), kind, found.is_hostile()))
    }

    #[test]
    fn the_built_in_set_keeps_its_promises() {
        let (signatures, _, names) = built_in();
        assert_eq!(names.len(), MAX_TOOLS);
        for signature in &signatures.list {
            let name = names
                .iter()
                .find(|name| tool_name(name) == Some(&signature.tool));
            assert_eq!(name.unwrap().kind, signature.kind as u8, "{signature:?}");
            assert!(!signature.note.is_empty(), "{signature:?} has no origin");
            // Each packet would have to be searched to its end for it.
            assert_ne!(signature.how(), Match::Contains.name(), "{signature:?}");
            // An honest answer within a call that a tool began has there what the tool wrote.
            assert_ne!(signature.field(), Field::To.name(), "{signature:?}");
        }
        let detectors = signatures.list.iter().filter(|one| one.how().is_empty());
        assert_eq!(
            detectors.count(),
            Detector::COUNT,
            "a detector names nothing"
        );
    }

    #[test]
    fn what_is_not_sure_is_named_and_never_dropped() {
        let (signatures, table, names) = built_in();
        let unsure = signatures.list.iter().filter(|one| !one.sure);
        let unsure = unsure.filter(|one| one.field() == Field::UserAgent.name());
        let named = unsure.filter_map(|one| {
            let found = find(&table, one.pattern())?;
            assert!(one.kind.is_dropping(), "{one:?} drops nothing anyway");
            assert!(!found.is_hostile(), "{one:?}");
            let name = &names[usize::from(found.tool())];
            assert_eq!(tool_name(name), Some(one.tool.as_str()));
            Some(name)
        });
        assert!(named.count() >= 5);
    }

    #[test]
    fn user_agents_as_tools_send_them() {
        for (user_agent, tool, kind, drops) in [
            ("friendly-scanner", "sipvicious", Kind::Scanner, true),
            ("Friendly-Scanner ", "sipvicious", Kind::Scanner, true),
            (
                "UNfriendly-scanner - for demo purposes",
                "sipvicious",
                Kind::Scanner,
                true,
            ),
            ("svcrack/0.2.8", "sipvicious", Kind::Scanner, true),
            ("friendly-request", "friendly-request", Kind::Scanner, true),
            ("pplsip", "sippts", Kind::Scanner, true),
            ("sundayddr", "sundayddr", Kind::Scanner, true),
            ("sipcli/v1.8", "sipcli", Kind::Dialer, false),
            ("VOIP", "voip-sweeper", Kind::Scanner, false),
            ("sipsak 0.9.7", "sipsak", Kind::TestTool, false),
            ("VaxSIPUserAgent/3.1", "vaxvoip", Kind::Library, false),
            ("PortSIP VoIP SDK 11.2", "portsip", Kind::Library, false),
        ] {
            let expected = Some((tool.to_owned(), kind, drops));
            assert_eq!(built_in_finds(user_agent), expected, "{user_agent}");
        }
    }

    #[test]
    fn user_agents_of_honest_products_are_not_in_the_set() {
        for user_agent in [
            "",
            "Asterisk PBX 18.10.0",
            "FPBX-16.0.33(18.13.0)",
            "FreePBX 1.8",
            "PBXact 16",
            "Trixbox 2.8 at home",
            "OpenSIPS (3.4.2 (x86_64/linux))",
            "kamailio (5.7.1 (x86_64/linux))",
            "FreeSWITCH-mod_sofia/1.10.9",
            "eyeBeam release 3006o stamp 17551",
            "Zoiper rev.11137",
            "Linksys/SPA942-6.1.5(a)",
            "Cisco-SIPGateway/IOS-12.x",
            "snom370/8.7.5.13",
            "Nero SIPPS IP Phone Version 2.0.51.16",
            "Ekiga/4.0.1",
            "VoIPSecure Phone 2",
            "VOIP Gateway",
            "pyVoIP 1.6.6",
            "SIPTransfer",
            "smapphone",
            "Hackers Delight",
        ] {
            assert_eq!(built_in_finds(user_agent), None, "{user_agent}");
        }
    }

    /// A file of one entry, with one line of it replaced.
    fn entry(key: &str, line: &str) -> String {
        [
            ("tool", "tool = \"t\""),
            ("kind", "kind = \"scanner\""),
            ("field", "field = \"user-agent\""),
            ("match", "match = \"prefix\""),
            ("pattern", "pattern = \"pattern\""),
        ]
        .into_iter()
        .map(|(own, default)| if own == key { line } else { default })
        .fold("[[signature]]\n".to_owned(), |file, line| {
            file + line + "\n"
        })
    }

    /// The same for a detector.
    fn detector(name: &str) -> String {
        let file = entry("pattern", &format!("detector = \"{name}\""));
        let pattern = |line: &&str| !line.starts_with("field") && !line.starts_with("match");
        let lines: Vec<_> = file.lines().filter(pattern).collect();
        lines.join("\n") + "\n"
    }

    #[test]
    fn every_field_match_and_detector_can_be_said() {
        for field in Field::ALL {
            for how in Match::ALL {
                let file = entry("field", &format!("field = \"{}\"", field.name()))
                    .replace("\"prefix\"", &format!("\"{}\"", how.name()));
                let read = Signatures::parse(&file);
                assert_eq!(
                    read.is_ok(),
                    !matches!(field, Field::Body | Field::Any) || how == Match::Contains,
                    "{file}{read:?}"
                );
                if let Ok(read) = read {
                    read.table(&[]).unwrap();
                }
            }
        }
        for known in Detector::ALL {
            let read = Signatures::parse(&detector(known.name())).unwrap();
            assert_eq!(read.list[0].mark, Mark::Detector(known));
            read.table(&[]).unwrap();
        }
        let unsure = entry("note", "") + "sure = false\n";
        assert!(!Signatures::parse(&unsure).unwrap().list[0].drops());
        assert!(Signatures::parse(&entry("", "")).unwrap().list[0].drops());
    }

    #[test]
    fn errors_name_the_line_the_entry_and_what_was_meant() {
        let whole = entry("", "");
        for (file, named) in [
            (
                entry("kind", "kind = \"worm\""),
                "line 3, signature 1 (tool \"t\", pattern \"pattern\"): there is no kind `worm`; \
                 there are scanner, cracker, fuzzer, dialer, testtool, library",
            ),
            (
                entry("kind", "kind = \"scaner\""),
                "no kind `scaner`; do you mean `scanner`?",
            ),
            (
                entry("field", "field = \"useragent\""),
                "line 4, signature 1 (tool \"t\", pattern \"pattern\"): there is no field \
                 `useragent`; do you mean `user-agent`?",
            ),
            (
                entry("field", "field = \"form\""),
                "no field `form`; do you mean `from`?",
            ),
            (
                entry("field", "field = \"subject\""),
                "no field `subject`; there are user-agent, from, to, contact, via, call-id, cseq, \
                 request-uri, body, any",
            ),
            (
                entry("match", "match = \"contians\""),
                "line 5, signature 1 (tool \"t\", pattern \"pattern\"): there is no match \
                 `contians`; do you mean `contains`?",
            ),
            (
                entry("match", "match = \"regex\""),
                "no match `regex`; there are exact, prefix, contains",
            ),
            (
                detector("sipvicous-tag"),
                "line 4, signature 1 (tool \"t\", detector \"sipvicous-tag\"): there is no \
                 detector `sipvicous-tag`; do you mean `sipvicious-tag`?",
            ),
            (
                detector("x"),
                "no detector `x`; there are sipvicious-target, ",
            ),
            (
                whole.clone() + "patern = \"x\"\n",
                "line 7, signature 1 (tool \"t\", pattern \"pattern\"): there is no key `patern`; \
                 do you mean `pattern`?",
            ),
            (
                whole.clone() + "colour = 1\n",
                "line 7, signature 1 (tool \"t\", pattern \"pattern\"): there is no key `colour`; \
                 there are tool, kind, field, match, pattern, detector, sure, note, disabled",
            ),
            (
                whole.replace("[[signature]]", "[[signatures]]"),
                "line 1: there is no table `signatures`; do you mean `signature`?",
            ),
            (
                whole.replace("[[signature]]", "[signature]"),
                "line 1: `signature` is a list: each entry begins with `[[signature]]`",
            ),
            (
                "signature = [1]".to_owned(),
                "line 1: `signature` is a list",
            ),
            ("[[signature]".to_owned(), "line 1: "),
            (
                whole.clone() + "note = \"a\"\nnote = \"b\"\n",
                "line 8: duplicate key",
            ),
            (
                entry("tool", "tool = \"\""),
                "line 2, signature 1 (tool \"\", pattern \"pattern\"): a tool's name has 1 to 31 \
                 bytes",
            ),
            (entry("tool", "tool = \"a;b\""), "semicolons"),
            (
                entry("tool", "tool = 1"),
                "line 2, signature 1 (tool \"\", pattern \"pattern\"): `tool` is a text: \
                 tool = \"…\"",
            ),
            (
                whole.clone() + "sure = \"no\"\n",
                "line 7, signature 1 (tool \"t\", pattern \"pattern\"): `sure` is true or false",
            ),
            (
                entry("tool", "note = \"\""),
                "line 1, signature 1 (tool \"\", pattern \"pattern\"): it lacks `tool`",
            ),
            (entry("kind", "note = \"\""), "it lacks `kind`"),
            (
                entry("field", "note = \"\""),
                "it lacks `field`, or a `detector`",
            ),
            (entry("match", "note = \"\""), "it lacks `match`"),
            (
                entry("pattern", "note = \"\""),
                "line 1, signature 1 (tool \"t\"): it lacks `pattern`",
            ),
            (
                detector("zmap-bare") + "pattern = \"x\"\n",
                "line 5, signature 1 (tool \"t\", detector \"zmap-bare\"): beside a `detector` \
                 there is no `pattern`",
            ),
            (
                whole.clone() + "disabled = true\n",
                "line 7, signature 1 (tool \"t\", pattern \"pattern\"): `disabled` is for a file \
                 of one's own",
            ),
            (
                whole.clone() + &whole.replace("\"pattern\"", "\"PATTERN\""),
                "line 7, signature 2 (tool \"t\", pattern \"PATTERN\"): signature 1 in line 1 has \
                 the same field, match and pattern",
            ),
            (
                detector("zmap-bare") + &detector("zmap-bare"),
                "line 5, signature 2 (tool \"t\", detector \"zmap-bare\"): signature 1 in line 1 \
                 has the same detector",
            ),
            (
                whole.clone()
                    + &entry("kind", "kind = \"library\"").replace("\"pattern\"", "\"other\""),
                "the tool is a library here and a scanner in signature 1 in line 1; a tool has \
                 one kind",
            ),
        ] {
            let error = format!("{:#}", Signatures::parse(&file).unwrap_err());
            assert!(error.contains(named), "{file}{error}");
            assert!(!error.contains('\n'), "{file}{error}");
        }
    }

    #[test]
    fn the_same_pattern_may_stand_in_another_field_or_meet_in_another_way() {
        let whole = entry("", "");
        let others = whole.replace("user-agent", "from") + &whole.replace("prefix", "exact");
        assert_eq!(Signatures::parse(&(whole + &others)).unwrap().list.len(), 3);
    }

    #[test]
    fn patterns_that_cannot_be_are_named() {
        let long = "x".repeat(65);
        for (field, how, pattern, named) in [
            ("from", "prefix", "", "the pattern is empty"),
            ("from", "exact", "", "the pattern is empty"),
            ("from", "contains", "", "the pattern is empty"),
            ("from", "prefix", &*long, "has 65 bytes; it may have 64"),
            ("any", "contains", &long, "has 65 bytes; it may have 64"),
            ("from", "prefix", "ab", "at least 3 bytes"),
            ("from", "contains", "abcdef", "at least 7 bytes"),
            ("body", "contains", "abcdef", "at least 7 bytes"),
            ("body", "prefix", "pattern", "field `body` has no beginning"),
            ("any", "exact", "pattern", "use match `contains`"),
            ("from", "prefix", r"abc\n", "control character, 0x0a"),
            (
                "from",
                "contains",
                r"pattern\u0000",
                "control character, 0x00",
            ),
            ("from", "prefix", r"a\tb", "control character, 0x09"),
            ("from", "prefix", r"abc\u007f", "control character, 0x7f"),
            ("from", "prefix", " abc", "begins with a blank"),
            ("from", "exact", "abc ", "ends with a blank"),
            ("request-uri", "contains", "sip:a b", "holds a blank"),
        ] {
            let line = format!("pattern = \"{pattern}\"");
            let file = entry("pattern", &line)
                .replace("user-agent", field)
                .replace("\"prefix\"", &format!("\"{how}\""));
            let error = format!("{:#}", Signatures::parse(&file).unwrap_err());
            let is_named = error.contains("line 6, signature 1") && error.contains(named);
            assert!(is_named, "{file}{error}");
        }
        for (field, how, pattern) in [
            ("from", "prefix", "abc"),
            ("from", "prefix", "ab "),
            ("from", "exact", "a"),
            ("from", "prefix", &long[1..]),
            ("from", "contains", "abcdefg"),
            ("from", "contains", " abc de "),
            ("body", "contains", &long[1..]),
            ("any", "contains", "a b c d"),
        ] {
            let file = entry("pattern", &format!("pattern = \"{pattern}\""))
                .replace("user-agent", field)
                .replace("\"prefix\"", &format!("\"{how}\""));
            Signatures::parse(&file).unwrap().table(&[]).unwrap();
        }
    }

    /// The signatures of a tool in the built-in set with an own file before it.
    fn of_tool(own: &str, tool: &str) -> Vec<Signature> {
        let list = Signatures::with(&[("own.toml", own)]).unwrap().list;
        list.into_iter().filter(|one| one.tool == tool).collect()
    }

    #[test]
    fn an_own_file_overrides_by_field_and_detector() {
        let built_in = of_tool("", "sipvicious");
        let own = entry("tool", "tool = \"sipvicious\"").replace("scanner", "testtool");
        let with = of_tool(&own, "sipvicious");
        assert_eq!(with[0].pattern(), "pattern");
        let others = built_in.iter().filter(|one| one.field() != "user-agent");
        let others: Vec<_> = others.map(Signature::pattern).collect();
        let kept: Vec<_> = with[1..].iter().map(Signature::pattern).collect();
        assert_eq!(kept, others);
        // What is built in follows in the kind: a tool has one.
        assert!(with.iter().all(|one| one.kind == Kind::TestTool));

        let own = detector("sipvicious-tag").replace("\"t\"", "\"sipvicious\"");
        let with = of_tool(&own, "sipvicious");
        assert_eq!(with.len(), built_in.len());
        assert!(with[0].sure && with[0].own && !with[1].own);

        let whole =
            |also: &str| format!("[[signature]]\ntool = \"sipvicious\"\n{also}disabled = true\n");
        assert_eq!(of_tool(&whole(""), "sipvicious"), []);
        let with = of_tool(&whole("detector = \"sipvicious-tag\"\n"), "sipvicious");
        assert_eq!(with.len(), built_in.len() - 1);
        let with = of_tool(&whole("field = \"from\"\n"), "sipvicious");
        assert!(!with.is_empty() && with.iter().all(|one| one.field() != "from"));
        // Of its own there may be others of that tool all the same.
        let own = whole("") + &entry("tool", "tool = \"sipvicious\"");
        assert_eq!(of_tool(&own, "sipvicious").len(), 1);
    }

    #[test]
    fn own_files_that_do_not_go_with_the_built_in_set_are_refused() {
        let disabled = |keys: &str| format!("[[signature]]\n{keys}\ndisabled = true\n");
        let many: String = (0..MAX_SIGNATURES)
            .map(|number| entry("pattern", &format!("pattern = \"pattern{number}\"")))
            .collect();
        let built_in = Signatures::built_in().unwrap().list.len();
        let first = MAX_SIGNATURES - built_in;
        let line = 1 + 6 * first;
        let too_many = format!(
            "line {line}, signature {} (tool \"t\", pattern \"pattern{first}\"): {} signatures \
             are too many: there may be 512, and {built_in} are built in",
            first + 1,
            MAX_SIGNATURES + built_in,
        );
        for (own, named) in [
            (
                entry("pattern", "pattern = \"Friendly-Scanner\""),
                "line 1, signature 1 (tool \"t\", pattern \"Friendly-Scanner\"): a built-in \
                 signature of `sipvicious` is the same; disable that one first",
            ),
            (
                detector("zmap-bare"),
                "a built-in signature of `zmap` is the same",
            ),
            (
                disabled("tool = \"sipclii\""),
                "line 1, signature 1 (tool \"sipclii\"): there is no built-in signature of \
                 `sipclii`; do you mean `sipcli`?",
            ),
            (
                disabled("tool = \"sipcli\"\nfield = \"from\""),
                "there is no built-in signature of `sipcli` with field `from`",
            ),
            (
                disabled("tool = \"sipcli\"\ndetector = \"zmap-bare\""),
                "there is no built-in signature of `sipcli` with detector `zmap-bare`",
            ),
            (
                disabled("tool = \"sipcli\"\nkind = \"dialer\""),
                "line 3, signature 1 (tool \"sipcli\"): what is disabled has no `kind`",
            ),
            (
                disabled("tool = \"zmap\"\ndetector = \"zmap-bare\"\nfield = \"from\""),
                "line 4, signature 1 (tool \"zmap\", detector \"zmap-bare\"): beside a `detector` \
                 there is no `field`",
            ),
            (many, &too_many),
        ] {
            let error = format!(
                "{:#}",
                Signatures::with(&[("own.toml", own.as_str())]).unwrap_err()
            );
            assert!(error.contains(named), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn tools_keep_their_numbers() {
        let named = |tool: &str| {
            entry("tool", &format!("tool = \"{tool}\""))
                .replace("\"pattern\"", &format!("\"{tool}\""))
        };
        let parse = |tools: &[&str]| {
            let file: String = tools.iter().map(|tool| named(tool)).collect();
            Signatures::parse(&file).unwrap()
        };
        let (_, known) = parse(&["first", "second", "third"]).table(&[]).unwrap();
        let (table, names) = parse(&["fourth", "third", "first"]).table(&known).unwrap();
        let names: Vec<_> = names.iter().map_while(tool_name).collect();
        assert_eq!(names, ["first", "second", "third", "fourth"]);
        assert_eq!(find(&table, "third").unwrap().tool(), 2);
        assert_eq!(find(&table, "fourth").unwrap().tool(), 3);
        assert_eq!(find(&table, "second"), None);
    }

    #[test]
    fn signatures_keep_their_numbers_and_leave_them_last() {
        let parse = |patterns: &[String]| {
            let file = patterns.iter().map(|pattern| {
                entry("tool", "tool = \"a\"").replace("\"pattern\"", &format!("\"{pattern}\""))
            });
            Signatures::parse(&file.collect::<String>()).unwrap()
        };
        let named = |name: &str, many: usize| -> Vec<_> {
            (0..many).map(|at| format!("{name}-{at}")).collect()
        };
        let known_by = |signatures: &Signatures, in_force| -> Vec<_> {
            let known = signatures.list.iter().map(|one| SignatureNumber {
                fingerprint: one.fingerprint(),
                before: 0,
                in_force,
            });
            known.collect()
        };
        let list = |range: std::ops::Range<u16>| range.collect::<Vec<_>>();
        let first = parse(&named("first", 4));
        assert_eq!(first.numbers(&[]).unwrap(), list(0..4));
        let mut known = known_by(&first, 1);
        let mixed = ["new-0", "FIRST-2", "new-1", "first-0"].map(str::to_owned);
        assert_eq!(parse(&mixed).numbers(&known).unwrap(), [4, 2, 5, 0]);
        // Numbers 4 to 509 are those of signatures that are gone.
        known.extend(known_by(&parse(&named("gone", 506)), 0));
        let many = parse(&named("new", 508));
        let numbers = many.numbers(&known).unwrap();
        assert_eq!(numbers[..3], [510, 511, 4]);
        assert_eq!(numbers[507], 509);
        let full = parse(&named("new", 512)).numbers(&known).unwrap();
        assert_eq!(full[508..], [0, 1, 2, 3]);
        let too_many = parse(&named("new", 513)).numbers(&known);
        assert_eq!(too_many, Err(TableError::Full));
    }

    #[test]
    fn more_tools_than_numbers_are_refused() {
        let mut signatures = Signatures::parse(&entry("", "")).unwrap();
        let known: Vec<_> = (0..MAX_TOOLS)
            .map(|number| ToolName {
                name: [b'a' + (number % 26) as u8; 31],
                kind: 0,
            })
            .collect();
        let error = format!("{:#}", signatures.table(&known).unwrap_err());
        assert!(error.contains("no number is left"), "{error}");
        signatures.list.clear();
        assert_eq!(signatures.table(&known).unwrap().1, known);
    }
}
