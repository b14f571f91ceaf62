"""Analyzers that go wrong in every way: clients get an answer by their deadline, and nothing is left behind."""

# ruff: noqa: RUF043

import asyncio
import contextlib
import mmap
import os
import resource
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import headworks
from headworks import ConfigError, Proxy
from rig.clients import served_by
from rig.configs import Config, http, tcp
from rig.http_clients import Client, ask, get
from rig.http_origins import HttpOrigin
from rig.origins import Origin
from rig.waiting import until

Start = Callable[[Config], Proxy]
MakeHttp = Callable[..., HttpOrigin]
Make = Callable[..., Origin]

FAULTS = ["/raises", "/nonsense", "/exit", "/recursion", "/interrupt", "/memory", "/mutates", "/kept", "/byte"]


def deep(number: int) -> int:
    return deep(number + 1)


def fault(path: str, exchange: headworks.Exchange) -> Any:
    match path:
        case "/raises":
            raise ZeroDivisionError
        case "/nonsense":
            return "nonsense"
        case "/exit":
            sys.exit(1)
        case "/recursion":
            deep(0)
        case "/interrupt":
            raise KeyboardInterrupt
        case "/memory":
            bytearray(1 << 62)
        case "/mutates":
            exchange.request.headers["x"] = "y"  # type: ignore[index]
        case "/kept":
            return headworks.rewrite(path="/\udcff")
        case "/byte":
            return headworks.route("\ud800")
    return None


class Plain(headworks.Analyzer):
    def request(self, exchange: headworks.Exchange) -> headworks.Verdict | None:
        return fault(exchange.request.path, exchange)  # type: ignore[no-any-return]


class Async(headworks.Analyzer):
    async def request(self, exchange: headworks.Exchange) -> headworks.Verdict | None:
        await asyncio.sleep(0)
        return fault(exchange.request.path, exchange)  # type: ignore[no-any-return]


@pytest.fixture
def app(http_origin: MakeHttp) -> HttpOrigin:
    return http_origin()


def one(app: HttpOrigin, analyzer: headworks.Analyzer, **settings: Any) -> Config:
    config = http(app.address, listener={"analyzers": ["it"]})
    return config | {"analyzers": {"it": {"python": analyzer, **settings}}}


def parked(proxy: Proxy) -> int:
    return proxy.stats().analyzers["it"].parked


@pytest.mark.parametrize("kind", [Plain, Async])
def test_every_fault_refuses_its_client_and_no_other(
    kind: type[headworks.Analyzer], start: Start, app: HttpOrigin
) -> None:
    proxy = start(one(app, kind()))
    with contextlib.closing(proxy.records()) as records:
        for path in FAULTS:
            assert ask(proxy.address("web"), get(path)).status == 503, path
            record = next(records)
            assert (record.end, record.analyzer) == ("analyzer_failed", "it"), path
            assert ask(proxy.address("web"), get("/fine")).status == 200
            assert next(records).end == "completed"
    stats = proxy.stats().analyzers["it"]
    assert (stats.failed, stats.timed_out, stats.parked) == (len(FAULTS), 0, 0)


@pytest.mark.parametrize("kind", [Plain, Async])
def test_every_fault_passes_where_that_was_asked_for(
    kind: type[headworks.Analyzer], start: Start, app: HttpOrigin
) -> None:
    proxy = start(one(app, kind(), on_failure="pass"))
    assert [ask(proxy.address("web"), get(path)).status for path in FAULTS] == [200] * len(FAULTS)
    assert parked(proxy) == 0


class Gate(headworks.Analyzer):
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.asked = 0
        self.stopped = threading.Event()

    def request(self, exchange: headworks.Exchange) -> headworks.Verdict | None:
        self.asked += 1
        self.gate.wait()
        return None

    async def stop(self) -> None:
        self.stopped.set()


class AsyncGate(headworks.Analyzer):
    """The same, in the loop; it counts those that were cancelled."""

    def __init__(self, name: str = "") -> None:
        self.name = name
        self.gate = asyncio.Event()
        self.loop: asyncio.AbstractEventLoop
        self.asked = self.cancelled = 0
        self.stopped = threading.Event()

    async def start(self, proxy: Proxy) -> None:
        self.loop = asyncio.get_running_loop()

    async def request(self, exchange: headworks.Exchange) -> headworks.Verdict | None:
        self.asked += 1
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return headworks.rewrite(set_headers={"X-By": self.name}) if self.name else None

    def open(self) -> None:
        self.loop.call_soon_threadsafe(self.gate.set)

    async def stop(self) -> None:
        self.stopped.set()


