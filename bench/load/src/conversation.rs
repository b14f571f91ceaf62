//! What the HTTP origin understands of one connection: bytes in, answers to be given out. Pure, so that every split and
//! every oddity is tested without sockets. Must never own the bytes: whoever reads holds what is left over.

use std::io::Write;

use crate::http::{Body, Head, decimal};
use crate::wire::ANSWER;

/// The state of one connection between two looks at its bytes.
#[derive(Debug, Default)]
pub struct Conversation {
    /// A request whose body is still coming, and how it will be answered.
    awaited: Option<(Body, Turn)>,
    /// Whoever holds the bytes has more than was looked at, so that there is no need to read.
    pub more_is_held: bool,
}

/// What to answer with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// The 200 bytes of all origins.
    Answer,
    /// So many bytes of the pattern.
    Bytes(u64),
    /// The interim answer that asks for the body.
    Continue,
    /// 400.
    Refused,
}

/// One answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// What.
    pub reply: Reply,
    /// Whether it is the answer to HEAD: all but the body.
    pub headless: bool,
    /// Whether the connection ends after it.
    pub closes: bool,
    /// Whether it must be said that it stays open, because the client speaks HTTP/1.0.
    says_keep_alive: bool,
}

impl Conversation {
    /// Looks at bytes: how many of them are used up, and what is to be answered now. None: more bytes are needed.
    pub fn next(&mut self, bytes: &[u8]) -> (usize, Option<Turn>) {
        let mut used = 0;
        if self.awaited.is_none() {
            let head = match Head::parse(bytes) {
                Ok(Some(head)) => head,
                Ok(None) => return (0, None),
                Err(_) => return (bytes.len(), Some(Turn::refused())),
            };
            used = head.length;
            let Some(turn) = Turn::for_request(&bytes[..head.first_line], &head) else {
                return (bytes.len(), Some(Turn::refused()));
            };
            let body = head.request_body();
            if body.is_whole() {
                return (used, Some(turn));
            }
            self.awaited = Some((body, turn));
            if head.expects && used == bytes.len() {
                return (used, Some(Turn { reply: Reply::Continue, closes: false, headless: true, ..turn }));
            }
        }
        let (more, turn) = self.take_body(&bytes[used..]);
        (used + more, turn)
    }

    fn take_body(&mut self, bytes: &[u8]) -> (usize, Option<Turn>) {
        let Some((body, turn)) = &mut self.awaited else { return (0, None) };
        let turn = *turn;
        match body.take(bytes, |_| {}) {
            Ok(used) if body.is_whole() => {
                self.awaited = None;
                (used, Some(turn))
            }
            Ok(used) => (used, None),
            Err(_) => (bytes.len(), Some(Turn::refused())),
        }
    }
}

impl Turn {
    fn refused() -> Self {
        Self { reply: Reply::Refused, headless: false, closes: true, says_keep_alive: false }
    }

    /// The answer to the request with this first line; None when that is no request line.
    fn for_request(line: &[u8], head: &Head) -> Option<Self> {
        let mut words = line.split(|byte| *byte == b' ');
        let (method, target, version) = (words.next()?, words.next()?, words.next()?);
        let old = version == b"HTTP/1.0";
        if words.next().is_some()
            || method.is_empty()
            || target.is_empty()
            || !(old || version == b"HTTP/1.1")
        {
            return None;
        }
        Some(Self {
            reply: Reply::for_path(path(target)),
            headless: method == b"HEAD",
            closes: head.close || (old && !head.keep_alive),
            says_keep_alive: old && head.keep_alive,
        })
    }

    /// Writes all of the answer but its body.
    pub fn write_head(&self, out: &mut Vec<u8>) {
        let connection = match (self.closes, self.says_keep_alive) {
            (true, _) => "Connection: close\r\n",
            (_, true) => "Connection: keep-alive\r\n",
            _ => "",
        };
        let length = match self.reply {
            Reply::Answer => ANSWER as u64,
            Reply::Bytes(length) => length,
            Reply::Continue => return out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n"),
            Reply::Refused => {
                return out.extend_from_slice(
                    b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
                );
            }
        };
        if (length, connection) == (ANSWER as u64, "") {
            return out.extend_from_slice(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 200\r\n\r\n",
            );
        }
        // A Vec takes all that is written.
        _ = write!(
            out,
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n{connection}\r\n"
        );
    }
}

impl Reply {
    /// `/bytes/N` is for so many bytes, everything else for the usual answer.
    pub fn for_path(path: &[u8]) -> Self {
        path.strip_prefix(b"/bytes/").and_then(decimal).map_or(Self::Answer, Self::Bytes)
    }
}

