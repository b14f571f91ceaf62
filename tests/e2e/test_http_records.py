"""Access records and counters of exchanges."""

import json
import re
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from headworks import Proxy
from rig.configs import Config, http, sites
from rig.http_clients import Client, chunked, get, post
from rig.http_origins import HttpOrigin, Reply, script
from rig.origins import Origin, refusing_port, reset
from rig.waiting import PATIENCE, until

Start = Callable[[Config], Proxy]
MakeHttp = Callable[..., HttpOrigin]
MakeOrigin = Callable[..., Origin]
Record = dict[str, Any]

KEYS = ["ts", "listener", "client", "host", "method", "path", "status", "backend", "server", "bytes_in", "bytes_out",
        "wait_ms", "connect_ms", "total_ms", "end", "retries", "id"]  # fmt: skip
NUMBERS = ["status", "bytes_in", "bytes_out", "wait_ms", "connect_ms", "total_ms", "retries", "id"]


def _parse_text(line: str) -> Record:
    pairs = re.findall(r'([a-z_]+)=("(?:[^"\\]|\\.)*"|\S+)', line)
    assert " ".join(f"{key}={value}" for key, value in pairs) == line
    values = {key: json.loads(value) if value.startswith('"') else value for key, value in pairs}
    return {key: int(value) if key in NUMBERS else value for key, value in values.items()}


@pytest.fixture(params=["text", "json"])
def log(request: pytest.FixtureRequest, tmp_path: Path, start: Start) -> Callable[..., Any]:
    """Start a proxy that logs to a file, and read its records."""
    file = tmp_path / "access.log"

    def make(config: Config) -> tuple[Proxy, Callable[[int], list[Record]]]:
        proxy = start(config | {"logs": {"access": str(file), "format": request.param}})

        def records(count: int) -> list[Record]:
            until(lambda: file.read_text().count("\n") >= count, f"{count} records are written")
            lines = file.read_text().splitlines()
            assert len(lines) == count, lines
            return [json.loads(line) if request.param == "json" else _parse_text(line) for line in lines]

        return proxy, records

    return make


def test_a_whole_record(log: Callable[..., Any], http_origin: MakeHttp) -> None:
    app = http_origin(lambda _: Reply(status=201, body=b"x" * 1000))
    proxy, records = log(sites({"a.test/p": "app"}, {"app": app.address}))
    before = datetime.now(UTC)
    sent = post(b"body", "/p/q?r=s t".replace(" ", "%20"), host="A.test:8080")
    with Client(proxy.address("web")) as client:
        answer = client.ask(sent)
        assert answer.status == 201
        (record,) = records(1)
        host, port = client.socket.getsockname()
    assert list(record) == KEYS
    stamp = datetime.fromisoformat(record.pop("ts"))
    assert before - timedelta(seconds=1) <= stamp <= datetime.now(UTC) + timedelta(seconds=1)
    assert record.pop("wait_ms") <= record["total_ms"]
    assert record.pop("connect_ms") <= record["total_ms"]
    assert 0 <= record.pop("total_ms") < 30_000
    assert record.pop("id") > 0
    assert record == {
        "listener": "web",
        "client": f"{host}:{port}",
        "host": "A.test:8080",
        "method": "POST",
        "path": "/p/q?r=s%20t",
        "status": 201,
        "backend": "app",
        "server": app.address,
        "bytes_in": len(sent),
        "bytes_out": len(answer.raw),
        "end": "completed",
        "retries": 0,
    }


def test_one_record_an_exchange(log: Callable[..., Any], http_origin: MakeHttp) -> None:
    proxy, records = log(http(http_origin().address))
    with Client(proxy.address("web")) as client:
        sizes = []
        for number in range(5):
            sent = get(f"/{number}") if number % 2 else chunked(b"x" * number, path=f"/{number}")
            sizes.append((len(sent), len(client.ask(sent).raw)))
        found = records(5)
    assert [record["path"] for record in found] == [f"/{number}" for number in range(5)]
    assert [(record["bytes_in"], record["bytes_out"]) for record in found] == sizes
    assert len(records(5)) == 5, "the end of an idle connection is no exchange"


