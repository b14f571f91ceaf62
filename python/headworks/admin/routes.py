"""Routes: from a request to an operation and back, as an ASGI app.

Owns the order: guard, body within its bounds, role, operation on a thread of its own kind, answer. Must never decide
who may come (guard.py) or what an operation does (operations.py).
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route, Router
from starlette.staticfiles import StaticFiles
from starlette.types import Message, Receive, Scope, Send

from headworks.admin import events, refusal
from headworks.admin.answers import Me
from headworks.admin.asked import Secret
from headworks.admin.events import Events
from headworks.admin.guard import GUARDED, HEADERS, OPEN, Guard
from headworks.admin.openapi import description
from headworks.admin.operations import MOST, Call, Operation, operations
from headworks.admin.refusal import Refusal
from headworks.admin.sessions import COOKIE, LASTS
from headworks.admin.who import Who
from headworks.config.tokens import Role
from headworks.stats import METRICS_TYPES

if TYPE_CHECKING:
    from headworks.admin.admin import Admin

PAGE = Path(__file__).resolve().parent.parent / "web"
"""Files that are served under /."""
THREADS = 4
"""Operations at once: they ask the engine, and some wait for it."""
PATIENCE = 60.0
"""Seconds that a request may take, its body included; events left aside."""
_SLOW_BODY = 10.0
"""Seconds until a body must be there."""

_SESSION = "/v1/session"

_LOG = logging.getLogger("headworks.admin")


def app(admin: "Admin", *, trust: Role | None = None, guard: Guard | None = None) -> "App":
    """Return the app of one proxy."""
    return App(admin, guard or Guard.of(admin.proxy.config.admin, trust))


class App:
    """The ASGI app: the guard, then the routes, then the headers of every answer."""

    def __init__(self, admin: "Admin", guard: Guard) -> None:
        self.admin = admin
        self.guard = guard
        self.events = Events(admin)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="admin")
        made = operations()
        routes = [
            Route(f"/v1{path}", _Resource([one for one in made if one.path == path], self))
            for path in sorted({one.path for one in made}, key=lambda path: "{" in path)
        ]
        self._router = Router(
            [
                Route("/healthz", self._health, methods=["GET"]),
                Route("/readyz", self._ready, methods=["GET"]),
                Route("/v1/openapi.json", self._openapi, methods=["GET"]),
                Route("/v1/events", self._stream, methods=["GET"]),
                Route("/v1/me", self._me, methods=["GET"]),
                Route(_SESSION, self._session, methods=["POST", "DELETE"]),
                *routes,
                Route("/metrics", self._metrics, methods=["GET"]),
                Mount("/", StaticFiles(directory=PAGE, html=True, check_dir=False)),
            ],
            redirect_slashes=False,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102  (ASGI)
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await _lifespan(receive, send)
            return
        answering = _Answering(send)
        try:
            path = scope["path"].removeprefix(scope.get("root_path", ""))
            if path == _SESSION:
                self.guard.check(scope)
            elif path.startswith(GUARDED):
                scope["headworks.admitted"] = self.guard.admit(scope)
            elif path not in OPEN:
                self.guard.look(scope)
            limit = None if path == "/v1/events" else PATIENCE
            async with asyncio.timeout(limit):
                await self._router(scope, receive, answering.send)
        except ClientDisconnect:
            return
        except Exception as error:  # noqa: BLE001  (whatever it is: the next request is served)
            if not answering.has_begun:
                await _refused(error)(scope, receive, answering.send)
            elif not isinstance(error, TimeoutError):
                _LOG.exception("an answer broke off")

    async def call(self, run: Callable[..., Any], *given: Any) -> Any:
        """Run what may wait, on a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, run, *given)

    def close(self) -> None:
        """End the threads, once they have nothing to do."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _health(self, _: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def _ready(self, _: Request) -> Response:
        is_ready = not self.admin.proxy.is_draining and self.admin.proxy.is_running
        return PlainTextResponse("ready\n" if is_ready else "not ready\n", 200 if is_ready else 503)

    async def _metrics(self, request: Request) -> Response:
        is_open = "application/openmetrics-text" in request.headers.get("accept", "")
        form: Literal["prometheus", "openmetrics"] = "openmetrics" if is_open else "prometheus"
        scopes = [one for one in request.query_params.get("scope", "").split(",") if one]
        try:
            text = await self.call(self.admin.proxy.metrics, form, scopes)
        except ValueError as error:
            raise Refusal(400, "query", str(error)) from None
        return Response(text, headers={"Content-Type": METRICS_TYPES[form]})

    async def _openapi(self, _: Request) -> Response:
        return JSONResponse(await self.call(_described, self.admin.version))

    async def _me(self, request: Request) -> Response:
        who: Who = request.scope["headworks.admitted"]
        return _json(Me, Me(name=who.name, role=who.role or "read"), 200)

    async def _stream(self, request: Request) -> Response:
        reading = self.events.open(events.after(request.headers.get("last-event-id")))
        return _Stream(reading)

    async def _session(self, request: Request) -> Response:
        """Begin or end the session of a browser."""
        cookie = f"{COOKIE}={{}}; Path=/; HttpOnly; SameSite=Strict; Max-Age={{}}"
        cookie += "; Secure" if request.url.is_secure else ""
        if request.method == "DELETE":
            self.guard.sessions.end(request.cookies.get(COOKIE, ""))
            return Response(status_code=204, headers={"Set-Cookie": cookie.format("", 0)})
        body = _checked(Secret, await _body(request, MOST))
        secret = self.guard.enter(request.scope, body.token)
        return Response(status_code=204, headers={"Set-Cookie": cookie.format(secret, LASTS)})


class _Resource:
    """The operations of one path, an ASGI app."""

    def __init__(self, ones: list[Operation], app: App) -> None:
        self._by_method = {one.method: one for one in ones}
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        one = self._by_method.get(method)
        if one is None:
            allowed = ", ".join(self._by_method)
            raise Refusal(405, "method", f"methods here are {allowed}", headers={"Allow": allowed})
        response = await self._answer(one, Request(scope, receive))
        await response(scope, receive, send)

    async def _answer(self, one: Operation, request: Request) -> Response:
        who: Who = request.scope["headworks.admitted"]
        if one.changes and who.role != "operate":
            raise Refusal(403, "role", f"{who.name} may read, and this changes something")
        query = _checked(one.query, _pairs(request), is_query=True)
        raw = await _body(request, one.most) if one.method != "GET" else b""
        body = _checked(one.body, raw or b"{}") if one.body is not None else None
        if one.body is None and raw.strip() not in (b"", b"{}"):
            raise Refusal(422, "body", "there is nothing to be said in a body")
        is_somebody = who.name != "nobody"
        match = request.headers.get("if-match")
        match = match.strip().removeprefix("W/").strip('"') if match is not None else None
        call = Call(self._app.admin, who.name, request.path_params, query, body, match, is_somebody)
        answer = await self._app.call(one.run, call)
        if one.answer is None:
            return Response(status_code=one.status)
        headers = {"ETag": f'"{getattr(answer, one.tag)}"'} if one.tag is not None else {}
        response: Response = await self._app.call(_json, one.answer, answer, one.status, headers)
        return response


class _Stream(Response):
    """Events, for as long as there are any and the reader keeps up."""

    media_type = "text/event-stream"

    def __init__(self, reading: Any) -> None:
        super().__init__()
        self._reading = reading
        self.raw_headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"x-accel-buffering", b"no")]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        if scope["method"] == "HEAD":
            await self._reading.aclose()
            await send({"type": "http.response.body", "body": b""})
            return
        leaving = asyncio.create_task(_left(receive))
        try:
            await self._send(send, leaving)
        finally:
            leaving.cancel()
            await self._reading.aclose()

    async def _send(self, send: Send, leaving: "asyncio.Task[None]") -> None:
        while True:
            coming = asyncio.ensure_future(anext(self._reading, None))
            done, _ = await asyncio.wait({coming, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if coming not in done:
                coming.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await coming
                return
            event = coming.result()
            # A reader that takes nothing is let go: the connection is closed with the response unfinished.
            async with asyncio.timeout(events.PATIENCE):
                await send({"type": "http.response.body", "body": event or b"", "more_body": event is not None})
            if event is None:
                return


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class _Answering:
    """Puts the headers of every answer on its head."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.has_begun = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.has_begun = True
            own = [(key, value) for key, value in message.get("headers", ()) if key.lower() not in _OURS]
            message = {**message, "headers": [*own, *HEADERS]}
        await self._send(message)


