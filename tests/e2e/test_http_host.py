"""http_host: the host of the first request routes the whole connection, which is passed on to the byte."""

import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from headworks import Proxy
from rig.clients import Target, answer, connect, exactly, line, refusal, served_by, to_end
from rig.configs import Config
from rig.hello import client_hello
from rig.origins import Origin, closes_last, notes, refusing_port
from rig.process import command, write
from rig.programs import free_port, serving
from rig.waiting import until

Start = Callable[[Config], Proxy]
MakeOrigin = Callable[..., Origin]

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """Return a frame of HTTP/2."""
    return len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload


def h2_request(authority: str) -> bytes:
    """Return a whole request of HTTP/2 for ``/``, in plain text."""
    block = b"\x82\x86\x84\x41" + bytes([len(authority)]) + authority.encode()
    return PREFACE + frame(1, 5, 1, block)


def config(servers: dict[str, str], **listener: object) -> Config:
    """Return a listener ``front`` with a table of a.example, *.b.example and c.example."""
    table = {"a.example": "a", "*.b.example": "b"}
    return {
        "listeners": {"front": {"bind": "127.0.0.1:0", "protocol": "http_host", "table": "sites"} | listener},
        "tables": {"sites": table},
        "backends": {name: {"servers": [address]} for name, address in servers.items()},
    }


@pytest.fixture
def front(start: Start, origin: MakeOrigin) -> Target:
    """A proxy in front of origins that echo, with a fallback."""
    servers = {name: origin(name=name).address for name in ("a", "b", "rest")}
    return start(config(servers, fallback="rest")).address("front")


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        (b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", "a"),
        (b"GET / HTTP/1.1\nhost:\tA.EXAMPLE.:8080 \n\n", "a"),
        (b"\r\nPOST /x HTTP/1.1 \r\nX-Odd : 1\r\nHost : x.b.example\r\nContent-Length: 3\r\n\r\nabc", "b"),
        (b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\nGET / HTTP/1.1\r\nHost: x.b.example\r\n\r\n", "a"),
        (h2_request("x.b.example:80"), "b"),
        (b"GET / HTTP/1.0\r\n\r\n", "rest"),
        (b"GET /old\r\n", "rest"),
        (b"GET / HTTP/1.1\r\nHost: a.example\r\nHost: x.b.example\r\n\r\n", "rest"),
        (b"GET / HTTP/1.1\r\nHost: nobody.example\r\n\r\n", "rest"),
        (b"SSH-2.0-x\r\n", "rest"),
        (client_hello("a.example"), "rest"),
        (PREFACE + frame(0, 0, 1, b"x"), "rest"),
        (bytes(64), "rest"),
    ],
)
def test_bytes_reach_the_server_untouched(front: Target, sent: bytes, name: str) -> None:
    assert served_by(front, sent) == name
    with connect(front) as client:
        for one in sent:
            client.sendall(bytes([one]))
        assert line(client) == name
        assert exactly(client, len(sent)) == sent


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: nobody.example\r\n\r\n", 421),
        (b"GET / HTTP/1.0\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: gone.b.example\r\n\r\n", 503),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 2000, 431),
        (h2_request("nobody.example"), 421),
        (h2_request("gone.b.example"), 503),
        (PREFACE + frame(1, 4, 2, b""), 400),
    ],
)
def test_refusals_are_said_in_what_the_client_speaks(
    start: Start, origin: MakeOrigin, sent: bytes, status: int
) -> None:
    with refusing_port() as gone:
        proxy = start(config({"a": origin(name="a").address, "b": gone}, first_bytes_limit="1KiB"))
        said = refusal(proxy.address("front"), sent)
        if sent.startswith(b"PRI"):
            assert said.startswith(bytes([0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0]))
            assert said[12] == 7
            assert said[26:].startswith(b"%d " % status)
        else:
            head, _, body = said.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 %d " % status)
            assert b"Connection: close" in head
            assert b"Content-Length: %d" % len(body) in head


def test_a_client_that_waits_is_told_so(start: Start, origin: MakeOrigin) -> None:
    proxy = start(config({"a": origin().address, "b": origin().address}, timeouts={"first_bytes": "100ms"}))
    assert refusal(proxy.address("front"), b"GET / HTTP/1.1\r\n").startswith(b"HTTP/1.1 408 ")
    assert refusal(proxy.address("front"), PREFACE)[12] == 7


