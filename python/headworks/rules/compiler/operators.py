"""Operators: and, or, not, conditional expressions, f-strings, +, and names given values within a condition.

Owns the order in which things happen: what may fail is reached exactly when Python would reach it. Must never compile a
comparison, a call or a statement.
"""

import ast
import operator
import re
from typing import Any

from headworks.rules.compiler.body import NOTHING, Body, Silenced, Test, Value, compiles, tests
from headworks.rules.compiler.kinds import (
    ADDRESS,
    BOOL,
    EVER_FALSE,
    INT,
    NONE,
    TEXT,
    UNKNOWN,
    Facts,
    Kinds,
    Matched,
    both,
    either,
)
from headworks.rules.compiler.names import constant
from headworks.rules.compiler.program import Code
from headworks.rules.problems import Refused

SHOWN = TEXT | INT | BOOL | ADDRESS
"""Kinds that can be part of a text."""
_NUMBERS: dict[type[ast.operator], Any] = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul}
_LARGEST = 1 << 63


@compiles(ast.BoolOp)
def deciding(body: Body, node: ast.BoolOp) -> Value:
    """Compile ``a or b``: the value that decides."""
    first = body.first
    is_and = isinstance(node.op, ast.And)
    codes: list[Code] = []
    kinds: Kinds = frozenset()
    facts: Facts = {}
    guards, before = len(body.guards), body.facts
    try:
        for operand in node.values:
            value = body.value(operand, first=first)
            _held(value)
            code, test = body.code(value), body.truth(value)
            codes.append(code)
            passing = value.kinds & EVER_FALSE if is_and else value.kinds - NONE
            kinds |= value.kinds if operand is node.values[-1] else passing
            facts = both(facts, test.yes if is_and else test.no)
            body.facts = both(before, facts)
            body.guards.append(code if is_and else {"not": code})
    finally:
        body.facts = before
        del body.guards[guards:]
    return Value(node, kinds, {"and" if is_and else "or": codes})


@tests(ast.BoolOp)
def both_or_either(body: Body, node: ast.BoolOp) -> Test:
    """Compile ``a and b`` as a condition, with what is known on either side of it."""
    first = body.first
    is_and = isinstance(node.op, ast.And)
    codes: list[Code] = []
    facts: Facts = {}
    endings: list[Facts] = []
    guards, before = len(body.guards), body.facts
    try:
        for operand in node.values:
            test = body.test(operand, first=first)
            codes.append(test.code)
            going, ending = (test.yes, test.no) if is_and else (test.no, test.yes)
            endings.append(both(facts, ending))
            facts = both(facts, going)
            body.facts = both(before, facts)
            body.guards.append(test.code if is_and else {"not": test.code})
    finally:
        body.facts = before
        del body.guards[guards:]
    ended = _ended(before, endings)
    return Test({"and": codes}, facts, ended) if is_and else Test({"or": codes}, ended, facts)


def _ended(before: Facts, endings: list[Facts]) -> Facts:
    """Return what is known when it ended at one of several operands: what was known before counts for each."""
    return either([both(before, facts) for facts in endings])


@tests(ast.UnaryOp)
def opposite(body: Body, node: ast.UnaryOp) -> Test:
    """Compile ``not a``."""
    first = body.first
    if isinstance(node.op, ast.Not):
        return body.test(node.operand, first=first).negated()
    return body.truth(unary(body, node))


@compiles(ast.UnaryOp)
def unary(body: Body, node: ast.UnaryOp) -> Value:
    """Compile ``not a``, and the minus of a number."""
    if isinstance(node.op, ast.Not):
        test = opposite(body, node)
        return Value(node, BOOL, test.code, test=test)
    value = body.value(node.operand)
    if isinstance(node.op, ast.USub) and type(value.static) in (int, float):
        return constant(node, -value.static)
    raise Refused(node, "arithmetic is compiled for constants only", "compare with the number that is meant")


@compiles(ast.IfExp)
def choice(body: Body, node: ast.IfExp) -> Value:
    """Compile ``a if test else b``."""
    first = body.first
    test = body.test(node.test, first=first)
    with body.where(test.code, test.yes):
        then = _held(body.value(node.body, first=first))
        then_code = body.code(then)
    with body.where({"not": test.code}, test.no):
        otherwise = _held(body.value(node.orelse, first=first))
        otherwise_code = body.code(otherwise)
    return Value(node, then.kinds | otherwise.kinds, {"choose": [test.code, then_code, otherwise_code]})


def _held(value: Value) -> Value:
    """Return a value that two ways can lead to: a match has one pattern."""
    if any(isinstance(atom, Matched) for atom in value.kinds):
        raise Refused(value.node, "a match is tested or given a name", "write if (found := re.match(...)):")
    return value


