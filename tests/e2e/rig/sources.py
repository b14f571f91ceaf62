"""APIs that servers are found by (lists behind URLs, Docker, Consul), as small servers that misbehave on order."""

import contextlib
import hashlib
import json
import socket
import socketserver
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast
from urllib.parse import parse_qs, urlsplit

from rig.waiting import PATIENCE

Asked = tuple[str, dict[str, list[str]], Mapping[str, str]]
"""Path, query and fields of a request."""


class Api:
    """One on a free port of 127.0.0.1, or on a unix socket. ``trouble`` is what is wrong with its answers."""

    def __init__(self, path: Path | None = None) -> None:
        self.trouble = ""
        """``slow``, ``cut``, ``error``, ``junk``, ``endless``, ``elsewhere``, ``compressed`` or nothing."""
        self.asked: list[Asked] = []
        self.released = threading.Event()
        """Set when those that are slow may answer."""
        self.changed = threading.Condition()
        self._path = path
        self._port = 0
        self._live: set[socket.socket] = set()
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Listen, at the address of before."""
        api = self

        class Answering(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                api._live.add(self.request)
                super().setup()

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                query = parse_qs(parts.query, keep_blank_values=True)
                api.asked.append((parts.path, query, cast("Mapping[str, str]", self.headers)))
                with contextlib.suppress(OSError):
                    api._answer(self, parts.path, query)

            def log_message(self, *_: object) -> None:
                pass

            def finish(self) -> None:
                with contextlib.suppress(OSError):
                    super().finish()
                api._live.discard(self.request)

        self._is_over = False
        kind: Any = socketserver.ThreadingTCPServer if self._path is None else socketserver.ThreadingUnixStreamServer
        made = type("Serving", (kind,), {"allow_reuse_address": True, "daemon_threads": True, "request_queue_size": 64})
        if self._path is not None:
            self._path.unlink(missing_ok=True)
        self._server = made(("127.0.0.1", self._port) if self._path is None else str(self._path), Answering)
        if self._path is None:
            self._port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Be gone, and with it every connection."""
        self._is_over = True
        self.released.set()
        with self.changed:
            self.changed.notify_all()
        self._server.shutdown()
        self._server.server_close()
        for one in list(self._live):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self._thread.join(PATIENCE)

    def respond(
        self, path: str, query: dict[str, list[str]], fields: Mapping[str, str]
    ) -> tuple[int, dict[str, str], Any]:
        """Return status, fields and value of an answer."""
        raise NotImplementedError

    def _answer(self, asked: Any, path: str, query: dict[str, list[str]]) -> None:
        status, fields, value = self.respond(path, query, asked.headers)
        body = json.dumps(value).encode()
        match self.trouble:
            case "slow":
                self.released.wait(PATIENCE)
            case "error":
                status, body = 500, b"no leader"
            case "junk":
                body = b"<html>welcome</html>"
            case "elsewhere":
                status, fields = 302, {**fields, "Location": f"{self.url}/elsewhere"}
            case "compressed":
                fields = {**fields, "Content-Encoding": "gzip"}
            case "endless":
                return self._endless(asked)
        asked.send_response(status)
        for name, text in {"Content-Type": "application/json", **fields}.items():
            asked.send_header(name, text)
        asked.send_header("Content-Length", str(len(body)))
        asked.end_headers()
        if self.trouble == "cut":
            asked.wfile.write(body[: len(body) // 2])
            asked.close_connection = True
            asked.connection.shutdown(socket.SHUT_RDWR)
        elif status != 304:
            asked.wfile.write(body)
        return None

    def _endless(self, asked: Any) -> None:
        asked.close_connection = True
        asked.send_response(200)
        asked.end_headers()
        while not self._is_over:
            asked.wfile.write(b" " * 65536)


class HttpSd(Api):
    """A list of servers, in the form of Prometheus."""

    def __init__(self) -> None:
        super().__init__()
        self.value: Any = []
        self.has_tags = True

    def set(self, *targets: str, **labels: str) -> None:
        self.value = [{"targets": list(targets), "labels": labels}]

    def respond(
        self, path: str, query: dict[str, list[str]], fields: Mapping[str, str]
    ) -> tuple[int, dict[str, str], Any]:
        tag = f'"{hashlib.sha256(json.dumps(self.value).encode()).hexdigest()}"'
        if not self.has_tags:
            return 200, {}, self.value
        return (304 if fields.get("If-None-Match") == tag else 200), {"ETag": tag}, self.value


class DockerApi(Api):
    """The part of Docker's API that lists containers and streams events, on a unix socket."""

    def __init__(self, path: Path) -> None:
        self.containers: dict[str, dict[str, Any]] = {}
        self._events: list[dict[str, Any]] = []
        self.is_mute = False
        """Whether nothing is said of what happens."""
        super().__init__(path)

    def run(self, name: str, ip: str, status: str = "Up 2 minutes", **labels: str) -> None:
        """Have a container that runs; its labels are ``headworks.`` ones."""
        self.containers[name] = {
            "Id": hashlib.sha256(name.encode()).hexdigest(),
            "Names": [f"/{name}"],
            "Labels": {f"headworks.{key}": value for key, value in labels.items()},
            "State": "running",
            "Status": status,
            "Ports": [{"PrivatePort": 8000, "Type": "tcp"}],
            "NetworkSettings": {"Networks": {"bridge": {"IPAddress": ip, "GlobalIPv6Address": ""}}},
        }
        self.tell("start", name)

    def die(self, name: str) -> None:
        self.containers[name] |= {"State": "exited", "Status": "Exited (0) 1 second ago"}
        self.tell("die", name)

    def tell(self, action: str, name: str) -> None:
        if self.is_mute:
            return
        with self.changed:
            labels = self.containers[name]["Labels"]
            self._events.append({"Type": "container", "Action": action, "Actor": {"Attributes": labels}})
            self.changed.notify_all()

    def respond(
        self, path: str, query: dict[str, list[str]], fields: Mapping[str, str]
    ) -> tuple[int, dict[str, str], Any]:
        if path != "/containers/json":
            return 404, {}, {"message": "page not found"}
        running = (one for one in self.containers.values() if one["State"] == "running" or "all" in query)
        return 200, {}, [one for one in running if _is_labelled(one["Labels"], query)]

    def _answer(self, asked: Any, path: str, query: dict[str, list[str]]) -> None:
        if path != "/events" or self.trouble == "error":
            super()._answer(asked, path, query)
            return
        asked.close_connection = True
        asked.send_response(200)
        asked.send_header("Transfer-Encoding", "chunked")
        asked.end_headers()
        seen = len(self._events)
        while not self._is_over:
            with self.changed:
                while len(self._events) == seen and not self._is_over:
                    self.changed.wait(PATIENCE)
                told, seen = self._events[seen:], len(self._events)
            for event in told:
                if _is_labelled(event["Actor"]["Attributes"], query):
                    line = json.dumps(event).encode() + b"\n"
                    asked.wfile.write(b"%x\r\n%b\r\n" % (len(line), line))


class ConsulApi(Api):
    """The part of Consul's API that tells of the health of a service, with blocking queries."""

    def __init__(self) -> None:
        self.instances: list[dict[str, Any]] = []
        self.index = 7
        self.token: str | None = None
        super().__init__()

    def set(self, *instances: Mapping[str, Any]) -> None:
        """Let the service have these: ``address``, and optionally ``status``, ``weight``, ``tags``, ``node``."""
        self.instances = [_instance(one) for one in instances]
        self.step(1)

    def step(self, by: int) -> None:
        with self.changed:
            self.index += by
            self.changed.notify_all()

    def respond(
        self, path: str, query: dict[str, list[str]], fields: Mapping[str, str]
    ) -> tuple[int, dict[str, str], Any]:
        if self.token is not None and fields.get("X-Consul-Token") != self.token:
            return 403, {}, "Permission denied"
        if query.get("dc", ["dc1"]) != ["dc1"]:
            return 500, {}, "No path to datacenter"
        index = int(query.get("index", ["0"])[0])
        wait = float(query.get("wait", ["300000ms"])[0].removesuffix("ms")) / 1000
        with self.changed:
            # A query of another index, or of none, is answered at once.
            if index and index == self.index and not self.trouble:
                self.changed.wait_for(lambda: self.index != index or self._is_over, wait)
            found = list(_chosen(self.instances, query)) if path == "/v1/health/service/app" else []
            return 200, {"X-Consul-Index": str(self.index)}, found


def _instance(given: Mapping[str, Any]) -> dict[str, Any]:
    host, _, port = given["address"].rpartition(":")
    node = given.get("node", "")
    return {
        "Node": {"Address": node},
        "Service": {
            "Address": "" if node else host,
            "Port": int(port),
            "Tags": given.get("tags", []),
            "Weights": {"Passing": given.get("weight", 1), "Warning": 1},
        },
        "Checks": [{"Status": given.get("status", "passing")}],
    }


def _chosen(instances: list[dict[str, Any]], query: dict[str, list[str]]) -> Iterator[dict[str, Any]]:
    for one in instances:
        passes = "passing" not in query or one["Checks"][0]["Status"] == "passing"
        if passes and set(query.get("tag", [])) <= set(one["Service"]["Tags"]):
            yield one


def _is_labelled(labels: Mapping[str, str], query: dict[str, list[str]]) -> bool:
    wanted = json.loads(query.get("filters", ["{}"])[0]).get("label", [])
    return all(labels.get(one.partition("=")[0]) == one.partition("=")[2] for one in wanted)
