//! Blocks that were received, as heads and trailers.

use super::super::hpack::{BlockField, BlockReader, Indexing, Pseudo};
use super::super::priority::Priority;
use super::{BlockFault, BlockKind, Sheet, crumbs};
use crate::message::{Field, Framing, Head, Known, Method, Span, Version};
use crate::wire::chunked::may_be_trailer;
use crate::wire::http1::{Limits, Malformed, authority, is_framing_in_disguise, is_text_run};
use crate::wire::http1::{is_token_byte, read_length, recognise};

/// Texts that a block may stand for, in heads of the size allowed, before the connection is given up.
const BOMB: usize = 4;

/// Reads a block onto a sheet. `end_stream`: no body follows.
pub fn read(
    mut block: BlockReader<'_>,
    kind: BlockKind,
    end_stream: bool,
    limits: &Limits,
    sheet: &mut Sheet,
) -> Result<(), BlockFault> {
    sheet.clear();
    let mut reading = Reading::new(kind, end_stream, limits);
    loop {
        let start = sheet.text.len();
        let Some(field) = block.next(&mut sheet.text)? else { break };
        if let Err(reason) = reading.take(field, start, sheet) {
            return Err(drain(block, limits, &mut sheet.text).err().unwrap_or(BlockFault::Malformed(reason)));
        }
    }
    reading.conclude(sheet).map_err(BlockFault::Malformed)
}

/// Decodes the rest of a block that is refused: what comes after it on the connection depends on it.
#[cold]
pub(in crate::wire::http2) fn drain(
    mut block: BlockReader<'_>,
    limits: &Limits,
    text: &mut Vec<u8>,
) -> Result<(), BlockFault> {
    let mut total = 0;
    while block.next(text)?.is_some() {
        total += text.len();
        text.clear();
        if total > BOMB * limits.head {
            return Err(BlockFault::Bomb);
        }
    }
    Ok(())
}

/// A block that is being read.
struct Reading<'l> {
    kind: BlockKind,
    end_stream: bool,
    limits: &'l Limits,
    /// Pseudo-fields that were there, a bit for each.
    seen: u8,
    method: Span,
    scheme: Span,
    authority: Span,
    path: Span,
    protocol: Span,
    /// A field came: no pseudo-field may come after it.
    begun: bool,
    /// Fields that came, each crumb of a cookie for itself.
    count: usize,
    length: Option<u64>,
    has_host: bool,
    /// Cookies came in several places.
    scattered: bool,
}

impl<'l> Reading<'l> {
    fn new(kind: BlockKind, end_stream: bool, limits: &'l Limits) -> Self {
        let none = Span::default();
        Self {
            kind,
            end_stream,
            limits,
            seen: 0,
            method: none,
            scheme: none,
            authority: none,
            path: none,
            protocol: none,
            begun: false,
            count: 0,
            length: None,
            has_host: false,
            scattered: false,
        }
    }

    /// Takes the field whose line begins at `start` and ends the text.
    #[inline]
    fn take(&mut self, field: BlockField, start: usize, sheet: &mut Sheet) -> Result<(), Malformed> {
        if sheet.text.len() > self.limits.head {
            return Err(Malformed::HeadTooLong);
        }
        if !field.sound {
            return Err(unsound(&field, &sheet.text));
        }
        if field.pseudo != Pseudo::None {
            return self.take_pseudo(&field, sheet);
        }
        self.count += 1;
        if self.count > self.limits.fields {
            return Err(Malformed::TooManyFields);
        }
        if sheet.text.len() - start > self.limits.line.saturating_add(2) {
            return Err(Malformed::FieldTooLong);
        }
        let mut field = field;
        if !self.begun {
            let added = self.begin(start, sheet)?;
            shift(&mut field.name, added);
            shift(&mut field.value, added);
        }
        self.take_field(&field, sheet)
    }

