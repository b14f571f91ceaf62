"""Compression: what the client takes and what is worth it, decoded by decoders that we did not write; never twice."""

import gzip
import threading
import zlib
from collections.abc import Callable
from typing import Any

import brotli  # type: ignore[import-untyped]
import pytest
import zstandard

from headworks import Proxy
from rig.configs import Config, http
from rig.http_clients import Client, ask, get
from rig.http_origins import HttpOrigin, Reply, script
from rig.messages import Response
from rig.origins import Origin

Start = Callable[[Config], Proxy]
MakeHttp = Callable[..., HttpOrigin]
MakeOrigin = Callable[..., Origin]

TEXT = b"".join(b"Line %d of a text that can be compressed.\n" % number for number in range(5000))
DECODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.decompress,
    "br": brotli.decompress,
    "zstd": lambda body: zstandard.ZstdDecompressor().decompressobj().decompress(body),
}
ALL = {"algorithms": ["zstd", "br", "gzip"], "types": ["text/*", "application/json"], "min_size": "1KiB"}


@pytest.fixture
def front(start: Start, http_origin: MakeHttp) -> Callable[..., tuple[Proxy, HttpOrigin]]:
    """Start a compressing proxy before an origin that gives this reply."""

    def make(reply: Reply, **compression: Any) -> tuple[Proxy, HttpOrigin]:
        app = http_origin(lambda _: reply)
        return start(http(app.address, listener={"compression": ALL | compression})), app

    return make


def _text(*fields: tuple[str, str], body: Any = TEXT, status: int = 200, kind: str = "text/plain") -> Reply:
    return Reply(status=status, fields=[("Content-Type", kind), *fields], body=body)


def _coding(answer: Response) -> str | None:
    return answer.get("content-encoding")


@pytest.mark.parametrize("algorithm", DECODERS)
@pytest.mark.parametrize("chunks", [False, True])
def test_what_the_client_takes(front: Callable[..., Any], algorithm: str, chunks: bool) -> None:  # noqa: FBT001
    reply = _text(body=[TEXT[:100], TEXT[100:50_000], TEXT[50_000:]] if chunks else TEXT)
    proxy, _ = front(reply)
    with Client(proxy.address("web")) as client:
        for _ in range(2):
            answer = client.ask(get("/", f"Accept-Encoding: {algorithm}"))
            assert _coding(answer) == algorithm
            assert DECODERS[algorithm](answer.body) == TEXT
            assert len(answer.body) < len(TEXT) / 4
            assert "accept-encoding" in (answer.get("vary") or "").lower()
            assert answer.get("content-length") in (None, str(len(answer.body)))


@pytest.mark.parametrize(
    ("accepted", "chosen"),
    [
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip, br", "br"),
        ("gzip;q=1.0, br;q=0.5", ("br", "gzip")),
        ("br;q=0, gzip", "gzip"),
        ("zstd;q=0, br;q=0.0, gzip;q=0.000", None),
        ("GZIP", "gzip"),
        ("identity", None),
        ("*", ("zstd", "br", "gzip")),
        ("*;q=0", None),
        ("deflate", None),
        ("", None),
    ],
)
def test_what_is_chosen(front: Callable[..., Any], accepted: str, chosen: str | tuple[str, ...] | None) -> None:
    proxy, _ = front(_text())
    answer = ask(proxy.address("web"), get("/", f"Accept-Encoding: {accepted}"))
    coding = _coding(answer)
    assert coding in chosen if isinstance(chosen, tuple) else coding == chosen
    body = DECODERS[coding](answer.body) if coding else answer.body
    assert body == TEXT


def test_nothing_without_being_asked(front: Callable[..., Any]) -> None:
    proxy, _ = front(_text())
    answer = ask(proxy.address("web"), get())
    assert (_coding(answer), answer.body) == (None, TEXT)
    assert "accept-encoding" in (answer.get("vary") or "").lower(), "a cache must know that it could be another"


@pytest.mark.parametrize(
    "reply",
    [
        _text(kind="image/png"),
        _text(kind="application/octet-stream"),
        Reply(body=TEXT),
        _text(body=TEXT[:500]),
        _text(("Cache-Control", "public, no-transform")),
        _text(("Content-Range", "bytes 0-99/1000"), status=206),
        _text(("Content-Encoding", "identity-of-its-own")),
    ],
    ids=["type", "binary", "no type", "small", "no-transform", "range", "encoded"],
)
def test_what_stays_as_it_is(front: Callable[..., Any], reply: Reply) -> None:
    proxy, _ = front(reply)
    answer = ask(proxy.address("web"), get("/", "Accept-Encoding: gzip, br, zstd"))
    assert answer.body == reply.body
    assert answer.get("content-encoding") in (None, "identity-of-its-own")
    assert answer.get("content-length") == str(len(answer.body))


