"""Request smuggling: every known way to make two readers of the same bytes disagree.

Each case is refused so that no origin sees a request of it, or passed on such that what the origin recorded parses, by
two strict readers that share no code with the proxy, to exactly the requests that were answered. A second request
follows each, and a second client comes after it: neither may get what belongs to another.
"""

import contextlib
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest

from headworks import Proxy
from rig.configs import Config, http
from rig.http_clients import Client, Malformed, Response, Truncated, ask, get, post
from rig.http_origins import HttpOrigin, Reply, as_h11_reads
from rig.messages import Request, of_bytes, read_request
from rig.waiting import PATIENCE

Start = Callable[[Config], Proxy]
MakeHttp = Callable[..., HttpOrigin]

REFUSED = frozenset({400})
EVIL = "GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n"
SECOND = get("/second", "Connection: close")


@dataclass(frozen=True, kw_only=True)
class Case:
    """Bytes, and what must become of them."""

    name: str
    sent: bytes
    statuses: frozenset[int] = REFUSED
    """What the client may get when it is refused; empty when it must be passed on."""
    passed: Sequence[str] | None = None
    """What the origin gets when it is passed on, without what follows; None: it must be refused."""
    body: bool = False
    """The mistake is in the body: the origin may have got the head of a request that never becomes whole."""


CASES: list[Case] = []


def case(name: str, sent: str | bytes, *, refused: Sequence[int] = (400,), body: bool = False) -> None:
    """Must be refused."""
    raw = sent if isinstance(sent, bytes) else sent.encode("latin-1")
    CASES.append(Case(name=name, sent=raw, statuses=frozenset(refused), body=body))


def passes(name: str, sent: str, *requests: str) -> None:
    """Must be passed on as those requests."""
    CASES.append(Case(name=name, sent=sent.encode("latin-1"), statuses=frozenset(), passed=requests))


def either(name: str, sent: str, *requests: str, refused: Sequence[int] = (400,)) -> None:
    """May be passed on as those requests, or refused: readers agree about it."""
    CASES.append(Case(name=name, sent=sent.encode("latin-1"), statuses=frozenset(refused), passed=requests))


def req(*lines: str, body: str = "", first: str = "POST /attack HTTP/1.1", host: str = "Host: a.test\r\n") -> str:
    """A request from lines as they are."""
    return f"{first}\r\n{host}" + "".join(f"{line}\r\n" for line in lines) + "\r\n" + body


# Content-Length against Transfer-Encoding.
case("CL.TE", req("Content-Length: 6", "Transfer-Encoding: chunked", body="0\r\n\r\nG"))
case("CL.TE, a whole request behind", req("Content-Length: 46", "Transfer-Encoding: chunked", body="0\r\n\r\n" + EVIL))
case("TE.CL", req("Transfer-Encoding: chunked", "Content-Length: 4", body=f"{len(EVIL):x}\r\n{EVIL}\r\n0\r\n\r\n"))
case("both, and they agree", req("Content-Length: 5", "Transfer-Encoding: chunked", body="0\r\n\r\n"))
case("both, and CL is 0", req("Content-Length: 0", "Transfer-Encoding: chunked", body="0\r\n\r\n" + EVIL))
case("both in a GET", req("Content-Length: 5", "Transfer-Encoding: chunked", first="GET / HTTP/1.1", body="0\r\n\r\n"))
case("CL against identity", req("Content-Length: 3", "Transfer-Encoding: identity", body="abc"), refused=[400, 501])
case("TE in 1.0", req("Transfer-Encoding: chunked", first="POST / HTTP/1.0", body="0\r\n\r\n" + EVIL))
case(
    "TE in 1.0, kept",
    req("Connection: keep-alive", "Transfer-Encoding: chunked", first="POST / HTTP/1.0", body="0\r\n\r\n"),
)

