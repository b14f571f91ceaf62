"""Step: a kept connection and a large transfer through the tcp listener, compared byte for byte."""

import hashlib
import os
import socket
import statistics
import threading
import time
from dataclasses import dataclass

from headworks.demo.clients import PATIENCE, receive
from headworks.demo.report import Result, Step, table, unless
from headworks.demo.stage import Stage

_TRIPS = 500
_SMALL = 64
_MIB = 1 << 20
_MANY = 64
"""MiB of the transfer."""
_PIECE = 256 << 10


@dataclass(frozen=True, kw_only=True)
class _Transfer:
    """Bytes that came back, and how fast."""

    received: int
    same: bool
    seconds: float


def run(stage: Stage) -> Result:
    """Many small round trips, then one large transfer, each over one connection."""
    stage.progress(f"{_TRIPS} round trips over one connection")
    trips, state = _round_trips(stage)
    stage.progress(f"{_MANY} MiB there and back")
    transfer = _transfer(stage, os.urandom(_MIB) * _MANY)
    shown = table("over one connection", "result")
    median = statistics.median(trips) * 1e6
    shown.add_row(f"{_TRIPS} round trips of {_SMALL} bytes", f"median {median:.0f} µs; the proxy lists it as {state}")
    speed = f"{_MANY / transfer.seconds:.0f} MiB/s each way"
    shown.add_row(f"{_MANY} MiB there and back", f"{speed}; SHA-256 {'the same' if transfer.same else 'NOT the same'}")
    return Result(
        shown=(shown, "Both ends are Python on this machine, so these numbers are theirs more than the proxy's."),
        problems=unless(
            (state == "relaying", f"the kept connection is listed as {state}, not as relaying"),
            (transfer.received == _MANY * _MIB, f"{transfer.received} of {_MANY * _MIB} bytes came back"),
            (transfer.same, "what came back is not what was sent"),
        ),
    )


def _round_trips(stage: Stage) -> tuple[list[float], str]:
    """Seconds of each, and the state in which the proxy lists the connection."""
    seconds = []
    with stage.clients.connect("echo") as connection:
        here = "{}:{}".format(*connection.getsockname())
        for _ in range(_TRIPS):
            began = time.perf_counter()
            connection.sendall(bytes(_SMALL))
            if len(receive(connection, _SMALL)) < _SMALL:
                raise ConnectionError("the kept connection was closed")
            seconds.append(time.perf_counter() - began)
        listed = {one.client: one.state for one in stage.proxy.connections()}
    return seconds, listed.get(here, "not at all")


def _transfer(stage: Stage, sent: bytes) -> _Transfer:
    """Send all and end our side, while reading to the end of the other."""
    came_back = hashlib.sha256()
    received = 0
    piece = memoryview(bytearray(_PIECE))
    began = time.perf_counter()
    with stage.clients.connect("echo") as connection:
        sender = threading.Thread(target=_send, args=(connection, sent), daemon=True)
        sender.start()
        while size := connection.recv_into(piece):
            came_back.update(piece[:size])
            received += size
        seconds = time.perf_counter() - began
        sender.join(PATIENCE)
    return _Transfer(received=received, same=came_back.digest() == hashlib.sha256(sent).digest(), seconds=seconds)


def _send(connection: socket.socket, sent: bytes) -> None:
    # In pieces: each may take as long as a connection's patience.
    whole = memoryview(sent)
    for start in range(0, len(whole), _PIECE):
        connection.sendall(whole[start : start + _PIECE])
    connection.shutdown(socket.SHUT_WR)


STEP = Step(
    name="bulk",
    says=(
        "A tcp listener has one backend and looks at nothing. Once both ends are connected the kernel moves the bytes; "
        "when one side ends, what is on its way to the other still arrives."
    ),
    run=run,
)
