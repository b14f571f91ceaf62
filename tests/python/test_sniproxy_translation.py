"""What each statement of a sniproxy.conf becomes, and that none is without an outcome."""

import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headworks.config import Config
from headworks.importing.report import Bin
from headworks.importing.sniproxy.source import is_sniproxy
from headworks.importing.sniproxy.statements import Block, every, parse
from headworks.importing.sniproxy.translation import translate
from headworks.importing.written import write
from rig.sniproxy import translated

SITES = "table sites {\n ^a\\\\.example$ 192.0.2.1:8443\n ^b\\\\.example$ 192.0.2.2 proxy_protocol\n}\n"


def of(text: str) -> dict:
    found = translated(text)
    Config.parse(found.value)
    assert tomllib.loads(write(found.value, found.remarks, found.order)) == found.value
    return found.value


def bins(text: str) -> list[tuple[int, Bin]]:
    return [(one.line, one.bin) for one in translate(text.encode()).outcomes]


def problems(text: str) -> list[str]:
    found = translate(text.encode())
    return [str(one) for one in (*found.problems, *found.unsupported) if not one.is_warning]


def test_a_whole_file() -> None:
    assert of(
        "user nobody\ngroup nogroup\npidfile /run/x.pid\nerror_log { filename /var/log/e; priority warning; }\n"
        "access_log { filename /var/log/a; }\n"
        "listener 192.0.2.9:443 {\n protocol tls\n table sites\n fallback 192.0.2.3\n source 192.0.2.8\n}\n" + SITES
    ) == {
        "proxy": {"user": "nobody", "group": "nogroup"},
        "logs": {"access": "/var/log/a", "level": "warning"},
        "listeners": {
            "tls_443": {
                "bind": "192.0.2.9:443",
                "protocol": "tls",
                "table": "sites",
                "fallback": "192.0.2.3:443@192.0.2.8",
            }
        },
        "tables": {
            "sites": {"a.example": "192.0.2.1:8443@192.0.2.8", "b.example": "192.0.2.2:443+proxy@192.0.2.8"},
        },
        "backends": {
            "192.0.2.1:8443@192.0.2.8": {"servers": "192.0.2.1:8443", "source": "192.0.2.8"},
            "192.0.2.2:443+proxy@192.0.2.8": {
                "servers": "192.0.2.2:443",
                "proxy_protocol": "v1",
                "source": "192.0.2.8",
            },
            "192.0.2.3:443@192.0.2.8": {"servers": "192.0.2.3:443", "source": "192.0.2.8"},
        },
    }


def test_what_is_not_said() -> None:
    value = of("listener 443 {\n}\ntable {\n .* 192.0.2.1\n}\n")
    assert value["proxy"] == {"user": "daemon"}
    assert value["logs"] == {"access": "off"}
    assert value["listeners"] == {"tls_443": {"bind": ":443", "protocol": "tls", "table": "default"}}
    assert value["tables"] == {"default": {"*": "192.0.2.1:443"}}


def test_listeners_of_several_ports_share_what_has_its_own() -> None:
    value = of(
        "listener 443 { protocol tls; table t; }\nlistener 8443 { protocol tls; table t; }\ntable t { .* [::1]:9; }\n"
    )
    assert [one["table"] for one in value["listeners"].values()] == ["t", "t"]
    value = of("listener 443 { table t; }\nlistener 80 { protocol http; table t; }\ntable t { .* 192.0.2.1; }\n")
    assert value["tables"] == {"t": {"*": "192.0.2.1:443"}, "t_80": {"*": "192.0.2.1:80"}}
    assert value["listeners"]["http_80"]["table"] == "t_80"
    assert value["listeners"]["http_80"]["protocol"] == "http_host"