# One Transfer-Encoding that only some readers know.
for value in (
    "xchunked", "chunkedx", "chunk", "x chunked", "chunked x", "chunked;q=1", "chunked;", '"chunked"', "'chunked'",
    "chunked, identity",
    "identity, chunked", "identity", "chunked, chunked", "chunked,chunked", "gzip, chunked", "chunked, gzip", "gzip",
    "cow", "cow, chunked",
    "\x0bchunked", "\x0cchunked", "chunked\x0b", "chunked\x00", "\x00chunked", "chun\x00ked", "\xe3chunked",
    "chunked\xa0", "\xa0chunked",
    "chunked,\x0bidentity", "chunked, trailers", "deflate", "*", "chu\tnked", "\x1fchunked", "chunked\x7f",
    "[chunked]", "chunked=1",
):  # fmt: skip
    case(f"TE: {value!r}", req(f"Transfer-Encoding: {value}", body="0\r\n\r\n"), refused=[400, 501])
for value in ("", ",", "chunked,", ",chunked", "chunked, ", ", chunked", ",,chunked"):
    either(
        f"TE: {value!r}, an empty element",
        req(f"Transfer-Encoding: {value}", body="0\r\n\r\n"),
        "POST /attack ",
        refused=[400, 501],
    )
for value in ("chunked", "Chunked", "CHUNKED", "\tchunked", "  chunked  ", "chunked\t"):
    passes(f"TE: {value!r}", req(f"Transfer-Encoding: {value}", body="3\r\nabc\r\n0\r\n\r\n"), "POST /attack abc")
passes("a name in odd case", req("tRANSFER-eNCODING: chunked", body="3\r\nabc\r\n0\r\n\r\n"), "POST /attack abc")
for line in (
    "Transfer-Encoding : chunked", "Transfer-Encoding\t: chunked", "Transfer-Encoding\x0b: chunked",
    "Transfer-Encoding\x00: chunked",
    "Transfer-Encoding\xa0: chunked", "Transfer Encoding: chunked", "Transfer-Encoding\r\n: chunked",
    "Transfer-Encoding:\r\n chunked",
    "Transfer-Encoding:\r\n\tchunked", "Transfer-Encoding: chunked\r\n , identity",
    "X: y\r\n Transfer-Encoding: chunked",
    "Transfer-Encoding\r\n : chunked", "X: y\nTransfer-Encoding: chunked", "X: y\rTransfer-Encoding: chunked",
    "X: y\r\rTransfer-Encoding: chunked", "X: y\n\rTransfer-Encoding: chunked", "Transfer-Encoding: chunked\nX: y",
    "Transfer-Encoding: chunked\rX: y", "Transfer-Encoding:\nchunked", "Transfer-Encoding",
    "Transfer-Encoding; chunked",
    "Transfer-Encoding= chunked", "Transfer_Encoding: chunked", "transfer_encoding: chunked",
    "\x00Transfer-Encoding: chunked",
    "\xefTransfer-Encoding: chunked", "(Transfer-Encoding): chunked", "Transfer-Encoding: chunked\r\r\n",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked", "Transfer-Encoding: x\r\nTransfer-encoding: chunked",
    "Transfer-Encoding:\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nTransfer_Encoding: identity",
):  # fmt: skip
    case(f"line {line!r}", req(line, body="0\r\n\r\n"), refused=[400, 501])
    case(f"CL and line {line!r}", req("Content-Length: 5", line, body="0\r\n\r\n"), refused=[400, 501])
case(
    "white space before the first field",
    req("Content-Length: 5", body="0\r\n\r\n", host=" Transfer-Encoding: chunked\r\nHost: a.test\r\n"),
)

# Content-Lengths that are read in two ways.
for value in (
    "5, 5", "5,5", "5, 6", "5,", ",5", "+5", "-5", "-0", "+0", "0x5", "5 5", "5a", "a", "", "5.0", "5e0", "1_0", "5;",
    '"5"', "5\x00",
    "\x0b5", "5\x0b", "\x0c5", "\xb2", "99999999999999999999", "18446744073709551621", "9" * 100,
    "\u0665".encode().decode("latin-1"), "5\x00 6",
    "0b101", "0o5", "5h", "five", "5\t5",
):  # fmt: skip
    case(f"CL: {value!r}", req(f"Content-Length: {value}", body="12345"), refused=[400, 413])
