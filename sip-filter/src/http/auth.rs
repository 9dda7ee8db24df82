//! Who is answered. Where a token is set, who knows it; otherwise whoever reaches the address, by a
//! name that is this machine's: a page of somebody else's, in a browser here, has another one, even
//! if that name leads here (DNS rebinding).

use std::{
    fs::{self, File},
    io::Read as _,
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use anyhow::{Context, Result, bail, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hyper::{
    HeaderMap, StatusCode, Uri,
    header::{AUTHORIZATION, HOST},
};
use subtle::ConstantTimeEq as _;

use crate::config::listen::Listen;

/// The fewest bytes of a token. `openssl rand -hex 32` makes 64.
const SHORTEST: usize = 16;
/// The most bytes of a token; a request's header has to hold it.
const LONGEST: usize = 1024;

/// What a client has to show.
pub(super) enum Guard {
    /// The token.
    Token(Vec<u8>),
    /// One of these hosts, as a request names them without a port.
    Hosts(Vec<String>),
}

impl Guard {
    /// Asks for the token in the file; without one, for a name of this machine.
    ///
    /// # Errors
    ///
    /// When the file holds no token, or others can read it, or there is none although others than this
    /// machine reach the address.
    pub(super) fn new(listen: Listen, token_file: Option<&Path>) -> Result<Self> {
        match token_file {
            Some(file) => Ok(Self::Token(token(file)?)),
            None if listen.is_loopback() => {
                let ip = listen.0.ip();
                let own = match ip.is_ipv6() {
                    true => format!("[{ip}]"),
                    false => ip.to_string(),
                };
                let mut hosts = ["localhost", "127.0.0.1", "[::1]"]
                    .map(str::to_owned)
                    .to_vec();
                hosts.push(own);
                Ok(Self::Hosts(hosts))
            }
            None => bail!(
                "{listen} is reached by others than this machine, and nothing is asked of them; \
                 name a file with a token by --http-token-file (openssl rand -hex 32 makes one), \
                 or listen on 127.0.0.1"
            ),
        }
    }

    /// Whether the request is answered; if not, by which status.
    pub(super) fn admit(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), StatusCode> {
        match self {
            Self::Token(token) => {
                let shown = headers.get(AUTHORIZATION);
                let shown = shown.and_then(|value| secret(value.to_str().ok()?));
                match shown.is_some_and(|shown| token.ct_eq(&shown).into()) {
                    true => Ok(()),
                    false => Err(StatusCode::UNAUTHORIZED),
                }
            }
            Self::Hosts(hosts) => {
                let mut named = headers.get_all(HOST).iter();
                let (Some(named), None) = (named.next(), named.next()) else {
                    return Err(StatusCode::BAD_REQUEST);
                };
                let named = named.to_str().map_err(|_| StatusCode::BAD_REQUEST)?;
                let named = [
                    Some(named),
                    uri.authority().map(|authority| authority.as_str()),
                ];
                let is_ours = |named: &str| {
                    let host = without_port(named);
                    hosts.iter().any(|ours| ours.eq_ignore_ascii_case(host))
                };
                match named.into_iter().flatten().all(is_ours) {
                    true => Ok(()),
                    false => Err(StatusCode::MISDIRECTED_REQUEST),
                }
            }
        }
    }
}

/// The host of `host:port`, whatever port: a tunnel's end may have another one.
fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

/// What stands behind Bearer (RFC 6750); or behind the user of Basic (RFC 7617), which browsers ask
/// people for.
fn secret(authorization: &str) -> Option<Vec<u8>> {
    let (scheme, value) = authorization.split_once(' ')?;
    let value = value.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(value.as_bytes().to_vec());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = STANDARD.decode(value).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    Some(decoded[colon + 1..].to_vec())
}

fn token(path: &Path) -> Result<Vec<u8>> {
    let shown = path.display();
    let mut text = String::new();
    let read = || -> std::io::Result<fs::Metadata> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        file.take(LONGEST as u64 + 2).read_to_string(&mut text)?;
        Ok(metadata)
    };
    let metadata = { read }().with_context(|| format!("cannot read the token in {shown}"))?;
    ensure!(
        metadata.mode() & 0o007 == 0,
        "everybody can read the token in {shown}; chmod 600 {shown}, and make another one"
    );
    let token = text.trim();
    let is_plain = token.bytes().all(|byte| byte.is_ascii_graphic());
    ensure!(
        is_plain && (SHORTEST..=LONGEST).contains(&token.len()),
        "{shown} holds no token: that is {SHORTEST} to {LONGEST} visible ASCII characters in one \
         line; openssl rand -hex 32 makes one"
    );
    Ok(token.as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{env, os::unix::fs::PermissionsExt as _, process};

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn names_of_this_machine_are_answered_and_no_others() {
        let guard = Guard::new("127.0.0.5:9060".parse().unwrap(), None).unwrap();
        let admit = |hosts: &[&str], uri: &str| {
            let fields: Vec<_> = hosts.iter().map(|host| ("host", *host)).collect();
            guard.admit(&uri.parse().unwrap(), &headers(&fields))
        };
        for host in [
            "localhost",
            "LOCALHOST:9060",
            "127.0.0.1:8080",
            "127.0.0.5:9060",
            "[::1]:9060",
            "[::1]",
        ] {
            assert_eq!(admit(&[host], "/"), Ok(()), "{host}");
        }
        for host in [
            "example.org",
            "example.org:9060",
            "localhost.example.org",
            "192.0.2.10:9060",
            "127.0.0.1:80:x",
            "",
        ] {
            let refused = Err(StatusCode::MISDIRECTED_REQUEST);
            assert_eq!(admit(&[host], "/"), refused, "{host}");
        }
        let no_single_host = Err(StatusCode::BAD_REQUEST);
        assert_eq!(admit(&[], "/"), no_single_host);
        assert_eq!(admit(&["localhost", "example.org"], "/"), no_single_host);
        assert_eq!(
            admit(&["localhost"], "http://example.org/"),
            Err(StatusCode::MISDIRECTED_REQUEST)
        );
    }

    #[test]
    fn who_knows_the_token_is_answered() {
        let guard = Guard::Token(b"correct-horse-battery".to_vec());
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        let admit =
            |value: &str| guard.admit(&Uri::default(), &headers(&[("authorization", value)]));
        for right in [
            "Bearer correct-horse-battery",
            "bearer  correct-horse-battery",
            &basic("anybody:correct-horse-battery"),
            &basic(":correct-horse-battery"),
        ] {
            assert_eq!(admit(right), Ok(()), "{right}");
        }
        for wrong in [
            "",
            "Bearer",
            "Bearer ",
            "Bearer correct-horse-batterz",
            "Bearer correct-horse-batter",
            "Bearer correct-horse-battery2",
            "Digest correct-horse-battery",
            "correct-horse-battery",
            "Basic correct-horse-battery",
            &basic("correct-horse-battery"),
            &basic("correct-horse-battery:"),
        ] {
            assert_eq!(admit(wrong), Err(StatusCode::UNAUTHORIZED), "{wrong}");
        }
        let without = guard.admit(&Uri::default(), &headers(&[("host", "localhost")]));
        assert_eq!(without, Err(StatusCode::UNAUTHORIZED));
    }

    #[test]
    fn others_than_this_machine_are_asked_for_a_token() {
        for address in ["0.0.0.0:9060", "[::]:9060", "192.0.2.10:9060"] {
            let refused = Guard::new(address.parse().unwrap(), None);
            let error = refused.err().map(|error| error.to_string());
            assert!(
                error.is_some_and(|error| error.contains("--http-token-file")),
                "{address}"
            );
        }
    }

    #[test]
    fn a_token_file_holds_a_token_and_is_not_for_everybody() {
        let path = env::temp_dir().join(format!("sip-filter-token-{}", process::id()));
        for (text, mode, expected) in [
            ("correct-horse-battery\n", 0o600, "correct-horse-battery"),
            ("correct-horse-battery", 0o640, "correct-horse-battery"),
            ("correct-horse-battery\n", 0o644, "everybody can read"),
            ("short\n", 0o600, "holds no token"),
            ("", 0o600, "holds no token"),
            ("one two three four five\n", 0o600, "holds no token"),
            (&"long".repeat(400), 0o600, "holds no token"),
        ] {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let found = match token(&path) {
                Ok(token) => String::from_utf8(token).unwrap(),
                Err(error) => format!("{error:#}"),
            };
            assert!(found.contains(expected), "{text} {mode:o}: {found}");
        }
        fs::remove_file(&path).unwrap();
        assert!(format!("{:#}", token(&path).unwrap_err()).contains("cannot read the token"));
    }
}
