"""Answers: the parts of a verdict that is returned, put together with ``&``.

Owns what may be in each part: what Python would find wrong when it runs is found here before. Must never let a verdict
decide twice.
"""

import ast
from collections.abc import Callable
from typing import Any

from headworks.rules import verdicts
from headworks.rules.compiler.arguments import bound, constant_of, optional
from headworks.rules.compiler.body import Body, Lead, Value
from headworks.rules.compiler.calls import VERDICTS
from headworks.rules.compiler.kinds import ADDRESS, BOOL, INT, NONE, TEXT
from headworks.rules.compiler.names import constant
from headworks.rules.compiler.program import Code
from headworks.rules.problems import Refused
from headworks.rules.verdicts import Verdict

_WAYS = ("route", "respond", "redirect", "reject")


def parts(body: Body, node: ast.AST) -> list[Code]:
    """Compile a verdict."""
    found: list[Code] = []
    waiting = [node]
    ways: list[str] = []
    while waiting:
        one = waiting.pop()
        if isinstance(one, ast.BinOp) and isinstance(one.op, ast.BitAnd):
            waiting += [one.right, one.left]
            continue
        for part in _of(body, one):
            found.append(part)
            ways += [word for word in part if word in _WAYS]
            if len(ways) > 1:
                raise Refused(one, verdicts.two_ways(*ways[:2]), "return one of them")
    return found


def _of(body: Body, node: ast.AST) -> list[Code]:
    if isinstance(node, ast.Call):
        function = body.value(node.func).static
        word = next((word for known, word in VERDICTS.items() if function is known), None)
        if word is not None:
            return [{word: _PARTS[word](body, node)}]
    if isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)):
        value = body.value(node)
        if isinstance(value.static, Verdict):
            return [_constant(body, node, part) for part in value.static.parts]
    if isinstance(node, ast.Call):
        body.value(node)
    raise Refused(node, f"{body.source.text(node)} is no verdict", "write headworks.route(...), respond(...) or None")


def _checked(node: ast.AST, check: Callable[[Any], Any], value: Any) -> Any:
    try:
        return check(value)
    except ValueError as error:
        raise Refused(node, str(error)) from None


def _route(body: Body, node: ast.Call) -> Code:
    given = bound(node, ("backend", "server"), least=1)
    backend = given["backend"]
    for name, place in _possible(body, backend):
        body.shared.backends.append(Lead(name, body.source.problem(place, "")))
    return {
        "backend": body.text(backend, "the name of a backend must be"),
        "server": optional(body, given.get("server"), TEXT, "the address of a server must be"),
    }


def _possible(body: Body, node: ast.AST) -> list[tuple[str, ast.AST]]:
    """Return the names that an expression can be, as far as they are known, each with where it stands."""
    if isinstance(node, ast.IfExp):
        return _possible(body, node.body) + _possible(body, node.orelse)
    if isinstance(node, ast.Constant):
        return [(node.value, node)] if isinstance(node.value, str) else []
    table: ast.AST | None = None
    others: list[ast.AST] = []
    if isinstance(node, ast.Subscript):
        table = node.value
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get":
        table, others = node.func.value, list(node.args[1:])
    names = [one for other in others for one in _possible(body, other)]
    value = body.value(table or node) if isinstance(table or node, (ast.Name, ast.Attribute)) else None
    if value is not None and isinstance(value.static, str) and table is None:
        names.append((value.static, node))
    if value is not None and isinstance(value.static, dict) and table is not None:
        names += [(name, node) for name in dict.fromkeys(value.static.values()) if isinstance(name, str)]
    return names


def _respond(body: Body, node: ast.Call) -> Code:
    given = bound(node, ("status", "body", "headers"), least=1)
    status = _checked(given["status"], verdicts.checked_status, constant_of(body, given["status"], int, "the status"))
    text = None
    if "body" in given:
        body.loose = True
        try:
            text = body.text(given["body"], "a body must be")
        finally:
            body.loose = False
    return {
        "status": {"int": status},
        "body": text,
        "headers": _fields(body, given.get("headers"), may_be_none=False),
    }


def _redirect(body: Body, node: ast.Call) -> Code:
    given = bound(node, ("to", "code"), least=1)
    code = constant_of(body, given["code"], int, "the code") if "code" in given else 302
    _checked(given.get("code", node), verdicts.checked_code, code)
    to = body.value(given["to"]).static
    if isinstance(to, str) and (not to or not to.isascii() or not to.isprintable() or " " in to):
        reason = "it leads nowhere" if not to else f"{to!r} is not a place that can be sent"
        raise Refused(given["to"], reason, "write a path or an URL in ASCII, anything else as %XX")
    return {"to": body.text(given["to"], "the place must be"), "code": code}


def _reject(body: Body, node: ast.Call) -> Code:
    return {"reason": optional(body, bound(node, ("reason",)).get("reason"), TEXT, "a reason must be")}


def _rewrite(body: Body, node: ast.Call) -> Code:
    names = ("set_headers", "add_headers", "remove_headers", "path", "host", "query")
    given = bound(node, names, only_by_name=True)
    if not given:
        raise Refused(node, "rewrite() changes nothing", f"it takes {', '.join(names)}")
    return {
        "set": _fields(body, given.get("set_headers"), may_be_none=True),
        "add": _fields(body, given.get("add_headers"), may_be_none=False),
        "remove": _removed(body, given.get("remove_headers")),
        **{name: _part(body, name, given.get(name)) for name in ("path", "host", "query")},
    }


