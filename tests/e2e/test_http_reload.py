"""Reloads and the end of the process: exchanges under way are finished, kept connections are closed, nobody fails."""

import contextlib
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import pytest

from headworks import Proxy
from rig.clients import Target
from rig.configs import Config, http, sites
from rig.http_clients import Client, ask, get, origin_of, post
from rig.http_origins import HttpOrigin, Reply, script
from rig.messages import Malformed, Request
from rig.origins import Origin
from rig.process import running, write
from rig.waiting import PATIENCE, until

Start = Callable[[Config], Proxy]
MakeHttp = Callable[..., HttpOrigin]


class Load:
    """Clients that ask without a pause, on kept and on new connections; everything but a right answer is a failure.

    A kept connection that is closed between two requests is not: its client opens another, as clients do.
    """

    def __init__(self, target: Target, names: set[str]) -> None:
        self.served = 0
        self.failures: list[str] = []
        self._target = target
        self._names = names
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(number,), daemon=True) for number in range(4)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(PATIENCE)

    def _run(self, number: int) -> None:
        while not self._over.is_set():
            try:
                with Client(self._target) as client:
                    self._use(client, number)
            except (OSError, AssertionError, Malformed) as error:
                self.failures.append(repr(error))

    def _use(self, client: Client, number: int) -> None:
        for turn in range(1 if number == 0 else 50):
            sent = post(b"body", f"/{turn}") if turn % 2 else get(f"/{turn}")
            answer = client.ask(sent)
            if answer.status != 200 or origin_of(answer) not in self._names:
                self.failures.append(f"{answer.status} {answer.body!r}")
            self.served += 1
            if not answer.persistent or self._over.is_set():
                return


@pytest.mark.slow
def test_reloads_under_load(http_origin: MakeHttp, tmp_path: Path, stack: contextlib.ExitStack) -> None:
    one, two = http_origin(name="one"), http_origin(name="two")
    versions: list[Config] = [
        sites({"*": "app"}, {"app": one.address}),
        sites(
            {"*": "app", "a.test/1": "other"}, {"app": two.address, "other": {"servers": [one.address, two.address]}}
        ),
        sites(
            {"a.test": "app"}, {"app": {"servers": [one.address, two.address], "pool": {"size": 1}}}, http={"via": "x"}
        ),
    ]
    for version in versions:
        version["logs"] = {"access": "off"}
        version["proxy"] = {"workers": 2}
    texts = [write(tmp_path / f"{n}.toml", version).read_text() for n, version in enumerate(versions)]
    file = tmp_path / "headworks.toml"
    file.write_text(texts[0])
    proxy = stack.enter_context(running(file))
    target = proxy.address("web")
    with Load(target, {"one", "two"}) as load:
        for number in range(1, 31):
            before = load.served
            file.write_text(texts[number % 3])
            assert proxy.address("web", proxy.reload()) == target
            until(lambda: load.served > before + 5, "the load is served on")  # noqa: B023
    assert load.failures == []
    proxy.signal(signal.SIGTERM)
    assert proxy.wait() == 0


def test_a_kept_connection_follows_a_reload(start: Start, http_origin: MakeHttp) -> None:
    """The next request of a kept connection is routed by the new configuration, or the connection is closed for it."""
    one, two = http_origin(name="one"), http_origin(name="two")
    proxy = start(http(one.address))
    with Client(proxy.address("web")) as client:
        assert origin_of(client.ask(get())) == "one"
        proxy.reload(http(two.address))
        with contextlib.suppress(Malformed, OSError):
            assert origin_of(client.ask(get())) == "two"
    assert origin_of(ask(proxy.address("web"), get())) == "two"


def test_an_exchange_under_way_ends_as_it_began(start: Start, http_origin: MakeHttp) -> None:
    release = threading.Event()

    def slow(_: Request) -> Reply:
        release.wait(PATIENCE)
        return Reply(fields=[("X-Origin", "one")], body=b"done")

    one, two = http_origin(slow, name="one"), http_origin(name="two")
    proxy = start(http(one.address))
    with Client(proxy.address("web")) as client:
        client.send(get())
        until(lambda: len(one.requests) == 1)
        proxy.reload(http(two.address))
        release.set()
        assert (origin_of(answer := client.response()), answer.body) == ("one", b"done")


