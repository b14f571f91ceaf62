"""Calls: functions, methods of texts, fields, tables, matches and patterns; and what stands in brackets.

Owns the registry of functions, found by the object that a name stands for: whoever shadows ``len`` means another one.
Must never call any of them.
"""

import ast
import re
from collections.abc import Callable, Mapping
from ipaddress import ip_address, ip_network
from typing import Any

from headworks.rules import sampling, verdicts
from headworks.rules.compiler import matches, methods, tables
from headworks.rules.compiler.arguments import bound, constant_of
from headworks.rules.compiler.body import Body, Silenced, Value, compiles
from headworks.rules.compiler.comparisons import item_key
from headworks.rules.compiler.kinds import (
    ADDRESS,
    BOOL,
    INT,
    NONE,
    TEXT,
    UNKNOWN,
    Kinds,
    Matched,
    named,
)
from headworks.rules.compiler.names import constant
from headworks.rules.compiler.operators import SHOWN
from headworks.rules.function import RuleFunction
from headworks.rules.networks import networks
from headworks.rules.problems import Refused

_NAMED = {"headers": "header", "cookies": "cookie", "query_params": "query"}
VERDICTS = {
    getattr(verdicts, name): name
    for name in ("route", "respond", "redirect", "reject", "rewrite", "limit", "log", "consult")
}


@compiles(ast.Call)
def call(body: Body, node: ast.Call) -> Value:
    """Compile a call."""
    if isinstance(node.func, ast.Attribute):
        whole = body.value(node.func.value)
        if whole.kinds == UNKNOWN:
            raise Silenced(node, "")
        if (compiled := _of_value(body, node, node.func.attr, whole)) is not None:
            return compiled
    function = body.value(node.func).static
    for known, compiled_by in FUNCTIONS.items():
        if function is known:
            return compiled_by(body, node)
    raise Refused(node, *_refused(body, node, function))


def _of_value(body: Body, node: ast.Call, name: str, whole: Value) -> Value | None:
    """Compile a method of a value; None when it is a function in a module."""
    if TEXT & whole.kinds and whole.kinds <= TEXT | NONE:
        return methods.method(body, node, name, whole)
    part = next((part for part in _NAMED if whole.kinds == frozenset({part})), None)
    if part is not None:
        return _item(body, node, name, _NAMED[part])
    if any(isinstance(atom, Matched) for atom in whole.kinds):
        if name != "group":
            raise Refused(node, f"{name}() of a match is not compiled", "write .group(number)")
        return matches.group(body, node, whole, bound(node, ("group",)).get("group"))
    if isinstance(whole.static, Mapping) and name == "get":
        return _table_get(body, node, whole)
    if isinstance(whole.static, re.Pattern):
        return matches.matched(body, node, name, whole, bound(node, ("string",), least=1)["string"])
    if isinstance(whole.static, Mapping):
        raise Refused(node, f"{name}() of a dict is not compiled", "write table[key], table.get(key) or key in table")
    if whole.kinds and not whole.is_static:
        raise Refused(node, f"{body.source.text(node.func)}() is not compiled", f"it is {named(whole.kinds)}")
    return None


def _item(body: Body, node: ast.Call, name: str, kind: str) -> Value:
    """Compile ``request.headers.get(name, default)``, and the same of cookies and parameters."""
    if name == "getlist":
        raise Refused(node, "getlist() is not compiled", 'write get(): several are joined with ", "')
    if name != "get":
        raise Refused(node, f"{name}() is not compiled", "write get(name), or name in ...")
    given = bound(node, ("name", "default"), least=1)
    item = body.value(given["name"])
    code = {kind: body.of(item, TEXT, "get() needs")}
    key = item_key(kind, item.static) if isinstance(item.static, str) else None
    kinds = body.facts.get(key, TEXT | NONE) if key is not None else TEXT | NONE
    if "default" not in given:
        return Value(node, kinds - NONE if body.trusting else kinds, code)
    default = body.value(given["default"])
    return Value(node, TEXT | default.kinds, {"or_else": [code, body.code(default)]})


def _table_get(body: Body, node: ast.Call, table: Value) -> Value:
    given = bound(node, ("key", "default"), least=1)
    default = body.value(given["default"]) if "default" in given else constant(node, None)
    return _looked_up(body, node, table, (given["key"], default))


def _looked_up(body: Body, node: ast.AST, table: Value, asked: tuple[ast.AST, Value | None]) -> Value:
    """Compile a look-up in a dict, with a default where one was given."""
    key_node, default = asked
    index, keys, values = tables.map_of(body, table.node, table.static)
    key = body.value(key_node)
    code = body.of(key, keys or TEXT, "the keys of the table are")
    if default is None:
        return Value(node, values or TEXT, {"lookup": [code, index, None]})
    return Value(node, values | default.kinds, {"lookup": [code, index, body.code(default)]})


@compiles(ast.Subscript)
def subscript(body: Body, node: ast.Subscript) -> Value:
    """Compile ``table[key]``, ``text[1:]``, ``text.split(",")[0]``, ``found[1]``, ``request.headers["x"]``."""
    inner = node.value
    if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Attribute) and inner.func.attr in methods.PARTS:
        whole = body.value(inner.func.value)
        if TEXT & whole.kinds:
            return methods.part(body, node, inner, whole)
    whole = body.value(inner)
    if whole.kinds == UNKNOWN:
        raise Silenced(node, "")
    if TEXT & whole.kinds and whole.kinds <= TEXT | NONE:
        return methods.slice_of(body, node, whole)
    if any(isinstance(atom, Matched) for atom in whole.kinds):
        return matches.group(body, node, whole, node.slice)
    part = next((part for part in _NAMED if whole.kinds == frozenset({part})), None)
    if part is not None:
        return _present_item(body, node, _NAMED[part])
    if isinstance(whole.static, (Mapping, list, tuple)):
        return _of_constant(body, node, whole)
    raise Refused(node, f"{body.source.text(inner)} has no items in rules")


