"""Everything that is measured, as one table. A new scenario is one more row; a new lane one more entry of a row."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from proxies.base import Protocol

Method = Literal["added", "own", "two", "bulk", "idle", "latency", "skew", "slow", "reload", "consulted", "alone"]
Tool = Literal["load", "wrk", "h2load"]
Request = Literal["minimal", "browser"]


@dataclass(frozen=True, kw_only=True)
class Lane:
    """A competitor in a scenario. `label` tells two lanes of one competitor apart.

    `base`: the label of the lane whose cost is taken off, where what is added to that is measured.
    """

    competitor: str
    names: int = 0
    servers: int = 1
    suffix: str = ""
    base: str = ""

    @property
    def label(self) -> str:
        """How results and targets call it."""
        return self.competitor + self.suffix


@dataclass(frozen=True, kw_only=True)
class Target:
    """The most that `subject` may cost, as a ratio to what `against` costs in the same run."""

    against: str
    ratio: float
    subject: str = "headworks"


@dataclass(frozen=True, kw_only=True)
class Bound:
    """How much, or how little, a figure of `subject` may be; `value` is the scenario's number, others stand beside it.

    It depends on the machine, as a ratio does not: it is for what has nothing in the same run to be held against.
    """

    subject: str
    figure: str = "value"
    most: float | None = None
    least: float | None = None


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One kind of work. `names` of a lane > 0: TLS routed by SNI; `http`: HTTP; neither: plain TCP.

    `https`: the proxy terminates TLS in front of that HTTP. `resumed`: every handshake uses a ticket of an earlier one.

    `load` is what the generator `tool` does, `origin` the mode of the origin behind the proxies. `quick`: part of a
    quick run. `upload`: bodies go to the server. `fresh`: a new client connection for each request. `answers`: proxies
    answer by themselves. `depth`: requests that a client sends in one go. `rate`: of an open loop, operations a second; 0:
    it is found. `spread`: everything on all cores, wherever the system puts it.
    """

    name: str
    title: str
    method: Method
    origin: str
    load: str
    lanes: tuple[Lane, ...]
    connections: int
    targets: tuple[Target, ...] = ()
    bounds: tuple[Bound, ...] = ()
    http: bool = False
    https: bool = False
    resumed: bool = False
    tool: Tool = "load"
    request: Request = "minimal"
    fresh: bool = False
    upload: bool = False
    quick: bool = False
    answers: bool = False
    depth: int = 1
    rate: float = 0.0
    spread: bool = False

    def protocol(self, lane: Lane) -> Protocol:
        """Return what a lane's proxy has to speak."""
        return "https" if self.https else "http" if self.http else "tls" if lane.names else "tcp"


def lanes(*competitors: str, names: int = 0, servers: int = 1, suffix: str = "") -> tuple[Lane, ...]:
    """Return one lane for each competitor."""
    return tuple(Lane(competitor=one, names=names, servers=servers, suffix=suffix) for one in competitors)


def two_cores(scenario: Scenario) -> Scenario:
    """Return the same work by the other method: the proxy has a core of its own. Targets stay with the first."""
    return replace(scenario, name=f"{scenario.name}-two", method="two", targets=(), quick=False)


# Who can do what. Caddy has no layer 4, sniproxy only names; the order is that of the tables.
TCP = ("headworks", "nginx", "nginx-mainline", "haproxy", "haproxy-newer", "envoy", "traefik")
TLS = ("headworks", "sniproxy", "nginx", "nginx-mainline", "haproxy", "haproxy-newer", "envoy", "traefik")
HTTP = ("headworks", "nginx", "nginx-mainline", "haproxy", "haproxy-newer", "envoy", "traefik", "caddy")
# Traefik 3.7 was seen to need 7 s for 20,000 routers and minutes for 100,000: it has a smaller table.
TABLES = ("headworks", "nginx", "haproxy", "envoy")

# HAProxy 2.6 with "splice-auto" was seen (strace) to copy this stream: it does not take it for a fast one. So the
# target is held against the variant that always splices, too. The one with large pipes shows what more is possible.
BULK = ("headworks", "nginx", "nginx-mainline", "haproxy-splice-auto", "haproxy-splice", "haproxy-splice-1m")
BULK_LANES = lanes(*BULK, "haproxy", "envoy", "traefik")
BULK_TARGETS = (
    Target(against="haproxy-splice-auto", ratio=0.8),
    Target(against="haproxy-splice", ratio=0.8),
    Target(against="nginx", ratio=0.5),
)

