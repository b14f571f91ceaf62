"""Statements: if, match, return, names given values, and calls of other rules, in the order in which they happen.

Owns what is known behind each statement, and that one that cannot be compiled hides no other. A branch that returns
needs no level of its own: a chain of any length stays flat. Must never compile an expression.
"""

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

from headworks.rules.compiler import answers, methods
from headworks.rules.compiler.body import Body, Test, Value
from headworks.rules.compiler.comparisons import equal, same
from headworks.rules.compiler.kinds import TEXT, UNKNOWN, Facts, both, either
from headworks.rules.compiler.names import constant
from headworks.rules.compiler.program import Code
from headworks.rules.function import RuleFunction
from headworks.rules.problems import Refused

Inline = Callable[[Body, ast.AST, RuleFunction], Code]
"""Compiles a rule that is called."""


@dataclass(frozen=True)
class Link:
    """One branch of a chain: its condition, what is done, and where it is written."""

    test: Callable[[], Test]
    then: list[ast.stmt]
    place: ast.AST


@dataclass
class Statements:
    """The compiler of one function's statements."""

    body: Body
    inline: Inline

    def block(self, statements: list[ast.stmt]) -> list[Code]:
        """Compile statements; what is behind a return is never reached."""
        codes: list[Code] = []
        rest = list(statements)
        while rest and self.body.alive:
            one = rest.pop(0)
            try:
                called = self._asks_a_rule(one, rest[0] if rest else None)
                if called is not None:
                    rest = rest[called.takes :]
                    codes.append(self._inlined(called.node, tail=False))
                    continue
                codes += self.statement(one)
            except Refused as refused:
                self.body.report(refused)
                self.body.prelude = []
                self._spoilt(one)
        return codes

    def statement(self, node: ast.stmt) -> list[Code]:  # noqa: PLR0911  (one for each kind)
        """Compile one statement."""
        match node:
            case ast.If():
                return self.chain(self._links_of_if(node), _last_else(node))
            case ast.Match():
                return self.matched(node)
            case ast.Return():
                return self.returned(node, node.value)
            case ast.Assign(targets=[target]):
                return self.assigned(node, target, node.value)
            case ast.AnnAssign(target=ast.Name() as target, value=ast.expr() as value):
                return self.assigned(node, target, value)
            case ast.AugAssign(target=ast.Name() as target):
                read = ast.copy_location(ast.Name(target.id, ast.Load()), target)
                return self.assigned(node, target, ast.copy_location(ast.BinOp(read, node.op, node.value), node))
            case ast.Pass() | ast.Expr(value=ast.Constant()):
                return []
            case ast.Expr():
                return self._result_unused(node.value)
        raise Refused(node, *_STATEMENTS.get(type(node), (f"{type(node).__name__} is not compiled", None)))

    # ---- branches

    def chain(self, links: Iterator[Link], otherwise: list[ast.stmt]) -> list[Code]:
        """Compile ``if``, ``elif`` and ``else``."""
        body, codes = self.body, list[Code]()
        here, going_on = codes, list[Facts]()
        trusting = 0
        for link in links:
            test, trusted = self._tested(link)
            trusting += trusted
            here += body.drained()
            before = body.facts
            body.facts = both(before, test.yes)
            piece = {"test": test.code, "then": self.block(link.then), "otherwise": []}
            piece |= {"line": getattr(link.place, "lineno", 0), "text": body.source.text(link.place)}
            here.append({"if": piece})
            if body.alive:
                going_on.append(body.facts)
                here = piece["otherwise"]
            body.facts, body.alive = both(before, test.no), True
        here += self.block(otherwise)
        if body.alive:
            going_on.append(body.facts)
        body.trusting -= trusting
        body.alive = bool(going_on)
        body.facts = either(going_on) if going_on else {}
        return codes

    def _tested(self, link: Link) -> tuple[Test, int]:
        """Compile a condition. One that cannot be is reported, and what it may have tested is believed."""
        try:
            return link.test(), 0
        except Refused as refused:
            self.body.report(refused)
            self.body.prelude = []
            self.body.trusting += 1
            bound = [node.target.id for node in ast.walk(link.place) if isinstance(node, ast.NamedExpr)]
            facts = {("local", name): UNKNOWN for name in bound}
            return Test({"bool": True}, facts, facts), 1

    def _links_of_if(self, node: ast.If) -> Iterator[Link]:
        while True:
            test = node.test
            yield Link(lambda test=test: self.body.test(test, first=True), node.body, test)  # type: ignore[misc]
            if not _is_elif(node):
                return
            node = node.orelse[0]  # type: ignore[assignment]

    def matched(self, node: ast.Match) -> list[Code]:
        """Compile ``match``: each case is a comparison."""
        if isinstance(node.subject, (ast.Tuple, ast.List)):
            raise Refused(node.subject, "match is compiled for one value", "write if, or match within match")
        subject = self.body.value(node.subject, first=True)
        codes = self.body.drained()
        if subject.key is None:
            name = f" match {node.lineno} {node.col_offset}"
            codes += self.body.let(name, subject)
            key = ("local", name)
            subject = Value(node.subject, subject.kinds, {"slot": self.body.slots[name]}, key=key)
        last = next((number for number, case in enumerate(node.cases) if _takes_all(case)), len(node.cases))
        links = (Link(self._case(subject, case), case.body, case.pattern) for case in node.cases[:last])
        otherwise = node.cases[last].body if last < len(node.cases) else []
        return codes + self.chain(iter(links), otherwise)

    def _case(self, subject: Value, case: ast.match_case) -> Callable[[], Test]:
        def test() -> Test:
            # What cases before have told counts.
            kinds = self.body.known(subject.key, subject.kinds) if subject.key is not None else subject.kinds
            now = Value(subject.node, kinds, subject.code, key=subject.key)
            found = self._pattern(now, case.pattern)
            if case.guard is None:
                return found
            with self.body.where(found.code, found.yes):
                guard = self.body.test(case.guard)
            return Test({"and": [found.code, guard.code]}, both(found.yes, guard.yes))

        return test

    def _pattern(self, subject: Value, pattern: ast.pattern) -> Test:
        match pattern:
            case ast.MatchValue():
                return equal(self.body, subject, self.body.value(pattern.value))
            case ast.MatchSingleton():
                value = constant(pattern, pattern.value)
                return same(subject, value) if pattern.value is None else equal(self.body, subject, value)
            case ast.MatchOr():
                tests = [self._pattern(subject, one) for one in pattern.patterns]
                before = self.body.facts
                yes = either([both(before, test.yes) for test in tests])
                return Test({"or": [test.code for test in tests]}, yes)
            case ast.MatchAs(pattern=None, name=None):
                return Test({"bool": True})
        raise Refused(pattern, "only constants, | and _ are compiled in case", "give parts names on lines of their own")

    # ---- names

    def assigned(self, node: ast.stmt, target: ast.expr, value: ast.expr) -> list[Code]:
        """Compile ``name = value``, and ``a, b, c = text.partition(...)``."""
        if isinstance(target, ast.Tuple):
            return self._partitioned(node, target, value)
        if not isinstance(target, ast.Name):
            raise Refused(target, "requests are changed by verdicts only", "return headworks.rewrite(...)")
        if target.id == self.body.subject[0]:
            raise Refused(target, f"{target.id} stands for what the rule is asked about", "choose another name")
        compiled = self.body.value(value, first=True)
        if compiled.is_static and not compiled.kinds:
            raise Refused(value, "a table or function has one name", "use it by the name that it has in the module")
        return self.body.drained() + self.body.let(target.id, compiled)

    def _partitioned(self, node: ast.stmt, target: ast.Tuple, value: Any) -> list[Code]:
        body = self.body
        if not _is_partition(value):
            raise Refused(node, "several names at once are given the parts of partition() only", "write one by one")
        if len(target.elts) != 3 or not all(isinstance(one, ast.Name) for one in target.elts):  # noqa: PLR2004
            raise Refused(target, "partition() gives three texts", "write a, b, c = ...")
        code = body.of(body.value(value.func.value), TEXT, f"{value.func.attr}() needs")
        parts = [Value(value, TEXT, methods.partition(body, value, code, number)) for number in range(3)]
        # A name that is given a part may be the text itself: what is parted is kept.
        codes = body.let(f" parted {node.lineno} {node.col_offset}", Value(value, TEXT, code))
        kept = codes[0]["let"]["slot"]
        for part in parts:
            part.code["partition"][0] = {"slot": kept}
        names = [one.id for one in target.elts if isinstance(one, ast.Name)]
        for name, part in zip(names, parts, strict=True):
            codes += body.let(name, part)
        return codes

    def _spoilt(self, node: ast.stmt) -> None:
        """Let names whose values could not be compiled be known for that."""
        for one in ast.walk(node):
            if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store):
                self.body.facts["local", one.id] = UNKNOWN
        if isinstance(node, ast.Return):
            self.body.alive = False

    # ---- verdicts

    def returned(self, node: ast.stmt, value: ast.expr | None) -> list[Code]:
        """Compile ``return``."""
        body = self.body
        if isinstance(value, ast.IfExp):
            then, otherwise = (ast.copy_location(ast.Return(one), one) for one in (value.body, value.orelse))
            links = [Link(lambda: body.test(value.test, first=True), [then], value.test)]
            return self.chain(iter(links), [otherwise])
        if isinstance(value, ast.BoolOp) and isinstance(value.op, ast.Or):
            return self._first_of(node, value)
        body.alive = False
        if value is not None and self._rule_called(value) is not None:
            return [self._inlined(value, tail=True)]
        is_none = value is None or (isinstance(value, ast.Constant) and value.value is None)
        verdict = [] if is_none else answers.parts(body, value)  # type: ignore[arg-type]
        shown = body.source.text(value or node)
        return [{"return": {"verdict": verdict, "line": node.lineno, "text": shown}}]

    def _first_of(self, node: ast.stmt, value: ast.BoolOp) -> list[Code]:
        """Compile ``return one(request) or another(request)``: the first that has a verdict."""
        codes: list[Code] = []
        for one in value.values[:-1]:
            if self._rule_called(one) is None:
                raise Refused(one, "or puts rules together here", "write if ...: return ...")
            codes.append(self._inlined(one, tail=False))
        return codes + self.returned(ast.copy_location(ast.Return(value.values[-1]), node), value.values[-1])

    def _rule_called(self, node: ast.expr) -> RuleFunction | None:
        """Return the rule that an expression calls with what this one is asked about."""
        if not isinstance(node, ast.Call) or not isinstance(node.func, (ast.Name, ast.Attribute)):
            return None
        function = node.func
        while isinstance(function, ast.Attribute):
            function = function.value  # type: ignore[assignment]
        # Names of values are no rules; their methods are not looked at here.
        if not isinstance(function, ast.Name) or function.id in self.body.locals | {self.body.subject[0]}:
            return None
        rule = self.body.value(node.func).static
        return rule if isinstance(rule, RuleFunction) else None

    def _inlined(self, node: Any, *, tail: bool) -> Code:
        rule = cast(RuleFunction, self._rule_called(node))
        subject = self.body.subject[0]
        if len(node.args) != 1 or node.keywords or getattr(node.args[0], "id", None) != subject:
            raise Refused(node, f"a rule is asked about the same {subject}", f"write ({subject})")
        return {"inline": {"body": self.inline(self.body, node, rule), "tail": tail, "name": rule.name}}

    def _asks_a_rule(self, node: ast.stmt, following: ast.stmt | None) -> "_Asked | None":
        """Recognise ``if (v := rule(request)) is not None: return v``, on one line or with ``v = ...`` before."""
        if isinstance(node, ast.If) and not node.orelse and _returned_name(node) is not None:
            test = node.test.left if _is_not_none(node.test) else node.test  # type: ignore[attr-defined]
            if isinstance(test, ast.NamedExpr) and test.target.id == _returned_name(node):
                return _Asked(test.value, 0) if self._rule_called(test.value) else None
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and isinstance(following, ast.If):
            name = node.targets[0].id
            test = following.test.left if _is_not_none(following.test) else following.test  # type: ignore[attr-defined]
            named = isinstance(test, ast.Name) and test.id == name
            if named and not following.orelse and _returned_name(following) == name and self._rule_called(node.value):
                return _Asked(node.value, 1)
        return None

    def _result_unused(self, node: ast.expr) -> list[Code]:
        shown = self.body.source.text(node)
        raise Refused(node, "what this gives is not used", f"write return {shown}" if shown else None)