    fn take_pseudo(&mut self, field: &BlockField, sheet: &mut Sheet) -> Result<(), Malformed> {
        let bit = 1 << field.pseudo as u8;
        if self.begun || self.seen & bit != 0 {
            return Err(Malformed::Pseudo);
        }
        self.seen |= bit;
        match (self.kind, field.pseudo) {
            (BlockKind::Request { .. }, Pseudo::Method) => self.method = field.value,
            (BlockKind::Request { .. }, Pseudo::Scheme) => self.scheme = field.value,
            (BlockKind::Request { .. }, Pseudo::Authority) => self.authority = field.value,
            (BlockKind::Request { .. }, Pseudo::Path) if field.value.len() > self.limits.line => {
                return Err(Malformed::RequestLineTooLong);
            }
            (BlockKind::Request { .. }, Pseudo::Path) => self.path = field.value,
            (BlockKind::Request { extended: true }, Pseudo::Protocol) => self.protocol = field.value,
            (BlockKind::Response(_), Pseudo::Status) => {
                sheet.head.status = read_status(field.value.of(&sheet.text))?;
            }
            _ => return Err(Malformed::Pseudo),
        }
        Ok(())
    }

    /// Begins the field lines at `start`, with those that stand for pseudo-fields; returns the bytes put in
    /// there.
    fn begin(&mut self, start: usize, sheet: &mut Sheet) -> Result<usize, Malformed> {
        self.begun = true;
        sheet.head.version = Version::Http2;
        sheet.head.persistent = true;
        match self.kind {
            BlockKind::Trailers => return Ok(0),
            BlockKind::Response(_) if sheet.head.status == 0 => return Err(Malformed::Pseudo),
            BlockKind::Response(_) => return Ok(0),
            BlockKind::Request { .. } => {}
        }
        self.check_request(sheet)?;
        let end = sheet.text.len();
        let Sheet { head, text, .. } = sheet;
        if !self.protocol.is_empty() {
            // As HTTP/1 asks for another protocol (RFC 8441 section 4).
            text.extend_from_slice(b"GET");
            (head.method, head.method_span) = (Method::Get, Span::new(start, start + 3));
            head.upgrade = true;
        }
        if !self.authority.is_empty() {
            let line = text.len() - (end - start);
            push_line(text, b"host", self.authority);
            head.host = Span::new(line + 6, line + 6 + self.authority.len());
            let name = Span::new(line, line + 4);
            head.push(Field { name, value: head.host, known: Known::Host, hop_by_hop: false });
            if head.method == Method::Connect {
                head.authority = head.host;
            }
        }
        if !self.protocol.is_empty() {
            let line = text.len() - (end - start);
            push_line(text, b"upgrade", self.protocol);
            let value = Span::new(line + 9, line + 9 + self.protocol.len());
            let name = Span::new(line, line + 7);
            head.push(Field { name, value, known: Known::Upgrade, hop_by_hop: true });
        }
        // The first field was there already.
        let added = text.len() - end;
        text[start..].rotate_right(added);
        Ok(added)
    }

    /// Checks the pseudo-fields of a request (RFC 9113 section 8.3.1, RFC 8441 section 4).
    fn check_request(&self, sheet: &mut Sheet) -> Result<(), Malformed> {
        let Sheet { head, text, .. } = sheet;
        let method = self.method.of(text);
        if method.is_empty() {
            return Err(Malformed::Pseudo);
        }
        if !method.iter().all(|byte| is_token_byte(*byte)) {
            return Err(Malformed::Method);
        }
        (head.method, head.method_span) = (recognise(method), self.method);
        let asked = authority::read(self.authority.of(text));
        if asked.is_none() && self.has(Pseudo::Authority) {
            return Err(Malformed::Host);
        }
        let connects = head.method == Method::Connect;
        if self.has(Pseudo::Protocol) {
            let protocol = self.protocol.of(text);
            if !connects || protocol.is_empty() || !protocol.iter().all(|byte| is_token_byte(*byte)) {
                return Err(Malformed::Pseudo);
            }
        } else if connects {
            let has_port = asked.is_some_and(|asked| asked.port.is_some());
            let bare = !self.has(Pseudo::Scheme) && !self.has(Pseudo::Path) && self.has(Pseudo::Authority);
            return if !bare {
                Err(Malformed::Pseudo)
            } else if has_port {
                Ok(())
            } else {
                Err(Malformed::Target)
            };
        }
        if !matches!(self.scheme.of(text), b"http" | b"https") {
            return Err(if self.has(Pseudo::Scheme) { Malformed::Target } else { Malformed::Pseudo });
        }
        self.check_path(head, text)
    }

