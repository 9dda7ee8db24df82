//! Messages made to be dear, or to be missed: what somebody sends who knows how the program looks
//! for things. All fit a frame of 1,514 bytes.

use crate::messages::SVMAP;

/// The length in bytes of the messages that are made to be dear.
pub const DEAR: usize = 1_400;
/// How many bytes, at the least, stand before what is to be found in a padded message.
pub const PADDING: usize = 1_024;

/// A message that somebody thought up.
#[derive(Clone, Debug)]
pub struct Message {
    /// What it consists of.
    pub name: &'static str,
    /// Its bytes.
    pub payload: Vec<u8>,
}

/// Messages in which something is begun, counted or compared at as many places as there are, and
/// nothing is found.
pub fn dear() -> Vec<Message> {
    const START_LINE: &[u8] = b"OPTIONS sip:a@b SIP/2.0\r\n";
    const NOTHING: &[u8] = b"";
    let rows: [(_, _, &[u8]); 14] = [
        ("LF alone behind the start line", START_LINE, b"\n"),
        ("lines of one byte", START_LINE, b"a\n"),
        ("colons", START_LINE, b":"),
        ("lines of a colon", START_LINE, b":\n"),
        ("User-Agent, less its last byte", START_LINE, b"\nuser-agen"),
        ("User-Agent and one byte more", START_LINE, b"\nuser-agents"),
        ("User-Agent without a colon", START_LINE, b"\nuser-agent"),
        (
            "From with friendly-scanne, over and over",
            b"OPTIONS sip:a@b SIP/2.0\r\nFrom: ",
            b"friendly-scanne",
        ),
        (
            "fields of friendly-scanne",
            START_LINE,
            b"User-Agent: friendly-scanne\r\n",
        ),
        ("bytes 0x0b", START_LINE, b"\x0b"),
        ("bytes 0x8a and 0x8b", START_LINE, b"\x8a\x8b"),
        ("folded lines of blanks", START_LINE, b"\r\n \t"),
        ("line ends before a start line", NOTHING, b"\r\n"),
        (
            "a first line without an end",
            b"OPTIONS tag:",
            b" SIP/2.0\r",
        ),
    ];
    rows.map(|(name, head, repeated)| Message {
        name,
        payload: [head, &repeated.repeat(DEAR)].concat()[..DEAR].to_vec(),
    })
    .into()
}

/// svmap's probe with something behind its start line that moves the rest away; all of it is what
/// receivers read over.
pub fn padded() -> Vec<Message> {
    let long = format!("Subject: {}\r\n", "x".repeat(PADDING));
    let short: String = (0..105)
        .map(|number| format!("X-{number:02}: ab\r\n"))
        .collect();
    let folded = format!("Subject: x\r\n{}", " xyz\r\n".repeat(PADDING / 6 + 1));
    let blank = format!("Subject: x\r\n{}", " \t\r\n".repeat(PADDING / 4));
    let alone = format!("Subject: x\r\n{}", " \n".repeat(PADDING / 2));
    let empty = "X:\n".repeat(PADDING / 3 + 1);
    let almost = "User-Agents: x\n".repeat(PADDING / 15 + 1);
    let line = SVMAP
        .iter()
        .position(|byte| *byte == b'\n')
        .unwrap_or_default();
    let (line, rest) = SVMAP.split_at(line + 1);
    [
        ("one long field", long),
        ("more than 100 short fields", short),
        ("folded lines", folded),
        ("folded lines of blanks", blank),
        ("folded lines of a blank, with LF alone", alone),
        ("fields without a value", empty),
        ("fields with almost that name", almost),
    ]
    .map(|(name, padding)| Message {
        name,
        payload: [line, padding.as_bytes(), rest].concat(),
    })
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The payload of a whole Ethernet frame with IPv4.
    const LONGEST: usize = 1_472;

    #[test]
    fn hostile_messages_fit_a_frame() {
        for message in dear() {
            assert_eq!(message.payload.len(), DEAR, "{}", message.name);
        }
        for message in padded() {
            let length = message.payload.len();
            let expected = SVMAP.len() + PADDING..=LONGEST;
            assert!(expected.contains(&length), "{}: {length}", message.name);
        }
    }
}
