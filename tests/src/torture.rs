//! The torture messages of RFC 4475 and RFC 5118, written down from the RFCs.
//!
//! They are legal and illegal, and none of them is an attack: whatever a classifier makes of
//! them, it must not name a tool that is dropped. What does not fit a page the RFCs mark:
//! `<allOneLine>` is joined here, `<repeat>` repeated, and `<hex>` put in place. Slips of the
//! RFCs stay as they are. Each is a file of its own in `tests/torture`, byte by byte what a datagram
//! of it is: its lines end in CR LF.

use sip_filter_common::sip::MessageClass;

/// A message of one of the RFCs.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its name: RFC 4475's own, or for RFC 5118 what it is about.
    pub name: &'static str,
    /// The section of its RFC.
    pub section: &'static str,
    /// What a datagram of it is, told from its start line.
    pub class: MessageClass,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Rows of name, section and class, each with the bytes in the file of its name.
macro_rules! messages {
    ($rfc:literal: $(($name:literal, $section:literal, $class:ident),)*) => {
        vec![$(Message {
            name: $name,
            section: $section,
            class: MessageClass::$class,
            bytes: include_bytes!(concat!("../torture/", $rfc, "/", $name, ".sip")).to_vec(),
        }),*]
    };
}

/// The messages of RFC 4475, in its order.
pub fn rfc4475() -> Vec<Message> {
    messages!["rfc4475":
        ("wsinv", "3.1.1.1", Invite),
        ("intmeth", "3.1.1.2", Other),
        ("esc01", "3.1.1.3", Invite),
        ("escnull", "3.1.1.4", Register),
        ("esc02", "3.1.1.5", Other),
        ("lwsdisp", "3.1.1.6", Options),
        ("longreq", "3.1.1.7", Invite),
        ("dblreq", "3.1.1.8", Register),
        ("semiuri", "3.1.1.9", Options),
        ("transports", "3.1.1.10", Options),
        ("mpart01", "3.1.1.11", Message),
        ("unreason", "3.1.1.12", Response),
        ("noreason", "3.1.1.13", Response),
        ("badinv01", "3.1.2.1", Invite),
        ("clerr", "3.1.2.2", Invite),
        ("ncl", "3.1.2.3", Invite),
        ("scalar02", "3.1.2.4", Register),
        ("scalarlg", "3.1.2.5", Response),
        ("quotbal", "3.1.2.6", Invite),
        ("ltgtruri", "3.1.2.7", Invite),
        ("lwsruri", "3.1.2.8", Invite),
        ("lwsstart", "3.1.2.9", Invite),
        ("trws", "3.1.2.10", Options),
        ("escruri", "3.1.2.11", Invite),
        ("baddate", "3.1.2.12", Invite),
        ("regbadct", "3.1.2.13", Register),
        ("badaspec", "3.1.2.14", Options),
        ("baddn", "3.1.2.15", Options),
        ("badvers", "3.1.2.16", Options),
        ("mismatch01", "3.1.2.17", Options),
        ("mismatch02", "3.1.2.18", Other),
        ("bigcode", "3.1.2.19", Response),
        ("badbranch", "3.2.1", Options),
        ("insuf", "3.3.1", Invite),
        ("unkscm", "3.3.2", Options),
        ("novelsc", "3.3.3", Options),
        ("unksm2", "3.3.4", Register),
        ("bext01", "3.3.5", Options),
        ("invut", "3.3.6", Invite),
        ("regaut01", "3.3.7", Register),
        ("multi01", "3.3.8", Invite),
        ("mcl01", "3.3.9", Options),
        ("bcast", "3.3.10", Response),
        ("zeromf", "3.3.11", Options),
        ("cparam01", "3.3.12", Register),
        ("cparam02", "3.3.13", Register),
        ("regescrt", "3.3.14", Register),
        ("sdp01", "3.3.15", Invite),
        ("inv2543", "3.4.1", Invite),
    ]
}

/// The messages of RFC 5118, in its order.
pub fn rfc5118() -> Vec<Message> {
    messages!["rfc5118":
        ("valid_reference", "4.1", Register),
        ("invalid_reference", "4.2", Register),
        ("ambiguous_port", "4.3", Register),
        ("unambiguous_port", "4.4", Register),
        ("received_delimited", "4.5", Bye),
        ("received_bare", "4.5", Options),
        ("ipv6_sdp", "4.6", Invite),
        ("mixed_vias", "4.7", Bye),
        ("mixed_sdp", "4.8", Invite),
        ("ipv4_mapped", "4.9", Invite),
        ("three_colons", "4.10", Options),
        ("two_colons", "4.10", Options),
    ]
}

#[cfg(test)]
mod tests {
    use sip_filter_common::{
        classify::{Destination, Work, classify},
        payload::SlicePayload,
        signature::SignatureTable,
    };

    use super::*;

    #[test]
    fn each_is_what_its_start_line_says() {
        let [classic, ipv6] = [rfc4475(), rfc5118()];
        assert_eq!([classic.len(), ipv6.len()], [49, 12]);
        for message in classic.into_iter().chain(ipv6) {
            let found = classify(
                &SlicePayload(&message.bytes),
                &Destination::NONE,
                &SignatureTable::EMPTY,
                &mut Box::new(const { Work::EMPTY }),
            );
            assert_eq!(found.class, message.class, "{}", message.name);
        }
    }
}
