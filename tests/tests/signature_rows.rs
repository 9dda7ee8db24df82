//! Every built-in signature has rows that it meets and near misses that it does not: requests of an
//! honest phone in which one thing is changed, through the classifier on the host and the program in
//! the kernel (BPF_PROG_TEST_RUN, which needs root).
//!
//! The rows of patterns are made from the table, so a new one has rows as soon as it stands there;
//! those of detectors are written here.

use sip_filter::config::signatures::{Mark, Signature, Signatures};
use sip_filter_common::field::{Detector, Field, Match};
use sip_filter_tests::{
    kernel::{Counted, Program, tool_between},
    packet::Frame,
};

/// The detectors that the program has: whoever makes it have another one adds it here.
const DETECTORS: [Detector; Detector::COUNT] = Detector::ALL;

/// Where the requests go.
const SERVER: &str = "192.0.2.10";
const PORT: u16 = 5060;

/// A phone's request, to be changed in one place.
#[derive(Clone)]
struct Request {
    uri: String,
    /// Names and values, in their order.
    header: Vec<(String, String)>,
    body: String,
}

impl Request {
    fn new() -> Self {
        let header = [
            (
                "Via",
                "SIP/2.0/UDP 198.51.100.20:5060;branch=z9hG4bK7d1f0c9e55aa;rport",
            ),
            ("Max-Forwards", "70"),
            ("From", "\"Desk\" <sip:200@pbx.example.com>;tag=4fa3c1"),
            ("To", "<sip:201@pbx.example.com>"),
            ("Call-ID", "843817637684230@998sdasdh09"),
            ("CSeq", "1826 OPTIONS"),
            ("Contact", "<sip:200@198.51.100.20:5060>"),
            ("User-Agent", "Example Phone 450/2.9.1"),
            ("Subject", "lunch"),
        ];
        Self {
            uri: "sip:201@pbx.example.com".to_owned(),
            header: header
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .to_vec(),
            body: String::new(),
        }
    }

    /// The same with another value in a header field.
    fn with(mut self, name: &str, value: &str) -> Self {
        for (other, old) in &mut self.header {
            if other == name {
                *old = value.to_owned();
            }
        }
        self
    }

    /// The same without a header field.
    fn without(mut self, name: &str) -> Self {
        self.header.retain(|(other, _)| other != name);
        self
    }

    /// The same with a text where a signature of the field looks.
    fn holding(mut self, field: Field, text: &str) -> Self {
        match field {
            Field::RequestUri => self.uri = text.to_owned(),
            Field::Body => self.body = format!("v=0\r\n{text}\r\n"),
            Field::Any => return self.with("Subject", text),
            header => return self.with(name(header), text),
        }
        self
    }

    /// The same with header field names in their compact form (RFC 3261 section 7.3.3).
    fn compact(mut self) -> Self {
        for (name, _) in &mut self.header {
            let short = match name.as_str() {
                "Via" => "v",
                "From" => "f",
                "To" => "t",
                "Call-ID" => "i",
                "Contact" => "m",
                "Subject" => "s",
                _ => continue,
            };
            *name = short.to_owned();
        }
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let mut text = format!("OPTIONS {} SIP/2.0\r\n", self.uri);
        for (name, value) in &self.header {
            text += &format!("{name}: {value}\r\n");
        }
        let length = self.body.len();
        text += &format!("Content-Length: {length}\r\n\r\n{}", self.body);
        text.into_bytes()
    }
}

/// A header field as phones write it.
fn name(field: Field) -> &'static str {
    match field {
        Field::UserAgent => "User-Agent",
        Field::From => "From",
        Field::To => "To",
        Field::Contact => "Contact",
        Field::Via => "Via",
        Field::CallId => "Call-ID",
        Field::CSeq => "CSeq",
        Field::RequestUri | Field::Body | Field::Any => panic!("{field:?} is no header field"),
    }
}

