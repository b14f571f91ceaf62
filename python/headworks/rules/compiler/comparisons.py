"""Comparisons: ==, <, in, is None, and chains of them, with what each tells about its sides.

Owns which kinds can be compared: what could never be equal is an error, as type checkers have it. Must never compare
two values that Python would take for equal although their kinds differ (``1 == True``).
"""

import ast
from collections.abc import Mapping

from headworks.rules.compiler import tables
from headworks.rules.compiler.body import Body, Silenced, Test, Value, compiles, tests
from headworks.rules.compiler.kinds import ADDRESS, BOOL, INT, NONE, TEXT, UNKNOWN, VALUES, Kinds, both, named
from headworks.rules.compiler.program import Code
from headworks.rules.networks import Network, Networks
from headworks.rules.problems import Refused

_WORDS: dict[type[ast.cmpop], str] = {
    ast.Eq: "eq",
    ast.NotEq: "ne",
    ast.Lt: "lt",
    ast.LtE: "le",
    ast.Gt: "gt",
    ast.GtE: "ge",
}
_NAMED = {"headers": "header", "cookies": "cookie", "query_params": "query"}


@compiles(ast.Compare)
def compared(body: Body, node: ast.Compare) -> Value:
    """Compile a comparison where its truth value is meant."""
    test = chain(body, node)
    return Value(node, BOOL, test.code, test=test)


@tests(ast.Compare)
def chain(body: Body, node: ast.Compare) -> Test:
    """Compile ``a < b <= c``."""
    first = body.first
    left = body.value(node.left, first=first)
    binds = left.binds
    found: list[Test] = []
    for comparison, right_node in zip(node.ops, node.comparators, strict=True):
        right = body.value(right_node)
        found.append(pair(body, comparison, left, right))
        left = right
    if len(found) == 1:
        return Test(found[0].code, both(binds, found[0].yes), both(binds, found[0].no))
    yes = binds
    for test in found:
        yes = both(yes, test.yes)
    return Test({"and": [test.code for test in found]}, yes, binds)


def pair(  # noqa: PLR0911  (one for each comparison)
    body: Body, comparison: ast.cmpop, left: Value, right: Value
) -> Test:
    """Compile one comparison."""
    if UNKNOWN in (left.kinds, right.kinds):
        raise Silenced(left.node, "")
    match comparison:
        case ast.Is():
            return same(left, right)
        case ast.IsNot():
            return same(left, right).negated()
        case ast.In():
            return inside(body, left, right)
        case ast.NotIn():
            return inside(body, left, right).negated()
        case ast.Eq():
            return equal(body, left, right)
        case ast.NotEq():
            return equal(body, left, right).negated()
    return ordered(body, comparison, left, right)


def same(left: Value, right: Value) -> Test:
    """Compile ``a is None``."""
    if right.static is not None:
        left, right = right, left
    if right.static is not None:
        raise Refused(left.node, "is compiled with None only", "write ==, or the truth value alone")
    if left.is_static:
        return Test({"bool": left.static is None})
    if left.code is None:
        raise Refused(left.node, f"{named(left.kinds)} is never None")
    code: Code = {"not": left.code} if "tls" in left.kinds else {"is_none": left.code}
    if left.key is None:
        return Test(code)
    # Where the test can never lead, what is None anyway passes for the text that most of it is elsewhere.
    return Test(code, {left.key: NONE}, {left.key: left.kinds - NONE or TEXT})


def equal(body: Body, left: Value, right: Value) -> Test:
    """Compile ``a == b``."""
    if left.static is None or right.static is None:
        return same(left, right)
    for one, other in ((left, right), (right, left)):
        if isinstance(one.static, tables.ADDRESSES):
            return _among(body, other, tables.networks_of(body, tables.as_networks((one.static,)) or ()))
    a, b = left.kinds - NONE, right.kinds - NONE
    for value in (left, right):
        if not value.kinds or not value.kinds <= VALUES:
            body.code(value)
            raise Refused(value.node, f"{named(value.kinds)} is not compared", None)
    mixed = (a & BOOL and b & INT) or (a & INT and b & BOOL)
    if (a and b and not a & b and not (left.kinds & right.kinds & NONE)) or mixed:
        shown = f"{body.source.text(left.node)} is {named(left.kinds)}"
        reason = f"{shown} and {body.source.text(right.node)} is {named(right.kinds)}: they are never equal"
        raise Refused(left.node, reason, _never(a, b))
    yes = {one.key: one.kinds & other.kinds for one, other in ((left, right), (right, left)) if one.key is not None}
    return Test({"eq": [body.code(left), body.code(right)]}, yes)


