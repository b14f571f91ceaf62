//! All at once: clients of two workers ask for bodies of any size and framing, from servers that answer in
//! any framing and close when they please. Everybody gets exactly the answer to what it asked.

use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;

use headworks_engine::{Notice, Options};
use serde_json::json;

use super::*;

const CLIENTS: u64 = 12;
const REQUESTS: u64 = 60;

/// Numbers that look random, the same for the same seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }

    /// Mostly small, at times worth a pipe.
    fn size(&mut self) -> usize {
        let most = [1, 100, 5_000, 70_000, 400_000][self.below(5) as usize];
        self.below(most) as usize
    }
}

/// A body that nobody else asks for.
fn body(seed: u64, size: usize) -> Vec<u8> {
    let mut body = vec![0; size];
    Noise::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)).fill(&mut body);
    body
}

/// The body in so many bytes a chunk.
fn chunked(body: &[u8], size: usize) -> Vec<u8> {
    let chunks = body.chunks(size).flat_map(|chunk| {
        [format!("{:x}\r\n", chunk.len()).into_bytes(), chunk.to_vec(), b"\r\n".to_vec()].concat()
    });
    chunks.chain(*b"0\r\n\r\n").collect()
}

#[test]
fn everybody_gets_the_answer_to_what_it_asked() {
    let origins = [Origin::new(), Origin::new()];
    let addresses = origins.each_ref().map(Origin::address);
    let mut written = web(&addresses);
    written["backends"]["app"]["ejection"] = json!({"failures": 0});
    written["backends"]["app"]["http"] = json!({"pool_size": 3});
    let proxy = Proxy::start_with(written, Options { workers: 2, ..options() });
    let over = AtomicBool::new(false);
    let (silent, failed) = (AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        for (number, origin) in origins.iter().enumerate() {
            let (over, silent) = (&over, &silent);
            scope.spawn(move || {
                for seed in 1.. {
                    let stream = origin.accept();
                    if over.load(Relaxed) {
                        return;
                    }
                    scope
                        .spawn(move || serve(End::new(stream), Chance(seed * 2 + number as u64 + 1), silent));
                }
            });
        }
        let asking: Vec<_> = (1..=CLIENTS)
            .map(|seed| {
                scope.spawn({
                    let (proxy, failed) = (&proxy, &failed);
                    move || _ = failed.fetch_add(ask(proxy, seed), Relaxed)
                })
            })
            .collect();
        let outcome: Vec<_> = asking.into_iter().map(|thread| thread.join()).collect();
        over.store(true, Relaxed);
        let _ = addresses.map(connect);
        proxy.0.stop();
        outcome.into_iter().for_each(|outcome| outcome.unwrap());
    });
    let panicked = std::iter::from_fn(|| proxy.0.next_notice(std::time::Duration::ZERO))
        .any(|notice| matches!(notice, Notice::WorkerPanicked { .. }));
    assert!(!panicked);
    // A body of which a part has gone is not sent again when a kept connection ends without a word.
    let (silent, failed) = (silent.into_inner(), failed.into_inner());
    assert!(failed <= silent, "{failed} requests failed and {silent} connections ended without a word");
}

/// Asks and compares, on connections that serve for some requests each; how many requests failed.
fn ask(proxy: &Proxy, seed: u64) -> u64 {
    let mut failed = 0;
    let mut chance = Chance(seed * 7919);
    let mut asks = client(proxy);
    for round in 0..REQUESTS {
        let id = seed * 1_000_000 + round;
        let up = body(id, chance.size());
        // PUT, because a server may close a kept connection at any moment.
        let mut request = format!("PUT /{id} HTTP/1.1\r\nHost: a.example\r\n").into_bytes();
        match chance.below(3) {
            0 => {
                request.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
                request.extend(chunked(&up, 10 + chance.size()));
            }
            _ => {
                request.extend_from_slice(format!("Content-Length: {}\r\n\r\n", up.len()).as_bytes());
                request.extend_from_slice(&up);
            }
        }
        let answer = thread::scope(|scope| {
            let mut sends = asks.stream.try_clone().unwrap();
            scope.spawn(move || std::io::Write::write_all(&mut sends, &request).unwrap());
            asks.answer()
        });
        if answer.status() == 502 {
            failed += 1;
        } else {
            assert_eq!(answer.status(), 200, "{}", answer.head);
            let (size, hash) = answer.field("x-got").unwrap().split_once(' ').unwrap();
            assert_eq!(
                (size.parse::<usize>().unwrap(), hash),
                (up.len(), checksum(&up).as_str()),
                "request {id}"
            );
            assert_eq!(answer.field("x-id"), Some(id.to_string().as_str()));
            assert!(answer.body == body(id + 1, answer.body.len()), "response {id}");
            let said = answer.field("x-size").unwrap().parse::<usize>().unwrap();
            assert_eq!(answer.body.len(), said, "response {id}");
        }
        if answer.closes() || chance.below(10) == 0 {
            asks = client(proxy);
        }
    }
    failed
}

fn checksum(bytes: &[u8]) -> String {
    use std::hash::Hasher;
    let mut hasher = std::hash::DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish().to_string()
}

/// Answers in any framing; ends the connection in any of the ways that are allowed.
fn serve(mut answers: End, mut chance: Chance, silent: &AtomicU64) {
    while answers.has_more() {
        let request = answers.request();
        let id = request.line.split(['/', ' ']).nth(2).unwrap().to_owned();
        let down = body(id.parse::<u64>().unwrap() + 1, chance.size());
        let mut head = format!(
            "HTTP/1.1 200 OK\r\nX-Id: {id}\r\nX-Size: {}\r\nX-Got: {} {}\r\n",
            down.len(),
            request.body.len(),
            checksum(&request.body)
        );
        let closes = chance.below(8) == 0;
        if closes {
            head += "Connection: close\r\n";
        }
        let framing = chance.below(if closes { 3 } else { 2 });
        let (head, body) = match framing {
            0 => (head + &format!("Content-Length: {}\r\n\r\n", down.len()), down),
            1 => (head + "Transfer-Encoding: chunked\r\n\r\n", chunked(&down, 10 + chance.size())),
            _ => (head + "\r\n", down),
        };
        let sent = answers.try_say(head).and_then(|()| answers.try_say(body));
        let silently = !closes && chance.below(20) == 0;
        if silently {
            silent.fetch_add(1, Relaxed);
        }
        if sent.is_err() || closes || silently {
            let _ = answers.stream.shutdown(Shutdown::Write);
            answers.rest_or_reset();
            return;
        }
    }
}
