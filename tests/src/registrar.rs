//! A small SIP server to be found, enumerated and cracked.
//!
//! It says `200` to OPTIONS, `404` to a REGISTER for an extension it does not have, and asks
//! for a password (RFC 2617, MD5) where it has one: enough for svmap to list it, for svwar to
//! find its extensions and for svcrack to find their passwords.

use std::{
    io,
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use crate::namespace::Namespace;

/// What it calls itself in its `Server` header field.
pub const NAME: &str = "Example PBX 1.0";
/// Its extensions and their passwords.
pub const EXTENSIONS: [(&str, &str); 2] = [("101", "1003"), ("104", "1001")];

const REALM: &str = "pbx.example.com";
const NONCE: &str = "5f1c2b7ae0d94c38";

/// A running registrar; it ends when it is dropped.
#[derive(Debug)]
pub struct Registrar {
    ended: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    server: Option<JoinHandle<()>>,
}

impl Registrar {
    /// Starts one on the port, for IPv4 and IPv6.
    ///
    /// # Panics
    ///
    /// If the port is taken.
    pub fn start(namespace: &Namespace, port: u16) -> Self {
        let socket = namespace
            .inside(|| UdpSocket::bind(("::", port)))
            .unwrap_or_else(|error| panic!("the registrar cannot have port {port}: {error}"));
        // So that the server sees now and then whether it is to end.
        if let Err(error) = socket.set_read_timeout(Some(Duration::from_millis(100))) {
            panic!("the registrar cannot wait: {error}");
        }
        let ended = Arc::new(AtomicBool::new(false));
        let answered = Arc::new(AtomicU64::new(0));
        let server = thread::spawn({
            let (ended, answered) = (Arc::clone(&ended), Arc::clone(&answered));
            move || serve(&socket, &ended, &answered)
        });
        Self {
            ended,
            answered,
            server: Some(server),
        }
    }

    /// How many requests it has answered.
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }
}

impl Drop for Registrar {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(server) = self.server.take() {
            // A panic of its own has been printed already.
            let _ = server.join();
        }
    }
}

fn serve(socket: &UdpSocket, ended: &AtomicBool, answered: &AtomicU64) {
    let mut datagram = [0; 4096];
    while !ended.load(Ordering::Relaxed) {
        match socket.recv_from(&mut datagram) {
            Ok((length, from)) => {
                if let Some(answer) = answer(&datagram[..length])
                    && send(socket, &answer, from)
                {
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            }
            // Nothing for a while, or the echo of an answer that nobody took.
            Err(error) if is_passing(&error) => {}
            Err(error) => panic!("the registrar cannot read: {error}"),
        }
    }
}

fn is_passing(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, Interrupted, TimedOut, WouldBlock};
    matches!(
        error.kind(),
        WouldBlock | TimedOut | Interrupted | ConnectionRefused
    )
}

fn send(socket: &UdpSocket, answer: &str, to: SocketAddr) -> bool {
    socket.send_to(answer.as_bytes(), to).is_ok()
}

/// The answer to a request; nothing to what is none, or wants no answer.
fn answer(datagram: &[u8]) -> Option<String> {
    let request = Request::read(str::from_utf8(datagram).ok()?)?;
    let challenge =
        format!("WWW-Authenticate: Digest realm=\"{REALM}\",nonce=\"{NONCE}\",algorithm=MD5\r\n");
    let (status, more) = match request.method {
        "ACK" => return None,
        "OPTIONS" => ("200 OK", "Allow: OPTIONS, REGISTER\r\n".to_owned()),
        "REGISTER" => match request.password() {
            None => ("404 Not Found", String::new()),
            Some(password) => match request.field("Authorization", "") {
                None => ("401 Unauthorized", challenge),
                Some(credentials) if is_right(credentials, password) => ("200 OK", String::new()),
                Some(_) => ("401 Unauthorized", challenge),
            },
        },
        _ => ("501 Not Implemented", String::new()),
    };
    let mut answer = format!("SIP/2.0 {status}\r\n");
    for (name, short) in [
        ("Via", "v"),
        ("From", "f"),
        ("To", "t"),
        ("Call-ID", "i"),
        ("CSeq", "CSeq"),
    ] {
        let value = request.field(name, short)?;
        let tag = if name == "To" && !value.contains(";tag=") {
            ";tag=r1"
        } else {
            ""
        };
        answer.push_str(&format!("{name}: {value}{tag}\r\n"));
    }
    answer.push_str(&format!(
        "{more}Server: {NAME}\r\nContent-Length: 0\r\n\r\n"
    ));
    Some(answer)
}

