//! Turns: smooth weighted round robin among candidates that stay the same, without looking at all of them.
//!
//! Of equal weights, the one that has earned most is next and then goes to the end of the line. Other weights
//! repeat themselves: after a whole period every candidate has earned what it had before, so the choices of
//! one period are noted and made again. What each has earned is worked out when the candidates change. Must
//! never choose otherwise than [`turn`] does.

use super::round_robin::turn;
use super::{Candidate, Memory};

/// The order in which turns come.
#[derive(Debug, Clone, Default)]
pub(super) enum Turns {
    /// Not known yet.
    #[default]
    Unknown,
    /// One after the other, since all weigh the same.
    Line(Cycle),
    /// The choices of a period are being noted; what each candidate had earned before it.
    Noting(Cycle, Vec<i64>),
    /// The choices of a period are made again.
    Again(Cycle),
    /// The period is too long to be noted.
    Endless,
}

/// Choices that repeat themselves.
#[derive(Debug, Clone, Default)]
pub(super) struct Cycle {
    /// Indices of candidates.
    order: Vec<u32>,
    /// How many of them were made since every candidate had earned what memory says.
    made: usize,
}

/// Choices that are noted at most.
const LONGEST: u64 = 8192;

impl Turns {
    /// Returns the server whose turn it is.
    pub(super) fn next(&mut self, candidates: &[Candidate], memory: &mut Memory) -> usize {
        match self {
            Self::Line(cycle) | Self::Again(cycle) => candidates[cycle.next()].server,
            Self::Noting(cycle, before) => {
                let server = turn(candidates.iter(), memory);
                let chosen = candidates.iter().position(|candidate| candidate.server == server);
                cycle.order.push(chosen.unwrap_or(0) as u32);
                if cycle.order.len() as u64 == period(candidates) {
                    let mut cycle = std::mem::take(cycle);
                    cycle.made = 0;
                    *self = if *before == earned(candidates, memory) {
                        Self::Again(cycle)
                    } else {
                        Self::begin(candidates, memory)
                    };
                }
                server
            }
            Self::Endless => turn(candidates.iter(), memory),
            Self::Unknown => {
                *self = Self::begin(candidates, memory);
                self.next(candidates, memory)
            }
        }
    }

    /// Writes to memory what every candidate has earned, and forgets the order.
    pub(super) fn settle(&mut self, candidates: &[Candidate], memory: &mut Memory) {
        if let Self::Line(cycle) | Self::Again(cycle) = self {
            let round: i64 = candidates.iter().map(|candidate| i64::from(candidate.weight)).sum();
            for candidate in candidates {
                *memory.of(candidate.server) += cycle.made as i64 * i64::from(candidate.weight);
            }
            for chosen in &cycle.order[..cycle.made] {
                *memory.of(candidates[*chosen as usize].server) -= round;
            }
        }
        *self = Self::Unknown;
    }

    fn begin(candidates: &[Candidate], memory: &mut Memory) -> Self {
        let before = earned(candidates, memory);
        let first = candidates.first().map_or(0, |candidate| candidate.weight);
        if candidates.iter().all(|candidate| candidate.weight == first) {
            let round = i64::from(first) * candidates.len() as i64;
            let (least, most) = (before.iter().min(), before.iter().max());
            // With more between them than a round, one would have two turns before another has one.
            if most
                .zip(least)
                .is_some_and(|(most, least)| most - least < round && *most <= round && *least >= -round)
            {
                let mut order: Vec<u32> = (0..candidates.len() as u32).collect();
                order.sort_by_key(|index| std::cmp::Reverse(before[*index as usize]));
                return Self::Line(Cycle { order, made: 0 });
            }
        }
        if period(candidates) <= LONGEST { Self::Noting(Cycle::default(), before) } else { Self::Endless }
    }
}

impl Cycle {
    fn next(&mut self) -> usize {
        let index = self.order[self.made];
        self.made = if self.made + 1 == self.order.len() { 0 } else { self.made + 1 };
        index as usize
    }
}

/// Returns the number of choices after which every candidate has earned what it had before.
fn period(candidates: &[Candidate]) -> u64 {
    let weights = || candidates.iter().map(|candidate| u64::from(candidate.weight));
    let divisor = weights().fold(0, greatest_divisor).max(1);
    weights().sum::<u64>() / divisor
}

fn greatest_divisor(one: u64, other: u64) -> u64 {
    if other == 0 { one } else { greatest_divisor(other, one % other) }
}

fn earned(candidates: &[Candidate], memory: &mut Memory) -> Vec<i64> {
    candidates.iter().map(|candidate| *memory.of(candidate.server)).collect()
}
