"""The binder: binds what it is asked for, says why not, ends with the one who asked."""

import contextlib
import json
import os
import signal
import socket
import stat
from collections.abc import Iterator

import pytest

from headworks.binder import Binder, bind


@pytest.fixture
def binder() -> Iterator[Binder]:
    """Start one; it must end when the connection does."""
    started = Binder.start()
    yield started
    started.stop()
    assert started.process.returncode == 0


def ask(binder: Binder, request: object) -> tuple[bytes, socket.socket | None]:
    """Send one request and take its answer."""
    binder.connection.sendall(json.dumps(request).encode() + b"\n")
    answer, descriptors, _, _ = socket.recv_fds(binder.connection, 512, 1)
    return answer, socket.socket(fileno=descriptors[0]) if descriptors else None


def test_a_bound_listening_socket_comes_back(binder):
    answer, listening = ask(binder, {"address": "127.0.0.1:0", "ipv6_only": False, "backlog": 16, "unix_mode": 432})
    assert answer == b"+"
    with listening:
        assert listening.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        assert listening.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
        assert listening.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT)
        assert not os.get_blocking(listening.fileno())
        socket.create_connection(listening.getsockname()).close()


def test_several_sockets_share_a_port(binder):
    _, first = ask(binder, {"address": "127.0.0.1:0"})
    with first:
        _, second = ask(binder, {"address": f"127.0.0.1:{first.getsockname()[1]}"})
        with second:
            assert first.getsockname() == second.getsockname()


def test_the_reason_comes_back_and_it_goes_on(binder):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        answer, nothing = ask(binder, {"address": f"127.0.0.1:{taken.getsockname()[1]}"})
    assert (answer, nothing) == (b"-Address already in use\n", None)
    assert ask(binder, {"address": "192.0.2.1:1"})[0].startswith(b"-Cannot assign")
    assert ask(binder, {"address": "nonsense"})[0].startswith(b"-nonsense has no port")
    assert ask(binder, {"address": "127.0.0.1:99999"})[0].startswith(b"-")
    assert ask(binder, {"adress": ":0"})[0].startswith(b"-a request is")
    assert ask(binder, {"address": ":0", "unknown": 1})[0].startswith(b"-")
    assert ask(binder, [])[0].startswith(b"-")
    binder.connection.sendall(b"not json\n")
    assert binder.connection.recv(512).startswith(b"-")
    answer, listening = ask(binder, {"address": ":0"})
    assert answer == b"+"
    listening.close()


def test_signals_to_the_group_are_not_for_it(binder):
    ask(binder, {"address": "127.0.0.1:0"})[1].close()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        binder.process.send_signal(number)
    answer, listening = ask(binder, {"address": "127.0.0.1:0"})
    assert answer == b"+"
    listening.close()


def test_both_families_or_ipv6_only():
    with bind(":0") as both:
        assert both.family == socket.AF_INET6
        assert not both.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
    with bind("[::1]:0", ipv6_only=True) as only:
        assert only.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)


def test_a_unix_socket_has_its_mode_and_replaces_a_stale_one(tmp_path):
    path = tmp_path / "x.sock"
    with bind(f"unix:{path}", unix_mode=0o600):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with pytest.raises(OSError, match="in use"):
            bind(f"unix:{path}")
    with bind(f"unix:{path}"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o660


def test_a_file_in_the_way_is_left_alone(tmp_path):
    path = tmp_path / "precious"
    path.write_text("x")
    with pytest.raises(OSError, match="in use"), contextlib.closing(bind(f"unix:{path}")):
        pass
    assert path.read_text() == "x"
