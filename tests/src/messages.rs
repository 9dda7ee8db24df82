//! What arrives on a SIP port: the payloads that tests send.
//!
//! Those of tools are as the tools' current versions sent them, recorded on a link of a
//! test's own, with documentation addresses in them; those of phones and servers are written
//! for these tests. Line ends are CR LF throughout.

/// The lines, each with its CR LF.
macro_rules! lines {
    ($($line:literal)*) => {
        concat!($($line, "\r\n"),*).as_bytes()
    };
}

/// svmap 0.3.3 as it is started without options.
pub const SVMAP: &[u8] = lines! {
    "OPTIONS sip:100@192.0.2.10 SIP/2.0"
    "Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK-394246193;rport"
    "Max-Forwards: 70"
    "To: \"sipvicious\"<sip:100@1.1.1.1>"
    "From: \"sipvicious\"<sip:100@1.1.1.1>;tag=63303030303230613133633401343733373330393638"
    "User-Agent: friendly-scanner"
    "Call-ID: 409567486275900739779211"
    "Contact: sip:100@192.0.2.7:5060"
    "CSeq: 1 OPTIONS"
    "Accept: application/sdp"
    "Content-Length: 0"
    ""
};

/// svmap 0.3.3 with `--enablecompact`: short header names, and no User-Agent.
pub const SVMAP_COMPACT: &[u8] = lines! {
    "OPTIONS sip:100@192.0.2.10 SIP/2.0"
    "v: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK-192509701;rport"
    "t: \"sipvicious\"<sip:100@1.1.1.1>"
    "f: \"sipvicious\"<sip:100@1.1.1.1>;tag=63303030303230613133633401333935303531373634"
    "i: 19379587396836743953674"
    "m: sip:100@192.0.2.7:5060"
    "CSeq: 1 OPTIONS"
    "Max-Forwards: 70"
    "Accept: application/sdp"
    "Content-Length: 0"
    ""
};

/// svmap 0.3.3 with `-6`: From and To name the target.
pub const SVMAP_IPV6: &[u8] = lines! {
    "OPTIONS sip:100@[2001:db8::10] SIP/2.0"
    "Via: SIP/2.0/UDP [2001:db8::7]:5060;branch=z9hG4bK-1921617486;rport"
    "Max-Forwards: 70"
    "To: \"sipvicious\"<sip:100@[2001:db8::10]>"
    "From: \"sipvicious\"<sip:100@[2001:db8::10]>;tag=3230303164623831303133633401363631333937333839"
    "User-Agent: friendly-scanner"
    "Call-ID: 1097370535804511053847015"
    "Contact: sip:100@[2001:db8::7]:5060"
    "CSeq: 1 OPTIONS"
    "Accept: application/sdp"
    "Content-Length: 0"
    ""
};

/// svwar 0.3.3: asks whether extension 100 exists.
pub const SVWAR: &[u8] = lines! {
    "REGISTER sip:192.0.2.10 SIP/2.0"
    "Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK-3535693140;rport"
    "Max-Forwards: 70"
    "To: \"100\"<sip:100@192.0.2.10>"
    "From: \"100\"<sip:100@192.0.2.10>;tag=3130300131333530333738353034"
    "User-Agent: friendly-scanner"
    "Call-ID: 1301176352"
    "Contact: sip:100@192.0.2.10"
    "CSeq: 1 REGISTER"
    "Accept: application/sdp"
    "Content-Length: 0"
    ""
};

/// svcrack 0.3.3: asks for a challenge to answer with guessed passwords.
pub const SVCRACK: &[u8] = lines! {
    "REGISTER sip:192.0.2.10 SIP/2.0"
    "Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK-432945293;rport"
    "Max-Forwards: 70"
    "To: \"100\" <sip:100@192.0.2.10>"
    "From: \"100\" <sip:100@192.0.2.10>;tag=3206210844"
    "User-Agent: friendly-scanner"
    "Call-ID: 2679923624"
    "Contact: sip:123@1.1.1.1"
    "CSeq: 1 REGISTER"
    "Accept: application/sdp"
    "Content-Length: 0"
    ""
};

/// sipsak 0.9.8.1 without options: a test tool.
pub const SIPSAK: &[u8] = lines! {
    "OPTIONS sip:100@192.0.2.10 SIP/2.0"
    "Via: SIP/2.0/UDP 192.0.2.7:52984;branch=z9hG4bK.6504f3af;rport;alias"
    "From: sip:sipsak@192.0.2.7:52984;tag=17d04397"
    "To: sip:100@192.0.2.10"
    "Call-ID: 399524759@192.0.2.7"
    "CSeq: 1 OPTIONS"
    "Contact: sip:sipsak@192.0.2.7:52984"
    "Content-Length: 0"
    "Max-Forwards: 70"
    "User-Agent: sipsak 0.9.8.1"
    "Accept: text/plain"
    ""
};

