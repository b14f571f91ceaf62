"""The methods: what is run, in which order, and how a number comes out. Prints nothing, starts nothing for good.

`added`: rounds of A B C D A B C D ..., everything on one core; CPU added per operation is 1/rate through the proxy
minus 1/rate direct, best round of each. `bulk`: CPU seconds of the proxy per GiB, best round. `idle`: anonymous memory
with all connections minus before, per connection.
"""

from __future__ import annotations

import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import processes
from competitors import COMPETITORS, Task
from generator import Generator, Report
from scenarios import Lane, Scenario, table_names

GIB = 1 << 30
START_ATTEMPTS = 3


@dataclass(frozen=True, kw_only=True)
class Options:
    """How much is measured, and where. Seconds are per lane and round."""

    rounds: int
    seconds: float
    warmup: float
    bulk_bytes: int
    proxy_core: int
    connections: int | None
    descriptors: int
    late: bool


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


@dataclass(kw_only=True)
class LaneResult:
    """What a lane came to. `value` is the scenario's number: added us, CPU s per GiB, or bytes per connection."""

    label: str
    version: str
    value: float | None = None
    median: float | None = None
    cpu_value: float | None = None
    problem: str = ""
    extra: dict[str, float] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)

    @property
    def valid(self) -> bool:
        """Whether its number may be reported."""
        return not self.problem and self.value is not None


@dataclass(frozen=True, kw_only=True)
class Up:
    """A running proxy (or, without pids, the origin itself)."""

    lane: Lane | None
    port: int
    root: int | None
    names: int
    names_file: Path | None

    def pids(self) -> list[int]:
        """Return all processes of the proxy."""
        return processes.family(self.root) if self.root is not None else []


