//! Rotating: a secret and the one before it, replaced as time passes.
//!
//! Owns when that happens. What is made under one secret is of use for at least one period and at most two.

use std::mem::replace;

use headworks_core::time::Millis;

/// The current secret and the one before.
#[derive(Debug)]
pub(super) struct Rotating<T> {
    current: T,
    previous: Option<T>,
    /// Time at which the current one becomes the previous one.
    until: Millis,
}

impl<T> Rotating<T> {
    pub(super) fn new(first: T, until: Millis) -> Self {
        Self { current: first, previous: None, until }
    }

    /// Whether `turn` has nothing to do yet.
    pub(super) fn is_fresh(&self, now: Millis) -> bool {
        now < self.until
    }

    /// Puts `next` in place of the current one, which lives on for a period, unless nobody came by for longer
    /// than that.
    pub(super) fn advance(&mut self, next: T, now: Millis, period: Millis) {
        let old = replace(&mut self.current, next);
        self.previous = (now < self.until.saturating_add(period)).then_some(old);
        self.until = now.saturating_add(period);
    }

    pub(super) fn current(&self) -> &T {
        &self.current
    }

    pub(super) fn current_mut(&mut self) -> &mut T {
        &mut self.current
    }

    /// Returns the current one, then the one before.
    pub(super) fn both(&self) -> impl Iterator<Item = &T> {
        std::iter::once(&self.current).chain(&self.previous)
    }

    /// Returns the current one, then the one before.
    pub(super) fn both_mut(&mut self) -> impl Iterator<Item = &mut T> {
        std::iter::once(&mut self.current).chain(&mut self.previous)
    }
}