struct Request<'a> {
    method: &'a str,
    header: &'a str,
}

impl<'a> Request<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let (start, header) = text.split_once("\r\n")?;
        let (method, rest) = start.split_once(' ')?;
        rest.ends_with(" SIP/2.0")
            .then_some(Self { method, header })
    }

    fn field(&self, name: &str, short: &str) -> Option<&'a str> {
        self.header
            .lines()
            .take_while(|line| !line.is_empty())
            .find_map(|line| {
                let (field, value) = line.split_once(':')?;
                let field = field.trim_end();
                let is_it = field.eq_ignore_ascii_case(name) || field.eq_ignore_ascii_case(short);
                is_it.then_some(value.trim())
            })
    }

    /// The password of the extension that To names.
    fn password(&self) -> Option<&'static str> {
        let (_, uri) = self.field("To", "t")?.split_once("sip:")?;
        let (extension, _) = uri.split_once('@')?;
        let known = EXTENSIONS.iter().find(|(known, _)| *known == extension)?;
        Some(known.1)
    }
}

/// Whether the digest is that of the password (RFC 2617 section 3.2.2, without `qop`).
fn is_right(credentials: &str, password: &str) -> bool {
    let part = |name: &str| {
        let (_, rest) = credentials.split_once(&format!("{name}=\""))?;
        Some(rest.split_once('"')?.0)
    };
    let (Some(user), Some(uri), Some(response)) = (part("username"), part("uri"), part("response"))
    else {
        return false;
    };
    let digest = |text: String| format!("{:x}", md5::compute(text));
    let who = digest(format!("{user}:{REALM}:{password}"));
    let what = digest(format!("REGISTER:{uri}"));
    response == digest(format!("{who}:{NONCE}:{what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages;

    #[test]
    fn it_answers_requests_and_nothing_else() {
        let cases = [
            ("OPTIONS", messages::SVMAP, Some("SIP/2.0 200 OK")),
            (
                "OPTIONS in compact form",
                messages::SVMAP_COMPACT,
                Some("SIP/2.0 200 OK"),
            ),
            (
                "REGISTER for no extension",
                messages::SVWAR,
                Some("SIP/2.0 404 Not Found"),
            ),
            (
                "INVITE",
                messages::INVITE,
                Some("SIP/2.0 501 Not Implemented"),
            ),
            ("ACK", messages::ACK, None),
            ("a response", messages::OK, None),
            ("a keepalive", messages::CRLF_CRLF, None),
            ("RTP", messages::RTP, None),
        ];
        for (what, message, expected) in cases {
            let answer = answer(message);
            let status = answer.as_deref().and_then(|answer| answer.lines().next());
            assert_eq!(status, expected, "{what}");
        }
    }

    /// The digest that svcrack 0.3.3 sent for the right password, and for a wrong one.
    #[test]
    fn it_knows_the_right_password() {
        let credentials = |password: &str| {
            let digest = |text: String| format!("{:x}", md5::compute(text));
            let who = digest(format!("101:{REALM}:{password}"));
            let what = digest("REGISTER:sip:192.0.2.10".to_owned());
            let response = digest(format!("{who}:{NONCE}:{what}"));
            format!(
                "Digest username=\"101\",realm=\"{REALM}\",nonce=\"{NONCE}\",\
                 uri=\"sip:192.0.2.10\",algorithm=MD5,response=\"{response}\""
            )
        };
        assert!(is_right(&credentials("1003"), "1003"));
        assert!(!is_right(&credentials("1002"), "1003"));
    }
}