CONNECT = Scenario(
    name="connect",
    title="new connection: hello routed by SNI, 200-byte answer, close",
    method="added",
    origin="close",
    load="connect",
    lanes=lanes(*TLS, "floor", names=10),
    targets=(
        Target(against="sniproxy", ratio=1.1),
        Target(against="nginx", ratio=0.75),
        Target(against="haproxy", ratio=0.6),
    ),
    connections=32,
    quick=True,
)
KEPT = Scenario(
    name="kept",
    title="kept TCP connection: 100-byte request, 200-byte answer; 32 at once",
    method="added",
    origin="answer",
    load="kept",
    lanes=lanes(*TCP, "floor"),
    targets=(Target(against="nginx", ratio=1.0), Target(against="haproxy", ratio=0.7)),
    connections=32,
    quick=True,
)
BULK_DOWN = Scenario(
    name="bulk-down",
    title="bulk from server to client, one stream",
    method="bulk",
    origin="source",
    load="bulk-down",
    lanes=BULK_LANES,
    targets=BULK_TARGETS,
    connections=1,
    quick=True,
)
BULK_UP = Scenario(
    name="bulk-up",
    title="bulk from client to server, one stream",
    method="bulk",
    origin="sink",
    load="bulk-up",
    lanes=BULK_LANES,
    targets=BULK_TARGETS,
    connections=1,
)
HTTP_TARGETS = (
    Target(against="haproxy", ratio=0.5),
    Target(against="nginx", ratio=0.65),
    Target(against="envoy", ratio=0.15),
)
BELOW_ALL = tuple(Target(against=other, ratio=1.0) for other in HTTP if other != "headworks")
HTTP_KEPT = Scenario(
    name="http-kept",
    title="HTTP/1.1, kept connections: minimal request, 200-byte body; 32 at once",
    method="added",
    origin="http",
    load="http",
    tool="wrk",
    http=True,
    lanes=lanes(*HTTP, "floor"),
    targets=HTTP_TARGETS,
    connections=32,
    quick=True,
)
# People's own code in the path of a request. It is the same everywhere: is there a field x-bad, does the path begin
# with /admin; there is not, and it does not.
OWN_CODE = ("headworks", "headworks-rule", "headworks-analyzer", "headworks-async", "haproxy", "haproxy-lua")
OTHERS_CODE = ("nginx", "nginx-js", "envoy", "envoy-ext-proc", "mitmproxy")
PYTHON_HTTP = replace(
    HTTP_KEPT,
    name="python-http",
    title="HTTP/1.1, kept connections, with people's own code: a rule, an analyzer, a coroutine; an action in Lua, a "
    "function in JavaScript, a server in Python that is asked by gRPC, an addon of mitmproxy",
    lanes=lanes(*OWN_CODE, *OTHERS_CODE, "floor"),
    targets=(
        Target(subject="headworks-rule", against="headworks", ratio=1.03),
        Target(subject="headworks-analyzer", against="headworks", ratio=1.5),
        Target(subject="headworks-analyzer", against="haproxy-lua", ratio=1.0),
    ),
    quick=False,
)
PYTHON_CONSULTED = replace(
    PYTHON_HTTP,
    name="python-consulted",
    title="consultations, 64 outstanding, answered by the proxy itself, 16 requests in one go",
    method="consulted",
    lanes=(
        *lanes("headworks", "haproxy", "nginx"),
        *(Lane(competitor=one, base="headworks") for one in ("headworks-analyzer", "headworks-async")),
        Lane(competitor="haproxy-lua", base="haproxy"),
        Lane(competitor="nginx-js", base="nginx"),
    ),
    targets=(),
    bounds=(
        Bound(subject="headworks-analyzer", most=5.0),
        Bound(subject="headworks-analyzer", figure="most a second", least=250_000),
        Bound(subject="headworks-async", figure="most a second", least=120_000),
    ),
    connections=64,
    answers=True,
    depth=16,
    spread=True,
)
PYTHON_ALONE = replace(
    PYTHON_CONSULTED,
    name="python-alone",
    title="one request at a time through an idle proxy, answered by the proxy itself",
    method="alone",
    tool="load",
    bounds=(
        Bound(subject="headworks-analyzer", figure="added p50 µs", most=60.0),
        Bound(subject="headworks-analyzer", most=150.0),
    ),
    connections=1,
    depth=1,
)
PYTHON_BUSY = replace(
    PYTHON_ALONE,
    name="python-busy",
    title="latency at 2,000 requests a second, while another thread of the analyzer's interpreter computes all the time; "
    "answered by the proxy itself",
    method="latency",
    lanes=lanes("headworks", "headworks-analyzer", "headworks-busy", "headworks-busy-5ms"),
    bounds=(Bound(subject="headworks-busy", most=5_000.0),),
    connections=64,
    rate=2_000.0,
)
HTTP_FRESH = replace(
    HTTP_KEPT,
    name="http-fresh",
    title="HTTP/1.1, a new client connection for each request, server connections kept",
    tool="load",
    lanes=lanes(*HTTP),
    targets=(Target(against="nginx", ratio=0.7),),
    fresh=True,
)
HTTP_BODY = replace(
    HTTP_KEPT,
    name="http-body-down",
    title="HTTP/1.1: answers of 10 MiB, 8 at once",
    method="bulk",
    tool="h2load",
    lanes=lanes(*HTTP, "haproxy-splice"),
    targets=(Target(against="haproxy", ratio=0.8),),
    connections=8,
    quick=False,
)

