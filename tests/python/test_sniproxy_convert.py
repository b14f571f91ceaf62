"""`headworks convert`, and commands that take a sniproxy.conf as it is."""

import os
import re
import time
import tomllib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headworks import Proxy, explain
from headworks.config import Config, ConfigError
from headworks.importing.sniproxy.statements import Block, every, parse
from headworks.importing.sniproxy.translation import translate
from rig.invoked import headworks

CORPUS = sorted((Path(__file__).parents[1] / "corpus" / "sniproxy").glob("*.conf"))

TEXT = """\
# first
user daemon
listener 127.0.0.1:8443 {
    protocol tls
    table sites
    fallback 127.0.0.1:8001 # for the rest
}
table sites {
    ^(.*\\\\.)?example\\\\.com$ 127.0.0.1:8002 proxy_protocol
}
"""

UNSUPPORTED = TEXT.replace("table sites {\n", "table sites {\n    ^(?!www) 127.0.0.1:1\n")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "sniproxy.conf"
    path.write_text(TEXT)
    return path


def test_there_are_twenty() -> None:
    assert len(CORPUS) == 20


@pytest.mark.parametrize("file", CORPUS, ids=lambda file: file.stem)
def test_what_people_have_is_converted_and_checked(file: Path, tmp_path: Path) -> None:
    found = translate(file.read_bytes())
    parsed = parse(file.read_bytes())
    assert len(found.outcomes) == sum(1 for block in (parsed.block, Block(parsed.unread)) for _ in every(block))
    out = tmp_path / "headworks.toml"
    code, said, listed = headworks("convert", file, "-o", out)
    assert (code, said) == (0, ""), listed
    assert f"{len(found.outcomes):,} statements: " in listed
    written = out.read_text()
    for comment in [line.strip()[1:].strip() for line in file.read_text().splitlines() if line.strip().startswith("#")]:
        assert f"# {comment}".rstrip() in written
    code, said, _ = headworks("check", out)
    assert code == 0, said
    # The file itself is understood as what it was converted to.
    assert Config.load(file) == Config.load(out)


def test_the_file_is_written_as_people_would(file: Path) -> None:
    code, written, listed = headworks("convert", file)
    assert code == 0
    assert written == (
        "[proxy]\n"
        "# first\n"
        'user = "daemon"\n\n'
        "[logs]\n"
        "# sniproxy writes none unless it is told to.\n"
        'access = "off"\n\n'
        "[listeners.tls_8443]\n"
        'bind = "127.0.0.1:8443"\n'
        'protocol = "tls"\n'
        'table = "sites"\n'
        "# Differs from sniproxy: bytes that are no TLS are refused, and do not come here\n"
        'fallback = "127.0.0.1:8001"  # for the rest\n\n'
        "[tables.sites]\n"
        '"example.com" = "127.0.0.1:8002+proxy"\n'
        '"*.example.com" = "127.0.0.1:8002+proxy"\n\n'
        '[backends."127.0.0.1:8002+proxy"]\n'
        'servers = "127.0.0.1:8002"\n'
        'proxy_protocol = "v1"\n\n'
        '[backends."127.0.0.1:8001"]\n'
        'servers = "127.0.0.1:8001"\n'
    )
    assert "7 statements: 6 converted, 1 converted with a difference" in listed


def test_what_is_not_supported_is_a_comment_and_a_row(file: Path, tmp_path: Path) -> None:
    file.write_text(UNSUPPORTED)
    out = tmp_path / "out.toml"
    code, _, listed = headworks("convert", file, "--output", out)
    assert code == 0
    assert "^(?!www) 127.0.0.1:1" in listed
    assert "not supported" in listed
    assert "# Not supported: ^(?!www) 127.0.0.1:1\n#   " in out.read_text()
    assert tomllib.loads(out.read_text())


