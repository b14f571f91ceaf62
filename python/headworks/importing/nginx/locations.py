"""Locations of nginx: what is done with a request that comes to one."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from ipaddress import ip_network
from typing import Any

from headworks.importing.nginx.backends import Levels, Upstreams
from headworks.importing.nginx.names import python
from headworks.importing.nginx.reader import Statement
from headworks.importing.nginx.scene import Scene, holding
from headworks.importing.nginx.values import SettingError, number, plain, string, template
from headworks.importing.patterns import is_ours, named
from headworks.importing.rulefile import quoted, raw

_CODES = (301, 302, 303, 307, 308)
_CLOSED = 444
_FLAGS = {"permanent": 301, "redirect": 302}
_SUBJECTS = {
    "$host": '(request.host or "")',
    "$http_host": "request.authority",
    "$request_method": "request.method",
    "$request_uri": "request.target",
    "$uri": "request.path",
    "$scheme": "request.scheme",
    "$args": "request.query",
    "$query_string": "request.query",
}
NOT_FOUND: dict[str, Any] = {"respond": {"status": 404}}


@dataclass(slots=True)
class Action:
    """Something that is done with a request: as a target of a table, and as a verdict in Python."""

    target: Any
    verdict: str
    difference: str | None = None


@dataclass(slots=True)
class Location:
    """One location with its action."""

    statement: Statement
    modifier: str
    path: str
    action: Action
    branches: list[tuple[str, str, Statement]] = field(default_factory=list)
    """Conditions and verdicts that come before the action, with who says them."""


class Locations:
    """The locations of one server."""

    def __init__(self, scene: Scene, upstreams: Upstreams, outer: Levels, names: dict[str, str]) -> None:
        self._scene = scene
        self._upstreams = upstreams
        self._outer = outer
        self._names = names
        self.section: tuple[str, ...] = ()

    def read(self, statement: Statement) -> Location | None:
        """Read one location; None, and an outcome, where it cannot be told in ours."""
        words = statement.arguments
        modifier, path = ("", words[0]) if len(words) == 1 else (words[0], words[1]) if len(words) > 1 else ("", "")
        if modifier.startswith("~"):
            path = named(path)
        if not path or path.startswith("@") or modifier not in ("", "=", "~", "~*", "^~"):
            self.lost(statement, "nothing leads there from inside")
            return None
        if modifier.startswith("~") and not is_ours(path):
            self.lost(statement, "its expression looks around, refers back, or is none that our engine takes")
            return None
        made = Location(statement, modifier, path, Action(NOT_FOUND, "headworks.respond(404)"))
        block = statement.block or []
        levels = [*self._outer, block]
        for one in block:
            self._scene.tried(one, self.section, partial(self._inside, one, made, levels))
        made.branches += self.access(block)
        return made

    def lost(self, statement: Statement, reason: str) -> None:
        """Leave a statement out with all that is in it."""
        self._scene.ledger.unsupported(statement, reason, self.section)
        for one in statement.block or ():
            if not self._scene.settled(one, self.section):
                self.lost(one, reason)

    def _inside(self, one: Statement, made: Location, levels: Levels) -> None:
        match one.name:
            case "proxy_pass":
                backend = self._upstreams.of_pass(one, levels, _prefix(made), self._stripped(made))
                made.action = Action(backend, f"headworks.route({quoted(backend)})")
            case "return":
                made.action = self.answer(one)
                self._scene.ledger.converted(one, self.section, made.action.difference)
            case "rewrite" if _taken_off(one) is not None and self._stripped(made) is not None:
                self._scene.ledger.converted(one, self.section)
            case "rewrite":
                made.action = self.rewritten(one)
                self._scene.ledger.converted(one, self.section)
            case "if":
                made.branches.append(self.conditional(one))
            case "location":
                self.lost(one, "a location in another: write it beside it")
            case _:
                self._scene.settled(one, self.section)

    def _stripped(self, made: Location) -> str | None:
        """Return the prefix that a location takes off paths before it passes them on."""
        block = made.statement.block or []
        rewrites = [one for one in block if one.name == "rewrite"]
        leads = any(one.name == "proxy_pass" for one in block)
        return _taken_off(rewrites[0]) if leads and len(rewrites) == 1 else None

    def access(self, block: Sequence[Statement]) -> list[tuple[str, str, Statement]]:
        """Return who is kept out, as a condition in Python."""
        found = [one for one in block if one.name in ("allow", "deny")]
        if not found:
            return []
        try:
            condition = self._refused(found)
        except SettingError as error:
            for one in found:
                self._scene.ledger.unsupported(one, f"{error}; what it refuses is let through", self.section)
            return []
        for one in found:
            self._scene.ledger.converted(one, (*self.section, "rules"))
        return [(condition, "headworks.respond(403)", found[0])] if condition else []

    def _refused(self, found: list[Statement]) -> str:
        last = found[-1]
        names = [one.name for one in found]
        if last.first == "all" and last.name == "deny" and set(names[:-1]) <= {"allow"}:
            if len(found) == 1:
                return "True"
            return f"request.client not in {self._scene.rules.networks(_networks(found[:-1]))}"
        denied = found[:-1] if last.first == "all" and last.name == "allow" else found
        if {one.name for one in denied} == {"allow"}:
            return ""
        if {one.name for one in denied} != {"deny"}:
            raise SettingError("its order counts: write a rule")
        return f"request.client in {self._scene.rules.networks(_networks(denied))}"

    def answer(self, one: Statement) -> Action:
        """Return what a ``return`` says. Raises SettingError."""
        code, text = ([*one.arguments, "", ""][:2]) if one.first.isdigit() else ("302", one.first)
        text = plain(text)
        status = number(code, 200, 599)
        if status in _CODES and text:
            return self._redirect(text, status)
        if status == _CLOSED or not text:
            difference = "the client gets 403 instead of a closed connection" if status == _CLOSED else None
            status = 403 if status == _CLOSED else status
            return Action({"respond": {"status": status}}, f"headworks.respond({status})", difference)
        made = {"status": status, "body": template(text, self._names, lines=True)}
        kinds = holding("default_type", *self._outer)
        kind = kinds[0].first if kinds else "text/plain"
        made["headers"] = {"Content-Type": kind}
        fields = f'{{"Content-Type": {quoted(kind)}}}'
        return Action(
            {"respond": made}, f"headworks.respond({status}, {string(text, self._names, lines=True)}, {fields})"
        )

    def _redirect(self, text: str, code: int) -> Action:
        place = template(text, self._names)
        if place in ("https://{name}{uri}", "https://{host}{uri}"):
            place = "https:443"
        if not re.fullmatch(r"https:443|(https?://|/|\{)[^\x00-\x20\x7f]*", place):
            raise SettingError("a redirect leads to https://, http:// or a path")
        return Action(
            {"redirect": {"to": place, "code": code}}, f"headworks.redirect({string(text, self._names)}, {code})"
        )

    def rewritten(self, one: Statement) -> Action:
        """Return the redirect that a ``rewrite`` of everything is. Raises SettingError."""
        pattern, to, flag = [*one.arguments, "", "", ""][:3]
        code = _FLAGS.get(flag, 302 if to.startswith(("http://", "https://")) else 0)
        if not code:
            raise SettingError("paths are changed by strip_prefix and add_prefix of a backend, or by a rule")
        if pattern in ("^", ".*", "^.*$", "^.*", "^/"):
            # A ? at the end keeps the query from being added once more.
            return self._redirect(to.removesuffix("?"), code)
        if pattern in ("^(.*)$", "^(.*)", "(.*)", "^/(.*)$", "^/(.*)", "^/?(.*)$") and to.endswith("$1"):
            slash = "/" if pattern.startswith(("^/(", "^/?")) else ""
            head = to.removesuffix("$1")
            if slash and not head.endswith("/"):
                raise SettingError("write a rule")
            return self._redirect(f"{head.removesuffix('/') if slash else head}$request_uri", code)
        raise SettingError("write a rule: re.search(...), and headworks.redirect with its groups")

    def conditional(self, one: Statement) -> tuple[str, str, Statement]:
        """Return the condition and the verdict of an ``if`` that answers. Raises SettingError."""
        body = [inner for inner in one.block or () if not self._scene.settled(inner, self.section)]
        condition = self._condition(one.arguments)
        if len(body) != 1 or body[0].name not in ("return", "rewrite"):
            for inner in body:
                self._scene.ledger.unsupported(inner, "only a return in an if has an equal", self.section)
            raise SettingError("only a return in an if has an equal: write a rule")
        action = self.answer(body[0]) if body[0].name == "return" else self.rewritten(body[0])
        for statement in (one, body[0]):
            self._scene.ledger.converted(statement, (*self.section, "rules"), action.difference)
        return condition, action.verdict, one

    def _condition(self, words: Sequence[str]) -> str:
        words = [word for word in (word.strip("()") if word in ("(", ")") else word for word in words) if word]
        text = " ".join(words)
        text = text[1:-1] if text.startswith("(") and text.endswith(")") else text
        found = re.fullmatch(r"\s*(\$\w+)(?:\s+(=|!=|~\*?|!~\*?)\s+(.*))?", text.strip(), re.DOTALL)
        if found is None:
            raise SettingError("its condition has no equal: write a rule")
        subject, operator, value = self._subject(found[1]), found[2], (found[3] or "").strip().strip("\"'")
        if operator is None:
            return f'{subject} not in ("", "0")'
        if operator in ("=", "!="):
            if not value.isascii() or not value.isprintable():
                raise SettingError("its text is no printable ASCII")
            return f"{subject} {'==' if operator == '=' else '!='} {quoted(value)}"
        pattern = f"(?i){value}" if operator.endswith("*") else value
        if not is_ours(pattern):
            raise SettingError("its expression looks around, refers back, or is none that our engine takes")
        search = f"re.search({raw(python(pattern))}, {subject})"
        return f"not {search}" if operator.startswith("!") else search

    @staticmethod
    def _subject(variable: str) -> str:
        if variable in _SUBJECTS:
            return _SUBJECTS[variable]
        if variable.startswith("$http_"):
            return f'request.headers.get({quoted(variable[6:].replace("_", "-"))}, "")'
        if variable.startswith("$cookie_"):
            return f'request.cookies.get({quoted(variable[8:])}, "")'
        if variable.startswith("$arg_"):
            return f'request.query_params.get({quoted(variable[5:])}, "")'
        raise SettingError(f"{variable} has no equal in rules")


def _prefix(location: Location) -> str:
    if location.modifier.startswith("~"):
        return "/"
    return location.path


def _taken_off(one: Statement) -> str | None:
    """Return the prefix that a ``rewrite`` takes off: ``^/api/(.*)$ /$1 break``."""
    pattern, to, flag = [*one.arguments, "", "", ""][:3]
    found = re.fullmatch(r"\^?(/[\w/-]*?\w)(?:/\(\.\*\)|/\?\(\.\*\)|\(/\.\*\))\$?", pattern)
    if found is None or flag != "break" or to not in ("/$1", "$1"):
        return None
    return found[1]


def _networks(found: Sequence[Statement]) -> list[str]:
    try:
        return [str(ip_network(one.first, strict=False)) for one in found]
    except ValueError:
        raise SettingError("one of the clients is no network") from None
