"""Servers that clients name: who is asked for is resolved, held against what is allowed, and connected to."""

import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import headworks
from headworks import ConfigError, Proxy
from rig.configs import Config
from rig.hello import client_hello
from rig.http_clients import Client, ask, get
from rig.http_origins import HttpOrigin
from rig.nameserver import SERVFAIL, Nameserver
from rig.origins import Origin
from rig.waiting import until

Start = Callable[[Config], Proxy]
MakeHttp = Callable[..., HttpOrigin]
Make = Callable[..., Origin]

LOOPBACK = ["127.0.0.0/8"]


@pytest.fixture
def dns() -> Iterator[Nameserver]:
    with Nameserver() as nameserver:
        yield nameserver


def dynamic(protocol: str, address: str, dns: Nameserver, allow: list[str], **backend: Any) -> Config:
    """One listener whose clients name their servers, at the port of one that is there."""
    port = address.rpartition(":")[2]
    return {
        "listeners": {"front": {"bind": "127.0.0.1:0", "protocol": protocol, "backend": "any"}},
        "backends": {"any": {"servers": f"*:{port}", "allow_destinations": allow} | backend},
        "resolver": {"nameservers": dns.address, "min_ttl": "1ms", "timeout": "200ms", "attempts": 1},
    }


def said(proxy: Proxy, name: str) -> bytes:
    """Return what a client of TLS gets that asks for a name."""
    with socket.create_connection(proxy.address("front"), timeout=10) as client:
        client.sendall(client_hello(name))
        return client.recv(100)


def host(name: str) -> bytes:
    return f"GET /x HTTP/1.1\r\nHost: {name}\r\n\r\n".encode()


def test_the_name_in_the_hello_is_connected_to(start: Start, origin: Make, dns: Nameserver) -> None:
    app = origin(name="app")
    dns.set("a.example", "127.0.0.1")
    proxy = start(dynamic("tls", app.address, dns, LOOPBACK))
    with contextlib.closing(proxy.records()) as records:
        assert said(proxy, "a.example").startswith(b"app")
        record = next(records)
    assert (record.backend, record.server, record.sni) == ("any", app.address, "a.example")


def test_the_host_of_a_request_is_connected_to_and_the_connection_kept(
    start: Start, http_origin: MakeHttp, dns: Nameserver
) -> None:
    app = http_origin()
    for name in ("a.example", "b.example"):
        dns.set(name, "127.0.0.1")
    proxy = start(dynamic("http", app.address, dns, LOOPBACK))
    with Client(proxy.address("front")) as client:
        for name in ("a.example", "b.example", "A.example:80"):
            assert client.ask(host(name)).status == 200
    assert [request.get("host") for request in app.requests] == ["a.example", "b.example", "A.example:80"]


@pytest.mark.parametrize("allow", [["0.0.0.0/0", "::/0"], ["*.example"], ["127.0.0.2"]])
def test_our_own_network_is_refused_whatever_leads_there(
    allow: list[str], start: Start, http_origin: MakeHttp, dns: Nameserver
) -> None:
    app = http_origin()
    dns.set("a.example", "127.0.0.1", "::1", "::ffff:127.0.0.1", "10.0.0.1", "169.254.169.254", "0.0.0.0")
    proxy = start(dynamic("http", app.address, dns, allow))
    with contextlib.closing(proxy.records()) as records:
        literals = ("127.0.0.1", "[::1]", "127.1", "2130706433", "0x7f.0.0.1", "017700000001")
        for name in ("a.example", "localhost", *literals):
            response = ask(proxy.address("front"), host(name))
            assert response.status in (400, 403), name
            if response.status == 403:
                assert next(record.end for record in records if record.host == name) == "destination_denied"
    assert not app.requests


def test_a_name_that_leads_elsewhere_the_next_time_is_judged_again(
    start: Start, http_origin: MakeHttp, dns: Nameserver
) -> None:
    """What is judged is the address that is connected to, not one that was resolved before."""
    app = http_origin()
    dns.set("a.example", "127.0.0.1")
    proxy = start(dynamic("http", app.address, dns, ["127.0.0.1"]))
    assert ask(proxy.address("front"), host("a.example")).status == 200
    dns.set("a.example", "127.0.0.2")
    until(lambda: ask(proxy.address("front"), host("a.example")).status == 403)


def test_names_that_are_not_listed_are_not_even_resolved(start: Start, http_origin: MakeHttp, dns: Nameserver) -> None:
    app = http_origin()
    for name in ("a.example", "b.a.example", "other.example"):
        dns.set(name, "127.0.0.1")
    proxy = start(dynamic("http", app.address, dns, ["a.example", "*.a.example", *LOOPBACK]))
    assert [ask(proxy.address("front"), host(name)).status for name in ("a.example", "b.a.example")] == [200, 200]
    assert ask(proxy.address("front"), host("other.example")).status == 403
    assert "other.example" not in dns.queries


@pytest.mark.parametrize("trouble", ["servfail", "silent", "nxdomain"])
def test_a_name_that_cannot_be_resolved(trouble: str, start: Start, http_origin: MakeHttp, dns: Nameserver) -> None:
    app = http_origin()
    dns.failure = SERVFAIL if trouble == "servfail" else 0
    dns.is_silent = trouble == "silent"
    proxy = start(dynamic("http", app.address, dns, LOOPBACK, connect_timeout="1s"))
    with contextlib.closing(proxy.records()) as records:
        assert ask(proxy.address("front"), host("a.example")).status == 503
        assert next(records).end == "name_unresolved"


