"""What measuring yields: samples, what a lane came to, and outcomes. Owns no process and works nothing out of /proc."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from scenarios import Scenario


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One run of the generator through one lane. Per operation in microseconds, shares of the wall-clock time."""

    rate: float
    total_cpu_us: float
    proxy_cpu_us: float
    proxy_cpu_seconds: float
    bytes: int
    seconds: float
    latency_us: dict[str, float]
    errors: dict[str, int]
    steal: float
    foreign: float
    proxy_busy: float = 0.0
    threads_us: dict[str, float] = field(default_factory=dict)
    """The proxy's CPU per operation by the names of its threads."""


@dataclass(kw_only=True)
class LaneResult:
    """What a lane came to. `value` is the scenario's number, less is better: see `report.VALUE_TITLES`.

    `low` and `high` are the number of its best and worst round; `median` is that of the median round.
    """

    label: str
    version: str
    value: float | None = None
    median: float | None = None
    low: float | None = None
    high: float | None = None
    cpu_value: float | None = None
    problem: str = ""
    extra: dict[str, float] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)

    @property
    def valid(self) -> bool:
        """Whether its number may be reported."""
        return not self.problem and self.value is not None

    def take(self, numbers: Sequence[float]) -> None:
        """Take the number of each round: the best is the value, because noise only ever adds."""
        self.value, self.median = min(numbers), statistics.median(numbers)
        self.low, self.high = min(numbers), max(numbers)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A scenario and what its lanes came to, with those that could not take part."""

    scenario: Scenario
    results: list[LaneResult]
    skipped: dict[str, str]

    def find(self, label: str) -> LaneResult | None:
        """Return the valid result of a lane."""
        return next((r for r in self.results if r.label == label and r.valid), None)

    @property
    def foreign(self) -> float:
        """The share of the cores that others used, averaged over all runs."""
        shares = [sample.foreign for result in self.results for sample in result.samples]
        return sum(shares) / len(shares) if shares else 0.0


def errors_text(errors: Mapping[str, int]) -> str:
    """Return errors by kind as one text, empty when there were none."""
    return ", ".join(f"{count} x {kind}" for kind, count in errors.items())