    fn check_path(&self, head: &mut Head, text: &[u8]) -> Result<(), Malformed> {
        let path = self.path.of(text);
        match path {
            [] if !self.has(Pseudo::Path) => return Err(Malformed::Pseudo),
            [b'/', ..] => {}
            b"*" if head.method == Method::Options => {}
            _ => return Err(Malformed::Target),
        }
        if headworks_scan::target_end(path, 0) != path.len() {
            return Err(Malformed::Target);
        }
        head.target = self.path;
        Ok(())
    }

    fn has(&self, pseudo: Pseudo) -> bool {
        self.seen >> pseudo as u8 & 1 != 0
    }

    /// Takes a field, whose line ends the text.
    #[inline]
    fn take_field(&mut self, field: &BlockField, sheet: &mut Sheet) -> Result<(), Malformed> {
        let request = matches!(self.kind, BlockKind::Request { .. });
        let value = field.value.of(&sheet.text);
        let mut hop_by_hop = false;
        match field.known {
            Known::Other if field.name.len() == 8 && field.name.of(&sheet.text) == b"priority" => {
                sheet.priority = Priority::read(value);
            }
            Known::Other => {}
            _ if self.kind == BlockKind::Trailers => {}
            Known::ContentLength if self.length.is_some() => return Err(Malformed::ContentLengthTwice),
            Known::ContentLength => self.length = Some(read_length(value)?),
            Known::Connection
            | Known::Http2Settings
            | Known::KeepAlive
            | Known::ProxyConnection
            | Known::TransferEncoding
            | Known::Upgrade => return Err(Malformed::ConnectionField),
            Known::Te if value != b"trailers" => return Err(Malformed::Te),
            Known::Te => hop_by_hop = true,
            Known::Host if request => return self.take_host(field, sheet),
            Known::Cookie if request => return self.take_crumb(field, sheet),
            Known::Expect if request => {
                if !value.eq_ignore_ascii_case(b"100-continue") {
                    return Err(Malformed::Expectation);
                }
                sheet.head.expects_continue = true;
            }
            _ => {}
        }
        if self.kind == BlockKind::Trailers && !may_be_trailer(field.name.of(&sheet.text)) {
            return Err(Malformed::TrailerField);
        }
        if field.never_indexed {
            mark(field, sheet);
        }
        let BlockField { name, value, known, .. } = *field;
        sheet.head.push(Field { name, value, known, hop_by_hop });
        Ok(())
    }

    /// Takes a Host: it must say what `:authority` says, and is not told twice.
    fn take_host(&mut self, field: &BlockField, sheet: &mut Sheet) -> Result<(), Malformed> {
        if self.has_host {
            return Err(Malformed::HostTwice);
        }
        self.has_host = true;
        let host = authority::read(field.value.of(&sheet.text)).ok_or(Malformed::Host)?;
        if self.authority.is_empty() {
            sheet.head.host = field.value;
            let BlockField { name, value, known, .. } = *field;
            sheet.head.push(Field { name, value, known, hop_by_hop: false });
            return Ok(());
        }
        let asked = authority::read(self.authority.of(&sheet.text)).ok_or(Malformed::Host)?;
        let default = match self.scheme.len() {
            4 => Some(80),
            5 => Some(443),
            _ => None,
        };
        if !asked.agrees(&host, default) {
            return Err(Malformed::HostDisagrees);
        }
        sheet.text.truncate(field.name.start as usize);
        Ok(())
    }

    /// Takes a crumb of a cookie, which is one field in HTTP/1 (RFC 9113 section 8.2.3).
    #[inline]
    fn take_crumb(&mut self, field: &BlockField, sheet: &mut Sheet) -> Result<(), Malformed> {
        let Sheet { head, text, .. } = sheet;
        if head.has(Known::Cookie) {
            match head.fields.last_mut().filter(|last| last.known == Known::Cookie) {
                Some(last) => {
                    crumbs::join(text, last, field.value);
                    return Ok(());
                }
                None => self.scattered = true,
            }
        }
        let BlockField { name, value, known, .. } = *field;
        head.push(Field { name, value, known, hop_by_hop: false });
        Ok(())
    }

