//! Ends: how exchanges end, what is given back, and in which form a response is passed on.

use headworks_core::close::CloseReason;
use headworks_core::http::coding::Coding;
use headworks_core::http::exchange::{ExchangeAction, ExchangeEvent, Form, Stopped};
use headworks_core::http::rewrite::Variation;
use headworks_core::message::{Framing, Head, Persistence};
use headworks_core::wire::http1;
use serde_json::json;

use crate::stage::{Client, House, sites, sites_with};
use crate::{DEADLINES, GET, OK, POST, stand};

/// The reason recorded when the deadline of each state has passed.
const EXPIRED: [(&str, CloseReason); 8] = [
    ("InLine", CloseReason::QueueTimeout),
    ("Asking", CloseReason::BodyTimeout),
    ("Awaiting", CloseReason::ResponseTimeout),
    ("Answering", CloseReason::IdleTimeout),
    ("Told", CloseReason::NoMatch),
    ("Tunnel", CloseReason::TunnelTimeout),
    ("Tunnel C", CloseReason::TunnelTimeout),
    ("Tunnel S", CloseReason::TunnelTimeout),
];

#[test]
fn places_and_permits_come_back_at_every_end() {
    for (column, _) in DEADLINES {
        for broken in [false, true] {
            let house = House::new(sites_with(&[("/listeners/web/http/max_requests_per_client", json!(1))]));
            let mut client = stand(&house, column);
            let others = house.taken.borrow().len() as u32;
            assert!(house.active() <= others + 1);
            let reason = if broken { CloseReason::ClientReset } else { CloseReason::ClientClosed };
            let told = [("Told", CloseReason::NoMatch), ("Over", CloseReason::Drained)];
            let expected = told.iter().find(|one| one.0 == column).map_or(reason, |one| one.1);
            if column != "Over" {
                assert_eq!(
                    client.event(ExchangeEvent::Left { broken }),
                    ExchangeAction::Abort(reason),
                    "{column}"
                );
            }
            assert_eq!(client.ends(reason), expected, "{column}");
            assert_eq!(house.active(), others, "{column}: a place");
            assert_eq!(house.client(GET).asks(), ExchangeAction::Write(0), "{column}: a permit");
        }
    }
}

#[test]
fn an_exchange_that_is_cleared_holds_nothing() {
    let house = House::new(sites_with(&[("/listeners/web/http/max_requests_per_client", json!(1))]));
    let mut client = house.client(GET).has_asked();
    assert_eq!(house.client(GET).asks(), ExchangeAction::Refuse(CloseReason::RateLimited));
    client.exchange.clear();
    assert_eq!((house.active(), house.client(GET).asks()), (0, ExchangeAction::Write(0)));
}

#[test]
fn every_deadline_ends_its_state() {
    for (column, reason) in EXPIRED {
        let house = House::new(sites());
        let mut client = stand(&house, column);
        let action = client.waits_in_vain();
        let refused = action == ExchangeAction::Refuse(reason);
        assert!(refused || matches!(action, ExchangeAction::Abort(_)), "{column}: {action:?}");
        if refused {
            assert_eq!(client.waits(), Some(15_000), "the client may take its time to read why");
            assert_eq!(client.waits_in_vain(), ExchangeAction::Abort(CloseReason::IdleTimeout));
        }
        assert_eq!(
            client.ends(CloseReason::IdleTimeout).as_str(),
            match column {
                "Tunnel" | "Tunnel C" | "Tunnel S" => CloseReason::IdleTimeout.as_str(),
                _ => reason.as_str(),
            }
        );
    }
}

#[test]
fn a_slow_reader_is_waited_for_while_it_takes_something() {
    let house = House::new(sites());
    let mut client = stand(&house, "Answering");
    house.wait(15_000);
    assert!(client.exchange.still_delivers(100, house.now.get()));
    assert_eq!(client.waits(), Some(15_000));
    house.wait(15_000);
    assert!(!client.exchange.still_delivers(100, house.now.get()), "nothing has moved");
    assert!(!client.exchange.still_delivers(0, house.now.get()), "nothing is on its way");
    assert_eq!(client.event(ExchangeEvent::Expired), ExchangeAction::Abort(CloseReason::IdleTimeout));
}

