//! What is read from an answer, and what is not believed.

use std::net::IpAddr;

use headworks_core::names::{
    AnswerParsed, Domain, Found, NameAnswer, Query, QueryType, SentQuery, StreamAnswer, Unresolved,
};
use proptest::prelude::*;

use crate::wire::{
    A, AAAA, Answer, CNAME, NS, SOA, SRV, TRUNCATED, answer, name, query, question, record, sent, service,
    start,
};

fn addresses(parsed: &AnswerParsed) -> Vec<String> {
    match parsed {
        AnswerParsed::Answer(NameAnswer { found: Found::Addresses(found), .. }) => {
            found.iter().map(IpAddr::to_string).collect()
        }
        other => panic!("no addresses: {other:?}"),
    }
}

fn absent(found: Found, ttl: u32) -> AnswerParsed {
    AnswerParsed::Answer(NameAnswer { found, ttl })
}

#[test]
fn a_query_has_a_random_id_and_mixed_case_and_asks_for_small_datagrams() {
    let query = query("www.example.com", QueryType::Aaaa);
    let sent = SentQuery::new(&query, 0b101_1011 << 16 | 0x1234, true).unwrap();
    let expected =
        [&[0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1][..], &name("WWw.ExAmple.com"), &[0, 28, 0, 1]];
    let options = [0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0];
    assert_eq!(sent.bytes(), [expected.concat(), options.to_vec()].concat());
    assert_eq!(sent.framed(), [&[0, sent.bytes().len() as u8][..], sent.bytes()].concat());
    let old = SentQuery::new(&query, 0x1234, false).unwrap();
    assert_eq!(question(old.bytes()), [&name("www.example.com")[..], &[0, 28, 0, 1]].concat());
    assert_eq!(old.bytes().len() + options.len(), sent.bytes().len());
}

#[test]
fn addresses_are_read_once_each_with_the_shortest_time() {
    let sent = sent("app.example", QueryType::A);
    let records = [
        record("APP.example", A, 300, &[192, 0, 2, 1]),
        record("app.example", A, 30, &[192, 0, 2, 2]),
        record("app.example", A, 300, &[192, 0, 2, 1]),
        record("app.example", AAAA, 1, &[0; 16]),
        record("app.example", 99, 1, b"something"),
    ];
    let parsed = sent.read_datagram(&answer(&records).to(sent.bytes()));
    assert_eq!(addresses(&parsed), ["192.0.2.1", "192.0.2.2"]);
    assert!(matches!(parsed, AnswerParsed::Answer(NameAnswer { ttl: 30, .. })));
}

#[test]
fn two_hundred_records_are_read() {
    let sent = sent("app.example", QueryType::Aaaa);
    let records: Vec<_> = (0..200)
        .map(|n| record("app.example", AAAA, 60, &[&[0x20, 1, 0xd, 0xb8][..], &[0; 11], &[n]].concat()))
        .collect();
    assert_eq!(addresses(&sent.read_stream(&answer(&records).to(sent.bytes()))).len(), 200);
}

#[test]
fn no_more_records_are_kept_than_anybody_needs() {
    let sent = sent("a.example", QueryType::A);
    let records =
        |count: u32| -> Vec<_> { (0..count).map(|n| record("a.example", A, 60, &n.to_be_bytes())).collect() };
    let most = sent.read_stream(&answer(&records(2_000)).to(sent.bytes()));
    assert_eq!(addresses(&most).len(), 1_024);
    let too_many = sent.read_stream(&answer(&records(4_097)).to(sent.bytes()));
    assert_eq!(too_many, AnswerParsed::Failed(Unresolved::Malformed));
}