    /// Concludes what the fields say together, and ends the head.
    fn conclude(mut self, sheet: &mut Sheet) -> Result<(), Malformed> {
        if !self.begun {
            self.begin(sheet.text.len(), sheet)?;
        }
        if self.scattered {
            crumbs::gather(sheet);
        }
        match self.kind {
            BlockKind::Request { .. } => self.conclude_request(&mut sheet.head)?,
            BlockKind::Response(to) => self.conclude_response(to, &mut sheet.head)?,
            BlockKind::Trailers => {}
        }
        sheet.text.extend_from_slice(b"\r\n");
        sheet.head.length = sheet.text.len();
        Ok(())
    }

    fn conclude_request(&self, head: &mut Head) -> Result<(), Malformed> {
        if self.authority.is_empty() && !self.has_host {
            return Err(Malformed::HostMissing);
        }
        if head.method == Method::Connect || head.upgrade {
            return if self.length.is_some() { Err(Malformed::NoBody) } else { Ok(()) };
        }
        head.framing = match self.length {
            Some(length) if self.end_stream && length > 0 => return Err(Malformed::LengthDisagrees),
            Some(length) => Framing::Length(length),
            None if !self.end_stream => Framing::Stream,
            // What is sent on must not wait for a body that a server could expect.
            None if matches!(head.method, Method::Post | Method::Put | Method::Patch) => Framing::Length(0),
            None => Framing::None,
        };
        Ok(())
    }

    fn conclude_response(&self, to: Method, head: &mut Head) -> Result<(), Malformed> {
        // HTTP/2 has no switching (RFC 9113 section 8.6); an interim response is never the last.
        if head.status == 101 || head.status < 200 && self.end_stream {
            return Err(Malformed::Switching);
        }
        let tunnel = to == Method::Connect && matches!(head.status, 200..300);
        head.upgrade = tunnel;
        if tunnel || matches!(head.status, 100..200 | 204) {
            if self.length.is_some_and(|length| length > 0) && head.status != 204 {
                return Err(Malformed::NoBody);
            }
            let lengths = head.fields.iter_mut().filter(|field| field.known == Known::ContentLength);
            lengths.for_each(|field| field.hop_by_hop = true);
            return Ok(());
        }
        head.framing = match self.length {
            _ if to == Method::Head || head.status == 304 => Framing::None,
            Some(length) if self.end_stream && length > 0 => return Err(Malformed::LengthDisagrees),
            Some(length) => Framing::Length(length),
            None if self.end_stream => Framing::Length(0),
            None => Framing::Stream,
        };
        Ok(())
    }
}

/// Marks a field that is to stay out of every table, unless its name says so anyway.
#[cold]
fn mark(field: &BlockField, sheet: &mut Sheet) {
    let Sheet { text, marked, .. } = sheet;
    let name = field.name.of(text);
    if Indexing::of(name, field.known) != Indexing::Never {
        marked.extend_from_slice(name);
        marked.push(b'\n');
    }
}

/// Returns the rule that an unsound field breaks.
#[cold]
fn unsound(field: &BlockField, text: &[u8]) -> Malformed {
    let name = field.name.of(text);
    if field.pseudo == Pseudo::Unknown {
        Malformed::Pseudo
    } else if is_framing_in_disguise(name) {
        Malformed::Underscore
    } else if is_text_run(field.value.of(text)) {
        Malformed::FieldName
    } else {
        Malformed::FieldValue
    }
}

/// Reads a status of three digits, from 100.
fn read_status(value: &[u8]) -> Result<u16, Malformed> {
    match value {
        [b'1'..=b'9', b'0'..=b'9', b'0'..=b'9'] => {
            Ok(value.iter().fold(0, |status, digit| status * 10 + u16::from(digit - b'0')))
        }
        _ => Err(Malformed::Status),
    }
}

/// Appends `name: value` and CRLF, the value out of the text itself.
fn push_line(text: &mut Vec<u8>, name: &[u8], value: Span) {
    text.extend_from_slice(name);
    text.extend_from_slice(b": ");
    text.extend_from_within(value.start as usize..value.end as usize);
    text.extend_from_slice(b"\r\n");
}

#[inline]
fn shift(span: &mut Span, by: usize) {
    *span = Span::new(span.start as usize + by, span.end as usize + by);
}