/// A phone calls: INVITE with an SDP offer.
pub const INVITE: &[u8] = lines! {
    "INVITE sip:201@pbx.example.com SIP/2.0"
    "Via: SIP/2.0/UDP 198.51.100.20:5060;branch=z9hG4bKnashds8f3b7c2a1;rport"
    "Max-Forwards: 70"
    "From: \"Desk 200\" <sip:200@pbx.example.com>;tag=a73kszlfl9"
    "To: <sip:201@pbx.example.com>"
    "Call-ID: 3848276298220188511-4@198.51.100.20"
    "CSeq: 314 INVITE"
    "Contact: <sip:200@198.51.100.20:5060;transport=udp>"
    "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, NOTIFY, REFER, UPDATE, PRACK, MESSAGE"
    "Supported: replaces, timer, 100rel, path"
    "User-Agent: Example Phone 450/2.9.1 (0004f2ab34cd)"
    "Session-Expires: 1800;refresher=uac"
    "Min-SE: 90"
    "Accept: application/sdp"
    "Content-Type: application/sdp"
    "Content-Length: 283"
    ""
    "v=0"
    "o=200 8000 8000 IN IP4 198.51.100.20"
    "s=call"
    "c=IN IP4 198.51.100.20"
    "t=0 0"
    "m=audio 16384 RTP/AVP 9 8 0 18 101"
    "a=rtpmap:9 G722/8000"
    "a=rtpmap:8 PCMA/8000"
    "a=rtpmap:0 PCMU/8000"
    "a=rtpmap:18 G729/8000"
    "a=rtpmap:101 telephone-event/8000"
    "a=fmtp:101 0-15"
    "a=ptime:20"
    "a=sendrecv"
};

/// A phone registers.
pub const REGISTER: &[u8] = lines! {
    "REGISTER sip:pbx.example.com SIP/2.0"
    "Via: SIP/2.0/UDP 198.51.100.20:5060;branch=z9hG4bK7d1f0c9e55aa;rport"
    "Max-Forwards: 70"
    "From: <sip:200@pbx.example.com>;tag=4fa3c1"
    "To: <sip:200@pbx.example.com>"
    "Call-ID: 843817637684230@998sdasdh09"
    "CSeq: 1826 REGISTER"
    "Contact: <sip:200@198.51.100.20:5060>;expires=3600"
    "User-Agent: Example Phone 450/2.9.1 (0004f2ab34cd)"
    "Content-Length: 0"
    ""
};

/// A server asks whether a phone is still there, as Asterisk does.
pub const QUALIFY: &[u8] = lines! {
    "OPTIONS sip:200@198.51.100.20:5060 SIP/2.0"
    "Via: SIP/2.0/UDP 192.0.2.10:5060;rport;branch=z9hG4bKPj0ce4a7d1"
    "From: <sip:200@192.0.2.10>;tag=5bd2b9d0"
    "To: <sip:200@198.51.100.20>"
    "Contact: <sip:200@192.0.2.10:5060>"
    "Call-ID: 9f2b7c54-aa7e-4b1f-a3b5"
    "CSeq: 51284 OPTIONS"
    "Max-Forwards: 70"
    "User-Agent: Asterisk PBX 18.20.0"
    "Content-Length: 0"
    ""
};

/// A phone confirms a call.
pub const ACK: &[u8] = lines! {
    "ACK sip:201@192.0.2.10:5060 SIP/2.0"
    "Via: SIP/2.0/UDP 198.51.100.20:5060;branch=z9hG4bK77ef4c2312983;rport"
    "Max-Forwards: 70"
    "From: \"Desk 200\" <sip:200@pbx.example.com>;tag=a73kszlfl9"
    "To: <sip:201@pbx.example.com>;tag=314159"
    "Call-ID: 3848276298220188511-4@198.51.100.20"
    "CSeq: 314 ACK"
    "Content-Length: 0"
    ""
};

/// A phone hangs up.
pub const BYE: &[u8] = lines! {
    "BYE sip:201@192.0.2.10:5060 SIP/2.0"
    "Via: SIP/2.0/UDP 198.51.100.20:5060;branch=z9hG4bK77ef4c2312984;rport"
    "Max-Forwards: 70"
    "From: \"Desk 200\" <sip:200@pbx.example.com>;tag=a73kszlfl9"
    "To: <sip:201@pbx.example.com>;tag=314159"
    "Call-ID: 3848276298220188511-4@198.51.100.20"
    "CSeq: 315 BYE"
    "User-Agent: Example Phone 450/2.9.1 (0004f2ab34cd)"
    "Content-Length: 0"
    ""
};

