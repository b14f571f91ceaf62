//! Roll: who is a server of a backend now: those that are written, wherever their names lead, and those that
//! were added while running.
//!
//! ```text
//!   servers = ["10.0.0.1:80", "app.internal:80"]     written
//!                  |             `-- 10.0.0.7, 10.0.0.8   found: the last good answer stays
//!   add_server, remove_server, providers                  given: until the file says otherwise
//! ```
//!
//! Keeps what was found and given over reloads, and hands the whole list to the [`ServerSet`]. Must never
//! resolve a name: whoever follows them says what was found.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Mutex;

use super::{Locator, ServerSet, ServerSettings};
use crate::address::Address;
use crate::lock::lock;
use crate::names::{Endpoint, Families, Resolution, Sought, Unresolved};
use crate::time::Millis;

/// Servers of one backend at most.
pub const MOST_SERVERS: usize = 10_000;
/// The weight that a server may have at most.
const MOST_WEIGHT: u64 = 256;

/// A server as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The place where it is found.
    pub locator: Locator,
    /// 0 to 256.
    pub weight: u32,
    /// Chosen only when no other server is usable.
    pub backup: bool,
    /// Open connections at most, to each address.
    pub max_connections: u32,
}

/// The servers of a backend, and how they came to be.
#[derive(Debug)]
pub struct Roll {
    written: Box<[Written]>,
    state: Mutex<RollState>,
}

#[derive(Debug, Clone, Default)]
struct RollState {
    /// The knowledge of each that is written.
    found: Vec<KnownName>,
    /// Servers that others give, by who does.
    given: BTreeMap<Box<str>, Vec<ServerSettings>>,
    /// Addresses that were taken off the list.
    removed: BTreeSet<Address>,
}

/// The knowledge of a name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KnownName {
    endpoints: Vec<Endpoint>,
    /// Time of the last good answer.
    pub answered: Option<Millis>,
    /// The reason why there is no better answer now.
    pub failure: Option<Unresolved>,
}

/// A name that servers are found by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FollowedName {
    /// The name as it is written.
    pub locator: Locator,
    /// Addresses that it leads to.
    pub addresses: usize,
    /// The knowledge of it.
    pub known: KnownName,
}

/// A change of the list.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct RollChange {
    /// Servers that came.
    pub added: Vec<Address>,
    /// Servers that left.
    pub removed: Vec<Address>,
}

impl Roll {
    /// Makes one of what is written.
    pub fn new(written: Vec<Written>) -> Self {
        let state = RollState { found: vec![KnownName::default(); written.len()], ..RollState::default() };
        Self { written: written.into(), state: Mutex::new(state) }
    }

    /// Returns the servers that there are without anybody asked for a name, for one worker.
    pub fn servers(&self) -> ServerSet {
        ServerSet::new(self.settings(), None, 1)
    }

    /// Copies it, with what `previous` knows of the same names. What was given by hand is kept as long as the
    /// file says the same.
    pub(super) fn adopt(&self, previous: Option<&Self>) -> Self {
        let fresh = Self::new(self.written.to_vec());
        let Some(previous) = previous else { return fresh };
        {
            let (old, mut new) = (lock(&previous.state), lock(&fresh.state));
            let all = previous.written.iter().map(|one| &one.locator).zip(&old.found);
            let before: HashMap<&Locator, &KnownName> = all.collect();
            for (written, known) in fresh.written.iter().zip(&mut new.found) {
                if let Some(found) = before.get(&written.locator) {
                    known.clone_from(found);
                }
            }
            new.given.clone_from(&old.given);
            if previous.written == self.written {
                new.removed.clone_from(&old.removed);
            } else {
                new.given.remove(BY_HAND);
            }
        }
        fresh
    }

