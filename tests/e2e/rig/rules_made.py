"""Rules and requests made at random: programs of the subset as Python text, and heads to ask them about.

Every choice is drawn from one random.Random, so that a case is its seed. What may fail (int(), [i], a missing key) is
there, too: failures must be the same.
"""

import random

HEAD = """\
import ipaddress
import re
import headworks
from headworks import now

OFFICE = headworks.networks("10.0.0.0/8", "2001:db8::/32", "192.0.2.7")
NET = ipaddress.ip_network("10.1.0.0/16")
WORDS = {"a", "ab", "/a", "GET", "x.example", "1"}
TABLE = {"a": "one", "/a": "two", "x.example": "three", "GET": "four", "": "five"}
NUMBERS = {1: "one", 2: "two", 80: "eighty"}
MIXED = {"a": 1, "b": "two", "/a": None}
PATTERN = re.compile(r"/(\\w+)(?:/(\\d+))?", re.I)
DENY = headworks.respond(403, "no\\n", {"X-Why": "denied"}) & headworks.log(why="deny")

@headworks.rule
def inner(request: headworks.Request) -> headworks.Verdict | None:
    if request.method == "POST":
        return headworks.reject("inner")
    return None

@headworks.rule
def rule(request: headworks.Request) -> headworks.Verdict | None:
"""
TEXTS = ["", "a", "ab", "b", "/", "/a", "x", ".", "=", " ", "1", "12", "A", "GET", "x.example", "ab a", "/a/12"]
ALWAYS = [
    "request.method",
    "request.path",
    "request.query",
    "request.target",
    "request.authority",
    "request.scheme",
    "request.version",
    "request.listener",
    "now.date",
    "now.time",
]
MAYBE = [
    "request.host",
    "request.backend",
    "request.id",
    'request.headers.get("X-A")',
    'request.headers.get("x-b")',
    'request.headers.get("x-none")',
    'request.cookies.get("sid")',
    'request.query_params.get("q")',
    'request.query_params.get("a")',
]
NUMBERS = ["now.hour", "now.minute", "now.weekday", "now.timestamp"]
DIGITS = ['request.query_params.get("a", "5")', "now.time[:2]", "now.date[5:7]"]
SETS = ["WORDS", "TABLE", '("a", "b")', '{"/a"}']
LOOSE_SETS = ["WORDS", "TABLE", '("a", None)']
EDGES = '("a", "/a", "le")'
TRUTHS = ["request.early", "request.chunked", "request.upgrade"]
PATTERNS = [
    r"/(\\w+)(/\\w*)?$",
    r"(a)|(b)",
    r"^a*",
    r"[^/]+$",
    r"(?i)GET|post",
    r"\\s",
    r"\\d{1,2}",
    r".(?P<n>\\w?)",
    r"\\bab\\b",
    r"a.b",
    r"(?s:a.b)",
    r"\\Aa\\Z",
    r"(?:ab)+?",
    r"x?(\\W)",
]

_LATE = "request.path[:0]"
"""Nothing, which is not known before requests come: constants that could never be sent are refused at check."""


