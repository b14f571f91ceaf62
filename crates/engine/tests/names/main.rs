//! Names are resolved against nameservers that fail, lie and keep silent: honest answers come through, lies never do.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod nameserver;
#[allow(dead_code, reason = "core's own tests use the rest")]
#[path = "../../../core/tests/names/wire.rs"]
mod wire;

use std::collections::HashSet;
use std::net::{SocketAddr, UdpSocket};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use headworks_core::names::{CacheLimits, Families, Resolution, Sought, SoughtKind, Unresolved};
use headworks_engine::{NameResolver, ResolverSettings};
use nameserver::{Nameserver, Received};
use wire::{A, AAAA, Answer, CNAME, SOA, SRV, TRUNCATED, name, record, service, start};

const FOUR: SoughtKind = SoughtKind::Addresses(Families::Ipv4Only);
const BOTH: SoughtKind = SoughtKind::Addresses(Families::Both);
const PATIENCE: u64 = 20_000;

type Outcome = Result<Resolution, Unresolved>;

fn settings(nameservers: &[&Nameserver]) -> ResolverSettings {
    ResolverSettings {
        nameservers: nameservers.iter().map(|nameserver| nameserver.address).collect(),
        hosts: "/dev/null/none".into(),
        resolver_conf: "/dev/null/none".into(),
        ..ResolverSettings::default()
    }
}

/// Settings by which a nameserver's silence is short.
fn hasty(nameservers: &[&Nameserver]) -> ResolverSettings {
    ResolverSettings { timeout: Some(1_000), ..settings(nameservers) }
}

/// Settings by which nothing is fresh for long.
fn forgetful(nameservers: &[&Nameserver]) -> ResolverSettings {
    let cache = CacheLimits { shortest: 0, longest: 0, ..CacheLimits::default() };
    ResolverSettings { cache, ..settings(nameservers) }
}

fn ask(resolver: &NameResolver, name: &str, kind: SoughtKind, patience: u64) -> Receiver<Outcome> {
    let (sender, replies) = channel();
    resolver.ask(Sought { name: name.into(), kind }, patience, move |outcome| {
        let _ = sender.send(outcome);
    });
    replies
}

fn reply(replies: &Receiver<Outcome>) -> Outcome {
    replies.recv_timeout(Duration::from_millis(2 * PATIENCE)).expect("a reply within its time")
}

fn resolve(resolver: &NameResolver, name: &str, kind: SoughtKind) -> Outcome {
    reply(&ask(resolver, name, kind, PATIENCE))
}

fn addresses(outcome: Outcome) -> Vec<String> {
    outcome.unwrap().endpoints.iter().map(|endpoint| endpoint.address.to_string()).collect()
}

fn honest(received: &Received) -> Vec<Vec<u8>> {
    vec![received.address(1)]
}

/// Asks twice, so that a second nameserver or attempt is there for what the first spoils.
fn comes_through(lies: impl Fn(&Received) -> Vec<Vec<u8>> + Send + Sync + 'static) {
    let (first, second) = (Nameserver::new(lies), Nameserver::new(honest));
    let resolver = NameResolver::new(hasty(&[&first, &second]));
    assert_eq!(addresses(resolve(&resolver, "app.example", FOUR)), ["192.0.2.1"]);
    assert!(first.received() > 0);
}

#[test]
fn an_honest_answer_is_given_and_kept() {
    let nameserver = Nameserver::new(honest);
    let resolver = NameResolver::new(settings(&[&nameserver]));
    for _ in 0..3 {
        let resolution = resolve(&resolver, "App.Example", FOUR).unwrap();
        assert!((1..=60_000).contains(&resolution.fresh_for) && resolution.stale_since.is_none());
        assert_eq!(addresses(Ok(resolution)), ["192.0.2.1"]);
    }
    assert_eq!(nameserver.received(), 1);
    let stats = resolver.stats();
    assert_eq!((stats.asks, stats.answers, stats.cached, stats.datagrams, stats.waiting), (3, 3, 2, 1, 0));
}

