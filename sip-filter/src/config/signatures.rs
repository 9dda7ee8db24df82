//! Signatures: the TOML that names tools, checked and turned into the kernel's table.
//!
//! A file is a list of `[[signature]]` entries. Reading one checks every entry on its own
//! and against the others. The operator's own file goes before the built-in set: what it says of
//! a tool's field is all that holds for it. [`Signatures::table`] numbers the tools and builds what
//! the program is given. Which text meets which value is the business of
//! [`sip_filter_common::signature`].

use std::{fs, path::Path};

use anyhow::{Context, Result, anyhow, bail};
use serde::Deserialize;
use sip_filter_common::{
    abi::{MAX_TOOLS, ToolName},
    field::{Field, Match},
    signature::SignatureTable,
    tool::{Found, Kind},
};
use toml::Spanned;

/// The set that the loader carries inside itself.
const BUILT_IN: &str = include_str!("../../signatures.toml");

/// The header field that is looked at.
const USER_AGENT: &str = "user-agent";
/// Every field that the format knows; of these, the program reads [`USER_AGENT`] alone.
const FIELDS: [&str; 9] = [
    USER_AGENT,
    "from",
    "to",
    "contact",
    "via",
    "call-id",
    "cseq",
    "request-uri",
    "body",
];
/// The match that the format knows and the program does not.
const CONTAINS: &str = "contains";
const MATCHES: [Match; 2] = [Match::Exact, Match::Prefix];

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
    /// How the pattern meets the User-Agent's value.
    pub how: Match,
    /// What the value is compared with, in any case.
    pub pattern: String,
    /// Where this is known from.
    pub note: String,
    /// Whether it is from the operator's own file.
    pub own: bool,
}

impl Signature {
    /// The field that is looked at.
    pub fn field(&self) -> &'static str {
        USER_AGENT
    }
}

/// Where a signature stands in its file: its line and its number, both from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    line: usize,
    number: usize,
}

/// Signatures that agree with each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signatures {
    /// In the order of the file.
    pub list: Vec<Signature>,
}

/// A file as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default, rename = "signature")]
    signatures: Vec<Spanned<Entry>>,
}

/// An entry as written. Names of kinds, fields and matches are checked afterwards, where the
/// error can say which entry it is about.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    tool: String,
    field: String,
    kind: Option<String>,
    #[serde(rename = "match")]
    how: Option<String>,
    pattern: Option<String>,
    #[serde(default)]
    note: String,
    /// The built-in signatures of this tool and field do not hold, and nothing takes their place.
    #[serde(default)]
    disabled: bool,
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
        Ok(Self {
            list: read(text, false)?.0,
        })
    }

    /// The built-in set with an operator's own file before it: for each tool and field that the
    /// file names, what it says holds in place of what is built in.
    ///
    /// # Errors
    ///
    /// As [`Signatures::parse`], and when the two together do not fit the table; the message names
    /// the file.
    pub fn with_own(path: &Path) -> Result<Self> {
        let own = || -> Result<Self> {
            let text = fs::read_to_string(path)?;
            let (mut list, named) = read(&text, true)?;
            let built_in = Self::built_in()?.list.into_iter().filter(|built_in| {
                let is_it = |tool: &String| *tool == built_in.tool;
                !named.iter().any(is_it)
            });
            for signature in built_in {
                contradiction(&list, &signature)
                    .with_context(|| format!("built-in signature of {}", signature.tool))?;
                list.push(signature);
            }
            let signatures = Self { list };
            signatures.table(&[])?;
            Ok(signatures)
        };
        own().with_context(|| format!("the signature file {}", path.display()))
    }

    /// The table for the program and what its tool numbers mean, [`MAX_TOOLS`] of them.
    ///
    /// A tool in `known` keeps its number, so that counters keep their meaning when a
    /// program is replaced; names that have counters are kept although no signature
    /// mentions them any more.
    ///
    /// # Errors
    ///
    /// When there are too many tools or signatures, or a pattern does not fit the table.
    pub fn table(&self, known: &[ToolName]) -> Result<(Box<SignatureTable>, Vec<ToolName>)> {
        let mut names = known.to_vec();
        names.resize(MAX_TOOLS, UNUSED);
        let mut table = Box::new(SignatureTable::EMPTY);
        for (at, signature) in self.list.iter().enumerate() {
            let place = || place(signature.place, &signature.tool, &signature.pattern);
            let number = number(&mut names, signature).with_context(place)?;
            table
                .insert(
                    at as u16,
                    Field::UserAgent,
                    signature.how,
                    signature.pattern.as_bytes(),
                    Found::new(number, signature.kind),
                )
                .with_context(place)?;
        }
        Ok((table, names))
    }
}

