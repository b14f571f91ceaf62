//! Roster: the records of one kind that a supervisor keeps, each with a place, a generation, a deadline and a
//! turn.
//!
//! A token names a record by place and generation, so that one which is gone is not taken for its successor.
//! A timer that fires too early finds out and is armed again: that is rarer than a change of deadline. Must
//! never know what a record is.

use std::ops::{Index, IndexMut};

use headworks_core::time::Millis;
use slab::Slab;

use crate::timer::Timer;
use crate::token;

/// Records by their places.
#[derive(Debug)]
pub(crate) struct Roster<T> {
    slots: Slab<Entry<T>>,
    timer: Timer,
    /// When the timer of each place fires; 0: it has none. It outlives its record: the next one in this
    /// place mostly has a later deadline, and needs no arming then.
    armed: Vec<Millis>,
    /// Places of those that had their turn and have more to do.
    turns: Vec<usize>,
    /// Memory of a list given back, for the next one.
    spare: Vec<usize>,
    generation: u32,
}

/// A record, and what its roster knows of it.
#[derive(Debug)]
struct Entry<T> {
    record: T,
    /// Generation that tells the record from earlier ones in the same place.
    generation: u32,
    /// Whether the record stands in `turns`.
    queued: bool,
}

impl<T> Roster<T> {
    /// Makes an empty roster.
    pub(crate) fn new(now: Millis) -> Self {
        Self {
            slots: Slab::new(),
            timer: Timer::new(now),
            armed: Vec::new(),
            turns: Vec::new(),
            spare: Vec::new(),
            generation: 0,
        }
    }

    /// Returns how many records there are.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Adds a record; returns its place.
    pub(crate) fn insert(&mut self, record: T) -> usize {
        self.generation = self.generation.wrapping_add(1) & token::GENERATIONS;
        let place = self.slots.insert(Entry { record, generation: self.generation, queued: false });
        if self.armed.len() <= place {
            self.armed.resize(place + 1, 0);
        }
        place
    }

    /// Takes a record out.
    pub(crate) fn remove(&mut self, place: usize) -> T {
        self.slots.remove(place).record
    }

    /// Returns the record at a place, if there is one.
    pub(crate) fn get_mut(&mut self, place: usize) -> Option<&mut T> {
        self.slots.get_mut(place).map(|slot| &mut slot.record)
    }

    /// Returns the record of this generation; None when it is gone.
    #[inline]
    pub(crate) fn find(&mut self, place: usize, generation: u32) -> Option<&mut T> {
        let slot = self.slots.get_mut(place).filter(|slot| slot.generation == generation)?;
        Some(&mut slot.record)
    }

    /// Returns the generation of the record at a place.
    pub(crate) fn generation(&self, place: usize) -> u32 {
        self.slots[place].generation
    }

    /// Returns the record at a place, if there is one.
    pub(crate) fn get(&self, place: usize) -> Option<&T> {
        self.slots.get(place).map(|slot| &slot.record)
    }

    /// Returns a place behind every record.
    pub(crate) fn end(&self) -> usize {
        self.armed.len()
    }

    /// Returns all records, in order of their places.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &T)> {
        self.slots.iter().map(|(place, slot)| (place, &slot.record))
    }

    /// Returns all places.
    pub(crate) fn places(&self) -> Vec<usize> {
        self.slots.iter().map(|(place, _)| place).collect()
    }

    /// Arms the record to be due at `at` at the latest.
    #[inline]
    pub(crate) fn arm(&mut self, place: usize, at: Millis) {
        let armed = &mut self.armed[place];
        if *armed == 0 || at < *armed {
            *armed = at;
            self.timer.arm(place, at);
        }
    }

    /// Returns the places of those whose timers have fired: nobody may be there any more, or another one.
    pub(crate) fn due(&mut self, now: Millis) -> Vec<usize> {
        let mut due = std::mem::take(&mut self.spare);
        self.timer.advance(now, &mut due);
        for place in &due {
            self.armed[*place] = 0;
        }
        due.retain(|place| self.slots.contains(*place));
        due
    }

    /// Gives the record another turn, after all others had theirs.
    pub(crate) fn enqueue(&mut self, place: usize) {
        if !std::mem::replace(&mut self.slots[place].queued, true) {
            self.turns.push(place);
        }
    }

    /// Returns the places of those that have a turn coming.
    pub(crate) fn turns(&mut self) -> Vec<usize> {
        let mut turns = std::mem::replace(&mut self.turns, std::mem::take(&mut self.spare));
        turns.retain(|place| {
            let slot = self.slots.get_mut(*place);
            slot.is_some_and(|slot| std::mem::take(&mut slot.queued))
        });
        turns
    }

    /// Takes back a list that `due` or `turns` returned, so that the next one needs no memory of its own.
    pub(crate) fn give_back(&mut self, mut list: Vec<usize>) {
        list.clear();
        if list.capacity() > self.spare.capacity() {
            self.spare = list;
        }
    }

    /// Returns when it wants to be asked again although nothing happened; NEVER where it does not.
    #[inline]
    pub(crate) fn next(&self, now: Millis) -> Millis {
        if self.turns.is_empty() { self.timer.next() } else { now }
    }
}

impl<T> Index<usize> for Roster<T> {
    type Output = T;

    #[inline]
    fn index(&self, place: usize) -> &T {
        &self.slots[place].record
    }
}

impl<T> IndexMut<usize> for Roster<T> {
    #[inline]
    fn index_mut(&mut self, place: usize) -> &mut T {
        &mut self.slots[place].record
    }
}

#[cfg(test)]
mod tests {
    use headworks_core::time::NEVER;

    use super::*;

    #[test]
    fn one_that_is_gone_is_not_taken_for_its_successor() {
        let mut roster = Roster::new(0);
        let place = roster.insert("first");
        let generation = roster.generation(place);
        assert_eq!(roster.find(place, generation), Some(&mut "first"));
        roster.enqueue(place);
        roster.arm(place, 100);
        assert_eq!(roster.remove(place), "first");
        assert_eq!(roster.insert("second"), place);
        assert_eq!(roster.find(place, generation), None);
        assert!(roster.turns().is_empty());
        // The timer of the first one fires for the second one, which asks for its own again.
        assert_eq!((roster.due(90), roster.due(1_000), roster.due(9_000)), (vec![], vec![place], vec![]));
        roster.arm(place, 9_500);
        roster.remove(place);
        assert!(roster.due(10_000).is_empty());
    }

    #[test]
    fn a_turn_and_a_deadline_come_once() {
        let mut roster = Roster::new(0);
        let place = roster.insert(());
        assert_eq!(roster.next(7), NEVER);
        roster.enqueue(place);
        roster.enqueue(place);
        assert_eq!((roster.next(7), roster.turns()), (7, vec![place]));
        assert!(roster.turns().is_empty());
        roster.arm(place, 500);
        roster.arm(place, 900);
        assert!(roster.due(400).is_empty());
        assert_eq!((roster.due(600), roster.due(2_000)), (vec![place], vec![]));
    }
}
