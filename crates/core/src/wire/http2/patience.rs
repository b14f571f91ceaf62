//! Patience: one budget per connection for all that costs us and serves nobody.
//!
//! ```text
//!   points   1000 --frames that serve nobody--> 250: a friendly end is begun --> 0: the connection is ended
//!                 <--33 a second, 10 an answered request--
//! ```
//!
//! What honest programs do now and then is paid back by what they are served; whoever does nothing else runs
//! out of it. Must never cost for bytes of a body.

use crate::time::Millis;

/// Points of an answered request.
const EARNED: u32 = 10;

/// Thousandths of a point: 33 a second are 33 of these a millisecond.
const POINT: u64 = 1_000;

macro_rules! strains {
    ($($(#[$doc:meta])* $name:ident = $cost:literal, $word:literal;)*) => {
        /// A strain on the budget.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Strain {
            $($(#[$doc])* $name,)*
        }

        impl Strain {
            /// Every one, in order.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Returns its name, for counters.
            pub fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            fn cost(self) -> u32 {
                match self { $(Self::$name => $cost,)* }
            }
        }
    };
}

strains! {
    /// A stream that its sender reset before there was an answer.
    Reset = 10, "reset";
    /// A stream that we reset for the sender's fault.
    Fault = 10, "fault";
    /// A stream above the limit.
    Refused = 1, "refused";
    /// A frame of a header block that is empty and not the last.
    EmptyFragment = 10, "empty_fragment";
    /// A head larger than it may be.
    TooLarge = 10, "too_large";
    /// A DATA frame without content that ends nothing.
    EmptyBody = 1, "empty_body";
    /// SETTINGS, which have to be answered.
    Settings = 1, "settings";
    /// PING, which has to be answered.
    Ping = 1, "ping";
    /// A change of a priority.
    Priority = 1, "priority";
    /// A credit of less than a kilobyte.
    TinyCredit = 1, "tiny_credit";
    /// A frame of a body that is small because the window is.
    TinyWindow = 1, "tiny_window";
    /// A frame for a stream that is over, or that comes after the last.
    Late = 1, "late";
    /// A frame of an unknown type.
    Unknown = 1, "unknown";
}

/// The state of the budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// There is enough.
    Calm,
    /// Three quarters are spent.
    Strained,
    /// All is spent.
    Spent,
}

/// The budget of one connection.
#[derive(Debug, Clone)]
pub struct Patience {
    most: u64,
    rate: u32,
    left: u64,
    at: Millis,
    counts: [u32; Strain::ALL.len()],
}

impl Patience {
    /// Makes a full budget of `points`, to which `rate` a second are added.
    pub fn new(points: u32, rate: u32, now: Millis) -> Self {
        let most = u64::from(points) * POINT;
        Self { most, rate, left: most, at: now, counts: [0; Strain::ALL.len()] }
    }

    /// Takes the cost of a strain.
    pub fn spend(&mut self, strain: Strain, now: Millis) -> Mood {
        let refill = now.saturating_sub(self.at).saturating_mul(u64::from(self.rate));
        self.left = self.left.saturating_add(refill).min(self.most);
        self.at = now;
        let count = &mut self.counts[strain as usize];
        *count = count.saturating_add(1);
        match self.left.checked_sub(u64::from(strain.cost()) * POINT) {
            None => {
                self.left = 0;
                Mood::Spent
            }
            Some(left) => {
                self.left = left;
                if left * 4 < self.most { Mood::Strained } else { Mood::Calm }
            }
        }
    }

    /// Gives points for a request that was answered.
    #[inline]
    pub fn earn(&mut self) {
        self.left = (self.left + u64::from(EARNED) * POINT).min(self.most);
    }

    /// Returns how often a strain came.
    pub fn count(&self, strain: Strain) -> u32 {
        self.counts[strain as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floods_spend_it_and_time_fills_it() {
        let mut patience = Patience::new(1_000, 33, 0);
        for _ in 0..75 {
            assert_eq!(patience.spend(Strain::Reset, 0), Mood::Calm);
        }
        for _ in 75..100 {
            assert_eq!(patience.spend(Strain::Reset, 0), Mood::Strained);
        }
        assert_eq!(patience.spend(Strain::Reset, 0), Mood::Spent);
        assert_eq!(patience.spend(Strain::Reset, 303), Mood::Spent, "9.999 points");
        assert_eq!(patience.spend(Strain::Reset, 607), Mood::Strained);
        assert_eq!(patience.count(Strain::Reset), 103);
        assert_eq!(patience.spend(Strain::Ping, 60_000), Mood::Calm);
    }

    #[test]
    fn whoever_is_served_may_reset() {
        let mut patience = Patience::new(100, 0, 0);
        for _ in 0..1_000 {
            assert_eq!(patience.spend(Strain::Reset, 0), Mood::Calm);
            patience.earn();
        }
    }
}
