//! HTTP/1.1 framing as both ends need it: where a head ends, what it says of its body, where the body ends.
//!
//! Pure: bytes in, positions out. It is strict, because it checks what proxies write: lines end in CRLF, there is one
//! length, and nothing is repaired. Must never own a socket or keep bytes.

use crate::sys;

/// A head longer than this is refused.
pub const LONGEST_HEAD: usize = 64 * 1024;

/// What is wrong with a message, in words for the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

/// What the head of a request or an answer says, as far as either end cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Bytes of the whole head, the empty line included.
    pub length: usize,
    /// Bytes of its first line, without CRLF.
    pub first_line: usize,
    /// `Content-Length`.
    pub content_length: Option<u64>,
    /// `Transfer-Encoding: chunked`.
    pub chunked: bool,
    /// `Connection: close`.
    pub close: bool,
    /// `Connection: keep-alive`.
    pub keep_alive: bool,
    /// `Expect: 100-continue`.
    pub expects: bool,
}

impl Head {
    /// Reads a head; None while its end has not come.
    pub fn parse(bytes: &[u8]) -> Result<Option<Self>, Malformed> {
        let Some((first_line, mut at)) = line(bytes, 0)? else { return Ok(None) };
        let mut head = Self {
            length: 0,
            first_line,
            content_length: None,
            chunked: false,
            close: false,
            keep_alive: false,
            expects: false,
        };
        loop {
            let Some((end, next)) = line(bytes, at)? else { return Ok(None) };
            if end == at {
                head.length = next;
                let both = head.chunked && head.content_length.is_some();
                return if both { Err(Malformed("two lengths")) } else { Ok(Some(head)) };
            }
            head.field(&bytes[at..end])?;
            at = next;
        }
    }

    /// The body that follows a request with this head.
    pub fn request_body(&self) -> Body {
        match self.chunked {
            true => Body::Chunked(Chunks::new()),
            false => Body::Counted(self.content_length.unwrap_or(0)),
        }
    }

    /// The body that follows an answer with this head: without any length it goes on to the end of the stream.
    pub fn answer_body(&self) -> Body {
        match self.content_length {
            Some(length) => Body::Counted(length),
            None if self.chunked => Body::Chunked(Chunks::new()),
            None => Body::UntilEnd,
        }
    }

    /// Takes note of one field. Most are recognised as uninteresting by the length of their name.
    fn field(&mut self, field: &[u8]) -> Result<(), Malformed> {
        let colon = sys::find(b':', field).filter(|at| *at > 0).ok_or(Malformed("a field without a name"))?;
        let (name, value) = (&field[..colon], field[colon + 1..].trim_ascii());
        match colon {
            6 if name.eq_ignore_ascii_case(b"expect") => {
                self.expects = value.eq_ignore_ascii_case(b"100-continue");
            }
            10 if name.eq_ignore_ascii_case(b"connection") => {
                for token in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
                    self.close |= token.eq_ignore_ascii_case(b"close");
                    self.keep_alive |= token.eq_ignore_ascii_case(b"keep-alive");
                }
            }
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                let length = decimal(value).ok_or(Malformed("a length that is no number"))?;
                if self.content_length.replace(length).is_some_and(|other| other != length) {
                    return Err(Malformed("two lengths"));
                }
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(Malformed("an unknown transfer coding"));
                }
                self.chunked = true;
            }
            _ => {}
        }
        Ok(())
    }
}

/// What is still to come of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// So many bytes.
    Counted(u64),
    /// Chunks.
    Chunked(Chunks),
    /// All bytes to the end of the stream.
    UntilEnd,
}

impl Body {
    /// Whether all of it has come.
    pub fn is_whole(&self) -> bool {
        match self {
            Self::Counted(left) => *left == 0,
            Self::Chunked(chunks) => chunks.stage == Stage::Whole,
            Self::UntilEnd => false,
        }
    }

    /// Takes what belongs to the body from the front of `bytes`, shows its content to `see`, and says how much it was.
    pub fn take(&mut self, bytes: &[u8], mut see: impl FnMut(&[u8])) -> Result<usize, Malformed> {
        match self {
            Self::Counted(left) => {
                let count = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                see(&bytes[..count]);
                *left -= count as u64;
                Ok(count)
            }
            Self::Chunked(chunks) => chunks.take(bytes, see),
            Self::UntilEnd => {
                see(bytes);
                Ok(bytes.len())
            }
        }
    }
}