def test_one_that_sleeps_for_ever_costs_its_deadline(start: Start, app: HttpOrigin) -> None:
    for analyzer in (Gate(), AsyncGate()):
        proxy = start(one(app, analyzer, deadline="30ms"))
        with contextlib.closing(proxy.records()) as records:
            assert ask(proxy.address("web"), get("/")).status in (503, 504)
            record = next(records)
            assert (record.end, record.analyzer) == ("analyzer_timeout", "it")
        if isinstance(analyzer, AsyncGate):
            until(lambda held=analyzer: held.cancelled == 1)  # type: ignore[misc]
            analyzer.open()
        else:
            analyzer.gate.set()
        assert ask(proxy.address("web"), get("/")).status == 200
        assert parked(proxy) == 0


def test_more_than_may_wait_are_refused_at_once(start: Start, app: HttpOrigin) -> None:
    analyzer = AsyncGate()
    proxy = start(one(app, analyzer, waiting=1, deadline="30s"))
    with Client(proxy.address("web")) as first:
        first.send(get("/first"))
        until(lambda: parked(proxy) == 1)
        with contextlib.closing(proxy.records()) as records:
            assert ask(proxy.address("web"), get("/second")).status == 503
            record = next(records)
            assert (record.end, record.analyzer_error) == ("analyzer_failed", "queue full")
        analyzer.open()
        assert first.response().status == 200
    stats = proxy.stats().analyzers["it"]
    assert (stats.overflown, stats.parked) == (1, 0)


class Holder(headworks.Analyzer):
    """Keeps the interpreter to itself until another process was served, as code in C may."""

    def __init__(self, shared: mmap.mmap) -> None:
        self.shared = shared
        self.served = False

    def request(self, exchange: headworks.Exchange) -> headworks.Verdict | None:
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1000)
        self.shared[0] = 1
        end = time.monotonic() + 20
        # Nothing here lets go of the interpreter: memory is looked at, and the clock.
        while not self.shared[1] and time.monotonic() < end:
            pass
        self.served = bool(self.shared[1])
        sys.setswitchinterval(interval)
        return None


ASKER = """
import contextlib
import mmap, socket, sys, time
with open(sys.argv[1], "r+b") as file:
    shared = mmap.mmap(file.fileno(), 2)
while not shared[0]:
    time.sleep(0.001)
with socket.create_connection((sys.argv[2], int(sys.argv[3])), timeout=10) as client:
    client.sendall(b"GET / HTTP/1.1\\r\\nHost: a.test\\r\\nConnection: close\\r\\n\\r\\n")
    if client.recv(100).startswith(b"HTTP/1.1 200"):
        shared[1] = 1
"""
"""Asks as soon as the interpreter is held, and says that it was answered."""


def test_the_interpreter_is_held_and_others_are_served(start: Start, app: HttpOrigin, tmp_path: Path) -> None:
    """A listener without analyzers is served while no Python can run."""
    file = tmp_path / "shared"
    file.write_bytes(bytes(2))
    with file.open("r+b") as opened, mmap.mmap(opened.fileno(), 2) as shared:
        holder = Holder(shared)
        config = one(app, holder, deadline="30s")
        config["listeners"]["plain"] = {"bind": "127.0.0.1:0", "protocol": "http", "table": "answers"}
        config["tables"] = {"answers": {"*": {"respond": {"status": 200, "body": "here"}}}}
        proxy = start(config)
        address = proxy.address("plain")
        assert isinstance(address, tuple)
        with subprocess.Popen([sys.executable, "-c", ASKER, str(file), *map(str, address)]) as asker:
            with Client(proxy.address("web")) as client:
                assert client.ask(get("/")).status == 200
            assert asker.wait(30) == 0
        assert holder.served
    assert parked(proxy) == 0


class Forks(headworks.Analyzer):
    def request(self, exchange: headworks.Exchange) -> headworks.Verdict | None:
        child = os.fork()
        if child == 0:
            os._exit(7)
        _, status = os.waitpid(child, 0)
        return headworks.rewrite(set_headers={"X-Child": str(os.waitstatus_to_exitcode(status))})


def test_one_that_forks(start: Start, app: HttpOrigin) -> None:
    proxy = start(one(app, Forks(), deadline="10s"))
    for _ in range(3):
        assert ask(proxy.address("web"), get("/")).status == 200
        assert app.requests[-1].get("x-child") == "7"


