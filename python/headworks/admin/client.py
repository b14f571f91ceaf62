"""Client: the other end of the admin interface, for commands and programs outside the process.

Owns finding the socket, and saying in words why nobody answers. The standard library alone: commands start quickly.
Must never know what is asked.
"""

import grp
import http.client
import json
import os
import pwd
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

SOCKET = "admin.sock"
DIRECTORY = Path("/run/headworks")
VARIABLE = "HEADWORKS_ADMIN"
TOKEN = "HEADWORKS_TOKEN"  # noqa: S105  (the name of a variable)
PATIENCE = 30.0
"""Seconds that an answer may take."""


def usual_places() -> list[Path]:
    """Return where the socket is when nobody says where, the best place first."""
    own = os.environ.get("XDG_RUNTIME_DIR")
    return [DIRECTORY / SOCKET, *([Path(own) / "headworks" / SOCKET] if own else [])]


class UnreachableError(Exception):
    """Nobody answers. ``args[0]`` says why, and what can be done."""


class RefusedError(Exception):
    """An answer that says no (RFC 9457)."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        super().__init__(str(problem.get("detail") or problem.get("title") or status))
        self.status = status
        self.problem = problem

    @property
    def problems(self) -> list[Mapping[str, Any]]:
        """Return everything that is wrong, where it was listed."""
        listed = self.problem.get("problems")
        return listed if isinstance(listed, list) else []


class Client:
    """Asks one proxy. ``place`` is a path, ``unix:PATH`` or a URL; ``token`` is for those that want one."""

    def __init__(self, place: str, token: str | None = None) -> None:
        self.place = place
        self._token = token

    @classmethod
    def find(cls, place: str | None = None) -> "Client":
        """Return one for the proxy that is meant: by ``place``, by HEADWORKS_ADMIN, or at one of the usual places.

        HEADWORKS_TOKEN has the token. Raises UnreachableError when nobody is there, or several are.
        """
        token = os.environ.get(TOKEN)
        if place := place or os.environ.get(VARIABLE):
            return cls(place, token)
        known = [path for path in usual_places() if _is_there(path)]
        if not known:
            looked = " and ".join(map(str, usual_places()))
            raise UnreachableError(
                f"nobody to ask: no socket at {looked}. Is a proxy running, with [admin] in its configuration? "
                f"Name its socket with --socket PATH or {VARIABLE}"
            )
        alive = [path for path in known if _answers(path)] if len(known) > 1 else known
        if len(alive) > 1:
            raise UnreachableError(f"several proxies run here: {', '.join(map(str, alive))}; name one with --socket")
        return cls(str(alive[0] if alive else known[0]), token)

    def text(self, path: str, **query: Any) -> str:
        """Ask for text, by a whole path. Raises RefusedError, UnreachableError."""
        return self._read("GET", path, None, query)[1].decode(errors="replace")

    def ask(self, method: str, path: str, value: Any = None, **query: Any) -> Any:
        """Ask once, below ``/v1``; returns what was answered. Raises RefusedError, UnreachableError."""
        _, body = self._read(method, f"/v1{path}", value, query)
        try:
            return json.loads(body) if body else None
        except ValueError:
            raise UnreachableError(f"{self.place}: whoever answers there is no Headworks") from None

    def _read(self, method: str, path: str, value: Any, query: Mapping[str, Any]) -> tuple[int, bytes]:
        given = {name: one for name, one in query.items() if one is not None}
        response, connection = self._send(method, f"{path}?{urlencode(given)}" if given else path, value)
        try:
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise UnreachableError(f"{self.place}: the answer broke off: {error}") from None
        finally:
            connection.close()
        if response.status < http.client.BAD_REQUEST:
            return response.status, body
        try:
            problem = json.loads(body)
        except ValueError:
            raise UnreachableError(f"{self.place}: whoever answers there is no Headworks") from None
        raise RefusedError(response.status, problem if isinstance(problem, dict) else {})

    def events(self) -> Iterator[tuple[str, Any]]:
        """Yield what happens, as kind and value, until the proxy ends. Raises as ``ask`` does."""
        response, connection = self._send("GET", "/v1/events", None)
        try:
            if response.status >= http.client.BAD_REQUEST:
                raise RefusedError(response.status, json.loads(response.read() or b"{}"))
            kind = ""
            for line in response:
                name, _, text = line.decode(errors="replace").rstrip("\n").partition(": ")
                if name == "event":
                    kind = text
                elif name == "data":
                    yield kind, json.loads(text)
        except (OSError, http.client.HTTPException):
            return
        finally:
            connection.close()

    def _send(self, method: str, path: str, value: Any) -> tuple[http.client.HTTPResponse, http.client.HTTPConnection]:
        connection = self._connection()
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        body = None
        if method != "GET":
            headers["Content-Type"] = "application/json"
            body = json.dumps({} if value is None else value).encode() if method != "DELETE" else b""
        try:
            connection.request(method, path, body, headers)
            return connection.getresponse(), connection
        except OSError as error:
            connection.close()
            raise UnreachableError(self._why(error)) from None
        except (http.client.HTTPException, ValueError) as error:
            connection.close()
            raise UnreachableError(f"{self.place}: whoever answers there is no Headworks: {error!r}") from None

    def _connection(self) -> http.client.HTTPConnection:
        if not self.place.startswith(("http://", "https://")):
            return _Local(self.place.removeprefix("unix:"))
        try:
            url = urlsplit(self.place)
            is_secure = self.place.startswith("https:")
            kind = http.client.HTTPSConnection if is_secure else http.client.HTTPConnection
            return kind(url.hostname or "", url.port, timeout=PATIENCE)
        except ValueError as error:
            raise UnreachableError(f"{self.place} is no URL: {error}") from None

    def _why(self, error: OSError) -> str:
        path = Path(self.place.removeprefix("unix:"))
        match error:
            case FileNotFoundError():
                return f"{path}: there is no such socket: no proxy runs with it"
            case PermissionError():
                return f"{path}: not for you: it is {_owned(path)}. Ask as one of them (sudo), or set admin.group"
            case ConnectionRefusedError() if not self.place.startswith("http"):
                return f"{path}: nobody listens there any more: the proxy has ended"
            case TimeoutError():
                return f"{self.place}: no answer within {PATIENCE:g} s"
            case _:
                return f"{self.place}: {error.strerror or error}"


def part(text: str) -> str:
    """Write a part of a path."""
    return quote(text, safe="")


class _Local(http.client.HTTPConnection):
    """HTTP by a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=PATIENCE)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket. Raises OSError."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _is_there(path: Path) -> bool:
    try:
        return path.is_socket()
    except OSError:
        return False


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(PATIENCE)
        try:
            probe.connect(str(path))
        except PermissionError:
            return True
        except OSError:
            return False
    return True


def _owned(path: Path) -> str:
    try:
        kind = path.stat()
        return f"of {pwd.getpwuid(kind.st_uid).pw_name} and of group {grp.getgrgid(kind.st_gid).gr_name}"
    except (OSError, KeyError):
        return "in a folder of somebody else"
