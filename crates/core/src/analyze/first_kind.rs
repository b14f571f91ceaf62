//! The kind of a client that may be of several, by its first bytes, and its name where its kind has one.

use super::kinds::{KindFound, Kinds};
use super::{Analyzer, Facts, Verdict};

/// Tells kinds apart. By itself it knows none; a listener's are given to [`Analyzer::inspect_among`].
#[derive(Debug)]
pub struct FirstKind;

impl Analyzer for FirstKind {
    fn name(&self) -> &'static str {
        "first_kind"
    }

    fn inspect(&self, held: &[u8], facts: &mut Facts) -> Verdict {
        self.inspect_among(&Kinds::default(), held, facts)
    }

    fn inspect_among(&self, kinds: &Kinds, held: &[u8], facts: &mut Facts) -> Verdict {
        let found = match facts.kind.or_else(|| kinds.tell(held)) {
            None => return Verdict::Wait { need: held.len() + 1 },
            Some(KindFound::Silent) => return Verdict::Bypass,
            Some(found) => found,
        };
        facts.kind = Some(found);
        let Some(kind) = kinds.get(found) else { return Verdict::Pass { consumed: 0 } };
        facts.spoken = kind.spoken(held);
        match kind.reader() {
            Some(reader) => reader.inspect(held, facts),
            None => Verdict::Pass { consumed: 0 },
        }
    }
}
