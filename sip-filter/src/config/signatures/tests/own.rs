//! An operator's own file before the built-in set.

use sip_filter_common::{signature::MAX_SIGNATURES, tool::Kind};

use super::{
    super::{Signature, Signatures},
    detector, entry,
};

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
