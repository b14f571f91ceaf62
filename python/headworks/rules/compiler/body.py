"""Body: one function while it is compiled: what is known where, and the registry of what can be compiled.

Owns names, facts about them, and the order in which things happen. Each kind of expression is compiled by a function
that is registered for it. Must never know a particular construct.
"""

import ast
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from headworks.rules.compiler.kinds import EVER_FALSE, NONE, TEXT, UNKNOWN, Facts, Key, Kinds, both, named
from headworks.rules.compiler.program import Code, Full, Program
from headworks.rules.compiler.source import Source
from headworks.rules.problems import Refused, RuleProblem

NOTHING = object()
"""Not known before requests come."""
_INT = 1 << 63


class Silenced(Refused):
    """An error that follows only from something that has been reported."""


@dataclass(frozen=True)
class Test:
    """A condition that was compiled, and what is known where it is true and where it is false."""

    __test__ = False
    code: Code
    yes: Facts = field(default_factory=dict)
    no: Facts = field(default_factory=dict)

    def negated(self) -> "Test":
        """Return the opposite."""
        return Test({"not": self.code}, self.no, self.yes)


@dataclass(frozen=True)
class Value:
    """An expression that was compiled."""

    node: ast.AST
    kinds: Kinds = frozenset()
    code: Code = None
    static: Any = NOTHING
    """The Python value, where it is known before requests come."""
    key: Key | None = None
    """Under what more can be known about it."""
    binds: Facts = field(default_factory=dict)
    """Facts about names that it gives values."""
    test: Test | None = None
    """The condition that it is the truth value of."""

    @property
    def is_static(self) -> bool:
        """Whether the Python value is known."""
        return self.static is not NOTHING


@dataclass(frozen=True)
class Lead:
    """A backend or analyzer that a verdict names, and where."""

    name: str
    place: RuleProblem


MOST_TEXT = 1 << 20
"""Characters of a constant text at most."""


@dataclass
class Shared:
    """Everything that all functions of a program share."""

    program: Program = field(default_factory=Program)
    problems: list[RuleProblem] = field(default_factory=list)
    backends: list[Lead] = field(default_factory=list)
    analyzers: list[Lead] = field(default_factory=list)
    inlined: int = 0
    """Calls of other rules so far, each of which was compiled for itself."""


