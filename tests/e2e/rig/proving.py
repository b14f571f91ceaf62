"""Proving: another proxy and ours with what its configuration was converted to, asked the same, side by side."""

import socket
import subprocess
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headworks import Proxy
from headworks.importing.convert import convert
from rig.origins import Origin
from rig.waiting import PATIENCE

Answer = tuple[int, str]
"""A status, and the name of who answered with the path that it saw; or the place of a redirect."""


def tells(connection: socket.socket, origin: Origin) -> None:
    """Answer every request with the name of the origin and the path."""
    held = b""
    while True:
        while b"\r\n\r\n" not in held:
            received = connection.recv(65536)
            if not received:
                return
            held += received
        head, _, held = held.partition(b"\r\n\r\n")
        body = f"{origin.name} {head.split()[1].decode()}".encode()
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))


def ask(address: tuple[str, int], host: str, path: str, fields: dict[str, str] | None = None) -> Answer:
    """Make one request and return what was answered."""
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: {host}",
        "Connection: close",
        *(f"{k}: {v}" for k, v in (fields or {}).items()),
    ]
    with socket.create_connection(address, timeout=PATIENCE) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        heard = b""
        try:
            while received := connection.recv(65536):
                heard += received
        except ConnectionResetError:
            pass
    head, _, body = heard.partition(b"\r\n\r\n")
    status = int(head.split()[1]) if head.startswith(b"HTTP/") else 0
    place = next((line[9:].strip() for line in head.split(b"\r\n") if line.lower().startswith(b"location:")), b"")
    return status, (place or body).decode() if status in range(200, 400) else ""


@contextmanager
def other(*command: str, port: int) -> Iterator[tuple[str, int]]:
    """Run another proxy until the block ends; it listens when the block begins."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert process.poll() is None, process.stdout.read().decode() if process.stdout else ""
                assert time.monotonic() < deadline
                time.sleep(0.02)
        yield "127.0.0.1", port
    finally:
        process.terminate()
        process.wait(PATIENCE)
        if process.stdout:
            process.stdout.close()


@contextmanager
def ours(file: Path, port: int) -> Iterator[tuple[str, int]]:
    """Run what a file is converted to, at a free port instead of the file's."""
    made = convert(file.read_bytes(), str(file))
    out = file.with_name("headworks.toml")
    out.write_text(made.text.replace(f"127.0.0.1:{port}", "127.0.0.1:0").replace('access = "-"', 'access = "off"'))
    if made.rules is not None:
        (file.parent / f"{made.rules.module}.py").write_text(made.rules.text())
    with Proxy(out) as proxy:
        yield proxy.address(next(iter(tomllib.loads(out.read_text())["listeners"])))