class Bench:
    """Measures scenarios with one generator and one set of options."""

    def __init__(self, generator: Generator, options: Options, progress: Callable[[str], None]) -> None:
        """`progress` is called with a label before every run."""
        self.generator = generator
        self.options = options
        self.progress = progress

    def measure(self, scenario: Scenario, lanes: list[Lane]) -> list[LaneResult]:
        """Measure `lanes` of `scenario` by its method."""
        if scenario.method == "idle":
            return [self._idle(scenario, lane) for lane in lanes]
        return self._rounds(scenario, lanes)

    def steps(self, scenario: Scenario, lanes: list[Lane]) -> int:
        """How many times `progress` will be called."""
        if scenario.method == "idle":
            return len(lanes)
        return self.options.rounds * (len(lanes) + len(_directs(scenario, lanes)))

    def _rounds(self, scenario: Scenario, lanes: list[Lane]) -> list[LaneResult]:
        results = {lane.label: _empty(lane) for lane in lanes}
        directs: dict[int, list[Sample]] = {}
        with ExitStack() as stack:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headworks-bench-")))
            port, origin = stack.enter_context(self.generator.origin(scenario.origin))
            ups = [_direct(port, names, directory) for names in _directs(scenario, lanes)]
            for lane in lanes:
                try:
                    ups.append(stack.enter_context(self._proxy(scenario, lane, port, directory)))
                except StartError as error:
                    results[lane.label].problem = str(error)
            for number in range(self.options.rounds):
                for up in ups:
                    self.progress(f"{scenario.name} {number + 1}/{self.options.rounds} {_label(up)}")
                    sample = self._sample(scenario, up, origin)
                    into = results[up.lane.label].samples if up.lane else directs.setdefault(up.names, [])
                    into.append(sample)
        for lane in lanes:
            _conclude(scenario, results[lane.label], directs.get(lane.names, []))
        return [*_direct_results(directs), *results.values()]

    def _sample(self, scenario: Scenario, up: Up, origin: int) -> Sample:
        core = self.options.proxy_core
        pids = up.pids()
        before = processes.CoreTime.read(core), processes.cpu_seconds([origin]), processes.cpu_seconds(pids)
        began = time.monotonic()
        patience = 60 + 4 * (self.options.seconds + self.options.warmup)
        report = self.generator.run(up.port, self._load(scenario, up), patience=patience)
        wall = time.monotonic() - began
        after = processes.CoreTime.read(core)
        try:
            proxy_cpu = processes.cpu_seconds(pids) - before[2]
        except OSError:
            return _sample(report, proxy_cpu=0, origin_cpu=0, steal=0, busy=0, wall=wall, died=True)
        return _sample(
            report,
            proxy_cpu=proxy_cpu,
            origin_cpu=processes.cpu_seconds([origin]) - before[1],
            steal=after.stolen - before[0].stolen,
            busy=after.busy - before[0].busy,
            wall=wall,
        )

    def _idle(self, scenario: Scenario, lane: Lane) -> LaneResult:
        """Memory in bytes per connection, in a fresh proxy that has served a few connections before."""
        self.progress(f"{scenario.name} {lane.label}")
        result = _empty(lane)
        count = self.options.connections or scenario.connections
        with ExitStack() as stack:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headworks-bench-")))
            port, _ = stack.enter_context(self.generator.origin(scenario.origin))
            try:
                up = stack.enter_context(self._proxy(scenario, lane, port, directory))
            except StartError as error:
                result.problem = str(error)
                return result
            load = self._load(scenario, up)
            try:
                with self.generator.holding(up.port, [*load, "--connections", "64"]):
                    pass
                before = _settled(up)
                with self.generator.holding(up.port, [*load, "--connections", str(count)]) as reports:
                    during = _settled(up)
            except (OSError, subprocess.TimeoutExpired) as error:
                result.problem = f"proxy or generator died: {error}"
                return result
        result.problem = _errors_text(reports[0].errors)
        result.value = (during - before) / count
        result.median = result.value
        result.extra = {"before": before, "with connections": during, "all of it per connection": during / count}
        return result

    @contextmanager
    def _proxy(self, scenario: Scenario, lane: Lane, origin: int, parent: Path) -> Iterator[Up]:
        """Run a lane's proxy. A lost race for the port shows as a proxy that ends at once: another port is tried."""
        competitor = COMPETITORS[lane.competitor]
        program = competitor.find()
        assert program is not None, "missing competitors are sorted out before"
        names = table_names(lane.names)
        directory = parent / lane.label
        directory.mkdir()
        names_file = directory / "names.txt"
        names_file.write_text("\n".join(names))
        for _ in range(START_ATTEMPTS):
            task = Task(
                listen=processes.free_port(),
                origin=origin,
                names=names,
                bulk=scenario.method == "bulk",
                descriptors=self.options.descriptors,
                directory=directory,
            )
            log = directory / "output.log"
            argv = competitor.arguments(program, task)
            process = processes.start(argv, core=self.options.proxy_core, log=log)
            try:
                if processes.wait_for_port(process, task.listen):
                    time.sleep(0.2)  # Children that a proxy starts after binding are there.
                    yield Up(lane=lane, port=task.listen, root=process.pid, names=lane.names, names_file=names_file)
                    return
            finally:
                processes.stop(process)
        raise StartError("did not start: " + " / ".join(log.read_text().strip().splitlines()[-3:]))

    def _load(self, scenario: Scenario, up: Up) -> list[str]:
        load = ["--scenario", scenario.load]
        if up.names and up.names_file is not None:
            load += ["--names", str(up.names_file)]
        if scenario.method == "idle":
            return load
        load += ["--connections", str(self.options.connections or scenario.connections)]
        if scenario.method == "bulk":
            return [*load, "--bytes", str(self.options.bulk_bytes)]
        if self.options.late:
            load += ["--late", "1"]
        return [*load, "--seconds", str(self.options.seconds), "--warmup", str(self.options.warmup)]


class StartError(Exception):
    """A proxy did not come up; the text has its last words."""