#[test]
fn another_id_or_question_is_no_answer() {
    let sent = sent("app.example", QueryType::A);
    let honest = answer(&[record("app.example", A, 60, &[192, 0, 2, 66])]).to(sent.bytes());
    assert_eq!(addresses(&sent.read_datagram(&honest)), ["192.0.2.66"]);
    let end = 12 + question(sent.bytes()).len();
    // Every bit of id and question, and of what says that it is an answer to one standard query.
    for (at, bits) in (0..2).chain(4..6).chain(12..end).map(|at| (at, 0xff)).chain([(2, 0xf8)]) {
        for bit in (0..8).map(|n| 1_u8 << n).filter(|bit| bits & bit != 0) {
            let mut lie = honest.clone();
            lie[at] ^= bit;
            let parsed = sent.read_datagram(&lie);
            let is_letter = at > 12 && lie[at].is_ascii_alphabetic() && bit == 0x20;
            let expected = if is_letter { AnswerParsed::OtherCase } else { AnswerParsed::Foreign };
            assert_eq!(parsed, expected, "octet {at}, bit {bit}");
        }
    }
    assert_eq!(sent.read_datagram(sent.bytes()), AnswerParsed::Foreign);
    assert_eq!(sent.read_datagram(&honest[..end - 1]), AnswerParsed::Foreign);
    assert_eq!(sent.read_datagram(&honest[..honest.len() - 1]), AnswerParsed::Failed(Unresolved::Malformed));
}

#[test]
fn case_does_not_matter_on_a_connection() {
    let sent = sent("app.example", QueryType::A);
    let mut bytes = answer(&[record("app.example", A, 60, &[192, 0, 2, 1])]).to(sent.bytes());
    let end = 12 + question(sent.bytes()).len();
    bytes[12..end].make_ascii_lowercase();
    assert_eq!(sent.read_datagram(&bytes), AnswerParsed::OtherCase);
    assert_eq!(addresses(&sent.read_stream(&bytes)), ["192.0.2.1"]);
}

#[test]
fn records_of_other_names_are_passed_over() {
    let sent = sent("app.example", QueryType::A);
    let records = [
        record("bank.example", A, 60, &[192, 0, 2, 66]),
        record("other.example", CNAME, 60, &name("app.example")),
    ];
    let parsed = sent.read_datagram(&answer(&records).to(sent.bytes()));
    assert_eq!(parsed, absent(Found::NoRecords, 0));
}

#[test]
fn records_without_content_or_of_another_class_say_nothing() {
    let sent = sent("app.example", QueryType::A);
    let empty = record("app.example", A, 60, &[]);
    let mut other_class = record("app.example", A, 60, &[192, 0, 2, 66]);
    other_class[name("app.example").len() + 3] = 3;
    for record in [empty, other_class] {
        let parsed = sent.read_datagram(&answer(&[record]).to(sent.bytes()));
        assert_eq!(parsed, absent(Found::NoRecords, 0));
    }
}

#[test]
fn aliases_are_followed_as_far_as_the_answer_goes() {
    let sent = sent("www.example", QueryType::A);
    // In no order, and with what does not belong to the chain.
    let records = [
        record("c.example", A, 500, &[192, 0, 2, 3]),
        record("b.example", CNAME, 50, &name("C.example")),
        record("www.example", CNAME, 400, &name("b.example")),
        record("b.example", 99, 1, b"x"),
    ];
    let parsed = sent.read_datagram(&answer(&records).to(sent.bytes()));
    assert_eq!(addresses(&parsed), ["192.0.2.3"]);
    assert!(matches!(parsed, AnswerParsed::Answer(NameAnswer { ttl: 50, .. })));
    let parsed = sent.read_datagram(&answer(&records[1..]).to(sent.bytes()));
    let name = Domain::new("c.example").unwrap();
    assert_eq!(parsed, AnswerParsed::Alias { name, links: 2, ttl: 50 });
    // With a start of authority the nameserver says that it knows the end of the chain.
    let known = Answer { authorities: vec![record("example", SOA, 7, &start(9))], ..answer(&records[1..]) };
    assert_eq!(sent.read_datagram(&known.to(sent.bytes())), absent(Found::NoRecords, 7));
    let known = Answer { bits: 3, ..known };
    assert_eq!(sent.read_datagram(&known.to(sent.bytes())), absent(Found::NoSuchName, 7));
}

