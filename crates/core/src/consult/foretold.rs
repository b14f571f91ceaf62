//! Foretold: answers of analyzers that are known before anybody is asked, so that an explanation can go on
//! with them.
//!
//! Must never ask: without an answer it says whose is wanted.

use std::collections::VecDeque;

use super::Advice;

/// Answers in the order in which they are wanted.
#[derive(Debug, Default)]
pub struct Foretold {
    answers: Option<VecDeque<Advice>>,
}

/// The word of an analyzer that nobody has asked.
#[derive(Debug, PartialEq, Eq)]
pub enum Word {
    /// Nobody is to be asked: all that follows is told as if it had nothing to say.
    Untold,
    /// The answer is wanted before anything more can be told.
    Wanted,
    /// The answer.
    Told(Advice),
}

impl Foretold {
    /// Takes answers; None where nobody is to be asked.
    pub fn new(answers: Option<Vec<Advice>>) -> Self {
        Self { answers: answers.map(VecDeque::from) }
    }

    /// Returns the word of the analyzer whose turn it is.
    pub fn take(&mut self) -> Word {
        match &mut self.answers {
            None => Word::Untold,
            Some(answers) => answers.pop_front().map_or(Word::Wanted, Word::Told),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_given_in_order_and_then_wanted() {
        let bypass = Advice { bypass: true, ..Advice::default() };
        let mut foretold = Foretold::new(Some(vec![Advice::default(), bypass.clone()]));
        assert_eq!(foretold.take(), Word::Told(Advice::default()));
        assert_eq!(foretold.take(), Word::Told(bypass));
        assert_eq!(foretold.take(), Word::Wanted);
        assert_eq!(Foretold::default().take(), Word::Untold);
    }
}
