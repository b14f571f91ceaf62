//! Stories: what becomes of requests when servers fail, are full, or answer in unusual ways.

use headworks_core::close::{CloseReason, Fault};
use headworks_core::http::exchange::{ExchangeAction, ExchangeEvent, ExchangeState, Stopped};
use headworks_core::tally::Count;
use serde_json::json;

use crate::stage::{Client, House, sites, sites_with};
use crate::{GET, OK, POST, PUT, SWITCH, SWITCHED};

const CONNECT: &str = "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n";
const AGAIN: ExchangeAction = ExchangeAction::Connect { fresh: false };
const FRESH: ExchangeAction = ExchangeAction::Connect { fresh: true };

fn refused(reason: CloseReason) -> ExchangeAction {
    ExchangeAction::Refuse(reason)
}

/// A client whose request went out by a connection that was kept.
fn by_a_kept_connection<'a>(house: &'a House, said: &str) -> Client<'a> {
    let mut client = house.client(said);
    assert_eq!(client.looks_for_server(), AGAIN);
    assert_eq!(client.event(ExchangeEvent::Connected { kept: true }), ExchangeAction::Ask);
    client
}

/// Connections, retries and failed connects that were counted.
fn counted(house: &House) -> [u64; 3] {
    let backend = &house.plan.backends[0];
    let failures = house.servers().iter().map(|server| server.state.tally.sum(Count::ConnectFailures)).sum();
    [backend.tally.sum(Count::Connections), backend.tally.sum(Count::Retries), failures]
}

mod repeating {
    use super::*;

    #[test]
    fn what_a_kept_connection_lost_is_asked_again_at_the_same_server_by_a_fresh_one() {
        let house = House::new(sites());
        let mut client = by_a_kept_connection(&house, GET);
        let server = client.server();
        assert_eq!(client.loses(true, true), FRESH);
        assert_eq!((client.server(), client.state()), (server, ExchangeState::Connecting));
        client.connects();
        assert_eq!((counted(&house), client.exchange.retries()), ([1, 0, 0], 0), "no retry, and no fault");
        assert_eq!(client.request_stops(Stopped::Done), ExchangeAction::Wait);
        assert_eq!(client.gets(OK), ExchangeAction::Wait);
        assert_eq!(client.response_stops(Stopped::Done), ExchangeAction::Finish { keep: true });
    }

    #[test]
    fn once_a_kept_connection_was_lost_none_is_tried_any_more() {
        let house = House::new(sites());
        let mut client = by_a_kept_connection(&house, GET);
        assert_eq!(client.loses(true, false), FRESH);
        assert_eq!(client.connect_fails(), FRESH, "another server");
        assert_eq!(client.server(), Some(1));
    }

    #[test]
    fn a_post_of_which_bytes_were_taken_is_not_repeated() {
        for kept in [true, false] {
            let house = House::new(sites());
            let mut client = by_a_kept_connection(&house, POST);
            assert_eq!(client.loses(kept, true), refused(CloseReason::ServerReset), "kept: {kept}");
            assert_eq!((client.exchange.status(), house.active()), (502, 0));
        }
    }

    #[test]
    fn a_post_of_which_nothing_was_taken_is_repeated() {
        let house = House::new(sites());
        assert_eq!(by_a_kept_connection(&house, POST).loses(true, false), FRESH);
        let house = House::new(sites());
        assert_eq!(by_a_kept_connection(&house, POST).loses(false, false), AGAIN);
    }

    #[test]
    fn a_request_whose_body_is_not_at_hand_any_more_is_not_repeated() {
        let house = House::new(sites());
        let mut client = by_a_kept_connection(&house, PUT);
        assert_eq!(client.request_passes(1, Stopped::Dry), ExchangeAction::Wait);
        assert_eq!(client.loses(true, true), refused(CloseReason::ServerReset));
    }

    #[test]
    fn a_request_whose_server_has_spoken_is_not_repeated() {
        let house = House::new(sites());
        let mut client = by_a_kept_connection(&house, GET);
        assert_eq!(client.server_says("HTTP/1.1 103 Early Hints\r\n\r\n"), ExchangeAction::PassInterim);
        assert_eq!(client.loses(true, true), refused(CloseReason::ServerReset));
    }