#[test]
fn aliases_in_a_circle_or_without_end_are_failures() {
    let sent = sent("a0.example", QueryType::A);
    let circle = [
        record("a0.example", CNAME, 1, &name("b.example")),
        record("b.example", CNAME, 1, &name("a0.example")),
    ];
    assert_eq!(sent.read_datagram(&answer(&circle).to(sent.bytes())), AnswerParsed::Failed(Unresolved::Loop));
    let chain = |links: usize| {
        let alias = |n| record(&format!("a{n}.example"), CNAME, 1, &name(&format!("a{}.example", n + 1)));
        let mut records: Vec<_> = (0..links).map(alias).collect();
        records.push(record(&format!("a{links}.example"), A, 1, &[192, 0, 2, 1]));
        sent.read_datagram(&answer(&records).to(sent.bytes()))
    };
    assert_eq!(addresses(&chain(8)), ["192.0.2.1"]);
    assert_eq!(chain(9), AnswerParsed::Failed(Unresolved::Loop));
    let odd = [record("a0.example", CNAME, 1, b"\x03a.b\x00")];
    assert_eq!(
        sent.read_datagram(&answer(&odd).to(sent.bytes())),
        AnswerParsed::Failed(Unresolved::Malformed)
    );
}

#[test]
fn absence_holds_as_long_as_the_start_of_authority_says() {
    let sent = sent("app.example", QueryType::A);
    let absence = |bits, ttl, minimum| {
        let authorities = vec![record("example", SOA, ttl, &start(minimum))];
        sent.read_datagram(&Answer { bits, authorities, ..Answer::default() }.to(sent.bytes()))
    };
    assert_eq!(absence(3, 300, 60), absent(Found::NoSuchName, 60));
    assert_eq!(absence(0, 30, 60), absent(Found::NoRecords, 30));
    assert_eq!(absence(3, u32::MAX, u32::MAX), absent(Found::NoSuchName, 0));
    let bare = sent.read_datagram(&Answer { bits: 3, ..Answer::default() }.to(sent.bytes()));
    assert_eq!(bare, absent(Found::NoSuchName, 0));
}

