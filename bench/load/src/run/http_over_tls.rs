//! Tests of `http.rs` and `http_idle.rs` against TLS servers: those that do what every lane must, and those that do not,
//! which must show as errors.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{Ticketer, default_provider, kx_group};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::server::{NoServerSessionStorage, ProducesTickets};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::request::{Asking, HOST};
use super::{Order, Sources, Tally, http};
use crate::args::Args;
use crate::conversation::Reply;
use crate::wire::{self, Pattern};

/// A certificate and the file that clients know it by.
struct Certified {
    key: CertifiedKey<rcgen::KeyPair>,
    file: PathBuf,
}

impl Certified {
    fn new(test: &str) -> Self {
        let key = generate_simple_self_signed([HOST.to_owned()]).unwrap();
        let file = std::env::temp_dir().join(format!("load-{}-{test}.pem", std::process::id()));
        std::fs::write(&file, key.cert.pem()).unwrap();
        Self { key, file }
    }

    /// A server as every lane must be: TLS 1.3, tickets, HTTP/1.1 by ALPN.
    fn server(&self) -> ServerConfig {
        self.server_with(default_provider())
    }

    fn server_with(&self, provider: CryptoProvider) -> ServerConfig {
        let key = PrivatePkcs8KeyDer::from(self.key.signing_key.serialize_der());
        let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![self.key.cert.der().clone()], key.into())
            .unwrap();
        config.ticketer = Ticketer::new().unwrap();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config
    }

    fn run_against(&self, server: ServerConfig, options: &str) -> Tally {
        let line = format!(
            "--target {} --tls {} --seconds 0.1 --connections 4 {options}",
            serve(server),
            self.file.display()
        );
        let mut args = Args::parse(line.split_whitespace().map(str::to_owned)).unwrap();
        let mut order = Order::take(&mut args).unwrap();
        order.take_http(&mut args).unwrap();
        let asking = Asking::take(&mut args).unwrap();
        let sources = Sources::take(&mut args).unwrap();
        let mut tally = Tally::new(&order);
        http::run(&order, asking, sources, &mut tally).unwrap();
        tally
    }
}

impl Drop for Certified {
    fn drop(&mut self) {
        _ = std::fs::remove_file(&self.file);
    }
}

/// Serves until the tests end, a thread for each connection.
fn serve(config: ServerConfig) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let config = Arc::new(config);
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let config = Arc::clone(&config);
            std::thread::spawn(move || answer_all(config, client));
        }
    });
    address
}

/// Answers requests until one asks for the end. What goes wrong is for the client to count.
fn answer_all(config: Arc<ServerConfig>, client: TcpStream) {
    let mut stream = StreamOwned::new(ServerConnection::new(config).unwrap(), client);
    let (mut request, mut scratch) = (Vec::new(), [0; 4096]);
    while let Ok(got @ 1..) = stream.read(&mut scratch) {
        request.extend_from_slice(&scratch[..got]);
        if !request.ends_with(b"\r\n\r\n") {
            continue;
        }
        let body = body_for(&request);
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        if stream.write_all(&[head.as_bytes(), &body].concat()).is_err() {
            return;
        }
        if request.windows(17).any(|piece| piece == b"Connection: close") {
            stream.conn.send_close_notify();
            _ = stream.flush();
            return;
        }
        request.clear();
    }
}

fn body_for(request: &[u8]) -> Vec<u8> {
    let path = request.split(|byte| *byte == b' ').nth(1).unwrap();
    let Reply::Bytes(length) = Reply::for_path(path) else { return wire::answer().to_vec() };
    let pattern = Pattern::new();
    let mut body = Vec::new();
    while (body.len() as u64) < length {
        body.extend_from_slice(pattern.at(body.len() as u64, length - body.len() as u64));
    }
    body
}

