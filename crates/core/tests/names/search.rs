//! Traces of searches: what they ask, and what the answers come to.

use std::collections::HashMap;
use std::sync::Arc;

use headworks_core::names::{
    Domain, Families, Found, HostsFile, Kept, NameAnswer, Query, QueryType, Resolution, ResolverConf, Search,
    Service, Sought, SoughtKind, Unresolved,
};

use crate::wire::query;

const BOTH: SoughtKind = SoughtKind::Addresses(Families::Both);
const SERVICE: SoughtKind = SoughtKind::Service(Families::Ipv4First);

/// A world in which queries have answers, and the order in which they were asked.
#[derive(Default)]
struct World {
    hosts: HostsFile,
    conf: ResolverConf,
    known: HashMap<Query, Result<Kept, Unresolved>>,
    asked: Vec<String>,
}

impl World {
    fn with(hosts: &str, conf: &str) -> Self {
        let hosts = HostsFile::read(hosts.as_bytes());
        Self { hosts, conf: ResolverConf::read(conf.as_bytes()), ..Self::default() }
    }

    fn knows(mut self, name: &str, query_type: QueryType, found: Found) -> Self {
        let kept =
            Kept { answer: Arc::new(NameAnswer { found, ttl: 9 }), fresh_for: 9_000, stale_since: None };
        self.known.insert(query(name, query_type), Ok(kept));
        self
    }

    fn has(self, name: &str, address: &str) -> Self {
        let address: std::net::IpAddr = address.parse().unwrap();
        let query_type = if address.is_ipv4() { QueryType::A } else { QueryType::Aaaa };
        self.knows(name, query_type, Found::Addresses([address].into()))
    }

    fn fails(mut self, name: &str, query_type: QueryType, failure: Unresolved) -> Self {
        self.known.insert(query(name, query_type), Err(failure));
        self
    }

    /// Resolves a name; what is not known does not exist.
    fn resolves(&mut self, name: &str, kind: SoughtKind) -> Result<Resolution, Unresolved> {
        let mut search = Search::new(&Sought { name: name.into(), kind }, &self.hosts, &self.conf);
        loop {
            if let Some(outcome) = search.outcome(&self.hosts) {
                return outcome;
            }
            let open: Vec<Query> = search.open().cloned().collect();
            assert!(!open.is_empty());
            for query in open {
                self.asked.push(format!("{} {:?}", query.name, query.query_type));
                let nothing = Arc::new(NameAnswer { found: Found::NoSuchName, ttl: 3 });
                let nothing = Ok(Kept { answer: nothing, fresh_for: 3_000, stale_since: None });
                search.settle(&query, self.known.get(&query).unwrap_or(&nothing));
            }
        }
    }

    fn shows(&mut self, name: &str, kind: SoughtKind) -> Vec<String> {
        shown(&self.resolves(name, kind).unwrap())
    }
}

fn shown(resolution: &Resolution) -> Vec<String> {
    let show = |endpoint: &headworks_core::names::Endpoint| match endpoint.port {
        Some(port) => {
            format!("{} {port} {} {} {}", endpoint.address, endpoint.priority, endpoint.weight, endpoint.host)
        }
        None => endpoint.address.to_string(),
    };
    resolution.endpoints.iter().map(show).collect()
}

fn service(priority: u16, port: u16, target: &str, addresses: &[&str]) -> Service {
    let addresses = addresses.iter().map(|text| text.parse().unwrap()).collect();
    Service { priority, weight: 5, port, target: Domain::new(target).unwrap(), addresses }
}

#[test]
fn literals_answer_themselves() {
    let mut world = World::default();
    for (name, expected) in [("192.0.2.1", "192.0.2.1"), ("2001:db8::1", "2001:db8::1"), ("[::1]", "::1")] {
        assert_eq!(world.shows(name, BOTH), [expected]);
    }
    let kind = SoughtKind::Addresses(Families::Ipv6Only);
    assert_eq!(world.resolves("192.0.2.1", kind), Err(Unresolved::NoAddresses));
    assert_eq!(world.resolves("192.0.2.1", SERVICE), Err(Unresolved::BadName));
    assert!(world.asked.is_empty());
}

#[test]
fn what_is_no_name_is_not_asked_for() {
    let mut world = World::with("", "search internal");
    for name in ["", ".", "a..b", "127.1", "ü", "a b", "[::1", "*"] {
        assert_eq!(world.resolves(name, BOTH), Err(Unresolved::BadName), "{name}");
    }
    assert!(world.asked.is_empty());
}

