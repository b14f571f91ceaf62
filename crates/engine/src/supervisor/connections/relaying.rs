//! The relay at work: bytes of a connection move, and the Session hears of ends and errors only.
//!
//! Owns what each end of a pump's run means as an Event. Must never look at bytes.

use headworks_core::action::{Action, Event, Side};
use headworks_core::bandwidth::Allowance;
use headworks_core::time::Millis;

use super::{Connection, Connections};
use crate::arrival::Arrival;
use crate::io::{Pump, Pumped, TURN};
use crate::tools::Tools;

use super::account::tally_bytes;

impl Connections {
    /// Lets the relay move bytes from one side, and tells the Session only of ends and errors.
    pub(super) fn relay(&mut self, tools: &mut Tools, place: usize, from: Side) -> Action {
        let connection = &mut self.connections[place];
        let flow = connection.session.flow(from);
        if flow.hold {
            return self.inspect(tools, place, from);
        }
        if flow.ended || connection.lost == Some(from.other()) {
            return Action::Wait;
        }
        let waiting = connection.lanes[from as usize].waiting();
        let turn = allowance(connection, from, tools.now);
        let Connection { who: Arrival { socket: client, .. }, server: Some(server), lanes, .. } = connection
        else {
            return Action::Wait;
        };
        let (source, sink) = if from == Side::Client { (client, server) } else { (server, client) };
        let mut pump = Pump { from, source, sink, lane: &mut lanes[from as usize], read: 0, turn };
        let room = tools.scratch.len().min(turn as usize);
        let why = pump.run(&mut tools.scratch[..room], &mut tools.pipes);
        let read = pump.read;
        if let Some(throttle) = &mut connection.throttle {
            throttle.moved(from, read, why == Pumped::Unfinished, tools.now);
        }
        if read > 0 {
            connection.session.count(from, read);
            tally_bytes(connection, tools.shard, false);
        }
        if read > 0 || connection.lanes[from as usize].waiting() != waiting {
            connection.times.active = tools.now;
        }
        match why {
            Pumped::Dry if connection.lost != Some(from) => Action::Wait,
            Pumped::Full => self.watch_writes(tools, place, from.other()),
            Pumped::Unfinished => {
                self.go_on_later(tools, place, from);
                Action::Wait
            }
            Pumped::Ended if connection.lost != Some(from) => {
                // After a long silence the other side still has all of `half_close` to answer.
                connection.times.active = tools.now;
                self.feed(tools, place, Event::Ended(from))
            }
            Pumped::Broken(side) if side != from => self.lose(tools, place, side),
            Pumped::Dry | Pumped::Ended | Pumped::Broken(_) => {
                let truncated = connection.socket(from).is_some_and(|socket| socket.was_truncated());
                self.feed(tools, place, if truncated { Event::Truncated(from) } else { Event::Reset(from) })
            }
        }
    }

    /// Gives the connection another turn, or lets it wait until it may move more.
    fn go_on_later(&mut self, tools: &mut Tools, place: usize, from: Side) {
        let connection = &mut self.connections[place];
        if allowance(connection, from, tools.now) > 0 {
            self.connections.enqueue(place);
        } else {
            connection.lanes[from as usize].pause(&mut tools.pipes);
        }
    }

    /// Takes note that a side takes nothing more. Its bytes that came before are still delivered, then the
    /// connection ends.
    fn lose(&mut self, tools: &mut Tools, place: usize, side: Side) -> Action {
        let connection = &mut self.connections[place];
        let lane = &mut connection.lanes[side.other() as usize];
        lane.buffer.clear();
        if let Some(pipe) = lane.pipe.take() {
            tools.pipes.give_back(pipe);
        }
        connection.lost = Some(side);
        if let Some(throttle) = &mut connection.throttle {
            throttle.cancel(side.other());
        }
        if connection.session.flow(side).ended {
            self.feed(tools, place, Event::Reset(side))
        } else {
            self.relay(tools, place, side)
        }
    }

    fn watch_writes(&mut self, tools: &mut Tools, place: usize, side: Side) -> Action {
        let token = self.token(place, side);
        let connection = &mut self.connections[place];
        let registry = &tools.registry;
        let watched = match side {
            Side::Client => connection.who.socket.watch_both(registry, token),
            Side::Server => {
                connection.server.as_mut().map_or(Ok(()), |server| server.watch_both(registry, token))
            }
        };
        match watched {
            Ok(()) => Action::Wait,
            Err(_) => self.feed(tools, place, Event::Reset(side)),
        }
    }
}

/// Returns the bytes that may be read from a side in one go; 0: its time has not come.
#[inline]
fn allowance(connection: &mut Connection, from: Side, now: Millis) -> u64 {
    if connection.throttle.is_none() {
        return TURN as u64;
    }
    limited(connection, from, now)
}

#[cold]
fn limited(connection: &mut Connection, from: Side, now: Millis) -> u64 {
    // Nothing is granted to a side that has nothing to say.
    if !connection.socket(from).is_some_and(|socket| socket.readable) {
        return TURN as u64;
    }
    match connection.throttle.as_mut().map(|throttle| throttle.allow(from, now)) {
        Some(Allowance::At(_)) => 0,
        Some(Allowance::Bytes(bytes)) => bytes.min(TURN as u64),
        None => TURN as u64,
    }
}