    #[test]
    fn of_two_servers_one_is_dead() {
        let house = House::new(sites());
        let mut client = house.client(GET);
        assert_eq!(client.looks_for_server(), AGAIN);
        assert_eq!((client.server(), house.server(0).active()), (Some(0), 1));
        assert_eq!(client.connect_fails(), AGAIN);
        assert_eq!((client.server(), house.server(0).active(), house.server(1).active()), (Some(1), 0, 1));
        client.connects();
        assert_eq!((counted(&house), client.exchange.retries()), ([1, 1, 1], 1));
        assert_eq!(client.exchange.attempts().fault(), Some(Fault::Refused));
    }

    #[test]
    fn a_server_that_leads_back_here_is_passed_over_and_not_ejected() {
        let house = House::new(sites());
        for _ in 0..5 {
            let mut client = house.client(GET);
            assert_eq!(client.looks_for_server(), AGAIN);
            let failed = ExchangeEvent::ConnectFailed(Fault::Loop);
            assert_eq!(client.event(failed), AGAIN, "another server may not");
            assert_eq!(client.event(failed), refused(CloseReason::Loop));
            assert_eq!((client.exchange.status(), house.active()), (508, 0));
        }
    }

    #[test]
    fn retries_have_an_end() {
        for (retries, choices) in [(0, 1), (1, 2), (5, 2)] {
            let house = House::new(sites_with(&[("/backends/app/retries", json!(retries))]));
            let mut client = house.client(GET);
            assert_eq!(client.looks_for_server(), AGAIN);
            for _ in 1..choices {
                assert_eq!(client.connect_fails(), AGAIN);
            }
            assert_eq!(client.connect_fails(), refused(CloseReason::NoServer));
            assert_eq!((client.exchange.retries(), house.active()), (choices - 1, 0));
            assert_eq!(counted(&house), [0, choices as u64 - 1, choices as u64]);
        }
    }

    #[test]
    fn who_was_lost_without_an_answer_is_not_asked_again_and_the_last_failure_counts() {
        let house = House::new(sites());
        let mut client = house.client(GET).has_asked();
        assert_eq!(client.loses(false, true), AGAIN);
        client.connects();
        assert_eq!(client.loses(false, true), refused(CloseReason::ServerReset));
        assert_eq!((counted(&house), client.exchange.retries()), ([2, 1, 0], 1));
    }

    #[test]
    fn the_only_server_that_gave_no_answer_was_no_retry() {
        let house = House::new(sites_with(&[("/backends/app/retries", json!(0))]));
        let mut client = house.client(GET).has_asked();
        assert_eq!(client.loses(false, true), refused(CloseReason::ServerReset));
        assert_eq!((counted(&house), client.exchange.retries()), ([1, 0, 0], 0));
    }

    #[test]
    fn failed_connects_eject() {
        let house = House::new(sites());
        for _ in 0..3 {
            let mut client = house.client(GET);
            house.server(1).set_up(false, 0);
            client.looks_for_server();
            assert_eq!(client.waits_in_vain(), refused(CloseReason::NoServer));
        }
        assert!(house.server(0).is_ejected(house.now.get()));
    }

    #[test]
    fn bad_responses_in_a_row_eject() {
        let house = House::new(sites_with(&[("/backends/app/ejection", json!({"responses": 2}))]));
        for (status, ejected) in [(500, false), (404, false), (503, false), (599, true)] {
            house.server(1).set_up(false, 0);
            let mut client = house.client(GET).has_asked();
            client.gets(&format!("HTTP/1.1 {status} Oh\r\nContent-Length: 0\r\n\r\n"));
            assert_eq!(house.server(0).is_ejected(house.now.get()), ejected, "{status}");
        }
    }
}

mod waiting {
    use super::*;

