//! Bytes that are held: read from a side, and shown to the Session with what that side said before.
//!
//! Owns what of them is kept. Must never judge them: analyzers do, for the Session.

use headworks_core::action::{Action, Event, Side};
use headworks_core::session::State;

use super::Connections;
use crate::outcome::Read;
use crate::tools::Tools;

impl Connections {
    /// Reads what a side said and shows it to the Session, with what it said before.
    pub(super) fn inspect(&mut self, tools: &mut Tools, place: usize, side: Side) -> Action {
        let mut scratch = std::mem::take(&mut tools.scratch);
        let mut action = Action::Wait;
        while action == Action::Wait && self.connections[place].session.flow(side).hold {
            let connection = &mut self.connections[place];
            let limit = connection.who.owner().spec.first_bytes_limit as usize;
            let room = limit.saturating_sub(connection.lanes[side as usize].buffer.len());
            let room = room.clamp(1, scratch.len());
            let Some(socket) = connection.socket(side).filter(|socket| socket.readable) else { break };
            action = match socket.read(&mut scratch[..room]) {
                Read::Bytes(n) => self.show(tools, place, side, &scratch[..n]),
                Read::Nothing => Action::Wait,
                Read::End => self.ended_while_held(tools, place, side),
                Read::Broken => self.feed(tools, place, Event::Reset(side)),
            };
        }
        tools.scratch = scratch;
        action
    }

    /// Takes note that a side ended while its flow was held. With a server connected, what is held is all
    /// there will be: it goes.
    fn ended_while_held(&mut self, tools: &mut Tools, place: usize, side: Side) -> Action {
        let connection = &mut self.connections[place];
        if connection.session.state() == State::Inspecting {
            return self.feed(tools, place, Event::Ended(side));
        }
        connection.session.release(side);
        connection.lanes[side as usize].ended = true;
        Action::Relay
    }

    /// Shows fresh bytes to the Session; they are kept only if they cannot be sent on at once.
    fn show(&mut self, tools: &mut Tools, place: usize, side: Side, fresh: &[u8]) -> Action {
        let connection = &mut self.connections[place];
        connection.session.count(side, fresh.len() as u64);
        let lane = &mut connection.lanes[side as usize];
        if !lane.buffer.is_empty() {
            lane.buffer.push(fresh);
            return self.show_held(tools, place, side);
        }
        let random = tools.random.next();
        let scene = tools.scene(&connection.who.plan, random);
        let action = connection.session.handle(Event::Held(side, fresh), scene);
        let flow = connection.session.flow(side);
        let kept = if flow.hold { fresh } else { &fresh[flow.consumed as usize..] };
        match action {
            Action::Connect(choice) => self.open(tools, place, choice, kept),
            Action::Wait | Action::Relay | Action::Consult { .. } | Action::Resolve(_) => {
                lane.buffer.push(kept);
                action
            }
            refused => refused,
        }
    }

    /// Shows all that is held of a side to the Session.
    pub(super) fn show_held(&mut self, tools: &mut Tools, place: usize, side: Side) -> Action {
        let connection = &mut self.connections[place];
        let lane = &mut connection.lanes[side as usize];
        let random = tools.random.next();
        let scene = tools.scene(&connection.who.plan, random);
        let action = connection.session.handle(Event::Held(side, lane.buffer.pending()), scene);
        let flow = connection.session.flow(side);
        if !flow.hold {
            lane.buffer.take(flow.consumed as usize);
        }
        action
    }
}