#[test]
fn no_refusal_follows_a_response_that_has_begun() {
    for (event, reason) in
        [(Stopped::TooLarge, CloseReason::BodyTooLarge), (Stopped::Malformed, CloseReason::BadRequest)]
    {
        let house = House::new(sites());
        let mut client = house.client(POST).reaches();
        client.gets(OK);
        assert_eq!(client.request_stops(event), ExchangeAction::Abort(reason));
        assert_eq!(house.active(), 0, "its server is let go at once");
    }
    let house = House::new(sites_with(&[("/listeners/web/http", json!({"min_body_rate": 1_000}))]));
    let mut client = house.client(POST).reaches();
    client.request_passes(1, Stopped::Dry);
    client.gets(OK);
    house.wait(5_000);
    assert_eq!(client.request_passes(1, Stopped::Dry), ExchangeAction::Abort(CloseReason::BodyTimeout));
}

#[test]
fn the_end_of_a_client_cancels_where_it_is_taken_for_leaving() {
    let house = House::new(sites());
    let mut client = house.client(GET);
    assert!(client.exchange.ends_with_client());
    client.exchange.meet(None, true);
    assert!(!client.exchange.ends_with_client());
    assert!(!stand(&house, "Tunnel").exchange.ends_with_client(), "the server may go on");
    assert!(!stand(&house, "Asking").exchange.ends_with_client(), "its body ends first");
}

#[test]
fn the_first_reason_stays() {
    let house = House::new(sites());
    let mut client = stand(&house, "Told");
    assert_eq!(client.exchange.end(CloseReason::Completed), CloseReason::NoMatch);
    assert_eq!(client.ends(CloseReason::ClientReset), CloseReason::NoMatch);
}

#[test]
fn what_cannot_be_read_is_refused_and_its_connection_ends() {
    for reason in [CloseReason::BadRequest, CloseReason::FirstBytesTimeout, CloseReason::TooLarge] {
        let house = House::new(sites());
        let mut client = house.garbage();
        assert_eq!(client.event(ExchangeEvent::Unreadable(reason)), ExchangeAction::Refuse(reason));
        assert_eq!(client.response_stops(Stopped::Done), ExchangeAction::Finish { keep: false });
    }
}

#[test]
fn a_backend_in_maintenance_has_its_own_pages() {
    let house = House::new(sites_with(&[("/backends/app/maintenance", json!(true))]));
    let mut client = house.client(GET);
    assert_eq!(client.asks(), ExchangeAction::Refuse(CloseReason::Maintenance));
    assert_eq!(client.exchange.backend(&client.around()).map(|backend| &*backend.name), Some("app"));
}

mod forms {
    use super::*;

    const TEXT: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n";

    /// A response head as the codec reads it.
    fn head(client: &Client<'_>, said: &str) -> Head {
        let mut head = Head::default();
        http1::response(
            said.as_bytes(),
            &client.around().listener.http.limits,
            client.exchange.method(),
            &mut head,
        );
        head
    }

    fn compressing() -> House {
        let gzip = json!({"algorithms": ["gzip"], "types": ["text/plain"], "min_size": 0});
        House::new(sites_with(&[("/listeners/web/compression", gzip)]))
    }

    /// Version, fields of the request and of the response; whether it is compressed, the form, and whether
    /// the client is kept.
    const FORMS: [(&str, &str, &str, bool, Form, bool); 8] = [
        ("1.1", "", "Content-Length: 2", false, Form::Same, true),
        ("1.1", "", "Transfer-Encoding: chunked", false, Form::Same, true),
        ("1.1", "", "X: to the end", false, Form::Same, false),
        ("1.1", "Accept-Encoding: gzip\r\n", "Content-Length: 2", true, Form::Compressed(Coding::Gzip), true),
        ("1.1", "Accept-Encoding: gzip\r\n", "X: to the end", true, Form::Compressed(Coding::Gzip), true),
        ("1.1", "Accept-Encoding: gzip\r\n", "Content-Encoding: br", false, Form::Same, false),
        ("1.0", "Connection: keep-alive\r\n", "Content-Length: 2", false, Form::Same, true),
        ("1.0", "Connection: keep-alive\r\n", "Transfer-Encoding: chunked", false, Form::Bare, false),
    ];

