//! A nameserver that does as it is told, lies included: over datagrams and connections on one port.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use crate::wire::{self, Answer};

/// A query that came.
pub(crate) struct Received {
    /// Its bytes.
    pub(crate) bytes: Vec<u8>,
    /// Its name, in lower case.
    pub(crate) name: String,
    /// Its type.
    pub(crate) kind: u16,
    /// Whether it came over a connection.
    pub(crate) connected: bool,
    /// How often this name and type were asked for before.
    pub(crate) before: usize,
}

impl Received {
    fn new(bytes: &[u8], connected: bool, names: &Mutex<Vec<(String, u16)>>) -> Self {
        let question = wire::question(bytes);
        let mut name = String::new();
        let mut at = 0;
        while question[at] != 0 {
            let end = at + 1 + usize::from(question[at]);
            name.push_str(&String::from_utf8_lossy(&question[at + 1..end]));
            name.push('.');
            at = end;
        }
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let kind = u16::from_be_bytes([question[at + 1], question[at + 2]]);
        let mut names = names.lock().unwrap();
        let before = names.iter().filter(|known| known.0 == name && known.1 == kind).count();
        // Long lists are for tests that do not ask who came before.
        if names.len() < 1_000 {
            names.push((name.clone(), kind));
        }
        Self { bytes: bytes.to_vec(), name, kind, connected, before }
    }

    /// Returns an honest answer: this address.
    pub(crate) fn address(&self, last: u8) -> Vec<u8> {
        self.answer(&wire::answer(&[wire::record(&self.name, wire::A, 60, &[192, 0, 2, last])]))
    }

    /// Returns an answer to this query.
    pub(crate) fn answer(&self, answer: &Answer) -> Vec<u8> {
        answer.to(&self.bytes)
    }

    /// Returns an answer that is a failure of the nameserver.
    pub(crate) fn code(&self, code: u16) -> Vec<u8> {
        self.answer(&Answer { bits: code, ..Answer::default() })
    }
}

/// The nameserver.
pub(crate) struct Nameserver {
    pub(crate) address: SocketAddr,
    /// Datagrams and connections that came.
    pub(crate) received: Arc<AtomicUsize>,
    ended: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Nameserver {
    /// Begins to answer each query with all the messages that `speak` returns for it.
    pub(crate) fn new(speak: impl Fn(&Received) -> Vec<Vec<u8>> + Send + Sync + 'static) -> Self {
        let (udp, tcp) = bind();
        let address = udp.local_addr().unwrap();
        let (received, ended) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let names = Arc::new(Mutex::new(Vec::new()));
        let speak = Arc::new(speak);
        let threads = vec![
            std::thread::spawn({
                let (received, ended) = (Arc::clone(&received), Arc::clone(&ended));
                let (names, speak) = (Arc::clone(&names), Arc::clone(&speak));
                move || {
                    let mut buffer = [0; 2_048];
                    while let Ok((length, client)) = udp.recv_from(&mut buffer) {
                        if ended.load(Ordering::SeqCst) {
                            return;
                        }
                        received.fetch_add(1, Ordering::SeqCst);
                        for message in speak(&Received::new(&buffer[..length], false, &names)) {
                            let _ = udp.send_to(&message, client);
                        }
                    }
                }
            }),
            std::thread::spawn({
                let (received, ended) = (Arc::clone(&received), Arc::clone(&ended));
                move || {
                    while let Ok((stream, _)) = tcp.accept() {
                        if ended.load(Ordering::SeqCst) {
                            return;
                        }
                        received.fetch_add(1, Ordering::SeqCst);
                        let _ = converse(stream, &*speak, &names);
                    }
                }
            }),
        ];
        Self { address, received, ended, threads }
    }

    /// Returns how many queries came.
    pub(crate) fn received(&self) -> usize {
        self.received.load(Ordering::SeqCst)
    }
}

impl Drop for Nameserver {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.send_to(&[0], self.address).unwrap();
        let _ = TcpStream::connect(self.address);
        for thread in self.threads.drain(..) {
            let outcome = thread.join();
            assert!(outcome.is_ok() || std::thread::panicking(), "the nameserver has panicked");
        }
    }
}

/// Binds a port for datagrams and connections.
pub(crate) fn bind() -> (UdpSocket, TcpListener) {
    loop {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()) {
            return (udp, tcp);
        }
    }
}

fn converse(
    mut stream: TcpStream,
    speak: &dyn Fn(&Received) -> Vec<Vec<u8>>,
    names: &Mutex<Vec<(String, u16)>>,
) -> std::io::Result<()> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut bytes = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut bytes)?;
    for message in speak(&Received::new(&bytes, true, names)) {
        let framed = [&(message.len() as u16).to_be_bytes()[..], &message].concat();
        // In small pieces, as far as the kernel leaves them so.
        stream.set_nodelay(true)?;
        for piece in framed.chunks(1_000) {
            stream.write_all(piece)?;
        }
    }
    Ok(())
}