#[test]
fn answers_to_another_query_are_not_believed() {
    comes_through(|received| {
        let mut other_id = received.address(66);
        other_id[0] ^= 0x80;
        let mut other_name = received.address(66);
        other_name[13] = b'x';
        let mut other_kind = received.address(66);
        let end = 12 + wire::question(&received.bytes).len();
        other_kind[end - 3] = 28;
        let mut other_class = received.address(66);
        other_class[end - 1] = 3;
        let mut no_response = received.address(66);
        no_response[2] = 1;
        vec![
            other_id,
            other_name,
            other_kind,
            other_class,
            no_response,
            received.bytes.clone(),
            received.address(1),
        ]
    });
}

#[test]
fn answers_of_somebody_else_are_not_believed() {
    let elsewhere = UdpSocket::bind("127.0.0.1:0").unwrap();
    let clients = Arc::new(Mutex::new(Vec::<SocketAddr>::new()));
    let nameserver = Nameserver::new(honest);
    // A nameserver that hands the query on, so that the answer comes from another address than was asked.
    let relay = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut asked = settings(&[&nameserver]);
    asked.nameservers.insert(0, relay.local_addr().unwrap());
    asked.timeout = Some(1_000);
    let seen = Arc::clone(&clients);
    let thread = std::thread::spawn(move || {
        let mut buffer = [0; 2_048];
        let (length, client) = relay.recv_from(&mut buffer).unwrap();
        let lie = wire::answer(&[record("app.example", A, 60, &[192, 0, 2, 66])]).to(&buffer[..length]);
        elsewhere.send_to(&lie, client).unwrap();
        seen.lock().unwrap().push(client);
    });
    let resolver = NameResolver::new(asked);
    assert_eq!(addresses(resolve(&resolver, "app.example", FOUR)), ["192.0.2.1"]);
    thread.join().unwrap();
    assert_eq!(clients.lock().unwrap().len(), 1);
}

#[test]
fn an_answer_in_another_case_is_asked_for_by_a_connection() {
    let nameserver = Nameserver::new(|received| {
        if received.connected {
            return vec![received.address(1)];
        }
        let mut lie = received.address(66);
        let end = 12 + wire::question(&received.bytes).len();
        for letter in lie[12..end].iter_mut().filter(|byte| byte.is_ascii_alphabetic()) {
            *letter ^= 0x20;
        }
        vec![lie]
    });
    let resolver = NameResolver::new(settings(&[&nameserver]));
    assert_eq!(addresses(resolve(&resolver, "app.example", FOUR)), ["192.0.2.1"]);
    assert_eq!(resolver.stats().connections, 1);
}

#[test]
fn an_answer_without_room_comes_over_a_connection() {
    let nameserver = Nameserver::new(|received| {
        let records: Vec<_> = (0..200).map(|n| record("many.example", A, 60, &[10, 0, 0, n])).collect();
        let bits = if received.connected { 0 } else { TRUNCATED };
        let shown = if received.connected { 200 } else { 3 };
        vec![received.answer(&Answer { bits, ..wire::answer(&records[..shown]) })]
    });
    let resolver = NameResolver::new(settings(&[&nameserver]));
    let found: HashSet<_> = addresses(resolve(&resolver, "many.example", FOUR)).into_iter().collect();
    assert_eq!(found.len(), 200);
    assert_eq!(resolver.stats().connections, 1);
}

#[test]
fn a_connection_that_ends_early_leads_to_the_next_nameserver() {
    comes_through(|received| if received.connected { Vec::new() } else { vec![received.code(TRUNCATED)] });
}

#[test]
fn a_connection_that_never_ends_leads_to_the_next_nameserver() {
    // Nobody accepts here: the kernel connects, and nothing comes.
    let (datagrams, _connections) = nameserver::bind();
    let second = Nameserver::new(honest);
    let mut asked = hasty(&[&second]);
    asked.nameservers.insert(0, datagrams.local_addr().unwrap());
    let resolver = NameResolver::new(asked);
    let replies = ask(&resolver, "app.example", FOUR, PATIENCE);
    let mut buffer = [0; 2_048];
    let (length, client) = datagrams.recv_from(&mut buffer).unwrap();
    let cut = Answer { bits: TRUNCATED, ..Answer::default() }.to(&buffer[..length]);
    datagrams.send_to(&cut, client).unwrap();
    assert_eq!(addresses(reply(&replies)), ["192.0.2.1"]);
    assert_eq!(resolver.stats().connections, 1);
}

