"""HTTPS with clients that everybody uses: curl, Python's ssl, http.client and asyncio, httpx, websockets, h2load."""

import asyncio
import contextlib
import hashlib
import http.client
import re
import select
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
import websockets.sync.client

from headworks import Proxy
from rig.http_clients import get
from rig.http_origins import HttpOrigin, Reply
from rig.messages import Request
from rig.origins import Origin, hash_of, hash_to_end, pattern
from rig.tls_clients import TlsClient, ask_tls, curl, needs
from rig.tls_configs import Config, https, https_sites, secured
from rig.tls_files import Pki
from rig.waiting import PATIENCE, until

Start = Callable[[Config], Proxy]
MakeHttp = Callable[..., HttpOrigin]

MIB = 1 << 20


@pytest.fixture
def serve(start: Start, pki: Pki) -> Callable[..., Proxy]:
    """Start an https listener for a.test, whose origin is at the address."""

    def make(address: str, **others: object) -> Proxy:
        return start(https(address, tls=secured(pki.pem("a.test", "*.b.test", "localhost", "127.0.0.1")), **others))  # type: ignore[arg-type]

    return make


# curl.


@pytest.mark.parametrize(
    ("version", "wanted"),
    [
        ("1.2", "ECDHE-ECDSA-AES128-GCM-SHA256"),
        ("1.2", "ECDHE-ECDSA-AES256-GCM-SHA384"),
        ("1.2", "ECDHE-ECDSA-CHACHA20-POLY1305"),
        ("1.3", "TLS_AES_128_GCM_SHA256"),
        ("1.3", "TLS_AES_256_GCM_SHA384"),
        ("1.3", "TLS_CHACHA20_POLY1305_SHA256"),
    ],
)
def test_curl_gets_the_cipher_it_asks_for(
    serve: Callable[..., Proxy], http_origin: MakeHttp, pki: Pki, version: str, wanted: str
) -> None:
    proxy = serve(http_origin().address)
    which = "--ciphers" if version == "1.2" else "--tls13-ciphers"
    versions = [f"--tlsv{version}", "--tls-max", version]
    done = curl(
        proxy.address("web"), pki.ca, "--verbose", "--fail", *versions, which, wanted, "https://a.test/", name="a.test"
    )
    assert (done.returncode, done.stdout) == (0, b"app GET /\n"), done.stderr
    assert f"SSL connection using TLSv{version} / {wanted}".encode() in done.stderr


def test_curl_names_what_it_asks_for(serve: Callable[..., Proxy], http_origin: MakeHttp, pki: Pki) -> None:
    proxy = serve(http_origin().address)
    target = proxy.address("web")
    for name, code in (("a.test", 0), ("x.b.test", 0), ("c.test", 60), ("x.y.b.test", 60)):
        done = curl(target, pki.ca, f"https://{name}/", name=name)
        assert done.returncode == code, (name, done.stderr)
    host, port = target
    done = curl(target, pki.ca, "--resolve", f"a.test:{port}:{host}", f"https://a.test:{port}/resolved", name="-")
    assert done.stdout == b"app GET /resolved\n", done.stderr


def test_curl_is_offered_http_1_1_alone(serve: Callable[..., Proxy], http_origin: MakeHttp, pki: Pki) -> None:
    proxy = serve(http_origin().address)
    done = curl(proxy.address("web"), pki.ca, "--http2", "--verbose", "https://a.test/")
    assert b"offers h2" in done.stderr
    assert b"server accepted http/1.1" in done.stderr
    assert done.stdout == b"app GET /\n"


def test_curl_sends_and_gets_everything(
    serve: Callable[..., Proxy], http_origin: MakeHttp, pki: Pki, tmp_path: Path
) -> None:
    def hashed(request: Request) -> Reply:
        digest = hashlib.sha256(request.body).hexdigest()
        return Reply(body=f"{request.method} {request.get('transfer-encoding')} {digest}".encode())

    def go_on(request: Request, connection: socket.socket) -> bool:
        if request.get("expect"):
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        return True

    file = tmp_path / "file"
    file.write_bytes(b"".join(pattern(4 * MIB)))
    target = serve(http_origin(hashed, on_head=go_on).address).address("web")
    want = hash_of(4 * MIB).encode()
    url = "https://a.test/"
    assert curl(target, pki.ca, "--upload-file", file, url).stdout == b"PUT None " + want
    chunked = curl(target, pki.ca, "--upload-file", file, "--header", "Transfer-Encoding: chunked", url)
    assert chunked.stdout == b"PUT chunked " + want
    waiting = ["--expect100-timeout", "20", "--header", "Expect: 100-continue", "--data-binary", f"@{file}"]
    expecting = curl(target, pki.ca, "--verbose", *waiting, url)
    assert expecting.stdout == b"POST None " + want
    assert b"HTTP/1.1 100 Continue" in expecting.stderr
    head = curl(target, pki.ca, "--head", "--fail", url)
    assert (head.returncode, head.stdout[:12]) == (0, b"HTTP/1.1 200")


