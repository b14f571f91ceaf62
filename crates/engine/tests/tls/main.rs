//! TLS over real sockets: a proxy in this process, clients and origins that speak TLS by rustls, or break it
//! byte by byte.
//!
//! One binary for all themes. Must never depend on how long something takes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

#[path = "../common/mod.rs"]
mod common;

mod bulk;
mod end;
mod ends;
mod origins;
mod passing;
mod raw;
mod records;
mod rooms;
mod servers;
mod shakes;

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::*;
use end::*;
use headworks_engine::{Format, Notice, Options};
use raw::*;
use serde_json::{Value, json};

/// A listener `web` that speaks https as `a.example`, for these servers.
fn web(authority: &Authority, servers: &[SocketAddr]) -> Value {
    json!({
        "listeners": {"web": {"protocol": "https", "backend": "app", "tls": {
            "certificates": [authority.certificate(&["a.example", "*.b.example"])], "alpn": ["http/1.1"],
        }}},
        "backends": {"app": {"servers": texts(servers)}},
    })
}

/// A listener `raw` where TLS ends and bytes are passed on.
fn raw(authority: &Authority, servers: &[SocketAddr]) -> Value {
    json!({
        "listeners": {"raw": {"protocol": "tcp", "backend": "app", "tls": {
            "certificates": [authority.certificate(&["a.example"])],
        }}},
        "backends": {"app": {"servers": texts(servers)}},
    })
}

fn texts(servers: &[SocketAddr]) -> Vec<String> {
    servers.iter().map(ToString::to_string).collect()
}

/// A proxy with an access log.
struct Logged {
    proxy: Proxy,
    path: PathBuf,
}

impl Logged {
    fn start(written: Value) -> Self {
        let path = scratch_path("access.log");
        let options =
            Options { access_log: path.display().to_string(), log_format: Format::Json, ..options() };
        Self { proxy: Proxy::start_with(written, options), path }
    }

    /// The records, once there are `n` of them.
    #[track_caller]
    fn records(&self, n: usize) -> Vec<Value> {
        until("as many records", || lines(&self.path).len() >= n);
        let records = lines(&self.path);
        assert_eq!(records.len(), n, "one record a connection: {records:#?}");
        records.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Drop for Logged {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

fn lines(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.split_inclusive('\n').filter(|line| line.ends_with('\n')).map(str::to_owned).collect()
}

/// An origin whose every connection is echoed, each by a thread of its own, until nobody comes any more.
fn echo() -> SocketAddr {
    let origin = Origin::new();
    let address = origin.address();
    std::thread::spawn(move || {
        while let Ok((stream, _)) = origin.0.accept() {
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut &stream, &mut &stream);
                let _ = stream.shutdown(std::net::Shutdown::Write);
            });
        }
    });
    address
}

/// An origin that answers every request without a body by `hi`.
fn greeter() -> SocketAddr {
    let origin = Origin::new();
    let address = origin.address();
    std::thread::spawn(move || {
        while let Ok((stream, _)) = origin.0.accept() {
            std::thread::spawn(move || {
                let (mut seen, mut byte) = (Vec::new(), [0]);
                while let Ok(1) = (&stream).read(&mut byte) {
                    seen.push(byte[0]);
                    if seen.ends_with(b"\r\n\r\n") {
                        seen.clear();
                        let _ = (&stream).write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
                    }
                }
            });
        }
    });
    address
}

/// A client that takes little at once, and makes the other end keep little ready.
fn narrow(address: SocketAddr) -> std::net::TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    // Small segments make a small buffer of what is sent on the other side, too.
    socket.set_tcp_mss(536).unwrap();
    socket.set_recv_buffer_size(2_048).unwrap();
    socket.connect(&address.into()).unwrap();
    bounded(socket.into())
}

/// No worker has lost its connections, and none is left.
#[track_caller]
fn all_is_well(proxy: &Proxy) {
    until("nothing is left", || proxy.0.stats().connections == 0);
    while let Some(notice) = proxy.0.next_notice(Duration::ZERO) {
        assert!(!matches!(notice, Notice::WorkerPanicked { .. }), "{notice:?}");
    }
}
