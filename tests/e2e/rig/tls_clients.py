"""Clients that speak TLS: Python's ssl to the byte, and the command lines that everybody has."""

import contextlib
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from rig.clients import Target
from rig.http_clients import Client, get
from rig.messages import Response
from rig.waiting import PATIENCE, until


def needs(program: str) -> str:
    """The path of a program, or a skip."""
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")
    if not found:
        pytest.skip(f"{program} is not installed")
    return found


class TlsClient(Client):
    """One connection over TLS. An end without a close_notify is an error. ``before`` is sent in the clear."""

    def __init__(
        self,
        target: Target,
        tls: ssl.SSLContext,
        name: str | None = "a.test",
        *,
        before: bytes = b"",
        session: ssl.SSLSession | None = None,
    ) -> None:
        super().__init__(target)
        try:
            self.socket.sendall(before)
            self.secure = tls.wrap_socket(
                self.socket, server_hostname=name, suppress_ragged_eofs=False, session=session
            )
        except BaseException:
            self.socket.close()
            raise
        self.socket = self.secure

    @property
    def certificate(self) -> bytes:
        """What the other side presented, DER."""
        return self.secure.getpeercert(binary_form=True) or b""

    def names(self) -> list[str]:
        """The names in it. Needs a client that verifies."""
        found = self.secure.getpeercert() or {}
        return [str(pair[1]) for pair in found.get("subjectAltName", ())]


def ask_tls(target: Target, tls: ssl.SSLContext, sent: bytes | None = None, *, name: str = "a.test") -> Response:
    """One request over a connection of its own."""
    with TlsClient(target, tls, name) as client:
        return client.ask(get(host=name) if sent is None else sent)


def curl(target: Target, ca: Path, *arguments: str | Path, name: str = "a.test") -> subprocess.CompletedProcess[bytes]:
    """Run curl to its end, with ``name`` leading to ``target`` from every port that has no --connect-to."""
    command = [needs("curl"), "--silent", "--show-error", "--noproxy", "*", "--cacert", str(ca)]
    command += [*map(str, arguments), "--connect-to", f"{name}::{target[0]}:{target[1]}"]
    return subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False)


def s_client(target: Target, *arguments: str | Path, sends: bytes = b"") -> str:
    """Run ``openssl s_client`` until the server ends the connection, or until the end of ``sends`` if it is empty."""
    command = [needs("openssl"), "s_client", "-connect", f"{target[0]}:{target[1]}", *map(str, arguments)]
    command += ["-ign_eof"] if sends else []
    done = subprocess.run(command, input=sends, capture_output=True, timeout=PATIENCE, check=False)
    return (done.stdout + done.stderr).decode(errors="replace")


class Interactive:
    """``openssl s_client`` whose commands are typed one by one."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.said = b""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def type(self, text: bytes) -> None:
        """Send bytes, or a command: ``K``, ``k`` and ``R`` in the beginning are such."""
        assert self.process.stdin
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def until(self, word: bytes) -> None:
        """Wait until it has said a word since the last wait."""

        def look() -> bool:
            before, found, rest = self.said.partition(word)
            if found:
                self.said = rest
            elif not self._reader.is_alive():
                raise AssertionError(f"it ended without {word!r}: {before[-2000:]!r}")
            return bool(found)

        until(look, f"{word!r}")

    def end(self) -> None:
        """Leave nothing behind."""
        self.process.kill()
        self.process.wait()
        self._reader.join(PATIENCE)
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(OSError):
                if pipe:
                    pipe.close()

    def _read(self) -> None:
        assert self.process.stdout
        while more := self.process.stdout.read1():  # type: ignore[attr-defined]
            self.said += more


@contextlib.contextmanager
def interactive(target: Target, *arguments: str | Path) -> Iterator[Interactive]:
    """Start ``openssl s_client`` and leave it at its prompt."""
    command = [needs("openssl"), "s_client", "-connect", f"{target[0]}:{target[1]}", *map(str, arguments)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    started = Interactive(process)
    try:
        yield started
    finally:
        started.end()