def test_records_of_what_is_answered_here(log: Callable[..., Any], http_origin: MakeHttp, stack: Any) -> None:
    dead = stack.enter_context(refusing_port())
    table = {
        "a.test": "app",
        "dead.test": "dead",
        "away.test": "away",
        "old.test": {"redirect": {"to": "https"}},
        "fixed.test": {"respond": {"status": 200, "body": "x"}},
        "path.test/x": "app",
    }
    servers = {"app": http_origin().address, "dead": dead, "away": {"servers": [dead], "maintenance": True}}
    limits = {"body_limit": "1KiB", "line_limit": "1KiB"}
    proxy, records = log(sites(table, servers, http=limits, timeouts={"first_bytes": "300ms"}))
    expected: list[tuple[int | None, str]] = []

    def happened(sent: bytes, status: int, end: str) -> None:
        expected.append((status, end))
        with Client(proxy.address("web")) as client:
            assert client.ask(sent).status == status
        last = records(len(expected))[-1]
        assert (last["status"], last["end"]) == expected[-1]

    happened(get(), 200, "completed")
    happened(get(host="old.test"), 308, "completed")
    happened(get(host="fixed.test"), 200, "completed")
    happened(get(host="b.test"), 421, "no_match")
    happened(get(host="path.test"), 404, "no_path")
    happened(get(host="dead.test"), 503, "no_server")
    happened(get(host="away.test"), 503, "maintenance")
    happened(get("/" + "x" * 2000), 414, "target_too_long")
    happened(get("/", "X: " + "x" * 2000), 431, "too_large")
    happened(post(b"x" * 2000), 413, "body_too_large")
    happened(b"rubbish\r\n\r\n", 400, "bad_request")
    happened(b"CONNECT a.test:1 HTTP/1.1\r\nHost: a.test:1\r\n\r\n", 405, "method_not_allowed")
    happened(b"GET / HTTP/1.1\r\n", 408, "first_bytes_timeout")


def test_records_of_servers_that_fail(log: Callable[..., Any], origin: MakeOrigin) -> None:
    released = threading.Event()
    servers = {
        "rubbish": origin(script(b"rubbish\r\n\r\n")).address,
        "silent": origin(script(released)).address,
        "cut": origin(script(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")).address,
    }
    backends = {name: {"servers": [address], "response_timeout": "200ms"} for name, address in servers.items()}
    proxy, records = log(sites({f"{name}.test": name for name in servers}, backends))
    for number, (name, status, end) in enumerate(
        [("rubbish", 502, "bad_response"), ("silent", 504, "response_timeout"), ("cut", 200, "server_closed")], 1
    ):
        with Client(proxy.address("web")) as client:
            client.send(post(b"x", host=f"{name}.test"))
            client.rest() if name == "cut" else client.response("POST")
        last = records(number)[-1]
        assert (last["backend"], last["status"], last["end"]) == (name, status, end)
    released.set()


def test_a_record_of_a_client_that_left(log: Callable[..., Any], origin: MakeOrigin) -> None:
    started, released = threading.Event(), threading.Event()
    proxy, records = log(http(origin(script(lambda _: started.set(), released)).address))
    client = Client(proxy.address("web"))
    client.send(get())
    assert started.wait(PATIENCE)
    reset(client.socket)
    (record,) = records(1)
    released.set()
    assert record["end"] in ("client_reset", "client_closed")
    assert "status" not in record


def test_what_a_client_chose_forges_nothing(log: Callable[..., Any], http_origin: MakeHttp) -> None:
    proxy, records = log(http(http_origin().address))
    with Client(proxy.address("web")) as client:
        client.ask(get('/"x=y"\\/=status=500'))
        client.ask(get("/" + "x" * 3000, method="FORGED"))
        client.send(b"GET /\x1b[2J HTTP/1.1\r\nHost: a.test\r\n\r\n")
        client.rest()
    found = records(3)
    assert found[0]["status"] == 200
    assert '"x=y"' in found[0]["path"]
    assert found[1]["method"] == "FORGED"
    assert found[2]["status"] == 400


def test_an_upgrade_is_one_record(log: Callable[..., Any], origin: MakeOrigin) -> None:
    switching = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"
    proxy, records = log(http(origin(script(switching + b"y" * 100)).address))
    with Client(proxy.address("web")) as client:
        answer = client.ask(get("/", "Connection: Upgrade", "Upgrade: x"))
        assert answer.status == 101
        client.rest()
    (record,) = records(1)
    assert (record["status"], record["bytes_out"]) == (101, len(answer.raw) + 100)


def test_counters(start: Start, http_origin: MakeHttp) -> None:
    turns = iter([200, 200, 302, 404, 500, 503])
    app = http_origin(lambda _: Reply(status=next(turns), body=b"x"))
    proxy = start(http(app.address))
    with Client(proxy.address("web")) as client:
        for _ in range(6):
            client.ask(get())
    until(lambda: proxy.stats().connections == 0)
    stats = proxy.stats()
    assert stats.listeners["web"].connections == 1
    counted = json.loads(json.dumps(stats, default=lambda value: getattr(value, "__dict__", None) or value._asdict()))
    assert _find(counted["listeners"]["web"], "requests") == 6
    assert _find(counted["backends"]["app"], "requests") == 6


def _find(tree: Any, key: str) -> Any:
    """The first value of that key, however deep."""
    if isinstance(tree, dict):
        if key in tree:
            return tree[key]
        return next((found for value in tree.values() if (found := _find(value, key)) is not None), None)
    return None
