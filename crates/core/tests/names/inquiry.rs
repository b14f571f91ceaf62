//! Traces of inquiries: whom they ask, what they believe, and how they end.

use std::net::SocketAddr;

use headworks_core::names::{Found, Inquiry, InquiryAction, InquiryEvent, NameAnswer, QueryType, Unresolved};
use proptest::prelude::*;

use crate::wire::{A, Answer, CNAME, TRUNCATED, answer, name, query, question, record};

const FIRST: &str = "192.0.2.1:53";
const SECOND: &str = "192.0.2.2:53";

struct Trace {
    inquiry: Inquiry,
    random: u128,
}

impl Trace {
    fn begin(nameservers: &[&str], attempts: usize) -> (Self, InquiryAction) {
        let nameservers = nameservers.iter().map(|text| text.parse().unwrap()).collect();
        let inquiry = Inquiry::new(query("app.example", QueryType::A), nameservers, attempts);
        let mut trace = Self { inquiry, random: 0x1234_5678_9abc_def0 };
        let action = trace.inquiry.begin(trace.random);
        (trace, action)
    }

    fn asks(&self) -> String {
        self.inquiry.nameserver().as_ref().map(SocketAddr::to_string).unwrap()
    }

    fn sent(&self) -> Vec<u8> {
        self.inquiry.sent().unwrap().bytes().to_vec()
    }

    fn happens(&mut self, event: InquiryEvent<'_>) -> InquiryAction {
        self.random = self.random.wrapping_mul(0x2545_f491_4f6c_dd1d).wrapping_add(1);
        self.inquiry.handle(event, self.random)
    }

    fn answers(&mut self, answer: &Answer) -> InquiryAction {
        let bytes = answer.to(&self.sent());
        self.happens(InquiryEvent::Datagram(&bytes))
    }
}

fn honest(last: u8) -> Answer {
    answer(&[record("app.example", A, 60, &[192, 0, 2, last])])
}

fn found(last: u8) -> InquiryAction {
    let found = Found::Addresses([[192, 0, 2, last].into()].into());
    InquiryAction::Finish(Ok(NameAnswer { found, ttl: 60 }))
}

fn failed(failure: Unresolved) -> InquiryAction {
    InquiryAction::Finish(Err(failure))
}

#[test]
fn an_answer_ends_it() {
    let (mut trace, action) = Trace::begin(&[FIRST], 2);
    assert_eq!(action, InquiryAction::Send);
    assert_eq!(trace.asks(), FIRST);
    assert_eq!(trace.answers(&honest(7)), found(7));
    assert_eq!(trace.happens(InquiryEvent::TimedOut), InquiryAction::Wait);
}

#[test]
fn silent_failing_and_refusing_nameservers_are_passed_by_in_rounds() {
    let (mut trace, _) = Trace::begin(&[FIRST, SECOND], 2);
    let first = trace.sent();
    assert_eq!(trace.happens(InquiryEvent::TimedOut), InquiryAction::Send);
    assert_eq!(trace.asks(), SECOND);
    assert_ne!(trace.sent()[..2], first[..2], "another id");
    assert_ne!(question(&trace.sent()), question(&first), "another case");
    assert_eq!(trace.answers(&Answer { bits: 2, ..Answer::default() }), InquiryAction::Send);
    assert_eq!(trace.asks(), FIRST);
    assert_eq!(trace.answers(&Answer { bits: 5, ..Answer::default() }), InquiryAction::Send);
    assert_eq!(trace.asks(), SECOND);
    assert_eq!(trace.happens(InquiryEvent::Unreachable), failed(Unresolved::Unreachable));
}

#[test]
fn an_answer_to_what_was_asked_before_is_not_believed() {
    let (mut trace, _) = Trace::begin(&[FIRST, SECOND], 2);
    let late = honest(66).to(&trace.sent());
    trace.happens(InquiryEvent::TimedOut);
    assert_eq!(trace.happens(InquiryEvent::Datagram(&late)), InquiryAction::Wait);
    assert_eq!(trace.answers(&honest(7)), found(7));
}

#[test]
fn what_has_no_room_or_no_case_is_asked_for_by_a_connection() {
    for (bits, lower) in [(TRUNCATED, false), (0, true)] {
        let (mut trace, _) = Trace::begin(&[FIRST, SECOND], 2);
        let mut bytes = Answer { bits, ..honest(66) }.to(&trace.sent());
        if lower {
            let end = 12 + question(&trace.sent()).len();
            bytes[12..end].make_ascii_lowercase();
        }
        assert_eq!(trace.happens(InquiryEvent::Datagram(&bytes)), InquiryAction::Connect);
        assert_eq!(trace.asks(), FIRST);
        let bytes = honest(7).to(&trace.sent());
        assert_eq!(trace.happens(InquiryEvent::Stream(&bytes)), found(7));
    }
}

