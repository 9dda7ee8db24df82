//! A client of HTTP/1.1, one request a connection: what it sends may be wrong, and what it gets is
//! taken apart no further than tests ask.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use crate::namespace::Namespace;

/// How long an answer may take: a reading of the filter, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Who asks, and where.
#[derive(Clone, Copy, Debug)]
pub struct Client<'a> {
    namespace: &'a Namespace,
    address: SocketAddr,
}

/// What was answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status; 0 where the connection ended without one.
    pub status: u16,
    /// The header fields, names in lower case.
    pub fields: Vec<(String, String)>,
    /// What follows them.
    pub body: String,
}

impl<'a> Client<'a> {
    /// One in this namespace that asks at this address.
    ///
    /// # Panics
    ///
    /// If it is none.
    pub fn new(namespace: &'a Namespace, address: &str) -> Self {
        let address = address.parse();
        let address = address.unwrap_or_else(|error| panic!("no address: {error}"));
        Self { namespace, address }
    }

    /// A connection on which nothing was said yet.
    ///
    /// # Errors
    ///
    /// When nobody listens.
    pub fn connect(&self) -> io::Result<TcpStream> {
        let connect = || TcpStream::connect_timeout(&self.address, PATIENCE);
        let stream = self.namespace.inside(connect)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(stream)
    }

    /// Says this, and gives what comes back until the connection ends.
    ///
    /// # Panics
    ///
    /// If nobody listens, or the answer takes too long.
    pub fn send(&self, request: &[u8]) -> Answer {
        let mut answer = Vec::new();
        let mut exchange = || -> io::Result<()> {
            let mut stream = self.connect()?;
            stream.write_all(request)?;
            stream.read_to_end(&mut answer)?;
            Ok(())
        };
        match exchange() {
            Ok(()) => {}
            // What was not read of the request is thrown away, and the connection with it.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
            Err(error) => panic!("no answer from {}: {error}", self.address),
        }
        Answer::read(&answer)
    }

    /// GET with these header fields, each a line.
    ///
    /// # Panics
    ///
    /// As [`Client::send`].
    pub fn get_with(&self, path: &str, fields: &[&str]) -> Answer {
        let mut request = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n",
            self.address
        );
        for field in fields {
            request += &format!("{field}\r\n");
        }
        self.send(format!("{request}\r\n").as_bytes())
    }

    /// GET.
    ///
    /// # Panics
    ///
    /// As [`Client::send`].
    pub fn get(&self, path: &str) -> Answer {
        self.get_with(path, &[])
    }

    /// Waits until somebody listens and answers: the first sample of what comes has been taken then.
    ///
    /// # Panics
    ///
    /// If nobody does in time.
    pub fn wait(&self) {
        self.wait_until("somebody listens", || self.connect().is_ok());
        self.get("/api/v1/series");
    }

    /// Waits until the condition holds.
    ///
    /// # Panics
    ///
    /// If it does not in time.
    pub fn wait_until(&self, what: &str, holds: impl Fn() -> bool) {
        let end = Instant::now() + PATIENCE;
        while !holds() {
            assert!(Instant::now() < end, "not within {PATIENCE:?}: {what}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Answer {
    fn read(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1));
        let field = |line: &str| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_owned()))
        };
        let mut answer = Self {
            status: status.and_then(|status| status.parse().ok()).unwrap_or(0),
            fields: lines.filter_map(field).collect(),
            body: body.to_owned(),
        };
        if answer.field("transfer-encoding") == Some("chunked") {
            answer.body = of_chunks(body);
        }
        answer
    }

    /// The value of the header field with this name, in lower case.
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.fields.iter();
        let (_, value) = fields.find(|(other, _)| other == name)?;
        Some(value)
    }

    /// The body, of an answer with this status.
    ///
    /// # Panics
    ///
    /// If it has another one.
    pub fn body_of(self, status: u16) -> String {
        assert_eq!(self.status, status, "{self:?}");
        self.body
    }

    /// The body as JSON.
    ///
    /// # Panics
    ///
    /// If the status is not 200, or it is none.
    pub fn json(self) -> serde_json::Value {
        let body = self.body_of(200);
        serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"))
    }
}

/// What chunks (RFC 9112 section 7.1) hold together.
fn of_chunks(mut chunks: &str) -> String {
    let mut whole = String::new();
    while let Some((length, rest)) = chunks.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).unwrap_or(0);
        let Some(chunk) = rest.get(..length).filter(|_| length > 0) else {
            break;
        };
        whole += chunk;
        chunks = rest[length..].trim_start_matches("\r\n");
    }
    whole
}
