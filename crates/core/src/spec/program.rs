//! A rule that people wrote in Python, as its compiler hands it over: statements, expressions, constants.
//!
//! Numbers stand for places: of local variables (`slot`), of results of regular expressions (`register`), of
//! constants. Must never know what an operation means: that is [`crate::program`]'s.

use serde::{Deserialize, Serialize};

/// One rule.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProgramSpec {
    /// The name, as `rules` has it: `site:route`.
    pub name: String,
    /// The things that it judges.
    pub kind: ProgramKind,
    /// The file that it was read from.
    pub file: String,
    /// Number of local variables.
    pub slots: usize,
    /// Number of registers for results of regular expressions.
    pub matches: usize,
    /// Values that are looked into.
    pub constants: Vec<ConstantSpec>,
    /// The statements, in order.
    pub body: Vec<StatementSpec>,
}

/// The things that a rule judges, by the annotation of its argument.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProgramKind {
    /// Requests, before a server is chosen.
    #[default]
    Request,
    /// Responses, before they go out.
    Response,
    /// The first words of a TLS client.
    Hello,
}

/// A value that is looked into.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConstantSpec {
    /// A set of texts and numbers.
    Set(Vec<PlainSpec>),
    /// A table: pairs of a key and a value.
    Map(Vec<(PlainSpec, PlainSpec)>),
    /// IP networks.
    Networks(Vec<String>),
    /// A regular expression.
    Regex {
        /// The pattern, in the syntax of the `regex` crate, of bytes.
        pattern: String,
        /// The match must reach the end, or what comes before a final line feed.
        ends: bool,
    },
}

/// A plain value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PlainSpec {
    /// `True` or `False`.
    Bool(bool),
    /// A number.
    Int(i64),
    /// A text.
    Text(String),
    /// `None`.
    None,
}

/// One statement.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatementSpec {
    /// Goes on in one of two ways.
    If {
        /// The test.
        test: ExpressionSpec,
        /// Statements where it is true.
        then: Vec<Self>,
        /// Statements where it is not.
        otherwise: Vec<Self>,
        /// The line in the file.
        line: u32,
        /// The test as it is written.
        text: String,
    },
    /// Gives a local variable a value.
    Let {
        /// The variable.
        slot: usize,
        /// The value.
        value: ExpressionSpec,
    },
    /// Ends the rule.
    Return {
        /// Parts of the verdict; none: there is no verdict.
        verdict: Vec<VerdictSpec>,
        /// The line in the file.
        line: u32,
        /// The verdict as it is written.
        text: String,
    },
    /// Asks another rule.
    Inline {
        /// The statements of the other rule.
        body: Vec<Self>,
        /// The word of the other rule is the last one, verdict or not.
        tail: bool,
        /// The name of the other rule.
        name: String,
    },
}

/// A side of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndSpec {
    /// From the front.
    Left,
    /// From the back.
    Right,
    /// Both.
    Both,
}

/// The way in which a regular expression is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MannerSpec {
    /// From the beginning.
    Match,
    /// Anywhere.
    Search,
    /// From the beginning to the end.
    Fullmatch,
}

type Boxed = Box<ExpressionSpec>;

/// A number: as it is, or as a text says it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub enum IntSpec {
    /// A number.
    Number(i64),
    /// `int(…)` of a text.
    Of(Boxed),
}

/// One expression; what each means is Python's to say.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is the operation of Python that it is called after")]
pub enum ExpressionSpec {
    None,
    Text(String),
    Int(IntSpec),
    Bool(bool),
    Get(String),
    Slot(usize),
    Header(Boxed),
    Query(Boxed),
    Cookie(Boxed),
    HasHeader(Boxed),
    Eq(Boxed, Boxed),
    Ne(Boxed, Boxed),
    Lt(Boxed, Boxed),
    Le(Boxed, Boxed),
    Gt(Boxed, Boxed),
    Ge(Boxed, Boxed),
    IsNone(Boxed),
    Not(Boxed),
    And(Vec<Self>),
    Or(Vec<Self>),
    Choose(Boxed, Boxed, Boxed),
    OrElse(Boxed, Boxed),
    InSet(Boxed, usize),
    InText(Boxed, Boxed),
    InNetworks(Boxed, usize),
    Lookup(Boxed, usize, Option<Boxed>),
    Concat(Vec<Self>),
    Lower(Boxed),
    Upper(Boxed),
    Starts(Boxed, Vec<Self>),
    Ends(Boxed, Vec<Self>),
    RemovePrefix(Boxed, Boxed),
    RemoveSuffix(Boxed, Boxed),
    Strip(Boxed, Option<Boxed>, EndSpec),
    Split(Boxed, Option<Boxed>, Option<i64>, i64, EndSpec),
    Partition(Boxed, Boxed, u8, EndSpec),
    Find(Boxed, Boxed, EndSpec),
    Len(Boxed),
    Str(Boxed),
    Slice(Boxed, Option<Boxed>, Option<Boxed>),
    Index(Boxed, Boxed),
    Match(usize, Boxed, usize, MannerSpec),
    Group(usize, usize),
    Sample(u32, Boxed),
}

/// One part of a verdict.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VerdictSpec {
    /// The way that it goes.
    Route {
        /// The backend's name.
        backend: ExpressionSpec,
        /// The server's address.
        server: Option<ExpressionSpec>,
    },
    /// An answer of our own.
    Respond {
        /// The status.
        status: ExpressionSpec,
        /// The body.
        body: Option<ExpressionSpec>,
        /// Fields of the head.
        headers: Vec<(String, ExpressionSpec)>,
    },
    /// The client is sent elsewhere.
    Redirect {
        /// The location.
        to: ExpressionSpec,
        /// The status.
        code: u16,
    },
    /// The client is refused.
    Reject {
        /// The reason, for the record.
        reason: Option<ExpressionSpec>,
    },
    /// The head is changed on its way.
    Rewrite {
        /// Fields set; without a value they are removed.
        set: Vec<(String, ExpressionSpec)>,
        /// Fields added.
        add: Vec<(String, ExpressionSpec)>,
        /// Fields removed.
        remove: Vec<String>,
        /// The path.
        path: Option<ExpressionSpec>,
        /// The host.
        host: Option<ExpressionSpec>,
        /// The query.
        query: Option<ExpressionSpec>,
    },
    /// At most so many in a time for each value of the key.
    Limit {
        /// The key.
        key: ExpressionSpec,
        /// Number in that time.
        requests: u32,
        /// The time.
        per: u64,
        /// Number at once.
        burst: u32,
    },
    /// Fields of the access record.
    Log(Vec<(String, ExpressionSpec)>),
    /// An analyzer is asked.
    Consult(String),
}
