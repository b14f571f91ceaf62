"""Where the proxy listens: IPv4 and IPv6, unix sockets, inherited descriptors; failures; readiness."""

import contextlib
import os
import signal
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from headworks import BindError, Proxy
from rig.clients import served_by
from rig.configs import Config, tcp
from rig.origins import Origin
from rig.process import command, running, write
from rig.waiting import PATIENCE, until

Start = Callable[[Config], Proxy]
MakeOrigin = Callable[..., Origin]


@pytest.fixture
def app(origin: MakeOrigin) -> str:
    return str(origin(name="app").address)


def _free_port() -> int:
    """A port that was free in both families a moment ago."""
    with socket.socket(socket.AF_INET6) as finder:
        finder.bind(("::", 0))
        return int(finder.getsockname()[1])


def test_ipv6(start: Start, app: str) -> None:
    proxy = start(tcp(app, listener={"bind": "[::1]:0"}))
    assert proxy.address("raw")[0] == "::1"
    assert proxy.addresses("raw")[0].startswith("[::1]:")
    assert served_by(proxy.address("raw"), b"x") == "app"


def test_servers_on_ipv6(start: Start, origin: MakeOrigin) -> None:
    proxy = start(tcp(origin(name="six", host="::1").address))
    assert served_by(proxy.address("raw"), b"x") == "six"


def test_servers_on_unix_sockets(start: Start, origin: MakeOrigin, tmp_path: Path) -> None:
    app = origin(name="local", path=tmp_path / "app.sock")
    proxy = start(tcp(app.address))
    assert served_by(proxy.address("raw"), b"x" * 500_000) == "local"
    assert list(proxy.stats().backends["app"].servers) == [f"unix:{tmp_path / 'app.sock'}"]


@pytest.mark.parametrize("bind", [":0", "[::]:0"])
def test_dual_stack(start: Start, app: str, bind: str) -> None:
    proxy = start(tcp(app, listener={"bind": bind}))
    port = proxy.address("raw")[1]
    assert served_by(("127.0.0.1", port), b"x") == "app"
    assert served_by(("::1", port), b"x") == "app"


def test_ipv6_only(start: Start, app: str) -> None:
    proxy = start(tcp(app, listener={"bind": "[::]:0", "ipv6_only": True}))
    port = proxy.address("raw")[1]
    assert served_by(("::1", port), b"x") == "app"
    with pytest.raises(ConnectionRefusedError):
        served_by(("127.0.0.1", port), b"x")


def test_ipv4_only(start: Start, app: str) -> None:
    port = start(tcp(app, listener={"bind": "0.0.0.0:0"})).address("raw")[1]
    assert served_by(("127.0.0.1", port), b"x") == "app"
    with pytest.raises(ConnectionRefusedError):
        served_by(("::1", port), b"x")


@pytest.mark.parametrize(
    "families", [("0.0.0.0", "[::]"), ("[::]", "0.0.0.0"), ("0.0.0.0", "127.0.0.1"), ("127.0.0.1", "")]
)
def test_addresses_that_overlap(start: Start, app: str, families: tuple[str, str]) -> None:
    """One listener on all IPv4 and all IPv6 addresses is what most configurations begin with."""
    port = _free_port()
    config = tcp(app, listener={"bind": [f"{family}:{port}" for family in families]})
    proxy = start(config)
    assert served_by(("127.0.0.1", port), b"x") == "app"
    if families != ("0.0.0.0", "127.0.0.1"):
        assert served_by(("::1", port), b"x") == "app"
    assert len(proxy.addresses("raw")) == 2
    # One of them goes, and comes back, while the other serves.
    for kept in ([0], [0, 1], [1], [0, 1]):
        config["listeners"]["raw"]["bind"] = [f"{families[number]}:{port}" for number in kept]
        proxy.reload(config)
        assert len(proxy.addresses("raw")) == len(kept)
        assert served_by(("127.0.0.1" if families[kept[0]] != "[::]" or len(kept) > 1 else "::1", port), b"x") == "app"


