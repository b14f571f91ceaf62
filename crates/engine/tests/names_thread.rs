//! The resolver's thread: started by the first ask, ended with the last handle. Alone in its process, whose threads it
//! counts.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::fs;
use std::net::UdpSocket;
use std::sync::mpsc::channel;

use headworks_core::names::{Families, Sought, SoughtKind, Unresolved};
use headworks_engine::{NameResolver, ResolverSettings};

fn threads() -> usize {
    let named = |name: String| name.trim_end() == "headworks-names";
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    tasks
        .filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok())
        .filter(|name| named(name.clone()))
        .count()
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn the_thread_ends_with_its_last_handle() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let before = descriptors();
    let settings =
        ResolverSettings { nameservers: vec![silent.local_addr().unwrap()], ..ResolverSettings::default() };
    let resolver = NameResolver::new(settings);
    let other = resolver.clone();
    assert_eq!(threads(), 0, "nobody has asked");
    let (sender, replies) = channel();
    for n in 0..100 {
        let sender = sender.clone();
        let sought =
            Sought { name: format!("n{n}.example").into(), kind: SoughtKind::Addresses(Families::Both) };
        resolver.ask(sought, 60_000, move |outcome| sender.send(outcome).unwrap());
    }
    while other.stats().datagrams < 200 {
        std::thread::yield_now();
    }
    assert_eq!(threads(), 1);
    drop(resolver);
    assert_eq!(other.stats().waiting, 100, "a handle is left");
    drop(other);
    drop(sender);
    let outcomes: Vec<_> = replies.iter().collect();
    assert_eq!(outcomes, vec![Err(Unresolved::Stopped); 100]);
    while threads() > 0 || descriptors() > before {
        std::thread::yield_now();
    }
}