def _present_item(body: Body, node: ast.Subscript, kind: str) -> Value:
    """Compile ``request.headers["x"]`` where a test has shown that it is there."""
    name = constant_of(body, node.slice, str, "the name in brackets")
    key = item_key(kind, name)
    if body.known(key, TEXT | NONE) != TEXT:
        shown = body.source.text(node.value)
        raise Refused(
            node, f"{ast.unparse(node.slice)} may not be there", f"write {shown}.get(...), or test it with in before"
        )
    return Value(node, TEXT, {kind: body.text(node.slice, "[] needs")}, key=key)


def _of_constant(body: Body, node: ast.Subscript, whole: Value) -> Value:
    index = body.value(node.slice) if not isinstance(node.slice, ast.Slice) else None
    if index is not None and index.is_static:
        try:
            return constant(node, whole.static[index.static])
        except (KeyError, IndexError, TypeError):
            raise Refused(node, f"there is no {ast.unparse(node.slice)} in it") from None
    if not isinstance(whole.static, Mapping):
        raise Refused(node, "items of lists are compiled for constant indices only", "make it a dict")
    return _looked_up(body, node, whole, (node.slice, None))


def _len(body: Body, node: ast.Call) -> Value:
    argument = body.value(bound(node, ("obj",), least=1)["obj"])
    if argument.is_static and hasattr(argument.static, "__len__"):
        return constant(node, len(argument.static))
    return Value(node, INT, {"len": body.of(argument, TEXT, "len() needs")})


def _int(body: Body, node: ast.Call) -> Value:
    argument = body.value(bound(node, ("x",), least=1)["x"])
    return Value(node, INT, {"int": body.of(argument, TEXT | INT, "int() needs")})


def _str(body: Body, node: ast.Call) -> Value:
    argument = body.value(bound(node, ("object",), least=1)["object"])
    return Value(node, TEXT, {"str": body.of(argument, SHOWN, "str() takes")})


def _bool(body: Body, node: ast.Call) -> Value:
    test = body.truth(body.value(bound(node, ("x",), least=1)["x"]))
    return Value(node, BOOL, {"not": {"not": test.code}})


def _sample(body: Body, node: ast.Call) -> Value:
    given = bound(node, ("percent", "key"), least=2)
    percent = body.value(given["percent"]).static
    try:
        if isinstance(percent, bool) or not isinstance(percent, (int, float)):
            raise Refused(given["percent"], "the percentage of sample() must be a constant number")
        share = sampling.millionths(percent)
    except ValueError as error:
        raise Refused(given["percent"], str(error)) from None
    kinds: Kinds = TEXT | INT | ADDRESS | NONE
    return Value(node, BOOL, {"sample": [share, body.of(body.value(given["key"]), kinds, "the key must be")]})


def _matching(name: str) -> Callable[[Body, ast.Call], Value]:
    def compiled(body: Body, node: ast.Call) -> Value:
        return matches.of_module(body, node, name)

    return compiled


def _made(body: Body, node: ast.Call) -> Value:
    """Compile ``ipaddress.ip_network("10.0.0.0/8")`` and its like: constants that are made where they are used."""
    function = body.value(node.func).static
    given = [body.value(argument).static for argument in node.args]
    if node.keywords or not all(isinstance(one, (str, *tables.NETWORKS)) for one in given):
        raise Refused(node, f"what {body.source.text(node.func)}() takes must be constants here")
    try:
        return constant(node, function(*given))
    except (ValueError, TypeError) as error:
        raise Refused(node, str(error)) from None


FUNCTIONS: dict[Any, Callable[[Body, ast.Call], Value]] = {
    len: _len,
    int: _int,
    str: _str,
    bool: _bool,
    sampling.sample: _sample,
    ip_address: _made,
    ip_network: _made,
    networks: _made,
    **{getattr(re, name): _matching(name) for name in ("match", "search", "fullmatch")},
}
_INSTEAD = {
    "print": "put it into the access record: headworks.log(field=value)",
    "isinstance": "write is None or is not None",
    "any": "rules have no loops: write or, or a set",
    "all": "rules have no loops: write and",
    "max": "write a conditional expression",
    "min": "write a conditional expression",
    "abs": "compare with both numbers",
    "sorted": "rules have no lists",
    "range": "write low <= number < high",
    "getattr": "write the attribute",
    "open": "load a table at the top of the module: headworks.load(...)",
    "eval": "write what is meant",
}


def _refused(body: Body, node: ast.Call, function: Any) -> tuple[str, str | None]:
    shown = body.source.text(node.func)
    if isinstance(function, RuleFunction):
        return f"the verdict of {shown} is used as a value", f"write return {shown}({body.subject[0]})"
    if callable(function) and getattr(function, "__module__", "") == verdicts.__name__:
        return f"the verdict of {shown}() is used as a value", f"write return {shown}(...)"
    if getattr(function, "__module__", "") == "re":
        return f"{shown}() is not compiled", "there are re.match, re.search and re.fullmatch"
    instead = _INSTEAD.get(getattr(function, "__name__", ""))
    if instead is None and hasattr(function, "__code__"):
        instead = f"write @headworks.rule above def {function.__name__}, or what it returns"
    return f"{shown}() is not compiled", instead or "what must run in Python is an analyzer's work: consult one"
