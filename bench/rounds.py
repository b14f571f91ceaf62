"""The methods that go in rounds of A B C A B C ...: `added`, `own`, `two`, `bulk`, and what comes out of their samples.

`added`: everything on one core; CPU added per operation is 1/rate through the proxy minus 1/rate direct. `own`: everything
on one core; the proxy's CPU per operation, for work that cannot be done direct: what a client's TLS costs is neither
the proxy's nor in a plain run, and an origin with TLS of its own would take what is to be measured off again. `two`: the proxy
on a core of its own; its CPU per operation, beside rate and latency. `bulk`: CPU seconds of the proxy per GiB.
"""

from __future__ import annotations

import math
from contextlib import ExitStack

from results import LaneResult, Sample, errors_text
from scenarios import Lane, Scenario
from stage import Stage, direct, empty

GIB = 1 << 30


def measure(stage: Stage, scenario: Scenario, lanes: list[Lane]) -> list[LaneResult]:
    """Measure `lanes` in interleaved rounds; a machine that slows down does so for all."""
    if scenario.method == "two":
        stage = stage.split()
    results = {lane.label: empty(lane) for lane in lanes}
    directs: dict[int, list[Sample]] = {}
    with ExitStack() as stack:
        directory = stack.enter_context(stage.directory())
        everywhere = any(lane.servers > 1 for lane in lanes)
        port, origin = stack.enter_context(stage.generator.origin(scenario.origin, everywhere=everywhere))
        ups = [direct(port, names, directory) for names in directs_of(scenario, lanes)]
        ups += stage.proxies(stack, scenario, lanes, results, origin=port, parent=directory)
        for number in range(stage.options.rounds):
            for up in ups:
                stage.progress(
                    f"{scenario.name} {number + 1}/{stage.options.rounds} {up.label}", run_seconds(stage, scenario)
                )
                sample = stage.sample(scenario, up, origin, stage.order(scenario, up))
                into = results[up.lane.label].samples if up.lane else directs.setdefault(up.names, [])
                into.append(sample)
    for lane in lanes:
        conclude(scenario, results[lane.label], directs.get(lane.names, []))
    return [*_direct_results(scenario, directs), *results.values()]


def seconds(stage: Stage, scenario: Scenario, lanes: list[Lane]) -> float:
    """Return how long the runs will take, the starts of the proxies left aside."""
    runs = stage.options.rounds * (len(lanes) + len(directs_of(scenario, lanes)))
    return runs * run_seconds(stage, scenario)


def run_seconds(stage: Stage, scenario: Scenario) -> float:
    """Return how long one run should take."""
    if scenario.method == "bulk":
        return 0.2 + stage.options.bulk_bytes / GIB
    if scenario.tool == "wrk":
        return math.ceil(stage.options.seconds) + 0.15
    return stage.options.seconds + stage.options.warmup + 0.15


def directs_of(scenario: Scenario, lanes: list[Lane]) -> list[int]:
    """Table sizes that need a direct run; what counts the proxy's own CPU needs none."""
    return [] if scenario.method in ("bulk", "own") else sorted({lane.names for lane in lanes})


def conclude(scenario: Scenario, result: LaneResult, directs: list[Sample]) -> None:
    """Work out a lane's numbers from its samples; any error anywhere makes it invalid."""
    for sample in [*result.samples, *directs]:
        result.problem = result.problem or errors_text(sample.errors)
    if result.problem or not result.samples:
        return
    if scenario.method == "bulk":
        result.take([sample.proxy_cpu_seconds / (sample.bytes / GIB) for sample in result.samples])
        result.extra["GiB/s"] = max(sample.bytes / GIB / sample.seconds for sample in result.samples)
        return
    if scenario.method == "added":
        _added(result, directs)
    else:
        result.take([sample.proxy_cpu_us for sample in result.samples])
    _describe(result)
    if scenario.method != "added":
        del result.extra["proxy CPU µs"]  # it is the value
    if scenario.method == "own" and result.value:
        result.extra["per CPU second"] = 1e6 / result.value
        result.extra["CPU of all µs"] = min(sample.total_cpu_us for sample in result.samples)


def _added(result: LaneResult, directs: list[Sample]) -> None:
    """Each round against the best direct one."""
    through, straight = ([1e6 / sample.rate for sample in some] for some in (result.samples, directs))
    result.take([each - min(straight) for each in through])
    cpu = [min(sample.total_cpu_us for sample in some) for some in (result.samples, directs)]
    result.cpu_value = cpu[0] - cpu[1]
    if min(through) <= min(straight):
        result.problem = "noise: no slower than going direct; run again when others use less of the core"


def _describe(result: LaneResult) -> None:
    best = max(result.samples, key=lambda sample: sample.rate)
    result.extra["rate"] = best.rate
    result.extra["proxy CPU µs"] = min(sample.proxy_cpu_us for sample in result.samples)
    if best.proxy_busy:
        result.extra["proxy's core %"] = 100 * best.proxy_busy
    result.extra |= {f"{key} µs": value for key, value in best.latency_us.items() if key != "max"}


def _direct_results(scenario: Scenario, directs: dict[int, list[Sample]]) -> list[LaneResult]:
    """The direct runs as lanes that add nothing, for the table."""
    results = []
    for names, samples in directs.items():
        label = "direct" if len(directs) == 1 else f"direct-{names}"
        result = LaneResult(label=label, version="", value=0.0, median=0.0, samples=samples)
        result.cpu_value = 0.0 if scenario.method == "added" else None
        result.problem = next((errors_text(sample.errors) for sample in samples if sample.errors), "")
        _describe(result)
        del result.extra["proxy CPU µs"]  # there is none
        results.append(result)
    return results