#[test]
fn a_connection_that_fails_or_lies_leads_to_the_next_nameserver() {
    let (mut trace, _) = Trace::begin(&[FIRST, SECOND], 1);
    trace.answers(&Answer { bits: TRUNCATED, ..Answer::default() });
    let mut lie = honest(66).to(&trace.sent());
    lie[0] ^= 1;
    assert_eq!(trace.happens(InquiryEvent::Stream(&lie)), InquiryAction::Send);
    assert_eq!(trace.asks(), SECOND);
    trace.answers(&Answer { bits: TRUNCATED, ..Answer::default() });
    assert_eq!(trace.happens(InquiryEvent::Unreachable), failed(Unresolved::Unreachable));
}

#[test]
fn whoever_guesses_gets_a_connection_instead() {
    let (mut trace, _) = Trace::begin(&[FIRST], 1);
    let mut guess = honest(66).to(&trace.sent());
    guess[1] ^= 0xff;
    for _ in 1..32 {
        assert_eq!(trace.happens(InquiryEvent::Datagram(&guess)), InquiryAction::Wait);
    }
    assert_eq!(trace.happens(InquiryEvent::Datagram(&guess)), InquiryAction::Connect);
}

#[test]
fn a_nameserver_of_old_is_asked_without_edns() {
    let (mut trace, _) = Trace::begin(&[FIRST, SECOND], 1);
    let with = trace.sent().len();
    assert_eq!(trace.answers(&Answer { bits: 1, ..Answer::default() }), InquiryAction::Send);
    assert_eq!(trace.asks(), FIRST);
    assert!(trace.sent().len() < with);
    assert_eq!(trace.answers(&honest(7)), found(7));
}

#[test]
fn aliases_are_followed_by_asking_again() {
    let (mut trace, _) = Trace::begin(&[FIRST], 1);
    let alias = answer(&[record("app.example", CNAME, 9, &name("other.example"))]);
    assert_eq!(trace.answers(&alias), InquiryAction::Send);
    assert!(
        question(&trace.sent()).eq_ignore_ascii_case(&[&name("other.example")[..], &[0, 1, 0, 1]].concat())
    );
    let answer = answer(&[record("other.example", A, 60, &[192, 0, 2, 7])]);
    let found = Found::Addresses([[192, 0, 2, 7].into()].into());
    assert_eq!(trace.answers(&answer), InquiryAction::Finish(Ok(NameAnswer { found, ttl: 9 })));
}

#[test]
fn aliases_in_a_circle_end_after_eight() {
    let (mut trace, _) = Trace::begin(&[FIRST], 2);
    for n in 0..8 {
        let (from, to) = if n % 2 == 0 { ("app.example", "b.example") } else { ("b.example", "app.example") };
        assert_eq!(trace.answers(&answer(&[record(from, CNAME, 9, &name(to))])), InquiryAction::Send, "{n}");
    }
    let last = answer(&[record("app.example", CNAME, 9, &name("b.example"))]);
    assert_eq!(trace.answers(&last), failed(Unresolved::Loop));
}

#[test]
fn without_nameservers_nobody_is_asked() {
    let (_, action) = Trace::begin(&[], 2);
    assert_eq!(action, failed(Unresolved::Unreachable));
}

proptest! {
    /// Whatever nameservers do, an inquiry ends after a bounded number of steps, and then for good.
    #[test]
    fn it_always_ends(steps in proptest::collection::vec((0_u8..8, any::<Vec<u8>>()), 400)) {
        let (mut trace, mut action) = Trace::begin(&[FIRST, SECOND], 2);
        let mut asked = 0;
        let mut ended = false;
        for (kind, bytes) in steps {
            asked += u32::from(matches!(action, InquiryAction::Send | InquiryAction::Connect));
            ended |= matches!(action, InquiryAction::Finish(_));
            if ended {
                break;
            }
            let name_now = trace.inquiry.sent().map(|sent| question(sent.bytes()).to_vec()).unwrap();
            let labels = &name_now[..name_now.len() - 4];
            action = match kind {
                0 => trace.happens(InquiryEvent::TimedOut),
                1 => trace.happens(InquiryEvent::Unreachable),
                2 => trace.happens(InquiryEvent::Datagram(&bytes)),
                3 => trace.happens(InquiryEvent::Stream(&bytes)),
                4 => trace.answers(&Answer { bits: u16::from(bytes.first().copied().unwrap_or(2) & 15 | 2), ..Answer::default() }),
                5 => trace.answers(&Answer { bits: TRUNCATED, ..Answer::default() }),
                6 => trace.answers(&Answer { bits: 1, ..Answer::default() }),
                _ => {
                    let alias = [labels, &[0, 5, 0, 1, 0, 0, 0, 9, 0, 3, 1, b'x', 0]].concat();
                    trace.answers(&answer(&[alias]))
                }
            };
        }
        prop_assert!(ended, "it goes on after {} questions", asked);
        // Four attempts, eight aliases, once without EDNS, and a connection after each.
        prop_assert!(asked <= 26, "{}", asked);
    }
}
