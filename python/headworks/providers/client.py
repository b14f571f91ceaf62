"""Client: JSON by HTTP, from an URL or a unix socket, kept connected.

Owns the bounds: how long an answer may take as a whole, and how long it may be. Must never follow a redirect, believe a
server that TLS does not vouch for, or go by a proxy of the environment.
"""

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from headworks.providers.base import ProviderError

MOST = 16 << 20
"""Bytes of an answer at most."""
_REDIRECTS = range(300, 400)
UNCHANGED = 304


@dataclass(frozen=True, kw_only=True)
class Reply:
    """An answer that was read to its end."""

    status: int
    fields: Mapping[str, str]
    """Fields of its head; the names in any case."""
    value: Any
    """The body; None where nothing has changed."""


class Client:
    """One client, for one event loop. ``base`` is the URL that paths are put behind."""

    def __init__(self, base: str, *, timeout: float = 10.0, ca: str | None = None, socket: str | None = None) -> None:
        self._base = base
        self._timeout = timeout
        self._ca = ca
        self._socket = socket

    async def __aenter__(self) -> Self:
        self._http = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(verify=await self._verified(), uds=self._socket),
            timeout=httpx.Timeout(self._timeout, read=None),
            follow_redirects=False,
            # What is counted is what comes.
            headers={"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "headworks"},
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def _verified(self) -> ssl.SSLContext | bool:
        """Return what servers are verified by. Reading authorities takes a while, and is for TLS alone."""
        if httpx.URL(self._base).scheme == "http":
            return False
        try:
            return await asyncio.to_thread(ssl.create_default_context, cafile=self._ca)
        except OSError as error:
            raise ProviderError(f"{self._ca}: {error.strerror or error}") from None

    async def get(
        self, path: str = "", *, fields: Mapping[str, str] | None = None, longer: float = 0.0, **parameters: Any
    ) -> Reply:
        """Ask once. The server may take ``longer`` besides, in seconds. Raises ProviderError."""
        try:
            async with (
                asyncio.timeout(self._timeout + longer),
                self._http.stream("GET", self._base + path, headers=fields, params=parameters or None) as answer,
            ):
                if answer.status_code == UNCHANGED:
                    return Reply(status=UNCHANGED, fields=answer.headers, value=None)
                if answer.status_code != httpx.codes.OK:
                    raise ProviderError(_refused(answer))
                return Reply(status=answer.status_code, fields=answer.headers, value=_parsed(await _body(answer)))
        except TimeoutError:
            raise ProviderError(f"no answer within {self._timeout + longer:g} s") from None
        except httpx.HTTPError as error:
            raise ProviderError(f"{self._socket or self._base}: {type(error).__name__}: {error}".rstrip(": ")) from None

    async def follow(self, path: str, changed: asyncio.Event, **parameters: Any) -> None:
        """Read an answer that has no end; whatever comes sets ``changed``, as does its head. Raises ProviderError."""
        with contextlib.suppress(httpx.HTTPError):
            async with self._http.stream("GET", self._base + path, params=parameters) as answer:
                if answer.status_code != httpx.codes.OK:
                    raise ProviderError(_refused(answer))
                changed.set()
                async for _ in answer.aiter_raw():
                    changed.set()
        raise ProviderError("the stream of events has ended")


class Token:
    """A secret in a file, read again each time; while it cannot be read, what was in it before."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._last: str | None = None

    def __str__(self) -> str:
        """Return it. Raises ProviderError."""
        try:
            self._last = self._path.read_text().strip()
        except OSError as error:
            if self._last is None:
                raise ProviderError(f"{self._path}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise ProviderError(f"{self._path} is no text") from None
        if not self._last or not self._last.isascii() or not self._last.isprintable():
            raise ProviderError(f"{self._path} has no token that a field can have")
        return self._last


@contextlib.asynccontextmanager
async def followed(client: Client, path: str, **parameters: Any) -> AsyncIterator["Changes"]:
    """Follow a stream of events while something else is done."""
    changes = Changes()
    changes.task = asyncio.create_task(client.follow(path, changes.come, **parameters))
    changes.task.add_done_callback(lambda _: changes.come.set())
    try:
        yield changes
    finally:
        changes.task.cancel()
        with contextlib.suppress(asyncio.CancelledError, ProviderError):
            await changes.task


class Changes:
    """A stream of events: all that it says is that something is other than before."""

    task: asyncio.Task[None]

    def __init__(self) -> None:
        self.come = asyncio.Event()

    async def wait(self, most: float) -> None:
        """Wait for a change, at most so many seconds. Raises ProviderError once the stream has ended."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.come.wait(), most)
        self.come.clear()
        if self.task.done():
            self.task.result()


async def _body(answer: httpx.Response) -> bytes:
    if answer.headers.get("Content-Encoding", "identity") != "identity":
        raise ProviderError("the answer is compressed, which was not asked for")
    body = bytearray()
    async for part in answer.aiter_raw():
        body += part
        if len(body) > MOST:
            raise ProviderError(f"the answer is longer than {MOST >> 20} MiB")
    return bytes(body)


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ProviderError(f"the answer is no JSON: {error}") from None


def _refused(answer: httpx.Response) -> str:
    if answer.status_code in _REDIRECTS:
        return f"the answer is {answer.status_code}, which leads elsewhere and is not followed"
    return f"the answer is {answer.status_code} {answer.reason_phrase}".rstrip()
