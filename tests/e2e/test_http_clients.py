"""Clients and servers that everybody uses: curl, http.client, httpx, websockets, wrk, h2load; nginx and uvicorn."""

import asyncio
import contextlib
import hashlib
import http.client
import http.server
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import websockets.sync.client

from headworks import Proxy
from rig.configs import Config, sites
from rig.configs import http as front
from rig.http_clients import Client, get
from rig.http_origins import HttpOrigin, Reply
from rig.messages import Request
from rig.origins import hash_of, pattern
from rig.programs import free_port, serving
from rig.waiting import PATIENCE, until

Start = Callable[[Config], Proxy]
MakeHttp = Callable[..., HttpOrigin]

MIB = 1 << 20


def needs(program: str) -> str:
    """The path of a program, or a skip."""
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")
    if not found:
        pytest.skip(f"{program} is not installed")
    return found


def url(proxy: Proxy, path: str = "/") -> str:
    """An address for clients that take one."""
    host, port = proxy.address("web")
    return f"http://{host}:{port}{path}"


# curl.


def curl(*arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
    """Run curl to its end."""
    command = [needs("curl"), "--silent", "--show-error", "--noproxy", "*", *arguments]
    return subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False)


def test_curl(start: Start, http_origin: MakeHttp) -> None:
    app = http_origin()
    proxy = start(front(app.address))
    done = curl("--fail", url(proxy, "/a"), url(proxy, "/b"))
    assert (done.returncode, done.stdout) == (0, b"app GET /a\napp GET /b\n"), done.stderr
    done = curl("--http1.0", "--fail", url(proxy, "/old"))
    assert (done.returncode, done.stdout) == (0, b"app GET /old\n"), done.stderr
    done = curl("--head", "--fail", url(proxy, "/head"))
    assert done.returncode == 0
    assert done.stdout.startswith(b"HTTP/1.1 200")


def test_curl_reuses_its_connection(start: Start, http_origin: MakeHttp) -> None:
    proxy = start(front(http_origin().address))
    done = curl("--verbose", url(proxy, "/1"), url(proxy, "/2"))
    assert b"Re-using existing connection" in done.stderr


def test_curl_uploads(start: Start, http_origin: MakeHttp, tmp_path: Path) -> None:
    def hashed(request: Request) -> Reply:
        digest = hashlib.sha256(request.body).hexdigest()
        said = f"{request.method} {request.get('transfer-encoding')} {request.get('expect')} {digest}"
        return Reply(body=said.encode())

    def go_on(request: Request, connection: socket.socket) -> bool:
        if request.get("expect"):
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        return True

    file = tmp_path / "file"
    file.write_bytes(b"".join(pattern(4 * MIB)))
    proxy = start(front(http_origin(hashed, on_head=go_on).address))
    want = hash_of(4 * MIB)
    done = curl("--upload-file", file, url(proxy))
    assert done.stdout.decode().split()[::3] == ["PUT", want], done.stderr
    done = curl("--upload-file", file, "--header", "Transfer-Encoding: chunked", url(proxy))
    assert done.stdout.decode().split()[:2] == ["PUT", "chunked"]
    assert done.stdout.decode().split()[3] == want
    done = curl(
        "--verbose",
        "--expect100-timeout",
        "20",
        "--header",
        "Expect: 100-continue",
        "--data-binary",
        f"@{file}",
        url(proxy),
    )
    assert done.stdout.decode().split() == ["POST", "None", "100-continue", want]
    assert b"HTTP/1.1 100 Continue" in done.stderr
    done = curl("--form", f"file=@{file}", "--form", "a=b", url(proxy))
    assert done.returncode == 0


def test_curl_trailers(start: Start, http_origin: MakeHttp) -> None:
    proxy = start(front(http_origin(lambda _: Reply(body=[b"abc"], trailers=[("X-Sum", "7")])).address))
    done = curl("--include", "--raw", url(proxy))
    assert b"X-Sum: 7\r\n" in done.stdout
    done = curl("--dump-header", "-", "--output", "/dev/null", url(proxy))
    assert done.returncode == 0


def test_curl_compressed(start: Start, http_origin: MakeHttp) -> None:
    text = b"a text that can be compressed\n" * 2000
    app = http_origin(lambda _: Reply(fields=[("Content-Type", "text/plain")], body=text))
    proxy = start(front(app.address, listener={"compression": {}}))
    done = curl("--compressed", "--verbose", url(proxy))
    assert done.stdout == text
    assert re.search(rb"(?i)content-encoding: (gzip|br|zstd)", done.stderr)


