"""HTTP/1.1 messages as a strict reader sees them: whatever two readers could take differently is an error here.

Independent of the proxy and of h11, so that what the proxy sent is judged by two readers that share no code.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

Fields = list[tuple[str, str]]

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_REQUEST_LINE = re.compile(rf"({_TOKEN}) ([!-~]+) HTTP/1\.([01])")
_STATUS_LINE = re.compile(r"HTTP/1\.([01]) ([1-9][0-9][0-9])(?: ([\t -~\x80-\xff]*))?")
_FIELD_LINE = re.compile(rf"({_TOKEN}):[ \t]*((?:[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?)[ \t]*")
_CHUNK_LINE = re.compile(r"([0-9A-Fa-f]{1,15})((?:[ \t]*;[\t -~\x80-\xff]*)?)")
_HEAD_LIMIT = 1 << 20


class Malformed(Exception):  # noqa: N818  (it is what came, not what we did)
    """What came is no message, or one that could be read in two ways."""


class Truncated(Malformed):
    """The connection ended in the middle of a message."""


@dataclass(kw_only=True)
class Message:
    """What requests and responses share."""

    version: str
    fields: Fields
    body: bytes = b""
    trailers: Fields = field(default_factory=list)
    raw: bytes = b""
    """Every byte of it, as it came."""

    def all(self, name: str) -> list[str]:
        """The values of every field of that name, in order."""
        return [value for one, value in self.fields if one.lower() == name.lower()]

    def get(self, name: str) -> str | None:
        """The value of the one field of that name; two are an error."""
        values = self.all(name)
        assert len(values) <= 1, f"{name} came {len(values)} times: {values}"
        return values[0] if values else None

    @property
    def options(self) -> set[str]:
        """What Connection says, in lower case."""
        return {word.strip().lower() for value in self.all("connection") for word in value.split(",")}

    @property
    def persistent(self) -> bool:
        """Whether its sender wants the connection kept."""
        if self.version == "1.1":
            return "close" not in self.options
        return "keep-alive" in self.options and "close" not in self.options


@dataclass(kw_only=True)
class Request(Message):
    """A request."""

    method: str
    target: str

    @property
    def host(self) -> str | None:
        """Its Host."""
        return self.get("host")


@dataclass(kw_only=True)
class Response(Message):
    """A response."""

    status: int
    reason: str
    to_end: bool = False
    """Its body ended with the connection."""
    interim: "list[Response]" = field(default_factory=list)
    """The 1xx responses that came before it."""


class Stream:
    """Bytes as they come, read in the pieces that messages are made of."""

    def __init__(self, receive: Callable[[], bytes]) -> None:
        self._receive = receive
        self._held = b""
        self._taken = b""

    def fill(self) -> bool:
        """Read once; False at the end."""
        more = self._receive()
        self._held += more
        return bool(more)

    def until(self, mark: bytes, limit: int = _HEAD_LIMIT) -> bytes:
        """Everything up to and with ``mark``; nothing at all when the connection ends before the first byte."""
        looked = 0
        while (found := self._held.find(mark, max(0, looked - len(mark)))) < 0:
            looked = len(self._held)
            if looked > limit:
                raise Malformed(f"no {mark!r} in {looked} bytes")
            if not self.fill():
                if not self._held:
                    return b""
                raise Truncated(f"ended in {self._held[-200:]!r}")
        return self._take(found + len(mark))

    def exactly(self, size: int) -> bytes:
        """``size`` bytes."""
        pieces, missing = [], size
        while missing:
            if not self._held and not self.fill():
                raise Truncated(f"{missing} of {size} bytes are missing")
            piece = self._take(min(missing, len(self._held)))
            pieces.append(piece)
            missing -= len(piece)
        return b"".join(pieces)

    def to_end(self) -> bytes:
        """All that comes until the end."""
        while self.fill():
            pass
        return self._take(len(self._held))

    def rest(self) -> bytes:
        """What has been read and not been asked for."""
        return self._held

    def _take(self, size: int) -> bytes:
        taken, self._held = self._held[:size], self._held[size:]
        return taken


def of_bytes(whole: bytes) -> Stream:
    """A stream of bytes that are all there."""
    pieces = [whole]
    return Stream(lambda: pieces.pop() if pieces else b"")


def read_request(stream: Stream) -> Request | None:
    """One whole request; None at the end."""
    request = read_request_head(stream)
    return request and read_request_body(stream, request)


def read_request_head(stream: Stream) -> Request | None:
    """The head of a request; None at the end."""
    raw = stream.until(b"\r\n\r\n")
    if not raw:
        return None
    line, fields = _head(raw)
    found = _REQUEST_LINE.fullmatch(line)
    if not found:
        raise Malformed(f"no request line: {line!r}")
    request = Request(method=found[1], target=found[2], version=f"1.{found[3]}", fields=fields, raw=raw)
    if request.version == "1.1" and len(request.all("host")) != 1:
        raise Malformed(f"Host: {request.all('host')}")
    _framing(request)
    return request


def read_request_body(stream: Stream, request: Request) -> Request:
    """The rest of a request whose head was read."""
    match _framing(request):
        case int(length):
            request.body = stream.exactly(length)
            request.raw += request.body
        case "chunked":
            _read_chunks(stream, request)
    return request


def read_response(stream: Stream, method: str = "GET") -> Response:
    """One whole response to a request of that method, with the interim ones before it."""
    interim = []
    while 100 <= (response := read_response_head(stream)).status < 200 and response.status != 101:
        interim.append(response)
    response.interim = interim
    return read_response_body(stream, response, method)


def read_response_head(stream: Stream) -> Response:
    """The head of a response, an interim one perhaps."""
    raw = stream.until(b"\r\n\r\n")
    if not raw:
        raise Truncated("the connection ended before the response")
    line, fields = _head(raw)
    found = _STATUS_LINE.fullmatch(line)
    if not found:
        raise Malformed(f"no status line: {line!r}")
    return Response(version=f"1.{found[1]}", status=int(found[2]), reason=found[3] or "", fields=fields, raw=raw)


def read_response_body(stream: Stream, response: Response, method: str = "GET") -> Response:
    """The rest of a response whose head was read."""
    framing = _framing(response)
    if method == "HEAD" or response.status in (101, 204, 304) or (method == "CONNECT" and response.status < 300):
        return response
    match framing:
        case int(length):
            response.body = stream.exactly(length)
            response.raw += response.body
        case "chunked":
            _read_chunks(stream, response)
        case _:
            response.to_end = True
            response.body = stream.to_end()
            response.raw += response.body
    return response


def _head(raw: bytes) -> tuple[str, Fields]:
    text = raw.decode("latin-1").removesuffix("\r\n\r\n")
    lines = text.split("\r\n")
    fields = []
    for line in lines[1:]:
        found = _FIELD_LINE.fullmatch(line)
        if not found:
            raise Malformed(f"no field line: {line!r}")
        fields.append((found[1], found[2]))
    return lines[0], fields


def _framing(message: Message) -> int | str | None:
    lengths, codings = message.all("content-length"), message.all("transfer-encoding")
    if lengths and codings:
        raise Malformed("both Content-Length and Transfer-Encoding")
    if len(lengths) > 1 or len(codings) > 1:
        raise Malformed(f"framed twice: {lengths}{codings}")
    if codings and (codings[0].lower() != "chunked" or message.version != "1.1"):
        raise Malformed(f"Transfer-Encoding: {codings[0]!r} in HTTP/{message.version}")
    if lengths and not re.fullmatch(r"[0-9]{1,18}", lengths[0]):
        raise Malformed(f"Content-Length: {lengths[0]!r}")
    return int(lengths[0]) if lengths else "chunked" if codings else None


def _read_chunks(stream: Stream, message: Message) -> None:
    body = []
    while True:
        line = stream.until(b"\r\n", 4096)
        if not line:
            raise Truncated("ended where a chunk must begin")
        message.raw += line
        found = _CHUNK_LINE.fullmatch(line[:-2].decode("latin-1"))
        if not found:
            raise Malformed(f"no chunk line: {line!r}")
        size = int(found[1], 16)
        if not size:
            break
        chunk = stream.exactly(size + 2)
        message.raw += chunk
        if not chunk.endswith(b"\r\n"):
            raise Malformed(f"a chunk ends in {chunk[-2:]!r}")
        body.append(chunk[:-2])
    message.body = b"".join(body)
    end = stream.exactly(2)
    if end != b"\r\n":
        end += (more := stream.until(b"\r\n\r\n"))
        if not more:
            raise Truncated("ended in a trailer")
        message.trailers = _head(b"\r\n" + end)[1]
    message.raw += end