/// The path of a target, without scheme, authority and query.
fn path(target: &[u8]) -> &[u8] {
    let path = match target.strip_prefix(b"http://") {
        Some(rest) => rest.iter().position(|byte| *byte == b'/').map_or(&b"/"[..], |at| &rest[at..]),
        None => target,
    };
    path.split(|byte| *byte == b'?').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything answered when `text` comes in pieces of `size`, and whether all of it was used up.
    fn answers(text: &[u8], size: usize) -> (Vec<Turn>, bool) {
        let (mut conversation, mut held, mut turns) = (Conversation::default(), Vec::new(), Vec::new());
        for piece in text.chunks(size) {
            held.extend_from_slice(piece);
            while !held.is_empty() {
                let (used, turn) = conversation.next(&held);
                held.drain(..used);
                match turn {
                    Some(turn) => turns.push(turn),
                    None => break,
                }
            }
        }
        (turns, held.is_empty())
    }

    fn only(text: &str) -> Turn {
        let (turns, whole) = answers(text.as_bytes(), text.len());
        assert!(whole && turns.len() == 1, "{turns:?}");
        turns[0]
    }

    fn head_of(turn: &Turn) -> String {
        let mut out = Vec::new();
        turn.write_head(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn pipelined_requests_are_answered_in_order_however_they_are_cut() {
        let text = b"GET /bytes/7 HTTP/1.1\r\nHost: a\r\n\r\n\
            POST / HTTP/1.1\r\nContent-Length: 30\r\n\r\nGET /bytes/1 HTTP/1.1\r\n\r\n12345\
            PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n\
            GET /bytes/9?x=y HTTP/1.1\r\nConnection: close\r\n\r\n";
        for size in 1..=text.len() {
            let (turns, whole) = answers(text, size);
            assert!(whole, "{size}");
            let replies: Vec<_> = turns.iter().map(|turn| (turn.reply, turn.closes)).collect();
            let expected = [Reply::Bytes(7), Reply::Answer, Reply::Answer, Reply::Bytes(9)];
            assert_eq!(replies, expected.map(|reply| (reply, reply == Reply::Bytes(9))), "{size}");
        }
    }

    #[test]
    fn an_answer_says_what_becomes_of_the_connection() {
        assert!(!head_of(&only("GET / HTTP/1.1\r\n\r\n")).contains("Connection"));
        assert!(
            head_of(&only("GET / HTTP/1.1\r\nConnection: close\r\n\r\n")).contains("Connection: close\r\n")
        );
        let old = only("GET / HTTP/1.0\r\n\r\n");
        assert!(old.closes && head_of(&old).contains("Connection: close\r\n"));
        let kept = only("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n");
        assert!(!kept.closes && head_of(&kept).contains("Connection: keep-alive\r\n"));
    }

    #[test]
    fn a_head_says_the_length_of_the_body() {
        for (target, length) in
            [("/", 200), ("/any/path", 200), ("/bytes/0", 0), ("http://a/bytes/12", 12), ("http://a", 200)]
        {
            let text = head_of(&only(&format!("GET {target} HTTP/1.1\r\n\r\n")));
            let head = Head::parse(text.as_bytes()).unwrap().unwrap();
            assert_eq!((head.length, head.content_length), (text.len(), Some(length)), "{target}");
        }
        let head_only = only("HEAD /bytes/5 HTTP/1.1\r\n\r\n");
        assert!(head_only.headless && head_of(&head_only).contains("Content-Length: 5\r\n"));
    }

    #[test]
    fn a_client_that_asks_first_is_told_to_go_on() {
        let mut conversation = Conversation::default();
        let head = b"POST / HTTP/1.1\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n";
        let (used, turn) = conversation.next(head);
        assert_eq!((used, turn.map(|turn| turn.reply)), (head.len(), Some(Reply::Continue)));
        assert_eq!(head_of(&turn.unwrap()), "HTTP/1.1 100 Continue\r\n\r\n");
        let (used, turn) = conversation.next(b"body");
        assert_eq!((used, turn.map(|turn| turn.reply)), (4, Some(Reply::Answer)));
    }

    #[test]
    fn what_is_malformed_is_refused_and_closed() {
        for text in [
            "\r\n\r\n",
            "GET /\r\n\r\n",
            "GET  HTTP/1.1\r\n\r\n",
            "GET / x HTTP/1.1\r\n\r\n",
            "GET / HTTP/2.0\r\n\r\n",
            "GET / HTTP/1.1\n\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
        ] {
            let turn = only(text);
            assert!(turn.reply == Reply::Refused && turn.closes, "{text:?}");
            assert!(head_of(&turn).starts_with("HTTP/1.1 400 "));
        }
    }
}
