"""``[proxy.resources]``: what the process takes of the system, and that a reload changes it while it runs."""

import contextlib
import fcntl
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rig.clients import connect, dial, line, served_by
from rig.configs import Config, tcp
from rig.origins import Origin, hash_of, hash_to_end, source
from rig.process import Running, running, write
from rig.waiting import until

MakeOrigin = Callable[..., Origin]
MIB = 1 << 20


class Process:
    """A proxy in a process of its own, with one worker."""

    def __init__(self, stack: contextlib.ExitStack, file: Path, limit: int) -> None:
        self._stack, self._file, self._limit = stack, file, limit

    def start(self, config: Config, **resources: Any) -> Running:
        """Run it with ``resources``."""
        limited = ["sh", "-c", f'ulimit -n {self._limit}; exec "$@"', "sh"]
        return self._stack.enter_context(running(self._write(config, resources), prefix=limited))

    def reload(self, proxy: Running, config: Config, **resources: Any) -> None:
        """Have it go on with others."""
        self._write(config, resources)
        assert "not" not in proxy.reload()
        assert not proxy.count("needs a restart")

    def _write(self, config: Config, resources: Config) -> Path:
        proxy = {"workers": 1, "resources": resources}
        return write(self._file, config | {"proxy": proxy, "logs": {"access": "off"}})


@pytest.fixture
def process(stack: contextlib.ExitStack, tmp_path: Path) -> Process:
    """Make a process that may open 200 descriptors."""
    return Process(stack, tmp_path / "headworks.toml", 200)


@pytest.fixture
def config(origin: MakeOrigin) -> Config:
    """Lead to a server that says its name."""
    return tcp(origin(name="app").address)


def _served(stack: contextlib.ExitStack, proxy: Running) -> socket.socket:
    """A client that got an answer and stays."""
    client = stack.enter_context(connect(proxy.address("raw")))
    client.sendall(b"x")
    assert line(client) == "app"
    return client


def test_as_many_are_accepted_as_reserved_descriptors_leave_room_for(
    process: Process, config: Config, stack: contextlib.ExitStack
) -> None:
    proxy = process.start(config, reserved_descriptors=190)
    for _ in range(5):
        _served(stack, proxy)
    waiting = stack.enter_context(connect(proxy.address("raw")))
    waiting.sendall(b"x")
    proxy.line("accept_paused")
    waiting.settimeout(0.3)
    with pytest.raises(TimeoutError):
        waiting.recv(1)
    process.reload(proxy, config, reserved_descriptors=180)
    waiting.settimeout(30)
    assert line(waiting) == "app"
    for _ in range(4):
        _served(stack, proxy)
    assert proxy.count("accept_resumed") == 1


def test_accepting_is_paused_for_as_long_as_accept_pause_says(
    process: Process, config: Config, stack: contextlib.ExitStack
) -> None:
    proxy = process.start(config, reserved_descriptors=196, accept_pause="1500ms")
    begun = time.monotonic()
    first, _ = _served(stack, proxy), _served(stack, proxy)
    # There is room for two: whether a third waits is looked for when the second is accepted.
    proxy.line("accept_paused")
    first.close()
    assert served_by(proxy.address("raw"), b"x") == "app"
    assert time.monotonic() - begun >= 1.5


def _pipes(proxy: Running) -> list[int]:
    """The sizes of the pipes that the process has, its standard streams aside."""
    found: dict[str, int] = {}
    for file in Path(f"/proc/{proxy.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            if int(file.name) > 2 and (name := str(file.readlink())).startswith("pipe:") and name not in found:
                end = os.open(file, os.O_RDONLY | os.O_NONBLOCK)
                found[name] = fcntl.fcntl(end, fcntl.F_GETPIPE_SZ)
                os.close(end)
    return sorted(found.values())


def _stalled(stack: contextlib.ExitStack, proxy: Running, app: Origin, count: int) -> list[socket.socket]:
    """Clients that do not read what is sent to them, once nothing more of it moves."""
    before = app.sent
    clients = [stack.enter_context(dial(proxy.address("raw"))) for _ in range(count)]
    for client in clients:
        client.sendall(b"x")
    until(lambda: app.sent > before + count * MIB)
    sent = -1
    while sent != app.sent:
        sent = app.sent
        time.sleep(0.3)
    return clients


@pytest.mark.parametrize("most", [0, 2])
def test_no_more_than_max_pipes_are_in_use(
    process: Process, origin: MakeOrigin, stack: contextlib.ExitStack, most: int
) -> None:
    """Those who get none have their bytes copied: all of them, too."""
    app = origin(source(32 * MIB))
    config = tcp(app.address)
    proxy = process.start(config, max_pipes=most, pipe_size="256KiB")
    before = _pipes(proxy)
    clients = _stalled(stack, proxy, app, 4)
    assert len(_pipes(proxy)) == len(before) + most
    process.reload(proxy, config, max_pipes=most + 1, pipe_size="256KiB")
    clients += _stalled(stack, proxy, app, 2)
    assert len(_pipes(proxy)) == len(before) + most + 1
    for client in clients:
        assert hash_to_end(client) == hash_of(32 * MIB)
    process.reload(proxy, config, max_pipes=0)
    until(lambda: _pipes(proxy) == before, "those that nobody uses are closed")


def test_a_pipe_has_the_size_of_pipe_size(process: Process, origin: MakeOrigin, stack: contextlib.ExitStack) -> None:
    app = origin(source(32 * MIB))
    config = tcp(app.address)
    proxy = process.start(config, pipe_size="128KiB")
    assert 128 << 10 not in _pipes(proxy)
    first = _stalled(stack, proxy, app, 1)[0]
    assert _pipes(proxy).count(128 << 10) == 1
    process.reload(proxy, config, pipe_size="512KiB")
    second = _stalled(stack, proxy, app, 1)[0]
    assert _pipes(proxy).count(512 << 10) == 1
    assert hash_to_end(first) == hash_to_end(second) == hash_of(32 * MIB)
    # What was lent before is not lent again.
    until(lambda: 128 << 10 not in _pipes(proxy))
