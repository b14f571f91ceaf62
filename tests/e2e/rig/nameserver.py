"""A nameserver whose answers change on order: A, AAAA and SRV over UDP and TCP, failures, lies and silence."""

import contextlib
import socket
import struct
import threading
from ipaddress import ip_address
from types import TracebackType
from typing import Self

A, AAAA, SRV = 1, 28, 33
NOERROR, SERVFAIL, NXDOMAIN = 0, 2, 3


class Nameserver:
    """One on a free port of 127.0.0.1; UDP and TCP have the same."""

    def __init__(self) -> None:
        self.ttl = 0
        """Seconds that answers hold."""
        self.failure = NOERROR
        """The code that everything is answered with."""
        self.is_silent = False
        self.truncates = False
        """Answers by UDP are cut: the client has to come by TCP."""
        self.queries: list[str] = []
        self._records: dict[tuple[str, int], list[bytes]] = {}
        self._stream = socket.create_server(("127.0.0.1", 0))
        self._datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._datagrams.bind(self._stream.getsockname())
        self.address = f"127.0.0.1:{self._stream.getsockname()[1]}"
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._serve, self._accept)]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        for one in (self._datagrams, self._stream):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def set(self, name: str, *addresses: str) -> None:
        """Let a name have these addresses, and no others."""
        for kind, version in ((A, 4), (AAAA, 6)):
            packed = [ip_address(one).packed for one in addresses if ip_address(one).version == version]
            self._records[name, kind] = packed

    def set_service(self, name: str, *targets: tuple[int, int, int, str]) -> None:
        """Let a service have these targets: priority, weight, port and host."""
        made = [struct.pack("!HHH", *numbers) + _labels(host) for *numbers, host in targets]
        self._records[name, SRV] = made

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                query, client = self._datagrams.recvfrom(4096)
                if not query:
                    return
                answer = self._answer(query, is_stream=False)
                if answer is not None:
                    self._datagrams.sendto(answer, client)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._stream.accept()
                threading.Thread(target=self._converse, args=(client,), daemon=True).start()

    def _converse(self, client: socket.socket) -> None:
        with client, client.makefile("rb") as stream, contextlib.suppress(OSError, struct.error):
            while True:
                (length,) = struct.unpack("!H", stream.read(2))
                answer = self._answer(stream.read(length), is_stream=True)
                if answer is not None:
                    client.sendall(struct.pack("!H", len(answer)) + answer)

    def _answer(self, query: bytes, *, is_stream: bool) -> bytes | None:
        name, end = _read_name(query, 12)
        question, (kind, _) = query[12 : end + 4], struct.unpack_from("!HH", query, end)
        self.queries.append(name)
        if self.is_silent:
            return None
        known = [key for key in self._records if key[0] == name]
        code = self.failure or (NOERROR if known else NXDOMAIN)
        records = self._records.get((name, kind), []) if code == NOERROR else []
        cut = self.truncates and not is_stream
        flags = 0x8180 | code | (0x0200 if cut else 0)
        head = query[:2] + struct.pack("!HHHHH", flags, 1, 0 if cut else len(records), 0, 0)
        rows = b"".join(b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, self.ttl, len(one)) + one for one in records)
        return head + question + (b"" if cut else rows)


def _labels(name: str) -> bytes:
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def _read_name(message: bytes, at: int) -> tuple[str, int]:
    labels = []
    while length := message[at]:
        labels.append(message[at + 1 : at + 1 + length].decode("ascii", "replace").lower())
        at += 1 + length
    return ".".join(labels), at + 1
