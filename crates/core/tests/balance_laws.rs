//! Laws that every registered balancing algorithm obeys, and what the spreading and the consistent ones
//! promise.

use std::collections::BTreeMap;
use std::net::IpAddr;

use headworks_core::balance::{Balance, Candidate, Memory, REGISTRY, Seed, find, identity};
use proptest::prelude::*;

const HASHES: [&str; 4] = ["source_hash", "host_hash", "path_hash", "header_hash"];
const KEYS: u32 = 20_000;

fn pool(weights: &[u32]) -> Vec<Candidate> {
    let numbered = weights.iter().enumerate();
    numbered.map(|(server, weight)| candidate(server, *weight, 0)).collect()
}

fn candidate(server: usize, weight: u32, active: u32) -> Candidate {
    Candidate { server, weight, active, identity: identity(&format!("10.0.0.{server}:8080")) }
}

/// Numbers that look random and are the same in every run.
fn number(n: u32) -> u64 {
    let state = u64::from(n).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let state = (state ^ state >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state ^ state >> 32
}

/// What client `n` gets, by every key at once.
fn choose(balance: &dyn Balance, candidates: &[Candidate], n: u32, memory: &mut Memory) -> usize {
    let host = format!("host{n}.example.com");
    let (path, header) = (format!("/path/{n}?query"), format!("user-{n}"));
    let seed = Seed {
        client: Some(IpAddr::from((0x0a00_0000 + n).to_be_bytes())),
        host: Some(&host),
        path: Some(path.as_bytes()),
        header: Some(header.as_bytes()),
        random: number(n),
        now: 0,
    };
    balance.choose(candidates, &seed, memory)
}

fn homes(balance: &dyn Balance, candidates: &[Candidate]) -> Vec<usize> {
    (0..KEYS).map(|n| choose(balance, candidates, n, &mut Memory::default())).collect()
}

fn shares(chosen: &[usize]) -> BTreeMap<usize, f64> {
    let mut shares = BTreeMap::new();
    for server in chosen {
        *shares.entry(*server).or_insert(0.0) += 1.0 / chosen.len() as f64;
    }
    shares
}

fn consistent() -> impl Iterator<Item = &'static dyn Balance> {
    HASHES.iter().filter_map(|name| find(name))
}

proptest! {
    #[test]
    fn one_of_the_candidates_is_chosen_whatever_the_weights_and_loads(
        servers in prop::collection::btree_map(0_usize..500, (1_u32..=4096, any::<u32>(), any::<u64>()), 1..40),
        asks in prop::collection::vec(
            (any::<Option<IpAddr>>(), any::<Option<String>>(), any::<u64>(), any::<u64>()), 1..20),
        path in any::<Option<Vec<u8>>>(),
        header in any::<Option<Vec<u8>>>(),
    ) {
        let all: Vec<_> = servers
            .iter()
            .map(|(server, (weight, active, identity))| Candidate {
                server: *server, weight: *weight, active: *active, identity: *identity,
            })
            .collect();
        for balance in REGISTRY {
            let mut memory = Memory::default();
            for (client, host, random, now) in &asks {
                // Candidates come and go between choices.
                let some: Vec<_> = all.iter().copied().filter(|c| now >> (c.server % 64) & 1 == 0).collect();
                let present = if some.is_empty() { &all } else { &some };
                let seed = Seed {
                    client: *client,
                    host: host.as_deref(),
                    path: path.as_deref(),
                    header: header.as_deref(),
                    random: *random,
                    now: *now,
                };
                let chosen = balance.choose(present, &seed, &mut memory);
                prop_assert!(present.iter().any(|c| c.server == chosen), "{}", balance.name());
            }
        }
    }

    #[test]
    fn turns_are_exact_over_whole_rounds(weights in prop::collection::vec(1_u32..=64, 1..10)) {
        let (servers, mut memory) = (pool(&weights), Memory::default());
        let balance = find("round_robin").unwrap();
        let mut counts = vec![0; weights.len()];
        for n in 0..3 * weights.iter().sum::<u32>() {
            counts[choose(balance, &servers, n, &mut memory)] += 1;
        }
        prop_assert_eq!(counts, weights.iter().map(|weight| 3 * weight).collect::<Vec<_>>());
    }
}

#[test]
fn names_are_unique_and_found() {
    for balance in REGISTRY {
        assert_eq!(REGISTRY.iter().filter(|other| other.name() == balance.name()).count(), 1);
        assert_eq!(find(balance.name()).map(Balance::name), Some(balance.name()));
        assert!(balance.remembers() || !balance.counts_every_choice());
    }
    assert!(find("no_such").is_none());
}

#[test]
fn those_that_spread_choose_every_candidate_by_weight() {
    let weights = [16, 32, 48, 64];
    for balance in REGISTRY.iter().filter(|balance| !HASHES.contains(&balance.name())) {
        let mut memory = Memory::default();
        let chosen: Vec<_> = (0..KEYS).map(|n| choose(*balance, &pool(&weights), n, &mut memory)).collect();
        let shares = shares(&chosen);
        assert_eq!(shares.len(), 4, "{}", balance.name());
        // With equal loads two_choices keeps its first draw, so its shares are those of one draw.
        for (server, share) in shares {
            let fair = f64::from(weights[server]) / 160.0;
            assert!((share - fair).abs() < 0.015, "{} {server}: {share} for {fair}", balance.name());
        }
    }
}

