"""Connections of very unequal load on two workers: what a connection pays that shares its worker with busy ones.

The system gives each new connection to a worker and knows nothing of what it will ask for, and a connection never
leaves its worker. `even`: all connections are used in turn, as an open loop at half of what the slowest proxy does at
most. `skewed`: the same rate, nine tenths of it on few of the connections. Rounds of even, skewed, for each proxy; each
run makes its connections anew, so that they fall otherwise. The number is the 99th percentile of whoever fares worse in
a skewed run, the busy ones or all others; `to even` is its ratio to that of the even runs, medians both.
"""

from __future__ import annotations

import statistics
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

import tools
from latency import SHARE
from results import LaneResult, Sample, errors_text
from rounds import run_seconds
from scenarios import Lane, Scenario
from stage import Stage, Up, empty

BUSY = 8
"""Connections that are busy."""
LOAD = 0.9
"""Their share of the operations."""


def measure(stage: Stage, scenario: Scenario, lanes: list[Lane]) -> list[LaneResult]:
    """Measure `lanes` in interleaved rounds."""
    stage = stage.spread()
    results = {lane.label: empty(lane) for lane in lanes}
    with ExitStack() as stack:
        directory = stack.enter_context(stage.directory())
        port, origin = stack.enter_context(stage.generator.origin(scenario.origin))
        ups = stage.proxies(stack, scenario, lanes, results, origin=port, parent=directory)
        rows = [_Row(stage=stage, scenario=scenario, up=up, origin=origin, result=results[up.label]) for up in ups]
        rate = SHARE * min((row.most() for row in rows), default=0.0)
        for number in range(stage.options.rounds):
            for row in rows:
                label = f"{scenario.name} {number + 1}/{stage.options.rounds} {row.up.label}"
                stage.progress(label, 2 * run_seconds(stage, scenario))
                row.round(rate)
    for row in rows:
        row.conclude(rate)
    return list(results.values())


def seconds(stage: Stage, scenario: Scenario, lanes: list[Lane]) -> float:
    """Return how long the runs will take."""
    return len(lanes) * (1 + 2 * stage.options.rounds) * run_seconds(stage, scenario)


@dataclass(kw_only=True)
class _Row:
    """One proxy and the 99th percentiles of its rounds."""

    stage: Stage
    scenario: Scenario
    up: Up
    origin: int
    result: LaneResult
    even: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)
    calm: list[float] = field(default_factory=list)

    def most(self) -> float:
        """Return the rate of a closed loop."""
        self.stage.progress(f"{self.scenario.name} most {self.up.label}", run_seconds(self.stage, self.scenario))
        return self._sample(self.stage.order(self.scenario, self.up)).rate

    def round(self, rate: float) -> None:
        """Run once evenly and once not."""
        whole = self.stage.order(self.scenario, self.up, rate=rate)
        even = self._sample(whole)
        calm = replace(whole, connections=whole.connections - BUSY, rate=rate * (1 - LOAD))
        with self.stage.generator.running(self.up.port, tools.load_options(calm)) as reports:
            busy = self._sample(replace(whole, connections=BUSY, rate=rate * LOAD))
        self.result.problem = self.result.problem or errors_text(reports[0].errors)
        if not self.result.problem:
            self.even.append(even.latency_us["p99"])
            self.busy.append(busy.latency_us["p99"])
            self.calm.append(reports[0].latency_us["p99"])

    def conclude(self, rate: float) -> None:
        """Work out the numbers; any error anywhere makes them invalid."""
        if self.result.problem or not self.even:
            return
        self.result.take([max(pair) for pair in zip(self.busy, self.calm, strict=True)])
        even, busy, calm = map(statistics.median, (self.even, self.busy, self.calm))
        self.result.extra["to even"] = statistics.median(map(max, self.busy, self.calm)) / even
        self.result.extra |= {"even p99 µs": even, "busy p99 µs": busy, "others p99 µs": calm, "at rate": rate}

    def _sample(self, order: tools.Order) -> Sample:
        sample = self.stage.sample(self.scenario, self.up, self.origin, order)
        self.result.samples.append(sample)
        self.result.problem = self.result.problem or errors_text(sample.errors)
        return sample
