"""sniproxy.conf, byte for byte: words, statements, directives, and what is wrong with them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.importing.sniproxy.reader import read
from headworks.importing.sniproxy.tree import Address, File, Form
from headworks.importing.sniproxy.words import Kind, WordsError, lines_of, tokens


def words(source: bytes) -> list[str]:
    errors: list[WordsError] = []
    found = [token.text for token in tokens(source, errors) if token.kind is Kind.WORD]
    assert not errors
    return found


def good(source: str | bytes) -> Any:
    file, problems = read(source.encode() if isinstance(source, str) else source)
    assert not problems, "\n".join(map(str, problems))
    return file


def said(source: str | bytes) -> list[str]:
    return [str(one) for one in read(source.encode() if isinstance(source, str) else source)[1]]


def warned(source: str) -> list[str]:
    found = read(source.encode())[1]
    assert all(one.is_warning for one in found), "\n".join(map(str, found))
    return [str(one) for one in found]


def entries(source: str) -> list[tuple[str, str, bool]]:
    file = good(f"table {{\n{source}\n}}\n")
    return [(one.pattern, str(one.route.address), one.route.proxy) for one in file.tables[0].entries if one.route]


# ---- words


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (b"a b\tc\n", ["a", "b", "c"]),
        (b"a;b\rc\r\nd\n", ["a", "b", "c", "d"]),
        (b"a#b c\nd\n", ["a", "d"]),
        (b'"a b#;{}" c\n', ["a b#;{}", "c"]),
        (b'a"b c"d\n', ["ab cd"]),
        (b'"" x\n', ["", "x"]),
        (b'a\\ b \\# \\\\. \\"\n', ["a b", "#", "\\.", '"']),
        (b'"a\\"b" "c\\\\"\n', ['a"b', "c\\"]),
        (b"a\\\nb\n", ["a\nb"]),
        (b'"a\nb"\n', ["a\nb"]),
        (b"a{b}c\n", ["a", "b", "c"]),
        (b"x\x0by\n", ["x\x0by"]),
        (b"example\\.com\n", ["example.com"]),
        (b"example\\\\.com\n", ["example\\.com"]),
        (b"x" * 255 + b"\n", ["x" * 255]),
        (b"\\x" * 255 + b"\n", ["x" * 255]),
        (b"\xff\xfe\n", ["\udcff\udcfe"]),
    ],
)
def test_words(source: bytes, expected: list[str]) -> None:
    assert words(source) == expected


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (b"user " + b"x" * 256 + b"\n", "a word has 256 bytes"),
        (b"user daemon", "runs into the end of the file"),
        (b'user "daemon\n', "a quote that is never closed"),
        (b"user daemon\\", "ends by a backslash"),
        (b"user dae\0mon\n", "a zero byte"),
    ],
)
def test_words_that_sniproxy_refuses(source: bytes, reason: str) -> None:
    assert any(reason in one for one in said(source))


def test_a_brace_may_end_the_file() -> None:
    assert good("table x { a 127.0.0.1:1; }").tables[0].name == "x"


def test_lines_are_counted_with_every_kind_of_end() -> None:
    source = b'user a\r\ngroup b\rpidfile "c\nd"\n# x\n\\\nfoo\n'
    assert [str(one).partition(":")[0] for one in read(source)[1]] == ["6"]
    assert len(lines_of(source)) == 8


# ---- statements


@pytest.mark.parametrize("length", range(1, 9))
def test_keywords_may_be_cut(length: int) -> None:
    file = good(f"{'username'[:length]} x\n{'groupname'[:length]} y\n{'pidfile'[:length]} z\n")
    assert (file.user.value, file.group.value, file.pidfile.value) == ("x", "y", "z")


def test_one_letter_is_enough_everywhere() -> None:
    file = good("l 80 { p h; t x }\nt x { a 192.0.2.1; }\ne { s daemon; p debug }\nr { n 192.0.2.53; m ipv4 }\n")
    assert file.listeners[0].is_http
    assert file.listeners[0].table.value == "x"
    assert file.error_log.priority == "debug"
    assert file.resolver.mode.value == "ipv4_only"


@pytest.mark.parametrize("keyword", ["listeners", "Listener", "LISTENER", "foo"])
def test_other_keywords_are_refused(keyword: str) -> None:
    assert said(f"{keyword} 80 {{ protocol http; }}\n")[0].startswith(f'1: "{keyword}" is no keyword here')


def test_an_empty_word_is_the_first_keyword() -> None:
    assert "stands for the first keyword, username" in warned('"" daemon\n')[0]


def test_a_block_on_the_next_line_is_refused_and_read_all_the_same() -> None:
    found = said("listener 80\n{\n  protocol http\n  tabel x\n}\n")
    assert found[0].startswith("2: a block that belongs to no statement")
    assert found[1].startswith('4: "tabel" is no keyword here')


def test_a_statement_may_follow_a_block() -> None:
    assert good("table a { x 127.0.0.1:1; } user daemon\n").user.value == "daemon"


def test_a_brace_loses_an_entry_before_it() -> None:
    assert "1: warning: sniproxy loses this" in warned("table { localhost 127.0.0.1 80 }\n")[0]
    assert good("table { localhost 127.0.0.1 80; }\n").tables[0].entries
    assert not read(b"table { localhost 127.0.0.1 80 }\n")[0].tables[0].entries


def test_a_brace_does_not_lose_what_acts_by_word() -> None:
    assert good("access_log { filename /x }\nlistener 80 { protocol http }\n").access_log.filename == "/x"


def test_the_end_of_the_file_closes_blocks() -> None:
    assert good("table x {\na 127.0.0.1:1\n").tables[0].entries


def test_a_brace_too_many_ends_the_file() -> None:
    source = "user daemon\n}\nnonsense here\n"
    assert "ignores the rest" in warned(source)[0]
    assert [one.words[0].text for one in read(source.encode())[0].idle] == ["nonsense"]


def test_an_empty_file_is_read() -> None:
    assert good("") == File()


def test_words_are_passed_one_by_one() -> None:
    file = good("resolver { nameserver 192.0.2.1 192.0.2.2; }\n")
    assert [one.value for one in file.resolver.nameservers] == ["192.0.2.1", "192.0.2.2"]
    assert "username is given twice" in said("user a b\n")[0]
    assert "pidfile is given twice" in said("pidfile a\npidfile b\n")[0]


def test_comments_stay_beside_what_they_are_about() -> None:
    file = good(
        "# one\n\n# two\nuser daemon # three\ntable x { # four\n# five\na 192.0.2.1 #six\n# seven\n}\n# eight\n"
    )
    assert file.user.statement.before == ["one", "", "two"]
    assert file.user.statement.beside == "three"
    table = file.tables[0]
    assert table.statement.beside == "four"
    assert table.entries[0].statement.before == ["five"]
    assert table.entries[0].statement.beside == "six"
    assert table.statement.block.after == ["seven"]
    assert file.after == ["eight"]


@pytest.mark.parametrize("section", ["access_log /x\n", "error_log /x\n", "resolver 192.0.2.1\n"])
def test_some_directives_need_a_block(section: str) -> None:
    assert "takes no word but a block" in said(section)[0]


# ---- logs and the resolver


@pytest.mark.parametrize(
    ("written", "level"),
    [("e", "emergency"), ("err", "error"), ("WARN", "warning"), ("n", "notice"), ("i", "info"), ("alert", "alert")],
)
def test_levels(written: str, level: str) -> None:
    assert good(f"error_log {{ filename /x; priority {written}; }}\n").error_log.priority == level


@pytest.mark.parametrize("inside", ["priority info;", "filename /x; syslog daemon;"])
def test_a_log_goes_to_one_place(inside: str) -> None:
    assert said(f"access_log {{ {inside} }}\n")


def test_levels_and_facilities_that_are_none() -> None:
    assert "is no level" in said("error_log { filename /x; priority loud; }\n")[0]
    assert 'takes "user" instead' in warned("error_log { syslog foo; }\n")[0]
    assert good("error_log { syslog LOCAL3; }\n").error_log.facility == "local3"


def test_the_resolver() -> None:
    file = good("resolver {\n nameserver ::1\n search example.com example.org\n mode IPv6_F\n}\n")
    assert file.resolver.mode.value == "ipv6_first"
    assert [one.value for one in file.resolver.search] == ["example.com", "example.org"]
    assert "must be one" in said("resolver { nameserver ns.example.com; }\n")[0]
    assert "is no mode" in said("resolver { mode both; }\n")[0]


# ---- listeners


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("80", Address(Form.IP, "::", 80)),
        ("0.0.0.0 80", Address(Form.IP, "0.0.0.0", 80)),
        ("192.0.2.1:443", Address(Form.IP, "192.0.2.1", 443)),
        ("[2001:db8::1]:443", Address(Form.IP, "2001:db8::1", 443)),
        ("[::] 443", Address(Form.IP, "::", 443)),
        ("2001:db8::1", Address(Form.IP, "2001:db8::1", 443)),
        ("192.0.2.1", Address(Form.IP, "192.0.2.1", 443)),
        ("unix:/run/x.sock", Address(Form.UNIX, "/run/x.sock")),
    ],
)
def test_addresses_of_listeners(written: str, expected: Address) -> None:
    assert good(f"listener {written} {{ protocol tls; }}\n").listeners[0].address == expected


def test_ports_by_protocol() -> None:
    assert good("listener 192.0.2.1 { protocol http; }\n").listeners[0].address.port == 80
    assert "the port is missing" in said("listener 192.0.2.1 { table x; }\n")[0]


@pytest.mark.parametrize("written", ["", "example.com:80", "*:80", "0x50", "70000", "unix:"])
def test_addresses_that_listeners_cannot_have(written: str) -> None:
    assert said(f"listener {written} {{ protocol http; }}\n")


def test_a_word_too_many_after_the_address_is_no_error() -> None:
    assert '"foo" means nothing here' in warned("listener 0.0.0.0 80 foo { protocol http; }\n")[0]


@pytest.mark.parametrize(("written", "is_http"), [("h", True), ("HTTP", True), ("tls", False), ("T", False)])
def test_protocols(written: str, is_http: bool) -> None:  # noqa: FBT001
    assert good(f"listener 80 {{ protocol {written}; }}\n").listeners[0].is_http is is_http


@pytest.mark.parametrize("written", ["https", "ssl", "htpp"])
def test_protocols_that_are_none_mean_tls(written: str) -> None:
    source = f"listener 80 {{ protocol {written}; }}\n"
    assert "takes it for tls" in warned(source)[0]
    assert not read(source.encode())[0].listeners[0].is_http


def test_directives_of_listeners() -> None:
    file = good(
        "listener 80 {\n protocol http\n table x\n fallback 192.0.2.9:8080 PROXY\n source 192.0.2.1\n"
        " reuseport On\n ipv6_v6only TRUE\n bad_requests l\n access_log /var/log/x\n}\nlistener 81 { source Client; }\n"
    )
    one, other = file.listeners
    assert (str(one.fallback.address), one.fallback.proxy) == ("192.0.2.9:8080", True)
    assert one.source == Address(Form.IP, "192.0.2.1")
    assert (one.reuseport.value, one.ipv6_only.value, one.bad_requests.value) == ("yes", "yes", "log")
    assert one.access_log.filename == "/var/log/x"
    assert other.is_transparent


@pytest.mark.parametrize(
    ("inside", "reason"),
    [
        ("table a; table b", "table is given twice"),
        ("fallback *", "cannot be *"),
        ("fallback 192.0.2.9 80", "does not belong here"),
        ("fallback 192.0.2.9:80 poxy", "did you mean proxy?"),
        ("source a.example", "a source must be one"),
        ("source client client", "source is given twice"),
        ("reuseport maybe", "neither yes nor no"),
        ("ipv6_v6only 1", "neither yes nor no"),
        ("protocol http { }", "takes no block"),
        ("access_log", "neither a file nor a block"),
    ],
)
def test_directives_that_sniproxy_refuses(inside: str, reason: str) -> None:
    assert any(reason in one for one in said(f"listener 80 {{\n {inside}\n}}\n"))


def test_other_words_of_bad_requests_are_ignored() -> None:
    assert "ignores then" in warned("listener 80 {\n bad_requests drop\n}\n")[0]


# ---- tables


def test_entries() -> None:
    assert entries(
        "a 192.0.2.1\nb 192.0.2.1 80\nc 192.0.2.1:80 proxy_protocol\nd [2001:db8::1]:80\ne 2001:db8::1\n"
        "f unix:/run/x.sock PROXY_PROTOCOL\ng App.Example.com:80\nh *\ni *:8443\nj 2001:db8:0:0:0:0:0:1:80\n"
        "k localhost 80 proxy_protocol"
    ) == [
        ("a", "192.0.2.1", False),
        ("b", "192.0.2.1:80", False),
        ("c", "192.0.2.1:80", True),
        ("d", "[2001:db8::1]:80", False),
        ("e", "[2001:db8::1]", False),
        ("f", "unix:/run/x.sock", True),
        ("g", "app.example.com:80", False),
        ("h", "*", False),
        ("i", "*:8443", False),
        ("j", "[2001:db8::1]:80", False),
        ("k", "localhost:80", True),
    ]


@pytest.mark.parametrize(
    "entry",
    [
        "a 192.0.2.1 443 80",
        "a 192.0.2.1:443 80",
        "a 192.0.2.1 proxy_protocol proxy_protocol",
        "a 192.0.2.1:0",
        "a 192.0.2.1:65536",
        "a -b.example",
        "a b..example",
        f"a {'x' * 64}.example",
        "a 192.0.2.300",
        f"a unix:/{'x' * 120}",
    ],
)
def test_entries_that_sniproxy_refuses(entry: str) -> None:
    assert said(f"table {{\n{entry}\n}}\n")[0].startswith("2: ")


def test_an_entry_without_an_address_is_one() -> None:
    source = "table {\na\nb 192.0.2.1\n}\n"
    assert "an entry without an address" in warned(source)[0]
    assert [one.route is None for one in read(source.encode())[0].tables[0].entries] == [True, False]


def test_everything_that_is_wrong_comes_at_once() -> None:
    found = said("usrname a\nlistener 80 {\n protcol http\n reuseport x\n}\ntable x {\n a 192.0.2.1 nonsense\n}\n")
    assert [one.partition(":")[0] for one in found] == ["1", "3", "4", "7"]
    assert "did you mean username?" in found[0]
    assert "did you mean protocol?" in found[1]


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused_in_words(source: bytes) -> None:
    for one in read(source)[1]:
        assert one.line is not None
        assert str(one)


_PIECES = st.sampled_from(
    [
        *'{};\n\r\t #"\\',
        "listener ",
        "table ",
        "protocol ",
        "http",
        "fallback ",
        "192.0.2.1",
        ":80",
        "*",
        "access_log ",
        "filename ",
        "resolver ",
        "a.example ",
        "proxy",
        "\\\\.",
        "source client",
        "reuseport yes",
        "[::1]:1",
        "unix:/x",
    ]
)


@given(st.lists(_PIECES, max_size=40))
def test_any_statements_are_read_or_refused_in_words(pieces: list[str]) -> None:
    for one in read("".join(pieces).encode())[1]:
        assert one.line is not None
        assert str(one)


def test_deep_nesting_is_read() -> None:
    assert said("table {" * 5000)
