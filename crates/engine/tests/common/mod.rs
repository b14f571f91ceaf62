//! A proxy, origins and clients on the loopback, every wait of which is bounded by [`LIMIT`].

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]
#![allow(dead_code, unused_imports, reason = "every test binary uses a part")]

#[path = "../../../core/tests/common/mod.rs"]
mod described;

use std::hash::Hasher;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::IntoRawFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

pub(crate) use described::{alert, hello, long_hello, spec};
use headworks_engine::{Deployment, Engine, Format, Notice, Options};
use serde_json::{Value, json};
use socket2::{Domain, SockRef, Socket, Type};

/// How long anything may take before the test has failed.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// What an engine can run.
pub(crate) fn compiled(written: Value) -> Deployment {
    Deployment::compile(&spec(written)).unwrap()
}

/// A running engine.
pub(crate) struct Proxy(pub(crate) Engine);

impl Proxy {
    /// Serves with one worker and without a log.
    pub(crate) fn start(written: Value) -> Self {
        Self::start_with(written, options())
    }

    pub(crate) fn start_with(written: Value, options: Options) -> Self {
        Self(Engine::start(&compiled(written), options).unwrap())
    }

    /// Where a listener is bound.
    pub(crate) fn address(&self, listener: &str) -> SocketAddr {
        self.bound(listener).parse().unwrap()
    }

    /// The same as text, for unix sockets.
    pub(crate) fn bound(&self, listener: &str) -> String {
        let addresses = self.0.addresses();
        addresses.into_iter().find(|(name, _)| name == listener).unwrap().1.remove(0)
    }

    /// A client of a listener.
    pub(crate) fn client(&self, listener: &str) -> TcpStream {
        connect(self.address(listener))
    }

    pub(crate) fn apply(&self, written: Value) {
        self.0.apply(&compiled(written)).unwrap();
    }

    /// The first notice that `wanted` takes; others are passed over.
    pub(crate) fn notice<T>(&self, wanted: impl Fn(Notice) -> Option<T>) -> T {
        for _ in 0..1000 {
            let notice = self.0.next_notice(LIMIT).expect("a notice in time");
            if let Some(found) = wanted(notice) {
                return found;
            }
        }
        panic!("too many other notices")
    }
}

/// One worker, no log.
pub(crate) fn options() -> Options {
    Options { workers: 1, access_log: "off".into(), log_format: Format::Text, binder: None }
}

/// A listener `plain` that speaks tcp, for these servers.
pub(crate) fn plain(servers: &[SocketAddr]) -> Value {
    json!({
        "listeners": {"plain": {"protocol": "tcp", "backend": "app"}},
        "backends": {"app": {"servers": servers.iter().map(ToString::to_string).collect::<Vec<_>>()}},
    })
}

/// A listener `secure` that speaks tls; `a.example` goes to `a`, `b.example` to `b`.
pub(crate) fn secure(a: SocketAddr, b: SocketAddr) -> Value {
    json!({
        "listeners": {"secure": {"protocol": "tls", "table": "sites"}},
        "tables": {"sites": [["a.example", "a"], ["b.example", "b"]]},
        "backends": {"a": {"servers": [a.to_string()]}, "b": {"servers": [b.to_string()]}},
    })
}

/// Something that listens behind the proxy.
pub(crate) struct Origin(pub(crate) TcpListener);

impl Origin {
    pub(crate) fn new() -> Self {
        Self::at("127.0.0.1:0".parse().unwrap())
    }

    pub(crate) fn at(address: SocketAddr) -> Self {
        Self::from(TcpListener::bind(address).unwrap())
    }

    pub(crate) fn from(listener: TcpListener) -> Self {
        // On Linux this bounds accepting, too.
        SockRef::from(&listener).set_read_timeout(Some(LIMIT)).unwrap();
        Self(listener)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    pub(crate) fn accept(&self) -> TcpStream {
        bounded(self.0.accept().expect("a connection in time").0)
    }

    pub(crate) fn into_listener(self) -> TcpListener {
        self.0
    }
}

/// An address where nobody listens, and nobody else will: it stays bound.
pub(crate) fn nobody() -> SocketAddr {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    // Open until the process ends.
    let _ = socket.into_raw_fd();
    address
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    bounded(TcpStream::connect_timeout(&address, LIMIT).unwrap())
}

/// Reads and writes of `stream` end in time.
pub(crate) fn bounded(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.set_write_timeout(Some(LIMIT)).unwrap();
    stream
}

/// Exactly these bytes come next.
#[track_caller]
pub(crate) fn expect(stream: &mut impl Read, bytes: &[u8]) {
    let mut got = vec![0; bytes.len()];
    stream.read_exact(&mut got).unwrap();
    assert_eq!(got, bytes);
}

/// These bytes and then the end.
#[track_caller]
pub(crate) fn expect_last(stream: &mut impl Read, bytes: &[u8]) {
    let mut got = Vec::new();
    stream.read_to_end(&mut got).unwrap();
    assert_eq!(got, bytes);
}

/// The next read fails by a reset.
#[track_caller]
pub(crate) fn expect_reset(stream: &mut impl Read) {
    let mut rest = Vec::new();
    let error = stream.read_to_end(&mut rest).expect_err("a reset, not an end");
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "{error}");
}

/// Sends a word and sees it arrive, then one the other way.
#[track_caller]
pub(crate) fn talk(client: &mut TcpStream, server: &mut TcpStream) {
    client.write_all(b"ping").unwrap();
    expect(server, b"ping");
    server.write_all(b"pong").unwrap();
    expect(client, b"pong");
}

pub(crate) fn finish(stream: &TcpStream) {
    stream.shutdown(Shutdown::Write).unwrap();
}

/// Closes with a reset.
pub(crate) fn reset(stream: TcpStream) {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(stream);
}

/// Waits for a condition that nothing announces.
#[track_caller]
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    for _ in 0..LIMIT.as_millis() / 5 {
        if condition() {
            return;
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
    panic!("never came true: {what}");
}

/// Bytes that look random, the same for the same seed.
pub(crate) struct Noise(u64);

impl Noise {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    pub(crate) fn fill(&mut self, block: &mut [u8]) {
        for word in block.chunks_mut(8) {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            word.copy_from_slice(&self.0.to_le_bytes()[..word.len()]);
        }
    }
}

/// Sends so many bytes of noise; their hash.
pub(crate) fn send_noise(stream: &mut impl Write, seed: u64, length: usize) -> u64 {
    let (mut noise, mut hash, mut left) = (Noise::new(seed), std::hash::DefaultHasher::new(), length);
    let mut block = [0; 32 * 1024];
    while left > 0 {
        let n = left.min(block.len());
        noise.fill(&mut block[..n]);
        stream.write_all(&block[..n]).unwrap();
        block[..n].iter().for_each(|byte| hash.write_u8(*byte));
        left -= n;
    }
    hash.finish()
}

/// Reads to the end: how many bytes, and their hash.
pub(crate) fn read_noise(stream: &mut impl Read) -> (usize, u64) {
    let (mut hash, mut length) = (std::hash::DefaultHasher::new(), 0);
    let mut block = [0; 32 * 1024];
    loop {
        match stream.read(&mut block).unwrap() {
            0 => return (length, hash.finish()),
            n => {
                block[..n].iter().for_each(|byte| hash.write_u8(*byte));
                length += n;
            }
        }
    }
}

/// A path in the temporary directory that no other test uses.
pub(crate) fn scratch_path(name: &str) -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let unique = format!("headworks-{}-{}-{name}", std::process::id(), NEXT.fetch_add(1, Relaxed));
    std::env::temp_dir().join(unique)
}