/// Every header field that signatures look at.
const HEADERS: [Field; 7] = [
    Field::UserAgent,
    Field::From,
    Field::To,
    Field::Contact,
    Field::Via,
    Field::CallId,
    Field::CSeq,
];

/// What a tool is named and whether the packet is dropped for it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Named {
    tool: String,
    dropped: bool,
}

/// What both engines say of a payload.
fn named(program: &Program, what: &str, payload: &[u8]) -> Option<Named> {
    let frame = Frame::to(SERVER)
        .from("198.51.100.20")
        .port(PORT)
        .payload(payload)
        .bytes();
    let host = program.host_of(&frame);
    let (totals, tools) = (program.totals(), program.tool_counts());
    let action = program.run(&frame);
    let (counted, _) = Counted::between(&totals, &program.totals());
    assert_eq!(counted, program.decided(host), "{what}");
    assert_eq!(action, counted.action(), "{what}");
    let tool = tool_between(&tools, &program.tool_counts());
    assert_eq!(tool, host.tool().map(|found| found.tool()), "{what}");
    let found = host.tool()?;
    Some(Named {
        tool: program.tool(found.tool()).to_owned(),
        dropped: found.is_hostile(),
    })
}

/// A pattern.
struct Pattern {
    signature: Signature,
    field: Field,
    how: Match,
    text: String,
}

/// The built-in signatures.
fn built_in() -> Signatures {
    Signatures::built_in().unwrap_or_else(|error| panic!("{error:#}"))
}

/// Signatures of what each field contains, of which there are none among the built-in ones.
fn contained() -> Signatures {
    let entry = |field: Field| {
        let name = field.name();
        // Nothing else is a URI.
        let scheme = match field {
            Field::RequestUri => "sip:",
            _ => "",
        };
        format!(
            "[[signature]]\ntool = \"in {name}\"\nkind = \"scanner\"\nfield = \"{name}\"\n\
             match = \"contains\"\npattern = \"{scheme}Mark-of-{name}\"\n"
        )
    };
    let file: String = Field::ALL.into_iter().map(entry).collect();
    Signatures::parse(&file).unwrap_or_else(|error| panic!("{error:#}"))
}

/// The patterns of signatures.
fn patterns(signatures: Signatures) -> Vec<Pattern> {
    let pattern = |signature: Signature| match signature.mark.clone() {
        Mark::Pattern {
            field,
            how,
            pattern,
        } => Some(Pattern {
            signature,
            field,
            how,
            text: pattern,
        }),
        Mark::Detector(_) => None,
    };
    signatures.list.into_iter().filter_map(pattern).collect()
}

impl Pattern {
    fn what(&self, row: &str) -> String {
        let Signature { tool, .. } = &self.signature;
        let (field, how) = (self.field.name(), self.how.name());
        format!("{tool}: {field} {how} {:?}, {row}", self.text)
    }

    /// Requests that it meets.
    fn meets(&self) -> Vec<(&'static str, Request)> {
        let Self {
            field, how, text, ..
        } = self;
        let field = *field;
        let holds = |text: &str| Request::new().holding(field, text);
        let mut rows = vec![
            ("as it is", holds(text)),
            ("in capitals", holds(&text.to_ascii_uppercase())),
            ("in small letters", holds(&text.to_ascii_lowercase())),
        ];
        match how {
            Match::Prefix => rows.push(("with more behind it", holds(&format!("{text}1 2")))),
            Match::Contains => rows.push(("in a word", holds(&format!("a{text}b")))),
            Match::Exact => {}
        }
        if field == Field::RequestUri {
            // Behind it, a blank would begin the version.
            rows.retain(|(row, _)| *row != "with more behind it");
            rows.push(("with more behind it", holds(&format!("{text}198.51.100.1"))));
            rows.retain(|(row, _)| *how == Match::Prefix || *row != "with more behind it");
        } else {
            rows.push(("behind more blanks", holds(&format!("  \t{text}"))));
        }
        if *how == Match::Exact && HEADERS.contains(&field) {
            rows.push(("with a blank behind it", holds(&format!("{text} "))));
        }
        rows.push(("in compact form", holds(text).compact()));
        rows
    }

