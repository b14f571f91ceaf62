"""Step: a request that asks for a WebSocket becomes a tunnel, through the same listener as all others."""

import base64
import os
import statistics
import time

from headworks.demo.report import Result, Step, table, unless
from headworks.demo.stage import Stage
from headworks.demo.web import accept_of, close_frame, frame, read_asked, read_frame

_MESSAGES = 200
_PATH = "/chat"


def run(stage: Stage) -> Result:
    """Shake hands, send messages, close."""
    key = base64.b64encode(os.urandom(16)).decode()
    seconds = []
    same = 0
    with stage.clients.connect("web") as connection:
        connection.sendall(
            f"GET {_PATH} HTTP/1.1\r\nHost: www.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        answer = read_asked(connection)
        if answer is None or " 101 " not in answer.line:
            raise ConnectionError(f"no WebSocket, but {answer and answer.line}")
        for number in range(_MESSAGES):
            message = b"message %d " % number * (1 + number % 40)
            began = time.perf_counter()
            connection.sendall(frame(message, os.urandom(4)))
            same += read_frame(connection) == message
            seconds.append(time.perf_counter() - began)
        connection.sendall(close_frame(os.urandom(4)))
        closed = read_frame(connection) is None
    shown = table("over one connection", "result")
    shown.add_row(f"GET {_PATH}", answer.line)
    median = statistics.median(seconds) * 1e6
    shown.add_row(f"{_MESSAGES} messages", f"{same} came back as they were sent, median {median:.0f} µs")
    accepted = answer.fields.get("sec-websocket-accept", "")
    return Result(
        shown=(shown,),
        problems=unless(
            (accepted == accept_of(key).decode(), "the handshake was answered for another key"),
            (same == _MESSAGES, f"{_MESSAGES - same} messages came back changed"),
            (closed, "the close was not answered"),
        ),
    )


STEP = Step(
    name="websocket",
    says="A request with Upgrade is passed on; after the server's 101 the connection is a tunnel both ways.",
    run=run,
)
