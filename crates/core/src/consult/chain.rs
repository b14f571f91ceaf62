//! Chain: the body of one message on its way through the analyzers that look at bodies.
//!
//! ```text
//!   bytes read -> [held] tenants -> [held] redact -> bytes to be sent
//! ```
//!
//! Each link holds what has come and was not passed on; one question is open at a time. Must never hold more
//! than a link asked for ([`MOST_NEED`]) and what one read brought, nor know how a body is framed.

use super::{Advice, BodyWord, ConsultantIndex, ConsultantSet};
use crate::close::ConsultFault;

/// Bytes of a body that an analyzer may wait for.
const MOST_NEED: usize = 1 << 20;

/// A body on its way through analyzers.
#[derive(Debug, Default)]
pub struct Chain {
    links: Vec<Link>,
    /// The link that is asked.
    asked: Option<usize>,
    /// Everything has come that will.
    over: bool,
}

#[derive(Debug)]
struct Link {
    analyzer: ConsultantIndex,
    held: Vec<u8>,
    need: usize,
    /// Not asked any more: all goes through.
    bypassed: bool,
    /// Has ended the body: nothing more goes through.
    finished: bool,
    /// All has come that will come to it.
    ended: bool,
    /// Has said its last word.
    done: bool,
}

/// A part of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyPart<'a> {
    /// The bytes.
    pub bytes: &'a [u8],
    /// Nothing follows.
    pub last: bool,
}

/// The next step of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChainStep {
    /// An analyzer is asked about what is held for it.
    Ask(ConsultantIndex),
    /// More of the body is needed.
    More,
    /// The body is over.
    Over,
}

impl Chain {
    /// Makes one of these analyzers, but for those that are bypassed.
    pub fn new(analyzers: impl Iterator<Item = ConsultantIndex>, bypassed: ConsultantSet) -> Self {
        let link = |analyzer| Link {
            analyzer,
            held: Vec::new(),
            need: 1,
            bypassed: false,
            finished: false,
            ended: false,
            done: false,
        };
        let links = analyzers.filter(|index| !bypassed.has(*index)).map(link).collect();
        Self { links, asked: None, over: false }
    }

    /// Whether nobody is asked.
    pub fn is_empty(&self) -> bool {
        self.links.is_empty()
    }

    /// Whether all of the body that goes on has been given out.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// Whether an answer is waited for.
    pub fn is_asking(&self) -> bool {
        self.asked.is_some()
    }

    /// Takes more of the body.
    pub fn feed(&mut self, bytes: &[u8]) {
        if let Some(first) = self.links.first_mut().filter(|first| !first.finished) {
            first.held.extend_from_slice(bytes);
        }
    }

    /// Takes note that the body has ended.
    pub fn end(&mut self) {
        match self.links.first_mut() {
            Some(first) => first.ended = true,
            None => self.over = true,
        }
    }

    /// Takes the next step; what goes on is appended to `out`.
    pub fn step(&mut self, out: &mut Vec<u8>) -> ChainStep {
        if let Some(at) = self.asked {
            return ChainStep::Ask(self.links[at].analyzer);
        }
        // What is furthest on goes first, so that little is held.
        while !self.over {
            let mut moved = false;
            for at in (0..self.links.len()).rev() {
                let link = &mut self.links[at];
                if link.is_ready() {
                    self.asked = Some(at);
                    return ChainStep::Ask(link.analyzer);
                }
                if link.bypassed && !link.done && (!link.held.is_empty() || link.ended) {
                    self.pass_on(at, None, out);
                    moved = true;
                }
            }
            if !moved {
                return ChainStep::More;
            }
        }
        ChainStep::Over
    }

    /// Returns the analyzer that is asked, and what it is asked about.
    pub fn asked(&self) -> Option<(ConsultantIndex, BodyPart<'_>)> {
        let link = &self.links[self.asked?];
        Some((link.analyzer, BodyPart { bytes: &link.held, last: link.ended }))
    }

    /// Takes an answer; what goes on is appended to `out`. An answer that cannot be meant changes nothing.
    pub fn advised(&mut self, advice: &Advice, out: &mut Vec<u8>) -> Result<(), ConsultFault> {
        let Some(at) = self.asked else { return Ok(()) };
        let link = &mut self.links[at];
        if let Some(need) = advice.need.map(|need| need as usize).filter(|_| !link.ended) {
            if need > MOST_NEED || need <= link.held.len() {
                return Err(ConsultFault::Verdict);
            }
            (link.need, self.asked) = (need, None);
            return Ok(());
        }
        self.asked = None;
        link.need = 1;
        link.bypassed |= advice.bypass;
        link.finished |= advice.finish;
        match &advice.body {
            BodyWord::Pass => self.pass_on(at, None, out),
            BodyWord::Replace(bytes) => self.pass_on(at, Some(bytes), out),
            BodyWord::Drop => self.pass_on(at, Some(&[]), out),
        }
        Ok(())
    }

    /// Goes on without an answer.
    pub fn unadvised(&mut self, out: &mut Vec<u8>) {
        if let Some(at) = self.asked.take() {
            self.links[at].need = 1;
            self.pass_on(at, None, out);
        }
    }