#[test]
fn the_file_of_hosts_comes_first_and_localhost_is_here() {
    let mut world = World::with("192.0.2.9 app\n192.0.2.8 localhost\n", "").has("app", "192.0.2.66");
    assert_eq!(world.shows("APP", BOTH), ["192.0.2.9"]);
    assert_eq!(world.shows("localhost", BOTH), ["192.0.2.8"]);
    assert_eq!(world.shows("a.localhost.", BOTH), ["::1", "127.0.0.1"]);
    assert_eq!(world.shows("localhost", SoughtKind::Addresses(Families::Ipv6Only)), ["::1"]);
    assert!(world.asked.is_empty());
    // The file knows nothing of this family.
    let kind = SoughtKind::Addresses(Families::Ipv6Only);
    assert_eq!(world.resolves("app", kind), Err(Unresolved::NoSuchName));
    assert_eq!(world.asked, ["app Aaaa"]);
}

#[test]
fn families_are_asked_side_by_side_and_given_in_their_order() {
    let four = Found::Addresses(["192.0.2.1", "192.0.2.2"].map(|text| text.parse().unwrap()).into());
    let mut world = World::default().knows("app", QueryType::A, four).has("app", "2001:db8::1");
    for (families, expected) in [
        (Families::Both, &["2001:db8::1", "192.0.2.1", "192.0.2.2"][..]),
        (Families::Ipv4First, &["192.0.2.1", "192.0.2.2", "2001:db8::1"]),
        (Families::Ipv6First, &["2001:db8::1", "192.0.2.1", "192.0.2.2"]),
        (Families::Ipv4Only, &["192.0.2.1", "192.0.2.2"]),
        (Families::Ipv6Only, &["2001:db8::1"]),
    ] {
        world.asked.clear();
        assert_eq!(world.shows("app", SoughtKind::Addresses(families)), expected, "{families:?}");
        let only = matches!(families, Families::Ipv4Only | Families::Ipv6Only);
        assert_eq!(world.asked.len(), if only { 1 } else { 2 });
    }
}

#[test]
fn a_family_that_fails_does_not_lose_the_other() {
    let mut world =
        World::default().has("app", "192.0.2.1").fails("app", QueryType::Aaaa, Unresolved::Timeout);
    let resolution = world.resolves("app", BOTH).unwrap();
    assert_eq!(shown(&resolution), ["192.0.2.1"]);
    assert_eq!(resolution.fresh_for, 1_000, "asked again soon");
    let mut world = World::default().knows("app", QueryType::A, Found::NoRecords).fails(
        "app",
        QueryType::Aaaa,
        Unresolved::Timeout,
    );
    assert_eq!(world.resolves("app", BOTH), Err(Unresolved::Timeout));
}

#[test]
fn a_resolution_holds_as_long_as_its_shortest_part_and_is_as_old_as_its_oldest() {
    let mut world = World::default().has("app", "192.0.2.1").has("app", "2001:db8::1");
    if let Some(Ok(kept)) = world.known.get_mut(&query("app", QueryType::Aaaa)) {
        kept.fresh_for = 4_000;
        kept.stale_since = Some(70_000);
    }
    let resolution = world.resolves("app", BOTH).unwrap();
    assert_eq!((resolution.fresh_for, resolution.stale_since), (4_000, Some(70_000)));
}

#[test]
fn names_are_searched_in_domains() {
    let kind = SoughtKind::Addresses(Families::Ipv4Only);
    let conf = "search one.example two.example\noptions ndots:2";
    let mut world = World::with("", conf).has("app.two.example", "192.0.2.2");
    assert_eq!(world.shows("app", kind), ["192.0.2.2"]);
    assert_eq!(world.asked, ["app.one.example A", "app.two.example A"]);
    for (name, expected) in [
        ("a.b", &["a.b.one.example A", "a.b.two.example A", "a.b A"][..]),
        ("a.b.c", &["a.b.c A", "a.b.c.one.example A", "a.b.c.two.example A"]),
        ("app.", &["app A"]),
    ] {
        world.asked.clear();
        assert_eq!(world.resolves(name, kind), Err(Unresolved::NoSuchName));
        assert_eq!(world.asked, expected);
    }
}

#[test]
fn a_search_goes_on_after_a_failure_but_not_after_silence() {
    let kind = SoughtKind::Addresses(Families::Ipv4Only);
    let world = || World::with("", "search one.example").has("app", "192.0.2.2");
    let mut failing = world().fails("app.one.example", QueryType::A, Unresolved::ServerFailure);
    assert_eq!(failing.shows("app", kind), ["192.0.2.2"]);
    assert_eq!(failing.resolves("other.one.example.", kind), Err(Unresolved::NoSuchName));
    let mut silent = world().fails("app.one.example", QueryType::A, Unresolved::Timeout);
    assert_eq!(silent.resolves("app", kind), Err(Unresolved::Timeout));
    let mut failing = World::with("", "search one.example").fails(
        "app.one.example",
        QueryType::A,
        Unresolved::ServerFailure,
    );
    assert_eq!(
        failing.resolves("app", kind),
        Err(Unresolved::ServerFailure),
        "nobody said that it does not exist"
    );
}

