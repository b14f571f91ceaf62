"""Bodies: the same bytes at both ends, streamed, with back-pressure; and what happens when either side leaves."""

import contextlib
import hashlib
import socket
import threading
from collections.abc import Callable

import pytest

from headworks import Proxy
from rig.configs import Config, http
from rig.http_clients import Client, Truncated, chunked, get, post
from rig.http_origins import HttpOrigin, Reply, script
from rig.messages import Request, Stream
from rig.origins import Origin, hash_of, pattern, reset
from rig.waiting import PATIENCE, until

Start = Callable[[Config], Proxy]
MakeHttp = Callable[..., HttpOrigin]
MakeOrigin = Callable[..., Origin]

MIB = 1 << 20
LARGE = 256 * MIB


def _hashing(connection: socket.socket, _: Origin) -> None:
    """Hash a request body of known length, and answer with its hash; go on."""
    stream = Stream(lambda: connection.recv(1 << 18))
    while head := stream.until(b"\r\n\r\n"):
        size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
        hashed, left = hashlib.sha256(), size
        rest = stream.rest()[:left]
        stream.exactly(len(rest))
        hashed.update(rest)
        left -= len(rest)
        while left:
            more = connection.recv(min(left, 1 << 18))
            if not more:
                return
            hashed.update(more)
            left -= len(more)
        said = hashed.hexdigest().encode()
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(said), said))


def _sending(size: int, *, chunks: bool) -> Callable[[socket.socket, Origin], None]:
    """Answer each request with ``size`` bytes of ``pattern``."""

    def behave(connection: socket.socket, _: Origin) -> None:
        stream = Stream(lambda: connection.recv(1 << 16))
        while stream.until(b"\r\n\r\n"):
            framing = b"Transfer-Encoding: chunked" if chunks else b"Content-Length: %d" % size
            connection.sendall(b"HTTP/1.1 200 OK\r\n%b\r\n\r\n" % framing)
            for block in pattern(size):
                connection.sendall(b"%x\r\n%b\r\n" % (len(block), block) if chunks else block)
            if chunks:
                connection.sendall(b"0\r\n\r\n")

    return behave


def _received(client: Client, size: int) -> str:
    """The hash of the next ``size`` bytes."""
    hashed, left = hashlib.sha256(), size
    while left:
        piece = client.exactly(min(left, 1 << 18))
        hashed.update(piece)
        left -= len(piece)
    return hashed.hexdigest()


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_large_upload_and_a_request_after_it(start: Start, origin: MakeOrigin) -> None:
    app = origin(_hashing)
    proxy = start(http(app.address))
    with Client(proxy.address("web")) as client:
        client.send(get("/", f"Content-Length: {LARGE}", method="PUT"))
        for block in pattern(LARGE):
            client.send(block)
        assert client.response("PUT").body.decode() == hash_of(LARGE)
        assert client.ask(post(b"abc")).body.decode() == hashlib.sha256(b"abc").hexdigest()
    assert app.accepted == 1


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_large_download_and_a_request_after_it(start: Start, origin: MakeOrigin) -> None:
    app = origin(_sending(LARGE, chunks=False))
    proxy = start(http(app.address))
    with Client(proxy.address("web")) as client:
        client.send(get())
        assert client.head().get("content-length") == str(LARGE)
        assert _received(client, LARGE) == hash_of(LARGE)
        client.send(get())
        assert client.head().status == 200
        assert _received(client, 1000) == hash_of(1000)
    assert app.accepted == 1


def test_a_download_in_chunks(start: Start, origin: MakeOrigin) -> None:
    size = 32 * MIB
    app = origin(_sending(size, chunks=True))
    proxy = start(http(app.address))
    with Client(proxy.address("web")) as client:
        for _ in range(2):
            answer = client.ask(get())
            assert hashlib.sha256(answer.body).hexdigest() == hash_of(size)
    assert app.accepted == 1


def test_an_upload_in_chunks_of_all_sizes(start: Start, http_origin: MakeHttp) -> None:
    app = http_origin(lambda request: Reply(body=hashlib.sha256(request.body).hexdigest().encode()))
    proxy = start(http(app.address))
    whole = b"".join(pattern(MIB))
    sizes = [1, 2, 15, 16, 17, 255, 256, 4095, 4096, 65535, 65536, 65537, 100_000]
    pieces: list[bytes] = []
    at = 0
    while at < len(whole):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(whole[at : at + size])
        at += size
    with Client(proxy.address("web")) as client:
        for _ in range(3):
            assert client.ask(chunked(*pieces)).body.decode() == hash_of(MIB)
    assert app.accepted == 1


def test_both_ways_at_once(start: Start, origin: MakeOrigin) -> None:
    """The server answers each piece as it comes, long before the request is whole."""

    def echo(connection: socket.socket, _: Origin) -> None:
        stream = Stream(lambda: connection.recv(1 << 16))
        stream.until(b"\r\n\r\n")
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while (line := stream.until(b"\r\n")) != b"0\r\n":
            piece = stream.exactly(int(line, 16) + 2)
            connection.sendall(line + piece)
        stream.exactly(2)
        connection.sendall(b"0\r\n\r\n")

    proxy = start(http(origin(echo).address))
    with Client(proxy.address("web")) as client:
        client.send(get("/", "Transfer-Encoding: chunked", method="POST"))
        assert client.head().status == 200
        for word in (b"one", b"two", b"x" * 50_000):
            piece = b"%x\r\n%b\r\n" % (len(word), word)
            client.send(piece)
            assert client.exactly(len(piece)) == piece
        client.send(b"0\r\n\r\n")
        assert client.exactly(5) == b"0\r\n\r\n"