#[test]
fn failures_of_a_nameserver_have_names() {
    let sent = sent("app.example", QueryType::A);
    let old = SentQuery::new(&query("app.example", QueryType::A), 7, false).unwrap();
    for (code, expected) in [
        (1, AnswerParsed::NoEdns),
        (2, AnswerParsed::Failed(Unresolved::ServerFailure)),
        (4, AnswerParsed::NoEdns),
        (5, AnswerParsed::Failed(Unresolved::Refused)),
        (9, AnswerParsed::Failed(Unresolved::ServerFailure)),
    ] {
        let whole = Answer { bits: code, ..Answer::default() }.to(sent.bytes());
        assert_eq!(sent.read_datagram(&whole), expected, "{code}");
        // Some send the header alone.
        let header = [&whole[..4], &[0; 8]].concat();
        assert_eq!(sent.read_datagram(&header), expected, "{code}");
        let to_old = Answer { bits: code, ..Answer::default() }.to(old.bytes());
        assert!(matches!(old.read_datagram(&to_old), AnswerParsed::Failed(_)), "{code}");
    }
    let header = [sent.bytes()[0], sent.bytes()[1], 0x81, 0x80, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(sent.read_datagram(&header), AnswerParsed::Foreign);
}

#[test]
fn an_answer_without_room_is_asked_for_again_and_taken_on_a_connection() {
    let sent = sent("app.example", QueryType::A);
    let cut = Answer { bits: TRUNCATED, ..answer(&[record("app.example", A, 60, &[192, 0, 2, 1])]) };
    assert_eq!(sent.read_datagram(&cut.to(sent.bytes())), AnswerParsed::Truncated);
    assert_eq!(addresses(&sent.read_stream(&cut.to(sent.bytes()))), ["192.0.2.1"]);
    let empty = Answer { bits: TRUNCATED, ..Answer::default() };
    assert_eq!(sent.read_stream(&empty.to(sent.bytes())), AnswerParsed::Failed(Unresolved::Malformed));
}

#[test]
fn a_nameserver_that_sends_us_elsewhere_refuses() {
    let sent = sent("app.example", QueryType::A);
    let authorities = vec![record("example", NS, 60, &name("ns.example"))];
    let mut bytes = Answer { authorities, ..Answer::default() }.to(sent.bytes());
    assert_eq!(sent.read_datagram(&bytes), absent(Found::NoRecords, 0));
    bytes[3] &= 0x7f;
    assert_eq!(sent.read_datagram(&bytes), AnswerParsed::Failed(Unresolved::Refused));
}

#[test]
fn services_are_read_with_the_addresses_beside_them() {
    let sent = sent("_http._tcp.app.example", QueryType::Srv);
    let owner = "_http._tcp.app.example";
    let honest = Answer {
        answers: vec![
            record(owner, SRV, 60, &service(1, 10, 8080, "one.example")),
            record(owner, SRV, 60, &service(2, 0, 8081, "two.example")),
            record(owner, SRV, 60, &service(0, 0, 0, ".")),
        ],
        authorities: vec![record("example", NS, 60, &name("ns.example"))],
        additionals: vec![
            record("ONE.example", A, 20, &[192, 0, 2, 1]),
            record("one.example", AAAA, 60, &[1; 16]),
            record("bank.example", A, 1, &[192, 0, 2, 66]),
        ],
        ..Answer::default()
    };
    let parsed = sent.read_datagram(&honest.to(sent.bytes()));
    let AnswerParsed::Answer(NameAnswer { found: Found::Services(services), ttl: 20 }) = parsed else {
        panic!("no services: {parsed:?}")
    };
    let seen: Vec<_> = services
        .iter()
        .map(|s| (s.priority, s.weight, s.port, s.target.as_str(), s.addresses.len()))
        .collect();
    assert_eq!(seen, [(1, 10, 8080, "one.example", 2), (2, 0, 8081, "two.example", 0)]);
    let gone = answer(&[record(owner, SRV, 60, &service(0, 0, 0, "."))]).to(sent.bytes());
    assert_eq!(sent.read_datagram(&gone), absent(Found::NoRecords, 60));
}

#[test]
fn pointers_that_run_in_circles_or_forward_are_no_message() {
    let sent = sent("app.example", QueryType::A);
    let end = 12 + question(sent.bytes()).len();
    for target in [end, end + 2, end + 100, 0x3fff] {
        let pointer = (0xc000 | target as u16).to_be_bytes();
        let mut bytes = Answer::default().to(sent.bytes());
        bytes[7] = 1;
        bytes.extend_from_slice(&pointer);
        bytes.extend_from_slice(&[0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 192, 0, 2, 66]);
        assert_eq!(sent.read_datagram(&bytes), AnswerParsed::Failed(Unresolved::Malformed), "{target}");
    }
}

#[test]
fn pointers_in_long_rows_are_no_message() {
    let sent = sent("app.example", QueryType::A);
    let rows = |pointers: u16, kind: u16| {
        let mut bytes = answer(&[record("row", 99, 1, &vec![0; usize::from(2 * pointers)])]).to(sent.bytes());
        let begin = bytes.len() as u16 - 2 * pointers;
        for n in 1..pointers {
            let at = usize::from(begin + 2 * n);
            bytes[at..at + 2].copy_from_slice(&(0xc000 | (begin + 2 * (n - 1))).to_be_bytes());
        }
        let last = (0xc000 | (begin + 2 * (pointers - 1))).to_be_bytes();
        let (owner, target) =
            if kind == CNAME { (name("x"), last.to_vec()) } else { (last.to_vec(), vec![1; 4]) };
        bytes.extend_from_slice(&owner);
        bytes.extend_from_slice(&[0, kind as u8, 0, 1, 0, 0, 0, 1, 0, target.len() as u8]);
        bytes.extend_from_slice(&target);
        bytes[7] = 2;
        sent.read_stream(&bytes)
    };
    for kind in [A, CNAME] {
        assert_eq!(rows(100, kind), absent(Found::NoRecords, 0), "{kind}");
        assert_eq!(rows(4_000, kind), AnswerParsed::Failed(Unresolved::Malformed), "{kind}");
    }
}

#[test]
fn counts_that_promise_more_than_there_is_take_no_memory() {
    let sent = sent("app.example", QueryType::A);
    let mut bytes = Answer::default().to(sent.bytes());
    bytes[6..12].copy_from_slice(&[0x0f, 0xff, 0xff, 0xff, 0xff, 0xff]);
    assert_eq!(sent.read_datagram(&bytes), AnswerParsed::Failed(Unresolved::Malformed));
}

fn any_query() -> impl Strategy<Value = Query> {
    let label = "[a-zA-Z0-9_-]{1,20}[a-z]";
    let query_type = prop_oneof![Just(QueryType::A), Just(QueryType::Aaaa), Just(QueryType::Srv)];
    (proptest::collection::vec(label, 1..6), query_type)
        .prop_map(|(labels, query_type)| Query { name: Domain::new(&labels.join(".")).unwrap(), query_type })
}

/// Bytes that go deep: an answer to the query with records that are half right.
fn near(sent: &SentQuery, codes: u16, rest: &[u8]) -> Vec<u8> {
    let mut bytes = Answer { bits: codes & 0x048f, ..Answer::default() }.to(sent.bytes());
    bytes[7] = (codes >> 4 & 7) as u8;
    bytes[9] = (codes >> 7 & 3) as u8;
    bytes[11] = (codes >> 9 & 7) as u8;
    bytes.extend_from_slice(rest);
    bytes
}

proptest! {
    #[test]
    fn any_name_makes_a_query(query in any_query(), random: u128, edns: bool) {
        let sent = SentQuery::new(&query, random, edns).unwrap();
        prop_assert_eq!(&sent.bytes()[..2], &(random as u16).to_be_bytes());
        let expected = name(query.name.as_str());
        let written = &question(sent.bytes())[..expected.len()];
        prop_assert!(written.eq_ignore_ascii_case(&expected));
        let bytes = Answer::default().to(sent.bytes());
        prop_assert_eq!(sent.read_datagram(&bytes), absent(Found::NoRecords, 0));
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes: Vec<u8>, random: u128, query in any_query()) {
        let sent = SentQuery::new(&query, random, true).unwrap();
        let parsed = sent.read_datagram(&bytes);
        let has_id = bytes.get(..2) == Some(&sent.bytes()[..2]);
        prop_assert!(has_id || parsed == AnswerParsed::Foreign);
        sent.read_stream(&bytes);
    }

    #[test]
    fn any_records_are_read_without_panic(codes: u16, rest: Vec<u8>, query in any_query()) {
        let sent = SentQuery::new(&query, 7, true).unwrap();
        prop_assert_ne!(sent.read_datagram(&near(&sent, codes, &rest)), AnswerParsed::Foreign);
    }

    #[test]
    fn a_broken_answer_is_never_foreign_and_never_panics(at: prop::sample::Index, byte: u8, cut: prop::sample::Index) {
        let sent = sent("_x._tcp.example", QueryType::Srv);
        let whole = Answer {
            answers: vec![
                record("_x._tcp.example", CNAME, 9, &name("y.example")),
                record("y.example", SRV, 9, &service(1, 1, 1, "z.example")),
            ],
            additionals: vec![record("z.example", A, 1, &[192, 0, 2, 1])],
            ..Answer::default()
        }
        .to(sent.bytes());
        let end = 12 + question(sent.bytes()).len();
        let mut broken = whole[..end + cut.index(whole.len() - end)].to_vec();
        if broken.len() > end {
            let at = end + at.index(broken.len() - end);
            broken[at] = byte;
        }
        prop_assert_ne!(sent.read_stream(&broken), AnswerParsed::Foreign);
    }

    #[test]
    fn a_message_comes_over_a_connection_in_any_pieces(message: Vec<u8>, cuts: Vec<prop::sample::Index>, rest: Vec<u8>) {
        let mut bytes = (message.len() as u16).to_be_bytes().to_vec();
        bytes.extend_from_slice(&message);
        let whole = bytes.len();
        bytes.extend_from_slice(&rest);
        let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
        places.extend([0, bytes.len()]);
        places.sort_unstable();
        let mut stream = StreamAnswer::default();
        for pair in places.windows(2) {
            let found = stream.push(&bytes[pair[0]..pair[1]]).map(<[u8]>::to_vec);
            prop_assert_eq!(found, (pair[1] >= whole).then(|| message.clone()));
        }
    }
}
