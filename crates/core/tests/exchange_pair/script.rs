//! Scripts: what clients and servers say, and how that ends.

use crate::random::Random;

/// How the sending of a side goes on after its script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closing {
    /// It says nothing more.
    Silent,
    /// It ends.
    End,
    /// Its connection breaks.
    Broken,
    /// It ends without the end that TLS has.
    Truncated,
}

/// What a side says.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) bytes: Vec<u8>,
    /// How many of the bytes are one whole message; None: it is whole with the end, or never.
    pub(crate) whole: Option<usize>,
    pub(crate) closing: Closing,
    /// Bytes that the other side has read.
    pub(crate) read: usize,
    /// Bytes that were sent, and may be read.
    pub(crate) sent: usize,
    /// The end was sent, too.
    pub(crate) closed: bool,
}

impl Script {
    fn new(bytes: Vec<u8>, whole: Option<usize>, closing: Closing) -> Self {
        Self { bytes, whole, closing, read: 0, sent: 0, closed: false }
    }

    /// Says nothing yet, and perhaps never.
    pub(crate) fn nothing(closing: Closing) -> Self {
        Self::new(Vec::new(), None, closing)
    }

    /// A little more is sent; whether there was anything.
    pub(crate) fn go_on(&mut self, random: &mut Random) -> bool {
        let left = self.bytes.len() - self.sent;
        if left > 0 {
            self.sent += if random.chance(40) { left } else { 1 + random.below(left) };
            return true;
        }
        let closes = self.closing != Closing::Silent && !self.closed;
        self.closed |= closes;
        closes
    }

    /// Reads up to `most` bytes of what was sent.
    pub(crate) fn take(&mut self, most: usize) -> Vec<u8> {
        let n = most.min(self.sent - self.read);
        self.read += n;
        self.bytes[self.read - n..self.read].to_vec()
    }

    /// Whether the end is all that is left to be read.
    pub(crate) fn is_at_end(&self) -> bool {
        self.closed && self.read == self.bytes.len()
    }

    /// Whether one whole message was read.
    pub(crate) fn is_whole(&self) -> bool {
        self.whole.is_some_and(|whole| self.read >= whole)
    }
}

/// What a client says: the head of a request with its body. Returns the length of the head, too.
pub(crate) fn request(random: &mut Random, cookie: &str) -> (Script, usize) {
    let method = random.of(&["GET", "GET", "GET", "HEAD", "PUT", "POST", "POST", "CONNECT"]);
    let host = random.of(&["a.example", "a.example", "a.example", "a.example", "a.example", "a.example"]);
    let rare = random.of(&["no.example", "old.example", "closed.example"]);
    let host = if random.chance(8) { rare } else { host };
    let old = method != "CONNECT" && random.chance(15);
    let target = if method == "CONNECT" { format!("{host}:443") } else { "/".into() };
    let name = if method == "CONNECT" { &target } else { host };
    let version = if old { "1.0" } else { "1.1" };
    let mut said = format!("{method} {target} HTTP/{version}\r\nHost: {name}\r\n");
    if random.chance(20) {
        said += "Connection: upgrade\r\nUpgrade: websocket\r\n";
    } else if random.chance(15) {
        said += random.of(&["Connection: close\r\n", "Connection: keep-alive\r\n"]);
    }
    if random.chance(50) {
        said += "Accept-Encoding: gzip\r\n";
    }
    if random.chance(50) {
        said += cookie;
    }
    let (framing, body) =
        if matches!(method, "PUT" | "POST") { body(random, !old) } else { ("\r\n".into(), vec![]) };
    said += &framing;
    let head = said.len();
    let mut bytes = said.into_bytes();
    bytes.extend(body);
    let whole = bytes.len();
    let closing = closing(random, 25);
    if random.chance(10) {
        bytes.truncate(head + random.below(bytes.len() - head + 1));
    }
    (Script::new(bytes, Some(whole), closing), head)
}

/// The fields that frame a body with the end of the head, and the body.
fn body(random: &mut Random, chunks: bool) -> (String, Vec<u8>) {
    let length = random.below(30);
    if chunks && random.chance(40) {
        let mut body = Vec::new();
        for _ in 0..random.below(3) {
            let size = 1 + random.below(12);
            body.extend(
                format!("{size:x}\r\n").bytes().chain(std::iter::repeat_n(b'x', size)).chain(*b"\r\n"),
            );
        }
        if random.chance(5) {
            body.extend(b"no chunk\r\n");
        }
        body.extend(b"0\r\n\r\n");
        return ("Transfer-Encoding: chunked\r\n\r\n".into(), body);
    }
    (format!("Content-Length: {length}\r\n\r\n"), vec![b'x'; length])
}

/// What a server says to a request of this method: interim responses, the final one, perhaps what nobody
/// asked for.
pub(crate) fn response(random: &mut Random, method: &str) -> Script {
    let mut said = String::new();
    for _ in 0..random.of(&[0, 0, 0, 0, 1, 2, 40]) {
        said += random.of(&["HTTP/1.1 103 Early Hints\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n"]);
    }
    match random.below(20) {
        0 => return Script::new((said + "no response\r\n\r\n").into_bytes(), None, closing(random, 50)),
        1 => return Script::new(said.into_bytes(), None, closing(random, 50)),
        2..5 => {
            said += "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nspoken";
            return Script::new(said.into_bytes(), None, closing(random, 60));
        }
        _ => {}
    }
    let status = random.of(&[200, 200, 200, 204, 304, 404, 500, 503]);
    let old = random.chance(10);
    said += &format!("HTTP/1.{} {status} Said\r\nContent-Type: text/plain\r\n", u8::from(!old));
    if random.chance(10) {
        said += "Connection: close\r\n";
    }
    let to_end = random.chance(10);
    let (framing, body) = if to_end { ("\r\n".into(), vec![b'x'; 9]) } else { body(random, !old) };
    let bodiless = method == "HEAD" || matches!(status, 204 | 304);
    let framing = if status == 204 { "\r\n".to_owned() } else { framing };
    said += &framing;
    let mut bytes = said.into_bytes();
    if !bodiless {
        bytes.extend(body);
    }
    let whole = (bodiless || !to_end).then_some(bytes.len());
    if random.chance(8) {
        bytes.truncate(random.below(bytes.len()));
    } else if random.chance(5) {
        bytes.extend(b"more");
    }
    Script::new(bytes, whole, closing(random, if to_end { 95 } else { 25 }))
}

fn closing(random: &mut Random, percent: usize) -> Closing {
    match random.chance(percent) {
        true => random.of(&[Closing::End, Closing::End, Closing::Broken, Closing::Truncated]),
        false => Closing::Silent,
    }
}
