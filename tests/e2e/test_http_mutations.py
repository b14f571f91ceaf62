"""A thousand mutated requests: what h11 refuses is never accepted, and what is passed on is read alike by all."""

import contextlib
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import h11
import pytest

from headworks import Proxy
from rig.configs import Config, http
from rig.http_clients import Client, Malformed, Truncated, chunked, get, post
from rig.http_origins import HttpOrigin, as_h11_reads
from rig.messages import Truncated as Cut
from rig.messages import of_bytes, read_request

Start = Callable[[Config], Proxy]
MakeHttp = Callable[..., HttpOrigin]

MUTATIONS = 1000

SEEDS = [
    get("/a/b?c=d", "User-Agent: x", "Accept: */*", "Cookie: a=b; c=d"),
    get("http://a.test/x", "Accept-Encoding: gzip, br"),
    post(b"0123456789", "/p", "Content-Type: text/plain"),
    chunked(b"abc", b"defghij", trailers="X-T: 1\r\n"),
    get("*", method="OPTIONS"),
    get("/", "Connection: keep-alive", version="1.0"),
    get("/", "Connection: Upgrade", "Upgrade: x"),
]

BYTES = [
    b"\r\n",
    b"\n",
    b"\r",
    b" ",
    b"\t",
    b"\x00",
    b":",
    b",",
    b";",
    b"0",
    b"1",
    b"\xff",
    b"\x0b",
    b"/",
    b"?",
    b"#",
    b"@",
    b"[",
    b'"',
    b"\\",
]
LINES = [
    b"Content-Length: 3\r\n", b"Content-Length: 10\r\n", b"Transfer-Encoding: chunked\r\n", b"Host: b.test\r\n",
    b"Host: a.test\r\n", b"X: y\r\n",
    b" folded\r\n", b"Connection: close\r\n", b"Expect: 100-continue\r\n", b"TE: trailers\r\n",
    b"Transfer-Encoding: gzip\r\n", b"Content_Length: 1\r\n",
]  # fmt: skip


def mutated(number: int) -> bytes:
    """One of the seeds with one to three mutations."""
    chance = random.Random(number)
    raw = chance.choice(SEEDS)
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(raw))
        match chance.randrange(7):
            case 0:
                raw = raw[:at] + chance.choice(BYTES) + raw[at:]
            case 1:
                raw = raw[:at] + raw[at + 1 :]
            case 2:
                raw = raw[:at] + bytes([chance.randrange(256)]) + raw[at + 1 :]
            case 3:
                end = min(len(raw), at + chance.randint(1, 12))
                raw = raw[:end] + raw[at:]
            case 4:
                line = raw.find(b"\r\n", at) + 2
                raw = raw[:line] + chance.choice(LINES) + raw[line:]
            case 5:
                raw = raw[:at] + raw[at : at + 1].swapcase() + raw[at + 1 :]
            case _:
                raw = raw.replace(b"\r\n", chance.choice([b"\n", b"\r\r\n", b"\r\n"]), 1)
    return raw


def h11_accepts(raw: bytes) -> bool:
    """Whether h11 reads a whole first request in these bytes."""
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(raw)
    try:
        while True:
            event = connection.next_event()
            if isinstance(event, h11.EndOfMessage):
                return True
            if event in (h11.NEED_DATA, h11.PAUSED) or isinstance(event, h11.ConnectionClosed):
                return False
    except h11.RemoteProtocolError:
        return False


def accepted_with_reason(raw: bytes) -> str | None:
    """Why a request that h11 refuses may be accepted."""
    if raw.startswith(b"\r\n") and not raw.startswith(b"\r\n\r\n"):
        return "one empty line before a request is to be ignored (RFC 9112, section 2.2)"
    if any(byte > 0x7F for byte in raw.partition(b"\r\n")[0]):
        return "bytes beyond ASCII in a target are common in the wild, and are passed on as they are"
    return None


@pytest.mark.timeout(180)
def test_nothing_is_accepted_that_h11_refuses(start: Start, http_origin: MakeHttp) -> None:
    app = http_origin()
    timeouts = {"first_bytes": "300ms", "body": "300ms", "keep_alive": "300ms", "tunnel": "300ms"}
    proxy = start(http(app.address, listener={"timeouts": timeouts}))
    target = proxy.address("web")

    def passed(number: int) -> bool:
        with Client(target) as client, contextlib.suppress(Truncated, ConnectionError):
            client.send(mutated(number))
            answer = client.response(mutated(number).partition(b" ")[0].decode("latin-1"))
            assert answer.status in (200, 400, 405, 408, 414, 417, 431, 501, 505), answer
            return answer.get("x-origin") is not None
        return False

    with ThreadPoolExecutor(16) as pool:
        outcome = dict(zip(range(MUTATIONS), pool.map(passed, range(MUTATIONS)), strict=True))
    wrong = {
        number: mutated(number)
        for number, was_passed in outcome.items()
        if was_passed and not h11_accepts(mutated(number)) and not accepted_with_reason(mutated(number))
    }
    assert wrong == {}
    assert sum(outcome.values()) > MUTATIONS // 20, "many mutations harm nobody"
    assert sum(not was_passed for was_passed in outcome.values()) > MUTATIONS // 4
    for recorded in list(app.connections):
        _read_alike(bytes(recorded))


def _read_alike(recorded: bytes) -> None:
    stream, found, whole = of_bytes(recorded), [], 0
    with contextlib.suppress(Cut):
        while request := read_request(stream):
            found.append((request.method, request.target, request.body))
            whole += len(request.raw)
    try:
        assert as_h11_reads(recorded[:whole]) == found
    except h11.RemoteProtocolError:
        assert accepted_with_reason(recorded) or any(ord(c) > 0x7F for _, target, _ in found for c in target)


def test_the_seeds_are_right() -> None:
    for seed in SEEDS:
        assert h11_accepts(seed)
        with contextlib.suppress(Malformed):
            assert read_request(of_bytes(seed))
    assert len({mutated(number) for number in range(MUTATIONS)}) > 0.9 * MUTATIONS