    /// Returns the names that are to be followed, with their numbers.
    pub fn sought(&self, families: Families) -> impl Iterator<Item = (usize, Sought)> + '_ {
        let sought = move |written: &Written| written.locator.sought(families);
        self.written.iter().enumerate().filter_map(move |(at, written)| Some((at, sought(written)?)))
    }

    /// Returns the name of this number, as it is written.
    pub fn locator(&self, number: usize) -> &Locator {
        &self.written[number].locator
    }

    /// Returns the reason why the name of this number has no better answer now.
    pub fn failure(&self, number: usize) -> Option<Unresolved> {
        lock(&self.state).found[number].failure
    }

    /// Whether there was a good answer for the name of this number, which is used still.
    pub fn has_answer(&self, number: usize) -> bool {
        lock(&self.state).found[number].answered.is_some()
    }

    /// Returns the names that are followed, and what is known of them.
    pub fn names(&self) -> Vec<FollowedName> {
        let state = lock(&self.state);
        let all = self.written.iter().zip(&state.found);
        let names = all.filter(|(written, _)| written.locator.sought(Families::default()).is_some());
        let row = |(written, known): (&Written, &KnownName)| FollowedName {
            locator: written.locator.clone(),
            addresses: known.endpoints.len(),
            known: known.clone(),
        };
        names.map(row).collect()
    }

    /// Returns the servers as they are now.
    pub(super) fn settings(&self) -> Vec<ServerSettings> {
        self.listed(&lock(&self.state))
    }

    /// Takes what the name of this number was resolved to; whether that is other than before. None: nothing
    /// of it can be connected to.
    pub fn resolved(&self, number: usize, resolution: &Resolution, now: Millis) -> Option<bool> {
        let written = &self.written[number];
        let reachable = |endpoint: &&Endpoint| written.locator.reached(endpoint).is_some();
        let mut endpoints: Vec<_> = resolution.endpoints.iter().filter(reachable).cloned().collect();
        if endpoints.is_empty() {
            self.unresolved(number, Unresolved::NoAddresses);
            return None;
        }
        // Nameservers turn their answers around: the list stays the same if its servers do.
        endpoints.sort_by_key(|endpoint| (endpoint.priority, endpoint.address, endpoint.port));
        endpoints.dedup_by_key(|endpoint| (endpoint.address, endpoint.port));
        let (stale, known) = (resolution.stale_since, &mut lock(&self.state).found[number]);
        known.answered = Some(now.saturating_sub(stale.unwrap_or(0)));
        known.failure = stale.map(|_| Unresolved::Timeout);
        let is_other = known.endpoints != endpoints;
        known.endpoints = endpoints;
        Some(is_other)
    }

    /// Notes that the name of this number could not be resolved; its last good answer stays.
    pub fn unresolved(&self, number: usize, reason: Unresolved) {
        lock(&self.state).found[number].failure = Some(reason);
    }

    /// Adds a server, or gives the one with its address other settings.
    pub(super) fn add(&self, server: ServerSettings, servers: &ServerSet) -> RollChange {
        self.change(servers, |state| {
            state.removed.remove(&server.address);
            let given = state.given.entry(BY_HAND.into()).or_default();
            given.retain(|one| one.address != server.address);
            given.push(server);
        })
    }

    /// Takes a server off the list, whoever put it there, until the file says otherwise.
    pub(super) fn remove(&self, address: &Address, servers: &ServerSet) -> RollChange {
        self.change(servers, |state| {
            if let Some(given) = state.given.get_mut(BY_HAND) {
                given.retain(|one| one.address != *address);
            }
            state.removed.insert(address.clone());
        })
    }

    /// Makes these the servers that `source` gives.
    pub(super) fn give(&self, source: &str, listed: Vec<ServerSettings>, servers: &ServerSet) -> RollChange {
        self.change(servers, |state| {
            state.given.insert(source.into(), listed);
        })
    }

    /// Hands the list on, if it is another one by now.
    pub(super) fn refresh(&self, servers: &ServerSet) -> RollChange {
        self.change(servers, |_| {})
    }

    /// Makes a change, and hands on the list if that is another one.
    fn change(&self, servers: &ServerSet, edit: impl FnOnce(&mut RollState)) -> RollChange {
        let mut state = lock(&self.state);
        edit(&mut state);
        let before: Vec<_> = servers.list().iter().map(|server| server.settings()).collect();
        let after = self.listed(&state);
        if before == after {
            return RollChange::default();
        }
        let addresses = |list: &[ServerSettings]| -> BTreeSet<Address> {
            list.iter().map(|one| one.address.clone()).collect()
        };
        let (had, has) = (addresses(&before), addresses(&after));
        servers.set(after);
        RollChange {
            added: has.difference(&had).cloned().collect(),
            removed: had.difference(&has).cloned().collect(),
        }
    }

    /// Returns the whole list, the last word on each address.
    fn listed(&self, state: &RollState) -> Vec<ServerSettings> {
        let by_hand = state.given.get(BY_HAND).into_iter().flatten();
        let others = state.given.iter().filter(|(source, _)| &***source != BY_HAND);
        let mut list: Vec<ServerSettings> = Vec::new();
        for (written, known) in self.written.iter().zip(&state.found) {
            written.append(known, &mut list);
        }
        list.extend(others.flat_map(|(_, given)| given).cloned());
        let mut seen = BTreeSet::new();
        list.retain(|one| !state.removed.contains(&one.address) && seen.insert(one.address.clone()));
        for server in by_hand {
            match list.iter_mut().find(|one| one.address == server.address) {
                Some(known) => known.clone_from(server),
                None => list.push(server.clone()),
            }
        }
        list.truncate(MOST_SERVERS);
        list
    }
}

