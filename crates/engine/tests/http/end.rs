//! End: one end of an HTTP connection, a client's or a server's: says bytes, reads messages.
//!
//! Reads what is plain HTTP/1.1 and panics at anything else. Must never be kinder than a careful reader.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

/// One end of a connection.
pub(crate) struct End<S = TcpStream> {
    pub(crate) stream: S,
    /// Read; the first `taken` bytes of it are done with.
    held: Vec<u8>,
    taken: usize,
    /// Bytes read in all.
    pub(crate) received: usize,
}

/// A message, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    /// Request or status line.
    pub(crate) line: String,
    /// The head, with its empty line.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

/// What the body of a message depends on beyond its head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum To {
    /// It is a request.
    Request,
    /// It answers a HEAD or the like.
    Bodiless,
    /// It answers any other.
    Other,
}

impl Message {
    /// The value of the only field of this name.
    #[track_caller]
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut values = self.fields(name);
        let value = values.next();
        assert_eq!(values.next(), None, "{name} twice: {}", self.head);
        value
    }

    /// The values of all fields of this name.
    pub(crate) fn fields(&self, name: &str) -> impl Iterator<Item = &str> {
        let pairs = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        pairs.filter(move |(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    #[track_caller]
    pub(crate) fn status(&self) -> u16 {
        let status = self.line.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
        status.unwrap_or_else(|| panic!("no status line: {}", self.line)).parse().unwrap()
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// Whether the connection ends with it.
    pub(crate) fn closes(&self) -> bool {
        self.fields("connection").any(|value| value.eq_ignore_ascii_case("close"))
    }
}

impl<S: Read + Write> End<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, held: Vec::new(), taken: 0, received: 0 }
    }

    #[track_caller]
    pub(crate) fn say(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// Says it to whoever may not listen any more.
    pub(crate) fn try_say(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    /// Asks for a path of a.example without a body.
    #[track_caller]
    pub(crate) fn ask(&mut self, path: &str) {
        self.say(get(path));
    }

    /// Asks with a body of known length.
    #[track_caller]
    pub(crate) fn post(&mut self, path: &str, body: &str) {
        self.say(post(path, body));
    }

    /// Answers 200 with this body.
    #[track_caller]
    pub(crate) fn reply(&mut self, body: &str) {
        self.say(ok(body));
    }

    /// The next request.
    #[track_caller]
    pub(crate) fn request(&mut self) -> Message {
        self.message(To::Request)
    }

    /// Takes the next request, which must be for this path, and answers it.
    #[track_caller]
    pub(crate) fn serve(&mut self, path: &str, body: &str) -> Message {
        let request = self.request();
        assert_eq!(request.line.split(' ').nth(1), Some(path));
        self.reply(body);
        request
    }

    /// The next response, to anything but HEAD.
    #[track_caller]
    pub(crate) fn answer(&mut self) -> Message {
        self.message(To::Other)
    }

    /// The next response, of which only the head comes.
    #[track_caller]
    pub(crate) fn bare_answer(&mut self) -> Message {
        self.message(To::Bodiless)
    }

    /// The next response has this status.
    #[track_caller]
    pub(crate) fn expect_status(&mut self, status: u16) -> Message {
        let answer = self.answer();
        assert_eq!(answer.status(), status, "{}", answer.head);
        answer
    }

    /// The next response is 200 with this body.
    #[track_caller]
    pub(crate) fn expect_body(&mut self, body: &str) -> Message {
        let answer = self.expect_status(200);
        assert_eq!(answer.text(), body);
        answer
    }

    /// Nothing more comes before the end.
    #[track_caller]
    pub(crate) fn expect_end(&mut self) {
        let mut rest = self.take_pending();
        self.stream.read_to_end(&mut rest).unwrap();
        assert_eq!(String::from_utf8_lossy(&rest), "");
    }

    /// Nothing more comes before the connection is gone, however that happens.
    #[track_caller]
    pub(crate) fn expect_gone(&mut self) {
        assert_eq!(String::from_utf8_lossy(&self.rest_or_reset()), "");
    }

    /// Exactly these bytes come next.
    #[track_caller]
    pub(crate) fn expect(&mut self, bytes: &[u8]) {
        let got = self.take(bytes.len());
        assert_eq!(String::from_utf8_lossy(&got), String::from_utf8_lossy(bytes));
    }

    /// The next head alone, with its empty line.
    #[track_caller]
    pub(crate) fn head(&mut self) -> String {
        let end = loop {
            if let Some(at) = self.pending().windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            self.more();
        };
        String::from_utf8(self.take(end)).unwrap()
    }

    #[track_caller]
    fn message(&mut self, to: To) -> Message {
        let head = self.head();
        let line = head.lines().next().unwrap().to_owned();
        let mut message = Message { line, head, body: Vec::new() };
        let status = if to == To::Request { 0 } else { message.status() };
        let chunked = message.field("transfer-encoding").is_some_and(|coding| coding == "chunked");
        let length = message.field("content-length").map(|length| length.parse().unwrap());
        assert!(!chunked || length.is_none(), "framed twice: {}", message.head);
        message.body = match (to, length) {
            (To::Bodiless, _) => Vec::new(),
            _ if status / 100 == 1 || status == 204 || status == 304 => Vec::new(),
            _ if chunked => self.chunks(),
            (_, Some(length)) => self.take(length),
            (To::Request, None) => Vec::new(),
            (To::Other, None) => self.rest(),
        };
        message
    }

    #[track_caller]
    pub(crate) fn take(&mut self, length: usize) -> Vec<u8> {
        while self.pending().len() < length {
            self.more();
        }
        self.taken += length;
        self.held[self.taken - length..self.taken].to_vec()
    }

    /// All until the end.
    #[track_caller]
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut rest = self.take_pending();
        self.received += self.stream.read_to_end(&mut rest).unwrap();
        rest
    }

    /// Whether anything comes before the end.
    pub(crate) fn has_more(&mut self) -> bool {
        let mut block = [0; 4096];
        if self.pending().is_empty() {
            let n = self.stream.read(&mut block).unwrap_or(0);
            self.held.extend_from_slice(&block[..n]);
        }
        !self.pending().is_empty()
    }

    /// All until the connection is gone, however that happens.
    pub(crate) fn rest_or_reset(&mut self) -> Vec<u8> {
        let mut rest = self.take_pending();
        if let Err(error) = self.stream.read_to_end(&mut rest) {
            assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
        }
        rest
    }

    #[track_caller]
    fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            match self.chunk() {
                last if last.is_empty() => return body,
                chunk => body.extend(chunk),
            }
        }
    }

    /// The next chunk; empty for the last, which is taken with the trailer fields.
    #[track_caller]
    pub(crate) fn chunk(&mut self) -> Vec<u8> {
        let line = self.line();
        let size = line.split(';').next().unwrap();
        let size = usize::from_str_radix(size, 16).unwrap_or_else(|_| panic!("no chunk size: {line:?}"));
        if size == 0 {
            while !self.line().is_empty() {}
            return Vec::new();
        }
        let chunk = self.take(size);
        assert_eq!(self.line(), "");
        chunk
    }

    #[track_caller]
    fn line(&mut self) -> String {
        loop {
            if let Some(at) = self.pending().windows(2).position(|two| two == b"\r\n") {
                let line = self.take(at + 2);
                return String::from_utf8(line[..at].to_vec()).unwrap();
            }
            self.more();
        }
    }

    /// What is read and not yet taken.
    fn pending(&self) -> &[u8] {
        &self.held[self.taken..]
    }

    /// The same, for good.
    fn take_pending(&mut self) -> Vec<u8> {
        let pending = self.pending().to_vec();
        (self.held, self.taken) = (Vec::new(), 0);
        pending
    }

    #[track_caller]
    fn more(&mut self) {
        self.held.drain(..self.taken);
        self.taken = 0;
        let mut block = [0; 64 * 1024];
        match self.stream.read(&mut block) {
            Ok(0) => panic!("the end, after {}", self.recent()),
            Ok(n) => {
                self.received += n;
                self.held.extend_from_slice(&block[..n]);
            }
            Err(error) => panic!("{error}, after {}", self.recent()),
        }
    }

    /// What came last, for those who read why a test failed.
    fn recent(&self) -> String {
        let pending = self.pending();
        let start = pending.len().saturating_sub(200);
        format!("{} bytes: {:?}", pending.len(), String::from_utf8_lossy(&pending[start..]))
    }
}

/// A request without a body.
pub(crate) fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a.example\r\n\r\n")
}

/// A request with a body of known length.
pub(crate) fn post(path: &str, body: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: a.example\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// A response of known length.
pub(crate) fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}