def test_curl_follows_a_redirect(start: Start, http_origin: MakeHttp) -> None:
    proxy = start(sites({"*/old": {"redirect": {"to": "/new"}}, "*": "app"}, {"app": http_origin().address}))
    done = curl("--location", "--fail", url(proxy, "/old"))
    assert done.stdout == b"app GET /new\n", done.stderr


# Python's clients.


def test_http_client(start: Start, http_origin: MakeHttp) -> None:
    app = http_origin(lambda request: Reply(fields=[("X-Method", request.method)], body=[request.body, b"!"]))
    proxy = start(front(app.address))
    connection = http.client.HTTPConnection(*proxy.address("web"), timeout=PATIENCE)
    with contextlib.closing(connection):
        for method, body in (
            ("GET", None),
            ("POST", b"abc"),
            ("PUT", iter([b"a", b"bc"])),
            ("HEAD", None),
            ("DELETE", None),
        ):
            connection.request(
                method, "/x", body=body, headers={"X-Y": "z"}, encode_chunked=not isinstance(body, bytes | None)
            )
            answer = connection.getresponse()
            got = answer.read()
            assert (answer.status, answer.getheader("x-method")) == (200, method)
            assert got == (b"" if method == "HEAD" else b"abc!" if body else b"!")


def test_httpx(start: Start, http_origin: MakeHttp) -> None:
    text = "a text with ümlauts, compressed\n" * 1000
    reply = Reply(
        fields=[("Content-Type", "text/plain; charset=utf-8"), ("Set-Cookie", "a=b; Path=/")], body=text.encode()
    )
    app = http_origin(lambda _: reply)
    proxy = start(front(app.address, listener={"compression": {}}))
    with httpx.Client(base_url=url(proxy, ""), trust_env=False, timeout=PATIENCE) as client:
        for _ in range(3):
            answer = client.get("/", params={"q": "ü"})
            assert answer.text == text
            assert answer.headers["content-encoding"] in ("gzip", "br", "zstd")
        assert app.requests[-1].get("cookie") == "a=b"
        assert client.post("/", json={"a": 1}).status_code == 200
        with client.stream("GET", "/") as streamed:
            assert "".join(streamed.iter_text()) == text
    assert app.requests[0].target == "/?q=%C3%BC"


def test_httpx_many_at_once(start: Start, http_origin: MakeHttp) -> None:
    proxy = start(front(http_origin(lambda request: Reply(body=request.target.encode())).address))

    async def all_of_them() -> list[str]:
        async with httpx.AsyncClient(base_url=url(proxy, ""), trust_env=False, timeout=PATIENCE) as client:
            answers = await asyncio.gather(*(client.get(f"/{number}") for number in range(100)))
            return [answer.text for answer in answers]

    assert asyncio.run(all_of_them()) == [f"/{number}" for number in range(100)]


# websockets.


def test_websockets(start: Start, websocket_echo: str, http_origin: MakeHttp) -> None:
    proxy = start(sites({"*/ws": "echo", "*": "app"}, {"echo": websocket_echo, "app": http_origin().address}))
    host, port = proxy.address("web")
    with websockets.sync.client.connect(f"ws://{host}:{port}/ws", max_size=None, proxy=None) as client:
        for message in ("hello", "ümlaut", b"\x00\xff" * 1000, "x" * 3_000_000, ""):
            client.send(message)
            assert client.recv(PATIENCE) == message
        assert client.ping().wait(PATIENCE)
    assert client.close_code == 1000
    until(lambda: proxy.stats().connections == 0)
    with pytest.raises(websockets.exceptions.InvalidStatus):
        websockets.sync.client.connect(f"ws://{host}:{port}/", proxy=None)


def test_many_websockets(start: Start, websocket_echo: str) -> None:
    proxy = start(front(websocket_echo))
    host, port = proxy.address("web")
    with contextlib.ExitStack() as stack:
        clients = [
            stack.enter_context(websockets.sync.client.connect(f"ws://{host}:{port}/", proxy=None)) for _ in range(20)
        ]
        for number, client in enumerate(clients):
            client.send(f"{number}")
        assert [client.recv(PATIENCE) for client in clients] == [f"{number}" for number in range(20)]


# Load generators, briefly.