/// The state of a chunked body: `5 CR LF hello CR LF 0 CR LF CR LF` (RFC 9112, 7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunks {
    stage: Stage,
    /// Of the chunk: its size so far, then its bytes to come.
    left: u64,
    digits: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Size,
    Extension,
    SizeEnd,
    Content,
    ContentReturn,
    ContentEnd,
    Trailer,
    TrailerLine,
    TrailerEnd,
    End,
    Whole,
}

impl Chunks {
    fn new() -> Self {
        Self { stage: Stage::Size, left: 0, digits: 0 }
    }

    fn take(&mut self, bytes: &[u8], mut see: impl FnMut(&[u8])) -> Result<usize, Malformed> {
        let mut at = 0;
        while at < bytes.len() && self.stage != Stage::Whole {
            if self.stage == Stage::Content {
                let count = (bytes.len() - at).min(usize::try_from(self.left).unwrap_or(usize::MAX));
                see(&bytes[at..at + count]);
                at += count;
                self.left -= count as u64;
                if self.left == 0 {
                    self.stage = Stage::ContentReturn;
                }
            } else {
                self.stage = self.after(bytes[at])?;
                at += 1;
            }
        }
        Ok(at)
    }

    /// The stage that one byte outside of content leads to.
    fn after(&mut self, byte: u8) -> Result<Stage, Malformed> {
        Ok(match (self.stage, byte) {
            (Stage::Size, b'\r' | b';') if self.digits == 0 => {
                return Err(Malformed("a chunk without a size"));
            }
            (Stage::Size, b'\r') => Stage::SizeEnd,
            (Stage::Size, b';') => Stage::Extension,
            (Stage::Size, digit) => self.digit(digit)?,
            (Stage::Extension, b'\r') => Stage::SizeEnd,
            (Stage::Extension, _) => Stage::Extension,
            (Stage::SizeEnd, b'\n') if self.left == 0 => Stage::Trailer,
            (Stage::SizeEnd, b'\n') => Stage::Content,
            (Stage::ContentReturn, b'\r') => Stage::ContentEnd,
            (Stage::ContentEnd, b'\n') => {
                self.digits = 0;
                Stage::Size
            }
            (Stage::Trailer, b'\r') => Stage::End,
            (Stage::Trailer | Stage::TrailerLine, b'\n') => return Err(Malformed("a bare line feed")),
            (Stage::TrailerLine, b'\r') => Stage::TrailerEnd,
            (Stage::Trailer | Stage::TrailerLine, _) => Stage::TrailerLine,
            (Stage::TrailerEnd, b'\n') => Stage::Trailer,
            (Stage::End, b'\n') => Stage::Whole,
            _ => return Err(Malformed("a chunk that does not end where it says")),
        })
    }

    fn digit(&mut self, byte: u8) -> Result<Stage, Malformed> {
        let digit = char::from(byte).to_digit(16).ok_or(Malformed("a chunk size that is no number"))?;
        self.digits += 1;
        if self.digits > 15 {
            return Err(Malformed("a chunk size that is too large"));
        }
        self.left = self.left << 4 | u64::from(digit);
        Ok(Stage::Size)
    }
}

/// The line that starts at `from`: its end without CRLF, and where the next one starts.
fn line(bytes: &[u8], from: usize) -> Result<Option<(usize, usize)>, Malformed> {
    match sys::find(b'\n', &bytes[from..]) {
        None if bytes.len() >= LONGEST_HEAD => Err(Malformed("a head that is too long")),
        None => Ok(None),
        Some(length) if length > 0 && bytes[from + length - 1] == b'\r' => {
            Ok(Some((from + length - 1, from + length + 1)))
        }
        Some(_) => Err(Malformed("a bare line feed")),
    }
}