#[test]
fn nonsense_leads_to_the_next_nameserver() {
    comes_through(|received| {
        let mut cut = received.address(66);
        cut.truncate(cut.len() - 2);
        vec![b"garbage".to_vec(), Vec::new(), vec![0; 1_400], cut]
    });
}

#[test]
fn pointers_in_circles_lead_to_the_next_nameserver() {
    comes_through(|received| {
        let mut bomb = received.code(0);
        let here = bomb.len() as u16;
        bomb[7] = 40;
        for n in 0..40 {
            bomb.extend_from_slice(&(0xc000 | (here + 14 * (39 - n))).to_be_bytes());
            bomb.extend_from_slice(&[0, 1, 0, 1, 0, 0, 0, 9, 0, 2, 0xc0, 0]);
        }
        vec![bomb]
    });
}

#[test]
fn failures_and_refusals_lead_to_the_next_nameserver() {
    comes_through(|received| vec![received.code(2)]);
    comes_through(|received| vec![received.code(5)]);
}

#[test]
fn a_nameserver_of_old_is_asked_without_edns() {
    let nameserver = Nameserver::new(|received| {
        let has_edns = received.bytes[11] == 1;
        vec![if has_edns { received.code(1) } else { received.address(1) }]
    });
    let resolver = NameResolver::new(settings(&[&nameserver]));
    assert_eq!(addresses(resolve(&resolver, "app.example", FOUR)), ["192.0.2.1"]);
    assert_eq!(nameserver.received(), 2);
}

#[test]
fn a_silent_nameserver_costs_one_name_its_time_and_the_next_one_none() {
    let (silent, second) = (Nameserver::new(|_| Vec::new()), Nameserver::new(honest));
    let resolver = NameResolver::new(hasty(&[&silent, &second]));
    for n in 0..10 {
        assert_eq!(addresses(resolve(&resolver, &format!("n{n}.example"), FOUR)), ["192.0.2.1"]);
    }
    assert_eq!((silent.received(), second.received()), (1, 10));
}

#[test]
fn a_late_answer_is_none_and_a_second_attempt_is_answered() {
    let late = Mutex::new(None);
    let nameserver = Nameserver::new(move |received| {
        let lie = received.address(66);
        let mut late = late.lock().unwrap();
        match late.take() {
            None => {
                *late = Some(lie);
                Vec::new()
            }
            Some(first) => vec![first, received.address(1)],
        }
    });
    let resolver = NameResolver::new(hasty(&[&nameserver]));
    assert_eq!(addresses(resolve(&resolver, "app.example", FOUR)), ["192.0.2.1"]);
}

#[test]
fn whoever_floods_is_not_believed() {
    let nameserver = Nameserver::new(|received| {
        if received.connected {
            return vec![received.address(1)];
        }
        let guess = |n: u16| {
            let mut lie = received.address(66);
            let id = u16::from_be_bytes([lie[0], lie[1]]).wrapping_add(n);
            lie[..2].copy_from_slice(&id.to_be_bytes());
            lie
        };
        (1..200).map(guess).collect()
    });
    let resolver = NameResolver::new(settings(&[&nameserver]));
    assert_eq!(addresses(resolve(&resolver, "app.example", FOUR)), ["192.0.2.1"]);
    assert_eq!(resolver.stats().connections, 1);
}

