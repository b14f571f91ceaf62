"""Where a run takes place: the origin, one proxy on its core, and one run of a generator through it, made a Sample.

Knows the parts' cores and how to look at them; the methods decide what is run and what the numbers mean.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import clients
import processes
import tools
from competitors import COMPETITORS, Competitor, Task
from generator import Generator, Report
from proxies import certificates
from results import LaneResult, Sample
from scenarios import Lane, Scenario, table_names

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
    load_core: int = -1
    """The other core, for what needs two; -1: there is none."""
    idle_connections: int = 9000
    reload_seconds: float = 6.0


class StartError(Exception):
    """A proxy did not come up; the text has its last words."""


@dataclass(frozen=True, kw_only=True)
class Up:
    """A running proxy (or, without pids, the origin itself)."""

    lane: Lane | None
    port: int
    root: int | None
    names: int
    names_file: Path | None
    task: Task | None = None

    def pids(self) -> list[int]:
        """Return all processes of the proxy."""
        return processes.family(self.root) if self.root is not None else []

    @property
    def label(self) -> str:
        """How progress calls it."""
        return self.lane.label if self.lane else "direct"


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Starts and samples. `progress` is called before every run with a label and the seconds it should take."""

    generator: Generator
    options: Options
    progress: Callable[[str, float], None]

    def spread(self) -> Stage:
        """Return the same with everything on all cores, wherever the system puts it."""
        every = processes.EVERY
        return replace(
            self, generator=replace(self.generator, core=every), options=replace(self.options, proxy_core=every)
        )

    def split(self) -> Stage:
        """Return the same with generator and origin on the other core."""
        return replace(self, generator=replace(self.generator, core=self.options.load_core))

    @contextmanager
    def directory(self) -> Iterator[Path]:
        """Make a directory for one scenario's files."""
        with tempfile.TemporaryDirectory(prefix="headworks-bench-") as name:
            # A proxy that has dropped its privileges reads its configuration again when it is reloaded (sniproxy).
            Path(name).chmod(0o755)
            yield Path(name)

    def proxies(
        self,
        stack: ExitStack,
        scenario: Scenario,
        lanes: list[Lane],
        results: Mapping[str, LaneResult],
        *,
        origin: int,
        parent: Path,
    ) -> list[Up]:
        """Run the proxies of `lanes` until the stack ends. The result of one that does not start says why."""
        ups: list[Up] = []
        for lane in lanes:
            try:
                ups.append(stack.enter_context(self.proxy(scenario, lane, origin, parent)))
            except StartError as error:
                results[lane.label].problem = str(error)
        return ups

    @contextmanager
    def proxy(self, scenario: Scenario, lane: Lane, origin: int, parent: Path) -> Iterator[Up]:
        """Run a lane's proxy. A lost race for the port shows as a proxy that ends at once: another port is tried."""
        competitor = COMPETITORS[lane.competitor]
        program = competitor.find()
        assert program is not None, "missing competitors are sorted out before"
        directory = parent / lane.label
        directory.mkdir()
        log = directory / "output.log"
        names_file = names_in(directory, lane.names)
        for _ in range(START_ATTEMPTS):
            task = self._task(scenario, lane, origin, directory)
            process = processes.start(
                competitor.arguments(program, task),
                core=self.options.proxy_core,
                log=log,
                env=competitor.environment(task),
            )
            try:
                # A table of 100,000 names takes some a while to read.
                patience = 20 + lane.names / 2000
                if processes.wait_for_port(process, task.listen, patience=patience):
                    time.sleep(0.3)  # Children that a proxy starts after binding are there; watched files are watched.
                    root = process.pid
                    names = lane.names
                    up = Up(lane=lane, port=task.listen, root=root, names=names, names_file=names_file, task=task)
                    self._wait_until_it_serves(up, patience)
                    yield up
                    return
            finally:
                processes.stop(process)
        raise StartError("did not start: " + " / ".join(log.read_text().strip().splitlines()[-3:]))

    def _wait_until_it_serves(self, up: Up, patience: float) -> None:
        """Some bind before they have read their routes (Traefik): one answered request shows that they have."""
        assert up.task is not None
        if up.task.protocol == "tcp":
            return
        deadline = time.monotonic() + patience
        while not self._serves(up):
            if time.monotonic() > deadline:
                raise StartError("listens, but answers nobody")
            time.sleep(0.1)

    def _serves(self, up: Up) -> bool:
        if up.task is not None and up.task.http:
            return clients.is_answered(up.port, https=up.task.protocol == "https")
        options = ["--scenario", "idle", "--names", str(up.names_file), "--connections", "1", "--patience", "2"]
        with self.generator.holding(up.port, options) as reports:
            pass
        return reports[0].operations == 1

    def _task(self, scenario: Scenario, lane: Lane, origin: int, directory: Path) -> Task:
        return Task(
            listen=processes.free_port(),
            origin=origin,
            names=table_names(lane.names),
            bulk=scenario.method in ("bulk", "slow"),
            descriptors=self.options.descriptors,
            directory=directory,
            http=scenario.http,
            certificate=certificates.made() if scenario.https else None,
            reloads=scenario.method == "reload",
            servers=lane.servers,
            answers=scenario.answers,
            workers=2 if scenario.method == "skew" else 1,
        )

    def order(self, scenario: Scenario, up: Up, *, seconds: float | None = None, rate: float = 0.0) -> tools.Order:
        """Return what the generator is asked to do in `scenario`; a rate makes it an open loop."""
        return tools.Order(
            port=up.port,
            load=scenario.load,
            connections=self.options.connections or scenario.connections,
            seconds=self.options.seconds if seconds is None else seconds,
            warmup=self.options.warmup,
            total=self.options.bulk_bytes if scenario.load.startswith("bulk") or scenario.method == "bulk" else 0,
            rate=rate,
            names_file=up.names_file if up.names else None,
            request=scenario.request,
            http=scenario.http,
            fresh=scenario.fresh,
            upload=scenario.upload,
            late=self.options.late,
            certificate=certificates.made().certificate if scenario.https else None,
            resumed=scenario.resumed,
            turns=scenario.method == "skew",
            depth=scenario.depth,
        )

    def sample(self, scenario: Scenario, up: Up, origin: int, order: tools.Order) -> Sample:
        """Run the generator once and say what it, the origin and the proxy took."""
        cores = {self.options.proxy_core, self.generator.core} - {processes.EVERY} or os.sched_getaffinity(0)
        pids = up.pids()
        readings: list[_Reading] = []

        def read() -> None:
            readings.append(_Reading.take(cores, origin, pids))

        report = tools.run(scenario.tool, self.generator, order, begins=read)
        try:
            read()
        except OSError:
            last = _Reading.take(cores, origin, [])
            return _sample(report, last, last, died=True)
        return _sample(report, readings[0], readings[-1])


