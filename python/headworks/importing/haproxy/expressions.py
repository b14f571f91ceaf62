"""Expressions: conditions of HAProxy as conditions of a rule of ours, in Python.

Must never write what means something else: a condition without an equal raises ConditionError.
"""

import re

from headworks.importing.haproxy.conditions import (
    All,
    Always,
    Condition,
    ConditionError,
    Not,
    Sample,
    Some,
    Test,
)
from headworks.importing.patterns import is_ours
from headworks.importing.rulefile import RuleFile, quoted, raw

_TEXTS = {
    "host": '(request.host or "")',
    "path": "request.path",
    "target": "request.target",
    "query": "request.query",
    "method": "request.method",
    "base": '((request.host or "") + request.path)',
}
_ENDS = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\$", re.DOTALL)
"""The end of a text in an expression, and what is no such: escapes and classes."""
_DELIMITERS = {"dom": r"[./?:]", "dir": r"[/?]"}


def written(item: Condition, rules: RuleFile, *, hello: bool = False) -> str:
    """Return a condition in Python. ``hello``: it is about a ClientHello. Raises ConditionError."""
    return _Writing(rules, hello=hello).of(item)


class _Writing:
    """One condition."""

    def __init__(self, rules: RuleFile, *, hello: bool) -> None:
        self._rules = rules
        self._hello = hello

    def of(self, item: Condition) -> str:
        match item:
            case Test():
                return self._test(item)
            case Not(inner):
                return self._negated(inner)
            case All(items):
                return " and ".join(self._grouped(one) for one in items)
            case Some(items):
                return " or ".join(self._grouped(one) for one in items)
            case Always(holds):
                raise ConditionError("it always holds" if holds else "it never holds")

    def _grouped(self, item: Condition) -> str:
        return f"({self.of(item)})" if isinstance(item, All | Some) else self.of(item)

    def _negated(self, inner: Condition) -> str:
        text = self.of(inner)
        if isinstance(inner, Test) and inner.match == "ip":
            return text.replace(" in ", " not in ")
        return f"not ({text})"

    def _test(self, test: Test) -> str:
        if test.sample.kind == "client":
            subject = "hello" if self._hello else "request"
            return f"{subject}.client in {self._rules.networks(test.values)}"
        if test.sample.kind == "count":
            return self._count(test)
        if test.match == "found":
            return f"{self._value(test.sample)} is not None"
        subject = self._text(test.sample)
        values = test.values
        if test.sample.kind in ("host", "sni"):
            values = tuple(value.lower() for value in values)
        elif test.any_case and test.match != "reg":
            subject, values = f"{subject}.lower()", tuple(value.lower() for value in values)
        return self._matched(test, subject, values)

    def _matched(self, test: Test, subject: str, values: tuple[str, ...]) -> str:
        match test.match:
            case "str":
                return self._equal(test, subject, values)
            case "beg" | "end":
                method = "startswith" if test.match == "beg" else "endswith"
                return f"{subject}.{method}({_one_or_more(values)})"
            case "sub":
                return _any([f"{quoted(value)} in {subject}" for value in values])
            case "reg":
                folded = test.any_case or test.sample.kind in ("host", "sni")
                return _any([_search(value, subject, folded=folded) for value in values])
            case "dom" | "dir":
                ends = _DELIMITERS[test.match]
                bare = [value.strip("/?.:" if test.match == "dom" else "/?") for value in values]
                patterns = [f"(^|{ends}){re.escape(value)}({ends}|$)" for value in bare]
                return _any([_search(pattern, subject, folded=test.any_case) for pattern in patterns])
            case _:
                raise ConditionError(f"-m {test.match} has no equal here")

    def _equal(self, test: Test, subject: str, values: tuple[str, ...]) -> str:
        if test.sample.kind == "host" and any(":" in value for value in values):
            subject = "request.authority.lower()"
        elif test.sample.kind == "host":
            subject = "request.host"
        elif test.sample.kind == "sni" and self._hello:
            subject = "hello.name"
        if len(values) == 1:
            return f"{subject} == {quoted(values[0])}"
        return f"{subject} in {{{', '.join(map(quoted, dict.fromkeys(values)))}}}"

    def _count(self, test: Test) -> str:
        name, values = quoted(test.sample.name), test.values
        absent = f"request.headers.get({name}) is None"
        if values in (("0",), ("eq", "0"), ("lt", "1"), ("le", "0")):
            return absent
        if values in (("gt", "0"), ("ge", "1")):
            return absent.replace("is None", "is not None")
        raise ConditionError("fields are counted as none or some, not more exactly")

    def _value(self, sample: Sample) -> str:
        if sample.kind == "sni" and self._hello:
            return "hello.name"
        if self._hello:
            raise ConditionError("only name and address are known of a ClientHello")
        match sample.kind:
            case "header":
                return f"request.headers.get({quoted(sample.name)})"
            case "cookie":
                return f"request.cookies.get({quoted(sample.name)})"
            case "parameter":
                return f"request.query_params.get({quoted(sample.name)})"
            case "host":
                return "request.host"
            case _:
                raise ConditionError(f"-m found of {sample.kind} has no equal")

    def _text(self, sample: Sample) -> str:
        if sample.kind == "sni" and self._hello:
            return '(hello.name or "")'
        if self._hello:
            raise ConditionError("only name and address are known of a ClientHello")
        if sample.kind in _TEXTS:
            return _TEXTS[sample.kind]
        match sample.kind:
            case "header" | "cookie" | "parameter":
                return f'{self._value(sample)[:-1]}, "")'
            case _:
                raise ConditionError(f"{sample.kind} has no equal in rules")


def _one_or_more(values: tuple[str, ...]) -> str:
    return quoted(values[0]) if len(values) == 1 else f"({', '.join(map(quoted, values))})"


def _any(options: list[str]) -> str:
    return options[0] if len(options) == 1 else f"({' or '.join(options)})"


def _search(pattern: str, subject: str, *, folded: bool) -> str:
    pattern = f"(?i){pattern}" if folded else pattern
    if not is_ours(pattern):
        raise ConditionError("its expression looks around, refers back, or is none that our engine takes")
    return f"re.search({raw(_ENDS.sub(_end, pattern))}, {subject})"


def _end(found: re.Match[str]) -> str:
    r"""Write the end of the text as rules do: `\Z`."""
    return r"\Z" if found[0] == "$" else found[0]