def test_several_listeners(start: Start, app: str) -> None:
    config = tcp(app)
    for number in range(20):
        config["listeners"][f"more{number}"] = {"bind": "127.0.0.1:0", "protocol": "tcp", "backend": "app"}
    proxy = start(config)
    targets = {proxy.address(name) for name in config["listeners"]}
    assert len(targets) == 21
    assert {served_by(target, b"x") for target in targets} == {"app"}


# Unix sockets.


@pytest.mark.parametrize(("mode", "expected"), [(None, 0o660), ("0600", 0o600), ("0777", 0o777)])
def test_unix_socket(start: Start, app: str, tmp_path: Path, mode: str | None, expected: int) -> None:
    path = tmp_path / "front.sock"
    listener = {"bind": f"unix:{path}"} | ({"unix_mode": mode} if mode else {})
    proxy = start(tcp(app, listener=listener))
    assert stat.S_IMODE(path.stat().st_mode) == expected
    assert proxy.address("raw") == (str(path), 0)
    assert served_by((str(path), 0), b"x" * 300_000) == "app"
    proxy.stop()
    assert not path.exists()


def test_a_stale_socket_file_is_replaced(start: Start, app: str, tmp_path: Path) -> None:
    path = tmp_path / "stale.sock"
    with socket.socket(socket.AF_UNIX) as crashed:
        crashed.bind(str(path))
    assert path.is_socket()
    start(tcp(app, listener={"bind": f"unix:{path}"}))
    assert served_by((str(path), 0), b"x") == "app"


@pytest.mark.parametrize("backlog", [0, 100])
def test_a_socket_in_use_is_refused(app: str, tmp_path: Path, stack: contextlib.ExitStack, backlog: int) -> None:
    path = tmp_path / "used.sock"
    used = stack.enter_context(socket.socket(socket.AF_UNIX))
    used.bind(str(path))
    used.listen(backlog)
    # With a full queue nobody can connect at once, and it is in use all the same.
    for _ in range(3):
        waiting = stack.enter_context(socket.socket(socket.AF_UNIX))
        waiting.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            waiting.connect(str(path))
    with pytest.raises(BindError, match="in use"):
        Proxy(tcp(app, listener={"bind": f"unix:{path}"})).start()
    assert path.is_socket()


def test_what_is_no_listening_socket_is_left_alone(app: str, tmp_path: Path, stack: contextlib.ExitStack) -> None:
    precious, datagrams = tmp_path / "precious", tmp_path / "datagrams"
    precious.write_text("do not delete")
    stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)).bind(str(datagrams))
    for path in (precious, datagrams):
        with pytest.raises(BindError):
            Proxy(tcp(app, listener={"bind": f"unix:{path}"})).start()
    assert precious.read_text() == "do not delete"
    assert datagrams.is_socket()


# Inherited descriptors.


def _listening(stack: contextlib.ExitStack) -> socket.socket:
    listening = stack.enter_context(socket.socket())
    listening.bind(("127.0.0.1", 0))
    listening.listen(100)
    return listening


def _with_descriptors(*numbers: int) -> list[str]:
    """A shell that puts the descriptors at 3, 4, ... and becomes the command, as systemd would have it."""
    moves = " ".join(f"{3 + index}<&{number}" for index, number in enumerate(numbers))
    return ["bash", "-c", f'export LISTEN_PID=$$; exec "$@" {moves}', "bash"]


def test_an_inherited_descriptor(app: str, tmp_path: Path, stack: contextlib.ExitStack) -> None:
    listening = _listening(stack)
    file = write(tmp_path / "a.toml", tcp(app, listener={"bind": "fd:3"}))
    number = listening.fileno()
    proxy = stack.enter_context(running(file, prefix=_with_descriptors(number), descriptors=[number]))
    assert proxy.address("raw") == listening.getsockname()
    for _ in range(10):
        assert served_by(listening.getsockname(), b"x") == "app"
    proxy.reload()
    assert served_by(listening.getsockname(), b"x") == "app"
    proxy.signal(signal.SIGTERM)
    assert proxy.wait() == 0


