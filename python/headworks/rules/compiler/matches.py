"""Matches: re.match, search and fullmatch, and the groups of what they found.

Owns registers: each call has one of its own. Must never take a pattern that is not a constant.
"""

import ast
import re
from typing import Any

from headworks.rules.compiler import patterns
from headworks.rules.compiler.arguments import bound
from headworks.rules.compiler.body import Body, Value
from headworks.rules.compiler.kinds import NONE, TEXT, Matched
from headworks.rules.problems import Refused

MOST_GROUPS = 10
"""Groups that core keeps of a match, the whole included."""


def of_module(body: Body, node: ast.Call, name: str) -> Value:
    """Compile ``re.match(pattern, text, flags)``."""
    given = bound(node, ("pattern", "string", "flags"), least=2)
    pattern = body.value(given["pattern"])
    flags = body.value(given["flags"]).static if "flags" in given else 0
    if isinstance(pattern.static, str) and isinstance(flags, int):
        try:
            pattern = Value(pattern.node, static=re.compile(pattern.static, flags))
        except (re.error, ValueError, OverflowError, RecursionError) as error:
            raise Refused(pattern.node, f"it is no pattern: {error}") from None
    if not isinstance(pattern.static, re.Pattern):
        raise Refused(pattern.node, "a pattern must be a constant", "write it here, or re.compile it in the module")
    return matched(body, node, name, pattern, given["string"])


def matched(body: Body, node: ast.AST, name: str, pattern: Value, text: ast.AST) -> Value:
    """Compile one match."""
    if name not in ("match", "search", "fullmatch"):
        raise Refused(node, f"{name}() is not compiled", "there are match, search and fullmatch")
    if pattern.static.groups >= MOST_GROUPS:
        reason = f"a pattern has {pattern.static.groups} groups, more than {MOST_GROUPS - 1}"
        raise Refused(pattern.node, reason, "write (?:...) for groups that are not needed")
    try:
        found = patterns.translated(pattern.static, whole=name == "fullmatch")
    except patterns.Untranslatable as error:
        raise Refused(pattern.node, *error.args) from None
    index = body.program.constant(
        ("regex", found.text, found.ends), {"regex": {"pattern": found.text, "ends": found.ends}}
    )
    register = body.taken(node, body.program.register)
    match = Matched(register, found.groups, found.names)
    code = {"match": [index, body.text(text, f"{name}() needs"), register, name]}
    return Value(node, frozenset({match}) | NONE, code)


def group(body: Body, node: ast.AST, whole: Value, asked: ast.AST | None) -> Value:
    """Compile ``found.group(1)`` and ``found[1]``."""
    if whole.kinds >= NONE:
        shown = body.source.text(whole.node)
        raise Refused(whole.node, f"{shown} may be None: nothing matched", "test it before: if (found := ...):")
    known = [atom for atom in whole.kinds if isinstance(atom, Matched)]
    if len(known) != 1:
        raise Refused(node, "it is a match of one of several patterns", "give each match a name of its own")
    match = known[0]
    wanted: Any = 0 if asked is None else body.value(asked).static
    number = dict(match.names).get(wanted) if isinstance(wanted, str) else wanted
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < len(match.groups):
        raise Refused(asked or node, f"the pattern has no group {ast.unparse(asked) if asked else 0}", _groups(match))
    return Value(node, TEXT if match.groups[number] else TEXT | NONE, {"group": [match.register, number]})


def _groups(match: Matched) -> str:
    names = [f'"{name}"' for name, _ in match.names]
    return f"there are {', '.join([*map(str, range(len(match.groups))), *names])}"