#[test]
fn a_name_without_addresses_is_not_one_that_does_not_exist() {
    let mut world =
        World::with("", "search one.example").knows("app.one.example", QueryType::A, Found::NoRecords);
    assert_eq!(world.resolves("app", BOTH), Err(Unresolved::NoAddresses));
    assert_eq!(world.resolves("other", BOTH), Err(Unresolved::NoSuchName));
}

#[test]
fn hosts_of_a_service_are_resolved_by_what_stands_beside_them_and_by_asking() {
    let name = "_http._tcp.app.example";
    let services = Found::Services(
        [
            service(2, 82, "late.example", &[]),
            service(1, 80, "beside.example", &["192.0.2.1"]),
            service(1, 81, "file.example", &["192.0.2.66"]),
            service(1, 83, "gone.example", &[]),
        ]
        .into(),
    );
    let mut world = World::with("192.0.2.9 file.example", "")
        .knows(name, QueryType::Srv, services)
        .has("late.example", "192.0.2.2")
        .has("late.example", "2001:db8::2")
        .has("beside.example", "2001:db8::1")
        .fails("gone.example", QueryType::A, Unresolved::Timeout);
    let expected = [
        "192.0.2.1 80 1 5 beside.example",
        "2001:db8::1 80 1 5 beside.example",
        "192.0.2.9 81 1 5 file.example",
        "192.0.2.2 82 2 5 late.example",
        "2001:db8::2 82 2 5 late.example",
    ];
    let resolution = world.resolves(&format!("{name}."), SERVICE).unwrap();
    assert_eq!(shown(&resolution), expected);
    assert_eq!(resolution.fresh_for, 1_000);
    let asked = [
        "_http._tcp.app.example Srv",
        "beside.example Aaaa",
        "gone.example A",
        "gone.example Aaaa",
        "late.example A",
        "late.example Aaaa",
    ];
    assert_eq!(world.asked, asked);
}

#[test]
fn a_service_without_hosts_or_with_hosts_without_addresses() {
    let name = "_http._tcp.app.example";
    let of = |found| World::default().knows(name, QueryType::Srv, found);
    assert_eq!(of(Found::NoRecords).resolves(name, SERVICE), Err(Unresolved::NoAddresses));
    assert_eq!(of(Found::NoSuchName).resolves(name, SERVICE), Err(Unresolved::NoSuchName));
    let services = || Found::Services([service(1, 80, "gone.example", &[])].into());
    assert_eq!(of(services()).resolves(name, SERVICE), Err(Unresolved::NoAddresses));
    let mut failing = of(services()).fails("gone.example", QueryType::Aaaa, Unresolved::ServerFailure);
    assert_eq!(failing.resolves(name, SERVICE), Err(Unresolved::ServerFailure));
}

#[test]
fn hosts_of_a_service_are_bounded_and_each_is_asked_for_once() {
    let name = "_x._tcp.example";
    let many: Vec<_> = (0..1_000_u16).map(|n| service(n, n, &format!("h{n}.example"), &[])).collect();
    let mut world = World::default().knows(name, QueryType::Srv, Found::Services(many.into()));
    assert_eq!(world.resolves(name, SERVICE), Err(Unresolved::NoAddresses));
    assert_eq!(world.asked.len(), 1 + 256 * 2);
    let same: Vec<_> = (0..100).map(|n| service(1, n, "h.example", &[])).collect();
    let mut world = World::default()
        .knows(name, QueryType::Srv, Found::Services(same.into()))
        .has("h.example", "192.0.2.1");
    assert_eq!(world.resolves(name, SERVICE).unwrap().endpoints.len(), 100);
    assert_eq!(world.asked.len(), 3);
}

#[test]
fn something_is_found_before_all_is() {
    let sought = Sought { name: "app".into(), kind: BOTH };
    let (hosts, conf) = (HostsFile::default(), ResolverConf::default());
    let mut search = Search::new(&sought, &hosts, &conf);
    assert!(!search.has_some());
    let answer = NameAnswer { found: Found::Addresses([[192, 0, 2, 1].into()].into()), ttl: 9 };
    let kept = Kept { answer: Arc::new(answer), fresh_for: 9_000, stale_since: None };
    search.settle(&query("app", QueryType::A), &Ok(kept));
    assert!(search.has_some());
    assert_eq!(search.outcome(&hosts), None);
    assert_eq!(search.open().cloned().collect::<Vec<_>>(), [query("app", QueryType::Aaaa)]);
}
