"""Conditions of HAProxy: ACLs and what is written after `if` and `unless`, as trees.

Owns names of ACLs, samples, matches and negation. Must never know what is decided by a condition.
"""

import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from ipaddress import ip_network

from headworks.importing.haproxy.sections import Statement


class ConditionError(ValueError):
    """A condition that cannot be told in ours. The message says why."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Something that is looked at: ``host``, ``path``, ``header`` with its name ..."""

    kind: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Test:
    """A sample that is compared with values."""

    sample: Sample
    match: str
    """``str``, ``beg``, ``end``, ``sub``, ``dom``, ``dir``, ``reg``, ``found``, ``ip`` or ``int``."""
    values: tuple[str, ...]
    any_case: bool = False


@dataclass(frozen=True, slots=True)
class Always:
    """Nothing to be tested: always, or never."""

    holds: bool


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite."""

    item: "Condition"


@dataclass(frozen=True, slots=True)
class All:
    """All of them."""

    items: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Some:
    """One of them, or more."""

    items: tuple["Condition", ...]


Condition = Test | Always | Not | All | Some

_SAMPLE = re.compile(r"(?P<name>[a-zA-Z0-9_.]+)(?:\((?P<argument>[^()]*)\))?(?P<rest>(?:,.*)?)", re.DOTALL)
_CONVERTER = re.compile(r",\s*([a-z0-9_]+)(?:\(([^()]*)\))?")
_MATCHES = ("str", "beg", "end", "sub", "dom", "dir", "reg", "found", "ip", "int", "bool", "len")
_SUFFIX = re.compile(r"(.+)_(beg|end|sub|dom|dir|reg|len)$")
_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT")
_TARGETS = {"HTTP_URL_ABS": "^[^/:]*://", "HTTP_URL_SLASH": "^/", "HTTP_URL_STAR": r"^\*$"}
_LOCAL = ("127.0.0.0/8", "::1")
_KINDS = {
    "path": "path",
    "url": "target",
    "capture.req.uri": "target",
    "method": "method",
    "query": "query",
    "base": "base",
    "src": "client",
    "req.ssl_sni": "sni",
    "req_ssl_sni": "sni",
    "ssl_fc_sni": "sni",
    "ssl_fc": "tls",
    "dst_port": "port",
    "req.ssl_hello_type": "hello",
    "req_ssl_hello_type": "hello",
    "req.proto_http": "http",
    "req_proto_http": "http",
    "wait_end": "waited",
    "always_true": "true",
    "always_false": "false",
}
_HEADERS = ("hdr", "req.hdr", "req.fhdr", "fhdr", "shdr")
_OPERATORS: Mapping[str, Callable[[int, int], bool]] = {
    "eq": operator.eq,
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
}
_MOST_VALUES = 20_000
"""Values that an ACL may have."""
_MOST_TESTS = 4000
"""Tests of one condition, when its ACLs are written out."""

Reader = Callable[[str], Sequence[str] | None]
"""Returns the lines of a file that an ACL names; None where it cannot be read."""


class Acls:
    """The ACLs of one section."""

    def __init__(self, statements: Iterable[Statement], read: Reader) -> None:
        self._read = read
        self._written: dict[str, list[Statement]] = {}
        self.used: dict[str, list[Statement]] = self._written
        for one in statements:
            if one.arguments:
                self._written.setdefault(one.arguments[0], []).append(one)

    def condition(self, words: Sequence[str]) -> Condition:
        """Read what follows ``if`` or ``unless``, that word included. Raises ConditionError."""
        if not words:
            return Always(holds=True)
        if words[0] not in ("if", "unless"):
            raise ConditionError(f"{words[0]} is not known here")
        parsed = self._expression(list(words[1:]))
        if _count(parsed) > _MOST_TESTS:
            raise ConditionError(f"it has more than {_MOST_TESTS} tests")
        return parsed if words[0] == "if" else negate(parsed)

    def statements(self, words: Sequence[str]) -> list[Statement]:
        """Return the ACLs that a condition names."""
        return [one for word in words for one in self._written.get(word.lstrip("!"), ())]

    def define(self, statement: Statement) -> Condition:
        """Read one ``acl``. Raises ConditionError."""
        return self._test(statement.arguments[1:])

    def _expression(self, words: list[str]) -> Condition:
        options: list[Condition] = []
        items: list[Condition] = []
        negated = False
        at = 0
        while at < len(words):
            word = words[at]
            at += 1
            if word in ("||", "or", "OR"):
                options.append(all_of(items))
                items = []
                continue
            while word.startswith("!"):
                negated = not negated
                word = word[1:]
            if not word:
                continue
            if word == "{":
                end = words.index("}", at) if "}" in words[at:] else len(words)
                item = self._test(words[at:end])
                at = end + 1
            else:
                item = self._named(word)
            items.append(negate(item) if negated else item)
            negated = False
        return some_of([*options, all_of(items)])

    def _named(self, name: str) -> Condition:
        if name in self._written:
            return some_of([self.define(one) for one in self._written[name]])
        return _predefined(name)

    def _test(self, words: Sequence[str]) -> Condition:
        if not words:
            raise ConditionError("an empty condition")
        sample, match, any_case = _sample(words[0])
        values, method, folded = self._options(list(words[1:]))
        any_case = any_case or folded
        if method is not None:
            match = method
        if sample.kind in ("true", "waited", "http"):
            return Always(holds=True)
        if sample.kind == "false":
            return Always(holds=False)
        if sample.kind == "hello":
            return Always(holds="1" in values)
        return _checked(Test(sample, match or _usual(sample, values), tuple(values), any_case))

    def _options(self, words: list[str]) -> tuple[list[str], str | None, bool]:
        values: list[str] = []
        method = None
        any_case = False
        while words and words[0].startswith("-") and not re.fullmatch(r"-\d+", words[0]):
            flag = words.pop(0)
            if flag == "--":
                break
            if flag == "-i":
                any_case = True
            elif flag in ("-m", "-f", "-u") and words:
                argument = words.pop(0)
                if flag == "-m":
                    method = argument
                elif flag == "-f":
                    values += self._values(argument)
            elif flag != "-n":
                raise ConditionError(f"{flag} is not known here")
        values += words
        if len(values) > _MOST_VALUES:
            raise ConditionError(f"it has more than {_MOST_VALUES:,} values")
        if method is not None and method not in _MATCHES:
            raise ConditionError(f"-m {method} has no equal: write a rule")
        return values, method, any_case

    def _values(self, file: str) -> list[str]:
        lines = self._read(file)
        if lines is None:
            raise ConditionError(f"{file} cannot be read here: convert where it is")
        return [bare for line in lines if (bare := line.strip()) and not bare.startswith("#")]


def negate(item: Condition) -> Condition:
    """Return the opposite."""
    match item:
        case Always(holds):
            return Always(not holds)
        case Not(inner):
            return inner
        case _:
            return Not(item)


def all_of(items: Sequence[Condition]) -> Condition:
    """Return what holds where all of them do."""
    return _joined(items, All, stops=False)


def some_of(items: Sequence[Condition]) -> Condition:
    """Return what holds where one of them does."""
    return _joined(items, Some, stops=True)


def given(item: Condition, facts: Mapping[str, bool | int]) -> Condition:
    """Fill in what is known of a listener: ``tls``, whether its clients come by TLS, and its ``port``."""
    match item:
        case Test(sample) if sample.kind == "port" and "port" in facts:
            return Always(_compared(int(facts["port"]), item.values))
        case Test(sample) if sample.kind in facts:
            expects = item.match != "bool" or item.values not in (("0",), ("false",))
            return Always(facts[sample.kind] is expects)
        case Not(inner):
            return negate(given(inner, facts))
        case All(items):
            return all_of([given(one, facts) for one in items])
        case Some(items):
            return some_of([given(one, facts) for one in items])
        case _:
            return item


def tests(item: Condition) -> list[Test]:
    """Return every test of a condition."""
    match item:
        case Test():
            return [item]
        case Not(inner):
            return tests(inner)
        case All(items) | Some(items):
            return [test for one in items for test in tests(one)]
        case _:
            return []


def choices(item: Condition) -> list[list[Condition]]:
    """Return a condition as alternatives, each of which has parts that must hold together."""
    match item:
        case Some(items):
            return [choice for one in items for choice in choices(one)]
        case All(items):
            parts = [choices(one) for one in items]
            if reduce(lambda number, part: number * len(part), parts, 1) > _MOST_TESTS:
                raise ConditionError(f"written out it has more than {_MOST_TESTS} tests")
            return reduce(lambda made, part: [[*one, *other] for one in made for other in part], parts, [[]])
        case Always(holds=True):
            return [[]]
        case Always():
            return []
        case _:
            return [[item]]


def _compared(number: int, values: Sequence[str]) -> bool:
    """Whether a number is what ``eq``, ``gt`` ... and numbers or ranges say."""
    how, written = (values[0], values[1:]) if values[:1] and values[0] in _OPERATORS else ("eq", values)
    if how == "eq":
        ranges = [re.fullmatch(r"(\d{0,9})(?:(:)(\d{0,9}))?", one, re.ASCII) for one in written]
        return any(
            int(found[1] or 0) <= number <= int(found[3] or 10**9) if found[2] else found[1] == str(number)
            for found in ranges
            if found is not None
        )
    return any(_OPERATORS[how](number, int(one)) for one in written if re.fullmatch(r"\d{1,9}", one, re.ASCII))


def _joined(items: Sequence[Condition], kind: type[All] | type[Some], *, stops: bool) -> Condition:
    left = [one for one in items if one != Always(not stops)]
    if Always(stops) in left:
        return Always(stops)
    if not left:
        return Always(not stops)
    return left[0] if len(left) == 1 else kind(tuple(left))


def _count(item: Condition) -> int:
    return len(tests(item))


def _sample(written: str) -> tuple[Sample, str | None, bool]:
    """Read a sample with its converters. Return it, the match that its name implies, and whether any case matches."""
    found = _SAMPLE.fullmatch(written)
    if found is None:
        raise ConditionError(f"{written} is not known here")
    name, argument = found["name"], (found["argument"] or "").strip()
    match = None
    if (suffixed := _SUFFIX.fullmatch(name)) is not None and name not in _KINDS:
        name, match = suffixed[1], suffixed[2]
    sample = _of(name, argument, written)
    any_case = False
    for converter in _CONVERTER.finditer(found["rest"]):
        sample, any_case = _converted(sample, converter, written, any_case=any_case)
    if _CONVERTER.sub("", found["rest"]):
        raise ConditionError(f"{written} is not known here")
    return sample, match, any_case


def _of(name: str, argument: str, written: str) -> Sample:
    if name in _HEADERS:
        field = argument.partition(",")[0].lower()
        if not field:
            raise ConditionError(f"{written} names no field")
        return Sample("host") if field == "host" else Sample("header", field)
    if name in ("cook", "req.cook"):
        return Sample("cookie", argument)
    if name in ("urlp", "url_param"):
        return Sample("parameter", argument.partition(",")[0])
    if re.fullmatch(r"(sc[012]?|src)_http_req_rate", name):
        return Sample("rate")
    if name in ("hdr_cnt", "req.hdr_cnt"):
        return Sample("count", argument.lower())
    kind = _KINDS.get(name.lower() if name == "WAIT_END" else name)
    if kind is None:
        raise ConditionError(f"{written} has no equal: rules look at host, path, query, fields, cookies and addresses")
    return Sample(kind)


def _converted(sample: Sample, converter: re.Match[str], written: str, *, any_case: bool) -> tuple[Sample, bool]:
    name, argument = converter[1], converter[2]
    if name == "lower":
        return sample, True
    if sample.kind == "host" and (name == "host_only" or (name == "field" and argument == "1,:")):
        return sample, any_case
    raise ConditionError(f"{written}: the converter {name} has no equal")


def _usual(sample: Sample, values: Sequence[str]) -> str:
    if sample.kind == "client":
        return "ip"
    if sample.kind in ("port", "count", "rate"):
        return "int"
    if not values:
        return "bool" if sample.kind == "tls" else "found"
    return "bool" if sample.kind == "tls" else "str"


def _checked(test: Test) -> Condition:
    if not all(value.isascii() and value.isprintable() for value in test.values):
        raise ConditionError("a value has characters that are no printable ASCII")
    if test.match == "len":
        raise ConditionError("lengths have no equal here: write a rule with len()")
    if test.match not in ("found", "bool") and not test.values:
        return Always(holds=False)
    if test.match == "ip":
        return _networks(test)
    if test.sample.kind in ("port", "count") and test.match != "int":
        raise ConditionError(f"-m {test.match} of a number has no equal")
    return test


def _networks(test: Test) -> Test:
    if test.sample.kind != "client":
        raise ConditionError("only the client's address is compared with networks")
    try:
        values = tuple(str(ip_network(value, strict=False)) for value in test.values)
    except ValueError:
        raise ConditionError("one of its values is no network") from None
    return replace(test, values=values)


def _predefined(name: str) -> Condition:
    if name in ("TRUE", "FALSE"):
        return Always(name == "TRUE")
    if name in ("HTTP", "WAIT_END"):
        return Always(holds=True)
    if name == "LOCALHOST":
        return _networks(Test(Sample("client"), "ip", _LOCAL))
    method = name.removeprefix("METH_")
    if name.startswith("METH_") and method in _METHODS:
        values = ("GET", "HEAD") if method == "GET" else (method,)
        return Test(Sample("method"), "str", values)
    if name in _TARGETS:
        return Test(Sample("target"), "reg", (_TARGETS[name],))
    raise ConditionError(f'there is no ACL "{name}" that could be told in ours')