for line in (
    "Content-Length: 5\r\nContent-Length: 6", "Content-Length: 6\r\nContent-Length: 5",
    "Content-Length: 0\r\nContent-Length: 5",
    "Content-Length: 5\r\nContent-Length: 5", "Content-Length: 5\r\ncontent-length: 0",
    "Content-Length: 5\r\nContent_Length: 0",
    "Content_Length: 5", "Content-Length : 5", "Content-Length\t: 5", "Content-Length:\r\n 5",
    "Content-Length: 5\r\n 0",
    "Content-Length: 0\nContent-Length: 5", "Content-Length: 0\rContent-Length: 5", "X: y\nContent-Length: 5",
    "Content Length: 5",
    "Content-Length", "Content-Length\x00: 5", "\x00Content-Length: 5", "Content-Length: 5\r\nContent-Length:",
):  # fmt: skip
    case(f"lines {line!r}", req(line, body="12345"))
either("CL with a zero before it", req("Content-Length: 05", body="12345"), "POST /attack 12345")
either(
    "CL with many zeros",
    req("Content-Length: " + "0" * 40 + "5", body="12345"),
    "POST /attack 12345",
    refused=[400, 413],
)
passes("CL without a space", req("Content-Length:5", body="12345"), "POST /attack 12345")
passes("CL in odd case", req("cONTENT-lENGTH: 5", body="12345"), "POST /attack 12345")
passes("a body that looks like a request", req(f"Content-Length: {len(EVIL)}", body=EVIL), f"POST /attack {EVIL}")
passes(
    "a GET with a body",
    req(f"Content-Length: {len(EVIL)}", body=EVIL, first="GET /attack HTTP/1.1"),
    f"GET /attack {EVIL}",
)
passes(
    "a DELETE with a body", req("Content-Length: 2", body="ab", first="DELETE /attack HTTP/1.1"), "DELETE /attack ab"
)
passes("no body where one may be", req(), "POST /attack ")
passes(
    "CL.0: what follows is a request of its own", req("Content-Length: 0", body=EVIL), "POST /attack ", "GET /smuggled "
)
passes("no CL: what follows is a request of its own", req(body=EVIL), "POST /attack ", "GET /smuggled ")
passes(
    "bytes behind a body begin the next request",
    req("Content-Length: 3", body="abcdef"),
    "POST /attack abc",
    "defGET /second ",
)

# What removes a framing field on its way.
for option in ("content-length", "Content-Length, close", "keep-alive, content-length"):
    either(
        f"Connection: {option}", req(f"Connection: {option}", "Content-Length: 5", body="12345"), "POST /attack 12345"
    )
either(
    "Connection: transfer-encoding",
    req("Connection: transfer-encoding", "Transfer-Encoding: chunked", body="3\r\nabc\r\n0\r\n\r\n"),
    "POST /attack abc",
)
either("Connection: host", req("Connection: host", "Content-Length: 0"), "POST /attack ")
either("Connection: te", req("Connection: te, trailer", "TE: trailers", "Content-Length: 0"), "POST /attack ")
either("Connection with rubbish", req("Connection: ;,\t, close x", "Content-Length: 0"), "POST /attack ")