    /// Whether a value of its field is such as it is to meet.
    fn is_met_by(&self, value: &str) -> bool {
        let [value, text] = [value, &self.text].map(str::to_ascii_lowercase);
        match self.how {
            Match::Exact => value.trim_end() == text,
            Match::Prefix => value.starts_with(&text),
            Match::Contains => value.contains(&text),
        }
    }

    /// Requests that it nearly meets.
    fn misses(&self, all: &[Self]) -> Vec<(String, Request)> {
        let Self {
            field, how, text, ..
        } = self;
        let field = *field;
        let other = if text.ends_with(['q', 'Q']) { 'z' } else { 'q' };
        let short = &text[..text.len() - 1];
        let mut values = vec![
            ("with another last byte", format!("{short}{other}")),
            ("without its last byte", short.to_owned()),
        ];
        if *how != Match::Contains {
            values.push(("with a byte before it", format!("q{text}")));
        }
        if *how == Match::Exact {
            values.push(("with a byte behind it", format!("{text}q")));
            if field != Field::RequestUri {
                values.push(("with a word behind it", format!("{text} q")));
            }
        }
        // A tool may have another pattern for just that.
        let of_field = all.iter().filter(|one| one.field == field);
        values.retain(|(_, value)| !of_field.clone().any(|one| one.is_met_by(value)));

        let holds = |field: Field, text: &str| Request::new().holding(field, text);
        let mut rows = Vec::new();
        let mut row = |what: &str, request: Request| rows.push((what.to_owned(), request));
        for (what, value) in values {
            row(what, holds(field, &value));
        }
        if field == Field::Any {
            return rows;
        }
        for header in HEADERS.into_iter().filter(|header| *header != field) {
            if all
                .iter()
                .any(|one| one.field == header && one.is_met_by(text))
            {
                continue;
            }
            row(&format!("in {}", name(header)), holds(header, text));
        }
        row("in Subject", holds(Field::Any, text));
        // Nothing else is a URI, so that the request would be none.
        if field != Field::RequestUri && text.starts_with("sip:") {
            row("in the request URI", holds(Field::RequestUri, text));
        }
        if field != Field::Body {
            row("in the body", holds(Field::Body, text));
            if HEADERS.contains(&field) {
                let line = format!("{}: {text}", name(field));
                row("as a header field in the body", holds(Field::Body, &line));
                let folded = format!("lunch\r\n {line}");
                row("in a folded line", holds(Field::Any, &folded));
            }
        }
        rows
    }
}

#[test]
fn every_pattern_names_its_tool() {
    let program = Program::load("scanners", "5060");
    let patterns = patterns(built_in());
    assert!(patterns.len() > 50, "there are only {}", patterns.len());
    all_name_their_tools(&program, &patterns);
}

#[test]
fn what_a_field_contains_names_its_tool_and_nothing_near_it() {
    let program = Program::load_with("scanners", "5060", contained(), false);
    let patterns = patterns(contained());
    assert_eq!(patterns.len(), Field::ALL.len());
    all_name_their_tools(&program, &patterns);
    none_is_nearly_met(&program, &patterns);
}

fn all_name_their_tools(program: &Program, patterns: &[Pattern]) {
    for pattern in patterns {
        let expected = Some(Named {
            tool: pattern.signature.tool.clone(),
            dropped: pattern.signature.drops(),
        });
        for (row, request) in pattern.meets() {
            let what = pattern.what(row);
            assert_eq!(named(program, &what, &request.bytes()), expected, "{what}");
        }
    }
}

#[test]
fn no_pattern_names_its_tool_where_it_is_nearly_met() {
    let program = Program::load("scanners", "5060");
    none_is_nearly_met(&program, &patterns(built_in()));
}