    /// A client that stands in line for a place.
    fn in_line(house: &House) -> Client<'_> {
        house.fill_up();
        let mut client = house.client(GET);
        assert_eq!(client.looks_for_server(), ExchangeAction::Line);
        client
    }

    #[test]
    fn who_waits_is_called_until_there_is_a_place() {
        let house = House::new(sites());
        let mut client = in_line(&house);
        let deadline = client.waits();
        assert_eq!(client.event(ExchangeEvent::Called), ExchangeAction::Wait, "another worker was faster");
        assert_eq!((client.state(), client.waits()), (ExchangeState::InLine, deadline));
        house.taken.borrow_mut().pop();
        // Those behind it in line are no reason to wait on.
        house.others_wait.set(true);
        assert_eq!(client.event(ExchangeEvent::Called), AGAIN);
        assert_eq!(client.server(), Some(1));
    }

    #[test]
    fn nobody_overtakes() {
        let house = House::new(sites());
        house.others_wait.set(true);
        assert_eq!(house.client(GET).looks_for_server(), ExchangeAction::Line, "although there are places");
    }

    #[test]
    fn who_has_failed_somewhere_does_not_go_back_in_line() {
        let house = House::new(sites());
        let mut client = house.client(GET);
        client.looks_for_server();
        house.others_wait.set(true);
        assert_eq!(client.connect_fails(), AGAIN);
        let house = House::new(sites());
        let mut client = house.client(GET);
        client.looks_for_server();
        house.fill_up();
        assert_eq!(client.connect_fails(), refused(CloseReason::NoServer));
    }

    #[test]
    fn a_line_that_is_full_or_takes_too_long() {
        let house = House::new(sites());
        let mut client = in_line(&house);
        assert_eq!(client.event(ExchangeEvent::LineFull), refused(CloseReason::QueueFull));
        assert_eq!(client.exchange.status(), 503);
        let mut client = in_line(&house);
        house.wait(5_000);
        client.event(ExchangeEvent::Called);
        assert_eq!(client.waits(), Some(6_000), "a call that was in vain is no new beginning");
        assert_eq!(client.waits_in_vain(), refused(CloseReason::QueueTimeout));
        assert_eq!(client.ends(CloseReason::Completed), CloseReason::QueueTimeout);
    }

    #[test]
    fn the_time_in_line_is_part_of_the_decision() {
        let house = House::new(sites());
        let mut client = in_line(&house);
        house.taken.borrow_mut().clear();
        house.wait(700);
        client.event(ExchangeEvent::Called);
        house.wait(30);
        client.connects();
        assert_eq!(client.exchange.waits(), (Some(700), Some(30)));
    }
}

mod answering {
    use super::*;

    #[test]
    fn interim_responses_are_passed_on_and_hidden_from_old_clients() {
        for (version, action) in [("1.1", ExchangeAction::PassInterim), ("1.0", ExchangeAction::Skip)] {
            let house = House::new(sites());
            let mut client = house.client(&GET.replace("1.1", version)).has_asked();
            for status in [100, 103] {
                assert_eq!(client.server_says(&format!("HTTP/1.1 {status} Wait\r\n\r\n")), action);
                assert!(matches!(client.state(), ExchangeState::Awaiting(_)));
            }
            assert_eq!(client.gets(OK), ExchangeAction::Wait);
        }
    }

    const WORKING: &str = "HTTP/1.1 102 Processing\r\n\r\n";

    #[test]
    fn a_server_that_never_comes_to_the_point() {
        for (limit, version) in [(0, "1.1"), (3, "1.1"), (3, "1.0"), (40, "1.1")] {
            let house = House::new(sites_with(&[("/backends/app/interim_limit", json!(limit))]));
            let mut client = house.client(&GET.replace("1.1", version)).has_asked();
            for _ in 0..limit {
                assert!(matches!(
                    client.server_says(WORKING),
                    ExchangeAction::PassInterim | ExchangeAction::Skip
                ));
            }
            assert_eq!(client.server_says(WORKING), refused(CloseReason::BadResponse), "{limit} {version}");
        }
    }

    #[test]
    fn a_server_that_says_that_it_works_is_waited_for() {
        for version in ["1.1", "1.0"] {
            let house = House::new(sites());
            let mut client = house.client(&GET.replace("1.1", version)).has_asked();
            for _ in 0..10 {
                house.wait(13_000);
                assert_eq!(client.waits(), Some(1_000));
                client.server_says(WORKING);
                assert_eq!(client.waits(), Some(14_000), "response_timeout begins anew");
            }
            assert_eq!(client.gets(OK), ExchangeAction::Wait);
        }
    }

    #[test]
    fn a_server_that_only_says_that_it_works_has_an_end() {
        let house = House::new(sites_with(&[("/backends/app/interim_timeout", json!(30_000))]));
        let mut client = house.client(GET).has_asked();
        for left in [14_000, 14_000, 4_000] {
            house.wait(if left == 4_000 { 12_000 } else { 7_000 });
            assert_eq!(client.server_says(WORKING), ExchangeAction::PassInterim);
            assert_eq!(client.waits(), Some(left));
        }
        assert_eq!(client.waits_in_vain(), refused(CloseReason::ResponseTimeout));
    }

