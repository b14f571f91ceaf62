//! A TLS ClientHello as a browser sends it, with any server name: 517 bytes, GREASE, two key shares, ALPN, padding.
//! It is only ever routed, never answered with TLS, so random and keys are fixed bytes: every run sends the same.

/// Browsers pad a hello to this many bytes on the wire (record header included) when it would be shorter.
const WIRE_LENGTH: usize = 517;
const GREASE: [u8; 2] = [0x5a, 0x5a];

/// Makes hellos; one with a name as long as the last one costs a copy of the name, not a new hello.
pub struct HelloMaker {
    hello: Vec<u8>,
    name_at: usize,
    name_length: usize,
}

impl HelloMaker {
    /// A maker whose first hello carries `name`.
    pub fn new(name: &str) -> Self {
        let (hello, name_at) = build(name.as_bytes());
        Self { hello, name_at, name_length: name.len() }
    }

    /// The whole record for `name`.
    pub fn for_name(&mut self, name: &str) -> &[u8] {
        if name.len() == self.name_length {
            self.hello[self.name_at..self.name_at + name.len()].copy_from_slice(name.as_bytes());
        } else {
            *self = Self::new(name);
        }
        &self.hello
    }
}

/// The record and the offset of the name in it.
fn build(name: &[u8]) -> (Vec<u8>, usize) {
    let mut body = vec![3, 3]; // legacy_version
    body.extend(fixed_bytes(32, 7)); // random
    body.push(32);
    body.extend(fixed_bytes(32, 11)); // legacy_session_id
    nest16(&mut body, |list| {
        list.extend(GREASE);
        for suite in CIPHER_SUITES {
            list.extend(suite.to_be_bytes());
        }
    });
    body.extend([1, 0]); // compression_methods: null
    // 4 bytes of handshake header and 5 of record header come before the body, 2 of length before the extensions.
    let block_at = 9 + body.len() + 2;
    let mut name_at = 0;
    nest16(&mut body, |list| {
        name_at = block_at + extensions(list, name);
        pad(list, WIRE_LENGTH.saturating_sub(block_at));
    });
    (wrap(&body), name_at)
}

/// Writes the extensions in a browser's order and gives the offset of the name among them.
fn extensions(list: &mut Vec<u8>, name: &[u8]) -> usize {
    extension(list, u16::from_be_bytes(GREASE), &[]);
    let mut server_name = Vec::new();
    nest16(&mut server_name, |names| {
        names.push(0); // host_name
        nest16(names, |host| host.extend(name));
    });
    extension(list, 0, &server_name);
    let name_at = list.len() - name.len();
    extension(list, 23, &[]); // extended_master_secret
    extension(list, 0xff01, &[0]); // renegotiation_info
    extension(list, 10, &[0, 8, GREASE[0], GREASE[1], 0, 0x1d, 0, 0x17, 0, 0x18]); // supported_groups
    extension(list, 11, &[1, 0]); // ec_point_formats
    extension(list, 35, &[]); // session_ticket
    extension(list, 16, b"\x00\x0c\x02h2\x08http/1.1"); // ALPN
    extension(list, 5, &[1, 0, 0, 0, 0]); // status_request
    extension(list, 13, &[0, 16, 4, 3, 8, 4, 4, 1, 5, 3, 8, 5, 5, 1, 8, 6, 6, 1]); // signature_algorithms
    extension(list, 18, &[]); // signed_certificate_timestamp
    extension(list, 51, &key_share());
    extension(list, 45, &[1, 1]); // psk_key_exchange_modes
    extension(list, 43, &[6, GREASE[0], GREASE[1], 3, 4, 3, 3]); // supported_versions
    extension(list, 27, &[2, 0, 2]); // compress_certificate
    extension(list, 0x1a1a, &[0]); // a second GREASE
    name_at
}

fn key_share() -> Vec<u8> {
    let mut shares = Vec::new();
    nest16(&mut shares, |list| {
        list.extend(GREASE);
        list.extend([0, 1, 0]);
        list.extend([0, 0x1d, 0, 32]); // X25519
        list.extend(fixed_bytes(32, 13));
    });
    shares
}

/// Adds the padding extension that makes the block `length` bytes long, if it is shorter.
fn pad(list: &mut Vec<u8>, length: usize) {
    let missing = length.saturating_sub(list.len());
    if missing >= 4 {
        extension(list, 21, &vec![0; missing - 4]);
    }
}

fn extension(list: &mut Vec<u8>, kind: u16, content: &[u8]) {
    list.extend(kind.to_be_bytes());
    nest16(list, |body| body.extend(content));
}

/// Writes what `fill` writes behind its own length in two bytes.
fn nest16(out: &mut Vec<u8>, fill: impl FnOnce(&mut Vec<u8>)) {
    let mut inner = Vec::new();
    fill(&mut inner);
    out.extend((inner.len() as u16).to_be_bytes());
    out.extend(inner);
}

/// Puts the handshake and record headers before `body`.
fn wrap(body: &[u8]) -> Vec<u8> {
    let mut record = vec![0x16, 3, 1];
    record.extend((body.len() as u16 + 4).to_be_bytes());
    record.extend([1, 0]); // client_hello; a body is always shorter than 64 KiB
    record.extend((body.len() as u16).to_be_bytes());
    record.extend(body);
    record
}

fn fixed_bytes(count: usize, seed: u8) -> impl Iterator<Item = u8> {
    (0..count).map(move |index| (index as u8).wrapping_mul(37).wrapping_add(seed))
}

const CIPHER_SUITES: [u16; 15] = [
    0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c, 0x009d,
    0x002f, 0x0035,
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads the name back the way any parser would: by walking the lengths.
    fn name_of(record: &[u8]) -> String {
        let u16_at = |at: usize| usize::from(u16::from_be_bytes([record[at], record[at + 1]]));
        assert_eq!(&record[..3], &[0x16, 3, 1]);
        assert_eq!(u16_at(3) + 5, record.len());
        assert_eq!(&record[5..7], &[1, 0]);
        assert_eq!(u16_at(7) + 9, record.len());
        let mut at = 9 + 2 + 32;
        at += 1 + usize::from(record[at]);
        at += 2 + u16_at(at);
        at += 1 + usize::from(record[at]);
        assert_eq!(at + 2 + u16_at(at), record.len());
        at += 2;
        let mut found = String::new();
        while at < record.len() {
            let (kind, length) = (u16_at(at), u16_at(at + 2));
            if kind == 0 {
                assert_eq!(u16_at(at + 4) + 2, length);
                found = String::from_utf8(record[at + 9..at + 4 + length].to_vec()).unwrap();
            }
            at += 4 + length;
        }
        assert_eq!(at, record.len());
        found
    }

    #[test]
    fn a_hello_is_as_long_as_a_browsers_and_carries_the_name() {
        let mut maker = HelloMaker::new("site-000001.bench.example");
        let record = maker.for_name("site-000001.bench.example");
        assert_eq!(record.len(), WIRE_LENGTH);
        assert_eq!(name_of(record), "site-000001.bench.example");
    }

    #[test]
    fn names_of_the_same_and_of_other_lengths_replace_the_last_one() {
        let mut maker = HelloMaker::new("one.example");
        let long = "x".repeat(250);
        for name in ["two.example", "a", "twenty.example.org", long.as_str(), "one.example"] {
            assert_eq!(name_of(maker.for_name(name)), name);
        }
    }

    #[test]
    fn a_patched_hello_equals_a_fresh_one() {
        let mut maker = HelloMaker::new("one.example");
        assert_eq!(maker.for_name("two.example"), HelloMaker::new("two.example").for_name("two.example"));
    }
}
