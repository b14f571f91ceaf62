//! The generator's end of TLS: one version, one cipher suite and one group for every proxy, and the one certificate that all
//! of them must present. A handshake that came out otherwise, or was of another kind than ordered, is an error of the run,
//! so that no lane is compared with easier work. `Link` is the stream of a client, plain or encrypted; it decides nothing
//! about when to read or write.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{
    ClientConfig, ClientConnection, ClientSessionStore, Resumption, Tls12ClientSessionValue,
    Tls13ClientSessionValue,
};
use rustls::crypto::aws_lc_rs::{self, cipher_suite::TLS13_AES_128_GCM_SHA256, kx_group::X25519};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::TLS13;
use rustls::{
    CertificateError, CipherSuite, DigitallySignedStruct, HandshakeKind, NamedGroup, ProtocolVersion,
    SignatureScheme,
};

use crate::wire::CHUNK;

/// What every client offers as its protocol and wants to be chosen.
const ALPN: &[u8] = b"http/1.1";
/// Tickets that are kept at most. Each serves one connection, the newest first, as with browsers.
const TICKETS: usize = 1024;

/// How a handshake is done.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    /// Keys are agreed on and the server signs.
    Full,
    /// By a ticket of an earlier connection; keys are agreed on anew, nothing is signed.
    Resumed,
}

/// What all clients of a run share. Handshakes are full ones until [`Tls::resume_from_now`].
pub struct Tls {
    config: Arc<ClientConfig>,
    tickets: Arc<Tickets>,
    name: ServerName<'static>,
    done: Rc<Done>,
}

/// Handshakes that were completed as ordered.
#[derive(Default)]
struct Done {
    full: Cell<u64>,
    resumed: Cell<u64>,
}

impl Tls {
    /// For servers that present the certificate in this PEM file as `name`'s.
    pub fn new(file: &Path, name: &str) -> Result<Self, String> {
        let said = |error: &dyn fmt::Display| format!("--tls: {}: {error}", file.display());
        let certificate = CertificateDer::from_pem_file(file).map_err(|error| said(&error))?;
        let name = ServerName::try_from(name.to_owned()).map_err(|error| said(&error))?;
        let tickets = Arc::<Tickets>::default();
        let config = configuration(certificate, Arc::clone(&tickets)).map_err(|error| said(&error))?;
        Ok(Self { config: Arc::new(config), tickets, name, done: Rc::default() })
    }

    /// From now on every handshake uses a ticket of an earlier connection. Before, tickets are taken, so that servers have
    /// the work of making them, and none is used.
    pub fn resume_from_now(&self) {
        self.tickets.offered.store(true, Ordering::Relaxed);
    }

    /// Full and resumed handshakes so far.
    pub fn done(&self) -> (u64, u64) {
        (self.done.full.get(), self.done.resumed.get())
    }

    fn session(&self) -> io::Result<Session> {
        let wanted = if self.tickets.offered.load(Ordering::Relaxed) { Kind::Resumed } else { Kind::Full };
        let tls = ClientConnection::new(Arc::clone(&self.config), self.name.clone()).map_err(broken)?;
        Ok(Session { tls, wanted, done: Rc::clone(&self.done), checked: false })
    }
}

fn configuration(
    certificate: CertificateDer<'static>,
    tickets: Arc<Tickets>,
) -> Result<ClientConfig, rustls::Error> {
    let provider = CryptoProvider {
        cipher_suites: vec![TLS13_AES_128_GCM_SHA256],
        kx_groups: vec![X25519],
        ..aws_lc_rs::default_provider()
    };
    let algorithms = provider.signature_verification_algorithms;
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Pinned { certificate, algorithms }))
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = Resumption::store(tickets);
    Ok(config)
}

/// One client's stream.
pub struct Link {
    socket: TcpStream,
    session: Option<Box<Session>>,
}

impl Link {
    /// Over a socket that need not be connected yet.
    pub fn new(socket: TcpStream, tls: Option<&Tls>) -> io::Result<Self> {
        let session = tls.map(|tls| tls.session().map(Box::new)).transpose()?;
        Ok(Self { socket, session })
    }

    /// What it goes over.
    pub fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// Whether a read that leaves room in its buffer shows that the socket is empty.
    pub fn short_read_empties(&self) -> bool {
        self.session.is_none()
    }
}

impl Read for Link {
    /// Over TLS: all the plaintext of one read of the socket, or of as many as it takes to have some.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.session {
            Some(session) => session.read(&mut self.socket, buffer),
            None => self.socket.read(buffer),
        }
    }
}