@pytest.mark.parametrize(
    ("listener", "expected"),
    [
        ("80", {"bind": ":80"}),
        ("[::]:80", {"bind": "[::]:80"}),
        ("[::]:80 { ipv6_v6only yes; }", {"bind": "[::]:80", "ipv6_only": True}),
        ("0.0.0.0:80 { ipv6_v6only yes; }", {"bind": "0.0.0.0:80"}),
        ("[::]:80 { ipv6_v6only no; }", {"bind": "[::]:80"}),
        ("unix:/run/x.sock", {"bind": "unix:/run/x.sock"}),
        ("192.0.2.1 { protocol http; }", {"bind": "192.0.2.1:80", "protocol": "http_host"}),
        ("80 { reuseport yes; bad_requests log; }", {"bind": ":80"}),
    ],
)
def test_listeners(listener: str, expected: dict) -> None:
    (found,) = of(f"listener {listener}\ntable {{ x 192.0.2.1:1; }}\n")["listeners"].values()
    assert found == {"protocol": "tls", "table": "default", **expected}


# ---- clients without a name, and the fallback


@pytest.mark.parametrize(
    ("entries", "fallback", "table", "expected"),
    [
        # Nothing takes the empty name: it gets the fallback, as here.
        ("^a$ 192.0.2.1", "192.0.2.9", {"a": "192.0.2.1:443"}, "192.0.2.9:443"),
        ("^a$ 192.0.2.1", None, {"a": "192.0.2.1:443"}, None),
        # What takes everything takes it, too, and nothing gets to the fallback.
        (".* 192.0.2.1", "192.0.2.9", {"*": "192.0.2.1:443"}, None),
        # What takes it is not what takes the rest.
        ("^$ 192.0.2.1", "192.0.2.9", {"~^$": "192.0.2.1:443", "*": "192.0.2.9:443"}, "192.0.2.1:443"),
        ("^$ 192.0.2.1; .* ::2", "192.0.2.9", {"~^$": "192.0.2.1:443", "*": "[::2]:443"}, "192.0.2.1:443"),
        # Without a fallback they are refused.
        ("^$ 192.0.2.1; .* ::2", None, {"~^$": "192.0.2.1:443", "*": "[::2]:443"}, None),
        ("^a?$ 192.0.2.1", None, {"~^a?$": "192.0.2.1:443"}, None),
    ],
)
def test_clients_without_a_name(entries: str, fallback: str | None, table: dict, expected: str | None) -> None:
    said = f"fallback {fallback};" if fallback else ""
    value = of(f"listener 443 {{ {said} }}\ntable {{ {entries}; }}\n")
    assert value["tables"]["default"] == table
    assert value["listeners"]["tls_443"].get("fallback") == expected


def test_an_entry_without_an_address_leads_to_the_fallback() -> None:
    value = of("listener 443 { fallback 192.0.2.9; }\ntable { ^a$; .* 192.0.2.1; }\n")
    assert value["tables"]["default"] == {"a": "192.0.2.9:443", "*": "192.0.2.1:443"}
    for listener in ("listener 443", "listener 80 { protocol http; }"):
        assert list(of(f"{listener}\ntable {{ ^b$ 192.0.2.1; ^a$; }}\n")["tables"]["default"]) == ["b"]
        assert "not supported: ^a$" in problems(f"{listener}\ntable {{ ^a$; .* 192.0.2.1; }}\n")[0]


# ---- outcomes


def test_differences_and_what_is_left_out() -> None:
    text = (
        "listener 443 {\n protocol tls\n table sites\n reuseport on\n bad_requests log\n source client\n"
        " fallback 192.0.2.9\n access_log /var/log/x\n}\n" + SITES
    )
    assert bins(text) == [
        (1, Bin.CONVERTED),
        (2, Bin.CONVERTED),
        (3, Bin.CONVERTED),
        (4, Bin.NOTHING),
        (5, Bin.NOTHING),
        (6, Bin.DIFFERENT),
        (7, Bin.DIFFERENT),
        (8, Bin.DIFFERENT),
        (10, Bin.CONVERTED),
        (11, Bin.CONVERTED),
        (12, Bin.CONVERTED),
    ]
    assert problems(text) == []
    assert {one["source"] for one in translated(text).value["backends"].values()} == {"client"}


def test_patterns_that_cannot_be_told_are_problems_with_their_lines() -> None:
    (said,) = problems("listener 443\ntable {\n ^(?!www) 192.0.2.1\n ^a$ 192.0.2.1\n}\n")
    assert said.startswith('3: not supported: ^(?!www) 192.0.2.1; "(?!" looks around')