def test_half_close_and_proxy_headers(start: Start, origin: MakeOrigin) -> None:
    last, noting = origin(closes_last), origin(notes)
    made = config({"a": last.address, "b": noting.address}, accept_proxy_from=["127.0.0.1"])
    made["backends"]["b"]["proxy_protocol"] = "v1"
    target = start(made).address("front")
    header = b"PROXY TCP4 192.0.2.1 192.0.2.2 5 80\r\n"
    assert answer(target, header + b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n") == b"last words"
    request = b"GET / HTTP/1.1\r\nHost: x.b.example\r\n\r\n"
    with connect(target) as client:
        client.sendall(header + request)
        client.shutdown(socket.SHUT_WR)
        to_end(client)
    assert noting.received == [header + request]


def test_records_lists_and_counters(start: Start, origin: MakeOrigin) -> None:
    proxy = start(config({"a": origin(name="a").address, "b": origin(name="b").address}))
    sent = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"
    records = proxy.records()
    with connect(proxy.address("front")) as client:
        client.sendall(sent)
        assert line(client) == "a"
        assert exactly(client, len(sent)) == sent
        (row,) = proxy.connections()
        assert (row.host, row.sni, row.backend, row.state) == ("a.example", None, "a", "relaying")
    record = next(records)
    assert (record.host, record.sni, record.backend, record.end) == ("a.example", None, "a", "client_closed")
    assert record.bytes_in == len(sent)
    refusal(proxy.address("front"), b"GET / HTTP/1.1\r\nHost: c.example\r\n\r\n")
    assert next(records).end == "no_match"
    assert until(lambda: proxy.stats().listeners["front"].failed) == 1


def test_reload_and_drain(start: Start, origin: MakeOrigin) -> None:
    """A connection under way keeps its server; one in whose head the reload falls keeps its table."""
    one, other = origin(name="one"), origin(name="other")
    proxy = start(config({"a": one.address, "b": one.address}))
    request = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"
    with connect(proxy.address("front")) as early, connect(proxy.address("front")) as late:
        early.sendall(request)
        assert line(early) == "one"
        late.sendall(request[:20])
        until(lambda: sum(row.bytes_in == 20 for row in proxy.connections()))
        proxy.reload(config({"a": other.address, "b": other.address}))
        late.sendall(request[20:])
        assert line(late) == "one"
        assert served_by(proxy.address("front"), request) == "other"
        early.sendall(b"more")
        assert exactly(early, len(request) + 4) == request + b"more"


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[str]:
    """Run nginx, which speaks HTTP/2 without TLS and nothing else."""
    program = shutil.which("nginx")
    if program is None:
        pytest.skip("nginx is not installed")
    port, file = free_port(), tmp_path / "nginx.conf"
    paths = "".join(
        f"{kind}_temp_path {tmp_path}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    file.write_text(
        f"daemon off; master_process off; pid {tmp_path}/pid; error_log {tmp_path}/error.log; events {{}}\n"
        f"http {{ access_log off; large_client_header_buffers 4 64k; {paths} server {{ listen 127.0.0.1:{port} http2;\n"
        '  location / { return 200 "$server_protocol $host $http_x_long"; } } }\n'
    )
    with serving(program, "-c", str(file), "-p", str(tmp_path), port=port) as address:
        yield address


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_with_http2_and_http10(tmp_path: Path, start: Start, origin: MakeOrigin, nginx: str) -> None:
    """The field block of a real client, with a head that is so long that it takes CONTINUATION."""
    host, port = start(config({"a": origin(name="a").address, "b": nginx}, fallback="b")).address("front")
    for name, long in (("x.b.example", 3), ("x.b.example", 20_000), ("unknown.example", 10)):
        file = tmp_path / "field"
        file.write_text(f"x-long: {'z' * long}\n")
        said = subprocess.run(
            [
                *("curl", "-sS", "--http2-prior-knowledge", "-H", f"@{file}"),
                *("--resolve", f"{name}:{port}:{host}", f"http://{name}:{port}/"),
            ],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert said.stdout == f"HTTP/2.0 {name} {'z' * long}", said.stderr
    old = subprocess.run(
        ["curl", "-sS", "--http1.0", "-H", "Host: a.example", "-m", "2", f"http://{host}:{port}/"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert "a\n" in old.stdout or "HTTP/0.9" in old.stderr


def test_the_command_runs_and_explains_it(tmp_path: Path, origin: MakeOrigin) -> None:
    file = write(tmp_path / "headworks.toml", config({"a": origin(name="a").address, "b": origin(name="b").address}))
    said = command("explain", str(file), "--listener", "front", "--host", "A.Example:80")
    assert said.returncode == 0, said.stderr
    assert "backend  a" in said.stdout
    assert "no_match" in command("explain", str(file), "--listener", "front", "--host", "c.example").stdout
