"""Door: the sockets of ``[admin]``, and the thread that serves them in a loop of its own.

What cannot be bound is told before anything is served. Must never run on a thread that serves traffic, and never end
what it does not own.
"""

import asyncio
import contextlib
import grp
import os
import socket
import stat
import threading
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headworks.admin.admin import Admin
from headworks.admin.client import usual_places
from headworks.binder import bind
from headworks.config.problems import ConfigError, Problem
from headworks.config.tokens import TokensError
from headworks.errors import BindError, BindFailure
from headworks.notice import Notice

if TYPE_CHECKING:
    from uvicorn import Server

    from headworks.config import AdminSettings

_START = 10.0
"""Seconds until the loop must run."""
_STOP = 5.0
"""Seconds that open requests may take at the end."""


class Door:
    """The sockets of one proxy: bound when it is made, open from ``start`` to ``stop``."""

    def __init__(self, admin: Admin, settings: "AdminSettings") -> None:
        """Bind everything. Raises BindError with every address, ConfigError for what cannot be imported or read."""
        app, self._speaking = _imported()
        self._admin = admin
        self._settings = settings
        self._group = _group(settings.group)
        try:
            from headworks.admin.guard import Guard

            self._guard = Guard.of(settings)
        except TokensError as error:
            raise ConfigError([Problem(path=("admin", "tokens"), reason=str(error))]) from None
        self._app = app(admin, guard=self._guard)
        self._sockets: list[socket.socket] = []
        self._paths: list[tuple[str, int]] = []
        self._servers: list[Server] = []
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        try:
            self._bind()
        except BaseException:
            self.close()
            raise

    @property
    def addresses(self) -> tuple[str, ...]:
        """Return where it is bound, as it is written in ``bind``."""
        return tuple(map(_shown, self._sockets))

    def start(self) -> None:
        """Let operators in. Raises OSError, RuntimeError when that cannot be done."""
        started = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(started,), name="admin", daemon=True)
        self._thread.start()
        if not started.wait(_START):
            raise RuntimeError("the admin interface does not start")

    def stop(self) -> None:
        """Let nobody in any more, and end the thread."""
        loop, self._loop = self._loop, None
        if loop is not None:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._end)
        thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            thread.join(_STOP + 1.0)
        self.close()

    def close(self) -> None:
        """Close what is bound; sockets in the file system that are ours go."""
        for one in self._sockets:
            one.close()
        self._sockets = []
        for path, number in self._paths:
            with contextlib.suppress(OSError):
                if Path(path).stat().st_ino == number:
                    Path(path).unlink()
        self._paths = []
        self._app.close()

    def renew(self, settings: "AdminSettings | None") -> None:
        """Take up what a reload has changed: tokens and hosts."""
        if settings is None:
            return
        try:
            self._guard.renew(settings)
        except TokensError as error:
            self._admin.proxy.tell(Notice(kind="tokens_refused", facts={"reason": str(error)}))

    def give(self, user: int, group: int) -> None:
        """Give sockets in the file system, and the folder that was made for them, to who we are about to become."""
        for path, _ in self._paths:
            os.chown(path, user, self._group if self._group is not None else group)
            if Path(path).parent in (place.parent for place in usual_places()):
                os.chown(Path(path).parent, user, group)

    def _bind(self) -> None:
        failures = []
        for address in self._settings.bind or (_usual(),):
            try:
                self._sockets.append(self._bound(address))
            except OSError as error:
                reason = error.strerror or str(error)
                failures.append(BindFailure(listener="", address=address, reason=reason))
        if failures:
            raise BindError(tuple(failures))

    def _bound(self, address: str) -> socket.socket:
        if not address.startswith("unix:"):
            return _tcp(address)
        path = address.removeprefix("unix:")
        listening = bind(address, backlog=64, unix_mode=self._settings.mode)
        self._paths.append((path, Path(path).stat().st_ino))
        if self._group is not None:
            try:
                os.chown(path, -1, self._group)
            except OSError:
                listening.close()
                raise
        return listening

    def _run(self, started: threading.Event) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(self._serve(started))

    async def _serve(self, started: threading.Event) -> None:
        import uvicorn

        self._loop = asyncio.get_running_loop()
        local = [one for one in self._sockets if one.family == socket.AF_UNIX]
        remote = [one for one in self._sockets if one.family != socket.AF_UNIX]
        tls = self._settings.tls
        secured: dict[str, Any] = {"ssl_certfile": tls.certificate, "ssl_keyfile": tls.key} if tls is not None else {}
        # Those of TCP have bounds of their own: whoever fills them up leaves the socket open.
        self._servers = [
            uvicorn.Server(self._configured(**more)) for one, more in ((local, {}), (remote, secured)) if one
        ]
        serving = [
            asyncio.create_task(server.serve(one))
            for server, one in zip(self._servers, [one for one in (local, remote) if one], strict=True)
        ]
        remember = self._admin.proxy.remember(lambda: None)
        both = list(zip(self._servers, serving, strict=True))
        while not all(server.started or task.done() for server, task in both):  # noqa: ASYNC110  (nobody is told)
            await asyncio.sleep(0.001)
        started.set()
        try:
            await asyncio.gather(*serving)
        finally:
            remember()

    def _configured(self, **more: Any) -> Any:
        import uvicorn

        speaking = type("Speaking", (self._speaking,), {"group": self._group})
        return uvicorn.Config(
            self._app,
            http=speaking,
            ws="none",
            lifespan="off",
            loop="asyncio",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=int(_STOP),
            h11_max_incomplete_event_size=32 << 10,
            **more,
        )

    def _end(self) -> None:
        self._app.events.end()
        for server in self._servers:
            server.should_exit = True


_LATER = ("headworks.config.write", "headworks.explanation", "headworks.listing", "pydantic.json_schema")
"""Modules of answers: later their files may be out of reach."""


def _imported() -> tuple[Any, Any]:
    for name in _LATER:
        import_module(name)
    try:
        from headworks.admin.routes import app
        from headworks.admin.speaking import Speaking
    except ImportError as error:
        from headworks.config.admin import REMEDY

        raise ConfigError([Problem(path=("admin",), reason=f"needs {error.name}: {REMEDY}")]) from None
    return app, Speaking


def _usual() -> str:
    """Return the usual socket, its folder made; where none can be made, the best place, which then fails."""
    places = usual_places()
    for place in places:
        with contextlib.suppress(OSError):
            place.parent.mkdir(mode=0o755, exist_ok=True)
            if os.access(place.parent, os.W_OK) and _is_safe(place.parent):
                return f"unix:{place}"
    return f"unix:{places[0]}"


def _is_safe(directory: Path) -> bool:
    """Whether nobody else may put something in our place."""
    kind = directory.stat()
    return kind.st_uid in (0, os.geteuid()) and not kind.st_mode & stat.S_IWOTH


def _tcp(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, int(port)))
        listening.listen(64)
        listening.setblocking(False)
    except BaseException:
        listening.close()
        raise
    return listening


def _group(name: str | None) -> int | None:
    if name is None:
        return None
    try:
        return int(name) if name.isdigit() else grp.getgrnam(name).gr_gid
    except KeyError:
        raise ConfigError([Problem(path=("admin", "group"), reason=f'this system has no group "{name}"')]) from None


def _shown(one: socket.socket) -> str:
    if one.family == socket.AF_UNIX:
        return f"unix:{one.getsockname()}"
    host, port = one.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