impl Written {
    fn append(&self, known: &KnownName, list: &mut Vec<ServerSettings>) {
        if let Locator::Address(address) = &self.locator {
            return list.push(self.settings(address.clone(), self.weight, self.backup));
        }
        let first = known.endpoints.iter().map(|endpoint| endpoint.priority).min().unwrap_or(0);
        for endpoint in &known.endpoints {
            let waits = endpoint.priority > first;
            if let Some(address) = self.locator.reached(endpoint) {
                let weight = self.share(endpoint, &known.endpoints);
                list.push(self.settings(address, weight, self.backup || waits));
            }
        }
    }

    /// Returns the weight of an endpoint: the written one, or in proportion to those of a service (RFC 2782),
    /// of which the greatest has 256.
    fn share(&self, endpoint: &Endpoint, all: &[Endpoint]) -> u32 {
        let peers = || all.iter().filter(|one| one.priority == endpoint.priority).map(|one| one.weight);
        let greatest = u64::from(peers().max().unwrap_or(0));
        if peers().all(|weight| u64::from(weight) == greatest) {
            return self.weight;
        }
        ((u64::from(endpoint.weight) * MOST_WEIGHT / greatest.max(1)) as u32).max(1)
    }

    fn settings(&self, address: Address, weight: u32, backup: bool) -> ServerSettings {
        ServerSettings { address, weight, backup, max_connections: self.max_connections }
    }
}