#[test]
fn failures_have_their_names() {
    let nameserver = Nameserver::new(|received| {
        let alias = |to: &str| received.answer(&wire::answer(&[record(&received.name, CNAME, 9, &name(to))]));
        let authorities = vec![record("example", SOA, 60, &start(60))];
        vec![match received.name.as_str() {
            "gone.example" => received.answer(&Answer { bits: 3, authorities, ..Answer::default() }),
            "empty.example" => received.answer(&Answer { authorities, ..Answer::default() }),
            "broken.example" => received.code(2),
            "closed.example" => received.code(5),
            "one.example" => alias("two.example"),
            "two.example" => alias("one.example"),
            "odd.example" => received.answer(&Answer { answers: vec![b"odd".to_vec()], ..Answer::default() }),
            _ => Vec::new(),
        }]
    });
    let resolver = NameResolver::new(hasty(&[&nameserver]));
    for (name, expected) in [
        ("gone.example", Unresolved::NoSuchName),
        ("empty.example", Unresolved::NoAddresses),
        ("broken.example", Unresolved::ServerFailure),
        ("closed.example", Unresolved::Refused),
        ("one.example", Unresolved::Loop),
        ("odd.example", Unresolved::Malformed),
        ("silent.example", Unresolved::Timeout),
        ("bad..name", Unresolved::BadName),
    ] {
        assert_eq!(resolve(&resolver, name, BOTH), Err(expected), "{name}");
        assert_eq!(resolver.stats().failures.get(expected.as_str()), Some(&1), "{name}");
    }
    // Absence is kept, and so is failure for a moment.
    let before = nameserver.received();
    assert_eq!(resolve(&resolver, "gone.example", BOTH), Err(Unresolved::NoSuchName));
    assert_eq!(nameserver.received(), before);
}

#[test]
fn a_name_that_did_not_exist_may_exist_later() {
    let nameserver = Nameserver::new(|received| {
        vec![if received.before == 0 { received.code(3) } else { received.address(1) }]
    });
    let resolver = NameResolver::new(forgetful(&[&nameserver]));
    assert_eq!(resolve(&resolver, "app.example", FOUR), Err(Unresolved::NoSuchName));
    assert_eq!(addresses(resolve(&resolver, "app.example", FOUR)), ["192.0.2.1"]);
}

#[test]
fn an_answer_for_no_time_holds_for_a_second() {
    let nameserver = Nameserver::new(|received| {
        vec![received.answer(&wire::answer(&[record(&received.name, A, 0, &[192, 0, 2, 1])]))]
    });
    let resolver = NameResolver::new(settings(&[&nameserver]));
    assert_eq!(resolve(&resolver, "app.example", FOUR).unwrap().fresh_for, 1_000);
}

#[test]
fn aliases_are_followed_by_asking_again() {
    let nameserver = Nameserver::new(|received| {
        let next = |to: &str| record(&received.name, CNAME, 9, &name(to));
        vec![match received.name.as_str() {
            "www.example" => received.answer(&wire::answer(&[next("cdn.example")])),
            "cdn.example" => received.answer(&wire::answer(&[next("edge.example")])),
            _ => received.address(1),
        }]
    });
    let resolver = NameResolver::new(settings(&[&nameserver]));
    let resolution = resolve(&resolver, "www.example", FOUR).unwrap();
    assert_eq!(resolution.fresh_for, 9_000);
    assert_eq!(addresses(Ok(resolution)), ["192.0.2.1"]);
}

#[test]
fn one_silent_family_does_not_lose_the_other() {
    let nameserver =
        Nameserver::new(|received| if received.kind == A { honest(received) } else { Vec::new() });
    let resolver = NameResolver::new(hasty(&[&nameserver]));
    assert_eq!(addresses(resolve(&resolver, "app.example", BOTH)), ["192.0.2.1"]);
    let slow = NameResolver::new(ResolverSettings { timeout: Some(PATIENCE), ..settings(&[&nameserver]) });
    // The reply comes when it is due, with what there is.
    assert_eq!(addresses(reply(&ask(&slow, "app.example", BOTH, 2_000))), ["192.0.2.1"]);
}

