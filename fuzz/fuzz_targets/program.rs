//! Rules on arbitrary requests, by trees made of arbitrary bytes: no panic, and no more text than there may be.

#![no_main]

use headworks_core::program::{Program, TrialRequest, TrialSubject};
use headworks_core::spec::{
    EndSpec, ExpressionSpec as E, IntSpec, ProgramKind, ProgramSpec, StatementSpec, VerdictSpec,
};
use libfuzzer_sys::fuzz_target;

const NAMES: [&str; 10] =
    ["method", "path", "query", "target", "host", "client", "tls", "tls.name", "now.time", "content_length"];

/// Bytes that decide what a tree is made of; zeros when they are used up.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn boxed(&mut self, depth: u8) -> Box<E> {
        Box::new(self.expression(depth))
    }

    fn end(&mut self) -> EndSpec {
        [EndSpec::Left, EndSpec::Right, EndSpec::Both][usize::from(self.byte() % 3)]
    }

    fn expression(&mut self, depth: u8) -> E {
        if depth == 0 {
            return self.leaf();
        }
        let below = depth - 1;
        match self.byte() % 24 {
            0 => E::Header(self.boxed(below)),
            1 => E::Query(self.boxed(below)),
            2 => E::Cookie(self.boxed(below)),
            3 => E::Eq(self.boxed(below), self.boxed(below)),
            4 => E::Lt(self.boxed(below), self.boxed(below)),
            5 => E::Not(self.boxed(below)),
            6 => E::And(vec![self.expression(below), self.expression(below)]),
            7 => E::Or(vec![self.expression(below), self.expression(below)]),
            8 => E::Choose(self.boxed(below), self.boxed(below), self.boxed(below)),
            9 => E::InText(self.boxed(below), self.boxed(below)),
            10 => E::Concat(vec![self.expression(below), self.expression(below)]),
            11 => E::Lower(self.boxed(below)),
            12 => E::Upper(self.boxed(below)),
            13 => E::Starts(self.boxed(below), vec![self.expression(below)]),
            14 => E::RemovePrefix(self.boxed(below), self.boxed(below)),
            15 => E::Strip(self.boxed(below), None, self.end()),
            16 => E::Split(
                self.boxed(below),
                Some(self.boxed(below)),
                None,
                i64::from(self.byte() as i8),
                EndSpec::Left,
            ),
            17 => E::Split(self.boxed(below), None, Some(1), i64::from(self.byte() as i8), EndSpec::Right),
            18 => E::Partition(self.boxed(below), self.boxed(below), self.byte() % 3, self.end()),
            19 => E::Find(self.boxed(below), self.boxed(below), self.end()),
            20 => E::Len(self.boxed(below)),
            21 => E::Int(IntSpec::Of(self.boxed(below))),
            22 => E::Slice(self.boxed(below), Some(self.boxed(below)), None),
            _ => E::Index(self.boxed(below), self.boxed(below)),
        }
    }

    fn leaf(&mut self) -> E {
        match self.byte() % 5 {
            0 => E::None,
            1 => E::Int(IntSpec::Number(i64::from(self.byte() as i8))),
            2 => E::Text(["", "a", "/", "x-a"][usize::from(self.byte() % 4)].to_owned()),
            3 => E::Bool(self.byte() > 127),
            _ => E::Get(NAMES[usize::from(self.byte()) % NAMES.len()].to_owned()),
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((size, rest)) = input.split_first() else { return };
    let (made, head) = rest.split_at(usize::from(*size).min(rest.len()));
    let mut choices = Choices(made);
    let verdict = vec![VerdictSpec::Log(vec![("said".to_owned(), choices.expression(5))])];
    let spec = ProgramSpec {
        name: "site:rule".to_owned(),
        kind: ProgramKind::Request,
        file: "site.py".to_owned(),
        slots: 0,
        matches: 0,
        constants: Vec::new(),
        body: vec![StatementSpec::Return { verdict, line: 1, text: String::new() }],
    };
    let program = Program::compile(&spec).expect("it is well formed");
    let head = head.iter().copied().map(char::from).collect();
    let subject =
        TrialSubject::Request(TrialRequest { head, wall: 1_795_824_000, ..TrialRequest::default() });
    let _ = program.attempt(&subject);
});