def test_strict_writes_nothing_where_anything_differs(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.toml"
    code, _, listed = headworks("convert", file, "-o", out, "--strict")
    assert code == 1
    assert "nothing is written" in listed
    assert not out.exists()
    file.write_text(TEXT.replace("    fallback 127.0.0.1:8001 # for the rest\n", ""))
    assert headworks("convert", file, "-o", out, "--strict")[0] == 0
    assert out.exists()


def test_what_is_wrong_is_said_at_once_and_nothing_written(file: Path, tmp_path: Path) -> None:
    file.write_text("listner 80 {\n protocol http\n}\ntable {\n a 192.0.2.1:x\n}\n")
    out = tmp_path / "out.toml"
    code, _, said = headworks("convert", file, "-o", out, "--from", "sniproxy")
    assert code == 2
    assert [line.removeprefix(f"{file}:").partition(":")[0] for line in said.splitlines()] == ["1", "5"]
    assert not out.exists()


def test_wrong_use_is_said(file: Path, tmp_path: Path) -> None:
    assert headworks("convert", file, "-o", file)[0] == 2
    assert headworks("convert", file, "--from", "squid")[0] == 2
    assert headworks("convert", tmp_path / "none")[0] == 2
    assert headworks("convert", file, "-o", tmp_path / "none" / "x")[0] == 1
    other = tmp_path / "other"
    other.write_text("[listeners.x]\n")
    code, _, said = headworks("convert", other)
    assert (code, "known: nginx, haproxy, sniproxy" in said) == (2, True)


# ---- the file as it is


def test_other_commands_take_the_file(file: Path) -> None:
    assert headworks("check", file) == (0, f"{file}: ok\n", "")
    code, said, _ = headworks("explain", file, "--listener", "tls_8443", "--sni", "www.example.com")
    assert (code, "127.0.0.1:8002+proxy" in said) == (0, True)
    assert '[tables.sites]\n"example.com" = ' in headworks("show", file)[1]
    assert explain(file, listener="tls_8443", sni="x.example").backend == "127.0.0.1:8001"


def test_the_name_of_the_file_does_not_matter(file: Path) -> None:
    other = file.rename(file.with_name("headworks.toml"))
    assert headworks("check", other)[0] == 0


def test_a_broken_configuration_of_ours_is_not_taken_for_one(file: Path) -> None:
    file.write_text('user = "daemon"\n[listeners.x]\nbind = \nlistener 80 {\n}\n')
    code, said, _ = headworks("check", file)
    assert code == 2
    assert "3: " in said
    assert "no keyword" not in said


def test_problems_have_the_lines_of_the_file(file: Path) -> None:
    file.write_text(UNSUPPORTED.replace("proxy_protocol", "proxy_protocl"))
    code, said, _ = headworks("check", file)
    assert code == 2
    assert f"{file}:9: not supported: ^(?!www) 127.0.0.1:1" in said
    assert f'{file}:10: "proxy_protocl" does not belong here' in said
    file.write_text(TEXT.replace("127.0.0.1:8443", "192.0.2.1:8443").replace("user daemon", "user nobody-here"))
    code, said, _ = headworks("check", file)
    assert said.startswith(f'{file}:2: proxy.user: this system has no user "nobody-here"')


def test_bytes_that_are_no_text_are_read_all_the_same(file: Path) -> None:
    file.write_bytes(TEXT.encode().replace(b"first", b"f\xfcrst"))
    assert headworks("check", file)[0] == 0
    file.write_bytes(TEXT.encode().replace(b"^(", b"^\xfc("))
    code, said, _ = headworks("check", file)
    assert (code, "names arrive in ASCII" in said) == (2, True)


def test_warnings_are_shown_and_do_not_stop_it(file: Path) -> None:
    file.write_text(TEXT.replace("proxy_protocol\n}", "proxy_protocol }"))
    code, said, _ = headworks("check", file)
    assert code == 0
    assert f"{file}:9: warning: sniproxy loses this" in said


def test_a_proxy_runs_it_and_reads_it_again(file: Path) -> None:
    file.write_text(
        TEXT.replace("127.0.0.1:8443", "unix:" + str(file.with_name("x.sock"))).replace("table sites", "t sites")
    )
    with Proxy(file) as proxy:
        assert list(proxy.config.listeners) == ["tls_unix"]
        before = file.read_text()
        file.write_text(before.replace("example\\\\.com", "example\\\\.org"))
        proxy.reload()
        assert "example.org" in proxy.config.tables["sites"]
        file.write_text("listner x {\n}\n")
        with pytest.raises(ConfigError):
            proxy.reload()
        assert "example.org" in proxy.config.tables["sites"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_who_is_not_root_becomes_nobody_else(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Config.load(file).proxy.user == "daemon"
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert Config.load(file).proxy.user is None


def test_many_entries_are_converted_quickly() -> None:
    rows = "".join(f"^(.*\\\\.)?name{number}\\\\.example\\\\.com$ 192.0.2.1:443\n" for number in range(15_000))
    began = time.process_time()
    found = translate(f"listener 443\ntable {{\n{rows}}}\n".encode())
    assert time.process_time() - began < 30
    assert len(found.value["tables"]["default"]) == 30_000
    assert not [name for name in found.value["tables"]["default"] if name.startswith("~")]


@given(st.binary(max_size=200), st.sampled_from([b"", b"listener 443 {\n", b"listener 443\ntable {\n", b"user x\n"]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_file_is_read_or_refused_in_words(file: Path, before: bytes, source: bytes) -> None:
    file.write_bytes(source + before)
    for command in (("check",), ("convert", "--from", "sniproxy"), ("lint",)):
        code, said, listed = headworks(*command, file)
        assert code in (0, 1, 2)
        assert said or listed or command == ("lint",)


def test_the_page_shows_what_is_made_of_its_file(file: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "coming-from-sniproxy.md").read_text()
    (theirs,) = re.findall(r"^```text\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    (ours,) = re.findall(r"^```toml\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    file.write_text(theirs)
    code, written, _ = headworks("convert", file)
    assert (code, written) == (0, ours)
