//! The Trunk as rules: a frame that comes, by the state of its stream (RFC 9113 section 5.1).
//!
//! A cell is what is told, and after `>` what is said to the other end; `.`: neither. The states of stream 1
//! of a server: `Idle`; `Open` (a PUT whose body is coming); `Half` (a GET that is whole, and not answered);
//! `Answered` (the same PUT with a whole response); `Done` (both are whole, not released); `Reset` (ended by
//! the client); `Ended` (by us); `Gone` (done and released).

use headworks_core::wire::http2::ErrorCode;

use super::stage::{GET, OK, PUT, Stage};

const RULES: &str = "
    frame            | Idle                                         | Open                                                     | Half                                      | Answered                                                 | Done                                      | Reset                                     | Ended        | Gone
    request          | Head 1 end                                   | Broken 1 > reset 1 PROTOCOL_ERROR                        | Broken 1 > reset 1 STREAM_CLOSED          | Broken 1 > reset 1 PROTOCOL_ERROR                        | Over STREAM_CLOSED > goaway 1 STREAM_CLOSED | Over STREAM_CLOSED > goaway 1 STREAM_CLOSED | .          | Over STREAM_CLOSED > goaway 1 STREAM_CLOSED
    body             | Over PROTOCOL_ERROR > goaway 0 PROTOCOL_ERROR | Body 1 5 end                                            | Broken 1 > reset 1 STREAM_CLOSED          | Body 1 5 end                                             | Broken 1 > reset 1 STREAM_CLOSED          | . > reset 1 STREAM_CLOSED                 | .            | . > reset 1 STREAM_CLOSED
    long body        | Over PROTOCOL_ERROR > goaway 0 PROTOCOL_ERROR | Broken 1 LengthDisagrees > reset 1 PROTOCOL_ERROR       | Broken 1 > reset 1 STREAM_CLOSED          | Broken 1 LengthDisagrees > reset 1 PROTOCOL_ERROR        | Broken 1 > reset 1 STREAM_CLOSED          | . > reset 1 STREAM_CLOSED                 | .            | . > reset 1 STREAM_CLOSED
    short body       | Over PROTOCOL_ERROR > goaway 0 PROTOCOL_ERROR | Broken 1 LengthDisagrees > reset 1 PROTOCOL_ERROR       | Broken 1 > reset 1 STREAM_CLOSED          | Broken 1 LengthDisagrees > reset 1 PROTOCOL_ERROR        | Broken 1 > reset 1 STREAM_CLOSED          | . > reset 1 STREAM_CLOSED                 | .            | . > reset 1 STREAM_CLOSED
    early trailers   | Broken 1 Pseudo > reset 1 PROTOCOL_ERROR     | Broken 1 LengthDisagrees > reset 1 PROTOCOL_ERROR        | Broken 1 > reset 1 STREAM_CLOSED          | Broken 1 LengthDisagrees > reset 1 PROTOCOL_ERROR        | Over STREAM_CLOSED > goaway 1 STREAM_CLOSED | Over STREAM_CLOSED > goaway 1 STREAM_CLOSED | .          | Over STREAM_CLOSED > goaway 1 STREAM_CLOSED
    reset            | Over PROTOCOL_ERROR > goaway 0 PROTOCOL_ERROR | Reset 1 CANCEL                                          | Reset 1 CANCEL                            | Reset 1 CANCEL                                           | .                                         | .                                         | .            | .
    credit           | Over PROTOCOL_ERROR > goaway 0 PROTOCOL_ERROR | .                                                       | .                                         | .                                                        | .                                         | .                                         | .            | .
    no credit        | Over PROTOCOL_ERROR > goaway 0 PROTOCOL_ERROR | Broken 1 > reset 1 PROTOCOL_ERROR                       | Broken 1 > reset 1 PROTOCOL_ERROR         | Broken 1 > reset 1 PROTOCOL_ERROR                        | Broken 1 > reset 1 PROTOCOL_ERROR         | . > reset 1 PROTOCOL_ERROR                | . > reset 1 PROTOCOL_ERROR | . > reset 1 PROTOCOL_ERROR
    too much credit  | Over PROTOCOL_ERROR > goaway 0 PROTOCOL_ERROR | Broken 1 > reset 1 FLOW_CONTROL_ERROR                   | Broken 1 > reset 1 FLOW_CONTROL_ERROR     | Broken 1 > reset 1 FLOW_CONTROL_ERROR                    | .                                         | .                                         | .            | .
    priority         | .                                            | .                                                        | .                                         | .                                                        | .                                         | .                                         | .            | .
    own priority     | Over PROTOCOL_ERROR > goaway 0 PROTOCOL_ERROR | Broken 1 > reset 1 PROTOCOL_ERROR                       | Broken 1 > reset 1 PROTOCOL_ERROR         | Broken 1 > reset 1 PROTOCOL_ERROR                        | Broken 1 > reset 1 PROTOCOL_ERROR         | . > reset 1 PROTOCOL_ERROR                | . > reset 1 PROTOCOL_ERROR | . > reset 1 PROTOCOL_ERROR
    priority update  | .                                            | .                                                        | .                                         | .                                                        | .                                         | .                                         | .            | .
    push             | Over PROTOCOL_ERROR > goaway 0 PROTOCOL_ERROR | Over PROTOCOL_ERROR > goaway 1 PROTOCOL_ERROR           | Over PROTOCOL_ERROR > goaway 1 PROTOCOL_ERROR | Over PROTOCOL_ERROR > goaway 1 PROTOCOL_ERROR        | Over PROTOCOL_ERROR > goaway 1 PROTOCOL_ERROR | Over PROTOCOL_ERROR > goaway 1 PROTOCOL_ERROR | Over PROTOCOL_ERROR > goaway 1 PROTOCOL_ERROR | Over PROTOCOL_ERROR > goaway 1 PROTOCOL_ERROR
    unknown          | .                                            | .                                                        | .                                         | .                                                        | .                                         | .                                         | .            | .
    even number      | Over PROTOCOL_ERROR > goaway 0 PROTOCOL_ERROR | Over PROTOCOL_ERROR > goaway 1 PROTOCOL_ERROR           | Over PROTOCOL_ERROR > goaway 1 PROTOCOL_ERROR | Over PROTOCOL_ERROR > goaway 1 PROTOCOL_ERROR        | Over PROTOCOL_ERROR > goaway 1 PROTOCOL_ERROR | Over PROTOCOL_ERROR > goaway 1 PROTOCOL_ERROR | Over PROTOCOL_ERROR > goaway 1 PROTOCOL_ERROR | Over PROTOCOL_ERROR > goaway 1 PROTOCOL_ERROR