@dataclass(frozen=True)
class _Asked:
    """A rule that is called for its verdict, if it has one; ``takes`` more statements belong to it."""

    node: ast.expr
    takes: int


_STATEMENTS: dict[type[ast.stmt], tuple[str, str | None]] = {
    ast.For: ("a for loop is not compiled", "rules have no loops: use a set, a dict or a pattern"),
    ast.While: ("a while loop is not compiled", "rules have no loops: use a set, a dict or a pattern"),
    ast.Try: ("try is not compiled", "test before: re.fullmatch, in, is None"),
    ast.With: ("with is not compiled", "what needs resources is an analyzer's work: consult one"),
    ast.Raise: ("raise is not compiled", "return headworks.reject(reason)"),
    ast.Assert: ("assert is not compiled", "write if ...: return headworks.reject(reason)"),
    ast.Delete: ("del is not compiled", "return headworks.rewrite(remove_headers=...)"),
    ast.Import: ("import within a rule is not compiled", "import at the top of the module"),
    ast.ImportFrom: ("import within a rule is not compiled", "import at the top of the module"),
    ast.Global: ("global is not compiled", "rules keep nothing: limit counts, analyzers remember"),
    ast.Nonlocal: ("nonlocal is not compiled", "rules keep nothing: limit counts, analyzers remember"),
    ast.FunctionDef: ("a function within a rule is not compiled", "write a rule beside this one and call it"),
    ast.AsyncFunctionDef: ("a function within a rule is not compiled", "write a rule beside this one and call it"),
    ast.ClassDef: ("a class within a rule is not compiled", "write tables and rules at the top of the module"),
    ast.Assign: ("several names at once are not compiled", "write one by one"),
    ast.AnnAssign: ("a name without a value is not compiled", "write name = value"),
    ast.AsyncFor: ("a loop is not compiled", "rules have no loops: use a set, a dict or a pattern"),
    ast.AsyncWith: ("with is not compiled", "what waits is an analyzer's work: consult one"),
    ast.AugAssign: ("requests are changed by verdicts only", "return headworks.rewrite(...)"),
}


def _is_partition(value: Any) -> bool:
    is_method = isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute)
    return is_method and value.func.attr in ("partition", "rpartition")


def _is_elif(node: ast.If) -> bool:
    return len(node.orelse) == 1 and isinstance(node.orelse[0], ast.If)


def _last_else(node: ast.If) -> list[ast.stmt]:
    while _is_elif(node):
        node = node.orelse[0]  # type: ignore[assignment]
    return node.orelse


def _takes_all(case: ast.match_case) -> bool:
    pattern = case.pattern
    return isinstance(pattern, ast.MatchAs) and pattern.pattern is None and not pattern.name and case.guard is None


def _is_not_none(test: ast.expr) -> bool:
    return (
        isinstance(test, ast.Compare)
        and isinstance(test.ops[0], ast.IsNot)
        and len(test.ops) == 1
        and isinstance(test.comparators[0], ast.Constant)
        and test.comparators[0].value is None
    )


def _returned_name(node: ast.If) -> str | None:
    """Return NAME of an ``if`` that does nothing but ``return NAME``."""
    match node.body:
        case [ast.Return(value=ast.Name(id=name))]:
            return name
    return None