/// A number in decimal digits only: no sign, no blanks, no overflow.
pub fn decimal(text: &[u8]) -> Option<u64> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    digits.then(|| std::str::from_utf8(text).ok()?.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> Head {
        Head::parse(text.as_bytes()).unwrap().unwrap()
    }

    /// Takes a whole body in pieces of `size` and gives its content and how many bytes it was.
    fn content(mut body: Body, bytes: &[u8], size: usize) -> Result<(Vec<u8>, usize), Malformed> {
        let (mut seen, mut at) = (Vec::new(), 0);
        for piece in bytes.chunks(size) {
            let used = body.take(piece, |part| seen.extend_from_slice(part))?;
            at += used;
            if body.is_whole() {
                break;
            }
            assert_eq!(used, piece.len());
        }
        Ok((seen, at))
    }

    #[test]
    fn a_head_says_how_long_its_body_is() {
        let text =
            "HTTP/1.1 200 OK\r\nServer: x\r\ncontent-LENGTH:  42 \r\nConnection: foo, Close\r\n\r\nrest";
        let parsed = head(text);
        assert_eq!(parsed.length, text.len() - 4);
        assert_eq!(&text[..parsed.first_line], "HTTP/1.1 200 OK");
        assert_eq!((parsed.content_length, parsed.close, parsed.keep_alive), (Some(42), true, false));
        assert_eq!(parsed.answer_body(), Body::Counted(42));
        assert_eq!(head("GET / HTTP/1.1\r\n\r\n").request_body(), Body::Counted(0));
        assert_eq!(head("HTTP/1.1 200 OK\r\n\r\n").answer_body(), Body::UntilEnd);
        let chunked = head("POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\nExpect: 100-continue\r\n\r\n");
        assert!(chunked.expects && matches!(chunked.request_body(), Body::Chunked(_)));
    }

    #[test]
    fn a_head_is_not_there_before_its_last_byte() {
        let text = "GET / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 3\r\n\r\n";
        for end in 0..text.len() {
            assert_eq!(Head::parse(&text.as_bytes()[..end]), Ok(None), "{end}");
        }
        assert_eq!(head(text).length, text.len());
    }

    #[test]
    fn ambiguous_heads_are_refused() {
        for fields in [
            "Content-Length: 3\r\nContent-Length: 4\r\n",
            "Content-Length: +3\r\n",
            "Content-Length: \r\n",
            "Content-Length: 99999999999999999999\r\n",
            "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: gzip\r\n",
            "Host: a\nHost: b\r\n",
            ": x\r\n",
            "no colon\r\n",
        ] {
            let text = format!("GET / HTTP/1.1\r\n{fields}\r\n");
            assert!(Head::parse(text.as_bytes()).is_err(), "{fields:?}");
        }
        assert!(Head::parse(&[b'a'; LONGEST_HEAD]).is_err());
    }

    #[test]
    fn bodies_end_where_they_say_however_they_are_cut() {
        let chunked = b"5;x=y\r\nhello\r\n0A\r\n 0123\r\n567\r\n0\r\nTrailer: x\r\n\r\nnext";
        for size in 1..=chunked.len() {
            let (seen, used) = content(Body::Chunked(Chunks::new()), chunked, size).unwrap();
            assert_eq!(seen, b"hello 0123\r\n567", "{size}");
            assert_eq!(&chunked[used..], b"next");
            assert_eq!(content(Body::Counted(7), b"hello, you", size), Ok((b"hello, ".to_vec(), 7)));
        }
        let mut open = Body::UntilEnd;
        assert_eq!(open.take(b"all", |_| {}), Ok(3));
        assert!(!open.is_whole());
    }

    #[test]
    fn wrong_chunks_are_refused() {
        for wrong in
            ["\r\n", ";\r\n", "g\r\n", "5\nhello", "5\r\nhelloX", "5\r\nhello\rX", "1111111111111111\r\n"]
        {
            assert!(content(Body::Chunked(Chunks::new()), wrong.as_bytes(), 100).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn only_digits_are_a_number() {
        assert_eq!(decimal(b"0"), Some(0));
        assert_eq!(decimal(b"18446744073709551615"), Some(u64::MAX));
        for wrong in ["", "-1", "+1", " 1", "1 ", "0x1", "18446744073709551616"] {
            assert_eq!(decimal(wrong.as_bytes()), None, "{wrong:?}");
        }
    }
}