    #[test]
    fn the_form_follows_from_both_heads() {
        for (version, asks, says, compress, form, keeps) in FORMS {
            let house = compressing();
            let said = format!("GET / HTTP/{version}\r\nHost: a.example\r\n{asks}\r\n");
            let mut client = house.client(&said).has_asked();
            let said = format!("{TEXT}{says}\r\n\r\n");
            let coding = compress.then_some(Coding::Gzip);
            assert_eq!(
                client.server_says(&said),
                ExchangeAction::Reply { compress: coding },
                "{asks} {says}"
            );
            let head = head(&client, &said);
            assert_eq!(client.exchange.decide_form(&head, coding, false), form, "{version} {asks} {says}");
            assert_eq!(client.exchange.keeps_client(), keeps, "{version} {asks} {says}");
            let reply = client.exchange.reply(&head, &client.around());
            let framing = match form {
                Form::Same => head.framing,
                Form::Bare => Framing::ToEnd,
                Form::Compressed(_) | Form::Filtered => Framing::Chunked,
            };
            let persistence = match (keeps, version) {
                (false, _) => Persistence::Close,
                (true, "1.0") => Persistence::KeepSaid,
                (true, _) => Persistence::Keep,
            };
            assert_eq!((reply.framing, reply.persistence), (framing, persistence));
        }
    }

    #[test]
    fn without_a_compressor_a_response_stays_as_it_is_but_varies() {
        let house = compressing();
        let mut client =
            house.client(&GET.replace("\r\n\r\n", "\r\nAccept-Encoding: gzip\r\n\r\n")).has_asked();
        let said = format!("{TEXT}Content-Length: 2\r\n\r\n");
        client.server_says(&said);
        let head = head(&client, &said);
        assert_eq!(client.exchange.decide_form(&head, None, false), Form::Same);
        assert_eq!(client.exchange.reply(&head, &client.around()).variation, Variation::Varies);
        client.exchange.decide_form(&head, Some(Coding::Gzip), false);
        assert_eq!(client.exchange.reply(&head, &client.around()).variation, Variation::Applied("gzip"));
    }

    /// A house whose backend binds clients to servers, and a request with a cookie that names one of them.
    fn bound_to(server: usize) -> (House, String) {
        let affinity = json!({"cookie": "HW", "secret": "sixteen characters", "max_age": null});
        let house = House::new(sites_with(&[("/backends/app/affinity", affinity)]));
        let mut cookie = Vec::new();
        let rules = &house.plan.backends[0].http.rules;
        rules.affinity.as_ref().unwrap().write(&mut cookie, house.servers()[server].identity, false);
        let cookie = String::from_utf8(cookie).unwrap().split(';').next().unwrap().to_owned();
        (house, GET.replace("\r\n\r\n", &format!("\r\nCookie: {cookie}\r\n\r\n")))
    }

    /// The server that the cookie of the response names.
    fn cookie(client: &mut Client<'_>) -> Option<usize> {
        client.server_says(OK);
        let named = client.exchange.reply(&head(client, OK), &client.around()).affinity?;
        client.house.servers().iter().position(|server| server.identity == named)
    }

    #[test]
    fn a_client_gets_a_cookie_unless_it_has_that_of_its_server() {
        let (house, bound) = bound_to(1);
        let mut client = house.client(&bound).has_asked();
        assert_eq!((client.server(), cookie(&mut client)), (Some(1), None));
        drop(client);
        let mut client = house.client(GET).has_asked();
        assert_eq!((client.server(), cookie(&mut client)), (Some(0), Some(0)), "it has none");
        drop(client);
        house.server(1).set_up(false, 0);
        let mut client = house.client(&bound).has_asked();
        assert_eq!((client.server(), cookie(&mut client)), (Some(0), Some(0)), "its server is down");
    }

    #[test]
    fn a_client_whose_server_fails_is_bound_to_another() {
        let (house, bound) = bound_to(1);
        let mut client = house.client(&bound);
        client.looks_for_server();
        assert_eq!(
            (client.server(), client.connect_fails()),
            (Some(1), ExchangeAction::Connect { fresh: false })
        );
        client.connects();
        assert_eq!((client.server(), cookie(&mut client)), (Some(0), Some(0)));
    }

    #[test]
    fn a_server_is_kept_after_whole_messages_unless_it_was_told_of_one_client() {
        for (proxy, keeps) in [(json!(null), true), (json!("v2"), false)] {
            let house = House::new(sites_with(&[("/backends/app/proxy_protocol", proxy)]));
            let mut client = house.client(GET).has_asked();
            client.gets(OK);
            assert!(!client.exchange.may_keep_server(true, &client.around()), "not all was answered");
            client.exchange.response.advance(b"ok").unwrap();
            assert_eq!(client.exchange.may_keep_server(true, &client.around()), keeps);
            assert!(!client.exchange.may_keep_server(false, &client.around()), "not all was sent");
        }
    }
}
