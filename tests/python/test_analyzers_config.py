"""``[analyzers.NAME]``: what is told of every mistake, at its line, with what to write instead."""

from pathlib import Path

import pytest

from headworks import ConfigError
from headworks.certificates import Store
from headworks.config.check import examine
from headworks.config.document import Document

MODULE = """
import headworks

class Tenants(headworks.Analyzer):
    def __init__(self, dsn: str, size: int = 1) -> None: ...
    async def request(self, exchange): ...

class Bytes(headworks.Analyzer):
    def first_bytes(self, connection, held): ...

class Free(headworks.Analyzer):
    def __init__(self, **given): ...
    def request(self, exchange): ...
    def response(self, exchange): ...

class Empty(headworks.Analyzer):
    pass

class Plain:
    pass

number = 5
made = Bytes()

@headworks.rule
def asks(request: headworks.Request) -> headworks.Verdict | None:
    return headworks.consult("it")

@headworks.rule
def asks_nobody(request: headworks.Request) -> headworks.Verdict | None:
    return headworks.consult("its")
"""
WEB = '[listeners.web]\nbind = "127.0.0.1:0"\nprotocol = "{protocol}"\nbackend = "app"\n{more}\n'
BACKENDS = '[backends.app]\nservers = "127.0.0.1:9"\n'


@pytest.fixture
def told(tmp_path: Path):
    """Check an ``[analyzers.it]`` and return what is told, without the file's name."""
    name = f"site{abs(hash(tmp_path.name)) % 10**8}"
    (tmp_path / f"{name}.py").write_text(MODULE)

    def check(it: str, more: str = 'analyzers = "it"', protocol: str = "http", after: str = "") -> list[str]:
        text = WEB.format(protocol=protocol, more=more) + BACKENDS + after + f"[analyzers.it]\n{it}\n"
        document = Document.parse(text.replace("SITE", name), str(tmp_path / "f.toml"))
        try:
            lines = [str(one) for one in examine(document, Store()).warnings]
        except ConfigError as error:
            lines = str(error).splitlines()
        return [line.replace(str(tmp_path) + "/", "").replace(name, "SITE") for line in lines]

    return check


FREE = 'python = "SITE:Free"'


@pytest.mark.parametrize(
    ("it", "parts"),
    [
        ('python = "SITE.Free"', ['"SITE.Free" is not module:Class, such as site:Tenants']),
        ('python = "SITE:Fre"', ["SITE has no Fre", '"SITE:Free"']),
        ('python = "SITE:Zzzzzzzz"', ["SITE has no Zzzzzzzz", "its analyzers: Tenants, Bytes, Free, Empty"]),
        ('python = "SITE:Plain"', ["Plain of SITE is no analyzer", "class Plain(headworks.Analyzer)"]),
        ('python = "SITE:number"', ["number of SITE is no analyzer"]),
        ('python = "SITE:Empty"', ["Empty defines none of the methods that are called", "def request(self, exchange)"]),
        ('python = "no_such_module_here:It"', ["no_such_module_here"]),
        ("", ["analyzers.it"]),
        ('python = "SITE:Tenants"', ["Tenants needs dsn"]),
        (
            'python = "SITE:Tenants"\narguments = {dsm = "x"}',
            ["unknown argument; Tenants takes dsn, size; did you mean dsn?"],
        ),
        ('python = "SITE:made"\narguments = {x = 1}', ["SITE:made was made already: it takes no arguments"]),
        ('python = "SITE:Bytes"', ["it has first_bytes, and here accepted, request", "asked"]),
        (FREE + '\nhooks = "hello"', ["Free has no hello; it has request, response"]),
        (FREE + '\nhooks = "requests"', ["request"]),
        (FREE + '\ndeadline = "0s"', ["deadline", "1ms"]),
        (FREE + '\ndeadline = "2h"', ["deadline", "1h"]),
        (FREE + '\non_failure = "rejct"', ["on_failure", '"reject"']),
        (FREE + "\nwaiting = 0", ["waiting", "1"]),
        (FREE + "\nconcurrency = 257", ["concurrency", "256"]),
        (FREE + "\ndedline = 1", ["dedline", "deadline"]),
    ],
)
def test_what_is_told_of_each_mistake(it: str, parts: list[str], told) -> None:
    lines = told(it)
    assert lines
    # One mistake is told once: nobody looks for an analyzer that is declared.
    assert 'there is no analyzer "it"' not in "\n".join(lines)
    assert all(part in "\n".join(lines) for part in parts), lines


@pytest.mark.parametrize("it", [FREE, FREE + '\nhooks = ["request"]', FREE + "\narguments = {x = 1, y = [2]}"])
def test_nothing_is_told_of_what_is_right(it: str, told) -> None:
    assert told(it) == []


def test_a_name_that_is_not_declared(told) -> None:
    for more, after, place in (
        ('analyzers = ["it", "its"]', "", "listeners.web.analyzers"),
        ('analyzers = "it"', '[backends.b]\nservers = "127.0.0.1:9"\nanalyzers = "its"\n', "backends.b.analyzers"),
        ('analyzers = "it"\ntable = "t"', '[tables.t]\n"a.test" = {backend = "app", analyzers = "its"}\n', "tables.t"),
    ):
        lines = "\n".join(told(FREE, more, after=after))
        assert place in lines
        assert 'there is no analyzer "its"; did you mean "it"?' in lines


def test_what_a_module_raises_has_its_place(told, tmp_path: Path) -> None:
    (tmp_path / "breaks_at_import.py").write_text("x = 1\n\nx.nothing\n")
    lines = "\n".join(told('python = "breaks_at_import:It"'))
    assert "breaks_at_import.py:3" in lines
    assert "AttributeError" in lines


def test_a_rule_consults_by_name(told) -> None:
    assert told(FREE, 'rules = "SITE:asks"') == []
    assert '"it"' in "\n".join(told(FREE, 'analyzers = "it"\nrules = "SITE:asks_nobody"'))


def test_one_that_nobody_asks_is_doubtful(told) -> None:
    assert ["attached nowhere, and no rule consults it" in line for line in told(FREE, "")] == [True]
