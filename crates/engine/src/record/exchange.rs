//! ExchangeRecord: the access record of one HTTP exchange. Written once a request: it must never allocate.

use std::net::SocketAddr;

use headworks_core::close::{CloseReason, Fault};
use headworks_core::program::Findings;
use headworks_core::time::Millis;

use super::line::{Line, key};
use super::{Format, TlsKeys};

/// The account of an exchange that has ended. Host, method and path are as the client sent them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ExchangeRecord<'a> {
    /// Number of the client's connection.
    pub(crate) id: u64,
    pub(crate) listener: &'a str,
    /// The client's address; None for a unix socket.
    pub(crate) client: Option<SocketAddr>,
    /// The address that it connected to before it was redirected here, where its listener learns that.
    pub(crate) original: Option<SocketAddr>,
    /// The host; empty if the request had none or was not understood. So are method and path.
    pub(crate) host: &'a [u8],
    pub(crate) method: &'a [u8],
    /// The path with its query.
    pub(crate) path: &'a [u8],
    /// Status of the response that the client got; None when it got none.
    pub(crate) status: Option<u16>,
    pub(crate) backend: Option<&'a str>,
    pub(crate) server: Option<&'a str>,
    /// Bytes from the client, head included.
    pub(crate) bytes_in: u64,
    /// Bytes to the client, head included.
    pub(crate) bytes_out: u64,
    /// Time from the complete head of the request until the server was chosen.
    pub(crate) wait: Option<Millis>,
    /// Time from then until a connection to it was ready; 0 for one that was kept.
    pub(crate) connect: Option<Millis>,
    /// Time from the complete head of the request until the end.
    pub(crate) total: Millis,
    pub(crate) end: CloseReason,
    pub(crate) retries: u64,
    pub(crate) request_id: Option<&'a [u8]>,
    /// The name asked for in the handshake.
    pub(crate) sni: Option<&'a str>,
    pub(crate) tls: TlsKeys<'a>,
    /// Reason of the last connect that failed, even if another server was found.
    pub(crate) connect_error: Option<Fault>,
    /// The findings of rules that people wrote.
    pub(crate) findings: Option<&'a Findings>,
}

/// Bytes of each text in a record that is remembered.
const REMEMBERED: usize = 512;

impl ExchangeRecord<'_> {
    /// Returns it with texts of modest length; with what rules found where that is wanted.
    pub(crate) fn shortened(&self, with_findings: bool) -> Self {
        let short = |text: &'_ [u8]| text.len().min(REMEMBERED);
        Self {
            host: &self.host[..short(self.host)],
            method: &self.method[..short(self.method)],
            path: &self.path[..short(self.path)],
            request_id: self.request_id.map(|id| &id[..short(id)]),
            findings: self.findings.filter(|_| with_findings),
            ..*self
        }
    }

    /// Appends one line.
    pub(crate) fn write(&self, format: Format, stamp: &[u8], out: &mut Vec<u8>) {
        let present = |value: &'_ [u8]| !value.is_empty();
        let mut line = Line::begin(format, stamp, out);
        line.text(key!("listener"), self.listener.as_bytes());
        line.client(key!("client"), self.client);
        line.address_of(key!("original"), self.original);
        line.text_of(key!("host"), Some(self.host).filter(|host| present(host)));
        line.text_of(key!("method"), Some(self.method).filter(|method| present(method)));
        line.text_of(key!("path"), Some(self.path).filter(|path| present(path)));
        line.number_of(key!("status"), self.status.map(u64::from));
        line.text_of(key!("backend"), self.backend.map(str::as_bytes));
        line.text_of(key!("server"), self.server.map(str::as_bytes));
        line.number(key!("bytes_in"), self.bytes_in);
        line.number(key!("bytes_out"), self.bytes_out);
        line.number_of(key!("wait_ms"), self.wait);
        line.number_of(key!("connect_ms"), self.connect);
        line.number(key!("total_ms"), self.total);
        line.text(key!("end"), self.end.as_str().as_bytes());
        line.number(key!("retries"), self.retries);
        line.number(key!("id"), self.id);
        line.text_of(key!("request_id"), self.request_id);
        line.text_of(key!("sni"), self.sni.map(str::as_bytes));
        self.tls.write(&mut line);
        line.text_of(key!("connect_error"), self.connect_error.map(|fault| fault.as_str().as_bytes()));
        line.findings(self.findings);
        line.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> ExchangeRecord<'static> {
        ExchangeRecord {
            id: 7,
            listener: "web",
            client: Some("127.0.0.1:4000".parse().unwrap()),
            original: None,
            host: b"shop.example:8080",
            method: b"GET",
            path: b"/cart?item=1",
            status: Some(200),
            backend: Some("app"),
            server: Some("127.0.0.1:8001"),
            bytes_in: 612,
            bytes_out: 1045,
            wait: Some(0),
            connect: Some(1),
            total: 12,
            end: CloseReason::Completed,
            retries: 0,
            request_id: Some(b"0f-1"),
            sni: None,
            tls: TlsKeys::default(),
            connect_error: None,
            findings: None,
        }
    }

    fn line(format: Format, record: &ExchangeRecord<'_>) -> String {
        let mut out = Vec::new();
        record.write(format, b"2026-01-02T03:04:05.678Z", &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn text() {
        assert_eq!(
            line(Format::Text, &record()),
            "ts=2026-01-02T03:04:05.678Z listener=web client=127.0.0.1:4000 host=shop.example:8080 method=GET \
             path=\"/cart?item=1\" status=200 backend=app server=127.0.0.1:8001 bytes_in=612 bytes_out=1045 wait_ms=0 \
             connect_ms=1 total_ms=12 end=completed retries=0 id=7 request_id=0f-1\n"
        );
    }

    #[test]
    fn json() {
        let read: serde_json::Value = serde_json::from_str(&line(Format::Json, &record())).unwrap();
        assert_eq!((&read["path"], &read["status"]), (&"/cart?item=1".into(), &200.into()));
        assert_eq!(read.as_object().unwrap().len(), 18);
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let bare = ExchangeRecord {
            client: None,
            host: b"",
            method: b"",
            path: b"",
            status: None,
            backend: None,
            server: None,
            wait: None,
            connect: None,
            end: CloseReason::BadRequest,
            request_id: None,
            ..record()
        };
        assert_eq!(
            line(Format::Text, &bare),
            "ts=2026-01-02T03:04:05.678Z listener=web client=unix bytes_in=612 bytes_out=1045 total_ms=12 end=bad_request \
             retries=0 id=7\n"
        );
    }

    #[test]
    fn a_connect_that_failed_is_explained_at_the_end() {
        let failed = ExchangeRecord { connect_error: Some(Fault::WrongName), ..record() };
        let text = line(Format::Text, &failed);
        assert!(text.ends_with(" connect_error=\"certificate for another name\"\n"), "{text}");
    }

    #[test]
    fn a_client_cannot_forge_a_key_or_a_line() {
        let forged = ExchangeRecord { path: b"/ status=200\nts=1 \"\\", host: b"a\xff\" end=x", ..record() };
        let text = line(Format::Text, &forged);
        assert_eq!(text.matches('\n').count(), 1);
        assert!(text.contains(r#" host="a\u00ff\" end=x" "#), "{text}");
        assert!(text.contains(r#" path="/ status=200\u000ats=1 \"\\" status=200 "#), "{text}");
    }
}
