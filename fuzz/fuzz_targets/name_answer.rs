//! Answers of nameservers, arbitrary bytes and bytes behind the right question: no panic, no answer without its id, and
//! an inquiry that ends.

#![no_main]

use headworks_core::names::{
    AnswerParsed, Domain, Found, Inquiry, InquiryAction, InquiryEvent, NameAnswer, Query, QueryType,
    SentQuery,
};
use libfuzzer_sys::fuzz_target;

const KINDS: [QueryType; 3] = [QueryType::A, QueryType::Aaaa, QueryType::Srv];
const HEADER: usize = 12;

fuzz_target!(|bytes: &[u8]| {
    let Some((first, rest)) = bytes.split_first() else { return };
    let name = Domain::new("_x._tcp.www.example").expect("a name");
    let query = Query { name, query_type: KINDS[usize::from(*first) % 3] };
    let sent = SentQuery::new(&query, u128::from(*first), true).expect("a query");
    check(&sent.read_datagram(rest));
    let parsed = sent.read_stream(rest);
    assert!(rest.get(..2) == Some(&sent.bytes()[..2]) || parsed == AnswerParsed::Foreign);
    // The same bytes as an answer: flags and counts, then the question that was asked, then what is left.
    let Some((counts, records)) = rest.split_at_checked(8) else { return };
    let end = sent.bytes().len() - 11;
    let mut answer = [&sent.bytes()[..2], counts, &[0, 4], &sent.bytes()[HEADER..end], records].concat();
    answer[2] |= 0x80;
    answer[2] &= 0x87;
    answer[4..6].copy_from_slice(&[0, 1]);
    check(&sent.read_datagram(&answer));
    check(&sent.read_stream(&answer));
    let nameserver = "192.0.2.1:53".parse().expect("an address");
    let mut inquiry = Inquiry::new(query, vec![nameserver], 2);
    let mut action = inquiry.begin(u128::from(*first));
    let mut steps = 0;
    while !matches!(action, InquiryAction::Finish(_)) {
        steps += 1;
        assert!(steps < 64, "it goes on");
        let random = u128::from(*first);
        action = match action {
            InquiryAction::Send => inquiry.handle(InquiryEvent::Datagram(&answer), random),
            InquiryAction::Connect => inquiry.handle(InquiryEvent::Stream(&answer), random),
            _ => inquiry.handle(InquiryEvent::TimedOut, random),
        };
    }
});

fn check(parsed: &AnswerParsed) {
    match parsed {
        AnswerParsed::Answer(NameAnswer { found: Found::Addresses(found), .. }) => assert!(!found.is_empty()),
        AnswerParsed::Answer(NameAnswer { found: Found::Services(found), .. }) => assert!(!found.is_empty()),
        AnswerParsed::Alias { name, links, .. } => {
            assert!((1..=8).contains(links) && Domain::new(name.as_str()).as_ref() == Some(name));
        }
        _ => {}
    }
}