_OURS = frozenset(key for key, _ in HEADERS)


def _refused(error: Exception) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    from starlette.exceptions import HTTPException

    match error:
        case Refusal():
            said = error
        case HTTPException():
            code = "not_found" if error.status_code == HTTPStatus.NOT_FOUND else "http"
            said = Refusal(error.status_code, code, str(error.detail))
        case TimeoutError():
            said = Refusal(503, "too_slow", "that took too long")
        case RuntimeError() if "not running" in str(error):
            said = Refusal(503, "not_running", "the proxy does not run")
        case _:
            _LOG.error("an operation failed", exc_info=error)
            said = Refusal(500, "failed", "a mistake in Headworks: see its log")
    return JSONResponse(said.body(), said.status, headers=said.headers, media_type=refusal.MEDIA_TYPE)


async def _body(request: Request, most: int) -> bytes:
    """Read a body whole, within its bounds."""
    said = request.headers.get("content-length", "")
    if said.isdigit() and int(said) > most:
        raise Refusal(413, "too_large", f"a body has {most} bytes at most", headers={"Connection": "close"})
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(_SLOW_BODY):
            async for part in request.stream():
                size += len(part)
                if size > most:
                    raise Refusal(413, "too_large", f"a body has {most} bytes at most", headers={"Connection": "close"})
                parts.append(part)
    except TimeoutError:
        headers = {"Connection": "close"}
        raise Refusal(408, "too_slow", f"a body is there within {_SLOW_BODY:g} s", headers=headers) from None
    return b"".join(parts)


def _pairs(request: Request) -> dict[str, str]:
    pairs = request.query_params.multi_items()
    if len(dict(pairs)) != len(pairs):
        raise Refusal(400, "query", "a name is there twice in the query")
    return dict(pairs)


def _checked(model: type[BaseModel], value: Any, *, is_query: bool = False) -> Any:
    """Return what was said, or say everything that is wrong with it."""
    try:
        return model.model_validate(value) if is_query else model.model_validate_json(value)
    except ValidationError as error:
        wrong = [
            {"key": ".".join(map(str, one["loc"])), "reason": one["msg"]}
            for one in error.errors(include_url=False, include_context=False, include_input=False)
        ]
        place = "query" if is_query else "body"
        detail = "; ".join(f"{one['key'] or place}: {one['reason']}" for one in wrong)
        raise Refusal(400 if is_query else 422, place, detail, problems=wrong) from None


@cache
def _described(version: str) -> dict[str, Any]:
    return description(operations(), version)


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _json(kind: Any, answer: Any, status: int, headers: dict[str, str] | None = None) -> Response:
    return Response(_adapter(kind).dump_json(answer), status, headers=headers, media_type="application/json")


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        word = (await receive())["type"].removeprefix("lifespan.")
        await send({"type": f"lifespan.{word}.complete"})
        if word == "shutdown":
            return
