//! Text that strangers have sent, made fit to be shown.

use std::fmt::Write as _;

use sip_filter_common::abi;

use crate::escape;

/// The bytes of the packet that are reported.
pub(super) fn bytes(report: &abi::Event) -> Vec<u8> {
    let mut bytes: Vec<_> = report.text.iter().flat_map(|it| it.to_ne_bytes()).collect();
    bytes.truncate(report.length as usize);
    bytes
}

/// The first line.
pub(super) fn start_line(bytes: &[u8]) -> String {
    harmless(lines(bytes).next().unwrap_or_default())
}

/// The value of the first User-Agent of the header; of one that is folded, the first line.
pub(super) fn user_agent(bytes: &[u8]) -> Option<String> {
    for line in lines(bytes).skip(1) {
        if line.is_empty() {
            break;
        }
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let name = parts.next()?.trim_ascii_end();
        if name.eq_ignore_ascii_case(b"user-agent") {
            return parts.next().map(|value| harmless(value.trim_ascii()));
        }
    }
    None
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes
        .split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}

/// Bytes as text that does nothing where it is shown: see [`escape`]. What is no UTF-8 is written as
/// `\xff`.
pub fn harmless(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(&escape::terminal(chunk.valid()));
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_something_is_written_out() {
        for (bytes, expected) in [
            (&b"friendly-scanner"[..], "friendly-scanner"),
            ("Telefon Gerät ☎".as_bytes(), "Telefon Gerät ☎"),
            (b"\x1b[2Jx\x07", "\\u{1b}[2Jx\\u{7}"),
            (
                "a\u{202e}b\u{200b}\u{9b}31m".as_bytes(),
                "a\\u{202e}b\\u{200b}\\u{9b}31m",
            ),
            (b"\xff\xc3", "\\xff\\xc3"),
            (b"a\tb", "a\\u{9}b"),
        ] {
            assert_eq!(harmless(bytes), expected);
        }
    }

    #[test]
    fn a_user_agent_stands_in_the_header() {
        for (text, expected) in [
            (
                "OPTIONS x SIP/2.0\r\nuser-agent \t: a b \r\n\r\n",
                Some("a b"),
            ),
            ("OPTIONS x SIP/2.0\nVia: y\nUSER-AGENT:z", Some("z")),
            ("OPTIONS x SIP/2.0\r\n\r\nUser-Agent: body", None),
            ("User-Agent: start line", None),
            ("OPTIONS x SIP/2.0\r\nUser-Agent", None),
        ] {
            assert_eq!(user_agent(text.as_bytes()).as_deref(), expected, "{text}");
        }
    }
}