class Spawns(headworks.Analyzer):
    """Leaves threads and tasks behind that keep what they were shown."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.seen: list[str] = []
        self.threads: list[threading.Thread] = []

    def request(self, exchange: headworks.Exchange) -> headworks.Verdict | None:
        def later() -> None:
            self.gate.wait()
            self.seen.append(f"{exchange.request.path} {exchange.request.headers['host']}")

        thread = threading.Thread(target=later)
        thread.start()
        self.threads.append(thread)
        return None


def test_threads_that_outlive_the_exchange_and_the_proxy(start: Start, app: HttpOrigin) -> None:
    spawns = Spawns()
    proxy = start(one(app, spawns))
    assert ask(proxy.address("web"), get("/kept")).status == 200
    proxy.stop()
    spawns.gate.set()
    for thread in spawns.threads:
        thread.join(10)
    assert spawns.seen == ["/kept a.test"]


def reset(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


class Crowd:
    """Clients in a process of their own, whose requests are all parked: one process has too few descriptors."""

    def __init__(self, proxy: Proxy, count: int) -> None:
        address = proxy.address("web")
        assert isinstance(address, tuple)
        self._process = subprocess.Popen(
            [sys.executable, "-c", CLIENTS, *map(str, address), str(count)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        until(lambda: parked(proxy) == count, patience=60)

    def answers(self) -> int:
        """Return how many get 200, once all of them have what they get."""
        return int(self._end("read"))

    def leave(self) -> None:
        """Reset all."""
        self._end("reset")

    def _end(self, word: str) -> str:
        said, _ = self._process.communicate(f"{word}\n", timeout=60)
        return said


CLIENTS = """
import resource, socket, struct, sys
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
clients = []
for _ in range(int(sys.argv[3])):
    client = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=60)
    client.sendall(b"GET / HTTP/1.1\\r\\nHost: a.test\\r\\n\\r\\n")
    clients.append(client)
answered = 0
if sys.stdin.readline() == "read\\n":
    for client in clients:
        try:
            answered += client.recv(4096).startswith(b"HTTP/1.1 200")
        except ConnectionResetError:
            pass
else:
    for client in clients:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
print(answered)
"""
CROWD = 1000
GREAT_CROWD = 10_000
PARKED_COSTS = 32 << 10
"""Bytes that one who waits may cost: the head that is held, the question, the task."""


def resident() -> int:
    """Return the bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


@pytest.fixture
def great_crowd() -> Iterator[int]:
    """Let this process have descriptors for 10,000 clients and as many servers; return for how many it has."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * GREAT_CROWD + 2000
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(wanted, hard)))
    has, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if has < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        has = hard
    yield min(GREAT_CROWD, has // 2 - 500)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, max(wanted, hard) if has == wanted else hard))


def test_ten_thousand_are_parked_and_gone(start: Start, app: HttpOrigin, great_crowd: int) -> None:
    many_leave(AsyncGate(), great_crowd, start, app)


@pytest.mark.parametrize("make", [AsyncGate, Gate])
def test_many_are_parked_and_gone(make: Callable[[], Any], start: Start, app: HttpOrigin) -> None:
    many_leave(make(), CROWD, start, app)


def many_leave(analyzer: Any, count: int, start: Start, app: HttpOrigin) -> None:
    proxy = start(one(app, analyzer, waiting=count, deadline="120s"))
    before = resident()
    crowd = Crowd(proxy, count)
    assert resident() - before < count * PARKED_COSTS, "what is held is bounded"
    crowd.leave()
    until(lambda: parked(proxy) == 0, patience=60)
    assert proxy.stats().analyzers["it"].cancelled == count
    if isinstance(analyzer, AsyncGate):
        until(lambda: analyzer.cancelled == analyzer.asked)
        analyzer.open()
    else:
        analyzer.gate.set()
    assert ask(proxy.address("web"), get("/")).status == 200
    until(lambda: proxy.stats().connections == 0)


@pytest.mark.parametrize("make", [AsyncGate, Gate])
def test_stopped_while_many_are_parked(make: Callable[[], Any], start: Start, app: HttpOrigin) -> None:
    analyzer = make()
    proxy = start(one(app, analyzer, waiting=2000, deadline="60s"))
    crowd = Crowd(proxy, CROWD)
    if isinstance(analyzer, Gate):
        threading.Timer(0.2, analyzer.gate.set).start()
    proxy.stop()
    crowd.answers()
    assert analyzer.stopped.wait(10)


def test_a_reload_while_many_are_parked_lets_the_old_version_answer(start: Start, app: HttpOrigin) -> None:
    """Two versions at once: what was asked before the reload is answered by the old one."""
    old, new = AsyncGate("old"), AsyncGate("new")
    proxy = start(one(app, old, waiting=2000, deadline="60s"))
    crowd = Crowd(proxy, CROWD)
    proxy.reload(one(app, new, waiting=2000, deadline="60s"))
    new.open()
    assert ask(proxy.address("web"), get("/")).status == 200
    assert app.requests[-1].get("x-by") == "new"
    assert not old.stopped.is_set()
    old.open()
    assert crowd.answers() == CROWD
    assert old.stopped.wait(10)
    assert not new.stopped.is_set()
    assert sum(request.get("x-by") == "old" for request in app.requests) == CROWD
    until(lambda: parked(proxy) == 0)


VERSION = """
import headworks