/// The signatures of a file's text, and the tools that it names.
fn read(text: &str, own: bool) -> Result<(Vec<Signature>, Vec<String>)> {
    let line = |offset: usize| 1 + text.get(..offset).unwrap_or(text).matches('\n').count();
    let file: File = toml::from_str(text).map_err(|error| match error.span() {
        Some(span) => anyhow!("line {}: {}", line(span.start), error.message()),
        None => anyhow!("{}", error.message()),
    })?;
    let mut list = Vec::with_capacity(file.signatures.len());
    let mut named = Vec::new();
    for (at, entry) in file.signatures.into_iter().enumerate() {
        let stands = Place {
            line: line(entry.span().start),
            number: at + 1,
        };
        let entry = entry.into_inner();
        let place = place(
            stands,
            &entry.tool,
            entry.pattern.as_deref().unwrap_or_default(),
        );
        named.push(entry.tool.clone());
        if let Some(signature) = entry.check(stands, own).with_context(|| place.clone())? {
            contradiction(&list, &signature).context(place)?;
            list.push(signature);
        }
    }
    Ok((list, named))
}

impl Entry {
    /// The signature, if it is not there to disable others.
    fn check(self, place: Place, own: bool) -> Result<Option<Signature>> {
        if self.tool.is_empty() || self.tool.len() > MAX_TOOL_NAME {
            bail!("a tool's name has 1 to {MAX_TOOL_NAME} bytes");
        }
        // The name is printed in tables and lists, which join names with semicolons.
        if self.tool.contains(|c: char| c.is_control() || c == ';') {
            bail!("a tool's name holds neither control characters nor semicolons");
        }
        match self.field.as_str() {
            USER_AGENT => {}
            field if FIELDS.contains(&field) => {
                bail!("field `{field}` is not supported yet; {USER_AGENT} is")
            }
            field => bail!("there is no field `{field}`; use {USER_AGENT}"),
        }
        if self.disabled {
            if !own {
                bail!("`disabled` is for a file of one's own, beside the built-in signatures");
            }
            if self.kind.is_some() || self.how.is_some() || self.pattern.is_some() {
                bail!("what is disabled has neither kind, match nor pattern");
            }
            return Ok(None);
        }
        let (Some(kind), Some(how), Some(pattern)) = (self.kind, self.how, self.pattern) else {
            bail!("it needs kind, match and pattern, unless it says `disabled = true`");
        };
        let kind = Kind::ALL
            .into_iter()
            .find(|known| known.name() == kind)
            .ok_or_else(|| {
                let kinds = Kind::ALL.map(Kind::name).join(", ");
                anyhow!("there is no kind `{kind}`; there are {kinds}")
            })?;
        let matches = MATCHES.map(Match::name).join(" and ");
        let how = MATCHES
            .into_iter()
            .find(|known| known.name() == how)
            .ok_or_else(|| match how.as_str() {
                CONTAINS => anyhow!("match `{CONTAINS}` is not supported yet; {matches} are"),
                how => anyhow!("there is no match `{how}`; there are {matches}"),
            })?;
        Ok(Some(Signature {
            place,
            tool: self.tool,
            kind,
            how,
            pattern,
            note: self.note,
            own,
        }))
    }
}

/// What an error calls the entry that stands there.
fn place(Place { line, number }: Place, tool: &str, pattern: &str) -> String {
    format!("line {line}, signature {number} (tool {tool:?}, pattern {pattern:?})")
}

/// An error when `signature` and one of those before it cannot both hold.
fn contradiction(before: &[Signature], signature: &Signature) -> Result<()> {
    for other in before {
        let number = other.place.number;
        if other.how == signature.how && other.pattern.eq_ignore_ascii_case(&signature.pattern) {
            bail!("signature {number} has the same pattern and match");
        }
        if other.tool == signature.tool && other.kind != signature.kind {
            bail!(
                "the tool is a {} here and a {} in signature {number}; a tool has one kind",
                signature.kind.name(),
                other.kind.name(),
            );
        }
    }
    Ok(())
}

