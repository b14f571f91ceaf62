//! Reads one HTTP answer after the other from a connection and checks it: status 200, framing, and every byte of the
//! body against what the origin has for the path. Pure: whoever reads the socket feeds it.

use crate::conversation::Reply;
use crate::http::{Body, Head, Malformed};
use crate::wire::{self, Pattern};

/// The body that must come.
pub(super) struct Expected {
    length: u64,
    pattern: Option<Pattern>,
}

impl Expected {
    /// What the origin answers to requests for `path`.
    pub fn of_path(path: &str) -> Self {
        match Reply::for_path(path.as_bytes()) {
            Reply::Bytes(length) => Self { length, pattern: Some(Pattern::new()) },
            _ => Self { length: wire::ANSWER as u64, pattern: None },
        }
    }

    /// Bytes of the body.
    pub fn length(&self) -> u64 {
        self.length
    }

    fn matches(&self, position: u64, piece: &[u8]) -> bool {
        if position + piece.len() as u64 > self.length {
            return false;
        }
        match &self.pattern {
            Some(pattern) => {
                let mut at = position;
                piece.chunks(wire::CHUNK).all(|part| {
                    let right = pattern.matches(at, part);
                    at += part.len() as u64;
                    right
                })
            }
            None => wire::answer()[position as usize..position as usize + piece.len()] == *piece,
        }
    }
}

/// How far an answer has come.
#[derive(Debug, PartialEq)]
pub(super) enum Heard {
    /// More must come.
    More,
    /// All of it; `closes`: the connection is not to be used again.
    Whole {
        /// As the answer says.
        closes: bool,
    },
}

/// The state of one connection's answers.
#[derive(Default)]
pub(super) struct Answers {
    /// Of a head that has come in part.
    held: Vec<u8>,
    /// The body under way, how much of its content has come, and whether the connection ends after it.
    body: Option<(Body, u64, bool)>,
}

impl Answers {
    /// Takes bytes as they come. An error is in words for the report.
    pub fn feed(&mut self, bytes: &[u8], expected: &Expected) -> Result<Heard, String> {
        if self.body.is_some() {
            return self.feed_body(bytes, expected);
        }
        if self.held.is_empty() {
            return self.feed_head(bytes, expected);
        }
        let mut held = std::mem::take(&mut self.held);
        held.extend_from_slice(bytes);
        self.feed_head(&held, expected)
    }

    /// The stream has ended; true when that ends an answer without length, which is whole then.
    pub fn ended(&mut self, expected: &Expected) -> Result<bool, String> {
        match self.body.take() {
            Some((Body::UntilEnd, position, _)) if position == expected.length => Ok(true),
            None if self.held.is_empty() => Ok(false),
            _ => Err("answer: cut off".to_owned()),
        }
    }

    fn feed_head(&mut self, bytes: &[u8], expected: &Expected) -> Result<Heard, String> {
        let Some(head) = Head::parse(bytes).map_err(said)? else {
            self.held.extend_from_slice(bytes);
            return Ok(Heard::More);
        };
        let rest = &bytes[head.length..];
        match status(&bytes[..head.first_line]).ok_or("answer: no status line")? {
            (_, 200) => {}
            // Interim answers come before the real one.
            (_, 100..=199) => {
                return if rest.is_empty() { Ok(Heard::More) } else { self.feed_head(rest, expected) };
            }
            (_, code) => return Err(format!("status {code}")),
        }
        let old = bytes.starts_with(b"HTTP/1.0") && !head.keep_alive;
        let body = head.answer_body();
        self.body = Some((body, 0, head.close || old || body == Body::UntilEnd));
        self.feed_body(rest, expected)
    }

    fn feed_body(&mut self, bytes: &[u8], expected: &Expected) -> Result<Heard, String> {
        let Some((body, position, closes)) = &mut self.body else { return Ok(Heard::More) };
        let mut right = true;
        let used = body
            .take(bytes, |piece| {
                right &= expected.matches(*position, piece);
                *position += piece.len() as u64;
            })
            .map_err(said)?;
        if !right {
            return Err("answer: wrong body".to_owned());
        }
        if !body.is_whole() {
            return Ok(Heard::More);
        }
        let (position, closes) = (*position, *closes);
        self.body = None;
        match used == bytes.len() {
            _ if position != expected.length => Err("answer: wrong length".to_owned()),
            true => Ok(Heard::Whole { closes }),
            false => Err("answer: more than was asked for".to_owned()),
        }
    }
}