def _never(a: Kinds, b: Kinds) -> str | None:
    if a | b == TEXT | INT:
        return "write int(...) or str(...)"
    if a | b == TEXT | ADDRESS:
        return 'write in headworks.networks("..."), or ipaddress.ip_address("...")'
    return None


def ordered(body: Body, comparison: ast.cmpop, left: Value, right: Value) -> Test:
    """Compile ``a < b``."""
    what = "< and > need"
    kinds = left.kinds - NONE
    expected = kinds if kinds in (TEXT, INT) else right.kinds - NONE
    if expected not in (TEXT, INT):
        raise Refused(left.node, f"{named(left.kinds)} has no order", "compare texts or numbers")
    codes = [body.of(left, expected, what), body.of(right, expected, what)]
    return Test({_WORDS[type(comparison)]: codes})


def inside(body: Body, left: Value, right: Value) -> Test:
    """Compile ``a in b``."""
    if right.kinds and right.kinds <= frozenset(_NAMED):
        return _present(body, left, next(iter(right.kinds)))
    networks = tables.as_networks(right.static) if right.is_static else None
    if networks is not None:
        return _in_networks(body, left, right, networks)
    if TEXT & right.kinds:
        return Test({"in_text": [body.of(left, TEXT, "in needs"), body.of(right, TEXT, "in needs")]})
    if isinstance(right.static, (*tables.COLLECTIONS, Mapping)):
        return _in_set(body, left, right)
    shown = body.source.text(right.node)
    raise Refused(right.node, f"in is not compiled for {named(right.kinds) if right.kinds else shown}", _CONTAINERS)


_CONTAINERS = "use a set, tuple, dict, text, headworks.networks or headers"


def _present(body: Body, left: Value, part: object) -> Test:
    code = body.of(left, TEXT, "in needs")
    name = _NAMED[str(part)]
    test: Code = {"has_header": code} if name == "header" else {"not": {"is_none": {name: code}}}
    if not isinstance(left.static, str):
        return Test(test)
    return Test(test, {item_key(name, left.static): TEXT}, {item_key(name, left.static): NONE})


def item_key(name: str, item: str) -> tuple[str, str]:
    """Return under what is known of a field, cookie or parameter."""
    return (name, item.lower() if name == "header" else item)


def _in_networks(body: Body, left: Value, right: Value, networks: list[Network]) -> Test:
    # Python's own networks do not take None.
    takes_none = isinstance(right.static, (Networks, *tables.COLLECTIONS))
    what = "in needs" if takes_none else "an ip_network needs"
    body.of(left, ADDRESS | NONE if takes_none else ADDRESS, what)
    return _among(body, left, tables.networks_of(body, networks))


def _among(body: Body, value: Value, index: int) -> Test:
    code = {"in_networks": [body.of(value, ADDRESS | NONE, "it is compared with"), index]}
    return Test(code, {value.key: ADDRESS} if value.key is not None else {})


def _in_set(body: Body, left: Value, right: Value) -> Test:
    keys = tables.keys_of(body, right.node, right.static)
    code = body.of(left, VALUES, "in needs")
    found = left.kinds - NONE
    if found & BOOL or (keys.kinds and found and not found & keys.kinds):
        shown = body.source.text(left.node)
        raise Refused(
            left.node, f"{shown} is {named(left.kinds)}, and there are only {_plural(keys.kinds)}: never in it"
        )
    test: Code = {"in_set": [code, keys.constant]}
    if keys.has_none and left.kinds >= NONE:
        test = {"or": [{"is_none": code}, test]}
        return Test(test)
    return Test(test, {left.key: found & keys.kinds or found} if left.key is not None else {})


def _plural(kinds: Kinds) -> str:
    return " and ".join(sorted({"text": "texts", "int": "numbers"}.get(str(kind), str(kind)) for kind in kinds))