/// The number of the signature's tool, a new one if it has none.
fn number(names: &mut [ToolName], signature: &Signature) -> Result<u8> {
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
    };

    /// What the classifier finds in a request with this User-Agent.
    fn find(table: &SignatureTable, user_agent: &str) -> Option<Found> {
        let request =
            format!("OPTIONS sip:100@192.0.2.1 SIP/2.0\r\nUser-Agent: {user_agent}\r\n\r\n");
        classify(
            &SlicePayload(request.as_bytes()),
            &Destination::NONE,
            table,
            &mut Work::EMPTY,
        )
        .tool()
    }

    fn built_in() -> (Signatures, Box<SignatureTable>, Vec<ToolName>) {
        let signatures = Signatures::built_in().unwrap();
        let (table, names) = signatures.table(&[]).unwrap();
        (signatures, table, names)
    }

    /// The tool and kind that the built-in set gives a User-Agent.
    fn built_in_finds(user_agent: &str) -> Option<(String, Kind)> {
        let (_, table, names) = built_in();
        let found = find(&table, user_agent)?;
        let name = tool_name(&names[usize::from(found.tool())]).unwrap();
        Some((name.to_owned(), found.kind()))
    }

    #[test]
    fn every_built_in_pattern_finds_its_own_tool() {
        let (signatures, table, names) = built_in();
        for signature in &signatures.list {
            let found = find(&table, &signature.pattern);
            let found = found.unwrap_or_else(|| panic!("{signature:?} is not found"));
            let name = &names[usize::from(found.tool())];
            assert_eq!(tool_name(name), Some(signature.tool.as_str()));
            assert_eq!(found.kind(), signature.kind, "{signature:?}");
            assert_eq!(name.kind, signature.kind as u8, "{signature:?}");
            assert!(!signature.note.is_empty(), "{signature:?} has no origin");
        }
        assert_eq!(names.len(), MAX_TOOLS);
    }

    #[test]
    fn user_agents_as_tools_send_them() {
        for (user_agent, tool, kind) in [
            ("friendly-scanner", "sipvicious", Kind::Scanner),
            ("Friendly-Scanner ", "sipvicious", Kind::Scanner),
            (
                "UNfriendly-scanner - for demo purposes",
                "sipvicious",
                Kind::Scanner,
            ),
            ("svcrack/0.2.8", "sipvicious", Kind::Scanner),
            ("friendly-request", "friendly-request", Kind::Scanner),
            ("pplsip", "sippts", Kind::Scanner),
            ("sundayddr", "sundayddr", Kind::Scanner),
            ("sipcli/v1.8", "sipcli", Kind::Dialer),
            ("sipsak 0.9.7", "sipsak", Kind::TestTool),
            ("VaxSIPUserAgent/3.1", "vaxvoip", Kind::Library),
            ("PortSIP VoIP SDK 11.2", "portsip", Kind::Library),
        ] {
            let expected = Some((tool.to_owned(), kind));
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

    #[test]
    fn errors_name_the_entry_and_what_is_allowed() {
        let whole = entry("", "");
        for (file, named) in [
            (
                entry("kind", "kind = \"worm\""),
                "no kind `worm`; there are scanner",
            ),
            (
                entry("field", "field = \"from\""),
                "`from` is not supported yet",
            ),
            (entry("field", "field = \"x\""), "no field `x`"),
            (
                entry("match", "match = \"contains\""),
                "`contains` is not supported yet",
            ),
            (
                entry("match", "match = \"regex\""),
                "no match `regex`; there are exact and prefix",
            ),
            (entry("tool", "tool = \"\""), "1 to 31 bytes"),
            (entry("tool", "tool = \"a;b\""), "semicolons"),
            (
                whole.clone() + &whole,
                "line 7, signature 2 (tool \"t\", pattern \"pattern\"): signature 1 has",
            ),
            (
                whole.clone()
                    + &entry("kind", "kind = \"library\"").replace("\"pattern\"", "\"other\""),
                "a library here and a scanner in signature 1",
            ),
            (
                entry("note", "") + "colour = 1\n",
                "line 7: unknown field `colour`",
            ),
            (entry("tool", ""), "missing field `tool`"),
            (
                entry("pattern", ""),
                "line 1, signature 1 (tool \"t\", pattern \"\"): it needs kind",
            ),
            (
                entry("note", "") + "disabled = true\n",
                "`disabled` is for a file of one's own",
            ),
            ("[[signature]".to_owned(), "line 1: "),
        ] {
            let error = format!("{:#}", Signatures::parse(&file).unwrap_err());
            assert!(error.contains(named), "{file}{error}");
            assert!(!error.contains('\n'), "{file}{error}");
        }
    }

    #[test]
    fn patterns_that_do_not_fit_are_named() {
        for (pattern, named) in [
            ("abc", "shorter than 4"),
            (&*"x".repeat(65), "longer than 64"),
        ] {
            let file = entry("pattern", &format!("pattern = \"{pattern}\""));
            let error = Signatures::parse(&file).unwrap().table(&[]).unwrap_err();
            let error = format!("{error:#}");
            assert!(
                error.contains("signature 1") && error.contains(named),
                "{error}"
            );
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
