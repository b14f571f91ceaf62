//! Record: one access record and its two forms, text and JSON. The same keys in the same order in both.
//!
//! Text: `key=value`, values with spaces or quotes in double quotes, control characters escaped. What a client chose
//! (the name) never breaks a line or forges a key. A key without a value is left out.

use std::net::SocketAddr;

use headworks_core::action::{CloseReason, Side};
use headworks_core::listener::Listener;
use headworks_core::time::Millis;
use serde::{Deserialize, Serialize};

use crate::clock;
use crate::connection::Connection;

/// The form of the lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// `key=value`.
    Text,
    /// One JSON object a line.
    Json,
}

/// One access record.
#[derive(Debug)]
pub(crate) struct Record<'a> {
    listener: &'a str,
    client: Option<SocketAddr>,
    sni: Option<&'a str>,
    backend: Option<&'a str>,
    server: Option<&'a str>,
    bytes_in: u64,
    bytes_out: u64,
    wait: Option<Millis>,
    connect: Option<Millis>,
    total: Millis,
    end: CloseReason,
    retries: usize,
}

impl<'a> Record<'a> {
    /// Of a connection that ends now.
    pub(crate) fn ended(connection: &'a Connection, now: Millis) -> Self {
        let session = &connection.session;
        let plan = &connection.plan;
        let backend = session.choice().map(|choice| &plan.backends[choice.backend as usize]);
        let server = session.choice().and_then(|choice| backend?.servers.get(usize::from(choice.server)));
        let times = &connection.times;
        Self {
            listener: &plan.listeners[session.listener() as usize].name,
            client: session.facts().client,
            sni: session.facts().name.as_deref(),
            backend: backend.map(|backend| &*backend.name),
            server: server.map(|server| &*server.name),
            bytes_in: session.flow(Side::Client).bytes,
            bytes_out: session.flow(Side::Server).bytes,
            wait: times.decided.map(|decided| decided - times.accepted),
            connect: times.connected.zip(times.decided).map(|(connected, decided)| connected - decided),
            total: now - times.accepted,
            end: session.reason().unwrap_or(CloseReason::Drained),
            retries: session.retries(),
        }
    }

    /// Of a client that was turned away at once.
    pub(crate) fn denied(listener: &'a Listener, client: Option<SocketAddr>, end: CloseReason) -> Self {
        Self {
            listener: &listener.name,
            client,
            sni: None,
            backend: None,
            server: None,
            bytes_in: 0,
            bytes_out: 0,
            wait: None,
            connect: None,
            total: 0,
            end,
            retries: 0,
        }
    }

    /// Appends one line.
    pub(crate) fn write(&self, format: Format, out: &mut Vec<u8>) {
        let mut line = Line { format, out, first: true };
        line.begin();
        line.time("ts");
        line.text("listener", self.listener);
        match self.client {
            Some(client) => line.display("client", &client),
            None => line.text("client", "unix"),
        }
        for (key, value) in [("sni", self.sni), ("backend", self.backend), ("server", self.server)] {
            if let Some(value) = value {
                line.text(key, value);
            }
        }
        line.number("bytes_in", self.bytes_in);
        line.number("bytes_out", self.bytes_out);
        for (key, value) in [("wait_ms", self.wait), ("connect_ms", self.connect)] {
            if let Some(value) = value {
                line.number(key, value);
            }
        }
        line.number("total_ms", self.total);
        line.text("end", self.end.as_str());
        line.number("retries", self.retries as u64);
        line.end();
    }
}

/// A line under construction.
struct Line<'a> {
    format: Format,
    out: &'a mut Vec<u8>,
    first: bool,
}

impl Line<'_> {
    fn begin(&mut self) {
        if self.format == Format::Json {
            self.out.push(b'{');
        }
    }

    fn end(&mut self) {
        if self.format == Format::Json {
            self.out.push(b'}');
        }
        self.out.push(b'\n');
    }

    fn key(&mut self, key: &str) {
        let between: &[u8] = match (self.format, self.first) {
            (_, true) => b"",
            (Format::Text, _) => b" ",
            (Format::Json, _) => b",",
        };
        self.first = false;
        self.out.extend_from_slice(between);
        if self.format == Format::Json {
            self.out.push(b'"');
            self.out.extend_from_slice(key.as_bytes());
            self.out.extend_from_slice(b"\":");
        } else {
            self.out.extend_from_slice(key.as_bytes());
            self.out.push(b'=');
        }
    }

    fn number(&mut self, key: &str, value: u64) {
        self.key(key);
        self.out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    }

    fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\' | b'=');
        if self.format == Format::Text && !value.is_empty() && value.bytes().all(plain) {
            return self.out.extend_from_slice(value.as_bytes());
        }
        self.quoted(value);
    }

    /// For values that are known to be plain, such as addresses.
    fn display(&mut self, key: &str, value: &impl std::fmt::Display) {
        use std::io::Write;
        self.key(key);
        let quote: &[u8] = if self.format == Format::Json { b"\"" } else { b"" };
        self.out.extend_from_slice(quote);
        // Writing to memory does not fail.
        let _ = write!(self.out, "{value}");
        self.out.extend_from_slice(quote);
    }

    fn time(&mut self, key: &str) {
        self.key(key);
        let quote: &[u8] = if self.format == Format::Json { b"\"" } else { b"" };
        self.out.extend_from_slice(quote);
        clock::write_rfc3339(clock::wall(), self.out);
        self.out.extend_from_slice(quote);
    }

    /// A JSON string; text lines use the same escapes.
    fn quoted(&mut self, value: &str) {
        self.out.push(b'"');
        for character in value.chars() {
            match character {
                '"' | '\\' => self.out.extend_from_slice(&[b'\\', character as u8]),
                control if control.is_control() => {
                    let escaped = format!("\\u{:04x}", u32::from(control));
                    self.out.extend_from_slice(escaped.as_bytes());
                }
                other => self.out.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        self.out.push(b'"');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(format: Format, name: &str) -> String {
        let record = Record {
            listener: "secure",
            client: Some("127.0.0.1:4000".parse().unwrap()),
            sni: Some(name),
            backend: Some("app"),
            server: None,
            bytes_in: 517,
            bytes_out: 0,
            wait: Some(1),
            connect: None,
            total: 12,
            end: CloseReason::NoServer,
            retries: 2,
        };
        let mut out = Vec::new();
        record.write(format, &mut out);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.matches('\n').count(), 1);
        let from = text.find("listener").unwrap();
        text[from..].trim_end().to_owned()
    }

    #[test]
    fn text() {
        assert_eq!(
            line(Format::Text, "a.example"),
            "listener=secure client=127.0.0.1:4000 sni=a.example backend=app bytes_in=517 bytes_out=0 wait_ms=1 \
             total_ms=12 end=no_server retries=2"
        );
        assert!(line(Format::Text, "a b\n\"end=x").contains(r#" sni="a b\u000a\"end=x" "#));
    }

    #[test]
    fn json() {
        assert_eq!(
            line(Format::Json, "a\u{7}"),
            r#"listener":"secure","client":"127.0.0.1:4000","sni":"a\u0007","backend":"app","bytes_in":517,"bytes_out":0,"wait_ms":1,"total_ms":12,"end":"no_server","retries":2}"#
        );
    }
}