def test_capitals_are_a_difference() -> None:
    assert bins("listener 443\ntable {\n ^LocalHost$ 192.0.2.1\n}\n")[-1] == (3, Bin.DIFFERENT)


def test_tables_that_count_for_nothing() -> None:
    text = "listener 443 { table a; }\n" + "".join(
        f"table {name} {{ ^{entry}$ 192.0.2.1; }}\n" for name, entry in ("ax", "ay", "bz")
    )
    assert of(text)["tables"] == {"a": {"y": "192.0.2.1:443"}}
    assert [found for line, found in bins(text) if line in (2, 4)] == [Bin.NOTHING] * 4


def test_tables_that_are_not_there() -> None:
    assert (
        problems("listener 443 {\n table sitse\n}\n" + SITES)[0] == '2: there is no table "sitse"; did you mean sites?'
    )
    assert "no table without a name" in problems("listener 443\n" + SITES)[0]


def test_a_unix_listener_has_no_port_to_inherit() -> None:
    assert "has no port" in problems("listener unix:/run/x\ntable { .* 192.0.2.1; }\n")[0]


@pytest.mark.parametrize(
    ("logs", "expected"),
    [
        ("", "off"),
        ("access_log { filename /a; }", "/a"),
        ("access_log { syslog daemon; }", "syslog"),
        ("access_log { filename /a; priority warning; }", "off"),
        ("listener 81 { access_log /b; table sites; }", "/b"),
        ("access_log { filename /a; }\nlistener 81 { access_log /b; table sites; }", "/a"),
    ],
)
def test_access_logs(logs: str, expected: str) -> None:
    assert of(f"listener 80 {{ table sites; }}\n{logs}\n{SITES}")["logs"]["access"] == expected


def test_a_resolver_that_resolves_nothing_needs_nothing() -> None:
    text = "resolver {\n nameserver 192.0.2.53\n mode ipv4_only\n}\nlistener 443 { table sites; }\n" + SITES
    assert "resolver" not in of(text)
    assert bins(text)[:3] == [(1, Bin.NOTHING), (2, Bin.NOTHING), (3, Bin.NOTHING)]


NAMED = "resolver { nameserver 192.0.2.53; mode ipv6_first; }\nlistener 443\ntable {\n a app.internal:80\n .* *\n}\n"


def test_names_are_told_as_servers() -> None:
    value = translated(NAMED).value
    assert value["resolver"] == {"nameservers": ["192.0.2.53"], "families": "ipv6_first"}
    assert value["backends"] == {
        "app.internal:80": {"servers": "app.internal:80"},
        "*:443": {"servers": "*:443", "allow_destinations": ["0.0.0.0/0", "::/0"]},
    }


def test_whoever_clients_name_is_not_all_that_sniproxy_reaches() -> None:
    assert bins(NAMED)[-2:] == [(4, Bin.CONVERTED), (5, Bin.DIFFERENT)]


def test_names_can_be_run() -> None:
    of(NAMED)


def test_comments_are_kept_at_their_places() -> None:
    found = translated(
        "# the head\n\n# of listeners\nlistener 443 { # beside\n # a table\n table sites # here\n # the end\n}\n"
        "# of tables\ntable sites {\n # of a\n ^a$ 192.0.2.1 # one\n # last\n}\n# after all\n"
    )
    text = write(found.value, found.remarks, found.order)
    assert (
        '# the head\n\n# of listeners\n[listeners.tls_443]  # beside\nbind = ":443"\nprotocol = "tls"\n# a table\n'
        'table = "sites"  # here\n# the end\n\n# of tables\n[tables.sites]\n# of a\na = "192.0.2.1:443"  # one\n'
        "# last\n"
    ) in text
    assert text.endswith("\n# after all\n")


def test_what_is_said_in_comments_cannot_end_them() -> None:
    found = translated(
        'listener 443\ntable { "^a\\\\.b$\rc" 192.0.2.1; ^x$ 192.0.2.2; ^x$ 192.0.2.3; }\n# \x07 \u2028 x\n'
    )
    assert tomllib.loads(write(found.value, found.remarks, found.order)) == found.value


