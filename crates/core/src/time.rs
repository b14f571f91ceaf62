//! Time as core sees it: numbers that the engine hands in. Nothing here reads a clock.

/// Milliseconds: a duration, or a moment of the engine's monotonic clock.
pub type Millis = u64;
