"""Actions of HAProxy on requests and responses: answers, redirects, fields that are set, as values of ours."""

import re
from typing import Any

from headworks.importing.haproxy.conditions import ConditionError
from headworks.importing.haproxy.formats import string, template
from headworks.importing.haproxy.sections import Statement
from headworks.importing.haproxy.values import SettingError, number
from headworks.importing.rulefile import quoted

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FORWARDED = frozenset({"x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"})
_CODES = (301, 302, 303, 307, 308)


def words_of(statement: Statement) -> tuple[list[str], list[str]]:
    """Return the words of an action, and those of its condition."""
    words = statement.arguments
    at = next((n for n, word in enumerate(words) if word in ("if", "unless")), len(words))
    return words[:at], words[at:]


def answer_of(statement: Statement) -> dict[str, Any] | None:
    """Return an answer as a target of a table: ``respond`` or ``redirect``; None where it is none."""
    words, _ = words_of(statement)
    if statement.keyword == "redirect":
        words = ["redirect", *words]
    match words[:1]:
        case ["deny" | "reject" | "tarpit"]:
            return {"respond": _denied(words)}
        case ["return"]:
            return {"respond": _returned(words)}
        case ["redirect"]:
            to, code = _redirected(words)
            return {"redirect": {"to": _place(to), "code": code}}
        case _:
            return None


def verdict_of(statement: Statement) -> str | None:
    """Return an answer as a verdict of a rule in Python; None where it is none."""
    words, _ = words_of(statement)
    if statement.keyword == "redirect":
        words = ["redirect", *words]
    match words[:1]:
        case ["deny" | "reject" | "tarpit"]:
            return f"headworks.respond({_denied(words)['status']})"
        case ["return"]:
            made = _returned(words)
            headers = made.get("headers", {})
            said = ", ".join(f"{quoted(name)}: {quoted(value)}" for name, value in headers.items())
            return f"headworks.respond({made['status']}, {quoted(made.get('body', ''))}, {{{said}}})"
        case ["redirect"]:
            to, code = _redirected(words)
            return f"headworks.redirect({_location(to)}, {code})"
        case _:
            return None


def rewrite_of(statement: Statement) -> str | None:
    """Return a change of a request as a verdict of a rule in Python; None where it is none."""
    words, _ = words_of(statement)
    match words:
        case ["set-header", name, value] if _NAME.fullmatch(name):
            return f"headworks.rewrite(set_headers={{{quoted(name)}: {string(value)}}})"
        case ["add-header", name, value] if _NAME.fullmatch(name):
            return f"headworks.rewrite(add_headers={{{quoted(name)}: {string(value)}}})"
        case ["del-header", name] if _NAME.fullmatch(name):
            return f"headworks.rewrite(remove_headers=[{quoted(name)}])"
        case ["set-path", value] if value.startswith(("/", "%")):
            return f"headworks.rewrite(path={string(value)})"
        case _:
            return None


def headers_of(statement: Statement, into: dict[str, Any], key: str) -> str | None:
    """Set, add or remove fields in a section of ours; return the key, None where that is not what it does."""
    words, condition = words_of(statement)
    if condition:
        raise ConditionError("a condition there needs a rule: write one, and name it in rules")
    if words[:1] not in (["set-header"], ["add-header"], ["del-header"]):
        return None
    action, name, value = [*words, "", ""][:3]
    if not _NAME.fullmatch(name) or "-m" in words[2:]:
        raise SettingError("name one field, or the beginning of several with * behind it, in remove")
    if name.lower() == "host" and key == "request_headers" and action == "set-header":
        into["host"] = template(value)
        return "host"
    if name.lower() in ("connection", "content-length", "transfer-encoding", "upgrade", "te", "keep-alive", "host"):
        raise SettingError("fields of the connection are the proxy's own")
    fields = into.setdefault(key, {})
    if action == "del-header":
        fields.setdefault("remove", []).append(name) if name not in fields.get("remove", []) else None
    else:
        fields.setdefault("set" if action == "set-header" else "add", {})[name] = template(value)
    return key


def tells_of_clients(statement: Statement) -> bool:
    """Whether it sets a field that our forwarding fields are, too."""
    words, _ = words_of(statement)
    is_set = words[:1] in (["set-header"], ["add-header"], ["del-header"])
    return is_set and len(words) > 1 and words[1].lower() in _FORWARDED


def _denied(words: list[str]) -> dict[str, Any]:
    status = _after(words, "deny_status") or _after(words, "status") or "403"
    return {"status": number(status, 200, 599)}


def _returned(words: list[str]) -> dict[str, Any]:
    if {"file", "errorfile", "errorfiles", "lf-file", "default-errorfiles"} & set(words):
        raise SettingError("an answer has a body of its own: write it in respond")
    made: dict[str, Any] = {"status": number(_after(words, "status") or "200", 200, 599)}
    body = _after(words, "string") or _after(words, "lf-string")
    if "lf-string" in words and "%" in (body or ""):
        raise SettingError("write the body in respond, with variables of ours")
    if body:
        made["body"] = body.replace("{", "{{").replace("}", "}}")
    headers = {}
    if kind := _after(words, "content-type"):
        headers["Content-Type"] = template(kind)
    for at, word in enumerate(words):
        if word == "hdr" and at + 2 < len(words):
            headers[words[at + 1]] = template(words[at + 2])
    if headers:
        made["headers"] = headers
    return made


def _redirected(words: list[str]) -> tuple[tuple[str, str], int]:
    kinds = [word for word in words if word in ("scheme", "location", "prefix")]
    if not kinds:
        raise SettingError("it says not where")
    lost = {"drop-query", "append-slash", "set-cookie", "clear-cookie", "ignore-empty"} & set(words)
    if lost - {"ignore-empty"}:
        raise SettingError(f"{', '.join(sorted(lost))} of a redirect has no equal: write a rule")
    code = int(_after(words, "code") or 302) if (_after(words, "code") or "302").isdigit() else 302
    if code not in _CODES:
        raise SettingError(f"{code} is no redirect")
    return (kinds[0], _after(words, kinds[0]) or ""), code


def _place(to: tuple[str, str]) -> str:
    """Return where a redirect of ours leads."""
    kind, value = to
    if kind == "scheme":
        return "https" if value == "https" else f"{value}://{{host}}{{uri}}"
    return _checked(template(value) + ("{uri}" if kind == "prefix" else ""))


def _location(to: tuple[str, str]) -> str:
    """Return where a redirect of a rule leads, in Python."""
    kind, value = to
    if kind == "scheme":
        return string(f"{value}://%[req.hdr(host)]%[capture.req.uri]")
    _checked(template(value))
    return string(value + ("%[capture.req.uri]" if kind == "prefix" else ""))


def _checked(place: str) -> str:
    if not re.fullmatch(r"(https?://|/|\{)[^\x00-\x20\x7f]*", place):
        raise SettingError("a redirect leads to https://, http:// or a path")
    return place


def _after(words: list[str], key: str) -> str | None:
    return words[words.index(key) + 1] if key in words[:-1] else None