class Maker:
    """Text of one rule."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.lines: list[str] = []
        self.count = 0
        self.matches = 0

    def rule(self):
        self.block(1, 3, {"text": [], "int": [], "maybe": []})
        return HEAD + "\n".join(self.lines) + "\n"

    def pick(self, *choices):
        return self.random.choice(choices)

    def literal(self):
        return repr(self.random.choice(TEXTS)).replace("'", '"')

    def text(self, depth, names):
        if depth <= 0 or self.random.random() < 0.3:
            return self.random.choice([*ALWAYS, self.literal(), *names["text"]])
        t = lambda: self.text(depth - 1, names)  # noqa: E731
        i = lambda: self.random.choice(["", "0", "1", "2", "-1", "-2", "5"])  # noqa: E731
        return self.pick(
            lambda: f"({self.maybe(names)} or {t()})",
            lambda: f"{t()}.lower()",
            lambda: f"{t()}.upper()",
            lambda: f"{t()}.removeprefix({t()})",
            lambda: f"{t()}.removesuffix({t()})",
            lambda: f"{t()}.{self.pick('strip', 'lstrip', 'rstrip')}({self.pick('', self.literal())})",
            lambda: f"{t()}.{self.pick('split', 'rsplit')}({self.literal()})[{self.pick('0', '1', '-1', '-2', '3')}]",
            lambda: f"{t()}.{self.pick('split', 'rsplit')}({self.literal()}, {self.pick('0', '1', '2')})[0]",
            lambda: f"{t()}.{self.pick('split()', 'rsplit(None, 1)', 'split(None, 1)')}[{self.pick('0', '-1')}]",
            lambda: f"{t()}.{self.pick('partition', 'rpartition')}({t()})[{self.pick('0', '1', '2', '-1')}]",
            lambda: f"{t()}[{i()}:{i()}]",
            lambda: f"{t()}[{self.pick('0', '-1', '2', self.number(depth - 1, names))}]",
            lambda: f"({t()} + {t()})",
            lambda: f"str({self.pick(t(), self.number(depth - 1, names), self.truth(depth - 1, names))})",
            lambda: 'f"{request.path}-{now.hour}{request.early}{request.method}"',
            lambda: f"({t()} if {self.truth(depth - 1, names)} else {t()})",
            lambda: f"TABLE.get({t()}, {t()})",
            lambda: self.random.choice([f"TABLE[{one}]" for one in (*ALWAYS, *names["text"])]),
            lambda: f"({t()} and {t()})",
            lambda: f'request.headers.get("x-a", {t()})',
        )()

    def maybe(self, names):
        return self.random.choice([*MAYBE, f"TABLE.get({self.text(0, names)})", *names["maybe"]])

    def number(self, depth, names):
        if depth <= 0 or self.random.random() < 0.3:
            return self.random.choice([*NUMBERS, "0", "1", "5", "-3", *names["int"]])
        return self.pick(
            lambda: f"len({self.text(depth - 1, names)})",
            lambda: f"int({self.text(depth - 1, names)})",
            lambda: f"int({self.random.choice(DIGITS)})",
            lambda: f"{self.text(depth - 1, names)}.{self.pick('find', 'rfind')}({self.text(depth - 1, names)})",
            lambda: f"({self.number(depth - 1, names)} if {self.truth(depth - 1, names)} else 7)",
        )()

    def truth(self, depth, names):
        if depth <= 0:
            return self.random.choice([*TRUTHS, "True", "False", '("x-a" in request.headers)'])
        t = lambda: self.text(depth - 1, names)  # noqa: E731
        n = lambda: self.number(depth - 1, names)  # noqa: E731
        b = lambda: self.truth(depth - 1, names)  # noqa: E731
        order = lambda: self.pick("<", "<=", ">", ">=", "==", "!=")  # noqa: E731
        return self.pick(
            lambda: f"({t()} {order()} {t()})",
            lambda: f"({n()} {order()} {n()})",
            lambda: f"({n()} <= {n()} < {n()})",
            lambda: f"({t()} {self.pick('in', 'not in')} {t()})",
            lambda: f"({t()} {self.pick('in', 'not in')} {self.random.choice(SETS)})",
            lambda: f"({self.maybe(names)} in {self.random.choice(LOOSE_SETS)})",
            lambda: f"({n()} in {self.pick('NUMBERS', '{1, 5}', '(0, 1, 2)')})",
            lambda: f"({self.maybe(names)} {self.pick('==', '!=')} {t()})",
            lambda: f"({self.maybe(names)} is {self.pick('', 'not ')}None)",
            lambda: f"(request.client {self.pick('in', 'not in')} OFFICE)",
            lambda: "(request.client is not None and request.client in NET)",
            lambda: '(request.client == ipaddress.ip_address("10.1.2.3"))',
            lambda: f"({b()} and {b()})",
            lambda: f"({b()} or {b()})",
            lambda: f"(not {b()})",
            lambda: f"bool({self.pick(t(), n(), self.maybe(names))})",
            lambda: f"{t()}.{self.pick('startswith', 'endswith')}({self.pick(t(), EDGES)})",
            lambda: f"headworks.sample({self.pick('5', '50', '0.5', '100')}, {self.pick(t(), n(), 'request.client')})",
            lambda: self.matched(t()),
            lambda: f'("{self.pick("sid", "none")}" in request.{self.pick("cookies", "query_params")})',
            lambda: '(request.tls is not None and request.tls.version == "TLSv1.3")',
            lambda: "(request.tls is not None and request.tls.verified)",
            lambda: '("x-a" in request.headers and request.headers["x-a"] == "a")',
            lambda: "(request.content_length is not None and request.content_length > 3)",
            lambda: f'(request.headers.get("x-a", "") {order()} {t()})',
        )()

    def matched(self, text: str) -> str:
        if self.matches > 10:
            return f"({text} == {text})"
        self.matches += 1
        name = self.pick("match", "search", "fullmatch")
        if self.random.random() < 0.2:
            return f"(PATTERN.{name}({text}) is not None)"
        return f'bool(re.{name}("{self.random.choice(PATTERNS)}", {text}))'

    def block(self, indent: int, depth: int, names) -> None:
        names = {kind: list(known) for kind, known in names.items()}
        for _ in range(self.random.randint(1, 3)):
            self.statement(indent, depth, names)
        if self.random.random() < 0.5:
            self.line(indent, f"return {self.verdict(names)}")

    def line(self, indent: int, text: str) -> None:
        self.lines.append("    " * indent + text)

    def fresh(self) -> str:
        self.count += 1
        return f"v{self.count}"

    def statement(self, indent: int, depth: int, names) -> None:  # noqa: C901  (one for each kind)
        name = self.fresh() if self.count < 12 else None
        choice = self.random.randint(0, 12)
        if name and choice == 0:
            self.line(indent, f"{name} = {self.text(2, names)}")
            names["text"].append(name)
        elif name and choice == 1:
            self.line(indent, f"{name} = {self.number(2, names)}")
            names["int"].append(name)
        elif name and choice == 2:
            self.line(indent, f"{name} = {self.maybe(names)}")
            names["maybe"].append(name)
        elif name and choice == 3:
            self.line(indent, f"if ({name} := {self.maybe(names)}) is not None and {self.truth(1, names)}:")
            self.block(indent + 1, depth - 1, {**names, "text": [*names["text"], name]})
        elif name and choice == 4 and self.matches < 10:
            self.matches += 1
            pattern = self.pick(r"/(\\w+)", r"(a)(.*)", r"([^/]*)/?$")
            self.line(indent, f'if {name} := re.{self.pick("match", "search")}("{pattern}", {self.text(1, names)}):')
            self.line(indent + 1, f"{name}t = {name}.group(1) + {name}[0]")
            self.block(indent + 1, depth - 1, {**names, "text": [*names["text"], f"{name}t"]})
        elif choice == 5 and depth > 0:
            self.line(indent, f"match {self.pick(self.text(1, names), self.maybe(names))}:")
            self.line(indent + 1, f'case "a" | "/a"{self.pick("", " if " + self.truth(1, names))}:')
            self.block(indent + 2, depth - 1, names)
            self.line(indent + 1, f"case {self.pick(self.literal(), '_')}:")
            self.block(indent + 2, depth - 1, names)
        elif choice == 6:
            self.line(indent, f"{self.pick('verdict = inner(request)', 'verdict = inner(request)')}")
            self.line(indent, f"if verdict{self.pick('', ' is not None')}:")
            self.line(indent + 1, "return verdict")
        elif name and choice == 7:
            parted = self.text(1, names)
            names["text"] += [f"{name}a", f"{name}b"]
            self.line(indent, f"{name}a, _, {name}b = {parted}.partition('/')")
        elif depth > 0:
            self.line(indent, f"if {self.truth(3, names)}:")
            self.block(indent + 1, depth - 1, names)
            if self.random.random() < 0.4:
                self.line(indent, f"elif {self.truth(2, names)}:")
                self.block(indent + 1, depth - 1, names)
            if self.random.random() < 0.4:
                self.line(indent, "else:")
                self.block(indent + 1, depth - 1, names)
        else:
            self.line(indent, "pass")

    def verdict(self, names):
        t = lambda: self.text(2, names)  # noqa: E731
        extra = self.pick(
            "",
            "",
            f" & headworks.log(a={self.pick(t(), self.number(1, names), self.truth(1, names), self.maybe(names))})",
            f' & headworks.rewrite(set_headers={{"X-S": {self.pick(t(), self.maybe(names))}}}, remove_headers="X-R")',
            f' & headworks.rewrite(path={_LATE} + "/" + {t()}, query={_LATE} + {t()})',
            f' & headworks.rewrite(add_headers={{"X-P": {t()}}}, host={_LATE} + {t()})',
            f' & headworks.limit({self.pick(t(), "request.client")}, "100/s")',
        )
        way = self.pick(
            lambda: f"headworks.route({t()})",
            lambda: f"headworks.route({self.literal()}, server={t()})",
            lambda: f'headworks.respond(200, {t()}, {{"X-H": {t()}}})',
            lambda: f'headworks.redirect({_LATE} + "https://x" + {t()}, code=308)',
            lambda: f"headworks.reject({t()})",
        )()
        return self.pick(
            lambda: way + extra,
            lambda: f"({way}{extra}) if {self.truth(2, names)} else None",
            lambda: "DENY",
            lambda: "None",
            lambda: f"inner(request) or {way}",
        )()


def subject(seed: int) -> dict:
    """Describe a request as the engine takes it."""
    draw = random.Random(seed)
    path = draw.choice(["/", "/a", "/a/12", "/ab?q=a", "/x?a=12&q=%41+b&a=3", "/A/b/c?q", "/%2F?a=x&&=y", "/ab a"[:3]])
    lines = [f"{draw.choice(['GET', 'POST', 'HEAD', 'a'])} {path} HTTP/1.1", f"Host: {draw.choice(HOSTS)}"]
    for name in ("X-A", "x-b", "X-A"):
        if draw.random() < 0.5:
            lines.append(f"{name}: {draw.choice(VALUES)}")  # noqa: PERF401
    if draw.random() < 0.5:
        lines.append(f"Cookie: {draw.choice(['sid=a', 'a=b; sid=12', 'sid=; sid=x', 'sid', ' sid = a;q'])}")
    if draw.random() < 0.3:
        lines.append(
            draw.choice(["Content-Length: 5", "Transfer-Encoding: chunked", "Connection: Upgrade\r\nUpgrade: x"])
        )
    tls = {"version": draw.choice(["TLSv1.2", "TLSv1.3"]), "name": "x.example", "verified": draw.random() < 0.5}
    secure = draw.random() < 0.4
    return {
        "head": "\r\n".join(lines) + "\r\n\r\n",
        "client": draw.choice(["10.1.2.3:5", "192.0.2.7:80", "[2001:db8::1]:9", "[::ffff:10.0.0.1]:1", None]),
        "scheme": "https" if secure else "http",
        "listener": draw.choice(["web", "a"]),
        "backend": draw.choice([None, "app", "a"]),
        "id": draw.choice([None, "12"]),
        "early": draw.random() < 0.2,
        "tls": tls if secure else None,
        "wall": draw.choice([0, 951_782_400, 1_764_335_159, 4_107_542_399, draw.randrange(1 << 32)]),
    }


UPGRADE = "Connection: Upgrade\r\nUpgrade: x"
HOSTS = ["x.example", "X.Example:80", "[::1]:8080", "a", "10.0.0.1"]
VALUES = [
    "a",
    "",
    "ab",
    "12",
    " 7 ",
    "-3",
    "1_0",
    "GET",
    "a,b",
    "/a",
    "caf\xe9",
    "\xff\x80",
    "x\ty",
    "1" * 17,
    "0x1",
    "+5",
]
