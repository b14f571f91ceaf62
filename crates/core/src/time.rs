//! Time as core sees it: numbers that the engine hands in. Nothing here reads a clock.

/// Milliseconds: a duration, or a moment of the engine's monotonic clock.
pub type Millis = u64;
/// The moment that never comes: what waits for nothing waits for this.
pub const NEVER: Millis = Millis::MAX;