    #[test]
    fn what_came_while_the_client_was_still_asking_does_not_count_against_the_answer() {
        let house = House::new(sites_with(&[("/backends/app/interim_timeout", json!(30_000))]));
        let mut client = house.client(PUT).reaches();
        assert_eq!(client.server_says("HTTP/1.1 100 Continue\r\n\r\n"), ExchangeAction::PassInterim);
        assert_eq!(client.waits(), Some(13_000), "its client is waited for: body_timeout");
        client.request_stops(Stopped::Full);
        house.wait(10_000);
        assert_eq!(client.server_says(WORKING), ExchangeAction::PassInterim);
        assert_eq!(client.waits(), Some(14_000), "the server that takes no more is");
        client.request_passes(3, Stopped::Done);
        house.wait(10_000);
        assert_eq!(client.server_says(WORKING), ExchangeAction::PassInterim);
        assert_eq!(client.waits(), Some(14_000));
    }

    #[test]
    fn a_switch_that_was_offered_and_one_that_was_not() {
        let house = House::new(sites());
        let mut client = house.client(SWITCH).has_asked();
        assert_eq!(client.gets(SWITCHED), ExchangeAction::Wait);
        assert!(matches!(client.state(), ExchangeState::Tunnel(_)) && !client.exchange.keeps_client());
        drop(client);
        let mut client = house.client(GET).has_asked();
        assert_eq!(client.server_says(SWITCHED), refused(CloseReason::BadResponse));
        assert!(client.exchange.keeps_client(), "the client has done nothing wrong");
    }

    /// A client that speaks through CONNECT.
    fn tunnel(house: &House) -> Client<'_> {
        let mut client = house.client(CONNECT).has_asked();
        assert_eq!(client.gets("HTTP/1.1 200 OK\r\n\r\n"), ExchangeAction::Wait);
        client
    }

    #[test]
    fn a_tunnel_ends_when_both_sides_have_in_either_order() {
        let house = House::new(sites());
        let mut client = tunnel(&house);
        assert_eq!(client.request_stops(Stopped::Done), ExchangeAction::FinishServer);
        assert_eq!(client.request_stops(Stopped::Done), ExchangeAction::Wait, "told once");
        assert_eq!(client.response_stops(Stopped::Done), ExchangeAction::Abort(CloseReason::Completed));
        assert_eq!(client.ends(CloseReason::Completed), CloseReason::Completed);
        let mut client = tunnel(&house);
        assert_eq!(client.response_stops(Stopped::Done), ExchangeAction::FinishClient);
        assert_eq!(client.response_stops(Stopped::Done), ExchangeAction::Wait, "told once");
        assert_eq!(client.request_passes(5, Stopped::Dry), ExchangeAction::Wait, "it may go on");
        assert_eq!(client.request_stops(Stopped::Done), ExchangeAction::Abort(CloseReason::Completed));
    }

    #[test]
    fn every_byte_of_a_tunnel_keeps_it() {
        let house = House::new(sites());
        let mut client = tunnel(&house);
        for _ in 0..3 {
            house.wait(15_999);
            client.request_passes(1, Stopped::Dry);
        }
        assert_eq!(client.waits(), Some(16_000));
        assert_eq!(client.waits_in_vain(), ExchangeAction::Abort(CloseReason::TunnelTimeout));
    }

    #[test]
    fn connect_that_is_off_or_refused_by_the_server() {
        let house = House::new(sites_with(&[("/listeners/web/http", json!({"connect": false}))]));
        let mut client = house.client(CONNECT);
        assert_eq!(client.asks(), refused(CloseReason::MethodNotAllowed));
        assert!(!client.exchange.keeps_client(), "what follows may be meant for a tunnel");
        let house = House::new(sites());
        let mut client = house.client(CONNECT).has_asked();
        assert_eq!(client.gets("HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n"), ExchangeAction::Wait);
        assert!(matches!(client.state(), ExchangeState::Answering(_)));
    }

    #[test]
    fn an_early_answer_is_the_last_one() {
        let house = House::new(sites());
        let mut client = house.client(PUT).reaches();
        client.request_passes(1, Stopped::Dry);
        assert_eq!(client.gets(OK), ExchangeAction::Wait);
        assert!(client.exchange.passes_request(), "what it still says is passed on");
        client.exchange.response.advance(b"ok").unwrap();
        assert!(!client.exchange.may_keep_server(true, &client.around()), "it has not asked all");
        assert_eq!(client.response_stops(Stopped::Done), ExchangeAction::Finish { keep: false });
    }

    #[test]
    fn a_deaf_server_is_heard() {
        let house = House::new(sites());
        let mut client = house.client(PUT).reaches();
        client.request_passes(1, Stopped::Dry);
        assert_eq!(client.request_stops(Stopped::SinkBroken), ExchangeAction::Listen);
        assert!(!client.exchange.passes_request(), "it gets nothing more");
        assert_eq!(client.gets("HTTP/1.1 413 Enough\r\nContent-Length: 0\r\n\r\n"), ExchangeAction::Wait);
        assert!(!client.exchange.passes_request());
        client.exchange.request.advance(b"abc").unwrap();
        assert!(!client.exchange.may_keep_server(true, &client.around()), "nor another request");
        assert_eq!(client.response_stops(Stopped::Done), ExchangeAction::Finish { keep: false });
    }

    #[test]
    fn a_deaf_server_that_says_nothing_is_to_blame_itself() {
        let house = House::new(sites());
        let mut client = house.client(PUT).reaches();
        client.request_stops(Stopped::SinkBroken);
        assert_eq!(client.waits(), Some(14_000), "response_timeout");
        assert_eq!(client.waits_in_vain(), refused(CloseReason::ResponseTimeout));
        let mut client = house.client(PUT).reaches();
        client.request_stops(Stopped::SinkBroken);
        assert_eq!(client.loses(false, true), AGAIN, "all of it is still at hand");
    }

    #[test]
    fn a_server_that_is_full_is_to_blame_itself() {
        let house = House::new(sites());
        let mut client = house.client(PUT).reaches();
        client.request_passes(1, Stopped::Full);
        assert_eq!(client.waits(), Some(14_000), "response_timeout");
        client.request_passes(1, Stopped::Dry);
        assert_eq!(client.waits(), Some(13_000), "body_timeout");
        client.request_passes(0, Stopped::Full);
        assert_eq!(client.waits_in_vain(), refused(CloseReason::ResponseTimeout));
    }
}