@compiles(ast.NamedExpr)
def named_within(body: Body, node: ast.NamedExpr) -> Value:
    """Compile ``(name := value)``: it happens before the statement, if what stands before it there allows."""
    first = body.first
    name = node.target.id
    if not first:
        raise Refused(node, ":= is compiled at the beginning of a condition, and after and, or, not", _BEFORE)
    if name in body.slots or ("local", name) in body.facts:
        raise Refused(node, f"{name} has a value already", _BEFORE)
    guards = list(body.guards)
    value = body.value(node.value)
    codes = body.let(name, value)
    del body.facts["local", name]
    for code in codes:
        if guards:
            code["let"]["value"] = {"choose": [{"and": guards}, code["let"]["value"], "none"]}
        body.prelude.append(code)
    slot = body.slots.get(name)
    key = ("local", name)
    return Value(node, value.kinds, None if slot is None else {"slot": slot}, key=key, binds={key: value.kinds})


_BEFORE = "give it a name on a line before"


@compiles(ast.JoinedStr)
def formatted(body: Body, node: ast.JoinedStr) -> Value:
    """Compile an f-string."""
    codes: list[Code] = []
    for part in node.values:
        if isinstance(part, ast.FormattedValue):
            if part.format_spec is not None or part.conversion != -1:
                raise Refused(node, "formats in f-strings are not compiled", "write {value} alone")
            codes.append(as_text(body, part.value, "an f-string takes"))
        else:
            codes.append(body.text(part, "an f-string takes"))
    return Value(node, TEXT, {"concat": codes}) if codes else constant(node, "")


def as_text(body: Body, node: ast.AST, what: str) -> Code:
    """Compile what is shown as part of a text."""
    value = body.value(node)
    return body.of(value, SHOWN, what)


@compiles(ast.BinOp)
def binary(body: Body, node: ast.BinOp) -> Value:
    """Compile ``+`` of texts; numbers and flags of patterns only where both are constants."""
    left, right = body.value(node.left), body.value(node.right)
    folded = _folded(node, left.static, right.static)
    if folded is not NOTHING:
        return constant(node, folded)
    if UNKNOWN in (left.kinds, right.kinds):
        raise Silenced(node, "")
    if isinstance(node.op, ast.Add) and (TEXT & (left.kinds | right.kinds)):
        codes = [body.of(left, TEXT, "+ takes"), body.of(right, TEXT, "+ takes")]
        return Value(node, TEXT, {"concat": [part for code in codes for part in code.get("concat", [code])]})
    if isinstance(node.op, ast.Mod) and left.kinds == TEXT:
        raise Refused(node, "% of a text is not compiled", 'write an f-string: f"..."')
    if isinstance(node.op, (ast.BitAnd, ast.BitOr)):
        raise Refused(node, "& and | put verdicts and flags together, and these are values", "write and, or")
    raise Refused(node, "arithmetic is compiled for constants only", "compare with the number that is meant")


def _folded(node: ast.BinOp, left: Any, right: Any) -> Any:
    """Return the result where both sides are constants, and small."""
    if isinstance(left, re.RegexFlag) and isinstance(right, re.RegexFlag) and isinstance(node.op, ast.BitOr):
        return left | right
    if type(left) is str and type(right) is str and isinstance(node.op, ast.Add):
        return left + right
    if type(left) is int and type(right) is int and type(node.op) in _NUMBERS:
        result = _NUMBERS[type(node.op)](left, right) if max(abs(left), abs(right)) < _LARGEST else _LARGEST
        return result if abs(result) < _LARGEST else NOTHING
    return NOTHING


@compiles(ast.Tuple, ast.List, ast.Set)
def collection(body: Body, node: Any) -> Value:
    """Compile ``("a", "b")`` of constants."""
    items = [_constant_item(body, item) for item in node.elts]
    made: Any = {ast.Tuple: tuple, ast.List: list, ast.Set: frozenset}[type(node)]
    return constant(node, made(items))


@compiles(ast.Dict)
def mapping(body: Body, node: ast.Dict) -> Value:
    """Compile ``{"a": "b"}`` of constants."""
    if None in node.keys:
        raise Refused(node, "** is not compiled", "make the table at the top of the module")
    keys = [_constant_item(body, key) for key in node.keys if key is not None]
    return constant(node, dict(zip(keys, (_constant_item(body, one) for one in node.values), strict=True)))


def _constant_item(body: Body, node: ast.AST) -> Any:
    value = body.value(node)
    if value.kinds == UNKNOWN:
        raise Silenced(node, "")
    if not value.is_static:
        raise Refused(node, "a collection holds constants only", "compare with == and put comparisons together with or")
    try:
        hash(value.static)
    except TypeError:
        raise Refused(
            node, "a collection within a collection is not compiled", "name it at the top of the module"
        ) from None
    return value.static