def empty(lane: Lane) -> LaneResult:
    """Return a result with nothing in it yet."""
    competitor = COMPETITORS[lane.competitor]
    program = competitor.find()
    return LaneResult(label=lane.label, version=competitor.version(program) if program else "")


def names_in(directory: Path, count: int) -> Path:
    """Write the names that hellos are made for."""
    file = directory / f"names-{count}.txt"
    file.write_text("\n".join(table_names(count)))
    return file


def direct(port: int, names: int, directory: Path) -> Up:
    """Return the origin itself as something to measure."""
    return Up(lane=None, port=port, root=None, names=names, names_file=names_in(directory, names))


def reload(up: Up, origin: int) -> None:
    """Make the proxy send everything to another origin, by its own way."""
    assert up.lane is not None
    assert up.task is not None
    assert up.root is not None
    competitor: Competitor = COMPETITORS[up.lane.competitor]
    program = competitor.find()
    assert program is not None
    competitor.reload(program, replace(up.task, origin=origin), up.root)


@dataclass(frozen=True, kw_only=True)
class _Reading:
    """Seconds so far: of the wall clock, stolen and busy cores, the origin, the proxy."""

    clock: float
    stolen: float
    busy: float
    origin: float
    proxy: float
    threads: Mapping[str, float]
    cores: int

    @classmethod
    def take(cls, cores: set[int], origin: int, pids: list[int]) -> _Reading:
        times = [processes.CoreTime.read(core) for core in cores]
        return cls(
            clock=time.monotonic(),
            stolen=sum(core.stolen for core in times),
            busy=sum(core.busy for core in times),
            origin=processes.cpu_seconds([origin]),
            proxy=processes.cpu_seconds(pids),
            threads=processes.cpu_by_thread(pids),
            cores=len(cores),
        )


def _sample(report: Report, before: _Reading, after: _Reading, *, died: bool = False) -> Sample:
    wall = max(after.clock - before.clock, 1e-9)
    proxy = after.proxy - before.proxy
    ours = proxy + after.origin - before.origin + report.cpu_seconds
    count = max(report.operations_all, 1)
    no_operation = {} if report.operations else {"no operation": 1}
    return Sample(
        rate=report.rate,
        total_cpu_us=ours / count * 1e6,
        proxy_cpu_us=proxy / count * 1e6,
        proxy_cpu_seconds=proxy,
        bytes=report.bytes,
        seconds=report.seconds,
        latency_us=report.latency_us,
        errors=report.errors | ({"proxy: died": 1} if died else {}) | no_operation,
        steal=(after.stolen - before.stolen) / wall / after.cores,
        foreign=max(0.0, after.busy - before.busy - ours) / wall / after.cores,
        proxy_busy=proxy / wall,
        threads_us={
            name: (seconds - before.threads.get(name, 0.0)) / count * 1e6 for name, seconds in after.threads.items()
        },
    )
