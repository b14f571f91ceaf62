//! Builds hellos, right and wrong, and feeds them to the parser in every way bytes can arrive.

use headworks_core::wire::client_hello::{ClientHello, Defect, HelloParsed, ServerName, parse};

pub(crate) const SERVER_NAME: u16 = 0;
pub(crate) const ALPN: u16 = 16;
pub(crate) const SUPPORTED_VERSIONS: u16 = 43;
pub(crate) const ECH: u16 = 0xfe0d;

/// The fields of a hello before they are framed.
#[derive(Debug, Clone)]
pub(crate) struct Hello {
    pub(crate) version: u16,
    pub(crate) session: Vec<u8>,
    pub(crate) suites: Vec<u8>,
    pub(crate) compression: Vec<u8>,
    /// None: the hello ends after the compression methods.
    pub(crate) extensions: Option<Vec<(u16, Vec<u8>)>>,
}

impl Hello {
    pub(crate) fn new() -> Self {
        Self {
            version: 0x0303,
            session: vec![7; 32],
            suites: vec![0x13, 0x01, 0xc0, 0x2f],
            compression: vec![0],
            extensions: Some(Vec::new()),
        }
    }

    pub(crate) fn with(mut self, kind: u16, content: Vec<u8>) -> Self {
        self.extensions.get_or_insert_default().push((kind, content));
        self
    }

    pub(crate) fn named(host: &[u8]) -> Self {
        Self::new().with(SERVER_NAME, server_name(&[(0, host)]))
    }

    /// The usual: a name, ALPN, TLS 1.3, GREASE.
    pub(crate) fn usual() -> Self {
        Self::new()
            .with(0x1a1a, Vec::new())
            .with(SERVER_NAME, server_name(&[(0, b"www.example.com")]))
            .with(ALPN, alpn(&[b"h2", b"http/1.1"]))
            .with(SUPPORTED_VERSIONS, versions(&[0x2a2a, 0x0304, 0x0303]))
            .with(0x3a3a, vec![0])
    }

    pub(crate) fn body(&self) -> Vec<u8> {
        let mut body = self.version.to_be_bytes().to_vec();
        body.extend([0x5a; 32]);
        body.extend(vector8(&self.session));
        body.extend(vector16(&self.suites));
        body.extend(vector8(&self.compression));
        if let Some(extensions) = &self.extensions {
            let framed =
                |(kind, content): &(u16, Vec<u8>)| [kind.to_be_bytes().to_vec(), vector16(content)].concat();
            body.extend(vector16(&extensions.iter().flat_map(framed).collect::<Vec<_>>()));
        }
        body
    }

    /// With the handshake header.
    pub(crate) fn message(&self) -> Vec<u8> {
        message(1, &self.body())
    }

    /// In records of at most `size` bytes.
    pub(crate) fn records(&self, size: usize) -> Vec<u8> {
        self.message().chunks(size).flat_map(record).collect()
    }

    /// In as few records as can be.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.records(1 << 14)
    }
}

pub(crate) fn vector8(content: &[u8]) -> Vec<u8> {
    [&[u8::try_from(content.len()).unwrap()], content].concat()
}

pub(crate) fn vector16(content: &[u8]) -> Vec<u8> {
    [&u16::try_from(content.len()).unwrap().to_be_bytes(), content].concat()
}

pub(crate) fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut message = u32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
    message[0] = kind;
    message.extend(body);
    message
}

pub(crate) fn record(payload: &[u8]) -> Vec<u8> {
    [&[22, 3, 1], &vector16(payload)[..]].concat()
}

pub(crate) fn server_name(names: &[(u8, &[u8])]) -> Vec<u8> {
    let framed = |&(kind, name): &(u8, &[u8])| [vec![kind], vector16(name)].concat();
    vector16(&names.iter().flat_map(framed).collect::<Vec<_>>())
}

pub(crate) fn alpn(protocols: &[&[u8]]) -> Vec<u8> {
    vector16(&protocols.iter().flat_map(|protocol| vector8(protocol)).collect::<Vec<_>>())
}

pub(crate) fn versions(versions: &[u16]) -> Vec<u8> {
    vector8(&versions.iter().flat_map(|version| version.to_be_bytes()).collect::<Vec<_>>())
}

/// Bytes from a file of hexadecimal digits; lines that begin with `#` say where they come from.
pub(crate) fn from_hex(text: &str) -> Vec<u8> {
    let digits: String = text.lines().filter(|line| !line.starts_with('#')).collect();
    let pairs = digits.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

pub(crate) fn openssl() -> Vec<u8> {
    from_hex(include_str!("../data/client_hello_openssl.hex"))
}

pub(crate) fn chrome() -> Vec<u8> {
    from_hex(include_str!("../data/client_hello_chrome.hex"))
}

pub(crate) fn host(name: &str) -> ServerName {
    ServerName::Host(name.into())
}

#[track_caller]
pub(crate) fn complete(bytes: &[u8]) -> ClientHello {
    match parse(bytes) {
        HelloParsed::Complete(hello) => hello,
        other => panic!("{other:?}"),
    }
}

/// What bytes that arrive one by one become: the parser is asked only when `need` says so. Also how often it
/// was.
pub(crate) fn trickle(bytes: &[u8]) -> (HelloParsed, usize) {
    let mut need = 1;
    for asked in 1.. {
        match parse(&bytes[..need.min(bytes.len())]) {
            HelloParsed::Partial { need: more } if need <= bytes.len() && more <= bytes.len() => {
                assert!(more > need, "asks for {more} bytes when it has {need}");
                need = more;
            }
            last => return (last, asked),
        }
    }
    unreachable!()
}

/// Every prefix is Partial, never asks for more than the whole, and the whole is complete, whatever follows
/// it.
#[track_caller]
pub(crate) fn check_every_prefix(bytes: &[u8]) -> ClientHello {
    for held in 0..bytes.len() {
        match parse(&bytes[..held]) {
            HelloParsed::Partial { need } => {
                assert!(need > held && need <= bytes.len(), "{need} at {held} of {}", bytes.len());
            }
            other => panic!("{other:?} at {held} of {}", bytes.len()),
        }
    }
    let hello = complete(bytes);
    assert_eq!(trickle(bytes).0, HelloParsed::Complete(hello.clone()));
    assert_eq!(complete(&[bytes, b"\x17\x03\x03\0\x01early data"].concat()), hello);
    hello
}

/// Some prefix is found invalid, none before it complete, and it stays invalid for the same reason.
#[track_caller]
pub(crate) fn check_invalid(bytes: &[u8], defect: Defect) {
    assert_eq!(parse(bytes), HelloParsed::Invalid(defect));
    let mut found = false;
    for held in 0..=bytes.len() {
        match parse(&bytes[..held]) {
            HelloParsed::Partial { .. } => assert!(!found, "partial again at {held}"),
            HelloParsed::Invalid(other) => {
                assert_eq!(other, defect, "at {held}");
                found = true;
            }
            HelloParsed::Complete(_) => panic!("complete at {held}"),
        }
    }
}

pub(crate) fn defect(bytes: &[u8]) -> Option<Defect> {
    match parse(bytes) {
        HelloParsed::Invalid(defect) => Some(defect),
        _ => None,
    }
}
