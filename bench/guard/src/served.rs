//! The paths that run a whole engine: what its threads execute for an exchange or a connection, from the client's bytes to
//! the client's answer. To add one: a line in [`all`].
//!
//! Client and origin are played by the main thread, one step after the other, so that every run wakes the worker alike;
//! `bench/instructions.py` leaves that thread out. What the kernel does is not counted: sockets are the real ones, on the
//! loopback. A path leads to nothing but the loopback, and every wait of it is bounded.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use headworks_engine::{Deployment, Engine, Format, Options};
use serde_json::{Value, json};

use crate::Operation;
use crate::common::spec;
use crate::paths::{BROWSER, MINIMAL, Path, RESPONSE, path};

/// How long a read may take before the path has failed.
const LIMIT: Duration = Duration::from_secs(30);
/// What a kept connection carries that is not HTTP.
const BLOCK: &[u8] = &[b'x'; 64];

/// Every path, one a line.
pub fn all() -> Vec<Path> {
    vec![
        path("engine_http_minimal", 1_000, || exchange(MINIMAL, json!({}), "off")),
        path("engine_http_browser", 1_000, || exchange(BROWSER, json!({}), "off")),
        path("engine_http_forwarded", 1_000, || {
            exchange(BROWSER, json!({"forwarded": ["x_forwarded"]}), "off")
        }),
        path("engine_http_recorded", 1_000, || {
            exchange(BROWSER, json!({"forwarded": ["x_forwarded"]}), "/dev/null")
        }),
        path("engine_tcp_kept", 1_000, kept),
        path("engine_tcp_connect", 500, connect),
    ]
}

/// One worker that serves `listener` and sends everything to the origin.
struct Served {
    engine: Engine,
    origin: TcpListener,
}

impl Served {
    fn start(listener: Value, log: &str) -> Self {
        let origin = TcpListener::bind("127.0.0.1:0").expect("an origin");
        let address = origin.local_addr().expect("an address").to_string();
        let written = json!({"listeners": {"web": listener}, "backends": {"app": {"servers": [address]}}});
        let deployment = Deployment::compile(&spec(written)).expect("a configuration");
        let options = Options { workers: 1, access_log: log.into(), log_format: Format::Text, binder: None };
        let engine = Engine::start(&deployment, options).expect("an engine");
        Self { engine, origin }
    }

    fn client(&self) -> TcpStream {
        let (_, addresses) = self.engine.addresses().remove(0);
        let address: SocketAddr = addresses[0].parse().expect("an address");
        bounded(TcpStream::connect(address).expect("a connection"))
    }

    fn server(&self) -> TcpStream {
        bounded(self.origin.accept().expect("a connection of the proxy").0)
    }
}

fn bounded(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(LIMIT)).expect("a bound");
    stream.set_nodelay(true).expect("no delay");
    stream
}

/// A request and its response on connections that are kept.
fn exchange(request: &'static str, http: Value, log: &str) -> Operation {
    let served = Served::start(json!({"protocol": "http", "backend": "app", "http": http}), log);
    let response = format!("{RESPONSE}{}", "x".repeat(200));
    let (mut client, mut server, mut block) = (served.client(), None, vec![0; 64 * 1024]);
    Box::new(move |_| {
        client.write_all(request.as_bytes()).expect("a request is written");
        let server = server.get_or_insert_with(|| served.server());
        pass(server, &mut block, b"\r\n\r\n");
        server.write_all(response.as_bytes()).expect("a response is written");
        pass(&mut client, &mut block, b"xxxx");
    })
}

/// Bytes there and back on a connection that is kept.
fn kept() -> Operation {
    let served = Served::start(json!({"protocol": "tcp", "backend": "app"}), "off");
    let (mut client, mut server, mut block) = (served.client(), None, vec![0; 64 * 1024]);
    Box::new(move |_| {
        client.write_all(BLOCK).expect("a question is written");
        let server = server.get_or_insert_with(|| served.server());
        pass(server, &mut block, b"xxxx");
        server.write_all(BLOCK).expect("an answer is written");
        pass(&mut client, &mut block, b"xxxx");
    })
}

/// A connection of its own for a question and an answer.
fn connect() -> Operation {
    let served = Served::start(json!({"protocol": "tcp", "backend": "app"}), "off");
    let mut block = vec![0; 64 * 1024];
    Box::new(move |_| {
        // Every step waits for the one before it, so that none shares a turn of the worker in one run and not in another.
        let mut client = served.client();
        let mut server = served.server();
        client.write_all(BLOCK).expect("a question is written");
        pass(&mut server, &mut block, b"xxxx");
        server.write_all(BLOCK).expect("an answer is written");
        pass(&mut client, &mut block, b"xxxx");
        server.shutdown(Shutdown::Write).expect("an end is said");
        assert_eq!(client.read(&mut block).expect("an end"), 0);
        drop(client);
        assert_eq!(server.read(&mut block).expect("an end"), 0);
    })
}

/// Reads until what was read ends with `mark`.
fn pass(stream: &mut TcpStream, block: &mut [u8], mark: &[u8]) {
    let mut held = 0;
    while !block[..held].ends_with(mark) {
        let read = stream.read(&mut block[held..]).expect("bytes in time");
        assert!(read > 0, "the message goes on");
        held += read;
    }
}
