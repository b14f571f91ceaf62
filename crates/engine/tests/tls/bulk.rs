//! Much at once: both ways, slow readers, many connections, all kinds of messages of HTTP; nothing is lost or
//! grows.

use super::*;

/// Sends noise in writes of many sizes; its hash.
fn send_unevenly(stream: &mut impl std::io::Write, seed: u64, length: usize) -> u64 {
    let (mut noise, mut size) = (Noise::new(seed), seed);
    let mut block = vec![0; length.next_multiple_of(8)];
    noise.fill(&mut block);
    let mut rest = &block[..length];
    while !rest.is_empty() {
        size = size.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let n = (1 + (size >> 33) as usize % (100 << ((size >> 20) % 12))).min(rest.len());
        stream.write_all(&rest[..n]).unwrap();
        rest = &rest[n..];
    }
    hash(&block[..length])
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hash = std::hash::DefaultHasher::new();
    bytes.iter().for_each(|byte| std::hash::Hasher::write_u8(&mut hash, *byte));
    std::hash::Hasher::finish(&hash)
}

#[test]
fn both_ways_at_once_on_many_connections() {
    const LENGTH: usize = 700_001;
    let (authority, origin) = (Authority::new(), Origin::new());
    let mut written = servers::behind_tls(&authority, &[origin.address()], "tcp");
    written["listeners"]["front"] = raw(&authority, &[])["listeners"]["raw"].clone();
    let proxy = Proxy::start(written);
    std::thread::scope(|scope| {
        for n in 0..8 {
            let (authority, proxy) = (&authority, &proxy);
            scope.spawn(move || {
                let mut client = authority.client(proxy.client("front"), "a.example");
                let sent = send_unevenly(&mut client, 2 * n + 1, LENGTH);
                client.conn.send_close_notify();
                client.flush().unwrap();
                assert_eq!(read_noise(&mut client), (LENGTH, sent));
            });
        }
        let config = authority.server_config(&["app.internal"]);
        for _ in 0..8 {
            let (config, stream) = (config.clone(), origin.accept());
            scope.spawn(move || {
                let mut server = server(config, stream);
                let mut all = Vec::new();
                server.read_to_end(&mut all).unwrap();
                server.write_all(&all).unwrap();
                server.conn.send_close_notify();
                server.flush().unwrap();
            });
        }
    });
    all_is_well(&proxy);
}

#[test]
fn a_client_that_stops_reading_stops_the_server() {
    const LENGTH: usize = 64 << 20;
    let (authority, origin) = (Authority::new(), Origin::new());
    let proxy = Proxy::start(raw(&authority, &[origin.address()]));
    let mut client = authority.client(proxy.client("raw"), "a.example");
    client.write_all(b"go").unwrap();
    let mut server = origin.accept();
    expect(&mut server, b"go");
    server.set_nonblocking(true).unwrap();
    let block = vec![7; 256 * 1024];
    let (mut sent, mut quiet) = (0, 0);
    while quiet < 20 {
        match server.write(&block[..block.len().min(LENGTH - sent)]) {
            Ok(0) => panic!("all of it was taken"),
            Ok(n) => (sent, quiet) = (sent + n, 0),
            Err(_) => {
                // Whoever waits for nothing to happen can only look again.
                quiet += 1;
                std::thread::park_timeout(Duration::from_millis(5));
            }
        }
        assert!(sent < LENGTH, "nothing held the server back");
    }
    server.set_nonblocking(false).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut left = LENGTH - sent;
            while left > 0 {
                left -= server.write(&block[..block.len().min(left)]).unwrap();
            }
            finish(&server);
        });
        let (mut got, mut block) = (0, vec![0; 64 * 1024]);
        loop {
            match client.read(&mut block).unwrap() {
                0 => break,
                n => got += n,
            }
            assert!(block[0] == 7);
        }
        assert_eq!(got, LENGTH);
    });
    drop((client, server));
    all_is_well(&proxy);
}