impl Write for Link {
    /// Over TLS: takes all or nothing. Before the handshake is done it is what follows it; `WouldBlock` means that the
    /// socket is not connected yet.
    fn write(&mut self, message: &[u8]) -> io::Result<usize> {
        match &mut self.session {
            Some(session) => session.write(&mut self.socket, message),
            None => self.socket.write(message),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The state of one encrypted connection.
struct Session {
    tls: ClientConnection,
    wanted: Kind,
    done: Rc<Done>,
    checked: bool,
}

thread_local! {
    /// Ciphertext between the socket and rustls. Nothing is left in it between two reads, so all clients share it.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; CHUNK]);
}

impl Session {
    fn write(&mut self, socket: &mut TcpStream, message: &[u8]) -> io::Result<usize> {
        self.send(socket)?;
        let taken = self.tls.writer().write(message)?;
        match self.send(socket) {
            // The next read sends the rest; requests are far smaller than what a socket takes.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(taken),
            sent => sent.map(|()| taken),
        }
    }

    fn send(&mut self, socket: &mut TcpStream) -> io::Result<()> {
        while self.tls.wants_write() {
            self.tls.write_tls(socket)?;
        }
        Ok(())
    }

    fn read(&mut self, socket: &mut TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = self.take(buffer)?;
        while filled == 0 {
            // One record may already be held in part, so half of the buffer leaves room for all that comes out.
            let most = buffer.len() / 2;
            let got = SCRATCH.with_borrow_mut(|scratch| {
                let most = most.clamp(1, scratch.len());
                let got = socket.read(&mut scratch[..most])?;
                self.decrypt(&scratch[..got], buffer, &mut filled)?;
                Ok::<_, io::Error>(got)
            })?;
            if got == 0 {
                // Answers have a length: whoever reads them sees what is missing, with a close_notify or without.
                return if self.checked { Ok(0) } else { Err(failed("ended in the handshake".to_owned())) };
            }
            self.send(socket)?;
        }
        Ok(filled)
    }

    fn decrypt(&mut self, mut bytes: &[u8], buffer: &mut [u8], filled: &mut usize) -> io::Result<()> {
        while !bytes.is_empty() {
            if self.tls.read_tls(&mut bytes)? == 0 {
                break; // what follows a close_notify is nothing
            }
            self.tls.process_new_packets().map_err(broken)?;
            if !self.checked && !self.tls.is_handshaking() {
                self.checked = true;
                self.check()?;
            }
            *filled += self.take(&mut buffer[*filled..])?;
        }
        Ok(())
    }

    /// Plaintext that is there, as much as the buffer takes.
    fn take(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        match self.tls.reader().read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            taken => taken,
        }
    }

    /// Whether the handshake came out as ordered.
    fn check(&self) -> io::Result<()> {
        let version = self.tls.protocol_version();
        let suite = self.tls.negotiated_cipher_suite().map(|suite| suite.suite());
        let group = self.tls.negotiated_key_exchange_group().map(|group| group.name());
        let fixed = (
            Some(ProtocolVersion::TLSv1_3),
            Some(CipherSuite::TLS13_AES_128_GCM_SHA256),
            Some(NamedGroup::X25519),
        );
        if (version, suite, group) != fixed {
            return Err(failed(format!("{version:?} {suite:?} {group:?}")));
        }
        if self.tls.alpn_protocol() != Some(ALPN) {
            return Err(failed("another protocol by ALPN".to_owned()));
        }
        let count = match (self.tls.handshake_kind(), self.wanted) {
            (Some(HandshakeKind::Full), Kind::Full) => &self.done.full,
            (Some(HandshakeKind::Resumed), Kind::Resumed) => &self.done.resumed,
            (kind, wanted) => return Err(failed(format!("{kind:?} instead of {wanted:?}"))),
        };
        count.set(count.get() + 1);
        Ok(())
    }
}

fn failed(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("handshake: {why}"))
}

fn broken(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("tls: {error}"))
}

/// Takes one certificate and no other, and verifies the signature made with its key, as every client does.
#[derive(Debug)]
struct Pinned {
    certificate: CertificateDer<'static>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match *end_entity == self.certificate {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(CertificateError::ApplicationVerificationFailure.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.2 is not offered".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}

/// All tickets of a run, whoever they came to.
#[derive(Default)]
struct Tickets {
    offered: AtomicBool,
    held: Mutex<Vec<Tls13ClientSessionValue>>,
}

impl fmt::Debug for Tickets {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Tickets").field("offered", &self.offered).finish_non_exhaustive()
    }
}

impl ClientSessionStore for Tickets {
    fn set_kx_hint(&self, _name: ServerName<'static>, _group: NamedGroup) {}

    fn kx_hint(&self, _name: &ServerName<'_>) -> Option<NamedGroup> {
        None
    }

    fn set_tls12_session(&self, _name: ServerName<'static>, _value: Tls12ClientSessionValue) {}

    fn tls12_session(&self, _name: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        None
    }

    fn remove_tls12_session(&self, _name: &ServerName<'static>) {}

    fn insert_tls13_ticket(&self, _name: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        if let Ok(mut held) = self.held.lock()
            && held.len() < TICKETS
        {
            held.push(ticket);
        }
    }

    fn take_tls13_ticket(&self, _name: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.offered.load(Ordering::Relaxed).then(|| self.held.lock().ok()?.pop())?
    }
}
