//! What is wrong with a file, and what is said of it.

use super::{super::Signatures, detector, entry};

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