#[test]
fn large_messages_of_http() {
    let (authority, origin) = (Authority::new(), Origin::new());
    let mut written = servers::behind_tls(&authority, &[origin.address()], "https");
    written["listeners"]["front"] = web(&authority, &[])["listeners"]["web"].clone();
    let proxy = Proxy::start(written);
    let length = 3_000_003;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut server = server(authority.server_config(&["app.internal"]), origin.accept());
            for n in 0..4 {
                let head = answer(&mut server, 0);
                let mut body = vec![0; if n == 3 { 0 } else { length }];
                server.read_exact(&mut body).unwrap();
                server.write_all(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n").unwrap();
                match n {
                    0 => {
                        write!(server, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").unwrap();
                        server.write_all(&body).unwrap();
                    }
                    1 => {
                        server.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
                        for chunk in body.chunks(50_001) {
                            write!(server, "{:x}\r\n", chunk.len()).unwrap();
                            server.write_all(chunk).unwrap();
                            server.write_all(b"\r\n").unwrap();
                        }
                        server.write_all(b"0\r\n\r\n").unwrap();
                    }
                    2 => {
                        write!(server, "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n").unwrap();
                        server.write_all(&hash(&body).to_be_bytes()).unwrap();
                    }
                    _ => {
                        assert!(head.starts_with("HEAD"), "{head}");
                        write!(server, "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n").unwrap();
                    }
                }
                server.flush().unwrap();
            }
        });
        let mut client = authority.client(proxy.client("front"), "a.example");
        let mut body = vec![0; length];
        Noise::new(9).fill(&mut body);
        for n in 0..3 {
            write!(client, "POST /{n} HTTP/1.1\r\nHost: a.example\r\nContent-Length: {length}\r\n\r\n")
                .unwrap();
            client.write_all(&body).unwrap();
            assert!(answer(&mut client, 0).starts_with("HTTP/1.1 103"));
            assert!(answer(&mut client, 0).starts_with("HTTP/1.1 200"));
            match n {
                0 => expect(&mut client, &body),
                1 => assert_eq!(hash(&dechunked(&mut client)), hash(&body)),
                _ => expect(&mut client, &hash(&body).to_be_bytes()),
            }
        }
        write!(client, "HEAD / HTTP/1.1\r\nHost: a.example\r\n\r\n").unwrap();
        assert!(answer(&mut client, 0).starts_with("HTTP/1.1 103"));
        assert!(answer(&mut client, 0).contains("ontent-Length: 99"));
    });
    all_is_well(&proxy);
}

fn dechunked(stream: &mut impl std::io::Read) -> Vec<u8> {
    let mut whole = Vec::new();
    loop {
        let (mut line, mut byte) = (Vec::new(), [0]);
        while !line.ends_with(b"\r\n") {
            stream.read_exact(&mut byte).unwrap();
            line.push(byte[0]);
        }
        let text = std::str::from_utf8(&line).unwrap();
        let length = usize::from_str_radix(text.trim_end(), 16).unwrap();
        let mut chunk = vec![0; length + 2];
        stream.read_exact(&mut chunk).unwrap();
        if length == 0 {
            return whole;
        }
        whole.extend_from_slice(&chunk[..length]);
    }
}

#[test]
fn requests_that_follow_closely() {
    const REQUESTS: usize = 2_000;
    let authority = Authority::new();
    let proxy = Proxy::start(web(&authority, &[greeter()]));
    let mut client = authority.client(proxy.client("web"), "a.example");
    let request = "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";
    client.conn.set_buffer_limit(None);
    client.conn.writer().write_all(request.repeat(REQUESTS).as_bytes()).unwrap();
    for _ in 0..REQUESTS {
        assert!(answer(&mut client, 2).ends_with("\r\n\r\nhi"));
    }
    drop(client);
    all_is_well(&proxy);
}

#[test]
fn a_compressed_response() {
    let (authority, origin) = (Authority::new(), Origin::new());
    let mut written = web(&authority, &[origin.address()]);
    written["listeners"]["web"]["http"] = json!({"compression": {
        "algorithms": ["gzip"], "types": ["text/*"], "min_size": 100,
    }});
    let proxy = Proxy::start(written);
    let body = "the same again and again, ".repeat(20_000);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut server = origin.accept();
            answer(&mut server, 0);
            write!(
                server,
                "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
            .unwrap();
        });
        let mut client = authority.client(proxy.client("web"), "a.example");
        write!(client, "GET / HTTP/1.1\r\nHost: a.example\r\nAccept-Encoding: gzip\r\n\r\n").unwrap();
        let head = answer(&mut client, 0);
        assert!(head.to_lowercase().contains("content-encoding: gzip"), "{head}");
        let coded = dechunked(&mut client);
        let mut text = String::new();
        flate2::read::GzDecoder::new(&coded[..]).read_to_string(&mut text).unwrap();
        assert_eq!(text, body);
    });
    all_is_well(&proxy);
}