/// The only kind of error there was.
fn only_error(tally: &Tally) -> &str {
    assert_eq!(tally.errors.len(), 1, "{:?}", tally.errors);
    tally.errors.keys().next().unwrap()
}

#[test]
fn kept_connections_shake_hands_before_the_window() {
    let certified = Certified::new("kept");
    for options in ["", "--request browser"] {
        let tally = certified.run_against(certified.server(), options);
        assert!(tally.errors.is_empty(), "{:?}", tally.errors);
        assert!(tally.operations > 4);
        assert_eq!((tally.connects, tally.handshakes), (4, (0, 0)));
    }
}

#[test]
fn fresh_connections_have_a_full_handshake_each() {
    let certified = Certified::new("fresh");
    for options in ["--fresh 1", "--fresh 1 --late 1"] {
        let tally = certified.run_against(certified.server(), options);
        assert!(tally.errors.is_empty(), "{:?}", tally.errors);
        assert!(tally.operations_all >= 4);
        assert_eq!((tally.connects, tally.handshakes), (tally.operations_all, (tally.operations_all, 0)));
    }
}

#[test]
fn resumed_connections_resume_all_of_them() {
    let certified = Certified::new("resumed");
    let tally = certified.run_against(certified.server(), "--fresh 1 --resumed 1");
    assert!(tally.errors.is_empty(), "{:?}", tally.errors);
    assert!(tally.operations_all >= 4);
    assert_eq!(tally.handshakes, (0, tally.operations_all));
    assert_eq!(tally.connects, 4 + tally.operations_all, "one for each ticket at the start");
}

#[test]
fn a_number_of_requests_is_done_and_every_byte_of_a_long_answer_checked() {
    let certified = Certified::new("long");
    let tally = certified.run_against(certified.server(), "--path /bytes/3000000 --requests 6 --patience 60");
    assert!(tally.errors.is_empty(), "{:?}", tally.errors);
    assert_eq!((tally.operations_all, tally.bytes, tally.connects), (6, 18_000_000, 4));
}

#[test]
fn a_server_that_gives_no_tickets_cannot_be_resumed() {
    let certified = Certified::new("no-tickets");
    let mut server = certified.server();
    server.send_tls13_tickets = 0;
    server.session_storage = Arc::new(NoServerSessionStorage {});
    let tally = certified.run_against(server, "--fresh 1 --resumed 1");
    assert_eq!(only_error(&tally), "receive: handshake: Some(Full) instead of Resumed");
    assert_eq!(tally.operations_all, 0);
}

#[test]
fn a_server_that_forgets_its_tickets_is_refused() {
    let certified = Certified::new("forgets");
    let mut server = certified.server();
    server.ticketer = Arc::new(Forgetful);
    let tally = certified.run_against(server, "--fresh 1 --resumed 1");
    assert_eq!(only_error(&tally), "receive: handshake: Some(Full) instead of Resumed");
}

/// Gives tickets and knows none.
#[derive(Debug)]
struct Forgetful;

impl ProducesTickets for Forgetful {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        3600
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        Some(plain.to_vec())
    }

    fn decrypt(&self, _cipher: &[u8]) -> Option<Vec<u8>> {
        None
    }
}

#[test]
fn a_server_of_another_group_protocol_or_certificate_is_refused() {
    let certified = Certified::new("other");
    let mut server = certified.server();
    server.alpn_protocols = Vec::new();
    let tally = certified.run_against(server, "");
    assert_eq!(only_error(&tally), "receive: handshake: another protocol by ALPN");

    let other_group = CryptoProvider { kx_groups: vec![kx_group::SECP256R1], ..default_provider() };
    let tally = certified.run_against(certified.server_with(other_group), "");
    assert!(only_error(&tally).contains("HandshakeFailure"), "{:?}", tally.errors);

    let another = Certified::new("another");
    let tally = certified.run_against(another.server(), "");
    assert!(only_error(&tally).contains("certificate"), "{:?}", tally.errors);
}
