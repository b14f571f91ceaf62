//! Who is at the ends: origins that say who they are, and clients that take any certificate.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};

use super::common::Origin;

/// What an origin answers to this method.
pub(crate) fn origin_status(method: &str) -> u16 {
    // CONNECT is refused, so that there is no tunnel.
    if method == "CONNECT" { 499 } else { 299 }
}

/// Sends a request; the head of the response, or what went wrong.
pub(crate) fn exchange(stream: &mut (impl Read + Write), request: &[u8]) -> io::Result<String> {
    stream.write_all(request)?;
    stream.flush()?;
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    Ok(String::from_utf8(head).unwrap())
}

/// Something that answers every request by saying who it is, until nobody comes any more.
pub(crate) fn origin() -> SocketAddr {
    let origin = Origin::new();
    let address = origin.address();
    std::thread::spawn(move || {
        while let Ok((stream, _)) = origin.0.accept() {
            std::thread::spawn(move || serve(stream, address));
        }
    });
    address
}

fn serve(stream: TcpStream, address: SocketAddr) {
    let mut reader = BufReader::new(&stream);
    loop {
        let (mut method, mut body) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if !matches!(reader.read_line(&mut line), Ok(n) if n > 0) {
                return;
            }
            let line = line.trim_end();
            if method.is_empty() {
                method = line.split(' ').next().unwrap().to_owned();
            } else if let Some((_, length)) = line.to_ascii_lowercase().split_once("content-length: ") {
                body = length.parse().unwrap();
            } else if line.is_empty() {
                break;
            }
        }
        if io::copy(&mut reader.by_ref().take(body), &mut io::sink()).is_err() {
            return;
        }
        let status = origin_status(&method);
        let head = format!("HTTP/1.1 {status} Here\r\nX-Origin: {address}\r\nContent-Length: 0\r\n\r\n");
        if (&stream).write_all(head.as_bytes()).is_err() {
            return;
        }
    }
}

/// Takes any certificate: which one is presented is not asked here.
#[derive(Debug)]
pub(crate) struct Credulous;

impl ServerCertVerifier for Credulous {
    fn verify_server_cert(
        &self,
        _leaf: &CertificateDer<'_>,
        _rest: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _stapled: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _leaf: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _leaf: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256, SignatureScheme::RSA_PSS_SHA256]
    }
}
