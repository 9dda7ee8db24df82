//! What has a number keeps it.

use sip_filter_common::{
    abi::{MAX_TOOLS, SignatureNumber, ToolName},
    signature::TableError,
};

use super::{
    super::{Signatures, tool_name},
    entry, find,
};

#[test]
fn tools_keep_their_numbers() {
    let named = |tool: &str| {
        entry("tool", &format!("tool = \"{tool}\"")).replace("\"pattern\"", &format!("\"{tool}\""))
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