_PIECES = st.sampled_from(
    """\
user x
listener 443 {
listener 80 {
table {
table t {
}
 protocol http
 table t
 fallback 192.0.2.1
 ^a$ 192.0.2.1
 .* 192.0.2.2
 ^$ 192.0.2.3
# note
 a
resolver {
 nameserver ::1
 source client
 (?!a) ::1
access_log {
 filename /x
 b *
 c d.e
 source 192.0.2.9
 nonsense x
access_log /y
} x
 ipv6_v6only yes
 B 192.0.2.1 proxy_protocol
""".splitlines(keepends=True)
)


@settings(max_examples=500, deadline=None)
@given(st.lists(_PIECES, max_size=30).map("".join))
def test_every_statement_has_one_outcome(text: str) -> None:
    found = translate(text.encode())
    output = write(found.value, found.remarks, found.order)
    assert tomllib.loads(output) == found.value
    if found.unsupported or any(not one.is_warning for one in found.problems):
        return
    parsed = parse(text.encode())
    statements = [*every(parsed.block), *every(Block(parsed.unread))]
    assert len(found.outcomes) == len(statements)
    for comment in [line[1:].strip() for line in text.splitlines() if line.startswith("#")]:
        assert f"# {comment}" in output
    if "listeners" in found.value:
        Config.parse(found.value)


# ---- what is one


@pytest.mark.parametrize(
    "text",
    [
        "listener 80 {\n}\n",
        "l 80 { p h; }\nt { a 192.0.2.1; }\n",
        "# x\nuser daemon\n",
        "user daemon\nlistner 443 {\n protocol tls\n}\ntable {\n}\n",
        "pidfile /run/x\n",
        'table "x y" {\n}\n',
    ],
)
def test_what_is_a_sniproxy_conf(text: str) -> None:
    assert is_sniproxy(text.encode())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[listeners.x]\nbind = \n",
        "user = daemon\nlistener 80 {\n",
        "listener 80 {\n}\n[proxy]\n",
        "user www-data;\nevents {\n}\nhttp {\n server { listen 80; }\n}\n",
        "server {\n listen 80;\n}\n",
        "global\n user haproxy\n group haproxy\n pidfile /run/x\ndefaults\n mode tcp\nlisten x\n",
        "listeners:\n  x:\n    bind: 1\n",
        '{"listeners": {}}',
        "example.com {\n reverse_proxy 127.0.0.1:1\n}\n",
        "some words\n",
    ],
)
def test_what_is_none(text: str) -> None:
    assert not is_sniproxy(text.encode())


# ---- logs of a syslog server, names in full


def told_logs(text: str) -> dict[str, object]:
    found = translate(f"{text}\nlistener 80 {{\n protocol http\n}}\ntable {{\n a 192.0.2.1\n}}\n".encode())
    assert not found.unsupported
    return dict(found.value["logs"])


def test_both_logs_may_go_to_syslog_each_with_its_facility() -> None:
    assert told_logs("error_log {\n syslog local0\n priority info\n}\naccess_log {\n syslog mail\n}") == {
        "access": "syslog",
        "syslog": {"facility": "mail", "tag": "sniproxy", "form": "rfc3164", "program_facility": "local0"},
        "level": "info",
        "program": "syslog",
    }
    alone = told_logs("error_log {\n syslog daemon\n}")
    assert (alone["access"], alone["program"]) == ("off", "syslog")
    assert alone["syslog"] == {"facility": "daemon", "tag": "sniproxy", "form": "rfc3164"}


@pytest.mark.parametrize(
    ("search", "server"),
    [("search example.com", "app.example.com:80"), ("search a.test\nsearch b.test", "app:80"), ("", "app:80")],
)
def test_names_without_a_dot_are_written_in_full(search: str, server: str) -> None:
    resolver = f"resolver {{\n nameserver 192.0.2.53\n {search}\n}}\n"
    text = f"{resolver}listener 80 {{\n protocol http\n}}\ntable {{\n a app\n}}\n"
    found = translate(text.encode())
    assert [one["servers"] for one in found.value["backends"].values()] == [server]
    assert bool(found.unsupported) is ("b.test" in search)
