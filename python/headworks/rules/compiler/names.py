"""Names: what a name stands for, as Python would find it: local, around the function, in the module, built in.

Owns the resolution by value: a constant is what it is when the rule is compiled. Must never call anything of the
user's.
"""

import ast
import builtins
import enum
import inspect
from types import FunctionType, ModuleType
from typing import Any

from headworks.rules.compiler.body import NOTHING, Body, Value, compiles
from headworks.rules.compiler.kinds import BOOL, INT, NONE, TEXT, UNKNOWN, Kinds
from headworks.rules.problems import Refused

_KINDS: dict[type, Kinds] = {str: TEXT, int: INT, bool: BOOL, type(None): NONE}


def around(function: FunctionType) -> dict[str, Any]:
    """Return what names that are not local stand for: those of enclosing functions before the module's."""
    found = dict(vars(builtins))
    found.update(function.__globals__)
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            found[name] = cell.cell_contents
        except ValueError:
            found.pop(name, None)
    return found


def constant(node: ast.AST, value: Any) -> Value:
    """Return a Python value that is known."""
    return Value(node, _KINDS.get(type(value), frozenset()), static=value)


@compiles(ast.Constant)
def literal(_body: Body, node: ast.Constant) -> Value:
    """Compile ``"text"``, ``5``, ``True``, ``None``."""
    if isinstance(node.value, bytes):
        raise Refused(node, "bytes are not compiled", 'texts of requests are str: write "..."')
    return constant(node, node.value)


@compiles(ast.Name)
def name(body: Body, node: ast.Name) -> Value:
    """Compile a name."""
    if node.id == body.subject[0]:
        return Value(node, frozenset({body.subject[1]}))
    if node.id in body.locals:
        return _local(body, node)
    if node.id not in body.names:
        raise Refused(node, f"{node.id} is not defined")
    return constant(node, body.names[node.id])


def resolved(node: ast.AST, whole: Any, name: str) -> Value:
    """Return an attribute of a module, of a class or of an object whose attributes are plain."""
    shown = getattr(whole, "__name__", type(whole).__name__)
    if isinstance(whole, ModuleType):
        try:
            return constant(node, getattr(whole, name))
        except AttributeError:
            raise Refused(node, f"the module {shown} has no {name}") from None
    if isinstance(whole, enum.Enum) and name in ("value", "name"):
        return constant(node, whole.value if name == "value" else whole.name)
    found = inspect.getattr_static(whole, name, NOTHING)
    if isinstance(whole, enum.EnumMeta) and name in whole.__members__:
        found = whole.__members__[name]
    if found is NOTHING:
        raise Refused(node, f"{shown} has no {name}")
    if hasattr(found, "__get__"):
        raise Refused(node, f"{name} of {shown} is not compiled", "rules call functions that are rules themselves")
    return constant(node, found)


def _local(body: Body, node: ast.Name) -> Value:
    key = ("local", node.id)
    if key not in body.facts:
        raise Refused(node, f"{node.id} may have no value here", "give it one on every way that leads here")
    kinds = body.known(key, UNKNOWN)
    slot = body.slots.get(node.id)
    return Value(node, kinds, None if slot is None else {"slot": slot}, key=key)