# Lines.
for name, head in {
    "LF everywhere": "GET /attack HTTP/1.1\nHost: a.test\n\n",
    "LF after the request line": "GET /attack HTTP/1.1\nHost: a.test\r\n\r\n",
    "LF after a field": "GET /attack HTTP/1.1\r\nHost: a.test\nX: y\r\n\r\n",
    "LF as the empty line": "GET /attack HTTP/1.1\r\nHost: a.test\r\n\n",
    "LF LF as the end": "GET /attack HTTP/1.1\r\nHost: a.test\n\nGET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "CR LF LF": "GET /attack HTTP/1.1\r\nHost: a.test\r\n\nX: y\r\n\r\n",
    "CR CR LF": "GET /attack HTTP/1.1\r\nHost: a.test\r\r\nX: y\r\n\r\n",
    "CR everywhere": "GET /attack HTTP/1.1\rHost: a.test\r\r\r\n\r\n",
    "CR in a value": "GET /attack HTTP/1.1\r\nHost: a.test\r\nX: a\rb\r\n\r\n",
    "CR at the end of a value": "GET /attack HTTP/1.1\r\nHost: a.test\r\nX: a\r\r\n\r\n",
    "NUL in a value": "GET /attack HTTP/1.1\r\nHost: a.test\r\nX: a\x00b\r\n\r\n",
    "NUL in a name": "GET /attack HTTP/1.1\r\nHost: a.test\r\nX\x00Y: a\r\n\r\n",
    "NUL in the target": "GET /attack\x00 HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "NUL first": "\x00GET /attack HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "a control byte in a value": "GET /attack HTTP/1.1\r\nHost: a.test\r\nX: a\x01b\r\n\r\n",
    "DEL in a value": "GET /attack HTTP/1.1\r\nHost: a.test\r\nX: a\x7fb\r\n\r\n",
    "VT in a value": "GET /attack HTTP/1.1\r\nHost: a.test\r\nX: a\x0bb\r\n\r\n",
    "a fold": "GET /attack HTTP/1.1\r\nHost: a.test\r\nX: a\r\n b\r\n\r\n",
    "a fold by tab": "GET /attack HTTP/1.1\r\nHost: a.test\r\nX: a\r\n\tb\r\n\r\n",
    "a fold of nothing": "GET /attack HTTP/1.1\r\nHost: a.test\r\nX: a\r\n \r\n\r\n",
    "a fold before the first field": "GET /attack HTTP/1.1\r\n Host: a.test\r\n\r\n",
    "a space before the colon": "GET /attack HTTP/1.1\r\nHost: a.test\r\nX : a\r\n\r\n",
    "a space in a name": "GET /attack HTTP/1.1\r\nHost: a.test\r\nX Y: a\r\n\r\n",
    "no name": "GET /attack HTTP/1.1\r\nHost: a.test\r\n: a\r\n\r\n",
    "no colon": "GET /attack HTTP/1.1\r\nHost: a.test\r\nrubbish\r\n\r\n",
    "a name with a slash": "GET /attack HTTP/1.1\r\nHost: a.test\r\nX/Y: a\r\n\r\n",
    "a name that is not ASCII": "GET /attack HTTP/1.1\r\nHost: a.test\r\nX\xe9: a\r\n\r\n",
    "a name in quotes": 'GET /attack HTTP/1.1\r\nHost: a.test\r\n"X": a\r\n\r\n',
}.items():
    case(name, head)

# Request lines.
for line in (
    "GET  /attack HTTP/1.1", "GET /attack  HTTP/1.1", "GET /attack HTTP/1.1 ", " GET /attack HTTP/1.1",
    "GET\t/attack HTTP/1.1", "GET /attack\tHTTP/1.1",
    "GET /a ttack HTTP/1.1", "GET /attack HTTP/1.1 x", "GET /attack", "GET", "GET /attack HTTP", "GET /attack HTTP/",
    "GET /attack HTTP/1", "GET /attack HTTP/1.",
    "GET /attack HTTP/.1", "GET /attack http/1.1", "GET /attack HTTP/1.1\x0b", "GET /attack HTTP/01.1",
    "GET /attack HTTP/1.10", "GET /attack HTTP/1,1", "GET /attack HTTP/a.b",
    "GET /attack HTTPS/1.1", "GET /attack HTTP/+1.1", "GET /attack HTTP /1.1", "G@T /attack HTTP/1.1",
    "G\x00T /attack HTTP/1.1", "(GET) /attack HTTP/1.1", "GET: /attack HTTP/1.1",
    "GET attack HTTP/1.1", "GET ?attack HTTP/1.1", "GET \\attack HTTP/1.1", "GET #attack HTTP/1.1",
    "GET /att\x7fack HTTP/1.1", "GET /att\x0cack HTTP/1.1", "GET /attack#x HTTP/1.1",
    "GET * HTTP/1.1", "GET http:// HTTP/1.1", "GET http:///attack HTTP/1.1", "GET ftp://a.test/attack HTTP/1.1",
    "GET http://a.test@b.test/ HTTP/1.1",
    "GET http://user@a.test/ HTTP/1.1", "GET a.test/attack HTTP/1.1", "GET a.test:80 HTTP/1.1",
    "GET /attack HTTP/1.1\rX: y",
):  # fmt: skip
    case(f"request line {line!r}", req(first=line), refused=[400, 505])
for line in ("GET /attack HTTP/2.0", "GET /attack HTTP/0.9", "GET /attack HTTP/3.0", "GET /attack HTTP/9.9"):
    case(f"request line {line!r}", req(first=line), refused=[400, 505])
