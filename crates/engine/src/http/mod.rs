//! HTTP mode's part of the engine.

pub(crate) mod compress;