mod bodies {
    use super::*;

    const LONG: &str = "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 90000\r\n\r\n";

    #[test]
    fn a_body_that_comes_too_slowly() {
        let house = House::new(sites_with(&[("/listeners/web/http", json!({"min_body_rate": 1_000}))]));
        let mut client = house.client(LONG).reaches();
        house.wait(9_000);
        assert_eq!(
            client.request_passes(1, Stopped::Dry),
            ExchangeAction::Wait,
            "it may have waited to be called"
        );
        house.wait(2_000);
        assert_eq!(client.request_passes(1, Stopped::Dry), ExchangeAction::Wait, "not judged yet");
        house.wait(1_000);
        assert_eq!(
            client.request_passes(2_998, Stopped::Dry),
            ExchangeAction::Wait,
            "3,000 bytes in 3 seconds"
        );
        house.wait(2);
        assert_eq!(client.request_passes(1, Stopped::Dry), refused(CloseReason::BodyTimeout));
        assert!(!client.exchange.keeps_client());
        assert_eq!((client.exchange.status(), house.active()), (408, 0));
    }

    #[test]
    fn what_came_with_the_head_counts() {
        let house = House::new(sites_with(&[("/listeners/web/http", json!({"min_body_rate": 1_000}))]));
        let mut client = house.client(&(LONG.to_owned() + &"x".repeat(3_000))).reaches();
        client.request_passes(1, Stopped::Dry);
        house.wait(3_000);
        assert_eq!(client.request_passes(1, Stopped::Dry), ExchangeAction::Wait);
    }

    #[test]
    fn a_body_that_stands_still() {
        let house = House::new(sites());
        let mut client = house.client(LONG).reaches();
        house.wait(12_999);
        client.request_passes(1, Stopped::Dry);
        assert_eq!(client.waits(), Some(13_000));
        assert_eq!(client.waits_in_vain(), refused(CloseReason::BodyTimeout));
    }

    #[test]
    fn a_body_that_is_too_large() {
        let house = House::new(sites_with(&[("/listeners/web/http", json!({"body_limit": 10}))]));
        let mut client = house.client(LONG);
        assert_eq!(client.asks(), refused(CloseReason::BodyTooLarge), "it says so itself");
        let chunked = "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n";
        let mut client = house.client(chunked).reaches();
        assert_eq!(client.request_passes(8, Stopped::TooLarge), refused(CloseReason::BodyTooLarge));
        assert_eq!((client.exchange.status(), client.exchange.keeps_client()), (413, false));
    }
}
