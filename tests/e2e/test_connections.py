"""Live connections as operators see them: numbers that stay, lists by filter and page, and closing some of them."""

import contextlib
import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from headworks import Proxy
from headworks.records import AccessRecord
from headworks.stats import Connection
from rig.clients import connect, exactly, to_close, to_end
from rig.configs import Config, http, tcp, tls
from rig.hello import client_hello
from rig.http_clients import Client, get
from rig.http_origins import HttpOrigin
from rig.origins import Origin, echo, hangs, unanswering_port
from rig.tls_clients import TlsClient
from rig.tls_configs import https, secured
from rig.tls_files import Pki
from rig.waiting import until

Start = Callable[[Config], Proxy]
MakeOrigin = Callable[..., Origin]
MakeHttp = Callable[..., HttpOrigin]

MANY = 400


def listed(proxy: Proxy, count: int, **wanted: Any) -> list[Connection]:
    """Wait until so many are listed."""
    until(lambda: len(proxy.connections(**wanted)) == count, f"{count} of {wanted}")
    return proxy.connections(**wanted)


def records(file: Path, count: int) -> list[AccessRecord]:
    """Wait for so many access records."""
    lines = until(lambda: found if len(found := file.read_text().splitlines()) == count else None, f"{count} records")
    return [AccessRecord.decode(line) for line in lines]


@contextlib.contextmanager
def relayed(proxy: Proxy, listener: str = "raw") -> Iterator[socket.socket]:
    """A client whose server has answered."""
    with connect(proxy.address(listener)) as client:
        client.sendall(b"x")
        assert exactly(client, 1) == b"x"
        yield client


def logging(config: Config, file: Path) -> Config:
    return config | {"logs": {"access": str(file), "format": "json"}}


def test_a_number_is_the_same_everywhere_and_no_other_connection_has_it(
    start: Start, http_origin: MakeHttp, tmp_path: Path
) -> None:
    file = tmp_path / "access.log"
    proxy = start(logging(http(http_origin().address), file))
    with Client(proxy.address("web")) as first, Client(proxy.address("web")) as second:
        first.ask(get("/1"))
        first.ask(get("/2"))
        second.ask(get("/3"))
        kept = {row.client: row for row in listed(proxy, 2, state="kept")}
    by_path = {one.path: one for one in records(file, 3)}
    assert by_path["/1"].id == by_path["/2"].id == kept[by_path["/1"].client].id
    assert by_path["/3"].id == kept[by_path["/3"].client].id != by_path["/1"].id
    assert kept[by_path["/1"].client].requests == 2
    assert all(0 < row.id < 1 << 53 for row in kept.values())


def test_a_filter_is_kept_by_every_protocol(start: Start, origin: MakeOrigin, http_origin: MakeHttp, pki: Pki) -> None:
    slow, app = origin(hangs), http_origin()
    config = {
        "listeners": {
            "raw": {"bind": "127.0.0.1:0", "protocol": "tcp", "backend": "slow"},
            "names": {"bind": "127.0.0.1:0", "protocol": "tls", "table": "sites"},
            "web": {"bind": "127.0.0.1:0", "protocol": "http", "table": "sites"},
            "safe": {"bind": "127.0.0.1:0", "protocol": "https", "backend": "app", "tls": secured(pki.pem("a.test"))},
        },
        "tables": {"sites": {"a.test": "slow", "*.b.test": "slow"}},
        "backends": {"slow": {"servers": [slow.address]}, "app": {"servers": [app.address]}},
    }
    proxy = start(config)
    with contextlib.ExitStack() as open_ones:
        raw = open_ones.enter_context(connect(proxy.address("raw")))
        raw.sendall(b"x")
        open_ones.enter_context(connect(proxy.address("names"))).sendall(client_hello("x.y.b.test"))
        open_ones.enter_context(connect(proxy.address("names"))).sendall(client_hello("a.test")[:20])
        open_ones.enter_context(Client(proxy.address("web"))).send(get("/slow?x=1", host="A.test:80"))
        open_ones.enter_context(Client(proxy.address("web"))).send(b"GET / HT")
        open_ones.enter_context(connect(proxy.address("safe"))).sendall(client_hello("a.test")[:20])
        shown = open_ones.enter_context(TlsClient(proxy.address("safe"), pki.client(alpn=("http/1.1",))))
        assert shown.ask(get()).status == 200
        wanted: Any
        for count, wanted in [
            (7, {}),
            (1, {"listener": "raw"}),
            (2, {"listener": "names"}),
            (0, {"listener": "nobody"}),
            (7, {"client": "127.0.0.0/8"}),
            (7, {"client": "127.0.0.1"}),
            (0, {"client": "10.0.0.0/8"}),
            (1, {"client": "127.0.0.1", "host": "*.b.test"}),
            (1, {"host": "*.B.test"}),
            (0, {"host": "b.test"}),
            (3, {"backend": "slow"}),
            (3, {"server": slow.address}),
            (1, {"server": slow.address, "listener": "web"}),
            (1, {"state": "awaiting"}),
            (2, {"state": "relaying"}),
            (1, {"state": "handshake"}),
            (1, {"state": "inspecting"}),
            (0, {"idle_over": 3600}),
            (0, {"age_over": 3600}),
            (7, {"age_over": 0}),
        ]:
            listed(proxy, count, **wanted)
        (row,) = proxy.connections(listener="web", backend="slow")
        assert (row.method, row.path, row.host, row.state) == ("GET", "/slow?x=1", "A.test:80", "awaiting")
        assert row.waits_for == "server"
        (row,) = proxy.connections(listener="web", state="head")
        assert (row.waits_for, row.requests) == ("client", 0)
        (row,) = proxy.connections(state="handshake")
        assert row.waits_for == "client"