def test_wrk(start: Start, http_origin: MakeHttp) -> None:
    wrk = needs("wrk")
    app = http_origin()
    proxy = start(front(app.address))
    done = subprocess.run(
        [wrk, "-t1", "-c8", "-d1s", url(proxy)], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Non-2xx" not in done.stdout
    assert "Socket errors" not in done.stdout, done.stdout
    assert app.mistakes == []


def test_h2load(start: Start, http_origin: MakeHttp) -> None:
    h2load = needs("h2load")
    proxy = start(front(http_origin().address))
    done = subprocess.run(
        [h2load, "--h1", "-n500", "-c8", "-m4", url(proxy)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "500 succeeded, 0 failed, 0 errored, 0 timeout" in done.stdout, done.stdout


# Servers that everybody uses.


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Run nginx with a directory of files; gives its address and the directory."""
    program, port, files = needs("nginx"), free_port(), tmp_path / "files"
    files.mkdir(mode=0o755)
    config = tmp_path / "nginx.conf"
    config.write_text(
        f"""
        daemon off; master_process off; pid {tmp_path}/nginx.pid; error_log {tmp_path}/error.log;
        events {{ }}
        http {{
          access_log off; client_body_temp_path {tmp_path}/body; proxy_temp_path {tmp_path}/proxy;
          fastcgi_temp_path {tmp_path}/f; uwsgi_temp_path {tmp_path}/u; scgi_temp_path {tmp_path}/s;
          client_max_body_size 100m;
          server {{
            listen 127.0.0.1:{port}; root {files}; keepalive_requests 7; etag on;
            location /echo {{ return 200 "$request_method $request_uri $http_x_forwarded_for\\n"; }}
            location /put {{ dav_methods PUT; client_body_in_file_only off; }}
          }}
        }}
        """
    )
    with serving(program, "-c", str(config), "-e", str(tmp_path / "error.log"), port=port) as address:
        yield address, files


def test_nginx_as_origin(start: Start, nginx: tuple[str, Path], tmp_path: Path) -> None:
    address, files = nginx
    whole = b"".join(pattern(8 * MIB))
    (files / "large").write_bytes(whole)
    proxy = start(front(address))
    done = curl("--fail", url(proxy, "/large"))
    assert hashlib.sha256(done.stdout).hexdigest() == hash_of(8 * MIB)
    done = curl("--fail", "--range", "1000-1999", url(proxy, "/large"))
    assert done.stdout == whole[1000:2000]
    done = curl("--fail", "--range", "0-9,100-109", url(proxy, "/large"))
    assert b"multipart" not in done.stderr
    assert whole[100:110] in done.stdout
    part = tmp_path / "part"
    part.write_bytes(whole[:5000])
    assert curl("--continue-at", "-", "--output", part, url(proxy, "/large")).returncode == 0
    assert part.read_bytes() == whole
    with Client(proxy.address("web")) as client:
        etag = client.ask(get("/large", method="HEAD")).get("etag")
        assert client.ask(get("/large", f"If-None-Match: {etag}")).status == 304
        for number in range(30):
            assert client.ask(get(f"/echo?{number}")).body == f"GET /echo?{number} 127.0.0.1\n".encode()
        assert client.ask(get("/nothing")).status == 404


ASGI = """
import asyncio

async def app(scope, receive, send):
    assert scope["type"] in ("http", "lifespan"), scope
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        return await send({"type": "lifespan.shutdown.complete"})
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    told = dict(scope["headers"]).get(b"x-forwarded-for", b"-")
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-client", told)]})
    for piece in (scope["method"].encode() + b" ", scope["raw_path"] + b" ", body):
        await send({"type": "http.response.body", "body": piece, "more_body": True})
        await asyncio.sleep(0)
    await send({"type": "http.response.body"})
"""


def test_uvicorn_as_origin(start: Start, tmp_path: Path) -> None:
    (tmp_path / "served.py").write_text(ASGI)
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        "served:app",
        "--app-dir",
        str(tmp_path),
        "--port",
        str(port),
        "--log-level",
        "error",
        "--http",
        "h11",
    ]
    with serving(*command, port=port) as address:
        proxy = start(front(address))
        with httpx.Client(base_url=url(proxy, ""), trust_env=False, timeout=PATIENCE) as client:
            for number in range(5):
                answer = client.post(f"/{number}", content=b"body" * number)
                assert answer.content == f"POST /{number} ".encode() + b"body" * number
                assert answer.headers["x-client"] == "127.0.0.1"
            answer = client.post("/chunks", content=iter([b"one", b"two"]))
            assert answer.content == b"POST /chunks onetwo"
        proxy.stop()


def test_python_s_own_server_of_http_1_0(start: Start, tmp_path: Path) -> None:
    """It closes after each answer and frames some of them by that."""
    (tmp_path / "file.txt").write_text("from a file\n")
    port = free_port()
    with serving(
        sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "--directory", str(tmp_path), str(port), port=port
    ) as address:
        proxy = start(front(address))
        with httpx.Client(base_url=url(proxy, ""), trust_env=False, timeout=PATIENCE) as client:
            for _ in range(3):
                assert client.get("/file.txt").text == "from a file\n"
                assert "file.txt" in client.get("/").text
