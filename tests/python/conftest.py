"""What several tests need: a configuration, and an origin that answers on a free port."""

import socket
import threading
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

# A busy machine makes no test fail.
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")


@pytest.fixture
def mapping() -> dict:
    """Give a small configuration that is right and binds any free port."""
    return {
        "logs": {"access": "off"},
        "listeners": {"secure": {"bind": "127.0.0.1:0", "protocol": "tls", "table": "sites", "fallback": "legacy"}},
        "tables": {"sites": {"example.com": "app", "*.example.org": "app"}},
        "backends": {
            "app": {"servers": ["127.0.0.1:8001", {"address": "127.0.0.1:8002", "weight": 2}]},
            "legacy": {"servers": "127.0.0.1:8003"},
        },
    }


@pytest.fixture
def origin() -> Iterator[str]:
    """Serve the address of a server that sends back what it gets until the end."""
    listening = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=_accept, args=(listening,), daemon=True).start()
    host, port = listening.getsockname()
    yield f"{host}:{port}"
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()


@pytest.fixture
def raw(origin) -> dict:
    """Give a tcp listener in front of an origin that echoes."""
    return {
        "proxy": {"workers": 1},
        "logs": {"access": "off"},
        "listeners": {"raw": {"bind": "127.0.0.1:0", "protocol": "tcp", "backend": "app"}},
        "backends": {"app": {"servers": [origin]}},
    }


def _accept(listening: socket.socket) -> None:
    while True:
        try:
            accepted, _ = listening.accept()
        except OSError:
            return
        threading.Thread(target=_echo, args=(accepted,), daemon=True).start()


def _echo(accepted: socket.socket) -> None:
    with accepted:
        try:
            while received := accepted.recv(65536):
                accepted.sendall(received)
        except OSError:
            return
