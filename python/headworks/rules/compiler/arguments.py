"""Arguments: which argument of a call is which parameter, and arguments that must be constants.

Must never guess: what Python would refuse with a TypeError is refused here.
"""

import ast
from collections.abc import Sequence
from typing import TypeVar

from headworks.rules.compiler.body import Body
from headworks.rules.compiler.kinds import Kinds
from headworks.rules.compiler.program import Code
from headworks.rules.problems import Refused

_T = TypeVar("_T")


def bound(node: ast.Call, names: Sequence[str], *, least: int = 0, only_by_name: bool = False) -> dict[str, ast.expr]:
    """Return the arguments by parameter; the first ``least`` of ``names`` must be given."""
    shown = ast.unparse(node.func) if not isinstance(node.func, ast.Attribute) else node.func.attr
    given: dict[str, ast.expr] = {}
    for position, argument in enumerate(node.args):
        if isinstance(argument, ast.Starred):
            raise Refused(argument, "* is not compiled", "write each argument")
        if only_by_name or position >= len(names):
            raise Refused(argument, f"{shown}() takes {_count(0 if only_by_name else len(names))} here", _given(names))
        given[names[position]] = argument
    for keyword in node.keywords:
        if keyword.arg is None:
            raise Refused(keyword.value, "** is not compiled", "write each argument")
        if keyword.arg not in names or keyword.arg in given:
            raise Refused(keyword.value, f"{shown}() takes no other {keyword.arg}", _given(names))
        given[keyword.arg] = keyword.value
    missing = [name for name in names[:least] if name not in given]
    if missing:
        raise Refused(node, f"{shown}() lacks {missing[0]}")
    return given


def _count(number: int) -> str:
    return {0: "no argument by position", 1: "one argument"}.get(number, f"{number} arguments")


def _given(names: Sequence[str]) -> str | None:
    return f"it takes {', '.join(names)}" if names else None


def constant_of(body: Body, node: ast.AST, kind: type[_T], what: str) -> _T:
    """Return an argument that must be a constant of one type."""
    value = body.value(node)
    if not isinstance(value.static, kind) or (isinstance(value.static, bool) and kind is not bool):
        raise Refused(node, f"{what} must be a constant ({kind.__name__})")
    return value.static


def optional(body: Body, node: ast.AST | None, kinds: Kinds, what: str) -> Code:
    """Compile an argument that may be left out, or None."""
    value = body.value(node) if node is not None else None
    return None if value is None or value.static is None else body.of(value, kinds, what)