    /// Passes on what a link holds, or `instead` of it.
    fn pass_on(&mut self, at: usize, instead: Option<&[u8]>, out: &mut Vec<u8>) {
        let (before, behind) = self.links.split_at_mut(at + 1);
        let (link, next) = (&mut before[at], behind.first_mut());
        let bytes = instead.unwrap_or(&link.held);
        match next {
            Some(next) => {
                if !next.finished {
                    next.held.extend_from_slice(bytes);
                }
            }
            None => out.extend_from_slice(bytes),
        }
        link.held.clear();
        if link.ended || link.finished {
            link.done = true;
            match behind.first_mut() {
                Some(next) => next.ended = true,
                None => self.over = true,
            }
        }
    }
}

impl Link {
    /// Whether it can be asked.
    fn is_ready(&self) -> bool {
        !self.bypassed && !self.done && (self.held.len() >= self.need || self.ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(links: u16) -> Chain {
        Chain::new(0..links, ConsultantSet::default())
    }

    fn shown(chain: &Chain) -> (&[u8], bool) {
        let (_, part) = chain.asked().unwrap();
        (part.bytes, part.last)
    }

    fn replace(bytes: &[u8]) -> Advice {
        Advice { body: BodyWord::Replace(bytes.to_vec()), ..Advice::default() }
    }

    #[test]
    fn a_body_passes_through_all_in_order() {
        let (mut chain, mut out) = (chain(2), Vec::new());
        assert_eq!(chain.step(&mut out), ChainStep::More);
        chain.feed(b"abc");
        assert_eq!(chain.step(&mut out), ChainStep::Ask(0));
        assert_eq!(shown(&chain), (b"abc".as_slice(), false));
        chain.advised(&replace(b"ABC"), &mut out).unwrap();
        assert_eq!(chain.step(&mut out), ChainStep::Ask(1));
        assert_eq!(shown(&chain), (b"ABC".as_slice(), false));
        chain.advised(&Advice::default(), &mut out).unwrap();
        assert_eq!((chain.step(&mut out), &*out), (ChainStep::More, b"ABC".as_slice()));
        chain.end();
        assert_eq!(chain.step(&mut out), ChainStep::Ask(0));
        assert_eq!(shown(&chain), (b"".as_slice(), true));
        chain.advised(&replace(b"."), &mut out).unwrap();
        assert_eq!(chain.step(&mut out), ChainStep::Ask(1));
        chain.advised(&Advice::default(), &mut out).unwrap();
        assert_eq!((chain.step(&mut out), &*out), (ChainStep::Over, b"ABC.".as_slice()));
    }

    #[test]
    fn one_may_wait_drop_bypass_and_finish() {
        let (mut chain, mut out) = (chain(1), Vec::new());
        chain.feed(b"ab");
        assert_eq!(chain.step(&mut out), ChainStep::Ask(0));
        chain.advised(&Advice { need: Some(4), ..Advice::default() }, &mut out).unwrap();
        assert_eq!(chain.step(&mut out), ChainStep::More);
        chain.feed(b"cd");
        assert_eq!(chain.step(&mut out), ChainStep::Ask(0));
        assert_eq!(shown(&chain), (b"abcd".as_slice(), false));
        chain.advised(&Advice { body: BodyWord::Drop, ..Advice::default() }, &mut out).unwrap();
        assert_eq!((chain.step(&mut out), out.len()), (ChainStep::More, 0));
        chain.feed(b"e");
        assert_eq!(chain.step(&mut out), ChainStep::Ask(0));
        chain.advised(&Advice { finish: true, ..replace(b"E") }, &mut out).unwrap();
        assert_eq!((chain.step(&mut out), &*out), (ChainStep::Over, b"E".as_slice()));
        chain.feed(b"more");
        assert_eq!(chain.step(&mut out), ChainStep::Over);
    }

    #[test]
    fn one_that_is_bypassed_lets_all_through() {
        let (mut chain, mut out) = (chain(1), Vec::new());
        chain.feed(b"a");
        assert_eq!(chain.step(&mut out), ChainStep::Ask(0));
        chain.advised(&Advice { bypass: true, ..Advice::default() }, &mut out).unwrap();
        chain.feed(b"b");
        assert_eq!((chain.step(&mut out), &*out), (ChainStep::More, b"ab".as_slice()));
        chain.end();
        assert_eq!(chain.step(&mut out), ChainStep::Over);
    }

    #[test]
    fn an_answer_that_would_wait_for_ever_is_none() {
        let (mut chain, mut out) = (chain(1), Vec::new());
        chain.feed(b"ab");
        assert_eq!(chain.step(&mut out), ChainStep::Ask(0));
        for need in [0, 2, MOST_NEED as u32 + 1] {
            let advice = Advice { need: Some(need), ..Advice::default() };
            assert_eq!(chain.advised(&advice, &mut out), Err(ConsultFault::Verdict));
        }
        chain.unadvised(&mut out);
        assert_eq!((chain.step(&mut out), &*out), (ChainStep::More, b"ab".as_slice()));
    }
}
