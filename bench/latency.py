"""Latency at one fixed rate for all, as an open loop: half of what the slowest of them can do, or what the scenario says.

First each proxy's rate is found by a short closed loop (or it is given), then rounds of A B C ... at the rate. The number is the 99th
percentile, from the moment a request was due, so that a stall counts for all who had to wait in it.
"""

from __future__ import annotations

import statistics
from contextlib import ExitStack
from dataclasses import replace

from results import LaneResult, Sample, errors_text
from rounds import run_seconds
from scenarios import Lane, Scenario
from stage import Stage, Up, direct, empty

SHARE = 0.5


def measure(stage: Stage, scenario: Scenario, lanes: list[Lane]) -> list[LaneResult]:
    """Measure `lanes` at half the slowest one's rate."""
    stage = stage.spread() if scenario.spread else stage.split()
    results = {lane.label: empty(lane) for lane in lanes}
    with ExitStack() as stack:
        directory = stack.enter_context(stage.directory())
        port, origin = stack.enter_context(stage.generator.origin(scenario.origin))
        ups = stage.proxies(stack, scenario, lanes, results, origin=port, parent=directory)
        most = {} if scenario.rate else _most(stage, scenario, [(up, results[up.label]) for up in ups], origin)
        fit = [(up, results[up.label]) for up in ups if not results[up.label].problem]
        rate = scenario.rate or SHARE * min((most[up.label] for up, _ in fit), default=0.0)
        straight = LaneResult(label="direct", version="")
        names = min((lane.names for lane in lanes), default=0)
        runs = [(direct(port, names, directory), straight), *fit]
        _rounds(stage, scenario, runs, origin=origin, rate=rate)
    found_results = [straight, *results.values()]
    for result in found_results:
        _conclude(result, rate, most.get(result.label))
    return found_results


def seconds(stage: Stage, scenario: Scenario, lanes: list[Lane]) -> float:
    """Return how long the runs will take."""
    runs = len(lanes) * (not scenario.rate) + stage.options.rounds * (len(lanes) + 1)
    return runs * run_seconds(stage, scenario)


def _most(stage: Stage, scenario: Scenario, runs: list[tuple[Up, LaneResult]], origin: int) -> dict[str, float]:
    """Find how many operations a second each can do; one with errors takes no further part."""
    most = {}
    for up, result in runs:
        stage.progress(f"{scenario.name} most {up.label}", run_seconds(stage, scenario))
        found = stage.sample(scenario, up, origin, stage.order(scenario, up))
        result.problem = errors_text(found.errors)
        most[up.label] = found.rate
    return most


def _rounds(stage: Stage, scenario: Scenario, runs: list[tuple[Up, LaneResult]], *, origin: int, rate: float) -> None:
    if not rate:
        return
    for number in range(stage.options.rounds):
        for up, result in runs:
            label = f"{scenario.name} {number + 1}/{stage.options.rounds} {up.label}"
            stage.progress(label, run_seconds(stage, scenario))
            sample = stage.sample(scenario, up, origin, stage.order(scenario, up, rate=rate))
            result.samples.append(_kept_up(sample, rate))


def _kept_up(sample: Sample, rate: float) -> Sample:
    """A run that did not reach the rate says nothing about latency at it."""
    if sample.rate >= 0.95 * rate:
        return sample
    return replace(sample, errors=sample.errors | {f"rate of {sample.rate:.0f} instead of {rate:.0f}": 1})


def _conclude(result: LaneResult, rate: float, most: float | None) -> None:
    for sample in result.samples:
        result.problem = result.problem or errors_text(sample.errors)
    if result.problem or not result.samples:
        return
    result.take([sample.latency_us["p99"] for sample in result.samples])
    for key in ("p50", "p99.9", "max"):
        result.extra[f"{key} µs"] = statistics.median(sample.latency_us[key] for sample in result.samples)
    result.extra["at rate"] = rate
    if most is not None:
        result.extra["most"] = most
    result.extra["proxy CPU µs"] = min(sample.proxy_cpu_us for sample in result.samples)
