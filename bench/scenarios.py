"""Everything that is measured, as one table. A new scenario is one more row; a new lane one more entry of a row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Method = Literal["added", "bulk", "idle"]


@dataclass(frozen=True, kw_only=True)
class Lane:
    """A competitor in a scenario. `label` tells two lanes of one competitor apart."""

    competitor: str
    names: int = 0
    suffix: str = ""

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
class Scenario:
    """One kind of work. `names` of a lane > 0: TLS routed by SNI, 0: plain TCP."""

    name: str
    title: str
    method: Method
    origin: str
    load: str
    lanes: tuple[Lane, ...]
    targets: tuple[Target, ...]
    connections: int


def lanes(*competitors: str, names: int = 0) -> tuple[Lane, ...]:
    """Return one lane for each competitor."""
    return tuple(Lane(competitor=competitor, names=names) for competitor in competitors)


# HAProxy 2.6 with "splice-auto" was seen (strace) to copy this stream: it does not take it for a fast one. So the
# target is held against the variant that always splices, too. The one with large pipes shows what more is possible.
BULK_LANES = lanes("headworks", "nginx", "haproxy-splice-auto", "haproxy-splice", "haproxy-splice-1m", "haproxy")
BULK_TARGETS = (
    Target(against="haproxy-splice-auto", ratio=0.8),
    Target(against="haproxy-splice", ratio=0.8),
    Target(against="nginx", ratio=0.5),
)

SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        name="connect",
        title="new connection: hello routed by SNI, 200-byte answer, close",
        method="added",
        origin="close",
        load="connect",
        lanes=lanes("headworks", "sniproxy", "nginx", "haproxy", "floor", names=10),
        targets=(
            Target(against="sniproxy", ratio=1.1),
            Target(against="nginx", ratio=0.75),
            Target(against="haproxy", ratio=0.6),
        ),
        connections=32,
    ),
    Scenario(
        name="kept",
        title="kept TCP connection: 100-byte request, 200-byte answer",
        method="added",
        origin="answer",
        load="kept",
        lanes=lanes("headworks", "nginx", "haproxy", "floor"),
        targets=(Target(against="nginx", ratio=1.0), Target(against="haproxy", ratio=0.7)),
        connections=32,
    ),
    Scenario(
        name="bulk-down",
        title="bulk from server to client, one stream",
        method="bulk",
        origin="source",
        load="bulk-down",
        lanes=BULK_LANES,
        targets=BULK_TARGETS,
        connections=1,
    ),
    Scenario(
        name="bulk-up",
        title="bulk from client to server, one stream",
        method="bulk",
        origin="sink",
        load="bulk-up",
        lanes=BULK_LANES,
        targets=BULK_TARGETS,
        connections=1,
    ),
    Scenario(
        name="idle",
        title="idle connections routed by SNI: memory of the proxy per connection",
        method="idle",
        origin="answer",
        load="idle",
        lanes=lanes("headworks", "sniproxy", "nginx", "haproxy", names=10),
        targets=(Target(against="sniproxy", ratio=1.0), Target(against="haproxy", ratio=1.0)),
        connections=9000,
    ),
    Scenario(
        name="table",
        title="new connection: table of 100,000 names against one of 10",
        method="added",
        origin="close",
        load="connect",
        lanes=(
            Lane(competitor="headworks", names=10, suffix="-10"),
            Lane(competitor="headworks", names=100_000, suffix="-100k"),
        ),
        targets=(Target(subject="headworks-100k", against="headworks-10", ratio=1.05),),
        connections=32,
    ),
)


def table_names(count: int) -> list[str]:
    """Return names of one length, so that tables of any size are asked for hellos of one size."""
    return [f"site-{index:06d}.bench.example" for index in range(count)]