@dataclass
class Body:
    """One function, and how far it has been compiled."""

    shared: Shared
    source: Source
    names: Mapping[str, Any]
    """The values of names in the function's module and around it."""
    subject: tuple[str, str]
    """The argument's name, and its kind: request, response or hello."""
    locals: frozenset[str]
    """Names that it gives values."""
    calls: tuple[object, ...]
    """The functions that have been entered, this one last."""
    facts: dict[Key, Kinds] = field(default_factory=dict)
    slots: dict[str, int] = field(default_factory=dict)
    prelude: list[Code] = field(default_factory=list)
    """Code that must run before the statement that is being compiled."""
    guards: list[Code] = field(default_factory=list)
    """Conditions that are true where the expression that is being compiled is reached."""
    alive: bool = True
    """Whether the place is reached at all."""
    trusting: int = 0
    """Whether tests that could not be compiled may have taken None away."""
    first: bool = False
    """Whether nothing but guards comes before the expression that is being compiled; read when it begins."""
    loose: bool = False
    """Whether texts may have any characters: bodies and fields of the log."""

    @property
    def program(self) -> Program:
        """The program that it becomes part of."""
        return self.shared.program

    def value(self, node: ast.AST, *, first: bool = False) -> Value:
        """Compile an expression. ``first``: nothing but guards comes before it in its statement."""
        compiled = EXPRESSIONS.get(type(node))
        if compiled is None:
            raise Refused(node, *REFUSED.get(type(node), (f"{type(node).__name__} is not compiled", None)))
        self.first = first
        return compiled(self, node)

    def test(self, node: ast.AST, *, first: bool = False) -> Test:
        """Compile a condition."""
        compiled = TESTS.get(type(node))
        if compiled is None:
            return self.truth(self.value(node, first=first))
        self.first = first
        return compiled(self, node)

    def truth(self, value: Value) -> Test:
        """Return whether a value is true."""
        if value.test is not None:
            return value.test
        code = self.code(value)
        if value.key is None:
            return Test(code, value.binds, value.binds)
        yes, no = value.kinds - NONE, value.kinds & EVER_FALSE
        no_tls = "tls" in value.kinds
        return Test(
            code,
            both(value.binds, {value.key: yes}),
            both(value.binds, {value.key: NONE if no_tls else no}),
        )

    def code(self, value: Value) -> Code:
        """Return the code of something that a program can hold."""
        if value.is_static:
            return self.literal(value)
        if value.code is None:
            raise Refused(value.node, f"{named(value.kinds)} is no value of its own", "name what of it is meant")
        return value.code

    def literal(self, value: Value) -> Code:
        """Return the code of a constant."""
        match value.static:
            case None:
                return "none"
            case bool():
                return {"bool": value.static}
            case int() if -_INT <= value.static < _INT:
                return {"int": value.static}
            case int():
                raise Refused(value.node, "a number has more than 64 bits")
            case str():
                return {"text": self.text_constant(value.node, value.static)}
        instead = "look something up in it" if isinstance(value.static, dict) else "use it with in, or call it"
        raise Refused(value.node, f"{_described(value.static)} is no value that requests can be compared with", instead)

    def text_constant(self, node: ast.AST, text: str) -> str:
        """Return a text that a program may hold."""
        if len(text) > MOST_TEXT:
            raise Refused(
                node, f"a text has {len(text):,} characters, more than {MOST_TEXT:,}", "let a backend send it"
            )
        strange = next((one for one in text if not " " <= one <= "~"), None)
        if strange is not None and not self.loose:
            raise Refused(
                node,
                f"{strange!a} is beyond printable ASCII, and texts of requests are bytes",
                "write what is sent, percent-encoded",
            )
        return text

    def of(self, value: Value, kinds: Kinds, what: str) -> Code:
        """Return the code of a value that must be of some kinds; ``what`` needs it: ``startswith() needs``."""
        if value.kinds == UNKNOWN:
            raise Silenced(value.node, "")
        if value.kinds and value.kinds <= kinds:
            return self.code(value)
        if value.kinds - kinds == NONE:
            shown = self.source.text(value.node)
            raise Refused(
                value.node, f"{shown} may be None, and {what} {named(kinds)}", f"test it before: if {shown} is not None"
            )
        found = _described(value.static) if value.is_static and not value.kinds else named(value.kinds)
        instead = 'write f"{...}" or str(...)' if kinds == TEXT and value.kinds <= EVER_FALSE - NONE else None
        raise Refused(value.node, f"{self.source.text(value.node)} is {found}, and {what} {named(kinds)}", instead)

    def text(self, node: ast.AST, what: str) -> Code:
        """Compile what must be a text."""
        return self.of(self.value(node), TEXT, what)

    def known(self, key: Key, declared: Kinds) -> Kinds:
        """Return what something is here."""
        # Nothing at all: this part is never reached, and may say anything that it could say elsewhere.
        kinds = self.facts.get(key, declared) or declared
        return kinds - NONE if self.trusting and len(kinds) > 1 else kinds

    def let(self, name: str, value: Value) -> list[Code]:
        """Give a name a value; what stands for the request or a part of it needs no slot."""
        self.facts[("local", name)] = value.kinds
        if value.code is None and not value.is_static:
            return []
        if name not in self.slots:
            self.slots[name] = self.taken(value.node, self.program.slot)
        return [{"let": {"slot": self.slots[name], "value": self.code(value)}}]

    def taken(self, node: ast.AST, take: Callable[[], int]) -> int:
        """Take a slot or register; none left is a problem of the node."""
        try:
            return take()
        except Full as error:
            raise Refused(node, *error.args) from None

    def drained(self) -> list[Code]:
        """Return what must happen before the statement, and forget it."""
        codes, self.prelude = self.prelude, []
        return codes

    @contextmanager
    def where(self, code: Code, facts: Facts) -> Iterator[None]:
        """Compile what is reached only where ``code`` is true."""
        before = self.facts
        self.facts = both(before, facts)
        self.guards.append(code)
        try:
            yield
        finally:
            self.facts = before
            self.guards.pop()

    def report(self, refused: Refused) -> None:
        """Keep a problem."""
        if not isinstance(refused, Silenced):
            self.shared.problems.append(self.source.problem(refused.node, refused.reason, refused.instead))


Compile = Callable[[Body, Any], Value]
CompileTest = Callable[[Body, Any], Test]
EXPRESSIONS: dict[type[ast.AST], Compile] = {}
TESTS: dict[type[ast.AST], CompileTest] = {}
REFUSED: dict[type[ast.AST], tuple[str, str | None]] = {
    ast.Lambda: ("a lambda is not compiled", "write what it would return"),
    ast.ListComp: ("a list comprehension is not compiled", "rules have no loops: use a set or a pattern"),
    ast.SetComp: ("a set comprehension is not compiled", "make the set at the top of the module"),
    ast.DictComp: ("a dict comprehension is not compiled", "make the table at the top of the module"),
    ast.GeneratorExp: ("a generator is not compiled", "rules have no loops: use a set or a pattern"),
    ast.Await: ("await is not compiled", "what waits is an analyzer's work: consult one"),
    ast.Yield: ("yield is not compiled", "return one verdict; & puts several together"),
    ast.YieldFrom: ("yield is not compiled", "return one verdict; & puts several together"),
    ast.Starred: ("* is not compiled", "write each of them"),
    ast.Slice: ("a slice stands in brackets", None),
}
_F = TypeVar("_F", bound=Callable[..., Any])


def compiles(*nodes: type[ast.AST]) -> Callable[[_F], _F]:
    """Register a function that compiles expressions of these nodes."""

    def register(function: _F) -> _F:
        EXPRESSIONS.update(dict.fromkeys(nodes, function))
        return function

    return register


def tests(*nodes: type[ast.AST]) -> Callable[[_F], _F]:
    """Register a function that compiles conditions of these nodes."""

    def register(function: _F) -> _F:
        TESTS.update(dict.fromkeys(nodes, function))
        return function

    return register


def _described(value: Any) -> str:
    if callable(value) and hasattr(value, "__name__"):
        return f"{value.__name__} (a function)"
    kind = type(value).__name__
    return f"{'an' if kind[0] in 'aeiouIO' else 'a'} {kind}"
