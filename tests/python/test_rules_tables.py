"""Tables in files: what ``headworks.load`` takes, what it refuses, and what a check makes of it."""

import os
import sys
from pathlib import Path

import pytest

import headworks
from headworks.rules import tables
from headworks.rules.tables import TableError

MODULE = """\
import headworks

TABLE = headworks.load({name!r})


@headworks.rule
def rule(request: headworks.Request) -> headworks.Verdict | None:
    return headworks.reject() if request.path in TABLE else None
"""


def config(directory: Path, name: str = "table.txt") -> headworks.Config:
    """Check a configuration whose rule reads a table."""
    (directory / "shop.py").write_text(MODULE.format(name=name))
    file = directory / "headworks.toml"
    file.write_text(
        '[listeners.web]\nbind = ":80"\nprotocol = "http"\nrespond = { status = 200 }\nrules = "shop:rule"\n'
    )
    return headworks.Config.load(file)


def reason(directory: Path, name: str = "table.txt") -> str:
    with pytest.raises(headworks.ConfigError) as raised:
        config(directory, name)
    (problem,) = raised.value.problems
    assert problem.file == str(directory / "shop.py")
    assert problem.line == 3
    return problem.reason


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.txt", "# no\n\n one \ntwo\r\n", frozenset({"one", "two"})),
        ("a.txt", "", frozenset()),
        ("a.json", '["a", 5]', frozenset({"a", 5})),
        ("a.json", '{"a": "b", "c": 5, "d": null, "e": true}', {"a": "b", "c": 5, "d": None, "e": True}),
        ("a.csv", "a\nb\n", frozenset({"a", "b"})),
        ("a.csv", 'a,b\n\n"c,d",e\n', {"a": "b", "c,d": "e"}),
        ("a.toml", 'a = "b"\n"c.d" = 1\n', {"a": "b", "c.d": 1}),
    ],
)
def test_tables_are_read(tmp_path, name, content, expected):
    (tmp_path / name).write_text(content)
    assert headworks.load(tmp_path / name) == expected


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("table.txt", b"\xff\xfe", "can't decode byte 0xff"),
        ("table.json", b"{", "Expecting property name"),
        ("table.json", b"5", "it holds neither keys nor a table"),
        ("table.json", b"[[1]]", "keys are texts or numbers"),
        ("table.json", b'{"a": [1]}', "'a' is list"),
        ("table.json", b"[" * 200_000, "nested|recursion"),
        ("table.csv", b"a,b\na,c\n", "'a' is there twice"),
        ("table.csv", b"a,b,c\n", "has 3"),
        ("table.toml", b"a = ", "Invalid value"),
        ("table.toml", b"[a]\nb = 1\n", "'a' is dict"),
        ("table.yaml", b"a: b", "a table is a .txt, .json, .csv or .toml file"),
        ("table.txt", "\n".join(map(str, range(100_001))).encode(), "100,001 keys are more than 100,000"),
    ],
)
def test_what_is_no_table_is_refused_at_its_line(tmp_path, name, content, said):
    import re

    (tmp_path / name).write_bytes(content)
    assert re.search(said, reason(tmp_path, name))


def test_a_file_that_is_not_there_is_said(tmp_path):
    assert "table.txt: cannot be read: No such file or directory" in reason(tmp_path)


def test_a_folder_and_a_pipe_are_no_files(tmp_path):
    (tmp_path / "folder.txt").mkdir()
    assert "cannot be read: Is a directory" in reason(tmp_path, "folder.txt")
    os.mkfifo(tmp_path / "pipe.txt")
    assert "is not a file" in reason(tmp_path, "pipe.txt")


