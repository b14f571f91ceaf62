"""Reload under load: an open loop at a fixed rate on two cores while the configuration is reloaded every second.

Each reload sends everything to another origin, so that it shows whether it was taken. The number is the worst
latency; failed operations are the other result, so they do not make this run invalid.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import replace

import processes
import tools
from generator import Report
from results import LaneResult, errors_text
from scenarios import Lane, Scenario
from stage import Stage, StartError, Up, empty, reload

RATE = 1000
EVERY = 1.0


def measure(stage: Stage, scenario: Scenario, lanes: list[Lane]) -> list[LaneResult]:
    """Measure each of `lanes` once."""
    stage = stage.split()
    results = []
    for lane in lanes:
        stage.progress(f"{scenario.name} {lane.label}", lane_seconds(stage, scenario))
        result = empty(lane)
        results.append(result)
        try:
            _lane(stage, scenario, lane, result)
        except StartError as error:
            result.problem = str(error)
        except OSError as error:
            result.problem = f"proxy or generator died: {error}"
    return results


def lane_seconds(stage: Stage, _scenario: Scenario) -> float:
    """Return how long one lane should take."""
    return 2 + 1.5 * stage.options.reload_seconds


def _lane(stage: Stage, scenario: Scenario, lane: Lane, result: LaneResult) -> None:
    generator, length = stage.generator, stage.options.reload_seconds
    with (
        stage.directory() as directory,
        generator.origin(scenario.origin) as first,
        generator.origin(scenario.origin) as second,
        stage.proxy(scenario, lane, first[0], directory) as up,
    ):
        calm = stage.sample(scenario, up, first[1], stage.order(scenario, up, seconds=length / 2, rate=RATE))
        result.samples = [calm]
        result.problem = errors_text(calm.errors)
        if result.problem:
            return
        untouched = processes.cpu_seconds([second[1]])
        order = replace(stage.order(scenario, up, seconds=length, rate=RATE), warmup=0.0)
        with generator.running(up.port, tools.load_options(order)) as running:
            reloads, took = _reloads(up, (second[0], first[0]), length)
        report = running[0]
        if processes.cpu_seconds([second[1]]) - untouched < 0.001:
            result.problem = "the reload was not taken: nothing came to the other server"
    _conclude(result, report, reloads=reloads, took=took, calm=calm.latency_us)


def _reloads(up: Up, origins: tuple[int, int], length: float) -> tuple[int, float]:
    """Reload every second until a second before the end; return how often and the seconds that asking took."""
    began = time.monotonic()
    count, took = 0, []
    while began + (count + 2) * EVERY <= began + length:
        time.sleep(max(0.0, began + (count + 1) * EVERY - time.monotonic()))
        asked = time.monotonic()
        reload(up, origins[count % 2])
        took.append(time.monotonic() - asked)
        count += 1
    return count, statistics.median(took) if took else 0.0


def _conclude(result: LaneResult, report: Report, *, reloads: int, took: float, calm: dict[str, float]) -> None:
    result.problem = result.problem or ("" if report.operations else "no operation")
    if result.problem or not report.latency_us:
        return
    result.take([report.latency_us["max"]])
    result.extra = {
        "failed": sum(report.errors.values()),
        "operations": report.operations_all,
        "reloads": reloads,
        "p50 µs": report.latency_us["p50"],
        "p99 µs": report.latency_us["p99"],
        "p99.9 µs": report.latency_us["p99.9"],
        "p99.9 µs without reloads": calm["p99.9"],
        "worst µs without": calm["max"],
        "asking took s": took,
    }