def test_pieces_are_passed_on_as_they_come(start: Start, origin: MakeOrigin) -> None:
    """Events reach the client when the server sends them, not when a buffer is full."""
    turns = [threading.Event() for _ in range(3)]
    steps: list[bytes | threading.Event] = [
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    ]
    for number, turn in enumerate(turns):
        steps += [turn, b"9\r\nevent: %d\n\r\n" % number]
    proxy = start(http(origin(script(*steps, b"0\r\n\r\n")).address))
    with Client(proxy.address("web")) as client:
        client.send(get())
        assert client.head().status == 200
        for number, turn in enumerate(turns):
            turn.set()
            assert client.exactly(14) == b"9\r\nevent: %d\n\r\n" % number
        assert client.exactly(5) == b"0\r\n\r\n"


def test_a_client_that_leaves_cancels_the_server_side(start: Start, origin: MakeOrigin) -> None:
    told: list[str] = []

    def behave(connection: socket.socket, _: Origin) -> None:
        Stream(lambda: connection.recv(1 << 16)).until(b"\r\n\r\n")
        started.set()
        try:
            told.append("end" if connection.recv(1) == b"" else "bytes")
        except ConnectionResetError:
            told.append("reset")

    started = threading.Event()
    proxy = start(http(origin(behave).address, listener={"http": {"abort_on_close": True}}))
    # Who ends its sending while it is waited for has left, too: nothing else can be told of a client that closed.
    for leave in (reset, socket.socket.close, lambda client: client.shutdown(socket.SHUT_WR)):
        started.clear()
        client = Client(proxy.address("web"))
        client.send(get("/slow"))
        assert started.wait(PATIENCE)
        count = len(told)
        leave(client.socket)
        until(lambda: len(told) > count, "the server hears of it while it thinks")  # noqa: B023
        client.socket.close()
    until(lambda: proxy.stats().backends["app"].active == 0)
    assert "bytes" not in told


@pytest.mark.parametrize("after", [0, 0.05, 0.3])
def test_a_client_that_ends_its_sending_gets_its_answer(start: Start, origin: MakeOrigin, after: float) -> None:
    """As scripts do: RFC 9112 section 9.6 allows it, and the server may take its time."""
    ended = threading.Event()

    def behave(connection: socket.socket, _: Origin) -> None:
        Stream(lambda: connection.recv(1 << 16)).until(b"\r\n\r\n")
        assert ended.wait(PATIENCE)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    proxy = start(http(origin(behave).address))
    with Client(proxy.address("web")) as client:
        client.send(get("/slow"))
        ended.wait(after)
        client.finish()
        ended.set()
        assert client.response().body == b"ok"
        assert client.rest() == b""


def test_a_client_that_leaves_during_a_download_stops_it(start: Start, origin: MakeOrigin) -> None:
    stopped = threading.Event()

    def behave(connection: socket.socket, _: Origin) -> None:
        Stream(lambda: connection.recv(1 << 16)).until(b"\r\n\r\n")
        try:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000000\r\n\r\n")
            while True:
                connection.sendall(b"x" * MIB)
        except (BrokenPipeError, ConnectionResetError):
            stopped.set()

    proxy = start(http(origin(behave).address))
    with Client(proxy.address("web")) as client:
        client.send(get())
        assert client.head().status == 200
        client.exactly(10 * MIB)
    assert stopped.wait(PATIENCE)


def test_a_client_that_leaves_during_an_upload_is_not_taken_for_done(start: Start, http_origin: MakeHttp) -> None:
    seen = threading.Event()

    def note(_: Request, __: socket.socket) -> bool:
        seen.set()
        return True

    app = http_origin(on_head=note)
    proxy = start(http(app.address))
    with Client(proxy.address("web")) as client:
        client.send(get("/", "Content-Length: 1000", method="POST"), b"some")
        assert seen.wait(PATIENCE)
        client.finish()
        with contextlib.suppress(Truncated):
            assert client.response("POST").status in (400, 408)
    until(lambda: app.open == 0)
    assert app.requests == []


def test_an_early_answer_to_an_upload_reaches_a_client_that_goes_on_sending(start: Start, origin: MakeOrigin) -> None:
    """The client sends megabytes, the server has said no and closed: the client must get the no, not a reset."""

    def refuses(connection: socket.socket, _: Origin) -> None:
        Stream(lambda: connection.recv(1 << 16)).until(b"\r\n\r\n")
        connection.sendall(b"HTTP/1.1 401 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(1 << 16):
            pass

    proxy = start(http(origin(refuses).address))
    with Client(proxy.address("web")) as client:
        client.send(get("/", f"Content-Length: {2 * MIB}", method="POST"))
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for _ in range(32):
                client.send(b"x" * (MIB // 16))
        assert client.response("POST").status == 401


def test_many_clients_at_once(start: Start, http_origin: MakeHttp) -> None:
    app = http_origin(lambda request: Reply(body=request.target.encode() + request.body))
    proxy = start(http(app.address))
    wrong: list[str] = []

    def run(number: int) -> None:
        body = b"%d " % number * 3000
        with Client(proxy.address("web")) as client:
            for turn in range(10):
                path = f"/{number}/{turn}"
                sent = post(body, path) if turn % 2 else chunked(body, body, path=path)
                whole = body if turn % 2 else body * 2
                if client.ask(sent).body != path.encode() + whole:
                    wrong.append(path)

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert wrong == []
    assert len(app.requests) == 320