def _part(body: Body, name: str, node: ast.AST | None) -> Code:
    """Compile a path, host or query: a constant that could never be sent is refused here."""
    static = body.value(node).static if node is not None else None
    if node is not None and isinstance(static, str):
        _checked(node, lambda text: verdicts.checked_part(name, text), static)
    return optional(body, node, TEXT, f"{name} must be")


def _removed(body: Body, node: ast.AST | None) -> list[str]:
    if node is None:
        return []
    static = body.value(node).static
    names = (static,) if isinstance(static, str) else static
    if not isinstance(names, (tuple, list)) or not all(isinstance(name, str) for name in names):
        raise Refused(node, "fields that are removed must be constants", 'write ("X-A", "X-B")')
    return [_checked(node, verdicts.checked_name, name) for name in names]


def _limit(body: Body, node: ast.Call) -> Code:
    given = bound(node, ("key", "rate"), least=2)
    rate = constant_of(body, given["rate"], str, "the rate")
    requests, per = _checked(given["rate"], verdicts.parse_rate, rate)
    key = body.of(body.value(given["key"]), TEXT | INT | ADDRESS | NONE, "a key must be")
    return {"key": key, "requests": requests, "per": per, "burst": requests}


def _log(body: Body, node: ast.Call) -> Code:
    if not node.keywords or node.args:
        raise Refused(node, "log() takes fields by name", "write headworks.log(field=value)")
    body.loose = True
    try:
        fields = bound(node, [one.arg for one in node.keywords if one.arg is not None])
        kinds = TEXT | INT | BOOL | ADDRESS | NONE
        return [[name, body.of(body.value(one), kinds, "a field must be")] for name, one in fields.items()]
    finally:
        body.loose = False


def _consult(body: Body, node: ast.Call) -> Code:
    argument = bound(node, ("analyzer",), least=1)["analyzer"]
    name = constant_of(body, argument, str, "the name of an analyzer")
    body.shared.analyzers.append(Lead(name, body.source.problem(argument, "")))
    return name


_PARTS: dict[str, Callable[[Body, ast.Call], Code]] = {
    "route": _route,
    "respond": _respond,
    "redirect": _redirect,
    "reject": _reject,
    "rewrite": _rewrite,
    "limit": _limit,
    "log": _log,
    "consult": _consult,
}


def _fields(body: Body, node: ast.AST | None, *, may_be_none: bool) -> list[Code]:
    """Compile ``{"X-Name": value}``; the names are constants."""
    if node is None or (isinstance(node, ast.Constant) and node.value is None):
        return []
    kinds = TEXT | NONE if may_be_none else TEXT
    if not isinstance(node, ast.Dict):
        table = body.value(node).static
        if not isinstance(table, dict):
            raise Refused(node, "the fields must be written here", 'write {"X-Name": value}')
        return [_field(body, node, (name, constant(node, value)), kinds) for name, value in table.items()]
    found = []
    for key, value in zip(node.keys, node.values, strict=True):
        if key is None:
            raise Refused(node, "** is not compiled", "write each field")
        found.append(_field(body, key, (constant_of(body, key, str, "the name of a field"), body.value(value)), kinds))
    return found


def _field(body: Body, node: ast.AST, field: tuple[str, Value], kinds: frozenset[Any]) -> Code:
    name, value = field
    if not isinstance(name, str):
        raise Refused(node, "the name of a field must be a text")
    return [_checked(node, verdicts.checked_name, name), body.of(value, kinds, "the value of a field must be")]


def _constant(  # noqa: PLR0911  (one for each part)
    body: Body, node: ast.AST, part: verdicts.Part
) -> Code:
    """Compile a part of a verdict that the module holds."""

    def text(value: str | None) -> Code:
        return None if value is None else {"text": body.text_constant(node, value)}

    match part:
        case verdicts.Route():
            body.shared.backends.append(Lead(part.backend, body.source.problem(node, "")))
            return {"route": {"backend": text(part.backend), "server": text(part.server)}}
        case verdicts.Respond():
            headers = [[name, text(value)] for name, value in part.headers]
            return {"respond": {"status": {"int": part.status}, "body": {"text": part.body}, "headers": headers}}
        case verdicts.Redirect():
            return {"redirect": {"to": text(part.to), "code": part.code}}
        case verdicts.Reject():
            return {"reject": {"reason": text(part.reason)}}
        case verdicts.Rewrite():
            pairs = [[name, "none" if value is None else text(value)] for name, value in part.set]
            whole = {name: text(getattr(part, name)) for name in ("path", "host", "query")}
            added = [[name, text(value)] for name, value in part.add]
            return {"rewrite": {"set": pairs, "add": added, "remove": list(part.remove), **whole}}
        case verdicts.Limit():
            key = body.literal(constant(node, part.key))
            return {"limit": {"key": key, "requests": part.requests, "per": part.per, "burst": part.burst}}
        case verdicts.Log():
            return {"log": [[name, body.literal(constant(node, value))] for name, value in part.fields]}
        case verdicts.Consult():
            body.shared.analyzers.append(Lead(part.analyzer, body.source.problem(node, "")))
            return {"consult": part.analyzer}
    raise Refused(node, f"{part.word} is for analyzers", "write headworks.consult(NAME)")
