//! Record: the access record of a connection, in two forms, text and JSON. The same keys in the same order in
//! both.
//!
//! How values are written is in `line`; the record of an HTTP exchange is in `exchange`. A key without a
//! value is left out.

mod exchange;
mod line;
mod tls;

use std::net::SocketAddr;

use headworks_core::close::{CloseReason, Fault};
use headworks_core::listener::Listener;
use headworks_core::program::Findings;
use headworks_core::time::Millis;
use serde::{Deserialize, Serialize};

pub(crate) use self::exchange::ExchangeRecord;
use self::line::{Line, key};
pub(crate) use self::tls::TlsKeys;

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
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record<'a> {
    /// Number of the connection.
    pub(crate) id: u64,
    pub(crate) listener: &'a str,
    pub(crate) client: Option<SocketAddr>,
    /// The address that it connected to before it was redirected here, where its listener learns that.
    pub(crate) original: Option<SocketAddr>,
    pub(crate) sni: Option<&'a str>,
    pub(crate) host: Option<&'a str>,
    /// The kind of its first bytes, where kinds are told apart.
    pub(crate) kind: Option<&'a str>,
    pub(crate) backend: Option<&'a str>,
    pub(crate) server: Option<&'a str>,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) wait: Option<Millis>,
    pub(crate) connect: Option<Millis>,
    pub(crate) total: Millis,
    pub(crate) end: CloseReason,
    pub(crate) retries: usize,
    pub(crate) tls: TlsKeys<'a>,
    pub(crate) connect_error: Option<Fault>,
    /// The findings of rules that people wrote.
    pub(crate) findings: Option<&'a Findings>,
    /// The bytes that came in, where they could not be understood; no key of the record.
    pub(crate) first_bytes: &'a [u8],
}

impl<'a> Record<'a> {
    /// Makes the record of a client that was turned away at once.
    pub(crate) fn denied(
        listener: &'a Listener,
        client: Option<SocketAddr>,
        id: u64,
        end: CloseReason,
    ) -> Self {
        Self {
            id,
            listener: &listener.name,
            client,
            original: None,
            sni: None,
            host: None,
            kind: None,
            backend: None,
            server: None,
            bytes_in: 0,
            bytes_out: 0,
            wait: None,
            connect: None,
            total: 0,
            end,
            retries: 0,
            tls: TlsKeys::default(),
            connect_error: None,
            findings: None,
            first_bytes: &[],
        }
    }

    /// Appends one line. `stamp`: now, as RFC 3339.
    pub(crate) fn write(&self, format: Format, stamp: &[u8], out: &mut Vec<u8>) {
        let mut line = Line::begin(format, stamp, out);
        line.text(key!("listener"), self.listener.as_bytes());
        line.client(key!("client"), self.client);
        line.address_of(key!("original"), self.original);
        line.text_of(key!("sni"), self.sni.map(str::as_bytes));
        line.text_of(key!("host"), self.host.map(str::as_bytes));
        line.text_of(key!("kind"), self.kind.map(str::as_bytes));
        line.text_of(key!("backend"), self.backend.map(str::as_bytes));
        line.text_of(key!("server"), self.server.map(str::as_bytes));
        line.number(key!("bytes_in"), self.bytes_in);
        line.number(key!("bytes_out"), self.bytes_out);
        line.number_of(key!("wait_ms"), self.wait);
        line.number_of(key!("connect_ms"), self.connect);
        line.number(key!("total_ms"), self.total);
        line.text(key!("end"), self.end.as_str().as_bytes());
        line.number(key!("retries"), self.retries as u64);
        line.number(key!("id"), self.id);
        self.tls.write(&mut line);
        line.text_of(key!("connect_error"), self.connect_error.map(|fault| fault.as_str().as_bytes()));
        line.findings(self.findings);
        line.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(format: Format, name: &str) -> String {
        let record = Record {
            id: 65_537,
            listener: "secure",
            client: Some("127.0.0.1:4000".parse().unwrap()),
            original: None,
            sni: Some(name),
            host: None,
            kind: None,
            backend: Some("app"),
            server: None,
            bytes_in: 517,
            bytes_out: 0,
            wait: Some(1),
            connect: None,
            total: 12,
            end: CloseReason::NoServer,
            retries: 2,
            tls: TlsKeys::default(),
            connect_error: None,
            findings: None,
            first_bytes: &[],
        };
        let mut out = Vec::new();
        record.write(format, b"T", &mut out);
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
             total_ms=12 end=no_server retries=2 id=65537"
        );
        assert!(line(Format::Text, "a b\n\"end=x").contains(r#" sni="a b\u000a\"end=x" "#));
    }

    #[test]
    fn json() {
        assert_eq!(
            line(Format::Json, "a\u{7}"),
            r#"listener":"secure","client":"127.0.0.1:4000","sni":"a\u0007","backend":"app","bytes_in":517,"bytes_out":0,"wait_ms":1,"total_ms":12,"end":"no_server","retries":2,"id":65537}"#
        );
    }
}