def test_curl_downloads(serve: Callable[..., Proxy], http_origin: MakeHttp, pki: Pki) -> None:
    whole = b"".join(pattern(8 * MIB))
    pieces = [whole[at : at + 100_001] for at in range(0, len(whole), 100_001)]
    app = http_origin(
        lambda request: Reply(body=whole) if request.target == "/whole" else Reply(body=pieces, trailers=[("X-T", "7")])
    )
    target = serve(app.address).address("web")
    for version in ("1.2", "1.3"):
        done = curl(target, pki.ca, "--tls-max", version, "https://a.test/whole", "https://a.test/pieces")
        assert done.stdout == whole * 2, done.stderr
    again = curl(target, pki.ca, "--verbose", "https://a.test/whole", "https://a.test/pieces")
    assert b"Re-using existing connection" in again.stderr


# Python's clients.


def test_http_client(serve: Callable[..., Proxy], http_origin: MakeHttp, pki: Pki) -> None:
    app = http_origin(lambda request: Reply(fields=[("X-Method", request.method)], body=[request.body, b"!"]))
    proxy = serve(app.address)
    _, port = proxy.address("web")
    for version in ("1.2", "1.3"):
        connection = http.client.HTTPSConnection(
            "localhost", port, timeout=PATIENCE, context=pki.client(version=version)
        )
        with contextlib.closing(connection):
            for method, body in (("GET", None), ("POST", b"abc"), ("PUT", iter([b"a", b"bc"])), ("HEAD", None)):
                connection.request(method, "/x", body=body, encode_chunked=not isinstance(body, bytes | None))
                answer = connection.getresponse()
                got = answer.read()
                assert (answer.status, answer.getheader("x-method")) == (200, method)
                assert got == (b"" if method == "HEAD" else b"abc!" if body else b"!")


def test_asyncio(serve: Callable[..., Proxy], http_origin: MakeHttp, pki: Pki) -> None:
    host, port = serve(http_origin(lambda request: Reply(body=request.target.encode() * 1000)).address).address("web")

    async def one(number: int) -> bytes:
        reader, writer = await asyncio.open_connection(host, port, ssl=pki.client(), server_hostname="a.test")
        writer.write(get(f"/{number}", "Connection: close"))
        whole = await reader.read()
        writer.close()
        await writer.wait_closed()
        return whole.partition(b"\r\n\r\n")[2]

    async def all_of_them() -> list[bytes]:
        return await asyncio.gather(*map(one, range(50)))

    assert asyncio.run(all_of_them()) == [f"/{number}".encode() * 1000 for number in range(50)]


def test_httpx(serve: Callable[..., Proxy], http_origin: MakeHttp, pki: Pki) -> None:
    text = "a text with ümlauts, compressed\n" * 1000
    reply = Reply(fields=[("Content-Type", "text/plain; charset=utf-8")], body=text.encode())
    host, port = serve(http_origin(lambda _: reply).address, listener={"compression": {}}).address("web")
    with httpx.Client(
        base_url=f"https://{host}:{port}", trust_env=False, timeout=PATIENCE, verify=pki.client()
    ) as client:
        for _ in range(3):
            answer = client.get("/", params={"q": "ü"})
            assert answer.text == text
            assert answer.headers["content-encoding"] in ("gzip", "br", "zstd")
        assert client.post("/", json={"a": 1}).status_code == 200
        with client.stream("GET", "/") as streamed:
            assert "".join(streamed.iter_text()) == text


def test_httpx_many_at_once(serve: Callable[..., Proxy], http_origin: MakeHttp, pki: Pki) -> None:
    host, port = serve(http_origin(lambda request: Reply(body=request.target.encode())).address).address("web")

    async def all_of_them() -> list[str]:
        limits = httpx.Limits(max_connections=20)
        async with httpx.AsyncClient(
            base_url=f"https://{host}:{port}", trust_env=False, timeout=PATIENCE, verify=pki.client(), limits=limits
        ) as client:
            answers = await asyncio.gather(*(client.get(f"/{number}") for number in range(100)))
            return [answer.text for answer in answers]

    assert asyncio.run(all_of_them()) == [f"/{number}" for number in range(100)]


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_a_session_is_resumed(serve: Callable[..., Proxy], http_origin: MakeHttp, pki: Pki, version: str) -> None:
    target = serve(http_origin().address).address("web")
    tls = pki.client(version=version)
    with TlsClient(target, tls) as client:
        assert client.ask(get()).status == 200
        assert not client.secure.session_reused
        session = client.secure.session
    with TlsClient(target, tls, session=session) as client:
        assert client.ask(get("/again")).body == b"app GET /again\n"
        assert client.secure.session_reused


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_many_requests_at_once_are_answered_in_order(
    serve: Callable[..., Proxy], http_origin: MakeHttp, pki: Pki, version: str
) -> None:
    target = serve(http_origin().address).address("web")
    with TlsClient(target, pki.client(version=version)) as client:
        client.send(b"".join(get(f"/{number}") for number in range(200)))
        assert [client.response().body for _ in range(200)] == [
            f"app GET /{number}\n".encode() for number in range(200)
        ]