def test_descriptors_of_systemd_by_name(app: str, tmp_path: Path, stack: contextlib.ExitStack) -> None:
    web, other = _listening(stack), _listening(stack)
    config = tcp(app, listener={"bind": "fd:web"})
    config["listeners"]["two"] = {"bind": "fd:other", "protocol": "tcp", "backend": "app"}
    file = write(tmp_path / "a.toml", config)
    numbers = [other.fileno(), web.fileno()]
    proxy = stack.enter_context(
        running(
            file,
            prefix=_with_descriptors(*numbers),
            descriptors=numbers,
            LISTEN_FDS="2",
            LISTEN_FDNAMES="other:web",
        )
    )
    assert proxy.address("raw") == web.getsockname()
    assert proxy.address("two") == other.getsockname()
    assert served_by(web.getsockname(), b"x") == served_by(other.getsockname(), b"x") == "app"


@pytest.mark.parametrize("bind", ["fd:web", "fd:77"])
def test_descriptors_that_are_not_there(app: str, tmp_path: Path, bind: str) -> None:
    file = write(tmp_path / "a.toml", tcp(app, listener={"bind": bind}))
    assert command("check", file).returncode == 0
    done = command("run", file)
    assert done.returncode in (1, 2)
    assert "raw" in done.stderr
    assert bind in done.stderr or "web" in done.stderr
    assert "Traceback" not in done.stderr


# What cannot be bound.


@pytest.mark.parametrize(
    ("bind", "reason"),
    [
        ("TAKEN", "the address is already in use"),
        ("192.0.2.77:80", "no interface of this machine has that address"),
        ("unix:/nonexistent/a.sock", "No such file or directory"),
    ],
)
def test_what_cannot_be_bound_is_said(app: str, tmp_path: Path, bind: str, reason: str) -> None:
    bind = app if bind == "TAKEN" else bind
    file = write(tmp_path / "a.toml", tcp(app, listener={"bind": ["127.0.0.1:0", bind]}))
    done = command("run", file)
    assert done.returncode == 1
    assert f"cannot bind {bind}: {reason}" in done.stderr
    assert "raw" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_every_address_that_cannot_be_bound_is_named(app: str, tmp_path: Path) -> None:
    file = write(tmp_path / "a.toml", tcp(app, listener={"bind": ["192.0.2.77:80", app, "192.0.2.78:80"]}))
    done = command("run", file)
    assert done.returncode == 1
    assert [address in done.stderr for address in ("192.0.2.77:80", app, "192.0.2.78:80")] == [True] * 3


def test_two_proxies_do_not_share_a_port_unnoticed(start: Start, app: str) -> None:
    """Workers share ports among themselves (SO_REUSEPORT); a second program must not slip in between."""
    host, port = start(tcp(app)).address("raw")
    with pytest.raises(BindError, match="in use"):
        Proxy(tcp(app, listener={"bind": f"{host}:{port}"})).start()
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind((host, port))


def test_a_proxy_that_could_not_start_leaves_nothing(app: str, tmp_path: Path) -> None:
    path = tmp_path / "front.sock"
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        with pytest.raises(BindError):
            Proxy(tcp(app, listener={"bind": [f"unix:{path}", "192.0.2.77:80"]})).start()
    assert not path.exists()
    until(lambda: len(list(Path("/proc/self/fd").iterdir())) <= before + 1)


# Readiness.


@pytest.mark.parametrize("abstract", [False, True])
def test_readiness_is_told_to_systemd(app: str, tmp_path: Path, stack: contextlib.ExitStack, abstract: bool) -> None:  # noqa: FBT001
    datagrams = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
    name = f"@headworks-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    datagrams.bind(name.replace("@", "\0", 1))
    datagrams.settimeout(PATIENCE)
    file = write(tmp_path / "a.toml", tcp(app))
    proxy = stack.enter_context(running(file, NOTIFY_SOCKET=name))
    assert datagrams.recv(1000) == b"READY=1"
    assert served_by(proxy.address("raw"), b"x") == "app"
    proxy.reload()
    assert datagrams.recv(1000).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
    assert datagrams.recv(1000) == b"READY=1"
    proxy.signal(signal.SIGTERM)
    assert datagrams.recv(1000) == b"STOPPING=1"
    assert proxy.wait() == 0
