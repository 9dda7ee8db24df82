//! What the fuzz target begins with, written into a folder by `cargo xtask fuzz`: `seeds`, the
//! frames and payloads of the corpus, the messages of the RFCs and a header field for each
//! signature, each in a file of its own; and `dictionary`, words that random changes would not hit
//! upon.

use std::{env, fs, path::Path, process::ExitCode};

use anyhow::{Context, Result};
use sip_filter::config::signatures::{Mark, Signature, Signatures};
use sip_filter_common::{field::Field, sip::MessageClass};
use sip_filter_tests::{corpus, messages, packet::Frame, torture};

/// Names of header fields, short forms too, and what else a message is made of.
const WORDS: [&str; 57] = [
    "\nUser-Agent: ",
    "\nuser-agent",
    "\r\nVia: SIP/2.0/UDP ",
    "\r\nv: ",
    "\r\nFrom: ",
    "\r\nf: ",
    "\r\nTo: ",
    "\r\nt: ",
    "\r\nContact: ",
    "\r\nm: ",
    "\r\nCall-ID: ",
    "\r\ni: ",
    "\r\nCSeq: ",
    "\r\nMax-Forwards: ",
    "\r\nContent-Length: ",
    "\r\nl: ",
    "\r\nServer: ",
    "\r\n\r\n",
    "\n\n",
    "\r\n ",
    "\r\n\t",
    "\n ",
    ":",
    ";tag=",
    ";branch=z9hG4bK",
    "@",
    "<sip:",
    "sip:",
    "sips:",
    "tel:",
    " SIP/2.0\r\n",
    "SIP/2.0 200 OK\r\n",
    ";rport",
    ";rport;alias",
    "\r\nMax-Forwards: 20\r\n",
    ";branch=z9hG4bK.0123abcd;rport;alias",
    ";branch=z9hG4bK-1234567890;rport",
    ";branch=abcdef.0123456789;rport;alias",
    // The address and port that the fuzz target says packets are for.
    ";tag=63303030303230613133633401333734333733",
    ";tag=3206210844",
    "3031323334353637",
    "70c00e8c",
    // What the fuzz target's patterns and a name-addr are made of.
    "zz@zz.zz",
    "zzzzzzzz",
    "zz;branch=zz",
    "friendly-scanner zz",
    "user-agent: q",
    "\nAuthorization: ",
    "\nProxy-Authorization: ",
    "\" <sip:",
    "\\\"",
    "OPTIONS",
    "\t\r\n",
    "\nV\n",
    "\u{e9}\n",
    "\0\0\0\0",
    "!\u{12}",
];

fn main() -> ExitCode {
    let written = match env::args_os().nth(1) {
        Some(folder) => write(Path::new(&folder)),
        None => Err(anyhow::anyhow!("into which folder?")),
    };
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fuzz-seeds: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn write(folder: &Path) -> Result<()> {
    let seeds = folder.join("seeds");
    if seeds.exists() {
        fs::remove_dir_all(&seeds).with_context(|| format!("cannot remove {}", seeds.display()))?;
    }
    fs::create_dir_all(&seeds).with_context(|| format!("cannot create {}", seeds.display()))?;
    let write = |path: &Path, bytes: &[u8]| {
        fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
    };
    for corpus::Entry { run, frames } in corpus::entries() {
        for (at, frame) in frames.iter().enumerate() {
            let name = |what| seeds.join(format!("{}-{at}-{what}", run.file));
            write(&name("frame"), &frame.bytes)?;
            write(&name("payload"), frame.payload())?;
        }
    }
    for message in torture::rfc4475().into_iter().chain(torture::rfc5118()) {
        write(&seeds.join(message.name), &message.bytes)?;
    }
    for (at, (_, message)) in messages::ALL.iter().enumerate() {
        write(&seeds.join(format!("message-{at}")), message)?;
    }
    let signatures = Signatures::built_in()?.list;
    for (at, text) in signatures.iter().filter_map(text).enumerate() {
        write(&seeds.join(format!("field-{at}")), text.as_bytes())?;
    }
    for (at, frame) in frames().iter().enumerate() {
        write(&seeds.join(format!("frame-{at}")), frame)?;
    }
    write(
        &folder.join("dictionary"),
        dictionary(&signatures).as_bytes(),
    )
}

/// Frames with what the corpus' frames do not have.
fn frames() -> Vec<Vec<u8>> {
    use sip_filter_tests::packet::Extension;
    let ipv4 = || Frame::to("192.0.2.10").payload(messages::BARE_METHOD);
    let ipv6 = || Frame::to("2001:db8::10").payload(messages::BARE_METHOD);
    let [first, later] = ipv6().fragments(8);
    vec![
        ipv4().vlan(7).service_vlan(8).bytes(),
        ipv4().ip_options(&[1; 8]).bytes(),
        ipv4().ip_fragment(0, true).bytes(),
        ipv4().ip_fragment(8, false).bytes(),
        ipv4().tcp().bytes(),
        ipv4().padded_to(60).bytes(),
        ipv6()
            .extension(Extension::Fragment {
                offset: 0,
                more: false,
            })
            .bytes(),
        ipv6().vlan(7).bytes(),
        first,
        later,
    ]
}

/// In the form of libFuzzer: a quoted word a line.
fn dictionary(signatures: &[Signature]) -> String {
    let methods = MessageClass::ALL.into_iter().filter_map(|class| {
        let method = class.method()?;
        Some(format!("{method} sip:a@b SIP/2.0\r\n"))
    });
    let fields = signatures.iter().filter_map(text);
    let words = WORDS.map(str::to_owned).into_iter();
    words.chain(methods).chain(fields).map(line).collect()
}

/// What its pattern meets: a header field behind the line before it, or a start line. Detectors are
/// met by the messages and by the corpus.
fn text(signature: &Signature) -> Option<String> {
    match &signature.mark {
        Mark::Pattern { field, pattern, .. } if *field == Field::RequestUri => {
            Some(format!("OPTIONS {pattern} SIP/2.0\r\n"))
        }
        Mark::Pattern { field, pattern, .. } => Some(format!("\n{}: {pattern}", field.name())),
        Mark::Detector(_) => None,
    }
}

fn line(word: String) -> String {
    let escaped = word.bytes().map(|byte| match byte {
        b'"' | b'\\' => format!("\\{}", char::from(byte)),
        b' '..=b'~' => char::from(byte).to_string(),
        _ => format!("\\x{byte:02x}"),
    });
    format!("\"{}\"\n", escaped.collect::<String>())
}