/// A request of a method that no standard defines.
pub const UNKNOWN_METHOD: &[u8] = lines! {
    "PING sip:pbx.example.com SIP/2.0"
    "Via: SIP/2.0/UDP 198.51.100.20:5060;branch=z9hG4bK1c2d3e4f;rport"
    "Max-Forwards: 70"
    "From: <sip:200@pbx.example.com>;tag=8a1"
    "To: <sip:pbx.example.com>"
    "Call-ID: ping-1@198.51.100.20"
    "CSeq: 1 PING"
    "Content-Length: 0"
    ""
};

/// A phone answers a scanner's probe, whose Via, From and tag it echoes.
pub const OK: &[u8] = lines! {
    "SIP/2.0 200 OK"
    "Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK-394246193;rport=5060"
    "To: \"sipvicious\"<sip:100@1.1.1.1>;tag=as5c3d2e"
    "From: \"sipvicious\"<sip:100@1.1.1.1>;tag=63303030303230613133633401343733373330393638"
    "Call-ID: 409567486275900739779211"
    "CSeq: 1 OPTIONS"
    "Server: Example PBX 1.0"
    "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER"
    "Content-Length: 0"
    ""
};

/// A binding request with the magic cookie and no attribute (RFC 8489 section 5).
pub const STUN: &[u8] = &[
    0x00, 0x01, 0x00, 0x00, 0x21, 0x12, 0xa4, 0x42, b't', b'r', b'a', b'n', b's', b'a', b'c', b't',
    b'i', b'o', b'n', b'1',
];

/// The keepalive of RFC 5626 section 3.5.1.
pub const CRLF_CRLF: &[u8] = b"\r\n\r\n";

/// The keepalive of phones that know no better.
pub const ZERO: &[u8] = b"\0";

/// A datagram without payload.
pub const EMPTY: &[u8] = b"";

/// Sound that went to the wrong port: RTP (RFC 3550 section 5.1), 20 ms of G.711.
pub const RTP: &[u8] = &{
    let mut packet = [0xd5; 12 + 160];
    let header = [
        0x80, 0x08, 0x5f, 0x1e, 0, 0, 0x0d, 0xc0, 0x3a, 0x6b, 0x1c, 0x02,
    ];
    let mut at = 0;
    while at < header.len() {
        packet[at] = header[at];
        at += 1;
    }
    packet
};

/// A question for the name server that went to the wrong port.
pub const DNS: &[u8] =
    b"\x1c\x07\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03com\x00\x00\x01\x00\x01";

/// Text that is not SIP.
pub const HTTP: &[u8] = lines! {
    "GET / HTTP/1.1"
    "Host: pbx.example.com"
    "User-Agent: friendly-scanner"
    ""
};

/// A start line alone, seven bytes of one: a port sweeper's template.
pub const BARE_METHOD: &[u8] = b"OPTIONS";

/// Every message with what it is.
pub const ALL: [(&str, &[u8]); 22] = [
    ("svmap's OPTIONS", SVMAP),
    ("svmap's OPTIONS in compact mode", SVMAP_COMPACT),
    ("svmap's OPTIONS over IPv6", SVMAP_IPV6),
    ("svwar's REGISTER", SVWAR),
    ("svcrack's REGISTER", SVCRACK),
    ("sipsak's OPTIONS", SIPSAK),
    ("a phone's INVITE", INVITE),
    ("a phone's REGISTER", REGISTER),
    ("a server's OPTIONS", QUALIFY),
    ("a phone's ACK", ACK),
    ("a phone's BYE", BYE),
    ("a method of no standard", UNKNOWN_METHOD),
    ("a 200 OK to a probe", OK),
    ("STUN", STUN),
    ("CR LF CR LF", CRLF_CRLF),
    ("a zero byte", ZERO),
    ("no payload", EMPTY),
    ("RTP", RTP),
    ("DNS", DNS),
    ("HTTP", HTTP),
    ("a method and nothing else", BARE_METHOD),
    ("four zero bytes", &[0; 4]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_length_is_the_length_of_the_body() {
        for (what, message) in ALL {
            let Ok(text) = str::from_utf8(message) else {
                continue;
            };
            let Some((header, body)) = text.split_once("\r\n\r\n") else {
                continue;
            };
            let stated = header
                .lines()
                .find_map(|line| line.strip_prefix("Content-Length: "));
            let Some(stated) = stated else { continue };
            assert_eq!(stated, body.len().to_string(), "{what}");
        }
    }

    /// The sizes that the benchmark's figures are for.
    #[test]
    fn the_measured_messages_are_as_long_as_real_ones() {
        let [probe, call] = [SVMAP.len(), INVITE.len()];
        assert!(
            (390..=400).contains(&probe),
            "svmap's OPTIONS has {probe} bytes"
        );
        assert!((890..=1000).contains(&call), "the INVITE has {call} bytes");
    }
}