fn none_is_nearly_met(program: &Program, patterns: &[Pattern]) {
    for pattern in patterns {
        for (row, request) in pattern.misses(patterns) {
            let what = pattern.what(&row);
            let found = named(program, &what, &request.bytes());
            let tool = found.as_ref().map(|found| found.tool.as_str());
            assert_ne!(tool, Some(pattern.signature.tool.as_str()), "{what}");
            // Whoever else it is taken for, it is not dropped.
            assert!(found.is_none_or(|found| !found.dropped), "{what}");
        }
    }
}

#[test]
fn the_request_that_is_changed_is_nobodys() {
    let program = Program::load("scanners", "5060");
    for request in [Request::new(), Request::new().compact()] {
        assert_eq!(named(&program, "as it is", &request.bytes()), None);
    }
}

/// A row for a detector.
struct Row {
    detector: Detector,
    what: &'static str,
    payload: Vec<u8>,
    /// The tool, and whether the packet is dropped for it.
    expected: Option<(&'static str, bool)>,
}

/// svmap's From tag when it asks 192.0.2.10 at port 5060: `c000020a13c4` in hex.
const TARGET: &str = "63303030303230613133633401373639303039353736";

/// A tag at the end of From.
fn tagged(tag: &str) -> Request {
    let from = format!("\"Desk\" <sip:200@pbx.example.com>;tag={tag}");
    Request::new().with("From", &from)
}

/// A branch at the end of Via, with what follows it.
fn branched(request: Request, branch: &str) -> Request {
    let via = format!("SIP/2.0/UDP 198.51.100.20:5060;branch={branch}");
    request.with("Via", &via)
}

/// Via and Call-ID of one of nmap's scripts.
const NMAP_VIA: &str = "SIP/2.0/UDP 192.0.2.66:40455;rport;branch=z9hG4bK8HQcLxnIMpkTxQA4JkRMdqKz4";
const NMAP_CALL_ID: &str = "Y0VXp543frEOm_N2RJTA6dzQZGDpwpsJfDhK8aCcGHqsG4kYD3Z9WNPvUSaG";

/// What the requests of nmap's scripts have in common whatever they call themselves.
fn nmap() -> Request {
    let request = Request::new().with("Via", NMAP_VIA);
    request
        .with("Call-ID", NMAP_CALL_ID)
        .with("CSeq", "1234 OPTIONS")
}

/// Everything that SIPVicious' requests have in common, of svwar that asks for extension 100.
fn sipvicious() -> Request {
    branched(
        tagged("3130300131333530333738353034"),
        "z9hG4bK-3535693140;rport",
    )
    .with("Call-ID", "1301176352")
}

/// What zmap's template becomes, recorded; `alias` and Max-Forwards are what it has of sipsak.
fn zmap() -> Request {
    let mut request = Request::new().without("Subject");
    request.uri = "sip:zNjxzEPe@192.0.2.10".to_owned();
    branched(request, "dwDLtc.2302561696;rport;alias")
        .with("From", "sip:ReVNwMkq@198.51.100.20:50796;tag=50701030")
        .with("To", "sip:Yhjvnsfw@192.0.2.10")
        .with("Call-ID", "7450448047@198.51.100.20")
        .with("CSeq", "1 OPTIONS")
        .with("Contact", "sip:OFcvBHDM@198.51.100.20:50796")
        .with("Max-Forwards", "20")
        .with("User-Agent", "kFraYXhc")
}

/// Metasploit's, without its tag.
fn metasploit() -> Request {
    branched(Request::new(), "z9hG4bK.0a1b2c3d;rport;alias").with("Max-Forwards", "20")
}

/// The rows of the detectors.
fn rows() -> Vec<Row> {
    const SURE: Option<(&str, bool)> = Some(("sipvicious", true));
    const UNSURE: Option<(&str, bool)> = Some(("sipvicious", false));
    let branch = "a1b2c3d4e5".repeat(7) + "f";
    let mut rows = Vec::new();
    let mut row = |detector, what, request: Request, expected| {
        rows.push(Row {
            detector,
            what,
            payload: request.bytes(),
            expected,
        });
    };

    let target = Detector::SipviciousTarget;
    row(target, "the packet's own destination", tagged(TARGET), SURE);
    row(target, "in compact form", tagged(TARGET).compact(), SURE);
    let other = TARGET.replacen("3061", "3062", 1);
    row(target, "another address", tagged(&other), UNSURE);
    let other = TARGET.replacen("31336334", "31336335", 1);
    row(target, "another port", tagged(&other), UNSURE);
    let to = format!("<sip:201@pbx.example.com>;tag={TARGET}");
    row(target, "in To", Request::new().with("To", &to), None);

    let shape = Detector::SipviciousShape;
    row(shape, "tag, branch and Call-ID", sipvicious(), SURE);
    row(shape, "in compact form", sipvicious().compact(), SURE);
    let request = branched(sipvicious(), "z9hG4bK-353569314a;rport");
    row(shape, "a letter in the branch", request, UNSURE);
    let request = branched(sipvicious(), "z9hG4bK-3535693140");
    row(shape, "no rport", request, UNSURE);
    let request = sipvicious().with("Call-ID", "1301176352@198.51.100.20");
    row(shape, "a host in the Call-ID", request, UNSURE);
    // Doubango sends such a branch.
    let request = branched(Request::new(), "z9hG4bK-3535693140;rport");
    row(shape, "branch alone", request.clone(), None);
    let request = request.with("Call-ID", "1301176352");
    row(shape, "branch and Call-ID", request, None);

    let tag = Detector::SipviciousTag;
    row(
        tag,
        "the tag alone",
        tagged("3130300131333530333738353034"),
        UNSURE,
    );
    row(tag, "six digits", tagged("31303001313335303337"), UNSURE);
    row(tag, "five digits", tagged("313030013133353033"), None);
    row(
        tag,
        "no digit among them",
        tagged("3130300131333530333a38353034"),
        None,
    );
    row(tag, "no 01", tagged("3130300231333530333738353034"), None);
    row(tag, "no hex", tagged("31303g0131333530333738353034"), None);
    row(
        tag,
        "an odd digit more",
        tagged("13130300131333530333738353034"),
        None,
    );
    row(
        tag,
        "more behind it",
        tagged("3130300131333530333738353034;x"),
        None,
    );

    let svcrack = Detector::SvcrackTag;
    row(svcrack, "the tag", tagged("3206210844"), SURE);
    row(
        svcrack,
        "in compact form",
        tagged("3206210844").compact(),
        SURE,
    );
    row(svcrack, "another last digit", tagged("3206210845"), None);
    row(svcrack, "another first digit", tagged("4206210844"), None);
    row(svcrack, "a digit more before", tagged("13206210844"), None);
    row(svcrack, "a digit more behind", tagged("32062108440"), None);

    let sippts = Detector::SipptsBranch;
    let named = Some(("sippts", true));
    let branch_of = |branch: &str| branched(Request::new(), branch);
    row(sippts, "71 of them", branch_of(&branch), named);
    row(
        sippts,
        "in compact form",
        branch_of(&branch).compact(),
        named,
    );
    row(sippts, "70 of them", branch_of(&branch[1..]), None);
    row(sippts, "72 of them", branch_of(&format!("{branch}0")), None);
    let capital = branch.replacen('a', "A", 1);
    row(sippts, "a capital letter", branch_of(&capital), None);
    let cookie = format!("z9hG4bK{}", &branch[7..]);
    row(sippts, "the magic cookie", branch_of(&cookie), None);

    let tag = Detector::MetasploitTag;
    row(
        tag,
        "the tag",
        tagged("70c00e8c"),
        Some(("metasploit", true)),
    );
    row(tag, "another last digit", tagged("70c00e8d"), None);
    row(tag, "a digit more before", tagged("170c00e8c"), None);
    row(tag, "a digit more behind", tagged("70c00e8c0"), None);

    let branch = Detector::MetasploitBranch;
    row(
        branch,
        "the branch",
        metasploit(),
        Some(("metasploit", false)),
    );
    // sipsak sends the same otherwise.
    let request = metasploit().with("Max-Forwards", "70");
    row(branch, "sipsak's Max-Forwards", request, None);
    let short = branched(metasploit(), "z9hG4bK.0a1b2c3;rport;alias");
    row(branch, "seven digits", short, None);
    let letter = branched(metasploit(), "z9hG4bK.0a1b2c3g;rport;alias");
    row(branch, "a letter that is no digit", letter, None);
    let phone = branched(metasploit(), "z9hG4bK.0a1b2c3d;rport");
    row(branch, "linphone's, without alias", phone, None);

    let script = Detector::NmapScript;
    let named = Some(("nmap", true));
    row(script, "CSeq, Call-ID and branch", nmap(), named);
    row(script, "in compact form", nmap().compact(), named);
    let request = nmap().with("CSeq", "1235 OPTIONS");
    row(script, "another CSeq", request, None);
    let request = nmap().with("CSeq", "12345 OPTIONS");
    row(script, "a longer CSeq", request, None);
    let request = nmap().with("Call-ID", &NMAP_CALL_ID[1..]);
    row(script, "a Call-ID of 59 letters", request, None);
    let request = nmap().with("Call-ID", &format!("a{NMAP_CALL_ID}"));
    row(script, "a Call-ID of 61 letters", request, None);
    let host = NMAP_CALL_ID.replacen('_', "@", 1);
    row(
        script,
        "a Call-ID with a host",
        nmap().with("Call-ID", &host),
        None,
    );
    let request = branched(nmap(), "z9hG4bK8HQcLxnIMpkTxQA4JkRMdqKz4");
    row(script, "no rport before the branch", request, None);
    let request = nmap().with("Via", &format!("{NMAP_VIA}0"));
    row(script, "a branch of 33 letters", request, None);

    let template = Detector::ZmapTemplate;
    row(template, "the template", zmap(), Some(("zmap", false)));
    let request = branched(zmap(), "dwDLt3.2302561696;rport;alias");
    row(template, "a digit among the letters", request, None);
    let request = branched(zmap(), "dwDLtc.230256169;rport;alias");
    row(template, "nine digits", request, None);
    let request = zmap().with("Max-Forwards", "70");
    row(template, "another Max-Forwards", request, None);

    for (what, payload, expected) in [
        ("the packet", &b"OPTIONS"[..], Some(("zmap", false))),
        ("a blank more", b"OPTIONS ", None),
        ("a letter less", b"OPTION", None),
        ("another method", b"REGISTE", None),
    ] {
        rows.push(Row {
            detector: Detector::ZmapBare,
            what,
            payload: payload.to_vec(),
            expected,
        });
    }
    rows
}

#[test]
fn detectors_find_what_they_are_for_and_nothing_near_it() {
    let program = Program::load("scanners", "5060");
    let rows = rows();
    for detector in Detector::ALL {
        let rows = rows.iter().filter(|row| row.detector == detector);
        let (met, missed): (Vec<_>, Vec<_>) = rows.partition(|row| row.expected.is_some());
        assert!(!met.is_empty(), "{detector:?} has no row that it finds");
        let is_unsure = matches!(
            detector,
            Detector::SipviciousTarget | Detector::SipviciousShape
        );
        assert!(
            !missed.is_empty() || is_unsure,
            "{detector:?} has no near miss"
        );
    }
    for row in rows.iter().filter(|row| DETECTORS.contains(&row.detector)) {
        let what = format!("{}: {}", row.detector.name(), row.what);
        let found = named(&program, &what, &row.payload);
        let expected = row.expected.map(|(tool, dropped)| Named {
            tool: tool.to_owned(),
            dropped,
        });
        assert_eq!(found, expected, "{what}");
    }
}