#[test]
fn services_are_resolved_to_the_addresses_of_their_hosts() {
    let nameserver = Nameserver::new(|received| {
        vec![match (received.name.as_str(), received.kind) {
            ("_http._tcp.app.example", SRV) => received.answer(&Answer {
                answers: vec![
                    record(&received.name, SRV, 60, &service(2, 7, 8081, "two.example")),
                    record(&received.name, SRV, 60, &service(1, 5, 8080, "one.example")),
                ],
                additionals: vec![record("one.example", A, 60, &[192, 0, 2, 1])],
                ..Answer::default()
            }),
            ("two.example", A) => received.address(2),
            ("one.example", AAAA) => received.code(2),
            _ => received.code(3),
        }]
    });
    let resolver = NameResolver::new(settings(&[&nameserver]));
    let outcome = resolve(&resolver, "_http._tcp.app.example", SoughtKind::Service(Families::Both));
    let shown: Vec<_> = outcome
        .unwrap()
        .endpoints
        .iter()
        .map(|end| format!("{} {:?} {} {} {}", end.address, end.port, end.priority, end.weight, end.host))
        .collect();
    assert_eq!(shown, ["192.0.2.1 Some(8080) 1 5 one.example", "192.0.2.2 Some(8081) 2 7 two.example"]);
}

#[test]
fn when_every_nameserver_fails_what_held_is_given_with_its_age() {
    let nameserver = Nameserver::new(honest);
    let resolver = NameResolver::new(forgetful(&[&nameserver]));
    assert_eq!(resolve(&resolver, "app.example", FOUR).unwrap().stale_since, None);
    drop(nameserver);
    for _ in 0..3 {
        let resolution = resolve(&resolver, "app.example", FOUR).unwrap();
        assert!(resolution.stale_since.is_some());
        assert_eq!(addresses(Ok(resolution)), ["192.0.2.1"]);
    }
    assert_eq!(resolve(&resolver, "other.example", FOUR), Err(Unresolved::Unreachable));
    assert_eq!(resolver.stats().stale, 3);
}

#[test]
fn what_held_is_given_when_nameservers_take_too_long() {
    let nameserver =
        Nameserver::new(|received| if received.before == 0 { honest(received) } else { Vec::new() });
    let resolver = NameResolver::new(forgetful(&[&nameserver]));
    assert_eq!(addresses(resolve(&resolver, "app.example", FOUR)), ["192.0.2.1"]);
    let resolution = reply(&ask(&resolver, "app.example", FOUR, 100)).unwrap();
    assert!(resolution.stale_since.is_some());
}

#[test]
fn a_thousand_asks_for_one_name_are_one_query() {
    let nameserver = Nameserver::new(honest);
    let resolver = NameResolver::new(settings(&[&nameserver]));
    let replies: Vec<_> = (0..1_000).map(|_| ask(&resolver, "app.example", FOUR, PATIENCE)).collect();
    assert!(replies.iter().all(|replies| addresses(reply(replies)) == ["192.0.2.1"]));
    assert_eq!(nameserver.received(), 1);
}

#[test]
fn ten_thousand_names_take_ten_thousand_queries_and_then_none() {
    let nameserver = Nameserver::new(honest);
    // No more at once than the nameserver's socket has room for.
    let timeout = Some(PATIENCE);
    let resolver =
        NameResolver::new(ResolverSettings { most_queries: 64, timeout, ..settings(&[&nameserver]) });
    for _ in 0..2 {
        let replies: Vec<_> =
            (0..10_000).map(|n| ask(&resolver, &format!("n{n}.example"), FOUR, PATIENCE)).collect();
        assert!(replies.iter().all(|replies| reply(replies).is_ok()));
    }
    let stats = resolver.stats();
    assert_eq!((stats.datagrams, stats.answers, stats.cached, stats.waiting), (10_000, 20_000, 10_000, 0));
}

#[test]
fn too_much_is_refused_at_once() {
    let silent = Nameserver::new(|_| Vec::new());
    let few = ResolverSettings { most_queries: 2, most_waiting: 10, ..settings(&[&silent]) };
    let resolver = NameResolver::new(few);
    let replies: Vec<_> = (0..50).map(|n| ask(&resolver, &format!("n{n}.example"), FOUR, PATIENCE)).collect();
    assert!(replies[10..].iter().all(|replies| reply(replies) == Err(Unresolved::Busy)));
    drop(resolver);
    assert!(replies[..10].iter().all(|replies| reply(replies) == Err(Unresolved::Stopped)));
    assert!(silent.received() <= 2);
}