either("a later minor version", req(first="GET /attack HTTP/1.2"), "GET /attack ", refused=[400, 505])
either("bytes beyond ASCII in the target", req(first="GET /\xe9 HTTP/1.1"), "GET /\xe9 ")
case("HTTP/0.9", "GET /attack\r\n", refused=[400])
case("HTTP/0.9 with LF", "GET /attack\n")
case("the HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", refused=[400, 505])
case("a ClientHello", b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + bytes(160))
case("SSH", "SSH-2.0-OpenSSH_9.2\r\n")
case("a response", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", refused=[400, 505])
case("a PROXY header", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nGET /attack HTTP/1.1\r\nHost: a.test\r\n\r\n")
either("an empty line before", "\r\nGET /attack HTTP/1.1\r\nHost: a.test\r\n\r\n", "GET /attack ")
case("LF before", "\nGET /attack HTTP/1.1\r\nHost: a.test\r\n\r\n")
case("a space and an empty line before", " \r\nGET /attack HTTP/1.1\r\nHost: a.test\r\n\r\n")

# Host.
for host in (
    "", "Host: a.test\r\nHost: a.test\r\n", "Host: a.test\r\nHost: b.test\r\n", "Host: a.test\r\nhost:\r\n",
    "Host: a.test, b.test\r\n", "Host: a.test b.test\r\n",
    "Host: a.test/x\r\n", "Host: a.test?x\r\n", "Host: a.test#x\r\n", "Host: user@a.test\r\n",
    "Host: a.test:port\r\n", "Host: a.test:80:80\r\n", "Host: [::1\r\n",
    "Host: ::1]\r\n", "Host: a\\b\r\n", "Host: a<b\r\n", "Host : a.test\r\n", "Host: a.test\r\n b.test\r\n",
    "Host:\r\n a.test\r\n", "Host: a\x00b\r\n", "Host: http://a.test\r\n",
    "Host: a.test:-1\r\n", "Host: a.test:99999\r\n", 'Host: "a.test"\r\n', "Host: a.test\xe9\r\n",
):  # fmt: skip
    case(f"host {host!r}", req("Content-Length: 0", host=host))
for host in (
    "Host:\r\n",
    "Host: a.test:\r\n",
    "Host: a_b.test\r\n",
    "Host: a..test\r\n",
    "Host: .\r\n",
    "Host: %61.test\r\n",
    "Host: -\r\n",
):
    either(f"host {host!r}", req("Content-Length: 0", host=host), "POST /attack ")
case("an absolute target of another host", req(first="GET http://b.test/attack HTTP/1.1"))
case("an absolute target of another port", req(first="GET http://a.test:8080/attack HTTP/1.1"))
passes("an absolute target", req(first="GET http://a.test/attack HTTP/1.1"), "GET /attack ")
passes("an absolute target in odd case", req(first="GET HTTP://A.test/attack HTTP/1.1"), "GET /attack ")

# Chunks.


def chunks_case(name: str, body: str, *, refused: Sequence[int] = (400,)) -> None:
    case(f"chunks: {name}", req("Transfer-Encoding: chunked", body=body), refused=refused, body=True)


def chunks_either(name: str, body: str, read: str, *, refused: Sequence[int] = (400,)) -> None:
    sent = req("Transfer-Encoding: chunked", body=body).encode("latin-1")
    CASES.append(
        Case(name=f"chunks: {name}", sent=sent, statuses=frozenset(refused), passed=[f"POST /attack {read}"], body=True)
    )


for size in (
    "FFFFFFFFFFFFFFFFF", "10000000000000005", "0x5", "x5", "+5", "-5", " 5", "\t5", "5\x00", "\x005", "5_", "5.0",
    "5,5", "5h", "", "\x0b5", "5\x0b", "g", "0x0", "--5", "5\x0c",
    "5 5", "\xb5", "5\r", "5\x7f", '"5"',
):  # fmt: skip
    chunks_case(f"size {size!r}", f"{size}\r\n12345\r\n0\r\n\r\n", refused=[400, 413])
for size in ("5 ", "5\t", "05", "0005", "5;", "5 ;a", "5;a", "5;a=b", '5;a="b;c"', "5; a = b", "5;a=b;c", "5;\xe9"):
    chunks_either(f"size {size!r}", f"{size}\r\n12345\r\n0\r\n\r\n", "12345")
chunks_either("many zeros before the size", "0" * 30 + "5\r\n12345\r\n0\r\n\r\n", "12345")
chunks_either("a long extension", "5;" + "a" * 300 + "\r\n12345\r\n0\r\n\r\n", "12345", refused=[400, 413, 431])
chunks_case("an endless extension", "5;" + "a" * 200_000 + "\r\n12345\r\n0\r\n\r\n", refused=[400, 413, 431])
chunks_case("LF after the size", "5\n12345\r\n0\r\n\r\n")
chunks_case("CR after the size", "5\r12345\r\n0\r\n\r\n")
chunks_case("LF in an extension", "5;a\n12345\r\n0\r\n\r\n")
chunks_case("LF and a size in an extension", "5;\n2c\r\n12345\r\n0\r\n\r\n")
chunks_case("CR in an extension", "5;a\rb\r\n12345\r\n0\r\n\r\n")
chunks_case("NUL in an extension", "5;a\x00b\r\n12345\r\n0\r\n\r\n")
chunks_case("nothing after the bytes", "5\r\n123450\r\n\r\n")
chunks_case("LF after the bytes", "5\r\n12345\n0\r\n\r\n")
chunks_case("CR after the bytes", "5\r\n12345\r0\r\n\r\n")
chunks_case("other bytes after the bytes", "5\r\n12345XX0\r\n\r\n")
chunks_case("too few bytes", "6\r\n12345\r\n0\r\n\r\n")
chunks_case("too many bytes", "4\r\n12345\r\n0\r\n\r\n")
chunks_case("LF after the last size", "5\r\n12345\r\n0\n\r\n")
chunks_case("LF as the end", "5\r\n12345\r\n0\r\n\n")
chunks_case("LF in the last extension", "0;\n\r\n\r\n")
chunks_case("CR CR LF as the end", "0\r\n\r\r\n")
chunks_case("rubbish for trailers", "0\r\nrubbish\r\n\r\n")
chunks_case("a trailer with a space before the colon", "0\r\nX : y\r\n\r\n")
chunks_case("a folded trailer", "0\r\nX: y\r\n z\r\n\r\n")
chunks_case("LF in a trailer", "0\r\nX: y\nZ: z\r\n\r\n")
chunks_case("NUL in a trailer", "0\r\nX: y\x00\r\n\r\n")
chunks_case("CR in a trailer", "0\r\nX: y\rz\r\n\r\n")
chunks_case("endless trailers", "0\r\n" + "X: y\r\n" * 50_000 + "\r\n", refused=[400, 413, 431])
for trailer in (
    "Content-Length: 5",
    "Transfer-Encoding: chunked",
    "Host: b.test",
    "Connection: close",
    "Trailer: X",
    "Upgrade: x",
    "Content_Length: 5",
):
    chunks_either(f"the trailer {trailer}", f"3\r\nabc\r\n0\r\n{trailer}\r\n\r\n", "abc")
chunks_either("many zeros as the end", "3\r\nabc\r\n000\r\n\r\n", "abc")


@pytest.mark.parametrize("one", CASES, ids=[one.name for one in CASES])
def test_no_two_readers_disagree(start: Start, http_origin: MakeHttp, one: Case) -> None:
    app = http_origin(_says_what_it_saw)
    timeouts = {"first_bytes": "300ms", "body": "300ms", "keep_alive": "300ms"}
    proxy = start(http(app.address, listener={"timeouts": timeouts}) | {"proxy": {"workers": 1}})
    # There is a server connection to poison.
    assert ask(proxy.address("web"), get("/before")).status == 200
    answers = _converse(proxy, one.sent + SECOND)
    seen = [_named(request) for request in app.requests[1:]]
    assert [answer.get("x-saw") for answer in answers if answer.get("x-saw")] == [_escaped(name) for name in seen]
    _two_readers_agree(app)
    if one.passed is not None and seen[: len(one.passed)] == list(one.passed):
        assert [answer.status for answer in answers[: len(one.passed)]] == [200] * len(one.passed)
        if len(seen) > len(one.passed):
            assert seen[len(one.passed) :] == ["GET /second "]
    else:
        assert one.statuses, f"must be passed on, but: {[(answer.status, answer.body) for answer in answers]}"
        assert answers, "refused without a word"
        first = next((answer for answer in answers if not answer.get("x-saw")), answers[0])
        assert (first.status in one.statuses or first.status == 408) if one.body else first.status in one.statuses
        assert not any("smuggled" in name.split()[1] for name in seen)
        assert "GET /second " not in seen, "what follows a mistake is never a request"
        if not one.body and first.status != 200:
            assert [len(recorded) for recorded in app.connections] == [len(app.requests[0].raw)], "no byte reached it"
    victim = ask(proxy.address("web"), get("/victim"))
    assert (victim.status, victim.get("x-saw")) == (200, "GET /victim")
    _two_readers_agree(app)


def _says_what_it_saw(request: Request) -> Reply:
    return Reply(fields=[("X-Saw", _escaped(_named(request)))], body=b"ok")


def _named(request: Request) -> str:
    return f"{request.method} {request.target} {request.body.decode('latin-1')}"


def _escaped(name: str) -> str:
    """As it comes through a field's value."""
    return name.encode("unicode_escape").decode().rstrip(" ")


def _converse(proxy: Proxy, sent: bytes) -> list[Response]:
    """Send everything, and read every response until the connection ends, however it does."""
    answers = []
    with Client(proxy.address("web")) as client:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            client.send(sent)
        with contextlib.suppress(Truncated, ConnectionResetError):
            while True:
                answer = client.response()
                answers.append(answer)
        assert client.ended(), "nothing follows the last response"
    return answers


def _two_readers_agree(app: HttpOrigin) -> None:
    """The strict reader and h11 find the same requests in what the origin got, and nothing else is there."""
    assert app.mistakes == [] or all("missing" in one or "ended in" in one for one in app.mistakes), app.mistakes
    for recorded in list(app.connections):
        stream, found = of_bytes(bytes(recorded)), []
        whole = 0
        try:
            while request := read_request(stream):
                found.append((request.method, request.target, request.body))
                whole += len(request.raw)
                forbidden = {"content-length", "transfer-encoding", "host", "connection", "upgrade", "content_length"}
                assert not forbidden & {name.lower() for name, _ in request.trailers}
        except Truncated:
            pass  # it never became whole, and its connection has ended or will never be used again
        assert as_h11_reads(bytes(recorded[:whole])) == found


# Ways that need a conversation.


def _drained(connection: socket.socket) -> bool:
    """Read what comes until the end: closing with bytes unread would be a reset."""
    while connection.recv(1 << 16):
        pass
    return False


@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_an_early_response_and_a_body_that_looks_like_requests(
    start: Start, http_origin: MakeHttp, framing: str
) -> None:
    """The server answers before it has read the body; the rest of that body is never a request."""

    def at_once(request: Request, connection: socket.socket) -> bool:
        if request.target != "/early":
            return True
        connection.sendall(b"HTTP/1.1 403 No\r\nContent-Length: 2\r\nX-Saw: early\r\n\r\nno")
        answered.set()
        return _drained(connection)

    answered = threading.Event()
    app = http_origin(_says_what_it_saw, on_head=at_once)
    proxy = start(http(app.address) | {"proxy": {"workers": 1}})
    evil = EVIL.encode() * 100
    with Client(proxy.address("web")) as client:
        if framing == "length":
            client.send(get("/early", f"Content-Length: {2 * len(evil)}", method="POST"), evil[:500])
            rest = evil[500:] + evil
        else:
            client.send(get("/early", "Transfer-Encoding: chunked", method="POST"), b"%x\r\n" % len(evil), evil[:500])
            rest = evil[500:] + b"\r\n0\r\n\r\n"
        assert answered.wait(PATIENCE)
        assert client.response("POST").status == 403
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            client.send(rest, get("/after", "Connection: close"))
        with contextlib.suppress(Truncated, ConnectionResetError):
            assert client.response().get("x-saw") == "GET /after"
        assert client.rest() == b""
    assert not [request for request in app.requests if "smuggled" in request.target]
    assert all(request.target == "/after" for request in app.requests)


def test_a_pause_in_the_middle(start: Start, http_origin: MakeHttp) -> None:
    """The head is with the server when the body, which looks like a request, comes."""
    seen = threading.Event()

    def note(_: Request, __: object) -> bool:
        seen.set()
        return True

    app = http_origin(_says_what_it_saw, on_head=note)
    proxy = start(http(app.address))
    with Client(proxy.address("web")) as client:
        for turn in range(3):
            seen.clear()
            client.send(get(f"/{turn}", f"Content-Length: {len(EVIL)}", method="POST"))
            assert seen.wait(PATIENCE)
            client.send(EVIL.encode())
            answer = client.response("POST")
            assert answer.get("x-saw") == _escaped(f"POST /{turn} {EVIL}")
    _two_readers_agree(app)


def test_a_client_that_leaves_in_the_middle_poisons_nobody(start: Start, http_origin: MakeHttp) -> None:
    """A server connection whose request was not finished is never used again."""
    seen = threading.Event()

    def note(_: Request, __: object) -> bool:
        seen.set()
        return True

    app = http_origin(_says_what_it_saw, on_head=note)
    proxy = start(http(app.address) | {"proxy": {"workers": 1}})
    for head in (
        get("/half", "Content-Length: 1000", method="POST"),
        get("/half", "Transfer-Encoding: chunked", method="POST") + b"ff\r\n",
    ):
        seen.clear()
        with Client(proxy.address("web")) as client:
            client.send(head, b"some")
            assert seen.wait(PATIENCE)
        victim = ask(proxy.address("web"), get("/victim"))
        assert victim.get("x-saw") == "GET /victim"
    assert [request.target for request in app.requests] == ["/victim"] * 2
    for recorded in app.connections:
        assert b"/victim" not in recorded.partition(b"/half")[2]


def test_a_refused_expectation_and_a_body_all_the_same(start: Start, http_origin: MakeHttp) -> None:
    """The client was told no and sends its body, which looks like a request, all the same."""

    def refuses(request: Request, connection: socket.socket) -> bool:
        if request.get("expect"):
            connection.sendall(b"HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n")
            return _drained(connection)
        return True

    app = http_origin(_says_what_it_saw, on_head=refuses)
    proxy = start(http(app.address))
    with Client(proxy.address("web")) as client:
        client.send(get("/early", "Expect: 100-continue", f"Content-Length: {len(EVIL)}", method="POST"))
        assert client.response("POST").status == 417
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            client.send(EVIL.encode())
        client.rest()
    assert app.requests == []


@pytest.mark.parametrize("expectation", ["100-continue, x", "x", "100-Continue\t", "100-continue;q=1"])
def test_expectations_of_other_kinds(start: Start, http_origin: MakeHttp, expectation: str) -> None:
    app = http_origin(_says_what_it_saw)
    proxy = start(http(app.address))
    with Client(proxy.address("web")) as client:
        answer = client.ask(post(b"abc", "/", f"Expect: {expectation}"))
        assert answer.status in (200, 400, 417)
    _two_readers_agree(app)


def test_an_upgrade_to_http_2_is_not_passed_on(start: Start, http_origin: MakeHttp) -> None:
    """What is said in a tunnel of HTTP/2 is beyond all rules here, so none is opened."""
    app = http_origin(_says_what_it_saw)
    proxy = start(http(app.address))
    fields = ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"]
    answer = ask(proxy.address("web"), get("/", *fields))
    assert answer.status in (200, 400)
    for request in app.requests:
        assert request.all("upgrade") == []
        assert request.all("http2-settings") == []


def test_an_upgrade_with_a_body_is_framed(start: Start, http_origin: MakeHttp) -> None:
    app = http_origin(_says_what_it_saw)
    proxy = start(http(app.address))
    with Client(proxy.address("web")) as client:
        answer = client.ask(post(EVIL.encode(), "/", "Connection: Upgrade", "Upgrade: echo"))
        assert answer.status in (200, 400)
        if answer.status == 200:
            assert client.ask(get("/after")).get("x-saw") == "GET /after"
    assert not [one for one in app.requests if "smuggled" in one.target]
    _two_readers_agree(app)


def test_the_rig_would_see_a_smuggled_request() -> None:
    """Were readers to agree about everything, nothing here would show anything."""
    with pytest.raises(Malformed):
        read_request(of_bytes(CASES[0].sent))
    assert len(CASES) > 300
    assert len({one.name for one in CASES}) == len(CASES)