class It(headworks.Analyzer):
    def request(self, exchange):
        return headworks.respond(200, "{}")
"""
CONFIG = """
[proxy]
workers = 2
[listeners.web]
bind = "127.0.0.1:0"
protocol = "http"
backend = "app"
analyzers = "it"
[analyzers.it]
python = "{module}:It"
[backends.app]
servers = "127.0.0.1:9"
"""


def test_a_module_that_changes_is_loaded_at_reload_and_one_that_breaks_changes_nothing(tmp_path: Path) -> None:
    module = tmp_path / "site_of_versions.py"
    file = tmp_path / "proxy.toml"
    file.write_text(CONFIG.format(module=module.stem))
    module.write_text(VERSION.format("one"))
    with Proxy(str(file)) as proxy:
        web = proxy.address("web")
        assert ask(web, get("/")).body == b"one"
        module.write_text(VERSION.format("second"))
        proxy.reload()
        assert ask(web, get("/")).body == b"second"
        module.write_text(VERSION.format("third") + "\n1/0\n")
        with pytest.raises(ConfigError, match="ZeroDivisionError"):
            proxy.reload()
        assert ask(web, get("/")).body == b"second"


class FailsToStart(headworks.Analyzer):
    async def start(self, proxy: Proxy) -> None:
        sys.exit("no database")

    def request(self, exchange: headworks.Exchange) -> headworks.Verdict | None:
        return None


def test_one_that_cannot_start_keeps_the_proxy_from_starting_and_a_reload_from_happening(
    start: Start, app: HttpOrigin
) -> None:
    with pytest.raises(ConfigError, match="analyzers.it.python: it cannot be started: .*no database"):
        Proxy(one(app, FailsToStart())).start()
    proxy = start(one(app, Plain()))
    with pytest.raises(ConfigError, match="no database"):
        proxy.reload(one(app, FailsToStart()))
    assert ask(proxy.address("web"), get("/")).status == 200


class Ends(headworks.Analyzer):
    def __init__(self) -> None:
        self.paths: list[str | None] = []

    async def ended(self, record: headworks.AccessRecord) -> None:
        self.paths.append(record.path)
        if record.path == "/exit":
            sys.exit(1)


def test_ends_are_told_even_after_an_exit_there(start: Start, app: HttpOrigin) -> None:
    ends = Ends()
    proxy = start(one(app, ends))
    for path in ("/a", "/exit", "/b"):
        assert ask(proxy.address("web"), get(path)).status == 200
    until(lambda: ends.paths == ["/a", "/exit", "/b"])


class AcceptGate(AsyncGate):
    """Holds clients before anything is read of them."""

    request = headworks.Analyzer.request  # type: ignore[assignment]

    async def accepted(self, connection: Any) -> headworks.Verdict | None:
        self.asked += 1
        await self.gate.wait()
        return None


def test_many_are_held_at_the_door_and_gone(start: Start, origin: Make) -> None:
    server, gate = origin(name="raw"), AcceptGate()
    config = tcp(server.address, listener={"analyzers": ["it"]})
    proxy = start(config | {"analyzers": {"it": {"python": gate, "deadline": "60s"}}})
    clients = [socket.create_connection(proxy.address("raw"), timeout=20) for _ in range(100)]
    until(lambda: parked(proxy) == len(clients))
    for client in clients:
        reset(client)
    gate.open()
    until(lambda: parked(proxy) == 0)
    assert served_by(proxy.address("raw"), b"x\n") == "raw"
    until(lambda: proxy.stats().connections == 0)


def test_drained_while_many_are_parked(start: Start, app: HttpOrigin) -> None:
    """A drain waits for those that are parked: their answers come, and they get theirs."""
    gate = AsyncGate()
    proxy = start(one(app, gate, waiting=2000, deadline="60s"))
    crowd = Crowd(proxy, CROWD)
    draining = threading.Thread(target=proxy.drain, args=(20,))
    draining.start()
    gate.open()
    assert crowd.answers() == CROWD
    draining.join(25)
    assert not draining.is_alive()