def _directs(scenario: Scenario, lanes: list[Lane]) -> list[int]:
    """Table sizes that need a direct run. Bulk needs none: it counts the proxy's own CPU."""
    return [] if scenario.method == "bulk" else sorted({lane.names for lane in lanes})


def _direct(port: int, names: int, directory: Path) -> Up:
    names_file = directory / f"names-{names}.txt"
    names_file.write_text("\n".join(table_names(names)))
    return Up(lane=None, port=port, root=None, names=names, names_file=names_file)


def _label(up: Up) -> str:
    return up.lane.label if up.lane else "direct"


def _empty(lane: Lane) -> LaneResult:
    competitor = COMPETITORS[lane.competitor]
    program = competitor.find()
    return LaneResult(label=lane.label, version=competitor.version(program) if program else "")


def _sample(
    report: Report,
    *,
    proxy_cpu: float,
    origin_cpu: float,
    steal: float,
    busy: float,
    wall: float,
    died: bool = False,
) -> Sample:
    count = max(report.operations_all, 1)
    ours = proxy_cpu + origin_cpu + report.cpu_seconds
    return Sample(
        rate=report.rate,
        total_cpu_us=ours / count * 1e6,
        proxy_cpu_us=proxy_cpu / count * 1e6,
        proxy_cpu_seconds=proxy_cpu,
        bytes=report.bytes,
        seconds=report.seconds,
        latency_us=report.latency_us,
        errors=report.errors
        | ({"proxy: died": 1} if died else {})
        | ({} if report.operations else {"no operation": 1}),
        steal=steal / wall,
        foreign=max(0.0, busy - ours) / wall,
    )


def _conclude(scenario: Scenario, result: LaneResult, directs: list[Sample]) -> None:
    """Work out a lane's numbers from its samples; any error anywhere makes it invalid."""
    for sample in [*result.samples, *directs]:
        result.problem = result.problem or _errors_text(sample.errors)
    if result.problem or not result.samples:
        return
    if scenario.method == "bulk":
        per_gib = [sample.proxy_cpu_seconds / (sample.bytes / GIB) for sample in result.samples]
        result.value, result.median = min(per_gib), statistics.median(per_gib)
        result.extra["GiB/s"] = max(sample.bytes / GIB / sample.seconds for sample in result.samples)
        return
    through, direct = [[1e6 / sample.rate for sample in some] for some in (result.samples, directs)]
    result.value = min(through) - min(direct)
    result.median = statistics.median(through) - statistics.median(direct)
    cpu = [min(sample.total_cpu_us for sample in some) for some in (result.samples, directs)]
    result.cpu_value = cpu[0] - cpu[1]
    _describe(result)


def _describe(result: LaneResult) -> None:
    best = max(result.samples, key=lambda sample: sample.rate)
    result.extra["rate"] = best.rate
    result.extra["proxy CPU"] = min(sample.proxy_cpu_us for sample in result.samples)
    result.extra |= {key: value for key, value in best.latency_us.items() if key != "max"}


def _direct_results(directs: dict[int, list[Sample]]) -> list[LaneResult]:
    """The direct runs as lanes that add nothing, for the table."""
    results = []
    for names, samples in directs.items():
        label = "direct" if len(directs) == 1 else f"direct-{names}"
        result = LaneResult(label=label, version="", value=0.0, median=0.0, cpu_value=0.0, samples=samples)
        result.problem = next((_errors_text(sample.errors) for sample in samples if sample.errors), "")
        _describe(result)
        results.append(result)
    return results


def _errors_text(errors: dict[str, int]) -> str:
    return ", ".join(f"{count} x {kind}" for kind, count in errors.items())


def _settled(up: Up) -> int:
    """Memory once two readings a second apart agree within half a percent, or after ten seconds."""
    last = processes.anonymous_bytes(up.pids())
    for _ in range(10):
        time.sleep(1)
        now = processes.anonymous_bytes(up.pids())
        if abs(now - last) <= last / 200:
            return now
        last = now
    return last