#[test]
fn an_extreme_weight_does_not_starve_the_others() {
    for balance in REGISTRY.iter().filter(|balance| !HASHES.contains(&balance.name())) {
        let mut memory = Memory::default();
        let servers = pool(&[4096, 16]);
        let seen = (0..KEYS).filter(|n| choose(*balance, &servers, *n, &mut memory) == 1).count();
        assert!((40..160).contains(&seen), "{}: {seen} of {KEYS}, 78 are fair", balance.name());
    }
}

#[test]
fn hashing_is_by_weight() {
    let weights = [16, 32, 48, 64, 1];
    for balance in consistent() {
        for (server, share) in shares(&homes(balance, &pool(&weights))) {
            let fair = f64::from(weights[server]) / 161.0;
            assert!((share - fair).abs() < 0.012, "{} {server}: {share} for {fair}", balance.name());
        }
    }
}

#[test]
fn removing_a_server_moves_exactly_its_keys() {
    let all = pool(&[16, 16, 32, 64, 16, 16, 16]);
    for balance in consistent() {
        let before = homes(balance, &all);
        for gone in 0..all.len() {
            let rest: Vec<_> = all.iter().copied().filter(|candidate| candidate.server != gone).collect();
            for (before, after) in before.iter().zip(homes(balance, &rest)) {
                assert!(if *before == gone { after != gone } else { after == *before });
            }
        }
    }
}

#[test]
fn the_keys_of_a_removed_server_spread_over_all_the_others() {
    for balance in consistent() {
        let (before, after) = (homes(balance, &pool(&[16; 5])), homes(balance, &pool(&[16; 4])));
        let moved: Vec<_> =
            before.iter().zip(&after).filter(|(before, _)| **before == 4).map(|(_, after)| *after).collect();
        let shares = shares(&moved);
        assert!(shares.len() == 4 && shares.values().all(|share| (share - 0.25).abs() < 0.03), "{shares:?}");
    }
}

#[test]
fn adding_a_server_moves_its_share_and_only_to_it() {
    for balance in consistent() {
        let (few, more) = (homes(balance, &pool(&[16; 9])), homes(balance, &pool(&[16; 10])));
        let moved: Vec<_> = few.iter().zip(&more).filter(|(before, after)| before != after).collect();
        assert!(moved.iter().all(|(_, after)| **after == 9));
        let share = moved.len() as f64 / f64::from(KEYS);
        assert!((share - 0.1).abs() < 0.01, "{}: {share}", balance.name());
    }
}

#[test]
fn more_weight_only_attracts_keys() {
    for balance in consistent() {
        let (light, heavy) = (homes(balance, &pool(&[16, 16, 16])), homes(balance, &pool(&[16, 16, 40])));
        assert!(light.iter().zip(&heavy).all(|(before, after)| before == after || *after == 2));
    }
}

#[test]
fn order_and_load_do_not_matter_to_hashing() {
    for balance in consistent() {
        let servers = pool(&[16, 48, 32]);
        let mut turned = servers.clone();
        turned.reverse();
        turned.iter_mut().for_each(|candidate| candidate.active = 1000);
        assert_eq!(homes(balance, &servers), homes(balance, &turned));
    }
}

#[test]
fn hashing_is_the_same_on_every_machine_and_in_every_version() {
    // Computed by an independent program from the description in rendezvous.rs.
    let pinned = [
        "42011231101652033520256513423123",
        "35233523220127323322176133243200",
        "63221343643223227335334733144222",
        "73212232124023223631156132361353",
    ];
    assert_eq!(pinned.len(), HASHES.len());
    for (balance, expected) in consistent().zip(pinned) {
        let servers = pool(&[16, 32, 48, 64, 16, 16, 16, 16]);
        let chosen: String =
            homes(balance, &servers)[..32].iter().map(|server| char::from(b'0' + *server as u8)).collect();
        assert_eq!(chosen, expected, "{}", balance.name());
    }
}

#[test]
fn a_mapped_address_is_its_ipv4_address() {
    let (balance, servers) = (find("source_hash").unwrap(), pool(&[16; 50]));
    let home = |client: &str| {
        let client = Some(client.parse().unwrap());
        balance.choose(&servers, &Seed { client, ..Seed::default() }, &mut Memory::default())
    };
    for n in 0..50 {
        assert_eq!(home(&format!("192.0.2.{n}")), home(&format!("::ffff:192.0.2.{n}")));
    }
}

#[test]
fn without_a_key_hashing_falls_back_to_random() {
    for balance in consistent() {
        let ask = |random| Seed { header: Some(b""), path: Some(b"*"), random, ..Seed::default() };
        let chosen: Vec<_> = (0..KEYS)
            .map(|n| balance.choose(&pool(&[16; 4]), &ask(number(n)), &mut Memory::default()))
            .collect();
        let shares = shares(&chosen);
        assert!(shares.len() == 4 && shares.values().all(|share| (share - 0.25).abs() < 0.02), "{shares:?}");
    }
}