def test_a_hello_whose_name_cannot_be_resolved_gets_an_alert(start: Start, origin: Make, dns: Nameserver) -> None:
    app = origin(name="app")
    proxy = start(dynamic("tls", app.address, dns, LOOPBACK))
    with contextlib.closing(proxy.records()) as records:
        assert said(proxy, "gone.example")[:1] == b"\x15"
        assert next(records).end == "name_unresolved"


def test_the_other_addresses_are_tried(start: Start, origin: Make, dns: Nameserver) -> None:
    app = origin(name="app")
    dns.set("a.example", "127.0.0.9", "127.0.0.8", "127.0.0.1")
    proxy = start(dynamic("tls", app.address, dns, LOOPBACK, retries=2))
    for _ in range(5):
        assert said(proxy, "a.example").startswith(b"app")


def test_a_client_that_leaves_while_its_name_is_resolved(start: Start, http_origin: MakeHttp, dns: Nameserver) -> None:
    app = http_origin()
    dns.is_silent = True
    proxy = start(dynamic("http", app.address, dns, LOOPBACK))
    for _ in range(50):
        with socket.create_connection(proxy.address("front"), timeout=10) as client:
            client.sendall(host("a.example"))
    until(lambda: proxy.stats().connections == 0)
    dns.is_silent = False
    dns.set("b.example", "127.0.0.1")
    assert ask(proxy.address("front"), host("b.example")).status == 200


def test_a_thousand_names(start: Start, http_origin: MakeHttp, dns: Nameserver) -> None:
    app = http_origin()
    for number in range(1000):
        dns.set(f"n{number}.example", "127.0.0.1")
    proxy = start(dynamic("http", app.address, dns, LOOPBACK))
    with Client(proxy.address("front")) as client:
        for number in range(1000):
            assert client.ask(host(f"n{number}.example")).status == 200
    assert proxy.stats().resolver.failures == {}


def test_the_port_is_the_listener_s(dns: Nameserver) -> None:
    config = dynamic("http", "127.0.0.1:80", dns, LOOPBACK)
    config["listeners"]["front"]["bind"] = "127.0.0.1:8080"
    config["backends"]["any"]["servers"] = "*"
    shown = headworks.Config.parse(config)
    explained = headworks.explain(shown, listener="front", host="a.example")
    assert explained.server == "a.example:8080"
    assert explained.refusal is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"allow_destinations": []}, "needs allow_destinations"),
        ({"servers": ["*:80", "192.0.2.1:80"]}, "stands alone"),
        ({"health": {}}, "servers that are known"),
        ({"allow_destinations": ["10.0.0.0/33"]}, "the prefix of an IPv4 network"),
        ({"deny_destinations": ["10.0.0.0/33", "a b"]}, "the prefix of an IPv4 network"),
        ({"servers": "192.0.2.1:80"}, "only servers"),
        ({"servers": "192.0.2.1:80", "allow_destinations": [], "deny_destinations": ["a.example"]}, "only servers"),
    ],
)
def test_what_cannot_be_meant(change: Config, said: str, dns: Nameserver) -> None:
    config = dynamic("http", "127.0.0.1:80", dns, LOOPBACK)
    config["backends"]["any"] |= change
    with pytest.raises(ConfigError, match=said):
        headworks.Config.parse(config)


def test_what_is_denied_is_so_whatever_allows_it(start: Start, http_origin: MakeHttp, dns: Nameserver) -> None:
    app = http_origin()
    for name in ("a.example", "b.example", "c.example"):
        dns.set(name, "127.0.0.1")
    proxy = start(dynamic("http", app.address, dns, ["127.0.0.0/8"], deny_destinations=["b.example", "127.0.0.2"]))
    assert ask(proxy.address("front"), host("a.example")).status == 200
    assert ask(proxy.address("front"), host("b.example")).status == 403
    dns.set("c.example", "127.0.0.2")
    assert ask(proxy.address("front"), host("c.example")).status == 403


def test_explain_asks_where_names_lead(dns: Nameserver) -> None:
    config = dynamic("http", "127.0.0.1:80", dns, ["127.0.0.1"], deny_destinations=["evil.example"])
    dns.set("a.example", "127.0.0.1", "127.0.0.2")
    config["backends"]["app"] = {"servers": ["a.example:81", "gone.example:82", "127.0.0.1:83"]}
    config["listeners"]["other"] = {"bind": "127.0.0.1:0", "protocol": "http", "backend": "app"}

    def names(listener: str, host: str) -> list[tuple[str, str | None, list[tuple[str, str | None]]]]:
        explained = headworks.explain(config, listener=listener, host=host, resolve=True)
        return [
            (one.name, one.failure, [(found.address, found.refusal) for found in one.addresses])
            for one in explained.names
        ]

    there = [("127.0.0.1:80", None), ("127.0.0.2", "destination_denied")]
    assert names("front", "A.example:80") == [("a.example", None, there)]
    assert names("front", "evil.example") == [("evil.example", "destination_denied", [])]
    assert names("other", "x") == [
        ("a.example:81", None, [("127.0.0.1:81", None), ("127.0.0.2:81", None)]),
        ("gone.example:82", "no_such_name", []),
    ]
    assert headworks.explain(config, listener="front", host="a.example").names == ()
    shown = str(headworks.explain(config, listener="other", host="x", resolve=True))
    assert "gone.example:82 leads nowhere: no_such_name" in shown


def test_get_is_what_it_was(start: Start, http_origin: MakeHttp, dns: Nameserver) -> None:
    """A backend of servers that are known is not touched by any of this."""
    app = http_origin()
    config = dynamic("http", app.address, dns, LOOPBACK)
    config["backends"]["any"] = {"servers": app.address}
    assert ask(start(config).address("front"), get("/")).status == 200
