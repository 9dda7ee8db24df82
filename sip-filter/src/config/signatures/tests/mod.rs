//! Signature files, from what is written to what the classifier finds.

mod built_in;
mod mistakes;
mod numbers;
mod own;

use sip_filter_common::{
    classify::{Destination, Work, classify},
    field::{Detector, Field, Match},
    payload::SlicePayload,
    signature::SignatureTable,
    tool::Found,
};

use super::{Mark, Signatures};

/// What the classifier finds in a request with this User-Agent.
fn find(table: &SignatureTable, user_agent: &str) -> Option<Found> {
    let request = format!("OPTIONS sip:100@192.0.2.1 SIP/2.0\r\nUser-Agent: {user_agent}\r\n\r\n");
    classify(
        &SlicePayload(request.as_bytes()),
        &Destination::NONE,
        table,
        &mut Box::new(const { Work::EMPTY }),
    )
    .tool()
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
fn the_same_pattern_may_stand_in_another_field_or_meet_in_another_way() {
    let whole = entry("", "");
    let others = whole.replace("user-agent", "from") + &whole.replace("prefix", "exact");
    assert_eq!(Signatures::parse(&(whole + &others)).unwrap().list.len(), 3);
}
