"""Memory for each connection: idle ones (`idle`), and clients that ask for much and read slowly (`slow`).

Every lane has a fresh proxy of its own. The number is anonymous and shared memory of the proxy with all connections,
once it has settled, minus that after it has served a few, by the number of connections.
"""

from __future__ import annotations

import mmap
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import clients
import processes
import tools
from results import LaneResult, Sample, errors_text
from rounds import run_seconds
from scenarios import Lane, Scenario
from stage import Stage, StartError, Up, empty

SAMPLES = 3
"""Runs of others before and beside the slow readers, of which the best ones are compared."""
WARM = 64
"""Connections that come and go first: what a proxy makes at its first connections is not counted for each."""
ASKED, READ = 1 << 30, 10_000
"""Bytes that a slow client asks for, and reads a second."""


def measure(stage: Stage, scenario: Scenario, lanes: list[Lane]) -> list[LaneResult]:
    """Measure each of `lanes` once."""
    one = _idle if scenario.method == "idle" else _slow
    if scenario.method == "slow":
        stage = stage.split()
    results = []
    for lane in lanes:
        stage.progress(f"{scenario.name} {lane.label}", lane_seconds(stage, scenario))
        result = empty(lane)
        results.append(result)
        try:
            with (
                stage.directory() as directory,
                stage.generator.origin(scenario.origin) as (port, origin),
                stage.proxy(scenario, lane, port, directory) as up,
            ):
                one(stage, scenario, up, origin, result)
        except StartError as error:
            result.problem = str(error)
        except (OSError, subprocess.TimeoutExpired) as error:
            result.problem = f"proxy or generator died: {error}"
    return results


def lane_seconds(stage: Stage, scenario: Scenario) -> float:
    """Return how long one lane should take."""
    if scenario.method == "idle":
        return 5 + stage.options.idle_connections / 1500
    each = run_seconds(stage, replace(scenario, method="added" if scenario.http else "bulk"))
    return 6 + 2 * min(SAMPLES, stage.options.rounds) * each


def _idle(stage: Stage, scenario: Scenario, up: Up, _origin: int, result: LaneResult) -> None:
    count = stage.options.connections or min(scenario.connections, stage.options.idle_connections)
    with _held(stage, scenario, up, WARM):
        pass
    before = settled(up)
    with _held(stage, scenario, up, count) as errors:
        during = settled(up)
    result.problem = errors_text(errors)
    result.take([_grown(before, during) / count])
    result.extra = {"before": before, "with connections": during, "all of it per connection": during / count}


@contextmanager
def _held(stage: Stage, scenario: Scenario, up: Up, count: int) -> Iterator[dict[str, int]]:
    """Hold idle connections inside; afterwards the yielded dict has what went wrong."""
    errors: dict[str, int] = {}
    if scenario.http and not scenario.https:
        with clients.kept(up.port, count) as held:
            yield errors
            errors |= held()
        return
    options = tools.hold_options(stage.order(scenario, up), count)
    with stage.generator.holding(up.port, options) as reports:
        yield errors
    errors |= reports[0].errors


def _slow(stage: Stage, scenario: Scenario, up: Up, origin: int, result: LaneResult) -> None:
    """Others' rate before and beside the clients that do not read, and the memory these take."""
    order = _beside(stage.order(scenario, up), scenario)
    alone = _samples(stage, scenario, up, origin, order)
    before = settled(up)
    count = stage.options.connections or scenario.connections
    asked = ["--path", f"/bytes/{ASKED}"] if scenario.http else ["--bytes", str(ASKED)]
    options = ["--scenario", "slow-reader", "--connections", str(count), "--read-rate", str(READ), *asked]
    with stage.generator.holding(up.port, options) as reports:
        during = settled(up)
        beside = _samples(stage, scenario, up, origin, order)
    result.samples = [*alone, *beside]
    wrong = next((sample.errors for sample in result.samples if sample.errors), {})
    result.problem = errors_text(wrong | reports[0].errors)
    result.take([_grown(before, during) / count])
    result.extra = {"before": before, "with slow readers": during}
    if not result.problem:
        best = max(beside, key=lambda sample: sample.rate)
        result.extra["others' rate %"] = 100 * best.rate / max(sample.rate for sample in alone)
        result.extra |= {f"others' {key} µs": best.latency_us[key] for key in ("p50", "p99") if scenario.http}


def _samples(stage: Stage, scenario: Scenario, up: Up, origin: int, order: tools.Order) -> list[Sample]:
    return [stage.sample(scenario, up, origin, order) for _ in range(min(SAMPLES, stage.options.rounds))]


def _beside(order: tools.Order, scenario: Scenario) -> tools.Order:
    """HTTP requests on 8 connections, or one stream of bulk."""
    return replace(order, connections=8, total=0) if scenario.http else replace(order, connections=1)


def _grown(before: int, during: int) -> int:
    """At least one page: less cannot be told from nothing."""
    return max(during - before, mmap.PAGESIZE)


def settled(up: Up) -> int:
    """Memory once two readings a second apart agree within half a percent, or after ten seconds."""
    last = processes.anonymous_bytes(up.pids())
    for _ in range(10):
        time.sleep(1)
        now = processes.anonymous_bytes(up.pids())
        if abs(now - last) <= last / 200:
            return now
        last = now
    return last