# TLS 1.3, AES-128-GCM, X25519, a P-256 certificate: the same for all, which the generator sees to. There is no going
# direct to hold these against (see `rounds.py`), so the number is what the proxy itself takes.
HTTPS_KEPT = Scenario(
    name="https-kept",
    title="HTTPS, kept connections: minimal request, 200-byte body; 32 at once",
    method="own",
    origin="http",
    load="http",
    http=True,
    https=True,
    lanes=lanes(*HTTP),
    targets=(Target(against="haproxy", ratio=0.6), Target(against="nginx", ratio=0.7)),
    connections=32,
)
HTTPS_HANDSHAKE = replace(
    HTTPS_KEPT,
    name="https-handshake",
    title="HTTPS, a new connection for each request: full handshake of TLS 1.3",
    # 1.5 times as many a second of one core.
    targets=(Target(against="haproxy", ratio=0.67), Target(against="nginx", ratio=0.67)),
    fresh=True,
    quick=True,
)

SCENARIOS: tuple[Scenario, ...] = (
    CONNECT,
    two_cores(CONNECT),
    KEPT,
    replace(
        KEPT,
        name="kept-1",
        title="kept TCP connection: 100-byte request, 200-byte answer; 1 connection",
        connections=1,
        targets=(),
        quick=False,
    ),
    replace(
        KEPT,
        name="kept-512",
        title="kept TCP connection: 100-byte request, 200-byte answer; 512 at once",
        connections=512,
        targets=(),
        quick=False,
    ),
    two_cores(KEPT),
    BULK_DOWN,
    BULK_UP,
    replace(
        BULK_DOWN,
        name="bulk-down-8",
        title="bulk from server to client, 8 streams",
        connections=8,
        targets=(),
        quick=False,
    ),
    replace(BULK_UP, name="bulk-up-8", title="bulk from client to server, 8 streams", connections=8, targets=()),
    Scenario(
        name="idle",
        title="idle connections routed by SNI: memory of the proxy per connection",
        method="idle",
        origin="answer",
        load="idle",
        lanes=lanes(*TLS, names=10),
        targets=(Target(against="sniproxy", ratio=1.0), Target(against="haproxy", ratio=1.0)),
        connections=9000,
        quick=True,
    ),
    replace(
        CONNECT,
        name="table",
        title="new connection: table of 100,000 names against one of 10",
        lanes=(
            *lanes(*TABLES, "traefik", names=10, suffix="-10"),
            *lanes(*TABLES, names=100_000, suffix="-100k"),
            *lanes("traefik", names=10_000, suffix="-10k"),
        ),
        targets=(Target(subject="headworks-100k", against="headworks-10", ratio=1.05),),
        quick=False,
    ),
    replace(
        CONNECT,
        name="connect-latency",
        title="latency of new connections at half the slowest proxy's rate",
        method="latency",
        targets=(),
        quick=False,
    ),
    replace(
        KEPT,
        name="kept-latency",
        title="latency on kept TCP connections at half the slowest proxy's rate",
        method="latency",
        targets=(),
        quick=False,
    ),
    replace(
        KEPT,
        name="skew",
        title="two workers, 200 kept connections, nine tenths of the load on eight of them, against the same load on all",
        method="skew",
        lanes=lanes(*TCP),
        connections=200,
        targets=(),
        quick=False,
    ),
    replace(
        BULK_DOWN,
        name="slow-reader",
        title="64 clients that ask for 1 GiB and read 10 kB/s: memory of the proxy for each; bulk goes on beside them",
        method="slow",
        lanes=lanes("headworks", "nginx", "nginx-mainline", "haproxy", "haproxy-splice", "envoy", "traefik"),
        connections=64,
        targets=(),
        quick=False,
    ),
    replace(
        CONNECT,
        name="reload",
        title="reload under load: new connections at 1,000 a second, a reload every second",
        method="reload",
        lanes=lanes(*TLS, names=10),
        targets=(),
        quick=False,
    ),
    HTTP_KEPT,
    two_cores(HTTP_KEPT),
    PYTHON_HTTP,
    PYTHON_CONSULTED,
    PYTHON_ALONE,
    PYTHON_BUSY,
    replace(
        HTTP_KEPT,
        name="http-browser",
        title="HTTP/1.1, kept connections: a browser's request, 12 fields, about 600 bytes; 32 at once",
        request="browser",
        quick=False,
    ),
    replace(
        HTTP_KEPT,
        name="servers-1000",
        title="HTTP/1.1, kept connections: a backend of 1,000 servers in turn, against one server; 32 at once",
        lanes=(*lanes(*HTTP, servers=1000), *lanes("headworks", "nginx", "haproxy", suffix="-1")),
        targets=(Target(against="nginx", ratio=0.65), Target(against="haproxy", ratio=0.65)),
        quick=False,
    ),
    HTTP_FRESH,
    HTTP_BODY,
    replace(HTTP_BODY, name="http-body-up", title="HTTP/1.1: request bodies of 10 MiB, 8 at once", upload=True),
    replace(
        HTTP_KEPT,
        name="http-idle",
        title="idle kept HTTP connections: memory of the proxy for each",
        method="idle",
        tool="load",
        lanes=lanes(*HTTP),
        targets=BELOW_ALL,
        connections=9000,
        quick=False,
    ),
    replace(
        HTTP_KEPT,
        name="http-latency",
        title="latency of HTTP/1.1 at half the slowest proxy's rate",
        method="latency",
        tool="load",
        targets=BELOW_ALL,
        quick=False,
    ),
    replace(
        HTTP_KEPT,
        name="http-slow-reader",
        title="64 clients that ask for 1 GiB and read 10 kB/s: memory of the proxy for each; HTTP goes on beside them",
        method="slow",
        tool="load",
        targets=(),
        lanes=lanes(*HTTP),
        connections=64,
        quick=False,
    ),
    replace(
        HTTP_KEPT,
        name="http-reload",
        title="reload under load: HTTP/1.1 at 1,000 requests a second, a reload every second",
        method="reload",
        tool="load",
        targets=(),
        lanes=lanes(*HTTP),
        quick=False,
    ),
    HTTPS_KEPT,
    replace(
        HTTPS_KEPT,
        name="https-kept-browser",
        title="HTTPS, kept connections: a browser's request, 12 fields, about 600 bytes; 32 at once",
        request="browser",
    ),
    HTTPS_HANDSHAKE,
    replace(
        HTTPS_HANDSHAKE,
        name="https-resumed",
        title="HTTPS, a new connection for each request: resumed by a ticket, keys agreed on anew",
        # 1.2 times as many a second of one core.
        targets=(Target(against="haproxy", ratio=0.83), Target(against="nginx", ratio=0.83)),
        resumed=True,
        quick=False,
    ),
    replace(
        HTTPS_KEPT,
        name="https-download",
        title="HTTPS: one answer of 1 GiB",
        method="bulk",
        targets=(Target(against="haproxy", ratio=0.9), Target(against="nginx", ratio=0.9)),
        connections=1,
    ),
    replace(
        HTTPS_KEPT,
        name="https-idle",
        title="idle kept HTTPS connections: memory of the proxy for each",
        method="idle",
        load="http-idle",
        targets=(Target(against="haproxy", ratio=1.0), Target(against="nginx", ratio=1.0)),
        connections=9000,
    ),
)


def table_names(count: int) -> list[str]:
    """Return names of one length, so that tables of any size are asked for hellos of one size."""
    return [f"site-{index:06d}.bench.example" for index in range(count)]