def test_what_is_no_filter_is_refused(start: Start, origin: MakeOrigin) -> None:
    proxy = start(tcp(origin(echo).address))
    for wrong in ({"client": "10.0.0.1/8"}, {"client": "example.com"}, {"cursor": "x"}, {"idle_over": -1},
                  {"age_over": float("nan")}):  # fmt: skip
        with pytest.raises(ValueError, match=r"network|cursor|number of seconds|prefix|address"):
            proxy.connections(**wrong)


def test_pages_have_everybody_once(start: Start, origin: MakeOrigin) -> None:
    proxy = start(tcp(origin(echo).address))
    with contextlib.ExitStack() as clients:
        for _ in range(50):
            clients.enter_context(relayed(proxy))
        seen, cursor, pages = [], None, 0
        while True:
            page = proxy.connections(7, cursor=cursor)
            seen += [row.id for row in page]
            pages, cursor = pages + 1, page.cursor
            if cursor is None:
                break
            assert len(page) == 7
        assert (len(seen), len(set(seen))) == (50, 50)
        assert pages == 8
        assert proxy.connections(0) == []
        assert len(proxy.connections(50)) == 50
        assert proxy.connections(10, cursor="99.0.0") == []


def test_those_that_are_named_are_closed_and_no_others(start: Start, origin: MakeOrigin, tmp_path: Path) -> None:
    file = tmp_path / "access.log"
    server = origin(echo)
    proxy = start(logging(tcp(server.address), file))
    with relayed(proxy) as first, relayed(proxy) as second:
        by_client = {row.client: row.id for row in listed(proxy, 2)}
        doomed = by_client["{}:{}".format(*first.getsockname())]
        assert proxy.close_connections([doomed, doomed, 0, -1, 1 << 60, 123_456_789]) == 1
        with pytest.raises(ConnectionResetError):
            first.recv(1)
        assert proxy.close_connections([doomed]) == 0
        second.sendall(b"y")
        assert exactly(second, 1) == b"y"
        (record,) = records(file, 1)
        assert (record.id, record.end) == (doomed, "closed_by_operator")
        stats = proxy.stats()
        assert stats.listeners["raw"].ends == {"closed_by_operator": 1}
        assert stats.backends["app"].ends == {"closed_by_operator": 1}
        assert (stats.listeners["raw"].active, stats.listeners["raw"].failed) == (1, 0)
        assert proxy.close_connections([]) == 0


