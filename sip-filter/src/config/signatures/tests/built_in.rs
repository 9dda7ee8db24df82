//! What the built-in set names, and what it never may.

use sip_filter_common::{
    abi::{MAX_TOOLS, ToolName},
    field::{Detector, Field, Match},
    signature::SignatureTable,
    tool::Kind,
};

use super::{
    super::{Signatures, tool_name},
    find,
};

fn built_in() -> (Signatures, Box<SignatureTable>, Vec<ToolName>) {
    let signatures = Signatures::built_in().unwrap();
    let (table, names) = signatures.table(&[]).unwrap();
    (signatures, table, names)
}

/// The tool and kind that the built-in set gives a User-Agent, and whether it drops it.
fn built_in_finds(user_agent: &str) -> Option<(String, Kind, bool)> {
    let (_, table, names) = built_in();
    let found = find(&table, user_agent)?;
    let name = &names[usize::from(found.tool())];
    let kind = Kind::from_u8(name.kind).unwrap();
    let tool = tool_name(name).unwrap();
    Some((tool.to_owned(), kind, found.is_hostile()))
}

#[test]
fn the_built_in_set_keeps_its_promises() {
    let (signatures, _, names) = built_in();
    assert_eq!(names.len(), MAX_TOOLS);
    for signature in &signatures.list {
        let name = names
            .iter()
            .find(|name| tool_name(name) == Some(&signature.tool));
        assert_eq!(name.unwrap().kind, signature.kind as u8, "{signature:?}");
        assert!(!signature.note.is_empty(), "{signature:?} has no origin");
        // Each packet would have to be searched to its end for it.
        assert_ne!(signature.how(), Match::Contains.name(), "{signature:?}");
        // An honest answer within a call that a tool began has there what the tool wrote.
        assert_ne!(signature.field(), Field::To.name(), "{signature:?}");
    }
    let detectors = signatures.list.iter().filter(|one| one.how().is_empty());
    assert_eq!(
        detectors.count(),
        Detector::COUNT,
        "a detector names nothing"
    );
}

#[test]
fn what_is_not_sure_is_named_and_never_dropped() {
    let (signatures, table, names) = built_in();
    let unsure = signatures.list.iter().filter(|one| !one.sure);
    let unsure = unsure.filter(|one| one.field() == Field::UserAgent.name());
    let named = unsure.filter_map(|one| {
        let found = find(&table, one.pattern())?;
        assert!(one.kind.is_dropping(), "{one:?} drops nothing anyway");
        assert!(!found.is_hostile(), "{one:?}");
        let name = &names[usize::from(found.tool())];
        assert_eq!(tool_name(name), Some(one.tool.as_str()));
        Some(name)
    });
    assert!(named.count() >= 5);
}

#[test]
fn user_agents_as_tools_send_them() {
    for (user_agent, tool, kind, drops) in [
        ("friendly-scanner", "sipvicious", Kind::Scanner, true),
        ("Friendly-Scanner ", "sipvicious", Kind::Scanner, true),
        (
            "UNfriendly-scanner - for demo purposes",
            "sipvicious",
            Kind::Scanner,
            true,
        ),
        ("svcrack/0.2.8", "sipvicious", Kind::Scanner, true),
        ("friendly-request", "friendly-request", Kind::Scanner, true),
        ("pplsip", "sippts", Kind::Scanner, true),
        ("sundayddr", "sundayddr", Kind::Scanner, true),
        ("sipcli/v1.8", "sipcli", Kind::Dialer, false),
        ("VOIP", "voip-sweeper", Kind::Scanner, false),
        ("sipsak 0.9.7", "sipsak", Kind::TestTool, false),
        ("VaxSIPUserAgent/3.1", "vaxvoip", Kind::Library, false),
        ("PortSIP VoIP SDK 11.2", "portsip", Kind::Library, false),
    ] {
        let expected = Some((tool.to_owned(), kind, drops));
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
