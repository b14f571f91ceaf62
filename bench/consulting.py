"""What it costs to ask people's own code about a request: `consulted` (CPU, with many outstanding), `alone` (waiting).

The proxy answers by itself, so that no server is in the number, and from each lane that of the same listener without
such code is taken off, in the same rounds. Everything is on all cores, as the threads of one proxy are.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Mapping
from contextlib import ExitStack

from results import LaneResult, Sample, errors_text
from rounds import run_seconds
from scenarios import Lane, Scenario
from stage import Stage, empty

WORKER = re.compile(r"headworks-\d+")
"""Names of the threads of Headworks that move bytes. All others of it are Python's, and those that seldom run."""


def measure(stage: Stage, scenario: Scenario, lanes: list[Lane]) -> list[LaneResult]:
    """Measure `lanes` in interleaved rounds."""
    stage = stage.spread()
    results = {lane.label: empty(lane) for lane in lanes}
    with ExitStack() as stack:
        directory = stack.enter_context(stage.directory())
        port, origin = stack.enter_context(stage.generator.origin(scenario.origin))
        ups = stage.proxies(stack, scenario, lanes, results, origin=port, parent=directory)
        for number in range(stage.options.rounds):
            for up in ups:
                label = f"{scenario.name} {number + 1}/{stage.options.rounds} {up.label}"
                stage.progress(label, run_seconds(stage, scenario))
                sample = stage.sample(scenario, up, origin, stage.order(scenario, up))
                results[up.label].samples.append(sample)
    for lane in lanes:
        conclude(scenario, lane, results)
    return list(results.values())


def seconds(stage: Stage, scenario: Scenario, lanes: list[Lane]) -> float:
    """Return how long the runs will take, the starts of the proxies left aside."""
    return stage.options.rounds * len(lanes) * run_seconds(stage, scenario)


def conclude(scenario: Scenario, lane: Lane, results: Mapping[str, LaneResult]) -> None:
    """Work out a lane's numbers from its samples and its base's; an error in either makes it invalid."""
    result, base = results[lane.label], results.get(lane.base or lane.label)
    if base is None or not base.samples:
        result.problem = result.problem or f"nothing to take off: {lane.base} did not run"
    for sample in [*result.samples, *(base.samples if base else [])]:
        result.problem = result.problem or errors_text(sample.errors)
    if result.problem or base is None:
        return
    result.extra["rate"] = max(sample.rate for sample in result.samples)
    figure = _cpu if scenario.method == "consulted" else _p99
    # The base itself adds nothing, and stands there for its other figures.
    result.take(_beyond(result, base, figure) if lane.base else [0.0])
    if lane.base and (result.value or 0.0) <= 0:
        result.problem = f"noise: no more than {lane.base}; run again when others use less of the cores"
    if scenario.method == "alone":
        _waiting(result, base if lane.base else None)
    else:
        _computing(result, base if lane.base else None)


def _beyond(result: LaneResult, base: LaneResult, figure: Callable[[Sample], float]) -> list[float]:
    """Each round's figure, less the base's best."""
    least = min(figure(sample) for sample in base.samples)
    return [figure(sample) - least for sample in result.samples]


def _cpu(sample: Sample) -> float:
    return sample.proxy_cpu_us


def _p50(sample: Sample) -> float:
    return sample.latency_us["p50"]


def _p99(sample: Sample) -> float:
    return sample.latency_us["p99"]


def _worker(sample: Sample) -> float:
    return sum(cpu for name, cpu in sample.threads_us.items() if WORKER.fullmatch(name))


def _python(sample: Sample) -> float:
    return sum(cpu for name, cpu in sample.threads_us.items() if not WORKER.fullmatch(name))


def _waiting(result: LaneResult, base: LaneResult | None) -> None:
    if base is not None:
        result.extra["added p50 µs"] = min(_beyond(result, base, _p50))
    result.extra["p50 µs"] = statistics.median(map(_p50, result.samples))
    result.extra["p99 µs"] = statistics.median(map(_p99, result.samples))


def _computing(result: LaneResult, base: LaneResult | None) -> None:
    """Both sides of a consultation apart; the slower one limits how many a second there can be, each on a core."""
    result.extra["proxy CPU µs"] = min(map(_cpu, result.samples))
    if base is None or not any(map(_worker, result.samples)):
        return
    worker, python = min(_beyond(result, base, _worker)), min(map(_python, result.samples))
    result.extra |= {"worker µs": worker, "Python µs": python}
    if max(worker, python) > 0:
        result.extra["most a second"] = 1e6 / max(worker, python)