";

/// Brings stream 1 into a state.
fn stage(state: &str) -> Stage {
    let mut stage = Stage::server();
    let (head, flags) = if matches!(state, "Open" | "Answered") { (PUT, 4) } else { (GET, 5) };
    if state != "Idle" {
        stage.headers(1, head, flags);
    }
    if matches!(state, "Answered" | "Done" | "Gone") {
        assert!(stage.respond(1, OK, true));
    }
    match state {
        "Reset" => drop(stage.frame(3, 0, 1, &8_u32.to_be_bytes())),
        "Ended" => stage.trunk.reset(1, ErrorCode::CANCEL),
        "Gone" => stage.trunk.release(1),
        _ => {}
    }
    stage.said();
    stage
}

fn act(stage: &mut Stage, frame: &str) -> String {
    match frame {
        "request" => stage.headers(1, GET, if stage.sheet.head.length == 0 { 5 } else { 4 }),
        "body" => stage.frame(0, 1, 1, b"hello"),
        "long body" => stage.frame(0, 0, 1, b"hello!"),
        "short body" => stage.frame(0, 1, 1, b"hell"),
        "early trailers" => stage.headers(1, "x: y", 5),
        "reset" => stage.frame(3, 0, 1, &8_u32.to_be_bytes()),
        "credit" => stage.frame(8, 0, 1, &5_000_u32.to_be_bytes()),
        "no credit" => stage.frame(8, 0, 1, &[0; 4]),
        "too much credit" => stage.frame(8, 0, 1, &0x7fff_ffff_u32.to_be_bytes()),
        "priority" => stage.frame(2, 0, 1, &[0, 0, 0, 3, 1]),
        "own priority" => stage.frame(2, 0, 1, &[0, 0, 0, 1, 1]),
        "priority update" => stage.frame(16, 0, 0, b"\0\0\0\x01u=1"),
        "push" => stage.frame(5, 4, 1, &[0, 0, 0, 2]),
        "unknown" => stage.frame(0x42, 0, 1, b"what"),
        "even number" => stage.headers(2, GET, 5),
        other => panic!("{other}"),
    }
}

#[test]
fn every_frame_in_every_state() {
    let mut rows = RULES
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| line.split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>());
    let states = rows.next().unwrap();
    let mut wrong = Vec::new();
    for row in rows {
        for (state, expected) in states.iter().zip(&row).skip(1) {
            let mut stage = stage(state);
            let told = act(&mut stage, &row[0]);
            let said = stage.said();
            let told = if told.is_empty() { "." } else { &told };
            let seen = if said.is_empty() { told.to_owned() } else { format!("{told} > {said}") };
            if seen != *expected {
                wrong.push(format!("{} in {state}: {seen}, and not {expected}", row[0]));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
