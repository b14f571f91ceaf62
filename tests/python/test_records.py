"""Access records as values: the same as the log's lines, bounded, and free while nobody asks."""

import asyncio
import json
import socket
from dataclasses import FrozenInstanceError, fields
from datetime import UTC, datetime
from queue import SimpleQueue

import pytest

import headworks
from headworks.records import MOST, AccessRecord, Records
from rig.clients import answer

LIMIT = 10
KEYS = {
    "ts": "2026-01-02T03:04:05.678Z",
    "listener": "web",
    "client": "192.0.2.7:40112",
    "bytes_in": 1,
    "bytes_out": 2,
    "total_ms": 3,
    "end": "completed",
    "retries": 0,
}


@pytest.fixture
def web(origin) -> dict:
    """Give an http listener that answers itself and a tcp one in front of an origin that echoes."""
    return {
        "proxy": {"workers": 1},
        "logs": {"access": "off"},
        "listeners": {
            "web": {"bind": "127.0.0.1:0", "protocol": "http", "respond": {"status": 200, "body": "hi"}},
            "raw": {"bind": "127.0.0.1:0", "protocol": "tcp", "backend": "app"},
        },
        "backends": {"app": {"servers": [origin]}},
    }


def get(proxy: headworks.Proxy, path: str = "/") -> bytes:
    return answer(proxy.address("web"), f"GET {path} HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n".encode())


def test_records_of_requests_and_of_connections(web, origin):
    with headworks.Proxy(web) as proxy:
        records = proxy.records()
        assert get(proxy, "/x?y=1").endswith(b"hi")
        request = next(records)
        assert (request.listener, request.host, request.method, request.path) == ("web", "a.test", "GET", "/x?y=1")
        assert (request.status, request.end, request.backend, request.tls_version) == (200, "completed", None, None)
        assert request.ts.tzinfo is not None
        assert abs((datetime.now(UTC) - request.ts).total_seconds()) < LIMIT
        assert answer(proxy.address("raw"), b"hello") == b"hello"
        connection = next(records)
        assert (connection.listener, connection.server, connection.status) == ("raw", origin, None)
        assert (connection.bytes_in, connection.bytes_out) == (5, 5)
        with pytest.raises(FrozenInstanceError):
            connection.status = 1


def test_they_are_the_lines_of_the_log_whatever_its_form(web, tmp_path):
    log = tmp_path / "access.log"
    for form in ("json", "text"):
        web["logs"] = {"access": str(log), "format": form}
        with headworks.Proxy(web) as proxy:
            records = proxy.records()
            get(proxy, "/a b")
            record = next(records)
        line = log.read_text().splitlines()[-1]
        if form == "json":
            assert AccessRecord.decode(line) == record
            assert json.loads(line).keys() <= {one.name for one in fields(AccessRecord)}
        else:
            assert f"ts={record.ts.isoformat(timespec='milliseconds').replace('+00:00', 'Z')} listener=web" in line


def test_everybody_gets_all_of_them_by_for_and_by_async_for(web):
    async def second(records) -> AccessRecord:
        return await asyncio.wait_for(anext(records), LIMIT)

    with headworks.Proxy(web) as proxy:
        one, two = proxy.records(), proxy.records()
        get(proxy)
        assert next(one) == asyncio.run(second(two))


def test_what_the_end_closes_has_its_record(web):
    with headworks.Proxy(web) as proxy:
        records = proxy.records()
        with socket.create_connection(proxy.address("raw")) as client:
            client.sendall(b"x")
            assert client.recv(1) == b"x"
            proxy.stop()
        assert [record.end for record in records] == ["drained"]
        assert list(proxy.records()) == []


def test_nothing_is_kept_while_nobody_asks(web):
    with headworks.Proxy(web) as proxy:
        first = proxy.records()
        get(proxy, "/first")
        assert next(first).path == "/first"
        first.close()
        get(proxy, "/unheard")
        second = proxy.records()
        get(proxy, "/second")
        assert next(second).path == "/second"


class Engine:
    """What the pump takes from: lines put in by the test, None once it is stopped."""

    def __init__(self) -> None:
        self.taken: SimpleQueue[tuple[str, int] | None] = SimpleQueue()
        self.tapped: list[bool] = []

    def tap_records(self, wanted: bool) -> None:  # noqa: FBT001  (as the native module has it)
        self.tapped.append(wanted)

    def next_records(self, timeout: float) -> tuple[str, int] | None:
        return self.taken.get(timeout=timeout)


def line(number: int) -> str:
    return json.dumps(KEYS | {"retries": number}) + "\n"


def test_whoever_does_not_keep_up_loses_the_oldest_and_they_are_counted():
    engine = Engine()
    records = Records(engine)
    subscription = records.subscribe()
    engine.taken.put(("".join(map(line, range(MOST + 3))), 4))
    engine.taken.put(None)
    records.finish()
    assert [record.retries for record in subscription] == list(range(3, MOST + 3))
    assert subscription.dropped == 7
    assert engine.tapped == [True]


def test_records_are_handed_out_only_while_somebody_subscribes():
    engine = Engine()
    records = Records(engine)
    one, two = records.subscribe(), records.subscribe()
    one.close()
    assert engine.tapped == [True]
    two.close()
    assert engine.tapped == [True, False]
    engine.taken.put(None)
    records.finish()


def test_keys_that_a_newer_engine_adds_are_passed_over():
    record = AccessRecord.decode(json.dumps(KEYS | {"tls_resumed": "false", "colour": "green"}))
    assert record.tls_resumed is False
    assert record.ts == datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)