def test_a_huge_file_is_not_read(tmp_path):
    with (tmp_path / "table.txt").open("wb") as file:
        file.truncate(tables.MOST_BYTES + 1)
    assert "67,108,865 bytes are more than 64 MiB" in reason(tmp_path)


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path, monkeypatch):
    file = tmp_path / "table.txt"
    file.write_text("one\n")
    read = Path.stat
    changed: list[bool] = []

    def stat(self, **options):
        # Written to between the reading and the look behind it.
        if self == file and not changed:
            changed.append(True)
            with self.open("a") as more:
                more.write("two\n")
        return read(self, **options)

    monkeypatch.setattr(Path, "stat", stat)
    with pytest.raises(TableError, match="it changed while it was read"):
        headworks.load(file)
    assert headworks.load(file) == {"one", "two"}


def test_each_check_reads_tables_and_modules_afresh(tmp_path):
    table = tmp_path / "table.txt"
    table.write_text("/a\n")

    def status(path: str) -> int | None:
        return headworks.explain(config(tmp_path), listener="web", path=path).status

    assert (status("/a"), status("/b")) == (403, 200)
    table.write_text("/b\n")
    assert (status("/a"), status("/b")) == (200, 403)
    assert "shop" not in sys.modules


def test_a_reload_reads_tables_again_and_keeps_what_runs_when_they_are_wrong(tmp_path):
    (tmp_path / "table.txt").write_text("/a\n")
    config(tmp_path)
    file = tmp_path / "headworks.toml"
    file.write_text(file.read_text().replace(":80", "127.0.0.1:0"))
    from headworks.testing import Client

    client = Client()
    with headworks.Proxy(file) as proxy:

        def status(path):
            return client.get(proxy.address("web"), path, host="a.example").status

        assert (status("/a"), status("/b")) == (403, 200)
        (tmp_path / "table.txt").write_text("/b\n")
        proxy.reload()
        assert (status("/a"), status("/b")) == (200, 403)
        (tmp_path / "table.txt").write_bytes(b"\xff")
        with pytest.raises(headworks.ConfigError):
            proxy.reload()
        assert (status("/a"), status("/b")) == (200, 403)
    client.close()


@pytest.mark.parametrize(
    ("text", "said", "line"),
    [
        ("import nothing_of_this_name", "No module named 'nothing_of_this_name'", 1),
        ("x = (\n", "'(' was never closed", 1),
        ("\n\n1 / 0\n", "division by zero", 3),
        ("import sys\nsys.exit(3)\n", "SystemExit: 3", 2),
        ("def f():\n    return f()\nf()\n", "RecursionError", 2),
        ("raise BaseException('odd')", "BaseException: odd", 1),
        ("import site", "has no rule", None),
        ("", "has no rule", None),
    ],
)
def test_a_module_that_cannot_be_imported_is_said_with_its_line(tmp_path, text, said, line):
    (tmp_path / "mine.py").write_text(text)
    file = tmp_path / "headworks.toml"
    file.write_text(
        '[listeners.web]\nbind = ":80"\nprotocol = "http"\nrespond = { status = 200 }\nrules = "mine:rule"\n'
    )
    with pytest.raises(headworks.ConfigError) as raised:
        headworks.Config.load(file)
    (problem,) = raised.value.problems
    assert said in problem.reason
    if line is not None:
        assert (problem.file, problem.line) == (str(tmp_path / "mine.py"), line)
    else:
        assert problem.key == "listeners.web.rules[0]" or "rules" in problem.key
    assert "mine" not in sys.modules


def test_modules_of_the_folder_win_and_do_not_stay(tmp_path):
    (tmp_path / "json.py").write_text("VALUE = 'mine'\n")
    (tmp_path / "mine.py").write_text(
        "import headworks\nimport json\n\n@headworks.rule\ndef rule(request: headworks.Request):\n"
        "    return headworks.log(a=json.VALUE)\n"
    )
    import json as before

    file = tmp_path / "headworks.toml"
    file.write_text(
        '[listeners.web]\nbind = ":80"\nprotocol = "http"\nrespond = { status = 200 }\nrules = "mine:rule"\n'
    )
    try:
        headworks.Config.load(file)
    except headworks.ConfigError as error:
        # A module that the interpreter has loaded long before stays the one that is found.
        assert "VALUE" in str(error)
    assert sys.modules["json"] is before