fn said(malformed: Malformed) -> String {
    format!("answer: {}", malformed.0)
}

/// Version and code of a status line.
fn status(line: &[u8]) -> Option<(u8, u16)> {
    let rest = line.strip_prefix(b"HTTP/1.")?;
    let (version, rest) = rest.split_first()?;
    let code = rest.strip_prefix(b" ")?.get(..3)?;
    let code: u16 = std::str::from_utf8(code).ok()?.parse().ok()?;
    matches!(version, b'0' | b'1').then_some((version - b'0', code))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed_in_pieces(bytes: &[u8], size: usize, expected: &Expected) -> Result<Vec<Heard>, String> {
        let mut answers = Answers::default();
        let heard: Result<Vec<_>, _> =
            bytes.chunks(size).map(|piece| answers.feed(piece, expected)).collect();
        Ok(heard?.into_iter().filter(|heard| *heard != Heard::More).collect())
    }

    fn usual(fields: &str) -> Vec<u8> {
        [format!("HTTP/1.1 200 OK\r\n{fields}\r\n").as_bytes(), &wire::answer()].concat()
    }

    #[test]
    fn answers_are_whole_at_their_last_byte_however_they_are_cut() {
        let expected = Expected::of_path("/");
        let kept = usual("Server: x\r\nContent-Length: 200\r\nDate: today\r\n");
        let closed = usual("connection: close\r\ncontent-length: 200\r\n");
        for size in 1..=kept.len() {
            assert_eq!(
                feed_in_pieces(&kept, size, &expected),
                Ok(vec![Heard::Whole { closes: false }]),
                "{size}"
            );
            assert_eq!(
                feed_in_pieces(&closed, size, &expected),
                Ok(vec![Heard::Whole { closes: true }]),
                "{size}"
            );
        }
    }

    #[test]
    fn chunked_and_interim_answers_are_understood() {
        let mut text = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        for part in wire::answer().chunks(60) {
            text.extend(format!("{:x}\r\n", part.len()).bytes());
            text.extend(part);
            text.extend(b"\r\n");
        }
        text.extend(b"0\r\n\r\n");
        let expected = Expected::of_path("/");
        for size in [1, 2, 3, 7, 50, text.len()] {
            assert_eq!(
                feed_in_pieces(&text, size, &expected),
                Ok(vec![Heard::Whole { closes: false }]),
                "{size}"
            );
        }
    }

    #[test]
    fn one_connection_brings_many_answers() {
        let (mut answers, expected) = (Answers::default(), Expected::of_path("/"));
        for _ in 0..3 {
            let text = usual("Content-Length: 200\r\n");
            assert_eq!(answers.feed(&text[..30], &expected), Ok(Heard::More));
            assert_eq!(answers.feed(&text[30..], &expected), Ok(Heard::Whole { closes: false }));
        }
        assert_eq!(answers.ended(&expected), Ok(false));
    }

    #[test]
    fn an_answer_without_length_ends_with_the_stream() {
        let (mut answers, expected) = (Answers::default(), Expected::of_path("/"));
        let text = usual("");
        assert_eq!(answers.feed(&text[..text.len() - 1], &expected), Ok(Heard::More));
        assert_eq!(answers.feed(&text[text.len() - 1..], &expected), Ok(Heard::More));
        assert_eq!(answers.ended(&expected), Ok(true));
        assert_eq!(answers.feed(&text[..100], &expected), Ok(Heard::More));
        assert!(answers.ended(&expected).is_err());
    }

    #[test]
    fn what_is_wrong_is_said() {
        let expected = Expected::of_path("/bytes/3");
        let body = Pattern::new().at(0, 3).to_vec();
        let answer = |head: &str, body: &[u8]| [head.as_bytes(), b"\r\n", body].concat();
        let right = answer("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n", &body);
        assert!(feed_in_pieces(&right, 1, &expected).is_ok());
        for (wrong, says) in [
            (answer("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n", b""), "status 503"),
            (answer("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n", b"xyz"), "answer: wrong body"),
            (answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", &body[..2]), "answer: wrong length"),
            (
                answer("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n", &[&body[..], b"x"].concat()),
                "answer: wrong body",
            ),
            (
                answer("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n", &[&body[..], b"x"].concat()),
                "answer: more than was asked for",
            ),
            (answer("HTTP/2 200 OK\r\n", b""), "answer: no status line"),
        ] {
            assert_eq!(feed_in_pieces(&wrong, wrong.len(), &expected), Err(says.to_owned()));
        }
    }
}