def test_whoever_is_closed_gives_everything_back(start: Start, origin: MakeOrigin, pki: Pki) -> None:
    slow = origin(hangs)
    config = http({"address": slow.address, "max_connections": 1})
    config["listeners"]["safe"] = https(tls=secured(pki.pem("a.test")))["listeners"]["web"]
    proxy = start(config)
    with contextlib.ExitStack() as clients:
        for path in ("/asked", "/queued", "/queued"):
            clients.enter_context(Client(proxy.address("web"))).send(get(path))
            listed(proxy, 1, state="awaiting")
        clients.enter_context(Client(proxy.address("web"))).send(b"GET")
        clients.enter_context(connect(proxy.address("safe"))).sendall(client_hello("a.test")[:9])
        listed(proxy, 1, state="handshake")
        listed(proxy, 2, state="queued")
        assert proxy.stats().backends["app"].queue_length == 2
        (asked,) = proxy.connections(state="awaiting")
        assert proxy.close_connections([asked.id]) == 1
        # Its place goes to the next in line.
        listed(proxy, 1, state="queued")
        listed(proxy, 1, state="awaiting")
        rest = listed(proxy, 4)
        assert proxy.close_connections(row.id for row in rest) == 4
        listed(proxy, 0)
    stats = proxy.stats()
    assert (stats.connections, stats.backends["app"].active, stats.backends["app"].queue_length) == (0, 0, 0)
    assert stats.listeners["safe"].ends == {"closed_by_operator": 1}
    # One got its place after it had waited.
    assert stats.backends["app"].queue_buckets[-1][1] == 1


def test_a_client_that_never_reads_is_closed_too(start: Start, origin: MakeOrigin) -> None:
    def pours(connection: socket.socket, _: Origin) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection.sendall(bytes(1 << 16))

    proxy = start(tcp(origin(pours).address))
    with connect(proxy.address("raw")):
        (row,) = until(lambda: proxy.connections(state="relaying"))
        assert proxy.close_connections([row.id]) == 1
        listed(proxy, 0)


def test_many_are_listed_and_closed_at_once(start: Start) -> None:
    with unanswering_port() as nobody:
        proxy = start(tls({"*": "app"}, {"app": nobody}))
        with contextlib.ExitStack() as clients:
            for _ in range(MANY):
                clients.enter_context(connect(proxy.address("secure")))
            rows = listed(proxy, MANY, limit=MANY)
            assert proxy.close_connections([row.id for row in rows[::2]]) == MANY // 2
            left = listed(proxy, MANY // 2, limit=MANY)
            assert {row.id for row in left} == {row.id for row in rows[1::2]}


def test_analyzers_know_connections_by_the_same_number(
    start: Start, origin: MakeOrigin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "access.log"
    (tmp_path / "seen.py").write_text(
        "import headworks\n\n\n"
        "class Seen(headworks.Analyzer):\n"
        "    def accepted(self, connection):\n"
        "        return headworks.log(number=str(connection.id))\n"
    )
    config = logging(tcp(origin(echo).address, listener={"analyzers": ["seen"]}), file)
    config["analyzers"] = {"seen": {"python": "seen:Seen"}}
    monkeypatch.syspath_prepend(tmp_path)
    proxy = start(config)
    with relayed(proxy) as client:
        (row,) = listed(proxy, 1)
        client.shutdown(socket.SHUT_WR)
        assert to_end(client) == b""
        (line,) = until(lambda: file.read_text().splitlines())
        record = json.loads(line)
        assert record["log.number"] == str(record["id"]) == str(row.id)


def test_a_client_about_whom_an_analyzer_is_asked_is_closed(
    start: Start, origin: MakeOrigin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "slow.py").write_text(
        "import asyncio\nimport headworks\n\n\n"
        "class Slow(headworks.Analyzer):\n"
        "    async def accepted(self, connection):\n"
        "        await asyncio.Event().wait()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    config = tcp(origin(echo).address, listener={"analyzers": ["slow"]})
    config["analyzers"] = {"slow": {"python": "slow:Slow", "deadline": "60s"}}
    proxy = start(config)
    with connect(proxy.address("raw")) as client:
        (row,) = listed(proxy, 1, state="consulting")
        assert row.waits_for == "analyzer"
        assert proxy.close_connections([row.id]) == 1
        assert to_close(client) == b""
    stats = proxy.stats()
    assert (stats.analyzers["slow"].parked, stats.analyzers["slow"].cancelled) == (0, 1)
    assert (stats.connections, stats.listeners["raw"].denied) == (0, 0)
    assert stats.listeners["raw"].ends == {"closed_by_operator": 1}