#[test]
fn a_reply_comes_in_time() {
    let silent = Nameserver::new(|_| Vec::new());
    let resolver = NameResolver::new(settings(&[&silent]));
    let replies: Vec<_> = (0..100).map(|n| ask(&resolver, &format!("n{n}.example"), BOTH, 50)).collect();
    assert!(replies.iter().all(|replies| reply(replies) == Err(Unresolved::Timeout)));
    assert_eq!(reply(&ask(&resolver, "n.example", FOUR, 0)), Err(Unresolved::Timeout));
}

#[test]
fn settings_change_while_it_runs() {
    let (first, second) = (Nameserver::new(honest), Nameserver::new(|received| vec![received.address(2)]));
    let resolver = NameResolver::new(settings(&[&first]));
    assert_eq!(addresses(resolve(&resolver, "app.example", FOUR)), ["192.0.2.1"]);
    resolver.configure(settings(&[&second]));
    assert_eq!(addresses(resolve(&resolver, "app.example", FOUR)), ["192.0.2.2"]);
}

#[test]
fn the_file_of_hosts_is_read_again_when_it_changes() {
    let directory = std::env::temp_dir().join(format!("headworks-names-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let hosts = directory.join("hosts");
    std::fs::write(&hosts, "192.0.2.7 app\n").unwrap();
    let nameserver = Nameserver::new(honest);
    let resolver = NameResolver::new(ResolverSettings { hosts: hosts.clone(), ..settings(&[&nameserver]) });
    assert_eq!(addresses(resolve(&resolver, "app", FOUR)), ["192.0.2.7"]);
    std::fs::write(&hosts, "192.0.2.88 app\n").unwrap();
    while addresses(resolve(&resolver, "app", FOUR)) != ["192.0.2.88"] {
        std::thread::yield_now();
    }
    std::fs::remove_file(&hosts).unwrap();
    while addresses(resolve(&resolver, "app", FOUR)) != ["192.0.2.1"] {
        std::thread::yield_now();
    }
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn names_are_searched_as_the_system_is_configured() {
    let directory = std::env::temp_dir().join(format!("headworks-conf-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let conf = directory.join("resolv.conf");
    // A nameserver at the port of nameservers, at an address where nobody listens.
    std::fs::write(&conf, "nameserver 127.86.75.30\nsearch one.example two.example\noptions attempts:1\n")
        .unwrap();
    let resolver = NameResolver::new(ResolverSettings { resolver_conf: conf, ..settings(&[]) });
    assert!(resolve(&resolver, "app", FOUR).is_err());
    assert!(resolver.stats().datagrams > 0);
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn literals_and_localhost_need_no_thread_and_no_nameserver() {
    let resolver = NameResolver::new(settings(&[]));
    let (sender, replies) = channel();
    resolver.ask(Sought { name: "2001:db8::1".into(), kind: BOTH }, 0, move |outcome| {
        sender.send((std::thread::current().id(), outcome)).unwrap();
    });
    let (thread, outcome) = replies.try_recv().unwrap();
    assert_eq!(thread, std::thread::current().id());
    assert_eq!(addresses(outcome), ["2001:db8::1"]);
    assert_eq!(addresses(resolve(&resolver, "localhost", BOTH)), ["::1", "127.0.0.1"]);
    assert_eq!(resolver.stats().datagrams, 0);
}

#[test]
fn whoever_replies_may_ask_again() {
    let nameserver = Nameserver::new(honest);
    let resolver = NameResolver::new(settings(&[&nameserver]));
    let (sender, replies) = channel();
    let again = resolver.clone();
    let sought = |name: &str| Sought { name: name.into(), kind: FOUR };
    resolver.ask(sought("one.example"), PATIENCE, move |first| {
        again.ask(sought("two.example"), PATIENCE, move |second| sender.send((first, second)).unwrap());
    });
    let (first, second) = replies.recv_timeout(Duration::from_millis(2 * PATIENCE)).unwrap();
    assert_eq!((addresses(first), addresses(second)), (vec!["192.0.2.1".into()], vec!["192.0.2.1".into()]));
}