def test_never_twice(front: Callable[..., Any]) -> None:
    proxy, _ = front(_text(("Content-Encoding", "gzip"), ("Vary", "Accept-Encoding"), body=gzip.compress(TEXT)))
    answer = ask(proxy.address("web"), get("/", "Accept-Encoding: gzip, br, zstd"))
    assert _coding(answer) == "gzip"
    assert gzip.decompress(answer.body) == TEXT
    assert answer.all("vary") == ["Accept-Encoding"]


def test_parameters_of_a_type_do_not_matter(front: Callable[..., Any]) -> None:
    proxy, _ = front(_text(kind="Application/JSON; charset=utf-8"))
    assert _coding(ask(proxy.address("web"), get("/", "Accept-Encoding: gzip"))) == "gzip"


def test_what_was_said_of_the_bytes_is_no_longer_said(front: Callable[..., Any]) -> None:
    fields = [("ETag", '"strong"'), ("Accept-Ranges", "bytes"), ("Content-MD5", "x"), ("Vary", "Cookie")]
    proxy, _ = front(_text(*fields))
    answer = ask(proxy.address("web"), get("/", "Accept-Encoding: gzip"))
    assert answer.get("etag") in (None, 'W/"strong"')
    assert answer.get("accept-ranges") in (None, "none")
    assert {one.strip().lower() for value in answer.all("vary") for one in value.split(",")} == {
        "cookie",
        "accept-encoding",
    }


def test_head_and_statuses_without_a_body(front: Callable[..., Any]) -> None:
    proxy, _ = front(_text())
    with Client(proxy.address("web")) as client:
        answer = client.ask(get("/", "Accept-Encoding: gzip", method="HEAD"))
        assert answer.body == b""
        assert client.ask(get("/", "Accept-Encoding: gzip")).status == 200


def test_a_1_0_client_can_read_it(front: Callable[..., Any]) -> None:
    proxy, _ = front(_text())
    answer = ask(proxy.address("web"), get("/", "Accept-Encoding: gzip", version="1.0"))
    assert answer.get("transfer-encoding") is None
    assert (gzip.decompress(answer.body) if _coding(answer) else answer.body) == TEXT


@pytest.mark.parametrize("algorithm", DECODERS)
def test_pieces_can_be_read_as_they_come(start: Start, origin: MakeOrigin, algorithm: str) -> None:
    """What the server has sent can be decoded by the client although more is to come."""
    released = threading.Event()
    first, second = b"data: one\n\n" * 200, b"data: two\n\n"
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    steps = (head, b"%x\r\n%b\r\n" % (len(first), first), released, b"%x\r\n%b\r\n0\r\n\r\n" % (len(second), second))
    proxy = start(http(origin(script(*steps)).address, listener={"compression": ALL}))
    decode = {
        "gzip": zlib.decompressobj(31).decompress,
        "br": brotli.Decompressor().process,
        "zstd": zstandard.ZstdDecompressor().decompressobj().decompress,
    }[algorithm]
    with Client(proxy.address("web")) as client:
        client.send(get("/", f"Accept-Encoding: {algorithm}"))
        assert client.head().get("content-encoding") == algorithm
        got = b""
        while got != first:
            got += decode(_chunk(client))
        released.set()
        while got != first + second:
            got += decode(_chunk(client))


def _chunk(client: Client) -> bytes:
    size = int(client.until(b"\r\n").partition(b";")[0], 16)
    return client.exactly(size + 2)[:-2]


def test_off_by_default(start: Start, http_origin: MakeHttp) -> None:
    proxy = start(http(http_origin(lambda _: _text()).address))
    answer = ask(proxy.address("web"), get("/", "Accept-Encoding: gzip"))
    assert (_coding(answer), answer.body, answer.get("vary")) == (None, TEXT, None)


def test_a_cut_body_is_not_passed_off_as_whole(start: Start, origin: MakeOrigin) -> None:
    from rig.http_clients import Truncated

    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 100000\r\n\r\n"
    proxy = start(http(origin(script(head + TEXT[:5000])).address, listener={"compression": ALL}))
    with Client(proxy.address("web")) as client, pytest.raises((Truncated, ConnectionResetError)):
        client.ask(get("/", "Accept-Encoding: gzip"))
