"""Measures scenarios: which method is for which, and how long everything will take. Prints nothing.

The methods are in `rounds.py` (added, two, bulk), `latency.py`, `skew.py`, `memory.py` (idle, slow), `reloading.py` and
`consulting.py` (consulted, alone).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import consulting
import latency
import memory
import reloading
import rounds
import skew
from generator import Generator
from results import LaneResult
from rounds import GIB
from scenarios import Lane, Method, Scenario
from stage import Options, Stage

__all__ = ["GIB", "NEEDS_TWO_CORES", "Bench", "LaneResult", "Options", "fit"]

START_SECONDS = 0.8
"""From starting a proxy to its being ready, with the wait for what it starts after binding."""
NEEDS_TWO_CORES: frozenset[Method] = frozenset(("two", "latency", "skew", "slow", "reload", "consulted", "alone"))
SHORTEST, LONGEST = 0.5, 3.0


class Bench:
    """Measures scenarios with one generator and one set of options."""

    def __init__(self, generator: Generator, options: Options, progress: Callable[[str, float], None]) -> None:
        """`progress` is called before every run with a label and the seconds it should take."""
        self.stage = Stage(generator=generator, options=options, progress=progress)

    def measure(self, scenario: Scenario, lanes: list[Lane]) -> list[LaneResult]:
        """Measure `lanes` of `scenario` by its method."""
        if scenario.method == "latency":
            return latency.measure(self.stage, scenario, lanes)
        if scenario.method == "skew":
            return skew.measure(self.stage, scenario, lanes)
        if scenario.method in ("idle", "slow"):
            return memory.measure(self.stage, scenario, lanes)
        if scenario.method == "reload":
            return reloading.measure(self.stage, scenario, lanes)
        if scenario.method in ("consulted", "alone"):
            return consulting.measure(self.stage, scenario, lanes)
        return rounds.measure(self.stage, scenario, lanes)

    def seconds(self, scenario: Scenario, lanes: list[Lane]) -> float:
        """Return how long `measure` should take."""
        if not lanes:
            return 0.0
        starts = START_SECONDS * len(lanes) + sum(lane.names for lane in lanes) / 100_000 * 5
        return starts + self._runs(scenario, lanes)

    def _runs(self, scenario: Scenario, lanes: list[Lane]) -> float:
        if scenario.method == "latency":
            return latency.seconds(self.stage, scenario, lanes)
        if scenario.method == "skew":
            return skew.seconds(self.stage, scenario, lanes)
        if scenario.method in ("idle", "slow"):
            return len(lanes) * memory.lane_seconds(self.stage, scenario)
        if scenario.method == "reload":
            return len(lanes) * reloading.lane_seconds(self.stage, scenario)
        if scenario.method in ("consulted", "alone"):
            return consulting.seconds(self.stage, scenario, lanes)
        return rounds.seconds(self.stage, scenario, lanes)


def fit(generator: Generator, options: Options, plans: list[tuple[Scenario, list[Lane]]], budget: float) -> Options:
    """Return options whose seconds per run make all plans take about `budget` seconds, within what is sensible."""

    def total(seconds: float) -> float:
        bench = Bench(generator, replace(options, seconds=seconds), lambda _label, _seconds: None)
        return sum(bench.seconds(scenario, lanes) for scenario, lanes in plans)

    steps = [SHORTEST + 0.05 * step for step in range(round((LONGEST - SHORTEST) / 0.05) + 1)]
    fitting = [seconds for seconds in steps if total(seconds) <= budget]
    return replace(options, seconds=round(max(fitting, default=SHORTEST), 2))