/// The one who gives servers while running, by hand.
const BY_HAND: &str = "";

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> Written {
        let locator = Locator::parse(text).unwrap();
        Written { locator, weight: 1, backup: false, max_connections: 9 }
    }

    fn endpoint(address: &str, port: Option<u16>, priority: u16, weight: u16) -> Endpoint {
        Endpoint { address: address.parse().unwrap(), port, priority, weight, host: "h".into() }
    }

    fn found(addresses: &[&str]) -> Resolution {
        let endpoints = addresses.iter().map(|address| endpoint(address, None, 0, 0)).collect();
        Resolution { endpoints, fresh_for: 1000, stale_since: None }
    }

    fn server(text: &str, weight: u32) -> ServerSettings {
        let address = Address::parse(text).unwrap();
        ServerSettings { address, weight, backup: false, max_connections: 1 }
    }

    struct Pool {
        roll: Roll,
        servers: ServerSet,
    }

    impl Pool {
        fn new(list: &[&str]) -> Self {
            let roll = Roll::new(list.iter().map(|text| written(text)).collect());
            let servers = ServerSet::new(roll.settings(), None, 1);
            Self { roll, servers }
        }

        fn after(&self, list: &[&str]) -> Self {
            let next = Roll::new(list.iter().map(|text| written(text)).collect());
            let roll = next.adopt(Some(&self.roll));
            let servers = ServerSet::new(roll.settings(), Some(&self.servers), 1);
            Self { roll, servers }
        }

        fn names(&self) -> Vec<String> {
            self.servers.list().iter().map(|server| server.name.to_string()).collect()
        }

        fn resolved(&self, number: usize, addresses: &[&str]) -> Option<RollChange> {
            self.roll.resolved(number, &found(addresses), 5).map(|_| self.roll.refresh(&self.servers))
        }
    }

    #[test]
    fn a_name_is_as_many_servers_as_it_has_addresses() {
        let pool = Pool::new(&["192.0.2.1:80", "app.internal:81", "192.0.2.9:80"]);
        assert_eq!(pool.names(), ["192.0.2.1:80", "192.0.2.9:80"]);
        assert_eq!(pool.roll.sought(Families::default()).map(|(number, _)| number).collect::<Vec<_>>(), [1]);
        let change = pool.resolved(1, &["192.0.2.4", "192.0.2.3", "192.0.2.4"]).unwrap();
        assert_eq!((change.added.len(), change.removed.len()), (2, 0));
        assert_eq!(pool.names(), ["192.0.2.1:80", "192.0.2.3:81", "192.0.2.4:81", "192.0.2.9:80"]);
        let number = pool.servers.list().number;
        assert_eq!(pool.resolved(1, &["192.0.2.3", "192.0.2.4"]), Some(RollChange::default()));
        assert_eq!(pool.servers.list().number, number, "another order changes nothing");
        let change = pool.resolved(1, &["2001:db8::1"]).unwrap();
        assert_eq!((change.added.len(), change.removed.len()), (1, 2));
    }

    #[test]
    fn what_nobody_can_connect_to_is_no_answer_and_the_last_good_one_stays() {
        let pool = Pool::new(&["app.internal:81"]);
        pool.resolved(0, &["192.0.2.4", "0.0.0.0", "::", "224.0.0.1", "255.255.255.255"]);
        assert_eq!(pool.names(), ["192.0.2.4:81"]);
        assert_eq!(pool.resolved(0, &["0.0.0.0"]), None);
        assert_eq!(pool.roll.failure(0), Some(Unresolved::NoAddresses), "it was told already");
        pool.roll.unresolved(0, Unresolved::Timeout);
        assert_eq!(pool.names(), ["192.0.2.4:81"]);
        let [name] = &pool.roll.names()[..] else { panic!() };
        assert_eq!((name.known.answered, name.known.failure), (Some(5), Some(Unresolved::Timeout)));
        pool.resolved(0, &["192.0.2.5"]);
        assert_eq!(pool.roll.failure(0), None);
    }

    #[test]
    fn a_service_has_tiers_and_shares() {
        let pool = Pool::new(&["srv:_http._tcp.app.internal"]);
        let endpoints = vec![
            endpoint("192.0.2.1", Some(80), 10, 60),
            endpoint("192.0.2.2", Some(81), 10, 30),
            endpoint("192.0.2.3", Some(82), 10, 0),
            endpoint("192.0.2.4", Some(83), 20, 7),
            endpoint("192.0.2.5", Some(0), 10, 7),
        ];
        let service = Resolution { endpoints, fresh_for: 1000, stale_since: None };
        assert_eq!(pool.roll.resolved(0, &service, 5), Some(true));
        assert_eq!(pool.roll.resolved(0, &service, 6), Some(false));
        pool.roll.refresh(&pool.servers);
        let list = pool.servers.list();
        let rows: Vec<_> = list.iter().map(|one| (&*one.name, one.weight, one.backup)).collect();
        assert_eq!(
            rows,
            [
                ("192.0.2.1:80", 256, false),
                ("192.0.2.2:81", 128, false),
                ("192.0.2.3:82", 1, false),
                ("192.0.2.4:83", 1, true),
            ]
        );
    }

    #[test]
    fn what_was_found_and_given_is_kept_until_the_file_says_otherwise() {
        let pool = Pool::new(&["192.0.2.1:80", "app.internal:81"]);
        pool.resolved(1, &["192.0.2.4"]);
        pool.roll.add(server("192.0.2.7:80", 5), &pool.servers);
        pool.roll.remove(&server("192.0.2.1:80", 1).address, &pool.servers);
        pool.roll.give("docker", vec![server("192.0.2.8:80", 2)], &pool.servers);
        let all = ["192.0.2.4:81", "192.0.2.8:80", "192.0.2.7:80"];
        assert_eq!(pool.names(), all);
        assert_eq!(pool.after(&["192.0.2.1:80", "app.internal:81"]).names(), all, "the file says the same");
        let other = pool.after(&["192.0.2.1:80", "192.0.2.2:80", "app.internal:81"]);
        assert_eq!(other.names(), ["192.0.2.1:80", "192.0.2.2:80", "192.0.2.4:81", "192.0.2.8:80"]);
    }

    #[test]
    fn by_hand_is_the_last_word() {
        let pool = Pool::new(&["192.0.2.1:80"]);
        let change = pool.roll.add(server("192.0.2.1:80", 7), &pool.servers);
        assert_eq!(change, RollChange::default());
        assert_eq!(pool.servers.list()[0].weight, 7);
        let change = pool.roll.remove(&server("192.0.2.1:80", 1).address, &pool.servers);
        assert_eq!(change.removed.len(), 1);
        assert!(pool.servers.list().is_empty());
        pool.roll.add(server("192.0.2.1:80", 3), &pool.servers);
        assert_eq!(pool.servers.list()[0].weight, 3);
    }
}