def test_the_end_is_said_on_both_sides(serve: Callable[..., Proxy], http_origin: MakeHttp, pki: Pki) -> None:
    """Ours is a close_notify (the client would take anything else for an error), theirs is answered."""
    target = serve(http_origin().address).address("web")
    for version in ("1.2", "1.3"):
        with TlsClient(target, pki.client(version=version)) as client:
            assert client.ask(get("/", "Connection: close")).status == 200
            assert client.rest() == b""
        with TlsClient(target, pki.client(version=version)) as client:
            assert client.ask(get()).status == 200
            client.secure.unwrap().close()


def test_an_answer_that_ends_with_its_connection_is_whole_or_an_error(
    serve: Callable[..., Proxy], http_origin: MakeHttp, pki: Pki
) -> None:
    app = http_origin(lambda _: Reply(raw=b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * MIB, close=True))
    proxy = serve(app.address)
    assert ask_tls(proxy.address("web"), pki.client()).body == b"x" * MIB


# WebSockets.


def test_websockets(start: Start, websocket_echo: str, http_origin: MakeHttp, pki: Pki) -> None:
    servers = {"echo": websocket_echo, "app": http_origin().address}
    proxy = start(https_sites({"*/ws": "echo", "*": "app"}, servers, tls=secured(pki.pem("localhost", "127.0.0.1"))))
    host, port = proxy.address("web")
    url = f"wss://{host}:{port}"
    with websockets.sync.client.connect(f"{url}/ws", max_size=None, proxy=None, ssl=pki.client()) as client:
        for message in ("hello", "ümlaut", b"\x00\xff" * 1000, "x" * 3_000_000, ""):
            client.send(message)
            assert client.recv(PATIENCE) == message
        assert client.ping().wait(PATIENCE)
    assert client.close_code == 1000
    until(lambda: proxy.stats().connections == 0)
    with pytest.raises(websockets.exceptions.InvalidStatus):
        websockets.sync.client.connect(f"{url}/", proxy=None, ssl=pki.client())


# Much at once.


def test_both_directions_at_once(serve: Callable[..., Proxy], origin: Callable[..., Origin], pki: Pki) -> None:
    """A tunnel whose ends both send much before they read: nothing is lost, nobody waits for the other."""
    size = 8 * MIB

    def switch(connection: socket.socket, origin: Origin) -> None:
        while b"\r\n\r\n" not in connection.recv(1 << 16):
            pass
        connection.sendall(b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: raw\r\n\r\n")
        sender = threading.Thread(target=lambda: connection.sendall(b"".join(pattern(size))))
        sender.start()
        origin.note(hash_to_end(connection).encode())
        sender.join(PATIENCE)

    app = origin(switch)
    target = serve(app.address).address("web")
    with TlsClient(target, pki.client()) as client:
        assert client.ask(get("/", "Connection: upgrade", "Upgrade: raw")).status == 101
        assert _send_and_hash(client.secure, size) == hash_of(size)
        client.secure.settimeout(PATIENCE)
        client.secure.unwrap().close()
    until(lambda: app.received, "the origin has it all")
    assert app.received == [hash_of(size).encode()]


def _send_and_hash(secure: ssl.SSLSocket, size: int) -> str:
    """Send so many bytes and read as many, whichever goes; the hash of what was read."""
    secure.setblocking(False)
    parts, waiting, hashed, read = pattern(size), memoryview(b""), hashlib.sha256(), 0
    while read < size or waiting is not None:
        done = False
        with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError):
            more = secure.recv(1 << 16) if read < size else b""
            hashed.update(more)
            read, done = read + len(more), bool(more)
        with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError):
            if waiting is not None:
                waiting = waiting or memoryview(next(parts, b""))
                waiting = waiting[secure.send(waiting) :] if waiting else None  # type: ignore[assignment]
                done = True
        if not done:
            select.select([secure], [secure] if waiting else [], [], PATIENCE)
    return hashed.hexdigest()


def test_h2load(serve: Callable[..., Proxy], http_origin: MakeHttp) -> None:
    h2load = needs("h2load")
    proxy = serve(http_origin().address)
    host, port = proxy.address("web")
    command = [h2load, "--h1", "-n500", "-c8", "-m1", f"https://{host}:{port}/"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert "500 succeeded, 0 failed, 0 errored, 0 timeout" in done.stdout, done.stdout + done.stderr
    assert re.search(r"TLS Protocol: TLSv1.3", done.stdout)
    until(lambda: proxy.stats().connections == 0)
    assert proxy.stats().listeners["web"].handshakes == 8


def test_wrk(serve: Callable[..., Proxy], http_origin: MakeHttp) -> None:
    wrk = needs("wrk")
    app = http_origin()
    host, port = serve(app.address).address("web")
    command = [wrk, "-t1", "-c8", "-d1s", f"https://{host}:{port}/"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    assert "Non-2xx" not in done.stdout
    assert "Socket errors" not in done.stdout, done.stdout
    assert app.mistakes == []
