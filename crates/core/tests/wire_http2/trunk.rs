//! The Trunk as traces: what comes, what is told, what is said.

use headworks_core::message::Method;
use headworks_core::wire::http2::ErrorCode;
use headworks_core::wire::http2::fields::write::WrittenHead;
use headworks_core::wire::http2::patience::Strain;
use headworks_core::wire::http2::trunk::{OUTPUT_LIMIT, TrunkLimits, TrunkRole};

use super::stage::{GET, LIMITS, OK, PUT, Stage};

/// Entries of SETTINGS as bytes.
fn settings(entries: &[(u16, u32)]) -> Vec<u8> {
    let bytes = |(id, value): &(u16, u32)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat();
    entries.iter().flat_map(bytes).collect()
}

#[test]
fn both_ends_greet() {
    let mut server = Stage::bare(TrunkRole::Server, TrunkLimits { upload_buffer: 100_000, ..LIMITS });
    assert_eq!(server.said(), "settings; window 0 34465");
    assert_eq!(server.feed(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r"), "");
    assert_eq!(server.feed(b"\n"), "");
    assert_eq!(server.frame(4, 0, 0, b""), "");
    assert_eq!(server.said(), "settings ack");
    assert_eq!(server.trunk.deadline(), Some(10_000), "that of the acknowledgement");
    assert_eq!(server.frame(4, 1, 0, b""), "");
    assert_eq!(server.trunk.deadline(), None);
    let mut client = Stage::bare(TrunkRole::Client, LIMITS);
    assert_eq!(client.said(), "settings");
    assert_eq!(client.trunk.deadline(), Some(5_000));
}

#[test]
fn what_is_no_preface_ends_it() {
    for bytes in [&b"GET / HTTP/1.1\r\n"[..], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\rX", b"PRI * HTTP/1"] {
        let mut server = Stage::bare(TrunkRole::Server, LIMITS);
        assert_eq!(server.feed(bytes), "Over PROTOCOL_ERROR");
        assert_eq!(server.said(), "settings; goaway 0 PROTOCOL_ERROR");
        assert!(server.trunk.is_over());
        assert_eq!(server.feed(b"more"), "");
    }
    // Settings come first, at either end.
    let mut client = Stage::bare(TrunkRole::Client, LIMITS);
    assert_eq!(client.frame(6, 0, 0, &[0; 8]), "Over PROTOCOL_ERROR");
}

#[test]
fn a_request_and_its_response() {
    let mut stage = Stage::server();
    assert_eq!(stage.headers(1, PUT, 4), "Head 1");
    assert_eq!(stage.sheet.message().host(), b"a.example");
    assert_eq!(stage.frame(0, 0, 1, b"hel"), "Body 1 3");
    assert_eq!(stage.frame(0, 9, 1, b"\x02lo\0\0"), "Body 1 2 end");
    assert!(stage.respond(1, "HTTP/1.1 103 Early\r\nLink: x\r\n\r\n", false));
    assert!(stage.respond(1, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n", false));
    assert!(!stage.respond(1, OK, true), "a final head is said once");
    assert_eq!(stage.trunk.send(1, b"ok", true), 2);
    let said = "head 1 :status: 103|link: x; head 1 :status: 200|content-length: 2; body 1 2 end";
    assert_eq!(stage.said(), said);
    stage.trunk.release(1);
    assert_eq!(stage.trunk.streams(), 0);
    assert_eq!((stage.said(), stage.trunk.send(1, b"late", true)), (String::new(), 0));
}

#[test]
fn a_client_asks() {
    let mut stage = Stage::bare(TrunkRole::Client, LIMITS);
    assert_eq!(stage.open(Method::Get, true), Some(1));
    assert_eq!(stage.open(Method::Get, true), None, "the others wait for the server's settings");
    let head = "head 1 :method: GET|:scheme: http|:authority: a.example|:path: / end";
    assert_eq!(stage.said(), format!("settings; {head}"));
    stage.frame(4, 0, 0, &settings(&[(3, 2), (8, 1)]));
    assert!(stage.trunk.takes_websocket());
    assert_eq!(stage.open(Method::Head, true), Some(3));
    assert_eq!(stage.open(Method::Get, true), None, "the server takes two");
    assert_eq!(stage.headers(1, ":status: 100", 4), "Head 1");
    assert_eq!(stage.headers(1, ":status: 200", 4), "Head 1");
    assert_eq!(stage.frame(0, 0, 1, b"body"), "Body 1 4");
    assert_eq!(stage.headers(1, "grpc-status: 0", 5), "Trailers 1");
    assert_eq!(stage.headers(3, ":status: 200|content-length: 5", 5), "Head 3 end");
    stage.trunk.release(1);
    assert_eq!(stage.open(Method::Get, true), Some(5));
    // What HEAD is answered with has no body.
    stage.trunk.release(3);
    assert_eq!(stage.open(Method::Head, true), Some(7));
    assert_eq!(stage.headers(7, ":status: 200|content-length: 5", 4), "Head 7");
    assert_eq!(stage.frame(0, 1, 7, b"hello"), "Broken 7 LengthDisagrees");
}

#[test]
fn servers_may_not() {
    for (what, expected) in [
        ("open", "Over PROTOCOL_ERROR"),
        ("push", "Over PROTOCOL_ERROR"),
        ("enable", "Over PROTOCOL_ERROR"),
        ("future", "Over PROTOCOL_ERROR"),
        ("prioritise", "Over PROTOCOL_ERROR"),
        ("body first", "Broken 1 NoBody"),
        ("switch", "Broken 1 Switching"),
        ("head twice", "Broken 1"),
    ] {
        let mut stage = Stage::client();
        stage.open(Method::Get, true);
        let seen = match what {
            "open" => stage.headers(2, ":status: 200", 5),
            "push" => stage.frame(5, 4, 1, b"\0\0\0\x02\x88"),
            "enable" => stage.frame(4, 0, 0, &settings(&[(2, 1)])),
            "future" => stage.headers(3, ":status: 200", 5),
            "prioritise" => stage.frame(16, 0, 0, b"\0\0\0\x01u=1"),
            "body first" => stage.frame(0, 0, 1, b"x"),
            "switch" => stage.headers(1, ":status: 101", 4),
            _ => {
                stage.headers(1, ":status: 200", 4);
                stage.headers(1, ":status: 200", 4)
            }
        };
        assert_eq!(seen, expected, "{what}");
    }
}

#[test]
fn settings_are_checked() {
    let mut wrong = vec![
        ((2, 2), "PROTOCOL_ERROR"),
        ((4, 0x8000_0000), "FLOW_CONTROL_ERROR"),
        ((5, 16_383), "PROTOCOL_ERROR"),
        ((5, 0x100_0000), "PROTOCOL_ERROR"),
        ((8, 2), "PROTOCOL_ERROR"),
        ((9, 2), "PROTOCOL_ERROR"),
    ];
    for (entry, code) in wrong.drain(..) {
        let mut stage = Stage::server();
        assert_eq!(stage.frame(4, 0, 0, &settings(&[entry])), format!("Over {code}"), "{entry:?}");
    }
    let mut stage = Stage::server();
    let fine = settings(&[(1, 0), (2, 1), (2, 0), (5, 0xff_ffff), (6, 9), (0x77, 1), (8, 1), (9, 1)]);
    assert_eq!((stage.frame(4, 0, 0, &fine), stage.said()), (String::new(), "settings ack".into()));
}

#[test]
fn windows_bound_what_is_sent() {
    let mut stage = Stage::server();
    stage.frame(4, 0, 0, &settings(&[(4, 10)]));
    stage.headers(1, GET, 5);
    stage.respond(1, OK, false);
    stage.said();
    assert_eq!(stage.trunk.send(1, &[0; 30], true), 10);
    assert_eq!((stage.said(), stage.trunk.room(1)), ("body 1 10".into(), 0));
    // A smaller first window leaves less than nothing.
    stage.frame(4, 0, 0, &settings(&[(4, 3)]));
    stage.frame(8, 0, 1, &7_u32.to_be_bytes());
    assert_eq!(stage.trunk.room(1), 0);
    stage.frame(8, 0, 1, &1_u32.to_be_bytes());
    assert_eq!(stage.trunk.room(1), 1);
    stage.frame(4, 0, 0, &settings(&[(4, 100)]));
    assert_eq!(stage.trunk.send(1, &[0; 20], true), 20);
    assert_eq!(stage.said(), "settings ack; settings ack; body 1 20 end");
    // Windows that would be too large.
    stage.headers(3, GET, 5);
    stage.frame(8, 0, 3, &0x7fff_ff00_u32.to_be_bytes());
    assert_eq!(stage.frame(4, 0, 0, &settings(&[(4, 0x7fff_ffff)])), "Over FLOW_CONTROL_ERROR");
    let mut stage = Stage::server();
    assert_eq!(stage.frame(8, 0, 0, &0x7fff_ffff_u32.to_be_bytes()), "Over FLOW_CONTROL_ERROR");
}

#[test]
fn an_end_needs_no_window() {
    let mut stage = Stage::server();
    stage.frame(4, 0, 0, &settings(&[(4, 0)]));
    stage.headers(1, GET, 5);
    stage.respond(1, OK, false);
    assert_eq!(stage.trunk.send(1, b"x", false), 0);
    assert_eq!(stage.trunk.fill(1, |_, room| room == 0), (0, true));
    assert_eq!(stage.said(), "settings ack; head 1 :status: 200; body 1 0 end");
}

#[test]
fn credit_is_given_when_bytes_have_left() {
    let mut stage = Stage::with(TrunkRole::Server, TrunkLimits { upload_buffer: 200_000, ..LIMITS });
    let head = ":method: PUT|:scheme: http|:authority: a|:path: /";
    stage.headers(1, head, 4);
    for _ in 0..3 {
        assert_eq!(stage.frame(0, 0, 1, &[0; 16_000]), "Body 1 16000");
    }
    assert_eq!(stage.said(), "", "nothing was passed on");
    stage.trunk.passed(1, 30_000);
    assert_eq!(stage.said(), "");
    stage.trunk.passed(1, 10_000);
    assert_eq!(stage.said(), "window 1 40000");
    // More than the window of the stream: its error.
    for _ in 0..3 {
        stage.frame(0, 0, 1, &[0; 16_000]);
    }
    assert_eq!(stage.frame(0, 0, 1, &[0; 16_000]), "Broken 1");
    // What comes for it is still counted for the connection.
    let said = stage.said();
    assert_eq!(said, "window 0 112000; reset 1 FLOW_CONTROL_ERROR");
    for _ in 0..7 {
        assert_eq!(stage.frame(0, 0, 1, &[0; 16_000]), "");
    }
    assert_eq!(stage.said(), "window 0 112000");
    // Padding is nobody's.
    stage.headers(3, head, 4);
    let padded = [&[255][..], &[0; 255]].concat();
    for _ in 0..128 {
        assert_eq!(stage.frame(0, 8, 3, &padded), "");
    }
    assert_eq!(stage.said(), "window 3 32768");
}

#[test]
fn windows_grow_where_all_is_passed_on() {
    let limits = TrunkLimits { window: 1_000, max_window: 3_000, upload_buffer: 66_000, ..LIMITS };
    let mut stage = Stage::with(TrunkRole::Server, limits);
    stage.headers(1, ":method: PUT|:scheme: http|:authority: a|:path: /", 4);
    let mut credits = Vec::new();
    for _ in 0..4 {
        stage.frame(0, 0, 1, &[0; 1_000]);
        stage.trunk.passed(1, 1_000);
        credits.push(stage.said());
    }
    assert_eq!(credits, ["window 1 2000", "window 1 2000", "", "window 1 2000"]);
}

#[test]
fn streams_over_the_limit_are_refused() {
    let mut stage = Stage::server();
    for id in [1, 3, 5, 7] {
        assert_eq!(stage.headers(id, GET, 5), format!("Head {id} end"));
    }
    assert_eq!(stage.headers(9, &format!("{GET}|x-table: kept"), 5), "");
    assert_eq!(stage.said(), "reset 9 REFUSED_STREAM");
    // A stream that its client has reset is work until it is released.
    assert_eq!(stage.frame(3, 0, 1, &8_u32.to_be_bytes()), "Reset 1 CANCEL");
    assert_eq!(stage.headers(11, GET, 5), "");
    stage.trunk.release(1);
    assert_eq!(stage.headers(13, &format!("{GET}|x-table: kept"), 5), "Head 13 end", "its table is whole");
}

#[test]
fn a_request_that_cannot_be_served_is_told_why() {
    let mut stage = Stage::server();
    let many = "|x: y".repeat(21);
    assert_eq!(stage.headers(1, &format!("{GET}{many}"), 5), "Unreadable 1 TooManyFields");
    assert!(stage.respond(1, "HTTP/1.1 431 \r\n\r\n", true));
    assert_eq!(stage.said(), "head 1 :status: 431 end");
    assert_eq!(stage.headers(3, &format!("{GET}|connection: x"), 5), "Broken 3 ConnectionField");
    assert_eq!((stage.said(), stage.trunk.streams()), ("reset 3 PROTOCOL_ERROR".into(), 1));
    assert_eq!(stage.trunk.strains(Strain::TooLarge), 1);
}

#[test]
fn blocks_that_cannot_be_decoded_end_it() {
    let mut stage = Stage::server();
    assert_eq!(stage.frame(1, 5, 1, &[0x80]), "Over COMPRESSION_ERROR");
    // Whatever the stream was for.
    let mut stage = Stage::server();
    stage.headers(1, GET, 5);
    stage.trunk.reset(1, ErrorCode::CANCEL);
    assert_eq!(stage.frame(1, 5, 1, &[0x80]), "Over COMPRESSION_ERROR");
}

#[test]
fn blocks_come_in_parts() {
    let mut stage = Stage::server();
    let block = stage.block(GET);
    assert_eq!(stage.frame(1, 1, 1, &block[..3]), "");
    assert_eq!(stage.trunk.deadline(), Some(5_000));
    assert_eq!(stage.frame(9, 0, 1, &block[3..5]), "");
    assert_eq!(stage.frame(9, 4, 1, &block[5..]), "Head 1 end");
    assert_eq!(stage.trunk.deadline(), None);
    // Not in too many, nor in too much.
    assert_eq!(stage.frame(1, 1, 3, b""), "");
    for _ in 0..7 {
        assert_eq!(stage.frame(9, 0, 3, b""), "");
    }
    assert_eq!(stage.frame(9, 0, 3, b""), "Over ENHANCE_YOUR_CALM");
    assert_eq!(stage.trunk.strains(Strain::EmptyFragment), 8);
    let mut stage = Stage::server();
    stage.frame(1, 1, 1, &[0; 16_000]);
    assert_eq!(stage.frame(9, 0, 1, &[0; 16_000]), "Over ENHANCE_YOUR_CALM");
}

#[test]
fn numbers_that_were_passed_over_may_not_be_used() {
    let mut stage = Stage::server();
    stage.headers(5, GET, 5);
    assert_eq!(stage.headers(3, GET, 5), "Over PROTOCOL_ERROR");
    assert_eq!(stage.said(), "goaway 5 PROTOCOL_ERROR");
}

#[test]
fn floods_end_it() {
    let cancel = 8_u32.to_be_bytes();
    type Step<'a> = (&'a str, Strain, Box<dyn Fn(&mut Stage, u32) -> String + 'a>);
    let steps: [Step<'_>; 9] = [
        ("ping", Strain::Ping, Box::new(|stage, _| stage.frame(6, 0, 0, &[0; 8]))),
        ("settings", Strain::Settings, Box::new(|stage, _| stage.frame(4, 0, 0, b""))),
        ("priority", Strain::Priority, Box::new(|stage, _| stage.frame(2, 0, 9, &[0, 0, 0, 3, 1]))),
        ("unknown", Strain::Unknown, Box::new(|stage, _| stage.frame(0x42, 0, 9, b""))),
        ("drip", Strain::TinyCredit, Box::new(|stage, _| stage.frame(8, 0, 0, &1_u32.to_be_bytes()))),
        (
            "rapid reset",
            Strain::Reset,
            Box::new(|stage, round| {
                let id = round * 2 + 1;
                let told = stage.headers(id, GET, 5) + &stage.frame(3, 0, id, &cancel);
                stage.trunk.release(id);
                told.replace(&format!("Head {id} endReset {id} CANCEL"), "")
            }),
        ),
        (
            "made to reset",
            Strain::Fault,
            Box::new(|stage, round| {
                let told = stage.headers(round * 2 + 1, &format!("{GET}|connection: x"), 5);
                told.split_once("ConnectionField").map_or(told.clone(), |(_, rest)| rest.to_owned())
            }),
        ),
        (
            "empty bodies",
            Strain::EmptyBody,
            Box::new(
                |stage, round| {
                    if round == 0 { stage.headers(1, PUT, 4) } else { stage.frame(0, 0, 1, b"") }
                },
            ),
        ),
        (
            "refused",
            Strain::Refused,
            Box::new(|stage, round| {
                let told = stage.headers(round * 2 + 1, GET, 5);
                if round < 4 { String::new() } else { told }
            }),
        ),
    ];
    for (what, strain, step) in steps {
        let mut stage = Stage::with(TrunkRole::Server, TrunkLimits { patience: 100, ..LIMITS });
        let (mut rounds, mut said) = (0, String::new());
        let told = loop {
            let told = step(&mut stage, rounds);
            said.push_str(&stage.said());
            rounds += 1;
            if !told.is_empty() && told != "Head 1" {
                break told;
            }
            assert!(rounds < 200, "{what} has no end");
        };
        assert!(told.ends_with("Over ENHANCE_YOUR_CALM"), "{what}: {told}");
        assert!(said.contains("goaway 2147483647 NO_ERROR"), "{what} is first asked to leave: {said}");
        assert!(stage.trunk.strains(strain) >= 10, "{what}");
    }
}

#[test]
fn whoever_is_served_is_not_counted_out() {
    let mut stage = Stage::with(TrunkRole::Server, TrunkLimits { patience: 50, patience_rate: 0, ..LIMITS });
    for round in 0..500 {
        let id = round * 4 + 1;
        stage.headers(id, GET, 5);
        stage.respond(id, OK, true);
        stage.trunk.release(id);
        assert_eq!(stage.headers(id + 2, GET, 5), format!("Head {} end", id + 2));
        assert_eq!(stage.frame(3, 0, id + 2, &8_u32.to_be_bytes()), format!("Reset {} CANCEL", id + 2));
        stage.trunk.release(id + 2);
        stage.said();
    }
}

#[test]
fn nothing_is_read_while_too_much_waits() {
    let mut stage = Stage::with(TrunkRole::Server, TrunkLimits { patience: 100_000, ..LIMITS });
    let mut bytes = Vec::new();
    for _ in 0..8_000 {
        bytes.extend_from_slice(&[0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
    }
    let mut input = &bytes[..];
    assert_eq!(stage.trunk.feed(&mut input, &mut stage.sheet, 0), None);
    assert!(!input.is_empty() && stage.trunk.output().len() < OUTPUT_LIMIT + 20);
    stage.trunk.written(stage.trunk.output().len());
    assert_eq!(stage.trunk.feed(&mut input, &mut stage.sheet, 0), None);
    assert!(input.len() < bytes.len() / 2);
}

#[test]
fn an_end_is_announced_and_then_told() {
    let mut stage = Stage::server();
    stage.headers(1, GET, 5);
    stage.trunk.drain();
    stage.trunk.drain();
    assert_eq!(stage.said(), "goaway 2147483647 NO_ERROR; ping");
    // A request that was under way is served.
    assert_eq!(stage.headers(3, GET, 5), "Head 3 end");
    assert_eq!(stage.frame(6, 1, 0, b"farewell"), "");
    assert_eq!(stage.said(), "goaway 3 NO_ERROR");
    assert_eq!(stage.headers(5, GET, 5), "", "whoever was told opens none");
    assert!(!stage.trunk.is_over());
    for id in [1, 3] {
        assert!(stage.respond(id, OK, true));
        stage.trunk.release(id);
    }
    assert!(stage.trunk.is_over());
    // Without an answer, after a second.
    let mut stage = Stage::server();
    stage.trunk.drain();
    assert_eq!(stage.trunk.deadline(), Some(1_000));
    assert_eq!(stage.expire(999), "");
    assert!(!stage.trunk.is_over());
    assert_eq!((stage.expire(1_000), stage.trunk.is_over()), (String::new(), true));
    assert!(stage.said().ends_with("goaway 0 NO_ERROR"));
}

#[test]
fn what_a_server_did_not_deal_with_may_be_repeated() {
    let mut stage = Stage::client();
    for _ in 0..3 {
        stage.open(Method::Get, true);
    }
    let first = [&1_u32.to_be_bytes()[..], &0_u32.to_be_bytes()].concat();
    assert_eq!(
        stage.frame(7, 0, 0, &first),
        "GoingAway NO_ERROR; Reset 3 REFUSED_STREAM; Reset 5 REFUSED_STREAM"
    );
    assert_eq!(stage.open(Method::Get, true), None);
    assert_eq!(stage.headers(1, ":status: 200", 5), "Head 1 end");
    for id in [1, 3, 5] {
        assert!(!stage.trunk.is_over());
        stage.trunk.release(id);
    }
    assert!(stage.trunk.is_over());
}

#[test]
fn codes_pass_as_they_are() {
    let mut stage = Stage::client();
    stage.open(Method::Get, false);
    stage.headers(1, ":status: 200", 5);
    // An early answer: the rest of the request is not needed.
    assert_eq!(stage.frame(3, 0, 1, &0_u32.to_be_bytes()), "Reset 1 NO_ERROR");
    let mut stage = Stage::server();
    stage.headers(1, PUT, 4);
    stage.respond(1, OK, true);
    stage.trunk.reset(1, ErrorCode::NO_ERROR);
    assert_eq!(stage.said(), "head 1 :status: 200 end; reset 1 NO_ERROR");
    assert_eq!(stage.frame(0, 1, 1, b"hello"), "", "what was under way");
    assert_eq!(stage.trunk.strains(Strain::Fault), 0);
}

#[test]
fn a_stream_that_is_let_go_is_ended() {
    let mut stage = Stage::server();
    stage.headers(1, PUT, 4);
    stage.trunk.release(1);
    assert_eq!(stage.said(), "reset 1 CANCEL");
    assert_eq!(stage.frame(0, 1, 1, b"hello"), "");
}

#[test]
fn the_urgent_are_sent_first_and_parts_take_turns() {
    let mut stage = Stage::server();
    assert_eq!(stage.frame(16, 0, 0, b"\0\0\0\x07u=0"), "");
    for (id, priority) in [(1, "u=5"), (3, "u=1, i"), (5, "u=1, i"), (7, "u=6")] {
        stage.headers(id, &format!("{GET}|priority: {priority}"), 5);
        stage.respond(id, OK, false);
        stage.trunk.want(id, true);
    }
    let mut order = Vec::new();
    while let Some(id) = stage.trunk.turn() {
        let turns = order.iter().filter(|other| **other == id).count();
        let (sent, _) = stage.trunk.fill(id, |out, _| {
            out.extend_from_slice(b"part");
            turns == 1
        });
        assert_eq!(sent, 4);
        order.push(id);
    }
    assert_eq!(order, [7, 7, 3, 5, 3, 5, 1, 1]);
    // Told anew while it goes.
    stage.trunk.release(1);
    stage.headers(9, GET, 5);
    stage.frame(16, 0, 0, b"\0\0\0\x09u=7");
    assert_eq!(stage.trunk.turn(), None);
}

#[test]
fn deadlines() {
    let mut stage = Stage::bare(TrunkRole::Server, LIMITS);
    assert_eq!((stage.expire(4_999), stage.expire(5_000)), (String::new(), "Over SETTINGS_TIMEOUT".into()));
    // Never acknowledged.
    let mut stage = Stage::bare(TrunkRole::Server, LIMITS);
    stage.feed(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    stage.frame(4, 0, 0, b"");
    assert_eq!((stage.expire(9_999), stage.expire(10_000)), (String::new(), "Over SETTINGS_TIMEOUT".into()));
    // A head that comes byte by byte.
    let mut stage = Stage::server();
    stage.now = 1_000;
    stage.feed(&[0]);
    stage.now = 5_000;
    stage.feed(&[0]);
    assert_eq!(stage.trunk.deadline(), Some(6_000));
    assert_eq!(stage.expire(6_000), "Over ENHANCE_YOUR_CALM");
    assert_eq!((stage.trunk.deadline(), stage.expire(9_000)), (None, String::new()));
}

#[test]
fn a_receiver_that_stalls_is_found() {
    for (credit, every, expected) in [(0, 0, "Stalled 1"), (1, 10_000, "Stalled 1"), (6_000, 10_000, "")] {
        let mut stage = Stage::server();
        stage.frame(4, 0, 0, &settings(&[(4, 10)]));
        stage.headers(1, GET, 5);
        stage.respond(1, OK, false);
        stage.trunk.send(1, &[0; 10], false);
        stage.trunk.want(1, true);
        assert_eq!(stage.trunk.turn(), None);
        assert_eq!(stage.trunk.deadline(), Some(60_000));
        for step in 1..6 {
            stage.now = step * every;
            if credit > 0 {
                stage.frame(8, 0, 1, &u32::to_be_bytes(credit));
                while let Some(id) = stage.trunk.turn() {
                    stage.trunk.fill(id, |out, room| {
                        out.resize(out.len() + room, 0);
                        false
                    });
                }
            }
        }
        assert_eq!(stage.expire(60_000), expected, "{credit}");
    }
}

#[test]
fn websocket_is_asked_for() {
    let mut stage = Stage::server();
    let ask = ":method: CONNECT|:protocol: websocket|:scheme: http|:authority: a|:path: /chat";
    assert_eq!(stage.headers(1, ask, 4), "Head 1");
    assert!(stage.sheet.head.upgrade);
    assert!(stage.respond(1, "HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\n", false));
    assert_eq!(stage.said(), "head 1 :status: 200");
    assert_eq!(stage.frame(0, 0, 1, b"any"), "Body 1 3");
    assert_eq!(stage.trunk.send(1, b"any", true), 3);
    // Where it is not offered, it is refused.
    let mut stage = Stage::with(TrunkRole::Server, TrunkLimits { websocket: false, ..LIMITS });
    assert_eq!(stage.headers(1, ask, 4), "Broken 1 Pseudo");
}

#[test]
fn trailers_end_a_response() {
    let mut stage = Stage::server();
    stage.headers(1, GET, 5);
    stage.respond(1, OK, false);
    stage.trunk.send(1, b"body", false);
    assert!(stage.trunk.trailers(1, b"Grpc-Status: 0\r\n\r\n", b""));
    assert!(!stage.trunk.trailers(1, b"x: y\r\n", b""));
    assert_eq!(stage.said(), "head 1 :status: 200; body 1 4; head 1 grpc-status: 0 end");
}

#[test]
fn text_that_is_no_head_is_not_sent() {
    let mut stage = Stage::client();
    let head = WrittenHead { text: b"what", marked: b"" };
    assert_eq!(stage.trunk.open(head, b"http", Method::Get, true), None);
    assert_eq!(stage.said(), "");
    assert_eq!(stage.open(Method::Get, true), Some(1));
    let mut stage = Stage::server();
    stage.headers(1, GET, 5);
    assert!(!stage.respond(1, "HTTP/1.1 101 Switching\r\n\r\n", false));
    assert_eq!(stage.said(), "");
    assert!(stage.respond(1, OK, true));
}

#[test]
fn memory_is_given_back() {
    let mut stage = Stage::server();
    stage.headers(1, GET, 5);
    stage.trunk.relax();
    assert!(stage.respond(1, OK, true));
    stage.said();
    stage.trunk.release(1);
    stage.trunk.relax();
    // The tables stay as they were told.
    assert_eq!(stage.headers(3, GET, 5), "Head 3 end");
    assert_eq!(stage.sheet.message().host(), b"a.example");
}

#[test]
fn our_window_holds_from_its_acknowledgement_on() {
    let limits = TrunkLimits { window: 10, max_window: 10, ..LIMITS };
    let mut stage = Stage::bare(TrunkRole::Server, limits);
    stage.feed(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    stage.frame(4, 0, 0, b"");
    stage.said();
    // Its sender did not know of it yet.
    stage.headers(1, ":method: PUT|:scheme: http|:authority: a|:path: /", 4);
    assert_eq!(stage.frame(0, 0, 1, &[0; 16_000]), "Body 1 16000");
    stage.frame(4, 1, 0, b"");
    stage.trunk.passed(1, 16_000);
    assert_eq!(stage.said(), "window 1 16000");
    assert_eq!(stage.frame(0, 0, 1, &[0; 10]), "Body 1 10");
    assert_eq!(stage.frame(0, 0, 1, &[0; 1]), "Broken 1");
    // One that begins now has it from the first byte.
    stage.headers(3, ":method: PUT|:scheme: http|:authority: a|:path: /", 4);
    assert_eq!(stage.frame(0, 0, 3, &[0; 11]), "Broken 3");
}

#[test]
fn a_frame_is_one_fault_in_however_many_pieces() {
    let mut stage = Stage::server();
    stage.headers(1, PUT, 4);
    stage.frame(3, 0, 1, &8_u32.to_be_bytes());
    for byte in [&[0, 0, 100, 0, 0, 0, 0, 0, 1][..], &[7; 100]].concat() {
        stage.feed(&[byte]);
    }
    assert_eq!(stage.said(), "reset 1 STREAM_CLOSED");
    assert_eq!(stage.trunk.strains(Strain::Fault), 1);
    // Nothing of a frame is told that has more than the message may.
    stage.headers(3, PUT, 4);
    assert_eq!(stage.feed(&[0, 0, 6, 0, 0, 0, 0, 0, 3, b'h']), "Broken 3 LengthDisagrees");
    assert_eq!(stage.feed(b"ello!"), "");
}

#[test]
fn what_comes_after_the_last_is_not_for_nothing() {
    let mut stage = Stage::with(TrunkRole::Server, TrunkLimits { patience: 40, ..LIMITS });
    stage.trunk.drain();
    stage.expire(1_000);
    let ends: Vec<String> = (0..50).map(|round| stage.headers(round * 2 + 1, GET, 5)).collect();
    assert_eq!(ends.iter().filter(|told| *told == "Over ENHANCE_YOUR_CALM").count(), 1);
}