def test_term_finishes_exchanges_and_closes_what_is_kept(
    http_origin: MakeHttp, tmp_path: Path, stack: contextlib.ExitStack
) -> None:
    release = threading.Event()

    def slow(request: Request) -> Reply:
        if request.target == "/slow":
            release.wait(PATIENCE)
        return Reply(body=b"done")

    app = http_origin(slow)
    # Of two workers, one may learn of it later than the other closes its clients.
    config = http(app.address) | {"logs": {"access": "off"}, "proxy": {"workers": 1, "drain": "30s"}}
    proxy = stack.enter_context(running(write(tmp_path / "headworks.toml", config)))
    target = proxy.address("web")
    with Client(target) as idle, Client(target) as busy, Client(target) as half:
        assert idle.ask(get()).status == 200
        assert busy.ask(get()).status == 200
        busy.send(get("/slow"))
        until(lambda: len(app.requests) == 3)
        half.send(get("/", "Content-Length: 4", method="POST"), b"bo")
        begun = time.monotonic()
        proxy.signal(signal.SIGTERM)
        assert idle.ended(), "an idle kept connection is closed at once"
        half.send(b"dy")
        assert half.response("POST").body == b"done"
        release.set()
        answer = busy.response()
        assert (answer.status, answer.body) == (200, b"done")
        assert not answer.persistent
        assert busy.ended()
        assert proxy.wait() == 0
        assert time.monotonic() - begun < 25, "it did not wait for the end of drain"


def test_drain_has_an_end(http_origin: MakeHttp, tmp_path: Path, stack: contextlib.ExitStack) -> None:
    release = threading.Event()

    def never(_: Request) -> Reply:
        release.wait(PATIENCE)
        return Reply()

    app = http_origin(never)
    stack.callback(release.set)
    config = http(app.address) | {"logs": {"access": "-"}, "proxy": {"workers": 1, "drain": "300ms"}}
    proxy = stack.enter_context(running(write(tmp_path / "headworks.toml", config)))
    with Client(proxy.address("web")) as client:
        client.send(get())
        until(lambda: len(app.requests) == 1)
        proxy.signal(signal.SIGTERM)
        assert proxy.wait() == 0
        with contextlib.suppress(ConnectionResetError):
            assert client.rest() == b""
    assert proxy.count("end=drained") == 1


SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"


def test_a_tunnel_outlives_a_reload_and_ends_with_drain(
    origin: Callable[..., Origin], tmp_path: Path, stack: contextlib.ExitStack
) -> None:
    app = origin(script(SWITCHING, echo_to_end))
    config = http(app.address) | {"logs": {"access": "-"}, "proxy": {"workers": 1, "drain": "300ms"}}
    file = write(tmp_path / "headworks.toml", config)
    proxy = stack.enter_context(running(file))
    with Client(proxy.address("web")) as client:
        assert client.ask(get("/", "Connection: Upgrade", "Upgrade: echo")).status == 101
        config["backends"]["app"]["servers"] = ["127.0.0.1:1"]
        write(file, config)
        proxy.reload()
        client.send(b"still here")
        assert client.exactly(10) == b"still here"
        proxy.signal(signal.SIGTERM)
        client.send(b"and here")
        assert client.exactly(8) == b"and here"
        assert proxy.wait() == 0
        client.rest()
    assert proxy.count("end=drained") == 1


def echo_to_end(connection: socket.socket) -> None:
    """Send back what comes."""
    with contextlib.suppress(ConnectionResetError):
        while more := connection.recv(1 << 16):
            connection.sendall(more)


def test_a_listener_that_is_removed_ends_its_kept_connections_after_an_exchange(
    start: Start, http_origin: MakeHttp
) -> None:
    app = http_origin()
    config = http(app.address)
    config["listeners"]["other"] = config["listeners"]["web"] | {"bind": "127.0.0.1:0"}
    proxy = start(config)
    with Client(proxy.address("other")) as client:
        assert client.ask(get("/1")).persistent
        del config["listeners"]["other"]
        proxy.reload(config)
        with contextlib.suppress(Malformed, OSError):
            assert not client.ask(get("/2")).persistent
        assert client.ended()


def test_what_waits_for_the_server_is_not_lost_by_a_reload(start: Start, http_origin: MakeHttp) -> None:
    """Requests in the queue of a full server are answered by the configuration under which they came."""
    release = threading.Event()

    def slow(_: Request) -> Reply:
        release.wait(PATIENCE)
        return Reply(body=b"done")

    one = http_origin(slow, name="one")
    config = http({"address": one.address, "max_connections": 1}, queue_timeout="30s")
    proxy = start(config)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(proxy.address("web"))) for _ in range(4)]
        for client in clients:
            client.send(get())
        until(lambda: len(one.requests) >= 1)
        proxy.reload(http({"address": one.address, "max_connections": 2}, queue_timeout="30s"))
        release.set()
        assert [client.response().body for client in clients] == [b"done"] * 4
